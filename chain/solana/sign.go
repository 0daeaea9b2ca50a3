package solana

import (
	"bytes"
	"crypto/ed25519"
	"fmt"

	"github.com/btcsuite/btcd/address/v2/base58"

	"github.com/ostraka/ostraka/chain/effect"
)

// Signed is a transaction whose signatures were verified.
type Signed struct {
	Raw        []byte // what is broadcast: count ‖ signatures ‖ message
	ID         string // base58 of the first signature
	Message    []byte // what was signed
	Signers    []Key
	Signatures [][64]byte
}

// Assemble puts signatures to the transaction, one for each of Uses and in their order. It returns it only when each
// verifies, by code that shares nothing with what made it, so a wrong signature never leaves (spec/chain-solana 9).
func (t *Transaction) Assemble(signatures []effect.Signature) (*Signed, error) {
	if len(signatures) != len(t.paths) {
		return nil, fmt.Errorf("assemble Solana transaction: %d signatures, %d are needed", len(signatures), len(t.paths))
	}
	raw := []byte{byte(len(signatures))}
	for _, s := range signatures {
		if s.Recovery != 0 {
			return nil, fmt.Errorf("assemble Solana transaction: recovery id %d; Ed25519 has none", s.Recovery)
		}
		raw = append(raw, s.Bytes[:]...)
	}
	s, err := ParseSigned(append(raw, t.message.encode()...))
	if err != nil {
		return nil, fmt.Errorf("assemble: %w", err)
	}
	return s, nil
}

// Published reads what somebody published, and finds that it is this transaction: the same message, signed by the same keys.
// Its signatures, and so its id, may be others than ours: Ed25519 has many for one message, and the chain takes one message once.
func (t *Transaction) Published(raw []byte) (*Signed, error) {
	s, err := ParseSigned(raw)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(s.Message, t.message.encode()) {
		return nil, fmt.Errorf("published Solana transaction %s: is another message than the one that was decoded", s.ID)
	}
	return s, nil
}

// ParseSigned reads a signed transaction strictly and verifies every signature. What its message does it does not say.
func ParseSigned(raw []byte) (*Signed, error) {
	if len(raw) == 0 || len(raw) > MaxPacket {
		return nil, refuse("transaction", "has %d bytes, want 1 to %d", len(raw), MaxPacket)
	}
	n := int(raw[0])
	if n == 0 || n > MaxSigners || len(raw) < 1+64*n {
		return nil, refuse("signatures", "are %d in %d bytes", n, len(raw))
	}
	s := &Signed{Raw: bytes.Clone(raw), Message: bytes.Clone(raw[1+64*n:])}
	m, err := parseMessage(s.Message)
	if err != nil {
		return nil, err
	}
	if int(m.signers) != n {
		return nil, refuse("signatures", "are %d, of %d signers", n, m.signers)
	}
	for i := range n {
		sig, signer := [64]byte(raw[1+64*i:]), m.keys[i]
		// the chain refuses keys and R of small order too (verify_strict)
		if !honest(signer) || !onCurve(signer) || Key(sig[:32]) == identity || !ed25519.Verify(signer[:], s.Message, sig[:]) {
			return nil, refuse("signatures", "number %d does not verify under %s", i+1, signer)
		}
		s.Signers, s.Signatures = append(s.Signers, signer), append(s.Signatures, sig)
	}
	s.ID = base58.Encode(s.Signatures[0][:])
	return s, nil
}

// identity encodes the neutral point: as R it would say that no nonce was used.
var identity = Key{1}
