package sos

import (
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// Work is what a session or ceremony on the vault is for.
type Work uint8

// Works.
const (
	Ordinary Work = iota // any Setup or PREP that is none of these
	LiveTest             // a test signature with a subject, over act.TestDigest; id: the request
	Guarded              // a guarded reshare, up to its FINAL; id: the activation
	Sweep                // a signature over an intent that Spend took; id: the intent
)

// MayRun says why such a session must not run now, nil if it may. From DECLARED until it is over, only SOS's own steps run. A freeze
// (spec/charter) is not asked about here: it binds Ordinary alone, and never blocks SOS.
func (d Docket) MayRun(w Work, id statement.ID) error {
	if w == Ordinary {
		for _, c := range d.cases {
			if c.state.Holds() {
				return fmt.Errorf("vault %s: %w: request %s is %s", c.plan.Name, ErrHeld, c.request.ID.Short(), c.state)
			}
		}
		return nil
	}
	if d.rolled { // S2: it does not know what it gave and what it counted
		return fmt.Errorf("vault %s: %w", d.plan.Name, ErrRolled)
	}
	for _, c := range d.cases {
		if c.allows(w, id, d.self) {
			return nil
		}
	}
	return fmt.Errorf("vault %s: %w: SOS allows no such step for %s now", d.plan.Name, ErrHeld, id.Short())
}

func (c Case) allows(w Work, id statement.ID, self string) bool {
	switch w {
	case LiveTest:
		return id == c.request.ID && c.cancels() && (c.state == Declared || c.state == Contest || c.state == Active || c.state == Armed && c.heldElsewhere(self))
	case Guarded:
		a, ok := c.activation(id)
		open := c.state == Active || c.state == LockUp
		if slices.Contains(a.contributors, self) { // who contributes has given first, by Release
			return ok && open && slices.Contains(c.gave, gift{id, self})
		}
		// Who only receives may at once; and where the request is over for it, once all gave: they cannot take it back, and wait for it.
		return ok && (open || (c.state == Vetoed || c.state == Expired) && c.allGave(a))
	case Sweep:
		return (c.state == Active || c.state == LockUp) && slices.ContainsFunc(c.spent, func(s spend) bool { return s.intent == id })
	}
	return false
}

// cancels says whether a subject's life ends such a request.
func (c Case) cancels() bool { return plan.Cancels(c.request.Trigger) }

// heldElsewhere says that this node is a subject, and another node declared the request and did not end it. A subject's own node never
// declares one that its life would end (spec/sos 2.2): it goes by what the others say.
func (c Case) heldElsewhere(self string) bool {
	return slices.Contains(c.request.Subjects, self) && slices.ContainsFunc(c.steps, func(w word) bool {
		return w.state == Declared || w.state == Contest || w.state == Active
	})
}

// FreezeBinds says whether a freeze of the vault stops such work.
func FreezeBinds(w Work) bool { return w == Ordinary }

// A Change is what somebody wants to change about the vault.
type Change uint8

// Changes.
const (
	NewDestination Change = iota
	NewPolicy
	NewKey
	NewPlan
	NewCommittee // by an ordinary reshare
	ExportKey
)

var changeNames = [...]string{"a new destination", "another policy", "a new key", "another plan", "an ordinary reshare", "an export"}

// MayChange says why that must not be, nil if it may: from DECLARED until it is over, never (S7). A person may still revoke their own key, and new shares are backed up. A lock-up that is not closed
// when its time is over holds its own keys alone: the case keeps its plan, whatever the charter says by then.
func (d Docket) MayChange(w Change) error {
	for _, c := range d.cases {
		if c.state.Holds() && !(w == ExportKey && c.exports()) && (!c.overrun() || w == NewCommittee || w == ExportKey) {
			return fmt.Errorf("vault %s: %s: %w: request %s is %s", c.plan.Name, changeNames[w], ErrHeld, c.request.ID.Short(), c.state)
		}
	}
	return nil
}

// exports says that what an export would carry is what the request made: it is over for the old shares, and a closing asks for backups of the new ones (3.6). While ACTIVE no key of
// the request may be without; in LOCK-UP one that is left stays in its epoch, and keeps no other's backup from being cut.
func (c Case) exports() bool {
	return c.state == Active && len(c.Left()) == 0 || c.state == LockUp && len(c.reshared) > 0
}

// Subjects are the operators that an open request is about: they sign no unfreezing.
func (d Docket) Subjects() (names []string) {
	for _, c := range d.cases {
		if c.state.Holds() {
			for _, s := range c.request.Subjects {
				names = join(names, s)
			}
		}
	}
	return names
}
