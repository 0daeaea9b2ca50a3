package rescue

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
)

// States, as steps name them (spec/sos 3).
const (
	declared = "declared"
	contest  = "contest"
	active   = "active"
	lockUp   = "lock-up"
	closed   = "closed"
	vetoed   = "vetoed"
	expired  = "expired"
)

// follows are the states that a step may lead from; "": before any.
var follows = map[string][]string{
	declared: {""},
	contest:  {declared, active}, // from ACTIVE after a roll-back (3.10)
	active:   {contest},
	lockUp:   {"", declared, contest, active, vetoed, expired, lockUp, closed}, // from anywhere, by new shares (3.9)
	closed:   {lockUp},
	vetoed:   {"", declared, contest, active},
	expired:  {"", declared, contest, active, lockUp},
}

func holds(state string) bool {
	return state == declared || state == contest || state == active || state == lockUp
}

// A taken is a step in its own node's log.
type taken struct {
	act.Step
	Place
	again bool // its log is a new one, and tells of it once more: where it stood is lost
}

// own are a node's steps as they stand in its own log. Of what a new log tells once more (again), only that it was closed still says where the node is: it counts the rest anew.
func (c *inquiry) own(operator string) (out []taken) {
	for _, s := range c.steps {
		if at, ok := s.told[operator]; ok && s.what.Operator == operator {
			if t := (taken{s.what, at, c.again(operator, s.told)}); !t.again || s.what.State == closed {
				out = append(out, t)
			}
		}
	}
	sort.Slice(out, func(i, k int) bool { return out[i].Leaf < out[k].Leaf }) // one sort for all: each of slices.SortFunc is 15 kB of a page
	return out
}

// last is the node's last step before a leaf.
func last(steps []taken, leaf int) (t taken) {
	for _, s := range steps {
		if s.Leaf < leaf {
			t = s
		}
	}
	return t
}

// walk holds each step of one node to what its own log told before it.
func (j *judge) walk(c *inquiry, l Log) {
	steps := c.own(l.Operator)
	var before taken
	entered := map[string]taken{}
	for _, s := range steps {
		if s.again {
			continue
		}
		if !slices.Contains(follows[s.State], before.State) && (before.State != "" || l.Renewed.IsZero()) { // a log that was begun anew from a copy begins in the middle
			j.accuse(c, l.Operator, claimSteps, "leaf %d of its log steps from %q to %q", s.Leaf, before.State, s.State)
		}
		if d := s.Created.Sub(before.Created); before.State != "" && d < 0 && s.At.Before(before.At) {
			j.accuse(c, l.Operator, claimSteps, "leaf %d of its log is older than the step before it", s.Leaf)
		}
		switch s.State {
		case declared:
			j.walkDeclared(c, l, s)
		case active:
			j.walkActive(c, l, entered[contest], s)
		case lockUp:
			j.walkLockUp(c, l, before, s)
		case closed:
			j.walkClosed(c, l, entered[lockUp], s)
		case vetoed:
			if !c.cancelled(l.Operator, s.Leaf) {
				j.accuse(c, l.Operator, claimVeto, "leaf %d of its log ends it as vetoed, and neither enough guardians' vetoes nor a subject's proof of life and live signature stand before it", s.Leaf)
			}
		}
		entered[s.State], before = s, s
	}
}

