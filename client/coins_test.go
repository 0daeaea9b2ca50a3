package client

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/coins"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/custody/charter"
)

const testnet = "bip122:000000000933ea01ad0ee984209779ba"

// coinNode says what an account holds.
type coinNode struct {
	*fakeNode
	says *v1.CoinsResponse
}

func (n coinNode) Coins(context.Context, *connect.Request[v1.CoinsRequest]) (*connect.Response[v1.CoinsResponse], error) {
	return connect.NewResponse(n.says), nil
}

// holds is what pays to the vault's addresses m/0/0/0 to n-1, one coin each.
func (w *world) holds(n uint32) *v1.CoinsResponse {
	w.t.Helper()
	v, err := w.vault.bitcoin(testnet)
	w.must(err)
	out := &v1.CoinsResponse{Height: 9, Rate: 2000}
	for i := range n {
		script, err := v.Script(bitcoin.Spot{Suite: charter.SuiteECDSA, Path: [3]uint32{0, 0, i}})
		w.must(err)
		tx := psbt.Tx{Version: 2, Ins: []psbt.In{{Outpoint: psbt.Outpoint{ID: psbt.ID{1, byte(i)}}}}, Outs: []psbt.Out{{Amount: 10_000 + uint64(i), Script: script}}}
		id := tx.ID()
		slices.Reverse(id[:])
		out.Coins = append(out.Coins, &v1.Coin{Transaction: id[:], Amount: 10_000 + uint64(i), Suite: charter.SuiteECDSA, Path: []uint32{0, 0, i}, Height: 3, Previous: tx.Bare()})
	}
	return out
}

// Answers come at once and are read side by side, with what a vault remembers of its keys: the race detector sees two that share it.
func TestHolding(t *testing.T) {
	w := newWorld(t)
	x, says := Context{Name: "main"}, w.holds(20)
	for _, name := range operators {
		x.Nodes = append(x.Nodes, serve(t, name, coinNode{newFake(name), says}, nil))
	}
	c := Dial(x, person(t, "alice"), Cache{})
	defer c.Close()
	h, err := c.Holding(t.Context(), w.vault, Account{}, testnet)
	if err != nil || len(h.Coins) != 20 || h.Doubted != 0 || h.Rate != 2000 {
		t.Fatalf("%d coins, %d doubted: %v", len(h.Coins), h.Doubted, err)
	}
}

// Change goes where two nodes look for coins, whatever one of them says that it gave out.
func TestChange(t *testing.T) {
	for name, c := range map[string]struct {
		given []int // by node
		want  int
	}{
		"alike":               {[]int{7, 7, 7}, 7},
		"one gave out more":   {[]int{7, 2, 0}, 7},
		"one says absurdly":   {[]int{math.MaxUint32, 2, 1}, 42},
		"one above all steps": {[]int{1<<31 + 9, 0, 0}, 40},
		"two gave out many":   {[]int{5000, 4990, 0}, 5000},
		"nobody":              {[]int{0, 0, 0}, 0},
	} {
		a := Account{Addresses: map[string]map[string]int{}}
		for i, n := range c.given {
			a.Addresses[operators[i]] = map[string]int{charter.SuiteECDSA: n}
		}
		p := Payment{Account: a, Vault: newWorld(t).vault}
		p.Vault.Suites = []string{charter.SuiteECDSA}
		to, err := p.change()
		if (err == nil) != (c.want > 0) || c.want > 0 && to.Path[2] != uint32(c.want-1) {
			t.Errorf("%s: change to %v (%v), want index %d", name, to, err, c.want-1)
		}
	}
}

