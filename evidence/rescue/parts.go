package rescue

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
)

// judgeActivations holds each to the plan, which is the only source of who may follow (spec/sos 4.7).
func (j *judge) judgeActivations(c *inquiry) {
	for _, a := range c.activations {
		if why := j.unfit(c, a.what); why != "" {
			j.find(c.subject(j.Story), claimFollow, "activation %s, which %v signed: %s", a.id.Short(), a.what.Contributors, why)
		}
		for _, name := range a.what.Contributors {
			at, own := a.told[name]
			if !own || c.again(name, a.told) {
				continue // everywhere says so of what rests on it
			}
			if s := last(c.own(name), at.Leaf); s.State != active {
				j.accuse(c, name, claimPart, "leaf %d of its log has an activation that it signed, and it was %q there", at.Leaf, s.State)
			}
			if !slices.Contains(c.consents(name, at.Leaf), name) {
				j.accuse(c, name, claimPart, "leaf %d of its log has an activation that names it, and its own person had not consented", at.Leaf)
			}
		}
		for _, o := range c.activations {
			if o.id != a.id && o.what.Key == a.what.Key && o.what.Attempt == a.what.Attempt && bytes.Compare(o.id[:], a.id[:]) < 0 {
				j.find(c.subject(j.Story), claimFollow, "activations %s and %s are both attempt %d of one key", o.id.Short(), a.id.Short(), a.what.Attempt)
			}
		}
	}
}

// unfit says why an activation is not the plan's; "" if it is.
func (j *judge) unfit(c *inquiry, a act.Activation) string {
	p, q := c.Plan, c.Request
	parent, known := j.epoch(a.Key)
	switch {
	case !slices.Contains(q.Keys, a.Key):
		return "its key is none of the request's, in the epoch that it names"
	case len(a.Contributors) != p.Live:
		return fmt.Sprintf("%d operators contribute, exactly %d must", len(a.Contributors), p.Live)
	case a.Threshold < p.Least:
		return fmt.Sprintf("%d of its members would sign, %d at least must", a.Threshold, p.Least)
	}
	able := p.Contributors(q.Subjects)
	for _, name := range a.Contributors {
		switch {
		case !slices.Contains(able, name):
			return name + " contributes, and does not count beside these subjects"
		case known && !slices.ContainsFunc(parent.Members, func(s Seat) bool { return s.Operator == name }):
			return name + " contributes, and holds no share of that epoch"
		}
	}
	for _, m := range a.Members {
		o, ok := p.Anyone(m.Operator)
		switch {
		case !slices.Contains(a.Contributors, m.Operator) && !slices.Contains(p.Successors, m.Operator):
			return m.Operator + " neither contributes nor is a successor of the plan"
		case !ok || slices.Contains(q.Subjects, m.Operator):
			return m.Operator + " is a subject, or no operator of the circle"
		case p.Bound(o.Reach, q.Subjects) != "":
			return m.Operator + " " + p.Bound(o.Reach, q.Subjects)
		case j.Party(m.Operator) != m.Party:
			return m.Operator + " is named with another's party"
		}
		for _, e := range j.Epochs { // an index is nobody else's, ever
			if e.Key.Key != a.Key.Key || known && e.Number > parent.Number {
				continue
			}
			for _, s := range e.Members {
				if s.Index == m.Index && s.Operator != m.Operator {
					return fmt.Sprintf("%s would have share index %d, which is or was %s's", m.Operator, m.Index, s.Operator)
				}
			}
		}
		var seats []act.Seat
		for _, s := range c.seats {
			if s.what.Operator == m.Operator && s.what.Key == a.Key && s.what.Attempt == a.Attempt {
				seats = append(seats, s.what)
			}
		}
		// Guardians deal to that key: whoever has made it up reads what they gave to another.
		if !slices.ContainsFunc(seats, func(s act.Seat) bool { return s.Encryption == m.Encryption }) {
			return m.Operator + "'s key of this ceremony is made up: no seat that its node signed names it"
		}
	}
	return ""
}