// walkDeclared: under the charter and in the epochs in force, in time, with enough who count (spec/sos 2).
func (j *judge) walkDeclared(c *inquiry, l Log, s taken) {
	q, p := c.Request, c.Plan
	bad := func(format string, args ...any) {
		j.accuse(c, l.Operator, claimStart, "leaf %d of its log declares it; "+format, append([]any{s.Leaf}, args...)...)
	}
	if !(said[act.Request]{told: c.said.Told}).before(l.Operator, s.Leaf) {
		bad("the request does not stand before it")
	}
	if at := j.Charter(l.Operator, s.Leaf); at != q.Charter && !at.IsZero() {
		bad("another charter, %s, was in force", at.Short())
	}
	for _, k := range q.Keys {
		if at := j.Current(l.Operator, k.Key, s.Leaf); at != k.Epoch && at != [32]byte{} {
			bad("key %x was in another epoch than the request names", k.Key[:6])
		}
	}
	if out := j.leftOut(l.Operator, s.Leaf, q); out != nil {
		bad("the request leaves out key %x, of which a subject held a share in the same committee", out)
	}
	if out := j.others(q); out != nil {
		bad("the request names key %x, which another committee holds than the first: each takes a request of its own", out)
	}
	if !s.Created.Before(q.Expires) {
		bad("the request had expired at %s", q.Expires.Format(time.RFC3339))
	}
	if err := p.Serves(q.Trigger, q.Subjects); err != nil {
		bad("its plan does not allow it: %v", err)
	}
	if lacks := c.lacks(j, l.Operator, s); lacks != "" {
		bad("%s", lacks)
	}
	if q.Trigger == plan.Refusal {
		for _, name := range q.Subjects {
			if why := j.unchallenged(c, l, name, s); why != "" {
				bad("%s", why)
			}
		}
	}
	if q.Trigger == plan.Silence || q.Trigger == plan.BelowThreshold {
		need := 3 * p.Heartbeat
		if t, _ := p.Trigger(q.Trigger); q.Trigger == plan.Silence {
			need = t.After
		}
		for _, name := range q.Subjects {
			if heard := j.Heard(l.Operator, name, s.Leaf); !heard.IsZero() && s.At.Sub(heard) < need-skew {
				bad("its log took a sign of life of %s %s before, and %s of silence are needed", name, s.At.Sub(heard).Truncate(time.Second), need)
			}
		}
	}
}

// leftOut is a key of the same committee that a request does not name, and in whose committee one of its subjects sat, as a log told before a leaf (spec/sos 4.4); nil: none.
func (j *judge) leftOut(log string, leaf int, q act.Request) []byte {
	first, known := j.epoch(q.Keys[0])
	for _, e := range j.Epochs {
		in := slices.ContainsFunc(e.Members, func(m Seat) bool { return slices.Contains(q.Subjects, m.Operator) })
		named := slices.ContainsFunc(q.Keys, func(k act.Key) bool { return k.Key == e.Key.Key })
		if in && !named && (!known || sameCommittee(first, e)) && j.Current(log, e.Key.Key, leaf) == e.Epoch {
			return e.Key.Key[:6]
		}
	}
	return nil
}

// others is a key of a request that another committee holds than its first; nil: none.
func (j *judge) others(q act.Request) []byte {
	first, known := j.epoch(q.Keys[0])
	for _, k := range q.Keys {
		if e, ok := j.epoch(k); ok && known && !sameCommittee(first, e) {
			return k.Key[:6]
		}
	}
	return nil
}

func sameCommittee(a, b Epoch) bool {
	return a.Threshold == b.Threshold && len(a.Members) == len(b.Members) && !slices.ContainsFunc(a.Members, func(m Seat) bool {
		return !slices.ContainsFunc(b.Members, func(o Seat) bool { return o.Operator == m.Operator })
	})
}

