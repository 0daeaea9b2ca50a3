package client

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/coins"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
)

// refuges are addresses on the test network.
var refuges = []string{"tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7"}

// held is an account with coins of these amounts, the first of them at outpoint 1.
func held(t *testing.T, amounts ...uint64) Holding {
	t.Helper()
	v, err := newWorld(t).vault.bitcoin(testnet)
	if err != nil {
		t.Fatal(err)
	}
	h := Holding{Vault: v, Height: 200, Rate: bitcoin.PerVByte(10)}
	for i, n := range amounts {
		spot := bitcoin.Spot{Suite: charter.SuiteECDSA, Path: [3]uint32{0, 0, uint32(i)}}
		script, err := v.Script(spot)
		if err != nil {
			t.Fatal(err)
		}
		tx := psbt.Tx{Version: 2, Ins: []psbt.In{{Outpoint: psbt.Outpoint{ID: psbt.ID{1, byte(i)}}}}, Outs: []psbt.Out{{Amount: n, Script: script}}}
		h.Coins = append(h.Coins, Coin{Coin: coins.Coin{Spot: spot, Outpoint: psbt.Outpoint{ID: tx.ID()}, Amount: n, Previous: tx.Bare()}, Height: 100})
	}
	return h
}

// All coins go, in as many transactions as it takes; what stays is told by its reason, and what is worth moving from what is not.
func TestSweepCoins(t *testing.T) {
	h := held(t, 90_000, 80_000, 70_000, 60_000, 50_000, 1000, 400, 40_000, 30_000)
	h.Coins[7].Reserved = statement.ID{7}
	h.Coins[8].Coinbase = true
	h.Coins[8].Height = 150
	h.Doubted, h.Left = 2, 3
	s, err := h.Sweep(refuges[0], 2)
	if err != nil {
		t.Fatal(err)
	}
	moved, sum := 0, uint64(0)
	for i, x := range s.Hauls {
		tx, err := bitcoin.Decode(x.Unsigned, h.Vault)
		if err != nil {
			t.Fatal(err)
		}
		if outs := tx.Outputs(); len(outs) != 1 || outs[0].Address != refuges[0] || outs[0].Amount != x.Amount || tx.Fee() != x.Fee || len(tx.Inputs()) != x.Coins || x.Coins > 2 || !tx.Replaceable() {
			t.Errorf("transaction %d: %+v, told as %+v", i, outs, x)
		}
		if x.Amount < x.Fee {
			t.Errorf("transaction %d pays %d, less than its fee of %d: no node allows it", i, x.Amount, x.Fee)
		}
		moved, sum = moved+x.Coins, sum+x.Amount+x.Fee
	}
	// The coin of 1000 sat adds 320 beside the one of 50,000.
	if moved != 6 || sum != 351_000 || s.Hauls[0].Amount < s.Hauls[1].Amount {
		t.Errorf("%d coins of %d sat go in %d transactions", moved, sum, len(s.Hauls))
	}
	for want, is := range map[string]Stays{
		"is no sweep": {1, 40_000, "", true}, "mined too few": {1, 30_000, "", true}, "costs more than they bring": {1, 400, "", false}, "one node alone": {2, 0, "", true}, "do not list": {3, 0, "", true},
	} {
		i := slices.IndexFunc(s.Stays, func(x Stays) bool { return strings.Contains(x.Why, want) })
		if i < 0 || s.Stays[i].Coins != is.Coins || s.Stays[i].Sum != is.Sum || s.Stays[i].Worth != is.Worth {
			t.Errorf("%q: %+v", want, s.Stays)
		}
	}
	if len(s.Stays) != 5 {
		t.Errorf("%d reasons", len(s.Stays))
	}
	few, err := held(t, 90_000, 1400).Sweep(refuges[0], 1)
	if err != nil || len(few.Hauls) != 1 || len(few.Stays) != 1 || few.Stays[0].Sum != 1400 || few.Stays[0].Worth {
		t.Errorf("one that pays more than it moves: %+v, %v", few, err)
	}
	h.Rate = 0
	if _, err := h.Sweep(refuges[0], 2); Classify(err) != NotReady {
		t.Errorf("without a fee: %v", err)
	}
	h.Rate = bitcoin.PerVByte(1_000_000)
	if s, err := h.Sweep(refuges[0], 2); err != nil || s.Rate > h.Vault.MaxRate {
		t.Errorf("at a rate above the vault's: %s, %v", s.Rate, err)
	}
}

