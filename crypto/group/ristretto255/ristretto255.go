// Package ristretto255 implements group.Group over the group of RFC 9496 section 4, with
// github.com/gtank/ristretto255. Use the value Group{}. Base oblivious transfer runs on it.
//
// Everything not named VarTime takes the same time for every value.
package ristretto255

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/gtank/ristretto255"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
)

const (
	// PointSize is the length of an encoded point.
	PointSize = 32
	// WideSize is the length of uniform bytes that ReduceScalar takes.
	WideSize = 64
	// UniformSize is the length of uniform bytes that FromUniform takes.
	UniformSize = 64
)

// Group is the group. All values of this type are the same group.
type Group struct{}

var _ group.Mappable = Group{}

// Name is "ristretto255".
func (Group) Name() string { return "ristretto255" }

// PointSize is 32.
func (Group) PointSize() int { return PointSize }

// WideSize is 64.
func (Group) WideSize() int { return WideSize }

// Scalar is v.
func (Group) Scalar(v uint64) group.Scalar {
	var wide [WideSize]byte
	for i := range 8 {
		wide[i] = byte(v >> (8 * i))
	}
	return Group{}.ReduceScalar(wide[:])
}

// DecodeScalar decodes 32 bytes, little-endian, and refuses values ≥ q.
func (Group) DecodeScalar(b []byte) (group.Scalar, error) {
	if len(b) != group.ScalarSize {
		return nil, fmt.Errorf("scalar has %d bytes, not %d", len(b), group.ScalarSize)
	}
	s := new(Scalar)
	if err := s.s.Decode(b); err != nil {
		return nil, errScalarRange
	}
	return s, nil
}

var errScalarRange = errors.New("scalar is ≥ q")

// ReduceScalar is 64 little-endian bytes modulo q; another length panics.
func (Group) ReduceScalar(wide []byte) group.Scalar {
	if len(wide) != WideSize {
		panic(fmt.Sprintf("ristretto255: %d bytes to reduce, not %d", len(wide), WideSize))
	}
	s := new(Scalar)
	s.s.FromUniformBytes(wide)
	return s
}

// RandomScalar reduces 64 bytes of r. A result of zero, of probability 2^-252, means a
// broken source and is an error.
func (Group) RandomScalar(r io.Reader) (group.Scalar, error) {
	var wide [WideSize]byte
	defer secret.Wipe(wide[:])
	if _, err := io.ReadFull(r, wide[:]); err != nil {
		return nil, fmt.Errorf("read randomness for a scalar: %w", err)
	}
	s := Group{}.ReduceScalar(wide[:])
	if s.IsZero() {
		return nil, errBrokenSource
	}
	return s, nil
}

var errBrokenSource = errors.New("random scalar is zero: the source of randomness is broken")

// Generator is the base point of RFC 9496 section 4.
func (Group) Generator() group.Point {
	r := new(Point)
	r.e.Base()
	return r
}

// Identity is the neutral element.
func (Group) Identity() group.Point { return newPoint() }

// BaseMul is k·G.
func (Group) BaseMul(k group.Scalar) group.Point {
	r := newPoint()
	r.e.ScalarBaseMult(&k.(*Scalar).s)
	return r
}

// DecodePoint decodes 32 bytes as in RFC 9496 section 4.3.1, and refuses the identity.
func (Group) DecodePoint(b []byte) (group.Point, error) {
	if len(b) != PointSize {
		return nil, fmt.Errorf("point has %d bytes, not %d", len(b), PointSize)
	}
	r := newPoint()
	if err := r.e.Decode(b); err != nil {
		return nil, errNotCanonical
	}
	if r.IsIdentity() {
		return nil, errIdentity
	}
	return r, nil
}

var (
	errNotCanonical = errors.New("point is not a canonical encoding")
	errIdentity     = errors.New("point is the identity")
)

