package node_test

import (
	"crypto/sha256"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/wallet"
)

const (
	mainnet   = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
	solPolicy = "@id(\"moves\") permit (principal, action in [Action::\"transfer\", Action::\"token\", Action::\"fee\", Action::\"proof\"], resource);\n"
)

// lamps is a circle whose vault has a key for Solana, and what all of its nodes read of the chain.
type lamps struct {
	setting
	key   solana.Key
	payee solana.Key
	mint  solana.Key
	nonce solana.Key
	read  solana.Readings
	last  solana.Key // blockhash
}

// keyFor is an address that nobody has the key of, another for each name.
func keyFor(name string) solana.Key {
	for n := byte(0); ; n++ {
		h := sha256.Sum256(append([]byte(name), n))
		if _, err := solana.Address(h[:]); err == nil {
			return solana.Key(h)
		}
	}
}

func lighting(t *testing.T, threshold int) *lamps {
	t.Helper()
	w := nodetest.New(t, 3)
	w.Suite = charter.SuiteEd25519
	l := &lamps{payee: keyFor("payee"), mint: keyFor("mint"), last: keyFor("a block")}
	w.Change = func(d *charter.Document) {
		d.Assets = []charter.Asset{{Name: "sol", Chain: mainnet, Decimals: 9, Unit: 6}, {Name: "usd", Chain: mainnet, Contract: l.mint.String(), Decimals: 6, Unit: 4}}
		d.Policy = solPolicy
	}
	w.Found()
	id := w.Vault(threshold)
	l.setting = setting{w, id, w.Account(id)}
	var err error
	if l.key, err = solana.ParseKey(l.addr.Address); err != nil {
		t.Fatal(err)
	}
	l.nonce, err = solana.SeedAddress(l.key, "one")
	if err != nil {
		t.Fatal(err)
	}
	l.read = solana.Readings{
		Accounts: map[solana.Key]solana.Account{
			l.payee: {}, l.key: {}, l.mint: {Kind: solana.Mint, Program: solana.SPLToken, Decimals: 6},
			l.nonce: {Kind: solana.NonceAccount, Authority: l.key, Nonce: keyFor("a nonce")},
		},
		Tables: map[solana.Key][]solana.Key{}, Recents: map[solana.Key]bool{l.last: true},
	}
	for _, wallet := range []solana.Key{l.key, l.payee} {
		l.read.Accounts[l.at(wallet)] = solana.Account{Kind: solana.TokenAccount, Program: solana.SPLToken, Mint: l.mint, Owner: wallet}
	}
	w.CheckOther = func(_ *nodetest.Host, q decide.Question) (bool, string, error) {
		p := q.Payload.(*payload.Solana)
		if err := p.Early(l.read); err != nil {
			return true, "", err
		}
		if err := p.Compare(l.read); err != nil {
			return true, err.Error(), nil
		}
		return true, "", nil
	}
	return l
}

// at is the token account of a wallet.
func (l *lamps) at(wallet solana.Key) solana.Key {
	k, err := solana.AssociatedAccount(wallet, l.mint, solana.SPLToken)
	if err != nil {
		panic(err)
	}
	return k
}

// builds is the unsigned form of a request, by what the initiator says that it read.
func (l *lamps) builds(r solana.Request, world solana.Readings) []byte {
	l.T.Helper()
	if r.Payer = l.key; r.Nonce == nil && r.Blockhash == (solana.Key{}) {
		r.Blockhash = l.last
	} else if r.Nonce != nil {
		r.Authority, r.Blockhash = l.key, l.read.Accounts[*r.Nonce].Nonce
	}
	raw, err := solana.Build(r, payload.SolanaContext(mainnet, l.key, [3]uint32(l.addr.Path), world))
	if err != nil {
		l.T.Fatal(err)
	}
	return raw
}

