package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
)

// An Errand is a transaction of Solana that one address of a vault is to sign and to pay for.
type Errand struct {
	Sender
	Steps   []solana.Step
	Units   uint32      // compute units that the steps take at most
	Note    string      // written into the transaction for all to read; empty: none
	Nonce   *solana.Key // durable nonce account of the address; nil: one of its own that no other intent uses, if it has any
	Hasty   bool        // no durable nonce: it must land within a minute or two
	Price   uint64      // millionths of a lamport for each compute unit; 0: what the nodes say
	Pays    uint64      // lamports that the steps take out of the address
	Memo    string      // for the approvers
	Life    time.Duration
	carries *ground
}

// Units of compute that an errand asks for: nodes hold what is paid for beyond what its instructions take for burnt (spec/chain-solana 10.6).
const (
	UnitsTransfer = solana.UnitsTransfer
	UnitsToken    = solana.UnitsToken
	UnitsOpen     = solana.UnitsOpen
	unitsNote     = solana.UnitsNote
	unitsNonce    = solana.UnitsTransfer
	unitsBudget   = 2 * solana.UnitsBudget
)

// A Remittance is a payment on Solana.
type Remittance struct {
	Errand
	To     solana.Key
	Mint   *solana.Key // nil: SOL
	Amount uint64      // lamports, or of the token's smallest unit
	Fee    *uint64     // what a mint of Token-2022 that takes a fee keeps of Amount
}

// PrepareRemittance makes an intent's statement. The payee's token account is made where it is not there.
func (c *Circle) PrepareRemittance(ctx context.Context, r Remittance) (statement.Statement, error) {
	g, err := c.ground(r.Sender)
	if err != nil {
		return statement.Statement{}, err
	}
	if r.Nonce == nil {
		if err := g.keptBack(ctx); err != nil {
			return statement.Statement{}, err
		}
	}
	if r.carries = g; r.Mint == nil {
		r.Steps, r.Units, r.Pays = []solana.Step{solana.Transfer(g.own, r.To, r.Amount)}, UnitsTransfer, r.Amount
		return c.PrepareErrand(ctx, r.Errand)
	}
	pay, err := g.payment(ctx, r)
	if err != nil {
		return statement.Statement{}, err
	}
	if r.Units = UnitsToken; pay.Open {
		r.Units += UnitsOpen
	}
	if r.Steps, err = solana.Pay(pay); err != nil {
		return statement.Statement{}, err
	}
	return c.PrepareErrand(ctx, r.Errand)
}

// payment finds out where tokens lie, and where they go.
func (g *ground) payment(ctx context.Context, r Remittance) (p solana.TokenPayment, err error) {
	if err := g.learn(ctx, *r.Mint, r.To); err != nil {
		return p, err
	}
	mint, to := g.read.Accounts[*r.Mint], g.read.Accounts[r.To]
	if mint.Kind != solana.Mint {
		return p, &RefusedError{fmt.Sprintf("token %s is no mint: it is %s", r.Mint, mint)}
	}
	p = solana.TokenPayment{Program: mint.Program, Mint: *r.Mint, Owner: g.own, Wallet: r.To, Amount: r.Amount, Decimals: mint.Decimals, Fee: r.Fee}
	if to.Kind == solana.TokenAccount { // who receives named a token account of theirs instead of their wallet
		p.Wallet, p.Destination = to.Owner, &r.To
	}
	source, err := solana.AssociatedAccount(g.own, p.Mint, p.Program)
	if err != nil {
		return p, err
	}
	rule, err := solana.AssociatedAccount(p.Wallet, p.Mint, p.Program)
	if err != nil {
		return p, err
	}
	if err := g.learn(ctx, source, rule); err != nil {
		return p, err
	}
	if held := g.amounts[source]; held < r.Amount {
		return p, &RefusedError{fmt.Sprintf("token account %s of %s holds %d of the smallest unit, and not %d", source, g.own, held, r.Amount)}
	}
	p.Open = p.Destination == nil && g.read.Accounts[rule].Kind == solana.Wallet
	return p, nil
}

