package test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
)

// evmLies are told of a sender that has an ether, a thousand tokens and nonce 0.
func (w *lying) evmLies() []lie {
	hundred := `"0x56bc75e2d63100000"` // ether
	word := func(n int64) string { return fmt.Sprintf(`"0x%064x"`, n) }
	fees := func(wei string) string {
		return fmt.Sprintf(`{"oldestBlock":"0x1","baseFeePerGas":[%[1]q,%[1]q],"gasUsedRatio":[0],"reward":[["0x1"]]}`, wei)
	}
	is := func(change func(*client.Transfer)) func() statement.Statement {
		return func() statement.Statement { return w.transfer(change) }
	}
	tokens := func(n int64) func(*client.Transfer) {
		return func(x *client.Transfer) { x.Token, x.Amount = &w.token, big.NewInt(n) }
	}
	dear := func(x *client.Transfer) { x.Amount = big.NewInt(5e18) }
	cheap := func(x *client.Transfer) { x.FeeCap, x.TipCap = big.NewInt(1), big.NewInt(1) }
	third := func(x *client.Transfer) { *x.Nonce = 3 }
	return []lie{
		{name: "the nonce is used", tell: lies(map[string]string{"eth_getTransactionCount": `"0x5"`}), fits: true, says: "that it does not fit: nonce", asks: is(nil)},
		{name: "the nonce is the next", tell: lies(map[string]string{"eth_getTransactionCount": `"0x3"`}), says: "that it waits for those before it", asks: is(third)},
		{name: "there is no balance", tell: lies(map[string]string{"eth_getBalance": `"0x1"`}), fits: true, says: "that it does not fit: balance", asks: is(nil)},
		{name: "there is a balance", tell: lies(map[string]string{"eth_getBalance": hundred}), says: "that it does not fit: balance", asks: is(dear)},
		{name: "another chain", tell: lies(map[string]string{"eth_chainId": `"0x1"`}), fits: true, says: "that it does not fit: chain id", asks: is(nil)},
		{name: "blocks are dear", tell: lies(map[string]string{"eth_feeHistory": fees("0x174876e800")}), fits: true, says: "that it does not fit: fee cap", asks: is(nil)},
		{name: "blocks are cheap", tell: lies(map[string]string{"eth_feeHistory": fees("0x1")}), says: "that it does not fit: fee cap", asks: is(cheap)},
		{name: "no token is there", tell: lies(map[string]string{"eth_call": `"0x"`}), fits: true, says: "that it does not fit: token", asks: is(tokens(7))},
		{name: "there are fewer tokens", tell: lies(map[string]string{"eth_call": word(6)}), fits: true, says: "that it does not fit: token", asks: is(tokens(7))},
		{name: "there are more tokens", tell: lies(map[string]string{"eth_call": word(1e9)}), says: "that it does not fit: token", asks: is(tokens(1001))},
		{name: "another block", tell: lies(map[string]string{"eth_getBlockByNumber": shownBlock(1)}), fits: true, says: "that it does not fit: block", asks: func() statement.Statement { return w.proof(1, w.blockAt(1)) }},
		{name: "a block that is none", tell: lies(map[string]string{"eth_getBlockByNumber": shownBlock(1)}), says: "that it does not fit: block", asks: func() statement.Statement { return w.proof(1, [32]byte{0xcd}) }},
		{name: "another lie each time", tell: fickle, fits: true, says: "that it does not fit", asks: is(nil)},
	}
}

// shownBlock is one whose hash is cd and zeros.
func shownBlock(height uint64) string {
	return fmt.Sprintf(`{"number":"0x%x","hash":"0xcd%s","timestamp":"0x1"}`, height, strings.Repeat("0", 62))
}

func (w *lying) blockAt(height uint64) [32]byte {
	w.t.Helper()
	var b struct{ Hash common.Hash }
	w.eth.Call(w.t, &b, "eth_getBlockByNumber", fmt.Sprintf("%#x", height), false)
	return b.Hash
}

// proof is an intent that says that the vault controls its address as of a block.
func (w *lying) proof(height uint64, hash [32]byte) statement.Statement {
	w.t.Helper()
	st, err := w.alice.PrepareProof(w.sender(anvilChain), intent.Claim{Entity: "Acme Custody Ltd", AsOf: &intent.Block{Height: height, Hash: hash}, Text: fmt.Sprintf("reserves, as of look %d", w.asked.Add(1))}, "", 0)
	w.must(err)
	return st
}

// fickle says something else each time: that there is no balance, or that it serves another chain.
func fickle(x *exchange) bool {
	switch {
	case x.question.Method == "eth_chainId" && x.asked%2 == 1:
		return x.result(`"0x1"`)
	case x.question.Method == "eth_getBalance":
		return x.result(fmt.Sprintf(`"0x%x"`, x.asked+1))
	}
	return false
}

