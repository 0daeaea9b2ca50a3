package independent

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

const (
	// XOnlySize is the length of a public key of BIP 340: x alone, the point with even y is meant.
	XOnlySize = 32
	// SchnorrSize is the length of a signature of BIP 340: x(R) ‖ s.
	SchnorrSize = 64
)

// VerifySchnorr accepts a signature of BIP 340 over a message of any length: nil means that it is valid.
// Its own code on decred's field and scalars; decred's package schnorr is another scheme.
func VerifySchnorr(key, message, sig []byte) error {
	if len(sig) != SchnorrSize {
		return fmt.Errorf("signature has %d bytes, not %d", len(sig), SchnorrSize)
	}
	p, err := liftX(key)
	if err != nil {
		return fmt.Errorf("public key: %w", err)
	}
	var r secp256k1.FieldVal
	if r.SetByteSlice(sig[:32]) {
		return errors.New("signature's x(R) is ≥ p")
	}
	var s, e secp256k1.ModNScalar
	if s.SetByteSlice(sig[32:]) {
		return errors.New("signature's s is ≥ q")
	}
	challenge := taggedChallenge(sig[:32], key, message)
	e.SetByteSlice(challenge[:]) // modulo q, as BIP 340 has it
	// R = s·G − e·P, with y even and x as the signature says.
	var sg, ep, got secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(&s, &sg)
	secp256k1.ScalarMultNonConst(e.Negate(), p, &ep)
	secp256k1.AddNonConst(&sg, &ep, &got)
	if got.Z.Normalize().IsZero() || got.X.IsZero() && got.Y.IsZero() {
		return errors.New("R is the identity")
	}
	got.ToAffine()
	if got.Y.IsOdd() {
		return errors.New("y(R) is odd")
	}
	if !got.X.Equals(&r) {
		return errors.New("x(R) is another")
	}
	return nil
}

// liftX is BIP 340's lift_x: the point with this x and even y.
func liftX(x []byte) (*secp256k1.JacobianPoint, error) {
	if len(x) != XOnlySize {
		return nil, fmt.Errorf("has %d bytes, not %d", len(x), XOnlySize)
	}
	var p secp256k1.JacobianPoint
	if p.X.SetByteSlice(x) {
		return nil, errors.New("x is ≥ p")
	}
	if !secp256k1.DecompressY(&p.X, false, &p.Y) {
		return nil, errors.New("x is not on the curve")
	}
	p.Y.Normalize()
	p.Z.SetInt(1)
	return &p, nil
}

// taggedChallenge is hash_BIP0340/challenge(x(R) ‖ x(P) ‖ m).
func taggedChallenge(r, key, message []byte) (sum [32]byte) {
	tag := sha256.Sum256([]byte("BIP0340/challenge"))
	h := sha256.New()
	for _, b := range [][]byte{tag[:], tag[:], r, key, message} {
		h.Write(b)
	}
	h.Sum(sum[:0])
	return sum
}
