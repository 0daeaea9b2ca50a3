package coins_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/node/coins"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

// What the book says of a short chain, in numbers that a reader can follow.
func TestBook(t *testing.T) {
	e := newEndpoint()
	paid := pay(1, out(0, 1000), out(1, 2000), psbt.Out{Amount: 3000, Script: anyone})
	e.grow(paid)
	e.reward(script(1), spend([]psbt.Out{out(0, 300), {Amount: 600, Script: anyone}}, psbt.Outpoint{ID: paid.ID(), Index: 0}))
	d := begin(t, e, 3, 0)
	if _, _, ok := d.Height(); ok {
		t.Error("a height before anything was read")
	}
	behind, err := d.Step(ctx)
	if err != nil || behind != 0 {
		t.Fatalf("%d behind, %v", behind, err)
	}
	d.check(0, "two blocks")
	zero, _ := d.Coins(vaultOf(0))
	one, _ := d.Coins(vaultOf(1))
	if len(zero) != 1 || zero[0].Amount != 300 || zero[0].Height != 2 || len(one) != 2 || one[0].Coinbase == one[1].Coinbase || one[0].Amount+one[1].Amount != 5_002_000 {
		t.Errorf("coins: %+v and %+v", zero, one)
	}
	if by, height, ok := d.Spent(psbt.Outpoint{ID: paid.ID(), Index: 0}); !ok || height != 2 || by != e.best[2].txs[1].ID() {
		t.Errorf("spent by %s at %d, %v", by, height, ok)
	}
	if _, _, ok := d.Spent(psbt.Outpoint{ID: paid.ID(), Index: 1}); ok {
		t.Error("a coin is spent that is not")
	}
	if _, _, ok, err := d.Found(ctx, psbt.ID{1}); ok || err != nil {
		t.Errorf("a transaction of nobody is found, %v", err)
	}
	history, err := d.History(ctx, vaultOf(0), coins.Mark{}, 10)
	if err != nil || len(history) != 2 || history[1].Received != 300 || history[1].Spent != 1000 || len(history[1].Addresses) != 1 || !strings.HasPrefix(history[1].Addresses[0].Address, "bcrt1q") {
		t.Errorf("history: %+v, %v", history, err)
	}
	if raw := zero[0]; d.Fill(ctx, zero) != nil || raw.Previous != nil || len(zero[0].Previous) == 0 || zero[0].Long {
		t.Errorf("previous transaction: %x", zero[0].Previous)
	}
}

// Scripts that begin, end or look like ours are not ours.
func TestOnlyExactScriptsAreOurs(t *testing.T) {
	e := newEndpoint()
	var outs []psbt.Out
	for _, s := range [][]byte{witness(0)[:21], append(witness(0), 0), append([]byte{0x51, 20}, fill(0, 20)...), append([]byte{0x76, 0xa9, 20}, append(fill(0, 20), 0x88, 0xac)...), taproot(0), witness(1)} {
		outs = append(outs, psbt.Out{Amount: 5, Script: s})
	}
	e.grow(pay(1, outs...))
	d := begin(t, e, 2, 0)
	d.settle()
	if rows := d.rows(); len(rows) > 0 {
		t.Errorf("rows of what is not ours: %v", rows)
	}
	if err := d.Watch(script(0), owner(2)); err != nil { // the last word counts
		t.Fatal(err)
	}
	e.grow(pay(2, out(0, 5)))
	d.settle()
	if got, _ := d.Coins(vaultOf(2)); len(got) != 1 {
		t.Errorf("%d coins of who owns the script now", len(got))
	}
}

