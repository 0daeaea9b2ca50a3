package sos

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
)

type keyEpoch = act.Key

// MayActivate says why this node must not sign an activation, nil if it may. Every node asks the same of one that others signed.
func (d Docket) MayActivate(e Activated) error {
	i := d.find(e.Request)
	if i < 0 {
		return fmt.Errorf("SOS request %s: %w", e.Request.Short(), ErrUnknown)
	}
	c := d.cases[i]
	if c.state != Active {
		return fmt.Errorf("activation: %w: request %s is %s", ErrEarly, c.request.ID.Short(), c.state)
	}
	if err := c.fits(e); err != nil {
		return fmt.Errorf("activation: %w", err)
	}
	return nil
}

// Fits says why an activation is not of this request and its plan, whatever the request's state: what a certificate of SOS is held to.
func (d Docket) Fits(e Activated) error {
	i := d.find(e.Request)
	if i < 0 {
		return fmt.Errorf("SOS request %s: %w", e.Request.Short(), ErrUnknown)
	}
	if err := d.cases[i].fits(e); err != nil {
		return fmt.Errorf("activation: %w", err)
	}
	return nil
}

// MaySit says why an operator may not be of a new committee, nil if it may: it may contribute, or the plan names it as a successor.
func (c Case) MaySit(name string) error {
	if err := c.maySucceed(name, c.plan.Contributors(c.request.Subjects)); err != nil {
		return fmt.Errorf("%s: %w: %w", name, ErrPlan, err)
	}
	return nil
}

// fits holds an activation to the request, to its plan, to who consented here, and to the seats that its members announced.
func (c Case) fits(e Activated) error {
	if err := c.planned(e); err != nil {
		return err
	}
	consents := c.Consents()
	for _, name := range e.Contributors {
		if !slices.Contains(consents, name) {
			return fmt.Errorf("%w: contributor: %s", ErrConsent, name)
		}
	}
	if err := e.Seated(e.Seats); err != nil {
		return fmt.Errorf("%w: %w", ErrUnseated, err)
	}
	return nil
}

// planned holds it to the request and to the plan that all operators signed beforehand: it is the only source of who may follow.
func (c Case) planned(e Activated) error {
	a := e.Activation
	if err := a.Head.Of(c.request); err != nil {
		return fmt.Errorf("%w: %w", ErrForeign, err)
	}
	if !slices.Contains(c.request.Keys, a.Key) {
		return fmt.Errorf("%w: key: not one of the request's, in the epoch that it names", ErrForeign)
	}
	if len(a.Contributors) != c.plan.Live {
		return fmt.Errorf("%w: contributor: %d are named, exactly %d contribute", ErrPlan, len(a.Contributors), c.plan.Live)
	}
	for _, name := range a.Contributors {
		if len(e.Holders) > 0 && !slices.Contains(e.Holders, name) { // it has no mask: with it fewer than r would give
			return fmt.Errorf("%w: contributor: %s holds no share of this key", ErrPlan, name)
		}
	}
	if a.Threshold < c.plan.Least {
		return fmt.Errorf("%w: threshold: %d, %d at least is allowed", ErrPlan, a.Threshold, c.plan.Least)
	}
	for _, m := range a.Members {
		if err := c.maySucceed(m.Operator, a.Contributors); err != nil {
			return fmt.Errorf("%w: member %s: %w", ErrPlan, m.Operator, err)
		}
		if owner, ok := e.Taken[m.Index]; ok && owner != m.Operator {
			return fmt.Errorf("%w: member %s: index %d is or was %s's", ErrPlan, m.Operator, m.Index, owner)
		}
		if e.Party[m.Operator] != m.Party {
			return fmt.Errorf("%w: member %s: party: not the operator's", ErrPlan, m.Operator)
		}
	}
	return nil
}

// maySucceed: contributors, and the successors that the plan names; never a subject, nor who shares a domain with one.
func (c Case) maySucceed(name string, contributors []string) error {
	if !slices.Contains(contributors, name) && !slices.Contains(c.plan.Successors, name) {
		return errors.New("it neither contributes nor is a successor of the plan")
	}
	o, ok := c.plan.Anyone(name)
	if !ok || slices.Contains(c.request.Subjects, name) {
		return errors.New("it is a subject, or no operator of the circle")
	}
	if why := c.plan.Bound(o.Reach, c.request.Subjects); why != "" {
		return errors.New("it " + why)
	}
	return nil
}

