package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	filippo "filippo.io/age"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/passphrase"
	"github.com/ostraka/ostraka/node/seal/pkcs11"
	"github.com/ostraka/ostraka/node/seal/pkcs11/pkcs11test"
	"github.com/ostraka/ostraka/node/seal/transit/transittest"
)

var (
	ctx   = context.Background()
	label = seal.Label{Row: "node"}
)

func TestMain(m *testing.M) {
	code := m.Run()
	pkcs11test.Clean()
	os.Exit(code)
}

// having gives these secrets, and counts what was asked for.
type having struct {
	has   map[Secret]string
	asked map[Secret]int
}

func (h *having) ask(_ context.Context, n Need) (secret.Bytes, error) {
	if h.asked == nil {
		h.asked = map[Secret]int{}
	}
	h.asked[n.Secret]++
	text, ok := h.has[n.Secret]
	if !ok {
		return secret.Bytes{}, seal.ErrNoSecret
	}
	return secret.Copy([]byte(text)), nil
}

func (h *having) ring(hsm string) *Ring {
	return &Ring{Ask: h.ask, Rand: rand.Reader, HSM: hsm, Cost: []passphrase.Option{passphrase.TestingOnlyCost(passphrase.Cost{Time: 1, MemoryKiB: 8, Threads: 1})}}
}

