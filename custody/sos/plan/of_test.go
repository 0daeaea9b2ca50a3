package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
)

// circle is a charter of three operators and one outside the vault, with two people who share more than they should.
func circle(t testing.TB) (charter.Charter, charter.Roster, charter.Vault) {
	var d charter.Document
	var r charter.Roster
	for i, name := range []string{"acme", "bolt", "cora", "dora"} {
		d.Operators = append(d.Operators, charter.Station{Name: name, Places: []charter.Place{
			{Name: "main", Level: charter.Replica, Provider: "aws", Account: "of-" + name, Access: []string{name + "-op"}},
			{Name: "safe", Level: charter.Paper, Organisation: "vaults", Access: []string{name + "-op"}},
		}})
		d.People = append(d.People, charter.Human{Name: name + "-op", Organisation: name})
		r.Operators = append(r.Operators, charter.Operator{Name: name, Identity: make([]byte, 32), Officers: []signet.Key{key(t, name)}})
		r.Operators[i].Identity[0] = byte(i)
	}
	d.Operators[1].Places[0].Access = append(d.Operators[1].Places[0].Access, "freelance")
	d.Operators[1].Places[1].Organisation, d.Operators[2].Places[1].Organisation, d.Operators[3].Places[1].Organisation = "", "", ""
	d.People = append(d.People, charter.Human{Name: "freelance", Organisation: "contractors"})
	for _, g := range []charter.Guard{{Name: "g1", Person: "freelance", Organisation: "notary"}, {Name: "g2", Person: "p2", Organisation: "acme"}, {Name: "g3", Person: "p3", Organisation: "bank"}} {
		d.Guardians = append(d.Guardians, g)
	}
	d.Heartbeat, d.Drill = 5*time.Minute, true
	d.Vaults = []charter.Blueprint{{Name: "treasury", Threshold: 3, Committee: []string{"acme", "bolt", "cora"}, Witnesses: 2, Rescue: &charter.Rescue{
		Operators: 2, Guardians: 2, Starters: 2, Organisations: 2, Triggers: []charter.Trigger{{Name: Silence, After: time.Minute, Delay: time.Hour}}, Window: time.Hour, LockUp: 2 * time.Hour,
		DrillEvery: time.Hour, Successors: []string{"dora"}, Least: 2, Chain: "eip155:1", Blocks: 7,
		Destinations: []charter.Destination{{Name: "cold", Chain: "eip155:1", Address: "0x1", Vault: "rescue"}}, Caps: []charter.Cap{{Asset: "eth", Most: 5}},
		Calls: []charter.Call{{Name: "pause", Chain: "eip155:1", To: "0x2", Data: []byte{1}, Times: 2}}, Tranches: []charter.Tranche{{Asset: "eth", Most: 3, Every: time.Hour, Count: 4}},
	}}}
	return charter.Charter{ID: [32]byte{1}, Document: d}, r, charter.Vault{ID: [32]byte{2}, Name: "treasury", Threshold: 3, Committee: []string{"acme", "bolt", "cora"}}
}

func TestOfACharter(t *testing.T) {
	c, r, v := circle(t)
	p, err := Of(c, r, v)
	if err != nil {
		t.Fatal(err)
	}
	if p.Charter != c.ID || p.Vault != v.ID || !p.Drill || p.Threshold != 3 || p.Live != 2 || p.Quorum != 2 || len(p.Operators) != 3 || len(p.Others) != 1 || p.Witnesses != 1 || len(p.Guardians) != 3 {
		t.Errorf("%+v", p)
	}
	if p.Window != time.Hour || p.LockUp != 2*time.Hour || p.Blocks != 7 || p.Destinations[0].Vault != "rescue" || p.Caps[0].Most != 5 || p.Calls[0].Times != 2 || p.Tranches[0].Count != 4 || p.Triggers[0].After != time.Minute {
		t.Errorf("%+v", p)
	}
	bolt, _ := p.Operator("bolt")
	for what, c := range map[string][2][]string{
		"people":        {bolt.People, {"bolt-op", "freelance"}},
		"organisations": {bolt.Organisations, {"bolt", "contractors"}},
		"accounts":      {bolt.Accounts, {"aws/of-bolt"}},
		"acme's":        {p.Operators[0].Organisations, {"acme", "vaults"}},
		"g1":            {p.Guardians[0].Organisations, {"contractors", "notary"}},
		"g1's accounts": {p.Guardians[0].Accounts, {"aws/of-bolt"}},
	} {
		if !slices.Equal(c[0], c[1]) {
			t.Errorf("%s: %v, want %v", what, c[0], c[1])
		}
	}
	if got := p.Helpers([]string{"bolt"}); !slices.Equal(got, []string{"g2", "g3"}) {
		t.Errorf("beside bolt count %v", got)
	}
	if got := p.Helpers([]string{"acme"}); !slices.Equal(got, []string{"g1", "g3"}) {
		t.Errorf("beside acme count %v", got)
	}
	if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "guardian g1: there is no card") {
		t.Errorf("without cards: %v", err)
	}
	v.Name = "petty-cash"
	if _, err := Of(c, r, v); err == nil || !strings.Contains(err.Error(), "no SOS plan") {
		t.Errorf("another vault: %v", err)
	}
	c, r, v = circle(t)
	r.Operators = r.Operators[:2]
	if _, err := Of(c, r, v); err == nil || !strings.Contains(err.Error(), "not in the roster") {
		t.Errorf("an operator without officers: %v", err)
	}
}