// PrepareErrand makes the statement of an intent.
func (c *Circle) PrepareErrand(ctx context.Context, e Errand) (statement.Statement, error) {
	g, err := e.carries, error(nil)
	if g == nil {
		if g, err = c.ground(e.Sender); err != nil {
			return statement.Statement{}, err
		}
	}
	a, err := c.ask(e.Sender, e.Memo, e.Life)
	if err != nil {
		return statement.Statement{}, err
	}
	r := solana.Request{Payer: g.own, Steps: e.Steps, Memo: e.Note, UnitLimit: e.Units + unitsBudget, UnitPrice: e.Price}
	if e.Note != "" {
		r.UnitLimit += unitsNote
	}
	if r.Nonce, err = g.nonce(ctx, e); err != nil {
		return statement.Statement{}, err
	}
	if r.Nonce != nil {
		r.Authority, r.UnitLimit, r.Blockhash = g.own, r.UnitLimit+unitsNonce, g.read.Accounts[*r.Nonce].Nonce
	} else {
		r.Blockhash = g.block
		g.read.Recents[g.block] = true
	}
	if r.UnitPrice == 0 {
		r.UnitPrice = g.price
	}
	if fee := solana.Fee(r.UnitLimit, r.UnitPrice, 1); g.lamports[g.own] < fee || g.lamports[g.own]-fee < e.Pays {
		return statement.Statement{}, &RefusedError{fmt.Sprintf("%s holds %d lamports, and this takes %d and a fee of %d at most", g.own, g.lamports[g.own], e.Pays, fee)}
	}
	a.Purpose = intent.PurposeTransaction
	if a.Transaction, err = g.build(ctx, r); err != nil {
		return statement.Statement{}, err
	}
	return e.Sender.written(a)
}

// NonceSeeds are the seeds of an address's own durable nonce accounts, in the order in which they are opened. Each serves one transaction at a time.
var NonceSeeds = []string{"ostraka-1", "ostraka-2", "ostraka-3", "ostraka-4", "ostraka-5", "ostraka-6", "ostraka-7", "ostraka-8"}

// A NonceAccount is one of an address's own.
type NonceAccount struct {
	Address  solana.Key
	Seed     string
	Open     bool
	Nonce    solana.Key
	Lamports uint64
	Intent   statement.ID // that uses it; zero: none
	Possibly statement.ID // that came to its end with this nonce, and may be signed all the same; zero: none
}

// NonceAccounts are all of an address, open or not.
func (c *Circle) NonceAccounts(ctx context.Context, s Sender) ([]NonceAccount, error) {
	g, err := c.ground(s)
	if err != nil {
		return nil, err
	}
	return g.nonces(ctx)
}

// PrepareNonce makes the statement of an intent that opens the first own nonce account which is not there. It has no durable nonce itself, unless another is free.
func (c *Circle) PrepareNonce(ctx context.Context, e Errand) (s statement.Statement, at solana.Key, err error) {
	if e.carries, err = c.ground(e.Sender); err != nil {
		return s, at, err
	}
	all, err := e.carries.nonces(ctx)
	if err != nil {
		return s, at, err
	}
	i := placeIn(all)
	if i < 0 {
		return s, at, &RefusedError{fmt.Sprintf("the %d places of %s for nonce accounts are taken: close one, or have somebody open one elsewhere, with %[2]s as its authority (`--nonce-account`)", len(all), e.carries.own)}
	}
	at, e.Steps, err = solana.CreateNonce(e.carries.own, e.carries.own, all[i].Seed, e.carries.own, solana.NonceRent)
	if err != nil {
		return s, at, err
	}
	e.Units, e.Pays = 4*UnitsTransfer, solana.NonceRent
	s, err = c.PrepareErrand(ctx, e)
	return s, at, err
}

// placeIn is the first place where a nonce account can be opened, -1 if there is none. The chain makes no account where lamports lie, and anybody may send some to an address that follows from ours.
func placeIn(all []NonceAccount) int {
	return slices.IndexFunc(all, func(n NonceAccount) bool { return !n.Open && n.Intent.IsZero() && n.Lamports == 0 })
}

