// Package review says what is wrong with a charter before anybody signs it: its form, its policy, and the control rules that its vaults
// break (spec/charter 3). A node refuses what it finds; people see it as `ostraka charter lint`.
package review

import (
	"fmt"

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
}

// Broken counts the rules that are broken.
func (r Report) Broken() (n int) {
	for _, v := range r.Vaults {
		n += len(v.Broken)
	}
	return n
}

// Charter reviews a charter that its own form accepts. An error is about its policy or its rules themselves; broken control rules stand in
// the report.
func Charter(d charter.Document) (Report, error) {
	var out Report
	if _, err := policy.Of(d); err != nil {
		return out, err
	}
	for _, v := range d.Vaults {
		s, err := control.Of(d, v)
		if err != nil {
			return out, err
		}
		rules, err := control.RulesOf(d, v)
		if err != nil {
			return out, err
		}
		out.Vaults = append(out.Vaults, Vault{Name: v.Name, Figures: s.Measure(), Spend: s.Spend(), Broken: s.Check(rules)})
	}
	return out, nil
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
