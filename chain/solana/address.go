package solana

import (
	"fmt"

	"github.com/btcsuite/btcd/address/v2/base58"

	"github.com/ostraka/ostraka/crypto/group/edwards25519"
)

// Address is the address of a key, 32 bytes: the key itself in base58 (Bitcoin's alphabet, no checksum).
func Address(key []byte) (string, error) {
	if _, err := (edwards25519.Group{}).DecodePoint(key); err != nil {
		return "", fmt.Errorf("solana address: key: %w", err)
	}
	return base58.Encode(key), nil
}

// proofDomain is the application domain of statements: our own tag.
const proofDomain = "ostraka/1/proof"

// ProofMessage is what a key, 32 bytes, signs for a statement: an off-chain message (version 0 of Solana's proposal) in UTF-8 of one
// signer. No transaction begins with 0xff: as a version it is 127, which no release of the chain takes, and a legacy message that
// asks for 255 signatures is larger than a packet.
func ProofMessage(key, statement []byte) ([]byte, error) {
	if len(key) != 32 || len(statement) == 0 || len(statement) > maxMessage {
		return nil, fmt.Errorf("off-chain message: key of %d bytes and text of %d; want 32, and 1 to %d", len(key), len(statement), maxMessage)
	}
	var domain [32]byte
	copy(domain[:], proofDomain)
	m := append([]byte("\xffsolana offchain\x00"), domain[:]...)
	m = append(append(m, formatUTF8, 1), key...)
	return append(append(m, byte(len(statement)), byte(len(statement)>>8)), statement...), nil
}

const (
	formatUTF8 = 2 // at most 65,535 bytes with the preamble
	maxMessage = 65535 - 85
)
