//go:build nightly

package edwards25519

import (
	"math/rand/v2"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/internal/dudect"
)

// Every operation on secrets takes the same time for an extreme value as for random ones
// (protocols.md 7 #24): 0, whose digits are all empty, and ℓ−1, whose are nearly full.
func TestTiming(t *testing.T) {
	const samples = 10000
	source := rand.NewChaCha8([32]byte{24})
	random := func() group.Scalar {
		var wide [WideSize]byte
		_, _ = source.Read(wide[:])
		return Group{}.ReduceScalar(wide[:])
	}
	g := Group{}
	other, point := random(), g.BaseMul(random())
	in := make([]Scalar, samples) // side by side, so that both classes lie alike in memory
	for name, c := range map[string]struct {
		times int
		op    func(a group.Scalar)
	}{
		"sum":           {50, func(a group.Scalar) { a.Add(other) }},
		"difference":    {50, func(a group.Scalar) { other.Sub(a) }},
		"product":       {20, func(a group.Scalar) { a.Mul(other) }},
		"negative":      {50, func(a group.Scalar) { a.Neg() }},
		"equal":         {50, func(a group.Scalar) { a.Equal(other) }},
		"bytes":         {50, func(a group.Scalar) { a.Bytes() }},
		"inverse":       {1, func(a group.Scalar) { a.Invert() }},
		"base multiple": {1, func(a group.Scalar) { g.BaseMul(a) }},
		"multiple":      {1, func(a group.Scalar) { point.Mul(a) }},
	} {
		for class, value := range map[string]group.Scalar{"0": g.Scalar(0), "ℓ-1": g.Scalar(1).Neg(), "one value": random()} {
			got := dudect.Case{
				Samples: samples, Runs: 5,
				Prepare: func(i, class int) {
					in[i] = *random().(*Scalar)
					if class == 0 {
						in[i] = *value.(*Scalar)
					}
				},
				Op: func(i int) {
					for range c.times {
						c.op(&in[i])
					}
				},
			}.Median()
			t.Logf("%s of %s: |t| = %.2f", name, class, got)
			if got >= dudect.Bound {
				t.Errorf("%s of %s takes another time than of random scalars: |t| = %.2f", name, class, got)
			}
		}
	}
}
