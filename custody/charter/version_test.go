package charter

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// rosters is a circle's roster, as it is read.
func rosters(t testing.TB) Chain {
	return Chain{must(RosterOf(must(roster(t).Statement(salt))(t)))(t)}
}

// version0 is the charter that `charter init` writes, under the roster.
func version0(t testing.TB) Charter {
	file := strings.Replace(started(t), `"Acme treasury"`, `"First light"`, 1)
	d := must(ReadDocument([]byte(file), []byte(StartPolicy)))(t)
	c := Charter{Roster: rosters(t)[0].ID, Created: noon, Document: d}
	return must(Of(must(c.Statement(salt))(t)))(t)
}

// full has every field that a charter may have.
func full(t testing.TB) Charter {
	c := version0(t)
	c.Operators = slices.Clone(c.Operators)
	c.Operators[0].Independent = true
	c.Operators[0].Places = append(slices.Clone(c.Operators[0].Places), Place{Name: "safe", Level: Paper, Organisation: "notary", Jurisdiction: "ch", Access: []string{"alice", "bob"}})
	c.People = slices.Clone(c.People)
	c.People[1].Expires = noon.Add(time.Hour)
	c.Groups = slices.Clone(c.Groups)
	c.Groups[0].Expires = noon.Add(2 * time.Hour)
	c.Payees = slices.Clone(c.Payees)
	c.Payees[0].Expires = noon.Add(3 * time.Hour)
	c.Vaults = slices.Clone(c.Vaults)
	c.Vaults[0].InitiatorApproves, c.Vaults[0].UserVerification, c.Vaults[0].RefreshEvery = true, true, 24*time.Hour
	c.Vaults[0].Publish, c.Vaults[0].Witnesses, c.Vaults[0].HoldRelease = true, 2, 7*24*time.Hour
	planned := must(ReadDocument([]byte(withPlan(t)), []byte(StartPolicy)))(t).Vaults
	c.Vaults[0].Rescue = planned[1].Rescue
	c.Vaults = append([]Blueprint{planned[0]}, c.Vaults...)
	c.Control = []ControlRule{{"steal", "provider", 3}, {"lose", "jurisdiction", 2}}
	c.Offset = -(3*time.Hour + 30*time.Minute)
	c.Policy = "// Tabs and\n\n" + c.Policy
	return c
}

// attested demands evidence of hardware besides: charters without it have the bytes that they had before there was any.
func attested(t testing.TB) Charter {
	c := full(t)
	c.Demands = []Demand{
		{Operator: "acme", Fresh: 6 * time.Hour, Hardware: []Hardware{
			{Kind: KindSEVSNP, Measurements: []Measurement{{"r1", measured(KindSEVSNP, "ab")}}, Floor: "snp 8"},
			{Kind: KindTPM, Measurements: []Measurement{{"r1", measured(KindTPM, "01")}, {"r2", measured(KindTPM, "02")}}, Roots: [][]byte{make([]byte, 32), slices.Repeat([]byte{1}, 32)}},
		}},
		{Operator: "cora", Fresh: DefaultFresh, Hardware: []Hardware{{Kind: KindNitro, Measurements: []Measurement{{"r1", measured(KindNitro, "aa")}}}}},
	}
	return c
}

func TestCharterRoundTrip(t *testing.T) {
	for name, c := range map[string]Charter{"least": version0(t), "full": full(t), "attested": attested(t)} {
		s := must(c.Statement(salt))(t)
		switch name {
		case "full":
			snapshot(t, s)
		case "attested":
			snapshotAs(t, "charter-attest", s)
		}
		got := must(Of(s))(t)
		c.ID = s.ID()
		if !reflect.DeepEqual(got, c) {
			t.Errorf("%s: read %+v\nwant %+v", name, got, c)
		}
		if again := must(got.Statement(salt))(t); again.ID() != s.ID() {
			t.Errorf("%s: written again it differs", name)
		}
	}
}

