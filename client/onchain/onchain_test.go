package onchain_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client/onchain"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/internal/components/anvil"
)

const chain = "eip155:31337"

// sends makes an account that sent so many transfers, each in its own block with empty ones between, and gives their hashes.
func sends(t *testing.T, n *anvil.Node, transfers int) (address string, hashes [][32]byte) {
	t.Helper()
	key, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	from, to := crypto.PubkeyToAddress(key.PublicKey), common.HexToAddress("0xbeef")
	n.SetBalance(t, from.Hex(), "0xde0b6b3a7640000")
	for nonce := range transfers {
		n.Mine(t, 7)
		tx, err := types.SignNewTx(key, types.LatestSignerForChainID(big.NewInt(31337)), &types.DynamicFeeTx{
			ChainID: big.NewInt(31337), Nonce: uint64(nonce), Gas: 21000, GasFeeCap: big.NewInt(30e9), GasTipCap: big.NewInt(1e9), To: &to, Value: big.NewInt(1),
		})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := tx.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		n.Call(t, nil, "eth_sendRawTransaction", fmt.Sprintf("0x%x", raw))
		for mined := (*struct{})(nil); mined == nil; {
			n.Call(t, &mined, "eth_getTransactionReceipt", tx.Hash().Hex())
		}
		hashes = append(hashes, tx.Hash())
	}
	n.Mine(t, 3)
	a, err := evm.ParseAddress(from.Hex())
	if err != nil {
		t.Fatal(err)
	}
	return a.String(), hashes
}

func ask(t *testing.T, q verify.Enquiry, o onchain.Options, urls ...string) verify.Facts {
	t.Helper()
	var all []onchain.Endpoint
	for _, u := range urls {
		e, err := onchain.ParseEndpoint(q.Chain + "=" + u)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return onchain.Gather(t.Context(), all, q, o)
}

// Each nonce is found, whether a log tells of its transaction or not.
func TestGather(t *testing.T) {
	n := anvil.Start(t)
	address, hashes := sends(t, n, 5)
	token := n.DeployToken(t, big.NewInt(1000))
	n.GiveToken(t, token, address, big.NewInt(77))
	other := [32]byte{9}
	q := verify.Enquiry{
		Chain: chain, Addresses: []string{address}, Known: [][32]byte{hashes[1], other, hashes[3]},
		Assets: []verify.Asset{{Name: "eth", Chain: chain, Decimals: 18}, {Name: "coin", Chain: chain, Contract: token, Decimals: anvil.TokenDecimals}},
	}
	f := ask(t, q, onchain.Options{}, n.URL)
	if f.Unread != "" || len(f.Addresses) != 1 || f.Height == 0 || f.Block == "" {
		t.Fatalf("%+v", f)
	}
	a := f.Addresses[0]
	if a.Nonce != 5 || len(a.Outgoing) != 5 || len(a.Gaps) != 0 || a.Delegate != "" {
		t.Fatalf("%+v", a)
	}
	for i, o := range a.Outgoing {
		known := i == 1 || i == 3
		if o.Hash != hashes[i] || o.Nonce != uint64(i) || o.Block != uint64(8*(i+1)) || o.Checked == known || o.Time.IsZero() != known {
			t.Errorf("transaction %d: %+v", i, o)
		}
	}
	if len(a.Balances) != 2 || a.Balances[1].Amount != "77" || a.Balances[1].Units != "0.000077 coin" || !strings.HasPrefix(a.Balances[0].Units, "0.99") {
		t.Errorf("it holds %+v", a.Balances)
	}
	// As of a block before the first.
	at := uint64(3)
	f = ask(t, q, onchain.Options{At: &at}, n.URL)
	if f.Unread == "" || !strings.Contains(f.Unread, "ERC-20 contract") { // the token was not there yet
		t.Errorf("before the token: %+v", f)
	}
	q.Assets = nil
	f = ask(t, q, onchain.Options{At: &at}, n.URL)
	if f.At != 3 || f.Addresses[0].Balances[0].Amount != "1000000000000000000" || f.Addresses[0].Balances[0].Asset != chain || f.Addresses[0].Nonce != 5 {
		t.Errorf("as of block 3: %+v", f)
	}
	beyond := uint64(1 << 40)
	if f = ask(t, q, onchain.Options{At: &beyond}, n.URL); !strings.Contains(f.Unread, "has no block") {
		t.Errorf("as of a block to come: %+v", f)
	}
}

// An endpoint between a chain and whoever asks, which changes answers. A nil change refuses.
type liar struct {
	to      string
	changes map[string]func(params []json.RawMessage, result string) (string, bool) // by method
}

func (l *liar) serve(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var q struct {
			ID     int
			Method string
			Params []json.RawMessage
		}
		if err := json.Unmarshal(body, &q); err != nil {
			return
		}
		res, err := http.Post(l.to, "application/json", bytes.NewReader(body))
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		answer, _ := io.ReadAll(res.Body)
		if change := l.changes[q.Method]; change != nil {
			var a struct{ Result json.RawMessage }
			_ = json.Unmarshal(answer, &a)
			changed, ok := change(q.Params, string(a.Result))
			if !ok {
				answer = fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"error":{"code":-32000,"message":"missing trie node"}}`, q.ID)
			} else {
				answer = fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"result":%s}`, q.ID, changed)
			}
		}
		w.Write(answer)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// Without old state a nonce's transaction cannot be named, and that is said; with some of it, as far as it goes.
