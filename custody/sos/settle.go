package sos

import (
	"bytes"
	"math"
	"slices"
)

// Settle says that a chain took a transaction for good: of all that have its slot, none takes place any more. From then on it counts alone, and what else was counted there
// is free again. counted is false if no case has anything in that slot, or knew it. A case keeps the slot, so that nothing is counted there any more, and the sums: rows of it would take the
// place of what may still leave.
//
// What it counts is the transaction itself, as the node decoded it, whether a case had counted it or not: one from before the declaration may have taken the nonce. What cannot be
// added up stays as it was counted: never is less counted than left.
func (d Docket) Settle(o Outflow, r Reading) (next Docket, counted bool) {
	if o.Slot == [32]byte{} {
		return d, false
	}
	next = d.clone()
	for i := range next.cases {
		if c := next.cases[i]; slices.ContainsFunc(c.spent, func(s spend) bool { return s.slot == o.Slot }) {
			next.cases[i], counted = c.settled(o), true
		}
	}
	return next, counted
}

func (c Case) settled(o Outflow) Case {
	sums, calls, swept, inTranches := map[string]int64{}, map[string]int64{}, false, false
	next := c.clone()
	next.spent = slices.DeleteFunc(next.spent, func(s spend) bool {
		here := s.slot == o.Slot
		swept, inTranches = swept || here && s.what != tranched, inTranches || here && s.what == tranched
		return here
	})
	for _, f := range o.Flows {
		if f.What == Remainder {
			continue
		}
		if add(sums, f) != nil {
			return c
		}
		if call, ok := c.plan.Called(o.Chain, f.To, f.Data); ok && f.What == Call {
			calls[call.Name] = 1
		}
	}
	if swept {
		next.gone(Transfer, sums)
		next.gone(Call, calls)
	}
	if inTranches {
		next.gone(tranched, sums)
	}
	list := &next.slots[0]
	if !swept {
		list = &next.slots[1]
	}
	i, _ := slices.BinarySearchFunc(*list, settledSlot(o.Slot[:16]), settledSlot.compare)
	*list = slices.Insert(*list, i, settledSlot(o.Slot[:16]))
	return next
}

// gone counts for good what a chain took.
func (c *Case) gone(w What, sums map[string]int64) {
	for name, amount := range sums {
		if c.bounds(w, name) {
			t := c.total(w, name)
			t.gone += min(amount, math.MaxInt64-t.gone)
		}
	}
}

// A settledSlot is how a slot is kept that its chain gave away for good: slots are hashes, and nobody finds two that begin so.
type settledSlot [16]byte

func (s settledSlot) compare(o settledSlot) int { return bytes.Compare(s[:], o[:]) }

// isSettled says whether it is known what took place in a slot.
func (c Case) isSettled(slot [32]byte) bool {
	for _, list := range c.slots {
		if _, found := slices.BinarySearchFunc(list, settledSlot(slot[:16]), settledSlot.compare); found {
			return slot != [32]byte{}
		}
	}
	return false
}
