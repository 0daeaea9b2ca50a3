package rescue

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// inFlight is how long a signature that was begun before a declaration may take to end and to come to all logs.
const inFlight = 2 * time.Minute

// untilSkew is how far the end of a lock-up in a record may be from what a member's own clock makes of it: ten minutes between who opens the reshare and who
// joins (spec/ceremonies 5), and five between clocks.
const untilSkew = 15 * time.Minute

// An Outflow is what was signed, as the transaction itself says.
type Outflow struct {
	Intent     statement.ID
	Vault      string // another vault of this circle, whose key signed; empty: this one
	Key        act.Key
	Threshold  int              // so many sign in that epoch
	Told       map[string]Place // logs that tell of the signature
	Sessions   map[string][]int // leaves of logs that tell of sessions over it
	Ruled      statement.ID     // the request by whose plan its nodes allowed it; zero: by the ordinary rules, or it is withheld
	Allowed    map[string]Place // where nodes' own logs hold these decisions
	Taken      map[string]Place // logs that tell that its chain took it for good
	Hidden     bool             // its intent is withheld
	Other      string           // it is no transaction, or one that is not understood: what it is
	Chain      string
	Slot       string // address, chain and nonce: of all that have it the chain takes one; empty: there is none
	To         []string
	Calls      []Call
	Moves      map[string]int64 // of each asset of the charter that it names, in policy units, its fee included
	Unmeasured string           // why it cannot be counted in policy units; empty: it can
}

// A Call is of a contract.
type Call struct {
	To   string
	Data []byte
}

// A Left is how much of an asset left under one emergency, of what its plan caps.
type Left struct {
	Asset  string
	Amount int64
	Most   int64
	Capped bool
}

// A Went is one transaction that left under an emergency.
type Went struct {
	Intent    statement.ID
	Chain     string
	To        string // a rescue address, or the contract of a protective call
	Name      string // of either, in the plan
	Protected bool   // a protective call
	Moves     map[string]int64
	At        time.Time
}

// judgeOutflows wants what was signed under a lock to be what the plan lets leave: transfers to rescue addresses, or its protective calls (spec/sos 5), all of
// them together under its caps.
func (j *judge) judgeOutflows() {
	for _, o := range j.Outflows {
		if o.Vault != "" {
			j.rescueVault(o)
			continue
		}
		c := j.binds(o)
		if c == nil {
			continue
		}
		c.left = append(c.left, o)
		subject := fmt.Sprintf("request %s of vault %s", o.Intent.Short(), j.Name)
		switch {
		case o.Hidden:
			j.out.Attention = append(j.out.Attention, fmt.Sprintf("%s was signed in an emergency, and where to is withheld", subject))
		case o.Other != "":
			j.find(subject, claimLock, "in emergency %s its nodes signed what is no transfer and no protective call: %s", c.id.Short(), o.Other)
		case foreign(c.Plan, o) != "":
			j.find(subject, claimLock, "in emergency %s its nodes signed it: %s", c.id.Short(), foreign(c.Plan, o))
		case o.Unmeasured != "":
			j.find(subject, claimCaps, "in emergency %s its nodes signed what no cap can count: %s", c.id.Short(), o.Unmeasured)
		default:
			j.ruled(c, o)
			j.out.Judged++
		}
	}
	for _, c := range j.cases {
		j.judgeCaps(c)
		j.judgeTranches(c)
	}
}

// ruled holds each node that allowed something by the plan to the state that it was in: sweeps in ACTIVE and LOCK-UP, protective calls in ACTIVE alone. A call
// that was allowed in ACTIVE may be signed later.
func (j *judge) ruled(c *inquiry, o Outflow) {
	if o.Ruled != c.id {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(o.Allowed)) {
		steps := c.own(name)
		if l, ok := j.log(name); !ok || len(steps) == 0 && !l.Renewed.IsZero() {
			continue
		}
		at := o.Allowed[name]
		switch s := last(steps, at.Leaf); {
		case s.State != active && s.State != lockUp:
			j.accuse(c, name, claimLock, "leaf %d of its log allows request %s by the plan, and it was %q there", at.Leaf, o.Intent.Short(), s.State)
		case s.State == lockUp && len(o.Calls) > 0:
			j.accuse(c, name, claimLock, "leaf %d of its log allows request %s, a protective call, in lock-up: calls are made in ACTIVE alone", at.Leaf, o.Intent.Short())
		}
	}
}

