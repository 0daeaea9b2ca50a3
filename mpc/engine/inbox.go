package engine

import (
	"bytes"
	"slices"
)

// envelopeExtra is how much longer than its body a signed envelope may be, in bytes.
const envelopeExtra = 4096

type slot struct {
	from PartyID
	kind Kind
}

// An inbox holds what was heard: the round that is awaited, the round after it, and for
// evidence the broadcasts of earlier rounds. It is bounded: for each party at most
// Params.Kinds bodies for the next round, and what stages want of the others.
type inbox struct {
	now  map[slot]Msg
	next map[slot]Msg
	past []Msg // broadcasts of finished rounds, in order of rounds, parties and kinds
}

func newInbox() inbox { return inbox{now: map[slot]Msg{}, next: map[slot]Msg{}} }

// earlier finds the broadcast of a finished round that stands in m's place.
func (in *inbox) earlier(m Msg) (Msg, bool) {
	i := slices.IndexFunc(in.past, func(h Msg) bool {
		return h.Round == m.Round && h.From == m.From && h.Kind == m.Kind
	})
	if i < 0 {
		return Msg{}, false
	}
	return in.past[i], true
}

// count is how many messages of a party are held for the next round.
func (in *inbox) count(from PartyID) int {
	n := 0
	for k := range in.next {
		if k.from == from {
			n++
		}
	}
	return n
}

func same(a, b Msg) bool {
	return a.To == b.To && a.Echo == b.Echo && bytes.Equal(a.Body, b.Body)
}

// Equivocation reports whether one party sent two different messages where the protocol
// has one, and if so the fault that says it. It is Proved when both envelopes are there.
// The two may have been heard by different parties.
func Equivocation(a, b Msg) (*Fault, bool) {
	if a.Session != b.Session || a.Round != b.Round || a.Kind != b.Kind || a.From != b.From {
		return nil, false
	}
	if a.To != b.To && a.To != Everyone && b.To != Everyone {
		return nil, false // direct messages to two parties may differ
	}
	if same(a, b) {
		return nil, false
	}
	f := &Fault{
		Session: a.Session, Round: a.Round, Accused: []PartyID{a.From},
		Check: "engine: equivocation", Class: Blame, Evidence: []Msg{a, b},
	}
	if len(a.Signed) > 0 && len(b.Signed) > 0 {
		f.Strength = Proved
	}
	return f, true
}
