package ceremony

import (
	"errors"
	"slices"

	"github.com/ostraka/ostraka/mpc/engine"
)

// two is the result of two protocols that ran side by side.
type two[A, B any] struct {
	a *A
	b *B
}

// beside runs two protocols in the same rounds: their messages travel together, and no
// message of either leaves unless both finished the round before.
type beside[A, B any] struct {
	a      engine.Stage[A] // nil once a result is there
	b      engine.Stage[B]
	r      two[A, B]
	forget func(two[A, B]) // wipes a result that waited in vain; nil if results hold no secret
}

func (s *beside[A, B]) Expect() engine.Expect {
	var e engine.Expect
	for _, x := range []engine.Expect{expectOf(s.a), expectOf(s.b)} {
		e.Wants, e.Guard = append(e.Wants, x.Wants...), append(e.Guard, x.Guard...)
	}
	return e
}

func expectOf[R any](s engine.Stage[R]) engine.Expect {
	if s == nil {
		return engine.Expect{}
	}
	return s.Expect()
}

func (s *beside[A, B]) Accept(kind engine.Kind, from engine.PartyID, body []byte) error {
	if slices.ContainsFunc(expectOf(s.a).Wants, func(w engine.Want) bool { return w.Kind == kind }) {
		return s.a.Accept(kind, from, body)
	}
	return s.b.Accept(kind, from, body)
}

func (s *beside[A, B]) Finish(t engine.Transcript) (engine.Outcome[two[A, B]], error) {
	var out engine.Outcome[two[A, B]]
	next := &beside[A, B]{r: s.r, forget: s.forget}
	errA := finish(s.a, t, &out, &next.a, &next.r.a)
	errB := finish(s.b, t, &out, &next.b, &next.r.b)
	if err := merge(errA, errB); err != nil {
		next.Wipe()
		out.Send = nil
		return out, err
	}
	if next.a == nil && next.b == nil {
		out.Result = &next.r
	} else {
		out.Next = next
	}
	return out, nil
}

// Wipe is engine.Wiper: it destroys both sides, and a result that waited for the other.
func (s *beside[A, B]) Wipe() {
	wipe(s.a)
	wipe(s.b)
	if s.forget != nil {
		s.forget(s.r)
	}
}

func wipe[R any](s engine.Stage[R]) {
	if w, ok := s.(engine.Wiper); ok {
		w.Wipe()
	}
}

// finish ends one side's round and adds what it leaves to the common outcome.
func finish[R, S any](s engine.Stage[S], t engine.Transcript, out *engine.Outcome[R], next *engine.Stage[S], result **S) error {
	if s == nil {
		return nil
	}
	o, err := s.Finish(t)
	out.Burn, out.Save, out.Send = append(out.Burn, o.Burn...), append(out.Save, o.Save...), append(out.Send, o.Send...)
	*next = o.Next
	if o.Result != nil {
		*result = o.Result
	}
	return err
}

// merge keeps faults together, so that all culprits of a round are named; what is not a
// fault goes first, since it is our own trouble. The weaker fault's reason stays within the
// stronger: a failed tree check must be counted, whatever else came beside it (spec/pair 2.4).
func merge(a, b error) error {
	var fa, fb *engine.Fault
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case !errors.As(a, &fa):
		return a
	case !errors.As(b, &fb):
		return b
	}
	m := engine.Merge(fa, fb)
	for _, f := range []*engine.Fault{fa, fb} {
		if f.Class != m.Class {
			m.Err = errors.Join(m.Err, f.Err)
		}
	}
	return m
}

// lent is a first stage that takes a copy of a secret of ours: it is wiped as soon as the stage has it, and when
// the stage never runs.
type lent[R any] struct {
	engine.Stage[R]
	back func()
}

func (s *lent[R]) Finish(t engine.Transcript) (engine.Outcome[R], error) {
	defer s.back()
	return s.Stage.Finish(t)
}

// Wipe is engine.Wiper.
func (s *lent[R]) Wipe() {
	wipe(s.Stage)
	s.back()
}

// then continues one protocol with another in the round in which the first results.
type then[A, R any] struct {
	s      engine.Stage[A]
	with   func(*A) (engine.Outcome[R], error)
	forget func() // wipes what both share; nil if they share nothing
}

// Wipe is engine.Wiper.
func (s *then[A, R]) Wipe() {
	wipe(s.s)
	if s.forget != nil {
		s.forget()
	}
}

func (s *then[A, R]) Expect() engine.Expect { return s.s.Expect() }

func (s *then[A, R]) Accept(kind engine.Kind, from engine.PartyID, body []byte) error {
	return s.s.Accept(kind, from, body)
}

func (s *then[A, R]) Finish(t engine.Transcript) (engine.Outcome[R], error) {
	o, err := s.s.Finish(t)
	out := engine.Outcome[R]{Burn: o.Burn, Save: o.Save, Send: o.Send}
	switch {
	case err != nil:
		return out, err
	case o.Result == nil:
		out.Next = &then[A, R]{o.Next, s.with, s.forget}
		return out, nil
	}
	more, err := s.with(o.Result)
	out.Burn, out.Save, out.Send = append(out.Burn, more.Burn...), append(out.Save, more.Save...), append(out.Send, more.Send...)
	out.Next, out.Result = more.Next, more.Result
	return out, err
}
