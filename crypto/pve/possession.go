package pve

import (
	"fmt"
	"io"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// PossessionSize is the length of a proof of possession in bytes.
const PossessionSize = 64

// ProvePossession proves knowledge of ek's private key: Schnorr's proof over E, the key's Edwards form (spec/pve 2). The context must say
// who registers the key, and where: otherwise another registers the same key with the same proof.
func (k *PrivateKey) ProvePossession(context []byte, r io.Reader) ([]byte, error) {
	e, err := k.public.edwards()
	if err != nil {
		return nil, fmt.Errorf("prove possession: %w", err)
	}
	a, err := k.edwards()
	if err != nil {
		return nil, fmt.Errorf("prove possession of key %v: %w", k.public, err)
	}
	defer a.Wipe()
	p, err := share.Prove(transcript.PVEPossession, context, a, e, r)
	if err != nil {
		return nil, fmt.Errorf("prove possession of key %v: %w", k.public, err)
	}
	return p.Bytes(), nil
}

// CheckPossession accepts what ProvePossession made for this key and context.
func CheckPossession(k Key, context, proof []byte) error {
	e, err := k.edwards()
	if err != nil {
		return err
	}
	p, err := share.DecodeProof(edwards25519.Group{}, proof)
	if err != nil {
		return fmt.Errorf("possession of key %v: %w", k, err)
	}
	if err := p.Verify(transcript.PVEPossession, context, e); err != nil {
		return fmt.Errorf("possession of key %v: %w", k, err)
	}
	return nil
}

// edwards is a with a·B = E: the clamped private key modulo ℓ, negated where its point has an odd x. Constant time: the sign of
// that x is not public.
func (k *PrivateKey) edwards() (group.Scalar, error) {
	if isZero(k.b.Expose()) {
		return nil, errWiped
	}
	g := edwards25519.Group{}
	var wide [edwards25519.WideSize]byte
	defer secret.Wipe(wide[:])
	copy(wide[:], k.b.Expose())
	clamp(wide[:KeySize])
	a := g.ReduceScalar(wide[:])
	defer a.Wipe()
	encoded := g.BaseMul(a).Bytes()
	odd := uint64(encoded[edwards25519.PointSize-1] >> 7)
	return a.Mul(g.Scalar(1).Sub(g.Scalar(2 * odd))), nil
}

// clamp is decodeScalar25519 of RFC 7748 section 5, in place.
func clamp(b []byte) {
	b[0] &= 248
	b[31] &= 127
	b[31] |= 64
}
