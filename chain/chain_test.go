package chain

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
)

const (
	ethereum = "eip155:1"
	bitcoin1 = "bip122:000000000019d6689c085ae165831e93"
	solana1  = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
)

func TestServes(t *testing.T) {
	all := []string{solana1, bitcoin1, ethereum}
	for suite, want := range map[string][2]string{suiteECDSA: {bitcoin1, "3"}, suiteBIP340: {bitcoin1, ""}, suiteEd25519: {solana1, ""}, "rot13": {"", ""}} {
		if got := First(suite, all); got != want[0] {
			t.Errorf("%s serves %q first, want %q", suite, got, want[0])
		}
	}
	if !Serves(suiteECDSA, ethereum) || Serves(suiteECDSA, solana1) || Serves(suiteEd25519, ethereum) || Serves(suiteBIP340, "bip122") && Serves("", "bip122") {
		t.Error("a suite serves a chain that it does not sign for, or does not serve its own")
	}
}

// Addresses of 1·G, all published: Ethereum's, and BIP 173's example; BIP 341's tweak of it is tested below chain/bitcoin.
func TestAddress(t *testing.T) {
	g := group.Point(secp256k1.BaseMul(secp256k1.NewScalar(1)))
	for _, c := range []struct{ suite, chain, want string }{
		{suiteECDSA, ethereum, "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"},
		{suiteECDSA, bitcoin1, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"},
		{suiteBIP340, bitcoin1, "bc1pmfr3p9j00pfxjh0zmgp99y8zftmd3s5pmedqhyptwy6lm87hf5sspknck9"},
	} {
		if got, err := Address(c.suite, c.chain, g, nil); err != nil || got != c.want {
			t.Errorf("%s on %s: %s, %v; want %s", c.suite, c.chain, got, err, c.want)
		}
	}
	for _, c := range []struct{ suite, chain, want string }{
		{suiteECDSA, solana1, "has none on chain"}, {suiteEd25519, ethereum, "has none on chain"}, {"rot13", ethereum, "has none"},
		{suiteBIP340, "bip122:00000000000000000000000000000000", "no Bitcoin network"},
	} {
		if _, err := Address(c.suite, c.chain, g, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s on %s: %v", c.suite, c.chain, err)
		}
	}
}

// Proofs made by others' code are accepted, and nothing else is.
func TestProofs(t *testing.T) {
	text := []byte("ostraka/1 proof\ntext: ours\n")
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	edKey, err := edwards25519.Group{}.DecodePoint(public)
	if err != nil {
		t.Fatal(err)
	}
	message := func(suite, on string, key group.Point) []byte {
		m, err := ProofMessage(suite, on, key, nil, text)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	ecdsa, err := crypto.ToECDSA(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := secp256k1.DecodePoint(crypto.CompressPubkey(&ecdsa.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	sign := func(on string) []byte {
		raw, err := crypto.Sign(message(suiteECDSA, on, ecKey), ecdsa)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := ProofSignature(suiteECDSA, on, ecKey, [64]byte(raw[:64]), raw[64])
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	for _, c := range []struct {
		suite, chain string
		key, other   group.Point
		sig          []byte
	}{
		{suiteEd25519, solana1, edKey, edwards25519.Group{}.Generator(), ed25519.Sign(private, message(suiteEd25519, solana1, edKey))},
		{suiteECDSA, ethereum, ecKey, secp256k1.Group{}.Generator(), sign(ethereum)},
		{suiteECDSA, bitcoin1, ecKey, secp256k1.Group{}.Generator(), sign(bitcoin1)},
		{suiteBIP340, bitcoin1, ecKey, secp256k1.Group{}.Generator(), signTaproot(t, message(suiteBIP340, bitcoin1, ecKey))},
	} {
		name := c.suite + " on " + c.chain
		if err := CheckProof(c.suite, c.chain, c.key, nil, text, c.sig); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if CheckProof(c.suite, c.chain, c.key, nil, append([]byte("x"), text...), c.sig) == nil {
			t.Errorf("%s: serves another text", name)
		}
		if CheckProof(c.suite, c.chain, c.other, nil, text, c.sig) == nil {
			t.Errorf("%s: serves another key", name)
		}
		if CheckProof(c.suite, "cosmos:hub", c.key, nil, text, c.sig) == nil {
			t.Errorf("%s: serves another chain", name)
		}
		for i := range c.sig {
			bad := bytes.Clone(c.sig)
			bad[i] ^= 1
			if CheckProof(c.suite, c.chain, c.key, nil, text, bad) == nil {
				t.Errorf("%s: byte %d of the signature may be flipped", name, i)
			}
		}
		if again, err := ParseProof(c.chain, FormatProof(c.chain, c.sig)); err != nil || !bytes.Equal(again, c.sig) {
			t.Errorf("%s: written and read it is %x, %v", name, again, err)
		}
		for other, suite := range map[string]string{ethereum: suiteECDSA, bitcoin1: suiteECDSA, solana1: suiteEd25519, bitcoin1 + " Taproot": suiteBIP340} {
			on := strings.TrimSuffix(other, " Taproot")
			if (suite != c.suite || on != c.chain) && Serves(suite, on) && (suite == suiteEd25519) == (c.suite == suiteEd25519) && CheckProof(suite, on, c.key, nil, text, c.sig) == nil {
				t.Errorf("%s: serves %s too", name, other)
			}
		}
		for _, bad := range [][]byte{nil, c.sig[:len(c.sig)-1], append(bytes.Clone(c.sig), 0)} {
			if CheckProof(c.suite, c.chain, c.key, nil, text, bad) == nil {
				t.Errorf("%s: a signature of %d bytes", name, len(bad))
			}
		}
	}
	if CheckProof(suiteBIP340, bitcoin1, ecKey, nil, text, make([]byte, 64)) == nil {
		t.Error("zeros are a signature of BIP 340")
	}
	if _, err := ProofSignature(suiteECDSA, ethereum, ecKey, [64]byte{}, 2); err == nil {
		t.Error("Ethereum takes recovery id 2")
	}
}

// signTaproot signs for the key path of 0x07…07 by btcd's code, and writes it as a proof.
func signTaproot(t *testing.T, digest []byte) []byte {
	t.Helper()
	k, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
	sig, err := schnorr.Sign(txscript.TweakTaprootPrivKey(*k, nil), digest)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := ProofSignature(suiteBIP340, bitcoin1, nil, [64]byte(sig.Serialize()), 0)
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

// The bytes that are signed for a statement are no transaction, whatever the statement says: go-ethereum reads no transaction in them,
// nor we one to sign; on Solana they begin as no transaction does. On Bitcoin they are the digest of one that spends nothing
// (chain/bitcoin TestProofsBeforeBtcd).
func TestNoProofIsATransaction(t *testing.T) {
	tx, err := evm.Build(evm.Request{ChainID: 1, Gas: 21000, FeeCap: big.NewInt(30), TipCap: big.NewInt(2), To: evm.Address{1}, Amount: big.NewInt(1)})
	if err != nil {
		t.Fatal(err)
	}
	key := group.Point(secp256k1.BaseMul(secp256k1.NewScalar(7)))
	edKey := edwards25519.Group{}.Generator()
	for _, text := range [][]byte{[]byte("ostraka/1 proof\n"), tx, append([]byte("\n"), tx...), {0x19}, {0x02}, bytes.Repeat([]byte{0xc0}, 4096)} {
		signed := append([]byte(fmt.Sprintf("\x19Ethereum Signed Message:\n%d", len(text))), text...)
		d, err := ProofMessage(suiteECDSA, ethereum, key, nil, text)
		if err != nil || !bytes.Equal(d, crypto.Keccak256(signed)) {
			t.Fatalf("what is signed for %x is not EIP-191: %x, %v", text, d, err)
		}
		if new(types.Transaction).UnmarshalBinary(signed) == nil {
			t.Errorf("go-ethereum reads a transaction in %x", signed)
		}
		if _, err := evm.Decode(signed); err == nil {
			t.Errorf("%x is a transaction to sign", signed)
		}
		if bytes.Equal(d, crypto.Keccak256(tx)) {
			t.Error("a proof and a transaction have one digest")
		}
		m, err := ProofMessage(suiteEd25519, solana1, edKey, nil, text)
		if err != nil || m[0] != 0xff || !bytes.HasSuffix(m, text) {
			t.Errorf("on Solana %x, %v", m, err)
		}
	}
}

func TestParseProofRefuses(t *testing.T) {
	for _, c := range []struct{ chain, text string }{
		{ethereum, ""}, {ethereum, "0x"}, {ethereum, "00"}, {ethereum, "0xAB"}, {ethereum, "0x0"}, {ethereum, "0xzz"}, {ethereum, "0x" + strings.Repeat("00", 256)},
		{bitcoin1, ""}, {bitcoin1, "0x000"}, {bitcoin1, "AUA"}, {bitcoin1, "AUA=\n"}, {bitcoin1, "smpAUA="}, {bitcoin1, "AUB="}, {solana1, ""}, {solana1, "0O"}, {solana1, "l"}, {solana1, strings.Repeat("z", 513)},
	} {
		if got, err := ParseProof(c.chain, c.text); err == nil {
			t.Errorf("%s %q is read as %x", c.chain, c.text, got)
		}
	}
}