func parse(t *testing.T, text string) seal.Provider {
	t.Helper()
	p, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Every kind opens what it wrapped; together each is needed; as alternatives any one does.
func TestEveryKind(t *testing.T) {
	x := pkcs11test.New(t, "op 1")
	hsm := pkcs11test.Helper(t)
	v := transittest.Start(t, false)
	v.Key("ostraka", "aes256-gcm96")
	v.Token("hvs.token", "encrypt/ostraka", "decrypt/ostraka")
	id, err := filippo.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "recipients")
	if err := os.WriteFile(to, []byte("# acme's safe\n"+id.Recipient().String()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	words := parse(t, "passphrase")
	token := parse(t, "pkcs11:token=op%201;object=ostraka?module-path="+x.Module)
	both := Main(words, token)
	paper := seal.Slot{Name: "paper", Providers: []seal.Provider{parse(t, "age:"+to)}}
	vault := seal.Slot{Name: "vault", Providers: []seal.Provider{parse(t, "transit:"+v.URL+"#ostraka")}}
	all := map[Secret]string{Words: "correct horse", PIN: pkcs11test.PIN, Identity: id.String(), Token: "hvs.token"}
	path := filepath.Join(t.TempDir(), "key.json")
	create := (&having{has: all}).ring(hsm)
	create.Make = true
	box, err := seal.CreateFile(ctx, path, label, create.Open, rand.Reader, both, paper, vault)
	if err := errors.Join(err, create.Close()); err != nil {
		t.Fatal(err)
	}
	want := box.DataKey()
	for _, c := range []struct {
		name string
		has  map[Secret]string
		only string
		slot string // which opens; empty: none
		says error
	}{
		{"everything", all, "", "main", nil},
		{"by the paper alone", all, "paper", "paper", nil},
		{"by the vault alone", all, "vault", "vault", nil},
		{"by a slot that is not there", all, "tpm", "", seal.ErrPassed},
		{"passphrase and token", map[Secret]string{Words: "correct horse", PIN: pkcs11test.PIN}, "", "main", nil},
		{"no PIN", map[Secret]string{Words: "correct horse", Identity: id.String()}, "", "paper", nil},
		{"token alone", map[Secret]string{PIN: pkcs11test.PIN}, "", "", seal.ErrNoSecret},
		{"wrong passphrase", map[Secret]string{Words: "wrong", PIN: pkcs11test.PIN}, "", "", passphrase.ErrPassphrase},
		{"wrong PIN", map[Secret]string{Words: "correct horse", PIN: "0000"}, "", "", &pkcs11.Error{Code: pkcs11.WrongPIN}},
		{"an empty passphrase", map[Secret]string{Words: ""}, "main", "", nil},
		{"nothing", nil, "", "", seal.ErrNoSecret},
	} {
		r := (&having{has: c.has}).ring(hsm)
		r.Only = c.only
		box, slot, err := seal.OpenFile(ctx, path, label, r.Open, rand.Reader)
		if slot != c.slot || (err == nil) != (c.slot != "") || c.says != nil && !errors.Is(err, c.says) {
			t.Errorf("%s: slot %q, %v", c.name, slot, err)
		}
		if err == nil {
			if dek := box.DataKey(); !dek.Equal(want) {
				t.Errorf("%s: another data key", c.name)
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Two slots name the same token: a wrong PIN is tried once, not once for each.
func TestOnePIN(t *testing.T) {
	x := pkcs11test.New(t, "op1")
	h := &having{has: map[Secret]string{PIN: "0000"}}
	r := h.ring(pkcs11test.Helper(t))
	p := parse(t, "pkcs11:token=op1;object=ostraka?module-path="+x.Module)
	for i, want := range []error{&pkcs11.Error{Code: pkcs11.WrongPIN}, seal.ErrNoSecret, seal.ErrNoSecret} {
		if _, err := r.Open(ctx, fmt.Sprint("slot", i), p); !errors.Is(err, want) {
			t.Errorf("try %d: %v, want %v", i+1, err, want)
		}
	}
	if h.asked[PIN] != 1 {
		t.Errorf("asked for the PIN %d times", h.asked[PIN])
	}
}

func TestParse(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	id, err := filippo.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"passphrase": "passphrase",
		"age:" + file("to", id.Recipient().String()):                            "age (recipients " + id.Recipient().String() + ")",
		"transit:https://vault.example:8200#ostraka":                            "transit (key ostraka, mount transit, url https://vault.example:8200)",
		"transit:https://v:1/a/b?namespace=ns/x&ca=/etc/ca.pem#k-1":             "transit (ca /etc/ca.pem, key k-1, mount a/b, namespace ns/x, url https://v:1)",
		"pkcs11:token=op%20%3b1;object=ostraka?module-path=/usr/lib/softhsm.so": "pkcs11 (key ostraka, module /usr/lib/softhsm.so, token op ;1)",
		"pkcs11:object=k;token=t?module-path=/l.so":                             "pkcs11 (key k, module /l.so, token t)",
	} {
		if p := parse(t, text); p.String() != want {
			t.Errorf("%s is %s, want %s", text, p, want)
		}
	}
	for text, want := range map[string]string{
		"": "names no key provider", "passphrase:x": "names no key provider", "age": "names no key provider", "hsm:x": "names no key provider",
		"age:" + dir + "/none": "no such file", "age:" + file("private", id.String()): "private key", "age:" + file("empty", "# none\n"): "0 recipients", "age:" + file("long", strings.Repeat("#", maxRecipients+1)): "more than",
		"transit:https://v:1": "#KEY", "transit:http://v:1#k": "in the open", "transit:https://v:1?x=y#k": "once each", "transit:https://v:1?ca=a&ca=b#k": "once each", "transit:https://u:p@v:1#k": "nothing else",
		"pkcs11:token=t;object=k":                                  "each once",
		"pkcs11:token=t;object=k?module-path=lib.so":               "absolute path",
		"pkcs11:token=t;object=k?module-path=/l.so&pin-value=1234": "--pin-file",
		"pkcs11:token=t;token=u?module-path=/l.so":                 "each once",
		"pkcs11:token=t;slot-id=1?module-path=/l.so":               "each once",
		"pkcs11:token=%zz;object=k?module-path=/l.so":              "token",
	} {
		if p, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), id.String()) || strings.Contains(err.Error(), "1234") {
			t.Errorf("%s is %s, %v; want %q", text, p, err, want)
		}
	}
}

// A key file may say anything: what a kind does not take is refused before any secret is asked for.
func TestForeignParameters(t *testing.T) {
	h := &having{has: map[Secret]string{Words: "x", PIN: "x", Identity: "x", Token: "x"}}
	r := h.ring("/nowhere")
	for _, p := range []seal.Provider{
		{Kind: "passphrase", Params: map[string]string{"hint": "horse"}}, {Kind: "age"}, {Kind: "age", Params: map[string]string{"recipients": "age1"}},
		{Kind: "transit"}, {Kind: "transit", Params: map[string]string{"url": "https://v", "mount": "t", "key": "k", "proxy": "x"}},
		{Kind: "pkcs11", Params: map[string]string{"module": "l.so", "token": "t", "key": "k"}}, {Kind: "pkcs11", Params: map[string]string{"module": "/l.so", "token": "t", "key": "k", "pin": "1"}},
		{Kind: "cloud"},
	} {
		if _, err := r.Open(ctx, "main", p); err == nil {
			t.Errorf("%s opens", p)
		}
	}
	if len(h.asked) > 0 {
		t.Errorf("asked for %v", h.asked)
	}
}
