package onchain_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/btcsuite/btcd/address/v2/base58"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/client/onchain"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/internal/components/litesvm"
)

var (
	vaultKey, otherKey = litesvm.Private("vault"), litesvm.Private("other")
	vaultAt, otherAt   = litesvm.Address(vaultKey), litesvm.Address(otherKey)
)

// pays is a payment of lamports from one to another, of which payer pays the fee.
func pays(n *litesvm.Node, t *testing.T, payer, from ed25519.PrivateKey, to litesvm.Key, lamports uint64) []byte {
	keys := []ed25519.PrivateKey{payer}
	if !payer.Equal(from) {
		keys = append(keys, from)
	}
	data := binary.LittleEndian.AppendUint64([]byte{2, 0, 0, 0}, lamports)
	return litesvm.Sign(n.Blockhash(t), keys, litesvm.Instruction{Program: solana.System, Accounts: []litesvm.Meta{{Key: litesvm.Address(from), Signer: true, Writable: true}, {Key: to, Writable: true}}, Data: data})
}

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// sentOnSolana is what the vault's address signed on a chain: a payment, one that failed, and one of which another paid the fee; and slots of each.
type sentOnSolana struct {
	ids   []string
	raw   [][]byte
	slots []uint64
}

// sendsOnSolana also has it paid by another, and given tokens, none of which it signs.
func sendsOnSolana(t *testing.T, n *litesvm.Node) (s sentOnSolana, token litesvm.Token) {
	t.Helper()
	for _, to := range []litesvm.Key{vaultAt, otherAt} {
		n.Airdrop(t, to, 5_000_000_000)
	}
	keep := func(raw []byte, id string) {
		var slot uint64
		n.Call(t, &slot, "getSlot")
		s.ids, s.raw, s.slots = append(s.ids, id), append(s.raw, raw), append(s.slots, slot)
	}
	first := pays(n, t, vaultKey, vaultKey, otherAt, 1_000_000_000)
	keep(first, n.Send(t, first))
	n.Send(t, pays(n, t, otherKey, otherKey, vaultAt, 7_000_000))
	n.Warp(t, 10)
	failing := pays(n, t, vaultKey, vaultKey, otherAt, 9_000_000_000)
	var id string
	n.Call(t, &id, "sendTransaction", base64Of(failing), map[string]any{"encoding": "base64", "skipPreflight": true})
	keep(failing, id)
	token = n.Mint(t, 6)
	n.Give(t, token, vaultAt, 77)
	n.Warp(t, 10)
	third := pays(n, t, otherKey, vaultKey, otherAt, 2_000_000)
	keep(third, n.Send(t, third))
	n.Warp(t, 10)
	return s, token
}

// What an address signed is found, whoever paid and whether it failed; what only names it is not taken for its own.
func TestGatherSolana(t *testing.T) {
	n := litesvm.Start(t)
	s, token := sendsOnSolana(t, n)
	q := verify.Enquiry{
		Chain: litesvm.Chain, Addresses: []string{litesvm.Text(vaultAt), litesvm.Text(otherAt)},
		Assets: []verify.Asset{{Name: "sol", Chain: litesvm.Chain, Decimals: 9}, {Name: "coin", Chain: litesvm.Chain, Contract: litesvm.Text(token.Mint), Decimals: 6}},
	}
	f := ask(t, q, onchain.Options{}, n.URL)
	if f.Unread != "" || len(f.Solana) != 2 || f.Height != s.slots[2]+10 || f.At != f.Height || f.Block != litesvm.Text(n.Blockhash(t)) || f.AtBlock != f.Block || f.Time.Unix() != n.Time(t) {
		t.Fatalf("%+v", f)
	}
	a := f.Solana[0]
	if a.Address != litesvm.Text(vaultAt) || len(a.Sent) != 3 || len(a.Gaps) != 0 {
		t.Fatalf("%+v", a)
	}
	for i, o := range a.Sent {
		if o.ID != s.ids[i] || o.Slot != s.slots[i] || o.Failed != (i == 1) || o.Nonce != "" || o.Message != sha256.Sum256(s.raw[i][1+64*int(s.raw[i][0]):]) || o.Time.Unix() != n.Time(t)-int64(f.Height-o.Slot) {
			t.Errorf("transaction %d: %+v", i, o)
		}
	}
	if len(a.Balances) != 2 || a.Balances[0].Amount != "4004990000" || a.Balances[0].Units != "4.00499 sol" || a.Balances[1].Amount != "77" || a.Balances[1].Units != "0.000077 coin" {
		t.Errorf("it holds %+v", a.Balances)
	}
	if b := f.Solana[1]; len(b.Sent) != 2 || b.Sent[1].ID != s.ids[2] || b.Balances[1].Amount != "0" {
		t.Errorf("the other: %+v", b)
	}
	// A token account by rule that somebody else owns now.
	rule, err := solana.AssociatedAccount(vaultAt, token.Mint, token.Program)
	if err != nil {
		t.Fatal(err)
	}
	theirs := binary.LittleEndian.AppendUint64(slices.Concat(token.Mint[:], otherAt[:]), 77)
	n.SetAccount(t, litesvm.Key(rule), litesvm.Account{Lamports: 5_000_000, Owner: token.Program, Data: append(append(theirs, make([]byte, 36)...), append([]byte{1}, make([]byte, 56)...)...)})
	if f := ask(t, q, onchain.Options{}, n.URL); f.Unread != "" || f.Solana[0].Balances[1].Amount != "0" {
		t.Errorf("its token account is another's: %+v", f)
	}
	q.Assets = nil
	if f := ask(t, q, onchain.Options{}, n.URL, n.URL); f.Unread != "" || len(f.Endpoints) != 2 || len(f.Solana[0].Sent) != 3 || f.Solana[0].Balances[0].Asset != litesvm.Chain {
		t.Errorf("two honest ones: %+v", f)
	}
	q.Addresses = nil
	if f := ask(t, q, onchain.Options{}, n.URL); f.Unread != "" || f.Height == 0 {
		t.Errorf("of no address: %+v", f)
	}
	at := uint64(3)
	if f := ask(t, q, onchain.Options{At: &at}, n.URL); !strings.Contains(f.Unread, "leave --at out") {
		t.Errorf("as of an old slot: %+v", f)
	}
	q.Assets = []verify.Asset{{Name: "coin", Chain: litesvm.Chain, Contract: litesvm.Text(otherAt), Decimals: 6}}
	if f := ask(t, q, onchain.Options{}, n.URL); !strings.Contains(f.Unread, "is no token there") {
		t.Errorf("of a token that is none: %+v", f)
	}
}

