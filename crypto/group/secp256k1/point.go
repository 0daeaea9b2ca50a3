package secp256k1

import (
	"encoding/hex"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
)

// A Point is a point of the curve or the identity. The zero value is not valid: points
// come from the functions of this package, and never change.
type Point struct {
	p      curvePoint
	affine *coordinates // of a settled point, else nil
}

// coordinates are 04 ‖ x ‖ y.
type coordinates [1 + 2*32]byte

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
	r, s := new(Point), k.(*Scalar).onCurve()
	r.p.ScalarMult(s, &p.p)
	s.Zero()
	return r
}

// MulVarTime is k·p for a public scalar.
func (p *Point) MulVarTime(k group.Scalar) group.Point {
	r := new(Point)
	r.p.DoubleScalarMultBasepointVartime(new(curveScalar), k.(*Scalar).onCurve(), &p.p)
	return r
}

// DoubleMulBaseVarTime is u·G + v·p for public scalars.
func (p *Point) DoubleMulBaseVarTime(u, v *Scalar) *Point {
	r := new(Point)
	r.p.DoubleScalarMultBasepointVartime(u.onCurve(), v.onCurve(), &p.p)
	return r
}

// IsIdentity reports whether p is the point at infinity.
func (p *Point) IsIdentity() bool { return p.p.IsIdentity() == 1 }

// Equal reports whether p is o.
func (p *Point) Equal(o group.Point) bool { return p.p.Equal(&o.(*Point).p) == 1 }

// Settled is p with its coordinates kept, for a point that is encoded several times: they cost an
// inversion, half as much as k·G. The identity has none and panics.
func (p *Point) Settled() *Point {
	if p.affine != nil {
		return p
	}
	return &Point{p: p.p, affine: p.coordinates("coordinates")}
}

// Settled is any group's point, with its coordinates kept if it is one of ours.
func Settled(p group.Point) group.Point {
	if p, ok := p.(*Point); ok {
		return p.Settled()
	}
	return p
}

// Bytes is SEC 1 section 2.3.3, compressed: 33 bytes. The identity has no encoding of
// that length and panics.
func (p *Point) Bytes() []byte {
	a := p.coordinates("encoding")
	b := make([]byte, PointSize)
	b[0] = 2 | a[len(a)-1]&1
	copy(b[1:], a[1:])
	return b
}

// Uncompressed is 04 ‖ x ‖ y, 65 bytes, as addresses of Ethereum hash it. The identity panics.
func (p *Point) Uncompressed() []byte { return slices.Clone(p.coordinates("encoding")[:]) }

// XReduced is the x-coordinate modulo q, and whether x ≥ q: ECDSA's r, and the high bit of
// its recovery id. The identity panics.
func (p *Point) XReduced() (r *Scalar, overflow bool) {
	x := [32]byte(p.coordinates("x-coordinate")[1:])
	r = new(Scalar)
	overflow = !r.SetCanonical(&x)
	r.SetReduced(&x)
	return r, overflow
}

// YOdd reports whether the y-coordinate is odd. The identity panics.
func (p *Point) YOdd() bool {
	a := p.coordinates("y-coordinate")
	return a[len(a)-1]&1 == 1
}

// coordinates are computed anew unless the point is settled; the identity has none.
func (p *Point) coordinates(what string) *coordinates {
	if p.affine != nil {
		return p.affine
	}
	if p.IsIdentity() {
		panic("secp256k1: the identity has no " + what)
	}
	return (*coordinates)(p.p.UncompressedBytes())
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
