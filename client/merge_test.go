package client

import (
	"slices"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

// said is what one node of a 2-of-3 vault answers: the state of its only key, and whose node it is.
func said(threshold int, operator, state string) Answer[[]Vault] {
	held := charter.Vault{ID: statement.ID{1}, Name: "treasury", Committee: []string{"acme", "bolt", "cora"}, Threshold: threshold}
	v := Vault{Vault: held, State: state, Accepted: map[string]bool{}, Nodes: []string{operator}, Roots: []Root{{Suite: charter.SuiteECDSA, State: state, Held: held}}}
	if state != Ready {
		v.LastError, v.Roots[0].LastError = "trouble of "+operator, "trouble of "+operator
	}
	v.by(operator)
	return Answer[[]Vault]{Node: operator, Value: []Vault{v}}
}

// A node without its share is named, and holds up nobody, as long as enough others have theirs.
func TestMergeNodesWithoutShare(t *testing.T) {
	for name, c := range map[string]struct {
		threshold int
		states    [3]string
		state     string
		bare      []string
	}{
		"all have it":             {2, [3]string{Ready, Ready, Ready}, Ready, nil},
		"the first lacks it":      {2, [3]string{Bare, Ready, Ready}, Ready, []string{"acme"}},
		"the last lacks it":       {2, [3]string{Ready, Ready, Bare}, Ready, []string{"cora"}},
		"too many lack it":        {2, [3]string{Bare, Ready, Bare}, Bare, []string{"acme", "cora"}},
		"all are needed":          {3, [3]string{Ready, Bare, Ready}, Bare, []string{"bolt"}},
		"another is not so far":   {2, [3]string{Bare, "FINAL", Ready}, "FINAL", []string{"acme"}},
		"another, before it":      {2, [3]string{"FINAL", Bare, Ready}, "FINAL", []string{"bolt"}},
		"none has it, all say so": {2, [3]string{Bare, Bare, Bare}, Bare, []string{"acme", "bolt", "cora"}},
	} {
		t.Run(name, func(t *testing.T) {
			var all Answers[[]Vault]
			for i, operator := range []string{"acme", "bolt", "cora"} {
				all = append(all, said(c.threshold, operator, c.states[i]))
			}
			out, err := MergeVaults(all)
			if err != nil || len(out) != 1 {
				t.Fatalf("%v, %v", out, err)
			}
			v := out[0]
			if v.State != c.state || v.Roots[0].State != c.state || !slices.Equal(v.Roots[0].Bare, c.bare) {
				t.Errorf("state %q, key %q, without share %v", v.State, v.Roots[0].State, v.Roots[0].Bare)
			}
			if c.state == Ready && v.Roots[0].LastError != "" {
				t.Errorf("the vault is ready, and its error is %q", v.Roots[0].LastError)
			}
		})
	}
}
