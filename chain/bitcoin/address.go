package bitcoin

import (
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/address/v2/bech32"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
)

// A Network is one of Bitcoin's, by its CAIP-2 chain id and the prefix of its addresses.
type Network struct {
	Chain  string // "bip122:000000000019d6689c085ae165831e93"
	Name   string
	prefix string // BIP 173: human-readable part
}

// Networks are those whose addresses are known. Regtest's and signet's prefixes are theirs by
// custom: regtest "bcrt", signet shares testnet's "tb".
var networks = []Network{
	{"bip122:000000000019d6689c085ae165831e93", "mainnet", "bc"},
	{"bip122:000000000933ea01ad0ee984209779ba", "testnet", "tb"},
	{"bip122:00000000da84f2bafbbc53dee25a72ae", "testnet4", "tb"},
	{"bip122:00000008819873e925422c1ff0f99f7c", "signet", "tb"},
	{"bip122:0f9188f13cb7b2c71f2a335e3a4fc328", "regtest", "bcrt"},
}

// NetworkOf finds a network by its chain id.
func NetworkOf(chain string) (Network, error) {
	for _, n := range networks {
		if n.Chain == chain {
			return n, nil
		}
	}
	var known []string
	for _, n := range networks {
		known = append(known, n.Chain+" ("+n.Name+")")
	}
	return Network{}, fmt.Errorf("chain %.50q is no Bitcoin network that is known here; known are: %s", chain, strings.Join(known, ", "))
}

// Version is the prefix of the network's extended keys: BIP 32 has one for the main network, and one for all others.
func (n Network) Version() hd.Network {
	if n.Name == "mainnet" {
		return hd.Mainnet
	}
	return hd.Testnet
}

// Taproot is the P2TR address of an output key (BIP 341, BIP 350). An untweaked key is never an address: BIP 341's tweak is
// what shows that no script path hides in it.
func (n Network) Taproot(key hd.OutputKey) (string, error) {
	x := key.XOnly()
	return n.segwit(1, x[:])
}

// WitnessKeyHash is the P2WPKH address of a key (BIP 141, BIP 173): 33 bytes, compressed.
func (n Network) WitnessKeyHash(key []byte) (string, error) {
	if _, err := secp256k1.DecodePoint(key); err != nil {
		return "", fmt.Errorf("segwit address: key: %w", err)
	}
	return n.segwit(0, hash160(key))
}

func (n Network) segwit(version byte, program []byte) (string, error) {
	words, err := bech32.ConvertBits(program, 8, 5, true)
	if err != nil {
		return "", fmt.Errorf("segwit address: %w", err)
	}
	encode := bech32.Encode // BIP 173 for version 0
	if version > 0 {
		encode = bech32.EncodeM // BIP 350 for all others
	}
	return encode(n.prefix, append([]byte{version}, words...))
}
