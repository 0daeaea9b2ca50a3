package chain

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/group/secp256k1/independent"
	"github.com/ostraka/ostraka/crypto/hd"
)

// ProofMessage is what a key signs for a statement, in a form that no transaction of the chain has: 32 bytes
// on secp256k1, the message itself on Ed25519.
func ProofMessage(suite, chain string, statement []byte) ([]byte, error) {
	if !Serves(suite, chain) {
		return nil, fmt.Errorf("proof: a key of suite %s signs nothing on chain %s", suite, chain)
	}
	switch namespace, _, _ := strings.Cut(chain, ":"); namespace {
	case namespaceEVM:
		d := evm.MessageDigest(statement)
		return d[:], nil
	case namespaceBitcoin:
		d := bitcoin.ProofDigest(statement)
		return d[:], nil
	}
	return solana.ProofMessage(statement), nil
}

// ProofSignature writes a signature as the chain's tools read it: 64 bytes, and on Ethereum v as the 65th, 27 or 28.
func ProofSignature(chain string, sig [64]byte, recoveryID uint8) ([]byte, error) {
	namespace, _, _ := strings.Cut(chain, ":")
	if namespace != namespaceEVM {
		return sig[:], nil
	}
	if recoveryID > 1 {
		return nil, fmt.Errorf("proof: recovery id is %d; Ethereum knows 0 and 1", recoveryID)
	}
	return append(sig[:], 27+recoveryID), nil
}

// CheckProof verifies a proof's signature by a vault's key, with code that shares nothing with what made it.
func CheckProof(suite, chain string, key group.Point, statement, sig []byte) error {
	message, err := ProofMessage(suite, chain, statement)
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
	case suite == suiteBIP340:
		out, err := hd.TapTweak(key.(*secp256k1.Point), nil)
		if err != nil {
			return fmt.Errorf("proof: %w", err)
		}
		x := out.XOnly()
		if err := independent.VerifySchnorr(x[:], message, sig); err != nil {
			return fmt.Errorf("proof: %w", err)
		}
		return nil
	case namespace == namespaceEVM:
		return checkEVM(key, [32]byte(message), sig)
	}
	return checkECDSA(key, [32]byte(message), sig)
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

func checkECDSA(key group.Point, digest [32]byte, sig []byte) error {
	public, err := independent.ParsePublicKey(key.Bytes())
	if err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	s, err := independent.ParseCompact(sig)
	if err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	if !s.LowS() || !independent.Verify(public, &digest, s) {
		return errProof
	}
	return nil
}
