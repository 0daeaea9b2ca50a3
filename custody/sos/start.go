package sos

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// count keeps a support. Whether it counts is asked when it matters: for the declaration in lacks, for consent in Consents.
func count(t *turn, e Event) error {
	v := e.(Supported).Support
	if err := timely(t, v.Head, v.Created); err != nil {
		return err
	}
	if v.Role == act.Operator && t.c.plan.Bound(reachOf(t.c.plan, v.By), t.c.request.Subjects) != "" {
		return fmt.Errorf("%w: %s %s: it does not count", ErrPlan, v.By, t.c.plan.Bound(reachOf(t.c.plan, v.By), t.c.request.Subjects))
	}
	t.c.supports = put(t.c.supports, mark{v.Role, v.By, v.ID, len(v.Contacts) > 0})
	return nil
}

func reachOf(p plan.Plan, operator string) plan.Reach {
	o, _ := p.Operator(operator)
	return o.Reach
}

// timely refuses what is about another request (S3), what was said before the request was made, and what comes from the future (S6).
func timely(t *turn, h act.Head, created time.Time) error {
	if err := h.Of(t.c.request); err != nil {
		return fmt.Errorf("%w: %w", ErrForeign, err)
	}
	switch {
	case created.Before(t.c.request.Created):
		return fmt.Errorf("%w: it was made at %s, before the request", ErrForeign, statement.FormatTime(created))
	case created.Sub(t.r.Wall) > act.Skew:
		return fmt.Errorf("%w: it was made at %s, here it is %s", ErrEarly, statement.FormatTime(created), statement.FormatTime(t.r.Wall))
	}
	return nil
}

// put keeps the first mark of each who speaks: a second one by the same key counts no more than the first (S8), but for whom they tried to reach, if the first
// left it out.
func put(all []mark, m mark) []mark {
	i, found := slices.BinarySearchFunc(all, m, func(a, b mark) int { return strings.Compare(a.role+" "+a.by, b.role+" "+b.by) })
	switch {
	case !found:
		return slices.Insert(all, i, m)
	case m.contacts && !all[i].contacts:
		all = slices.Clone(all)
		all[i] = m
	}
	return all
}

// gather asks on each tick whether a request is a declaration now.
func gather(t *turn, e Event) error {
	if !t.r.Wall.Before(t.c.request.Expires) { // S6
		t.step(Expired, "it found too little support in its time")
		return nil
	}
	if len(t.d.lacks(*t.c, e.(Tick).View, t.r)) > 0 {
		return nil
	}
	t.c.declared, t.c.clock = t.r.Wall, StartClock(t.r)
	t.step(Declared, fmt.Sprintf("%s of %s; ordinary outflow is frozen", t.c.request.Trigger, list(t.c.request.Subjects)))
	return nil
}

// Lacks is what a request still needs to be a declaration, in words for people; none: the next tick declares it.
func (d Docket) Lacks(request statement.ID, v View, r Reading) []string {
	if i := d.find(request); i >= 0 && d.cases[i].state == Armed {
		return d.lacks(d.cases[i], v, r)
	}
	return []string{"it is not a request that gathers support"}
}

// Ripe says whether a request lacks nothing but what the silence or refusal of its subjects would show: then its declaration is near, or made elsewhere.
func (d Docket) Ripe(request statement.ID, v View, r Reading) bool {
	i := d.find(request)
	if i < 0 || d.cases[i].state != Armed || !r.Wall.Before(d.cases[i].request.Expires) || len(d.unfit(d.cases[i], v, r)) > 0 {
		return false
	}
	// Whoever was heard a moment ago is not silent in a moment: else k guardians and one operator keep epochs back for ever, and nothing is declared that could be vetoed.
	late := View{Silent: map[string]time.Duration{}, Refusing: map[string]time.Duration{}}
	for _, s := range d.cases[i].request.Subjects {
		late.Silent[s], late.Refusing[s] = 2*v.Silent[s], 2*v.Refusing[s]
	}
	return !slices.ContainsFunc(d.cases[i].request.Subjects, func(s string) bool { return d.alive(d.cases[i], s, late) != "" })
}

func (d Docket) lacks(c Case, v View, r Reading) []string {
	lacks := d.unfit(c, v, r)
	for _, s := range c.request.Subjects {
		if why := d.alive(c, s, v); why != "" {
			lacks = append(lacks, why)
		}
	}
	return lacks
}

// unfit is what a request lacks by what people and nodes said of it.
func (d Docket) unfit(c Case, v View, r Reading) (lacks []string) {
	add := func(format string, args ...any) { lacks = append(lacks, fmt.Sprintf(format, args...)) }
	q := c.request
	// The plan and the epochs are those in force, or the request is void (S6, S7).
	if q.Charter != d.plan.Charter {
		add("another charter is in force: make it anew under that")
	}
	if !slices.ContainsFunc(v.Of(q.Subjects), func(keys []act.Key) bool { return slices.Equal(q.Keys, keys) }) {
		add("it does not name the vault's keys that its subjects hold a share of with one committee, in the epochs in force: make it anew with those")
	}
	if err := c.plan.Serves(q.Trigger, q.Subjects); err != nil {
		add("%v", err)
	}
	if open, ok := d.Open(); ok && !open.overrun() {
		add("SOS request %s is open: one at a time", open.ID().Short())
	}
	before := d.before(r)
	if q.Number < before {
		add("it says that %d declarations came in the 90 days before; this node knows %d: make it anew with that number", q.Number, before)
	}
	if c.stranded(d.self) {
		add("it is over for %s: make it anew", list(c.expired()))
	}
	return append(lacks, d.backers(c, max(q.Number, before), r)...)
}

