package secp256k1

import (
	"encoding/hex"

	voi "gitlab.com/yawning/secp256k1-voi"

	"github.com/ostraka/ostraka/crypto/group"
)

// A Point is a point of the curve or the identity. The zero value is not valid: points
// come from the functions of this package.
type Point struct{ p voi.Point }

var _ group.Point = (*Point)(nil)

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
	r, s := new(Point), k.(*Scalar).voi()
	r.p.ScalarMult(s, &p.p)
	s.Zero()
	return r
}

// MulVarTime is k·p for a public scalar.
func (p *Point) MulVarTime(k group.Scalar) group.Point {
	r := new(Point)
	r.p.DoubleScalarMultBasepointVartime(voi.NewScalar(), k.(*Scalar).voi(), &p.p)
	return r
}

// DoubleMulBaseVarTime is u·G + v·p for public scalars.
func (p *Point) DoubleMulBaseVarTime(u, v *Scalar) *Point {
	r := new(Point)
	r.p.DoubleScalarMultBasepointVartime(u.voi(), v.voi(), &p.p)
	return r
}

// IsIdentity reports whether p is the point at infinity.
func (p *Point) IsIdentity() bool { return p.p.IsIdentity() == 1 }

// Equal reports whether p is o.
func (p *Point) Equal(o group.Point) bool { return p.p.Equal(&o.(*Point).p) == 1 }

// Bytes is SEC 1 section 2.3.3, compressed: 33 bytes. The identity has no encoding of
// that length and panics.
func (p *Point) Bytes() []byte {
	if p.IsIdentity() {
		panic("secp256k1: the identity has no encoding")
	}
	return p.p.CompressedBytes()
}

// Uncompressed is 04 ‖ x ‖ y, 65 bytes, as addresses of Ethereum hash it. The identity panics.
func (p *Point) Uncompressed() []byte {
	if p.IsIdentity() {
		panic("secp256k1: the identity has no encoding")
	}
	return p.p.UncompressedBytes()
}

// XReduced is the x-coordinate modulo q, and whether x ≥ q: ECDSA's r, and the high bit of
// its recovery id. The identity panics.
func (p *Point) XReduced() (r *Scalar, overflow bool) {
	x, err := p.p.XBytes()
	if err != nil {
		panic("secp256k1: the identity has no x-coordinate")
	}
	r = new(Scalar)
	overflow = !r.SetCanonical((*[32]byte)(x))
	r.SetReduced((*[32]byte)(x))
	return r, overflow
}

// YOdd reports whether the y-coordinate is odd. The identity panics.
func (p *Point) YOdd() bool {
	if p.IsIdentity() {
		panic("secp256k1: the identity has no y-coordinate")
	}
	return p.p.IsYOdd() == 1
}

// String is "identity" or the encoding in hex.
func (p *Point) String() string {
	if p.IsIdentity() {
		return "identity"
	}
	return hex.EncodeToString(p.Bytes())
}

// Group is Group{}.
func (p *Point) Group() group.Group { return Group{} }
