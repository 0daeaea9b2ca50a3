package node_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

var (
	staking = addressOf("0x00000000000000000000000000000000000057a6")
	artwork = addressOf("0x000000000000000000000000000000000000a127")
	dai     = addressOf("0x6B175474E89094C44Da98b954EedeAC495271d0F")
)

const (
	permitType = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
	deposit    = "function deposit(uint256 assets,address receiver) payable"
)

// namingAll is a circle whose charter names a token with an allowance, a collection, a contract, typed data and a code, and permits what they do but what has no bound.
func namingAll(t *testing.T) setting {
	t.Helper()
	s := prepare(t, 3, 3)
	namingChange(&s)
	s.Enact()
	return s
}

func namingChange(s *setting) {
	s.Change = func(d *charter.Document) {
		d.Assets = append(d.Assets,
			charter.Asset{Name: "art", Chain: "eip155:1", Contract: artwork.String(), Standard: charter.ERC721},
			charter.Asset{Name: "usdc", Chain: "eip155:1", Contract: usdc.String(), Decimals: 6, Unit: 6, Allowance: "1000000000"})
		slices.SortFunc(d.Assets, func(a, b charter.Asset) int { return strings.Compare(a.Name, b.Name) })
		d.EVM = charter.EVM{
			Networks:  []charter.Network{{Chain: "eip155:1", SetCode: true}},
			Contracts: []charter.Contract{{Name: "staking", Chain: "eip155:1", Address: staking.String(), Functions: []string{deposit}}},
			TypedData: []charter.TypedData{{Name: "usdc-permit", Chain: "eip155:1", Contract: usdc.String(), Domain: "USD Coin", Version: "2", Type: permitType}},
			Codes:     []charter.Code{{Name: "wallet", Chain: "eip155:1", Address: staking.String()}},
		}
		d.Policy = `@id("moves") permit (principal, action in [Action::"transfer", Action::"token", Action::"fee", Action::"proof", Action::"call", Action::"authorise"], resource);
@id("lends") permit (principal, action == Action::"allowance", resource) when { context.total.day <= 600 };
`
	}
}

// bytesOf is an intent over bytes of a purpose, which says in words what every node makes of them.
func (s setting) bytesOf(purpose string, nonce uint64, raw []byte) intent.Intent {
	s.T.Helper()
	it := s.Intent(s.vault, s.addr, nonce)
	it.Purpose, it.Transaction = purpose, raw
	it.Facts = s.words(it)
	return it
}

// hand submits what nodes take.
func (s setting) hand(n outbox.Note) {
	s.T.Helper()
	if _, err := s.Submit(n); err != nil {
		s.T.Fatal(err)
	}
}

func (s setting) context() evm.Context {
	s.T.Helper()
	book, err := policy.BookOf(s.Document())
	if err != nil {
		s.T.Fatal(err)
	}
	return evm.Context{Account: evm.Account{Address: addressOf(s.addr.Address)}, Allowed: book.EVM}
}

// calling is a transaction with a nonce that calls a contract.
func calling(nonce uint64, to evm.Address, value int64, data []byte) []byte {
	return typed(2, []any{uint64(1), nonce, big.NewInt(1e9), big.NewInt(30e9), uint64(90000), to[:], big.NewInt(value), data, []any{}})
}

// permit is typed data that lends dollars.
func (s setting) permit(name string, value, nonce int64) []byte {
	s.T.Helper()
	return s.permitOf(usdc, name, value, nonce)
}

func (s setting) permitOf(token evm.Address, name string, value, nonce int64) []byte {
	s.T.Helper()
	doc, err := json.Marshal(map[string]any{
		"types": map[string]any{
			"EIP712Domain": fieldsOf("string name", "string version", "uint256 chainId", "address verifyingContract"),
			"Permit":       fieldsOf("address owner", "address spender", "uint256 value", "uint256 nonce", "uint256 deadline"),
		},
		"primaryType": "Permit",
		"domain":      map[string]any{"name": name, "version": "2", "chainId": 1, "verifyingContract": token.String()},
		"message":     map[string]any{"owner": s.addr.Address, "spender": staking.String(), "value": fmt.Sprint(value), "nonce": fmt.Sprint(nonce), "deadline": deadline.String()},
	})
	if err != nil {
		s.T.Fatal(err)
	}
	out, err := evm.CanonicalDocument(doc)
	if err != nil {
		s.T.Fatal(err)
	}
	return out
}

func fieldsOf(all ...string) (out []map[string]string) {
	for _, f := range all {
		kind, name, _ := strings.Cut(f, " ")
		out = append(out, map[string]string{"name": name, "type": kind})
	}
	return out
}

