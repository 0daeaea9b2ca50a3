package policy

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/cedar-policy/cedar-go"

	"github.com/ostraka/ostraka/custody/charter"
)

// Diff lists what differs between two sets of rules, by name. Stricter are: a forbid that comes, a permit that goes, and a rule of which only bounds
// moved, all so that it permits less or forbids more: a limit that falls, a number of approvals that rises. All else is looser.
func (p *Policy) Diff(to *Policy) (out []charter.Change) {
	names := maps.Clone(p.rules)
	maps.Copy(names, to.rules)
	for _, id := range slices.Sorted(maps.Keys(names)) {
		was, is := p.rules[id], to.rules[id]
		c := charter.Change{What: "rule " + string(id)}
		switch {
		case was == nil:
			c.Is, c.Looser = string(is.MarshalCedar()), is.Effect() != cedar.Forbid
		case is == nil:
			// A permit that cannot be computed denies all: without it others may allow.
			c.Was, c.Looser = string(was.MarshalCedar()), was.Effect() == cedar.Forbid || errs(was)
		case string(was.MarshalCedar()) == string(is.MarshalCedar()):
			continue
		default:
			c.Was, c.Is, c.Looser = string(was.MarshalCedar()), string(is.MarshalCedar()), !stricter(was, is)
		}
		out = append(out, c)
	}
	return out
}

// A condition is a rule's when or unless, as Cedar's JSON has it.
type condition struct {
	Kind string `json:"kind"`
	Body any    `json:"body"`
}

type shape struct {
	Effect                      string
	Principal, Action, Resource any
	Conditions                  []condition
}

func shapeOf(rule *cedar.Policy) (s shape, ok bool) {
	raw, err := rule.MarshalJSON()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // a float64 would take two large bounds for one
	return s, err == nil && d.Decode(&s) == nil
}

// computes says whether a node adds, subtracts or multiplies: whether it overflows may depend on what stands beside it.
func computes(node any) (found bool) {
	walk(node, func(m map[string]any) {
		for _, op := range []string{"+", "-", "*", "neg"} {
			found = found || m[op] != nil
		}
	})
	return found
}

// errs says whether a rule may be one that cannot be computed.
func errs(rule *cedar.Policy) bool {
	s, ok := shapeOf(rule)
	return !ok || slices.ContainsFunc(s.Conditions, func(c condition) bool { return computes(c.Body) })
}

// stricter says that a rule differs in bounds alone, and permits no more, or forbids no less. More conditions of a permit are stricter too.
func stricter(was, is *cedar.Policy) bool {
	a, ok := shapeOf(was)
	b, ok2 := shapeOf(is)
	if !ok || !ok2 || a.Effect != b.Effect || !reflect.DeepEqual([]any{a.Principal, a.Action, a.Resource}, []any{b.Principal, b.Action, b.Resource}) || len(a.Conditions) != len(b.Conditions) {
		return false
	}
	for i := range a.Conditions {
		if a.Conditions[i].Kind != b.Conditions[i].Kind || computes(a.Conditions[i].Body) {
			return false
		}
		// What must become true less often: a permit's when, a forbid's unless.
		less := (a.Effect == "permit") == (a.Conditions[i].Kind == "when")
		if !narrower(a.Conditions[i].Body, b.Conditions[i].Body, less) {
			return false
		}
	}
	return true
}

// narrower says that b is true no more often than a (less), or no less often, whatever the facts: they differ in whole numbers that facts are compared
// with, and in nothing else.
func narrower(a, b any, less bool) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	op, x, y := operator(a)
	op2, x2, y2 := operator(b)
	if op == "" || op != op2 {
		return false
	}
	switch op {
	case "&&", "||":
		return narrower(x, x2, less) && narrower(y, y2, less)
	case "!":
		return narrower(x, x2, !less)
	case "<", "<=", ">", ">=":
		was, is, ok := bounds(y, y2)
		return ok && reflect.DeepEqual(x, x2) && isFact(x) && (is < was) == ((op[0] == '<') == less)
	}
	return false
}