// judgeReleases holds each node that gave a part to spec/sos 7, by its own log.
func (j *judge) judgeReleases(c *inquiry) {
	for _, r := range c.released {
		v, name := r.what, r.what.Operator
		i := slices.IndexFunc(c.activations, func(a said[act.Activation]) bool { return a.id == v.Activation })
		if i < 0 || c.activations[i].what.Key.Key != v.Key || c.activations[i].what.Attempt != v.Attempt || !slices.Contains(c.activations[i].what.Contributors, name) {
			j.accuse(c, name, claimPart, "it gave a part for activation %s, and no log shows one that all its contributors signed and that names it", v.Activation.Short())
			continue
		}
		for _, o := range c.released { // S3: an attempt is used once, and no earlier one after a later one
			moved := o.what.Attempt < v.Attempt && (c.again(name, o.told) || c.again(name, r.told))
			if o.id != r.id && o.what.Operator == name && o.what.Key == v.Key && o.what.Attempt <= v.Attempt && o.told[name].Leaf > r.told[name].Leaf && !moved {
				j.accuse(c, name, claimPart, "it gave a part for attempt %d, and then for attempt %d", v.Attempt, o.what.Attempt)
			}
		}
		if why := j.unanswered(c, v, c.activations[i].what); why != "" {
			j.accuse(c, name, claimPart, "it gave a part %s", why)
		}
		at, own := r.told[name]
		if !own || c.again(name, r.told) {
			continue
		}
		j.judgeMoment(c, name, v, at)
	}
}

// judgeMoment looks at a release where it stands in its own log.
func (j *judge) judgeMoment(c *inquiry, name string, v act.Released, at Place) {
	steps := c.own(name)
	now := last(steps, at.Leaf)
	if now.State != active {
		j.accuse(c, name, claimPart, "leaf %d of its log gives its part, and it was %q there", at.Leaf, now.State)
	}
	var from taken
	for _, s := range steps {
		if s.State == contest && s.Leaf < at.Leaf {
			from = s
		}
	}
	if why := waited(from.Place, at, v.Credited, c.delay()); from.State != "" && why != "" {
		j.accuse(c, name, claimTime, "leaf %d of its log gives its part, and %s", at.Leaf, why)
	}
	if now.State == active && at.At.Sub(now.At) > c.Plan.Window+skew {
		j.accuse(c, name, claimTime, "leaf %d of its log gives its part %s after it became active, and the window is %s", at.Leaf, at.At.Sub(now.At).Truncate(time.Second), c.Plan.Window)
	}
	if n := c.objectors(name, at.Leaf); c.cancelled(name, at.Leaf) {
		j.accuse(c, name, claimVeto, "leaf %d of its log gives its part, and before it stands what cancels it: the vetoes of %d guardians, or a subject's proof of life and live signature", at.Leaf, n)
	}
	if !slices.Contains(c.consents(name, at.Leaf), name) {
		j.accuse(c, name, claimPart, "leaf %d of its log gives its part, and its own person had not consented", at.Leaf)
	}
}

// unanswered says which no-veto a release lacks; "": none. Those that it names are shown, signed, to it, about this request, within the hour (spec/sos 7.3).
func (j *judge) unanswered(c *inquiry, v act.Released, a act.Activation) string {
	said := map[string]bool{}
	var nonce [32]byte
	for i, id := range v.NoVetos {
		n, ok := c.noVetoes[id]
		switch {
		case !ok:
			return fmt.Sprintf("on no-veto %s, which no log shows, well signed", id.Short())
		case n.what.Asker != v.Operator || i > 0 && n.what.Nonce != nonce:
			return fmt.Sprintf("on no-veto %s, which answers another question", id.Short())
		case v.Created.Sub(n.what.Created) > time.Hour || n.what.Created.Sub(v.Created) > act.Skew:
			return fmt.Sprintf("on no-veto %s, which is of %s, not of the hour before", id.Short(), statement.FormatTime(n.what.Created))
		}
		nonce, said[n.what.Operator] = n.what.Nonce, true
	}
	for _, name := range a.Contributors {
		if name != v.Operator && !said[name] {
			return "without a no-veto of contributor " + name
		}
	}
	standing := 0
	for _, name := range c.Plan.Standing(c.Request.Subjects) {
		if said[name] {
			standing++
		}
	}
	if need := c.Plan.Attests(c.Request.Subjects); standing < need {
		return fmt.Sprintf("with no-vetos of %d operators that witness, %d are needed", standing, need)
	}
	return ""
}

