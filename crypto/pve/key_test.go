package pve

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"filippo.io/edwards25519"

	"github.com/ostraka/ostraka/crypto/secret"
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Every list of bad keys that implementations of X25519 meet, with the other encodings of those below 19.
func TestParseKeyRefuses(t *testing.T) {
	good := newKey(t, "recipient").Public()
	if k, err := ParseKey(good[:]); err != nil || k != good {
		t.Fatalf("a good key: %v", err)
	}
	above := func(n byte) []byte { return append(append([]byte{0xed + n}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f) } // p + n
	for name, c := range map[string]struct {
		key  []byte
		want error
	}{
		"0":               {make([]byte, 32), errLowOrder},
		"1":               {append([]byte{1}, make([]byte, 31)...), errLowOrder},
		"p − 1":           {append([]byte{0xec}, above(0)[1:]...), errLowOrder},
		"order 8":         {unhex(t, "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"), errLowOrder},
		"order 8, other":  {unhex(t, "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"), errLowOrder},
		"p":               {above(0), errNotCanonical},
		"p + 1":           {above(1), errNotCanonical},
		"p + 9, the base": {above(9), errNotCanonical},
		"2^255 − 1":       {above(18), errNotCanonical},
		"bit 255":         {flip(good[:], 31, 0x80), errHighBit},
		"0 with bit 255":  {flip(make([]byte, 32), 31, 0x80), errHighBit},
		"all ones":        {bytes.Repeat([]byte{0xff}, 32), errHighBit},
		"2, on the twist": {append([]byte{2}, make([]byte, 31)...), errNotPrime},
		"31 bytes":        {good[:31], nil},
		"33 bytes":        {append(good[:], 0), nil},
		"none":            {nil, nil},
	} {
		_, err := ParseKey(c.key)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || c.want == nil && !strings.Contains(err.Error(), "not 32") {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if len(c.key) != KeySize {
			continue
		}
		if err := CheckDistinct([]Key{good, Key(c.key)}); err == nil || !strings.HasPrefix(err.Error(), "recipient 1: ") {
			t.Errorf("%s: among others: %v", name, err)
		}
		if err := CheckPossession(Key(c.key), nil, make([]byte, PossessionSize)); !errors.Is(err, c.want) {
			t.Errorf("%s: possession: %v", name, err)
		}
	}
}

// The table of low orders against the standard library, which finds them by their result.
func TestLowOrderIsWhatGivesZero(t *testing.T) {
	any, err := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{0x42}, 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range lowOrder {
		k, err := ecdh.X25519().NewPublicKey(u[:])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := any.ECDH(k); err == nil {
			t.Errorf("%x gives a value that is not zero", u)
		}
	}
	// The points of order 1, 2, 4 and 8 of the curve: all are in the table. (What it has besides is p − 1, of the twist.)
	torsion := torsionPoint(t)
	p, seen := edwards25519.NewIdentityPoint(), map[[KeySize]byte]bool{}
	for range 8 {
		u := [KeySize]byte(p.BytesMontgomery())
		if seen[u] = true; checkU(&u) == nil {
			t.Errorf("%x passes", u)
		}
		p.Add(p, torsion)
	}
	if len(seen) != 4 || p.Equal(edwards25519.NewIdentityPoint()) != 1 {
		t.Errorf("%d u-coordinates of small order", len(seen))
	}
}

// torsionPoint has order 8.
func torsionPoint(tb testing.TB) *edwards25519.Point {
	tb.Helper()
	p, err := new(edwards25519.Point).SetBytes(unhex(tb, "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// A key plus a point of small order opens what its owner opens, under another name: refused, so that nobody counts as two.
func TestAliasOfAKeyIsRefused(t *testing.T) {
	k := newKey(t, "recipient")
	y, err := k.Public().edwardsBytes()
	if err != nil {
		t.Fatal(err)
	}
	e, err := new(edwards25519.Point).SetBytes(y)
	if err != nil {
		t.Fatal(err)
	}
	own, err := k.ecdh()
	if err != nil {
		t.Fatal(err)
	}
	ephemeral, err := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{3}, 32))
	if err != nil {
		t.Fatal(err)
	}
	want, err := own.ECDH(ephemeral.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < 8; i++ {
		e.Add(e, torsionPoint(t))
		alias := Key(e.BytesMontgomery())
		pub, err := ecdh.X25519().NewPublicKey(alias[:])
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ephemeral.ECDH(pub); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d: is no alias: %v", i, err)
		}
		if _, err := ParseKey(alias[:]); !errors.Is(err, errNotPrime) {
			t.Errorf("alias %d of a key: %v", i, err)
		}
	}
}

func TestCheckDistinct(t *testing.T) {
	a, b := newKey(t, "a").Public(), newKey(t, "b").Public()
	for _, ok := range [][]Key{nil, {a}, {a, b}} {
		if err := CheckDistinct(ok); err != nil {
			t.Error(err)
		}
	}
	if err := CheckDistinct([]Key{a, b, a}); err == nil || !strings.Contains(err.Error(), "recipients 0 and 2 have one key") {
		t.Errorf("a repeated key: %v", err)
	}
}

func TestPrivateKey(t *testing.T) {
	k := newKey(t, "recipient")
	again, err := ParsePrivateKey(k.Bytes().Expose())
	if err != nil || again.Public() != k.Public() {
		t.Fatalf("stored and read again: %v", err)
	}
	for name, b := range map[string][]byte{"not 32": make([]byte, 31), "not 32 ": bytes.Repeat([]byte{1}, 33), "all zero": make([]byte, 32)} {
		if _, err := ParsePrivateKey(b); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewPrivateKey(bytes.NewReader(make([]byte, 31))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a source that ends: %v", err)
	}
	// RFC 7748 section 6.1: Alice's key, Bob's, and what they share.
	alice, err := ParsePrivateKey(unhex(t, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"; alice.Public().String() != want {
		t.Errorf("public key is %v, want %s", alice.Public(), want)
	}
	bob, err := ParseKey(unhex(t, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMultiples(bob)
	if err != nil {
		t.Fatal(err)
	}
	epk, dh, err := m.ephemeral(alice.Bytes().Expose(), false)
	if err != nil || Key(epk) != alice.Public() || hex.EncodeToString(dh) != "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742" {
		t.Errorf("keys %x, shared value %x, %v", epk, dh, err)
	}
}

func TestPrivateKeyRedacts(t *testing.T) {
	k := newKey(t, "recipient")
	raw := hex.EncodeToString(k.Bytes().Expose())
	holder := struct{ K *PrivateKey }{k}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d"} {
		for _, v := range []any{k, *k, holder, &holder} {
			out := fmt.Sprintf(verb, v)
			if strings.Contains(strings.ToLower(out), raw[:16]) || strings.Contains(out, fmt.Sprint(k.Bytes().Expose()[:4])[1:8]) {
				t.Errorf("%s of %T: %s", verb, v, out)
			}
		}
		if got := fmt.Sprintf(verb, k); got != secret.Redacted {
			t.Errorf("%s: %s", verb, got)
		}
	}
	if b, err := json.Marshal(holder); err != nil || string(b) != `{"K":"[secret]"}` {
		t.Errorf("JSON: %s, %v", b, err)
	}
}

// Possession holds for one key and context, whichever sign the key's point has.
func TestPossession(t *testing.T) {
	signs := map[byte]int{}
	for _, name := range []string{"1", "2", "3", "4", "5", "6", "7", "8"} {
		k := newKey(t, name)
		scalar := k.Bytes().Expose()
		e, err := new(edwards25519.Scalar).SetBytesWithClamping(scalar)
		if err != nil {
			t.Fatal(err)
		}
		signs[new(edwards25519.Point).ScalarBaseMult(e).Bytes()[31]>>7]++
		proof, err := k.ProvePossession([]byte("guardian 1"), stream("nonce"))
		if err != nil || len(proof) != PossessionSize {
			t.Fatalf("%d bytes, %v", len(proof), err)
		}
		if err := CheckPossession(k.Public(), []byte("guardian 1"), proof); err != nil {
			t.Errorf("key %s: %v", name, err)
		}
		if err := CheckPossession(k.Public(), []byte("guardian 2"), proof); err == nil {
			t.Error("another context passes")
		}
		if err := CheckPossession(newKey(t, "another").Public(), []byte("guardian 1"), proof); err == nil {
			t.Error("another key passes")
		}
		for i := range proof {
			if err := CheckPossession(k.Public(), []byte("guardian 1"), flip(proof, i, 4)); err == nil {
				t.Errorf("byte %d does not count", i)
			}
		}
		for _, bad := range [][]byte{nil, proof[:63], append(slices.Clone(proof), 0)} {
			if err := CheckPossession(k.Public(), []byte("guardian 1"), bad); err == nil || !strings.Contains(err.Error(), "not 64") {
				t.Errorf("%d bytes: %v", len(bad), err)
			}
		}
	}
	if signs[0] == 0 || signs[1] == 0 {
		t.Errorf("keys of one sign only: %v", signs)
	}
	k := newKey(t, "recipient")
	if _, err := k.ProvePossession(nil, bytes.NewReader(nil)); err == nil {
		t.Error("no randomness, no error")
	}
	k.Wipe()
	if _, err := k.ProvePossession(nil, stream("nonce")); !errors.Is(err, errWiped) {
		t.Errorf("wiped: %v", err)
	}
}
