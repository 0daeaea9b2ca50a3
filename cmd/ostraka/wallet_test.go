package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/signet/signettest"
	"github.com/ostraka/ostraka/custody/statement"
)

func TestFromWallet(t *testing.T) {
	ledger := signettest.NewWallet("carol")
	key, err := signet.ParseKey(ledger.Line())
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	s, err := intent.Cancellation{Initiator: "alice", Charter: statement.ID{1}, Vault: statement.ID{2}, Intent: statement.ID{3}, Created: noon}.Statement(statement.Salt{})
	if err != nil {
		t.Fatal(err)
	}
	one := &client.Case{Statement: s}
	one.Vault.Name = "treasury"
	one.Vault.Approvers = []charter.Person{{Name: "carol", Keys: []signet.Key{key}}}
	typed := func(verb signet.Verb) []byte {
		raw, err := signet.TypedData(verb, s)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	if _, k, err := fromWallet(one, signet.Approve, ledger.Sign(typed(signet.Approve))); err != nil || !k.Equal(key) {
		t.Errorf("by %s, %v", k, err)
	}
	refuses := func(name string, code int, verb signet.Verb, answer []byte, want string) {
		t.Helper()
		_, _, err := fromWallet(one, verb, answer)
		var p *problem
		if !errors.As(err, &p) || p.code != code || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want code %d and %q", name, err, code, want)
		}
	}
	refuses("short", codeUsage, signet.Approve, make([]byte, 64), "--wallet-signature")
	refuses("other verb", codeRefused, signet.Approve, ledger.Sign(typed(signet.Reject)), "does not list")
	refuses("stranger", codeRefused, signet.Approve, signettest.NewWallet("mallory").Sign(typed(signet.Approve)), "does not list")
	one.Vault.UserVerification = true
	refuses("user verification", codeRefused, signet.Approve, ledger.Sign(typed(signet.Approve)), "a wallet says nothing")
	if _, _, err := fromWallet(one, signet.Reject, ledger.Sign(typed(signet.Reject))); err != nil {
		t.Errorf("a rejection: %v", err)
	}
	one.Vault.Initiators, one.Vault.Approvers = one.Vault.Approvers, nil
	refuses("an initiator's", codeRefused, signet.Approve, ledger.Sign(typed(signet.Approve)), "does not list")
}
