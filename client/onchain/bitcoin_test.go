package onchain_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/block"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/client/onchain"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/internal/components/btcd"
)

const regtest = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"

func network(t testing.TB) bitcoin.Network {
	t.Helper()
	n, err := bitcoin.NetworkOf(regtest)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A vaultOfTwo has an address of each kind: one whose key the miner's blocks pay to, and a Taproot one with a recovery of one block.
type vaultOfTwo struct {
	t        testing.TB
	n        *btcd.Node
	recovery bitcoin.Recovery
	key      *btcec.PrivateKey // of the recovery
	internal []byte
	taproot  bitcoin.Script
	address  string // Taproot
}

func vaultOn(t testing.TB, n *btcd.Node) *vaultOfTwo {
	t.Helper()
	v := &vaultOfTwo{t: t, n: n}
	v.key, _ = btcec.PrivKeyFromBytes([]byte("the key that recovers, of a test"))
	own, _ := btcec.PrivKeyFromBytes([]byte("the vault's own key, of one test"))
	v.internal = own.PubKey().SerializeCompressed()
	v.recovery = bitcoin.Recovery{Key: [32]byte(schnorr.SerializePubKey(v.key.PubKey())), Blocks: 1}
	p, err := secp256k1.DecodePoint(v.internal)
	if err != nil {
		t.Fatal(err)
	}
	out, err := v.recovery.Output(p)
	if err != nil {
		t.Fatal(err)
	}
	v.taproot = bitcoin.TaprootScript(out)
	if v.address, err = network(t).Address(v.taproot); err != nil {
		t.Fatal(err)
	}
	return v
}

// reclaim takes a coin of the Taproot address by the recovery key.
func (v *vaultOfTwo) reclaim(c btcd.Coin) [32]byte {
	v.t.Helper()
	lost := bitcoin.Lost{Outpoint: psbt.Outpoint{ID: psbt.ID(c.ID), Index: c.Index}, Amount: uint64(c.Amount), Internal: v.internal}
	r, err := v.recovery.Reclaim(network(v.t), []bitcoin.Lost{lost}, btcd.Address, bitcoin.PerVByte(5))
	if err != nil {
		v.t.Fatal(err)
	}
	digest := r.Digests()[0]
	sig, err := schnorr.Sign(v.key, digest[:])
	if err != nil {
		v.t.Fatal(err)
	}
	s, err := r.Assemble([][64]byte{[64]byte(sig.Serialize())})
	if err != nil {
		v.t.Fatal(err)
	}
	v.n.Send(v.t, s.Raw)
	return btcd.ID(v.t, s.ID)
}

// logged is an id in the order in which logs have it.
func logged(id [32]byte) [32]byte {
	slices.Reverse(id[:])
	return id
}

// timeOf is the time of a block's header, as the chain has it.
func timeOf(t testing.TB, n *btcd.Node, height int) time.Time {
	t.Helper()
	var h struct{ Time int64 }
	n.Call(t, &h, "getblockheader", n.Hash(t, height), true)
	return time.Unix(h.Time, 0).UTC()
}

// What takes coins of addresses is found in blocks, whoever signed; what lies there is counted; nothing but blocks is asked for.
func TestGatherBitcoin(t *testing.T) { gathersBitcoin(t, btcd.Start(t)) }

func gathersBitcoin(t *testing.T, n *btcd.Node) {
	v := vaultOn(t, n)
	_, paid := n.Pay(t, v.taproot, 5_000_000)
	n.Pay(t, v.taproot, 600_000)
	n.Mine(t, 2) // 150, 151
	back := v.reclaim(paid)
	n.Mine(t, 1) // 152: the vault's other address gets what was taken, and its coinbases
	to := append([]byte{0x51, 0x20}, make([]byte, 32)...)
	to[5] = 9
	own := n.Coin(t)
	raw, unlogged := btcd.Spend(t, []btcd.Coin{own}, btcd.Out{Amount: 1_000_000, Script: to}, btcd.Out{Amount: own.Amount - 1_000_000 - btcd.Fee, Script: btcd.Script()})
	n.Send(t, raw)
	n.Mine(t, 4) // 153 to 156

	q := verify.Enquiry{
		Chain: regtest, Addresses: []string{v.address, btcd.Address}, Known: [][32]byte{logged(unlogged), {9}}, Since: timeOf(t, n, 1).Add(verify.BlockClock),
		Assets: []verify.Asset{{Name: "btc", Chain: regtest, Decimals: 8}},
	}
	var told []string
	f := ask(t, q, onchain.Options{Progress: func(text string) { told = append(told, text) }}, n.URL)
	if f.Unread != "" || f.Height != 156 || f.Block != n.Hash(t, 156) || f.At != 156 || f.AtBlock != f.Block || len(f.Addresses) != 2 {
		t.Fatalf("%+v", f)
	}
	if f.From != 1 || !f.Before.Before(timeOf(t, n, 1)) || !f.Time.Equal(timeOf(t, n, 156)) {
		t.Errorf("read from block %d on, behind %s; up to %s", f.From, f.Before, f.Time)
	}
	a, b := f.Addresses[0], f.Addresses[1]
	if len(a.Spends) != 1 || a.Spends[0].ID != logged(back) || a.Spends[0].Block != 152 || a.Spends[0].Recovery != hex.EncodeToString(v.recovery.Key[:]) || !a.Spends[0].Checked ||
		a.Balances[0] != (verify.Balance{Asset: "btc", Amount: "600000", Units: "0.006 btc"}) {
		t.Errorf("%+v; %+v", a.Spends, a.Balances)
	}
	if len(b.Spends) != 3 || b.Spends[2].ID != logged(unlogged) || b.Spends[2].Block != 153 || b.Spends[2].Recovery != "" || !b.Spends[2].Checked || len(b.Spends[2].Coins) != 1 || !b.Spends[2].Time.Equal(timeOf(t, n, 153)) {
		t.Errorf("%+v", b.Spends)
	}
	if len(f.Mined) != 1 || f.Mined[0] != logged(unlogged) || len(told) == 0 || !strings.Contains(told[len(told)-1], "of ") {
		t.Errorf("%x; %q", f.Mined, told)
	}

	// As of another block, and from one on.
	at, from := uint64(151), uint64(151)
	f = ask(t, q, onchain.Options{At: &at, From: &from}, n.URL)
	if f.Unread != "" || f.At != 151 || f.AtBlock != n.Hash(t, 151) || f.From != 151 || !f.Before.Equal(timeOf(t, n, 150)) || f.Addresses[0].Balances[0].Amount != "0" || len(f.Addresses[0].Spends) != 0 {
		t.Errorf("from block 151 on: %+v", f)
	}
	from = 150
	if f = ask(t, q, onchain.Options{At: &at, From: &from}, n.URL); f.Addresses[0].Balances[0].Amount != "5600000" || len(f.Addresses[0].Spends) != 1 {
		t.Errorf("from block 150 on, as of 151: %+v", f)
	}
	beyond := uint64(157)
	undated := q
	undated.Since = time.Time{}
	early := uint64(149)
	for name, c := range map[string]struct {
		q    verify.Enquiry
		o    onchain.Options
		want string
	}{
		"as of a block to come":       {q, onchain.Options{At: &beyond}, "has no block 157: it is beyond the chain's newest, 156"},
		"from a block to come":        {q, onchain.Options{From: &beyond}, "has no block 157: its newest is 156"},
		"as of a block before":        {q, onchain.Options{At: &early, From: &from}, "cannot be told from blocks that are read from 150 on"},
		"nobody knows since when":     {undated, onchain.Options{}, "say with --from-block from which block on to read"},
		"an address of another chain": {verify.Enquiry{Chain: regtest, Addresses: []string{"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"}}, onchain.Options{From: &from}, "address"},
	} {
		if f := ask(t, c.q, c.o, n.URL); !strings.Contains(f.Unread, c.want) || len(f.Addresses) != 0 || len(f.Endpoints) != 1 {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if f := ask(t, undated, onchain.Options{From: &from}, n.URL); f.Unread != "" {
		t.Errorf("from a block that is named: %s", f.Unread)
	}
	if f := ask(t, verify.Enquiry{Chain: regtest}, onchain.Options{}, n.URL); f.Unread != "" || f.From != 156 || f.Height != 156 {
		t.Errorf("no address: %+v", f)
	}
}

// Endpoints that lie, or contradict one another, give a clear error, and no facts; a pruned one beside one that keeps all is enough.
func TestHostileBitcoinEndpoints(t *testing.T) { refusesBitcoin(t, btcd.Start(t), btcd.Start(t)) }

func refusesBitcoin(t *testing.T, n, fork *btcd.Node) {
	v := vaultOn(t, n)
	_, paid := n.Pay(t, v.taproot, 5_000_000)
	n.Mine(t, 2)
	v.reclaim(paid)
	n.Mine(t, 2) // 153
	q := verify.Enquiry{Chain: regtest, Addresses: []string{v.address}, Since: timeOf(t, n, 140).Add(verify.BlockClock)}
	says := func(text string) func([]json.RawMessage, string) (string, bool) {
		return func([]json.RawMessage, string) (string, bool) { return text, true }
	}
	// On the block with the reclaim, one byte of its witness: no id covers it.
	witness := hex.EncodeToString(v.recovery.Script())
	forged := func(_ []json.RawMessage, result string) (string, bool) {
		return strings.ReplaceAll(result, witness, witness[:len(witness)-4]+"52b2"), true
	}
	old := `"` + n.Hash(t, 145) + `"`
	for name, c := range map[string]struct {
		method string
		change func([]json.RawMessage, string) (string, bool)
		want   string // of one that lies alone
		beside string // of an honest one before the liar
	}{
		"another chain": {"getblockhash", func(p []json.RawMessage, r string) (string, bool) {
			return map[bool]string{true: old, false: r}[string(p[0]) == "0"], true
		}, "serves chain", "serves chain"},
		"another newest block": {"getblockhash", func(p []json.RawMessage, r string) (string, bool) {
			return map[bool]string{true: old, false: r}[string(p[0]) == "153"], true
		}, "the chain is being reorganised", "contradict one another about block 153"},
		"another block between": {"getblockhash", func(p []json.RawMessage, r string) (string, bool) {
			return map[bool]string{true: old, false: r}[string(p[0]) == "150"], true
		}, "the chain is being reorganised", ""},
		"another block's bytes":     {"getblock", says(`"` + strings.Repeat("00", 200) + `"`), "it lies", ""},
		"a witness of its own":      {"getblock", forged, "its witnesses are others than its coinbase commits to", ""},
		"rubbish for a block":       {"getblock", says(`7`), "another type", ""},
		"rubbish for a header":      {"getblockheader", says(`"00"`), "what is no header", ""},
		"rubbish for a height":      {"getblockcount", says(`"x"`), "another type", "another type"},
		"a height that is not":      {"getblockcount", says(`1000`), "out of range", ""},
		"old headers hide the rest": {"getblockheader", func(p []json.RawMessage, r string) (string, bool) { return r, false }, "missing trie node", ""},
		"pruned":                    {"getblock", func([]json.RawMessage, string) (string, bool) { return "", false }, "a pruned node keeps the newest alone: give one that keeps all with another --rpc, or read from a later block with --from-block", ""},
	} {
		url := (&liar{to: n.URL, changes: map[string]func([]json.RawMessage, string) (string, bool){c.method: c.change}}).serve(t)
		if f := ask(t, q, onchain.Options{}, url); !strings.Contains(f.Unread, c.want) || f.Unread == "" || len(f.Addresses) > 0 {
			t.Errorf("%s, alone: %+v", name, f)
		}
		f := ask(t, q, onchain.Options{}, n.URL, url)
		if !strings.Contains(f.Unread, c.beside) || (f.Unread == "") != (c.beside == "") || c.beside == "" && len(f.Addresses[0].Spends) != 1 {
			t.Errorf("%s, beside an honest one: %+v", name, f)
		}
	}
	pruned := (&liar{to: n.URL, changes: map[string]func([]json.RawMessage, string) (string, bool){"getblock": func([]json.RawMessage, string) (string, bool) { return "", false }}}).serve(t)
	if f := ask(t, q, onchain.Options{}, pruned, n.URL); f.Unread != "" || len(f.Endpoints) != 2 || len(f.Addresses[0].Spends) != 1 {
		t.Errorf("a pruned one first: %+v", f)
	}
	fork.Mine(t, 10)
	if f := ask(t, q, onchain.Options{}, n.URL, fork.URL); !strings.Contains(f.Unread, "contradict one another about block 153") {
		t.Errorf("two forks: %+v", f)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	if f := ask(t, q, onchain.Options{}, n.URL, gone.URL); !strings.Contains(f.Unread, "check that the chain's node runs there") {
		t.Errorf("one is away: %+v", f)
	}
}

// Who says that blocks are older than they are, so that reading begins behind a theft, is found: the first block names the one before it.
func TestBeginsTooLate(t *testing.T) {
	n := btcd.Start(t)
	since := timeOf(t, n, 140)
	for n.Height(t) < 160 { // blocks of one second each, so that times differ
		n.Mine(t, 1)
	}
	q := verify.Enquiry{Chain: regtest, Addresses: []string{vaultOn(t, n).address}, Since: since.Add(verify.BlockClock)}
	url := (&liar{to: n.URL, changes: map[string]func([]json.RawMessage, string) (string, bool){
		"getblockhash": func(p []json.RawMessage, result string) (string, bool) {
			var height int
			_ = json.Unmarshal(p[0], &height)
			if height > 100 && height < 158 { // what lies between is shown as old as the first
				return `"` + n.Hash(t, 1) + `"`, true
			}
			return result, true
		},
	}}).serve(t)
	if f := ask(t, q, onchain.Options{}, url); !strings.Contains(f.Unread, "contradicts itself") {
		t.Errorf("%+v", f)
	}
}

// A chain that is reorganised while it is read is read anew; one that is so each time is not read.
func TestReorganised(t *testing.T) {
	first := uint64(1)
	for name, c := range map[string]struct {
		times  int
		method string // at which it is
		o      onchain.Options
		want   string
	}{
		"once":            {1, "getblock", onchain.Options{}, ""},
		"at the very end": {1, "getblockheader", onchain.Options{From: &first}, ""},
		"always":          {100, "getblock", onchain.Options{}, "the chain is being reorganised; verify again"},
	} {
		n := btcd.Start(t)
		v := vaultOn(t, n)
		n.Pay(t, v.taproot, 5_000_000)
		n.Mine(t, 3) // 150 to 152
		q := verify.Enquiry{Chain: regtest, Addresses: []string{v.address}, Since: timeOf(t, n, 100).Add(verify.BlockClock)}
		left := c.times
		var mu sync.Mutex
		url := (&liar{to: n.URL, changes: map[string]func([]json.RawMessage, string) (string, bool){
			c.method: func(p []json.RawMessage, result string) (string, bool) {
				mu.Lock()
				defer mu.Unlock()
				if height := n.Height(t); left > 0 && (c.method == "getblockheader" || string(p[0]) == fmt.Sprintf("%q", n.Hash(t, height-1))) {
					left--
					n.Invalidate(t, n.Hash(t, height-1))
					n.Mine(t, 3)
				}
				return result, true
			},
		}}).serve(t)
		f := ask(t, q, c.o, url)
		if !strings.Contains(f.Unread, c.want) || (f.Unread == "") != (c.want == "") || c.want == "" && (f.Height != 153 || f.Block != n.Hash(t, 153) || f.Addresses[0].Balances[0].Amount != "5000000") || c.want != "" && left > c.times-3 {
			t.Errorf("%s: %d reorganisations left; %+v", name, left, f)
		}
	}
}

// A block whose target is easier than its network takes is no block, whatever follows from it.
func TestEasyBlocks(t *testing.T) {
	n := btcd.Start(t)
	coinbase := &psbt.Tx{Version: 2, Ins: []psbt.In{{Outpoint: psbt.Outpoint{Index: 0xffffffff}, Script: []byte{1, 7}}}, Outs: []psbt.Out{{Amount: 50, Script: []byte{0x51}}}}
	for bits, want := range map[uint32]string{0x207fffff: "", 0x2100ffff: "is easier than the network takes"} {
		h := block.Header{Version: 4, Previous: psbt.ID(btcd.ID(t, n.Hash(t, 0))), Root: coinbase.ID(), Time: 1_700_000_000, Bits: bits}
		for id := h.ID(); id[31] > 0x7e; id = h.ID() {
			h.Nonce++
		}
		raw := append(append(h.Bytes(), 1), coinbase.Bytes()...)
		url := (&liar{to: n.URL, changes: map[string]func([]json.RawMessage, string) (string, bool){
			"getblockcount": func([]json.RawMessage, string) (string, bool) { return "1", true },
			"getblockhash": func(p []json.RawMessage, result string) (string, bool) {
				if string(p[0]) == "1" {
					return fmt.Sprintf("%q", h.ID()), true
				}
				return result, true
			},
			"getblock": func([]json.RawMessage, string) (string, bool) { return fmt.Sprintf(`"%x"`, raw), true },
		}}).serve(t)
		from := uint64(1)
		if f := ask(t, verify.Enquiry{Chain: regtest}, onchain.Options{From: &from}, url); !strings.Contains(f.Unread, want) || (f.Unread == "") != (want == "") {
			t.Errorf("target %08x: %+v", bits, f)
		}
	}
}

// Who runs out of time learns how far it came, and what to do.
func TestTimeRunsOut(t *testing.T) {
	n := btcd.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	url := (&liar{to: n.URL, changes: map[string]func([]json.RawMessage, string) (string, bool){
		"getblock": func([]json.RawMessage, string) (string, bool) { <-ctx.Done(); return "", false },
	}}).serve(t)
	e, err := onchain.ParseEndpoint(regtest + "=" + url)
	if err != nil {
		t.Fatal(err)
	}
	from := uint64(1)
	f := onchain.Gather(ctx, []onchain.Endpoint{e}, verify.Enquiry{Chain: regtest}, onchain.Options{From: &from})
	if !strings.HasPrefix(f.Unread, "the time ran out at block ") || !strings.Contains(f.Unread, "--timeout") {
		t.Errorf("%+v", f)
	}
}

// Amounts that no chain has, and a coin that is made twice, leave it unread.
func TestImpossibleCoins(t *testing.T) {
	n := btcd.Start(t)
	v := vaultOn(t, n)
	coinbase := func(script byte) *psbt.Tx {
		return &psbt.Tx{Version: 2, Ins: []psbt.In{{Outpoint: psbt.Outpoint{Index: 0xffffffff}, Script: []byte{1, script}}}, Outs: []psbt.Out{{Amount: bitcoin.MaxMoney, Script: v.taproot}}}
	}
	for second, want := range map[byte]string{1: "which was there already", 2: "more lies at " + v.address + " than there can be"} {
		before, blocks := psbt.ID(btcd.ID(t, n.Hash(t, 0))), map[string]string{}
		ids := []psbt.ID{before}
		for _, script := range []byte{1, second} {
			tx := coinbase(script)
			h := block.Header{Version: 4, Previous: before, Root: tx.ID(), Time: 1_700_000_000, Bits: 0x207fffff}
			for id := h.ID(); id[31] > 0x7e; id = h.ID() {
				h.Nonce++
			}
			before = h.ID()
			ids, blocks[before.String()] = append(ids, before), fmt.Sprintf(`"%x"`, append(append(h.Bytes(), 1), tx.Bytes()...))
		}
		url := (&liar{to: n.URL, changes: map[string]func([]json.RawMessage, string) (string, bool){
			"getblockcount": func([]json.RawMessage, string) (string, bool) { return "2", true },
			"getblockhash":  func(p []json.RawMessage, _ string) (string, bool) { return fmt.Sprintf("%q", ids[p[0][0]-'0']), true },
			"getblock": func(p []json.RawMessage, _ string) (string, bool) {
				return blocks[strings.Trim(string(p[0]), `"`)], true
			},
		}}).serve(t)
		from := uint64(1)
		if f := ask(t, verify.Enquiry{Chain: regtest, Addresses: []string{v.address}}, onchain.Options{From: &from}, url); !strings.Contains(f.Unread, want) {
			t.Errorf("%+v, want %q", f, want)
		}
	}
}

func TestParseBitcoinEndpoint(t *testing.T) {
	for _, bad := range []string{"bip122:0=http://x", regtest, regtest + "=", regtest + "=ftp://x", regtest + "=http://secret@%zz"} {
		if _, err := onchain.ParseEndpoint(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	e, err := onchain.ParseEndpoint(regtest + "=http://user:secret@127.0.0.1:8332")
	if err != nil || e.Chain != regtest || e.URL != "http://user:secret@127.0.0.1:8332" {
		t.Errorf("%+v, %v", e, err)
	}
}

// Who asks again is told the same as who asks for the first time, for the blocks alone that came since; what does not follow is read anew.
func TestKept(t *testing.T) { keepsBitcoin(t, btcd.Start(t)) }

func keepsBitcoin(t *testing.T, n *btcd.Node) {
	v := vaultOn(t, n)
	_, paid := n.Pay(t, v.taproot, 5_000_000)
	n.Pay(t, v.taproot, 600_000)
	n.Mine(t, 1) // 150
	var calls atomic.Int64
	url := (&liar{to: n.URL, changes: map[string]func([]json.RawMessage, string) (string, bool){
		"getblock": func(_ []json.RawMessage, result string) (string, bool) { calls.Add(1); return result, true },
	}}).serve(t)
	e, err := onchain.ParseEndpoint(regtest + "=" + url)
	if err != nil {
		t.Fatal(err)
	}
	q := verify.Enquiry{Chain: regtest, Addresses: []string{v.address}, Since: timeOf(t, n, 1).Add(verify.BlockClock)}
	kept := &onchain.Kept{}
	look := func(name string, blocks int, o onchain.Options) {
		t.Helper()
		fresh := onchain.Gather(t.Context(), []onchain.Endpoint{e}, q, o)
		calls.Store(0)
		o.Kept = kept
		again := onchain.Gather(t.Context(), []onchain.Endpoint{e}, q, o)
		if fresh.Unread != "" || !reflect.DeepEqual(fresh, again) || calls.Load() != int64(blocks) {
			t.Errorf("%s: %d blocks were read, want %d\n%+v\n%+v", name, calls.Load(), blocks, fresh, again)
		}
	}
	look("first", 150, onchain.Options{})
	look("nothing new", 0, onchain.Options{})
	gone := v.reclaim(paid)
	n.Mine(t, 2) // 152
	look("two more", 2, onchain.Options{})
	q.Known = [][32]byte{logged(gone)}
	n.Invalidate(t, n.Hash(t, 152))
	n.Mine(t, 2) // 153
	look("another chain", 1+153, onchain.Options{})
	n.Invalidate(t, n.Hash(t, 153))
	look("a shorter one", 152, onchain.Options{})
	at := uint64(151)
	look("as of a block before", 152, onchain.Options{At: &at})
	from := uint64(150)
	look("from another block on", 3, onchain.Options{From: &from})
	q.Addresses = append(q.Addresses, btcd.Address)
	look("another address", 3, onchain.Options{From: &from})
	look("the same", 0, onchain.Options{From: &from})
}
