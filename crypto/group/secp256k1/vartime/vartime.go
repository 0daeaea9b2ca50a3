// Package vartime has points of secp256k1 for programs that hold no secret: the verifier in a browser. It stands in for
// gitlab.com/yawning/secp256k1-voi there, whose table of 512 KB is most of what such a program would be sent, and whose 64-bit products
// a browser does not have. The arithmetic is github.com/decred/dcrd/dcrec/secp256k1/v4, which the verifier holds anyway.
//
// EVERYTHING HERE RUNS IN VARIABLE TIME. Whoever signs is never built with it: package secp256k1 takes it for GOOS=js alone.
package vartime

import (
	"errors"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// Lengths of encoded points (SEC 1 section 2.3.3), in bytes.
const (
	CompressedPointSize   = 33
	UncompressedPointSize = 65
)

// A Scalar is an integer modulo the group's order.
type Scalar struct{ s secp256k1.ModNScalar }

// NewScalar is 0.
func NewScalar() *Scalar { return new(Scalar) }

// NewScalarFromBytes reduces 32 bytes, big-endian; 1 if they were not below the order.
func NewScalarFromBytes(b *[32]byte) (*Scalar, uint64) {
	s := new(Scalar)
	return s, uint64(s.s.SetBytes(b))
}

// Invert sets s to 1/a, and to 0 if a is 0.
func (s *Scalar) Invert(a *Scalar) *Scalar {
	s.s.InverseValNonConst(&a.s)
	return s
}

// Zero sets s to 0.
func (s *Scalar) Zero() *Scalar {
	s.s.Zero()
	return s
}

// Bytes is s, 32 bytes, big-endian.
func (s *Scalar) Bytes() []byte {
	b := s.s.Bytes()
	return b[:]
}

// A Point is a point of the curve, or the identity, which the zero value is.
type Point struct{ p secp256k1.JacobianPoint }

// NewIdentityPoint is the identity.
func NewIdentityPoint() *Point { return new(Point) }

// NewGeneratorPoint is G.
func NewGeneratorPoint() *Point {
	var one secp256k1.ModNScalar
	one.SetInt(1)
	p := new(Point)
	secp256k1.ScalarBaseMultNonConst(&one, &p.p)
	p.p.ToAffine()
	return p
}

var errPoint = errors.New("not a compressed point of secp256k1")

// SetCompressedBytes decodes 02 or 03 ‖ x, x below the field's prime.
func (p *Point) SetCompressedBytes(b []byte) (*Point, error) {
	if len(b) != CompressedPointSize || b[0] != secp256k1.PubKeyFormatCompressedEven && b[0] != secp256k1.PubKeyFormatCompressedOdd {
		return nil, errPoint
	}
	k, err := secp256k1.ParsePubKey(b)
	if err != nil {
		return nil, errPoint
	}
	k.AsJacobian(&p.p)
	return p, nil
}

// UncompressedBytes is 04 ‖ x ‖ y. The identity has no such form, and panics.
func (p *Point) UncompressedBytes() []byte {
	if p.IsIdentity() == 1 {
		panic("vartime: the identity has no encoding")
	}
	a := p.p
	a.ToAffine()
	return secp256k1.NewPublicKey(&a.X, &a.Y).SerializeUncompressed()
}

// IsIdentity is 1 or 0.
func (p *Point) IsIdentity() uint64 {
	if p.p.Z.IsZero() || p.p.X.IsZero() && p.p.Y.IsZero() {
		return 1
	}
	return 0
}

// Equal is 1 or 0.
func (p *Point) Equal(o *Point) uint64 {
	var d Point
	return d.Subtract(p, o).IsIdentity()
}

// Add sets p to a + b.
func (p *Point) Add(a, b *Point) *Point {
	var sum secp256k1.JacobianPoint
	secp256k1.AddNonConst(&a.p, &b.p, &sum)
	p.p = sum
	return p
}

// Subtract sets p to a − b.
func (p *Point) Subtract(a, b *Point) *Point {
	var n Point
	return p.Add(a, n.Negate(b))
}

// Negate sets p to −a.
func (p *Point) Negate(a *Point) *Point {
	p.p = a.p
	p.p.Y.Negate(1).Normalize()
	return p
}

// ScalarMult sets p to s·a.
func (p *Point) ScalarMult(s *Scalar, a *Point) *Point {
	affine, product := a.p, secp256k1.JacobianPoint{}
	if a.IsIdentity() == 0 {
		affine.ToAffine()
		secp256k1.ScalarMultNonConst(&s.s, &affine, &product)
	}
	p.p = product
	return p
}

// ScalarBaseMult sets p to s·G.
func (p *Point) ScalarBaseMult(s *Scalar) *Point {
	secp256k1.ScalarBaseMultNonConst(&s.s, &p.p)
	return p
}

// DoubleScalarMultBasepointVartime sets p to u·G + v·a.
func (p *Point) DoubleScalarMultBasepointVartime(u, v *Scalar, a *Point) *Point {
	var base, product Point
	return p.Add(base.ScalarBaseMult(u), product.ScalarMult(v, a))
}

// MultiScalarMultVartime sets p to Σ kᵢ·aᵢ.
func (p *Point) MultiScalarMultVartime(k []*Scalar, a []*Point) *Point {
	var sum, product Point
	for i := range k {
		sum.Add(&sum, product.ScalarMult(k[i], a[i]))
	}
	p.p = sum.p
	return p
}
