package tron

import (
	"fmt"

	"github.com/btcsuite/btcd/address/v2/base58"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"golang.org/x/crypto/sha3"
)

// version is the first byte of every address.
const version = 0x41

// An Address is the 20 bytes behind the version.
type Address [20]byte

// String is the address in base58 with its checksum: "T…".
func (a Address) String() string { return base58.CheckEncode(a[:], version) }

// ParseAddress reads that text, in its one form.
func ParseAddress(text string) (Address, error) {
	if len(text) != 34 {
		return Address{}, fmt.Errorf("tron address %.50q: has %d characters, not 34", text, len(text))
	}
	b, v, err := base58.CheckDecode(text)
	if err != nil || v != version || len(b) != 20 || Address(b).String() != text {
		return Address{}, fmt.Errorf("tron address %q: is not base58 of 0x41, 20 bytes and their checksum", text)
	}
	return Address(b), nil
}

// AddressOf is the address of a key, 33 or 65 bytes: the last 20 bytes of Keccak-256 of its coordinates.
func AddressOf(key []byte) (Address, error) {
	k, err := secp256k1.ParsePubKey(key)
	if err != nil {
		return Address{}, fmt.Errorf("tron address: key: %w", err)
	}
	h := sha3.NewLegacyKeccak256()
	h.Write(k.SerializeUncompressed()[1:])
	return Address(h.Sum(nil)[12:]), nil
}
