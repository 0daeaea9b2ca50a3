package sos

import (
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// Repeats counts declarations this far back; a pause after guardians vetoed lasts so long.
const (
	RepeatWithin = 90 * 24 * time.Hour
	Pause        = 30 * 24 * time.Hour
	MaxCases     = 64 // kept at once
)

// A Docket is all that one node keeps of one vault's SOS. Values never change: Apply makes a new one, which the host makes durable
// before it acts on the effects. It begins empty, with the plan of the charter in force.
type Docket struct {
	plan   plan.Plan // of the charter in force; open cases keep their own
	self   string    // operator whose node keeps it: of the circle, not always of the committee
	cases  []Case    // ascending by request id
	rolled bool      // rolled back, and not confirmed since
	forked []string  // operators whose logs are forked, ascending
}

// NewDocket is that of a vault without requests.
func NewDocket(p plan.Plan, self string) Docket { return Docket{plan: p, self: self} }

// Under is the docket when another charter is in force: what is open keeps its own plan, what only gathers support becomes void.
func (d Docket) Under(p plan.Plan) Docket {
	d.plan = p
	return d
}

// clone shares what its cases list: a case that is to change is cloned too.
func (d Docket) clone() Docket {
	d.cases, d.forked = slices.Clone(d.cases), slices.Clone(d.forked)
	return d
}

// Cases are all that are kept.
func (d Docket) Cases() []Case { return slices.Clone(d.cases) }

// Case finds one.
func (d Docket) Case(request statement.ID) (Case, bool) {
	if i := d.find(request); i >= 0 {
		return d.cases[i], true
	}
	return Case{}, false
}

func (d Docket) find(request statement.ID) int {
	return slices.IndexFunc(d.cases, func(c Case) bool { return c.request.ID == request })
}

// Open is the case that holds the vault: declared, and not over. A lock-up that nobody closed in its time comes after another, which may be about who keeps its closing back.
func (d Docket) Open() (open Case, ok bool) {
	for _, c := range d.cases {
		if c.state.Holds() && (!ok || open.overrun()) {
			open, ok = c, true
		}
	}
	return open, ok
}

// yields says that a case leaves an outflow to another: its own lock-up was not closed in its time, and the other holds the same vault since.
func (d Docket) yields(c Case, o Outflow) bool {
	return (c.overrun() || c.state == Closed) && c.own(o) && slices.ContainsFunc(d.cases, func(x Case) bool { return x.state.Holds() && !x.overrun() && x.own(o) })
}

// Rolled says that this node was rolled back and its operator has not confirmed.
func (d Docket) Rolled() bool { return d.rolled }

// LogForked says that an operator's log is known to be forked.
func (d Docket) LogForked(operator string) bool { return slices.Contains(d.forked, operator) }

// A turn is one event at one case.
type turn struct {
	d  *Docket
	c  *Case
	r  Reading
	fx *Effects
}

// Ask takes a request that act.VerifyRequest accepted with the plan in force. It moves nothing by itself, but everybody is told: no
// declaration is prepared in silence (S10).
func (d Docket) Ask(s statement.Statement, r Reading) (Docket, Effects, error) {
	r = r.plain()
	q, err := act.RequestOf(s)
	if err != nil {
		return d, Effects{}, err
	}
	if d.find(q.ID) >= 0 {
		return d, Effects{}, nil // known: S3, nothing begins anew
	}
	fail := func(err error) (Docket, Effects, error) {
		return d, Effects{}, fmt.Errorf("SOS request %s: %w", q.ID.Short(), err)
	}
	switch {
	case q.Vault != d.plan.Vault || q.Charter != d.plan.Charter:
		return fail(fmt.Errorf("%w: it names vault %s under charter %s, in force is %s", ErrForeign, q.Vault.Short(), q.Charter.Short(), d.plan.Charter.Short()))
	case q.Drill != d.plan.Drill:
		return fail(fmt.Errorf("%w: DRILL and REAL differ", ErrPlan))
	case q.Created.Sub(r.Wall) > act.Skew:
		return fail(fmt.Errorf("%w: it was made at %s, here it is %s", ErrEarly, statement.FormatTime(q.Created), statement.FormatTime(r.Wall)))
	}
	// Who asks anew takes the place of their own request before, with its vetoes: that one never comes again.
	if i := slices.IndexFunc(d.cases, func(c Case) bool { return c.asks(q) && !q.Created.After(c.request.Created) }); i >= 0 {
		return fail(fmt.Errorf("%w: %s asked again since, by request %s", ErrUsed, q.By, d.cases[i].request.ID.Short()))
	}
	if err := d.plan.Validate(); err != nil {
		return fail(fmt.Errorf("%w: %w", ErrPlan, err))
	}
	if err := d.plan.Serves(q.Trigger, q.Subjects); err != nil {
		return fail(fmt.Errorf("%w: %w", ErrPlan, err))
	}
	next, fx := d.clone(), Effects{}
	c := Case{plan: d.plan, said: s, request: q}
	c.enter(Armed, r)
	if !r.Wall.Before(q.Expires) { // it may still have been declared elsewhere, and bring shares
		c.enter(Expired, r)
	}
	if err := next.room(s, q, r); err != nil {
		return fail(err)
	}
	next.cases = append(next.cases, c)
	slices.SortFunc(next.cases, byRequest)
	fx.tell(c, fmt.Sprintf("%s asks for SOS of vault %s (%s, %s) because of %s: %s. Nothing moves before it is declared.", q.By, d.plan.Name, modeOf(q), q.Trigger, list(q.Subjects), q.Reason))
	return next, fx, nil
}

// room makes place for a request: one that gathers support for each who asks, and none that is needed is forgotten.
func (d *Docket) room(s statement.Statement, q act.Request, r Reading) error {
	d.cases = slices.DeleteFunc(d.cases, func(c Case) bool {
		return c.state == Armed && c.asks(q) || c.forgotten(r)
	})
	full := func() bool {
		return (len(d.cases)+1)*mostCase > maxCases && d.sum(Case.askedSize)+Case{plan: d.plan, said: s, request: q}.askedSize() > maxCases
	}
	for len(d.cases) >= MaxCases || full() {
		i := slices.IndexFunc(d.cases, func(c Case) bool { return c.state.Ended() && c.declared.IsZero() })
		if i < 0 {
			return fmt.Errorf("%w: %d requests of vault %s are kept", ErrMany, len(d.cases), d.plan.Name)
		}
		d.cases = slices.Delete(d.cases, i, i+1)
	}
	return nil
}

// asks says that a request is by who made this one.
func (c Case) asks(q act.Request) bool { return c.request.Role == q.Role && c.request.By == q.By }

// forgotten says that a case is over, counts for no repeat or pause any more, and bounds nothing that leaves. The lock-up's time goes by as well, however early
// it was released: the records of the new epochs name its end, and who has no docket goes by these alone.
func (c Case) forgotten(r Reading) bool {
	return c.state.Ended() && r.Wall.Sub(c.since) > max(RepeatWithin, c.plan.LockUp+time.Hour) && (c.state != Closed || c.tranchesOver())
}

func byRequest(a, b Case) int { return slices.Compare(a.request.ID[:], b.request.ID[:]) }

// Apply takes one event, or refuses it with an error that names why; then the docket is unchanged. Repeated news is taken and changes
// nothing.
func (d Docket) Apply(e Event, r Reading) (Docket, Effects, error) {
	r = r.plain()
	next, fx := d.clone(), Effects{}
	for i := range next.cases {
		if c := &next.cases[i]; c.state.Holds() || c.state == Closed {
			c.clock = c.clock.Tick(r)
		}
	}
	if err := next.note(e); err != nil {
		return d, Effects{}, err
	}
	if _, ok := e.(Tick); ok {
		next.cases = slices.DeleteFunc(next.cases, func(c Case) bool { return c.forgotten(r) })
	}
	id, one := about(e)
	for i := range next.cases {
		c := &next.cases[i]
		if one && c.request.ID != id {
			continue
		}
		*c = c.clone()
		before := c.state
		if err := moves[c.state][e.column()].do(&turn{&next, c, r, &fx}, e); err != nil {
			return d, Effects{}, fmt.Errorf("SOS request %s is %s: %s: %w", c.request.ID.Short(), before, columnNames[e.column()], err)
		}
		if one {
			return next, fx, nil
		}
	}
	if one {
		return d, Effects{}, fmt.Errorf("SOS request %s: %s: %w", id.Short(), columnNames[e.column()], ErrUnknown)
	}
	return next, fx, nil
}

// about is the request that an event belongs to, false for events of the whole docket.
func about(e Event) (statement.ID, bool) {
	switch e := e.(type) {
	case Supported:
		return e.Request, true
	case Objected:
		return e.Request, true
	case Lived:
		return e.Request, true
	case SignedLive:
		return e.Request, true
	case Stepped:
		return e.Request, true
	case Gave:
		return e.Request, true
	case Told:
		return e.Request, true
	case Activated:
		return e.Request, true
	case Reshared:
		return e.Request, true
	case ClosedBy:
		return e.Request, true
	case Freed:
		return e.Request, true
	}
	return statement.ID{}, false
}

// note keeps what is of the whole docket.
func (d *Docket) note(e Event) error {
	switch e := e.(type) {
	case RolledBack:
		d.rolled = true
	case Confirmed:
		d.rolled = false
	case Forked:
		if _, ok := d.plan.Anyone(e.Operator); !ok {
			return fmt.Errorf("log of %s is forked: %w: it is no operator of the circle", e.Operator, ErrForeign)
		}
		if !slices.Contains(d.forked, e.Operator) {
			d.forked = append(d.forked, e.Operator)
			slices.Sort(d.forked)
		}
	}
	return nil
}

// step enters a state and says so in this node's log and to everybody.
func (t *turn) step(s State, why string) {
	t.c.enter(s, t.r)
	t.fx.Say = append(t.fx.Say, act.Step{
		Head: t.c.request.Head(), Operator: t.d.self, State: s.String(), Why: why, Credited: t.c.clock.Credited, FirstSeen: t.c.seen(t.r), Created: t.r.Wall,
	})
	t.fx.tell(*t.c, fmt.Sprintf("SOS of vault %s (%s) is %s at %s: %s.", t.c.plan.Name, modeOf(t.c.request), s, t.d.self, why))
}

// seen is the first sight of the declaration; a request that was none has that of its end.
func (c Case) seen(r Reading) time.Time {
	if c.declared.IsZero() {
		return r.Wall
	}
	return c.declared
}

func (fx *Effects) tell(c Case, text string) {
	fx.Tell = append(fx.Tell, Notice{c.request.ID, c.state, slices.Clone(c.request.Subjects), text})
}

func modeOf(q act.Request) string {
	if q.Drill {
		return "DRILL"
	}
	return "REAL"
}