func TestWithoutHistory(t *testing.T) {
	n := anvil.Start(t)
	address, hashes := sends(t, n, 4) // in blocks 8, 16, 24, 32; the head is 35
	for _, c := range []struct {
		oldest uint64 // block whose state is kept
		known  [][32]byte
		found  []uint64 // nonces
		gaps   []uint64
	}{
		{0, nil, []uint64{0, 1, 2, 3}, nil},
		{35, hashes, []uint64{0, 1, 2, 3}, nil},
		{35, hashes[:3], []uint64{0, 1, 2}, []uint64{3}},
		{20, hashes[:1], []uint64{0, 2, 3}, []uint64{1}},
		{16, hashes[:1], []uint64{0, 1, 2, 3}, nil}, // the block's own transactions show it, though not the state before
		{35, [][32]byte{hashes[0], hashes[3]}, []uint64{0, 3}, []uint64{1, 2}},
	} {
		l := &liar{to: n.URL, changes: map[string]func([]json.RawMessage, string) (string, bool){
			"eth_getTransactionCount": func(params []json.RawMessage, result string) (string, bool) {
				var at uint64
				_, _ = fmt.Sscanf(string(params[1]), `"0x%x"`, &at)
				return result, at >= c.oldest
			},
		}}
		f := ask(t, verify.Enquiry{Chain: chain, Addresses: []string{address}, Known: c.known}, onchain.Options{}, l.serve(t))
		if f.Unread != "" {
			t.Errorf("oldest %d: %s", c.oldest, f.Unread)
			continue
		}
		var found, gaps []uint64
		for _, o := range f.Addresses[0].Outgoing {
			found = append(found, o.Nonce)
		}
		for _, g := range f.Addresses[0].Gaps {
			gaps = append(gaps, g.Nonce)
			if g.Alone || g.Count != 1 || !strings.Contains(g.Why, "keeps no state of blocks before (missing trie node): an archive node does") {
				t.Errorf("oldest %d: %+v", c.oldest, g)
			}
		}
		if !slices.Equal(found, c.found) || !slices.Equal(gaps, c.gaps) {
			t.Errorf("oldest %d, %d known: found %v, gaps %v; want %v and %v", c.oldest, len(c.known), found, gaps, c.found, c.gaps)
		}
	}
}

// set makes a number of whatever type go-ethereum has it.
func set[T any, P interface {
	*T
	SetUint64(uint64) *T
}](field *P, n uint64) {
	*field = P(new(T)).SetUint64(n)
}