// lacks says whom a declaration lacks at one node, by what its own log told before; "": nobody. Nobody counts who is bound to a subject, who vetoed, whom one person
// stands for twice, or, in silence, who does not say whom they tried to reach.
func (c *inquiry) lacks(j *judge, log string, s taken) string {
	p, q := c.Plan, c.Request
	before := q.Number
	known := 0
	for _, o := range j.cases {
		for _, d := range o.own(log) {
			if o != c && d.State == declared && d.Leaf < s.Leaf && s.At.Sub(d.At) < 90*24*time.Hour {
				known++
			}
		}
	}
	if known > q.Number {
		return fmt.Sprintf("%d declarations came in the 90 days before, and the request says %d", known, q.Number)
	}
	need := p.Starts(q.Trigger, max(before, known))
	consents := c.consents(log, s.Leaf)
	people := map[string]bool{}
	for _, name := range consents {
		o, _ := p.Operator(name)
		for _, who := range o.People {
			people[who] = true
		}
	}
	guardians, organisations := 0, map[string]bool{}
	seen := map[string]bool{}
	for _, v := range c.supports {
		g, ok := p.Guardian(v.what.By)
		switch {
		case v.what.Role != act.Guardian || !ok || seen[v.what.By] || !v.before(log, s.Leaf) || v.what.Created.Before(q.Created):
		case p.Bound(g.Reach, q.Subjects) != "" || people[g.Person] || c.paused(j, log, g.Name, s):
		case q.Trigger == plan.Silence && len(v.what.Contacts) == 0:
		case slices.ContainsFunc(c.vetoes, func(o said[act.Veto]) bool { return o.what.By == g.Name && o.before(log, s.Leaf) }):
		default:
			seen[v.what.By] = true
			guardians++
			organisations[g.Organisation] = true
		}
	}
	switch {
	case len(consents) < need.Operators:
		return fmt.Sprintf("%d operators that count had supported it, %d are needed", len(consents), need.Operators)
	case guardians < need.Guardians:
		return fmt.Sprintf("%d guardians that count had supported it, %d are needed", guardians, need.Guardians)
	case len(organisations) < need.Organisations:
		return fmt.Sprintf("its guardians are of %d organisations, %d are needed", len(organisations), need.Organisations)
	}
	return ""
}

// paused says that a guardian supported a declaration that guardians vetoed less than 30 days before, by one node's own log.
func (c *inquiry) paused(j *judge, log, guardian string, s taken) bool {
	return slices.ContainsFunc(j.cases, func(o *inquiry) bool {
		steps := o.own(log)
		i := slices.IndexFunc(steps, func(t taken) bool { return t.State == vetoed })
		return o != c && i > 0 && steps[i].Leaf < s.Leaf && s.At.Sub(steps[i].At) < 30*24*time.Hour && o.objectors(log, steps[i].Leaf) >= o.Plan.Vetoes() &&
			slices.ContainsFunc(o.supports, func(v said[act.Support]) bool {
				return v.what.Role == act.Guardian && v.what.By == guardian && v.before(log, steps[i].Leaf)
			})
	})
}

// consents are the operators that count, and whose own persons supported it, as a log told before a leaf.
func (c *inquiry) consents(log string, leaf int) (names []string) {
	for _, name := range c.Plan.Contributors(c.Request.Subjects) {
		if slices.ContainsFunc(c.supports, func(v said[act.Support]) bool {
			return v.what.Role == act.Operator && v.what.By == name && v.before(log, leaf) && !v.what.Created.Before(c.Request.Created)
		}) {
			names = append(names, name)
		}
	}
	return names
}

// objectors is how many guardians that may veto had, as a log told before a leaf.
func (c *inquiry) objectors(log string, leaf int) int {
	by := map[string]bool{}
	for _, v := range c.vetoes {
		g, ok := c.Plan.Guardian(v.what.By)
		coerced := c.Request.Trigger == plan.Compromise && c.Plan.Bound(g.Reach, c.Request.Subjects) != ""
		if ok && !coerced && v.before(log, leaf) && !v.what.Created.Before(c.Request.Created) {
			by[g.Name] = true
		}
	}
	return len(by)
}

// cancelled says whether what ends a request stood in a log before a leaf: enough vetoes, or one subject's proof of life and live signature (spec/sos 3.7).
func (c *inquiry) cancelled(log string, leaf int) bool {
	if c.objectors(log, leaf) >= c.Plan.Vetoes() {
		return true
	}
	if t := c.Request.Trigger; t == plan.Compromise || t == plan.Legal {
		return false
	}
	return slices.ContainsFunc(c.alive, func(a said[act.Alive]) bool {
		return a.before(log, leaf) && slices.ContainsFunc(c.signed, func(s said[act.Signed]) bool { return s.what.Operator == a.what.Operator && s.before(log, leaf) })
	})
}

