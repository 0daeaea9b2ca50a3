package dkls

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/group/secp256k1/independent"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// recovers asks as an outsider would, who has no more than digest and signature: the key that they recover.
func recovers(sig Signature, key *secp256k1.Point, digest [32]byte) error {
	compact, err := independent.ParseCompact(append(sig.R[:], sig.S[:]...))
	if err != nil {
		return err
	}
	got, err := independent.Recover(&digest, compact, sig.RecoveryID)
	switch {
	case err != nil:
		return err
	case !compact.LowS() || !bytes.Equal(got.Compressed(), key.Bytes()):
		return fmt.Errorf("id %d recovers another key, or s is high", sig.RecoveryID)
	}
	return nil
}

// subsets are all sets of t or more of n positions.
func subsets(t, n int) (all [][]int) {
	for mask := range 1 << n {
		var set []int
		for i := range n {
			if mask>>i&1 == 1 {
				set = append(set, i)
			}
		}
		if len(set) >= t {
			all = append(all, set)
		}
	}
	return all
}

func TestEverySignerSetSigns(t *testing.T) {
	for _, c := range []struct{ t, n int }{{2, 2}, {2, 3}, {3, 3}, {3, 5}} {
		d := newDeal(t, c.t, c.n)
		for k, set := range subsets(c.t, c.n) {
			t.Run(fmt.Sprintf("%d of %d by %v", c.t, c.n, set), func(t *testing.T) {
				var tweak group.Scalar
				if k%2 == 1 {
					tweak = secp256k1.NewScalar(uint64(k) << 40)
				}
				digest := sha256.Sum256(fmt.Append(nil, set))
				all := d.params(set, digest, tweak)
				results, err := enginetest.Run(enginetest.Options{Seed: uint64(k)}, honest(t, all)...).Results()
				if err != nil {
					t.Fatal(err)
				}
				for i, sig := range results {
					if sig != results[0] {
						t.Errorf("signer %d has another signature", i)
					}
					if err := recovers(sig, all[i].Child.(*secp256k1.Point), digest); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

// Pair states are read-only between refreshes: sessions may use them at the same time.
func TestParallelSessionsShareStates(t *testing.T) {
	d := newDeal(t, 2, 3)
	for k := range 8 {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			t.Parallel()
			all := d.params([]int{0, 1, 2}, sha256.Sum256([]byte{byte(k)}), nil)
			for i := range all {
				all[i].Session[9], all[i].Rand = byte(k), enginetest.Reader(uint64(100*k+i))
			}
			if _, results := lockstep(t, honest(t, all)); len(results) != 3 {
				t.Errorf("%d results", len(results))
			}
		})
	}
}
