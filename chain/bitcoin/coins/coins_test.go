package coins_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/coins"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
)

// keyOf are keys of which nobody needs the private half: nothing is signed here.
func keyOf(suite string, path [3]uint32) (bitcoin.Key, error) {
	p := secp256k1.BaseMul(secp256k1.NewScalar(1000 + uint64(path[2]) + uint64(len(suite))<<32))
	return bitcoin.Key{Public: p.Bytes(), Fingerprint: [4]byte{1, byte(len(suite))}}, nil
}

const payee = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"

func purse(t testing.TB) coins.Purse {
	t.Helper()
	n, err := bitcoin.NetworkOf("bip122:0f9188f13cb7b2c71f2a335e3a4fc328")
	if err != nil {
		t.Fatal(err)
	}
	return coins.Purse{Vault: bitcoin.Vault{Network: n, Key: keyOf, MaxRate: bitcoin.PerVByte(1000), Recovery: &bitcoin.Recovery{Key: [32]byte(secp256k1.BaseMul(secp256k1.NewScalar(5)).Bytes()[1:]), Blocks: 144}}}
}

func at(suite string, index uint32) bitcoin.Spot {
	return bitcoin.Spot{Suite: suite, Path: [3]uint32{0, 0, index}}
}

// add puts a coin into a purse, made by a transaction of its own, with witnesses.
func add(t testing.TB, p *coins.Purse, place bitcoin.Spot, amount uint64) *coins.Coin {
	t.Helper()
	s, err := p.Vault.Script(place)
	if err != nil {
		t.Fatal(err)
	}
	n := byte(len(p.Coins))
	tx := &psbt.Tx{Version: 2, Ins: []psbt.In{{Outpoint: psbt.Outpoint{ID: psbt.ID{n, byte(len(p.Coins) >> 8), 9}}, Witness: [][]byte{make([]byte, 70)}}}, Outs: []psbt.Out{{Amount: amount, Script: s}}}
	p.Coins = append(p.Coins, coins.Coin{Spot: place, Outpoint: psbt.Outpoint{ID: tx.ID()}, Amount: amount, Previous: tx.Bytes()})
	return &p.Coins[len(p.Coins)-1]
}