// waited says why a time is not over: by what the node signed of its own clock, and by its own log; "" if it is (S1, S2).
func waited(from, to Place, credited, need time.Duration) string {
	switch passed := to.At.Sub(from.At); {
	case credited < need:
		return fmt.Sprintf("it signed that %s of %s were over", credited, need)
	case passed < need-skew:
		return fmt.Sprintf("%s of %s had passed in its own log", passed.Truncate(time.Second), need)
	}
	return ""
}

func (c *inquiry) delay() time.Duration {
	t, _ := c.Plan.Trigger(c.Request.Trigger)
	return t.Delay
}

// walkActive: not before the whole delay, with r consents, and nothing that ends it (spec/sos 3.4).
func (j *judge) walkActive(c *inquiry, l Log, from, s taken) {
	if from.State != "" {
		if why := waited(from.Place, s.Place, s.Credited, c.delay()); why != "" {
			j.accuse(c, l.Operator, claimTime, "leaf %d of its log is active, and %s", s.Leaf, why)
		}
	}
	if names := c.consents(l.Operator, s.Leaf); len(names) < c.Plan.Live {
		j.accuse(c, l.Operator, claimPart, "leaf %d of its log is active, and the own persons of %d operators (%s) had consented, %d must", s.Leaf, len(names), strings.Join(names, ", "), c.Plan.Live)
	}
	if c.cancelled(l.Operator, s.Leaf) {
		j.accuse(c, l.Operator, claimVeto, "leaf %d of its log is active, and what cancels it stood before", s.Leaf)
	}
}

// walkLockUp: after ACTIVE, or because new shares came (spec/sos 3.5, 3.9).
func (j *judge) walkLockUp(c *inquiry, l Log, before, s taken) {
	if before.State == active {
		return
	}
	for _, e := range j.made(c) {
		if _, ok := e.Told[l.Operator]; ok {
			return
		}
	}
	if !c.gaveBefore(l.Operator, s.Leaf) && !c.gaveAgain(l.Operator) {
		j.accuse(c, l.Operator, claimSteps, "leaf %d of its log locks up, and neither was it active, nor had its node given a part, nor do new shares stand before it", s.Leaf)
	}
}

func (c *inquiry) gaveBefore(operator string, leaf int) bool {
	return slices.ContainsFunc(c.released, func(r said[act.Released]) bool { return r.what.Operator == operator && r.before(operator, leaf) })
}

// walkClosed: after the whole lock-up or an early release, by a closing that as many of each new committee signed as sign (spec/sos 3.6).
func (j *judge) walkClosed(c *inquiry, l Log, from, s taken) {
	freed := slices.ContainsFunc(c.freed, func(f said[act.EarlyRelease]) bool { return f.before(l.Operator, s.Leaf) })
	if why := waited(from.Place, s.Place, s.Credited, c.Plan.LockUp); from.State != "" && !freed && why != "" {
		j.accuse(c, l.Operator, claimTime, "leaf %d of its log ends the lock-up, and %s", s.Leaf, why)
	}
	if j.ledOn(c, l.Operator, s.Leaf) { // by another emergency, since nobody closed it
		return
	}
	if len(c.Plan.Successors) == 0 && !freed {
		j.accuse(c, l.Operator, claimTime, "leaf %d of its log ends a lock-up that only an early release ends: the plan names no successors", s.Leaf)
	}
	if !slices.ContainsFunc(c.closes, func(v said[act.Close]) bool {
		return v.before(l.Operator, s.Leaf) && j.names(c, v.what, l.Operator, s.Leaf)
	}) {
		j.accuse(c, l.Operator, claimClose, "leaf %d of its log closes it, and no closing that enough of each new committee signed, and that names all new shares that it tells of, stands before it", s.Leaf)
	}
}

// ledOn says that another emergency gave each key that this one had given new shares newer ones, as a log told before a leaf (spec/sos 3.6).
func (j *judge) ledOn(c *inquiry, log string, leaf int) bool {
	all := j.made(c)
	for _, e := range all {
		if !slices.ContainsFunc(j.cases, func(o *inquiry) bool {
			return o != c && slices.Contains(o.Request.Keys, e.Key) && slices.ContainsFunc(j.made(o), func(n Epoch) bool {
				at, told := n.Told[log]
				return n.Key.Key == e.Key.Key && told && at.Leaf < leaf
			})
		}) {
			return false
		}
	}
	return len(all) > 0
}

