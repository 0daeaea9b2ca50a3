package decide

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/statement"
)

// What leaves in an emergency is counted with this node's own ALLOW (emergency.go). What left without that, since the node was away, or was set back and lost what it had
// counted, it learns of as of the past (past.go), and the dockets count it then.

// Left are the transactions that may be signed, whoever allowed them, and on which grounds.
func (d *Desk) Left() (out []sos.Past) {
	x, ok := d.cfg.Charter()
	if !ok {
		return nil
	}
	for _, f := range d.all() {
		f.mu.Lock()
		if p, ok := d.leftBy(x.Document, f); ok {
			out = append(out, p)
		}
		f.mu.Unlock()
	}
	return out
}

// Moves counts what became of intents since this process began: while it stays, so does what Left says.
func (d *Desk) Moves() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.moves
}

func (d *Desk) leftBy(doc charter.Document, f *file) (p sos.Past, ok bool) {
	ours := f.life.Verdict(d.cfg.Operator) == intent.Allow
	if !travels(f.payload) || f.gone || !ours && !f.life.Suffices() {
		return p, false
	}
	it := f.life.Intent()
	v, err := d.vaultOf(it)
	if err != nil {
		return p, false
	}
	p.Outflow = sos.Outflow{Intent: f.stmt.ID(), Vault: v.Vault.Name, Key: it.Key, Transaction: true, Chain: it.Chain}
	p.Slot = slotKey(f.slot())
	if p.Flows, ok = leftFlows(doc, v.Vault, f.payload); !ok {
		return p, false // of an asset that the charter does not know: no cap and no tranche is of it
	}
	for _, by := range slices.Sorted(maps.Keys(f.decisions)) {
		for _, r := range []ruling{f.decisions[by], f.others[by]} {
			if g, says := groundOf(r.decision); says && (!ours || by == d.cfg.Operator) { // our own word is true; of others' one is, and which is not known
				p.Grounds = append(p.Grounds, g)
			}
		}
	}
	return p, len(p.Grounds) > 0
}

// planReason is what a decision says that a plan allowed.
const planReason = "the plan of request %s allows it"

// groundOf reads an ALLOW.
func groundOf(x intent.Decision) (g sos.Ground, ok bool) {
	if x.Verdict != intent.Allow {
		return g, false
	}
	g.At = x.Created
	if x.Rule != RuleSOS {
		return g, true
	}
	before, after, _ := strings.Cut(planReason, "%s")
	text, begins := strings.CutPrefix(x.Reason, before)
	text, ends := strings.CutSuffix(text, after)
	id, err := statement.ParseID(text)
	g.Request = id
	return g, begins && ends && err == nil
}

// byPlan is the reason of an ALLOW by a request's plan.
func byPlan(request statement.ID) string { return fmt.Sprintf(planReason, request) }
