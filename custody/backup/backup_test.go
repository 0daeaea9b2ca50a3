package backup

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

var update = flag.Bool("update", false, "write testdata anew")

var identity = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))

func point(g group.Group, n uint64) group.Point { return g.BaseMul(g.Scalar(n)) }

func export() Header {
	return Header{
		Level: charter.Export, Circle: "Drei Häuser", Roster: statement.ID{1}, Operator: "acme", Identity: identity.Public().(ed25519.PublicKey), Place: "cellar",
		Created: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Recipients: 2, Size: 1234, Sum: [32]byte{9},
		Keys: []Key{
			{statement.ID{2}, "treasury", [32]byte{3}, charter.SuiteECDSA, 4, [32]byte{5}, point(secp256k1.Group{}, 11), point(secp256k1.Group{}, 12)},
			{statement.ID{2}, "treasury", [32]byte{4}, charter.SuiteEd25519, 0, [32]byte{6}, point(edwards25519.Group{}, 13), nil},
		},
	}
}

func sheets() Header {
	h := export()
	h.Level, h.Recipients, h.Size, h.Quorum, h.Count = charter.Paper, 0, 0, 2, 3
	return h
}

func signed(t testing.TB, h Header) []byte {
	b, err := h.Sign(identity)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	text, path := hex.EncodeToString(got)+"\n", "testdata/"+name+".hex"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != text {
		t.Errorf("%s: differs (%v): go test ./custody/backup -update writes it anew", path, err)
	}
}

func TestHeader(t *testing.T) {
	for name, h := range map[string]Header{"export": export(), "sheets": sheets()} {
		b := signed(t, h)
		golden(t, name, b)
		if len(b) != h.SignedSize() {
			t.Errorf("%s: %d bytes, SignedSize says %d", name, len(b), h.SignedSize())
		}
		other := h
		if other.Sum = [32]byte{}; h.Level == charter.Export {
			other.Size = 1 << 39
		}
		if other.SignedSize() != h.SignedSize() {
			t.Errorf("%s: the length depends on what the ciphertext comes to be", name)
		}
		raw, got, err := ReadHeader(io.MultiReader(bytes.NewReader(Front(len(b))), bytes.NewReader(b)))
		if err != nil || !bytes.Equal(raw, b) || !bytes.Equal(got.Encode(), h.Encode()) {
			t.Errorf("%s: read back: %v", name, err)
		}
	}
}

// Each field that a header may not have is refused, when it is made and when it is read.
func TestHeaderRefusals(t *testing.T) {
	for want, change := range map[string]func(*Header){
		"circle":                   func(h *Header) { h.Circle = "" },
		"operator":                 func(h *Header) { h.Operator = "Acme" },
		"place":                    func(h *Header) { h.Place = "a b" },
		"identity":                 func(h *Header) { h.Identity = make([]byte, 32) },
		"level: \"replica\"":       func(h *Header) { h.Level = charter.Replica },
		"an export has recipients": func(h *Header) { h.Recipients = 0 },
		"no sheets":                func(h *Header) { h.Quorum = 2 },
		"3 of 2 does not go":       func(h *Header) { *h = sheets(); h.Quorum, h.Count = 3, 2 },
		"1 of 2 does not go":       func(h *Header) { *h = sheets(); h.Quorum, h.Count = 1, 2 },
		"sheets have no":           func(h *Header) { *h = sheets(); h.Size = 1 },
		"there are 0":              func(h *Header) { h.Keys = nil },
		"ascending":                func(h *Header) { h.Keys[1].KeyID = h.Keys[0].KeyID },
		"name":                     func(h *Header) { h.Keys[0].Name = "" },
	} {
		h := export()
		change(&h)
		if _, err := h.Sign(identity); err == nil || !strings.Contains(err.Error(), want) && want != "identity" {
			t.Errorf("%s: made: %v", want, err)
		}
		if _, err := decodeBody(h.Encode()); err == nil {
			t.Errorf("%s: read", want)
		}
	}
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32))
	if _, err := export().Sign(other); err == nil {
		t.Error("signed with another key")
	}
	h := export()
	if _, err := DecodeHeader(wrap(h.Encode(), ed25519.Sign(other, h.tree(h.Encode())))); !errors.Is(err, ErrSignature) {
		t.Errorf("another's signature: %v", err)
	}
	for _, change := range []func(*Key){
		func(k *Key) { k.Suite = "rsa" }, func(k *Key) { k.Suite = charter.SuiteEd25519 }, // points of another group
	} {
		h := export()
		change(&h.Keys[0])
		if _, err := decodeBody(h.Encode()); err == nil {
			t.Error("a point of another group was read")
		}
	}
}

