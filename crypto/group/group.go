// Package group states what a prime-order group offers the protocols. The rooms
// below it implement it: secp256k1 and edwards25519 for keys, ristretto255 for base oblivious
// transfer.
//
// Values are immutable: every operation returns a new one. Unless a name says
// VarTime, an operation on a Scalar, and on a Point by a Scalar, takes the same
// time for every value. Mixing values of two groups is our own misuse and panics.
package group

import "io"

// ScalarSize is the length in bytes of every encoded scalar.
const ScalarSize = 32

// A Group is a group of prime order q, written additively, with generator G.
type Group interface {
	// Name is the name in specifications, for instance "secp256k1".
	Name() string
	// PointSize is the length in bytes of an encoded point: 33 for secp256k1
	// (SEC 1 compressed), 32 for edwards25519 and ristretto255.
	PointSize() int

	// Scalar returns v mod q.
	Scalar(v uint64) Scalar
	// DecodeScalar decodes exactly 32 bytes in the group's byte order
	// (big-endian for secp256k1, little-endian for edwards25519 and ristretto255). It refuses values ≥ q.
	DecodeScalar(b []byte) (Scalar, error)
	// ReduceScalar maps uniform bytes to a scalar with bias below 2^-127: 48 bytes
	// big-endian for secp256k1, 64 bytes little-endian for edwards25519 and ristretto255. WideSize is that length;
	// another length is misuse and panics.
	ReduceScalar(wide []byte) Scalar
	WideSize() int
	// RandomScalar draws a uniform scalar ≠ 0.
	RandomScalar(r io.Reader) (Scalar, error)

	// Generator is G, Identity the neutral element.
	Generator() Point
	Identity() Point
	// BaseMul is k·G in constant time.
	BaseMul(k Scalar) Point
	// DecodePoint decodes exactly PointSize bytes. It refuses every encoding that is
	// not canonical, points off the curve or outside the subgroup of order q, and the identity.
	DecodePoint(b []byte) (Point, error)
	// MultiMulVarTime is Σ kᵢ·Pᵢ for public scalars and points.
	MultiMulVarTime(k []Scalar, p []Point) Point
}

// A Mappable group has a map to points of unknown discrete logarithm, as base oblivious transfer needs it:
// secp256k1 and ristretto255.
type Mappable interface {
	Group
	// FromUniform maps 64 uniform bytes to a point of unknown discrete logarithm
	// (RFC 9380 random-oracle form for secp256k1; RFC 9496 section 4.3.4 for ristretto255).
	// Another length is misuse and panics.
	FromUniform(b []byte) Point
}

// A Scalar is an integer modulo the group's order q. It redacts itself when printed.
type Scalar interface {
	Add(Scalar) Scalar
	Sub(Scalar) Scalar
	Mul(Scalar) Scalar
	Neg() Scalar
	// Invert is 1/s, and 0 for 0.
	Invert() Scalar
	IsZero() bool
	Equal(Scalar) bool
	// Bytes is the canonical encoding, 32 bytes.
	Bytes() []byte
	// Wipe overwrites this value with zero. The scalar must not be used afterwards.
	Wipe()
	Group() Group
}

// A Point is an element of the group.
type Point interface {
	Add(Point) Point
	Sub(Point) Point
	Neg() Point
	// Mul is k·P in constant time.
	Mul(k Scalar) Point
	// MulVarTime is k·P for a public scalar.
	MulVarTime(k Scalar) Point
	IsIdentity() bool
	Equal(Point) bool
	// Bytes is the canonical encoding. The identity of secp256k1 has none: Bytes panics on it,
	// so callers check IsIdentity first. The identity of edwards25519 is 01 and 31 zero bytes, that of
	// ristretto255 32 zero bytes.
	Bytes() []byte
	Group() Group
}
