package review

import (
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
)

// changed puts text for other text in the default charter's file, in pairs.
func changed(pairs ...string) func(string) string {
	return func(file string) string { return strings.NewReplacer(pairs...).Replace(file) }
}

// What a plan's form allows and no node could carry out, or no chain could pay to, is refused.
func TestPlanRefused(t *testing.T) {
	destination := func(chain, address string) string {
		return "      least-threshold: 2\n      destinations:\n        - name: refuge\n          chain: \"" + chain + "\"\n          address: \"" + address + "\"\n"
	}
	protective := func(chain, to string) string {
		return "      least-threshold: 2\n      calls:\n        - name: pause\n          chain: \"" + chain + "\"\n          to: \"" + to + "\"\n          data: \"0x8456cb59\"\n"
	}
	bitcoin := "bip122:000000000019d6689c085ae165831e93"
	both := []string{`chains: ["eip155:1"]`, `chains: ["eip155:1", "` + bitcoin + `"]`}
	for name, x := range map[string]struct {
		plan, want string
	}{
		"a destination":              {destination("eip155:1", "0x00000000000000000000000000000000000000A1"), ""},
		"a destination's checksum":   {destination("eip155:1", "0x00000000000000000000000000000000000000b1A"), "destination refuge: "},
		"no address":                 {destination("eip155:1", "somewhere"), "vault treasury: rescue: destination refuge: "},
		"on Bitcoin":                 {destination(bitcoin, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"), ""},
		"no address on Bitcoin":      {destination(bitcoin, "somewhere"), "vault treasury: rescue: destination refuge: "},
		"a call":                     {protective("eip155:1", "0x00000000000000000000000000000000000000A1"), ""},
		"a call of no contract":      {protective("eip155:1", "pauser"), "vault treasury: rescue: call pause: "},
		"a call on Bitcoin":          {protective(bitcoin, "pauser"), "vault treasury: rescue: call pause: chain: no node decodes calls"},
		"a height":                   {"      least-threshold: 2\n      height:\n        chain: \"eip155:1\"\n        blocks: 1\n", "rescue: height: no node of this release counts blocks"},
		"a height that nobody reads": {"      least-threshold: 2\n      height:\n        chain: \"" + bitcoin + "\"\n        blocks: 1\n", "rescue: height: no node of this release counts blocks"},
	} {
		d := read(t, start(t), changed(append([]string{"      least-threshold: 2    # of the new committee\n", x.plan}, both...)...))
		_, err := Charter(d)
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlanNotes(t *testing.T) {
	usual := []string{
		"rescue: no destination on eip155:1: what lies there cannot be swept, only its key be moved to a new committee",
		"rescue: no successors: who is left, 2 operators, makes the new committee, and the lock-up ends only when an officer of each of them releases it early, never by time",
	}
	for name, x := range map[string]struct {
		start  func(*charter.Start)
		change func(*charter.Document)
		want   []string // beside the usual ones
		not    string
	}{
		"the default": {},
		"no plan":     {change: func(d *charter.Document) { d.Vaults[0].Rescue = &charter.Rescue{Operators: 2, Guardians: 3} }, want: []string{"SOS NOT READY"}, not: "destination"},
		"no SOS":      {change: func(d *charter.Document) { d.Vaults[0].Rescue = nil }, not: "rescue"},
		"two firms": {start: func(s *charter.Start) {
			for i := range s.Guardians {
				s.Guardians[i].Organisation = []string{"firm-a", "firm-b"}[i%2]
			}
		}, change: func(d *charter.Document) { d.Vaults[0].Rescue.Organisations = 2 }, want: []string{"the 5 guardians are of 2 organisations"}},
		"two may declare": {change: func(d *charter.Document) { d.Vaults[0].Rescue.Organisations = 2 }, want: []string{"guardians of 2 organisations may declare; 3 are usual"}},
		"an operator's":   {change: func(d *charter.Document) { d.Guardians[1].Organisation = "bolt" }, want: []string{"guardian guardian-1 shares a person or an organisation with operator bolt: it does not count"}},
		"late is gone": {change: func(d *charter.Document) {
			d.Drill, d.Vaults[0].Rescue.Triggers[4].After = true, d.Heartbeat
		}, want: []string{"trigger silence: after 1h0m0s is less than two heartbeats"}},
		"one operator": {change: func(d *charter.Document) {
			d.Vaults[0].Threshold, d.Vaults[0].Committee, d.Vaults[0].Rescue.Operators, d.Vaults[0].Rescue.Successors = 2, []string{"acme", "bolt"}, 1, []string{"cora"}
		}, want: []string{"successors without a place of level export or paper: cora: ", "every operator holds the same mask: any of them and 3 guardians suffice"}, not: "no successors"},
		"a successor with a place": {change: func(d *charter.Document) {
			d.Vaults[0].Threshold, d.Vaults[0].Committee, d.Vaults[0].Rescue.Operators, d.Vaults[0].Rescue.Successors = 2, []string{"acme", "bolt"}, 1, []string{"cora"}
			cold := d.Operators[2].Places[0]
			cold.Name, cold.Level = "cold", charter.Export
			d.Operators[2].Places = append([]charter.Place{cold}, d.Operators[2].Places...)
		}, not: "successors"},
	} {
		s := start(t)
		file := (func(string) string)(nil)
		if x.start != nil {
			x.start(&s)
			file = changed("organisations: 3 ", "organisations: 2 ")
		}
		d := read(t, s, file)
		if x.change != nil {
			x.change(&d)
		}
		r, err := Charter(d)
		if err == nil {
			err = d.Validate()
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := r.Vaults[0].Notes
		for _, want := range append(slices.Clone(x.want), usual...) {
			if x.not != "" && strings.Contains(want, x.not) || name == "no plan" && want == usual[1] || name == "no SOS" {
				continue
			}
			if !slices.ContainsFunc(got, func(n string) bool { return strings.Contains(n, want) }) {
				t.Errorf("%s: %q is not in %q", name, want, got)
			}
		}
		if x.not != "" && strings.Contains(strings.Join(got, "\n"), x.not) {
			t.Errorf("%s: %q", name, got)
		}
		if x.want == nil && x.not == "" && len(got) != len(usual) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// What a recovery key may do is said of a vault that has one.
func TestRecoveryNote(t *testing.T) {
	key := "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
	bitcoin := `chains: ["bip122:000000000019d6689c085ae165831e93"]` + "\n    recovery:\n      key: \"" + key + "\"\n      blocks: 4320"
	d := read(t, start(t), changed("suites: [ecdsa-secp256k1]", "suites: [bip340-secp256k1]", `chains: ["eip155:1"]`, bitcoin))
	all, err := Charter(d)
	if err != nil {
		t.Fatal(err)
	}
	want := "recovery: whoever holds key 79be667ef9dc alone takes each Taproot coin that lay still for 4320 blocks, about 30 days"
	if !slices.ContainsFunc(all.Vaults[0].Notes, func(n string) bool { return strings.HasPrefix(n, want) }) {
		t.Errorf("%q", all.Vaults[0].Notes)
	}
}
