package decide

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/ledger"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/ceremony"
)

// Rules that stand beside intent's own.
const (
	RulePolicy = "policy" // the charter's rules permit it
	RuleFrozen = "frozen" // nobody froze the vault
)

// rules are the charter's, read once.
type rules struct {
	charter statement.ID
	policy  *policy.Policy
	ledgers map[statement.ID]*ledger.Ledger // by vault, in this charter's units
}

// book is the lock of a vault's totals.
func (d *Desk) book(vault statement.ID) *sync.Mutex {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.books[vault] == nil {
		d.books[vault] = &sync.Mutex{}
	}
	return d.books[vault]
}

// rulesOf reads the policy of the charter in force once, and counts what a vault gave out in its units.
func (d *Desk) rulesOf(x charter.Charter, vault statement.ID) (*policy.Policy, *ledger.Ledger, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rules.charter != x.ID {
		p, err := d.cfg.Policy(x.ID)
		if err != nil {
			return nil, nil, err
		}
		d.rules = rules{x.ID, p, map[statement.ID]*ledger.Ledger{}}
	}
	l := d.rules.ledgers[vault]
	if l == nil {
		l = &ledger.Ledger{}
		for at := range d.flows[vault] {
			d.count(x.Document, l, vault, at)
		}
		d.rules.ledgers[vault] = l
	}
	return d.rules.policy, l, nil
}

var (
	errOldCharter = errors.New("another version of the charter came into force since it was proposed: propose it anew")
	errNoCharter  = errors.New("no charter is in force")
)

// underCharter says whether the charter that an intent names is in force: what was collected under another counts for nothing.
func (d *Desk) underCharter(f *file) error {
	x, ok := d.cfg.Charter()
	switch {
	case !ok:
		return fmt.Errorf("intent %s: %w", f.stmt.ID().Short(), errNoCharter)
	case x.ID != f.life.Intent().Charter:
		return fmt.Errorf("intent %s: %w", f.stmt.ID().Short(), errOldCharter)
	}
	return nil
}

// stands says whether what allowed an intent still holds when it is to be signed: its charter is in force, nobody froze the vault, the
// initiator and enough approvers are still who they were, and the rules permit it now.
func (d *Desk) stands(ctx context.Context, now time.Time, f *file, v ceremony.View) error {
	if err := d.underCharter(f); err != nil {
		return err
	}
	it, e := f.life.Intent(), d.emergency(ctx, f, v)
	if lends(f.payload) && e.sos != nil {
		return fmt.Errorf("intent %s: %w", f.stmt.ID().Short(), errMessage)
	}
	if e.sos != nil {
		if err := e.sos.MaySign(ctx, it.Vault, e.outflow); err != nil {
			return fmt.Errorf("intent %s: %w", f.stmt.ID().Short(), err)
		}
	}
	if why := d.unasked(f, v, e); why != "" {
		return fmt.Errorf("intent %s: %s", f.stmt.ID().Short(), why)
	}
	if e.rules() {
		return nil // the plan is the rule: no freeze, approval or policy is asked besides
	}
	if by := d.cfg.Frozen(it.Vault, now); by != "" {
		return fmt.Errorf("vault %s is frozen by %s", v.Vault.Name, by)
	}
	t := intent.Count(f.stmt.ID(), it.Initiator, v.Vault, f.life.Votes())
	if !t.Met() {
		return fmt.Errorf("intent %s: approvals that counted do not any more: %s", f.stmt.ID().Short(), t.Missing())
	}
	q, err := d.question(now, f, v, intent.Ruling{Tally: t})
	if err != nil {
		return fmt.Errorf("intent %s: %w", f.stmt.ID().Short(), err)
	}
	if r := q.policy.Decide(q.facts, q.room); r.Verdict != policy.Allow {
		return fmt.Errorf("intent %s: the rules that permitted it do not now: %s", f.stmt.ID().Short(), says(r))
	}
	return nil
}

// unasked says why the proposal counts for nothing any more: its initiator is none, or the key that signed it is theirs no more.
func (d *Desk) unasked(f *file, v ceremony.View, e emergency) string {
	name := f.life.Intent().Initiator
	p, ok := e.asks(d, v.Vault, name).Initiator(name)
	if !ok {
		return fmt.Sprintf("%s is no initiator of vault %s any more", name, v.Vault.Name)
	}
	if f.by.IsZero() {
		sig, err := signet.Parse(f.proposal)
		if err != nil {
			return err.Error()
		}
		f.by = sig.Key()
	}
	if !slices.ContainsFunc(p.Keys, f.by.Equal) {
		return fmt.Sprintf("the key that signed the proposal is %s's no more: propose it anew", name)
	}
	return ""
}

// disowned says that a proposal counts for nothing any more.
func (d *Desk) disowned(ctx context.Context, f *file) bool {
	v, err := d.vaultOf(f.life.Intent())
	return err == nil && d.unasked(f, v, d.emergency(ctx, f, v)) != ""
}

