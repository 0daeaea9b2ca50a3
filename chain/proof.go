package chain

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/address/v2/base58"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
)

// ProofMessage is what a key signs for a statement, in a form that no transaction of the chain has: 32 bytes
// on secp256k1, the message itself on Ed25519. key is the one whose address the chain knows, before Taproot's tweak; tree the root of the address's scripts, nil where it has none.
func ProofMessage(suite, chain string, key group.Point, tree *[32]byte, statement []byte) ([]byte, error) {
	if !Serves(suite, chain) {
		return nil, fmt.Errorf("proof: a key of suite %s signs nothing on chain %s", suite, chain)
	}
	if suite == suiteEd25519 {
		return solana.ProofMessage(key.Bytes(), statement)
	}
	if namespace, _, _ := strings.Cut(chain, ":"); namespace == namespaceEVM {
		d := evm.MessageDigest(statement)
		return d[:], nil
	}
	script := bitcoin.WitnessKeyHashScript(key.Bytes())
	if suite == suiteBIP340 {
		out, err := hd.TapTweak(key.(*secp256k1.Point), tree)
		if err != nil {
			return nil, fmt.Errorf("proof: %w", err)
		}
		script = bitcoin.TaprootScript(out)
	}
	d := script.ProofDigest(statement)
	return d[:], nil
}

// ProofSignature writes a signature as the chain's tools read it: on Ethereum 65 bytes, v the last of them, 27 or 28; on Bitcoin
// BIP 322's simple witness; on Solana 64 bytes.
func ProofSignature(suite, chain string, key group.Point, sig [64]byte, recoveryID uint8) ([]byte, error) {
	namespace, _, _ := strings.Cut(chain, ":")
	switch {
	case suite == suiteEd25519:
		return sig[:], nil
	case suite == suiteBIP340:
		return bitcoin.TaprootProof(sig), nil
	case namespace == namespaceBitcoin:
		return bitcoin.WitnessKeyHashProof(sig, key.Bytes())
	case recoveryID > 1:
		return nil, fmt.Errorf("proof: recovery id is %d; Ethereum knows 0 and 1", recoveryID)
	}
	return append(sig[:], 27+recoveryID), nil
}

// FormatProof is the text of a proof's signature: base64 on Bitcoin, base58 on Solana, hex with 0x elsewhere.
func FormatProof(chain string, sig []byte) string {
	switch namespace, _, _ := strings.Cut(chain, ":"); namespace {
	case namespaceBitcoin:
		return base64.StdEncoding.EncodeToString(sig)
	case namespaceSolana:
		return base58.Encode(sig)
	}
	return "0x" + hex.EncodeToString(sig)
}

// ParseProof reads that text, in this one form.
func ParseProof(chain, text string) (sig []byte, err error) {
	if len(text) > 512 {
		return nil, fmt.Errorf("proof: the signature has %d characters, more than any", len(text))
	}
	switch namespace, _, _ := strings.Cut(chain, ":"); namespace {
	case namespaceBitcoin:
		sig, err = base64.StdEncoding.DecodeString(text)
	case namespaceSolana:
		sig = base58.Decode(text)
	default:
		sig, err = hex.DecodeString(strings.TrimPrefix(text, "0x"))
	}
	if err != nil || len(sig) == 0 || FormatProof(chain, sig) != text {
		return nil, fmt.Errorf("proof: the signature %.200q is not as signatures on chain %.50s are written", text, chain)
	}
	return sig, nil
}

// CheckProof verifies a proof's signature by a vault's key, with code that shares nothing with what made it.
func CheckProof(suite, chain string, key group.Point, tree *[32]byte, statement, sig []byte) error {
	message, err := ProofMessage(suite, chain, key, tree, statement)
	if err != nil {
		return err
	}
	namespace, _, _ := strings.Cut(chain, ":")
	switch {
	case suite == suiteEd25519:
		if len(sig) != ed25519.SignatureSize || !ed25519.Verify(key.Bytes(), message, sig) {
			return errProof
		}
		return nil
	case namespace == namespaceEVM:
		return checkEVM(key, [32]byte(message), sig)
	case suite == suiteBIP340:
		var out hd.OutputKey
		if out, err = hd.TapTweak(key.(*secp256k1.Point), tree); err == nil {
			err = bitcoin.CheckTaprootProof(out, statement, sig)
		}
	default:
		err = bitcoin.CheckWitnessKeyHashProof(key.Bytes(), statement, sig)
	}
	if err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	return nil
}

var errProof = errors.New("proof: the signature does not verify")

func checkEVM(key group.Point, digest [32]byte, sig []byte) error {
	want, err := evm.AddressOf(key.Bytes())
	if err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	signer, err := evm.RecoverMessage(digest, sig)
	if err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	if signer != want {
		return fmt.Errorf("proof: the signature is by %s, not by %s", signer, want)
	}
	return nil
}
