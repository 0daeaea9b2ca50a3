package edwards25519

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"filippo.io/edwards25519"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
)

// A Scalar is an integer modulo ℓ = 2^252 + 27742317777372353535851937790883648493. The
// zero value is 0. It prints as "[secret]".
type Scalar struct{ s edwards25519.Scalar }

var _ group.Scalar = (*Scalar)(nil)

// Add is s + o.
func (s *Scalar) Add(o group.Scalar) group.Scalar {
	r := new(Scalar)
	r.s.Add(&s.s, &o.(*Scalar).s)
	return r
}

// Sub is s − o.
func (s *Scalar) Sub(o group.Scalar) group.Scalar {
	r := new(Scalar)
	r.s.Subtract(&s.s, &o.(*Scalar).s)
	return r
}

// Mul is s·o.
func (s *Scalar) Mul(o group.Scalar) group.Scalar {
	r := new(Scalar)
	r.s.Multiply(&s.s, &o.(*Scalar).s)
	return r
}

// Neg is −s.
func (s *Scalar) Neg() group.Scalar {
	r := new(Scalar)
	r.s.Negate(&s.s)
	return r
}

// Invert is 1/s, and 0 for 0: the library computes s^(ℓ−2).
func (s *Scalar) Invert() group.Scalar {
	r := new(Scalar)
	r.s.Invert(&s.s)
	return r
}

// IsZero reports whether s is 0.
func (s *Scalar) IsZero() bool { return s.s.Equal(new(edwards25519.Scalar)) == 1 }

// Equal reports whether s is o.
func (s *Scalar) Equal(o group.Scalar) bool { return s.s.Equal(&o.(*Scalar).s) == 1 }

// Bytes is s in 32 bytes, little-endian.
func (s *Scalar) Bytes() []byte { return s.s.Bytes() }

// Wipe sets s to 0.
func (s *Scalar) Wipe() { s.s.Set(new(edwards25519.Scalar)) }

// Group is Group{}.
func (s *Scalar) Group() group.Group { return Group{} }

// Format redacts under every verb.
func (Scalar) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

// String redacts.
func (Scalar) String() string { return secret.Redacted }

// GoString redacts.
func (Scalar) GoString() string { return secret.Redacted }

// MarshalText redacts in JSON, YAML and structured logs.
func (Scalar) MarshalText() ([]byte, error) { return []byte(secret.Redacted), nil }

// A Point is an element of the subgroup. The zero value is not valid: points come from Group.
type Point struct {
	p       edwards25519.Point
	encoded []byte // of a decoded point, else nil: encoding costs an inversion
}

var _ group.Point = (*Point)(nil)

func newPoint() *Point {
	r := new(Point)
	r.p.Set(edwards25519.NewIdentityPoint())
	return r
}

// Add is p + o.
func (p *Point) Add(o group.Point) group.Point {
	r := new(Point)
	r.p.Add(&p.p, &o.(*Point).p)
	return r
}

// Sub is p − o.
func (p *Point) Sub(o group.Point) group.Point {
	r := new(Point)
	r.p.Subtract(&p.p, &o.(*Point).p)
	return r
}

// Neg is −p.
func (p *Point) Neg() group.Point {
	r := new(Point)
	r.p.Negate(&p.p)
	return r
}

// Mul is k·p.
func (p *Point) Mul(k group.Scalar) group.Point {
	r := new(Point)
	r.p.ScalarMult(&k.(*Scalar).s, &p.p)
	return r
}

// MulVarTime is k·p for a public scalar.
func (p *Point) MulVarTime(k group.Scalar) group.Point {
	r := new(Point)
	r.p.VarTimeDoubleScalarBaseMult(&k.(*Scalar).s, &p.p, new(edwards25519.Scalar))
	return r
}

// DoubleMulBaseVarTime is u·B + v·p for public scalars.
func (p *Point) DoubleMulBaseVarTime(u, v *Scalar) *Point {
	r := new(Point)
	r.p.VarTimeDoubleScalarBaseMult(&v.s, &p.p, &u.s)
	return r
}

// IsIdentity reports whether p is the neutral element.
func (p *Point) IsIdentity() bool { return p.p.Equal(edwards25519.NewIdentityPoint()) == 1 }

// Equal reports whether p is o.
func (p *Point) Equal(o group.Point) bool { return p.p.Equal(&o.(*Point).p) == 1 }

// Bytes is the encoding of RFC 8032 section 5.1.2, 32 bytes. The identity has one, 01 00 … 00,
// which DecodePoint refuses.
func (p *Point) Bytes() []byte {
	if p.encoded != nil {
		return bytes.Clone(p.encoded)
	}
	return p.p.Bytes()
}

// String is the encoding in hex.
func (p *Point) String() string { return hex.EncodeToString(p.Bytes()) }

// Group is Group{}.
func (p *Point) Group() group.Group { return Group{} }