// activate keeps an activation that all its contributors signed.
func activate(t *turn, e Event) error {
	a := e.(Activated)
	if slices.ContainsFunc(t.c.activations, func(o activation) bool { return o.id == a.ID }) {
		return nil
	}
	if err := t.c.fits(a); err != nil {
		return err
	}
	of := 0
	for _, o := range t.c.activations {
		if o.key == a.Key.Key {
			of++
		}
	}
	if of >= maxActivations {
		return fmt.Errorf("%w: %d activations of key %x", ErrMany, of, a.Key.Key[:6])
	}
	n := activation{a.ID, a.Key.Key, a.Attempt, slices.Clone(a.Contributors), a.Names()}
	for _, o := range t.c.activations {
		if o.key == n.key && o.attempt == n.attempt {
			return fmt.Errorf("%w: attempt %d of key %x is activation %s", ErrUsed, n.attempt, n.key[:6], o.id.Short())
		}
	}
	t.c.activations = append(t.c.activations, n)
	slices.SortFunc(t.c.activations, func(a, b activation) int {
		if c := bytes.Compare(a.key[:], b.key[:]); c != 0 {
			return c
		}
		return a.attempt - b.attempt
	})
	return t.d.makeRoom()
}

// tardy keeps an activation that comes after its request is over for this node: a member that was away takes part for it once all gave (3.8), since they cannot take it
// back, and the order in which it hears of their parts and of it changes nothing. Who contributes gives nothing for it, and has no use for it.
func tardy(t *turn, e Event) error {
	if slices.Contains(e.(Activated).Contributors, t.d.self) {
		return ErrLate
	}
	return activate(t, e)
}

// Activation finds one that is kept.
func (c Case) activation(id statement.ID) (activation, bool) {
	i := slices.IndexFunc(c.activations, func(a activation) bool { return a.id == id })
	if i < 0 {
		return activation{}, false
	}
	return c.activations[i], true
}

// gift1 keeps that another node gave its part.
func gift1(t *turn, e Event) error {
	v := e.(Gave).Released
	if err := v.Head.Of(t.c.request); err != nil {
		return fmt.Errorf("%w: %w", ErrForeign, err)
	}
	if !slices.Contains(t.c.plan.Contributors(t.c.request.Subjects), v.Operator) {
		return fmt.Errorf("%w: %s contributes to nothing", ErrForeign, v.Operator)
	}
	g := gift{v.Activation, v.Operator}
	if v.Operator == t.d.self && !slices.Contains(t.c.gave, g) { // S2: this node was rolled back behind its own release
		t.d.rolled = true
	}
	if err := t.c.give(g); err != nil {
		return err
	}
	if t.d.sum(func(c Case) int { return len(c.gave) })*mostGave <= maxGave {
		return nil
	}
	if n := t.d.sum(Case.gaveSize); n > maxGave && v.Operator != t.d.self {
		return fmt.Errorf("%w: releases of %d bytes", ErrMany, n)
	}
	return nil
}

func (c *Case) give(g gift) error {
	i, found := slices.BinarySearchFunc(c.gave, g, func(a, b gift) int {
		if n := bytes.Compare(a.activation[:], b.activation[:]); n != 0 {
			return n
		}
		return compare(a.operator, b.operator)
	})
	switch {
	case found:
		return nil
	case len(c.gave) >= maxGifts:
		return fmt.Errorf("%w: %d releases", ErrMany, len(c.gave))
	}
	c.gave = slices.Insert(c.gave, i, g)
	return nil
}

// follow takes new shares that the certificate of an activation brought. Whatever this node thought of the request, veto included, it
// locks up: the certificate holds, and who holds the new shares must keep to the plan.
func follow(t *turn, e Event) error {
	v := e.(Reshared)
	if !slices.ContainsFunc(t.c.request.Keys, func(k keyEpoch) bool { return k.Key == v.Key.Key }) {
		return fmt.Errorf("%w: key %x", ErrForeign, v.Key.Key[:6])
	}
	f := fresh{v.Key, slices.Sorted(slices.Values(v.Committee)), v.Threshold}
	if !f.signs() {
		return fmt.Errorf("%w: threshold: %d of %d members", ErrForeign, v.Threshold, len(v.Committee))
	}
	if slices.ContainsFunc(t.c.reshared, func(o fresh) bool { return o.Key == f.Key }) {
		return nil
	}
	before := t.c.Committee()
	t.c.reshared = slices.DeleteFunc(t.c.reshared, func(o fresh) bool { return o.Key.Key == f.Key.Key })
	t.c.reshared = append(t.c.reshared, f)
	slices.SortFunc(t.c.reshared, func(a, b fresh) int { return bytes.Compare(a.Key.Key[:], b.Key.Key[:]) })
	if slices.ContainsFunc(t.c.Committee(), func(name string) bool { return !slices.Contains(before, name) }) {
		t.c.freed = false // an early release takes all of them, and these did not sign it
	}
	switch t.c.state {
	case Active, LockUp:
		return nil
	}
	t.c.clock = t.c.clock.Again(t.r)
	if t.c.declared.IsZero() {
		t.c.declared, t.c.clock = t.r.Wall, StartClock(t.r)
	}
	t.step(LockUp, "the key has new shares by a certificate of SOS; the vault signs only to its rescue addresses")
	return nil
}

// signs says that some number of the members signs, and no more than there are.
func (f fresh) signs() bool { return 0 < f.threshold && f.threshold <= len(f.committee) }

