package sos

import (
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos/plan"
)

// Slack is how much longer than twice its delay a declaration may wait to become ACTIVE.
const Slack = 7 * 24 * time.Hour

// heed keeps the last step that another node told of.
func heed(t *turn, e Event) error {
	s := e.(Stepped).Step
	if err := s.Head.Of(t.c.request); err != nil {
		return fmt.Errorf("%w: %w", ErrForeign, err)
	}
	if s.Operator == t.d.self { // this node knows its own, unless it was rolled back behind them (S2)
		t.d.rolled = t.d.rolled || t.c.state == Armed && stateOf(s.State).Holds()
		return nil
	}
	if _, ok := t.c.plan.Anyone(s.Operator); !ok {
		return fmt.Errorf("%w: %s is no operator of the circle", ErrForeign, s.Operator)
	}
	w := word{s.Operator, stateOf(s.State), s.Created}
	i, found := slices.BinarySearchFunc(t.c.steps, w.operator, func(a word, name string) int { return compare(a.operator, name) })
	switch {
	case !found:
		t.c.steps = slices.Insert(t.c.steps, i, w)
	case t.c.steps[i].created.Before(w.created):
		t.c.steps[i] = w
	}
	return nil
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func told(t *turn, _ Event) error {
	t.c.told = true
	return nil
}

// knows says which contributors' logs hold the declaration, this node's own too.
func (c Case) knows(self string) (names []string) {
	for _, name := range c.plan.Contributors(c.request.Subjects) {
		if name == self && c.state.Holds() || slices.ContainsFunc(c.steps, func(w word) bool { return w.operator == name && w.state.Holds() }) {
			names = append(names, name)
		}
	}
	return names
}

// noticed says that the declaration is known where it must be: at r contributors; in silence at every one, for then every other
// node must have seen it (S10).
func (c Case) noticed(self string) bool { return len(c.knows(self)) >= c.witnesses() }

// witnesses is how many contributors' logs must hold the declaration.
func (c Case) witnesses() int {
	if c.request.Trigger == plan.Silence {
		return len(c.plan.Contributors(c.request.Subjects))
	}
	return c.plan.Live
}

// expired says for which contributors the request is over, as they say, though nobody vetoed it.
func (c Case) expired() (names []string) {
	for _, w := range c.steps {
		if w.state == Expired && slices.Contains(c.plan.Contributors(c.request.Subjects), w.operator) {
			names = append(names, w.operator)
		}
	}
	return names
}

// stranded says that the declaration cannot come to stand in the logs where it must any more: for too many the request is over. A subject that kept its last word of a
// refresh back gives it to one that has not declared yet: that one moves, its request is void, and the others would wait for it for twice the delay and Slack. Who
// does not contribute wants to hear it from r of them: one could put off successors of its choice by what it tells them alone.
func (c Case) stranded(self string) bool {
	all, over := c.plan.Contributors(c.request.Subjects), len(c.expired())
	return len(all)-over < c.witnesses() && (slices.Contains(all, self) || over >= min(c.plan.Live, len(all)))
}

// contest begins the delay: the notices went out, the others have it in their logs, and the chain's height is known where one counts.
func contest(t *turn, e Event) error {
	height := e.(Tick).Height
	switch {
	case t.overdue():
		t.step(Expired, "the declaration did not reach the nodes that must know it")
	case t.c.stranded(t.d.self):
		t.step(Expired, "the declaration comes too late for the nodes that must know it: for "+list(t.c.expired())+" the request is over")
	case t.d.rolled, !t.c.told, !t.c.noticed(t.d.self), t.c.plan.Chain != "" && height == 0:
	default:
		t.c.height, t.c.clock = height, t.c.clock.Again(t.r)
		t.step(Contest, fmt.Sprintf("it stands in the logs of %s; the delay of %s begins", list(t.c.knows(t.d.self)), t.c.trigger().Delay))
	}
	return nil
}

// overdue says that a declaration has waited too long, by any clock: it would be acted on when nobody remembers it (S1, S6).
func (t *turn) overdue() bool {
	most := 2*t.c.trigger().Delay + Slack
	return t.r.Wall.Sub(t.c.declared) >= most || t.c.clock.Credited >= most
}

// mature asks whether the delay is over. A nanosecond less is not (S1).
func mature(t *turn, e Event) error {
	wait := t.d.waits(*t.c, e.(Tick).Height)
	switch {
	case t.overdue():
		t.step(Expired, "it did not become active in its time: "+list(wait))
	case len(wait) == 0:
		t.step(Active, fmt.Sprintf("the delay is over on this node's clock, and %s consent; for %s the plan may be carried out", list(t.c.Consents()), t.c.plan.Window))
	}
	return nil
}

// waits is what a case in CONTEST waits for.
func (d Docket) waits(c Case, height uint64) (waits []string) {
	if rest := c.trigger().Delay - c.clock.Credited; rest > 0 { // S1, S2
		waits = append(waits, fmt.Sprintf("%s of the delay are left", whole(rest)))
	}
	if height < c.height+c.plan.Blocks {
		waits = append(waits, fmt.Sprintf("chain %s must reach block %d", c.plan.Chain, c.height+c.plan.Blocks))
	}
	if n := c.plan.Live - len(c.Consents()); n > 0 { // silence is no consent
		waits = append(waits, fmt.Sprintf("%s must consent (so far %s)", more(n, "operator's own person", "operators' own persons"), list(c.Consents())))
	}
	if d.rolled {
		waits = append(waits, "the operator must confirm after a roll-back")
	}
	return waits
}

// Waits is what the open case in CONTEST waits for, in words for people.
func (d Docket) Waits(v View) []string {
	if c, ok := d.Open(); ok && c.state == Contest {
		return d.waits(c, v.Height)
	}
	return nil
}

// closing says that ACTIVE is over, by any clock: who sets one back gains no time (S1).
func (c Case) closing(r Reading) bool {
	return r.Wall.Sub(c.since) >= c.plan.Window || c.clock.Credited-c.at >= c.plan.Window
}

// window asks whether ACTIVE is over.
func window(t *turn, _ Event) error {
	switch {
	case !t.c.closing(t.r):
	case t.c.given(t.d.self):
		t.step(LockUp, "the window is over; the vault signs only to its rescue addresses"+t.c.unfinished())
	default:
		t.step(Expired, "the window is over, and nothing was given")
	}
	return nil
}

// unfinished says which keys of several have no new shares, where some have.
func (c Case) unfinished() string {
	if len(c.reshared) == 0 {
		return ""
	}
	return c.leaves()
}

// lock asks whether the lock-up is over. If no new shares are known, then nothing came of it. Else it takes a closing.
func lock(t *turn, _ Event) error {
	if len(t.c.reshared) == 0 && t.c.unlocked() {
		t.step(Expired, "the lock-up is over, and no new shares are known")
	}
	return nil
}

// unlocked says that the lock-up's time is over, or all released early. A plan without successors leaves the vault rescue-only: then
// its time is never over.
func (c Case) unlocked() bool {
	if c.freed {
		return true
	}
	return (len(c.plan.Successors) > 0 || len(c.reshared) == 0) && c.clock.Credited-c.at >= c.plan.LockUp
}

// again counts a delay anew after a roll-back, whatever was given; an ACTIVE case that gave nothing is back in CONTEST (S2). A fork or a
// confirmation changes no count.
func again(t *turn, e Event) error {
	if _, ok := e.(RolledBack); !ok {
		return nil
	}
	t.c.clock, t.c.at = t.c.clock.Again(t.r), 0
	if t.c.state == Active && !t.c.given(t.d.self) {
		t.step(Contest, "this node was rolled back: the delay is counted again")
	}
	return nil
}

// relock begins a lock-up, or tranches, anew after a roll-back.
func relock(t *turn, e Event) error {
	if _, ok := e.(RolledBack); ok {
		t.c.clock, t.c.at = t.c.clock.Again(t.r), 0
	}
	return nil
}

// lapse ends a request whose key got a new epoch by another way: its backups are of the old one (S6).
func lapse(t *turn, e Event) error {
	k := e.(Moved).Key
	old := slices.IndexFunc(t.c.request.Keys, func(o keyEpoch) bool { return o.Key == k.Key })
	if old < 0 || t.c.request.Keys[old] == k || slices.Contains(t.c.Reshared(), k) {
		return nil
	}
	why := fmt.Sprintf("key %x has a new epoch that SOS did not bring", k.Key[:6])
	if t.c.given(t.d.self) {
		t.step(LockUp, why)
		return nil
	}
	t.step(Expired, why)
	return nil
}
