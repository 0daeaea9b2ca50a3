package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/keys"
	"github.com/ostraka/ostraka/node/seal/passphrase"
)

// What is refused before anything is moved; the move itself is node's TestMigrateStore.
func TestMigrateStoreRefuses(t *testing.T) {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	officer, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "node")
	s := node.Settings{
		Operator: "acme", Entity: "Acme Ltd", Link: "127.0.0.1:7700", People: "127.0.0.1:7701", Officers: []string{strings.TrimSpace(string(ssh.MarshalAuthorizedKey(officer)))},
	}
	cheap := passphrase.TestingOnlyCost(passphrase.Cost{Time: 1, MemoryKiB: 8, Threads: 1})
	ring := keys.ByPassphrase(secret.Copy([]byte("correct horse")), rand.Reader, cheap)
	if _, err := node.Init(t.Context(), dir, s, ring.Open, rand.Reader, keys.Main(seal.Provider{Kind: keys.Passphrase})); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, codeUsage, `--to: "" is not etcd or bolt`},
		{[]string{"--to", "postgres"}, codeUsage, "is not etcd or bolt"},
		{[]string{"--to", "etcd"}, codeUsage, "give --endpoints"},
		{[]string{"--to", "etcd", "--endpoints", "https://store.example:2379"}, codeError, "want a file"},
		{[]string{"--to", "etcd", "--endpoints", "http://store.example:2379"}, codeError, "plain http"},
		{[]string{"--to", "etcd", "--endpoints", "http://127.0.0.1:1", "--ttl", "soon"}, codeError, "ttl"},
		{[]string{"--to", "etcd", "--endpoints", "http://127.0.0.1:1", "--reach-link", "0.0.0.0:7700"}, codeError, `link: "0.0.0.0:7700" leads no other replica here: give the host:port at which others reach it, --reach-link`},
		{[]string{"--to", "bolt"}, codeError, "in the data folder already"},
	} {
		code, _, errs := try(append([]string{"node", "migrate-store", "--dir", dir}, c.args...)...)
		if code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("%q: %d %s, want %d and %q", c.args, code, errs, c.code, c.says)
		}
	}
}
