package tron

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/wire"
)

// Signed is a transaction whose signature was verified.
type Signed struct {
	From      Address  // recovered from the signature
	Signature [65]byte // r ‖ s ‖ v, s in the lower half
	Data      []byte   // raw_data
	Raw       []byte   // what is broadcast: raw_data and signature in one message
	ID        string   // SHA-256 of raw_data, in hex
}

// Assemble puts the signature to the transaction, with v 27 or 28. It returns it only when the signature is in low-s form and
// recovers the sender, by code that shares nothing with what made it, so a wrong signature never leaves (spec/chain-tron 2).
func (t *Transaction) Assemble(signatures []effect.Signature) (*Signed, error) {
	if len(signatures) != 1 {
		return nil, fmt.Errorf("assemble Tron transaction: %d signatures, one is needed", len(signatures))
	}
	s := signatures[0]
	if s.Recovery > 1 { // r ≥ q
		return nil, fmt.Errorf("assemble Tron transaction: recovery id is %d; Tron knows 0 and 1", s.Recovery)
	}
	signed := &Signed{From: t.request.From, Data: t.request.encode()}
	copy(signed.Signature[:], s.Bytes[:])
	signed.Signature[64] = 27 + s.Recovery
	digest := t.Digest()
	from, err := signer(digest, signed.Signature)
	if err != nil {
		return nil, fmt.Errorf("assemble Tron transaction: %w", err)
	}
	if from != t.request.From {
		return nil, fmt.Errorf("assemble Tron transaction: the signature is by %s, not by %s", from, t.request.From)
	}
	var w wire.Writer
	signed.Raw = w.Bytes(1, signed.Data).Item(2, signed.Signature[:]).Sum()
	signed.ID = hex.EncodeToString(digest[:])
	return signed, nil
}

// signer is who signed a digest: r ‖ s ‖ v, v 0, 1, 27 or 28.
func signer(digest [32]byte, sig [65]byte) (Address, error) {
	v := sig[64]
	if v >= 27 {
		v -= 27
	}
	var r, s secp256k1.ModNScalar
	if v > 1 || r.SetByteSlice(sig[:32]) || s.SetByteSlice(sig[32:64]) || r.IsZero() || s.IsZero() || s.IsOverHalfOrder() { // malleability: of s and q − s the smaller alone
		return Address{}, errors.New("signature is out of range: want 0 < r < q, 0 < s ≤ q/2 and v 0, 1, 27 or 28")
	}
	key, _, err := ecdsa.RecoverCompact(append([]byte{27 + v}, sig[:64]...), digest[:])
	if err != nil {
		return Address{}, fmt.Errorf("signature recovers no public key: %w", err)
	}
	return AddressOf(key.SerializeUncompressed())
}

// Published reads what somebody published, and finds that it is this transaction, signed by its sender. The chain takes v as
// 0 or 1 too.
func (t *Transaction) Published(raw []byte) (*Signed, error) {
	s, err := ParseSigned(raw)
	if err != nil {
		return nil, err
	}
	if d := t.Digest(); s.ID != hex.EncodeToString(d[:]) {
		return nil, refuse("transaction", "%s is another than the one that was decoded", s.ID)
	}
	return s, nil
}

// ParseSigned reads a signed transfer as strictly as Decode reads an unsigned one, and recovers its sender.
func ParseSigned(raw []byte) (*Signed, error) {
	if len(raw) > MaxLen+signatureLen+8 {
		return nil, refuse("transaction", "has %d bytes, more than any", len(raw))
	}
	r := wire.NewReader("transaction", raw)
	s := &Signed{Data: append([]byte{}, r.Bytes(1, "raw_data", MaxLen)...), Raw: append([]byte{}, raw...)}
	found := false
	r.Each(2, "signature", 1, 65, func(b []byte) {
		found = true
		copyFixed(r, s.Signature[:], b, "signature")
	})
	r.Refuse(5, "ret", "is the chain's answer, which is not signed")
	if !found {
		r.Fail("signature", "is missing")
	}
	if err := r.Done(); err != nil {
		return nil, err
	}
	t := &Transaction{}
	if err := t.request.read(s.Data); err != nil {
		return nil, err
	}
	d := t.Digest()
	s.ID = hex.EncodeToString(d[:])
	var err error
	if s.From, err = signer(d, s.Signature); err != nil {
		return nil, refuse("signature", "%v", err)
	}
	if s.From != t.request.From {
		return nil, refuse("signature", "is by %s, not by %s", s.From, t.request.From)
	}
	return s, nil
}
