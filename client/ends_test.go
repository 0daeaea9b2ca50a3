package client

import (
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
)

// Who closes a nonce account is told which payments would never land then; what has landed, has ended, or has another account or value is none of them.
func TestNonceAccountInUse(t *testing.T) {
	const chain = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
	own, err := solana.ParseKey("4zvwRjXUKGfvwnParsHAS3HuSVzV5cA4McphgmoCtajS")
	if err != nil {
		t.Fatal(err)
	}
	at := func(i int) solana.Key {
		k, err := solana.SeedAddress(own, NonceSeeds[i])
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	now := solana.Key{5}
	uses := func(account, value solana.Key, states ...string) *Case {
		read := solana.Readings{Accounts: map[solana.Key]solana.Account{account: {Kind: solana.NonceAccount, Authority: own, Nonce: value}}}
		raw, err := solana.Build(solana.Request{Payer: own, Blockhash: value, Nonce: &account, Authority: own, Steps: []solana.Step{solana.Transfer(own, own, 7)}}, payload.SolanaContext(chain, own, [3]uint32{}, read))
		if err != nil {
			t.Fatal(err)
		}
		it := intent.Intent{Chain: chain, Address: own.String(), Purpose: intent.PurposeTransaction, Transaction: raw}
		p, err := payload.Read(it, "", payload.Context{})
		if err != nil {
			t.Fatal(err)
		}
		c := &Case{Payload: p, Intent: it}
		for _, s := range states {
			c.Views = append(c.Views, View{State: s})
			if s == "seen" || s == "broadcast" || s == "confirmed" || s == "final" || s == "replaced" {
				c.Signed = &Signed{}
			}
		}
		return c
	}
	for name, c := range map[string]struct {
		one *Case
		why string // empty: it may be closed
	}{
		"it waits for approvals": {uses(at(0), now, "approving", "approving"), "(approving)"}, "it is allowed": {uses(at(0), now, "allowed", "allowed"), "(allowed)"},
		"it is on its way": {uses(at(0), now, "seen", "broadcast", "seen"), "(seen)"}, "its block may be thrown out": {uses(at(0), now, "confirmed", "confirmed"), "(confirmed)"},
		"it is final": {uses(at(0), now, "final", "final"), ""}, "it was replaced": {uses(at(0), now, "replaced", "replaced"), ""}, "it was denied": {uses(at(0), now, "denied", "denied"), ""},
		"it expired": {uses(at(0), now, "expired", "expired"), ""}, "another account": {uses(at(1), now, "seen", "seen"), ""}, "another value": {uses(at(0), solana.Key{6}, "seen", "seen"), ""},
		"not decoded": {&Case{Views: []View{{State: "seen"}}}, ""},
	} {
		err := endsNone([]*Case{c.one}, chain, at(0), now)
		if (err != nil) != (c.why != "") || err != nil && (!strings.Contains(err.Error(), c.why) || !strings.Contains(err.Error(), "--force")) {
			t.Errorf("%s (%s): %v", name, c.one.State(), err)
		}
	}
}

// A transaction that carries authorizations and was undone did what it is for; a payment that was undone did not.
func TestCodeIsSetThoughItFailed(t *testing.T) {
	all := func(kind evm.Kind, reverted bool) *Case {
		return &Case{Payload: carrying{kind: kind}, Signed: &Signed{}, Views: []View{{State: "failed", Reverted: reverted}, {State: "failed", Reverted: reverted}}}
	}
	for name, c := range map[string]struct {
		one  *Case
		want bool
	}{
		"undone": {all(evm.SetCode, true), true}, "not undone": {all(evm.SetCode, false), false}, "a payment": {all(evm.Dynamic, true), false},
		"one node says so": {&Case{Payload: carrying{kind: evm.SetCode}, Signed: &Signed{}, Views: []View{{State: "failed", Reverted: true}, {State: "confirmed"}}}, false},
		"not decoded":      {&Case{Signed: &Signed{}, Views: []View{{State: "failed", Reverted: true}}}, false},
	} {
		if got := c.one.CodeSet(); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// carrying is a payload of a kind, and nothing else.
type carrying struct {
	payload.EVMTransaction
	kind evm.Kind
}

func (c carrying) Facts() evm.Facts { return evm.Facts{Kind: c.kind} }
func (c carrying) Travels() bool    { return true }
