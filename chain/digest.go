package chain

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	decred "github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
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
		ok = schnorrHolds([32]byte(key.Bytes()[1:]), digest, sig)
	default:
		public, err := decred.ParsePubKey(key.Bytes())
		if err != nil {
			return fmt.Errorf("signature over a digest: %w", err)
		}
		var r, s decred.ModNScalar
		ok = !r.SetByteSlice(sig[:32]) && !s.SetByteSlice(sig[32:]) && !s.IsOverHalfOrder() && ecdsa.NewSignature(&r, &s).Verify(digest[:], public)
	}
	if !ok {
		return errors.New("signature over a digest: it does not verify")
	}
	return nil
}

func schnorrHolds(x, digest [32]byte, sig []byte) bool {
	public, err := schnorr.ParsePubKey(x[:])
	if err != nil {
		return false
	}
	s, err := schnorr.ParseSignature(sig)
	return err == nil && s.Verify(digest[:], public)
}

// CheckUse verifies what serves a use, by the key at its path: on BIP 340 under the output key that follows from it and from the use's root
// (BIP 341). As in CheckDigest, nothing is shared with what makes signatures.
func CheckUse(u effect.Use, key group.Point, sig effect.Signature) error {
	switch {
	case u.Suite != suiteECDSA && sig.Recovery != 0:
		return fmt.Errorf("signature for %s: a recovery id, which suite %s has not", u.Address, u.Suite)
	case u.Suite == suiteEd25519:
		if key.IsIdentity() || !ed25519.Verify(key.Bytes(), u.Message, sig.Bytes[:]) {
			return fmt.Errorf("signature for %s: it does not verify", u.Address)
		}
		return nil
	case len(u.Message) != 32:
		return fmt.Errorf("signature for %s: suite %s signs a digest of 32 bytes, this has %d", u.Address, u.Suite, len(u.Message))
	case u.Suite == suiteBIP340:
		out, err := outputKey(key, u.Root)
		if err != nil {
			return fmt.Errorf("signature for %s: %w", u.Address, err)
		}
		if !schnorrHolds(out.XOnly(), [32]byte(u.Message), sig.Bytes[:]) {
			return fmt.Errorf("signature for %s: it does not verify", u.Address)
		}
		return nil
	}
	if err := CheckDigest(u.Suite, key, [32]byte(u.Message), sig.Bytes[:]); err != nil {
		return fmt.Errorf("signature for %s: %w", u.Address, err)
	}
	return checkRecovery(u, key, sig)
}

// checkRecovery holds a recovery id to the key: the signature does not cover it, and whoever passes one on could change it.
func checkRecovery(u effect.Use, key group.Point, sig effect.Signature) error {
	if sig.Recovery > 3 {
		return fmt.Errorf("signature for %s: recovery id %d is none", u.Address, sig.Recovery)
	}
	compact := append([]byte{27 + 4 + sig.Recovery}, sig.Bytes[:]...) // 4: of a compressed key
	found, _, err := ecdsa.RecoverCompact(compact, u.Message)
	if err != nil || !bytes.Equal(found.SerializeCompressed(), key.Bytes()) {
		return fmt.Errorf("signature for %s: recovery id %d is not its own", u.Address, sig.Recovery)
	}
	return nil
}

// outputKey is Taproot's, of the key at a path and the Merkle root of the output's scripts; nil: it has none.
func outputKey(key group.Point, root []byte) (hd.OutputKey, error) {
	switch len(root) {
	case 0:
		return hd.TapTweak(key.(*secp256k1.Point), nil)
	case 32:
		r := [32]byte(root)
		return hd.TapTweak(key.(*secp256k1.Point), &r)
	}
	return hd.OutputKey{}, fmt.Errorf("root of scripts: %d bytes, not 32", len(root))
}