// Every field of a document is in its statement: a change that is lost would be signed by nobody.
func TestCharterHoldsEveryField(t *testing.T) {
	c := attested(t)
	s := must(c.Statement(salt))(t)
	changed := 0
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem(), path)
			}
			return
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
			}
			return
		case reflect.Struct:
			if k, ok := v.Interface().(signet.Key); ok && !k.IsZero() {
				return // keys are among lists that are compared as texts
			}
			if _, ok := v.Interface().(time.Time); ok {
				return
			}
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					walk(v.Field(i), path+"."+v.Type().Field(i).Name)
				}
			}
			return
		}
		was := reflect.ValueOf(v.Interface())
		switch v.Kind() {
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.Int, reflect.Int64:
			v.SetInt(v.Int() + int64(time.Second))
		case reflect.String:
			v.SetString(v.String() + "x")
		case reflect.Uint8:
			v.SetUint(v.Uint() ^ 1)
		default:
			return
		}
		changed++
		if x, err := c.Statement(salt); err == nil && x.ID() == s.ID() {
			t.Errorf("%s is not in the statement", path)
		}
		v.Set(was)
	}
	walk(reflect.ValueOf(&c.Document), "")
	if changed < 100 {
		t.Errorf("%d fields were changed", changed)
	}
	if x := must(c.Statement(salt))(t); x.ID() != s.ID() {
		t.Error("the walk left something changed")
	}
}

func TestCharterRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Charter)
		want   string
	}{
		"previous in version 0": {func(c *Charter) { c.Previous = statement.ID{1} }, "version 0 alone names none"},
		"no previous":           {func(c *Charter) { c.Version = 1 }, "version 0 alone names none"},
		"no roster":             {func(c *Charter) { c.Roster = statement.ID{} }, "roster: is missing"},
		"a tab in a rule":       {func(c *Charter) { c.Policy = "// a\tb\n" }, "policy"},
		"a tab before a rule":   {func(c *Charter) { c.Policy = "\t// a\n" }, "begins with a tab"},
		"spaces at the end":     {func(c *Charter) { c.Policy = "// a \n" }, "ends with a space"},
		"no line feed":          {func(c *Charter) { c.Policy = "// a" }, "policy"},
		"a long line":           {func(c *Charter) { c.Policy = "//" + strings.Repeat("x", 1024) + "\n" }, "policy"},
		"a long delay":          {func(c *Charter) { c.Delay = 91 * 24 * time.Hour }, "delay"},
		"a short delay":         {func(c *Charter) { c.Delay = time.Minute }, "only a drill"},
		"a long time":           {func(c *Charter) { c.Document.Operators = nil }, "operators"},
	} {
		x := version0(t)
		c.change(&x)
		if _, err := x.Statement(salt); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	s := must(version0(t).Statement(salt))(t)
	for from, to := range map[string]string{"policy: |": "policy: ", "offset: +00:00": "offset: -00:00", "quorum: 2": "quorum: 9", "place: main": "place: main\nlevel: paper"} {
		text := strings.Replace(s.Text(), from, to, 1)
		if text == s.Text() {
			t.Fatalf("%q is not in the statement", from)
		}
		if x, err := statement.Parse([]byte(text)); err == nil {
			if _, err := Of(x); err == nil {
				t.Errorf("%q is read", to)
			}
		}
	}
	drill := version0(t)
	drill.Drill, drill.Delay, drill.ListDelay = true, 0, time.Second
	if _, err := drill.Statement(salt); err != nil {
		t.Errorf("a drill's delays: %v", err)
	}
}

// A charter whose statement is too long to travel in one piece is refused where it is made, and where it is read.
func TestCharterTooLong(t *testing.T) {
	c := version0(t)
	for i := range 8 {
		for j := range c.People {
			c.People[j].Keys = append(slices.Clone(c.People[j].Keys), longKey(t, fmt.Sprint("key ", i, j), 630))
		}
	}
	for i := len(c.People); i < 60; i++ {
		h := Human{Name: fmt.Sprintf("person-%02d", i), Organisation: "acme"}
		for j := range 5 {
			h.Keys = append(h.Keys, longKey(t, fmt.Sprint(h.Name, j), 630))
		}
		c.People = append(c.People, h)
	}
	c.Document = c.Document.sorted()
	for i := range c.People {
		c.People[i].Keys = sortedKeys(c.People[i].Keys)[:min(8, len(c.People[i].Keys))]
	}
	if _, err := c.Statement(salt); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Fatalf("made: %v", err)
	}
}

// longKey is a key of a token whose application's name is long.
func longKey(t testing.TB, name string, application int) signet.Key {
	t.Helper()
	pub, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Name        string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKED25519, private(name).Public().(ed25519.PublicKey), strings.Repeat("a", application)}))
	if err != nil {
		t.Fatal(err)
	}
	k, err := signet.NewKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestPlain(t *testing.T) {
	for from, want := range map[string]string{"": "", "a": "a\n", "\ta  \r\n\n  b\t": "    a\n\n  b\n", "a\tb": "a\tb\n"} {
		if got := Plain(from); got != want || Plain(got) != got {
			t.Errorf("%q becomes %q, want %q", from, got, want)
		}
	}
}

