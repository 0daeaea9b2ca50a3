//go:build !js

package secp256k1

import (
	"fmt"

	voi "gitlab.com/yawning/secp256k1-voi"

	"github.com/ostraka/ostraka/crypto/group"
)

// The curve's arithmetic, in constant time but for what is named Vartime.
type (
	curvePoint  = voi.Point
	curveScalar = voi.Scalar
)

func newGenerator() *curvePoint { return voi.NewGeneratorPoint() }
func newIdentity() *curvePoint  { return voi.NewIdentityPoint() }

func newCurveScalar(b *[32]byte) (*curveScalar, uint64) { return voi.NewScalarFromBytes(b) }

var _ group.Mappable = Group{}

// UniformSize is the length of uniform bytes that FromUniform takes.
const UniformSize = 64

// FromUniform maps 64 uniform bytes; another length panics.
func (Group) FromUniform(b []byte) group.Point { return FromUniform(b) }

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