// An account whose key signed an authorisation (EIP-7702): a nonce without a transaction, and another's code.
func TestDelegated(t *testing.T) {
	n := anvil.Start(t)
	key, _ := crypto.GenerateKey()
	sponsor, _ := crypto.GenerateKey()
	mine := crypto.PubkeyToAddress(key.PublicKey)
	n.SetBalance(t, crypto.PubkeyToAddress(sponsor.PublicKey).Hex(), "0xde0b6b3a7640000")
	code := common.HexToAddress("0x00000000000000000000000000000000000C0de5")
	may := types.SetCodeAuthorization{Address: code}
	may.ChainID.SetUint64(31337)
	auth, err := types.SignSetCode(key, may)
	if err != nil {
		t.Fatal(err)
	}
	inner := &types.SetCodeTx{Gas: 200000, To: mine, AuthList: []types.SetCodeAuthorization{auth}}
	set(&inner.ChainID, 31337)
	set(&inner.GasFeeCap, 30e9)
	set(&inner.GasTipCap, 1e9)
	set(&inner.Value, 0)
	tx, err := types.SignNewTx(sponsor, types.LatestSignerForChainID(big.NewInt(31337)), inner)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := tx.MarshalBinary()
	n.Mine(t, 4)
	n.Call(t, nil, "eth_sendRawTransaction", fmt.Sprintf("0x%x", raw))
	for mined := (*struct{})(nil); mined == nil; {
		n.Call(t, &mined, "eth_getTransactionReceipt", tx.Hash().Hex())
	}
	a, _ := evm.ParseAddress(mine.Hex())
	f := ask(t, verify.Enquiry{Chain: chain, Addresses: []string{a.String()}}, onchain.Options{}, n.URL)
	if f.Unread != "" || len(f.Addresses[0].Gaps) != 1 || !f.Addresses[0].Gaps[0].Alone || f.Addresses[0].Gaps[0].Block != 5 || !strings.EqualFold(f.Addresses[0].Delegate, code.Hex()) {
		t.Errorf("%+v", f)
	}
}