// among are which of these are of the committee.
func (f fresh) among(names []string) (in []string) {
	for _, name := range f.committee {
		if slices.Contains(names, name) {
			in = append(in, name)
		}
	}
	return in
}

// closes ends the lock-up for good: its time is over, the statement names exactly the keys that have new shares, and for each as many of its new committee
// signed as sign with it anyway. Keys that are left stay in their epochs: a new request may name them.
func closes(t *turn, e Event) error {
	v := e.(ClosedBy)
	if err := timely(t, v.Head, v.Created); err != nil {
		return err
	}
	var keys []keyEpoch
	for _, k := range v.Keys {
		keys = append(keys, k.Key)
	}
	switch {
	case !t.c.unlocked():
		return fmt.Errorf("%w: %s of the lock-up are left on this node's clock", ErrEarly, t.c.Remaining())
	case len(keys) == 0 || !slices.Equal(keys, t.c.Reshared()):
		return fmt.Errorf("%w: not exactly the keys with new shares, in the epochs that SOS brought", ErrForeign)
	}
	for _, f := range t.c.reshared {
		if in := f.among(v.Signed); len(in) < f.threshold {
			return fmt.Errorf("%w: of key %x's new committee %s signed, %d must", ErrPlan, f.Key.Key[:6], list(in), f.threshold)
		}
	}
	t.shut("new shares, new backups, a drill and a report: closed by " + list(v.Signed) + t.c.leaves())
	return nil
}

// yield ends a lock-up that nobody closed in its time, once another emergency gave all keys with new shares newer ones: that one's lock-up holds them now.
func yield(t *turn, e Event) error {
	k := e.(Moved).Key
	i := slices.IndexFunc(t.c.reshared, func(f fresh) bool { return f.Key.Key == k.Key && f.Key != k })
	later := func(f fresh) bool { // by a case that took them
		return slices.ContainsFunc(t.d.cases, func(o Case) bool {
			return slices.Contains(o.request.Keys, f.Key) && slices.ContainsFunc(o.reshared, func(n fresh) bool { return n.Key.Key == f.Key.Key })
		})
	}
	if i < 0 || !t.c.overrun() || slices.ContainsFunc(t.c.reshared, func(f fresh) bool { return !later(f) }) {
		return nil
	}
	t.shut("nobody closed it in its time, and another emergency gave its keys new shares")
	return nil
}

// shut enters CLOSED. Tranches count from the end of the lock-up's time, and what left a rescue vault since counts.
func (t *turn) shut(why string) {
	over := t.c.at + t.c.plan.LockUp
	t.step(Closed, why)
	t.c.at = min(t.c.at, over)
}

// leaves says in words which keys are left as they were; "" if none is.
func (c Case) leaves() (text string) {
	for _, k := range c.Left() {
		text += fmt.Sprintf("; key %x has no new shares and stays in its epoch: after CLOSED a new request may name it", k.Key[:6])
	}
	return text
}

// Awaits says in words what ends a lock-up here; nothing where there is none. signed are who signed the closing that has the most signatures, and the early release.
func (c Case) Awaits(closing, release []string) (waits []string) {
	if c.state != LockUp && (c.state != Closed || c.freed || c.tranchesOver()) {
		return nil
	}
	if c.state == LockUp {
		for _, k := range c.Left() {
			waits = append(waits, fmt.Sprintf("key %x has no new shares: a closing leaves it in its epoch, and after CLOSED a new request may name it", k.Key[:6]))
		}
		switch {
		case c.unlocked():
		case len(c.plan.Successors) == 0 && len(c.reshared) > 0:
			waits = append(waits, "the plan names no successors: only an early release ends the lock-up")
		default:
			waits = append(waits, fmt.Sprintf("%s of the lock-up are left", whole(c.Remaining())))
		}
		for _, f := range c.reshared {
			in := f.among(closing)
			rest := slices.DeleteFunc(slices.Clone(f.committee), func(name string) bool { return slices.Contains(in, name) })
			if n := f.threshold - len(in); n > 0 {
				waits = append(waits, fmt.Sprintf("a closing of key %x is signed by %s, and awaits %d of %s", f.Key.Key[:6], list(in), n, list(rest)))
			}
		}
	}
	if len(release) > 0 && !c.freed {
		rest := slices.DeleteFunc(c.Committee(), func(name string) bool { return slices.Contains(release, name) })
		waits = append(waits, fmt.Sprintf("an early release is signed by %s, and awaits %s", list(release), list(rest)))
	}
	return waits
}

// free ends the lock-up's time and the tranches. The closing is still needed.
func free(t *turn, e Event) error {
	v := e.(Freed).EarlyRelease
	if err := timely(t, v.Head, v.Created); err != nil {
		return err
	}
	if !t.c.freed {
		t.c.freed = true
		t.fx.tell(*t.c, fmt.Sprintf("All operators released vault %s early: %s.", t.c.plan.Name, v.Reason))
	}
	return nil
}