// PrepareNonceEnd makes the statement of an intent that closes an own nonce account, and takes back what it holds. What has the account's nonce and has not landed never lands then: such intents are named,
// and it is refused unless force is given.
func (c *Circle) PrepareNonceEnd(ctx context.Context, e Errand, at solana.Key, force bool) (s statement.Statement, err error) {
	if e.carries, err = c.ground(e.Sender); err != nil {
		return s, err
	}
	if err := e.carries.learn(ctx, at); err != nil {
		return s, err
	}
	if a := e.carries.read.Accounts[at]; a.Kind != solana.NonceAccount || a.Authority != e.carries.own {
		return s, &RefusedError{fmt.Sprintf("%s is no nonce account of %s: it is %s", at, e.carries.own, a)}
	}
	if !force {
		all, _, err := c.Cases(ctx, []Vault{e.Sender.Vault}, e.Sender.Vault.ID)
		if err != nil {
			return s, fmt.Errorf("read which intents use nonce account %s: %w", at, err)
		}
		if err := endsNone(all, e.Sender.Chain, at, e.carries.read.Accounts[at].Nonce); err != nil {
			return s, err
		}
	}
	e.Steps, e.Units = []solana.Step{solana.WithdrawNonce(at, e.carries.own, e.carries.own, e.carries.lamports[at])}, 2*UnitsTransfer
	e.Hasty = e.Nonce == nil // a nonce that ends cannot give its own end life
	return c.PrepareErrand(ctx, e)
}

// endsNone refuses to close a nonce account that intents use which may land yet.
func endsNone(all []*Case, chain string, at, nonce solana.Key) error {
	name := fmt.Sprintf("%s nonce %s %s", chain, at, nonce)
	var uses []string
	for _, one := range all {
		if one.Payload == nil || one.Closed() || slices.Contains([]string{"replaced", "failed", "final"}, one.State()) || !slices.Contains(one.Payload.Spends(), name) {
			continue
		}
		uses = append(uses, fmt.Sprintf("%s (%s)", one.ID().Short(), one.State()))
	}
	if len(uses) == 0 {
		return nil
	}
	return &RefusedError{fmt.Sprintf("nonce account %s is used by what has not landed, and never would without it: intent %s. Wait until it has, end it (`ostraka tx cancel ID`; once it is signed `ostraka tx void ID`), or close the account all the same with --force", at, strings.Join(uses, ", "))}
}

// solanaInstead keeps a transaction off the chain by advancing its nonce. A higher fee for the same is asked for by proposing it anew with the same nonce account.
func (c *Circle) solanaInstead(ctx context.Context, old *Case, p *payload.Solana, how Instead) (statement.Statement, error) {
	account, _, durable := p.Durable()
	switch {
	case !durable:
		return statement.Statement{}, &RefusedError{fmt.Sprintf("intent %s has no durable nonce: nothing takes its place. Within a minute or two it lands, or its blockhash is too old", old.ID().Short())}
	case !how.Void:
		return statement.Statement{}, &RefusedError{fmt.Sprintf("on Solana nothing waits for a higher fee in a pool: what is sent again lands, or does not. Keep it off the chain (`ostraka tx void %s`), and propose it anew", old.ID().Short())}
	}
	s := Sender{Vault: old.Vault, Root: old.Root, Account: how.Account, Index: old.Intent.Path[2], Chain: old.Intent.Chain, Replaces: old.ID()}
	return c.PrepareErrand(ctx, Errand{Sender: s, Nonce: &account, Memo: how.Memo, Life: how.Life})
}

// A ground is what two nodes or more say alike of Solana, for one address of a vault.
type ground struct {
	c        *Circle
	sender   Sender
	own      solana.Key
	read     solana.Readings
	lamports map[solana.Key]uint64
	amounts  map[solana.Key]uint64
	block    solana.Key
	price    uint64
	height   uint64
	nodes    []string
}

