package evm

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// An Address is the last 20 bytes of Keccak-256 over an uncompressed public key, or a
// contract's address.
type Address [20]byte

// A Hash is the Keccak-256 of a signed transaction: its name on the chain.
type Hash [32]byte

// Suite is what signs on Ethereum and chains like it.
const Suite = "ecdsa-secp256k1"

// AddressOf returns the address of a secp256k1 public key in SEC 1 compressed form
// (33 bytes).
func AddressOf(compressed []byte) (Address, error) {
	if len(compressed) != 33 {
		return Address{}, fmt.Errorf("derive EVM address: public key has %d bytes, not 33", len(compressed))
	}
	key, err := crypto.DecompressPubkey(compressed)
	if err != nil {
		return Address{}, fmt.Errorf("derive EVM address: public key is no point of secp256k1: %w", err)
	}
	return Address(crypto.PubkeyToAddress(*key)), nil
}

// ParseAddress reads 0x and 40 hexadecimal digits: all in lower case, or with a correct
// EIP-55 checksum. Any other mixture is taken for a typing error.
func ParseAddress(text string) (Address, error) {
	digits, ok := strings.CutPrefix(text, "0x")
	if !ok || len(digits) != 40 {
		return Address{}, fmt.Errorf("address %.50q: want 0x and 40 hexadecimal digits", text)
	}
	var a Address
	if _, err := hex.Decode(a[:], []byte(digits)); err != nil {
		return Address{}, fmt.Errorf("address %q: %w", text, err)
	}
	if digits != strings.ToLower(digits) && text != a.String() {
		return Address{}, fmt.Errorf("address %q: EIP-55 checksum does not hold; copy it again", text)
	}
	return a, nil
}

// String returns the EIP-55 form.
func (a Address) String() string { return common.Address(a).Hex() }

// MarshalText returns the EIP-55 form.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what ParseAddress reads.
func (a *Address) UnmarshalText(text []byte) error {
	parsed, err := ParseAddress(string(text))
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}

// lower returns 0x and 40 lower-case digits, the form that stands in asset names.
func (a Address) lower() string { return "0x" + hex.EncodeToString(a[:]) }

// ParseHash reads 0x and 64 hexadecimal digits.
func ParseHash(text string) (Hash, error) {
	digits, ok := strings.CutPrefix(text, "0x")
	if !ok || len(digits) != 64 {
		return Hash{}, fmt.Errorf("transaction hash %.70q: want 0x and 64 hexadecimal digits", text)
	}
	var h Hash
	if _, err := hex.Decode(h[:], []byte(digits)); err != nil {
		return Hash{}, fmt.Errorf("transaction hash %q: %w", text, err)
	}
	return h, nil
}

// String returns 0x and 64 lower-case digits.
func (h Hash) String() string { return "0x" + hex.EncodeToString(h[:]) }

// MarshalText returns 0x and 64 lower-case digits.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what ParseHash reads.
func (h *Hash) UnmarshalText(text []byte) error {
	parsed, err := ParseHash(string(text))
	if err != nil {
		return err
	}
	*h = parsed
	return nil
}