// Endpoints that lie, contradict one another or themselves give a clear error, and no facts.
func TestHostileEndpoints(t *testing.T) {
	n := anvil.Start(t)
	address, hashes := sends(t, n, 2)
	q := verify.Enquiry{Chain: chain, Addresses: []string{address}, Known: hashes[:1]}
	says := func(text string) func([]json.RawMessage, string) (string, bool) {
		return func([]json.RawMessage, string) (string, bool) { return text, true }
	}
	replaced := func(old, with string) func([]json.RawMessage, string) (string, bool) {
		return func(_ []json.RawMessage, result string) (string, bool) {
			return strings.ReplaceAll(result, old, with), true
		}
	}
	hash := evm.Hash(hashes[1]).String()
	for name, c := range map[string]struct {
		method string
		change func([]json.RawMessage, string) (string, bool)
		want   string // of one that lies alone; empty: it is believed alone
		beside string // of an honest one and the liar
	}{
		"another chain":                    {"eth_chainId", says(`"0x1"`), "serves chain eip155:1, not eip155:31337", "serves chain eip155:1"},
		"more nonces":                      {"eth_getTransactionCount", says(`"0xffffffffffffffff"`), "", "contradict one another about how many nonces"},
		"fewer nonces":                     {"eth_getTransactionCount", says(`"0x0"`), "contradicts itself", "contradicts itself"},
		"nonces hidden":                    {"eth_getTransactionCount", says(`"0x1"`), "", "contradict one another about how many nonces"},
		"another balance":                  {"eth_getBalance", says(`"0x1"`), "", "contradict one another about what"},
		"another block":                    {"eth_getBlockByNumber", replaced(`"hash":"0x`, `"hash":"0x00`), "another type", "another type"},
		"code of no delegate":              {"eth_getCode", says(`"0x6001"`), "2 bytes of code", "2 bytes of code"},
		"code of a delegate":               {"eth_getCode", says(`"0xef0100` + strings.Repeat("11", 20) + `"`), "", "contradict one another about the code"},
		"a transaction that nobody signed": {"eth_getBlockByNumber", replaced(`"value":"0x1"`, `"value":"0x2"`), "whose key did not sign it", "whose key did not sign it"},
		"another transaction's hash":       {"eth_getBlockByNumber", replaced(hash, "0x"+strings.Repeat("77", 32)), "whose key did not sign it", "whose key did not sign it"},
		"rubbish":                          {"eth_getBalance", says(`{}`), "another type than the method has", "another type"},
		"nothing":                          {"eth_getBalance", says(`null`), "answered with null", "answered with null"},
		"refusal":                          {"eth_getBalance", func([]json.RawMessage, string) (string, bool) { return "", false }, "archive node", "archive node"},
	} {
		l := &liar{to: n.URL, changes: map[string]func([]json.RawMessage, string) (string, bool){c.method: c.change}}
		url := l.serve(t)
		if f := ask(t, q, onchain.Options{}, url); !strings.Contains(f.Unread, c.want) || (f.Unread == "") != (c.want == "") || c.want != "" && len(f.Addresses) > 0 {
			t.Errorf("%s, alone: %+v", name, f)
		}
		if f := ask(t, q, onchain.Options{}, n.URL, url); !strings.Contains(f.Unread, c.beside) || f.Unread == "" || len(f.Addresses) > 0 {
			t.Errorf("%s, beside an honest one: %+v", name, f)
		}
	}
	if f := ask(t, q, onchain.Options{}, n.URL, n.URL); f.Unread != "" || len(f.Endpoints) != 2 {
		t.Errorf("two honest ones: %+v", f)
	}
	// One that is away is not passed over.
	gone := httptest.NewServer(nil)
	gone.Close()
	if f := ask(t, q, onchain.Options{}, n.URL, gone.URL); !strings.Contains(f.Unread, "check that the chain's node runs there") {
		t.Errorf("one is away: %+v", f)
	}
}

// A liar who claims many nonces costs little, and the rest is a number.
func TestManyNonces(t *testing.T) {
	n := anvil.Start(t)
	address, _ := sends(t, n, 1)
	calls := 0
	l := &liar{to: n.URL, changes: map[string]func([]json.RawMessage, string) (string, bool){
		"eth_getTransactionCount": func([]json.RawMessage, string) (string, bool) { calls++; return `"0xffffffffffffffff"`, true },
	}}
	f := ask(t, verify.Enquiry{Chain: chain, Addresses: []string{address}}, onchain.Options{}, l.serve(t))
	last := f.Addresses[0].Gaps[len(f.Addresses[0].Gaps)-1]
	if f.Unread != "" || calls > 1000 || last.Count < 1<<60 {
		t.Errorf("%d calls: %s %+v", calls, f.Unread, last)
	}
}

func TestParseEndpoint(t *testing.T) {
	for _, bad := range []string{"", "http://x", "eip155:1", "eip155:01=http://x", "eip155:=http://x", "bip122:0=http://x", "eip155:1=ftp://x", "eip155:1=http://", "eip155:1=http://secret@%zz", "solana:=http://x", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvd0=http://x", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp1=http://x", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp=http://secret@%zz"} {
		if _, err := onchain.ParseEndpoint(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	e, err := onchain.ParseEndpoint("eip155:1=https://rpc.example/key=secret")
	if err != nil || e.Chain != "eip155:1" || e.URL != "https://rpc.example/key=secret" {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := onchain.ParseEVM(regtest + "=http://x"); err == nil || !strings.Contains(err.Error(), "is none like Ethereum") {
		t.Errorf("Bitcoin for who makes transactions of Ethereum: %v", err)
	}
	if e, err := onchain.ParseEndpoint("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp=https://rpc.example/?key=secret"); err != nil || e.Chain != "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp" || e.URL != "https://rpc.example/?key=secret" {
		t.Errorf("%+v, %v", e, err)
	}
}
