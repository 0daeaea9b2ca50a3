package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/signet/signettest"
	"github.com/ostraka/ostraka/custody/statement"
)

func keyOf(t *testing.T, line string) signet.Key {
	t.Helper()
	k, err := signet.ParseKey(line)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestPasskeyOf(t *testing.T) {
	away := signettest.NewPasskey(statement.Passkey256, "away")
	away.RPID, away.Origin = "vault.example", "https://vault.example"
	own := keyOf(t, signettest.NewWallet("carol").Line())
	here, second := keyOf(t, signettest.NewPasskey(statement.Passkey256, "here").Line()), keyOf(t, signettest.NewPasskey(statement.Passkey25519, "second").Line())
	one := &client.Case{}
	one.Vault.Name = "treasury"
	for _, x := range []struct {
		name string
		keys []signet.Key
		code int
	}{
		{"one", []signet.Key{own, keyOf(t, away.Line()), here}, codeDone},
		{"none of this machine", []signet.Key{own, keyOf(t, away.Line())}, codeRefused},
		{"two", []signet.Key{own, here, second}, codeUsage},
		{"a stranger", []signet.Key{here}, codeRefused},
	} {
		one.Vault.Approvers = []charter.Person{{Name: "carol", Keys: x.keys}}
		got, err := passkeyOf(one, own)
		var p *problem
		if x.code == codeDone && (err != nil || !got.Equal(here)) || x.code != codeDone && (!errors.As(err, &p) || p.Code != x.code) {
			t.Errorf("%s: %s, %v", x.name, got, err)
		}
	}
}

// A file with a passkey's line signs on a page, at the line's origin alone; a wallet's signs nowhere.
func TestKeyFilesOfOtherKinds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	signer := func(line string) (*client.Signer, error) {
		if err := os.WriteFile(file, []byte(line+" carol\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		a := &app{key: file, err: &bytes.Buffer{}, noBrowser: true}
		t.Cleanup(a.closePages)
		return a.signer(t.Context())
	}
	var p *problem
	if _, err := signer(signettest.NewWallet("carol").Line()); err == nil || !strings.Contains(explain(err).Next, "--wallet-signature") {
		t.Errorf("a wallet: %v", err)
	}
	away := signettest.NewPasskey(statement.Passkey256, "away")
	away.RPID, away.Origin = "vault.example", "https://vault.example"
	s, err := signer(away.Line())
	if err != nil || s.Key().String() != away.Line() {
		t.Fatalf("a passkey: %v", err)
	}
	text, err := charter.Hello{Roster: statement.ID{1}, Identity: make([]byte, 32), Challenge: [32]byte{2}, Person: s.Key(), Created: client.Now()}.Statement(statement.Salt{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign(t.Context(), signet.Makes(statement.Hello), text.Bytes()); !errors.As(err, &p) || !strings.Contains(p.Next, "ostraka person passkey") {
		t.Errorf("an operator's site: %v", err)
	}
}

// A vote is asked for only with the facts of this very intent.
func TestShowing(t *testing.T) {
	k := keyOf(t, signettest.NewPasskey(statement.Passkey256, "carol").Line())
	text, err := charter.Hello{Roster: statement.ID{1}, Identity: bytes.Repeat([]byte{7}, 32), Challenge: [32]byte{2}, Person: k, Created: client.Now()}.Statement(statement.Salt{})
	if err != nil {
		t.Fatal(err)
	}
	p := &pages{nodes: []client.Node{{Name: "acme", Identity: bytes.Repeat([]byte{7}, 32)}}}
	for _, verb := range []signet.Verb{signet.Approve, signet.Reject} {
		if shown, err := p.showing(k, verb, text.Bytes()); err == nil {
			t.Errorf("%s without facts shows %+v", verb, shown)
		}
	}
	shown, err := p.showing(k, signet.Makes(statement.Hello), text.Bytes())
	if err != nil || shown.Title != "Log in at node acme" || shown.Text != text.Text() {
		t.Errorf("hello shows %+v, %v", shown, err)
	}
	if _, err := p.showing(k, signet.Makes(statement.Hello), []byte("nothing of ours")); err == nil {
		t.Error("what is no statement is signed")
	}
}

func TestPasskeyUsage(t *testing.T) {
	for _, args := range [][]string{
		{"tx", "approve", "12345678", "--passkey", "--typed-data", "x"}, {"tx", "reject", "12345678", "--passkey", "--wallet-signature", "0x00"},
		{"person", "passkey"}, {"person", "passkey", "carol", "--port", "0"}, {"person", "passkey", "carol", "--port", "80"},
	} {
		var out, errs bytes.Buffer
		if code := run(args, strings.NewReader(""), &out, &errs); code != codeUsage {
			t.Errorf("%v: exit code %d: %s", args, code, errs.String())
		}
	}
}
