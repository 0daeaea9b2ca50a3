package secp256k1

import (
	"errors"
	"fmt"
	"io"

	voi "gitlab.com/yawning/secp256k1-voi"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
)

const (
	// PointSize is the length of an encoded point: SEC 1 section 2.3.3, compressed.
	PointSize = voi.CompressedPointSize
	// WideSize is the length of uniform bytes that ReduceScalar takes.
	WideSize = 48
	// UniformSize is the length of uniform bytes that FromUniform takes.
	UniformSize = 64
)

// Group is the group. All values of this type are the same group.
type Group struct{}

var _ group.Mappable = Group{}

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
func (Group) Generator() group.Point { return &Point{p: *voi.NewGeneratorPoint()} }

// Identity is the point at infinity.
func (Group) Identity() group.Point { return &Point{p: *voi.NewIdentityPoint()} }

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

// FromUniform maps 64 uniform bytes; another length panics.
func (Group) FromUniform(b []byte) group.Point { return FromUniform(b) }

// MultiMulVarTime is Σ kᵢ·Pᵢ. Lists of different lengths panic.
func (Group) MultiMulVarTime(k []group.Scalar, p []group.Point) group.Point {
	if len(k) != len(p) {
		panic(fmt.Sprintf("secp256k1: %d scalars for %d points", len(k), len(p)))
	}
	scalars, points := make([]*voi.Scalar, len(k)), make([]*voi.Point, len(p))
	for i := range k {
		scalars[i], points[i] = k[i].(*Scalar).voi(), &p[i].(*Point).p
	}
	r := new(Point)
	r.p.MultiScalarMultVartime(scalars, points)
	return r
}

// BaseMul is k·G.
func BaseMul(k *Scalar) *Point {
	r, s := new(Point), k.voi()
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

// FromUniform maps 64 uniform bytes to a point of unknown discrete logarithm: the
// random-oracle construction of RFC 9380 section 3, hash_to_curve steps 2 to 6, with
// map_to_curve of section 8.7.
//
// DEVIATION: u₀ and u₁ are 32 bytes each, reduced modulo p, where the RFC's suite takes 48
// each. The RFC's L makes the bias 2^-128 for any p; this p is within 2^33 of 2^256, so
// that 32 bytes give 2^-223.
func FromUniform(b []byte) *Point {
	if len(b) != UniformSize {
		panic(fmt.Sprintf("secp256k1: %d uniform bytes, not %d", len(b), UniformSize))
	}
	var q0, q1 voi.Point
	q0.SetUniformBytes(b[:32])
	q1.SetUniformBytes(b[32:])
	r := new(Point)
	r.p.Add(&q0, &q1)
	return r
}

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
