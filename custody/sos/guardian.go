package sos

import (
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Bundle is what a guardian's tool is given when it is asked to contribute: files, nothing else. Everything in it was verified by
// custody/sos/act.
type Bundle struct {
	Request    act.Request
	Activation act.Activation // all contributors' nodes signed it
	Seats      []act.Seat     // of its members' nodes
	Steps      []act.Step     // of the contributors: CONTEST of each
	Vetoes     []act.Veto     // that the guardian knows of
	Alive      []act.Alive    // subjects' proofs of life that the guardian knows of
	Tests      []act.Signed   // and what the vault signed with a subject
}

// MayContribute says why a guardian must not contribute, nil if they may. seen is when this guardian's own tool had the request first,
// now is their own clock: before the delay has gone by on it, the tool refuses, whoever asks (spec/sos 7.6).
func MayContribute(p plan.Plan, guardian string, b Bundle, seen, now time.Time) error {
	if err := mayContribute(p, guardian, b, seen, now); err != nil {
		return fmt.Errorf("contribution of guardian %s to SOS request %s: %w", guardian, b.Request.ID.Short(), err)
	}
	return nil
}

func mayContribute(p plan.Plan, guardian string, b Bundle, seen, now time.Time) error {
	q, a := b.Request, b.Activation
	g, ok := p.Guardian(guardian)
	switch {
	case !ok || q.Charter != p.Charter || q.Vault != p.Vault || q.Drill != p.Drill:
		return fmt.Errorf("%w: the plan, the request and the guardian do not belong together", ErrForeign)
	case p.Bound(g.Reach, q.Subjects) != "":
		return fmt.Errorf("%w: %s %s", ErrPlan, guardian, p.Bound(g.Reach, q.Subjects))
	case a.Head.Of(q) != nil || !slices.Contains(q.Keys, a.Key):
		return fmt.Errorf("%w: the activation is of another request, key or epoch", ErrForeign)
	}
	if err := p.Serves(q.Trigger, q.Subjects); err != nil {
		return fmt.Errorf("%w: %w", ErrPlan, err)
	}
	c := Case{plan: p, request: q}
	for _, name := range a.Contributors { // their consent stands in their nodes' signatures; a guardian sees no supports
		c.supports = append(c.supports, mark{role: act.Operator, by: name})
	}
	party := map[string][16]byte{}
	for _, m := range a.Members {
		party[m.Operator] = m.Party
	}
	if err := c.fits(Activated{Activation: a, Seats: b.Seats, Party: party}); err != nil {
		return err
	}
	for _, v := range b.Vetoes {
		if v.Head.Of(q) == nil {
			c.vetoes = put(c.vetoes, mark{by: v.By, id: v.ID})
		}
	}
	if len(c.Vetoes()) >= p.Vetoes() {
		return ErrVetoed
	}
	if name := b.lives(); name != "" {
		return fmt.Errorf("%w: %s lives, and the vault signed with it", ErrVetoed, name)
	}
	return delayed(p, b, seen, now)
}

// lives names a subject whose life and live signature end the request (3.7): who is alive and answers is not lost. In compromise and legal they end nothing, whoever
// says them: there the subject may be coerced, or is wound up, and lives all the same.
func (b Bundle) lives() string {
	if !plan.Cancels(b.Request.Trigger) {
		return ""
	}
	for _, s := range b.Request.Subjects {
		alive := slices.ContainsFunc(b.Alive, func(a act.Alive) bool { return a.Operator == s && a.Head.Of(b.Request) == nil })
		if alive && slices.ContainsFunc(b.Tests, func(t act.Signed) bool { return t.Operator == s && t.Head.Of(b.Request) == nil }) {
			return s
		}
	}
	return ""
}

// delayed refuses before the delay has gone by on this clock, and after the time for use.
func delayed(p plan.Plan, b Bundle, seen, now time.Time) error {
	from, until, err := Term(p, b, seen, now)
	switch {
	case err != nil:
		return err
	case now.Before(from):
		return fmt.Errorf("%w: the delay ends at %s on this clock", ErrEarly, statement.FormatTime(from))
	case !now.Before(until): // S1, S6
		return fmt.Errorf("%w: it was for use until %s", ErrLate, statement.FormatTime(until))
	}
	return nil
}

// Term is when a guardian may contribute, on their own clock: from, and before until. The delay runs from the latest that the guardian saw for
// themselves, that the request says, and that each contributor's node says; nobody of those can make it earlier. A node that was rolled back
// begins anew: its last step counts. What is Ahead counts for nothing.
func Term(p plan.Plan, b Bundle, seen, now time.Time) (from, until time.Time, err error) {
	start, ahead := later(seen, b.Request.Created), Ahead(b, seen, now)
	for _, name := range b.Activation.Contributors {
		shown := false
		for _, s := range b.contests(name) {
			if shown = true; !slices.ContainsFunc(ahead, func(o act.Step) bool { return o.Operator == s.Operator && o.Created.Equal(s.Created) }) {
				start = later(start, s.Created)
			}
		}
		if !shown {
			return from, until, fmt.Errorf("%w: contributor %s does not show when its delay began", ErrEarly, name)
		}
	}
	t, ok := p.Trigger(b.Request.Trigger)
	if !ok {
		return from, until, fmt.Errorf("%w: trigger %s is not served", ErrPlan, b.Request.Trigger)
	}
	return start.Add(t.Delay), start.Add(2*t.Delay + Slack + p.Window), nil
}

// Ahead are the steps of contributors that are dated more than act.Skew ahead of this clock, and of the newest of what the guardian saw, the request, and the other contributors' steps:
// its delay has not begun by such a word, and nobody else's word bears it out. One contributor could else put off what all guardians do, by a date of its own choice. Nothing is lost by
// leaving it out: who lies of when it began could as well name an earlier time, and the guardian's own sight of the request counts in any case. A clock that is behind does not
// suffice: where all others date alike, their word stands.
func Ahead(b Bundle, seen, now time.Time) (out []act.Step) {
	for _, name := range b.Activation.Contributors {
		newest := later(now, later(seen, b.Request.Created))
		for _, other := range b.Activation.Contributors {
			for _, s := range b.contests(other) {
				if other != name {
					newest = later(newest, s.Created)
				}
			}
		}
		for _, s := range b.contests(name) {
			if s.Created.Sub(newest) > act.Skew {
				out = append(out, s)
			}
		}
	}
	return out
}

// contests are an operator's steps into CONTEST under the request.
func (b Bundle) contests(operator string) (out []act.Step) {
	for _, s := range b.Steps {
		if s.Operator == operator && s.State == Contest.String() && s.Head.Of(b.Request) == nil {
			out = append(out, s)
		}
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