// spends is an intent over a transaction of coins to one address.
func (h Holding) spends(t *testing.T, to string, coins []Coin, fee uint64, state string, signed bool) *Case {
	t.Helper()
	d := bitcoin.Draft{Outs: []bitcoin.Output{{Address: to}}}
	for _, c := range coins {
		d.Ins = append(d.Ins, bitcoin.Input{Outpoint: c.Outpoint, Sequence: bitcoin.Replaceable, Spot: c.Spot, Amount: c.Amount, Previous: c.Previous})
		d.Outs[0].Amount += c.Amount
	}
	d.Outs[0].Amount -= fee
	raw, err := bitcoin.Build(h.Vault, d)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := bitcoin.Decode(raw, h.Vault)
	if err != nil {
		t.Fatal(err)
	}
	c := &Case{Payload: &payload.Bitcoin{Transaction: tx}, Intent: intent.Intent{Chain: testnet, Transaction: raw, Expires: time.Now().Add(time.Hour)}, Views: []View{{State: state}, {State: state}}}
	if signed {
		c.Signed = &Signed{}
	}
	w := newWorld(t)
	w.propose(Transfer{}) // for an id alone: each has a salt of its own
	c.Statement = w.stmt
	return c
}

// A sweep that was begun is continued: its coins are not taken again. The newest of those that replace one another stands; what pays somebody else, or has ended, is none.
func TestSweptCoins(t *testing.T) {
	h := held(t, 90_000, 80_000)
	made := func(to string, coins []Coin, fee uint64, state string, signed bool) *Case {
		return h.spends(t, to, coins, fee, state, signed)
	}
	one, other := slices.Clone(h.Coins[:1]), slices.Clone(h.Coins[1:])
	first, dearer, elsewhere := made(refuges[0], one, 2000, "seen", true), made(refuges[0], one, 4000, "signed", true), made(refuges[1], other, 2000, "allowed", false)
	all := []*Case{first, elsewhere, dearer}
	if got := SweptCoins(all, [2]uint32{}, testnet, refuges[0]); len(got) != 1 || got[0] != dearer {
		t.Errorf("%d sweeps are under way, and the newest replaces the other", len(got))
	}
	mined := made(refuges[0], one, 4000, "confirmed", true)
	if got := SweptCoins([]*Case{first, elsewhere, mined}, [2]uint32{}, testnet, refuges[0]); len(got) != 0 {
		t.Errorf("%d sweeps are under way, and the one that replaces the other is in a block", len(got))
	}
	if len(SweptCoins(all, [2]uint32{0, 1}, testnet, refuges[0])) != 0 {
		t.Error("another account's sweep is under way")
	}
	for state, lives := range map[string]bool{"proposed": true, "signing": true, "expired": false, "denied": false} {
		if got := SweptCoins([]*Case{made(refuges[0], one, 2000, state, false)}, [2]uint32{}, testnet, refuges[0]); (len(got) == 1) != lives {
			t.Errorf("%s: %d are under way", state, len(got))
		}
	}
	if len(SweptCoins([]*Case{made(refuges[0], one, 2000, "confirmed", true)}, [2]uint32{}, testnet, refuges[0])) != 0 {
		t.Error("what is in a block is under way")
	}
	// What a sweep spends is not offered again; what another intent spends is told.
	h.ReserveBeside(all, refuges[0])
	if len(h.Coins) != 1 || h.Coins[0].Outpoint != other[0].Outpoint || h.Coins[0].Reserved.IsZero() {
		t.Errorf("left to sweep: %+v", h.Coins)
	}
}
