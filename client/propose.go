package client

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Transfer is what a person asks to be signed. Numbers that are nil are asked of the nodes.
type Transfer struct {
	Sender
	To     evm.Address
	Token  *evm.Address // nil: the chain's own coin
	Amount *big.Int     // smallest unit
	Data   []byte       // of a call of To, with Amount of the chain's own coin along; nil: a transfer
	Legacy bool
	Nonce  *uint64
	Gas    *uint64
	FeeCap *big.Int // wei per gas; the gas price of a legacy transaction
	TipCap *big.Int
	Memo   string
	Life   time.Duration // zero: the vault's
}

// A Quote is what two nodes or more read from the chain, each at its own endpoint.
type Quote struct {
	Nonce, Gas     uint64
	FeeCap, TipCap *big.Int
	Balance        *big.Int
	Decimals       uint8
	Nodes          []string
}

// apart is how many times larger one node's fee or gas may be than another's: chains move
// between two answers, and a liar could otherwise make the vault pay anything.
const apart = 4

// Quote asks every node, needs two answers, and compares them. Of gas and fees it takes the
// larger.
func (c *Circle) Quote(ctx context.Context, chain string, from, to evm.Address, amount *big.Int, token *evm.Address, data []byte) (Quote, error) {
	req := &v1.QuoteRequest{Chain: chain, From: from.String(), To: to.String(), Amount: amount.String(), Data: data}
	if token != nil {
		req.Token = token.String()
	}
	answers := Ask(ctx, c, func(ctx context.Context, m *Member) (Quote, error) {
		res, err := m.Quote(ctx, connect.NewRequest(req))
		if err != nil {
			return Quote{}, err
		}
		return readQuote(m.Name, res.Msg)
	})
	good, err := answers.Need("read nonce, gas and fees from the chain at two nodes", 2)
	if err != nil {
		return Quote{}, err
	}
	var nonces, decimals []Copy
	out := good[0].Value
	for _, a := range good {
		q := a.Value
		nonces = append(nonces, Copy{a.Node, []byte(strconv.FormatUint(q.Nonce, 10))})
		decimals = append(decimals, Copy{a.Node, []byte(strconv.Itoa(int(q.Decimals)))})
		out.Gas = max(out.Gas, q.Gas)
		out.FeeCap, out.TipCap = larger(out.FeeCap, q.FeeCap), larger(out.TipCap, q.TipCap)
	}
	err = errors.Join(Compare("the sender's nonce on "+chain, nonces), Compare("the token's decimals", decimals))
	for _, a := range good {
		q := a.Value
		if tooFar(new(big.Int).SetUint64(q.Gas), new(big.Int).SetUint64(out.Gas)) || tooFar(q.FeeCap, out.FeeCap) {
			err = errors.Join(err, &Difference{
				What: "gas and fees on " + chain, Groups: [][]string{{a.Node}, {"another"}},
				Shown: []string{fmt.Sprintf("gas %d, fee cap %v", q.Gas, q.FeeCap), fmt.Sprintf("gas %d, fee cap %v", out.Gas, out.FeeCap)},
			})
		}
	}
	out.Nodes = nil
	for _, a := range good {
		out.Nodes = append(out.Nodes, a.Node)
	}
	return out, err
}

func larger(a, b *big.Int) *big.Int {
	if a.Cmp(b) < 0 {
		return b
	}
	return a
}

func tooFar(small, large *big.Int) bool {
	return new(big.Int).Mul(small, big.NewInt(apart)).Cmp(large) < 0
}

func readQuote(node string, m *v1.QuoteResponse) (Quote, error) {
	q := Quote{Nonce: m.Nonce, Gas: m.Gas, Decimals: uint8(m.Decimals)}
	for _, f := range []struct {
		name, text string
		to         **big.Int
	}{{"fee cap", m.FeeCap, &q.FeeCap}, {"tip cap", m.TipCap, &q.TipCap}, {"balance", m.Balance, &q.Balance}} {
		n, ok := uint256(f.text)
		if !ok {
			return q, &VerifyError{node, fmt.Errorf("%s %.90q is no number below 2²⁵⁶", f.name, f.text)}
		}
		*f.to = n
	}
	if m.Decimals > 255 {
		return q, &VerifyError{node, fmt.Errorf("the token has %d decimals", m.Decimals)}
	}
	return q, nil
}

