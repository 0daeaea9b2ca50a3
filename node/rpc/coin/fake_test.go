package coin_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/rpc/coin"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// script answers methods, or methods with their first parameters ("getblockhash 0"), with what stands beside "id", such as
// `"result":1,"error":null`. A method that is missing is refused as unknown. Refusals have HTTP status 500, as Core's have.
type script map[string]string

func (s script) but(pairs ...string) script {
	s = maps.Clone(s)
	for i := 0; i < len(pairs); i += 2 {
		s[pairs[i]] = pairs[i+1]
	}
	return s
}

func result(json string) string { return `"result":` + json + `,"error":null` }

func refusal(code int, message string) string {
	return fmt.Sprintf(`"result":null,"error":{"code":%d,"message":%q}`, code, message)
}

// dead is an endpoint that does not answer.
const dead = "dead"

// serve serves each script at an endpoint of its own.
func serve(t testing.TB, scripts ...script) *coin.Panel {
	t.Helper()
	var urls []string
	for _, s := range scripts {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var request struct {
				Version string `json:"jsonrpc"`
				ID      uint64
				Method  string
				Params  []any
			}
			if err := json.NewDecoder(r.Body).Decode(&request); err != nil || request.Version != "1.0" {
				w.WriteHeader(http.StatusBadRequest) // a caller that went away
				return
			}
			answer, ok := s[request.Method]
			for i := range request.Params {
				if a, is := s[request.Method+" "+strings.Trim(fmt.Sprint(request.Params[:i+1]), "[]")]; is {
					answer, ok = a, true
				}
			}
			if !ok {
				answer = refusal(-32601, "Method not found")
			}
			if strings.Contains(answer, `"error":{`) {
				w.WriteHeader(http.StatusInternalServerError)
			}
			fmt.Fprintf(w, `{"id":%d,%s}`, request.ID, answer)
		}))
		t.Cleanup(server.Close)
		if urls = append(urls, server.URL); s[dead] != "" {
			server.Close()
		}
	}
	return dial(t, urls...)
}

const genesis = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"

var (
	off    = script{dead: "x"}
	parent = &psbt.Tx{Version: 2, Ins: []psbt.In{{Outpoint: psbt.Outpoint{ID: psbt.ID{1}}}}, Outs: []psbt.Out{{Amount: 5_000_000, Script: payee}, {Amount: 1, Script: []byte{0x6a}}}}
	signed = &psbt.Tx{Version: 2, Ins: []psbt.In{{Outpoint: psbt.Outpoint{ID: parent.ID()}}}, Outs: []psbt.Out{{Amount: 4_000_000, Script: payee}, {Amount: 900_000, Script: payee}}}
)

func txOut(confirmations int, value string, script []byte, coinbase bool) string {
	return result(fmt.Sprintf(`{"bestblock":"%s","confirmations":%d,"value":%s,"scriptPubKey":{"asm":"","hex":"%x"},"coinbase":%t}`, genesis, confirmations, value, script, coinbase))
}

func spentBy(o psbt.Outpoint, by string) string {
	return result(fmt.Sprintf(`[{"txid":"%s","vout":%d%s}]`, o.ID, o.Index, by))
}

// well is an endpoint at which signed fits: its one coin is there.
func well() script {
	return script{
		"getblockhash 0": result(`"` + genesis + `"`), "getblockhash 100": result(`"` + strings.Repeat("ab", 32) + `"`), "getblockcount": result("100"),
		"getblockchaininfo":    result(`{"chain":"regtest","blocks":100,"headers":100,"mediantime":1700000000,"initialblockdownload":false}`),
		"gettxout":             txOut(3, "0.05", payee, false),
		"gettxspendingprevout": spentBy(signed.Ins[0].Outpoint, ""),
		"getrawtransaction":    refusal(-5, "No such mempool transaction. Use -txindex"),
		"getbestblockhash":     result(`"` + strings.Repeat("ab", 32) + `"`), "getblockheader": result(`{"height":100,"time":1700000600}`),
		"estimatesmartfee": result(`{"feerate":0.00012345,"blocks":2}`), "getmempoolinfo": result(`{"mempoolminfee":0.00001000,"minrelaytxfee":0.00000100}`),
		"sendrawtransaction": result(`"` + signed.ID().String() + `"`),
	}
}

