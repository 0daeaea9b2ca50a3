package policy

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// typical is what a treasury of one vault writes.
const typical = `
@id("fee") permit(principal, action == Action::"fee", resource) when { context.amount <= 5 && context.total.day <= 500 };
@id("payroll") permit(principal in Group::"finance", action in Action::"move", resource)
	when { context.labels.contains(Label::"payroll") && context.total.day <= 1000 && context.approvals.finance >= 1 };
@id("exchange") permit(principal in Group::"finance", action in Action::"move", resource)
	when { context.labels.contains(Label::"exchange") && context.total.week <= 5000 && context.approvals.finance >= 1 && context.approvals.security >= 1 };
@id("large") permit(principal, action in Action::"move", resource)
	when { context.total.month <= 100000 && context.approvals.finance >= 2 && context.approvals.security >= 2 && context.organisations >= 2 };
@id("hours") @reason("money moves on working days, 8 to 18") forbid(principal, action in Action::"move", resource) when { context.weekday > 5 || context.hour < 8 || context.hour >= 18 };
@id("cold") forbid(principal, action, resource) when { context.tier == Tier::"cold" && context.organisations < 2 };
`

// The reference: a language of its own, written down both as Cedar and as a function of facts that knows no Cedar. A value that does not
// fit in 64 bits is an error, and an error anywhere that is computed denies.

type boolean struct {
	text string
	of   func(f Facts, e Effect) (value, ok bool)
}

type integer struct {
	text string
	of   func(f Facts, e Effect) (value int64, ok bool)
}

type dice struct{ *rand.Rand }

func pick[T any](d dice, all ...T) T { return all[d.IntN(len(all))] }

func (d dice) integer(depth int) integer {
	if depth > 0 && d.IntN(3) == 0 {
		a, b := d.integer(depth-1), d.integer(depth-1)
		op := pick(d, "+", "-", "*")
		return integer{fmt.Sprintf("(%s %s %s)", a.text, op, b.text), func(f Facts, e Effect) (int64, bool) {
			x, ok := a.of(f, e)
			if !ok {
				return 0, false
			}
			y, ok := b.of(f, e)
			if !ok {
				return 0, false
			}
			z, p, q := new(big.Int), big.NewInt(x), big.NewInt(y)
			switch op {
			case "+":
				z.Add(p, q)
			case "-":
				z.Sub(p, q)
			default:
				z.Mul(p, q)
			}
			return z.Int64(), z.IsInt64()
		}}
	}
	if d.IntN(3) == 0 {
		n := pick(d, int64(d.IntN(8)), int64(d.IntN(2000)), 1<<62, 1<<63-1)
		return integer{fmt.Sprint(n), func(Facts, Effect) (int64, bool) { return n, true }}
	}
	return pick(d,
		integer{"context.amount", func(_ Facts, e Effect) (int64, bool) { return e.Amount, true }},
		integer{"context.total.hour", func(_ Facts, e Effect) (int64, bool) { return e.Total.Hour, true }},
		integer{"context.total.day", func(_ Facts, e Effect) (int64, bool) { return e.Total.Day, true }},
		integer{`context["total"]["week"]`, func(_ Facts, e Effect) (int64, bool) { return e.Total.Week, true }},
		integer{"context.total.month", func(_ Facts, e Effect) (int64, bool) { return e.Total.Month, true }},
		integer{"context.approvals.finance", func(f Facts, _ Effect) (int64, bool) { return int64(f.Approvals["finance"]), true }},
		integer{"context.approvals.security", func(f Facts, _ Effect) (int64, bool) { return int64(f.Approvals["security"]), true }},
		integer{"context.approvers", func(f Facts, _ Effect) (int64, bool) { return int64(f.Approvers), true }},
		integer{"context.organisations", func(f Facts, _ Effect) (int64, bool) { return int64(f.Organisations), true }},
		integer{"context.hour", func(f Facts, _ Effect) (int64, bool) { return int64(f.Hour), true }},
		integer{"context.minute", func(f Facts, _ Effect) (int64, bool) { return int64(f.Minute), true }},
		integer{"context.weekday", func(f Facts, _ Effect) (int64, bool) { return int64(f.Weekday), true }},
	)
}

