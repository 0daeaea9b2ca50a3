package rescue

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// judgeClosings wants each closing to name epochs that the emergency made, and their backups, a drill and a report; and what a node closed by, to name all of those that its own
// log had in force by then (spec/sos 3.6).
func (j *judge) judgeClosings(c *inquiry) {
	made := map[act.Key]Epoch{}
	for _, e := range j.made(c) {
		made[e.Key] = e
	}
	for _, v := range c.closes {
		why := ""
		switch {
		case v.what.Drill == [32]byte{} || v.what.Report == [32]byte{}:
			why = "it names no drill, or no report"
		}
		for _, k := range v.what.Keys {
			e, ok := made[k.Key]
			switch {
			case !ok:
				why = fmt.Sprintf("it names an epoch of key %x that the emergency did not make", k.Key.Key[:6])
			case e.Backups != k.Backups || k.Backups == [32]byte{}:
				why = fmt.Sprintf("it names other backups of key %x than those of its epoch", k.Key.Key[:6])
			}
		}
		if why != "" {
			j.find(c.subject(j.Story), claimClose, "closing %s: %s", v.id.Short(), why)
		}
	}
}

// inFlight is how long a signature that was begun before a declaration may take to end and to come to all logs.
const inFlight = 2 * time.Minute

// judgeOutflows wants what was signed under a lock to be what the plan lets leave: transfers to rescue addresses, or its protective calls (spec/sos 5).
//
// Of an epoch that an emergency led to, all is, until those who signed had it closed or released. Of an older epoch, what all logs that tell of it tell after
// their own nodes declared, and some time after.
func (j *judge) judgeOutflows() {
	made := map[calling]int{}
	for _, o := range j.Outflows {
		c := j.binds(o)
		if c == nil {
			continue
		}
		subject := fmt.Sprintf("request %s of vault %s", o.Intent.Short(), j.Name)
		switch {
		case o.Hidden:
			j.out.Attention = append(j.out.Attention, fmt.Sprintf("%s was signed in an emergency, and where to is withheld", subject))
		case o.Other != "":
			j.find(subject, claimLock, "in emergency %s its nodes signed what is no transfer and no protective call: %s", c.id.Short(), o.Other)
		default:
			if why := foreign(c.Plan, o); why != "" {
				j.find(subject, claimLock, "in emergency %s its nodes signed it: %s", c.id.Short(), why)
				continue
			}
			if why := tooOften(c, o, made); why != "" {
				j.find(subject, claimLock, "in emergency %s its nodes signed it: %s", c.id.Short(), why)
				continue
			}
			j.out.Judged++
		}
	}
}

// A calling is a protective call of an emergency's plan.
type calling struct {
	emergency statement.ID
	name      string
}

// tooOften counts a protective call, and says whether that is more often than the plan allows (spec/sos 5.3); "": it is not.
func tooOften(c *inquiry, o Outflow, made map[calling]int) string {
	for _, x := range o.Calls {
		call, _ := c.Plan.Called(o.Chain, x.To, x.Data)
		k := calling{c.id, call.Name}
		if made[k]++; made[k] > int(call.Times) {
			return fmt.Sprintf("call %s is allowed %d times, this is number %d", call.Name, call.Times, made[k])
		}
	}
	return ""
}

// foreign says what of an outflow is not the plan's; "": nothing.
func foreign(p plan.Plan, o Outflow) string {
	for _, to := range o.To {
		if !p.Rescues(o.Chain, to) {
			return to + " on " + o.Chain + " is no rescue address of the plan"
		}
	}
	for _, call := range o.Calls {
		if _, ok := p.Called(o.Chain, call.To, call.Data); !ok {
			return "the call of " + call.To + " is no protective call of the plan"
		}
	}
	if len(o.To)+len(o.Calls) != 1 {
		return "it is neither a transfer nor one protective call"
	}
	return ""
}