// fits is what is compared of signed.
func fits(t testing.TB) like {
	return like(coin.Spending{Network: network(t, regtest), Coins: []coin.Coin{{Outpoint: signed.Ins[0].Outpoint, Amount: 5_000_000, Script: payee}}})
}

func isDisagreement(err error) bool {
	return errors.As(err, new(*rpc.DisagreementError)) && !isMismatch(err) // a Mismatch would deny for good
}
func isMismatch(err error) bool { return errors.As(err, new(*rpc.Mismatch)) }
func isBehind(err error) bool   { return errors.As(err, new(*rpc.Behind)) }

// Nothing is signed on the word of an endpoint that others contradict, nor on that of a minority, whoever is right.
func TestPanelChecks(t *testing.T) {
	ok := well()
	spent := ok.but("gettxout", result("null"))
	pooled := ok.but("gettxspendingprevout", spentBy(signed.Ins[0].Outpoint, `,"spendingtxid":"`+parent.ID().String()+`"`))
	less := ok.but("gettxout", txOut(3, "0.04999999", payee, false))
	other := ok.but("gettxout", txOut(3, "0.05", []byte{0x6a}, false))
	waits := ok.but("gettxout", txOut(0, "0.05000000", payee, false))
	young := ok.but("gettxout", txOut(99, "0.05", payee, true))
	elsewhere := ok.but("getblockhash 0", result(`"000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"`))
	low := ok.but("getblockchaininfo", result(`{"blocks":98,"mediantime":1700000000}`))
	loads := ok.but("getblockchaininfo", result(`{"blocks":100,"mediantime":1700000000,"initialblockdownload":true}`))
	for name, c := range map[string]struct {
		of   []script
		says string // empty: all is well
		is   func(error) bool
	}{
		"one":                               {[]script{ok}, "", nil},
		"two that agree":                    {[]script{ok, ok}, "", nil},
		"three, one is down":                {[]script{ok, off, ok}, "", nil},
		"one of two is down":                {[]script{ok, off}, "1 of 2 endpoints answer, and 2 must", nil},
		"two of three are down":             {[]script{off, ok, off}, "1 of 3 endpoints answer, and 2 must", nil},
		"all are down":                      {[]script{off, off}, "0 of 2 endpoints answer", nil},
		"one reads the chain still":         {[]script{loads}, "still reads the chain", nil},
		"one starts":                        {[]script{ok.but("getblockchaininfo", refusal(-28, "Loading block index"))}, "Loading block index", nil},
		"the liar says that it is there":    {[]script{spent, ok}, "endpoints disagree on the transaction", isDisagreement},
		"one of three lies":                 {[]script{ok, ok, less}, "amount", isDisagreement},
		"two lie in the same way":           {[]script{less, ok, less}, "endpoints disagree", isDisagreement},
		"they lie in different ways":        {[]script{less, other}, "that it does not fit: amount", isDisagreement},
		"one pool has it":                   {[]script{ok, waits}, "confirmations", isDisagreement},
		"one pool spends it":                {[]script{pooled, ok}, "coin", isDisagreement},
		"one is of another network":         {[]script{ok, elsewhere}, "chain id", isDisagreement},
		"one is behind":                     {[]script{ok, low}, "that it is not there yet", isDisagreement},
		"all say that it is spent":          {[]script{spent, spent}, "is spent", isMismatch},
		"one says so, one names who does":   {[]script{spent, pooled}, "is spent", isMismatch},
		"all say that it is another amount": {[]script{less, less}, "expected 4999999 sat", isMismatch},
		"all say that it is another script": {[]script{other, other, off}, "expected script 6a", isMismatch},
		"all say that it waits":             {[]script{waits, waits}, "did not make it", isMismatch},
		"all say that it is too young":      {[]script{young, young}, "100 at least", isMismatch},
		"all say that they are behind":      {[]script{low, low}, "awaits block 99", isBehind},
		"all are of another network":        {[]script{elsewhere, elsewhere}, "bip122:000000000019d6689c085ae165831e93", isMismatch},
		"Core before version 24":            {[]script{ok.but("gettxspendingprevout", refusal(-32601, "Method not found"))}, "", nil},
	} {
		s := coin.Spending(fits(t).but(func(s *coin.Spending) { s.LockTime = 100 }))
		err := serve(t, c.of...).Check(t.Context(), s)
		switch {
		case c.says == "" && err != nil, c.says != "" && err == nil:
			t.Errorf("%s: %v", name, err)
		case err != nil && (!strings.Contains(err.Error(), c.says) || c.is != nil && !c.is(err)):
			t.Errorf("%s: %v, want %q", name, err, c.says)
		case err != nil && c.is == nil && (isMismatch(err) || isDisagreement(err) || isBehind(err)):
			t.Errorf("%s: trouble with endpoints is taken for an answer: %v", name, err)
		}
	}
}

