package node_test

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/chain/bitcoin"
	purse "github.com/ostraka/ostraka/chain/bitcoin/coins"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/internal/components/btcd"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/rpc/coin"
	"github.com/ostraka/ostraka/node/wallet"
)

// A reading is the first node's purses over a chain.
type reading struct {
	mixed
	*wallet.Purses
	chain *btcd.Node
	t     *testing.T
}

// begin is a new process.
func (r *reading) begin() {
	r.t.Helper()
	panel, err := coin.NewPanel([]string{r.chain.URL}, rpc.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	h := r.Hosts[0]
	r.Purses = &wallet.Purses{Journal: h.Journal, Panels: map[string]*coin.Panel{regtest: panel}, Accounts: h.Accounts, Vaults: h.Keeper.Roots, Desk: h.Desk, Log: slog.New(slog.NewTextHandler(r.t.Output(), nil))}
}

// signed is an intent of this transaction that all approved.
func (r *reading) signed(raw []byte, replaces statement.ID) statement.ID {
	r.t.Helper()
	it := r.asks(raw, 0)
	it.Replaces = replaces
	st, n := r.Proposal(it)
	r.hand(n)
	r.Approve(st)
	r.Run("it is signed", func() bool { return r.Signed(st) })
	return st.ID()
}

// becomes looks until an intent is in one of these states.
func (r *reading) becomes(when string, id statement.ID, want ...intent.State) {
	r.t.Helper()
	var is intent.State
	for range 40 {
		r.Step(r.t.Context(), r.Now)
		if is = r.mixed.State(r.Hosts[0], id); slices.Contains(want, is) {
			return
		}
	}
	r.t.Fatalf("%s: it is %s, want %v", when, is, want)
}

// A payment was thrown out of its block, and another that spends its coin took its place, six blocks deep. When that block is thrown out too, the payment is on its way again; and if ours is mined,
// by a process that began since, it is final in the end. Until then nobody was told that it can be paid again without a look.
func TestThrownOutThenReplacedThenMined(t *testing.T) {
	t.Parallel()
	r := &reading{mixed: mixing(t, 2), chain: btcd.Start(t), t: t}
	spot := bitcoin.Spot{Suite: charter.SuiteBIP340, Path: [3]uint32{0, 1, 0}}
	script, err := r.holding().Vault.Script(spot)
	if err != nil {
		t.Fatal(err)
	}
	raw, paid := r.chain.Pay(t, script, 90_000)
	tx, err := psbt.ParseTx(raw)
	if err != nil {
		t.Fatal(err)
	}
	r.chain.Mine(t, 1)
	first := r.pays(nil, purse.Coin{Spot: spot, Outpoint: psbt.Outpoint{ID: paid.ID, Index: paid.Index}, Amount: 90_000, Previous: tx.Bare()})
	old, err := bitcoin.Decode(first, r.holding().Vault)
	if err != nil {
		t.Fatal(err)
	}
	dearer, err := old.Replacement(bitcoin.PerVByte(12), 0)
	if err != nil {
		t.Fatal(err)
	}
	r.begin()
	r.Step(t.Context(), r.Now)
	empty := r.chain.Mine(t, 9)[0] // a branch in which nothing spends the coin
	r.chain.Invalidate(t, empty)

	ours := r.signed(first, statement.ID{})
	r.becomes("sent", ours, intent.Seen)
	held := r.chain.Mine(t, 1)[0]
	r.becomes("mined", ours, intent.Confirmed)
	r.chain.Invalidate(t, held)
	other := r.signed(dearer, ours)
	v, err := r.Hosts[0].Desk.Show(other)
	if err != nil {
		t.Fatal(err)
	}
	r.chain.Send(t, v.Raw) // another node does: this one has seen no other block yet
	spends := r.chain.Mine(t, 5)[0]
	r.becomes("in a block", other, intent.Confirmed)
	r.becomes("five blocks may be thrown out", ours, intent.Reorged)
	r.chain.Mine(t, 1)
	r.becomes("six deep", ours, intent.Replaced)

	r.chain.Invalidate(t, spends)
	r.chain.Reconsider(t, empty)
	r.becomes("nothing spends the coin", ours, intent.Reorged, intent.Dropped)
	r.chain.Invalidate(t, empty)
	r.chain.Reconsider(t, spends)
	r.chain.Mine(t, 6)
	r.becomes("the other again", ours, intent.Replaced)

	r.begin()
	r.becomes("a new process", ours, intent.Replaced)
	r.chain.Invalidate(t, spends)
	r.chain.Reconsider(t, held)
	r.chain.Mine(t, 3)
	r.becomes("ours is mined", ours, intent.Confirmed)
	r.chain.Mine(t, 6)
	r.becomes("six deep", ours, intent.Final)
}