// next is version 1 after one.
func next(t testing.TB, c Charter, change func(*Charter)) Charter {
	c.Previous, c.Version, c.Created = c.ID, c.Version+1, c.Created.Add(time.Hour)
	if change != nil {
		change(&c)
	}
	return must(Of(must(c.Statement(salt))(t)))(t)
}

// enact has all officers and nodes sign, but for those left out.
func enact(t testing.TB, c Charter, r Roster, without ...string) Enacted {
	t.Helper()
	s := must(c.Statement(salt))(t)
	e := Enacted{Accepted: Accepted{Statement: s}}
	by := must(c.Acceptors(r))(t)
	var err error
	for _, name := range r.Names() {
		if !slices.Contains(without, "officer of "+name) {
			if e.Accepted, _, err = e.Add(by, officerSigns(t, s, "charter", "officer of "+name)); err != nil {
				t.Fatal(err)
			}
		}
		if o, _ := r.Operator(name); !slices.Contains(without, "node of "+name) {
			if e, err = e.Enact(o, must(signet.SignNode(private("node of "+name), s))(t)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return e
}

func TestHistory(t *testing.T) {
	chain := rosters(t)
	c := version0(t)
	h := must(History(nil).Next(enact(t, c, chain[0]), chain))(t)
	d := next(t, c, func(c *Charter) { c.Vaults[0].Quorum = 1 })
	h = must(h.Next(enact(t, d, chain[0]), chain))(t)
	if newest, ok := h.Newest(); !ok || newest.ID != d.ID || len(h) != 2 {
		t.Errorf("newest is %v", newest.ID)
	}
	if v, ok := h.Version(c.ID); !ok || v.Version != 0 {
		t.Error("version 0 is not found")
	}
	if _, ok := History(nil).Newest(); ok {
		t.Error("no history has a newest version")
	}
	for _, without := range []string{"officer of acme", "officer of bolt", "officer of cora", "node of acme", "node of bolt", "node of cora"} {
		if _, err := History(nil).Next(enact(t, c, chain[0], without), chain); err == nil {
			t.Errorf("in force without the %s", without)
		}
	}
}

func TestHistoryRefuses(t *testing.T) {
	chain := rosters(t)
	first := version0(t)
	h := History{first}
	for name, c := range map[string]struct {
		change func(*Charter)
		want   string
	}{
		"a gap":           {func(c *Charter) { c.Version = 2 }, "version: is 2, 1 follows"},
		"another before":  {func(c *Charter) { c.Previous = statement.ID{9} }, "previous"},
		"another circle":  {func(c *Charter) { c.Circle = "Second light" }, "circle"},
		"a drill":         {func(c *Charter) { c.Drill = true }, "drill"},
		"earlier":         {func(c *Charter) { c.Created = noon.Add(-time.Hour) }, "created"},
		"another roster":  {func(c *Charter) { c.Roster = statement.ID{9} }, "no version of this circle's roster"},
		"another's key":   {func(c *Charter) { c.People[0].Keys, c.People[1].Keys = c.People[1].Keys, c.People[0].Keys }, "was"},
		"another entity":  {func(c *Charter) { c.Operators[0].Entity = "Zeta Ltd" }, "entity: is not the roster's"},
		"another's node":  {func(c *Charter) { c.Operators[0].Name = "abba"; c.Vaults[0].Committee[0] = "abba" }, "is that of acme in the roster"},
		"another machine": {func(c *Charter) { c.Operators[0].Identity = identity("zeta") }, "identity: is not the roster's"},
	} {
		x := next(t, first, func(x *Charter) {
			x.People, x.Operators, x.Vaults = slices.Clone(x.People), slices.Clone(x.Operators), slices.Clone(x.Vaults)
			x.Vaults[0].Committee = slices.Clone(x.Vaults[0].Committee)
			c.change(x)
		})
		if err := h.CheckNext(x, chain); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if err := History(nil).CheckNext(next(t, first, nil), chain); err == nil {
		t.Error("version 1 is the first")
	}
	if err := h.CheckNext(next(t, first, nil), chain); err != nil {
		t.Errorf("the same again: %v", err)
	}
}

func TestEnacted(t *testing.T) {
	chain := rosters(t)
	c := version0(t)
	e := enact(t, c, chain[0])
	again := must(DecodeEnacted(e.Bytes()))(t)
	if !reflect.DeepEqual(again, e) || !bytes.Equal(again.Bytes(), e.Bytes()) {
		t.Error("decoded, it differs")
	}
	o, _ := chain[0].Operator("acme")
	if _, err := e.Enact(o, must(signet.SignNode(private("node of bolt"), e.Statement))(t)); err == nil {
		t.Error("another's node signs")
	}
	stranger := enact(t, c, chain[0])
	stranger.Nodes["zeta"] = stranger.Nodes["acme"]
	if err := stranger.Verify(c, chain[0]); err == nil {
		t.Error("a stranger's node counts")
	}
	if awaited := enact(t, c, chain[0], "node of bolt").Awaited(chain[0]); !slices.Equal(awaited, []string{"bolt"}) {
		t.Errorf("awaited %v", awaited)
	}
	// The officers' signatures are for no other statement, the nodes' neither.
	other := next(t, c, nil)
	swapped := enact(t, other, chain[0])
	swapped.Nodes = e.Nodes
	if err := swapped.Verify(other, chain[0]); err == nil {
		t.Error("nodes' signatures serve another version")
	}
}

func FuzzDecodeEnacted(f *testing.F) {
	c := version0(f)
	f.Add(enact(f, c, rosters(f)[0]).Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		if e, err := DecodeEnacted(in); err == nil && !bytes.Equal(e.Bytes(), in) {
			t.Fatal("decode then encode changed it")
		}
	})
}

func none(signet.Key) bool { return false }

func TestTerms(t *testing.T) {
	c := version0(t)
	c.Groups = slices.Clone(c.Groups)
	c.People = slices.Clone(c.People)
	names := func(people []Person) (all []string) {
		for _, p := range people {
			all = append(all, p.Name)
		}
		return all
	}
	v := Vault{Name: "treasury"}
	at := c.Terms(v, noon, none)
	if at.Under != c.ID || !slices.Equal(names(at.Initiators), []string{"alice", "bob", "carol"}) || !slices.Equal(names(at.Approvers), []string{"alice", "bob", "carol", "dana"}) || at.Quorum != 2 || at.Tier != TierWarm {
		t.Errorf("%+v", at.Terms)
	}
	lost := sshKey(t, "bob")
	if got := c.Terms(v, noon, lost.Equal); !slices.Equal(names(got.Initiators), []string{"alice", "carol"}) {
		t.Errorf("a revoked key counts: %v", names(got.Initiators))
	}
	c.People[0].Expires = noon
	if got := c.Terms(v, noon.Add(-time.Second), none); len(got.Initiators) != 3 {
		t.Error("a key counts no more before it expires")
	}
	if got := c.Terms(v, noon, none); !slices.Equal(names(got.Initiators), []string{"bob", "carol"}) {
		t.Errorf("an expired key counts: %v", names(got.Initiators))
	}
	c.Groups[1].Expires = noon // security
	if got := c.Terms(v, noon, none); !slices.Equal(names(got.Approvers), []string{"bob", "carol"}) {
		t.Errorf("an expired group counts: %v", names(got.Approvers))
	}
	gone := c.Terms(Vault{Name: "other", Terms: at.Terms}, noon, none)
	if len(gone.Initiators)+len(gone.Approvers) != 0 || gone.Under != c.ID {
		t.Errorf("a vault that the charter does not list has people: %+v", gone.Terms)
	}
}

func TestDraft(t *testing.T) {
	c := version0(t)
	r := rosters(t)[0]
	v := must(c.Draft("treasury", r, noon))(t)
	if err := v.CheckCharter(c); err != nil {
		t.Error(err)
	}
	if _, err := c.Draft("savings", r, noon); err == nil || !strings.Contains(err.Error(), "treasury") {
		t.Errorf("a vault that is not there: %v", err)
	}
	for name, change := range map[string]func(*Vault){
		"charter": func(v *Vault) { v.Charter[0]++ }, "name": func(v *Vault) { v.Name = "savings" }, "suites": func(v *Vault) { v.Suites = []string{SuiteEd25519} },
		"threshold": func(v *Vault) { v.Threshold = 2 }, "committee": func(v *Vault) { v.Committee = v.Committee[:2] },
	} {
		x := v
		change(&x)
		if x.CheckCharter(c) == nil {
			t.Errorf("another %s passes", name)
		}
	}
}
