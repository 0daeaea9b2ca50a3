package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/keys"
	"github.com/ostraka/ostraka/node/seal/passphrase"
)

// cheapRing opens what is made for tests.
func cheapRing() *keys.Ring {
	return keys.ByPassphrase(secret.Copy([]byte("a passphrase for tests")), rand.Reader, passphrase.TestingOnlyCost(passphrase.Cost{Time: 1, MemoryKiB: 8, Threads: 1}))
}

func cheapFolder(t *testing.T) (string, Settings) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "node")
	s := Settings{
		Operator: "acme", Entity: "Acme Ltd", Link: "127.0.0.1:7700", People: "127.0.0.1:7701", Metrics: "127.0.0.1:7702", Officers: []string{officerLine(t)},
		RPC: map[string]URLs{"eip155:1": {"https://rpc.example"}}, Presign: "hot", Limits: Limits{StoreBytes: 1 << 30},
	}
	if _, err := Init(context.Background(), dir, s, cheapRing().Open, rand.Reader, keys.Main(seal.Provider{Kind: keys.Passphrase})); err != nil {
		t.Fatal(err)
	}
	return dir, s
}

// A damaged is one way in which a file is no longer what was written.
type damaged struct {
	what string
	at   int
	b    []byte
}

// damage cuts a file at every byte, has it end in zeros or in something else, and turns every bit of it.
func damage(whole []byte) (all []damaged) {
	for i := range whole {
		all = append(all, damaged{"cut at", i, whole[:i]}, damaged{"zeros from", i, append(bytes.Clone(whole[:i]), make([]byte, len(whole)-i)...)})
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[i] ^= 1 << bit
			all = append(all, damaged{"bit", 8*i + bit, b})
		}
	}
	for i, tail := range []string{"}", "{}", string(whole), `"operator": "bolt"`, "\x00"} {
		all = append(all, damaged{"more behind it", i, append(bytes.Clone(whole), tail...)})
	}
	return all
}

// node.json is its operator's, who may write anything into it: it has no checksum, and a changed word is another word. What is no whole file of
// settings is refused by name, never read in part.
func TestTornSettings(t *testing.T) {
	dir, s := cheapFolder(t)
	path := filepath.Join(dir, settingsName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused, others := 0, 0
	for _, d := range damage(whole) {
		if err := os.WriteFile(path, d.b, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadSettings(dir)
		switch {
		case err != nil:
			if refused++; !strings.Contains(err.Error(), "settings") {
				t.Errorf("%s %d: the error does not say of what: %v", d.what, d.at, err)
			}
		case d.what == "bit" && !reflect.DeepEqual(got, s): // a word of the operator's, which is well formed
			others++
		case d.what == "bit": // an upper-case letter in a name, or another space: it says the same
		case strings.TrimSpace(string(d.b)) == strings.TrimSpace(string(whole)):
		default:
			t.Errorf("%s %d: it is read as %+v", d.what, d.at, got)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, d.b) {
			t.Fatalf("%s %d: the file was changed: %v", d.what, d.at, err)
		}
	}
	if t.Logf("%d refused, %d read as other words", refused, others); refused < 2*len(whole) || others == 0 {
		t.Error("the damage is not what was meant")
	}
}

// identity.json is this program's alone: every cut and every bit is found, by name, before or when the sealed key opens.
func TestTornIdentity(t *testing.T) {
	dir, _ := cheapFolder(t)
	path := filepath.Join(dir, identityName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	start := func() error {
		u, err := unlock(context.Background(), dir, cheapRing().Open, rand.Reader)
		if err == nil {
			u.box.Wipe()
		}
		return err
	}
	for _, d := range damage(whole) {
		if err := os.WriteFile(path, d.b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := start(); !errors.Is(err, ErrIdentity) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s %d: %v", d.what, d.at, err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, d.b) {
			t.Fatalf("%s %d: the file was changed: %v", d.what, d.at, err)
		}
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := start(); err != nil {
		t.Errorf("mended: %v", err)
	}
}

// A node whose key file, identity or settings are damaged, or gone, ends before it opens its store; nothing is made anew in their place.
func TestDamagedFilesStartNoNode(t *testing.T) {
	dir, _ := cheapFolder(t)
	run := func() error {
		return Run(t.Context(), dir, cheapRing(), slog.New(slog.DiscardHandler), Ready(func(Addresses) { t.Error("the node runs") }))
	}
	for name, says := range map[string]string{settingsName: settingsName, keyFileName: keyFileName, identityName: identityName} {
		path := filepath.Join(dir, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for what, b := range map[string][]byte{"empty": {}, "half": whole[:len(whole)/2], "gone": nil} {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if b != nil {
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := run(); err == nil || !strings.Contains(err.Error(), says) && !(name == settingsName && strings.Contains(err.Error(), dir+" holds no node")) {
				t.Errorf("%s is %s: %v", name, what, err)
			}
			if _, err := Init(context.Background(), dir, Settings{Operator: "acme", Entity: "A", Link: "h:1", People: "h:2", Officers: []string{officerLine(t)}}, cheapRing().Open, rand.Reader,
				keys.Main(seal.Provider{Kind: keys.Passphrase})); err == nil {
				t.Errorf("%s is %s: a node is made over it", name, what)
			}
			if after, err := os.ReadFile(path); b == nil && err == nil || b != nil && !bytes.Equal(after, b) {
				t.Errorf("%s is %s: it was changed: %v", name, what, err)
			}
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
