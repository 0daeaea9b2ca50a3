package engine

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
)

// checkExpect holds a stage to the contract.
func (s *Session[R]) checkExpect() error {
	const doing = "enter stage"
	if s.round > MaxRounds {
		return misuse(doing, "more than %d rounds", MaxRounds)
	}
	due := map[PartyID]int{}
	for i, w := range s.expect.Wants {
		if slices.ContainsFunc(s.expect.Wants[:i], func(o Want) bool { return o.Kind == w.Kind }) {
			return misuse(doing, "kind %#x is wanted twice", uint8(w.Kind))
		}
		if w.MaxBody < 0 || w.MaxBody > s.params.MaxBody {
			return misuse(doing, "kind %#x may have %d bytes, the session allows %d", uint8(w.Kind), w.MaxBody, s.params.MaxBody)
		}
		for j, id := range w.From {
			due[id]++
			switch {
			case id == s.self || !slices.Contains(s.params.Parties, id):
				return misuse(doing, "kind %#x is wanted of %v, no other party", uint8(w.Kind), id)
			case slices.Contains(w.From[:j], id):
				return misuse(doing, "kind %#x is wanted of %v twice", uint8(w.Kind), id)
			case due[id] > s.params.Kinds:
				return misuse(doing, "more than %d messages are wanted of %v", s.params.Kinds, id)
			}
		}
	}
	for _, g := range s.expect.Guard {
		if g.Peer == s.self || !slices.Contains(s.params.Parties, g.Peer) {
			return misuse(doing, "guards a pair with %v, no other party", g.Peer)
		}
	}
	return nil
}

// checkOutcome holds what a stage leaves to the contract.
func (s *Session[R]) checkOutcome(out Outcome[R]) error {
	const doing = "take outcome"
	if (out.Next == nil) == (out.Result == nil) {
		return misuse(doing, "want exactly one of Next and Result")
	}
	for i, o := range out.Send {
		switch {
		case o.To == s.self || o.To != Everyone && !slices.Contains(s.params.Parties, o.To):
			return misuse(doing, "kind %#x goes to %v, no other party", uint8(o.Kind), o.To)
		case len(o.Body) > s.params.MaxBody:
			return misuse(doing, "kind %#x has %d bytes, the session allows %d", uint8(o.Kind), len(o.Body), s.params.MaxBody)
		case slices.ContainsFunc(out.Send[:i], func(e Out) bool {
			return e.Kind == o.Kind && (e.To == o.To || e.To == Everyone || o.To == Everyone)
		}):
			return misuse(doing, "kind %#x goes to %v twice", uint8(o.Kind), o.To)
		}
	}
	return nil
}

// fault completes a stage's fault: where it happened, the accused's messages, and the
// tokens of the pairs it burns, should the stage have left them out.
func (s *Session[R]) fault(eff *Effects[R], f *Fault) error {
	const doing = "take fault"
	f.Session, f.Round = s.params.Session, s.round
	if f.Class < Transient || f.Class > BurnPair || (len(f.Accused) > 0) != (f.Class >= Blame) {
		return misuse(doing, "class and accused do not fit: %v", f)
	}
	for _, id := range f.Accused {
		if id == s.self || !slices.Contains(s.params.Parties, id) {
			return misuse(doing, "accuses no other party: %v", f)
		}
		if f.Class == BurnPair {
			for _, g := range s.expect.Guard {
				if g.Peer == id && !slices.Contains(eff.Burn, g) {
					eff.Burn = append(eff.Burn, g)
				}
			}
		}
	}
	if len(f.Evidence) == 0 {
		for _, m := range s.Heard() {
			if slices.Contains(f.Accused, m.From) {
				f.Evidence = append(f.Evidence, m)
			}
		}
	}
	if len(f.Evidence) == 0 || slices.ContainsFunc(f.Evidence, func(m Msg) bool { return len(m.Signed) == 0 }) {
		f.Strength = Local // without envelopes it convinces nobody else
	}
	return f
}

// Merge makes one fault of several: the strongest class wins (BurnPair, Blame,
// Unattributed, Transient), and what was found in that class stands together. It
// returns nil for none.
func Merge(faults ...*Fault) *Fault {
	var worst Class
	for _, f := range faults {
		worst = max(worst, f.Class)
	}
	var m *Fault
	for _, f := range faults {
		switch {
		case f.Class != worst:
			continue
		case m == nil:
			c := *f
			m = &c
			m.Accused, m.Evidence = slices.Clone(f.Accused), slices.Clone(f.Evidence)
			continue
		}
		for _, id := range f.Accused {
			if !slices.Contains(m.Accused, id) {
				m.Accused = append(m.Accused, id)
			}
		}
		m.Strength = min(m.Strength, f.Strength)
		m.Evidence = append(m.Evidence, f.Evidence...)
		if f.Check != m.Check {
			m.Check += ", " + f.Check
		}
		m.Err = errors.Join(m.Err, f.Err)
	}
	return m
}

// shouts are all broadcasts of the round, ours among them, in transcript order.
func (s *Session[R]) shouts() []shout {
	all := slices.Clone(s.own)
	for _, m := range s.inbox.now {
		if m.To == Everyone {
			all = append(all, shout{m.From, m.Kind, m.Body})
		}
	}
	slices.SortFunc(all, func(a, b shout) int {
		return cmp.Or(s.place(a.from)-s.place(b.from), cmp.Compare(a.kind, b.kind))
	})
	return all
}

func (s *Session[R]) sorted(in map[slot]Msg) []Msg {
	var all []Msg
	for _, m := range in {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Msg) int {
		return cmp.Or(s.place(a.From)-s.place(b.From), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

func (s *Session[R]) place(id PartyID) int { return slices.Index(s.params.Parties, id) }

func sortTokens(t []Token) []Token {
	t = slices.Clone(t)
	slices.SortFunc(t, func(a, b Token) int {
		return cmp.Or(bytes.Compare(a.Key[:], b.Key[:]), bytes.Compare(a.Peer[:], b.Peer[:]))
	})
	return slices.Compact(t)
}
