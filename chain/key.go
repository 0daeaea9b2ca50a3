package chain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
)

// Suites of keys (product.md).
const (
	suiteBIP340  = "bip340-secp256k1"
	suiteECDSA   = evm.Suite
	suiteEd25519 = "ed25519"
)

// Namespaces of chains (CAIP-2).
const (
	namespaceEVM     = "eip155"
	namespaceBitcoin = "bip122"
	namespaceSolana  = "solana"
)

// serves lists the chains' namespaces that a suite signs for.
var serves = map[string][]string{
	suiteBIP340:  {namespaceBitcoin},
	suiteECDSA:   {namespaceEVM, namespaceBitcoin},
	suiteEd25519: {namespaceSolana},
}

// Serves says whether a suite's signatures are valid on a chain, as far as this release knows it.
func Serves(suite, chain string) bool {
	namespace, _, _ := strings.Cut(chain, ":")
	return slices.Contains(serves[suite], namespace)
}

// ReadsBlocks says whether nodes of this release can read a chain's blocks, given an endpoint.
func ReadsBlocks(chain string) bool { return strings.HasPrefix(chain, namespaceEVM+":") }

// First is the first of the chains that a suite serves, "" if it serves none.
func First(suite string, chains []string) string {
	i := slices.IndexFunc(chains, func(c string) bool { return Serves(suite, c) })
	if i < 0 {
		return ""
	}
	return chains[i]
}

// Address is a key's address on a chain: EIP-55 on Ethereum and chains like it; on Bitcoin P2WPKH for an
// ECDSA key, and P2TR for a BIP 340 key, tweaked here with the root of its script tree, nil where it has none; base58 on Solana.
func Address(suite, chain string, key group.Point, tree *[32]byte) (string, error) {
	if !Serves(suite, chain) {
		return "", fmt.Errorf("address: a key of suite %s has none on chain %s", suite, chain)
	}
	namespace, _, _ := strings.Cut(chain, ":")
	switch namespace {
	case namespaceEVM:
		a, err := evm.AddressOf(key.Bytes())
		return a.String(), err
	case namespaceSolana:
		return solana.Address(key.Bytes())
	}
	n, err := bitcoin.NetworkOf(chain)
	if err != nil {
		return "", fmt.Errorf("address: %w", err)
	}
	if suite == suiteECDSA {
		return n.WitnessKeyHash(key.Bytes())
	}
	out, err := hd.TapTweak(key.(*secp256k1.Point), tree)
	if err != nil {
		return "", fmt.Errorf("address: %w", err)
	}
	return n.Taproot(out)
}
