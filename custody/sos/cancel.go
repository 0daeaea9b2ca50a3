package sos

import (
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/custody/sos/plan"
)

// mayVeto says whether a guardian's veto counts. All of them may, but those who share a person, an organisation or an account with a
// subject that may be coerced: their no could be the subject's.
func (c Case) mayVeto(name string) bool {
	g, ok := c.plan.Guardian(name)
	return ok && (c.request.Trigger != plan.Compromise || c.plan.Bound(g.Reach, c.request.Subjects) == "")
}

// object keeps a veto. m − k + 1 of them end the request.
func object(t *turn, e Event) error {
	v := e.(Objected).Veto
	if err := timely(t, v.Head, v.Created); err != nil {
		return err
	}
	if _, ok := t.c.plan.Guardian(v.By); !ok {
		return fmt.Errorf("%w: %s is no guardian", ErrForeign, v.By)
	}
	if !t.c.mayVeto(v.By) {
		return fmt.Errorf("%w: %s", ErrCoerced, v.By)
	}
	t.c.vetoes = put(t.c.vetoes, mark{by: v.By, id: v.ID})
	if names := t.c.Vetoes(); len(names) >= t.c.plan.Vetoes() {
		t.end(true, "guardians vetoed: "+list(names))
	}
	return nil
}

// refute keeps a subject's proof of life, or its live signature; one subject's two together end the request. In compromise and legal
// they move nothing: a subject that may be coerced, or is wound up, cannot cancel.
//
// A live signature shows that t operators sign, and then SOS is not needed: so it counts in below-threshold too.
func refute(t *turn, e Event) error {
	if !t.c.cancels() {
		return ErrCoerced
	}
	switch e := e.(type) {
	case Lived:
		if err := timely(t, e.Head, e.Created); err != nil {
			return err
		}
		t.c.alive = join(t.c.alive, e.Operator)
	case SignedLive:
		if err := timely(t, e.Head, e.Created); err != nil {
			return err
		}
		t.c.signed = join(t.c.signed, e.Operator)
	}
	for _, s := range t.c.request.Subjects {
		if slices.Contains(t.c.alive, s) && slices.Contains(t.c.signed, s) {
			t.end(false, s+" lives, and signed")
			return nil
		}
	}
	return nil
}

func join(names []string, name string) []string {
	i, found := slices.BinarySearch(names, name)
	if found {
		return names
	}
	return slices.Insert(names, i, name)
}

// end cancels, unless parts were given: what was given cannot be taken back, so that is late, and the vault locks up at once. Nothing
// more is given then, and all operators together can release early (S4, S5).
func (t *turn) end(guardians bool, why string) {
	switch {
	case t.c.late: // said already
	case t.c.state == LockUp:
		t.c.late = true
		t.fx.tell(*t.c, fmt.Sprintf("Too late to cancel SOS of vault %s: %s.", t.c.plan.Name, why))
	case t.c.given(t.d.self):
		t.c.late = true
		t.step(LockUp, "too late to cancel: "+why)
	default:
		t.c.byGuardians = guardians && !t.c.declared.IsZero()
		t.step(Vetoed, why)
	}
}
