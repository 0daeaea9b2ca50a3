package client

import (
	"math/big"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/intent"
)

// A transfer that is under way is found again whatever its amount, and one that came to its end is not: it is never begun twice, and never left out.
func TestUnderway(t *testing.T) {
	refuge := evm.Address{1}
	made := func(to evm.Address, state string, signed bool) *Case {
		raw, err := evm.Build(evm.Request{ChainID: 1, Nonce: 4, Gas: 21000, FeeCap: big.NewInt(9), To: to, Amount: big.NewInt(7)})
		if err != nil {
			t.Fatal(err)
		}
		tx, err := evm.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		c := &Case{Tx: tx, Intent: intent.Intent{Address: "0xa", Chain: "eip155:1", Expires: time.Now().Add(time.Hour)}, Views: []View{{State: state}, {State: state}}}
		if signed {
			c.Signed = &Signed{}
		}
		return c
	}
	like := func(f evm.Facts) bool { return f.Destination == refuge }
	for _, x := range []struct {
		to     evm.Address
		state  string
		signed bool
		found  bool
	}{
		{refuge, "proposed", false, true},
		{refuge, "allowed", false, true},
		{refuge, "signing", false, true},
		{refuge, "signed", true, true},
		{refuge, "broadcast", true, true},
		{refuge, "dropped", true, true},
		{refuge, "confirmed", true, false},
		{refuge, "final", true, false},
		{refuge, "denied", false, false},
		{refuge, "expired", false, false},
		{evm.Address{2}, "allowed", false, false},
	} {
		c := made(x.to, x.state, x.signed)
		if got := Underway([]*Case{c}, "0xa", "eip155:1", like); (got != nil) != x.found {
			t.Errorf("%s to %s: found %v", x.state, x.to, got != nil)
		}
		if x.state == "confirmed" { // and one node says that the chain undid it, and no other knows: it is not asked for again
			if c.Views = []View{{State: "confirmed", Reverted: true}, {State: "seen"}}; Underway([]*Case{c}, "0xa", "eip155:1", like) != c || Undone([]*Case{c}, "0xa", "eip155:1", like) != nil {
				t.Error("undone, as one node says: it has ended")
			}
			if c.Views[1] = c.Views[0]; Underway([]*Case{c}, "0xa", "eip155:1", like) != nil || Undone([]*Case{c}, "0xa", "eip155:1", like) != c {
				t.Error("undone, as two nodes say: it has not ended")
			}
		}
		if Underway([]*Case{c}, "0xb", "eip155:1", like) != nil || Underway([]*Case{c}, "0xa", "eip155:10", like) != nil {
			t.Errorf("%s: found for another address or chain", x.state)
		}
		if next := FreeNonce([]*Case{c}, "0xa", "eip155:1", 4, time.Now()); x.found && x.to == refuge && next == 4 {
			t.Errorf("%s: its nonce is given out again", x.state)
		}
	}
}

// What waits on its chain is asked for again, the same for a tenth more or for what the chain wants by now: nodes take it for a replacement.
func TestBump(t *testing.T) {
	facts := func(r evm.Request) evm.Facts {
		t.Helper()
		raw, err := evm.Build(r)
		if err != nil {
			t.Fatal(err)
		}
		tx, err := evm.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		return tx.Facts()
	}
	coin := evm.Request{Kind: evm.Dynamic, ChainID: 1, Nonce: 4, Gas: 21000, FeeCap: big.NewInt(1001), TipCap: big.NewInt(9), To: evm.Address{1}, Amount: big.NewInt(1e9)}
	token, legacy := coin, coin
	token.Token, token.Amount, token.Gas = &evm.Address{7}, big.NewInt(50), 60000
	legacy.Kind, legacy.TipCap = evm.Legacy, nil
	all := new(big.Int).Add(coin.Amount, big.NewInt(21000*1001))
	for name, x := range map[string]struct {
		old             evm.Request
		fee, tip        int64
		balance         *big.Int
		cap, wants, amt int64
	}{
		"a tenth":                       {coin, 5, 1, big.NewInt(1e12), 1102, 10, 1e9},
		"what the chain wants by now":   {coin, 3000, 70, big.NewInt(1e12), 3000, 70, 1e9},
		"a tip above the fee":           {coin, 5, 5000, big.NewInt(1e12), 5000, 5000, 1e9},
		"out of all that lay there":     {coin, 5, 1, all, 1102, 10, 1e9 - 21000*101},
		"a token's comes from the coin": {token, 5, 1, new(big.Int), 1102, 10, 50},
		"of the old kind":               {legacy, 5, 1, big.NewInt(1e12), 1102, 0, 1e9},
	} {
		old := facts(x.old)
		r, err := Bump(old, big.NewInt(x.fee), big.NewInt(x.tip), x.balance)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		next := facts(r)
		if err := evm.Replaces(next, old); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if next.FeeCap.Int64() != x.cap || next.TipCap.Int64() != x.wants || next.Amount.Int64() != x.amt {
			t.Errorf("%s: %v %v, sends %v", name, next.FeeCap, next.TipCap, next.Amount)
		}
	}
	dust := coin
	dust.Amount = big.NewInt(21000 * 101)
	if _, err := Bump(facts(dust), big.NewInt(5), big.NewInt(1), new(big.Int)); err == nil {
		t.Error("nothing is sent")
	}
}

// What a block holds is moved, or undone by its chain: one node that says the latter alone is waited past.
func TestLanded(t *testing.T) {
	for name, c := range map[string]struct {
		views          []View
		landed, undone bool
	}{
		"waits":                {[]View{{State: "seen"}, {State: "broadcast"}}, false, false},
		"one carried it out":   {[]View{{State: "confirmed"}, {State: "seen"}}, true, false},
		"one says undone":      {[]View{{State: "confirmed", Reverted: true}, {State: "seen"}}, false, false},
		"two say undone":       {[]View{{State: "confirmed", Reverted: true}, {State: "failed", Reverted: true}, {State: "seen"}}, true, true},
		"one of three, a liar": {[]View{{State: "confirmed", Reverted: true}, {State: "confirmed"}, {State: "final"}}, true, false},
		"the only one":         {[]View{{State: "confirmed", Reverted: true}}, true, true},
	} {
		x := &Case{Signed: &Signed{}, Views: c.views}
		if x.Landed() != c.landed || x.Reverted() != c.undone {
			t.Errorf("%s: landed %v, undone %v", name, x.Landed(), x.Reverted())
		}
		x.Signed = nil
		if x.Landed() || x.Reverted() {
			t.Errorf("%s: without a signature", name)
		}
	}
}
