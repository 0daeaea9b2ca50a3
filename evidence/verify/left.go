package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/rescue"
)

// outflows are what a vault's keys signed, as the transactions themselves say, and what other vaults' did: any of them may be a rescue vault.
func (v *verifier) outflows(x *vault, said []rescue.Said) (out []rescue.Outflow) {
	for _, q := range v.went {
		o := rescue.Outflow{Intent: q.id, Hidden: q.doc == nil, Sessions: q.sessions, Told: map[string]rescue.Place{}, Taken: map[string]rescue.Place{}}
		if q.vault != x {
			o.Vault = q.vault.Name
		}
		if rec := v.recordOf(q); rec != nil {
			o.Key, o.Threshold = act.Key{Key: rec.KeyID, Epoch: rec.Hash()}, rec.Threshold
		}
		for name, n := range q.tells {
			if h := v.log(name); h != nil {
				o.Told[name] = rescue.Place{Leaf: n, At: h.times[n]}
			}
		}
		for name, n := range q.taken {
			if h := v.log(name); h != nil {
				o.Taken[name] = rescue.Place{Leaf: n, At: h.times[n]}
			}
		}
		if q.doc != nil {
			v.reads(q.vault, q.intent, &o)
			v.rules(q, &o, said)
		}
		out = append(out, o)
	}
	return out
}

// rules says by which plan nodes enough allowed a request, if by any of this vault's emergencies, and where each says so in its own log.
func (v *verifier) rules(q *request, o *rescue.Outflow, said []rescue.Said) {
	by := map[statement.ID]map[string]rescue.Place{}
	for name, d := range q.decisions {
		h := v.log(name)
		n, decided := q.decided[name]
		id := requestIn(d.Reason)
		if d.Verdict != intent.Allow || d.Rule != ruleSOS || !decided || h == nil || !slices.ContainsFunc(said, func(s rescue.Said) bool { return s.Statement.ID() == id }) {
			continue
		}
		if by[id] == nil {
			by[id] = map[string]rescue.Place{}
		}
		by[id][name] = rescue.Place{Leaf: n, At: h.times[n]}
	}
	for id, allowed := range by {
		if len(allowed) >= max(o.Threshold, 1) {
			o.Ruled, o.Allowed = id, allowed
		}
	}
}

// reads says what a transaction moves.
func (v *verifier) reads(x *vault, it intent.Intent, o *rescue.Outflow) {
	if o.Chain = it.Chain; elsewhere(it) {
		v.readsElsewhere(x, it, o)
		return
	}
	if it.Purpose != intent.PurposeTransaction {
		o.Other = "its purpose is " + it.Purpose
		return
	}
	tx, err := evm.DecodeCall(it.Transaction, evm.AnyCall) // whether the plan names it is judged against the plan of the emergency
	if err != nil {
		o.Other = err.Error()
		return
	}
	f := tx.Facts()
	switch f.Operation {
	case evm.ContractCall:
		o.Calls = append(o.Calls, rescue.Call{To: f.Destination.String(), Data: f.Calldata})
	case evm.NativeTransfer, evm.ERC20Transfer:
		o.To = append(o.To, f.Destination.String())
	default:
		o.Other = "operation " + string(f.Operation)
		return
	}
	o.Slot = fmt.Sprintf("%x/%v/%d/%d", it.Key, it.Path, f.ChainID, f.Nonce)
	c, known := v.history.Version(it.Charter)
	if !known {
		o.Unmeasured = "it names a charter that was never in force"
		return
	}
	if o.Moves, err = moves(c.Document, f); err != nil {
		o.Unmeasured = err.Error()
	}
}

// moves is how much a transaction takes of each asset, in the charter's units, its fee included: what caps and tranches count.
func moves(d charter.Document, f evm.Facts) (map[string]int64, error) {
	flows, err := policy.FlowsOf(d, f.Effects())
	if err != nil {
		return nil, err
	}
	return policy.Sums(flows)
}

