package secp256k1

import (
	"errors"
	"fmt"
	"io"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
)

const (
	// PointSize is the length of an encoded point: SEC 1 section 2.3.3, compressed.
	PointSize = 33
	// WideSize is the length of uniform bytes that ReduceScalar takes.
	WideSize = 48
)

// Group is the group. All values of this type are the same group.
type Group struct{}

var _ group.Group = Group{}

// Name is "secp256k1".
func (Group) Name() string { return "secp256k1" }

// PointSize is 33.
func (Group) PointSize() int { return PointSize }

// WideSize is 48.
func (Group) WideSize() int { return WideSize }

// Scalar is v.
func (Group) Scalar(v uint64) group.Scalar { return NewScalar(v) }

// DecodeScalar decodes 32 bytes, big-endian, and refuses values ≥ q.
func (Group) DecodeScalar(b []byte) (group.Scalar, error) {
	s, err := DecodeScalar(b)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// ReduceScalar is 48 big-endian bytes modulo q; another length panics.
func (Group) ReduceScalar(wide []byte) group.Scalar { return ReduceScalar(wide) }

// RandomScalar reduces 48 bytes of r.
func (Group) RandomScalar(r io.Reader) (group.Scalar, error) {
	s, err := RandomScalar(r)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Generator is the point G of SEC 2.
func (Group) Generator() group.Point { return &Point{p: *newGenerator()} }

// Identity is the point at infinity.
func (Group) Identity() group.Point { return &Point{p: *newIdentity()} }

// BaseMul is k·G.
func (Group) BaseMul(k group.Scalar) group.Point { return BaseMul(k.(*Scalar)) }

// DecodePoint decodes 33 bytes.
func (Group) DecodePoint(b []byte) (group.Point, error) {
	p, err := DecodePoint(b)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// MultiMulVarTime is Σ kᵢ·Pᵢ. Lists of different lengths panic.
func (Group) MultiMulVarTime(k []group.Scalar, p []group.Point) group.Point {
	if len(k) != len(p) {
		panic(fmt.Sprintf("secp256k1: %d scalars for %d points", len(k), len(p)))
	}
	scalars, points := make([]*curveScalar, len(k)), make([]*curvePoint, len(p))
	for i := range k {
		scalars[i], points[i] = k[i].(*Scalar).onCurve(), &p[i].(*Point).p
	}
	r := new(Point)
	r.p.MultiScalarMultVartime(scalars, points)
	return r
}

// BaseMul is k·G.
func BaseMul(k *Scalar) *Point {
	r, s := new(Point), k.onCurve()
	r.p.ScalarBaseMult(s)
	s.Zero()
	return r
}

// DecodePoint decodes 33 bytes: prefix 02 or 03 and an x < p that is on the curve. The
// identity has no encoding.
func DecodePoint(b []byte) (*Point, error) {
	if len(b) != PointSize {
		return nil, fmt.Errorf("point has %d bytes, not %d", len(b), PointSize)
	}
	if b[0] != 2 && b[0] != 3 {
		return nil, fmt.Errorf("point begins with %02x, not 02 or 03", b[0])
	}
	r := new(Point)
	if _, err := r.p.SetCompressedBytes(b); err != nil {
		return nil, errNotOnCurve
	}
	return r, nil
}

var errNotOnCurve = errors.New("point's x is ≥ p or not on the curve")

// DecodeScalar decodes 32 bytes, big-endian, and refuses values ≥ q.
func DecodeScalar(b []byte) (*Scalar, error) {
	if len(b) != group.ScalarSize {
		return nil, fmt.Errorf("scalar has %d bytes, not %d", len(b), group.ScalarSize)
	}
	s := new(Scalar)
	if !s.SetCanonical((*[32]byte)(b)) {
		return nil, errScalarRange
	}
	return s, nil
}

var errScalarRange = errors.New("scalar is ≥ q")

// RandomScalar reduces 48 bytes of r. A result of zero, of probability 2^-256, means a
// broken source and is an error.
func RandomScalar(r io.Reader) (*Scalar, error) {
	var wide [WideSize]byte
	defer secret.Wipe(wide[:])
	if _, err := io.ReadFull(r, wide[:]); err != nil {
		return nil, fmt.Errorf("read randomness for a scalar: %w", err)
	}
	s := ReduceScalar(wide[:])
	if s.IsZero() {
		return nil, errBrokenSource
	}
	return s, nil
}

var errBrokenSource = errors.New("random scalar is zero: the source of randomness is broken")