// Of are the keys that requests about these subjects name, one request for each committee: every key of the vault in whose committee in force one of them sits, by whom they are held and how
// many of these sign. After an emergency that left a key they may differ: each committee has its own contributors, plan and guardians' parts, and one must not wait for the other. What an
// emergency that closed gave new shares, it does not ask about again where no subject holds it. A key of which the committee is not known is of every one.
func (v View) Of(subjects []string) (groups [][]act.Key) {
	var of []Holders
	var unknown []act.Key
	for _, k := range v.Keys {
		holders, known := v.Holders[k.Key]
		i := slices.IndexFunc(of, func(h Holders) bool {
			return h.Threshold == holders.Threshold && slices.Equal(h.Operators, holders.Operators)
		})
		switch {
		case !known:
			unknown = append(unknown, k)
		case !slices.ContainsFunc(subjects, func(name string) bool { return slices.Contains(holders.Operators, name) }):
		case i < 0:
			of, groups = append(of, holders), append(groups, []act.Key{k})
		default:
			groups[i] = append(groups[i], k)
		}
	}
	if len(groups) == 0 && len(unknown) > 0 {
		return [][]act.Key{unknown}
	}
	for i := range groups {
		groups[i] = append(groups[i], unknown...)
		slices.SortFunc(groups[i], func(a, b act.Key) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	}
	return groups
}

// before is how many declarations came in the 90 days before, as this node knows. A clock that was set back forgets none.
func (d Docket) before(r Reading) (n int) {
	for _, c := range d.cases {
		if !c.declared.IsZero() && r.Wall.Sub(c.declared) < RepeatWithin {
			n++
		}
	}
	return n
}

// Declared is how many declarations came in the 90 days before now, as this node knows, and the last of them: what a new request says of both.
func (d Docket) Declared(now time.Time) (n int, last statement.ID) {
	var at time.Time
	for _, c := range d.cases {
		if !c.declared.IsZero() && now.Sub(c.declared) < RepeatWithin && !c.declared.Before(at) {
			at, last = c.declared, c.ID()
		}
	}
	return d.before(Reading{Wall: now}), last
}

// alive says why a trigger does not hold of a subject, as this node itself sees it: "" if it holds.
func (d Docket) alive(c Case, subject string, v View) string {
	trigger := c.trigger()
	silent, need := v.Silent[subject], trigger.After
	if subject == d.self && c.request.Trigger != plan.Compromise && c.request.Trigger != plan.Legal {
		return "this node is a subject, and lives"
	}
	switch c.request.Trigger {
	case plan.BelowThreshold: // lost now, whatever for
		need = 3 * c.plan.Heartbeat
		fallthrough
	case plan.Silence:
		if silent < need {
			return fmt.Sprintf("%s has been silent for %s here, %s is needed", subject, silent.Truncate(time.Second), need)
		}
	case plan.Refusal:
		if refusing := v.Refusing[subject]; refusing < need {
			return fmt.Sprintf("%s has not signed for %s after a challenge that this node had, %s is needed", subject, refusing.Truncate(time.Second), need)
		}
	}
	return ""
}

// backers says who is missing. Nobody counts who shares a subject's person, organisation or cloud account, who is against it as well,
// who signed a declaration that guardians vetoed within 30 days, or, in silence, who does not say whom they tried to reach.
func (d Docket) backers(c Case, before int, r Reading) (lacks []string) {
	need := c.plan.Starts(c.request.Trigger, before)
	operators := slices.DeleteFunc(c.Consents(), func(name string) bool { return d.paused(act.Operator, name, r) })
	people := map[string]bool{}
	for _, name := range operators {
		for _, p := range reachOf(c.plan, name).People {
			people[p] = true
		}
	}
	guardians, organisations := []string{}, map[string]bool{}
	for _, m := range c.supports {
		g, ok := c.plan.Guardian(m.by)
		switch {
		case m.role != act.Guardian || !ok || c.plan.Bound(g.Reach, c.request.Subjects) != "":
		case slices.ContainsFunc(c.vetoes, func(v mark) bool { return v.by == m.by }):
		case d.paused(act.Guardian, m.by, r) || c.request.Trigger == plan.Silence && !m.contacts:
		case people[g.Person]: // S8: one person counts once, here as an operator's
		default:
			guardians, organisations[g.Organisation] = append(guardians, m.by), true
		}
	}
	if n := need.Operators - len(operators); n > 0 {
		lacks = append(lacks, fmt.Sprintf("%s must support it (so far %s)", more(n, "live operator", "live operators"), list(operators)))
	}
	if n := need.Guardians - len(guardians); n > 0 {
		lacks = append(lacks, fmt.Sprintf("%s must support it (so far %s)", more(n, "guardian", "guardians"), list(guardians)))
	}
	if n := need.Organisations - len(organisations); n > 0 {
		lacks = append(lacks, fmt.Sprintf("guardians of %s must support it", more(n, "organisation", "organisations")))
	}
	return lacks
}

// paused says that somebody signed a declaration that guardians vetoed less than 30 days ago (S5).
func (d Docket) paused(role, by string, r Reading) bool {
	return slices.ContainsFunc(d.cases, func(c Case) bool {
		return c.byGuardians && !c.declared.IsZero() && r.Wall.Sub(c.since) < Pause &&
			slices.ContainsFunc(c.supports, func(m mark) bool { return m.role == role && m.by == by })
	})
}

func list(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}