func (d dice) comparison(depth int) boolean {
	a, b := d.integer(depth), d.integer(depth)
	op := pick(d, "<", "<=", ">", ">=", "==", "!=")
	return boolean{fmt.Sprintf("(%s %s %s)", a.text, op, b.text), func(f Facts, e Effect) (bool, bool) {
		x, ok := a.of(f, e)
		if !ok {
			return false, false
		}
		y, ok := b.of(f, e)
		return map[string]bool{"<": x < y, "<=": x <= y, ">": x > y, ">=": x >= y, "==": x == y, "!=": x != y}[op], ok
	}}
}

func (d dice) name() boolean {
	is := func(format string, names []string, of func(f Facts, e Effect, name string) bool) boolean {
		name := pick(d, names...)
		return boolean{fmt.Sprintf(format, name), func(f Facts, e Effect) (bool, bool) { return of(f, e, name), true }}
	}
	v := vocabulary
	return pick(d,
		is("context.tier == Tier::%q", tiers, func(f Facts, _ Effect, n string) bool { return f.Tier == n }),
		is("context.purpose == Purpose::%q", purposes, func(f Facts, _ Effect, n string) bool { return f.Purpose == n }),
		is("context.asset == Asset::%q", v.Assets, func(_ Facts, e Effect, n string) bool { return e.Asset == n }),
		is("context.labels.contains(Label::%q)", v.Labels, func(_ Facts, e Effect, n string) bool { return slices.Contains(e.Labels, n) }),
		is("principal in Group::%q", v.Groups, func(f Facts, _ Effect, n string) bool { return slices.Contains(f.Groups, n) }),
		is("principal == Person::%q", v.People, func(f Facts, _ Effect, n string) bool { return f.Initiator == n }),
		is("context.destination == %q", []string{"0x00", "0x01"}, func(_ Facts, e Effect, n string) bool { return e.Destination == n }),
	)
}

func (d dice) boolean(depth int) boolean {
	switch {
	case depth == 0 || d.IntN(5) == 0:
		if d.IntN(3) == 0 {
			return d.name()
		}
		return d.comparison(1)
	case d.IntN(4) == 0:
		a := d.boolean(depth - 1)
		return boolean{"!(" + a.text + ")", func(f Facts, e Effect) (bool, bool) {
			x, ok := a.of(f, e)
			return !x, ok
		}}
	}
	a, b := d.boolean(depth-1), d.boolean(depth-1)
	both := d.IntN(2) == 0
	op := "||"
	if both {
		op = "&&"
	}
	return boolean{fmt.Sprintf("(%s %s %s)", a.text, op, b.text), func(f Facts, e Effect) (bool, bool) {
		x, ok := a.of(f, e)
		if !ok || x != both {
			return x, ok
		}
		return b.of(f, e)
	}}
}

// A rule of the reference.
type refRule struct {
	id      string
	forbids bool
	actions []Operation // empty: all
	who     string      // group, or empty
	when    boolean
	unless  bool
}

func (d dice) rule(n int) refRule {
	r := refRule{id: fmt.Sprint("rule-", n), forbids: d.IntN(3) == 0, when: d.boolean(1 + d.IntN(3)), unless: d.IntN(4) == 0}
	if !r.forbids || d.IntN(2) == 0 {
		for _, o := range operations {
			if d.IntN(3) > 0 {
				r.actions = append(r.actions, o)
			}
		}
		if len(r.actions) == 0 {
			r.actions = []Operation{Transfer}
		}
	}
	if d.IntN(3) == 0 {
		r.who = pick(d, vocabulary.Groups...)
	}
	return r
}

func (r refRule) text() string {
	effect, who, action, when := "permit", "principal", "action", "when"
	if r.forbids {
		effect = "forbid"
	}
	if r.who != "" {
		who = fmt.Sprintf("principal in Group::%q", r.who)
	}
	var actions []string
	for _, a := range r.actions {
		actions = append(actions, fmt.Sprintf("Action::%q", string(a)))
	}
	if len(actions) > 0 {
		action = "action in [" + strings.Join(actions, ", ") + "]"
	}
	if r.unless {
		when = "unless"
	}
	return fmt.Sprintf("@id(%q) %s(%s, %s, resource) %s { %s };\n", r.id, effect, who, action, when, r.when.text)
}

