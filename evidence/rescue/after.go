package rescue

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/custody/sos/act"
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
			n := Node{Operator: l.Operator, State: s.State, Since: s.At, Credited: s.Credited}
			for _, s := range steps {
				n.Steps = append(n.Steps, Stage{s.State, s.At, s.Credited, s.Why})
			}
			c.Nodes = append(c.Nodes, n)
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
	c.concludeShares(j)
	for _, k := range c.Request.Keys {
		if !slices.ContainsFunc(j.made(c), func(e Epoch) bool { return e.Key.Key == k.Key }) {
			c.KeysLeft = append(c.KeysLeft, k)
		}
	}
	for i := range c.closes {
		c.Closed = &c.closes[i].what
	}
	if c.Freed = len(c.freed) > 0; c.Freed {
		c.FreedBy = j.committee(c)
	}
	c.Went = c.went()
	for _, names := range []*[]string{&c.Supports, &c.Vetoes, &c.Lived, &c.Gave, &c.Guardians} {
		slices.Sort(*names)
		*names = slices.Compact(*names)
	}
	slices.Sort(c.Epochs)
	c.Epochs = slices.Compact(c.Epochs)
	if holds(c.State) {
		j.out.Attention = append(j.out.Attention, fmt.Sprintf("vault %s has an emergency: %s of %s, %s, is %s", j.Name, c.Request.Trigger, strings.Join(c.Request.Subjects, ", "), modeOf(c.Request), strings.ToUpper(c.State)))
	}
}

// concludeShares says what new shares came of it: of which guardians' parts, with whom, locked until when.
func (c *inquiry) concludeShares(j *judge) {
	for _, e := range j.made(c) {
		c.Epochs = append(c.Epochs, e.Number)
		for _, g := range c.Plan.Guardians {
			if slices.Contains(e.Guardians, g.Key.String()) {
				c.Guardians = append(c.Guardians, g.Name)
			}
		}
		if e.Until.After(c.Until) {
			c.Until = e.Until
		}
	}
	if len(c.Epochs) > 0 {
		c.Committee = j.committee(c)
	}
}

func modeOf(q act.Request) string {
	if q.Drill {
		return "a drill"
	}
	return "in earnest"
}