// An operator that keeps back the signatures of a payment has nothing of it: what is proposed anew spends one of its coins, whatever others are there, and the chain takes one of the two.
func TestPossiblySignedOnBitcoin(t *testing.T) {
	h := held(t, 90_000, 80_000, 70_000, 60_000)
	ghost := h.spends(t, refuges[0], h.Coins[1:3], 2000, "failed", false)
	ghost.Views[0].PossiblySigned = true
	spot := bitcoin.Spot{Suite: charter.SuiteECDSA}
	pay := func(h Holding, amount uint64, all []*Case, some ...psbt.Outpoint) ([]psbt.Outpoint, error) {
		h.Coins = slices.Clone(h.Coins)
		h.Reserve(all)
		raw, err := Payment{Payments: []coins.Payment{{Address: refuges[1], Amount: amount}}, Change: &spot, Coins: some}.compose(h)
		if err != nil {
			return nil, err
		}
		tx, err := bitcoin.Decode(raw, h.Vault)
		if err != nil {
			t.Fatal(err)
		}
		var spent []psbt.Outpoint
		for _, in := range tx.Inputs() {
			spent = append(spent, in.Outpoint)
		}
		return spent, nil
	}
	at := func(i int) psbt.Outpoint { return h.Coins[i].Outpoint }
	closed := h.spends(t, refuges[0], h.Coins[1:3], 2000, "failed", false) // nobody's last message left
	next := h.spends(t, refuges[0], h.Coins[2:3], 2000, "allowed", false)
	second := h.spends(t, refuges[0], h.Coins[3:], 2000, "expired", false)
	second.Views[1].PossiblySigned = true
	whole := h.spends(t, refuges[0], h.Coins[1:3], 2000, "allowed", false)
	last := h.spends(t, refuges[0], h.Coins[2:3], 2000, "failed", false)
	last.Views[0].PossiblySigned = true
	for name, c := range map[string]struct {
		amount uint64
		all    []*Case
		named  []psbt.Outpoint
		spends []int // these, and others or not
		fails  bool
	}{
		"nothing is open":               {20_000, nil, nil, []int{0}, false},
		"nobody may hold a signature":   {20_000, []*Case{closed}, nil, []int{0}, false},
		"one of its coins is enough":    {20_000, []*Case{ghost}, nil, []int{1}, false},
		"it takes others besides":       {150_000, []*Case{ghost}, nil, []int{0, 1}, false},
		"two that may be signed":        {20_000, []*Case{ghost, second}, nil, []int{1, 3}, false},
		"another spends one of them":    {20_000, []*Case{ghost, next}, nil, []int{1}, false},
		"another spends all of them":    {20_000, []*Case{ghost, whole}, nil, nil, true},
		"one more of the same coins":    {20_000, []*Case{last, ghost}, nil, []int{1, 2}, false},
		"in the other order":            {20_000, []*Case{ghost, last}, nil, []int{1, 2}, false},
		"coins that are named":          {20_000, []*Case{ghost}, []psbt.Outpoint{at(0), at(2)}, []int{2}, false},
		"none of its coins is named":    {20_000, []*Case{ghost}, []psbt.Outpoint{at(0)}, nil, true},
		"none is, and there is no need": {20_000, []*Case{closed}, []psbt.Outpoint{at(0)}, []int{0}, false},
		"more than there is":            {400_000, []*Case{ghost}, nil, nil, true},
	} {
		spent, err := pay(h, c.amount, c.all, c.named...)
		if (err != nil) != c.fails {
			t.Errorf("%s: %v", name, err)
		}
		for _, i := range c.spends {
			if !slices.Contains(spent, at(i)) {
				t.Errorf("%s: it spends %v, and not coin %d, %s", name, spent, i, at(i))
			}
		}
		if len(c.spends) > 0 && len(spent) != len(c.spends) {
			t.Errorf("%s: it spends %d coins, want %d", name, len(spent), len(c.spends))
		}
	}
	if _, err := pay(h, 20_000, []*Case{ghost}, at(0)); err == nil || !strings.Contains(err.Error(), "--coin "+at(1).String()) {
		t.Errorf("what to name: %v", err)
	}
}
