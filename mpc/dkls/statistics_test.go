package dkls

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// N signatures, half of them presigned: all R distinct, no bit of r or s biased. A biased nonce shows
// here long before it can be solved for (lattice attacks need a few bits of some hundred).
func TestSignaturesAreUnbiased(t *testing.T) { unbiased(t, 500) }

const worstZ = 4.5 // with 2·2·255 bits looked at, chance alone comes here once in 140 seeds; ours is fixed

func unbiased(t *testing.T, n int) {
	var whole, presigned bits
	c, seen := newCircle(t, 2, 2), map[[32]byte]bool{}
	for k := range n {
		digest := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(k)))
		var sig Signature
		if k%2 == 0 {
			all := c.params(c.set, digest, nil)
			for i := range all {
				binary.BigEndian.PutUint64(all[i].Session[16:], uint64(k+1))
				all[i].Rand = enginetest.Reader(uint64(10_000_000 + 2*k + i))
			}
			_, results := lockstep(t, honest(t, all))
			sig = results[0]
			whole.add(sig)
		} else {
			_, made := lockstep(t, presigners(t, c.reserve(t)))
			for i, v := range made { // the order of results is not that of parties
				j := i
				if v.held().self.ID != c.parties[i].ID {
					j = 1 - i
				}
				if err := c.pools[j].Put(v); err != nil {
					t.Fatal(err)
				}
			}
			r := request{digest: digest, tweak: secp256k1.NewScalar(uint64(k))}
			_, results := lockstep(t, users(t, c.take(t, made[0].ID(), r)))
			sig = results[0]
			presigned.add(sig)
		}
		if seen[sig.R] {
			t.Fatalf("signature %d has an R that was there before", k)
		}
		seen[sig.R] = true
	}
	for name, b := range map[string]*bits{"signed in three rounds": &whole, "presigned": &presigned} {
		if what, z := b.worst(); z > worstZ {
			t.Errorf("%s: %s is set with |z| = %.1f", name, what, z)
		}
	}
}

// bits counts bits of signatures. Bit 255 is left out: s ≤ (q−1)/2 < 2²⁵⁵ never has it. All bits of s
// below are even, since (q−1)/2 is within 2¹²⁸ of 2²⁵⁵; and those of r, since q is within 2¹²⁹ of
// 2²⁵⁶, to far less than any N can show.
type bits struct {
	n    int
	r, s [255]int
}

func (b *bits) add(sig Signature) {
	b.n++
	for i := range b.r {
		b.r[i] += int(sig.R[31-i/8] >> (i % 8) & 1)
		b.s[i] += int(sig.S[31-i/8] >> (i % 8) & 1)
	}
}

// worst is the bit that is farthest from even, in standard deviations.
func (b *bits) worst() (what string, z float64) {
	for name, counts := range map[string]*[255]int{"r": &b.r, "s": &b.s} {
		for i, set := range counts {
			if d := math.Abs(float64(2*set-b.n)) / math.Sqrt(float64(b.n)); d >= z {
				what, z = fmt.Sprintf("bit %d of %s", i, name), d
			}
		}
	}
	return what, z
}

// The test itself finds a bit that is set seven times of ten.
func TestBiasIsFound(t *testing.T) {
	var b bits
	for k := range 250 {
		sig := Signature{R: sha256.Sum256([]byte{byte(k)}), S: sha256.Sum256([]byte{byte(k), 1})}
		if k%5 < 2 {
			sig.S[0] |= 1 << 6
		}
		b.add(sig)
	}
	if what, z := b.worst(); what != "bit 254 of s" || z <= worstZ {
		t.Errorf("found %s with |z| = %.1f", what, z)
	}
}
