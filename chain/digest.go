package chain

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/ostraka/ostraka/crypto/group"
)

// CheckDigest verifies a signature of 64 bytes by a root key itself over a digest that means nothing on any chain, as test signatures of SOS are
// (spec/sos 4.6): r ‖ s with s in the lower half for ecdsa-secp256k1, BIP 340 without Taproot's tweak for bip340-secp256k1, RFC 8032 over
// the 32 bytes for ed25519. Its code shares nothing with what makes signatures.
func CheckDigest(suite string, key group.Point, digest [32]byte, sig []byte) error {
	if len(sig) != 64 || key.IsIdentity() {
		return fmt.Errorf("signature over a digest: %d bytes, not 64, or by nobody's key", len(sig))
	}
	ok := false
	switch suite {
	case suiteEd25519:
		ok = ed25519.Verify(key.Bytes(), digest[:], sig)
	case suiteBIP340:
		public, err := schnorr.ParsePubKey(key.Bytes()[1:])
		if err != nil {
			return fmt.Errorf("signature over a digest: %w", err)
		}
		s, err := schnorr.ParseSignature(sig)
		ok = err == nil && s.Verify(digest[:], public)
	default:
		public, err := secp256k1.ParsePubKey(key.Bytes())
		if err != nil {
			return fmt.Errorf("signature over a digest: %w", err)
		}
		var r, s secp256k1.ModNScalar
		ok = !r.SetByteSlice(sig[:32]) && !s.SetByteSlice(sig[32:]) && !s.IsOverHalfOrder() && ecdsa.NewSignature(&r, &s).Verify(digest[:], public)
	}
	if !ok {
		return errors.New("signature over a digest: it does not verify")
	}
	return nil
}