// What the charter names is understood, and the policy asked about what it does; what it does not name is refused by each node alone.
func TestNamedByTheCharter(t *testing.T) {
	t.Parallel()
	s := namingAll(t)
	authorization := slices.Concat([]byte{5}, encoded([]any{uint64(1), staking[:], uint64(0)}))
	put := call("deposit(uint256,address)", big.NewInt(5), payee)
	const message, transaction = intent.PurposeMessage, intent.PurposeTransaction
	for name, c := range map[string]struct {
		purpose string
		raw     []byte
		rule    string // that denies; empty: it is allowed
		reason  string
	}{
		"an allowance":                      {transaction, calling(0, usdc, 0, call("approve(address,uint256)", payee, big.NewInt(500e6))), "", ""},
		"one of nothing":                    {transaction, calling(0, usdc, 0, call("approve(address,uint256)", payee, 0)), "", ""},
		"one above the policy's limit":      {transaction, calling(0, usdc, 0, call("approve(address,uint256)", payee, big.NewInt(700e6))), "policy", "allowance of 700 usdc"},
		"one above what the charter bounds": {transaction, calling(0, usdc, 0, call("approve(address,uint256)", payee, big.NewInt(1001e6))), "policy", "unlimited"},
		"one of all":                        {transaction, calling(0, usdc, 0, call("approve(address,uint256)", thief, unlimited)), "policy", "unlimited"},
		"one to the token itself":           {transaction, calling(0, usdc, 0, call("approve(address,uint256)", usdc, big.NewInt(1))), "decoded", "asset's own contract"},
		"dollars by transferFrom":           {transaction, calling(0, usdc, 0, call("transferFrom(address,address,uint256)", addressOf(s.addr.Address), payee, big.NewInt(1e6))), "", ""},
		"another's dollars":                 {transaction, calling(0, usdc, 0, call("transferFrom(address,address,uint256)", thief, payee, big.NewInt(1e6))), "decoded", "not the account"},
		"a token that is not listed":        {transaction, calling(0, dai, 0, call("transfer(address,uint256)", payee, big.NewInt(1))), "decoded", "no token of the book"},
		"a work of art":                     {transaction, calling(0, artwork, 0, call("safeTransferFrom(address,address,uint256)", addressOf(s.addr.Address), payee, big.NewInt(7))), "", ""},
		"all works of art":                  {transaction, calling(0, artwork, 0, call("setApprovalForAll(address,bool)", payee, true)), "policy", "unlimited"},
		"a call":                            {transaction, calling(0, staking, 0, put), "", ""},
		"a call with coins":                 {transaction, calling(0, staking, 1e15, put), "", ""},
		"a call with bytes behind":          {transaction, calling(0, staking, 0, append(slices.Clone(put), 0)), "decoded", "arguments of deposit"},
		"a function that is not listed":     {transaction, calling(0, staking, 0, call("withdraw(uint256,address)", big.NewInt(5), thief)), "decoded", "not registered"},
		"the function of another contract":  {transaction, calling(0, dai, 0, put), "decoded", "not in the book"},
		"a cancellation":                    {transaction, calling(0, addressOf(s.addr.Address), 0, nil), "", ""},
		"a permit":                          {message, s.permit("USD Coin", 100e6, 0), "", ""},
		"a permit of all":                   {message, s.permit("USD Coin", 2000e6, 0), "policy", "unlimited"},
		"a permit under another name":       {message, s.permit("USD  Coin", 100e6, 0), "decoded", "and the book has"},
		"a permit as a transaction":         {transaction, s.permit("USD Coin", 100e6, 0), "decoded", "purpose is transaction"},
		"a transaction as a message":        {message, calling(0, staking, 0, put), "decoded", "purpose is message"},
		"a permit with a space":             {message, bytes.Replace(s.permit("USD Coin", 100e6, 0), []byte(":"), []byte(": "), 1), "decoded", "typed data"},
		"a code":                            {message, authorization, "", ""},
		"a code as a transaction":           {transaction, authorization, "decoded", "purpose is transaction"},
		"a code that is not listed":         {message, slices.Concat([]byte{5}, encoded([]any{uint64(1), thief[:], uint64(0)})), "decoded", "is not in the book"},
		"a code on every chain":             {message, slices.Concat([]byte{5}, encoded([]any{uint64(0), staking[:], uint64(0)})), "decoded", "every chain"},
		"access lists, which have no place": {transaction, typed(2, []any{uint64(1), uint64(0), big.NewInt(1e9), big.NewInt(30e9), uint64(90000), staking[:], uint64(0), put, []any{[]any{staking[:], []any{}}}}), "decoded", "access list"},
		"a chain that the charter has not":  {transaction, typed(2, []any{uint64(5), uint64(0), big.NewInt(1e9), big.NewInt(30e9), uint64(90000), staking[:], uint64(0), put, []any{}}), "decoded", "chain id"},
		"a creation":                        {transaction, typed(2, []any{uint64(1), uint64(0), big.NewInt(1e9), big.NewInt(30e9), uint64(90000), []byte{}, uint64(0), put, []any{}}), "decoded", "creation"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func(whole testing.TB) { s.T = whole }(s.T)
			s.T = t
			it := s.bytesOf(c.purpose, 0, c.raw)
			if c.rule == "" {
				s.allowed(it)
				return
			}
			st, proposal := s.Proposal(it)
			for _, h := range s.Hosts {
				if err := s.alone(h, proposal); err != nil {
					t.Fatal(err)
				}
				if _, d := s.own(h, st.ID()); d.Verdict != intent.Deny || d.Rule != c.rule || !strings.Contains(d.Reason, c.reason) {
					t.Fatalf("%s: %s by %s: %s; want %s: %s", h.Own.Name, d.Verdict, d.Rule, d.Reason, c.rule, c.reason)
				}
			}
		})
	}
}

