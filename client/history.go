package client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/ledger"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/review"
	"github.com/ostraka/ostraka/node/decide"
)

// Charter is the version that the intent names.
func (c *Case) Charter() charter.Charter {
	x, _ := c.Vault.rules.History.Version(c.Intent.Charter) // readCase found it
	return x
}

// InForce is the newest version that nodes show.
func (c *Case) InForce() charter.Charter { return c.Vault.InForce() }

// InForce is the newest version of the charter that nodes show.
func (v Vault) InForce() charter.Charter {
	x, _ := v.rules.History.Newest()
	return x
}

// Decided is when operators said the last ALLOW, or the first DENY of an intent that was denied, by what they signed; zero: none has.
func (c *Case) Decided() (at time.Time) {
	denied := c.Signed == nil && c.State() == "denied"
	for _, d := range c.Decisions {
		switch {
		case denied && d.Verdict == intent.Deny && (at.IsZero() || d.Created.Before(at)):
			at = d.Created
		case !denied && d.Verdict == intent.Allow && d.Created.After(at):
			at = d.Created
		}
	}
	return at
}

// Since is the latest moment that a node names for the intent's last change; zero: none does.
func (c *Case) Since() (at time.Time) {
	for _, v := range c.Views {
		if t, err := time.Parse(time.RFC3339, v.Changed); err == nil && t.After(at) {
			at = t
		}
	}
	return at
}

// given says whether the intent gave something out, or may yet: open, at any time; else at the latest then.
func (c *Case) given() (at time.Time, open, ok bool) {
	possibly := slices.ContainsFunc(c.Views, func(v View) bool { return v.PossiblySigned })
	switch {
	case c.Payload == nil:
		return at, false, false
	case c.Signed != nil || possibly:
		return c.Since(), false, true
	}
	allowed := slices.ContainsFunc(c.Decisions, func(d Decision) bool { return d.Verdict == intent.Allow })
	return c.Decided(), true, allowed && !c.Closed()
}

// Past is the intent as a charter is tried over it.
func (c *Case) Past(now time.Time) review.Past {
	p := review.Past{
		ID: c.ID(), Vault: c.Vault.Name, Purpose: c.Intent.Purpose, Chain: c.Intent.Chain, Initiator: c.Intent.Initiator, Approved: c.tally(c.Vault.Vault).Approved,
		At: c.Decided(), Until: c.Intent.Expires, Was: review.Unsigned,
	}
	if p.At.IsZero() {
		if p.At = now; c.Intent.Expires.Before(now) {
			p.At = c.Intent.Expires
		}
	}
	switch {
	case c.Payload != nil:
		p.Does = c.Payload.Effects()
	case c.Proof != nil:
		p.Proof = c.Proof.Address
	}
	_, open, given := c.given()
	state := c.State()
	switch {
	case c.Signed != nil || given && !open:
		p.Was = review.Signed
	case state == "denied":
		p.Was, p.Why = c.deniedBy()
	case state == "cancelled", state == "replaced", state == "failed", state == Ended:
		p.Was, p.Why = review.Otherwise, state
	}
	return p
}

// deniedBy says whether a policy denied it, or another rule, which stays as it is whatever the policy says.
func (c *Case) deniedBy() (review.Was, string) {
	for _, d := range c.Decisions {
		if d.Verdict == intent.Deny && d.Rule != decide.RulePolicy {
			return review.Otherwise, fmt.Sprintf("denied by rule %s", d.Rule)
		}
	}
	return review.Denied, ""
}

// A Review is what the rules of a charter say about an intent now, as far as this program can know.
type Review struct {
	Charter   charter.Charter
	At        time.Time
	Tally     intent.Tally // as votes count now
	Question  review.Question
	Ruling    policy.Ruling
	Answers   []policy.Answer
	Undecided error // why the rules cannot be asked
	Counted   int   // other intents of the vault in the totals
}

var errUnclear = errors.New("this program cannot decode it, so there is nothing to ask the rules about")

// Review asks the rules of the charter that the intent names. all are the intents that nodes show: those of its vault make the totals.
func (c *Case) Review(all []*Case, now time.Time) (r Review, err error) {
	rules := c.Vault.rules
	r.Charter, r.At = c.Charter(), now
	d := r.Charter.Document.At(now, rules.revoked)
	b, ok := d.Vault(c.Vault.Name)
	if !ok {
		return r, fmt.Errorf("vault %s is not in %s", c.Vault.Name, r.Charter.Title())
	}
	p, err := policy.Of(r.Charter.Document)
	if err != nil {
		return r, err
	}
	r.Tally = c.tally(r.Charter.Terms(c.Vault.Vault, now, rules.revoked))
	r.Question = review.Question{
		Asked: policy.Asked{Vault: b, Purpose: c.Intent.Purpose, Chain: c.Intent.Chain, Initiator: c.Intent.Initiator, Approved: r.Tally.Approved, At: now},
		ID:    c.ID(), Until: c.Intent.Expires,
	}
	var l *ledger.Ledger
	l, r.Counted = c.book(d, all)
	if r.Question.Flows, r.Undecided = c.flows(d); r.Undecided == nil {
		r.Undecided = r.Question.Fill(d, l)
	}
	if r.Undecided == nil {
		r.Answers, r.Undecided = p.Answers(r.Question.Facts)
	}
	if r.Undecided == nil {
		r.Ruling = r.Question.Ask(p, d.Offset)
	}
	return r, nil
}

func (c *Case) flows(d charter.Document) ([]policy.Flow, error) {
	switch {
	case c.Payload != nil:
		return policy.FlowsOf(d, c.Payload.Effects())
	case c.Proof != nil:
		return []policy.Flow{{Operation: policy.Proof, Destination: c.Proof.Address}}, nil
	}
	return nil, errUnclear
}

// book is what the vault's other intents gave out, as nodes show them.
func (c *Case) book(d charter.Document, all []*Case) (l *ledger.Ledger, n int) {
	l = &ledger.Ledger{}
	for _, o := range all {
		at, open, ok := o.given()
		if !ok || o.Vault.ID != c.Vault.ID || o.ID() == c.ID() {
			continue
		}
		if l.Put(ledger.Debit{Intent: o.ID(), Lines: review.Lines(d, o.Payload.Effects()), Open: open, At: at}) == nil {
			n++
		}
	}
	return l, n
}

// FrozenBy are the freezes of the intent's vault, as nodes say.
func (c *Case) FrozenBy() []Frozen { return c.Vault.FrozenBy() }

// FrozenBy are the freezes of a vault, as nodes say; none where no charter was read.
func (v Vault) FrozenBy() []Frozen {
	if v.rules == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(v.rules.Frozen), func(f Frozen) bool { return f.Vault != v.ID })
}