// An endpoint that is refused is not believed in part: whatever is no answer to the question is the environment's error.
func TestRubbish(t *testing.T) {
	at := signed.Ins[0].Outpoint
	check := func(ctx context.Context, p *coin.Panel) error { return p.Check(ctx, coin.Spending(fits(t))) }
	replace := func(ctx context.Context, p *coin.Panel) error {
		return p.Check(ctx, coin.Spending(fits(t).but(func(s *coin.Spending) { s.Replacing, s.Child = true, true })))
	}
	tip := func(ctx context.Context, p *coin.Panel) error { _, _, err := p.Tip(ctx); return err }
	rate := func(ctx context.Context, p *coin.Panel) error { _, err := p.Rate(ctx, 2); return err }
	least := func(ctx context.Context, p *coin.Panel) error { _, err := p.MinRate(ctx); return err }
	health := func(ctx context.Context, p *coin.Panel) error { _, err := p.Members()[0].Health(ctx); return err }
	knows := func(ctx context.Context, p *coin.Panel) error { _, _, err := p.Knows(ctx, signed.ID()); return err }
	value := func(v string) string { return txOut(3, v, payee, false) }
	for _, c := range []struct {
		ask           func(context.Context, *coin.Panel) error
		method, reply string
		says          string
	}{
		{check, "getblockhash 0", result("null"), "answered with null"},
		{check, "getblockhash 0", result(`"` + genesis[1:] + `"`), "64 lower-case hex digits"},
		{check, "getblockhash 0", result(`"` + strings.ToUpper(genesis) + `"`), "64 lower-case hex digits"},
		{check, "getblockhash 0", result(`7`), "another type"},
		{check, "getblockchaininfo", result(`{"blocks":100}`), "without a height or a median time"},
		{check, "getblockchaininfo", result(`{"mediantime":100}`), "without a height or a median time"},
		{check, "getblockchaininfo", result(`{"blocks":-1,"mediantime":1}`), "another type"},
		{check, "getblockchaininfo", result(`{"blocks":4294967296,"mediantime":1}`), "another type"},
		{check, "gettxout", result(`{}`), "without amount, script or confirmations"},
		{check, "gettxout", result(`{"confirmations":3,"value":0.05,"scriptPubKey":{}}`), "without amount, script or confirmations"},
		{check, "gettxout", result(`{"confirmations":3,"scriptPubKey":{"hex":""}}`), "without amount, script or confirmations"},
		{check, "gettxout", result(`{"value":0.05,"scriptPubKey":{"hex":""}}`), "without amount, script or confirmations"},
		{check, "gettxout", result(`{"confirmations":-3,"value":0.05,"scriptPubKey":{"hex":""}}`), "another type"},
		{check, "gettxout", result(`{"confirmations":3,"value":0.05,"scriptPubKey":{"hex":"5"}}`), "another type"},
		{check, "gettxout", value("-0.05"), "not negative"},
		{check, "gettxout", value("0.049999999"), "more than 8 decimal places"},
		{check, "gettxout", value("21000000.00000001"), "more than there can be"},
		{check, "gettxout", value("1e30"), "too large"},
		{check, "gettxout", value("1e999999999999999999999"), "decimal digits"},
		{check, "gettxout", value(`"0.05"`), "decimal digits"},
		{check, "gettxout", value(`[5]`), "decimal digits"},
		{check, "gettxout", result(`[]`), "another type"},
		{check, "gettxout", `"result":null,"error":{"code":-1,"message":"no\u001b[31m"}`, "refused with code -1: no [31m"},
		{check, "gettxspendingprevout", result(`[]`), "of 0 outputs for 1"},
		{check, "gettxspendingprevout", spentBy(psbt.Outpoint{ID: at.ID, Index: 1}, ""), "of another output"},
		{check, "gettxspendingprevout", spentBy(at, `,"spendingtxid":"00"`), "64 lower-case hex digits"},
		{check, "gettxspendingprevout", refusal(-8, "Invalid parameter"), "Invalid parameter"},
		{replace, "getrawtransaction", result(`{"hex":"00"}`), "no transaction"},
		{replace, "getrawtransaction", result(fmt.Sprintf(`{"hex":"%x"}`, signed.Bytes())), "answered with transaction " + signed.ID().String()},
		{tip, "getblockcount", result(`-1`), "another type"},
		{tip, "getblockcount", result(`"100"`), "another type"},
		{tip, "getblockhash 100", refusal(-8, "Block height out of range"), "out of range"}, // and it says that it is there
		{rate, "estimatesmartfee", result(`{"feerate":10.00000001}`), "a million satoshis"},
		{rate, "estimatesmartfee", result(`{"feerate":"0.0001"}`), "decimal digits"},
		{rate, "estimatesmartfee", result(`[]`), "another type"},
		{least, "getmempoolinfo", result(`{"mempoolminfee":11,"minrelaytxfee":1}`), "a million satoshis"},
		{least, "getmempoolinfo", result(`{}`), "Method not found"},
		{health, "getblockheader", result(`{"height":1}`), "without height or time"},
		{health, "getblockheader", result(`{"time":1}`), "without height or time"},
		{health, "getbestblockhash", result(`null`), "null"},
		{knows, "getrawtransaction", result(`null`), "null"},
		{knows, "getrawtransaction", result(fmt.Sprintf(`{"hex":"%x"}`, parent.Bytes())), "answered with transaction"},
		{knows, "getrawtransaction", refusal(-32601, "Method not found"), "Method not found"},
	} {
		s := well()
		if c.method == "getrawtransaction" {
			s = s.but("gettxout", result("null"))
		}
		err := c.ask(t.Context(), serve(t, s.but(c.method, c.reply)))
		if err == nil || !strings.Contains(err.Error(), c.says) || isMismatch(err) || isBehind(err) || errors.Is(err, coin.ErrSilent) {
			t.Errorf("%s answers %s: %v, want an error with %q", c.method, c.reply, err, c.says)
		}
		if err := c.ask(t.Context(), serve(t, well().but("gettxout", s["gettxout"]))); err != nil && c.method != "getrawtransaction" {
			t.Errorf("%s answers well: %v", c.method, err)
		}
	}
}