// complete asks the nodes for the numbers that the person left open.
func (c *Circle) complete(ctx context.Context, t Transfer, from evm.Address) (evm.Request, error) {
	r := evm.Request{Token: t.Token, To: t.To, Amount: t.Amount, Data: t.Data, FeeCap: t.FeeCap, TipCap: t.TipCap}
	if t.Legacy {
		r.Kind = evm.Legacy
	}
	number, ok := strings.CutPrefix(t.Chain, "eip155:")
	var err error
	if r.ChainID, err = strconv.ParseUint(number, 10, 64); err != nil || !ok {
		return r, fmt.Errorf("chain %q: transactions of this chain cannot be built here: want eip155:NUMBER", t.Chain)
	}
	if t.Nonce != nil && t.Gas != nil && t.FeeCap != nil && (t.Legacy || t.TipCap != nil) {
		r.Nonce, r.Gas = *t.Nonce, *t.Gas
		return r, nil
	}
	q, err := c.Quote(ctx, t.Chain, from, t.To, t.Amount, t.Token, t.Data)
	if err != nil {
		return r, err
	}
	r.Nonce, r.Gas = q.Nonce, q.Gas
	if t.Nonce != nil {
		r.Nonce = *t.Nonce
	} else {
		all, _, err := c.Cases(ctx, []Vault{t.Vault}, t.Vault.ID)
		if err != nil {
			return r, fmt.Errorf("read which nonces other intents have: %w", err)
		}
		if err := KeptBack(all, from.String(), t.Chain, q.Nonce); err != nil {
			return r, err
		}
		r.Nonce = FreeNonce(all, from.String(), t.Chain, q.Nonce, time.Now())
	}
	if t.Gas != nil {
		r.Gas = *t.Gas
	}
	if r.FeeCap == nil {
		r.FeeCap = q.FeeCap
	}
	if r.TipCap == nil && !t.Legacy {
		r.TipCap = q.TipCap
		if r.TipCap.Cmp(r.FeeCap) > 0 {
			r.TipCap = r.FeeCap
		}
	}
	return r, nil
}

// Prepare makes the intent's statement, with a fresh salt; nothing is signed yet.
func (c *Circle) Prepare(ctx context.Context, t Transfer) (statement.Statement, error) {
	a, err := c.ask(t.Sender, t.Memo, t.Life)
	if err != nil {
		return statement.Statement{}, err
	}
	from, err := evm.ParseAddress(a.Address)
	if err != nil {
		return statement.Statement{}, err
	}
	r, err := c.complete(ctx, t, from)
	if err != nil {
		return statement.Statement{}, err
	}
	a.Purpose = intent.PurposeTransaction
	if t.Data == nil {
		a.Transaction, err = evm.Build(r)
	} else {
		a.Transaction, err = t.Sender.call(a, r)
	}
	if err != nil {
		return statement.Statement{}, err
	}
	return t.Sender.written(a)
}

// call builds a call that the charter names.
func (s Sender) call(a intent.Intent, r evm.Request) ([]byte, error) {
	c, err := s.context(a)
	if err != nil {
		return nil, err
	}
	at, err := payload.EVMContext(a, c)
	if err != nil {
		return nil, err
	}
	raw, err := evm.BuildIn(evm.Draft{Kind: r.Kind, ChainID: r.ChainID, Nonce: r.Nonce, Gas: r.Gas, FeeCap: r.FeeCap, TipCap: r.TipCap, To: r.To, Value: r.Amount, Data: r.Data}, at)
	if err != nil {
		return nil, &RefusedError{fmt.Sprintf("no node would sign it: %v", err)}
	}
	return raw, nil
}

// PrepareMessage makes the statement of an intent that asks for a signature over typed data (EIP-712), as wallets have it.
func (c *Circle) PrepareMessage(s Sender, document []byte, memo string, life time.Duration) (statement.Statement, error) {
	a, err := c.ask(s, memo, life)
	if err != nil {
		return statement.Statement{}, err
	}
	a.Purpose = intent.PurposeMessage
	if a.Transaction, err = evm.CanonicalDocument(document); err != nil {
		return statement.Statement{}, err
	}
	return s.written(a)
}