// names says that a closing leaves out none of the epochs that the emergency made, as a log told before a leaf: keys without new shares stay as they were.
func (j *judge) names(c *inquiry, v act.Close, log string, leaf int) bool {
	for _, e := range j.made(c) {
		at, told := e.Told[log]
		if told && at.Leaf < leaf && !slices.ContainsFunc(v.Keys, func(k act.Backed) bool { return k.Key == e.Key }) {
			return false
		}
	}
	return true
}

// oneAtATime wants no node to hold two declarations of a vault open (spec/sos 2.5).
func (j *judge) oneAtATime(l Log) {
	type moved struct {
		c *inquiry
		taken
	}
	var all []moved
	for _, c := range j.cases {
		for _, s := range c.own(l.Operator) {
			all = append(all, moved{c, s})
		}
	}
	sort.Slice(all, func(i, k int) bool { return all[i].Leaf < all[k].Leaf })
	state := map[*inquiry]taken{}
	for _, m := range all {
		if m.State == declared {
			for _, o := range j.cases {
				s := state[o]
				unclosed := s.State == lockUp && m.At.Sub(s.At) >= o.Plan.LockUp-skew // in its time: it holds no other back
				if o != m.c && holds(s.State) && !unclosed {
					j.accuse(m.c, l.Operator, claimOne, "leaf %d of its log declares it while emergency %s is %s there", m.Leaf, o.id.Short(), s.State)
				}
			}
		}
		state[m.c] = m.taken
	}
}

// everywhere wants what one log tells to stand in all: a step in its own node's before all (spec/sos 3.11, S10).
func (j *judge) everywhere(c *inquiry) {
	type thing struct {
		what, own string
		told      map[string]Place
	}
	all := []thing{{"the request", "", c.said.Told}}
	add := func(what, own string, told map[string]Place) { all = append(all, thing{what, own, told}) }
	for _, v := range c.supports {
		add("the support of "+v.what.Role+" "+v.what.By, "", v.told)
	}
	for _, v := range c.vetoes {
		add("the veto of guardian "+v.what.By, "", v.told)
	}
	for _, v := range c.steps {
		add(fmt.Sprintf("the step of %s to %s", v.what.Operator, v.what.State), v.what.Operator, v.told)
	}
	for _, v := range c.released {
		add("that "+v.what.Operator+" gave its part", v.what.Operator, v.told)
	}
	for _, x := range all {
		first := firstTold(x.told)
		if own, ok := j.log(x.own); ok && j.must(own, first.Add(j.Grace)) && !first.Before(own.Renewed) { // its log may be shown as it was a little before
			if _, told := x.told[x.own]; !told {
				j.accuse(c, x.own, claimSteps, "%s stands in the logs of %s, and not in its own", x.what, tellers(x.told))
			}
		}
		var lack []string
		for _, l := range j.Logs {
			_, told := x.told[l.Operator]
			if _, ours := c.Plan.Anyone(l.Operator); ours && !told && l.Operator != x.own && j.must(l, first.Add(j.Grace)) && !first.Before(l.Joined) {
				lack = append(lack, l.Operator)
			}
		}
		if len(lack) > 0 {
			j.find(c.subject(j.Story), claimAll, "%s stands in the logs of %s since %s, and not in those of %s", x.what, tellers(x.told), first.UTC().Format(time.RFC3339), strings.Join(lack, ", "))
		}
	}
}

// must says whether a log is shown beyond a time, and goes back to it.
func (j *judge) must(l Log, at time.Time) bool {
	return l.Reach.After(at) && !at.Before(l.Renewed) && !at.Before(l.Joined)
}

// firstTold is the middle of when logs first told, so that no single clock decides.
func firstTold(told map[string]Place) time.Time {
	var all []time.Time
	for _, p := range told {
		all = append(all, p.At)
	}
	if len(all) == 0 {
		return time.Time{}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all[len(all)/2]
}
