package secp256k1

import "github.com/ostraka/ostraka/crypto/group/secp256k1/vartime"

// In a browser the verifier alone runs, which holds no secret: the curve's arithmetic is in VARIABLE TIME, small, and made of 32-bit limbs.
// There is no map of uniform bytes to points, which transfers of secrets want.
type (
	curvePoint  = vartime.Point
	curveScalar = vartime.Scalar
)

func newGenerator() *curvePoint { return vartime.NewGeneratorPoint() }
func newIdentity() *curvePoint  { return vartime.NewIdentityPoint() }

func newCurveScalar(b *[32]byte) (*curveScalar, uint64) { return vartime.NewScalarFromBytes(b) }
