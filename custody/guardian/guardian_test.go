package guardian

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/signet"
)

var update = flag.Bool("update", false, "write testdata anew")

// keyOf is a guardian's key that follows from a name.
func keyOf(t testing.TB, name string) Key {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	k, err := FromSeed(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func cardOf(t testing.TB, name string) Card {
	t.Helper()
	c, err := keyOf(t, name).Card()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCardRoundTrip(t *testing.T) {
	c := cardOf(t, "first")
	if got, err := ParseCard(c.String()); err != nil || got != c {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := DecodeCard(c.Bytes()); err != nil || got != c {
		t.Errorf("%v, %v", got, err)
	}
	if again := cardOf(t, "first"); again != c {
		t.Error("one key has two cards")
	}
	if other := cardOf(t, "second"); other == c || other.Party() == c.Party() || other.Encryption() == c.Encryption() {
		t.Error("two keys have one card")
	}
	if len(c.String()) != CardText || len(c.Bytes()) != CardSize || strings.ContainsAny(c.String(), " \n+/=") {
		t.Errorf("%q", c)
	}
	if !(Card{}).IsZero() || c.IsZero() || (Card{}).String() != "" {
		t.Error("no card and a card")
	}
}

// The signing key is one that signet takes, and the key's own signer signs under it.
func TestSigner(t *testing.T) {
	k := keyOf(t, "first")
	c := cardOf(t, "first")
	key, err := c.Key()
	if err != nil || key.Type() != "ssh-ed25519" {
		t.Fatal(key, err)
	}
	s, err := k.Signer()
	if err != nil {
		t.Fatal(err)
	}
	if of, err := signet.NewKey(s.PublicKey()); err != nil || !of.Equal(key) {
		t.Errorf("%v, %v", of, err)
	}
	dk, err := k.Decryption()
	if err != nil || dk.Public() != c.Encryption() {
		t.Errorf("%v", err)
	}
}

// signedBy is a card of these parts that its signing key signed, whatever they claim.
func signedBy(t *testing.T, name string, ek pve.Key, proof []byte) []byte {
	t.Helper()
	k, err := keyOf(t, name).signing()
	if err != nil {
		t.Fatal(err)
	}
	c := Card{ek: ek}
	copy(c.signing[:], k.Public().(ed25519.PublicKey))
	copy(c.possession[:], proof)
	copy(c.signature[:], ed25519.Sign(k, c.signed()))
	return c.Bytes()
}

func TestDecodeCardRefuses(t *testing.T) {
	c, other := cardOf(t, "first"), cardOf(t, "second")
	changed := func(at int, by ...byte) []byte {
		b := c.Bytes()
		copy(b[at:], by)
		return b
	}
	flip := func(at int) []byte { b := c.Bytes(); b[at] ^= 1; return b }
	p := append([]byte{0xed}, append(bytes.Repeat([]byte{0xff}, 30), 0x7f)...) // 2²⁵⁵ − 19
	one := append([]byte{1}, make([]byte, 31)...)
	high := c.Encryption()
	high[31] |= 0x80
	for name, x := range map[string]struct {
		card []byte
		says string
	}{
		"empty":                            {nil, "0 bytes"},
		"short":                            {c.Bytes()[:CardSize-1], "191 bytes"},
		"long":                             {append(c.Bytes(), 0), "193 bytes"},
		"signing key of small order":       {changed(0, make([]byte, 32)...), "signing key"},
		"signing key not canonical":        {changed(0, p...), "signing key"},
		"another's signing key":            {changed(0, other.Signing()...), "encryption key"},
		"encryption key zero":              {signedBy(t, "first", pve.Key{}, c.possession[:]), "encryption key"},
		"encryption key of low order":      {signedBy(t, "first", pve.Key(one), c.possession[:]), "encryption key"},
		"encryption key not canonical":     {signedBy(t, "first", pve.Key(p), c.possession[:]), "encryption key"},
		"encryption key with its high bit": {signedBy(t, "first", high, c.possession[:]), "encryption key"},
		"another's encryption key":         {signedBy(t, "first", other.ek, c.possession[:]), "encryption key"},
		"another's key and proof":          {signedBy(t, "first", other.ek, other.possession[:]), "encryption key"},
		"proof damaged":                    {flip(64), "encryption key"},
		"proof damaged, signed":            {signedBy(t, "first", c.ek, append([]byte{c.possession[0] ^ 1}, c.possession[1:]...)), "encryption key"},
		"signature damaged":                {flip(128), "signature"},
		"signature's end damaged":          {flip(191), "signature"},
		"another's signature":              {changed(128, other.signature[:]...), "signature"},
	} {
		if _, err := DecodeCard(x.card); err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v, want %q", name, err, x.says)
		}
	}
	if _, err := DecodeCard(signedBy(t, "first", c.ek, c.possession[:])); err != nil {
		t.Errorf("what refuses the others refuses a good one: %v", err)
	}
}

// Whoever types a card wrong is told so, whatever the character.
func TestMistypedCard(t *testing.T) {
	text := cardOf(t, "first").String()
	for i := range text {
		for _, c := range []byte("aB_-0") {
			if text[i] == c {
				continue
			}
			wrong := text[:i] + string(c) + text[i+1:]
			if _, err := ParseCard(wrong); err == nil || i >= len(cardPrefix) && !strings.Contains(err.Error(), "checksum") {
				t.Fatalf("character %d: %v", i, err)
			}
		}
	}
	swapped := []byte(text)
	swapped[40], swapped[41] = swapped[41], swapped[40]
	for name, x := range map[string][2]string{
		"cut":           {text[:len(text)-4], "copy all of it"},
		"longer":        {text + "AAAA", "copy all of it"},
		"swapped":       {string(swapped), "checksum"},
		"broken line":   {text[:60] + "\n" + text[60:], "copy all of it"},
		"line feed":     {text[:60] + "\n" + text[61:], "other than letters"},
		"plus":          {text[:60] + "+" + text[61:], "other than letters"},
		"padded":        {text[:len(text)-1] + "=", "other than letters"},
		"a space":       {" " + text, "begin with"},
		"other version": {strings.Replace(text, "guardian1", "guardian2", 1), "begin with"},
		"empty":         {"", "begin with"},
	} {
		if _, err := ParseCard(x[0]); err == nil || !strings.Contains(err.Error(), x[1]) {
			t.Errorf("%s: %v, want %q", name, err, x[1])
		}
	}
}

func TestKeyFile(t *testing.T) {
	k := keyOf(t, "first")
	plain, err := MarshalKey(k)
	if err != nil || len(plain) != KeyText {
		t.Fatalf("%q, %v", plain, err)
	}
	got, err := ParseKey(plain)
	if err != nil || !got.seed.Equal(k.seed) {
		t.Fatal(err)
	}
	flipped := bytes.Clone(plain)
	flipped[40] = map[bool]byte{true: 'A', false: 'B'}[flipped[40] != 'A']
	zero := []byte(armor(keyPrefix, make([]byte, SeedSize), keySum) + "\n")
	for name, x := range map[string]struct {
		plain []byte
		says  string
	}{
		"empty":       {nil, "has 0 bytes"},
		"no end":      {plain[:KeyText-1], "line"},
		"two lines":   {append(bytes.Clone(plain), '\n'), "line"},
		"CR LF":       {append(bytes.Clone(plain[:KeyText-1]), '\r', '\n'), "line"},
		"mistyped":    {flipped, "checksum"},
		"of a card":   {[]byte(cardOf(t, "first").String() + "\n"), "line"},
		"zero seed":   {zero, "zero"},
		"lower case":  {bytes.ToLower(plain), "begin with"},
		"other start": {append([]byte("O"), plain[:KeyText-1]...), "line"},
	} {
		_, err := ParseKey(x.plain)
		if err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v, want %q", name, err, x.says)
		}
		if err != nil && strings.Contains(err.Error(), string(plain[30:50])) {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
}

func TestNewKey(t *testing.T) {
	k, err := NewKey(bytes.NewReader(bytes.Repeat([]byte{7}, SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewKey(bytes.NewReader(make([]byte, SeedSize-1))); err == nil {
		t.Error("a short reader gives a key")
	}
	if _, err := NewKey(bytes.NewReader(make([]byte, SeedSize))); err == nil {
		t.Error("a reader of zeros gives a key")
	}
	if _, err := FromSeed(make([]byte, 31)); err == nil {
		t.Error("31 bytes give a key")
	}
	k.Wipe()
	if !k.seed.Equal(secret.New(make([]byte, SeedSize))) {
		t.Error("a wiped key is there still")
	}
	for name, err := range map[string]error{
		"card": func() error { _, err := Key{}.Card(); return err }(), "signer": func() error { _, err := Key{}.Signer(); return err }(),
		"decryption": func() error { _, err := Key{}.Decryption(); return err }(), "marshal": func() error { _, err := MarshalKey(Key{}); return err }(),
	} {
		if err == nil {
			t.Errorf("%s of no key", name)
		}
	}
}

func TestKeyRedacts(t *testing.T) {
	k := keyOf(t, "first")
	seed := k.seed.Expose()
	j, err := json.Marshal(struct{ K Key }{k})
	if err != nil {
		t.Fatal(err)
	}
	out := string(j) + errors.Join(fmt.Errorf("%v", k)).Error()
	for _, v := range []any{k, &k, []Key{k}, struct{ K Key }{k}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
			out += fmt.Sprintf(verb, v) + "\n"
		}
	}
	for _, leak := range []string{hex.EncodeToString(seed)[:8], base64.RawURLEncoding.EncodeToString(seed)[:8], fmt.Sprint(seed[:4])[1:8], string(seed)} {
		if strings.Contains(strings.ToLower(out), strings.ToLower(leak)) {
			t.Errorf("it shows %q", leak)
		}
	}
}

// A change of these files means that no card and no key file made before is read any more.
func TestSnapshots(t *testing.T) {
	k, c := keyOf(t, "first"), cardOf(t, "first")
	plain, err := MarshalKey(k)
	if err != nil {
		t.Fatal(err)
	}
	ek, party := c.Encryption(), c.Party()
	public := fmt.Sprintf("%s\nsigning key %x\nencryption key %x\nparty %x\n", c, c.Signing(), ek[:], party[:])
	for name, got := range map[string][]byte{"card.txt": []byte(public), "key.txt": plain} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is\n%s, want\n%s, %v", name, got, want, err)
		}
	}
}

func FuzzParseCard(f *testing.F) {
	f.Add(cardOf(f, "first").String())
	f.Add(armor(cardPrefix, make([]byte, CardSize), cardSum))
	f.Add("ostraka-guardian1")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := ParseCard(text); err == nil && c.String() != text {
			t.Errorf("%q reads and writes as %q", text, c)
		}
	})
}

func FuzzDecodeCard(f *testing.F) {
	f.Add(cardOf(f, "first").Bytes())
	f.Add(make([]byte, CardSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := DecodeCard(b); err == nil && !bytes.Equal(c.Bytes(), b) {
			t.Errorf("%x reads and writes as %x", b, c.Bytes())
		}
	})
}

func FuzzParseKey(f *testing.F) {
	plain, err := MarshalKey(keyOf(f, "first"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add([]byte("OSTRAKA-GUARDIAN-KEY-1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParseKey(b)
		if err != nil {
			return
		}
		if again, err := MarshalKey(k); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%q reads and writes as %q, %v", b, again, err)
		}
	})
}
