package node_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/internal/components/anvil"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/wallet"
)

// unruly is a circle, and who follows its transactions on a real chain that mines, forgets and throws out blocks as the test says. The circle's clock is the test's.
type unruly struct {
	setting
	chain *anvil.Node
	panel *rpc.Panel
	who   *wallet.Follower
}

// follow is what a node's process does when it begins.
func (u *unruly) follow() {
	u.who = &wallet.Follower{Desk: u.Hosts[0].Desk, Endpoints: map[string]*rpc.Panel{"eip155:1": u.panel}, Log: slog.New(slog.DiscardHandler)}
}

// What becomes of a signed transaction when its chain throws out blocks, forgets what waits or takes another in its place: the state says what is so on the chain, the same bytes are sent
// again, and nothing is signed anew. One chain serves all rows: each begins where the first did.
func TestUnrulyChain(t *testing.T) {
	t.Parallel()
	base := prepare(t, 2, 2)
	chain := anvil.Start(t, "--chain-id", "1", "--no-mining")
	chain.SetBalance(t, base.addr.Address, "0x56bc75e2d63100000") // 100 ether
	chain.Mine(t, 1)
	panel, err := rpc.NewPanel([]string{chain.URL}, rpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var before string
	chain.Call(t, &before, "evm_snapshot")
	for name, row := range map[string]func(*unruly){
		"thrown out, and mined again":    (*unruly).thrownOut,
		"thrown out into another block":  (*unruly).otherBlock,
		"undone in another block":        (*unruly).otherOutcome,
		"reverted":                       (*unruly).reverted,
		"forgotten":                      (*unruly).forgotten,
		"stuck below the base fee":       (*unruly).stuck,
		"replaced, and back after all":   (*unruly).back,
		"back after the node's restart":  (*unruly).backAnew,
		"replaced by what is not signed": (*unruly).foreign,
	} {
		t.Run(name, func(t *testing.T) {
			s := base.copy(t, name)
			chain.Call(t, nil, "anvil_setNextBlockBaseFeePerGas", "0x3b9aca00") // no snapshot holds it
			u := &unruly{setting: s, chain: chain, panel: panel}
			u.follow()
			row(u)
		})
		chain.Call(t, nil, "anvil_dropAllTransactions")
		chain.Call(t, nil, "evm_revert", before)
		chain.Call(t, &before, "evm_snapshot")
	}
}

// sign signs a transfer with nonce 0, in place of another intent's unless that is zero.
func (u *unruly) sign(instead statement.ID, change func(*evm.Request)) statement.Statement {
	u.T.Helper()
	it := u.Intent(u.vault, u.addr, 0)
	it.Replaces, it.Transaction = instead, raw(u.T, func(r *evm.Request) {
		r.Nonce = 0
		if change != nil {
			change(r)
		}
	})
	st, n := u.Proposal(it)
	if _, err := u.Submit(n); err != nil {
		u.T.Fatal(err)
	}
	u.Approve(st)
	u.Run("signed", func() bool { return u.Signed(st) })
	return st
}

func (u *unruly) view(st statement.Statement) decide.View { return u.show(u.Hosts[0], st) }

// comes follows until a transaction is in a state, for a minute of the circle's clock at most, and wants it to be what was signed at first.
func (u *unruly) comes(st statement.Statement, want intent.State) decide.View {
	u.T.Helper()
	before := u.view(st)
	for range 60 {
		u.look(1)
		now := u.view(st)
		if !bytes.Equal(now.Raw, before.Raw) || now.Hash != before.Hash {
			u.T.Fatalf("%s was signed, and now %s", before.Hash, now.Hash)
		}
		if now.State == want {
			return now
		}
	}
	u.T.Fatalf("it is %s, not %s", u.view(st).State, want)
	return before
}

// stays follows for a minute, in which a transaction's state must not change.
func (u *unruly) stays(st statement.Statement, want intent.State) {
	u.T.Helper()
	for range 60 {
		if u.look(1); u.view(st).State != want {
			u.T.Fatalf("it is %s, and does not stay %s", u.view(st).State, want)
		}
	}
}

func (u *unruly) look(times int) {
	for range times {
		u.who.Step(context.Background(), u.Now)
		u.Now = u.Now.Add(time.Second)
	}
}

// pooled says whether the chain's node has a transaction, and in no block.
func (u *unruly) pooled(hash string) bool {
	u.T.Helper()
	var tx *struct{ BlockNumber *string }
	u.chain.Call(u.T, &tx, "eth_getTransactionByHash", hash)
	return tx != nil && tx.BlockNumber == nil
}

// block is the hash of the block at a height.
func (u *unruly) block(height uint64) string {
	u.T.Helper()
	var b *struct{ Hash string }
	u.chain.Call(u.T, &b, "eth_getBlockByNumber", fmt.Sprintf("%#x", height), false)
	if b == nil {
		u.T.Fatalf("no block %d", height)
	}
	return b.Hash
}

// reorg throws out the newest block; another takes its place, with these transactions: bytes, or what an account of the chain's own is to do.
func (u *unruly) reorg(transactions ...any) {
	u.T.Helper()
	pairs := make([]any, 0)
	for _, tx := range transactions {
		if b, ok := tx.([]byte); ok {
			tx = fmt.Sprintf("0x%x", b)
		}
		pairs = append(pairs, []any{tx, 0})
	}
	u.chain.Call(u.T, nil, "anvil_reorg", 1, pairs)
}

// stands wants a transaction in the block that the chain has at its height.
func (u *unruly) stands(v decide.View, reverted bool) {
	u.T.Helper()
	var r *struct{ BlockNumber, BlockHash, Status string }
	u.chain.Call(u.T, &r, "eth_getTransactionReceipt", v.Hash)
	if r == nil || r.BlockNumber != fmt.Sprintf("%#x", v.Height) || r.BlockHash != u.block(v.Height) || v.Reverted != reverted || (r.Status == "0x0") != reverted {
		u.T.Fatalf("it is %s in block %d, reverted %t, and the chain says %+v", v.State, v.Height, v.Reverted, r)
	}
}

func (u *unruly) thrownOut() {
	st := u.sign(statement.ID{}, nil)
	u.comes(st, intent.Seen)
	u.chain.Mine(u.T, 1)
	v := u.comes(st, intent.Confirmed)
	u.stands(v, false)
	u.reorg()
	u.chain.Call(u.T, nil, "anvil_dropTransaction", v.Hash) // whether or not the chain's node kept it
	if out := u.comes(st, intent.Reorged); out.Height != 0 {
		u.T.Fatalf("it is thrown out, and stands in block %d", out.Height)
	}
	u.comes(st, intent.Seen)
	if !u.pooled(v.Hash) {
		u.T.Fatal("it is seen, and was not sent again")
	}
	u.stays(st, intent.Seen)
	u.chain.Mine(u.T, 1)
	u.stands(u.comes(st, intent.Confirmed), false)
	u.chain.Mine(u.T, 11)
	u.stays(st, intent.Confirmed)
	u.chain.Mine(u.T, 1)
	u.stands(u.comes(st, intent.Final), false)
}

// otherBlock: between two looks the transaction went from one block into another.
func (u *unruly) otherBlock() {
	st := u.sign(statement.ID{}, nil)
	u.comes(st, intent.Seen)
	u.chain.Mine(u.T, 1)
	v := u.comes(st, intent.Confirmed)
	old := u.block(v.Height)
	u.reorg(v.Raw)
	if u.block(v.Height) == old {
		u.T.Fatal("it is the same block: the row shows nothing")
	}
	u.comes(st, intent.Reorged)
	u.stands(u.comes(st, intent.Confirmed), false)
}

// otherOutcome: in the other block the same transaction fails, since where it pays to a contract stands that takes nothing.
func (u *unruly) otherOutcome() {
	first := u.chain.Accounts(u.T)[0]
	made := crypto.CreateAddress(common.HexToAddress(first), 0)
	st := u.sign(statement.ID{}, func(r *evm.Request) { r.To, r.Gas = evm.Address(made), 30_000 })
	u.comes(st, intent.Seen)
	u.chain.Mine(u.T, 1)
	v := u.comes(st, intent.Confirmed)
	u.stands(v, false)
	refuses := map[string]string{"from": first, "nonce": "0x0", "gas": "0x186a0", "maxFeePerGas": "0x174876e800", "data": "0x6460006000fd6000526005601bf3"}
	u.reorg(refuses, v.Raw)
	u.comes(st, intent.Reorged)
	u.stands(u.comes(st, intent.Confirmed), true)
	u.chain.Mine(u.T, 12)
	u.comes(st, intent.Failed)
}

func (u *unruly) reverted() {
	st := u.sign(statement.ID{}, func(r *evm.Request) { r.Gas = 30_000 })
	u.chain.Call(u.T, nil, "anvil_setCode", "0x1111111111111111111111111111111111111111", "0x60006000fd")
	u.comes(st, intent.Seen)
	u.chain.Mine(u.T, 1)
	u.stands(u.comes(st, intent.Confirmed), true)
	u.chain.Mine(u.T, 12)
	u.comes(st, intent.Failed)
	u.stays(st, intent.Failed)
}

func (u *unruly) forgotten() {
	st := u.sign(statement.ID{}, nil)
	v := u.comes(st, intent.Seen)
	for range 2 {
		u.chain.Call(u.T, nil, "anvil_dropTransaction", v.Hash)
		if u.pooled(v.Hash) {
			u.T.Fatal("it was not dropped: the row shows nothing")
		}
		u.look(2)
		if !u.pooled(v.Hash) {
			u.T.Fatal("it was not sent again")
		}
		u.comes(st, intent.Seen)
	}
	u.chain.Mine(u.T, 1)
	u.stands(u.comes(st, intent.Confirmed), false)
}

// stuck: blocks want more than it pays. The chain's node drops it and refuses it (anvil; geth keeps it), and takes it again once it pays enough; for blocks that go on wanting more, one that pays more takes its place.
func (u *unruly) stuck() {
	st := u.sign(statement.ID{}, nil)
	v := u.comes(st, intent.Seen)
	u.dear()
	u.comes(st, intent.Dropped)
	u.stays(st, intent.Dropped)
	u.cheap()
	u.comes(st, intent.Seen)
	if !u.pooled(v.Hash) {
		u.T.Fatal("it is seen, and was not sent again")
	}
	u.dear()
	u.comes(st, intent.Dropped)
	bump := u.sign(st.ID(), func(r *evm.Request) { r.FeeCap, r.TipCap = big.NewInt(90e9), big.NewInt(2e9) })
	u.comes(bump, intent.Seen)
	u.dear()
	u.stands(u.comes(bump, intent.Confirmed), false)
	u.comes(st, intent.Replaced)
}

// dear mines a block that takes nothing below 50 gwei, and cheap one that takes all.
func (u *unruly) dear()  { u.price("0xba43b7400") }
func (u *unruly) cheap() { u.price("0x3b9aca00") }

func (u *unruly) price(perGas string) {
	u.T.Helper()
	u.chain.Call(u.T, nil, "anvil_setNextBlockBaseFeePerGas", perGas)
	u.chain.Mine(u.T, 1)
}

// back: the block with what replaced a transaction is thrown out, and another takes the one that was given up.
func (u *unruly) back() { u.comesBack(func() {}) }

// backAnew: the node's process ended in between.
func (u *unruly) backAnew() {
	u.comesBack(func() {
		u.Crash(u.Hosts[0])
		u.Run("it is there again", func() bool { return u.Hosts[0].Up })
		u.follow()
	})
}

func (u *unruly) comesBack(meanwhile func()) {
	st := u.sign(statement.ID{}, nil)
	v := u.comes(st, intent.Seen)
	bump := u.sign(st.ID(), func(r *evm.Request) { r.FeeCap, r.TipCap = big.NewInt(90e9), big.NewInt(2e9) })
	u.comes(bump, intent.Seen)
	u.chain.Mine(u.T, 1)
	u.stands(u.comes(bump, intent.Confirmed), false)
	u.comes(st, intent.Replaced)
	meanwhile()
	u.reorg(v.Raw)
	u.comes(st, intent.Reorged)
	u.comes(st, intent.Confirmed)
	u.stands(u.view(st), false)
	u.comes(bump, intent.Replaced)
	u.chain.Mine(u.T, 12)
	u.comes(st, intent.Final)
	u.stays(bump, intent.Replaced)
}

// foreign: the nonce is used by what this circle knows nothing of.
func (u *unruly) foreign() {
	st := u.sign(statement.ID{}, nil)
	u.comes(st, intent.Seen)
	u.chain.Call(u.T, nil, "anvil_setNonce", u.addr.Address, "0x1")
	u.comes(st, intent.Replaced)
	u.chain.Call(u.T, nil, "anvil_dropAllTransactions")
	u.stays(st, intent.Replaced)
	if u.pooled(u.view(st).Hash) {
		u.T.Fatal("what was replaced is sent on and on")
	}
}
