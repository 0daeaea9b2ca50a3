package fence

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/ostraka/ostraka/evidence/tlog"
)

func testKey(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

func testLife() *Life {
	l := &Life{Counter: 3, Confirmed: 2, Instance: [16]byte{0xaa}, Log: tlog.Head{Size: 9, Root: tlog.Hash{0xbb}}}
	l.sign(testKey(1))
	return l
}

func publicOf(b byte) ed25519.PublicKey { return testKey(b).Public().(ed25519.PublicKey) }

func TestLifeBytes(t *testing.T) {
	raw := testLife().Encode()
	const want = "00000000000000030000000000000002aa0000000000000000000000000000000000000000000009bb00000000000000000000000000000000000000000000000000000000000000"
	if got := hex.EncodeToString(raw[:lifeBody]); got != want || len(raw) != 136 {
		t.Errorf("%d bytes, %s", len(raw), got)
	}
	l, err := DecodeLife(publicOf(1), raw)
	if err != nil || *l != *testLife() {
		t.Fatalf("%v: %v", l, err)
	}
	// Every byte is signed.
	for i := range raw {
		b := bytes.Clone(raw)
		b[i] ^= 1
		if _, err := DecodeLife(publicOf(1), b); err == nil {
			t.Errorf("byte %d may be changed", i)
		}
	}
}

func TestLivesRefused(t *testing.T) {
	for name, change := range map[string]func(*Life){
		"counter 0":              func(l *Life) { l.Counter, l.Confirmed = 0, 0 },
		"counter too high":       func(l *Life) { l.Counter = maxCounter + 1 },
		"confirmed ≥ counter":    func(l *Life) { l.Confirmed = l.Counter },
		"log too long":           func(l *Life) { l.Log.Size = maxLog + 1 },
		"an empty log's root":    func(l *Life) { l.Log.Size = 0 },
		"a log of negative size": func(l *Life) { l.Log.Size = -1 },
	} {
		l := testLife()
		change(l)
		l.sign(testKey(1)) // rightly signed: only the field is wrong
		if _, err := DecodeLife(publicOf(1), l.Encode()); err == nil || errors.Is(err, ErrForged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := DecodeLife(publicOf(2), testLife().Encode()); !errors.Is(err, ErrForged) {
		t.Errorf("another identity's: %v", err)
	}
}

func FuzzHail(f *testing.F) {
	h := hail{life: testLife().Encode(), answers: [nonceSize]byte{1}, asks: [nonceSize]byte{2}}
	f.Add(h.encode())
	h.held = [][]byte{testLife().Encode(), testLife().Encode()}
	f.Add(h.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHail(b)
		if err != nil {
			return
		}
		if len(h.held) > maxHeld || !bytes.Equal(h.encode(), b) {
			t.Fatalf("%d lives; %x", len(h.held), b)
		}
		if l, err := DecodeLife(publicOf(1), h.life); err == nil && !bytes.Equal(l.Encode(), h.life) {
			t.Fatalf("a life has two forms: %x", h.life)
		}
	})
}
