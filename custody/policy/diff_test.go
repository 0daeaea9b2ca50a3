package policy

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	permit := func(when string) string {
		return `@id("x") permit(principal, action == Action::"transfer", resource) when { ` + when + ` };`
	}
	forbid := func(when string) string { return `@id("x") forbid(principal, action, resource) when { ` + when + ` };` }
	for name, c := range map[string]struct {
		was, is string
		want    string // of the one change: stricter, looser; empty: no change
	}{
		"the same":                   {permit("context.amount <= 5"), "// now with a comment\n" + permit("context.amount<=5"), ""},
		"a limit falls":              {permit("context.amount <= 5"), permit("context.amount <= 4"), "stricter"},
		"a limit rises":              {permit("context.amount <= 5"), permit("context.amount <= 6"), "looser"},
		"approvals rise":             {permit("context.approvals.finance >= 1"), permit("context.approvals.finance >= 2"), "stricter"},
		"approvals fall":             {permit("context.approvals.finance >= 2"), permit("context.approvals.finance >= 1"), "looser"},
		"two limits, one of them up": {permit("context.amount <= 5 && context.total.day <= 9"), permit("context.amount <= 4 && context.total.day <= 10"), "looser"},
		"two limits fall":            {permit("context.amount <= 5 || context.total.day <= 9"), permit("context.amount <= 4 || context.total.day <= 8"), "stricter"},
		"under a not":                {permit("!(context.amount > 5)"), permit("!(context.amount > 4)"), "stricter"},
		"under a not, up":            {permit("!(context.amount > 5)"), permit("!(context.amount > 6)"), "looser"},
		"beyond 53 bits":             {permit("context.amount <= 9007199254740992"), permit("context.amount <= 9007199254740993"), "looser"},
		"an equality":                {permit("context.amount == 5"), permit("context.amount == 4"), "looser"},
		"arithmetic":                 {permit("context.amount + 1 <= 5"), permit("context.amount + 1 <= 4"), "looser"},
		"arithmetic beside it":       {permit("context.amount <= 5 && context.total.day * 3 > 2"), permit("context.amount <= 4 && context.total.day * 3 > 2"), "looser"},
		"the other way round":        {permit("5 >= context.amount"), permit("4 >= context.amount"), "looser"},
		"another comparison":         {permit("context.amount <= 5"), permit("context.amount < 5"), "looser"},
		"another fact":               {permit("context.total.day <= 5"), permit("context.total.hour <= 4"), "looser"},
		"one more condition":         {permit("context.amount <= 5"), permit("context.amount <= 5 && context.hour > 3"), "looser"},
		"another operation":          {permit("true"), strings.Replace(permit("true"), "transfer", "call", 1), "looser"},
		"a permit turns to forbid":   {permit("true"), strings.Replace(permit("true"), "permit", "forbid", 1), "looser"},
		"a permit comes":             {"", permit("true"), "looser"},
		"a permit goes":              {permit("true"), "", "stricter"},
		"a permit that may err goes": {permit("context.amount * 2 <= 5"), "", "looser"},
		"a forbid comes":             {"", forbid("true"), "stricter"},
		"a forbid goes":              {forbid("true"), "", "looser"},
		"a forbid reaches lower":     {forbid("context.amount > 5"), forbid("context.amount > 4"), "stricter"},
		"a forbid reaches higher":    {forbid("context.amount > 5"), forbid("context.amount > 6"), "looser"},
		"unless of a forbid":         {`@id("x") forbid(principal, action, resource) unless { context.approvers >= 2 };`, `@id("x") forbid(principal, action, resource) unless { context.approvers >= 3 };`, "stricter"},
		"unless of a forbid, down":   {`@id("x") forbid(principal, action, resource) unless { context.approvers >= 2 };`, `@id("x") forbid(principal, action, resource) unless { context.approvers >= 1 };`, "looser"},
	} {
		got := ""
		for _, x := range read(t, c.was).Diff(read(t, c.is)) {
			got += strings.SplitN(x.String(), ":", 2)[0]
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestRemovable(t *testing.T) {
	for rule, want := range map[string]bool{
		`@id("x") permit(principal, action == Action::"transfer", resource) when { context.labels.contains(Label::"payroll") };`:                                 true,
		`@id("x") forbid(principal, action, resource) unless { context.labels.contains(Label::"payroll") };`:                                                     true,
		`@id("x") forbid(principal, action, resource) when { context.labels.contains(Label::"payroll") };`:                                                       false,
		`@id("x") forbid(principal, action, resource) when { context.labels.contains(Label::"exchange") };`:                                                      true,
		`@id("x") permit(principal, action == Action::"transfer", resource) when { !context.labels.contains(Label::"payroll") };`:                                false,
		`@id("x") permit(principal, action == Action::"transfer", resource) when { context.labels == [Label::"exchange"] };`:                                     false,
		`@id("x") permit(principal, action == Action::"transfer", resource) when { context.amount + 1 > 0 && context.labels.contains(Label::"payroll") };`:       false,
		`@id("x") permit(principal, action == Action::"transfer", resource) when { context.amount < 3 && (context.labels.contains(Label::"payroll") || true) };`: true,
	} {
		if got := read(t, rule).Removable("payroll"); got != want {
			t.Errorf("%v: %s", got, rule)
		}
	}
}

// bounded is a condition of facts against whole numbers, once as it was and once with some of the numbers moved.
func TestLeavable(t *testing.T) {
	permit := func(when string) string {
		return `@id("x") permit(principal, action == Action::"transfer", resource) when { ` + when + ` };`
	}
	forbid := func(kind, when string) string {
		return `@id("x") forbid(principal, action, resource) ` + kind + ` { ` + when + ` };`
	}
	for rule, want := range map[string]bool{
		permit(`principal in Group::"finance"`):                                                             true,
		permit(`principal in Group::"finance" && context.amount < 5`):                                       true,
		permit(`!(principal in Group::"finance")`):                                                          false,
		permit(`(principal in Group::"finance") == false`):                                                  false,
		permit(`(principal in Group::"finance") != true`):                                                   false,
		permit(`if principal in Group::"finance" then false else true`):                                     false,
		permit(`context.approvals.finance >= 2`):                                                            true,
		permit(`context.approvals.finance > 1 || context.approvers >= 2`):                                   true,
		permit(`context.approvals.finance == 0`):                                                            false,
		permit(`context.approvals.finance < 1`):                                                             false,
		permit(`!(context.approvals.finance < 1)`):                                                          true,
		permit(`2 <= context.approvals.finance`):                                                            false,
		permit(`context.approvals.finance + 1 >= 2`):                                                        false,
		permit(`context.approvers == 2`):                                                                    false,
		permit(`context.approvals.finance >= context.approvers`):                                            false,
		permit(`context.approvals.security == 0`):                                                           true,
		forbid("when", `context.approvals.finance >= 2`):                                                    false,
		forbid("when", `context.approvals.finance == context.approvers`):                                    false,
		forbid("when", `context.approvals.finance < 2`):                                                     true,
		forbid("unless", `context.approvals.finance >= 1`):                                                  true,
		forbid("unless", `context.organisations >= 2`):                                                      true,
		forbid("when", `principal in Group::"finance"`):                                                     false,
		forbid("unless", `principal in Group::"finance"`):                                                   true,
		`@id("x") forbid(principal in Group::"finance", action, resource);`:                                 false,
		`@id("x") permit(principal in Group::"finance", action == Action::"transfer", resource);`:           true,
		`@id("x") permit(principal, action == Action::"transfer", resource) unless { context.amount > 5 };`: true,
	} {
		if got := read(t, rule).Leavable("finance"); got != want {
			t.Errorf("%v: %s", got, rule)
		}
	}
}

func (d dice) bounded(depth int) (was, is string) {
	if depth == 0 || d.IntN(4) == 0 {
		if d.IntN(5) == 0 {
			label := fmt.Sprintf("context.labels.contains(Label::%q)", pick(d, vocabulary.Labels...))
			return label, label
		}
		fact, op, n := d.integer(0).text, pick(d, "<", "<=", ">", ">="), pick(d, d.IntN(8), d.IntN(2000))
		to := n
		if d.IntN(3) == 0 {
			to = max(0, n+d.IntN(9)-4)
		}
		return fmt.Sprintf("%s %s %d", fact, op, n), fmt.Sprintf("%s %s %d", fact, op, to)
	}
	a, a2 := d.bounded(depth - 1)
	if d.IntN(4) == 0 {
		return "!(" + a + ")", "!(" + a2 + ")"
	}
	b, b2 := d.bounded(depth - 1)
	op := pick(d, " && ", " || ")
	return "(" + a + op + b + ")", "(" + a2 + op + b2 + ")"
}

// Whatever Diff calls stricter never allows what was denied, and a label that is called removable is, over many rules and facts.
func TestStricterIsStricter(t *testing.T) {
	d := dice{rand.New(rand.NewPCG(9, 10))}
	strict, removed := 0, 0
	for range 400 {
		was, is := "", ""
		for n := range 1 + d.IntN(2) {
			a, b := d.bounded(d.IntN(3))
			head := fmt.Sprintf("@id(%q) %s(principal, action in [%s], resource) %s { ", fmt.Sprint("rule-", n), pick(d, "permit", "permit", "forbid"), allActions(), pick(d, "when", "unless"))
			was, is = was+head+a+" };\n", is+head+b+" };\n"
		}
		p, q := read(t, was), read(t, is)
		looser := false
		for _, c := range p.Diff(q) {
			looser = looser || c.Looser
		}
		removable := p.Removable("payroll") && p.Removable("exchange")
		for range 100 {
			f := d.facts()
			if p.Decide(f, room(f)).Verdict == Allow {
				continue
			}
			if !looser && was != is {
				if strict++; q.Decide(f, room(f)).Verdict == Allow {
					t.Fatalf("called stricter, and allows what was denied: %+v\n%s\n%s", f, was, is)
				}
			}
			if !removable {
				continue
			}
			bare := f
			bare.Effects = nil
			for _, e := range f.Effects {
				e.Labels = nil
				bare.Effects = append(bare.Effects, e)
			}
			if removed++; p.Decide(bare, room(bare)).Verdict == Allow {
				t.Fatalf("labels were called removable: %+v\n%s", f, was)
			}
		}
	}
	if strict < 1000 || removed < 1000 {
		t.Errorf("only %d and %d cases", strict, removed)
	}
}
