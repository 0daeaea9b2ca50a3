// Package review says what is wrong with a charter before anybody signs it: its form, its policy, and the control rules that its vaults
// break (spec/charter 3). A node refuses what it finds; people see it as `ostraka charter lint`.
package review

import (
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/control"
	"github.com/ostraka/ostraka/custody/policy"
)

// A Report is what was found.
type Report struct {
	Vaults []Vault // in the charter's order
}

// A Vault is one vault's part of a Report.
type Vault struct {
	Name    string
	Figures [control.Kinds]control.Figure
	Spend   control.Spend
	Broken  []control.Breach
	SOS     bool     // figures count on guardians
	Notes   []string // on its SOS plan, recovery and evidence: nothing that is refused
}

// Broken counts the rules that are broken.
func (r Report) Broken() (n int) {
	for _, v := range r.Vaults {
		n += len(v.Broken)
	}
	return n
}

// Charter reviews a charter that its own form accepts. An error is about its policy, its names or its rules themselves; broken control rules stand in
// the report.
func Charter(d charter.Document) (Report, error) {
	var out Report
	if _, err := policy.Of(d); err != nil {
		return out, err
	}
	if err := checkNames(d); err != nil {
		return out, err
	}
	for _, v := range d.Vaults {
		if err := checkSuites(v); err != nil {
			return out, err
		}
		if err := checkPlan(v); err != nil {
			return out, err
		}
		x, err := one(d, v)
		if err != nil {
			return out, err
		}
		out.Vaults = append(out.Vaults, x)
	}
	return out, nil
}

// recoveryNotes say what no control number counts.
func recoveryNotes(v charter.Blueprint) []string {
	if v.Recovery == nil {
		return nil
	}
	days := int(v.Recovery.Blocks) / 144
	return []string{fmt.Sprintf("recovery: whoever holds key %x alone takes each Taproot coin that lay still for %d blocks, about %d days: no control number counts that. Spend coins to the vault before (`ostraka coin gather`)", v.Recovery.Key[:6], v.Recovery.Blocks, days)}
}

// checkSuites refuses a key that no chain of the vault has a use for, and a chain that no key signs for.
func checkSuites(v charter.Blueprint) error {
	for _, suite := range v.Suites {
		if chain.First(suite, v.Chains) == "" {
			return fmt.Errorf("vault %s: suites: %s signs for none of its chains %v", v.Name, suite, v.Chains)
		}
	}
	for _, on := range v.Chains {
		if !slices.ContainsFunc(v.Suites, func(suite string) bool { return chain.Serves(suite, on) }) {
			return fmt.Errorf("vault %s: chains: no suite of %v signs for %s", v.Name, v.Suites, on)
		}
	}
	return nil
}

// Worse is what an edit would add to what Charter finds: an error, or else control rules that were not broken before, or not so far.
func Worse(was, is charter.Document) (broken []string, err error) {
	before, errBefore := Charter(was)
	after, err := Charter(is)
	if err != nil && errBefore != nil && err.Error() == errBefore.Error() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	have := map[string]int{}
	for _, v := range before.Vaults {
		for _, b := range v.Broken {
			have[v.Name+" "+b.Rule] = b.Have
		}
	}
	for _, v := range after.Vaults {
		for _, b := range v.Broken {
			if n, ok := have[v.Name+" "+b.Rule]; (!ok || b.Have < n) && errBefore == nil {
				broken = append(broken, fmt.Sprintf("vault %s: %v", v.Name, b))
			}
		}
	}
	return broken, nil
}

// Held reviews one vault of a charter as if these operators held it with this threshold.
func Held(d charter.Document, vault string, committee []string, threshold int) (Vault, error) {
	v, ok := d.Vault(vault)
	if !ok {
		return Vault{}, fmt.Errorf("vault %s is not in the charter", vault)
	}
	v.Committee, v.Threshold = slices.Sorted(slices.Values(committee)), threshold
	for _, name := range v.Committee {
		if _, ok := d.Station(name); !ok {
			return Vault{}, fmt.Errorf("vault %s: the charter does not say where a share of operator %s would lie: amend it first", vault, name)
		}
	}
	if v.Rescue != nil && v.Rescue.Operators >= threshold { // with t alive nobody needs guardians
		v.Rescue = nil
	}
	return one(d, v)
}

func one(d charter.Document, v charter.Blueprint) (Vault, error) {
	s, err := control.Of(d, v)
	if err != nil {
		return Vault{}, err
	}
	rules, err := control.RulesOf(d, v)
	if err != nil {
		return Vault{}, err
	}
	return Vault{Name: v.Name, Figures: s.Measure(), Spend: s.Spend(), Broken: s.Check(rules), SOS: s.SOS != nil, Notes: slices.Concat(notes(d, v), recoveryNotes(v), attestNotes(d, v))}, nil
}

// Diff lists what differs between two charters, each of which has a policy that Charter accepts.
func Diff(was, is charter.Document) ([]charter.Change, error) {
	p, err := policy.Of(was)
	if err != nil {
		return nil, fmt.Errorf("the first charter: %w", err)
	}
	q, err := policy.Of(is)
	if err != nil {
		return nil, fmt.Errorf("the second charter: %w", err)
	}
	// A label that goes must be harmless under the rules that follow.
	return append(was.Diff(is, charter.Removals{Label: q.Removable, Group: q.Leavable}), p.Diff(q)...), nil
}