// judgeTranches counts what left since an emergency's lock-up was over, from the vault, once it was closed, and its rescue vaults together: in the i-th period at most i times the
// tranche (spec/sos 5.7).
//
// How long it had been over is what t of those who tell could say by their own logs: whoever signs must have it so. Their clocks' credit is never more.
func (j *judge) judgeTranches(c *inquiry) {
	if len(c.Plan.Tranches) == 0 || len(c.freed) > 0 {
		return
	}
	type since struct {
		Outflow
		over time.Duration
	}
	var all []since
	for _, o := range j.Outflows {
		ours := o.Vault == "" && slices.ContainsFunc(c.Request.Keys, func(k act.Key) bool { return k.Key == o.Key.Key }) || o.Vault != "" && sweepsTo(c.Plan, o.Vault)
		if d, ok := c.overFor(o); ours && ok && o.Ruled.IsZero() {
			all = append(all, since{o, d})
		}
	}
	sort.SliceStable(all, func(i, k int) bool { return all[i].over < all[k].over })
	told, doubted := map[string]bool{}, map[string]bool{}
	var before []Outflow
	for _, o := range all {
		before = append(before, o.Outflow)
		took := settled(before)
		out, least := j.total(before, took, 0), j.total(before, took, j.unseen(before, took))
		for _, t := range c.Plan.Tranches {
			periods := int64(o.over / t.Every)
			most := (periods + 1) * min(t.Most, math.MaxInt64/(periods+1))
			if periods >= int64(t.Count) || out[t.Asset] <= most || told[t.Asset] {
				continue
			}
			text := fmt.Sprintf("%s after its lock-up, %d of %s had left, with request %s; by then its plan lets %d leave, %d more every %s", o.over.Truncate(time.Second), out[t.Asset], t.Asset, o.Intent.Short(), most, t.Most, t.Every)
			if least[t.Asset] > most {
				told[t.Asset] = true
				j.find(c.subject(j.Story), claimTranches, "%s", text)
			} else if !doubted[t.Asset] {
				doubted[t.Asset] = true
				j.attend("emergency %s: %s, unless what is withheld, and the chain took, has the nonce of another", c.id.Short(), text)
			}
		}
	}
}

// overFor is how long a request's lock-up had been over when something was signed, as those who signed could have it at most; ok is false if it was not over yet at as many as
// sign. Closed or not, it is over for a rescue vault; for the vault's own keys it must be closed.
func (c *inquiry) overFor(o Outflow) (d time.Duration, ok bool) {
	var all []time.Duration
	for name, at := range o.Told {
		steps := c.own(name)
		now, from := last(steps, at.Leaf), time.Time{}
		for _, s := range steps {
			switch {
			case s.Leaf >= at.Leaf:
			case s.State == lockUp:
				from = s.At.Add(c.Plan.LockUp)
			case s.State == closed && from.IsZero(): // a log that was begun anew from a copy
				from = s.At
			}
		}
		if over := at.At.Sub(from) + skew; now.State == closed || o.Vault != "" && now.State == lockUp && over >= 0 {
			all = append(all, over)
		}
	}
	need := max(min(o.Threshold, len(o.Told)), 1)
	if len(all) < need {
		return 0, false
	}
	sort.Slice(all, func(i, k int) bool { return all[i] > all[k] })
	return max(all[need-1], 0), true
}

func sweepsTo(p plan.Plan, vault string) bool {
	return slices.ContainsFunc(p.Destinations, func(d plan.Destination) bool { return d.Vault != "" && d.Vault == vault })
}

