package decide

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/ledger"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/review"
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

// outflows are what one vault's intents give out, by intent: signed, possibly signed, or allowed by this node or by operators enough and not over,
// or over while operators enough, or this node and another, allowed it.
type outflows map[statement.ID]outflow

type outflow struct {
	facts  evm.Facts
	slot   slot
	signed bool // its signature is known
	open   bool
	at     time.Time // zero: nothing is given out
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

// outflow is what a file's transaction gives out, as far as this node can tell.
func (d *Desk) outflow(f *file) outflow {
	t, onChain := f.payload.(*transfer)
	if f.gone || !onChain {
		return outflow{}
	}
	l := f.life
	o := outflow{facts: t.tx.Facts(), signed: l.Hash() != ""}
	o.slot = slot{t.from, o.facts.ChainID, o.facts.Nonce}
	switch ours := l.Verdict(d.cfg.Operator) == intent.Allow; {
	case o.signed || l.PossiblySigned():
		o.at = l.Closed()
	case (ours || l.Suffices()) && !over(l):
		o.open, o.at = true, l.Intent().Created
	case ours && l.Count(intent.Allow) > 1, l.Suffices():
		// It ended, and others that allowed it may have signed it without us: one of them may keep the signature back.
		o.at = l.Closed()
	}
	return o
}

// debit brings a vault's ledger up to date with a file. The ledger has no rows of its own: the life, which is durable with the decision,
// says all of it. The caller holds the file's lock and the desk's.
func (d *Desk) debit(f *file) {
	id, vault, o := f.stmt.ID(), f.life.Intent().Vault, d.outflow(f)
	if o.at.IsZero() {
		delete(d.flows[vault], id)
	} else {
		if d.flows[vault] == nil {
			d.flows[vault] = outflows{}
		}
		d.flows[vault][id] = o
	}
	d.reckon(vault, id, o)
	if final := f.life.State() == intent.Final; final != (d.finals[o.slot] == id) && o.signed {
		if final {
			d.finals[o.slot] = id
		} else {
			delete(d.finals, o.slot)
		}
		for other, x := range d.flows[vault] {
			if x.slot == o.slot {
				d.reckon(vault, other, x)
			}
		}
	}
}

// reckon puts one outflow into its vault's ledger, if there is one, or takes it out. Of two with one nonce the chain takes one: what is not signed
// cannot be, once another is final.
func (d *Desk) reckon(vault, id statement.ID, o outflow) {
	x, ok := d.cfg.Charter()
	if l := d.rules.ledgers[vault]; ok && l != nil && d.rules.charter == x.ID {
		d.count(x.Document, l, id, o)
	}
}

func (d *Desk) count(doc charter.Document, l *ledger.Ledger, id statement.ID, o outflow) {
	by, spent := d.finals[o.slot]
	if o.at.IsZero() || !o.signed && spent && by != id {
		l.Release(id)
		return
	}
	if err := l.Put(ledger.Debit{Intent: id, Lines: review.Lines(doc, o.facts), Open: o.open, At: o.at}); err != nil {
		d.cfg.Log.Error("an outflow is not counted", "intent", id.Short(), "error", err) // its lines are of the same facts and charter: it cannot be
	}
}

// forgetFlows lets go of what counts in no window any more. The caller holds the desk's lock.
func (d *Desk) forgetFlows(now time.Time) {
	for vault, all := range d.flows {
		for id, o := range all {
			if !o.open && now.Sub(o.at) >= ledger.Longest {
				delete(all, id)
			}
		}
		if l := d.rules.ledgers[vault]; l != nil {
			l.Prune(now)
		}
	}
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
		for id, o := range d.flows[vault] {
			d.count(x.Document, l, id, o)
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
func (d *Desk) stands(now time.Time, f *file, v ceremony.View) error {
	if err := d.underCharter(f); err != nil {
		return err
	}
	it := f.life.Intent()
	if by := d.cfg.Frozen(it.Vault, now); by != "" {
		return fmt.Errorf("vault %s is frozen by %s", v.Vault.Name, by)
	}
	if why := f.unasked(v); why != "" {
		return fmt.Errorf("intent %s: %s", f.stmt.ID().Short(), why)
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
func (f *file) unasked(v ceremony.View) string {
	name := f.life.Intent().Initiator
	p, ok := v.Vault.Initiator(name)
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
func (d *Desk) disowned(f *file) bool {
	v, err := d.vaultOf(f.life.Intent())
	return err == nil && f.unasked(v) != ""
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
	if q.facts.Effects, err = d.effects(flows, l, it, f.stmt.ID(), now); err != nil {
		return q, err
	}
	q.least.Effects, err = d.effects(flows, &ledger.Ledger{}, it, f.stmt.ID(), now)
	return q, err
}

// flowsOf is what a payload does.
func flowsOf(doc charter.Document, p payload) ([]policy.Flow, error) {
	switch p := p.(type) {
	case *transfer:
		return policy.FlowsOfEVM(doc, p.tx.Facts())
	case *proof:
		return []policy.Flow{{Operation: policy.Proof, Destination: p.Address}}, nil
	}
	return nil, errNotDecoded
}

// effects puts flows beside a ledger's totals. The desk's lock guards the ledger.
func (d *Desk) effects(flows []policy.Flow, l *ledger.Ledger, it intent.Intent, id statement.ID, now time.Time) ([]policy.Effect, error) {
	sums, err := policy.Sums(flows)
	if err != nil {
		return nil, err
	}
	totals := map[string]policy.Totals{}
	d.mu.Lock()
	defer d.mu.Unlock()
	for asset, n := range sums {
		t, err := l.Totals(asset, now, id, n)
		if err != nil {
			return nil, err
		}
		totals[asset] = policy.Totals(t)
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
