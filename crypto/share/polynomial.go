package share

import (
	"fmt"
	"io"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
)

// A Polynomial is secret: a dealer's f(x) = a₀ + a₁x + … + a_{t−1}x^{t−1}. It prints as "[secret]".
type Polynomial struct {
	g group.Group
	a []group.Scalar
}

// Sample draws a polynomial with t coefficients. a₀ is a copy of constant, or random if
// that is nil. Random coefficients are never 0, so that each has a valid commitment. t is 1 to 65535.
func Sample(g group.Group, t int, constant group.Scalar, r io.Reader) (Polynomial, error) {
	if t < 1 || t > MaxIndex {
		return Polynomial{}, fmt.Errorf("sample polynomial: threshold %d is not 1 to %d", t, MaxIndex)
	}
	p := Polynomial{g: g, a: make([]group.Scalar, t)}
	for k := range p.a {
		if k == 0 && constant != nil {
			p.a[0] = constant.Add(g.Scalar(0))
			continue
		}
		a, err := g.RandomScalar(r)
		if err != nil {
			p.Wipe()
			return Polynomial{}, fmt.Errorf("sample polynomial: %w", err)
		}
		p.a[k] = a
	}
	return p, nil
}

// Threshold is t, the number of coefficients.
func (p Polynomial) Threshold() int { return len(p.a) }

// Eval is f(i), the share at index i, in constant time. Index 0 panics.
func (p Polynomial) Eval(i Index) group.Scalar {
	if i == 0 {
		panic("share: polynomial evaluated at index 0")
	}
	x, v := p.g.Scalar(uint64(i)), p.g.Scalar(0)
	for k := len(p.a) - 1; k >= 0; k-- {
		vx := v.Mul(x)
		next := vx.Add(p.a[k])
		vx.Wipe()
		v.Wipe()
		v = next
	}
	return v
}

// Commit is (a₀·G, …, a_{t−1}·G). A zero constant (refresh) makes the first point the
// identity, which has no encoding: send Commit()[1:] and see WithZeroConstant.
func (p Polynomial) Commit() Commitment {
	c := make(Commitment, len(p.a))
	for k, a := range p.a {
		c[k] = p.g.BaseMul(a)
	}
	return c
}

// Constant is a copy of a₀.
func (p Polynomial) Constant() group.Scalar { return p.a[0].Add(p.g.Scalar(0)) }

// Wipe overwrites the coefficients. The polynomial must not be used afterwards.
func (p Polynomial) Wipe() {
	for _, a := range p.a {
		if a != nil {
			a.Wipe()
		}
	}
}

// Format redacts under every verb.
func (Polynomial) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

// String redacts.
func (Polynomial) String() string { return secret.Redacted }

// MarshalText redacts in JSON, YAML and structured logs.
func (Polynomial) MarshalText() ([]byte, error) { return []byte(secret.Redacted), nil }
