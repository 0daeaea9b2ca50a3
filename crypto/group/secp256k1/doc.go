// Package secp256k1 implements group.Group over the curve y² = x³ + 7 of SEC 2
// section 2.4.1. Use the value Group{}.
//
// Everything not named VarTime takes the same time for every value of scalars and
// points. Curve arithmetic is gitlab.com/yawning/secp256k1-voi (fiat-crypto fields,
// complete addition formulas). Scalars are our own four 64-bit limbs (scalar.go says why), tested
// against voi, decred and math/big. For GOOS=js, where the verifier alone runs and holds no secret, package vartime takes voi's place.
//
// Scalars and points used through the group's interfaces are immutable. Scalar also
// has methods named Set… and Add…, which write to the receiver and allocate nothing: vectors
// of scalars are slices of Scalar.
//
// What outsiders verify does not go through this package: see package independent.
package secp256k1
