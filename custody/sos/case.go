package sos

import (
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Case is one request as one node has it. It keeps the plan of the charter that the request names, whatever comes after (S7).
type Case struct {
	plan    plan.Plan
	said    statement.Statement // the request's own bytes
	request act.Request

	state    State
	declared time.Time     // own wall clock; zero: never declared here
	since    time.Time     // own wall clock when the state began
	at       time.Duration // credited when the state began
	clock    Clock         // begins with Declared, and again with Contest
	told     bool
	height   uint64 // of the plan's chain when the delay began

	supports []mark // ascending by role and name
	vetoes   []mark // ascending by name
	alive    []string
	signed   []string
	steps    []word // each other node's last word, ascending by operator

	activations []activation // ascending by key and attempt
	gave        []gift       // who gave their part, this node too; ascending
	reshared    []fresh      // keys in the epochs that SOS brought, ascending
	late        bool         // a veto or cancellation came after this node gave its part
	byGuardians bool         // it is over because guardians vetoed
	freed       bool         // early release
	spent       []spend
	totals      []total          // ascending by what and name
	slots       [2][]settledSlot // of what left before the end of the lock-up, and after it; ascending
}

// A mark is what one guardian or operator said.
type mark struct {
	role, by string
	id       statement.ID
	contacts bool // whom they tried to reach was said
}

// A word is the last step that another node told of.
type word struct {
	operator string
	state    State
	created  time.Time
}

// An activation as a case keeps it.
type activation struct {
	id           statement.ID
	key          [32]byte
	attempt      int
	contributors []string
	members      []string
}

// A gift says that an operator gave its part to an activation.
type gift struct {
	activation statement.ID
	operator   string
}

// A fresh is a key in the epoch that SOS brought, with the committee of that and how many of it sign.
type fresh struct {
	act.Key
	committee []string // ascending
	threshold int
}

// A spend is one thing that left: so much of an asset, or one use of a call.
type spend struct {
	intent statement.ID
	what   What
	name   string // asset or call
	amount int64
	slot   [32]byte // of all that have it one takes place: intent is the last of them, amount the most of any; zero: this intent's alone
	at     time.Time
	holds  bool // for a while after at its slot is for the same again: it was called or moved, and was not a fee alone
}

// Bounds of what a case keeps: whoever fills it locks themselves out, not the node.
const (
	maxSpends      = 4096
	maxActivations = 64 // of each key: nodes sign them at a pace at which no window has so many (spec/node 12.10)
	maxGifts       = maxActivations * statement.MaxSOSKeys * statement.MaxOperators
)

func (c Case) clone() Case {
	c.supports, c.vetoes, c.alive, c.signed = slices.Clone(c.supports), slices.Clone(c.vetoes), slices.Clone(c.alive), slices.Clone(c.signed)
	c.steps, c.activations, c.gave = slices.Clone(c.steps), slices.Clone(c.activations), slices.Clone(c.gave)
	c.reshared, c.spent, c.totals = slices.Clone(c.reshared), slices.Clone(c.spent), slices.Clone(c.totals)
	c.slots = [2][]settledSlot{slices.Clone(c.slots[0]), slices.Clone(c.slots[1])}
	return c
}

// ID is the request's.
func (c Case) ID() statement.ID { return c.request.ID }

// Request is what was asked.
func (c Case) Request() act.Request { return c.request }

// Said is the request's own statement.
func (c Case) Said() statement.Statement { return c.said }

// Plan is the one that the request keeps.
func (c Case) Plan() plan.Plan { return c.plan }

// State says how far it has come here.
func (c Case) State() State { return c.state }

// Since is when the state began, on this node's own clock.
func (c Case) Since() time.Time { return c.since }

// FirstSeen is when this node had the declaration; zero: it had none.
func (c Case) FirstSeen() time.Time { return c.declared }

// Credited is what of the delay has gone by.
func (c Case) Credited() time.Duration { return c.clock.Credited }

// Remaining is what is left of the delay, the window's or the lock-up's time, on this node's clock.
func (c Case) Remaining() time.Duration {
	gone := c.clock.Credited - c.at
	switch c.state {
	case Contest:
		return max(c.trigger().Delay-c.clock.Credited, 0)
	case Active:
		return max(c.plan.Window-gone, 0)
	case LockUp:
		return max(c.plan.LockUp-gone, 0)
	}
	return 0
}

// Consents are the operators whose own person supports it, and that count.
func (c Case) Consents() (names []string) {
	able := c.plan.Contributors(c.request.Subjects)
	for _, m := range c.supports {
		if m.role == act.Operator && slices.Contains(able, m.by) {
			names = append(names, m.by)
		}
	}
	return names
}

// Supports are the guardians who support it, and count: nobody who shares a domain with a subject, or is against it as well.
func (c Case) Supports() (names []string) {
	for _, m := range c.supports {
		g, ok := c.plan.Guardian(m.by)
		against := slices.ContainsFunc(c.vetoes, func(v mark) bool { return v.by == m.by })
		if m.role == act.Guardian && ok && !against && c.plan.Bound(g.Reach, c.request.Subjects) == "" {
			names = append(names, m.by)
		}
	}
	return names
}

// Unheard are the guardians who support a request for silence, and left out whom they tried to reach: they do not count (spec/sos 2.3).
func (c Case) Unheard() (names []string) {
	for _, m := range c.supports {
		if m.role == act.Guardian && c.request.Trigger == plan.Silence && !m.contacts {
			names = append(names, m.by)
		}
	}
	return names
}

// Vetoes are the guardians who are against it, and count.
func (c Case) Vetoes() (names []string) {
	for _, m := range c.vetoes {
		if c.mayVeto(m.by) {
			names = append(names, m.by)
		}
	}
	return names
}

// Activated says whether all contributors' nodes signed an activation, and this node took it.
func (c Case) Activated(id statement.ID) bool { _, ok := c.activation(id); return ok }

// Gave says whether an operator gave its part to an activation, as far as this node knows.
func (c Case) Gave(activation statement.ID, operator string) bool {
	return slices.Contains(c.gave, gift{activation, operator})
}

// Reshared are the keys that have new shares by SOS, each in its new epoch.
func (c Case) Reshared() (keys []act.Key) {
	for _, f := range c.reshared {
		keys = append(keys, f.Key)
	}
	return keys
}

// Left are the keys of the request that have no new shares, in the epochs that it names.
func (c Case) Left() (keys []act.Key) {
	for _, k := range c.request.Keys {
		if !slices.ContainsFunc(c.reshared, func(f fresh) bool { return f.Key.Key == k.Key }) {
			keys = append(keys, k)
		}
	}
	return keys
}

// Alive are the subjects of whom a proof of life is here; none can be of a request that their life does not end.
func (c Case) Alive() []string { return slices.Clone(c.alive) }

// Signed are the subjects of whom a live test signature is here.
func (c Case) Signed() []string { return slices.Clone(c.signed) }

// Cancels says whether a subject ends the request by a proof of life and a live test signature. One that may be coerced, or is wound
// up, does not.
func (c Case) Cancels() bool { return c.cancels() }

// Late says that a veto or cancellation came after this node had given its part.
func (c Case) Late() bool { return c.late }

// Committee is who signs an early release: every operator of the committees in force, of all keys with new shares together. Of it are who sign a closing.
func (c Case) Committee() (names []string) {
	for _, f := range c.reshared {
		for _, name := range f.committee {
			names = join(names, name)
		}
	}
	if len(c.reshared) > 0 {
		return names
	}
	for _, o := range c.plan.Operators {
		names = append(names, o.Name)
	}
	return names
}

func (c Case) trigger() plan.Trigger {
	t, _ := c.plan.Trigger(c.request.Trigger)
	return t
}

// given says that enough gave their part, as far as this node knows, for the key to have new shares: this node, which cannot take its
// own back, or all contributors of some activation, or shares that are there.
func (c Case) given(self string) bool {
	if len(c.reshared) > 0 || slices.ContainsFunc(c.gave, func(g gift) bool { return g.operator == self }) {
		return true
	}
	return slices.ContainsFunc(c.activations, c.allGave)
}

func (c Case) allGave(a activation) bool {
	return !slices.ContainsFunc(a.contributors, func(name string) bool { return !slices.Contains(c.gave, gift{a.id, name}) })
}

// AllGave says whether all contributors of an activation gave their parts, as far as this node knows.
func (c Case) AllGave(activation statement.ID) bool {
	a, ok := c.activation(activation)
	return ok && c.allGave(a)
}

// Beyond says that no activation of a request which is over here can bring new shares any more: fewer than r of those who may contribute have not said that it is over
// for them too, or the longest that it may last has gone by since it ended here: twice the delay and Slack, the window, the lock-up.
func (c Case) Beyond(now time.Time, self string) bool {
	if !c.state.Ended() {
		return false
	}
	most := 2*c.trigger().Delay + Slack + c.plan.Window + c.plan.LockUp
	running := slices.DeleteFunc(c.plan.Contributors(c.request.Subjects), func(name string) bool {
		return name == self || slices.ContainsFunc(c.steps, func(w word) bool { return w.operator == name && w.state.Ended() })
	})
	return c.state == Closed || len(running) < c.plan.Live || now.Sub(c.since) >= most
}

// enter begins a state.
func (c *Case) enter(s State, r Reading) {
	c.state, c.since, c.at = s, r.Wall, c.clock.Credited
}
