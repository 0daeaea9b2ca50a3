package main

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/carry"
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
		if !errors.As(err, &p) || p.Code != code || !strings.Contains(err.Error(), want) {
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

// On a machine without a network a wallet answers in two steps: what it shall sign, and then the answer's file, for which no other key is needed.
func TestWalletAnswersWithoutANetwork(t *testing.T) {
	ledger := signettest.NewWallet("carol")
	key, err := signet.ParseKey(ledger.Line())
	if err != nil {
		t.Fatal(err)
	}
	s, err := intent.Cancellation{Initiator: "alice", Charter: statement.ID{1}, Vault: statement.ID{2}, Intent: statement.ID{3}, Created: time.Unix(1e9, 0)}.Statement(statement.Salt{})
	if err != nil {
		t.Fatal(err)
	}
	one := &client.Case{Statement: s}
	one.Vault.Approvers = []charter.Person{{Name: "carol", Keys: []signet.Key{key}}}
	dir := t.TempDir()
	typed, answer := filepath.Join(dir, "typed.json"), filepath.Join(dir, "answer")
	var out, errs strings.Builder
	a := &app{out: &out, err: &errs, key: filepath.Join(dir, "none")}
	if err := a.answer(t.Context(), one, signet.Reject, "the.case", answer, voting{typed: typed}); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(typed)
	if err != nil || !strings.Contains(out.String(), "ostraka tx import the.case --reject "+answer+" --wallet-signature") {
		t.Fatalf("%v; %s", err, out.String())
	}
	if _, err := os.Stat(answer); err == nil {
		t.Error("an answer is there before the wallet gave one")
	}
	given := voting{yes: true, wallet: hex.EncodeToString(ledger.Sign(raw))}
	if err := a.answer(t.Context(), one, signet.Reject, "the.case", answer, given); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(answer)
	if err != nil {
		t.Fatal(err)
	}
	x, err := carry.DecodeAnswer(text)
	if err != nil || x.Verb != string(signet.Reject) || x.Intent != one.ID() {
		t.Fatalf("%+v, %v", x, err)
	}
	if by, err := signet.Verify(x.Signature, signet.Reject, s.Bytes(), []signet.Key{key}); err != nil || by.Index != 0 {
		t.Errorf("the answer's signature: %v", err)
	}
	var p *problem
	if err := a.answer(t.Context(), one, signet.Reject, "the.case", answer, voting{typed: typed, wallet: given.wallet}); !errors.As(err, &p) || p.Code != codeUsage {
		t.Errorf("both at once: %v", err)
	}
	code, said, more := try("tx", "import", typed, "--typed-data", "x")
	want(t, "no verb", code, codeUsage, said+more, "say which")
}
