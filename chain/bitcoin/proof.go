package bitcoin

import "crypto/sha256"

// proofTag is BIP 340's tag of signed statements. Bitcoin's own digests have other tags
// ("TapSighash"), so that no statement is a transaction.
const proofTag = "ostraka/1/proof"

// ProofDigest is what a Taproot key signs for a statement: BIP 340's tagged hash of its bytes.
func ProofDigest(statement []byte) [32]byte {
	tag := sha256.Sum256([]byte(proofTag))
	h := sha256.New()
	h.Write(tag[:])
	h.Write(tag[:])
	h.Write(statement)
	return [32]byte(h.Sum(nil))
}
