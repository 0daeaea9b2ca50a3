package history

import "github.com/anishathalye/porcupine"

// Slots is how many values a group of the Store model has.
const Slots = 4

// A Slot is one value of a group; empty: there is none.
type Slot struct {
	N     int
	Value string
}

// A Batch is asked of a store: if all conditions hold, all is written, else nothing. It is answered by an Outcome. Whoever writes gives each value once:
// then a value stands for the revision under which a store keeps it.
type Batch struct {
	Group   string
	If, Put []Slot
}

// An Outcome is what the caller of a Batch was told.
type Outcome int

const (
	Done    Outcome = iota
	Refused         // a condition did not hold: nothing was written
	Unknown         // it was written, or was not
)

func (o Outcome) String() string { return [...]string{"done", "refused", "unknown"}[o] }

// A Look asks for one value; it is answered by it.
type Look struct {
	Group string
	N     int
}

// Store is a store of groups of values: a one-time token is a batch that wants its slot empty, a limit one that wants the count that it read.
func Store() Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{[Slots]string{}} },
		Step: func(state, asked, answer any) []any {
			now := state.([Slots]string)
			if l, ok := asked.(Look); ok {
				return when(now[l.N] == answer.(string), now)
			}
			b := asked.(Batch)
			holds, next := true, now
			for _, c := range b.If {
				holds = holds && now[c.N] == c.Value
			}
			for _, p := range b.Put {
				next[p.N] = p.Value
			}
			switch answer.(Outcome) {
			case Done:
				return when(holds, next)
			case Refused:
				return when(!holds, now)
			}
			if holds {
				return []any{now, next}
			}
			return []any{now}
		},
	}
	return Model{Model: m.ToModel(), part: func(asked any) string {
		if l, ok := asked.(Look); ok {
			return "group " + l.Group
		}
		return "group " + asked.(Batch).Group
	}}
}

// when is one next state, or none: the answer was wrong.
func when(right bool, next any) []any {
	if right {
		return []any{next}
	}
	return nil
}

// A Reign says that an owner began by this fencing token, or (if Write) that a batch was written under it.
type Reign struct {
	Store string
	Token uint64
	Write bool
}

// Fencing is who owns a store: tokens rise, and nothing is written but under the last one.
func Fencing() Model {
	return Model{part: func(asked any) string { return "store " + asked.(Reign).Store }, Model: porcupine.Model{
		Init: func() any { return uint64(0) },
		Step: func(state, asked, _ any) (bool, any) {
			last, r := state.(uint64), asked.(Reign)
			if r.Write {
				return r.Token == last, last
			}
			return r.Token > last, r.Token
		},
	}}
}

// Operators is how many a Life knows.
const Operators = 3

// Told is what one operator's node acknowledged of an intent: that it knows it, and a vote, each a bit.
type Told struct {
	Intent   string
	Operator int
	Votes    uint8
}

// Seen is what one operator's node showed of an intent; Raw is what is signed, empty before.
type Seen struct {
	Intent   string
	Operator int
	Known    bool
	Votes    uint8
	Raw      string
}

// life is an intent's: one signature for all operators, ever; and what each of them has acknowledged or shown.
type life struct {
	raw string
	at  [Operators]sight
}

type sight struct {
	known, signed bool
	votes         uint8
}

// Life is an intent's over all operators: what a node acknowledged or showed once, it shows from then on, whichever of its replicas answers; and there
// is one signature. A node may come to know more at any time, from the others.
func Life() Model {
	part := func(asked any) string {
		if t, ok := asked.(Told); ok {
			return "intent " + t.Intent
		}
		return "intent " + asked.(Seen).Intent
	}
	return Model{part: part, Model: porcupine.Model{
		Init: func() any { return life{} },
		Step: func(state, asked, _ any) (bool, any) {
			l := state.(life)
			if t, ok := asked.(Told); ok {
				l.at[t.Operator].known = true
				l.at[t.Operator].votes |= t.Votes
				return true, l
			}
			s := asked.(Seen)
			at := &l.at[s.Operator]
			switch {
			case at.known && !s.Known, at.votes&^s.Votes != 0, at.signed && s.Raw == "":
				return false, l // it was lost
			case s.Raw != "" && l.raw != "" && s.Raw != l.raw:
				return false, l // it was signed twice
			}
			*at = sight{s.Known, s.Raw != "", s.Votes}
			if s.Raw != "" {
				l.raw = s.Raw
			}
			return true, l
		},
	}}
}
