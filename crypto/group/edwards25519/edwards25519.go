// Package edwards25519 implements group.Group over the subgroup of prime order ℓ of edwards25519
// (RFC 7748 section 4.1, RFC 8032 section 5.1), with filippo.io/edwards25519. Use the value Group{}.
// Ed25519 keys are points of it.
//
// The curve has eight times as many points as the subgroup. No point from outside enters
// without a proof that it is in the subgroup (DecodePoint), and every operation stays inside it.
//
// Scalars are plain integers modulo ℓ: never clamped, never made from a seed.
//
// There is no map from uniform bytes to points here: protocols that need one use ristretto255.
//
// Everything not named VarTime takes the same time for every value, except DecodePoint: points from outside are public.
package edwards25519

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
)

const (
	// PointSize is the length of an encoded point.
	PointSize = 32
	// WideSize is the length of uniform bytes that ReduceScalar takes.
	WideSize = 64
)

// Group is the group. All values of this type are the same group.
type Group struct{}

var _ group.Group = Group{}

// Name is "edwards25519".
func (Group) Name() string { return "edwards25519" }

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

// DecodeScalar decodes 32 bytes, little-endian, and refuses values ≥ ℓ.
func (Group) DecodeScalar(b []byte) (group.Scalar, error) {
	if len(b) != group.ScalarSize {
		return nil, fmt.Errorf("scalar has %d bytes, not %d", len(b), group.ScalarSize)
	}
	s := new(Scalar)
	if _, err := s.s.SetCanonicalBytes(b); err != nil {
		return nil, errScalarRange
	}
	return s, nil
}

var errScalarRange = errors.New("scalar is ≥ q")

// ReduceScalar is 64 little-endian bytes modulo ℓ; another length panics.
func (Group) ReduceScalar(wide []byte) group.Scalar {
	s := new(Scalar)
	if _, err := s.s.SetUniformBytes(wide); err != nil { // only of another length
		panic(fmt.Sprintf("edwards25519: %d bytes to reduce, not %d", len(wide), WideSize))
	}
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

// Generator is B of RFC 8032 section 5.1.
func (Group) Generator() group.Point {
	r := new(Point)
	r.p.Set(edwards25519.NewGeneratorPoint())
	return r
}

// Identity is the neutral element.
func (Group) Identity() group.Point { return newPoint() }

// BaseMul is k·B.
func (Group) BaseMul(k group.Scalar) group.Point {
	r := new(Point)
	r.p.ScalarBaseMult(&k.(*Scalar).s)
	return r
}

// DecodePoint decodes 32 bytes as in RFC 8032 section 5.1.3, strictly: the bytes are the only
// encoding of their point, and the point is in the subgroup of order ℓ and not the identity
// (protocols.md 0.1 [MUST]). It takes a time that depends on b.
func (Group) DecodePoint(b []byte) (group.Point, error) {
	if len(b) != PointSize {
		return nil, fmt.Errorf("point has %d bytes, not %d", len(b), PointSize)
	}
	r := new(Point)
	if _, err := r.p.SetBytes(b); err != nil {
		return nil, errNotCurve
	}
	// A decoded point has Z = 1, so these are its x and y, and encoding it again needs no inversion.
	x, y, z, _ := r.p.ExtendedCoordinates()
	if z.Equal(one) != 1 {
		panic("edwards25519: a decoded point is not affine")
	}
	// The library follows RFC 8032 less than strictly: it takes y ≥ p, and −0 for x.
	again := y.Bytes()
	again[PointSize-1] |= byte(x.IsNegative() << 7)
	if !bytes.Equal(again, b) {
		return nil, errNotCanonical
	}
	if r.IsIdentity() {
		return nil, errIdentity
	}
	// x = 0 is the point of order 2.
	if x.Equal(new(field.Element)) == 1 || !primeOrder(x, y) {
		return nil, errOrder
	}
	r.encoded = again
	return r, nil
}

var (
	errNotCurve     = errors.New("point is not on the curve")
	errNotCanonical = errors.New("point is not a canonical encoding")
	errIdentity     = errors.New("point is the identity")
	errOrder        = errors.New("point is not in the subgroup of prime order")
)

// MultiMulVarTime is Σ kᵢ·Pᵢ. Lists of different lengths panic.
func (Group) MultiMulVarTime(k []group.Scalar, p []group.Point) group.Point {
	if len(k) != len(p) {
		panic(fmt.Sprintf("edwards25519: %d scalars for %d points", len(k), len(p)))
	}
	scalars, points := make([]*edwards25519.Scalar, len(k)), make([]*edwards25519.Point, len(p))
	for i := range k {
		scalars[i], points[i] = &k[i].(*Scalar).s, &p[i].(*Point).p
	}
	r := newPoint()
	r.p.VarTimeMultiScalarMult(scalars, points)
	return r
}