func (c *Circle) ground(s Sender) (*ground, error) {
	address, _, err := s.Vault.Address(s.Root, s.Chain, s.Path())
	if err != nil {
		return nil, err
	}
	own, err := solana.ParseKey(address)
	return &ground{
		c: c, sender: s, own: own, lamports: map[solana.Key]uint64{}, amounts: map[solana.Key]uint64{},
		read: solana.Readings{Accounts: map[solana.Key]solana.Account{}, Tables: map[solana.Key][]solana.Key{}, Recents: map[solana.Key]bool{}},
	}, err
}

// mostAsked is how many accounts one answer may be about.
const mostAsked = 64

// learn asks all nodes for accounts that are not known yet, and for the address itself.
func (g *ground) learn(ctx context.Context, keys ...solana.Key) error {
	var ask [][]byte
	var asked []solana.Key
	for _, k := range append([]solana.Key{g.own}, keys...) {
		if _, known := g.read.Accounts[k]; !known && !slices.Contains(asked, k) {
			asked, ask = append(asked, k), append(ask, k[:])
		}
	}
	if len(ask) == 0 {
		return nil
	}
	if len(ask) > mostAsked {
		return fmt.Errorf("%d accounts are to be read at once, more than %d", len(ask), mostAsked)
	}
	answers := Ask(ctx, g.c, func(ctx context.Context, m *Member) (*v1.ReadingsResponse, error) {
		res, err := m.Readings(ctx, connect.NewRequest(&v1.ReadingsRequest{Chain: g.sender.Chain, Accounts: ask}))
		if err != nil {
			return nil, err
		}
		if len(res.Msg.Accounts) != len(ask) || len(res.Msg.Blockhash) != 32 {
			return nil, &VerifyError{m.Name, fmt.Errorf("it shows %d accounts of %d, and a blockhash of %d bytes", len(res.Msg.Accounts), len(ask), len(res.Msg.Blockhash))}
		}
		return res.Msg, nil
	})
	good, err := answers.Need("read accounts of Solana at two nodes", 2)
	if err != nil {
		return err
	}
	return g.take(asked, good)
}

// take compares what nodes say. Amounts change with every block: the least counts.
func (g *ground) take(asked []solana.Key, good Answers[*v1.ReadingsResponse]) error {
	first := good[0].Value
	g.nodes, g.price, g.height = nil, first.Price, first.Height
	least := first.Price
	byAge := slices.Clone(good)
	slices.SortStableFunc(byAge, func(a, b Answer[*v1.ReadingsResponse]) int { return cmp.Compare(a.Value.Last, b.Value.Last) })
	// An old one is final at all; but with the oldest of three a node that lies would choose one that no other knows.
	g.block = solana.Key(byAge[(len(byAge)-1)/2].Value.Blockhash)
	for _, a := range good {
		g.nodes = append(g.nodes, a.Node)
		g.height, least = min(g.height, a.Value.Height), min(least, a.Value.Price)
		g.price = max(g.price, a.Value.Price)
	}
	if g.price/apart > least {
		return &Difference{What: "the price of compute units on " + g.sender.Chain, Groups: [][]string{g.nodes}, Shown: []string{fmt.Sprintf("from %d to %d", least, g.price)}}
	}
	for i, k := range asked {
		var copies []Copy
		for _, a := range good {
			x := a.Value.Accounts[i]
			read, err := readAccount(x)
			if err != nil {
				return &VerifyError{a.Node, fmt.Errorf("account %s: %w", k, err)}
			}
			copies = append(copies, Copy{a.Node, fmt.Appendf(nil, "%s, of %d bytes: %+v", read, x.Size, read)})
			if a.Node == good[0].Node {
				g.read.Accounts[k], g.lamports[k], g.amounts[k] = read, x.Lamports, x.Amount
			}
			g.lamports[k], g.amounts[k] = min(g.lamports[k], x.Lamports), min(g.amounts[k], x.Amount)
		}
		if err := Compare("account "+k.String(), copies); err != nil {
			return err
		}
	}
	return nil
}