func decode(t testing.TB, p coins.Purse, unsigned []byte) *bitcoin.Transaction {
	t.Helper()
	tx, err := bitcoin.Decode(unsigned, p.Vault)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

func change(tx *bitcoin.Transaction) (n int, sum uint64) {
	for _, out := range tx.Outputs() {
		if out.Change != nil {
			n, sum = n+1, sum+out.Amount
		}
	}
	return n, sum
}

func transfer(amount uint64) coins.Transfer {
	return coins.Transfer{Payments: []coins.Payment{{payee, amount}}, Change: at(bitcoin.SuiteBIP340, 99), Rate: bitcoin.PerVByte(10), LockTime: 800_000}
}

// The fee is exactly the rate's where there is change, and the order of inputs and outputs says nothing.
func TestPay(t *testing.T) {
	p := purse(t)
	for i, amount := range []uint64{30_000, 1_000_000, 70_000, 500_000, 40_000} {
		add(t, &p, at([]string{bitcoin.SuiteECDSA, bitcoin.SuiteBIP340}[i%2], uint32(i)), amount)
	}
	b, spent, err := p.Pay(transfer(600_000))
	if err != nil {
		t.Fatal(err)
	}
	tx := decode(t, p, b)
	if n, _ := change(tx); n != 1 || tx.Fee() != bitcoin.PerVByte(10).Fee(tx.VSize()) || len(spent) != 1 || spent[0].Amount != 1_000_000 || tx.LockTime() != 800_000 || !tx.Replaceable() {
		t.Errorf("%d change, fee %d for %d vB, spends %d", n, tx.Fee(), tx.VSize(), len(spent))
	}
	again, _, err := p.Pay(transfer(600_000))
	if err != nil || !bytes.Equal(again, b) {
		t.Error("the same purse pays differently")
	}
	slices.Reverse(p.Coins)
	if again, _, err = p.Pay(transfer(600_000)); err != nil || !bytes.Equal(again, b) {
		t.Error("the order of coins matters")
	}
	fixed := transfer(1_400_000)
	fixed.Fixed, fixed.Memo = true, []byte("for rent")
	if b, spent, err = p.Pay(fixed); err != nil {
		t.Fatal(err)
	}
	tx = decode(t, p, b)
	var operations []effect.Operation
	for _, e := range tx.Effects() {
		operations = append(operations, e.Operation)
	}
	if tx.Replaceable() || len(spent) != 2 || !slices.Contains(operations, effect.Message) {
		t.Errorf("replaceable %v, %d coins, %v", tx.Replaceable(), len(spent), operations)
	}
	ids := []string{}
	for _, in := range tx.Inputs() {
		ids = append(ids, in.Outpoint.ID.String())
	}
	if !slices.IsSorted(ids) || !slices.IsSortedFunc(tx.Outputs(), func(a, b bitcoin.Output) int { return int(int64(a.Amount) - int64(b.Amount)) }) {
		t.Error("inputs or outputs stand in an order that tells something")
	}
}

// Coins that fit are found: no change is made, and what is overpaid is less than change would cost.
func TestPayWithoutChange(t *testing.T) {
	p := purse(t)
	for i, amount := range []uint64{5_000_000, 811_111, 333_333, 222_222, 123_456, 90_000} {
		add(t, &p, at(bitcoin.SuiteBIP340, uint32(i)), amount)
	}
	target := uint64(333_333 + 123_456)
	fee := bitcoin.PerVByte(10).Fee(2*58 + 42)
	b, spent, err := p.Pay(transfer(target - fee - 100))
	if err != nil {
		t.Fatal(err)
	}
	tx := decode(t, p, b)
	if n, _ := change(tx); n != 0 || len(spent) != 2 || tx.Fee() > fee+100 || tx.Fee() < bitcoin.PerVByte(10).Fee(tx.VSize()) {
		t.Errorf("%d change, %d coins, fee %d, want at most %d", n, len(spent), tx.Fee(), fee+100)
	}
}

// Of random purses and payments: what is built is right, or the purse does not hold it; drawing is as the seed says.
func TestPayRandomly(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	built, changeless := 0, 0
	for range 80 {
		p := purse(t)
		for i := range 1 + rng.IntN(20) {
			add(t, &p, at([]string{bitcoin.SuiteECDSA, bitcoin.SuiteBIP340}[rng.IntN(2)], uint32(i)), 300+rng.Uint64N(200_000))
		}
		want := transfer(1000 + rng.Uint64N(800_000))
		want.Rate = bitcoin.Rate(500 + rng.Uint64N(60_000))
		if rng.IntN(2) == 0 {
			want.Seed = &[32]byte{byte(rng.Uint32())}
		}
		b, spent, err := p.Pay(want)
		if err != nil {
			have := uint64(0)
			for _, c := range p.Coins {
				if cost := want.Rate.Fee(bitcoin.InputWeight(c.Suite) / 4); c.Amount > cost {
					have += c.Amount - cost
				}
			}
			if have > want.Payments[0].Amount+want.Rate.Fee(60)+uint64(len(p.Coins)) {
				t.Errorf("%d sat are there for %d at %s: %v", have, want.Payments[0].Amount, want.Rate, err)
			}
			continue
		}
		built++
		tx := decode(t, p, b)
		least := want.Rate.Fee(tx.VSize())
		n, _ := change(tx)
		if n == 0 {
			changeless++
		}
		worth := max(uint64(330), bitcoin.PerVByte(10).Fee(58)) + want.Rate.Fee(46) // what an output of change would have to be worth
		if tx.Fee() < least || n > 1 || n == 1 && tx.Fee() != least || n == 0 && tx.Fee() > least+worth+10 || len(spent) != len(tx.Inputs()) {
			t.Errorf("fee %d for %d vB at %s, least %d, %d change", tx.Fee(), tx.VSize(), want.Rate, least, n)
		}
		again, _, err := p.Pay(want)
		if err != nil || !bytes.Equal(again, b) {
			t.Error("drawn differently by the same seed")
		}
	}
	if built < 30 || changeless < 3 || changeless == built {
		t.Errorf("%d built, %d without change: the rest proves little", built, changeless)
	}
}

// Coins that are reserved, waiting payments of others, or worth less than they cost stay.
func TestPayLeaves(t *testing.T) {
	p := purse(t)
	add(t, &p, at(bitcoin.SuiteBIP340, 1), 100_000)
	add(t, &p, at(bitcoin.SuiteBIP340, 2), 200_000).Waits = true
	own := add(t, &p, at(bitcoin.SuiteBIP340, 3), 50_000)
	own.Waits, own.Own = true, true
	add(t, &p, at(bitcoin.SuiteECDSA, 4), 600)
	held := add(t, &p, at(bitcoin.SuiteBIP340, 5), 300_000).Outpoint
	p.Reserved = []psbt.Outpoint{held}
	b, spent, err := p.Pay(transfer(140_000))
	if err != nil || len(spent) != 2 {
		t.Fatalf("%d coins, %v", len(spent), err)
	}
	decode(t, p, b)
	if _, _, err := p.Pay(transfer(160_000)); err == nil || !strings.Contains(err.Error(), "2 coins add") || !strings.Contains(err.Error(), "3 coins are reserved") {
		t.Errorf("%v", err)
	}
	for name, spoil := range map[string]func(p *coins.Purse, t *coins.Transfer){
		"a coin twice":       func(p *coins.Purse, _ *coins.Transfer) { p.Coins = append(p.Coins, p.Coins[0]) },
		"more than there is": func(p *coins.Purse, _ *coins.Transfer) { p.Coins[0].Amount = bitcoin.MaxMoney },
		"a lie about a coin": func(p *coins.Purse, _ *coins.Transfer) {
			p.Coins[0].Suite, p.Coins[0].Amount = bitcoin.SuiteECDSA, 100_000
		},
		"no transaction of a coin": func(p *coins.Purse, _ *coins.Transfer) {
			p.Coins[3].Previous = nil
		},
		"nothing to pay": func(_ *coins.Purse, t *coins.Transfer) { t.Payments = nil },
		"another network": func(_ *coins.Purse, t *coins.Transfer) {
			t.Payments[0].Address = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
		},
		"dust":                           func(_ *coins.Purse, t *coins.Transfer) { t.Payments[0].Amount = 293 },
		"payments of too much":           func(_ *coins.Purse, t *coins.Transfer) { t.Payments[0].Amount = 1<<64 - 1 },
		"a rate above all":               func(_ *coins.Purse, t *coins.Transfer) { t.Rate = 1<<64 - 1 },
		"a rate above the vault's limit": func(_ *coins.Purse, t *coins.Transfer) { t.Rate = bitcoin.PerVByte(1001) },
		"a long rate above all":          func(_ *coins.Purse, t *coins.Transfer) { t.LongRate = 1<<64 - 1 },
		"change of no suite":             func(_ *coins.Purse, t *coins.Transfer) { t.Change.Suite = "ed25519" },
		"a memo too long":                func(_ *coins.Purse, t *coins.Transfer) { t.Memo = make([]byte, 81) },
	} {
		q, want := p, transfer(10_000)
		q.Coins = slices.Clone(p.Coins)
		spoil(&q, &want)
		if _, _, err := q.Pay(want); err == nil {
			t.Errorf("%s: built", name)
		}
	}
}

func TestConsolidate(t *testing.T) {
	p := purse(t)
	for i := range 12 {
		add(t, &p, at([]string{bitcoin.SuiteECDSA, bitcoin.SuiteBIP340}[i%2], uint32(i)), 3000+uint64(i)*1000)
	}
	add(t, &p, at(bitcoin.SuiteBIP340, 50), 500)
	b, spent, err := p.Consolidate(at(bitcoin.SuiteBIP340, 77), bitcoin.PerVByte(10), 10)
	if err != nil {
		t.Fatal(err)
	}
	tx := decode(t, p, b)
	if n, sum := change(tx); n != 1 || len(tx.Outputs()) != 1 || len(spent) != 10 || len(tx.Effects()) != 1 || tx.Fee() != bitcoin.PerVByte(10).Fee(tx.VSize()) || sum+tx.Fee() != 10*3000+45*1000 {
		t.Errorf("%d change of %d, %d coins, fee %d", n, sum, len(spent), tx.Fee())
	}
	p.Vault.Recovery = nil
	for _, c := range []struct {
		rate  bitcoin.Rate
		limit int
	}{{bitcoin.PerVByte(10), 1}, {bitcoin.PerVByte(900), 10}, {1 << 63, 10}} {
		if _, _, err := p.Consolidate(at(bitcoin.SuiteBIP340, 77), c.rate, c.limit); err == nil {
			t.Errorf("%+v: built", c)
		}
	}
	// Where there is a leaf, one coin that goes to the vault itself has it closed again.
	p = purse(t)
	add(t, &p, at(bitcoin.SuiteBIP340, 1), 30_000)
	if p.Vault.Recovery == nil {
		t.Fatal("the purse's vault has no recovery")
	}
	if _, spent, err := p.Consolidate(at(bitcoin.SuiteBIP340, 77), bitcoin.PerVByte(10), 1); err != nil || len(spent) != 1 {
		t.Errorf("a leaf is not closed: %d coins, %v", len(spent), err)
	}
}

// A sweep takes each coin that is worth it once, in batches that fit; what it leaves is named.
func TestSweep(t *testing.T) {
	p := purse(t)
	for i := range 53 {
		add(t, &p, at([]string{bitcoin.SuiteECDSA, bitcoin.SuiteBIP340}[i%2], uint32(i%5)), 2000+uint64(i)*100)
	}
	small := add(t, &p, at(bitcoin.SuiteECDSA, 1), 600).Outpoint
	wide := add(t, &p, at(bitcoin.SuiteECDSA, 1), 60_000)
	huge := &psbt.Tx{Version: 2, Ins: []psbt.In{{}}, Outs: []psbt.Out{{Amount: 1, Script: make([]byte, bitcoin.MaxLen)}}} // too long to be shown
	wide.Previous = huge.Bytes()
	batches, left, err := p.Sweep(payee, bitcoin.PerVByte(10), 20)
	if err != nil || len(batches) != 3 {
		t.Fatalf("%d batches, %v", len(batches), err)
	}
	swept := map[psbt.Outpoint]bool{}
	last := uint64(bitcoin.MaxMoney)
	for _, b := range batches {
		tx := decode(t, p, b.Unsigned)
		if n, _ := change(tx); n != 0 || len(tx.Outputs()) != 1 || tx.Outputs()[0].Address != payee || tx.Outputs()[0].Amount > last || tx.Fee() != bitcoin.PerVByte(10).Fee(tx.VSize()) {
			t.Errorf("batch pays %+v, fee %d", tx.Outputs(), tx.Fee())
		}
		last = tx.Outputs()[0].Amount
		for _, in := range tx.Inputs() {
			if swept[in.Outpoint] {
				t.Errorf("%s is swept twice", in.Outpoint)
			}
			swept[in.Outpoint] = true
		}
	}
	var kept []psbt.Outpoint
	for _, c := range left {
		kept = append(kept, c.Outpoint)
	}
	if len(swept) != 53 || len(left) != 2 || !slices.Contains(kept, small) || !slices.Contains(kept, wide.Outpoint) {
		t.Errorf("%d swept, %d left", len(swept), len(left))
	}
	if batches, left, err = p.Sweep(payee, bitcoin.PerVByte(110), 20); err != nil || len(batches) != 0 || len(left) != len(p.Coins) {
		t.Errorf("at a rate that eats all: %d batches, %d left, %v", len(batches), len(left), err)
	}
	if _, _, err := p.Sweep("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", 1000, 20); err == nil {
		t.Error("to another network")
	}
	if _, _, err := p.Sweep(payee, 1000, 0); err == nil {
		t.Error("batches of nothing")
	}
}

// Parent and child together pay the rate; a waiting payment of another may be what the child spends.
func TestChild(t *testing.T) {
	p := purse(t)
	c := add(t, &p, at(bitcoin.SuiteBIP340, 1), 100_000)
	c.Waits = true
	for _, parent := range []coins.Parent{{200, 141}, {141, 141}, {0, 1000}, {50_000, 141}} {
		b, err := p.Child(parent, p.Coins[:1], at(bitcoin.SuiteBIP340, 2), bitcoin.PerVByte(20))
		if err != nil {
			t.Fatal(err)
		}
		tx := decode(t, p, b)
		both, alone := bitcoin.PerVByte(20).Fee(tx.VSize()+parent.VSize), bitcoin.PerVByte(20).Fee(tx.VSize())
		if n, _ := change(tx); n != 1 || tx.Fee() < alone || tx.Fee()+parent.Fee < both || tx.Fee() > alone && tx.Fee()+parent.Fee != both {
			t.Errorf("%+v: the child pays %d, both need %d", parent, tx.Fee(), both)
		}
	}
	for name, c := range map[string]struct {
		parent coins.Parent
		coins  []coins.Coin
		rate   bitcoin.Rate
	}{
		"no coin": {coins.Parent{1, 100}, nil, 1000}, "no parent": {coins.Parent{}, p.Coins, 1000}, "more than the coin": {coins.Parent{0, 100_000}, p.Coins, bitcoin.PerVByte(10)},
		"a rate above all": {coins.Parent{1, 100}, p.Coins, 1<<64 - 1}, "a size above all": {coins.Parent{1, 1 << 40}, p.Coins, 1000},
	} {
		if _, err := p.Child(c.parent, c.coins, at(bitcoin.SuiteBIP340, 2), c.rate); err == nil {
			t.Errorf("%s: built", name)
		}
	}
	var refused *bitcoin.Refused // the limit holds for children too
	p.Vault.MaxRate = bitcoin.PerVByte(500)
	if _, err := p.Child(coins.Parent{0, 800}, p.Coins, at(bitcoin.SuiteBIP340, 2), bitcoin.PerVByte(100)); !errors.As(err, &refused) || refused.Field != "fee" {
		t.Errorf("%v", err)
	}
}