// judgeEpochs wants each epoch that an emergency made to follow from an activation in the logs, whose contributors gave their parts; k guardians' approvals
// stand in its certificate (spec/sos 3.9, spec/epochs 2.5).
func (j *judge) judgeEpochs() {
	for _, e := range j.Epochs {
		if !e.Rescued {
			continue
		}
		subject := fmt.Sprintf("epoch %d of vault %s", e.Number, j.Name)
		c, a := j.activation(e.Activation)
		if c == nil {
			j.find(subject, claimEpoch, "its record names activation %s, and no log shows one that all its contributors signed", e.Activation.Short())
			continue
		}
		if why := differs(e, a); why != "" {
			j.find(subject, claimEpoch, "its record is not what activation %s says: %s", e.Activation.Short(), why)
		}
		for _, name := range a.Contributors {
			if !slices.ContainsFunc(c.released, func(r said[act.Released]) bool { return r.what.Operator == name && r.what.Activation == a.ID }) {
				j.find(subject, claimEpoch, "contributor %s never said that it gave its part", name)
				continue
			}
			// Its part left before there were new shares: in its own log too.
			if at, told := e.Told[name]; told && !c.gaveBefore(name, at.Leaf) && !c.again(name, e.Told) && !c.gaveAgain(name) {
				j.accuse(c, name, claimPart, "leaf %d of its log has the new epoch in force, and that it gave its part stands behind it", at.Leaf)
			}
		}
		for _, name := range a.Contributors {
			at, told := e.Told[name]
			if !told || c.again(name, e.Told) || c.gaveAgain(name) {
				continue
			}
			steps := c.own(name)
			if !slices.ContainsFunc(steps, func(s taken) bool { return s.State == active && s.Leaf < at.Leaf }) {
				j.accuse(c, name, claimTime, "leaf %d of its log has the new epoch in force, and it never was active there", at.Leaf)
			}
		}
	}
}

// again says that a log was begun anew from a copy since another told of something, and tells of it since: once more, and where it stood before is lost.
func (j *judge) again(name string, told map[string]Place) bool {
	l, ok := j.log(name)
	at, own := told[name]
	if !ok || !own || at.At.Before(l.Renewed) { // what stood in the copy is where it was
		return false
	}
	for other, at := range told {
		if other != name && at.At.Before(l.Renewed) {
			return true
		}
	}
	return false
}

// gaveAgain says so of a part that a node gave.
func (c *inquiry) gaveAgain(name string) bool {
	return slices.ContainsFunc(c.released, func(r said[act.Released]) bool { return r.what.Operator == name && c.again(name, r.told) })
}

// activation finds one that is complete, and its request.
func (j *judge) activation(id statement.ID) (*inquiry, act.Activation) {
	for _, c := range j.cases {
		for _, a := range c.activations {
			if a.id == id {
				return c, a.what
			}
		}
	}
	return nil, act.Activation{}
}

func differs(e Epoch, a act.Activation) string {
	switch {
	case e.Key.Key != a.Key.Key || e.Prev != a.Epoch:
		return "it is of another key, or follows another epoch"
	case e.Threshold != a.Threshold || len(e.Members) != len(a.Members):
		return fmt.Sprintf("%d of %d members sign, it says %d of %d", e.Threshold, len(e.Members), a.Threshold, len(a.Members))
	}
	for _, m := range a.Members {
		if !slices.Contains(e.Members, Seat{m.Operator, m.Party, m.Index}) {
			return m.Operator + " is no member of it, or at another place"
		}
	}
	return ""
}
