package ceremony

import (
	"crypto/sha256"
	"fmt"

	"github.com/ostraka/ostraka/mpc/epoch"
)

// paired says whether a suite's members share a state with each other: ECDSA's oblivious transfers.
func paired(suite string) bool { return suite == epoch.SuiteECDSA }

// SignRounds is the number of rounds of a suite's Sign and Test. After our last message has left, an
// abort means "possibly signed".
func SignRounds(suite string) uint8 {
	if suite == epoch.SuiteECDSA {
		return 3
	}
	return 2
}

// A Signature is R ‖ s as the suite's verifiers take it: r ‖ s with low s for ECDSA, x(R) ‖ s of BIP 340,
// R ‖ S of RFC 8032. It verified, by code other than what made it, before it became a value of this type.
type Signature struct {
	Bytes      [64]byte
	RecoveryID uint8 // of ECDSA: bit 0 is the parity of R's y, bit 1 is x(R) ≥ q
}

// String is the signature in hex. Signatures are public.
func (s Signature) String() string { return fmt.Sprintf("%x", s.Bytes) }

// Digest is how a Request names a message: the message itself on secp256k1, where it is a digest of 32 bytes
// already, and its SHA-256 on Ed25519, whose signatures are over the whole message.
func Digest(suite string, message []byte) (d [32]byte, err error) {
	if suite == epoch.SuiteEd25519 {
		return sha256.Sum256(message), nil
	}
	if len(message) != len(d) {
		return d, fmt.Errorf("message has %d bytes, suite %s signs a digest of %d", len(message), suite, len(d))
	}
	return [32]byte(message), nil
}