// describeCases puts the emergencies into the report.
func (v *verifier) describeCases(x *vault, verdict rescue.Verdict) {
	subject := "vault " + x.Name
	good := !slices.ContainsFunc(v.report.Claims, func(c Claim) bool {
		return c.Failed != "" && (strings.Contains(c.Subject, subject) || strings.Contains(c.Failed, subject))
	})
	for _, c := range verdict.Cases {
		e := emergencyOf(c)
		x.out.Emergencies = append(x.out.Emergencies, e)
		if good {
			v.report.claim(Proved, subject, toldOf(c), "every statement about it was verified here against the plan of the charter that it names; each node's steps, times and parts were held to its own log, and the logs to one another")
		}
	}
	if good && verdict.Judged > 0 {
		v.report.claim(Proved, subject, fmt.Sprintf("%s under the lock of an emergency, to rescue addresses of the plan or as its protective calls", count(verdict.Judged, "signature was made", "signatures were made")), "each transaction was decoded here")
	}
}

// emergencyOf is a case as the report has it.
func emergencyOf(c rescue.Case) Emergency {
	q := c.Request
	e := Emergency{
		ID: q.ID, Drill: q.Drill, Trigger: q.Trigger, Subjects: q.Subjects, Reason: q.Reason, By: q.Role + " " + q.By, Created: q.Created, State: c.State,
		Supports: c.Supports, Vetoes: c.Vetoes, Lived: c.Lived, Gave: c.Gave, Guardians: c.Guardians, Epochs: c.Epochs, Committee: c.Committee, Released: c.Freed,
		ReleasedBy: c.FreedBy, ClosedBy: c.ClosedBy,
	}
	if t, ok := c.Plan.Trigger(q.Trigger); ok {
		e.Delay = t.Delay.String()
	}
	if e.State == "" {
		e.State = "gathers support"
	}
	for _, n := range c.Nodes {
		x := EmergencyNode{Operator: n.Operator, State: n.State, Since: n.Since, Credited: int64(n.Credited / time.Second)}
		for _, s := range n.Steps {
			x.Steps = append(x.Steps, EmergencyStep{s.State, s.At, int64(s.Credited / time.Second), s.Why})
		}
		e.Nodes = append(e.Nodes, x)
	}
	for _, a := range c.Activations {
		e.Activations = append(e.Activations, EmergencyActivation{a.ID, a.Contributors, a.Threshold, a.Names()})
	}
	for _, k := range c.KeysLeft {
		if c.State == "lock-up" || c.State == "closed" {
			e.KeysLeft = append(e.KeysLeft, fmt.Sprintf("%x", k.Key[:]))
		}
	}
	if !c.Until.IsZero() {
		until := c.Until
		e.Locked = &until
	}
	for _, w := range c.Went {
		e.Outflows = append(e.Outflows, EmergencyOutflow{w.Intent, w.At, w.Chain, w.To, w.Name, w.Protected, w.Moves})
	}
	for _, l := range c.Left {
		x := EmergencyTotal{Asset: l.Asset, Amount: l.Amount}
		if l.Capped {
			most := l.Most
			x.Cap = &most
		}
		e.Totals = append(e.Totals, x)
	}
	if c.Closed != nil {
		e.Report = fmt.Sprintf("%x", c.Closed.Report[:])
		e.DrillEvidence = fmt.Sprintf("%x", c.Closed.Drill[:])
	}
	e.lists()
	return e
}

// toldOf says a case in one sentence.
func toldOf(c rescue.Case) string {
	mode := "in earnest"
	if c.Request.Drill {
		mode = "as a drill"
	}
	text := fmt.Sprintf("emergency %s (%s of %s, %s) was asked for by %s", c.Request.ID.Short(), c.Request.Trigger, strings.Join(c.Request.Subjects, ", "), mode, c.Request.By)
	if c.State == "" {
		return text + ", and gathers support"
	}
	text += ", supported by " + strings.Join(c.Supports, ", ")
	if len(c.Vetoes) > 0 {
		text += ", vetoed by " + strings.Join(c.Vetoes, ", ")
	}
	if len(c.Epochs) > 0 {
		text += ", and made new shares with the parts of " + strings.Join(slices.Concat(c.Gave, c.Guardians), ", ")
	}
	for _, l := range c.Left {
		text += fmt.Sprintf("; %d of %s left, in the charter's units and with fees", l.Amount, l.Asset)
		if l.Capped {
			text += fmt.Sprintf(", of %d that may", l.Most)
		}
	}
	return text + "; it is " + strings.ToUpper(c.State)
}
