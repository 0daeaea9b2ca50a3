package plan

import (
	"crypto/ed25519"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/custody/signet"
)

var update = flag.Bool("update", false, "write testdata anew")

func key(t testing.TB, name string) signet.Key {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, name)
	pub, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed).Public())
	if err != nil {
		t.Fatal(err)
	}
	k, err := signet.ParseKey(strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sample is n operators of which t sign, r and k of m in SOS.
func sample(t testing.TB, n, threshold, r, k, m int) Plan {
	p := Plan{
		Charter: [32]byte{1}, Vault: [32]byte{2}, Name: "treasury", Threshold: threshold, Live: r, Quorum: k, Starters: k, Organisations: min(3, k),
		Triggers: []Trigger{
			{BelowThreshold, 0, 72 * time.Hour}, {Compromise, 0, 24 * time.Hour}, {Legal, 0, 7 * 24 * time.Hour},
			{Refusal, 7 * 24 * time.Hour, 72 * time.Hour}, {Silence, 7 * 24 * time.Hour, 72 * time.Hour},
		},
		Heartbeat: 5 * time.Minute, Window: 72 * time.Hour, LockUp: 14 * 24 * time.Hour, DrillEvery: 90 * 24 * time.Hour,
		Least: 2, Witnesses: 1,
		Destinations: []Destination{{"cold", "eip155:1", "0x" + strings.Repeat("cd", 20), "rescue"}},
		Caps:         []Cap{{"eth", 1000}},
		Calls:        []Call{{"pause", "eip155:1", "0x" + strings.Repeat("ab", 20), []byte{1, 2, 3, 4}, 1}},
		Tranches:     []Tranche{{"eth", 100, 24 * time.Hour, 10}},
	}
	for i := range n + 1 {
		name := string(rune('a'+i)) + "-node"
		o := Operator{Name: name, Identity: []byte{byte(i), 31: 1}, Officers: []signet.Key{key(t, name)}, Reach: Reach{[]string{name + "-ops"}, []string{name}, []string{"cloud/" + name}}}
		if i < n {
			p.Operators = append(p.Operators, o)
		} else {
			p.Others, p.Successors = append(p.Others, o), []string{name}
		}
	}
	for i := range m {
		name := fmt.Sprintf("g%02d", i+1)
		org := fmt.Sprintf("firm%02d", i+1)
		p.Guardians = append(p.Guardians, Guardian{name, "p-" + name, org, key(t, name), Reach{People: []string{"p-" + name}, Organisations: []string{org}}})
	}
	return p
}

func TestPlanIsChecked(t *testing.T) {
	if err := sample(t, 3, 3, 2, 3, 5).Validate(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Plan)
		want   string
	}{
		"r as t":                    {func(p *Plan) { p.Live = 3 }, "r is 3"},
		"r zero":                    {func(p *Plan) { p.Live = 0 }, "r is 0"},
		"k all":                     {func(p *Plan) { p.Quorum, p.Starters = 5, 5 }, "k is 5"},
		"k one":                     {func(p *Plan) { p.Quorum = 1 }, "k is 1"},
		"t above n":                 {func(p *Plan) { p.Threshold = 4 }, "threshold"},
		"starters below k":          {func(p *Plan) { p.Starters = 2 }, "starters"},
		"organisations":             {func(p *Plan) { p.Organisations = 4 }, "organisations"},
		"no card":                   {func(p *Plan) { p.Guardians[1].Key = signet.Key{} }, "g02: there is no card"},
		"S8, one key twice":         {func(p *Plan) { p.Guardians[1].Key = p.Guardians[0].Key }, "the same person or key"},
		"S8, one person twice":      {func(p *Plan) { p.Guardians[1].Person = p.Guardians[0].Person }, "the same person or key"},
		"S8, one node twice":        {func(p *Plan) { p.Operators[1].Identity = p.Operators[0].Identity }, "the same as operator"},
		"S1, no delay":              {func(p *Plan) { p.Triggers[0].Delay = 0 }, "delay"},
		"S1, negative delay":        {func(p *Plan) { p.Triggers[0].Delay = -time.Hour }, "delay"},
		"S1, seconds for hours":     {func(p *Plan) { p.Triggers[0].Delay = 72 * time.Second }, "delay"},
		"S1, endless delay":         {func(p *Plan) { p.Triggers[0].Delay = 1<<63 - 1 }, "delay"},
		"S1, silence at once":       {func(p *Plan) { p.Triggers[4].After = time.Minute }, "after"},
		"legal lasts":               {func(p *Plan) { p.Triggers[2].After = time.Hour }, "after"},
		"unknown trigger":           {func(p *Plan) { p.Triggers[2].Name = "lunch" }, "no such trigger"},
		"no trigger":                {func(p *Plan) { p.Triggers = nil }, "none is served"},
		"no window":                 {func(p *Plan) { p.Window = 0 }, "window"},
		"a chain without blocks":    {func(p *Plan) { p.Chain = "eip155:1" }, "chain"},
		"t′ of one":                 {func(p *Plan) { p.Least = 1 }, "least"},
		"nobody follows":            {func(p *Plan) { p.Live, p.Successors = 1, nil }, "successors"},
		"a stranger follows":        {func(p *Plan) { p.Successors = []string{"zoe"} }, "no operator"},
		"the vault rescues itself":  {func(p *Plan) { p.Destinations[0].Vault = "treasury" }, "the vault itself"},
		"a call never":              {func(p *Plan) { p.Calls[0].Times = 0 }, "call pause"},
		"a cap twice":               {func(p *Plan) { p.Caps = append(p.Caps, p.Caps[0]) }, "cap on eth"},
		"a tranche of no time":      {func(p *Plan) { p.Tranches[0].Every = 0 }, "tranche of eth"},
		"more witnesses than there": {func(p *Plan) { p.Witnesses = 2 }, "witnesses"},
	} {
		p := sample(t, 3, 3, 2, 3, 5)
		c.change(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	drill := sample(t, 3, 3, 2, 3, 5)
	drill.Drill, drill.Triggers[0].Delay = true, 10*time.Second
	if err := drill.Validate(); err != nil {
		t.Errorf("a drill of seconds: %v", err)
	}
}

// Every field is in the digest: a plan that differs anywhere is another.
func TestSumHoldsEveryField(t *testing.T) {
	base := sample(t, 3, 3, 2, 3, 5)
	seen := map[[32]byte]string{base.Sum(): "nothing"}
	var walk func(v reflect.Value, name string, p *Plan)
	walk = func(v reflect.Value, name string, p *Plan) {
		switch v.Kind() {
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[signet.Key]() {
				old := v.Interface().(signet.Key)
				v.Set(reflect.ValueOf(key(t, "other")))
				note(t, seen, name, p.Sum())
				v.Set(reflect.ValueOf(old))
				return
			}
			for i := range v.NumField() {
				walk(v.Field(i), name+"."+v.Type().Field(i).Name, p)
			}
		case reflect.Slice, reflect.Array:
			if v.Kind() == reflect.Slice && v.Len() > 1 {
				old := v.Interface()
				v.Set(v.Slice(0, v.Len()-1))
				note(t, seen, name+" shorter", p.Sum())
				v.Set(reflect.ValueOf(old))
			}
			if v.Len() > 0 {
				walk(v.Index(0), name+"[0]", p)
			}
		case reflect.String:
			v.SetString(v.String() + "x")
			note(t, seen, name, p.Sum())
			v.SetString(strings.TrimSuffix(v.String(), "x"))
		case reflect.Bool:
			v.SetBool(!v.Bool())
			note(t, seen, name, p.Sum())
			v.SetBool(!v.Bool())
		case reflect.Int, reflect.Int64:
			v.SetInt(v.Int() + 1)
			note(t, seen, name, p.Sum())
			v.SetInt(v.Int() - 1)
		default:
			v.SetUint(v.Uint() ^ 1)
			note(t, seen, name, p.Sum())
			v.SetUint(v.Uint() ^ 1)
		}
	}
	walk(reflect.ValueOf(&base).Elem(), "plan", &base)
	if len(seen) < 45 {
		t.Errorf("only %d fields were changed", len(seen))
	}
}

func note(t *testing.T, seen map[[32]byte]string, name string, sum [32]byte) {
	t.Helper()
	if other, ok := seen[sum]; ok {
		t.Errorf("%s changed, and the digest is that of %s", name, other)
	}
	seen[sum] = name
}

// Who shares a subject's person, organisation or cloud account does not count.
func TestWhoShareWithASubject(t *testing.T) {
	p := sample(t, 5, 4, 3, 3, 5)
	subjects := []string{"a-node", "b-node"}
	if err := p.Serves(Silence, subjects); err != nil {
		t.Fatal(err)
	}
	for name, share := range map[string]func(*Reach){
		"person a-node-ops":          func(r *Reach) { r.People = append(r.People, "a-node-ops") },
		"organisation b-node":        func(r *Reach) { r.Organisations = append(r.Organisations, "b-node") },
		"cloud account cloud/a-node": func(r *Reach) { r.Accounts = append(r.Accounts, "cloud/a-node") },
	} {
		q := sample(t, 5, 4, 3, 3, 5)
		share(&q.Guardians[0].Reach)
		if got := q.Helpers(subjects); slices.Contains(got, "g01") || len(got) != 4 {
			t.Errorf("%s: guardians %v count", name, got)
		}
		if got := q.Bound(q.Guardians[0].Reach, subjects); !strings.Contains(got, name) {
			t.Errorf("%s: %q", name, got)
		}
		share(&q.Operators[3].Reach)
		if got := q.Contributors(subjects); !slices.Equal(got, []string{"c-node", "e-node"}) {
			t.Errorf("%s: operators %v count", name, got)
		}
		if err := q.Serves(Silence, subjects); err == nil || !strings.Contains(err.Error(), "2 operators count") {
			t.Errorf("%s: %v", name, err)
		}
		share(&q.Others[0].Reach)
		if got := q.Attests(subjects); got != 0 {
			t.Errorf("%s: %d witnesses", name, got)
		}
	}
}

func TestServes(t *testing.T) {
	three, five := sample(t, 3, 3, 2, 3, 5), sample(t, 5, 3, 2, 3, 5)
	two := sample(t, 3, 2, 1, 3, 5)
	for _, c := range []struct {
		name     string
		p        Plan
		trigger  string
		subjects []string
		want     string
	}{
		{"one of 3-of-3", three, Silence, []string{"b-node"}, ""},
		{"two of 3-of-3", three, Silence, []string{"a-node", "b-node"}, "1 operators count"},
		{"one below threshold", three, BelowThreshold, []string{"b-node"}, "several"},
		{"two of 2-of-3", two, BelowThreshold, []string{"a-node", "c-node"}, ""},
		{"t live", two, Silence, []string{"a-node"}, "SOS is refused"},
		{"t live of five", five, Compromise, []string{"a-node", "b-node"}, "SOS is refused"},
		{"three of five", five, Silence, []string{"a-node", "b-node", "c-node"}, ""},
		{"nobody", three, Silence, nil, "SOS is refused"},
		{"order", five, Silence, []string{"b-node", "a-node", "c-node"}, "ascending"},
		{"twice", five, Silence, []string{"a-node", "a-node", "c-node"}, "ascending"},
		{"a stranger", three, Silence, []string{"zoe"}, "not the next operator"},
		{"another's", three, Silence, []string{"d-node"}, "not the next operator"},
	} {
		err := c.p.Serves(c.trigger, c.subjects)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	three.Triggers = three.Triggers[:2]
	if err := three.Serves(Silence, []string{"a-node"}); err == nil || !strings.Contains(err.Error(), "does not serve") {
		t.Error(err)
	}
}

// Start and veto in numbers: product's words, for several plans.
func TestNeeds(t *testing.T) {
	for _, c := range []struct {
		k, m                         int
		first, again, compromise, no int
	}{
		{3, 5, 3, 4, 4, 3}, {2, 3, 2, 2, 3, 2}, {2, 5, 2, 3, 3, 4}, {4, 5, 4, 4, 5, 2}, {5, 9, 5, 6, 6, 5},
	} {
		p := sample(t, 3, 3, 2, c.k, c.m)
		if got := p.Starts(Silence, 0); got.Guardians != c.first || got.Operators != 1 {
			t.Errorf("%d of %d: first %+v", c.k, c.m, got)
		}
		for before := 1; before < 4; before++ {
			if got := p.Starts(Silence, before); got.Guardians != c.again {
				t.Errorf("%d of %d: again %+v", c.k, c.m, got)
			}
		}
		if got := p.Starts(Compromise, 0); got.Guardians != c.compromise || got.Operators != 2 {
			t.Errorf("%d of %d: compromise %+v", c.k, c.m, got)
		}
		if got := p.Vetoes(); got != c.no {
			t.Errorf("%d of %d: veto %d", c.k, c.m, got)
		}
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	for _, c := range [][5]int{{3, 3, 2, 3, 5}, {3, 2, 1, 3, 5}, {5, 4, 3, 3, 5}, {5, 3, 1, 2, 4}} {
		p := sample(t, c[0], c[1], c[2], c[3], c[4])
		b.WriteString(p.Text(min(c[1], c[2]+c[3])) + "\n")
		// Each class stands in exactly one row, with what it can do.
		for a := range c[0] + 1 {
			for g := range c[4] + 1 {
				found := 0
				for _, r := range p.Table() {
					if r.Operators[0] <= a && a <= r.Operators[1] && r.Guardians[0] <= g && g <= r.Guardians[1] {
						found++
						if before, after := p.Can(a, g); r.Before != before || r.After != after {
							t.Errorf("%v: %d operators and %d guardians: row %+v", c, a, g, r)
						}
					}
				}
				if found != 1 {
					t.Errorf("%v: %d operators and %d guardians stand in %d rows", c, a, g, found)
				}
			}
		}
	}
	file := filepath.Join("testdata", "table.txt")
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || string(want) != b.String() {
		t.Errorf("%s differs, %v:\n%s", file, err, b.String())
	}
}