// The height is the least, and the hash there what all say; a hash that less than half have is none yet.
func TestPanelFollows(t *testing.T) {
	ctx := t.Context()
	none := refusal(-8, "Block height out of range")
	far := well().but("getblockcount", result("102"), "getblockhash 102", result(`"`+strings.Repeat("cd", 32)+`"`))
	near := well().but("getblockhash 102", none)
	fork := well().but("getblockhash 100", result(`"`+strings.Repeat("ef", 32)+`"`))
	if height, id, err := serve(t, far, near).Tip(ctx); err != nil || height != 100 || id.String() != strings.Repeat("ab", 32) {
		t.Errorf("tip %d %s, %v", height, id, err)
	}
	if height, _, err := serve(t, far, off, far).Tip(ctx); err != nil || height != 102 {
		t.Errorf("tip %d, %v, where the one that is behind is down", height, err)
	}
	if _, _, err := serve(t, near, fork).Tip(ctx); !isDisagreement(err) || !strings.Contains(err.Error(), "the hash of block 100") {
		t.Errorf("a fork: %v", err)
	}
	if _, _, err := serve(t, near, off).Tip(ctx); err == nil || isDisagreement(err) {
		t.Errorf("one of two is down: %v", err)
	}
	if id, err := serve(t, far, near).HashAt(ctx, 102); !isBehind(err) {
		t.Errorf("one of two has block 102: %s, %v", id, err)
	}
	if id, err := serve(t, far, near, far).HashAt(ctx, 102); err != nil || id.String() != strings.Repeat("cd", 32) {
		t.Errorf("two of three have it: %s, %v", id, err)
	}
	lies := far.but("getblockhash 102", result(`"`+strings.Repeat("ef", 32)+`"`))
	if id, err := serve(t, far, near, lies).HashAt(ctx, 102); !isDisagreement(err) {
		t.Errorf("two have another: %s, %v", id, err)
	}
	id, err := psbt.ParseID(strings.Repeat("ab", 32))
	if err != nil {
		t.Fatal(err)
	}
	n := network(t, regtest)
	if err := serve(t, near, far).CheckBlock(ctx, n, coin.Block{Height: 100, Hash: id}); err != nil {
		t.Error(err)
	}
	if err := serve(t, near, fork).CheckBlock(ctx, n, coin.Block{Height: 100, Hash: id}); !isDisagreement(err) {
		t.Errorf("a block of one of two: %v", err)
	}
	if err := serve(t, near, far).CheckBlock(ctx, n, coin.Block{Height: 102}); !isDisagreement(err) {
		t.Errorf("a block that one has not: %v", err)
	}
	for _, m := range serve(t, near).Members() {
		if h, err := m.Health(ctx); err != nil || h.Chain != regtest || h.Height != 100 || h.At.Unix() != 1700000600 {
			t.Errorf("%+v, %v", h, err)
		}
	}
}