// coinLies are told of a vault that has one coin.
func (w *lying) coinLies() []lie {
	out := func(confirmations int, value, script string) string {
		return fmt.Sprintf(`{"bestblock":"","confirmations":%d,"value":%s,"scriptPubKey":{"hex":%q},"coinbase":false}`, confirmations, value, script)
	}
	own := fmt.Sprintf("%x", w.script)
	spender := fmt.Sprintf(`[{"txid":%q,"vout":%d,"spendingtxid":%q}]`, psbt.ID(w.coin.ID), w.coin.Index, strings.Repeat("ab", 32))
	coin := func() statement.Statement { return w.payment(nil) }
	return []lie{
		{name: "less is in it", tell: lies(map[string]string{"gettxout": out(1, "0.4", own)}), fits: true, says: "that it does not fit: amount", asks: coin},
		{name: "another's it is", tell: lies(map[string]string{"gettxout": out(1, "0.5", "6a")}), fits: true, says: "that it does not fit: script", asks: coin},
		{name: "it is not there", tell: lies(map[string]string{"gettxout": "null"}), fits: true, says: "that it does not fit: coin", asks: coin},
		{name: "it is in no block", tell: lies(map[string]string{"gettxout": out(0, "0.5", own)}), fits: true, says: "that it does not fit: confirmations", asks: coin},
		{name: "another spends it", tell: lies(map[string]string{"gettxspendingprevout": spender}), fits: true, says: "that it does not fit: coin", asks: coin},
		{name: "another network", tell: lies(map[string]string{"getblockhash 0": `"000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"`}), fits: true, says: "that it does not fit: chain id", asks: coin},
		{name: "it is there", tell: lies(map[string]string{"gettxout": out(9, "0.7", own)}), says: "that it does not fit: coin", asks: w.madeUp},
		{name: "the chain is there", tell: lies(map[string]string{"getblockchaininfo": `{"chain":"regtest","blocks":20000,"mediantime":1700000000,"initialblockdownload":false}`}), says: "that it is not there yet", asks: func() statement.Statement {
			return w.payment(func(d *bitcoin.Draft) { d.LockTime = 10_000 })
		}},
	}
}

// madeUp spends a coin of the vault's that never was: nobody sent the transaction that makes it.
func (w *lying) madeUp() statement.Statement {
	return w.payment(func(d *bitcoin.Draft) {
		tx := psbt.Tx{Version: 2, Ins: []psbt.In{{Outpoint: psbt.Outpoint{ID: psbt.ID{7}}, Sequence: bitcoin.Final}}, Outs: []psbt.Out{{Amount: 70_000_000, Script: w.script}}}
		d.Ins[0].Outpoint, d.Ins[0].Amount, d.Ins[0].Previous = psbt.Outpoint{ID: tx.ID()}, 70_000_000, tx.Bare()
		d.Outs[0].Amount = 69_990_000
	})
}

// rudeness: what is no answer counts as none, however it comes, and is bounded. acme has one honest endpoint beside, and one that is down; bolt an honest one.
func (w *lying) rudeness() {
	acme, bolt := w.gates[anvilChain]["acme"], w.gates[anvilChain]["bolt"]
	says := func(text string) func(json.RawMessage) string { return func(json.RawMessage) string { return text } }
	as := func(text string) func(json.RawMessage) string {
		return func(id json.RawMessage) string { return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,%s}`, id, text) }
	}
	for name, row := range map[string]struct {
		do   conduct
		says string // empty: nothing yet
	}{
		"an error of HTTP": {rude("eth_getBalance", 503, says("over capacity")), "answered with HTTP status 503"},
		"a page":           {rude("eth_getBalance", 200, says("<html>")), "no JSON-RPC"},
		"a huge answer":    {rude("eth_getBalance", 200, as(`"result":"0x`+strings.Repeat("f", 5<<20)+`"`)), "answered with more than 4194304 bytes"},
		"a huge number":    {rude("eth_getBalance", 200, as(`"result":"0x1`+strings.Repeat("0", 64)+`"`)), "1 to 64 hexadecimal digits"},
		"another shape":    {rude("eth_getBalance", 200, as(`"result":{"balance":"0x1"}`)), "another type"},
		"another question": {rude("eth_getBalance", 200, says(`{"jsonrpc":"2.0","id":0,"result":"0x1"}`)), "answered to another request than ours"},
		"a refusal":        {rude("eth_getBalance", 200, as(`"error":{"code":-32000,"message":"\u001b[31mpay first"}`)), "refused with code -32000:  [31mpay first"},
		"no end":           {slow("eth_getBalance"), ""},
	} {
		if w.t.Failed() {
			return
		}
		acme[0].be(row.do)
		acme[1].be(nil)
		acme[2].be(down)
		bolt[0].be(nil)
		bolt[1].be(row.do)
		st := w.ask(w.transfer(nil))
		c := w.until(name, st, func(c *client.Case) bool {
			d, ok := c.Decision("cora")
			for operator, few := range map[string]string{"acme": "1 of 3 endpoints answer, and 2 must", "bolt": "1 of 2 endpoints answer, and 2 must"} {
				text := waits(c, operator)
				if row.says == "" {
					ok = ok && strings.Contains(text, "asking its chain endpoint")
				} else {
					ok = ok && strings.Contains(text, few) && strings.Contains(text, row.says)
				}
			}
			return ok && d.Verdict == intent.Allow
		})
		w.takeBack(name, st, c)
	}
	for _, g := range slices.Concat(acme, bolt) {
		g.be(nil)
	}
}

// quoted: what a person is offered is compared between nodes, each of which asked one endpoint.
func (w *lying) quoted() {
	first := w.gates[anvilChain]["acme"][0]
	for what, tell := range map[string]map[string]string{
		"the token's decimals":                {"eth_call": fmt.Sprintf(`"0x%064x"`, 2)},
		"the sender's nonce on " + anvilChain: {"eth_getTransactionCount": `"0x9"`},
		"gas and fees on " + anvilChain:       {"eth_estimateGas": `"0xfffffff"`},
	} {
		first.be(lies(tell))
		x := w.sender(anvilChain)
		_, err := w.alice.Quote(context.Background(), x.Chain, w.from, w.from, big.NewInt(1), &w.token, nil)
		if err == nil || !strings.Contains(err.Error(), what) {
			w.t.Errorf("a lie about %s is offered to people: %v", what, err)
		}
	}
	first.be(nil)
}
