package edwards25519

import "filippo.io/edwards25519/field"

// The curve in Montgomery's form is v² = u³ + Au² + u, with A = 486662, u = (1+y)/(1−y) and v = c·u/x,
// where c² = −(A+2) (RFC 7748 section 4.1). Signs of the roots do not matter below.
const montgomeryA = 486662

var (
	one   = new(field.Element).One()
	rootC = root(new(field.Element).Negate(small(montgomeryA + 2))) // c
	rootV = root(small(montgomeryA + 2))                            // v₀: (1, v₀) has order 4
)

func small(v uint32) *field.Element { return new(field.Element).Mult32(one, v) }

func root(v *field.Element) *field.Element {
	r, square := new(field.Element).SqrtRatio(v, one)
	if square != 1 {
		panic("edwards25519: a constant has no root")
	}
	return r
}

// primeOrder reports whether ℓ·P = 0 for P = (x, y) with x ≠ 0. It takes three or four powers in the field, some
// two fifths of the time of multiplying by ℓ.
//
// The curve's group E is cyclic of order 8ℓ, so ℓ·P = 0 if and only if P is in 8E. First P is halved: P = 2Q. The other
// half is Q + (0, 0), and (0, 0), of order 2, is in 4E; so P is in 8E if and only if Q is in 4E. That is what the reduced Tate pairing
// of order 4 with T = (1, v₀) says, being perfect on E[4] × E/4E, as 4 divides p − 1: Q is in 4E if and only if
// f(Q)^((p−1)/4) = 1, where f has a fourfold zero in T and a fourfold pole in 0, which is f = (v − v₀u)²/u, of leading
// coefficient 1 in 0.
//
// Halving (Pornin, ePrint 2022/1164): with w = v/u, so that w² = u + A + 1/u, let s = √u and e = √(2(u + sw) + A).
// Then Q has u' = s(s + w + e) and w' = e. If u is no square, P has no half. The two values under the second root, for
// s and −s, have the product A² − 4, which is no square, so exactly one of them has a root.
//
// To avoid inversions, all is scaled by ρ = x(1−y): u, w, A and v₀ stand for ρ²u, ρw, ρ²A and ρv₀. That changes f(Q) by a
// fourth power.
func primeOrder(x, y *field.Element) bool {
	var rho, a, u, w, v0, t, s, e field.Element
	t.Subtract(one, y)                                    // 1 − y
	rho.Multiply(x, &t)                                   // ρ
	a.Mult32(a.Square(&rho), montgomeryA)                 // ρ²A
	w.Multiply(rootC, &t)                                 // ρw = c(1−y)
	v0.Multiply(rootV, &rho)                              // ρv₀
	u.Multiply(u.Square(x), t.Subtract(one, t.Square(y))) // ρ²u = x²(1−y²)

	if _, square := s.SqrtRatio(&u, one); square != 1 {
		return false
	}
	under := func() *field.Element { // 2(u + sw) + A
		t.Add(&u, t.Multiply(&s, &w))
		return t.Add(&a, t.Add(&t, &t))
	}
	if _, square := e.SqrtRatio(under(), one); square != 1 {
		s.Negate(&s)
		e.SqrtRatio(under(), one)
	}

	// f(Q) = u'(w' − v₀)², and its power to (p−1)/4 = 2·(p−5)/8 + 1.
	u.Multiply(&s, u.Add(&s, u.Add(&w, &e)))
	t.Multiply(&u, t.Square(t.Subtract(&e, &v0)))
	u.Square(u.Pow22523(&t))
	return t.Multiply(&t, &u).Equal(one) == 1
}