// A block's header is the one that was asked for: whoever gives another is passed over, and told if nobody gives it.
func TestPanelBlock(t *testing.T) {
	block := append(bytes.Repeat([]byte{5}, 80), 1, 2, 3)
	once := sha256.Sum256(block[:80])
	id := psbt.ID(sha256.Sum256(once[:]))
	gives := func(b []byte) script {
		return script{"getblock " + id.String(): result(`"` + hex.EncodeToString(b) + `"`)}
	}
	other := bytes.Clone(block)
	other[79] ^= 1
	honest := gives(block)
	long := gives(append(bytes.Clone(block), make([]byte, coin.MaxBlock-82)...))
	for name, liar := range map[string]script{
		"it lies": gives(other), "81 to": gives(block[:80]), "blocks have": long, "more than 8001200 bytes": gives(make([]byte, coin.MaxBlock+1000)),
		"Method not found": {}, "odd length": {"getblock": result(`"0"`)}, "refused": off, "null": {"getblock": result("null")},
	} {
		if b, err := serve(t, liar, honest).Block(t.Context(), id); err != nil || !bytes.Equal(b, block) {
			t.Errorf("%s: an honest one is there: %d bytes, %v", name, len(b), err)
		}
		p := serve(t, liar, liar)
		b, err := p.Block(t.Context(), id)
		if b != nil || err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
			continue
		}
		for _, m := range p.Members() {
			if !strings.Contains(err.Error(), m.Endpoint()) {
				t.Errorf("%s: %v does not name %s", name, err, m)
			}
		}
	}
	gone := script{"getblock": refusal(-1, "Block not available (pruned data)")}
	if _, err := serve(t, gone, gone).Block(t.Context(), id); err == nil || endpoint.Environment(err) != nil {
		t.Errorf("all have thrown it away, and it may come yet: %v", err)
	}
	for name, down := range map[string]script{"one is away": off, "one lies": gives(other)} {
		for _, p := range []*coin.Panel{serve(t, gone, down), serve(t, down, gone)} {
			if _, err := p.Block(t.Context(), id); endpoint.Environment(err) == nil {
				t.Errorf("%s, and it is taken for thrown away: %v", name, err)
			}
		}
	}
	longest := append(bytes.Clone(block), make([]byte, coin.MaxBlock-len(block))...)
	if b, err := serve(t, gives(longest)).Block(t.Context(), id); err != nil || len(b) != coin.MaxBlock {
		t.Errorf("the longest block: %d bytes, %v", len(b), err)
	}
}

