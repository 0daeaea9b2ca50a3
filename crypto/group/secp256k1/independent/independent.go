// Package independent verifies ECDSA over secp256k1 and recovers public keys, as
// any outsider would: on github.com/decred/dcrd/dcrec/secp256k1/v4, which shares no code
// with the arithmetic that signs. A signature leaves a node only after this package accepts it.
//
// Everything here is public and runs in variable time.
package independent

import (
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// A PublicKey is a point of the curve, not the identity.
type PublicKey struct{ k *secp256k1.PublicKey }

// ParsePublicKey decodes SEC 1 section 2.3.4: 33 bytes (02 or 03 ‖ x) or 65 bytes (04 ‖ x ‖ y),
// coordinates below p, on the curve. It refuses the hybrid forms 06 and 07.
func ParsePublicKey(b []byte) (PublicKey, error) {
	switch {
	case len(b) == 33 && (b[0] == 2 || b[0] == 3):
	case len(b) == 65 && b[0] == 4:
	default:
		return PublicKey{}, fmt.Errorf("public key of %d bytes is neither 02 or 03 and 32 bytes, nor 04 and 64", len(b))
	}
	k, err := secp256k1.ParsePubKey(b)
	if err != nil {
		return PublicKey{}, fmt.Errorf("public key: %w", err)
	}
	return PublicKey{k}, nil
}

// Compressed is 02 or 03 ‖ x, 33 bytes.
func (p PublicKey) Compressed() []byte { return p.k.SerializeCompressed() }

// Uncompressed is 04 ‖ x ‖ y, 65 bytes.
func (p PublicKey) Uncompressed() []byte { return p.k.SerializeUncompressed() }

// Equal reports whether p is o.
func (p PublicKey) Equal(o PublicKey) bool { return p.k.IsEqual(o.k) }

// A Signature is ECDSA's (r, s), both 1 to q−1.
type Signature struct{ r, s secp256k1.ModNScalar }

// CompactSize is the length of r ‖ s, 32 bytes each, big-endian.
const CompactSize = 64

// ParseCompact decodes r ‖ s, and refuses 0 and values ≥ q.
func ParseCompact(b []byte) (Signature, error) {
	if len(b) != CompactSize {
		return Signature{}, fmt.Errorf("signature has %d bytes, not %d", len(b), CompactSize)
	}
	var sig Signature
	if err := setScalar(&sig.r, b[:32]); err != nil {
		return Signature{}, fmt.Errorf("signature's r %w", err)
	}
	if err := setScalar(&sig.s, b[32:]); err != nil {
		return Signature{}, fmt.Errorf("signature's s %w", err)
	}
	return sig, nil
}

func setScalar(s *secp256k1.ModNScalar, b []byte) error {
	if s.SetByteSlice(b) {
		return errors.New("is ≥ q")
	}
	if s.IsZero() {
		return errors.New("is 0")
	}
	return nil
}

// ParseDER decodes a signature in DER, as Bitcoin's BIP 66 requires it: no other length
// forms, no padding, nothing after it.
func ParseDER(b []byte) (Signature, error) {
	sig, err := ecdsa.ParseDERSignature(b)
	if err != nil {
		return Signature{}, fmt.Errorf("signature in DER: %w", err)
	}
	return Signature{r: sig.R(), s: sig.S()}, nil
}

// Compact is r ‖ s, 64 bytes.
func (s Signature) Compact() []byte {
	r, v := s.r.Bytes(), s.s.Bytes()
	return append(r[:], v[:]...)
}

// DER is the encoding that Bitcoin's scripts carry, 8 to 72 bytes. It negates a high s,
// as Bitcoin's rules demand.
func (s Signature) DER() []byte { return ecdsa.NewSignature(&s.r, &s.s).Serialize() }

// LowS reports whether s ≤ (q−1)/2. Both s and q−s verify; chains take only the low one
// (BIP 62, EIP 2), or else anyone could change a transaction's id.
func (s Signature) LowS() bool { return !s.s.IsOverHalfOrder() }

// Verify reports whether the signature is the key's over this digest. It accepts a high s:
// ask LowS as well.
func Verify(p PublicKey, digest *[32]byte, s Signature) bool {
	return ecdsa.NewSignature(&s.r, &s.s).Verify(digest[:], p.k)
}

// RecoveryID verifies, and is the id under which Recover gives the key. nonce is R or −R, which who made
// the signature knows: it is held to the signature, and saves the root and the inversion that Recover needs.
func RecoveryID(p PublicKey, digest *[32]byte, s Signature, nonce PublicKey) (id uint8, err error) {
	var m, w, u, v, x secp256k1.ModNScalar
	m.SetBytes(digest) // modulo q, as SEC 1 has it
	w.InverseValNonConst(&s.s)
	u.Mul2(&m, &w)
	v.Mul2(&s.r, &w)
	// R = s⁻¹(m·G + r·P), as (X/Z², Y/Z³).
	var key, ug, vp, r, n secp256k1.JacobianPoint
	p.k.AsJacobian(&key)
	secp256k1.ScalarBaseMultNonConst(&u, &ug)
	secp256k1.ScalarMultNonConst(&v, &key, &vp)
	secp256k1.AddNonConst(&ug, &vp, &r)
	nonce.k.AsJacobian(&n)
	odd, large := n.Y.IsOddBit(), x.SetBytes(n.X.Bytes())
	if !x.Equals(&s.r) {
		return 0, errors.New("r is not the nonce's")
	}
	var zz, zzz secp256k1.FieldVal
	zz.SquareVal(&r.Z)
	zzz.Mul2(&zz, &r.Z)
	n.X.Mul(&zz).Normalize()
	n.Y.Mul(&zzz).Normalize()
	switch {
	case r.Z.Normalize().IsZero() || !n.X.Equals(r.X.Normalize()):
	case n.Y.Equals(r.Y.Normalize()):
		return uint8(large<<1 | odd), nil
	case n.Y.Negate(1).Normalize().Equals(&r.Y):
		return uint8(large<<1 | odd ^ 1), nil
	}
	return 0, errors.New("the signature is not valid")
}

// Recover is the public key under which the signature with this recovery id is valid.
// Bit 0 of the id is y(R)'s parity, bit 1 says x(R) ≥ q; ids above 3 are refused.
func Recover(digest *[32]byte, s Signature, id uint8) (PublicKey, error) {
	if id > 3 {
		return PublicKey{}, fmt.Errorf("recover public key: recovery id %d is above 3", id)
	}
	const compressed = 27 + 4 // decred's form has a first byte of 27 + id, + 4 for compressed keys
	k, _, err := ecdsa.RecoverCompact(append([]byte{compressed + id}, s.Compact()...), digest[:])
	if err != nil {
		return PublicKey{}, fmt.Errorf("recover public key: %w", err)
	}
	return PublicKey{k}, nil
}