// apply asks freezes and the charter's rules where the intent's own let it wait or pass.
func (d *Desk) apply(now time.Time, f *file, v ceremony.View, r intent.Ruling) intent.Ruling {
	if by := d.cfg.Frozen(f.life.Intent().Vault, now); by != "" {
		f.waits, f.again = "the vault is frozen by "+by, now.Add(frozenEvery)
		r.Verdict, r.Rule, r.Reason = intent.Wait, RuleFrozen, f.waits
		return r
	}
	q, err := d.question(now, f, v, r)
	if err != nil {
		r.Verdict, r.Rule, r.Reason = intent.Deny, RulePolicy, err.Error()
		return r
	}
	ruling := q.policy.Decide(q.facts, q.room)
	switch ruling.Verdict {
	case policy.Allow:
		if r.Verdict == intent.Allow {
			r.Rule, r.Reason = RulePolicy, "permitted by "+ruling.Rule
		}
	case policy.Wait:
		f.lacks = needs(ruling.Missing)
		r.Verdict, r.Rule, r.Reason = intent.Wait, RulePolicy, f.lacks
	default:
		r = d.forbidden(now, f, r, q, ruling)
	}
	return r
}

// forbidden denies what no later moment of the intent's life could allow; the rest waits.
func (d *Desk) forbidden(now time.Time, f *file, r intent.Ruling, q question, ruling policy.Ruling) intent.Ruling {
	why := says(ruling)
	if ruling.Rule != policy.RuleErrs && ruling.Rule != policy.RuleFacts && q.policy.Ever(q.least, q.room, policy.Moments(now, f.life.Intent().Expires, q.offset)) {
		f.waits, f.again = "the policy does not permit it now: "+why, now.Add(policyEvery)
		r.Verdict, r.Rule, r.Reason = intent.Wait, RulePolicy, f.waits
		return r
	}
	r.Verdict, r.Rule, r.Reason = intent.Deny, RulePolicy, why
	return r
}

// says puts a ruling that is not Allow into words.
func says(r policy.Ruling) string {
	switch {
	case r.Verdict == policy.Wait:
		return needs(r.Missing)
	case r.Rule != "":
		return r.Rule + ": " + r.Reason
	}
	return r.Reason
}

const (
	policyEvery = 30 * time.Second // what may be allowed later is asked about again
	frozenEvery = time.Second
)

// A question is what the policy is asked about an intent.
type question struct {
	policy *policy.Policy
	facts  policy.Facts
	least  policy.Facts // with nothing given out besides
	room   policy.Room
	offset time.Duration
}

// question gathers the facts: all of them are this node's own.
func (d *Desk) question(now time.Time, f *file, v ceremony.View, r intent.Ruling) (q question, err error) {
	it := f.life.Intent()
	x, ok := d.cfg.Charter()
	if !ok {
		return q, errNoCharter
	}
	b, ok := x.Vault(v.Vault.Name)
	if !ok {
		return q, fmt.Errorf("vault %s is not in %s", v.Vault.Name, x.Title())
	}
	p, l, err := d.rulesOf(x, it.Vault)
	if err != nil {
		return q, err
	}
	flows, err := flowsOf(x.Document, f.payload)
	if err != nil {
		return q, err
	}
	asked := policy.Asked{Vault: b, Purpose: it.Purpose, Chain: it.Chain, Initiator: it.Initiator, Approved: r.Tally.Approved, At: now}
	q = question{policy: p, offset: x.Offset}
	q.facts, q.room = asked.Facts(x.Document)
	q.least = q.facts
	key, beside := d.beside(x.Document, f)
	if q.facts.Effects, err = d.effects(flows, l, key, beside, now); err != nil {
		return q, err
	}
	q.least.Effects, err = d.effects(flows, &ledger.Ledger{}, key, nil, now)
	return q, err
}

// flowsOf is what a payload does.
func flowsOf(doc charter.Document, p payload.Payload) ([]policy.Flow, error) {
	if p == nil {
		return nil, errNotDecoded
	}
	return policy.FlowsOf(doc, p.Effects())
}

// effects puts flows beside a ledger's totals, in which what has the same nonce does not count twice: beside is what that may give out. The
// desk's lock guards the ledger.
func (d *Desk) effects(flows []policy.Flow, l *ledger.Ledger, key statement.ID, beside map[string]int64, now time.Time) ([]policy.Effect, error) {
	sums, err := policy.Sums(flows)
	if err != nil {
		return nil, err
	}
	totals := map[string]policy.Totals{}
	d.mu.Lock()
	defer d.mu.Unlock()
	for asset, n := range sums {
		t, err := l.Totals(asset, now, key, max(n, beside[asset]))
		if err != nil {
			return nil, err
		}
		totals[asset] = policy.Totals(t.Since(d.cfg.RestoredAt(), now))
	}
	return policy.Effects(flows, totals)
}

// needs says in words what the policy lacks.
func needs(missing []policy.Need) string {
	var all []string
	for _, n := range missing {
		switch n.Of {
		case policy.Anybody:
			all = append(all, fmt.Sprintf("%d more people", n.Count))
		case policy.Organisations:
			all = append(all, fmt.Sprintf("people of %d more organisations", n.Count))
		default:
			all = append(all, fmt.Sprintf("%d more of group %s", n.Count, n.Of))
		}
	}
	return "the policy asks that " + strings.Join(all, ", and ") + " approve"
}