// A call and a permit are signed by three nodes; a second permit with the first's nonce finds it taken, and allowances count together.
func TestNamedIsSigned(t *testing.T) {
	t.Parallel()
	s := namingAll(t)
	sign := func(it intent.Intent) (statement.Statement, []byte) {
		t.Helper()
		st, n := s.Proposal(it)
		s.hand(n)
		s.Approve(st)
		s.Run("signed", func() bool { return s.All(func(h *nodetest.Host) bool { return s.State(h, st.ID()) == intent.Signed }) })
		v, err := s.Hosts[0].Desk.Show(st.ID())
		if err != nil {
			t.Fatal(err)
		}
		return st, v.Raw
	}
	put := call("deposit(uint256,address)", big.NewInt(5), payee)
	raw := calling(0, staking, 1e15, put)
	_, signed := sign(s.bytesOf(intent.PurposeTransaction, 0, raw))
	if x, err := evm.ParseAny(signed); err != nil || x.From.String() != s.addr.Address || !bytes.Equal(x.Transaction.Unsigned(), raw) {
		t.Fatalf("%x: %v", signed, err)
	}
	permit := s.permit("USD Coin", 400e6, 3)
	_, sig := sign(s.bytesOf(intent.PurposeMessage, 0, permit))
	if _, from, err := evm.CheckMessage(permit, sig); err != nil || from.String() != s.addr.Address || len(sig) != 65 {
		t.Fatalf("%x by %s: %v", sig, from, err)
	}
	// The contract takes one of two with a nonce: together they count as the larger. With another nonce both may be used.
	for name, c := range map[string]struct {
		raw     []byte
		verdict intent.Verdict
	}{
		"once more for less": {s.permit("USD Coin", 300e6, 3), intent.Allow},
		"beside it":          {s.permit("USD Coin", 300e6, 4), intent.Wait},
		"by a transaction":   {calling(1, usdc, 0, call("approve(address,uint256)", payee, big.NewInt(300e6))), intent.Wait},
	} {
		purpose := intent.PurposeMessage
		if c.raw[0] != '{' {
			purpose = intent.PurposeTransaction
		}
		st, n := s.Proposal(s.bytesOf(purpose, 1, c.raw))
		s.hand(n)
		s.Approve(st)
		for range 40 {
			s.Step(time.Second)
		}
		for _, h := range s.Hosts {
			v, err := h.Desk.Show(st.ID())
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(v.Decisions, func(d decide.Decision) bool { return d.Operator == h.Own.Name })
			if got := i >= 0 && v.Decisions[i].Verdict == intent.Allow; got != (c.verdict == intent.Allow) {
				t.Errorf("%s: %s: allowed %v, waits %q", name, h.Own.Name, got, v.Waits)
			}
		}
		_, _ = s.Submit(s.cancellation(st))
		s.Step(time.Second)
	}
}

// Of two permits with one nonce the contract takes one: while the first is not over the second waits.
func TestPermitsWithOneNonce(t *testing.T) {
	t.Parallel()
	s := namingAll(t)
	first, n := s.Proposal(s.bytesOf(intent.PurposeMessage, 0, s.permit("USD Coin", 100e6, 9)))
	s.hand(n)
	second, n := s.Proposal(s.bytesOf(intent.PurposeMessage, 0, s.permit("USD Coin", 200e6, 9)))
	s.hand(n)
	s.Approve(second)
	s.Run("the second, which people approve, is signed", func() bool {
		return s.All(func(h *nodetest.Host) bool { return s.State(h, second.ID()) == intent.Signed })
	})
	s.Approve(first)
	s.Run("and the first too, since no chain waits for it", func() bool {
		return s.All(func(h *nodetest.Host) bool { return s.State(h, first.ID()) == intent.Signed })
	})
}
