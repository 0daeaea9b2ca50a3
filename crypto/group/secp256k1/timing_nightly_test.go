//go:build nightly

package secp256k1

import (
	"math/rand/v2"
	"testing"

	"github.com/ostraka/ostraka/internal/dudect"
)

// Every operation on secrets takes the same time for an extreme value as for random ones
// (protocols.md 7 #24): 0, whose products and carries are all empty, and q−1, whose are full.
func TestTiming(t *testing.T) {
	const samples = 20000
	r := rand.New(source(24))
	random := func() (s Scalar) {
		var b [32]byte
		_, _ = source(r.Uint64()).Read(b[:])
		s.SetReduced(&b)
		return s
	}
	var zero, large, sink Scalar
	large.SetDifference(&zero, NewScalar(1))
	fixed, other := random(), random()
	g := (Group{}).Generator().(*Point)
	point := BaseMul(&fixed)
	in := make([]Scalar, samples)
	var sum Sum
	for name, c := range map[string]struct {
		times, samples int
		op             func(a *Scalar)
	}{
		"sum":           {100, samples, func(a *Scalar) { sink.SetSum(a, &other) }},
		"difference":    {100, samples, func(a *Scalar) { sink.SetDifference(&other, a) }},
		"negative":      {100, samples, func(a *Scalar) { sink.SetNegative(a) }},
		"product":       {40, samples, func(a *Scalar) { sink.SetProduct(a, &other) }},
		"sum, product":  {40, samples, func(a *Scalar) { sink = other; sink.AddProduct(a, a) }},
		"lazy product":  {40, samples, func(a *Scalar) { sum.AddProduct(a, &other) }},
		"lazy residue":  {40, samples, func(a *Scalar) { s := Sum{}; s.AddProduct(a, a); sink.SetReducedSum(&s) }},
		"select":        {100, samples, func(a *Scalar) { sink.Select(&fixed, &other, a.l[0]) }},
		"negate if":     {100, samples, func(a *Scalar) { sink.NegateIf(a.l[0]) }},
		"add if":        {100, samples, func(a *Scalar) { sum.AddIf(&other, a.l[0]) }},
		"canonical":     {100, samples, func(a *Scalar) { var b [32]byte; a.PutBytes(b[:]); sink.SetCanonical(&b) }},
		"high":          {100, samples, func(a *Scalar) { sink.NegateIf(a.l.aboveHalf()) }},
		"zero":          {100, samples, func(a *Scalar) { sink.l[0] ^= truth(a.IsZero()) }},
		"equal":         {100, samples, func(a *Scalar) { sink.l[0] ^= truth(a.Equal(&fixed)) }},
		"inverse":       {1, samples, func(a *Scalar) { sink.SetInverse(a) }},
		"base multiple": {1, samples, func(a *Scalar) { BaseMul(a) }},
		"multiple of G": {1, samples / 2, func(a *Scalar) { g.Mul(a) }},
		"multiple":      {1, samples / 2, func(a *Scalar) { point.Mul(a) }},
	} {
		for class, value := range map[string]*Scalar{"0": &zero, "q-1": &large, "one value": &fixed} {
			got := dudect.Case{
				Samples: c.samples, Runs: 5,
				Prepare: func(i, class int) {
					in[i] = random()
					if class == 0 {
						in[i] = *value
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

func truth(b bool) (n uint64) {
	if b {
		n = 1
	}
	return n
}
