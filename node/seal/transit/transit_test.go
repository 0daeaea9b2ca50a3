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
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/transit/transittest"
)

var (
	ctx   = context.Background()
	label = seal.Label{Operator: []byte("op"), Row: "data-key"}
	dek   = secret.Copy(bytes.Repeat([]byte{0xA7}, seal.KeySize))
)

const token = "hvs.CAESIJ-a-token-of-tests"

// The tests' own program asks, as the node's does.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == Argument {
		if err := Serve(ctx, os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func given(text string) func(context.Context) (secret.Bytes, error) {
	return func(context.Context) (secret.Bytes, error) { return secret.Copy([]byte(text)), nil }
}

func kek(t testing.TB, c Config, token string) *KEK {
	t.Helper()
	k, err := New(c, given(token), os.Args[0])
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
	if _, err := New(c, given(token), ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no CA file: %v", err)
	}
	if err := os.WriteFile(c.CA, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(c, given(token), ""); err == nil || !strings.Contains(err.Error(), "no certificate") {
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
	wrapped, err := encode("vault:v1:AAAAAAAAAAAAAAAAAAAAAAAA")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		status int
		body   string
		want   string // of a wrap; with a slash, behind it of an unwrap
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
		"overloaded":        {503, `{"errors":["too many requests"]}`, "status 503; what it says is not shown/status 503: too many"},
		"gateway":           {502, "<html>", "status 502"},
		"escapes and token": {400, `{"errors":["\u001b[2J your token ` + token + ` is bad"]}`, "(status 400; what it says is not shown/[2J your token [secret] is bad"},
	} {
		h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c.status == http.StatusTemporaryRedirect {
				w.Header().Set("Location", c.body)
			}
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
		}))
		k := kek(t, Config{URL: h.URL, Mount: "transit", Key: "ostraka"}, token)
		_, err := k.Wrap(ctx, dek, label)
		want, opened, both := strings.Cut(c.want, "/")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		if both {
			if _, err := k.Unwrap(ctx, wrapped, label); err == nil || !strings.Contains(err.Error(), opened) || strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("%s, to open: %v, want %q", name, err, opened)
			}
		}
		h.Close()
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

// A server that quotes what it was sent, whole, in part or in another form, gets nothing of the data key into an error.
func TestDataKeyIsNotQuoted(t *testing.T) {
	for _, status := range []int{400, 403, 404, 500, 503} {
		for _, quote := range []string{"%s", "bad field plaintext: %s", "associated_data after %s", "disallowed by policy: %s", "encryption key not found: %s", "sealed: %s", "%.40s", "%x", "%q"} {
			var plain string
			h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var in map[string]string
				_ = json.NewDecoder(r.Body).Decode(&in)
				plain = in["plaintext"]
				b, _ := json.Marshal(map[string][]string{"errors": {fmt.Sprintf(quote, plain)}})
				w.WriteHeader(status)
				_, _ = w.Write(b)
			}))
			_, err := kek(t, Config{URL: h.URL, Mount: "transit", Key: "ostraka"}, token).Wrap(ctx, dek, label)
			h.Close()
			if err == nil || len(plain) < 100 || !strings.Contains(err.Error(), "is not shown") {
				t.Errorf("%d %s: %v", status, quote, err)
				continue
			}
			said := err.Error()[strings.Index(err.Error(), h.URL)+len(h.URL):]
			for _, form := range []string{plain, fmt.Sprintf("%x", plain)} {
				for i := 0; i+12 <= len(form); i += 4 {
					if strings.Contains(said, form[i:i+12]) {
						t.Fatalf("%d %s: the data key stands in the error: %v", status, quote, err)
					}
				}
			}
		}
	}
}

// What a server decrypts is a data key of this form and length, or nothing: through the whole answer, as its decoder is fuzzed.
func TestOddPlaintexts(t *testing.T) {
	data, h, err := bind(label)
	if err != nil || len(data) == 0 {
		t.Fatal(err)
	}
	good := encodePlain(dek, h).Expose()
	form := func(version uint64, label, key []byte) []byte {
		var e transcript.Encoder
		return e.Uint(tagPlainVersion, version).Bytes(tagPlainLabel, label).Bytes(tagPlainKey, key).Sum()
	}
	wrapped, err := encode("vault:v1:AAAAAAAAAAAAAAAAAAAAAAAA")
	if err != nil {
		t.Fatal(err)
	}
	key := dek.Expose()
	for name, c := range map[string]struct {
		plain []byte // nil: text as it is
		text  string
		want  string
	}{
		"good":                {plain: good},
		"another version":     {form(2, h[:], key), "", "no data key of this form"},
		"version 0":           {form(0, h[:], key), "", "no data key of this form"},
		"31 bytes":            {form(1, h[:], key[:31]), "", "no data key of this form"},
		"33 bytes":            {form(1, h[:], append(bytes.Clone(key), 0)), "", "no data key of this form"},
		"no key":              {form(1, h[:], nil), "", "no data key of this form"},
		"a shorter label":     {form(1, h[:31], key), "", "no data key of this form"},
		"the key alone":       {key, "", "no data key of this form"},
		"a byte less":         {good[:len(good)-1], "", "no data key of this form"},
		"a byte more":         {append(bytes.Clone(good), 0), "", "no data key of this form"},
		"another label":       {form(1, make([]byte, 32), key), "", "under another label"},
		"no base64":           {nil, "not base64!", "no base64"},
		"base64 of no length": {nil, "A", "no base64"},
		"loose base64":        {nil, base64.StdEncoding.EncodeToString(good) + "\n", ""}, // a line's end says nothing
		"nothing":             {nil, "", "no plaintext"},
		"too long":            {nil, strings.Repeat("A", maxCiphertext+4), "no plaintext"},
	} {
		text := c.text
		if c.plain != nil {
			text = base64.StdEncoding.EncodeToString(c.plain)
		}
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]string{"plaintext": text}})
		}))
		got, err := kek(t, Config{URL: s.URL, Mount: "transit", Key: "ostraka"}, token).Unwrap(ctx, wrapped, label)
		s.Close()
		if c.want == "" && (err != nil || !got.Equal(dek)) || c.want != "" && (err == nil || got.Len() != 0 || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %d bytes, %v, want %q", name, got.Len(), err, c.want)
		}
	}
}

// A server that sends its answer a byte at a time holds nobody longer than a request may take.
func TestSlowAnswer(t *testing.T) {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := fmt.Fprint(w, " "); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	}))
	defer h.Close()
	c := Config{URL: h.URL, Mount: "transit", Key: "ostraka"}
	client, err := client(c)
	if err != nil || client.Timeout != Timeout || patience <= Timeout {
		t.Errorf("a request may take %s, %v, the process that makes it %s", client.Timeout, err, patience)
	}
	itself, err := New(c, given(token), "")
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]*KEK{"apart": kek(t, c, token), "itself": itself} {
		soon, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		if _, err := k.Wrap(soon, dek, label); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
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
		for _, verb := range []string{verbEncrypt, verbDecrypt} {
			err = classify(verb, status, in, secret.Copy([]byte(token)))
			if err == nil || len(err.Error()) > 600 || strings.Contains(err.Error(), token) {
				t.Errorf("%v", err)
			}
			for _, r := range err.Error() {
				if r < ' ' || r == 0x7f {
					t.Errorf("a control character in %q", err)
				}
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
