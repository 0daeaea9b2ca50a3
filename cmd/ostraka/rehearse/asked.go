package rehearse

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// awhile is how long something may take that takes a moment: nodes share this machine with others.
const awhile = 30 * time.Second

// sender is the circle's one address.
func (t *tale) sender(ctx context.Context) (client.Sender, error) {
	v, err := t.vault(ctx)
	if err != nil {
		return client.Sender{}, err
	}
	r, err := v.Root("")
	if err != nil {
		return client.Sender{}, err
	}
	a, err := t.accountOf(ctx, v)
	return client.Sender{Vault: v, Root: r, Account: a, Chain: chainID}, err
}

// accountOf is the account ops/main: as it was made here, or, in a circle with guardians, where a command made it, as the nodes list it now.
func (t *tale) accountOf(ctx context.Context, v client.Vault) (client.Account, error) {
	if t.guards == nil {
		return t.account, nil
	}
	c, err := t.as(alice)
	if err != nil {
		return client.Account{}, err
	}
	all, _, err := c.Accounts(ctx, v)
	if err != nil {
		return client.Account{}, err
	}
	return client.FindAccount(all, account)
}

// milliether is a thousandth of an ether, in wei.
func milliether(n int64) *big.Int { return new(big.Int).Mul(big.NewInt(n), big.NewInt(1e15)) }

// transfer makes the intent of a payment that alice may ask for; nobody has signed it yet.
func (t *tale) transfer(ctx context.Context, to string, amount *big.Int, life time.Duration) (statement.Statement, error) {
	from, err := t.sender(ctx)
	if err != nil {
		return statement.Statement{}, err
	}
	address, err := evm.ParseAddress(to)
	if err != nil {
		return statement.Statement{}, err
	}
	c, err := t.as(alice)
	if err != nil {
		return statement.Statement{}, err
	}
	nonce, gas := t.next(), uint64(21000)
	return c.Prepare(ctx, client.Transfer{Sender: from, To: address, Amount: amount, Nonce: &nonce, Gas: &gas, FeeCap: big.NewInt(30e9), TipCap: big.NewInt(1e9), Life: life})
}

// next is a nonce that no intent has yet: no chain is asked here.
func (t *tale) next() uint64 {
	t.nonce++
	return t.nonce - 1
}

// sign signs as somebody, for a use.
func (t *tale) sign(ctx context.Context, person string, verb signet.Verb, s statement.Statement) ([]byte, error) {
	signer, err := client.KeyFile(ctx, t.circle.KeyFile(person), nil)
	if err != nil {
		return nil, err
	}
	return signer.Sign(ctx, verb, s.Bytes())
}

// propose hands an intent to all nodes as alice; all that run must take it.
func (t *tale) propose(ctx context.Context, s statement.Statement) error {
	c, err := t.as(alice)
	if err != nil {
		return err
	}
	taken, err := c.SubmitStatement(ctx, s)
	if err == nil {
		_, err = taken.Need("propose", 1)
	}
	return err
}

// hand gives every node what somebody says that a person signed.
func (t *tale) hand(ctx context.Context, s statement.Statement, sig []byte) (client.Answers[client.Taken], error) {
	c, err := t.as(alice) // who carries it is all one: submitting takes no token
	if err != nil {
		return nil, err
	}
	return c.Submit(ctx, &v1.SubmitRequest{What: &v1.SubmitRequest_Signed{Signed: &v1.Signed{Statement: s.Bytes(), Signature: sig}}}), nil
}

// vote gives every node an approval of an intent.
func (t *tale) vote(ctx context.Context, id statement.ID, sig []byte) (client.Answers[client.Taken], error) {
	c, err := t.as(alice)
	if err != nil {
		return nil, err
	}
	return c.Submit(ctx, &v1.SubmitRequest{What: &v1.SubmitRequest_Vote{Vote: &v1.Vote{Intent: id[:], Verb: string(signet.Approve), Signature: sig}}}), nil
}

// approve approves as somebody, after the approver's own program compared and decoded.
func (t *tale) approve(ctx context.Context, person string, s statement.Statement) error {
	sig, err := t.sign(ctx, person, signet.Approve, s)
	if err != nil {
		return err
	}
	taken, err := t.vote(ctx, s.ID(), sig)
	if err == nil {
		_, err = taken.Need(person+" approves", 1)
	}
	return err
}

// show reads an intent from all nodes that answer, and verifies what they show.
func (t *tale) show(ctx context.Context, id statement.ID) (*client.Case, error) {
	v, err := t.vault(ctx)
	if err != nil {
		return nil, err
	}
	c, err := t.as(alice)
	if err != nil {
		return nil, err
	}
	one, _, err := c.Case(ctx, []client.Vault{v}, id)
	return one, err
}

// denied is a step: nodes sign their own DENY of an intent by one rule, so many that it cannot be signed, no node says anything else, and all
// call it denied. A node that hears of enough of them before its own turn adds none.
func (t *tale) denied(ctx context.Context, what string, s statement.Statement, rule string) error {
	one, err := t.until(ctx, s.ID(), awhile, func(c *client.Case) bool {
		return len(c.Views) == len(t.circle.Operators) && !slices.ContainsFunc(c.Views, func(v client.View) bool { return v.State != intent.Denied.String() })
	})
	if err != nil {
		return err
	}
	x := Step{What: what, Held: one.Signed == nil && one.State() == intent.Denied.String() && len(one.Views) == len(t.circle.Operators)}
	for _, v := range one.Views {
		x.Held = x.Held && v.State == intent.Denied.String()
	}
	// As many as keep t of the committee from allowing it.
	x.Held = x.Held && len(one.Decisions) > len(one.Vault.Committee)-one.Vault.Threshold
	var rules []string
	var words chorus
	for _, d := range one.Decisions {
		words.say(d.Operator, fmt.Sprintf("signed %s: %s", strings.ToUpper(string(d.Verdict)), d.Reason))
		rules = append(rules, d.Rule)
		x.Held = x.Held && d.Verdict == intent.Deny && d.Rule == rule
	}
	slices.Sort(rules)
	x.Rule, x.Outcome = strings.Join(slices.Compact(rules), ", "), words.String()
	if one.Signed != nil {
		x.Outcome = "SIGNED as " + one.Signed.Hash
	}
	t.step(x)
	return nil
}