func TestBeginAndWatch(t *testing.T) {
	e := newEndpoint()
	for range 6 {
		e.grow()
	}
	d := open(t, e, 1)
	if _, err := d.Step(ctx); !errors.Is(err, coins.ErrNotBegun) {
		t.Errorf("step before begin: %v", err)
	}
	if err := d.Begin(ctx, 1<<31); err == nil {
		t.Error("begun at a height that no chain has")
	}
	for _, h := range []uint32{5, 3, 4, 3} {
		if err := d.Begin(ctx, h); err != nil {
			t.Errorf("begin at %d: %v", h, err)
		}
	}
	d.settle()
	if err := d.Begin(ctx, 3); err != nil || d.Begin(ctx, 100) != nil {
		t.Errorf("begin where it was read: %v", err)
	}
	if err := d.Begin(ctx, 2); err == nil || !strings.Contains(err.Error(), "from height 3 on, and not from 2: Rescan") {
		t.Errorf("begin below: %v", err)
	}
	if err := d.Rescan(ctx, 7); err == nil || !strings.Contains(err.Error(), "up to 6") {
		t.Errorf("rescan above: %v", err)
	}
	if err := d.Rescan(ctx, 2); err != nil || d.Begin(ctx, 2) != nil {
		t.Errorf("begin at 2 while it is read: %v", err)
	}
	if err := d.Rescan(ctx, 1); err != nil || d.Begin(ctx, 1) != nil || d.Begin(ctx, 0) == nil {
		t.Errorf("begin at 1, which is to be read next: %v", err)
	}
	d.settle()
	if err := d.Begin(ctx, 2); err != nil {
		t.Errorf("begin at 2 after it was read: %v", err)
	}
	for _, s := range []bitcoin.Script{nil, {1}, make(bitcoin.Script, 65)} {
		if err := d.Watch(s, owner(0)); err == nil {
			t.Errorf("script of %d bytes is watched", len(s))
		}
	}
	if err := d.Watch(script(0), coins.Owner{}); err == nil {
		t.Error("an owner of no suite")
	}
	if _, err := coins.New(coins.Config{Chain: "eip155:1"}); err == nil {
		t.Error("a book of Ethereum")
	}
}