// pays are payments of each kind.
func (l *lamps) pays() map[string][]byte {
	l.T.Helper()
	token, err := solana.Pay(solana.TokenPayment{Program: solana.SPLToken, Mint: l.mint, Owner: l.key, Wallet: l.payee, Amount: 2_500_000, Decimals: 6})
	if err != nil {
		l.T.Fatal(err)
	}
	return map[string][]byte{
		"coins":  l.builds(solana.Request{UnitLimit: 1500, UnitPrice: 10_000, Memo: "rent", Steps: []solana.Step{solana.Transfer(l.key, l.payee, 1_500_000_000)}}, l.read),
		"tokens": l.builds(solana.Request{Nonce: &l.nonce, Steps: token}, l.read),
	}
}

// asks is an intent over a transaction, in the words of what it encloses.
func (l *lamps) asks(raw []byte) intent.Intent {
	it := l.Intent(l.vault, wallet.Address{Path: l.addr.Path, Suite: l.addr.Suite, Chain: mainnet, Address: l.addr.Address}, 0)
	it.Purpose, it.Claim, it.Transaction, it.Facts = intent.PurposeTransaction, intent.Claim{}, raw, nil
	if p, err := payload.Read(it, charter.SuiteEd25519, payload.Context{}); err == nil {
		it.Facts = intent.Written(payload.Facts(p))
	}
	return it
}

// What all nodes allow is signed, under the name that the chain gives it, and is the same message at all.
func TestSolana(t *testing.T) {
	t.Parallel()
	l := lighting(t, 2)
	for name, raw := range l.pays() {
		it := l.asks(raw)
		st, n := l.Proposal(it)
		l.hand(n)
		l.Approve(st)
		l.Run(name+" are signed", func() bool { return l.Signed(st) })
		for _, h := range l.Hosts {
			v, err := h.Desk.Show(st.ID())
			if err != nil {
				t.Fatal(err)
			}
			s, err := solana.ParseSigned(v.Raw)
			if err != nil || s.ID != v.Hash || len(s.Signers) != 1 || s.Signers[0] != l.key {
				t.Fatalf("%s has %s, signed by %v: %v", h.Own.Name, v.Hash, s, err)
			}
		}
	}
}

// Of two intents with one value of a nonce a node allows one; what is signed and waits gives its place to what advances the nonce and does nothing, if it says so.
func TestNonceOfSolana(t *testing.T) {
	t.Parallel()
	l := lighting(t, 2)
	first, n := l.Proposal(l.asks(l.pays()["tokens"]))
	l.hand(n)
	l.Approve(first)
	l.Run("it is signed", func() bool { return l.Signed(first) })
	other := l.asks(l.builds(solana.Request{Nonce: &l.nonce, Steps: []solana.Step{solana.Transfer(l.key, l.payee, 5)}}, l.read))
	l.ruled(other, "nonce", "is used by intent "+first.ID().Short())
	idle := l.asks(l.builds(solana.Request{Nonce: &l.nonce}, l.read))
	l.ruled(idle, "nonce", "is used by intent "+first.ID().Short())
	idle.Replaces = first.ID()
	idle.Memo = "not any more"
	l.allowed(idle)
}