// written makes the statement of an intent whose transaction is there: what it says in words is of the bytes, not of what was asked for.
func (s Sender) written(a intent.Intent) (statement.Statement, error) {
	at, err := s.context(a)
	if err != nil {
		return statement.Statement{}, err
	}
	p, err := payload.Read(a, s.Root.Suite, at)
	if err != nil {
		return statement.Statement{}, &RefusedError{fmt.Sprintf("no node would sign it: %v", err)}
	}
	a.Facts = intent.Written(payload.Facts(p))
	return a.Statement(NewSalt())
}

// context is in what the nodes read an intent.
func (s Sender) context(a intent.Intent) (payload.Context, error) {
	x, ok := charter.Charter{}, s.Vault.rules != nil
	if ok {
		x, ok = s.Vault.rules.History.Version(a.Charter)
	}
	if !ok {
		return payload.Context{}, fmt.Errorf("charter %s, which the intent would name, is not shown", a.Charter.Short())
	}
	return s.Vault.context(x)
}

// A Sender is an address whose key is to sign.
type Sender struct {
	Vault   Vault
	Root    Root
	Account Account
	Index   uint32
	Chain   string // CAIP-2, one of the vault's
	As      string // in whose name: an operator's, by its officer, while a plan of SOS is the rule (spec/sos 5.8); empty: the initiator whose key it is

	Replaces statement.ID // the intent whose transaction waits on its chain, and is to be replaced; zero: none
}

// Path is where the sender's key stands below the vault's root.
func (s Sender) Path() hd.Path { return hd.Path{s.Account.Path[0], s.Account.Path[1], s.Index} }

// PrepareProof makes the statement of an intent that asks for a proof that the vault controls an address.
func (c *Circle) PrepareProof(s Sender, claim intent.Claim, memo string, life time.Duration) (statement.Statement, error) {
	a, err := c.ask(s, memo, life)
	if err != nil {
		return statement.Statement{}, err
	}
	a.Purpose, a.Claim = intent.PurposeProof, claim
	a.Facts = intent.Written(intent.Proof{Address: a.Address, Claim: claim}.Facts())
	return a.Statement(NewSalt())
}

// ask begins an intent of an address that was given out.
func (c *Circle) ask(s Sender, memo string, life time.Duration) (intent.Intent, error) {
	it, err := c.begin(s, memo, life)
	if err == nil && int(s.Index) >= s.Account.Given(s.Root.Suite) {
		return intent.Intent{}, fmt.Errorf("address %d of account %s/%s was not given out: ask for it with `ostraka address new` first", s.Index, s.Account.Department, s.Account.Name)
	}
	return it, err
}

// begin begins an intent: who asks for a signature by which address's key, and until when.
func (c *Circle) begin(s Sender, memo string, life time.Duration) (intent.Intent, error) {
	v := s.Vault
	if s.Root.Record == nil || v.State != Ready {
		return intent.Intent{}, &EarlyError{fmt.Sprintf("vault %s is not ready: %s", v.Name, v.State)}
	}
	if c.signer == nil {
		return intent.Intent{}, ErrNoKey
	}
	person, err := s.As, error(nil)
	if person == "" {
		person, err = v.initiator(c.signer)
	}
	if err != nil {
		return intent.Intent{}, err
	}
	if !slices.Contains(v.Chains, s.Chain) {
		return intent.Intent{}, &RefusedError{fmt.Sprintf("vault %s does not sign for chain %s; it does for %s", v.Name, s.Chain, strings.Join(v.Chains, ", "))}
	}
	address, _, err := v.Address(s.Root, s.Chain, s.Path())
	if err != nil {
		return intent.Intent{}, err
	}
	if life == 0 {
		life = v.Expiry
	}
	now := Now()
	return intent.Intent{
		Charter: v.Under, Vault: v.ID, Key: s.Root.Record.KeyID, Epoch: s.Root.Record.Hash(), Path: [3]uint32(s.Path()), Address: address,
		Chain: s.Chain, Memo: memo, Replaces: s.Replaces, Initiator: person, Created: now, Expires: now.Add(life),
	}, nil
}

