//go:build nightly

package transit

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/internal/components"
	"github.com/ostraka/ostraka/node/seal"
)

// engine is Vault's own transit engine in a process of its own.
type engine struct {
	t   *testing.T
	url string
}

func startEngine(t *testing.T) *engine {
	t.Helper()
	path, err := components.TransitEngine.Find()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-token", token, "-admin", "hvs.admin")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return &engine{t, strings.TrimSpace(line)}
}

// admin does what the server's operators do.
func (e *engine) admin(path, body string) {
	e.t.Helper()
	req, err := http.NewRequest(http.MethodPost, e.url+"/v1/"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", "hvs.admin")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		e.t.Fatalf("%s: status %d", path, res.StatusCode)
	}
}

// The real engine says what our own server of tests says.
func TestRealEngine(t *testing.T) {
	e := startEngine(t)
	for _, kind := range []string{"aes256-gcm96", "chacha20-poly1305", "rsa-2048"} {
		e.admin("transit/keys/"+kind, `{"type":"`+kind+`"}`)
	}
	config := func(key string) Config { return Config{URL: e.url, Mount: "transit", Key: key} }
	for _, kind := range []string{"aes256-gcm96", "chacha20-poly1305"} {
		k := kek(t, config(kind), token)
		wrapped, err := k.Wrap(ctx, dek, label)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Unwrap(ctx, wrapped, label); err != nil || !got.Equal(dek) {
			t.Errorf("%s: %v", kind, err)
		}
		other := label
		other.Operator = []byte("oq")
		if _, err := k.Unwrap(ctx, wrapped, other); !errors.Is(err, ErrRefused) && !errors.Is(err, seal.ErrSealed) {
			t.Errorf("%s: another label: %v", kind, err)
		}
		bad := bytes.Clone(wrapped)
		bad[len(bad)-8] ^= 1
		if _, err := k.Unwrap(ctx, bad, label); err == nil {
			t.Errorf("%s: a changed ciphertext opens", kind)
		}
	}
	if _, err := kek(t, config("rsa-2048"), token).Wrap(ctx, dek, label); err == nil || !strings.Contains(err.Error(), "aes256-gcm96") {
		t.Errorf("a key without associated data: %v", err)
	}
	if _, err := kek(t, config("misspelt"), token).Wrap(ctx, dek, label); !errors.Is(err, ErrDenied) {
		t.Errorf("a key that is not there, without the right to create: %v", err)
	}
	k := kek(t, config("aes256-gcm96"), token)
	wrapped, err := k.Wrap(ctx, dek, label)
	if err != nil {
		t.Fatal(err)
	}
	wants := func(what string, k *KEK, want error) {
		t.Helper()
		if _, err := k.Unwrap(ctx, wrapped, label); !errors.Is(err, want) || err != nil && strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	wants("a key that is not there", kek(t, config("none"), token), ErrNoKey)
	wants("another key", kek(t, config("chacha20-poly1305"), token), ErrRefused)
	wants("wrong token", kek(t, config("aes256-gcm96"), "hvs.wrong"), ErrDenied)
	wants("no such mount", kek(t, Config{URL: e.url, Mount: "elsewhere", Key: "aes256-gcm96"}, token), ErrNoKey)
	e.admin("sys/seal", "")
	wants("sealed", k, ErrLocked)
	e.admin("sys/unseal", "")
	e.admin("transit/keys/aes256-gcm96/rotate", "")
	wants("after a rotation", k, nil)
	renewed, err := k.Wrap(ctx, dek, label)
	if err != nil || !strings.Contains(string(renewed), "vault:v2:") {
		t.Errorf("wrapped anew: %v", err)
	}
	e.admin("transit/keys/aes256-gcm96/config", `{"min_decryption_version":2}`)
	wants("an old version", k, ErrVersion)
	wrapped = renewed
	wants("the newer one", k, nil)
}
