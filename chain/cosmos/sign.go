package cosmos

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/wire"
)

// Signed is a transaction whose signature was verified.
type Signed struct {
	Transaction *Transaction
	Signature   [64]byte // r ‖ s, s in the lower half
	Raw         []byte   // TxRaw, what is broadcast
	ID          string   // SHA-256 of Raw, in upper-case hex
}

// Assemble puts the signature to the transaction. It returns it only when the signature is in low-s form and verifies,
// by code that shares nothing with what made it, so a wrong signature never leaves (spec/chain-cosmos 3).
func (t *Transaction) Assemble(signatures []effect.Signature) (*Signed, error) {
	if len(signatures) != 1 {
		return nil, fmt.Errorf("assemble Cosmos transaction: %d signatures, one is needed", len(signatures))
	}
	sig := signatures[0].Bytes
	key, err := secp256k1.ParsePubKey(t.request.Key)
	if err != nil {
		return nil, fmt.Errorf("assemble Cosmos transaction: %w", err)
	}
	var r, s secp256k1.ModNScalar
	d := t.Digest()
	// malleability: of s and q − s the chain takes the smaller alone
	if r.SetByteSlice(sig[:32]) || s.SetByteSlice(sig[32:]) || r.IsZero() || s.IsZero() || s.IsOverHalfOrder() || !ecdsa.NewSignature(&r, &s).Verify(d[:], key) {
		return nil, fmt.Errorf("assemble Cosmos transaction: the signature does not verify under %s, or is not in low-s form", t.from)
	}
	var w wire.Writer
	raw := w.Bytes(1, t.body).Bytes(2, t.auth).Item(3, sig[:]).Sum()
	return &Signed{t, sig, raw, strings.ToUpper(fmt.Sprintf("%x", sha256.Sum256(raw)))}, nil
}

// Published reads what somebody published, TxRaw, and finds that it is this transaction. (TxRaw alone does not say for which chain and
// account number it was signed.)
func (t *Transaction) Published(raw []byte) (*Signed, error) {
	if len(raw) > MaxLen+128 {
		return nil, refuse("TxRaw", "has %d bytes, more than %d", len(raw), MaxLen+128)
	}
	r := wire.NewReader("TxRaw", raw)
	body, auth := r.Bytes(1, "body_bytes", MaxLen), r.Bytes(2, "auth_info_bytes", MaxLen)
	var all []effect.Signature
	r.Each(3, "signatures", 1, 64, func(b []byte) {
		if len(b) != 64 {
			r.Fail("signatures", "has %d bytes, not 64", len(b))
			return
		}
		all = append(all, effect.Signature{Bytes: [64]byte(b)})
	})
	if err := r.Done(); err != nil {
		return nil, err
	}
	if !bytes.Equal(body, t.body) || !bytes.Equal(auth, t.auth) {
		return nil, refuse("TxRaw", "is another transaction than the one that was decoded")
	}
	return t.Assemble(all)
}
