package sos

import (
	"errors"
	"slices"
)

// Settle says that a chain took a transaction for good: of all that have its slot, none takes place any more. From then on it counts alone, and what else was counted there
// is free again. counted is false if no case has anything in that slot.
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
			next.cases[i], counted = c.settled(o, r.plain()), true
		}
	}
	return next, counted
}

func (c Case) settled(o Outflow, r Reading) Case {
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
	var failed error
	if swept {
		failed = next.take(o, Transfer, sums, r)
	}
	if swept && len(calls) > 0 {
		failed = errors.Join(failed, next.take(o, Call, calls, r))
	}
	if inTranches {
		failed = errors.Join(failed, next.take(o, tranched, sums, r))
	}
	if failed != nil {
		return c
	}
	for i := range next.spent {
		next.spent[i].final = next.spent[i].final || next.spent[i].slot == o.Slot
	}
	return next
}
