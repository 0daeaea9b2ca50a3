package transit

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/transit/transittest"
)

var (
	ctx   = context.Background()
	label = seal.Label{Operator: []byte("op"), Row: "data-key"}
	dek   = secret.Copy(bytes.Repeat([]byte{0xA7}, seal.KeySize))
)

const token = "hvs.CAESIJ-a-token-of-tests"

func given(text string) func(context.Context) (secret.Bytes, error) {
	return func(context.Context) (secret.Bytes, error) { return secret.Copy([]byte(text)), nil }
}

func kek(t testing.TB, c Config, token string) *KEK {
	t.Helper()
	k, err := New(c, given(token))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// vault is a server with a key and a token.
func vault(t testing.TB) (*transittest.Server, Config) {
	s := transittest.Start(t, false)
	s.Key("ostraka", "aes256-gcm96")
	s.Token(token, "encrypt/ostraka", "decrypt/ostraka")
	return s, Config{URL: s.URL, Mount: "transit", Key: "ostraka"}
}

func TestWrapUnwrap(t *testing.T) {
	s, c := vault(t)
	k := kek(t, c, token)
	wrapped, err := k.Wrap(ctx, dek, label)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Unwrap(ctx, wrapped, label); err != nil || !got.Equal(dek) {
		t.Errorf("unwrap: %v", err)
	}
	other := label
	other.Operator = []byte("oq")
	if _, err := k.Unwrap(ctx, wrapped, other); !errors.Is(err, ErrRefused) {
		t.Errorf("another label: %v", err)
	}
	for i := range wrapped {
		bad := bytes.Clone(wrapped)
		bad[i] ^= 1
		if _, err := k.Unwrap(ctx, bad, label); err == nil {
			t.Errorf("byte %d changed and it opens", i)
		}
	}
	// Rotation: what an older version wrapped opens until the server's own bound, and what is wrapped anew has the newer one.
	s.Rotate("ostraka", 1)
	if got, err := k.Unwrap(ctx, wrapped, label); err != nil || !got.Equal(dek) {
		t.Errorf("after a rotation: %v", err)
	}
	renewed, err := k.Wrap(ctx, dek, label)
	if err != nil || !strings.Contains(string(renewed), "vault:v2:") {
		t.Errorf("wrapped anew: %q, %v", renewed, err)
	}
	s.Rotate("ostraka", 2)
	if _, err := k.Unwrap(ctx, wrapped, label); !errors.Is(err, ErrVersion) {
		t.Errorf("an old version: %v", err)
	}
	if _, err := k.Unwrap(ctx, renewed, label); err != nil {
		t.Errorf("the newer one: %v", err)
	}
	s.Namespace("custody/prod")
	if _, err := k.Unwrap(ctx, renewed, label); !errors.Is(err, ErrNoKey) {
		t.Errorf("without its namespace: %v", err)
	}
	c.Namespace = "custody/prod"
	if _, err := kek(t, c, token).Unwrap(ctx, renewed, label); err != nil {
		t.Errorf("with its namespace: %v", err)
	}
}

// Wrong, missing and locked: each says what it is, and none shows the token.
func TestWrongMissingLocked(t *testing.T) {
	s, c := vault(t)
	s.Key("rsa", "rsa-2048")
	s.Token("reader", "decrypt/ostraka")
	s.Token("all", "encrypt/ostraka", "decrypt/ostraka", "encrypt/none", "decrypt/none", "encrypt/rsa", "encrypt/ostraka")
	wrapped, err := kek(t, c, token).Wrap(ctx, dek, label)
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(*Config)) Config { x := c; f(&x); return x }
	open := func(k *KEK) error { _, err := k.Unwrap(ctx, wrapped, label); return err }
	wrap := func(k *KEK) error { _, err := k.Wrap(ctx, dek, label); return err }
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String()
	closed.Close()
	for _, x := range []struct {
		name, token string
		c           Config
		do          func(*KEK) error
		want        error
	}{
		{"wrong token", "hvs.wrong-token-of-tests", c, open, ErrDenied},
		{"policy without encrypt", "reader", c, wrap, ErrDenied},
		{"no such key", "all", change(func(c *Config) { c.Key = "none" }), wrap, ErrNoKey},
		{"no such key to decrypt", "all", change(func(c *Config) { c.Key = "none" }), open, ErrNoKey},
		{"no such mount", "all", change(func(c *Config) { c.Mount = "elsewhere" }), open, ErrNoKey},
		{"nobody listens", token, change(func(c *Config) { c.URL = nobody }), open, ErrUnreachable},
	} {
		if err := x.do(kek(t, x.c, x.token)); !errors.Is(err, x.want) || strings.Contains(err.Error(), x.token) {
			t.Errorf("%s: %v, want %v", x.name, err, x.want)
		}
	}
	if err := wrap(kek(t, change(func(c *Config) { c.Key = "rsa" }), "all")); err == nil || !strings.Contains(err.Error(), "aes256-gcm96") {
		t.Errorf("a key without associated data: %v", err)
	}
	s.Seal(true)
	if err := open(kek(t, c, token)); !errors.Is(err, ErrLocked) {
		t.Errorf("sealed: %v", err)
	}
	s.Seal(false)
	s.Key("ostraka", "aes256-gcm96") // another key of the same name
	if err := open(kek(t, c, token)); !errors.Is(err, ErrRefused) {
		t.Errorf("another key: %v", err)
	}
	if len(s.Seen()) == 0 {
		t.Error("nothing was asked")
	}
	for _, bad := range []string{"", "two\nlines", "t\u00f6ken", strings.Repeat("x", maxToken+1)} {
		if err := open(kek(t, c, bad)); err == nil || !strings.Contains(err.Error(), "not one line") || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("token %.20q: %v", bad, err)
		}
	}
}