// operator takes a node of Cedar's JSON apart: its name, and its one or two sides.
func operator(node any) (op string, x, y any) {
	m, ok := node.(map[string]any)
	if !ok || len(m) != 1 {
		return "", nil, nil
	}
	for op, v := range m {
		sides, ok := v.(map[string]any)
		if !ok {
			return "", nil, nil
		}
		if arg, one := sides["arg"]; one {
			return op, arg, nil
		}
		return op, sides["left"], sides["right"]
	}
	return "", nil, nil
}

// isFact says whether a side is a fact by itself, such as context.total.day: arithmetic over it could overflow with one bound and not with another.
func isFact(node any) bool {
	m, ok := node.(map[string]any)
	if !ok {
		return false
	}
	if v, is := m["Var"]; is {
		return v == "context"
	}
	access, ok := m["."].(map[string]any)
	return ok && isFact(access["left"])
}

// bounds are two different whole numbers.
func bounds(a, b any) (was, is int64, ok bool) {
	number := func(node any) (int64, bool) {
		m, ok := node.(map[string]any)
		if !ok {
			return 0, false
		}
		f, ok := m["Value"].(json.Number)
		if !ok {
			return 0, false
		}
		n, err := strconv.ParseInt(f.String(), 10, 64)
		return n, err == nil
	}
	was, ok = number(a)
	is, ok2 := number(b)
	return was, is, ok && ok2 && was != is
}

// Removable says whether a destination may lose a label without anything more being allowed: no rule forbids by it, nor permits by its absence.
func (p *Policy) Removable(label string) bool {
	for _, rule := range p.rules {
		s, ok := shapeOf(rule)
		if !ok {
			return false
		}
		for _, c := range s.Conditions {
			if speaks(c.Body, "labels") && computes(c.Body) || !harmless(c.Body, label, (s.Effect == "permit") == (c.Kind == "when")) {
				return false
			}
		}
	}
	return true
}

// Leavable says whether people may leave a group without anything more being allowed. Fewer people then are in it, and fewer approvals count: of the
// group, of all, and of organisations.
func (p *Policy) Leavable(group string) bool {
	for _, rule := range p.rules {
		s, ok := shapeOf(rule)
		if !ok || s.Effect == "forbid" && speaks(s.Principal, group) {
			return false
		}
		for _, c := range s.Conditions {
			if !fewer(c.Body, group, (s.Effect == "permit") == (c.Kind == "when")) {
				return false
			}
		}
	}
	return true
}

// fewer says that a condition becomes true no more often (less), or no less often, when people leave a group. It goes through and, or, not; "in" the
// group, and a count that is at least a number, are true less often then. Anything else that speaks of it may go either way.
func fewer(node any, group string, less bool) bool {
	op, x, y := operator(node)
	counts := isFact(x) && isNumber(y)
	switch {
	case op == "&&" || op == "||":
		return fewer(x, group, less) && fewer(y, group, less)
	case op == "!":
		return fewer(x, group, !less)
	case op == "in" || counts && (op == ">" || op == ">="):
		if less {
			return true
		}
	case counts && (op == "<" || op == "<="):
		if !less {
			return true
		}
	}
	return !speaks(node, group) && !speaks(node, "approvers") && !speaks(node, "organisations")
}

func isNumber(node any) bool {
	m, ok := node.(map[string]any)
	_, number := m["Value"].(json.Number)
	return ok && number
}

// harmless says that losing a label makes a condition true no more often (less), or no less often. It goes through and, or, not; contains is
// true less often without it. Anything else that speaks of labels may go either way.
func harmless(node any, label string, less bool) bool {
	op, x, y := operator(node)
	switch op {
	case "&&", "||":
		return harmless(x, label, less) && harmless(y, label, less)
	case "!":
		return harmless(x, label, !less)
	case "contains":
		if isFact(x) {
			return less || !speaks(y, label)
		}
	}
	return !speaks(node, "labels")
}

// speaks says whether a text stands anywhere in a node.
func speaks(node any, text string) bool {
	found := false
	walk(node, func(m map[string]any) {
		for _, v := range m {
			found = found || v == any(text)
		}
	})
	return found
}
