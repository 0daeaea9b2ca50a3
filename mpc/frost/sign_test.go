package frost

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// subsets are all sets of t or more of n positions.
func subsets(t, n int) (out [][]int) {
	for mask := range 1 << n {
		var set []int
		for i := range n {
			if mask>>i&1 == 1 {
				set = append(set, i)
			}
		}
		if len(set) >= t {
			out = append(out, set)
		}
	}
	return out
}

var taproots = []Taproot{NoTaproot(), KeyPath(), ScriptTree([32]byte{1}), ScriptTree([32]byte{2})}

func TestEverySignerSetSigns(t *testing.T) {
	for _, suite := range suites {
		for _, c := range []struct{ t, n int }{{2, 2}, {2, 3}, {3, 3}, {3, 5}} {
			d := newDeal(t, suite, c.t, c.n)
			for k, set := range subsets(c.t, c.n) {
				t.Run(fmt.Sprintf("%s %d of %d by %v", suite, c.t, c.n, set), func(t *testing.T) {
					var tweak group.Scalar
					if k%2 == 1 {
						tweak = d.group.Scalar(uint64(k) << 40)
					}
					all := d.params(set, message(fmt.Sprint(set)), tweak, taproots[k%4])
					results, err := enginetest.Run(enginetest.Options{Seed: uint64(k)}, honest(t, all)...).Results()
					if err != nil {
						t.Fatal(err)
					}
					for i, sig := range results {
						if sig != results[0] {
							t.Errorf("signer %d has another signature", i)
						}
						if err := valid(t, all[i], sig); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
	}
}

// Every combination of signs: parities of P, Q and R, each Taproot, with and without tweak.
func TestEverySignOfBIP340(t *testing.T) {
	seen := map[string]bool{}
	d := newDeal(t, BIP340, 2, 2)
	for k := range 160 {
		tap, e := taproots[k%len(taproots)], d.group.Scalar(uint64(k/4))
		all := d.params([]int{0, 1}, message("parities"), e, tap)
		for i := range all {
			all[i].Rand = enginetest.Reader(uint64(2*k + i))
		}
		s, err := newSigner(all[0])
		if err != nil {
			t.Fatal(err)
		}
		p := s.odd(d.public.Add(d.group.BaseMul(e)))
		sessions := []*engine.Session[Signature]{open(t, all[0], &commit{s}), open(t, all[1], first(t, all[1]))}
		results, err := enginetest.Run(enginetest.Options{}, sessions...).Results()
		if err != nil {
			t.Fatal(err)
		}
		if err := valid(t, all[0], results[0]); err != nil {
			t.Error(err)
		}
		seen[fmt.Sprintf("kind %d, P odd %v, g1g2 = -1 %v, R odd %v", min(tap.kind, scriptTree), p, s.key.negate, s.bound.odd)] = true
	}
	if want := 2*2 + 2*8; len(seen) != want { // plain: g₂ is 1
		t.Errorf("%d combinations, want %d", len(seen), want)
	}
}

// Ed25519 signs messages as they are, of any length to the bound; BIP 340 here 32 bytes.
func TestMessageLengths(t *testing.T) {
	d := newDeal(t, Ed25519, 2, 2)
	for _, n := range []int{0, 1, 31, 32, 33, 127, 128, MaxMessage} {
		all := d.params([]int{0, 1}, bytes.Repeat([]byte{7}, n), nil, Taproot{})
		results, err := enginetest.Run(enginetest.Options{}, honest(t, all)...).Results()
		if err != nil || valid(t, all[0], results[0]) != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// A message that the caller changes afterwards is not the one that was agreed upon.
func TestMessageIsCopied(t *testing.T) {
	d := newDeal(t, BIP340, 2, 2)
	m := message("first")
	all := d.params([]int{0, 1}, m, nil, KeyPath())
	sessions := honest(t, all)
	m[0] ^= 1
	results, err := enginetest.Run(enginetest.Options{}, sessions...).Results()
	if err != nil {
		t.Fatal(err)
	}
	all[0].Message = message("first")
	if err := valid(t, all[0], results[0]); err != nil {
		t.Error(err)
	}
}

// protocols.md 4: one derivation for both suites, none of whose steps the signers need more of than its shift.
func TestDerivedKeysSign(t *testing.T) {
	for _, suite := range suites {
		d := newDeal(t, suite, 2, 3)
		for _, path := range []hd.Path{nil, {0}, {3, 1<<31 - 1}, {1, 2, 3, 4, 5, 6, 7, 8}} {
			child, shift, err := hd.Derive(d.public, [32]byte{5}, path)
			if err != nil {
				t.Fatal(err)
			}
			all := d.params([]int{0, 2}, message(path.String()), shift, NoTaproot())
			key, err := KeyOf(suite, d.public, shift, all[0].Taproot)
			if err != nil {
				t.Fatal(err)
			}
			if enc := child.Bytes(); !bytes.Equal(key.Bytes[:], enc[len(enc)-32:]) {
				t.Errorf("%s, %s: another key than the derived one", suite, path)
			}
			results, err := enginetest.Run(enginetest.Options{}, honest(t, all)...).Results()
			if err != nil || valid(t, all[0], results[0]) != nil {
				t.Errorf("%s, %s: %v", suite, path, err)
			}
		}
	}
}
