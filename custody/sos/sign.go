package sos

import (
	"fmt"

	"github.com/ostraka/ostraka/custody/statement"
)

// Rules names the request whose plan is the rule for an outflow of its own vault, instead of the vault's ordinary ones: in ACTIVE and LOCK-UP.
// subjects are whom it is about. It is zero if there is none.
func (d Docket) Rules(o Outflow) (request statement.ID, subjects []string) {
	for _, c := range d.cases {
		if (c.state == Active || c.state == LockUp) && c.own(o) && !d.yields(c, o) {
			return c.request.ID, c.request.Subjects
		}
	}
	return request, nil
}

// Binds says whether any case that is not over has a say about an outflow.
func (d Docket) Binds(o Outflow) bool {
	for _, c := range d.cases {
		if c.binds(o) && (c.state.Holds() || c.state == Closed && !c.tranchesOver()) {
			return true
		}
	}
	return false
}

// MaySign says why a session for an outflow must not begin now, nil if it may: what Spend must have taken, it took. What was allowed before
// a declaration, and was never counted, is not signed out of caps and tranches.
func (d Docket) MaySign(o Outflow) error {
	for _, c := range d.cases {
		if !c.binds(o) || d.yields(c, o) {
			continue
		}
		if err := c.maySign(o); err != nil {
			return fmt.Errorf("vault %s: SOS request %s is %s: %w", o.Vault, c.request.ID.Short(), c.state, err)
		}
	}
	return nil
}

func (c Case) maySign(o Outflow) error {
	switch {
	case c.state == Active || c.state == LockUp:
		if !c.own(o) && (c.freed || c.overrun() && (c.tranchesOver() || c.counted(o.Intent))) || c.own(o) && c.counted(o.Intent) {
			return nil
		}
		return fmt.Errorf("%w: what the plan did not take is not signed", ErrHeld)
	case c.state == Closed && !c.tranchesOver() && !c.counted(o.Intent):
		return fmt.Errorf("%w: it was allowed before, and is not counted in the tranches: propose it anew", ErrHeld)
	case c.state.Holds() && c.own(o):
		return fmt.Errorf("%w: ordinary outflow is frozen", ErrHeld)
	}
	return nil
}
