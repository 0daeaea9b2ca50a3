package eddsa

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

func seeded(seed []byte) (expanded [Size]byte, public ed25519.PublicKey) {
	public = Expand(&expanded, seed)
	return expanded, public
}

// RFC 8032 7.1: seed, public key, message, signature.
func TestVectors(t *testing.T) {
	for _, v := range [][4]string{
		{
			"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
			"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
		},
		{
			"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
			"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
		},
		{
			"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
			"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
		},
	} {
		var b [4][]byte
		for i, text := range v {
			var err error
			if b[i], err = hex.DecodeString(text); err != nil {
				t.Fatal(err)
			}
		}
		expanded, public := seeded(b[0])
		if !bytes.Equal(public, b[1]) {
			t.Errorf("public key %x, not %x", public, b[1])
		}
		if sig, whole := Sign(&expanded, b[2]); !whole || !bytes.Equal(sig, b[3]) {
			t.Errorf("signature %x, not %x", sig, b[3])
		}
	}
}

// Go's own library gives the same keys and the same signatures, of messages of every length about the hash's blocks.
func TestAsGo(t *testing.T) {
	r := rand.NewChaCha8([32]byte{8, 0, 3, 2})
	seed := make([]byte, ed25519.SeedSize)
	for n := range 400 {
		r.Read(seed) //nolint:errcheck // never fails
		message := make([]byte, n)
		r.Read(message) //nolint:errcheck // never fails
		expanded, public := seeded(seed)
		key := ed25519.NewKeyFromSeed(seed)
		if !public.Equal(key.Public()) {
			t.Fatalf("seed %x: public key %x", seed, public)
		}
		was := expanded
		got, whole := Sign(&expanded, message)
		if want := ed25519.Sign(key, message); !whole || !bytes.Equal(got, want) || expanded != was {
			t.Fatalf("seed %x, message of %d bytes: %x, not %x", seed, n, got, want)
		}
	}
}

// A key that is not whole signs nothing: neither one that is being wiped, in whatever order, nor one with another's public key.
func TestTorn(t *testing.T) {
	expanded, _ := seeded(make([]byte, ed25519.SeedSize))
	other, _ := seeded(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	for from := 0; from < Size; from += 8 {
		for to := from + 8; to <= Size; to += 8 {
			torn := expanded
			clear(torn[from:to])
			if sig, whole := Sign(&torn, []byte("m")); whole || sig != nil {
				t.Errorf("wiped from %d to %d it signs: %x", from, to, sig)
			}
		}
	}
	copy(expanded[64:96], other[64:96])
	if sig, whole := Sign(&expanded, []byte("m")); whole || sig != nil {
		t.Errorf("with another's public key it signs: %x", sig)
	}
}

type strange struct {
	ed25519.PrivateKey
	public crypto.PublicKey
}

func (s strange) Public() crypto.PublicKey { return s.public }

// Keys that are none are refused, and so are signatures that are none.
func TestSignBy(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	if sig, err := SignBy(key, []byte("m")); err != nil || !ed25519.Verify(key.Public().(ed25519.PublicKey), []byte("m"), sig) {
		t.Errorf("%x, %v", sig, err)
	}
	for name, k := range map[string]crypto.Signer{
		"none": nil, "nil": ed25519.PrivateKey(nil), "short": key[:63], "of another kind": strange{key, "text"}, "with a short public key": strange{key, ed25519.PublicKey{1}},
	} {
		if sig, err := SignBy(k, []byte("m")); err == nil {
			t.Errorf("%s signs: %x", name, sig)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	expanded, public := seeded(make([]byte, ed25519.SeedSize))
	for b.Loop() {
		Sign(&expanded, public)
	}
}
