package client

import (
	"bytes"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/custody/charter"
)

// packed is a message as a node sends it.
func packed(t testing.TB, m proto.Message) []byte {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// coinShown is a coin as a node shows it.
func coinShown(c Coin) *v1.Coin {
	id := c.Outpoint.ID
	slices.Reverse(id[:])
	return &v1.Coin{
		Transaction: id[:], Index: c.Outpoint.Index, Amount: c.Amount, Suite: c.Spot.Suite, Path: c.Spot.Path[:], Plain: c.Spot.Plain,
		Height: c.Height, Own: c.Own, Coinbase: c.Coinbase, Opens: c.Opens, Previous: c.Previous,
	}
}

// coinHolds wants of a coin that was taken what is believed of it.
func coinHolds(t *testing.T, v bitcoin.Vault, a Account, c Coin) {
	t.Helper()
	script, err := v.Script(c.Spot)
	if err != nil || [2]uint32(c.Spot.Path[:2]) != a.Path || c.Waits != (c.Height == 0) {
		t.Fatalf("coin %s at %s: %v", c.Outpoint, c.Spot, err)
	}
	if c.Spot.Suite != charter.SuiteECDSA {
		return
	}
	tx, err := psbt.ParseTx(bytes.Clone(c.Previous))
	if err != nil || tx.ID() != c.Outpoint.ID || tx.Outs[c.Outpoint.Index].Amount != c.Amount || !bytes.Equal(tx.Outs[c.Outpoint.Index].Script, script) {
		t.Fatalf("coin %s of %d sat is not what its transaction pays: %v", c.Outpoint, c.Amount, err)
	}
}

// What a node shows of one coin is taken as it is, or not at all.
func FuzzReadCoin(f *testing.F) {
	w := newWorld(f)
	v, err := w.vault.bitcoin(testnet)
	w.must(err)
	for _, c := range w.holds(2).Coins {
		f.Add(packed(f, c))
		c.Own, c.Height, c.Previous = true, 0, append(slices.Clone(c.Previous), 0)
		f.Add(packed(f, c))
	}
	f.Add(packed(f, &v1.Coin{Transaction: bytes.Repeat([]byte{7}, 32), Path: []uint32{0, 0, 1 << 31}, Suite: charter.SuiteECDSA, Amount: 1 << 63}))
	f.Add(packed(f, &v1.Coin{Transaction: bytes.Repeat([]byte{7}, 31), Path: []uint32{0, 1, 0}, Suite: charter.SuiteBIP340}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m v1.Coin
		if proto.Unmarshal(raw, &m) != nil {
			return
		}
		c, err := readCoin(v, Account{}, &m)
		if err != nil {
			return
		}
		coinHolds(t, v, Account{}, c)
		if again, err := readCoin(v, Account{}, coinShown(c)); err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%+v became %+v: %v", c, again, err)
		}
	})
}

// A node's list of an account's coins has each once, and is bounded.
func FuzzReadHolding(f *testing.F) {
	w := newWorld(f)
	v, err := w.vault.bitcoin(testnet)
	w.must(err)
	f.Add(packed(f, w.holds(0)))
	f.Add(packed(f, w.holds(3)))
	twice := w.holds(2)
	twice.Coins = append(twice.Coins, twice.Coins[0])
	f.Add(packed(f, twice))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m v1.CoinsResponse
		if proto.Unmarshal(raw, &m) != nil {
			return
		}
		h, err := readHolding(v, Account{}, &m)
		if err != nil {
			return
		}
		if len(h.Coins) != len(m.Coins) || len(h.Coins) > maxCoins || h.Left < 0 {
			t.Fatalf("%d coins of %d, %d left", len(h.Coins), len(m.Coins), h.Left)
		}
		seen := map[psbt.Outpoint]bool{}
		back := &v1.CoinsResponse{Left: m.Left, Height: h.Height, Behind: h.Behind, Rate: uint64(h.Rate)}
		for _, c := range h.Coins {
			coinHolds(t, v, Account{}, c)
			if seen[c.Outpoint] || c.Amount > bitcoin.MaxMoney {
				t.Fatalf("coin %s stands twice, or holds %d sat", c.Outpoint, c.Amount)
			}
			seen[c.Outpoint] = true
			back.Coins = append(back.Coins, coinShown(c))
		}
		if again, err := readHolding(v, Account{}, back); err != nil || !reflect.DeepEqual(again, h) {
			t.Fatalf("%+v became %+v: %v", h, again, err)
		}
	})
}

// An amount is a number below 2²⁵⁶, and an address one whatever a node writes; names are printable.
func FuzzReadBalance(f *testing.F) {
	const holder = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
	most := new(big.Int).Lsh(big.NewInt(1), 256)
	f.Add(packed(f, &v1.Balance{Department: "ops", Account: "main", Address: holder, Amount: "100000000000000000"}))
	f.Add(packed(f, &v1.Balance{Department: "ops", Account: "main", Address: holder, Asset: "share", Contract: holder, Amount: new(big.Int).Sub(most, big.NewInt(1)).String()}))
	f.Add(packed(f, &v1.Balance{Address: holder, Amount: most.String()}))
	f.Add(packed(f, &v1.Balance{Address: holder, Amount: strings.Repeat("9", 1000)}))
	f.Add(packed(f, &v1.Balance{Account: "\x1b[31m", Address: strings.ToLower(holder), Amount: "-1"}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m v1.Balance
		if proto.Unmarshal(raw, &m) != nil {
			return
		}
		b, err := Vault{}.readBalance(&m)
		if err != nil {
			return
		}
		if b.Amount.Sign() < 0 || b.Amount.Cmp(most) >= 0 || strings.ContainsRune(b.Account+b.Asset, '\x1b') {
			t.Fatalf("%+v", b)
		}
		department, account, _ := strings.Cut(b.Account, "/")
		back := &v1.Balance{Department: department, Account: account, Address: b.Address, Asset: b.Asset, Contract: b.Contract, Amount: b.Amount.String()}
		if again, err := (Vault{}).readBalance(back); err != nil || !reflect.DeepEqual(again, b) {
			t.Fatalf("%+v became %+v: %v", b, again, err)
		}
	})
}