// No bit of a signed header can be changed.
func TestEveryBit(t *testing.T) {
	b := signed(t, export())
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 1 << (i % 8)
		if _, err := DecodeHeader(c); err == nil {
			t.Fatalf("byte %d can be changed", i)
		}
	}
	for n := range b {
		if _, err := DecodeHeader(b[:n]); err == nil {
			t.Fatalf("%d bytes of it are enough", n)
		}
	}
	if _, _, err := ReadHeader(strings.NewReader("something else, long enough to be read as one")); !errors.Is(err, ErrForm) {
		t.Errorf("another file: %v", err)
	}
}

func payload(t testing.TB) []byte {
	var b bytes.Buffer
	s := Secrets{secret.New(bytes.Repeat([]byte{1}, 32)), secret.New(bytes.Repeat([]byte{2}, 32)), []byte(`{"operator":"acme"}`)}
	w, err := NewWriter(&b, s)
	for _, row := range [][2]string{{"current/a", "one"}, {"epoch/a/b/share", "two"}, {"z", ""}} {
		if err == nil {
			err = w.Row(row[0], []byte(row[1]))
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// again reads a payload, and writes it anew.
func again(b []byte) ([]byte, error) {
	r, s, err := NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w, err := NewWriter(&out, s)
	if err != nil {
		return nil, err
	}
	for {
		key, value, more, err := r.Next()
		if err != nil {
			return nil, err
		}
		if !more {
			err = w.Close()
			return out.Bytes(), err
		}
		if err := w.Row(key, value); err != nil {
			return nil, err
		}
	}
}

func TestPayload(t *testing.T) {
	b := payload(t)
	golden(t, "payload", b)
	if got, err := again(b); err != nil || !bytes.Equal(got, b) {
		t.Errorf("read and written again: %v", err)
	}
	for n := range b {
		if _, err := again(b[:n]); err == nil {
			t.Fatalf("%d of %d bytes are taken for the whole", n, len(b))
		}
	}
	// The sum is over everything: a changed byte is either malformed, or seen at the end.
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 1
		if _, err := again(c); err == nil {
			t.Fatalf("byte %d can be changed", i)
		}
	}
	if _, err := again(append(bytes.Clone(b), 0)); err == nil {
		t.Error("something may follow")
	}
	w, err := NewWriter(io.Discard, Secrets{secret.New(make([]byte, 32)), secret.New(make([]byte, 32)), []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	if w.Row("b", nil) != nil || w.Row("a", nil) == nil || w.Row("b", nil) == nil {
		t.Error("rows may stand in any order")
	}
	if _, err := NewWriter(io.Discard, Secrets{secret.New(make([]byte, 31)), secret.New(make([]byte, 32)), []byte("{}")}); err == nil {
		t.Error("a short key was written")
	}
}

func TestSecretsAreRedacted(t *testing.T) {
	s := Secrets{secret.New([]byte("identity-seed-of-thirty-two-byte")), secret.New([]byte("data-key-with-thirty-two-bytes--")), []byte("settings-with-a-token")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		for _, x := range []any{s, &s} {
			if text := fmt.Sprintf(verb, x); text != secret.Redacted {
				t.Errorf("%s: %q", verb, text)
			}
		}
	}
}

func TestNoted(t *testing.T) {
	h := export()
	b := signed(t, h)
	n := NotedOf(b, h, h.Created.Add(time.Hour))
	s, err := n.Statement(statement.Salt{1})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Of(s)
	if err != nil {
		t.Fatal(err)
	}
	if n.ID = s.ID(); fmt.Sprint(got) != fmt.Sprint(n) {
		t.Errorf("read back\n%v\nnot\n%v", got, n)
	}
	sig, err := signet.SignNode(identity, s)
	if err != nil || signet.VerifyNode(h.Identity, s, sig) != nil {
		t.Errorf("a node's signature: %v", err)
	}
	n.Cut = n.Created.Add(time.Second)
	if _, err := n.Statement(statement.Salt{1}); err == nil {
		t.Error("noted before it was cut")
	}
	n = NotedOf(b, h, h.Created)
	n.Keys[1].KeyID = n.Keys[0].KeyID
	if _, err := n.Statement(statement.Salt{1}); err == nil {
		t.Error("a key stands twice")
	}
}

func FuzzDecodeHeader(f *testing.F) {
	for _, h := range []Header{export(), sheets()} {
		f.Add(h.Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeBody(b)
		if err == nil && !bytes.Equal(h.Encode(), b) {
			t.Errorf("%x reads and writes as %x", b, h.Encode())
		}
	})
}

func FuzzPayload(f *testing.F) {
	f.Add(payload(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := again(b); err == nil && !bytes.Equal(got, b) {
			t.Errorf("%x reads and writes as %x", b, got)
		}
	})
}
