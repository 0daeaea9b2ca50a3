package coin_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/internal/components/btcd"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/rpc/coin"
)

// payee is a Taproot script of nobody.
var payee = append([]byte{0x51, 0x20}, bytes.Repeat([]byte{7}, 32)...)

func network(t testing.TB, chain string) bitcoin.Network {
	t.Helper()
	n, err := bitcoin.NetworkOf(chain)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const (
	regtest = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"
	mainnet = "bip122:000000000019d6689c085ae165831e93"
)

// both are one node under two names: a panel of two that agree.
func both(t testing.TB, n *btcd.Node) *coin.Panel {
	t.Helper()
	return dial(t, n.URL, strings.Replace(n.URL, "127.0.0.1", "localhost", 1))
}

func dial(t testing.TB, urls ...string) *coin.Panel {
	t.Helper()
	p, err := coin.NewPanel(urls, rpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func outpoint(c btcd.Coin) psbt.Outpoint {
	return psbt.Outpoint{ID: psbt.ID(c.ID), Index: c.Index}
}

func coinOf(c btcd.Coin, script []byte) coin.Coin {
	return coin.Coin{Outpoint: outpoint(c), Amount: uint64(c.Amount), Script: script}
}

// spends is a spending of coins with one script.
func spends(t testing.TB, script []byte, coins ...btcd.Coin) coin.Spending {
	t.Helper()
	s := coin.Spending{Network: network(t, regtest)}
	for _, c := range coins {
		s.Coins = append(s.Coins, coinOf(c, script))
	}
	return s
}

// A like is a spending that others are made of.
type like coin.Spending

func (l like) but(edit func(*coin.Spending)) like {
	s := coin.Spending(l)
	s.Coins = slices.Clone(s.Coins)
	edit(&s)
	return like(s)
}

// wantCheck compares a verdict: says is empty where all is well.
func wantCheck(t *testing.T, name string, err error, field rpc.Field, says string) {
	t.Helper()
	var m *rpc.Mismatch
	switch {
	case field == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case field != "" && (!errors.As(err, &m) || m.Field != field || !strings.Contains(err.Error(), says) || m.Next == ""):
		t.Errorf("%s: %v, want a mismatch of %s with %q", name, err, field, says)
	}
}

// Coins are found where they are, as they are, and spent by nobody else, in blocks and in the pool.
func TestCheck(t *testing.T) {
	n := btcd.Start(t)
	p, ctx := both(t, n), t.Context()
	_, mined := n.Pay(t, btcd.Script(), 5_000_000)
	_, gone := n.Pay(t, btcd.Script(), 6_000_000)
	n.Mine(t, 1)
	spent, goneTo := btcd.Spend(t, []btcd.Coin{gone}, btcd.Out{Amount: 5_990_000, Script: payee})
	n.Send(t, spent)
	n.Mine(t, 1)
	taken, takenBy := btcd.Spend(t, []btcd.Coin{mined}, btcd.Out{Amount: 4_990_000, Script: payee})
	_, waits := n.Pay(t, btcd.Script(), 7_000_000)
	chained, chainedBy := btcd.Spend(t, []btcd.Coin{waits}, btcd.Out{Amount: 6_990_000, Script: payee})
	child := btcd.Coin{ID: chainedBy, Amount: 6_990_000}
	paid := btcd.Coin{ID: goneTo, Amount: 5_990_000}
	own := func(c btcd.Coin) func(psbt.ID) bool { return func(id psbt.ID) bool { return id == psbt.ID(c.ID) } }

	ok := like(spends(t, payee, paid))
	key := like(spends(t, btcd.Script(), mined))
	wait := like(spends(t, btcd.Script(), waits))
	past := like(spends(t, btcd.Script(), gone))
	check := func(name string, l like, field rpc.Field, says string) {
		t.Helper()
		wantCheck(t, name, p.Check(ctx, coin.Spending(l)), field, says)
	}
	check("a coin in a block", ok, "", "")
	check("another network", ok.but(func(s *coin.Spending) { s.Network = network(t, mainnet) }), rpc.FieldChainID, regtest)
	check("a satoshi more", ok.but(func(s *coin.Spending) { s.Coins[0].Amount++ }), coin.FieldAmount, "expected 5990000 sat")
	check("another script", ok.but(func(s *coin.Spending) { s.Coins[0].Script = btcd.Script() }), coin.FieldScript, "5120")
	check("no such transaction", ok.but(func(s *coin.Spending) { s.Coins[0].Outpoint.ID[5] ^= 1 }), coin.FieldCoin, "never there")
	check("no such output", ok.but(func(s *coin.Spending) { s.Coins[0].Outpoint.Index = 1 }), coin.FieldCoin, "never there")
	check("no such output of one that waits", wait.but(func(s *coin.Spending) { s.Coins[0].Outpoint.Index = 2 }), coin.FieldCoin, "never there")
	check("spent in a block", past, coin.FieldCoin, "is spent")
	check("spent in a block, by a replacement", past.but(func(s *coin.Spending) { s.Replacing = true }), coin.FieldCoin, "is spent")
	check("another's that waits", wait, coin.FieldConfirmations, "did not make it")
	check("another's that waits, by a replacement", wait.but(func(s *coin.Spending) { s.Replacing = true }), coin.FieldCoin, "")
	check("one of its own that waits", wait.but(func(s *coin.Spending) { s.Own = own(waits) }), "", "")
	check("one of its own that waits, of another amount", wait.but(func(s *coin.Spending) { s.Own, s.Coins[0].Amount = own(waits), 1 }), coin.FieldAmount, "")
	check("a child", wait.but(func(s *coin.Spending) { s.Child = true }), "", "")
	check("a coin of its own in a block", key, "", "")

	n.Send(t, taken)
	n.Send(t, chained)
	check("spent in the pool", key, coin.FieldCoin, psbt.ID(takenBy).String())
	check("spent in the pool, by a replacement", key.but(func(s *coin.Spending) { s.Replacing = true }), "", "")
	check("its own, spent in the pool", wait.but(func(s *coin.Spending) { s.Own = own(waits) }), coin.FieldCoin, psbt.ID(chainedBy).String())
	replaces := wait.but(func(s *coin.Spending) { s.Own, s.Replacing = own(waits), true })
	check("its own, spent in the pool, by a replacement", replaces, "", "")
	check("its own, of another script, by a replacement", replaces.but(func(s *coin.Spending) { s.Coins[0].Script = payee }), coin.FieldScript, "")
	check("its own, of another index, by a replacement", replaces.but(func(s *coin.Spending) { s.Coins[0].Outpoint.Index = 9 }), coin.FieldCoin, "")
	check("others of which one waits", like(spends(t, payee, paid, child)), coin.FieldConfirmations, outpoint(child).String())
}

// A replacement is not told that a coin which is long spent waits, where the endpoint has an index of transactions.
func TestCheckWithIndex(t *testing.T) {
	n := btcd.Start(t, "--txindex")
	_, gone := n.Pay(t, btcd.Script(), 6_000_000)
	n.Mine(t, 1)
	raw, _ := btcd.Spend(t, []btcd.Coin{gone}, btcd.Out{Amount: 5_990_000, Script: payee})
	n.Send(t, raw)
	n.Mine(t, 1)
	s := spends(t, btcd.Script(), gone)
	s.Replacing, s.Own = true, func(psbt.ID) bool { return true }
	wantCheck(t, "spent in a block", both(t, n).Check(t.Context(), s), coin.FieldCoin, "is spent")
	if known, _, err := both(t, n).Knows(t.Context(), psbt.ID(gone.ID)); err != nil || !known {
		t.Errorf("a transaction in a block, with an index: known %t, %v", known, err)
	}
}

func TestCheckCoinbase(t *testing.T) {
	n := btcd.Start(t)
	for height, field := range map[int]rpc.Field{
		btcd.Blocks: coin.FieldConfirmations, btcd.Blocks - 98: coin.FieldConfirmations, btcd.Blocks - 99: "",
	} {
		var block struct{ Tx []string }
		n.Call(t, &block, "getblock", n.Hash(t, height), 1)
		s := spends(t, btcd.Script(), btcd.Coin{ID: btcd.ID(t, block.Tx[0]), Amount: 50_0000_0000})
		wantCheck(t, fmt.Sprintf("the coinbase of block %d of %d", height, btcd.Blocks), both(t, n).Check(t.Context(), s), field, "100 at least")
	}
}

// A height is the next block's at most: what is later waits. A time has passed by the chain's clock.
func TestCheckLockTime(t *testing.T) {
	n := btcd.Start(t)
	p, ctx := both(t, n), t.Context()
	_, paid := n.Pay(t, payee, 5_000_000)
	n.Mine(t, 1)
	var info struct{ MedianTime uint32 }
	n.Call(t, &info, "getblockchaininfo")
	s := spends(t, payee, paid)
	const tip = btcd.Blocks + 1
	for lock, field := range map[uint32]rpc.Field{
		0: "", 1: "", tip: "", tip + 1: "", 500_000_000: "", info.MedianTime: "", info.MedianTime + 1: coin.FieldLockTime, 1<<32 - 1: coin.FieldLockTime,
	} {
		s.LockTime = lock
		wantCheck(t, fmt.Sprintf("lock time %d", lock), p.Check(ctx, s), field, "has passed")
	}
	for _, lock := range []uint32{tip + 2, 499_999_999} {
		s.LockTime = lock
		var behind *rpc.Behind
		if err := p.Check(ctx, s); !errors.As(err, &behind) || behind.Height != uint64(lock)-1 || behind.Head != tip {
			t.Errorf("lock time %d at %d: %v", lock, tip, err)
		}
	}
}

// As many coins as a transaction may have, and each of them counts.
func TestCheckMany(t *testing.T) {
	n := btcd.Start(t)
	p, c := both(t, n), n.Coin(t)
	var outs []btcd.Out
	for i := range 301 {
		outs = append(outs, btcd.Out{Amount: int64(10_000 + i), Script: payee})
	}
	raw, id := btcd.Spend(t, []btcd.Coin{c}, outs...)
	n.Send(t, raw)
	n.Mine(t, 1)
	var all []btcd.Coin
	for i, o := range outs {
		all = append(all, btcd.Coin{ID: id, Index: uint32(i), Amount: o.Amount})
	}
	wantCheck(t, "300 coins", p.Check(t.Context(), spends(t, payee, all[:300]...)), "", "")
	wantCheck(t, "300 coins at one endpoint", p.Members()[0].Check(t.Context(), spends(t, payee, all[:300]...)), "", "")
	for i := range all {
		all[i].Amount++
	}
	err := p.Check(t.Context(), spends(t, btcd.Script(), all[:300]...))
	wantCheck(t, "300 wrong coins", err, coin.FieldAmount, "of 299 more coins")
	for _, coins := range [][]btcd.Coin{nil, all} {
		for _, err := range []error{p.Check(t.Context(), spends(t, payee, coins...)), p.Members()[0].Check(t.Context(), spends(t, payee, coins...))} {
			if err == nil || !strings.Contains(err.Error(), "1 to 300") {
				t.Errorf("%d coins: %v", len(coins), err)
			}
		}
	}
}

// Blocks are followed through a reorganisation.
func TestBlocks(t *testing.T) {
	n := btcd.Start(t)
	p, ctx := both(t, n), t.Context()
	n.Pay(t, payee, 1_000_000)
	first := n.Mine(t, 2)[0]
	height, id, err := p.Tip(ctx)
	if err != nil || height != btcd.Blocks+2 || id.String() != n.Hash(t, btcd.Blocks+2) {
		t.Fatalf("tip %d %s, %v", height, id, err)
	}
	old, err := p.HashAt(ctx, btcd.Blocks+1)
	if err != nil || old.String() != first {
		t.Errorf("hash %s, %v, want %s", old, err, first)
	}
	raw, err := p.Block(ctx, old)
	once := sha256.Sum256(raw[:min(80, len(raw))])
	if err != nil || psbt.ID(sha256.Sum256(once[:])) != old || !bytes.Contains(raw, payee) {
		t.Errorf("block of %d bytes, %v", len(raw), err)
	}
	here := coin.Block{Height: btcd.Blocks + 1, Hash: old}
	wantCheck(t, "a block", p.CheckBlock(ctx, network(t, regtest), here), "", "")
	wantCheck(t, "a block elsewhere", p.CheckBlock(ctx, network(t, mainnet), here), rpc.FieldChainID, "")
	n.Invalidate(t, first)
	var behind *rpc.Behind
	if _, err := p.HashAt(ctx, btcd.Blocks+1); !errors.As(err, &behind) || behind.Head != btcd.Blocks {
		t.Errorf("a block that was taken off: %v", err)
	}
	if err := p.CheckBlock(ctx, network(t, regtest), here); !errors.As(err, &behind) {
		t.Errorf("a block that was taken off is there: %v", err)
	}
	n.Mine(t, 1)
	wantCheck(t, "a block that another took the place of", p.CheckBlock(ctx, network(t, regtest), here), rpc.FieldBlock, first)
	if raw, err := p.Block(ctx, psbt.ID{9}); raw != nil || !isCallError(err) || !strings.Contains(err.Error(), "no endpoint gives it") {
		t.Errorf("a block that never was: %x, %v", raw, err)
	}
}

func isCallError(err error) bool { return errors.As(err, new(*rpc.CallError)) }

func TestHealth(t *testing.T) {
	n := btcd.Start(t)
	for _, m := range both(t, n).Members() {
		h, err := m.Health(t.Context())
		var header struct{ Time int64 }
		n.Call(t, &header, "getblockheader", n.Hash(t, btcd.Blocks), true)
		if err != nil || h.Chain != regtest || h.Height != btcd.Blocks || h.At.Unix() != header.Time {
			t.Errorf("%+v, %v", h, err)
		}
	}
}

// What is sent twice is sent, in the pool and in a block; what conflicts is refused, with the reason.
func TestSend(t *testing.T) {
	n := btcd.Start(t)
	p, ctx := both(t, n), t.Context()
	c := n.Coin(t)
	raw, id := btcd.Spend(t, []btcd.Coin{c}, btcd.Out{Amount: c.Amount - 10_000, Script: btcd.Script()})
	other, otherID := btcd.Spend(t, []btcd.Coin{c}, btcd.Out{Amount: c.Amount - 10_001, Script: payee})
	better, betterID := btcd.Spend(t, []btcd.Coin{c}, btcd.Out{Amount: c.Amount - 20_000, Script: btcd.Script()})
	sent := func(name string, raw []byte, id [32]byte) {
		t.Helper()
		for range 2 {
			if got, err := p.SendRaw(ctx, raw); err != nil || got != psbt.ID(id) {
				t.Errorf("%s: %s, %v", name, got, err)
			}
		}
	}
	refuses := func(name string, raw []byte, id [32]byte, says string) {
		t.Helper()
		var rejected *rpc.Rejected
		if _, err := p.SendRaw(ctx, raw); !errors.As(err, &rejected) || rejected.Hash != psbt.ID(id).String() || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want a rejection with %q", name, err, says)
		}
	}
	if known, _, err := p.Knows(ctx, psbt.ID(id)); err != nil || known {
		t.Errorf("before it is sent: known %t, %v", known, err)
	}
	sent("a transaction", raw, id)
	if known, _, err := p.Knows(ctx, psbt.ID(id)); err != nil || !known {
		t.Errorf("in the pool: known %t, %v", known, err)
	}
	refuses("one that pays too little more", other, otherID, psbt.ID(id).String()+", which spends it")
	sent("a replacement", better, betterID)
	refuses("what it replaced", raw, id, psbt.ID(betterID).String())
	n.Mine(t, 1)
	sent("what stands in a block", better, betterID)
	if known, _, err := p.Knows(ctx, psbt.ID(betterID)); err != nil || known {
		t.Errorf("in a block, without an index: known %t, %v", known, err)
	}
	refuses("what spends a coin that is gone", raw, id, "is spent")
	next, nextID := btcd.Spend(t, []btcd.Coin{{ID: betterID, Amount: c.Amount - 20_000}}, btcd.Out{Amount: c.Amount - 30_000, Script: payee})
	sent("what spends it", next, nextID)
	sent("what stands in a block, and is spent in the pool", better, betterID)
	n.Mine(t, 1)
	sent("what spent it", next, nextID)
	if _, err := p.SendRaw(ctx, next[:len(next)-1]); err == nil || errors.As(err, new(*rpc.Rejected)) {
		t.Errorf("half a transaction: %v", err)
	}
}

// The estimator is silent on a chain without payments, and tells once there were some.
func TestRates(t *testing.T) {
	n := btcd.Start(t, "--minrelaytxfee=0.00002345")
	p, ctx := both(t, n), t.Context()
	if r, err := p.Rate(ctx, 2); !errors.Is(err, coin.ErrSilent) {
		t.Errorf("rate %s without payments, %v", r, err)
	}
	if r, err := p.MinRate(ctx); err != nil || r != 2345 {
		t.Errorf("least rate %s, %v", r, err)
	}
	for range 4 {
		for range 4 {
			n.Pay(t, payee, 1_000_000)
		}
		n.Mine(t, 1)
	}
	for _, blocks := range []int{1, 25, coin.MaxTarget} { // 10,000 satoshis for some 153 vB
		if r, err := p.Rate(ctx, blocks); err != nil || r < 50_000 || r > 80_000 {
			t.Errorf("rate %s within %d blocks, %v", r, blocks, err)
		}
	}
	for _, blocks := range []int{-1, 0, coin.MaxTarget + 1} {
		if _, err := p.Rate(ctx, blocks); err == nil || errors.Is(err, coin.ErrSilent) {
			t.Errorf("%d blocks ahead: %v", blocks, err)
		}
	}
}

// Neither a wrong password nor a stopped node shows the password.
func TestUnreachable(t *testing.T) {
	n := btcd.Start(t)
	host := n.URL[strings.Index(n.URL, "@")+1:]
	wrong := dial(t, "http://hunter1:hunter2@"+host)
	_, _, err := wrong.Tip(t.Context())
	wantEndpointError(t, "a wrong password", err, host, "HTTP status 401")
	n.Stop()
	_, _, err = dial(t, n.URL).Tip(t.Context())
	wantEndpointError(t, "a stopped node", err, host, "refused")
}

func wantEndpointError(t *testing.T, name string, err error, host, says string) {
	t.Helper()
	var e *rpc.EndpointError
	if !errors.As(err, &e) || e.Next == "" || !strings.Contains(err.Error(), "http://"+host) || !strings.Contains(err.Error(), says) {
		t.Errorf("%s: %v, want an endpoint's error with %q", name, err, says)
		return
	}
	for _, secret := range []string{"hunter1", "hunter2", btcd.User, btcd.Password, "sesame"} {
		if strings.Contains(fmt.Sprintf("%v %+v %#v", err, e, e.Err), secret) {
			t.Errorf("%s: %v shows %s", name, err, secret)
		}
	}
}

// A header is the one of its hash, or the endpoint lies.
func TestHeader(t *testing.T) {
	n := btcd.Start(t)
	c, err := coin.New(n.URL, rpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	id, before := psbt.ID(btcd.ID(t, n.Hash(t, 7))), psbt.ID(btcd.ID(t, n.Hash(t, 6)))
	h, err := c.Header(t.Context(), id)
	if err != nil || h.ID() != id || h.Previous != before {
		t.Errorf("%+v, %v", h, err)
	}
	if _, err := c.Header(t.Context(), psbt.ID{9}); !isCallError(err) {
		t.Errorf("a header of no block: %v", err)
	}
	raw := fmt.Sprintf("%q", fmt.Sprintf("%x", h.Bytes()))
	for name, c := range map[string]struct{ says, want string }{
		"another block's": {raw, "it lies"}, "half of one": {raw[:83] + `"`, "what is no header"}, "a number": {"7", "another type"},
	} {
		m := serve(t, script{"getblockheader": result(c.says)}).Members()[0]
		if _, err := m.Header(t.Context(), before); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