// binds finds the emergency under whose lock something was signed; nil: none.
func (j *judge) binds(o Outflow) *inquiry {
	if e, ok := j.epoch(o.Key); ok && e.Locked {
		for i := len(j.cases) - 1; i >= 0; i-- {
			c := j.cases[i]
			made := j.made(c)
			if !slices.ContainsFunc(made, func(m Epoch) bool { return m.Key.Key == e.Key.Key && m.Number <= e.Number }) {
				continue
			}
			over := 0
			for name, at := range o.Told {
				if c.over(name, at.Leaf) {
					over++
				}
			}
			if over < min(o.Threshold, max(len(o.Told), 1)) {
				return c
			}
			return nil
		}
		return nil
	}
	for _, c := range j.cases {
		if !slices.ContainsFunc(c.Request.Keys, func(k act.Key) bool { return k.Key == o.Key.Key }) || len(o.Told) == 0 {
			continue
		}
		held := 0
		for name, at := range o.Told {
			s := last(c.own(name), at.Leaf)
			d := c.first(name)
			if holds(s.State) && at.At.Sub(d.At) > inFlight {
				held++
			}
		}
		if held == len(o.Told) {
			return c
		}
	}
	return nil
}

// first is when a node declared it.
func (c *inquiry) first(operator string) taken {
	for _, s := range c.own(operator) {
		if holds(s.State) {
			return s
		}
	}
	return taken{}
}

// over says that nothing binds a node any more, as its own log tells before a leaf: closed, or released early.
func (c *inquiry) over(operator string, leaf int) bool {
	return last(c.own(operator), leaf).State == closed || slices.ContainsFunc(c.freed, func(f said[act.EarlyRelease]) bool { return f.before(operator, leaf) })
}

// rank orders states by how far they are.
var rank = map[string]int{"": 0, expired: 1, vetoed: 2, declared: 3, contest: 4, active: 5, lockUp: 6, closed: 7}

// conclude puts together what everybody may see of a request.
func (c *inquiry) conclude(j *judge) {
	for _, v := range c.supports {
		c.Supports = append(c.Supports, v.what.Role+" "+v.what.By)
	}
	for _, v := range c.vetoes {
		c.Vetoes = append(c.Vetoes, v.what.By)
	}
	for _, a := range c.alive {
		if slices.ContainsFunc(c.signed, func(s said[act.Signed]) bool { return s.what.Operator == a.what.Operator }) {
			c.Lived = append(c.Lived, a.what.Operator)
		}
	}
	for _, l := range j.Logs {
		if steps := c.own(l.Operator); len(steps) > 0 {
			s := steps[len(steps)-1]
			c.Nodes = append(c.Nodes, Node{l.Operator, s.State, s.At, s.Credited})
		}
	}
	most := map[string]int{}
	for _, n := range c.Nodes {
		most[n.State]++
	}
	for state, n := range most {
		if now := most[c.State]; c.State == "" || n > now || n == now && rank[state] > rank[c.State] {
			c.State = state
		}
	}
	for _, a := range c.activations {
		c.Activations = append(c.Activations, a.what)
	}
	for _, r := range c.released {
		c.Gave = append(c.Gave, r.what.Operator)
	}
	for _, e := range j.made(c) {
		c.Epochs = append(c.Epochs, e.Number)
	}
	for _, k := range c.Request.Keys {
		if !slices.ContainsFunc(j.made(c), func(e Epoch) bool { return e.Key.Key == k.Key }) {
			c.Left = append(c.Left, k)
		}
	}
	for i := range c.closes {
		c.Closed = &c.closes[i].what
	}
	c.Freed = len(c.freed) > 0
	for _, names := range []*[]string{&c.Supports, &c.Vetoes, &c.Lived, &c.Gave} {
		slices.Sort(*names)
		*names = slices.Compact(*names)
	}
	slices.Sort(c.Epochs)
	c.Epochs = slices.Compact(c.Epochs)
	if holds(c.State) {
		j.out.Attention = append(j.out.Attention, fmt.Sprintf("vault %s has an emergency: %s of %s, %s, is %s", j.Name, c.Request.Trigger, strings.Join(c.Request.Subjects, ", "), modeOf(c.Request), strings.ToUpper(c.State)))
	}
}

func modeOf(q act.Request) string {
	if q.Drill {
		return "a drill"
	}
	return "in earnest"
}