// A twist changes what an endpoint answers: `"result":…` or `"error":…`.
type twist func(params []json.RawMessage, answer string) string

// crooked is an endpoint between another and whoever asks.
func crooked(t *testing.T, to string, twists map[string]twist) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var q struct {
			ID     int
			Method string
			Params []json.RawMessage
		}
		_ = json.Unmarshal(body, &q)
		res, err := http.Post(to, "application/json", bytes.NewReader(body))
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		var a struct{ Result, Error json.RawMessage }
		_ = json.NewDecoder(res.Body).Decode(&a)
		answer := `"result":` + string(a.Result)
		if a.Error != nil {
			answer = `"error":` + string(a.Error)
		}
		if change := twists[q.Method]; change != nil {
			answer = change(q.Params, answer)
		}
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%d,%s}`, q.ID, answer)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func always(answer string) twist { return func([]json.RawMessage, string) string { return answer } }

func swapped(old, with string) twist {
	return func(_ []json.RawMessage, answer string) string { return strings.Replace(answer, old, with, 1) }
}

// of twists the answer about one transaction.
func of(id string, change twist) twist {
	return func(params []json.RawMessage, answer string) string {
		if string(params[0]) == `"`+id+`"` {
			return change(params, answer)
		}
		return answer
	}
}

// without leaves one transaction out of lists.
func without(id string) twist {
	return func(_ []json.RawMessage, answer string) string {
		var all []map[string]json.RawMessage
		if json.Unmarshal([]byte(strings.TrimPrefix(answer, `"result":`)), &all) != nil {
			return answer
		}
		all = slices.DeleteFunc(all, func(m map[string]json.RawMessage) bool { return string(m["signature"]) == `"`+id+`"` })
		b, _ := json.Marshal(all)
		return `"result":` + string(b)
	}
}

// Endpoints that lie, contradict one another or themselves give a clear error, and no facts.
func TestCrookedSolana(t *testing.T) {
	n := litesvm.Start(t)
	s, _ := sendsOnSolana(t, n)
	q := verify.Enquiry{Chain: litesvm.Chain, Addresses: []string{litesvm.Text(vaultAt)}}
	forged := bytes.Clone(s.raw[0])
	forged[5] ^= 1
	// The payer's signature, over a message in which the vault's address does not sign.
	stranger := pays(n, t, otherKey, otherKey, vaultAt, 5)
	other := append(append([]byte{1}, s.raw[2][1:65]...), stranger[65:]...)
	refusal := func(code int) string { return fmt.Sprintf(`"error":{"code":%d,"message":"refused"}`, code) }
	for name, c := range map[string]struct {
		method string
		change twist
		want   string // of one that lies alone; empty: it is believed alone
		beside string // of an honest one and the liar
	}{
		"another network":      {"getGenesisHash", always(`"result":"` + strings.Repeat("5", 44) + `"`), "serves chain solana:55555555555555555555555555555555, not " + litesvm.Chain, "serves chain"},
		"a hidden transaction": {"getSignaturesForAddress", without(s.ids[0]), "", "contradict one another about what " + litesvm.Text(vaultAt) + " signed"},
		"no transactions":      {"getSignaturesForAddress", always(`"result":[]`), "", "contradict one another about what"},
		"a list without end": {"getSignaturesForAddress", func(_ []json.RawMessage, answer string) string {
			return fmt.Sprintf(`"result":[{"signature":%q,"slot":5}]`, s.ids[0])
		}, "lists transaction " + s.ids[0] + " twice", "twice"},
		"slots that grow":           {"getSignaturesForAddress", swapped(fmt.Sprintf(`"slot":%d`, s.slots[2]), `"slot":1`), "the last must come first", "the last must come first"},
		"a transaction of no slot":  {"getTransaction", of(s.ids[0], swapped(fmt.Sprint(s.slots[0]), "9")), "lists it in slot", "lists it in slot"},
		"a forged signature":        {"getTransaction", of(s.ids[0], swapped(base64Of(s.raw[0]), base64Of(forged))), "does not verify", "does not verify"},
		"another message":           {"getTransaction", of(s.ids[2], swapped(base64Of(s.raw[2]), base64Of(other))), "does not verify", "does not verify"},
		"another's transaction":     {"getTransaction", of(s.ids[0], swapped(base64Of(s.raw[0]), base64Of(s.raw[1]))), "its id is " + s.ids[1], "its id is"},
		"that it failed":            {"getTransaction", of(s.ids[0], swapped(`"err":null`, `"err":"Failed"`)), "", "contradict one another"},
		"a veil":                    {"getTransaction", of(s.ids[0], always(`"result":null`)), "", "contradict one another"},
		"another balance":           {"getMultipleAccounts", swapped(`"lamports":4`, `"lamports":5`), "", "contradict one another about what " + litesvm.Text(vaultAt) + " holds"},
		"another block":             {"getBlock", swapped(`"blockhash":"`, `"blockhash":"1`), "another type", "another type"},
		"the block of another fork": {"getBlock", always(`"result":{"blockhash":"11111111111111111111111111111112","blockTime":1}`), "", "contradict one another about the block of slot"},
		"no block":                  {"getBlock", always(refusal(-32004)), "shows no block of slot", "shows no block of slot"},
		"an account of rubbish":     {"getMultipleAccounts", always(`"result":{}`), "without a value", "without a value"},
		"no history":                {"getSignaturesForAddress", always(refusal(-32011)), "--enable-rpc-transaction-history", "--enable-rpc-transaction-history"},
		"refusal for ever":          {"getTransaction", always(refusal(429)), "refused", "refused"},
		"another floor":             {"getFirstAvailableBlock", always(`"result":-1`), "another type", "another type"},
	} {
		url := crooked(t, n.URL, map[string]twist{c.method: c.change})
		if f := ask(t, q, onchain.Options{}, url); !strings.Contains(f.Unread, c.want) || (f.Unread == "") != (c.want == "") || c.want != "" && len(f.Solana) > 0 {
			t.Errorf("%s, alone: %+v", name, f)
		}
		for _, pair := range [][]string{{n.URL, url}, {url, n.URL}} {
			if f := ask(t, q, onchain.Options{}, pair...); !strings.Contains(f.Unread, c.beside) || f.Unread == "" || len(f.Solana) > 0 {
				t.Errorf("%s, beside an honest one: %+v", name, f)
			}
		}
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	if f := ask(t, q, onchain.Options{}, n.URL, gone.URL); !strings.Contains(f.Unread, "check that the chain's node runs there") {
		t.Errorf("one is away: %+v", f)
	}
	if f := ask(t, q, onchain.Options{}, n.URL, n.URL, n.URL, n.URL, n.URL); !strings.Contains(f.Unread, "at most 4") {
		t.Errorf("five endpoints: %+v", f)
	}
}

// A busy endpoint, and one that is a moment behind, are asked again.
func TestPatienceOnSolana(t *testing.T) {
	n := litesvm.Start(t)
	sendsOnSolana(t, n)
	var asked, blocks atomic.Int64
	url := crooked(t, n.URL, map[string]twist{
		"getTransaction": func(_ []json.RawMessage, answer string) string {
			if asked.Add(1)%2 == 1 {
				return `"error":{"code":429,"message":"Too many requests"}`
			}
			return answer
		},
		"getBlock": func(_ []json.RawMessage, answer string) string {
			if blocks.Add(1) == 1 {
				return `"error":{"code":-32004,"message":"Block not available"}`
			}
			return answer
		},
	})
	if f := ask(t, verify.Enquiry{Chain: litesvm.Chain, Addresses: []string{litesvm.Text(vaultAt)}}, onchain.Options{}, url); f.Unread != "" || len(f.Solana[0].Sent) != 3 {
		t.Errorf("%+v", f)
	}
}

// What an endpoint no longer keeps is said to be so. Of two the one that keeps less says how far both are compared; what the other shows besides counts, as its signature proves it.
func TestSolanaWithoutHistory(t *testing.T) {
	n := litesvm.Start(t)
	s, _ := sendsOnSolana(t, n)
	q := verify.Enquiry{Chain: litesvm.Chain, Addresses: []string{litesvm.Text(vaultAt)}}
	first := always(fmt.Sprintf(`"result":%d`, s.slots[1]))
	short := crooked(t, n.URL, map[string]twist{"getFirstAvailableBlock": first, "getSignaturesForAddress": without(s.ids[0])})
	mute := crooked(t, n.URL, map[string]twist{"getFirstAvailableBlock": first, "getTransaction": of(s.ids[0], always(`"result":null`))})
	veiled := crooked(t, n.URL, map[string]twist{"getTransaction": of(s.ids[1], always(`"result":null`))})
	future := crooked(t, n.URL, map[string]twist{"getTransaction": of(s.ids[1], always(`"error":{"code":-32015,"message":"Transaction version (1) is not supported"}`))})
	for name, c := range map[string]struct {
		urls []string
		sent []int // of what it signed
		gap  string
	}{
		"one that keeps less":          {[]string{short}, []int{1, 2}, "the endpoint keeps nothing older"},
		"one that lists more":          {[]string{mute}, []int{1, 2}, "the endpoint keeps nothing older"},
		"one that keeps less, and all": {[]string{short, n.URL}, []int{0, 1, 2}, "the endpoint keeps nothing older"},
		"all, and one that keeps less": {[]string{n.URL, short}, []int{0, 1, 2}, "the endpoint keeps nothing older"},
		"a veil":                       {[]string{veiled}, []int{0, 2}, "the endpoint lists it, and does not show it"},
		"the same veil twice":          {[]string{veiled, veiled}, []int{0, 2}, "the endpoint lists it, and does not show it"},
		"a version of the future":      {[]string{future}, []int{0, 2}, "of a version that this release does not read"},
	} {
		f := ask(t, q, onchain.Options{}, c.urls...)
		if f.Unread != "" {
			t.Errorf("%s: %s", name, f.Unread)
			continue
		}
		var got, want []string
		for _, o := range f.Solana[0].Sent {
			got = append(got, o.ID)
		}
		for _, i := range c.sent {
			want = append(want, s.ids[i])
		}
		g := f.Solana[0].Gaps
		if !slices.Equal(got, want) || len(g) != 1 || !strings.Contains(g[0].Why, c.gap) || g[0].Slot != s.slots[1] || g[0].Time.IsZero() {
			t.Errorf("%s: %v; want %v; %+v", name, got, want, g)
		}
	}
}

// Anybody may name an address in as many transactions as they pay for: what is read of them is bounded, and the rest said.
func TestManyMentionsOnSolana(t *testing.T) {
	n := litesvm.Start(t)
	s, _ := sendsOnSolana(t, n)
	var calls atomic.Int64
	url := crooked(t, n.URL, map[string]twist{"getSignaturesForAddress": func(_ []json.RawMessage, answer string) string {
		page := calls.Add(1)
		var all []string
		for i := range 1000 {
			var sig [64]byte
			binary.BigEndian.PutUint64(sig[:], uint64(page)<<32|uint64(i)|1<<60)
			all = append(all, fmt.Sprintf(`{"signature":%q,"slot":%d,"blockTime":1800000000}`, base58.Encode(sig[:]), s.slots[2]+1000-uint64(page)))
		}
		return `"result":[` + strings.Join(all, ",") + "]"
	}})
	f := ask(t, verify.Enquiry{Chain: litesvm.Chain, Addresses: []string{litesvm.Text(vaultAt)}}, onchain.Options{}, url)
	if f.Unread != "" || calls.Load() != 20 || len(f.Solana[0].Sent) != 0 {
		t.Fatalf("%d pages: %+v", calls.Load(), f)
	}
	var many []string
	for i := byte(1); i < 13; i++ {
		many = append(many, solana.Key{31: i}.String())
	}
	calls.Store(0)
	all := ask(t, verify.Enquiry{Chain: litesvm.Chain, Addresses: many}, onchain.Options{}, url)
	if last := all.Solana[len(all.Solana)-1].Gaps; all.Unread != "" || calls.Load() != 200 || len(last) != 1 || last[0].Slot != all.Height+1 {
		t.Errorf("of many addresses: %d pages; of the last %+v; %s", calls.Load(), last, all.Unread)
	}
	if g := f.Solana[0].Gaps; len(g) != 1 || g[0].Slot != f.Height+1 || !strings.Contains(g[0].Why, "only the last 20000 transactions") {
		t.Errorf("%+v", g)
	}
}
