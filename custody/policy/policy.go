package policy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

// MaxText bounds the rules' text, in bytes; MaxRules their number.
const (
	MaxText  = 64 << 10
	MaxRules = 256
)

// A Policy is rules that were checked against a vocabulary.
type Policy struct {
	vocabulary Vocabulary
	rules      cedar.PolicyMap
	reasons    map[cedar.PolicyID]string // @reason, for people
	assets     map[string]charter.Asset  // by name, for people; empty if no charter was given
}

// Where the parser found an error; it knows no file's name.
var parsePlace = regexp.MustCompile(`^parser error: parse error at <input>:([0-9]+):([0-9]+)`)

// Read parses and checks rules. Each has a name, @id("…"), a label; @reason("…") says in words why it forbids. The error lists all that is
// wrong, each with its line and rule.
func Read(text []byte, v Vocabulary) (*Policy, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("policy: it has %d bytes, at most %d are allowed", len(text), MaxText)
	}
	if err := v.Validate(); err != nil {
		return nil, err
	}
	check, err := v.checker()
	if err != nil {
		return nil, err
	}
	list, err := cedar.NewPolicyListFromBytes("policy", text)
	if err != nil {
		return nil, fmt.Errorf("policy is not Cedar: %s", parsePlace.ReplaceAllString(err.Error(), "line $1, column $2"))
	}
	if len(list) > MaxRules {
		return nil, fmt.Errorf("policy: it has %d rules, at most %d are allowed", len(list), MaxRules)
	}
	p := &Policy{vocabulary: v, rules: cedar.PolicyMap{}, reasons: map[cedar.PolicyID]string{}}
	var wrong []error
	for _, rule := range list {
		name, err := nameOf(rule)
		id := cedar.PolicyID(name)
		if err == nil && p.rules[id] != nil {
			err = errors.New("its name stands twice")
		}
		// The parser's own tree; the type checker takes it in its exported form.
		tree := (*ast.Policy)(rule.AST())
		for _, err := range []error{err, check.Policy("", tree), bounded(tree), v.names(rule)} {
			if err != nil {
				wrong = append(wrong, fmt.Errorf("policy line %d: rule %s: %w", rule.Position().Line, name, err))
			}
		}
		p.rules[id], p.reasons[id] = rule, string(rule.Annotations()["reason"])
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return p, nil
}

func nameOf(rule *cedar.Policy) (string, error) {
	name, ok := rule.Annotations()["id"]
	if !ok {
		return "without a name", errors.New(`it needs one: @id("name") before it`)
	}
	return string(name), statement.CheckLabel(string(name))
}

// bounded refuses a permit for every operation: it would allow what nobody thought of.
func bounded(rule *ast.Policy) error {
	if _, all := rule.Action.(ast.ScopeTypeAll); all && rule.Effect == ast.EffectPermit {
		return errors.New(`it permits every operation, also what the node does not understand: name them, action == Action::"transfer" or action in [Action::"transfer", Action::"token"]`)
	}
	return nil
}

// names refuses names that the charter does not list, where the type checker takes them for new ones; and what asks whether a fact is
// there, since all are; and functions over decimals, addresses and times: the facts have none, so a rule that uses them means something else.
func (v Vocabulary) names(rule *cedar.Policy) error {
	raw, err := rule.MarshalJSON()
	if err != nil {
		return err
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return err
	}
	known := v.known()
	var wrong []error
	walk(tree, func(node map[string]any) {
		kind, isName := node["type"].(string)
		name, hasID := node["id"].(string)
		if list, ours := known[kind]; isName && hasID && ours && !slices.Contains(list, name) {
			wrong = append(wrong, fmt.Errorf("%s::%q is not in the charter; it has %s", kind, name, strings.Join(list, ", ")))
		}
		if text, ok := node["Value"].(string); ok && ethereum.MatchString(text) {
			// Facts have an address in its one written form, with a checksum in its letters: any other is never equal.
			if a, err := evm.ParseAddress(text); err != nil || a.String() != text {
				wrong = append(wrong, fmt.Errorf("address %s: no destination is written so: %w", text, cmp.Or(err, fmt.Errorf("write %s", a))))
			}
		}
		for _, f := range slices.Sorted(maps.Keys(node)) {
			if slices.Contains(functions, f) {
				wrong = append(wrong, fmt.Errorf("function %s: facts are whole numbers, texts and names, and all are always there", f))
			}
		}
	})
	return errors.Join(wrong...)
}

var ethereum = regexp.MustCompile(`^0[xX][0-9a-fA-F]{40}$`)

// known are the names of each kind of entity; actions are the type checker's.
func (v Vocabulary) known() map[string][]string {
	return map[string][]string{
		"Person": v.People, "Group": v.Groups, "Vault": v.Vaults, "Purpose": purposes, "Tier": tiers,
		"Label": or(v.Labels), "Asset": or(v.Assets), "Chain": or(v.Chains),
	}
}

func or(names []string) []string { return append([]string{None}, names...) }

// functions are Cedar's extensions, and the question whether something is there.
var functions = []string{
	"has",
	"decimal", "lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual", "ip", "isIpv4", "isIpv6", "isLoopback", "isMulticast", "isInRange",
	"datetime", "duration", "offset", "durationSince", "toDate", "toTime", "toMilliseconds", "toSeconds", "toMinutes", "toHours", "toDays",
}

func walk(tree any, visit func(map[string]any)) {
	switch t := tree.(type) {
	case map[string]any:
		visit(t)
		for _, key := range slices.Sorted(maps.Keys(t)) {
			walk(t[key], visit)
		}
	case []any:
		for _, x := range t {
			walk(x, visit)
		}
	}
}

// Names lists the rules, ascending.
func (p *Policy) Names() (names []string) {
	for id := range p.rules {
		names = append(names, string(id))
	}
	slices.Sort(names)
	return names
}
