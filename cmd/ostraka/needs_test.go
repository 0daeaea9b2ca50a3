package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// Coverage speaks of what no charter lists as well: a vault without places and without a plan is not one of which nothing is missing.
func TestUnlistedIsShown(t *testing.T) {
	doc := charter.Document{
		Operators: []charter.Station{
			{Name: "acme", Places: []charter.Place{{Name: "main", Level: charter.Replica}}},
			{Name: "bolt", Places: []charter.Place{{Name: "main", Level: charter.Replica}, {Name: "safe", Level: charter.Paper}}},
		},
		Vaults: []charter.Blueprint{{Name: "treasury", Threshold: 2}},
	}
	k := client.BackedKey{Name: "treasury", Record: &epoch.Record{Suite: charter.SuiteECDSA}}
	planned := doc
	planned.Vaults = []charter.Blueprint{{Name: "treasury", Threshold: 2, Rescue: &charter.Rescue{Triggers: []charter.Trigger{{Name: charter.TriggerSilence}}}}}
	for name, c := range map[string]struct {
		doc    charter.Document
		states string
		wants  []string
	}{
		"no plan": {doc, "missing none", []string{
			"acme +1 export +– +MISSING .*the charter lists no place for a backup of acme", "– +2 guardian +– +NONE .*it has no SOS plan: once fewer than 2 of its operators can sign",
			"(?m)^Next:$", "add a place of level export or paper", "add guardians and a `rescue` to the vault",
		}},
		"an epoch from before the plan": {planned, "missing missing", []string{"– +2 guardian +– +MISSING .*from before the SOS plan", "every operator runs `ostraka vault refresh treasury`"}},
	} {
		d := coverageDocument{Rows: unlistedRows(c.doc, k, []string{"acme", "bolt"})}
		var states []string
		for _, r := range d.Rows {
			if states = append(states, r.State); r.Next == "" {
				t.Errorf("%s: no next step: %+v", name, r)
			}
		}
		var out bytes.Buffer
		d.print(&out)
		if got := strings.Join(states, " "); got != c.states {
			t.Errorf("%s: states %q, want %q", name, got, c.states)
		}
		for _, want := range c.wants {
			if !regexp.MustCompile(want).MatchString(out.String()) {
				t.Errorf("%s: nothing like %s in\n%s", name, want, out.String())
			}
		}
	}
}

// What a vault lacks stands last in what is shown of it, each with the command to run next; one that lacks nothing says nothing.
func TestLacksAreShown(t *testing.T) {
	d := vaultDocument{Name: "treasury", Needs: []client.Need{{What: "it has no SOS plan", Do: "`ostraka charter amend FOLDER`"}}}
	var out bytes.Buffer
	if d.print(&out); !strings.HasSuffix(out.String(), "\nNot ready for the loss of machines or operators:\n  LACKS: it has no SOS plan\n         next: `ostraka charter amend FOLDER`\n") {
		t.Errorf("it is shown as\n%s", out.String())
	}
	out.Reset()
	d.Needs = nil
	if d.print(&out); strings.Contains(out.String(), "Not ready") {
		t.Errorf("a vault that lacks nothing is shown as\n%s", out.String())
	}
}

// A key is named as `sos status` and drills name it; new shares that an emergency keeps back are told as not ready.
func TestKeyIsNamed(t *testing.T) {
	d := vaultDocument{Name: "treasury", Roots: []rootDocument{{Suite: charter.SuiteECDSA, PublicKey: "02ab", Key: "4f0551c16e53aabb"}}}
	var out bytes.Buffer
	if d.print(&out); !strings.Contains(out.String(), "  key         4f0551c16e53 (") {
		t.Errorf("it is shown as\n%s", out.String())
	}
	if p := explain(heldRefresh("treasury", "an emergency holds it")); p.Code != codeNotReady || !strings.Contains(p.Err.Error(), "makes no new shares now") || !strings.Contains(p.Next, "sos status") {
		t.Errorf("%+v", p)
	}
}