// What an endpoint may come to know is waited for, and everything else denied for good: whoever proposes says what they read, and each node reads for itself.
func TestSolanaAsRead(t *testing.T) {
	t.Parallel()
	l := lighting(t, 2)
	thief := keyFor("thief")
	token, err := solana.Pay(solana.TokenPayment{Program: solana.SPLToken, Mint: l.mint, Owner: l.key, Wallet: l.payee, Amount: 1, Decimals: 6})
	if err != nil {
		t.Fatal(err)
	}
	said := func(change func(map[solana.Key]solana.Account)) solana.Readings {
		w := l.read
		w.Accounts = maps.Clone(l.read.Accounts)
		change(w.Accounts)
		return w
	}
	dead := keyFor("an old block")
	place := l.at(l.payee)
	theirs := keyFor("an account of the thief's")
	l.read.Accounts[theirs] = solana.Account{Kind: solana.TokenAccount, Program: solana.SPLToken, Mint: l.mint, Owner: thief}
	toTheirs, err := solana.Pay(solana.TokenPayment{Program: solana.SPLToken, Mint: l.mint, Owner: l.key, Wallet: l.payee, Amount: 1, Decimals: 6, Destination: &theirs})
	if err != nil {
		t.Fatal(err)
	}
	worth := said(func(a map[solana.Key]solana.Account) { m := a[l.mint]; m.Decimals = 2; a[l.mint] = m })
	cheap, err := solana.Pay(solana.TokenPayment{Program: solana.SPLToken, Mint: l.mint, Owner: l.key, Wallet: l.payee, Amount: 1, Decimals: 2})
	if err != nil {
		t.Fatal(err)
	}
	table := keyFor("a table")
	viaTable := said(func(map[solana.Key]solana.Account) {})
	viaTable.Tables = map[solana.Key][]solana.Key{table: {l.payee}}
	l.read.Tables[table] = []solana.Key{thief}
	for name, c := range map[string]struct {
		raw    []byte
		reason string
	}{
		"a thief's account that is said to be the payee's": {l.builds(solana.Request{Steps: toTheirs}, said(func(a map[solana.Key]solana.Account) { x := a[theirs]; x.Owner = l.payee; a[theirs] = x })), "owned by " + thief.String()},
		"a token of other decimals":                        {l.builds(solana.Request{Steps: cheap}, worth), "with 6 decimals"},
		"an honest one":                                    {l.builds(solana.Request{Steps: token}, l.read), ""},
		"a lookup table of another content":                {l.builds(solana.Request{Steps: []solana.Step{solana.Transfer(l.key, l.payee, 7)}, Tables: viaTable.Tables}, viaTable), "holds " + thief.String()},
	} {
		t.Run(name, func(t *testing.T) {
			defer func(whole testing.TB) { l.T = whole }(l.T)
			if l.T = t; c.reason == "" {
				l.allowed(l.asks(c.raw))
				return
			}
			l.ruled(l.asks(c.raw), "state", c.reason)
		})
	}
	// The chain goes on meanwhile, as each node sees it.
	frozen := l.read.Accounts[place]
	frozen.Frozen = true
	for name, c := range map[string]struct {
		raw   []byte
		here  solana.Account
		at    solana.Key
		waits string
	}{
		"a token account that is not there yet": {l.builds(solana.Request{Memo: "one", Steps: token}, l.read), solana.Account{}, place, "is not there where this node reads"},
		"a nonce that moved on":                 {l.builds(solana.Request{Nonce: &l.nonce, Memo: "two", Steps: token}, l.read), solana.Account{Kind: solana.NonceAccount, Authority: l.key, Nonce: keyFor("the next")}, l.nonce, "another nonce where this node reads"},
		"an account that was thawed just now":   {l.builds(solana.Request{Memo: "three", Steps: token}, l.read), frozen, place, "frozen where this node reads"},
	} {
		before := l.read.Accounts[c.at]
		l.read.Accounts[c.at] = c.here
		st, n := l.Proposal(l.asks(c.raw))
		l.hand(n)
		l.Approve(st)
		l.Run(name+" is waited for", func() bool {
			return !slices.ContainsFunc(l.Hosts, func(h *nodetest.Host) bool {
				v, err := h.Desk.Show(st.ID())
				return err != nil || !strings.Contains(v.Waits, c.waits)
			})
		})
		l.read.Accounts[c.at] = before
		l.Run(name+", and then it is signed", func() bool { return l.Signed(st) })
	}
	late := l.read
	late.Recents = map[solana.Key]bool{dead: true}
	st, n := l.Proposal(l.asks(l.builds(solana.Request{Blockhash: dead, Steps: token}, late)))
	l.hand(n)
	l.Approve(st)
	l.Run("a dead block is waited for", func() bool {
		v, err := l.Hosts[0].Desk.Show(st.ID())
		return err == nil && strings.Contains(v.Waits, "not final where this node reads, or too old")
	})
}
