package node_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/bitcoin"
	purse "github.com/ostraka/ostraka/chain/bitcoin/coins"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/internal/components/btcd"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/rpc/coin"
)

// A transaction's id covers neither what its coins hold nor which output is change. Whoever asks with a lie about that is answered alone: the honest transaction with the same id is not denied
// for it, nor the lie allowed for the honest one's sake.
func TestCoinsOfOneID(t *testing.T) {
	t.Parallel()
	chain := btcd.Start(t)
	panel, err := coin.NewPanel([]string{chain.URL}, rpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := payload.VaultOf(regtest, func(string) (payload.Root, error) { return payload.Root{Public: secp256k1.Group{}.Generator()}, nil }, nil, bitcoin.PerVByte(1000))
	if err != nil {
		t.Fatal(err)
	}
	spot := bitcoin.Spot{Suite: charter.SuiteBIP340, Path: [3]uint32{0, 1, 0}}
	script, err := v.Script(spot)
	if err != nil {
		t.Fatal(err)
	}
	_, paid := chain.Pay(t, script, 100_000)
	chain.Mine(t, 1)
	asks := func(amount uint64) *payload.Bitcoin {
		raw, err := bitcoin.Build(v, bitcoin.Draft{
			Ins:  []bitcoin.Input{{Outpoint: psbt.Outpoint{ID: paid.ID, Index: paid.Index}, Sequence: bitcoin.Replaceable, Spot: spot, Amount: amount}},
			Outs: []bitcoin.Output{{Amount: 90_000, Address: btcPayee}},
		})
		if err != nil {
			t.Fatal(err)
		}
		tx, err := bitcoin.Decode(raw, v)
		if err != nil {
			t.Fatal(err)
		}
		return &payload.Bitcoin{Transaction: tx}
	}
	// What an endpoint does not know may be known soon, and a denial is for good: the node waits, and allows it once it is there.
	_, late := chain.Pay(t, script, 97_000)
	old := paid
	paid = late
	soon := asks(97_000)
	paid = old
	ask := node.AskCoins(map[string]*coin.Panel{regtest: panel})
	for _, mined := range []int{0, 1} {
		if mined > 0 {
			chain.Mine(t, mined)
		}
		until := time.Now().Add(time.Minute)
		checked, why, err := ask(t.Context(), decide.Question{Payload: soon})
		for errors.Is(err, node.ErrAsking) || mined > 0 && err != nil && time.Now().Before(until) {
			time.Sleep(50 * time.Millisecond)
			checked, why, err = ask(t.Context(), decide.Question{Payload: soon})
		}
		if !checked || why != "" || (err == nil) != (mined > 0) || err != nil && !strings.Contains(err.Error(), "this node waits") {
			t.Fatalf("%d blocks later: %t, denied for %q, %v", mined, checked, why, err)
		}
	}
	honest, lie := asks(100_000), asks(99_000)
	if honest.ID() != lie.ID() {
		t.Fatal("two ids: the test shows nothing")
	}
	for _, first := range []*payload.Bitcoin{lie, honest} {
		ask := node.AskCoins(map[string]*coin.Panel{regtest: panel})
		for _, p := range []*payload.Bitcoin{first, honest, lie} {
			checked, why, err := ask(t.Context(), decide.Question{Payload: p})
			for ; errors.Is(err, node.ErrAsking); checked, why, err = ask(t.Context(), decide.Question{Payload: p}) {
				time.Sleep(time.Millisecond)
			}
			if err != nil || !checked || (p == lie) != strings.Contains(why, "amount") || p == honest && why != "" {
				t.Errorf("a lie: %v; denied for %q, %v", p == lie, why, err)
			}
		}
	}
}

// What waits is a vault's own where that vault signed it: another vault of the node is a stranger, who may take it back.
func TestOwnCoinsAreOneVaults(t *testing.T) {
	t.Parallel()
	m := mixing(t, 2)
	coin := m.coin(charter.SuiteBIP340, 1, 0, 90_000)
	first := m.asks(m.pays(func(t *purse.Transfer) { t.Payments[0].Amount = 20_000 }, coin), 0)
	st, n := m.Proposal(first)
	m.hand(n)
	m.Approve(st)
	m.Run("it is signed", func() bool { return m.Signed(st) })
	tx, err := bitcoin.Decode(first.Transaction, m.holding().Vault)
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{}
	m.CheckOther = func(h *nodetest.Host, q decide.Question) (bool, string, error) {
		asked[h.Own.Name] = true
		if !q.Own(tx.ID().String()) || q.Own(coin.Outpoint.ID.String()) {
			t.Errorf("%s does not know its vault's own transaction, or takes a stranger's for it", h.Own.Name)
		}
		return true, "", nil
	}
	change := slices.IndexFunc(tx.Outputs(), func(o bitcoin.Output) bool { return o.Change != nil })
	out := tx.Outputs()[change]
	m.allowed(m.asks(m.pays(nil, purse.Coin{Spot: *out.Change, Outpoint: psbt.Outpoint{ID: tx.ID(), Index: uint32(change)}, Amount: out.Amount, Waits: true, Own: true}), 0))
	for _, h := range m.Hosts {
		if !asked[h.Own.Name] || h.Desk.Made(statement.ID{1}, tx.ID().String()) || !h.Desk.Made(m.vault, tx.ID().String()) {
			t.Errorf("%s asks nobody, or says that another vault made it", h.Own.Name)
		}
	}
}