// applies: an error only counts where the rule's scope fits.
func (r refRule) applies(f Facts, e Effect) (hits, ok bool) {
	if r.who != "" && !slices.Contains(f.Groups, r.who) || len(r.actions) > 0 && !slices.Contains(r.actions, e.Operation) {
		return false, true
	}
	x, ok := r.when.of(f, e)
	return x != r.unless, ok
}

// reference is what the rules say, one effect after another.
func reference(rules []refRule, f Facts) (Verdict, string) {
	var permitted []string
	for _, e := range f.Effects {
		var permits, forbids []string
		errs := false
		for _, r := range rules {
			hits, ok := r.applies(f, e)
			switch {
			case !ok:
				errs = true
			case hits && r.forbids:
				forbids = append(forbids, r.id)
			case hits:
				permits = append(permits, r.id)
			}
		}
		switch {
		case errs:
			return Deny, RuleErrs
		case len(forbids) > 0:
			slices.Sort(forbids)
			return Deny, strings.Join(forbids, ",")
		case len(permits) == 0:
			return Deny, RuleDefault
		}
		permitted = append(permitted, permits...)
	}
	slices.Sort(permitted)
	return Allow, strings.Join(slices.Compact(permitted), ",")
}

func (d dice) facts() Facts {
	some := func(names []string) (out []string) {
		for _, n := range names {
			if d.IntN(2) == 0 {
				out = append(out, n)
			}
		}
		return out
	}
	f := Facts{
		Vault: "treasury", Tier: pick(d, tiers...), Purpose: pick(d, purposes...), Chain: "eip155:1", Initiator: pick(d, vocabulary.People...), Groups: some(vocabulary.Groups),
		Approvers: d.IntN(5), Hour: d.IntN(24), Minute: d.IntN(60), Weekday: 1 + d.IntN(7),
	}
	f.Organisations = d.IntN(f.Approvers + 1)
	f.Approvals = map[string]int{"finance": d.IntN(f.Approvers + 1), "security": d.IntN(f.Approvers + 1)}
	for range 1 + d.IntN(2) {
		e := Effect{Operation: pick(d, operations...), Asset: pick(d, append(vocabulary.Assets, "")...), Amount: pick(d, int64(d.IntN(8)), int64(d.IntN(2000)), 1<<61), Destination: pick(d, "0x00", "0x01", ""), Labels: some(vocabulary.Labels)}
		e.Total.Hour = e.Amount + int64(d.IntN(10))
		e.Total.Day = e.Total.Hour + int64(d.IntN(1000))
		e.Total.Week = e.Total.Day + int64(d.IntN(1000))
		e.Total.Month = e.Total.Week + int64(d.IntN(1000))
		f.Effects = append(f.Effects, e)
	}
	return f
}

// 100,000 cases: 1,000 sets of rules, 100 facts each.
func TestAgainstReference(t *testing.T) {
	d := dice{rand.New(rand.NewPCG(5, 6))}
	seen := map[string]int{}
	for range 1000 {
		var rules []refRule
		var text strings.Builder
		for n := range 1 + d.IntN(6) {
			rules = append(rules, d.rule(n))
			text.WriteString(rules[n].text())
		}
		p, err := Read([]byte(text.String()), vocabulary)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text.String())
		}
		for range 100 {
			f := d.facts()
			verdict, rule := reference(rules, f)
			if r := p.Decide(f, room(f)); r.Verdict != verdict || r.Rule != rule {
				t.Fatalf("%s by %s, the reference says %s by %s: %+v of %+v in\n%s", r.Verdict, r.Rule, verdict, rule, r, f, text.String())
			}
			seen[string(verdict)+" "+map[bool]string{true: rule, false: "rules"}[rule == RuleErrs || rule == RuleDefault]]++
		}
	}
	t.Log(seen)
	for _, what := range []string{"allow rules", "deny rules", "deny " + RuleErrs, "deny " + RuleDefault} {
		if seen[what] < 1000 {
			t.Errorf("%s: only %d cases", what, seen[what])
		}
	}
}