// Whatever words and codes a node refuses with, what it has is sent.
func TestSendLooksUp(t *testing.T) {
	ctx, id := t.Context(), signed.ID()
	pool := result(fmt.Sprintf(`{"hex":"%x"}`, signed.Bytes()))
	out := txOut(1, "0.009", payee, false) // of the second output: the first is spent, and the pool spends this one
	for _, c := range []struct {
		code  int
		words string
	}{
		{-27, "Transaction already in block chain"}, {-27, "Transaction outputs already in utxo set"}, {-26, "txn-already-known"}, {-26, "txn-already-in-mempool"},
		{-26, "TX rejected: already have transaction 00"}, {-27, "TX rejected: transaction already exists in blockchain"}, {-25, "bad-txns-inputs-missingorspent"}, {-1, ""},
	} {
		refuses := well().but("sendrawtransaction", refusal(c.code, c.words), "gettxout", result("null"))
		for name, s := range map[string]script{"pool": refuses.but("getrawtransaction", pool), "block": refuses.but("gettxout "+id.String()+" 1 false", out)} {
			if got, err := serve(t, s).SendRaw(ctx, signed.Bytes()); err != nil || got != id {
				t.Errorf("%q, in its %s: %s, %v", c.words, name, got, err)
			}
		}
		for name, s := range map[string]script{
			"nowhere": refuses, "of another amount": refuses.but("gettxout "+id.String(), txOut(1, "0.008", payee, false)), "of another script": refuses.but("gettxout "+id.String(), txOut(1, "0.009", nil, false)),
		} {
			if _, err := serve(t, s).SendRaw(ctx, signed.Bytes()); !errors.As(err, new(*rpc.Rejected)) || !strings.Contains(err.Error(), "is spent") {
				t.Errorf("%q, %s: %v, want a rejection and its reason", c.words, name, err)
			}
		}
		for name, s := range map[string]script{
			"asked for transactions": refuses.but("getrawtransaction", refusal(-28, "Loading")), "asked for outputs": refuses.but("gettxout", refusal(-28, "Loading")),
		} {
			if _, err := serve(t, s).SendRaw(ctx, signed.Bytes()); err == nil || errors.As(err, new(*rpc.Rejected)) || !strings.Contains(err.Error(), "outcome unknown") {
				t.Errorf("%q, and it loads when it is %s: %v", c.words, name, err)
			}
		}
	}
}

