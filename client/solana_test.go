package client

import (
	"strings"
	"testing"
	"time"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
)

// wordOn is one node's word on one account that is a wallet.
func wordOn(node string, block solana.Key, last, price, lamports uint64) Answer[*v1.ReadingsResponse] {
	return Answer[*v1.ReadingsResponse]{Node: node, Value: &v1.ReadingsResponse{
		Blockhash: block[:], Last: last, Height: last - 150, Price: price, Accounts: []*v1.Reading{{Owner: make([]byte, 32), Lamports: lamports}},
	}}
}

func newGround() *ground {
	return &ground{
		sender: Sender{Chain: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"}, lamports: map[solana.Key]uint64{}, amounts: map[solana.Key]uint64{},
		read: solana.Readings{Accounts: map[solana.Key]solana.Account{}, Tables: map[solana.Key][]solana.Key{}, Recents: map[solana.Key]bool{}},
	}
}

// Of three nodes one that lies chooses no block, whether it calls its own the oldest or the newest; of what an account holds the least counts.
func TestBlockOfMost(t *testing.T) {
	here, before, made := solana.Key{1}, solana.Key{2}, solana.Key{3}
	for name, lie := range map[string]uint64{"the oldest": 150, "the newest": 1 << 60} {
		g := newGround()
		err := g.take([]solana.Key{{9}}, Answers[*v1.ReadingsResponse]{wordOn("a", made, lie, 10_000, 7), wordOn("b", here, 1_002, 10_000, 5), wordOn("c", before, 1_001, 10_000, 6)})
		if err != nil || g.block == made || g.lamports[solana.Key{9}] != 5 {
			t.Errorf("%s: block %x, %d lamports, %v", name, g.block[0], g.lamports[solana.Key{9}], err)
		}
	}
	g := newGround()
	if err := g.take([]solana.Key{{9}}, Answers[*v1.ReadingsResponse]{wordOn("a", here, 1_002, 10_000, 7), wordOn("b", before, 1_001, 10_000, 7)}); err != nil || g.block != before {
		t.Errorf("of two: block %x, %v", g.block[0], err)
	}
	if err := g.take([]solana.Key{{8}}, Answers[*v1.ReadingsResponse]{wordOn("a", here, 1_002, 1<<60, 7), wordOn("b", before, 1_001, 10_000, 7)}); err == nil || !strings.Contains(err.Error(), "the price of compute units") {
		t.Errorf("a price that one node made up: %v", err)
	}
}

// Anybody may send lamports to a place for a nonce account, where the chain then makes none: the next one is taken.
func TestPlaceForANonce(t *testing.T) {
	all := []NonceAccount{{Seed: "1", Open: true, Lamports: 1_447_680}, {Seed: "2", Lamports: 890_880}, {Seed: "3", Intent: [32]byte{1}}, {Seed: "4"}}
	if i := placeIn(all); i != 3 {
		t.Errorf("place %d, want 3", i)
	}
	if i := placeIn(all[:3]); i >= 0 {
		t.Errorf("place %d, and there is none", i)
	}
}

// What stands in a block did not lapse, however many nodes were not shown it: who reads that it did pays twice.
func TestLapsed(t *testing.T) {
	for name, c := range map[string]struct {
		views  []View
		state  string
		lapsed bool
	}{
		"all say so":                    {[]View{{State: "failed"}, {State: "failed"}, {State: "failed"}}, "failed", true},
		"one says so":                   {[]View{{State: "failed"}, {State: "broadcast"}, {State: "broadcast"}}, "broadcast", false},
		"two say so, one has its block": {[]View{{State: "failed"}, {State: "failed"}, {State: "final"}}, "final", false},
		"it stands in a block":          {[]View{{State: "failed"}, {State: "failed"}, {State: "confirmed"}}, "confirmed", false},
		"it failed in a block":          {[]View{{State: "failed", Reverted: true}, {State: "failed", Reverted: true}, {State: "final"}}, "failed", false},
	} {
		x := &Case{Signed: &Signed{}, Views: c.views}
		if x.State() != c.state || x.Lapsed() != c.lapsed {
			t.Errorf("%s: %s, lapsed %v; want %s, %v", name, x.State(), x.Lapsed(), c.state, c.lapsed)
		}
	}
}

// An operator that keeps a signature for itself has nothing of it: what is proposed anew has the same nonce, or waits until the first cannot land.
func TestPossiblySignedOnSolana(t *testing.T) {
	const chain = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
	own, err := solana.ParseKey("4zvwRjXUKGfvwnParsHAS3HuSVzV5cA4McphgmoCtajS")
	if err != nil {
		t.Fatal(err)
	}
	account, err := solana.SeedAddress(own, NonceSeeds[1])
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	asked := func(nonce *solana.Key, state string, possibly bool) *Case {
		read := solana.Readings{Recents: map[solana.Key]bool{{5}: true}, Accounts: map[solana.Key]solana.Account{account: {Kind: solana.NonceAccount, Authority: own, Nonce: solana.Key{5}}}}
		raw, err := solana.Build(solana.Request{Payer: own, Blockhash: solana.Key{5}, Nonce: nonce, Authority: own, Steps: []solana.Step{solana.Transfer(own, own, 7)}}, payload.SolanaContext(chain, own, [3]uint32{}, read))
		if err != nil {
			t.Fatal(err)
		}
		it := intent.Intent{Chain: chain, Address: own.String(), Purpose: intent.PurposeTransaction, Transaction: raw, Created: now.Add(-time.Minute)}
		p, err := payload.Read(it, "", payload.Context{})
		if err != nil {
			t.Fatal(err)
		}
		return &Case{Payload: p, Intent: it, Views: []View{{State: state, PossiblySigned: possibly}, {State: state}}}
	}
	spent := possiblySpent([]*Case{asked(&account, "failed", true)})
	if len(spent) != 1 || len(possiblySpent([]*Case{asked(&account, "failed", false), asked(&account, "allowed", true)})) != 0 {
		t.Errorf("possibly spent: %v", spent)
	}
	all := []NonceAccount{{Open: true}, {Open: true, Possibly: [32]byte{1}}, {Open: true}}
	if i := freeNonce(all); i != 1 {
		t.Errorf("account %d is taken, and the payment that is proposed anew lands beside the first", i)
	}
	if i := freeNonce([]NonceAccount{{}, {Open: true, Intent: [32]byte{1}}, {Open: true}}); i != 2 {
		t.Errorf("account %d is taken, and 2 is free", i)
	}
	for name, c := range map[string]struct {
		one  *Case
		at   time.Time
		wait bool
	}{
		"it may land yet":             {asked(nil, "failed", true), now, true},
		"its blockhash is too old":    {asked(nil, "failed", true), now.Add(hushFor), false},
		"nobody has a signature":      {asked(nil, "failed", false), now, false},
		"it has a nonce":              {asked(&account, "failed", true), now, false},
		"it is under way, and may be": {asked(nil, "allowed", true), now, false},
	} {
		if got := hush([]*Case{c.one}, own, chain, c.at) != nil; got != c.wait {
			t.Errorf("%s: waits %v, want %v", name, got, c.wait)
		}
	}
	if hush([]*Case{asked(nil, "failed", true)}, account, chain, now) != nil {
		t.Error("another address waits")
	}
	signed := asked(&account, "final", false)
	signed.Signed = &Signed{}
	outrun := asked(&account, "replaced", false)
	outrun.Signed = &Signed{}
	kept := asked(&account, "failed", true)
	at := func(nonce byte) map[solana.Key]solana.Account {
		return map[solana.Key]solana.Account{account: {Kind: solana.NonceAccount, Nonce: solana.Key{nonce}}}
	}
	for name, c := range map[string]struct {
		all     []*Case
		now     map[solana.Key]solana.Account
		own     solana.Key
		on      string
		refused bool
	}{
		"its nonce is there still":       {[]*Case{kept}, at(5), own, chain, false},
		"used for what nobody shows":     {[]*Case{kept}, at(6), own, chain, true},
		"the account is closed":          {[]*Case{kept}, nil, own, chain, true},
		"nobody may have signed it":      {[]*Case{asked(&account, "failed", false)}, at(6), own, chain, false},
		"it is under way":                {[]*Case{asked(&account, "allowed", true)}, at(6), own, chain, false},
		"used for what is shown":         {[]*Case{kept, signed}, at(6), own, chain, false},
		"used, and another was replaced": {[]*Case{kept, outrun}, at(6), own, chain, true},
		"another has it, and waits":      {[]*Case{kept, asked(&account, "allowed", false)}, at(5), own, chain, true},
		"it had no durable nonce":        {[]*Case{asked(nil, "failed", true)}, at(6), own, chain, false},
		"another address's":              {[]*Case{kept}, at(6), account, chain, false},
		"the same address, on a network": {[]*Case{kept}, at(6), own, "solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z", false},
	} {
		if err := keptNonce(c.all, c.own, c.on, c.now); (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "account "+account.String()) {
			t.Errorf("kept back, %s: %v", name, err)
		}
	}
}