// An AbsentError says that so few operators are there that the vault cannot sign.
type AbsentError struct {
	Vault     string
	Threshold int
	Parties   int
	Absent    []string
	Why       string
}

func (e *AbsentError) Error() string {
	return fmt.Sprintf("vault %s needs %d of its %d operators to sign, and %s %s", e.Vault, e.Threshold, e.Parties, strings.Join(e.Absent, ", "), e.Why)
}

// A ClosedError says that an intent ended without a signature.
type ClosedError struct{ Case *Case }

func (e *ClosedError) Error() string {
	parts := []string{fmt.Sprintf("intent %s is %s", e.Case.ID().Short(), e.Case.State())}
	if e.Case.State() == Ended {
		parts = append(parts, e.Case.Why())
	}
	for _, d := range e.Case.Decisions {
		if d.Verdict == intent.Deny {
			parts = append(parts, fmt.Sprintf("%s denies by rule %s: %s", d.Operator, d.Rule, e.Case.Reason(d)))
		}
	}
	for _, v := range e.Case.Views {
		if v.LastError != "" {
			parts = append(parts, fmt.Sprintf("%s: last session: %s", v.Node, v.LastError))
		}
	}
	return strings.Join(parts, "; ")
}

// An AlarmError says what must not be about an intent: nodes contradict one another, or what was verified here.
type AlarmError struct{ Case *Case }

func (e *AlarmError) Error() string {
	return fmt.Sprintf("intent %s: %s", e.Case.ID().Short(), strings.Join(e.Case.Alarms, "; "))
}

// How long too few operators are borne before Follow gives up, and how long operators that
// the others wait for.
const (
	absentPatience  = 8 * time.Second
	awaitedPatience = 15 * time.Second
)

// Follow asks every node about an intent again and again until done says so. It ends before
// with a *ClosedError, an *AlarmError, or an *AbsentError when t operators cannot be reached.
// tell is called with what each round found.
func (c *Circle) Follow(ctx context.Context, vaults []Vault, id statement.ID, every time.Duration, done func(*Case) bool, tell func(*Case, []Failure)) (*Case, error) {
	var last *Case
	watch := watch{circle: c}
	for {
		one, failed, err := c.Case(ctx, vaults, id)
		switch {
		case err != nil && ctx.Err() != nil:
			return last, ctx.Err()
		case err != nil && Classify(err) == Unverified:
			return last, err
		case err == nil:
			last = one
			tell(one, failed)
			if one.Stopped() {
				return one, &AlarmError{one}
			}
			if done(one) {
				return one, nil
			}
			if one.Closed() {
				return one, &ClosedError{one}
			}
		}
		if last != nil {
			if err := watch.look(time.Now(), last, failed); err != nil {
				return last, err
			}
		} else if err != nil && !Down(err) && Classify(err) != NotReady {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-time.After(every):
		}
	}
}

// watch remembers since when operators are away.
type watch struct {
	circle          *Circle
	absent, awaited time.Time // zero: enough are there
}

func (w *watch) look(now time.Time, c *Case, failed []Failure) error {
	committee := c.Vault.Committee
	need := func(missing []string) bool { return len(committee)-len(missing) < c.Vault.Threshold }
	var absent []string
	for _, f := range failed {
		if name := w.circle.Operator(f.Node); slices.Contains(committee, name) && Down(f.Err) {
			absent = append(absent, name)
		}
	}
	slices.Sort(absent)
	awaited := c.Awaited()
	out := &AbsentError{Vault: c.Vault.Name, Threshold: c.Vault.Threshold, Parties: len(committee)}
	switch {
	case !need(absent):
		w.absent = time.Time{}
	case w.absent.IsZero():
		w.absent = now
	case now.Sub(w.absent) >= absentPatience:
		out.Absent, out.Why = absent, "cannot be reached"
		return out
	}
	switch {
	case c.Signed != nil || c.Tally().Need > 0 || !need(awaited):
		w.awaited = time.Time{}
	case w.awaited.IsZero():
		w.awaited = now
	case now.Sub(w.awaited) >= awaitedPatience:
		out.Absent, out.Why = awaited, "is awaited by the others"
		return out
	}
	return nil
}
