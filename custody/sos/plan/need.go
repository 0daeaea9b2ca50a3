package plan

import (
	"fmt"
	"slices"
	"strings"
)

// A Need is what a declaration takes.
type Need struct {
	Guardians     int
	Organisations int // of these guardians
	Operators     int
}

// Starts is what a declaration takes that follows `before` others within 90 days (product: start, triggers, veto). The veto's quorum does
// not move with it.
func (p Plan) Starts(trigger string, before int) Need {
	m := len(p.Guardians)
	n := Need{Guardians: p.Starters, Organisations: p.Organisations, Operators: 1}
	if before > 0 { // S5: whoever declares again and again must convince more of them
		n.Guardians = max(n.Guardians, min(p.Quorum+1, m-1))
	}
	if trigger == Compromise { // the subject cannot answer for itself: more must speak
		n.Guardians, n.Operators = max(n.Guardians, min(p.Quorum+1, m)), p.Live
	}
	return n
}

// Vetoes is how many guardians end a request: m − k + 1, after which fewer than k are left. It goes by the plan's k, whatever a
// declaration took, and never falls (S5).
func (p Plan) Vetoes() int { return len(p.Guardians) - p.Quorum + 1 }

// Shared names the first domain that two reaches have in common, "" if none: a person, an organisation, a cloud account.
func (r Reach) Shared(o Reach) string {
	for _, k := range []struct {
		kind string
		a, b []string
	}{{"person", r.People, o.People}, {"organisation", r.Organisations, o.Organisations}, {"cloud account", r.Accounts, o.Accounts}} {
		for _, name := range k.a {
			if slices.Contains(k.b, name) {
				return k.kind + " " + name
			}
		}
	}
	return ""
}

// Bound says why somebody does not count beside these subjects, "" if they do: nobody who shares a subject's person, organisation or
// cloud account counts.
func (p Plan) Bound(r Reach, subjects []string) string {
	for _, name := range subjects {
		if o, ok := p.Anyone(name); ok {
			if what := r.Shared(o.Reach); what != "" {
				return fmt.Sprintf("shares %s with %s", what, name)
			}
		}
	}
	return ""
}

// Contributors are the operators of the committee that may give their part when these are lost.
func (p Plan) Contributors(subjects []string) (names []string) {
	for _, o := range p.Operators {
		if !slices.Contains(subjects, o.Name) && p.Bound(o.Reach, subjects) == "" {
			names = append(names, o.Name)
		}
	}
	return names
}

// Helpers are the guardians that count when these operators are lost.
func (p Plan) Helpers(subjects []string) (names []string) {
	for _, g := range p.Guardians {
		if p.Bound(g.Reach, subjects) == "" {
			names = append(names, g.Name)
		}
	}
	return names
}

// Standing are the circle's operators outside the committee and outside these subjects' domains: they witness.
func (p Plan) Standing(subjects []string) (names []string) {
	for _, o := range p.Others {
		if p.Bound(o.Reach, subjects) == "" {
			names = append(names, o.Name)
		}
	}
	return names
}

// Attests is w′ for these subjects: as many as the plan asks for, or as there are.
func (p Plan) Attests(subjects []string) int { return min(p.Witnesses, len(p.Standing(subjects))) }

// Serves says why the plan cannot serve a trigger for these subjects, nil if it can.
func (p Plan) Serves(trigger string, subjects []string) error {
	if _, ok := p.Trigger(trigger); !ok {
		return fmt.Errorf("trigger %s: the plan of vault %s does not serve it", trigger, p.Name)
	}
	for i, name := range subjects {
		if _, ok := p.Operator(name); !ok || i > 0 && name <= subjects[i-1] {
			return fmt.Errorf("subject %s: not the next operator of the committee in ascending order", name)
		}
	}
	rest := len(p.Operators) - len(subjects)
	if rest >= p.Threshold {
		// A shorter way to a new committee than the one that all have agreed on would be an attack.
		return fmt.Errorf("subject: without %s there are %d operators, and %d sign: they replace it by an ordinary reshare; SOS is refused", strings.Join(subjects, ", "), rest, p.Threshold)
	}
	if trigger == BelowThreshold && len(subjects) < 2 {
		// For one operator there is silence, which must have lasted.
		return fmt.Errorf("subject: trigger %s is for several operators that are lost at once; for %s alone use %s or %s", trigger, strings.Join(subjects, ", "), Silence, Refusal)
	}
	need := p.Starts(trigger, 0)
	able, helpers := p.Contributors(subjects), p.Helpers(subjects)
	switch {
	case len(able) < p.Live:
		return fmt.Errorf("subject: %d operators count beside %s (%s), and the plan needs %d", len(able), strings.Join(subjects, ", "), strings.Join(able, ", "), p.Live)
	case len(helpers) < max(need.Guardians, p.Quorum):
		return fmt.Errorf("subject: %d guardians count beside %s (%s), and %d are needed", len(helpers), strings.Join(subjects, ", "), strings.Join(helpers, ", "), max(need.Guardians, p.Quorum))
	}
	return nil
}

// Loss says why the loss of one operator, with as many others as leave fewer than t, could not be answered by any trigger; "" if it could.
// The others are the first by name.
func (p Plan) Loss(name string) string {
	lost := []string{name}
	for _, o := range p.Operators {
		if len(p.Operators)-len(lost) >= p.Threshold && o.Name != name {
			lost = append(lost, o.Name)
		}
	}
	slices.Sort(lost)
	var why error
	for _, t := range p.Triggers {
		if why = p.Serves(t.Name, lost); why == nil {
			return ""
		}
	}
	return why.Error()
}
