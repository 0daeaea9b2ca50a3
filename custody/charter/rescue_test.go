package charter

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/guardian"
	"github.com/ostraka/ostraka/custody/statement"
)

var rescueBlock = regexp.MustCompile(`(?s)    rescue:\n.*?\n\n`)

// rescued is the default charter with another plan in its file.
func rescued(t testing.TB, plan string) string {
	t.Helper()
	file := started(t)
	out := rescueBlock.ReplaceAllLiteralString(file, "    rescue:\n"+plan+"\n\n")
	if out == file {
		t.Fatal("the plan is not where it was")
	}
	return out
}

const leastPlan = `      operators: 2
      guardians: 3
      triggers:
        - name: silence
        - name: compromise
        - name: legal
        - name: refusal
        - name: below-threshold`

func planOf(t testing.TB, file string) Rescue {
	t.Helper()
	return *must(ReadDocument([]byte(file), []byte(StartPolicy)))(t).Vaults[0].Rescue
}

// What a file leaves out is said by the statement; the default file says the same in words.
func TestPlanByDefault(t *testing.T) {
	want := Rescue{
		Operators: 2, Guardians: 3, Starters: 3, Organisations: 3, Window: 72 * time.Hour, LockUp: 14 * day, DrillEvery: 90 * day, Least: 2,
		Triggers: []Trigger{
			{"below-threshold", 0, 72 * time.Hour}, {"compromise", 0, 24 * time.Hour}, {"legal", 0, 7 * day}, {"refusal", 7 * day, 72 * time.Hour}, {"silence", 7 * day, 72 * time.Hour},
		},
	}
	for name, file := range map[string]string{"least": rescued(t, leastPlan), "charter init": started(t)} {
		if got := planOf(t, file); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	d := must(ReadDocument([]byte(rescued(t, leastPlan)), []byte(StartPolicy)))(t)
	s := must(Charter{Roster: statement.ID{2}, Created: noon, Document: d}.Statement(salt))(t)
	for _, line := range []string{"\ntrigger: silence\nafter: 604800\ntrigger-delay: 259200\n", "\nstarters: 3\nstarter-organisations: 3\nwindow: 259200\nlock-up: 1209600\ndrill-every: 7776000\nleast-threshold: 2\n"} {
		if !strings.Contains(s.Text(), line) {
			t.Errorf("the statement does not say %q", line)
		}
	}
	if d.PlanDelay() != 14*day {
		t.Errorf("a change waits for %s", d.PlanDelay())
	}
}

// A charter from before there were plans and cards is read, and its vault has no plan.
func TestRescueWithoutPlan(t *testing.T) {
	file := regexp.MustCompile(`(?m)^    card: .*\n`).ReplaceAllString(rescued(t, "      operators: 2\n      guardians: 3"), "")
	d := must(ReadDocument([]byte(file), []byte(StartPolicy)))(t)
	r := d.Vaults[0].Rescue
	if r.Planned() || d.PlanDelay() != 0 || !d.Guardians[0].Card.IsZero() {
		t.Errorf("%+v", r)
	}
	s := must(Charter{Roster: statement.ID{2}, Created: noon, Document: d}.Statement(salt))(t)
	if !strings.Contains(s.Text(), "\nrescue-operators: 2\nrescue-guardians: 3\npolicy:") {
		t.Errorf("its statement is another than it was:\n%s", s.Text())
	}
	c := must(Of(s))(t)
	if got := c.Vaults[0].Rescue; !reflect.DeepEqual(got, r) {
		t.Errorf("%+v", got)
	}
	rereads(t, c.Document)
}

const wholePlan = leastPlan + `
      starters: 4
      organisations: 2
      window: 86400
      lock-up: 86400
      drill-every: 86400
      successors: [cora]
      least-threshold: 2
      height:
        chain: "eip155:1"
        blocks: 7200
      destinations:
        - name: refuge
          chain: "eip155:1"
          address: "0x00000000000000000000000000000000000000B1"
        - name: elsewhere
          chain: "eip155:1"
          address: "0x00000000000000000000000000000000000000B2"
          vault: reserve
      caps:
        - asset: usdc
          most: 9000000000000
        - asset: eth
          most: 5000
      calls:
        - name: pause
          chain: "eip155:1"
          to: "0x00000000000000000000000000000000000000C1"
          data: "0x8456cb59"
      tranches:
        - asset: eth
          most: 100
          every: 604800
          count: 4`

// withPlan is the default charter with a plan that says all that one can, and a second vault.
func withPlan(t testing.TB) string {
	t.Helper()
	file := rescued(t, wholePlan)
	i := strings.Index(file, "\nvaults:\n") + len("\nvaults:\n")
	second := `  - name: reserve
    tier: cold
    suites: [ecdsa-secp256k1]
    threshold: 2
    committee: [acme, bolt]
    initiators: [finance]
    approvers: [finance, security]
    quorum: 2
    chains: ["eip155:1", "eip155:10"]
`
	return file[:i] + second + file[i:]
}

func TestPlanRoundTrip(t *testing.T) {
	d := must(ReadDocument([]byte(withPlan(t)), []byte(StartPolicy)))(t)
	v, _ := d.Vault("treasury")
	r := v.Rescue
	if r.Destinations[0].Vault != "reserve" || r.Caps[1].Most != 9e12 || r.Calls[0].Times != 1 || len(r.Calls[0].Data) != 4 || r.Tranches[0].Count != 4 || r.Blocks != 7200 || r.Successors[0] != "cora" {
		t.Errorf("%+v", r)
	}
	if x, ok := r.Trigger(TriggerLegal); !ok || x.Delay != 7*day {
		t.Errorf("%+v", x)
	}
	if _, ok := r.Trigger("flood"); ok {
		t.Error("a trigger that is not there")
	}
	c := must(Of(must(Charter{Roster: statement.ID{2}, Created: noon, Document: d}.Statement(salt))(t)))(t)
	if got, _ := c.Vault("treasury"); !reflect.DeepEqual(got.Rescue, r) {
		t.Errorf("%+v\nwant %+v", got.Rescue, r)
	}
	rereads(t, c.Document)
}

// Each change makes a plan that is refused; the error names the field.
func TestPlanRefuses(t *testing.T) {
	file := withPlan(t)
	for name, c := range map[string]struct{ from, to, want string }{
		"no triggers":                   {regexp.MustCompile(`(?s)      triggers:.*?      starters`).FindString(file), "      starters", "stands without triggers"},
		"an empty list of triggers":     {regexp.MustCompile(`(?s)      triggers:.*?      starters`).FindString(file), "      triggers: []\n      starters", "none is listed"},
		"an unknown trigger":            {"- name: legal", "- name: flood", `"flood" is not`},
		"a trigger twice":               {"- name: legal", "- name: refusal", "stands twice"},
		"silence, short":                {"- name: silence", "- name: silence\n          after: 86399", "trigger silence: after: 23h59m59s"},
		"silence, long":                 {"- name: silence", "- name: silence\n          after: 7776001", "after"},
		"silence at once":               {"- name: silence", "- name: silence\n          after: 0", "trigger silence: after: 0s"},
		"legal, after":                  {"- name: legal", "- name: legal\n          after: 86400", "only silence and refusal"},
		"no delay":                      {"- name: silence", "- name: silence\n          delay: 0", "delay"},
		"silence, short delay":          {"- name: silence", "- name: silence\n          delay: 86399", "trigger silence: delay: 23h59m59s"},
		"compromise, short delay":       {"- name: compromise", "- name: compromise\n          delay: 43199", "trigger compromise: delay: 11h59m59s"},
		"legal, short delay":            {"- name: legal", "- name: legal\n          delay: 259199", "trigger legal: delay: 71h59m59s"},
		"below-threshold, short delay":  {"- name: below-threshold", "- name: below-threshold\n          delay: 86399", "trigger below-threshold: delay"},
		"long delay":                    {"- name: legal", "- name: legal\n          delay: 7776001", "delay"},
		"fewer starters than guardians": {"starters: 4", "starters: 2", "it must be 3 to 4"},
		"all guardians start":           {"starters: 4", "starters: 5", "it must be 3 to 4"},
		"no organisation":               {"organisations: 2\n      window", "organisations: 0\n      window", "organisations: 0"},
		"more organisations than are":   {"organisations: 2\n      window", "organisations: 4\n      window", "of 3 organisations"},
		"short window":                  {"window: 86400", "window: 86399", "window: 23h59m59s"},
		"long window":                   {"window: 86400", "window: 1209601", "window"},
		"short lock-up":                 {"lock-up: 86400", "lock-up: 86399", "lock-up"},
		"long lock-up":                  {"lock-up: 86400", "lock-up: 7776001", "lock-up"},
		"drills too often":              {"drill-every: 86400", "drill-every: 86399", "drill-every"},
		"drills too seldom":             {"drill-every: 86400", "drill-every: 31622401", "drill-every"},
		"a stranger follows":            {"successors: [cora]", "successors: [zeta]", "zeta is no operator of the charter"},
		"one follows twice":             {"successors: [cora]", "successors: [cora, cora]", "stands twice"},
		"threshold of one":              {"least-threshold: 2", "least-threshold: 1", "it must be 2 to 2"},
		"threshold out of reach":        {"least-threshold: 2", "least-threshold: 3", "2 live operators and 0 successors"},
		"a chain without blocks":        {"blocks: 7200", "blocks: 0", "height"},
		"a chain":                       {"      height:\n        chain: \"eip155:1\"", "      height:\n        chain: \"eip155:01\"", "height: chain"},
		"too many blocks":               {"blocks: 7200", "blocks: 10000001", "blocks"},
		"a destination elsewhere":       {"- name: refuge\n          chain: \"eip155:1\"", "- name: refuge\n          chain: \"eip155:10\"", "destination refuge: chain"},
		"no address":                    {"0x00000000000000000000000000000000000000B1", "", "destination refuge: address"},
		"one address twice":             {"00B2", "00b1", "its address is"},
		"a destination's name twice":    {"- name: elsewhere", "- name: refuge", "stands twice"},
		"a vault that is not there":     {"vault: reserve", "vault: reserves", "reserves is not in the charter"},
		"itself":                        {"vault: reserve", "vault: treasury", "the one that is to be rescued"},
		"a vault of another chain":      {`chains: ["eip155:1", "eip155:10"]`, `chains: ["eip155:10"]`, "could never leave"},
		"a cap on nothing":              {"- asset: usdc", "- asset: usdx", "caps: asset \"usdx\""},
		"a cap of nothing":              {"most: 5000", "most: 0", "cap eth: most"},
		"a cap too large":               {"most: 5000", "most: 9223372036854775808", "plain decimal"},
		"a cap in octal":                {"most: 5000", "most: 05000", "plain decimal"},
		"a cap twice":                   {"- asset: usdc", "- asset: eth", "stands twice"},
		"a call elsewhere":              {"- name: pause\n          chain: \"eip155:1\"", "- name: pause\n          chain: \"eip155:10\"", "call pause: chain"},
		"a call of nobody":              {"0x00000000000000000000000000000000000000C1", "", "call pause: to"},
		"a call of nothing":             {"0x8456cb59", "0x8456cb", "call pause: data: 3 bytes"},
		"a call that is no hex":         {"0x8456cb59", "pause()", "data"},
		"a call never":                  {"data: \"0x8456cb59\"", "data: \"0x8456cb59\"\n          times: 0", "call pause: times"},
		"a call too often":              {"data: \"0x8456cb59\"", "data: \"0x8456cb59\"\n          times: 1001", "call pause: times"},
		"a call twice":                  {"      calls:\n", "      calls:\n        - name: halt\n          chain: \"eip155:1\"\n          to: \"0x00000000000000000000000000000000000000c1\"\n          data: \"8456CB59\"\n", "by another name"},
		"no tranche":                    {"most: 100\n", "most: 0\n", "tranche eth: most"},
		"tranches too soon":             {"every: 604800", "every: 3599", "tranche eth: every"},
		"no tranches":                   {"count: 4", "count: 0", "tranche eth: count"},
		"tranches for ever":             {"count: 4", "count: 367", "tranche eth: count"},
		"an unknown field":              {"window: 86400", "windows: 86400", "unknown field"},
		"a guardian without a card":     {"    card: \"" + card(t, "holder-3").String() + "\"\n", "", "no card of guardian-3: each makes one with `ostraka guardian init`"},
	} {
		changed := strings.Replace(file, c.from, c.to, 1)
		if changed == file || c.from == "" {
			t.Fatalf("%s changes nothing", name)
		}
		if _, err := ReadDocument([]byte(changed), []byte(StartPolicy)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A drill's times may be a second; others' may not be shorter, nor a drill's longer.
func TestPlanOfADrill(t *testing.T) {
	short := strings.NewReplacer("- name: silence", "- name: silence\n          after: 1\n          delay: 1", "- name: legal", "- name: legal\n          delay: 1", "window: 86400", "window: 1",
		"lock-up: 86400", "lock-up: 1", "drill-every: 86400", "drill-every: 60", "every: 604800", "every: 1").Replace(withPlan(t))
	drill := strings.Replace(short, "\noperators:\n", "\ndrill: true\noperators:\n", 1)
	if _, err := ReadDocument([]byte(drill), []byte(StartPolicy)); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadDocument([]byte(short), []byte(StartPolicy)); err == nil || !strings.Contains(err.Error(), "only a drill's may be shorter") {
		t.Errorf("%v", err)
	}
	for from, to := range map[string]string{"delay: 1\n": "delay: 0\n", "after: 1\n": "after: 0\n", "window: 1\n": "window: 0\n", "lock-up: 1\n": "lock-up: 0\n", "drill-every: 60": "drill-every: 59", "every: 1\n": "every: 0\n", "window: 1": "window: 1209601"} {
		if _, err := ReadDocument([]byte(strings.Replace(drill, from, to, 1)), []byte(StartPolicy)); err == nil {
			t.Errorf("%q is read", to)
		}
	}
}

// What statements alone can say: fields of a plan that has none.
func TestPlanStatementRefuses(t *testing.T) {
	bare := must(ReadDocument([]byte(rescued(t, "      operators: 2\n      guardians: 3")), []byte(StartPolicy)))(t)
	s := must(Charter{Roster: statement.ID{2}, Created: noon, Document: bare}.Statement(salt))(t)
	none := bare
	none.Vaults = slices.Clone(bare.Vaults)
	none.Vaults[0].Rescue = nil
	n := must(Charter{Roster: statement.ID{2}, Created: noon, Document: none}.Statement(salt))(t)
	for name, text := range map[string]string{
		"operators alone":   strings.Replace(s.Text(), "rescue-guardians: 3\n", "", 1),
		"guardians alone":   strings.Replace(s.Text(), "rescue-operators: 2\n", "", 1),
		"a window alone":    strings.Replace(s.Text(), "rescue-guardians: 3\n", "rescue-guardians: 3\nwindow: 86400\n", 1),
		"a successor alone": strings.Replace(s.Text(), "rescue-guardians: 3\n", "rescue-guardians: 3\nsuccessor: cora\n", 1),
		"a trigger alone":   strings.Replace(s.Text(), "rescue-guardians: 3\n", "rescue-guardians: 3\ntrigger: legal\ntrigger-delay: 604800\n", 1),
		"a plan of nobody":  strings.Replace(n.Text(), "policy: ", "trigger: legal\ntrigger-delay: 604800\npolicy: ", 1),
		"a cap of nobody":   strings.Replace(n.Text(), "policy: ", "cap: eth\ncap-most: 7\npolicy: ", 1),
	} {
		x, err := statement.Parse([]byte(text))
		if err != nil || text == s.Text() || text == n.Text() {
			t.Fatalf("%s: %v", name, err)
		}
		if c, err := Of(x); err == nil || !strings.Contains(err.Error(), "rescue") {
			t.Errorf("%s: %v, %+v", name, err, c.Vaults)
		}
	}
}

// A trigger that some loss of operators would leave without enough guardians is refused: those who share a person or an organisation with
// them do not count.
func TestPlanThatCannotServe(t *testing.T) {
	for name, x := range map[string]struct {
		change func(*Document)
		want   string
	}{
		"five strangers": {func(*Document) {}, ""},
		"one of acme's, four left": {func(d *Document) {
			d.Guardians[0].Organisation = "acme"
		}, ""},
		"two of acme's, three left": {func(d *Document) {
			d.Guardians[0].Organisation, d.Guardians[1].Organisation = "acme", "acme"
		}, "trigger compromise: cannot be served where acme is gone or accused: 2 guardians share a person or organisation"},
		"two of acme's, no compromise": {func(d *Document) {
			d.Guardians[0].Organisation, d.Guardians[1].Organisation = "acme", "acme"
			d.Vaults[0].Rescue.Triggers = d.Vaults[0].Rescue.Triggers[4:]
			d.Vaults[0].Rescue.Organisations = 2
		}, ""},
		"two, by their persons": {func(d *Document) {
			d.Guardians[0].Person, d.Guardians[1].Person = "alice", "bob"
			d.Operators[0].Places[0].Access = []string{"alice", "bob"}
		}, "trigger compromise: cannot be served where acme is gone"},
		"two, where its machine stands": {func(d *Document) {
			d.Guardians[0].Organisation, d.Guardians[1].Organisation = "dc", "dc"
			d.Operators[1].Places[0].Organisation = "dc"
		}, "trigger compromise: cannot be served where bolt is gone"},
		"their organisations": {func(d *Document) {
			d.Guardians[2].Organisation = "acme" // the only one of firm-2
		}, "trigger below-threshold: cannot be served where acme is gone or accused: 1 guardians share a person or organisation with them and do not count; of the others, 4 of 2 organisations"},
		"of two, one for each": {func(d *Document) {
			d.Guardians[0].Organisation, d.Guardians[1].Organisation = "acme", "bolt"
			d.Vaults[0].Threshold, d.Vaults[0].Rescue.Operators, d.Vaults[0].Rescue.Organisations = 2, 1, 1
			d.Operators = append(d.Operators, newcomer("dora"))
			d.Vaults[0].Rescue.Successors = []string{"dora"}
		}, "trigger compromise: cannot be served where acme and bolt are gone"},
	} {
		d := must(ReadDocument([]byte(rescued(t, leastPlan)), []byte(StartPolicy)))(t)
		x.change(&d)
		err := d.Validate()
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func newcomer(name string) Station {
	return Station{Name: name, Entity: name, Identity: identity(name), Places: []Place{{Name: "main", Level: Replica, Provider: "own", Account: "own", Region: "own", Jurisdiction: "no", Hardware: "own", Access: []string{"alice"}}}}
}

func TestSuccessorsMakeACommittee(t *testing.T) {
	d := must(ReadDocument([]byte(rescued(t, leastPlan)), []byte(StartPolicy)))(t)
	d.Operators = append(d.Operators, newcomer("dora"))
	r := d.Vaults[0].Rescue
	d.Vaults[0].Threshold, r.Operators = 2, 1
	if err := d.Validate(); err == nil || !strings.Contains(err.Error(), "name a successor") {
		t.Errorf("one live operator alone: %v", err)
	}
	r.Successors = []string{"bolt"} // of the committee: it may be the one that is gone
	if err := d.Validate(); err == nil || !strings.Contains(err.Error(), "name a successor") {
		t.Errorf("one of the committee: %v", err)
	}
	r.Successors = []string{"dora"}
	if err := d.Validate(); err != nil {
		t.Errorf("a newcomer: %v", err)
	}
	r.Least = 3
	if err := d.Validate(); err == nil || !strings.Contains(err.Error(), "it must be 2 to 2") {
		t.Errorf("three of two: %v", err)
	}
}

// Any change of a plan or of its guardians is looser, waits for twice the longest delay in force, and says what changes.
func TestPlanChangesWait(t *testing.T) {
	for name, x := range map[string]struct {
		change func(*Document)
		want   string
		plan   bool
	}{
		"longer silence": {func(d *Document) { d.Vaults[1].Rescue.Triggers[4].After++ }, "looser: vault treasury: rescue: trigger silence: after 168h0m0s and delay 72h0m0s → ", true},
		"no compromise": {func(d *Document) {
			d.Vaults[1].Rescue.Triggers = slices.Delete(slices.Clone(d.Vaults[1].Rescue.Triggers), 1, 2)
		}, "looser: vault treasury: rescue: trigger compromise: removed delay 24h0m0s", true},
		"more guardians": {func(d *Document) { d.Vaults[1].Rescue.Guardians = 4 }, "looser: vault treasury: rescue: guardians: 3 → 4", true},
		"another refuge": {func(d *Document) { d.Vaults[1].Rescue.Destinations[1].Address = "0xB9" }, "looser: vault treasury: rescue: destination refuge: 0x00000000000000000000000000000000000000B1 on eip155:1 → 0xB9 on eip155:1", true},
		"a lower cap":    {func(d *Document) { d.Vaults[1].Rescue.Caps[0].Most-- }, "looser: vault treasury: rescue: cap eth: 5000 → 4999", true},
		"another call":   {func(d *Document) { d.Vaults[1].Rescue.Calls[0].Data = []byte{1, 2, 3, 4} }, "looser: vault treasury: rescue: call pause: 0x8456cb59 to ", true},
		"a tranche":      {func(d *Document) { d.Vaults[1].Rescue.Tranches[0].Count++ }, "looser: vault treasury: rescue: tranche eth: 100 in each of 4 periods", true},
		"no plan":        {func(d *Document) { d.Vaults[1].Rescue = nil }, "looser: vault treasury: rescue: removed operators 2, guardians 3, trigger", true},
		"the vault goes": {func(d *Document) { d.Vaults = d.Vaults[:1] }, "looser: vault treasury: removed tier", true},
		"another card":   {func(d *Document) { d.Guardians[0].Card = card(t, "x") }, "looser: guardian guardian-0: card: SHA256:", true},
		"one goes":       {func(d *Document) { d.Guardians = d.Guardians[1:] }, "looser: guardian guardian-0: removed person holder-0", true},
		"another person": {func(d *Document) { d.Guardians[0].Person = "zoe" }, "looser: guardian guardian-0: person: holder-0 → zoe", true},
		"another tier":   {func(d *Document) { d.Vaults[1].Tier = TierHot }, "looser: vault treasury: tier: warm → hot", false},
		"the other goes": {func(d *Document) { d.Vaults = d.Vaults[1:] }, "looser: vault reserve: removed tier", false},
	} {
		was, is := must(ReadDocument([]byte(withPlan(t)), []byte(StartPolicy)))(t), must(ReadDocument([]byte(withPlan(t)), []byte(StartPolicy)))(t)
		x.change(&is)
		never := func(string) bool { return false }
		all := was.Diff(is, Removals{never, never})
		if len(all) != 1 || !strings.HasPrefix(all[0].String(), x.want) {
			t.Errorf("%s: %v", name, all)
		}
		want := map[bool]time.Duration{true: 14 * day, false: 2 * day}[x.plan]
		if got := Wait(was, all); got != want {
			t.Errorf("%s: it waits for %s", name, got)
		}
	}
	// The ordinary delay may be the longer.
	was := must(ReadDocument([]byte(withPlan(t)), []byte(StartPolicy)))(t)
	was.Delay = 90 * day
	if got := Wait(was, []Change{{Looser: true, Plan: true}}); got != 90*day {
		t.Errorf("it waits for %s", got)
	}
}

func TestBound(t *testing.T) {
	d := must(ReadDocument([]byte(started(t)), []byte(StartPolicy)))(t)
	g := Guard{Name: "x", Person: "xenia", Organisation: "notary"}
	for name, x := range map[string]struct {
		change func(*Document, *Guard)
		want   bool
	}{
		"a stranger":            {func(*Document, *Guard) {}, false},
		"its organisation":      {func(_ *Document, g *Guard) { g.Organisation = "bolt" }, true},
		"another's":             {func(_ *Document, g *Guard) { g.Organisation = "acme" }, true}, // alice of acme has access
		"of nobody with access": {func(_ *Document, g *Guard) { g.Organisation = "cora" }, false},
		"who has access":        {func(_ *Document, g *Guard) { g.Person = "alice" }, true},
		"who has none":          {func(_ *Document, g *Guard) { g.Person = "dana" }, false},
		"its employee":          {func(d *Document, g *Guard) { g.Person, d.People[3].Organisation = "dana", "bolt" }, true},
		"the data centre":       {func(d *Document, g *Guard) { d.Operators[1].Places[0].Organisation = "notary" }, true},
	} {
		d, g := d, g
		d.Operators, d.People = slices.Clone(d.Operators), slices.Clone(d.People)
		d.Operators[1].Places = slices.Clone(d.Operators[1].Places)
		x.change(&d, &g)
		if got := d.Bound(g, "bolt"); got != x.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if d.Bound(g, "nobody") {
		t.Error("bound to an operator that is not there")
	}
}

func TestStarting(t *testing.T) {
	for _, x := range []struct {
		starters, k, m int
		trigger        string
		want           int
	}{
		{3, 3, 5, TriggerSilence, 3}, {3, 3, 5, TriggerCompromise, 4}, {4, 3, 5, TriggerCompromise, 4}, {2, 2, 3, TriggerCompromise, 3}, {4, 3, 5, TriggerLegal, 4}, {3, 3, 4, TriggerCompromise, 4},
	} {
		if got := (Rescue{Starters: x.starters, Guardians: x.k}).Starting(x.trigger, x.m); got != x.want {
			t.Errorf("%+v: %d", x, got)
		}
	}
}

// What stands in a vault's block of a plan is read, and written again it is the same. Cards are left out: their own target is custody/guardian's.
func FuzzPlan(f *testing.F) {
	d := must(ReadDocument([]byte(withPlan(f)), []byte(StartPolicy)))(f)
	v, _ := d.Vault("treasury")
	plan := textOf(v.Rescue.add(nil))
	d.Policy = ""
	for i := range d.Guardians {
		d.Guardians[i].Card = guardian.Card{}
	}
	for i := range d.Vaults {
		d.Vaults[i].Rescue = nil
	}
	none := must(Charter{Roster: statement.ID{2}, Created: noon, Document: d}.Statement(salt))(f)
	before, after, ok := strings.Cut(none.Text(), "control: lose")
	if !ok {
		f.Fatal("the statement has no control rule after its vaults")
	}
	f.Add(plan)
	f.Add("rescue-operators: 2\nrescue-guardians: 3\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := statement.Parse([]byte(before + text + "control: lose" + after))
		if err != nil {
			return
		}
		vaults := s.Fields().Each("vault")
		b := vaults[len(vaults)-1].Block
		r, err := readRescue(b)
		if err != nil || r == nil || r.Planned() && (r.Starters == 0 || r.Organisations == 0 || r.Least == 0 || r.Window == 0 || r.LockUp == 0 || r.DrillEvery == 0) {
			return // Validate refuses these
		}
		i := slices.IndexFunc(b, func(x statement.Field) bool { return x.Name == "rescue-operators" })
		if got, want := textOf(r.add(nil)), textOf(b[i:]); got != want {
			t.Errorf("read and written it differs:\n%s\nwant\n%s", got, want)
		}
	})
}

// textOf is a block's lines.
func textOf(b statement.Block) (out string) {
	for _, x := range b {
		if x.Value != "" {
			out += x.Name + ": " + x.Value + "\n" + textOf(x.Block)
		}
	}
	return out
}

func BenchmarkOf(b *testing.B) {
	d := must(ReadDocument([]byte(withPlan(b)), []byte(StartPolicy)))(b)
	s := must(Charter{Roster: statement.ID{2}, Created: noon, Document: d}.Statement(salt))(b)
	for b.Loop() {
		if _, err := Of(s); err != nil {
			b.Fatal(err)
		}
	}
}