// A vault's coins that were not watched when their block was read are found by a rescan, and what was known stays, while new blocks go on being read.
func TestRescan(t *testing.T) {
	e := newEndpoint()
	first := pay(1, out(0, 1000), out(3, 77), out(3, 78))
	e.grow(first)
	e.grow(spend([]psbt.Out{out(3, 50)}, psbt.Outpoint{ID: first.ID(), Index: 0}, psbt.Outpoint{ID: first.ID(), Index: 1}))
	for range coins.Depth + 20 {
		e.grow()
	}
	e.grow(pay(2, out(3, 9), out(0, 11)))
	d := begin(t, e, 3, 1)
	d.settle()
	d.check(1, "before")
	d.scripts = 4 // of vault 0 too
	if err := d.Watch(script(3), owner(3)); err != nil {
		t.Fatal(err)
	}
	if err := d.Rescan(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Step(ctx); err != nil {
		t.Fatal(err)
	}
	// What is found late counts at the end: what spends it may come yet.
	if got, _ := d.Coins(vaultOf(0)); len(got) != 1 || got[0].Amount != 11 {
		t.Errorf("in the midst of a rescan: %+v", got)
	}
	history, err := d.History(ctx, vaultOf(0), coins.Mark{}, 10)
	if err != nil || len(history) != 3 || history[0].Received != 1000 || history[1].Spent != 1000 {
		t.Errorf("in the midst of a rescan: %+v, %v", history, err)
	}
	if _, _, ok, err := d.Found(ctx, first.ID()); !ok || err != nil {
		t.Errorf("in the midst of a rescan what was known is not found, %v", err)
	}
	e.grow(pay(3, out(3, 5)))
	if behind, err := d.Step(ctx); err != nil || behind != 0 {
		t.Errorf("new blocks wait for the rescan: %d behind, %v", behind, err)
	}
	if _, again := d.Rescanning(); !again {
		t.Fatal("the rescan is over too early for this test")
	}
	e.back(e.top() - 3)
	for range 7 {
		e.grow()
	}
	d.restart()
	d.settle()
	d.check(1, "after") // the spent coin of script 0 was erased long ago: its part of the history stays
	// What spent it is read again without what it spent.
	if err := d.Rescan(ctx, 2); err != nil {
		t.Fatal(err)
	}
	d.settle()
	d.check(1, "read again from the block that spends")
	// One that is lower than the one under way follows it.
	for _, from := range []uint32{e.top() - 7, e.top() - 3, 5, 9, 2} {
		if err := d.Rescan(ctx, from); err != nil {
			t.Fatal(err)
		}
	}
	asked := e.asked
	d.restart()
	d.settle()
	d.check(1, "two after one another")
	if n := e.asked - asked; n != 8+int(e.top())-1 {
		t.Errorf("they read %d blocks", n)
	}
	asked = e.asked
	if err := d.Rescan(ctx, e.top()-5); err != nil {
		t.Fatal(err)
	}
	d.settle()
	d.check(1, "after a second one")
	if e.asked-asked > 10 {
		t.Errorf("it read %d blocks for six", e.asked-asked)
	}
}

// A coin that is spent stays for Depth blocks, and its transaction as long as one of its coins.
func TestSpentCoinsAreErased(t *testing.T) {
	e := newEndpoint()
	both := pay(1, out(0, 1000), out(2, 2000))
	e.grow(both)
	e.grow(spend([]psbt.Out{{Amount: 1, Script: anyone}}, psbt.Outpoint{ID: both.ID(), Index: 0}))
	d := begin(t, e, 3, 0)
	kinds := func() string {
		var all []string
		for key := range d.rows() {
			kind, _, _ := strings.Cut(key, "/")
			all = append(all, kind)
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	for range coins.Depth - 1 {
		e.grow()
	}
	d.settle()
	if got := kinds(); got != "coin coin coin-move coin-move coin-move coin-previous coin-tx coin-tx" {
		t.Errorf("before: %s", got)
	}
	e.grow(pay(3, out(1, 5))) // which writes the tip
	d.settle()
	if _, _, ok := d.Spent(psbt.Outpoint{ID: both.ID(), Index: 0}); ok {
		t.Error("a coin that was erased is known as spent")
	}
	if got := kinds(); got != "coin coin coin-move coin-move coin-move coin-move coin-previous coin-tx coin-tx coin-tx" {
		t.Errorf("after: %s", got)
	}
	d.settle()
	d.check(0, "after")
	e.grow(spend([]psbt.Out{{Amount: 1, Script: anyone}}, psbt.Outpoint{ID: both.ID(), Index: 1}))
	for range coins.Depth {
		e.grow()
	}
	d.settle()
	d.now = d.now.Add(time.Hour)
	d.settle()
	if got := kinds(); got != "coin coin-move coin-move coin-move coin-move coin-move coin-tx coin-tx coin-tx coin-tx" {
		t.Errorf("at the end: %s", got)
	}
	d.settle()
	d.check(0, "at the end")
}

// Blocks with nothing of ours write the tip once in 50 blocks, or in 10 seconds.
func TestTipIsSeldomWritten(t *testing.T) {
	e := newEndpoint()
	for range 499 {
		e.grow()
	}
	d := begin(t, e, 1, 0)
	writes := 0
	d.disk.SetFault(func(store.Batch) memory.Outcome { writes++; return memory.Write })
	d.settle()
	if writes != 10 {
		t.Errorf("%d writes for 500 blocks", writes)
	}
	e.grow()
	d.settle()
	if writes != 10 {
		t.Error("the tip is written at once")
	}
	d.now = d.now.Add(10 * time.Second)
	d.settle()
	e.grow()
	d.settle()
	if writes != 11 {
		t.Errorf("%d writes after 10 seconds and two blocks", writes)
	}
}

// A transaction that is too long is not kept: its coin says so.
func TestLongPrevious(t *testing.T) {
	e := newEndpoint()
	long := pay(1, out(0, 7), out(1, 8), psbt.Out{Script: make([]byte, coins.MaxPrevious)})
	short := pay(2, out(0, 9), psbt.Out{Script: make([]byte, coins.MaxPrevious-100)})
	e.grow(long, short)
	d := begin(t, e, 2, 0)
	d.settle()
	got, _ := d.Coins(vaultOf(0))
	taproots, _ := d.Coins(vaultOf(1))
	if err := d.Fill(ctx, got); err != nil || len(got) != 2 || len(taproots) != 1 || taproots[0].Long {
		t.Fatalf("%d coins, %v", len(got), err)
	}
	for _, c := range got {
		if isLong := c.Outpoint.ID == long.ID(); c.Long != isLong || (c.Previous == nil) != isLong {
			t.Errorf("coin of %d sat: long %v, %d bytes", c.Amount, c.Long, len(c.Previous))
		}
	}
}

// Of a vault with more coins than are kept, the smallest are left out and counted; one of them that is spent is noticed all the same, and they come back when there is room.
func TestManyCoins(t *testing.T) {
	e := newEndpoint()
	d := begin(t, e, 6, 0)
	d.most = 40
	d.restart()
	rng := rand.New(rand.NewPCG(1, 1))
	amounts := map[psbt.Outpoint]uint64{}
	for i := range uint32(10) {
		tx := pay(i)
		for range 20 {
			tx.Outs = append(tx.Outs, out(3*rng.IntN(2), 500+rng.Uint64N(5000)))
		}
		for k, o := range tx.Outs {
			amounts[psbt.Outpoint{ID: tx.ID(), Index: uint32(k)}] = o.Amount
		}
		e.grow(tx)
	}
	check := func(what string) (got []coins.Coin) {
		t.Helper()
		got, left := d.Coins(vaultOf(0))
		if len(got) > 40 || len(got)+left.Count != len(amounts) || left.Count > 0 && len(got) < 32 {
			t.Fatalf("%s: %d coins and %d left out, of %d", what, len(got), left.Count, len(amounts))
		}
		rest, sum, least := map[psbt.Outpoint]uint64{}, uint64(0), uint64(1<<60)
		for o, a := range amounts {
			rest[o], sum = a, sum+a
		}
		for _, c := range got {
			if rest[c.Outpoint] != c.Amount {
				t.Fatalf("%s: coin %s has %d sat, want %d", what, c.Outpoint, c.Amount, rest[c.Outpoint])
			}
			least, sum = min(least, c.Amount), sum-c.Amount
			delete(rest, c.Outpoint)
		}
		for o, a := range rest {
			if a > least {
				t.Fatalf("%s: %s of %d sat is left out, and one of %d is not", what, o, a, least)
			}
		}
		if left.Amount != sum {
			t.Fatalf("%s: %d sat are left out, want %d", what, left.Amount, sum)
		}
		return got
	}
	d.settle()
	check("all")
	for len(amounts) > 0 {
		got, from := check("before"), []psbt.Outpoint{}
		if len(amounts)%3 > 0 { // one that is left out, of those there are
			for o := range amounts {
				if !slices.ContainsFunc(got, func(c coins.Coin) bool { return c.Outpoint == o }) {
					from = []psbt.Outpoint{o}
					break
				}
			}
		}
		for i := 0; len(from) == 0 || i < 5 && i < len(got); i++ {
			from = append(from, got[i].Outpoint)
		}
		for _, o := range from {
			delete(amounts, o)
		}
		e.grow(spend([]psbt.Out{{Amount: 1, Script: anyone}}, from...))
		if rng.IntN(4) == 0 {
			d.restart()
		}
		d.settle()
		if _, height, ok := d.Spent(from[0]); !ok || height != e.top() {
			t.Fatalf("%s: spent at %d, %v", from[0], height, ok)
		}
		if rng.IntN(5) == 0 {
			e.grow()
		}
	}
	check("none")
}

// The largest changes that a block can make, of some ten thousand coins, go through the store's bounds; moves with more parts than are listed are summed up.
func TestVeryLargeBlock(t *testing.T) {
	e := newEndpoint()
	var txs []*psbt.Tx
	for i := range uint32(9) {
		tx := pay(i)
		for k := range 3400 {
			tx.Outs = append(tx.Outs, out(0, uint64(k)))
		}
		txs = append(txs, tx)
	}
	e.grow(txs...) // moves alone are more than a batch takes
	long := pay(9)
	for k := range 5000 {
		long.Outs = append(long.Outs, out(k%2, uint64(k)))
	}
	e.grow(long)
	id := long.ID()
	all := spend([]psbt.Out{{Amount: 1, Script: anyone}})
	for k := range 5000 {
		all.Ins = append(all.Ins, psbt.In{Outpoint: psbt.Outpoint{ID: id, Index: uint32(k)}})
	}
	e.grow(all)
	d := begin(t, e, 1, 0)
	d.settle()
	d.restart()
	got, left := d.Coins(vaultOf(0))
	if len(got) != 9*3400 || left.Count > 0 {
		t.Fatalf("%d coins", len(got))
	}
	d.scripts = 2
	if err := d.Watch(script(1), coins.Owner{Vault: vaultOf(0), Spot: owner(1).Spot}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Rescan(ctx, 0); err != nil {
			t.Fatal(err)
		}
		d.settle()
		d.scripts = 1
		d.restart() // so that the second finds less, and what the first found stays
	}
	if got, _ = d.Coins(vaultOf(0)); len(got) != 9*3400 {
		t.Fatalf("%d coins after a rescan", len(got))
	}
	history, err := d.History(ctx, vaultOf(0), coins.Mark{}, 100)
	if err != nil || len(history) != 11 {
		t.Fatalf("%d moves, %v", len(history), err)
	}
	for _, m := range history {
		want, spent, more := uint64(3400*3399/2), uint64(0), 0
		switch m.ID {
		case id:
			want, more = 5000*4999/2, 904
		case all.ID():
			want, spent, more = 0, 5000*4999/2, 904
		}
		if m.Received != want || m.Spent != spent || m.More != more {
			t.Errorf("move %s: %d received, %d spent, %d more; want %d, %d, %d", m.ID, m.Received, m.Spent, m.More, want, spent, more)
		}
	}
}