// rescueVault wants nothing to leave a rescue vault outward while the vault that is swept to it is ACTIVE or in LOCK-UP, until the lock-up's time is over (spec/sos 5.6).
func (j *judge) rescueVault(o Outflow) {
	for _, c := range j.cases {
		if !sweepsTo(c.Plan, o.Vault) || len(c.freed) > 0 || len(o.Told) == 0 {
			continue
		}
		held := 0
		for name, at := range o.Told {
			steps := c.own(name)
			i := slices.IndexFunc(steps, func(s taken) bool { return s.State == active || s.State == lockUp })
			if s := last(steps, at.Leaf); i >= 0 && (s.State == active || s.State == lockUp && at.At.Sub(s.At) < c.Plan.LockUp-skew) && at.At.Sub(steps[i].At) > inFlight {
				held++
			}
		}
		entered := func(name string) taken {
			steps := c.own(name)
			if i := slices.IndexFunc(steps, func(s taken) bool { return s.State == active || s.State == lockUp }); i >= 0 {
				return steps[i]
			}
			return taken{}
		}
		switch {
		case held < len(o.Told):
		case j.begunBefore(c, o, entered):
			j.attend("request %s of vault %s was signed by a session from before emergency %s of vault %s was active, whose last message came late", o.Intent.Short(), o.Vault, c.id.Short(), j.Name)
		default:
			j.find(fmt.Sprintf("request %s of vault %s", o.Intent.Short(), o.Vault), claimLock, "it left a rescue vault while emergency %s of vault %s was active or in lock-up", c.id.Short(), j.Name)
		}
	}
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
//
// What nodes allowed by a plan is that emergency's. Of an epoch that an emergency led to, all else is, until those who signed had it closed or released, and
// until its record lets go. Of an older epoch, what all logs that tell of it tell after their own nodes declared, and some time after.
func (j *judge) binds(o Outflow) *inquiry {
	if i := slices.IndexFunc(j.cases, func(c *inquiry) bool { return c.id == o.Ruled }); i >= 0 {
		return j.cases[i]
	}
	if e, ok := j.epoch(o.Key); ok && e.Locked {
		return j.lockedIn(o, e)
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
		switch {
		case held < len(o.Told):
		case j.begunBefore(c, o, c.first):
			j.attend("request %s of vault %s was signed by a session from before emergency %s, whose last message came late", o.Intent.Short(), j.Name, c.id.Short())
			return nil
		default:
			return c
		}
	}
	return nil
}

// begunBefore says that as many as sign may have had a session over something before their own step, and none since: then whoever was in it and kept back its last message has the
// signature, as late as they like, and nobody else did anything. Some log must tell so; of those who took no such step, and of whom no whole log is shown, it is not known.
func (j *judge) begunBefore(c *inquiry, o Outflow, step func(operator string) taken) bool {
	told, may := 0, map[string]bool{}
	for name, leaves := range o.Sessions {
		switch s := step(name); {
		case s.State == "":
			may[name] = true
		case slices.Max(leaves) < s.Leaf:
			told++
		}
	}
	e, known := j.epoch(o.Key)
	for _, name := range c.Request.Subjects {
		may[name] = may[name] || !known || slices.ContainsFunc(e.Members, func(m Seat) bool { return m.Operator == name })
	}
	for _, m := range e.Members {
		l, ok := j.log(m.Operator)
		may[m.Operator] = may[m.Operator] || (!ok || !l.Renewed.IsZero()) && len(o.Sessions[m.Operator]) == 0
	}
	maps.DeleteFunc(may, func(_ string, yes bool) bool { return !yes })
	return told > 0 && told+len(may) >= o.Threshold
}

// lockedIn finds the emergency that still locks an epoch when something was signed in it; nil: none any more.
func (j *judge) lockedIn(o Outflow, e Epoch) *inquiry {
	for i := len(j.cases) - 1; i >= 0; i-- {
		c := j.cases[i]
		made := j.made(c)
		if !slices.ContainsFunc(made, func(m Epoch) bool { return m.Key.Key == e.Key.Key && m.Number <= e.Number }) {
			continue
		}
		need := max(min(o.Threshold, len(o.Told)), 1)
		over, late := 0, 0
		for name, at := range o.Told {
			if c.over(name, at.Leaf) {
				over++
				if !j.tooSoon(c, e, name, at) {
					late++
				}
			}
		}
		switch {
		case over < need:
			return c
		case late < need:
			j.find(fmt.Sprintf("request %s of vault %s", o.Intent.Short(), j.Name), claimLock, "it was signed on %s, and the record of its epoch keeps to the rescue addresses until %s", statement.FormatTime(firstTold(o.Told)), statement.FormatTime(e.Until))
		}
		return nil
	}
	return nil
}

// tooSoon says that a signature stands in a log before the time that the record of its epoch names as the lock-up's end: nothing but an early release ends it
// sooner. Where a node's lock-up began before there were new shares, or the record has its time from an emergency before, the record's time may be later than the
// plan's, and the plan's holds.
func (j *judge) tooSoon(c *inquiry, e Epoch, operator string, at Place) bool {
	steps, made := c.own(operator), j.made(c)
	first := slices.IndexFunc(made, func(m Epoch) bool { return m.Key.Key == e.Key.Key })
	if first < 0 || slices.ContainsFunc(j.Epochs, func(o Epoch) bool {
		return o.Key.Key == e.Key.Key && o.Number < made[first].Number && !o.Until.Before(e.Until)
	}) {
		return false
	}
	i := slices.IndexFunc(steps, func(s taken) bool { return s.State == lockUp })
	if e.Until.IsZero() || i < 0 || slices.ContainsFunc(c.freed, func(f said[act.EarlyRelease]) bool { return f.before(operator, at.Leaf) }) {
		return false
	}
	for _, m := range made {
		if has, told := m.Told[operator]; m.Key.Key == e.Key.Key && told && steps[i].Leaf < has.Leaf {
			return false
		}
	}
	return at.At.Before(e.Until.Add(-untilSkew))
}

// went lists what left, in the order in which logs told of it.
func (c *inquiry) went() (out []Went) {
	for _, o := range c.left {
		w := Went{Intent: o.Intent, Chain: o.Chain, Moves: o.Moves, At: firstTold(o.Told)}
		for _, to := range o.To {
			w.To = to
			for _, d := range c.Plan.Destinations {
				if d.Chain == o.Chain && plan.Same(o.Chain, d.Address, to) {
					w.Name = d.Name
				}
			}
		}
		for _, x := range o.Calls {
			call, _ := c.Plan.Called(o.Chain, x.To, x.Data)
			w.To, w.Name, w.Protected = x.To, call.Name, true
		}
		out = append(out, w)
	}
	sort.Slice(out, func(i, k int) bool {
		return cmp.Or(out[i].At.Compare(out[k].At), bytes.Compare(out[i].Intent[:], out[k].Intent[:])) < 0
	})
	return out
}