func TestTLS(t *testing.T) {
	s := transittest.Start(t, true)
	s.Key("ostraka", "aes256-gcm96")
	s.Token(token, "encrypt/ostraka", "decrypt/ostraka")
	c := Config{URL: s.URL, Mount: "transit", Key: "ostraka"}
	if _, err := kek(t, c, token).Wrap(ctx, dek, label); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown certificate: %v", err)
	}
	if len(s.Seen()) > 0 {
		t.Error("the token went to a server that proved nothing")
	}
	c.CA = filepath.Join(t.TempDir(), "ca.pem")
	if _, err := New(c, given(token)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no CA file: %v", err)
	}
	if err := os.WriteFile(c.CA, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(c, given(token)); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("an empty CA file: %v", err)
	}
	if err := os.WriteFile(c.CA, s.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := kek(t, c, token).Wrap(ctx, dek, label); err != nil {
		t.Errorf("with its CA: %v", err)
	}
}

// No environment variable, no redirect and no answer leads the token elsewhere, or the program to take what it did not ask for.
func TestStrangeServers(t *testing.T) {
	var elsewhere int
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	t.Setenv("HTTP_PROXY", other.URL)
	t.Setenv("HTTPS_PROXY", other.URL)
	t.Setenv("VAULT_ADDR", other.URL)
	for name, c := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"redirect":          {307, other.URL, "redirect"},
		"empty":             {200, "", "no JSON"},
		"null":              {200, "null", "no ciphertext"},
		"no data":           {200, `{"data":null}`, "no ciphertext"},
		"number":            {200, `{"data":{"ciphertext":7}}`, "no ciphertext"},
		"other form":        {200, `{"data":{"ciphertext":"age:v1:AAAAAAAAAAAAAAAAAAAAAAAA"}}`, "form vault:vN"},
		"two lines":         {200, `{"data":{"ciphertext":"vault:v1:AAAAAAAAAAAAAAAAAAAAAAAA\nx"}}`, "form vault:vN"},
		"long":              {200, `{"data":{"ciphertext":"` + strings.Repeat("A", maxCiphertext+1) + `"}}`, "no ciphertext"},
		"endless":           {200, strings.Repeat("A", maxAnswer+1), "more than"},
		"overloaded":        {503, `{"errors":["too many requests"]}`, "status 503: too many"},
		"gateway":           {502, "<html>", "status 502"},
		"escapes and token": {400, `{"errors":["\u001b[2J your token ` + token + ` is bad"]}`, "[2J your token [secret] is bad"},
	} {
		h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c.status == http.StatusTemporaryRedirect {
				w.Header().Set("Location", c.body)
			}
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
		}))
		_, err := kek(t, Config{URL: h.URL, Mount: "transit", Key: "ostraka"}, token).Wrap(ctx, dek, label)
		h.Close()
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if elsewhere > 0 {
		t.Errorf("%d requests went elsewhere", elsewhere)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := kek(t, Config{URL: "http://" + silent.Addr().String(), Mount: "transit", Key: "ostraka"}, token).Wrap(soon, dek, label); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a server that does not answer: %v", err)
	}
}

