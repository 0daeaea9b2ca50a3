package chain

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
)

// A signature that others' code made serves the one use that it is for, and no other: another key, message, root or recovery id, and any byte changed.
func TestCheckUse(t *testing.T) {
	digest, other := sha256.Sum256([]byte("a transaction")), sha256.Sum256([]byte("another"))
	root := bytes.Repeat([]byte{9}, 32)
	secret := bytes.Repeat([]byte{7}, 32)
	private, public := btcec.PrivKeyFromBytes(secret)
	point, err := secp256k1.DecodePoint(public.SerializeCompressed())
	if err != nil {
		t.Fatal(err)
	}
	tweaked := func(root []byte) (sig effect.Signature) {
		s, err := schnorr.Sign(txscript.TweakTaprootPrivKey(*private, root), digest[:])
		if err != nil {
			t.Fatal(err)
		}
		copy(sig.Bytes[:], s.Serialize())
		return sig
	}
	ecdsa, err := crypto.ToECDSA(secret)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := crypto.Sign(digest[:], ecdsa)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edPrivate, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	edPoint, err := edwards25519.Group{}.DecodePoint(edPublic)
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("a message of Solana")
	for name, c := range map[string]struct {
		use    effect.Use
		key    group.Point
		sig    effect.Signature
		others map[string]effect.Use
	}{
		"ECDSA": {
			effect.Use{Suite: suiteECDSA, Message: digest[:]}, point, effect.Signature{Bytes: [64]byte(raw[:64]), Recovery: raw[64]},
			map[string]effect.Use{"another digest": {Suite: suiteECDSA, Message: other[:]}, "a short digest": {Suite: suiteECDSA, Message: digest[:31]}, "none": {Suite: suiteECDSA}},
		},
		"Taproot": {
			effect.Use{Suite: suiteBIP340, Message: digest[:]}, point, tweaked(nil),
			map[string]effect.Use{"with a tree": {Suite: suiteBIP340, Message: digest[:], Root: root}, "a short digest": {Suite: suiteBIP340, Message: digest[:31]}},
		},
		"Taproot with a tree": {
			effect.Use{Suite: suiteBIP340, Message: digest[:], Root: root}, point, tweaked(root),
			map[string]effect.Use{"without": {Suite: suiteBIP340, Message: digest[:]}, "another": {Suite: suiteBIP340, Message: digest[:], Root: other[:]}, "a short root": {Suite: suiteBIP340, Message: digest[:], Root: root[:31]}},
		},
		"Ed25519": {
			effect.Use{Suite: suiteEd25519, Message: message}, edPoint, effect.Signature{Bytes: [64]byte(ed25519.Sign(edPrivate, message))},
			map[string]effect.Use{"another message": {Suite: suiteEd25519, Message: message[1:]}},
		},
	} {
		if err := CheckUse(c.use, c.key, c.sig); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for what, u := range c.others {
			if CheckUse(u, c.key, c.sig) == nil {
				t.Errorf("%s serves %s", name, what)
			}
		}
		if CheckUse(c.use, c.key.Add(c.key), c.sig) == nil {
			t.Errorf("%s serves another key", name)
		}
		for i := range c.sig.Bytes {
			bad := c.sig
			bad.Bytes[i] ^= 1
			if CheckUse(c.use, c.key, bad) == nil {
				t.Errorf("%s: byte %d may be flipped", name, i)
			}
		}
		for id := range 256 {
			bad := c.sig
			if bad.Recovery = uint8(id); bad.Recovery != c.sig.Recovery && CheckUse(c.use, c.key, bad) == nil {
				t.Errorf("%s: recovery id %d", name, id)
			}
		}
	}
}
