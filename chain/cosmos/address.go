package cosmos

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/address/v2/bech32"
	"golang.org/x/crypto/ripemd160" // Cosmos addresses are defined by it

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
)

// A Network is one Cosmos chain, as the charter knows it.
type Network struct {
	Chain  string // CAIP-2: "cosmos:cosmoshub-4"
	Prefix string // of its addresses: "cosmos"
	Native string // denomination of its own coin: "uatom"
}

var (
	reference = regexp.MustCompile(`^[-a-zA-Z0-9]{1,32}$`) // CAIP-2 writes longer ids hashed, and those are not known here
	prefix    = regexp.MustCompile(`^[a-z][a-z0-9]{0,30}$`)
	denom     = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9/:._-]{2,127}$`)
)

// id is the chain's own name of itself, which SignDoc has.
func (n Network) id() (string, error) {
	id, ok := strings.CutPrefix(n.Chain, "cosmos:")
	if !ok || !reference.MatchString(id) || !prefix.MatchString(n.Prefix) || !denom.MatchString(n.Native) {
		return "", fmt.Errorf("cosmos network: chain %.50q, prefix %.50q, coin %.50q: want CAIP-2, a prefix of addresses and a denomination", n.Chain, n.Prefix, n.Native)
	}
	return id, nil
}

// Address is the address of a key, 33 bytes compressed: bech32 of RIPEMD-160(SHA-256(key)).
func (n Network) Address(key []byte) (string, error) {
	if _, err := n.id(); err != nil {
		return "", err
	}
	if _, err := secp256k1.DecodePoint(key); err != nil {
		return "", fmt.Errorf("cosmos address: key: %w", err)
	}
	d := sha256.Sum256(key)
	h := ripemd160.New()
	h.Write(d[:])
	words, err := bech32.ConvertBits(h.Sum(nil), 8, 5, true)
	if err != nil {
		return "", fmt.Errorf("cosmos address: %w", err)
	}
	return bech32.Encode(n.Prefix, words)
}

// CheckAddress wants an account's address on this chain: 20 bytes, or 32 of contracts and modules, in lower case.
func (n Network) CheckAddress(text string) error {
	if len(text) > 100 {
		return fmt.Errorf("address of %d characters", len(text))
	}
	hrp, words, err := bech32.DecodeNoLimit(text)
	if err != nil {
		return fmt.Errorf("address %q: %v", text, err)
	}
	if hrp != n.Prefix { // a validator's address, or another chain's: cosmosvaloper1…
		return fmt.Errorf("address %q begins with %q, not %q", text, hrp, n.Prefix)
	}
	b, err := bech32.ConvertBits(words, 5, 8, false)
	if err != nil {
		return fmt.Errorf("address %q: %v", text, err)
	}
	if len(b) != 20 && len(b) != 32 {
		return fmt.Errorf("address %q has %d bytes, not 20 or 32", text, len(b))
	}
	if !slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) {
		return fmt.Errorf("address %q is zero: the coins would be burnt", text)
	}
	// one text for one address: bech32m, upper case and dirty padding are other texts
	again, err := bech32.Encode(hrp, words)
	if full, _ := bech32.ConvertBits(b, 8, 5, true); err != nil || again != text || !slices.Equal(full, words) {
		return fmt.Errorf("address %q is not in its one form", text)
	}
	return nil
}