// A server that ignores associated data would give back another folder's data key: the plaintext says whose it is.
func TestLabelInPlaintext(t *testing.T) {
	forgetful := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in map[string]string
		_ = json.NewDecoder(r.Body).Decode(&in)
		if plain, ok := in["plaintext"]; ok {
			fmt.Fprintf(w, `{"data":{"ciphertext":"vault:v1:%s"}}`, plain)
			return
		}
		fmt.Fprintf(w, `{"data":{"plaintext":%q}}`, strings.TrimPrefix(in["ciphertext"], "vault:v1:"))
	}))
	defer forgetful.Close()
	k := kek(t, Config{URL: forgetful.URL, Mount: "transit", Key: "ostraka"}, token)
	wrapped, err := k.Wrap(ctx, dek, label)
	if err != nil {
		t.Fatal(err)
	}
	other := label
	other.Row = "other"
	if _, err := k.Unwrap(ctx, wrapped, other); !errors.Is(err, seal.ErrSealed) {
		t.Errorf("another label: %v", err)
	}
	if got, err := k.Unwrap(ctx, wrapped, label); err != nil || !got.Equal(dek) {
		t.Errorf("its own: %v", err)
	}
}

func TestConfig(t *testing.T) {
	good := Config{URL: "https://vault.example:8200", Mount: "custody/transit", Key: "ostraka-1", Namespace: "a/b", CA: "/etc/ca.pem"}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"http://127.0.0.1:8200", "http://[::1]:8200", "http://localhost:8200"} {
		if err := (Config{URL: url, Mount: "t", Key: "k"}).Check(); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	change := func(f func(*Config)) Config { x := good; f(&x); return x }
	for name, c := range map[string]Config{
		"no url":          change(func(c *Config) { c.URL = "" }),
		"in the open":     change(func(c *Config) { c.URL, c.CA = "http://vault.example:8200", "" }),
		"other scheme":    change(func(c *Config) { c.URL = "unix:///run/vault" }),
		"password":        change(func(c *Config) { c.URL = "https://u:p@vault.example" }),
		"path":            change(func(c *Config) { c.URL = "https://vault.example/x" }),
		"query":           change(func(c *Config) { c.URL = "https://vault.example?x=y" }),
		"no mount":        change(func(c *Config) { c.Mount = "" }),
		"mount climbs":    change(func(c *Config) { c.Mount = "transit/../sys" }),
		"key climbs":      change(func(c *Config) { c.Key = "../sys" }),
		"key with slash":  change(func(c *Config) { c.Key = "a/b" }),
		"namespace":       change(func(c *Config) { c.Namespace = "a//b" }),
		"CA without TLS":  change(func(c *Config) { c.URL = "http://127.0.0.1:1" }),
		"namespace lines": change(func(c *Config) { c.Namespace = "a\r\nX-Evil: 1" }),
	} {
		if err := c.Check(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestRedaction(t *testing.T) {
	_, c := vault(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if out := fmt.Sprintf(verb, kek(t, c, token)); out != secret.Redacted {
			t.Errorf("%s: %s", verb, out)
		}
	}
}

func FuzzWrapped(f *testing.F) {
	good, err := encode("vault:v1:" + base64.StdEncoding.EncodeToString(make([]byte, 40)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:12])
	f.Fuzz(func(t *testing.T, in []byte) {
		text, err := decode(in)
		if err != nil {
			return
		}
		if out, err := encode(text); err != nil || !bytes.Equal(out, in) {
			t.Errorf("decode then encode changed %x (%v)", in, err)
		}
	})
}

// Whatever a server answers, it gives one text of bounded length or an error of bounded length.
func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{"data":{"ciphertext":"vault:v1:AAAA"}}`))
	f.Add(400, []byte(`{"errors":["encryption key not found"]}`))
	f.Add(503, []byte(`{"errors":["Vault is sealed"]}`))
	f.Fuzz(func(t *testing.T, status int, in []byte) {
		text, err := parse(in, "ciphertext")
		if err == nil && (text.Len() == 0 || text.Len() > maxCiphertext) {
			t.Errorf("%d bytes", text.Len())
		}
		err = classify(status, in, secret.Copy([]byte(token)))
		if err == nil || len(err.Error()) > 600 || strings.Contains(err.Error(), token) {
			t.Errorf("%v", err)
		}
		for _, r := range err.Error() {
			if r < ' ' || r == 0x7f {
				t.Errorf("a control character in %q", err)
			}
		}
	})
}

func FuzzPlain(f *testing.F) {
	_, h, err := bind(label)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encodePlain(dek, h).Expose())
	f.Fuzz(func(t *testing.T, in []byte) {
		if got, err := decodePlain(in, h); err == nil && !bytes.Equal(encodePlain(got, h).Expose(), in) {
			t.Errorf("decode then encode changed %x", in)
		}
	})
}
