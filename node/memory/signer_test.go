package memory

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/eddsa"
	"github.com/ostraka/ostraka/crypto/secret"
)

func signer(t *testing.T, room func(int) secret.Bytes) (*Signer, ed25519.PrivateKey) {
	t.Helper()
	seed := bytes.Repeat([]byte{7}, ed25519.SeedSize)
	s, err := NewSigner(seed, room)
	if err != nil {
		t.Fatal(err)
	}
	return s, ed25519.NewKeyFromSeed(seed)
}

// It signs as the key does, wherever it lies, makes certificates, and derives keys that lie beside it.
func TestSigner(t *testing.T) {
	a := arena(t, 64<<10)
	s, key := signer(t, Heap)
	seed, expanded := s.seed.Expose(), s.expanded.Expose()
	s.Keep(a.Hold)
	if !bytes.Equal(append(seed, expanded...), make([]byte, ed25519.SeedSize+eddsa.Size)) {
		t.Error("the key that moved lies where it was")
	}
	if got := a.Report().Used; got != 192 {
		t.Errorf("%d bytes of the arena are used", got)
	}
	same := func(what string, s crypto.Signer, key ed25519.PrivateKey) {
		t.Helper()
		for _, opts := range []crypto.SignerOpts{crypto.Hash(0), &ed25519.Options{}} {
			sig, err := s.Sign(rand.Reader, []byte("message"), opts)
			if err != nil || !bytes.Equal(sig, ed25519.Sign(key, []byte("message"))) || !key.Public().(ed25519.PublicKey).Equal(s.Public()) {
				t.Errorf("%s: %x, %v", what, sig, err)
			}
		}
	}
	same("the key", s, key)
	from := func(seed []byte) [32]byte { return sha256.Sum256(seed) }
	of := from(key.Seed())
	child := s.Derive(from)
	same("the derived key", child, ed25519.NewKeyFromSeed(of[:]))
	if b := s.Seed(); !bytes.Equal(b.Expose(), key.Seed()) {
		t.Error("the seed is another")
	} else {
		b.Wipe()
	}
	for _, opts := range []crypto.SignerOpts{nil, crypto.SHA512, &ed25519.Options{Context: "c"}} {
		if sig, err := s.Sign(rand.Reader, make([]byte, 64), opts); err == nil {
			t.Errorf("%v: %x", opts, sig)
		}
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	if _, err := x509.CreateCertificate(rand.Reader, template, template, s.Public(), s); err != nil {
		t.Error(err)
	}
	for _, verb := range []string{"%v", "%+v", "%x", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, s); text != secret.Redacted {
			t.Errorf("%s prints %s", verb, text)
		}
	}
	s.Wipe()
	s.Wipe()
	if got := a.Report().Used; got != 0 {
		t.Errorf("%d bytes of the arena are used after all", got)
	}
	forgotten(t, s, child, s.Derive(from))
}

// forgotten are keys that sign nothing any more: a signature by zeros would be one that anybody can make.
func forgotten(t *testing.T, all ...crypto.Signer) {
	t.Helper()
	for i, s := range all {
		if sig, err := s.Sign(nil, []byte("message"), crypto.Hash(0)); !errors.Is(err, ErrForgotten) {
			t.Errorf("wiped key %d signs: %x, %v", i, sig, err)
		}
	}
}

// An arena may be closed in the midst of a signature: what nonces are drawn from, or the public key, may be gone when the scalar is still there.
func TestSignerBeingWiped(t *testing.T) {
	for from := 32; from < eddsa.Size; from += 32 {
		s, _ := signer(t, Heap)
		clear(s.expanded.Expose()[from : from+32])
		forgotten(t, s)
	}
}

// What lies in an arena that is closed reads as zeros.
func TestSignerInAClosedArena(t *testing.T) {
	a := arena(t, 4096)
	s, _ := signer(t, a.Hold)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	forgotten(t, s, s.Derive(func([]byte) [32]byte { return [32]byte{} }))
	s.Wipe()
	if _, err := NewSigner(make([]byte, 31), Heap); err == nil || !strings.Contains(err.Error(), "31 bytes") {
		t.Errorf("a short seed: %v", err)
	}
}
