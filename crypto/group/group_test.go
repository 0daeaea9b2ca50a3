package group_test

import (
	"bytes"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/ristretto255"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
)

// What the interfaces promise, for each group in the same words.
func TestGroupLaws(t *testing.T) {
	for _, g := range []group.Group{secp256k1.Group{}, edwards25519.Group{}, ristretto255.Group{}} {
		t.Run(g.Name(), func(t *testing.T) {
			G, zero := g.Generator(), g.Identity()
			a, b := g.Scalar(1<<40+3), g.Scalar(5).Neg()
			P, Q := g.BaseMul(a), g.BaseMul(b)
			for name, ok := range map[string]bool{
				"a·G + b·G = (a+b)·G": P.Add(Q).Equal(g.BaseMul(a.Add(b))),
				"a·G − b·G = (a−b)·G": P.Sub(Q).Equal(g.BaseMul(a.Sub(b))),
				"a·(b·G) = (a·b)·G":   Q.Mul(a).Equal(g.BaseMul(a.Mul(b))),
				"MulVarTime = Mul":    Q.MulVarTime(a).Equal(Q.Mul(a)),
				"P + 0 = P":           P.Add(zero).Equal(P) && zero.Add(P).Equal(P),
				"P − P = 0":           P.Sub(P).IsIdentity() && P.Sub(P).Equal(zero),
				"P + P = 2·P":         P.Add(P).Equal(P.Mul(g.Scalar(2))),
				"−P + P = 0":          P.Neg().Add(P).IsIdentity(),
				"−0 = 0":              zero.Neg().IsIdentity(),
				"0·P = 0":             P.Mul(g.Scalar(0)).IsIdentity() && P.MulVarTime(g.Scalar(0)).IsIdentity(),
				"a·0 = 0":             zero.Mul(a).IsIdentity() && zero.MulVarTime(a).IsIdentity(),
				"0·G = 0":             g.BaseMul(g.Scalar(0)).IsIdentity(),
				"q·G = 0":             P.Mul(g.Scalar(1).Neg()).Add(P).IsIdentity(),
				"a·a⁻¹ = 1":           a.Mul(a.Invert()).Equal(g.Scalar(1)),
				"0⁻¹ = 0":             g.Scalar(0).Invert().IsZero(),
				"empty sum":           g.MultiMulVarTime(nil, nil).IsIdentity(),
				"sum with 0":          g.MultiMulVarTime([]group.Scalar{a, b, g.Scalar(0)}, []group.Point{G, zero, P}).Equal(P),
				"sum of one":          g.MultiMulVarTime([]group.Scalar{b}, []group.Point{P}).Equal(P.Mul(b)),
				"sum that is 0":       g.MultiMulVarTime([]group.Scalar{a, b.Neg()}, []group.Point{Q, P}).IsIdentity(),
				"same group":          a.Group() == g && P.Group() == g,
				"not the identity":    !P.IsIdentity() && !P.Equal(zero) && !zero.Equal(P),
				"sizes":               len(P.Bytes()) == g.PointSize() && len(a.Bytes()) == group.ScalarSize && len(g.ReduceScalar(make([]byte, g.WideSize())).Bytes()) == group.ScalarSize,
			} {
				if !ok {
					t.Errorf("%s does not hold", name)
				}
			}
			decoded, err := g.DecodePoint(P.Bytes())
			if err != nil || !decoded.Equal(P) {
				t.Errorf("point: decode after encode: %v", err)
			}
			scalar, err := g.DecodeScalar(b.Bytes())
			if err != nil || !scalar.Equal(b) {
				t.Errorf("scalar: decode after encode: %v", err)
			}
			if !P.Equal(g.BaseMul(g.Scalar(1<<40 + 3))) {
				t.Error("an operation changed its operand")
			}
			mustPanic(t, "sum of one scalar and two points", func() { g.MultiMulVarTime([]group.Scalar{a}, []group.Point{P, P}) })
		})
	}
}

// Which groups map uniform bytes to points, as base oblivious transfer needs it.
func TestMappable(t *testing.T) {
	uniform := bytes.Repeat([]byte{7}, 64)
	for g, want := range map[group.Group]bool{secp256k1.Group{}: true, ristretto255.Group{}: true, edwards25519.Group{}: false} {
		m, ok := g.(group.Mappable)
		if ok != want {
			t.Errorf("%s: %v", g.Name(), ok)
		}
		if ok && (m.FromUniform(uniform).IsIdentity() || m.FromUniform(uniform).Group() != g) {
			t.Errorf("%s: maps outside", g.Name())
		}
	}
}

func TestMixedGroupsPanic(t *testing.T) {
	s, r, e := group.Group(secp256k1.Group{}), group.Group(ristretto255.Group{}), group.Group(edwards25519.Group{})
	mustPanic(t, "scalars", func() { s.Scalar(1).Add(r.Scalar(1)) })
	mustPanic(t, "points of one curve", func() { r.Generator().Add(e.Generator()) })
	mustPanic(t, "scalars of one order", func() { e.Scalar(1).Mul(r.Scalar(1)) })
	mustPanic(t, "points", func() { r.Generator().Add(s.Generator()) })
	mustPanic(t, "point and scalar", func() { s.Generator().Mul(r.Scalar(1)) })
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}
