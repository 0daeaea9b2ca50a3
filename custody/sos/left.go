package sos

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
)

// A Past is a transaction that may be signed, whatever this node said of it: operators enough are known to have allowed it, or this node itself did.
type Past struct {
	Outflow
	Grounds []Ground
}

// A Ground is one operator's signed ALLOW.
type Ground struct {
	Request statement.ID // whose plan was the rule; zero: the ordinary rules were
	At      time.Time    // when it was said
}

// Left counts what left without this docket's leave (spec/sos 5.4): its node was away while it was allowed, or lost what it had counted. It is counted and not judged, since it
// cannot be taken back; nothing is signed for having been counted so, and of what has one slot no more is counted than the largest.
func (d Docket) Left(all []Past) Docket {
	next := d.clone()
	for i := range next.cases {
		c := &next.cases[i]
		*c = c.clone()
		for _, p := range all {
			if !p.Transaction || !c.binds(p.Outflow) {
				continue
			}
			if p.since(c.request.ID, c.request.Created) {
				c.left(p.Outflow, Transfer)
			}
			if began := c.holdsSince(d.rolled); !began.IsZero() && c.awaitsTranches() && p.since(statement.ID{}, began) {
				c.left(p.Outflow, tranched)
			}
		}
	}
	return next
}

// since says that somebody allowed it by the plan of a request, or by the ordinary rules, then or later. What lies in the time of the request alone can be its.
func (p Past) since(request statement.ID, began time.Time) bool {
	return slices.ContainsFunc(p.Grounds, func(g Ground) bool { return g.Request == request && !g.At.Before(began) })
}

// holdsSince is since when what the ordinary rules allow is of the tranches: before the end of the lock-up they allow nothing. A node that was rolled back may not have the declaration
// any more; then it counts from the request on.
func (c Case) holdsSince(rolled bool) time.Time {
	if c.declared.IsZero() && rolled {
		return c.request.Created
	}
	return c.declared
}

// awaitsTranches says that tranches bound what leaves, or will.
func (c Case) awaitsTranches() bool {
	return len(c.plan.Tranches) > 0 && (c.state != Closed && !c.state.Ended() || c.state == Closed && !c.tranchesOver())
}

func (c *Case) left(o Outflow, w What) {
	sums := map[string]int64{}
	for _, f := range o.Flows {
		switch {
		case f.What == Remainder, w == tranched && f.Asset == "":
		case f.What == Call && w == Transfer:
			if call, ok := c.plan.Called(o.Chain, f.To, f.Data); ok {
				c.mark(o, Call, call.Name, 1)
			}
		case add(sums, f) != nil:
			sums[f.Asset] = math.MaxInt64 // more than can be counted
		}
	}
	for _, asset := range slices.Sorted(maps.Keys(sums)) {
		c.mark(o, w, asset, sums[asset])
	}
}

// mark counts at least so much of one thing, under no intent: this node's own leave names the intent (take).
func (c *Case) mark(o Outflow, w What, name string, amount int64) {
	slot := o.Slot
	if slot == [32]byte{} {
		slot = o.Intent // nothing else takes its place
	}
	if slices.ContainsFunc(c.spent, func(s spend) bool { return s.final && s.slot == slot }) {
		return // it is known what took place there
	}
	i := slices.IndexFunc(c.spent, func(s spend) bool { return s.what == w && s.name == name && (s.slot == slot || s.intent == o.Intent) })
	switch {
	case i >= 0:
		c.spent[i].amount = max(c.spent[i].amount, amount)
	case len(c.spent) < maxSpends: // else nothing more is taken here
		c.spent = append(c.spent, spend{what: w, name: name, amount: amount, slot: slot})
	}
}