// A signed transaction goes to all endpoints; it is sent if one has it, refused if all refuse it, and else unknown.
func TestPanelSends(t *testing.T) {
	ctx, id := t.Context(), signed.ID()
	takes := well()
	refuses := well().but("sendrawtransaction", refusal(-26, "insufficient fee"), "gettxout "+id.String(), result("null"))
	another := refuses.but("sendrawtransaction", result(`"`+genesis+`"`))
	for name, of := range map[string][]script{"the first takes it": {takes, refuses}, "the last takes it": {another, off, takes}} {
		if got, err := serve(t, of...).SendRaw(ctx, signed.Bytes()); err != nil || got != id {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if _, err := serve(t, refuses, refuses).SendRaw(ctx, signed.Bytes()); !errors.As(err, new(*rpc.Rejected)) || !strings.Contains(err.Error(), "insufficient fee") {
		t.Errorf("both refuse: %v", err)
	}
	for name, of := range map[string][]script{"one is silent": {refuses, off}, "one names another": {another, refuses}} {
		if _, err := serve(t, of...).SendRaw(ctx, signed.Bytes()); err == nil || errors.As(err, new(*rpc.Rejected)) || !strings.Contains(err.Error(), "outcome unknown") {
			t.Errorf("%s: %v, and the outcome is unknown", name, err)
		}
	}
	if _, err := serve(t, takes).SendRaw(ctx, []byte{1, 2, 3}); err == nil {
		t.Error("rubbish is sent")
	}
	knows := well().but("getrawtransaction", result(fmt.Sprintf(`{"hex":"%x"}`, signed.Bytes())))
	for name, c := range map[string]struct {
		of          []script
		some, every bool
	}{
		"nobody": {[]script{takes, takes}, false, false}, "one": {[]script{takes, knows}, true, false}, "both": {[]script{knows, knows}, true, true},
		"one, and one is down": {[]script{takes, off, knows}, true, false}, "two, and one is down": {[]script{knows, off, knows}, true, false},
	} {
		if some, every, err := serve(t, c.of...).Knows(ctx, id); err != nil || some != c.some || every != c.every {
			t.Errorf("%s knows it: some %t, every one %t, %v", name, some, every, err)
		}
	}
	if is, _, err := serve(t, knows, off).Knows(ctx, id); err == nil {
		t.Errorf("one of two is down: known %t", is)
	}
}

// The rate is the median of those that know one, if they are more than half.
func TestPanelRates(t *testing.T) {
	smart := func(feerate string) script { return well().but("estimatesmartfee", result(feerate)) }
	old := func(feerate string) script {
		return well().but("estimatesmartfee", refusal(-32601, "Method not found"), "estimatefee", result(feerate))
	}
	silent := smart(`{"errors":["Insufficient data or no feerate found"],"blocks":2}`)
	mute := well().but("estimatesmartfee", refusal(-32601, "Method not found"))
	for name, c := range map[string]struct {
		of   []script
		want bitcoin.Rate // 0: silent
	}{
		"Core's":                           {[]script{smart(`{"feerate":0.00012345,"blocks":2}`)}, 12345},
		"an exponent, rounded up":          {[]script{old(`1.0000001e-05`)}, 1001},
		"the lower of two":                 {[]script{smart(`{"feerate":1}`), old("0.00002")}, 2000},
		"the one between two":              {[]script{smart(`{"feerate":1}`), old("0.00002"), old("0.00003")}, 3000},
		"silent ones":                      {[]script{silent, mute}, 0},
		"minus one":                        {[]script{old("-1"), old("-1.0")}, 0},
		"nothing":                          {[]script{old("0"), old("0.0")}, 0},
		"one of two, the other is silent":  {[]script{smart(`{"feerate":1}`), silent}, 0},
		"two of three, the other is mute":  {[]script{old("0.00002"), mute, old("0.00003")}, 2000},
		"one of three, the others are not": {[]script{silent, old("0.00002"), silent}, 0},
	} {
		p := serve(t, c.of...)
		r, err := p.Rate(t.Context(), 2)
		for _, m := range p.Members() {
			if r, err := m.Rate(t.Context(), 2); (r == 0) != errors.Is(err, coin.ErrSilent) {
				t.Errorf("%s: one tells %s, %v", name, r, err)
			}
		}
		if r != c.want || (c.want == 0) != errors.Is(err, coin.ErrSilent) || c.want > 0 && err != nil {
			t.Errorf("%s: %s, %v, want %s", name, r, err, c.want)
		}
	}
	if r, err := serve(t, silent, off).Rate(t.Context(), 2); err == nil || errors.Is(err, coin.ErrSilent) {
		t.Errorf("one of two is down: %s, %v", r, err)
	}
	full := well().but("getmempoolinfo", result(`{"mempoolminfee":0.00005,"minrelaytxfee":0.00001}`))
	btcd := well().but("getmempoolinfo", result(`{"size":0}`), "getinfo", result(`{"relayfee":0.00003}`))
	if r, err := serve(t, full, well(), btcd).MinRate(t.Context()); err != nil || r != 3000 {
		t.Errorf("least rate %s, %v", r, err)
	}
}

// What endpoints answer with beside JSON-RPC is told without credentials.
func TestBrokenEndpoints(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		reason string
	}{
		"a page":          {200, "<html>", "no JSON-RPC"},
		"nothing":         {401, "", "HTTP status 401"},
		"a redirect":      {307, "", "HTTP status 307"},
		"another's":       {200, `{"id":77,"result":1,"error":null}`, "another request"},
		"no result":       {200, `{"id":1}`, "no JSON-RPC"},
		"a server's word": {503, `{"id":1,"result":1,"error":null}`, "HTTP status 503"},
		"without an end":  {200, strings.Repeat(" ", 5000), "more than 4096 bytes"},
	} {
		var asked atomic.Int32
		trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if user, password, _ := r.BasicAuth(); user != "hunter1" || password != "hunter2@" || r.URL.Query().Get("key") != "sesame" {
				t.Errorf("%s: asked as %s with %s at %s", name, user, password, r.URL)
			}
			w.Header().Set("Location", trap.URL)
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}))
		host := strings.TrimPrefix(server.URL, "http://")
		p, err := coin.NewPanel([]string{"http://hunter1:hunter2%40@" + host + "/wallet?key=sesame"}, rpc.Options{MaxBody: 4096})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = p.Tip(t.Context())
		wantEndpointError(t, name, err, host, c.reason)
		server.Close()
		trap.Close()
		_, _, err = p.Tip(t.Context())
		wantEndpointError(t, name+", and gone", err, host, "connect")
		if text := fmt.Sprintf("%v %+v %#v %v %#v %s", p, p, p, p.Members(), p.Members()[0], p.Members()[0].Endpoint()); strings.Contains(text, "hunter") || strings.Contains(text, "sesame") || !strings.Contains(text, host) {
			t.Errorf("%s: %s must name %s and no credentials", name, text, host)
		}
		if asked.Load() > 0 {
			t.Errorf("%s: another host was asked", name)
		}
	}
}

func TestNewPanelRefuses(t *testing.T) {
	for name, urls := range map[string][]string{
		"none": nil, "too many": strings.Split(strings.Repeat("http://a,", 9), ",")[:9], "no URL": {"http://a", "hunter2"}, "a control character": {"http://hunter2\x7f@a"},
		"one host twice": {"https://u:hunter1@a/1", "https://v:hunter2@a/2"}, "another scheme": {"ws://hunter2@a"},
	} {
		if p, err := coin.NewPanel(urls, rpc.Options{}); err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
}

// Who stops asking gets that for an answer, and no verdict.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := serve(t, well())
	s := coin.Spending(fits(t).but(func(s *coin.Spending) {
		for len(s.Coins) < 50 {
			s.Coins = append(s.Coins, s.Coins[0])
		}
		s.Own = func(psbt.ID) bool { cancel(); return true }
	}))
	if err := p.Check(ctx, s); !errors.Is(err, context.Canceled) || isMismatch(err) || errors.As(err, new(*rpc.EndpointError)) {
		t.Errorf("cancelled: %v", err)
	}
}