// refusedBy is a step: every node must refuse what it was handed, each for this reason.
func (t *tale) refusedBy(what string, answers client.Answers[client.Taken], why error) {
	t.step(refused(what, answers, why))
}

func refused(what string, answers client.Answers[client.Taken], why error) Step {
	x := Step{What: what, Held: len(answers) > 0}
	var words chorus
	for _, a := range answers {
		if a.Err == nil {
			words.say(a.Node, "TOOK IT")
			x.Held = false
			continue
		}
		reason := client.Failure{Node: a.Node, Err: a.Err}.Reason()
		words.say(a.Node, reason)
		x.Held = x.Held && connect.IsWireError(a.Err) && strings.Contains(reason, why.Error()) // said by the node itself
	}
	if x.Outcome = words.String(); x.Held {
		x.Rule = why.Error()
	}
	return x
}

// chorus is what several nodes say; those that say the same stand together.
type chorus struct {
	texts []string
	by    map[string][]string
}

func (c *chorus) say(node, text string) {
	if c.by == nil {
		c.by = map[string][]string{}
	}
	if c.by[text] == nil {
		c.texts = append(c.texts, text)
	}
	if !slices.Contains(c.by[text], node) {
		c.by[text] = append(c.by[text], node)
	}
}

func (c *chorus) String() string {
	var all []string
	for _, text := range c.texts {
		all = append(all, fmt.Sprintf("%s: %s", strings.Join(c.by[text], ", "), shorten(text)))
	}
	return strings.Join(all, "; ")
}

// unknown says whether no node knows an intent.
func (t *tale) unknown(ctx context.Context, id statement.ID) (bool, error) {
	c, err := t.as(alice)
	if err != nil {
		return false, err
	}
	answers := client.Ask(ctx, c, func(ctx context.Context, m *client.Member) (struct{}, error) {
		_, err := m.Intent(ctx, connect.NewRequest(&v1.IntentRequest{Id: id[:]}))
		return struct{}{}, err
	})
	for _, a := range answers {
		if a.Err != nil && connect.CodeOf(a.Err) != connect.CodeNotFound {
			return false, a.Err
		}
		if a.Err == nil {
			return false, nil
		}
	}
	return true, nil
}

// asked is a payment that alice asks for, and the nodes know.
func (t *tale) asked(ctx context.Context, to string, amount *big.Int) (statement.Statement, error) {
	s, err := t.transfer(ctx, to, amount, 0)
	if err == nil {
		err = t.propose(ctx, s)
	}
	return s, err
}

// cancel takes an intent back as alice.
func (t *tale) cancel(ctx context.Context, s statement.Statement) error {
	_, err := t.must(ctx, "tx", "cancel", s.ID().String(), "--key", t.circle.KeyFile(alice))
	return err
}

// quiet is how long an intent is watched that must not be signed; one that may be takes a tenth of it.
const quiet = 3 * time.Second

// watch follows an intent for a while, or until it is signed.
func (t *tale) watch(ctx context.Context, id statement.ID) (*client.Case, error) {
	return t.until(ctx, id, quiet, func(c *client.Case) bool { return c.Signed != nil })
}

// until follows an intent until done, at most for so long. Nodes that are late to answer are asked again.
func (t *tale) until(ctx context.Context, id statement.ID, limit time.Duration, done func(*client.Case) bool) (one *client.Case, err error) {
	var last error
	_, err = poll(ctx, limit, func() (bool, error) {
		next, err := t.show(ctx, id)
		if last = err; err != nil {
			if client.Classify(err) == client.NotReady {
				err = nil
			}
			return false, err
		}
		one = next
		return done(one), nil
	})
	if err == nil && one == nil {
		err = last
	}
	return one, err
}

// pays is a step: the proper way must work. alice asks for a payment, bob and carol approve it, the vault signs it and nothing else.
func (t *tale) pays(ctx context.Context, what string) error {
	s, err := t.asked(ctx, payee, milliether(100))
	if err != nil {
		return err
	}
	return t.signed(ctx, what, s, bob, carol)
}

// signed is a step: people approve a payment that the nodes have, and the vault signs it and nothing else.
func (t *tale) signed(ctx context.Context, what string, s statement.Statement, people ...string) error {
	for _, person := range people {
		if err := t.approve(ctx, person, s); err != nil {
			return err
		}
	}
	one, err := t.until(ctx, s.ID(), awhile, func(c *client.Case) bool { return c.Signed != nil })
	if err != nil {
		return err
	}
	x := Step{What: what, Outcome: "not signed: " + one.State()}
	if one.Signed != nil { // read back from what was signed, not from what was asked for
		f, asked := one.Signed.Tx.Transaction.Facts(), one.Tx.Facts()
		x.Held = f.Destination.String() == payee && f.Amount.Cmp(asked.Amount) == 0
		x.Outcome = fmt.Sprintf("signed by the vault's key as %s: it pays %s ether to %s", one.Signed.Hash, evm.FormatUnits(f.Amount, evm.EtherDecimals), f.Destination)
	}
	t.step(x)
	return nil
}

// sleep waits, unless the story is given up.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