// readAccount reads one node's answer.
func readAccount(m *v1.Reading) (solana.Account, error) {
	switch {
	case m == nil || len(m.Owner) != 32 || uint64(len(m.Data)) > m.Size:
		return solana.Account{}, errors.New("its owner is no program, or it has more data than its size")
	case uint64(len(m.Data)) != m.Size:
		return solana.Account{Kind: solana.Other, Program: solana.Key(m.Owner)}, nil
	}
	return solana.ReadAccount(solana.Key(m.Owner), m.Data, m.Executable)
}

// mostReads bounds how often building asks for more.
const mostReads = 64

// build makes the unsigned form, and reads what it lacks.
func (g *ground) build(ctx context.Context, r solana.Request) ([]byte, error) {
	at := payload.SolanaContext(g.sender.Chain, g.own, [3]uint32(g.sender.Path()), g.read)
	for range mostReads {
		raw, err := solana.Build(r, at)
		need, unread := solana.IsUnread(err)
		switch {
		case err == nil:
			return raw, nil
		case !unread:
			return nil, &RefusedError{fmt.Sprintf("no node would sign it: %v", err)}
		}
		if err := g.learn(ctx, need.Address); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("it hangs on too many accounts")
}

// nonces reads the address's own nonce accounts, and who uses them.
func (g *ground) nonces(ctx context.Context) (out []NonceAccount, err error) {
	var keys []solana.Key
	for _, seed := range NonceSeeds {
		k, err := solana.SeedAddress(g.own, seed)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
		out = append(out, NonceAccount{Address: k, Seed: seed})
	}
	if err := g.learn(ctx, keys...); err != nil {
		return nil, err
	}
	all, _, err := g.c.Cases(ctx, []Vault{g.sender.Vault}, g.sender.Vault.ID)
	if err != nil {
		return nil, fmt.Errorf("read which nonces other intents use: %w", err)
	}
	users, possibly := spenders(all), possiblySpent(all)
	for i := range out {
		a := g.read.Accounts[out[i].Address]
		out[i].Open = a.Kind == solana.NonceAccount && a.Authority == g.own
		out[i].Nonce, out[i].Lamports = a.Nonce, g.lamports[out[i].Address]
		name := fmt.Sprintf("%s nonce %s %s", g.sender.Chain, out[i].Address, a.Nonce)
		if out[i].Intent = users[name]; len(possibly[name]) > 0 {
			out[i].Possibly = possibly[name][0]
		}
	}
	return out, nil
}

// nonce is the durable nonce account of an errand; nil: none.
func (g *ground) nonce(ctx context.Context, e Errand) (*solana.Key, error) {
	if e.Hasty {
		if err := g.quiet(ctx); err != nil {
			return nil, err
		}
		return nil, g.learn(ctx)
	}
	if e.Nonce != nil {
		if err := g.learn(ctx, *e.Nonce); err != nil {
			return nil, err
		}
		if a := g.read.Accounts[*e.Nonce]; a.Kind != solana.NonceAccount || a.Authority != g.own {
			return nil, &RefusedError{fmt.Sprintf("%s is no nonce account that %s may use: it is %s", e.Nonce, g.own, a)}
		}
		return e.Nonce, nil
	}
	all, err := g.nonces(ctx)
	if err != nil {
		return nil, err
	}
	if i := freeNonce(all); i >= 0 {
		return &all[i].Address, nil
	}
	open := len(slices.DeleteFunc(all, func(n NonceAccount) bool { return !n.Open }))
	if open > 0 {
		return nil, &EarlyError{fmt.Sprintf("each of the %d nonce accounts of %s is used by an intent that has not landed: wait, open another (`ostraka nonce open`), or propose it with --hasty, to land within a minute", open, g.own)}
	}
	return nil, g.quiet(ctx)
}

// freeNonce is the nonce account that a new transaction takes, -1 if none is free. One whose nonce an intent has that failed and may be signed goes first: whatever lands with that nonce keeps the
// other off the chain, and with another nonce people who propose a payment anew would pay twice.
func freeNonce(all []NonceAccount) int {
	free := func(n NonceAccount) bool { return n.Open && n.Intent.IsZero() }
	if i := slices.IndexFunc(all, func(n NonceAccount) bool { return free(n) && !n.Possibly.IsZero() }); i >= 0 {
		return i
	}
	return slices.IndexFunc(all, free)
}

// hushFor is for how long what has no durable nonce may land after it was asked for: its blockhash was young then.
const hushFor = 5 * time.Minute

// quiet refuses what has no durable nonce while another of the address without one may land, though it came to its end here: an operator that keeps a signature for itself.
func (g *ground) quiet(ctx context.Context) error {
	all, _, err := g.c.Cases(ctx, []Vault{g.sender.Vault}, g.sender.Vault.ID)
	if err != nil {
		return fmt.Errorf("read what else may land: %w", err)
	}
	if one := hush(all, g.own, g.sender.Chain, Now()); one != nil {
		return &EarlyError{fmt.Sprintf("intent %s failed at %s, and may be signed and land all the same: wait until %s, or who pays this pays twice", one.ID().Short(), one.Views[0].Node, statement.FormatTime(one.Intent.Created.Add(hushFor)))}
	}
	return nil
}

// hush is an intent of an address without a durable nonce that came to its end of late, and may be signed.
func hush(all []*Case, own solana.Key, chain string, now time.Time) *Case {
	i := slices.IndexFunc(all, func(one *Case) bool {
		p, ok := one.Payload.(*payload.Solana)
		if !ok || !one.possiblySigned() || p.Owner() != own || p.Chain() != chain || now.Sub(one.Intent.Created) > hushFor {
			return false
		}
		_, _, durable := p.Durable()
		return !durable
	})
	if i < 0 {
		return nil
	}
	return all[i]
}

// possiblySigned says that no signature is shown, and that there may be one: a node says so, and operators enough allowed it, without whom no session runs whatever a node says.
func (c *Case) possiblySigned() bool {
	allowed := 0
	for _, d := range c.Decisions {
		if d.Verdict == intent.Allow {
			allowed++
		}
	}
	return c.Signed == nil && c.Closed() && slices.ContainsFunc(c.Views, func(v View) bool { return v.PossiblySigned }) && allowed >= c.deciders().Threshold
}

// possiblySpent are which intents that came to their end use what their chains give once, and may be signed: all of each.
func possiblySpent(all []*Case) map[string][]statement.ID {
	out := map[string][]statement.ID{}
	for _, one := range all {
		if one.Payload == nil || !one.possiblySigned() {
			continue
		}
		for _, name := range one.Payload.Spends() {
			out[name] = append(out[name], one.ID())
		}
	}
	return out
}

// spenders are which intents use what their chains give once, and may yet be signed, or are.
func spenders(all []*Case) map[string]statement.ID {
	return users(all, func(c *Case) bool {
		return !c.Closed() && !slices.Contains([]string{"replaced", "failed"}, c.State())
	})
}

// users are which intents, of those that count, use what their chains give once.
func users(all []*Case, counts func(*Case) bool) map[string]statement.ID {
	out := map[string]statement.ID{}
	for _, one := range all {
		if one.Payload == nil || !counts(one) {
			continue
		}
		for _, name := range one.Payload.Spends() {
			out[name] = one.ID()
		}
	}
	return out
}

// Mint is what two nodes or more read of a token of Solana.
func (c *Circle) Mint(ctx context.Context, s Sender, mint solana.Key) (solana.Account, error) {
	g, err := c.ground(s)
	if err != nil {
		return solana.Account{}, err
	}
	if err := g.learn(ctx, mint); err != nil {
		return solana.Account{}, err
	}
	a := g.read.Accounts[mint]
	if a.Kind != solana.Mint {
		return a, &RefusedError{fmt.Sprintf("token %s is no mint: it is %s", mint, a)}
	}
	return a, nil
}
