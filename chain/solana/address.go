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

// ProofMessage is what a key signs for a statement: 0xff and its bytes. No transaction begins
// with 0xff: as a version it is 127, which no release of the chain takes, and a legacy message that
// asks for 255 signatures is larger than a packet.
func ProofMessage(statement []byte) []byte {
	return append([]byte{0xff}, statement...)
}
