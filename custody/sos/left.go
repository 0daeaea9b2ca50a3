package sos

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos/plan"
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
	swept, after := d.sum(func(c Case) int { return c.spentSize(false) }), d.sum(func(c Case) int { return c.spentSize(true) })
	for i := range next.cases {
		c := &next.cases[i]
		*c = c.clone()
		k := marking{c: c, left: [2]int{min(maxSweptCase-c.spentSize(false), maxSwept-swept), maxTranched - after}, over: map[total]int64{}}
		had := k.left
		for _, p := range all {
			if !p.Transaction || !c.binds(p.Outflow) {
				continue
			}
			if p.since(c.request.ID, c.request.Created) {
				k.take(p.Outflow, Transfer)
			}
			if began := c.holdsSince(d.rolled); !began.IsZero() && c.awaitsTranches() && p.since(statement.ID{}, began) {
				k.take(p.Outflow, tranched)
			}
		}
		k.done()
		swept, after = swept+had[0]-k.left[0], after+had[1]-k.left[1]
	}
	return next
}

// since says that somebody allowed it by the plan of a request, or by the ordinary rules, then or later. What lies in the time of the request alone can be its.
func (p Past) since(request statement.ID, began time.Time) bool {
	return slices.ContainsFunc(p.Grounds, func(g Ground) bool { return g.Request == request && !g.At.Before(began) })
}

// holdsSince is since when what the ordinary rules allow is of the tranches: before the end of the lock-up they allow nothing. A node that was set back may not have the declaration
// any more, and what it declared since, or took a certificate for, began earlier at others; then it counts from the request on.
func (c Case) holdsSince(rolled bool) time.Time {
	if rolled && c.declared.Equal(c.since) {
		return c.request.Created
	}
	return c.declared
}

// awaitsTranches says that tranches bound what leaves, or will. Of a request that only gathers support they bind nothing, and all that is ordinary would be counted.
func (c Case) awaitsTranches() bool {
	return len(c.plan.Tranches) > 0 && (c.state.Holds() || c.state == Closed && !c.tranchesOver())
}

// Bound counts the requests that hold a vault, or held it: when one more does, what left is counted anew.
func (d Docket) Bound() (n int) {
	for _, c := range d.cases {
		if c.state.Holds() || c.state == Closed {
			n++
		}
	}
	return n
}

// A marking counts what left in one case, in the room that there is.
type marking struct {
	c    *Case
	left [2]int          // bytes, before the end of the lock-up and after it
	over map[total]int64 // what found none; the amounts of the keys are 0
}

func (k *marking) take(o Outflow, w What) {
	sums := map[string]int64{}
	for _, f := range o.Flows {
		switch {
		case f.What == Remainder, w == tranched && f.Asset == "":
		case f.What == Call && w == Transfer:
			if call, ok := k.c.plan.Called(o.Chain, f.To, f.Data); ok {
				k.mark(o, Call, call.Name, 1)
			}
		case add(sums, f) != nil:
			sums[f.Asset] = math.MaxInt64 // more than can be counted
		}
	}
	for _, asset := range slices.Sorted(maps.Keys(sums)) {
		k.mark(o, w, asset, sums[asset])
	}
}

// mark counts at least so much of one thing, under no intent: this node's own leave names the intent (take).
func (k *marking) mark(o Outflow, w What, name string, amount int64) {
	c, slot := k.c, o.Slot
	if slot == [32]byte{} {
		slot = o.Intent // nothing else takes its place
	}
	if c.isSettled(slot) {
		return // it is known what took place there
	}
	i := slices.IndexFunc(c.spent, func(s spend) bool { return s.what == w && s.name == name && (s.slot == slot || s.intent == o.Intent) })
	if i >= 0 {
		c.spent[i].amount = max(c.spent[i].amount, amount)
		return
	}
	s, part := spend{what: w, name: name, amount: amount, slot: slot}, 0
	if w == tranched {
		part = 1
	}
	n := sized(Case{spent: []spend{s}}.encodeSpent)
	none := slices.ContainsFunc(c.totals, func(t total) bool { return t.what == w && t.name == name && t.over > 0 }) // there was none before: it is of that sum
	if none || n > k.left[part] || len(c.spent) >= maxSpends {
		key := total{what: w, name: name}
		k.over[key] += min(amount, math.MaxInt64-k.over[key])
		return
	}
	k.left[part] -= n
	c.spent = append(c.spent, s)
}

// done keeps what found no room, as one sum of each thing that is bound: who asks for nothing more, or is away, must not have less counted than left. It is all of it each time, so what is told twice
// is not counted twice; what has a place of its own since counts there besides.
func (k *marking) done() {
	for key, amount := range k.over {
		if k.c.bounds(key.what, key.name) {
			t := k.c.total(key.what, key.name)
			t.over = max(t.over, amount)
		}
	}
}

// A total is what was counted of one thing, beyond what has a place of its own.
type total struct {
	what What
	name string
	over int64 // of what left without this node's leave
	gone int64 // of what a chain took for good
}

// bounds says whether the plan bounds how much of one thing leaves: of nothing else a sum is needed.
func (c Case) bounds(w What, name string) bool {
	switch w {
	case Call:
		return slices.ContainsFunc(c.plan.Calls, func(x plan.Call) bool { return x.Name == name })
	case tranched:
		return slices.ContainsFunc(c.plan.Tranches, func(t plan.Tranche) bool { return t.Asset == name })
	}
	_, capped := c.plan.Cap(name)
	return capped
}

// total is that of one thing; it begins with nothing.
func (c *Case) total(w What, name string) *total {
	i, found := slices.BinarySearchFunc(c.totals, total{what: w, name: name}, byThing)
	if !found {
		c.totals = slices.Insert(c.totals, i, total{what: w, name: name})
	}
	return &c.totals[i]
}

func byThing(a, b total) int { return cmp.Or(cmp.Compare(a.what, b.what), cmp.Compare(a.name, b.name)) }