// FromUniform maps 64 uniform bytes as in RFC 9496 section 4.3.4; another length panics.
func (Group) FromUniform(b []byte) group.Point {
	if len(b) != UniformSize {
		panic(fmt.Sprintf("ristretto255: %d uniform bytes, not %d", len(b), UniformSize))
	}
	r := newPoint()
	r.e.FromUniformBytes(b)
	return r
}

// MultiMulVarTime is Σ kᵢ·Pᵢ. Lists of different lengths panic.
func (Group) MultiMulVarTime(k []group.Scalar, p []group.Point) group.Point {
	if len(k) != len(p) {
		panic(fmt.Sprintf("ristretto255: %d scalars for %d points", len(k), len(p)))
	}
	scalars, points := make([]*ristretto255.Scalar, len(k)), make([]*ristretto255.Element, len(p))
	for i := range k {
		scalars[i], points[i] = &k[i].(*Scalar).s, &p[i].(*Point).e
	}
	r := newPoint()
	r.e.VarTimeMultiScalarMult(scalars, points)
	return r
}

// A Scalar is an integer modulo q = 2^252 + 27742317777372353535851937790883648493. The
// zero value is 0. It prints as "[secret]".
type Scalar struct{ s ristretto255.Scalar }

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

// Invert is 1/s, and 0 for 0: the library computes s^(q−2).
func (s *Scalar) Invert() group.Scalar {
	r := new(Scalar)
	r.s.Invert(&s.s)
	return r
}

// IsZero reports whether s is 0.
func (s *Scalar) IsZero() bool { return s.s.Equal(new(ristretto255.Scalar)) == 1 }

// Equal reports whether s is o.
func (s *Scalar) Equal(o group.Scalar) bool { return s.s.Equal(&o.(*Scalar).s) == 1 }

// Bytes is s in 32 bytes, little-endian.
func (s *Scalar) Bytes() []byte { return s.s.Encode(make([]byte, 0, group.ScalarSize)) }

// Wipe sets s to 0.
func (s *Scalar) Wipe() { s.s.Zero() }

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

// A Point is an element of the group. The zero value is not valid: points come from Group.
type Point struct{ e ristretto255.Element }

var _ group.Point = (*Point)(nil)

// newPoint is the identity. Every operation writes to a fresh one: the library's
// multi-scalar multiplications read their receiver.
func newPoint() *Point {
	r := new(Point)
	r.e.Zero()
	return r
}

// Add is p + o.
func (p *Point) Add(o group.Point) group.Point {
	r := newPoint()
	r.e.Add(&p.e, &o.(*Point).e)
	return r
}

// Sub is p − o.
func (p *Point) Sub(o group.Point) group.Point {
	r := newPoint()
	r.e.Subtract(&p.e, &o.(*Point).e)
	return r
}

// Neg is −p.
func (p *Point) Neg() group.Point {
	r := newPoint()
	r.e.Negate(&p.e)
	return r
}

// Mul is k·p.
func (p *Point) Mul(k group.Scalar) group.Point {
	r := newPoint()
	r.e.ScalarMult(&k.(*Scalar).s, &p.e)
	return r
}

// MulVarTime is k·p for a public scalar.
func (p *Point) MulVarTime(k group.Scalar) group.Point {
	r := newPoint()
	r.e.VarTimeDoubleScalarBaseMult(&k.(*Scalar).s, &p.e, new(ristretto255.Scalar))
	return r
}

// IsIdentity reports whether p is the neutral element.
func (p *Point) IsIdentity() bool { return p.e.Equal(ristretto255.NewElement()) == 1 }

// Equal reports whether p is o.
func (p *Point) Equal(o group.Point) bool { return p.e.Equal(&o.(*Point).e) == 1 }

// Bytes is the encoding of RFC 9496 section 4.3.2, 32 bytes.
func (p *Point) Bytes() []byte { return p.e.Encode(make([]byte, 0, PointSize)) }

// String is the encoding in hex.
func (p *Point) String() string { return hex.EncodeToString(p.Bytes()) }

// Group is Group{}.
func (p *Point) Group() group.Group { return Group{} }
