package enginetest

import (
	"slices"

	"github.com/ostraka/ostraka/mpc/engine"
)

// A Hook says what one receiver gets in place of a message: nothing, the message, or
// others. The message is a copy; broadcasts come once for each receiver. Envelopes are
// made anew afterwards, as a corrupt sender would sign what it sends.
type Hook func(to engine.PartyID, m engine.Msg) []engine.Msg

// Match selects messages; zero fields match everything.
type Match struct {
	From, To engine.PartyID // To is the receiver, of broadcasts too
	Round    uint8
	Kind     engine.Kind
}

// Has reports whether a message to a receiver is selected.
func (w Match) Has(to engine.PartyID, m engine.Msg) bool {
	return (w.From == engine.PartyID{} || w.From == m.From) &&
		(w.To == engine.PartyID{} || w.To == to) &&
		(w.Round == 0 || w.Round == m.Round) && (w.Kind == 0 || w.Kind == m.Kind)
}

// Mutate says what arrives in place of a message; it may change m.
type Mutate func(m *engine.Msg) []engine.Msg

// On makes a hook of one mutation of the selected messages.
func On(w Match, do Mutate) Hook {
	return func(to engine.PartyID, m engine.Msg) []engine.Msg {
		if !w.Has(to, m) {
			return []engine.Msg{m}
		}
		return do(&m)
	}
}

// Hooks applies hooks one after another.
func Hooks(hooks ...Hook) Hook {
	return func(to engine.PartyID, m engine.Msg) []engine.Msg {
		all := []engine.Msg{m}
		for _, h := range hooks {
			var out []engine.Msg
			for _, m := range all {
				out = append(out, h(to, clone(m))...)
			}
			all = out
		}
		return all
	}
}

// Drop loses the message.
func Drop(*engine.Msg) []engine.Msg { return nil }

// Twice repeats the message.
func Twice(m *engine.Msg) []engine.Msg { return []engine.Msg{*m, *m} }

// Flip changes bit i of the body.
func Flip(i int) Mutate { return Edit(flip(i)) }

// Edit replaces the body.
func Edit(edit func(body []byte) []byte) Mutate {
	return func(m *engine.Msg) []engine.Msg {
		m.Body = edit(slices.Clone(m.Body))
		return []engine.Msg{*m}
	}
}

// Besides sends an altered body after the true one.
func Besides(edit func(body []byte) []byte) Mutate {
	return func(m *engine.Msg) []engine.Msg {
		other := clone(*m)
		other.Body = edit(other.Body)
		return []engine.Msg{*m, other}
	}
}

func flip(i int) func([]byte) []byte {
	return func(b []byte) []byte {
		if i/8 < len(b) {
			b[i/8] ^= 1 << (i % 8)
		}
		return b
	}
}

// Corrupt makes a corrupt party out of an honest first stage: edit changes what each
// round sends, and the party's own transcript notes the changed form. The round is that
// of the messages, 1 for what Start sends.
func Corrupt[R any](first engine.Stage[R], edit func(round uint8, out []engine.Out) []engine.Out) engine.Stage[R] {
	return &corrupt[R]{first, 1, edit}
}

// CorruptBody makes a corrupt party that alters the bodies of one kind: to one receiver,
// or for engine.Everyone to all, broadcast or direct.
func CorruptBody[R any](first engine.Stage[R], kind engine.Kind, to engine.PartyID, edit func(body []byte) []byte) engine.Stage[R] {
	return Corrupt(first, func(_ uint8, out []engine.Out) []engine.Out {
		for i, o := range out {
			if o.Kind == kind && (to == engine.Everyone || to == o.To) {
				out[i].Body = edit(slices.Clone(o.Body))
			}
		}
		return out
	})
}

type corrupt[R any] struct {
	engine.Stage[R]
	round uint8
	edit  func(uint8, []engine.Out) []engine.Out
}

func (c *corrupt[R]) Finish(t engine.Transcript) (engine.Outcome[R], error) {
	out, err := c.Stage.Finish(t)
	if err != nil {
		return out, err
	}
	out.Send = c.edit(c.round, out.Send)
	if out.Next != nil {
		out.Next = &corrupt[R]{out.Next, c.round + 1, c.edit}
	}
	return out, nil
}
