package client

import (
	"strings"
	"testing"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/solana"
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
