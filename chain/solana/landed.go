package solana

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/address/v2/base58"
)

// A Landed is a transaction as it stands on the chain, of whoever: what is read of it is who signed what. It may be one that nobody here would sign.
type Landed struct {
	ID      string   // base58 of the first signature, by which the chain names it
	Message [32]byte // SHA-256 of what was signed, by which logs file it
	Signers []Key    // each signature was verified; the first pays the fee
	Slot    string   // "NONCE-ACCOUNT VALUE", which the chain gives once; "": it has no durable nonce
}

// maxLandedSigners is how many signatures fit into a packet with their keys.
const maxLandedSigners = MaxPacket / (64 + 32)

// ReadLanded reads a transaction of version 0 or before, at most MaxPacket bytes, and verifies every signature: whoever shows it cannot make one up, nor put another message under a signature.
// What ParseSigned refuses, because nobody here signs such, is read: more signers, more instructions, programs of any kind.
func ReadLanded(raw []byte) (*Landed, error) {
	if len(raw) == 0 || len(raw) > MaxPacket {
		return nil, refuse("transaction", "has %d bytes, want 1 to %d", len(raw), MaxPacket)
	}
	n := int(raw[0])
	if n == 0 || n > maxLandedSigners || len(raw) < 1+64*n {
		return nil, refuse("signatures", "are %d in %d bytes", n, len(raw))
	}
	message := raw[1+64*n:]
	m, err := scanMessage(message)
	if err != nil {
		return nil, err
	}
	if int(m.signers) != n || n > len(m.keys) {
		return nil, refuse("signatures", "are %d, of %d signers and %d accounts", n, m.signers, len(m.keys))
	}
	for i, signer := range m.keys[:n] {
		if !ed25519.Verify(signer[:], message, raw[1+64*i:1+64*(i+1)]) {
			return nil, refuse("signatures", "number %d does not verify under %s", i+1, signer)
		}
	}
	return &Landed{ID: base58.Encode(raw[1:65]), Message: sha256.Sum256(message), Signers: slices.Clone(m.keys[:n]), Slot: m.slot()}, nil
}

// slot names the value of a durable nonce that a message uses up, as Spends does: of one whose first instruction advances it.
func (m *message) slot() string {
	if len(m.instructions) == 0 {
		return ""
	}
	first := m.instructions[0]
	if int(first.program) >= len(m.keys) || m.keys[first.program] != System || !bytes.Equal(first.data, []byte{sysAdvanceNonce, 0, 0, 0}) {
		return ""
	}
	if len(first.accounts) == 0 || int(first.accounts[0]) >= len(m.keys) {
		return ""
	}
	return fmt.Sprintf("%s %s", m.keys[first.accounts[0]], m.blockhash)
}
