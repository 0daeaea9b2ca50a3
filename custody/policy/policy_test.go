package policy

import (
	"fmt"
	"github.com/cedar-policy/cedar-go"
	"math"
	"strings"
	"testing"
)

var vocabulary = Vocabulary{
	Vaults: []string{"treasury"}, People: []string{"alice", "bob"}, Groups: []string{"finance", "security"}, Labels: []string{"exchange", "payroll"},
	Assets: []string{"eth", "usdc"}, Chains: []string{"eip155:1"},
}

// facts are of a small transfer to a known place, approved by one of each group.
func facts() Facts {
	return Facts{
		Vault: "treasury", Tier: "warm", Purpose: "transaction", Chain: "eip155:1", Initiator: "alice", Groups: []string{"finance"},
		Approvals: map[string]int{"finance": 1, "security": 1}, Approvers: 2, Organisations: 2, Hour: 10, Weekday: 3,
		Effects: []Effect{
			{Operation: Transfer, Asset: "eth", Amount: 100, Total: Totals{100, 300, 300, 300}, Destination: "0x00", Labels: []string{"payroll"}},
			{Operation: Fee, Asset: "eth", Amount: 1, Total: Totals{101, 301, 301, 301}},
		},
	}
}

func room(f Facts) Room { return Room{f.Approvals, f.Approvers, f.Organisations} }

func read(t testing.TB, text string) *Policy {
	t.Helper()
	p, err := Read([]byte(text), vocabulary)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const fee = `@id("fee") permit(principal, action == Action::"fee", resource) when { context.amount <= 5 };
`

func TestRuling(t *testing.T) {
	const rules = fee + `
@id("small") permit(principal in Group::"finance", action in Action::"move", resource) when { context.total.day <= 1000 && context.approvals["finance"] >= 1 };
@id("large") permit(principal, action in [Action::"transfer", Action::"token"], resource == Vault::"treasury")
	when { context.total.day <= 5000 && context.approvals.finance >= 2 && context.approvals.security >= 1 && context.organisations >= 2 };
@id("known") @reason("money goes to places on the list only") forbid(principal, action in Action::"move", resource) unless { context.labels.contains(Label::"payroll") };
@id("office") forbid(principal, action, resource) when { context.weekday > 5 || context.hour < 8 };
`
	p := read(t, rules)
	for name, c := range map[string]struct {
		change  func(*Facts)
		room    Room
		verdict Verdict
		want    string
	}{
		"as it is":           {func(*Facts) {}, Room{}, Allow, "fee,small"},
		"on a Saturday":      {func(f *Facts) { f.Weekday = 6 }, Room{}, Deny, "office"},
		"to a stranger":      {func(f *Facts) { f.Effects[0].Labels = nil }, Room{}, Deny, "money goes to places"},
		"elsewhere and late": {func(f *Facts) { f.Effects[0].Labels, f.Hour = []string{"exchange"}, 7 }, Room{}, Deny, "known,office"},
		"two by one who may": {func(f *Facts) { f.Effects[0].Total = Totals{100, 4000, 4000, 4000} }, Room{map[string]int{"finance": 3, "security": 2}, 5, 2}, Wait, "[{finance 1}]"},
		"nobody is left":     {func(f *Facts) { f.Effects[0].Total = Totals{100, 4000, 4000, 4000} }, Room{map[string]int{"finance": 1, "security": 2}, 3, 2}, Deny, "default"},
		"too much for all":   {func(f *Facts) { f.Effects[0].Total = Totals{100, 5001, 5001, 5001} }, Room{map[string]int{"finance": 3, "security": 2}, 5, 2}, Deny, "default"},
		"the fee drains":     {func(f *Facts) { f.Effects[1].Amount, f.Effects[1].Total = 6, Totals{106, 306, 306, 306} }, Room{}, Deny, "effect 2, fee of 6 policy units of eth"},
		"another operation":  {func(f *Facts) { f.Effects[0].Operation = Unlimited }, Room{}, Deny, "default"},
		"not of finance":     {func(f *Facts) { f.Groups = nil }, Room{map[string]int{"finance": 2, "security": 2}, 4, 2}, Wait, "[{finance 1}]"},
		"one organisation":   {func(f *Facts) { f.Groups, f.Organisations = nil, 1 }, Room{map[string]int{"finance": 2, "security": 1}, 3, 2}, Wait, "[{finance 1} {(organisations) 1}]"},
	} {
		f := facts()
		c.change(&f)
		if c.room.Approvals == nil {
			c.room = room(f)
		}
		r := p.Decide(f, c.room)
		if text := fmt.Sprint(r.Rule, r.Reason, r.Missing); r.Verdict != c.verdict || !strings.Contains(text, c.want) {
			t.Errorf("%s: %+v, want %s %q", name, r, c.verdict, c.want)
		}
	}
}

// What is missing is no more than needed, also of people in no group.
func TestMissing(t *testing.T) {
	p := read(t, fee+`@id("any") permit(principal, action in Action::"move", resource) when { context.approvers >= 4 };`)
	f := facts()
	r := p.Decide(f, Room{map[string]int{"finance": 3, "security": 3}, 6, 2})
	if r.Verdict != Wait || fmt.Sprint(r.Missing) != "[{(anybody) 2}]" {
		t.Errorf("%+v", r)
	}
}

// Each rule here is wrong, and no vault is ever ruled by it.
func TestLint(t *testing.T) {
	move := func(when string) string {
		return `@id("x") permit(principal, action == Action::"transfer", resource) when { ` + when + ` };`
	}
	for name, c := range map[string]struct{ text, want string }{
		"no syntax":             {`permit(`, "policy"},
		"no name":               {`permit(principal, action == Action::"transfer", resource);`, `it needs one: @id("name")`},
		"bad name":              {`@id("Daily Limit") permit(principal, action == Action::"transfer", resource);`, "only a–z"},
		"name twice":            {move("true") + "\n" + move("true"), "line 2: rule x: its name stands twice"},
		"permits everything":    {`@id("x") permit(principal, action, resource);`, "permits every operation"},
		"misspelt fact":         {move("context.amuont < 5"), "amuont"},
		"misspelt in a forbid":  {`@id("x") forbid(principal, action, resource) when { context.amuont > 5 };`, "amuont"},
		"misspelt total":        {move("context.total.dya < 5"), "dya"},
		"misspelt has":          {move("context has amuont"), "function has"},
		"misspelt group's fact": {move("context.approvals.finanec > 0"), "finanec"},
		"group unknown":         {`@id("x") permit(principal in Group::"finanec", action == Action::"transfer", resource);`, `Group::"finanec" is not in the charter; it has finance, security`},
		"group unknown inside":  {move(`principal in Group::"finanec"`), "finanec"},
		"person unknown":        {`@id("x") forbid(principal == Person::"mallory", action, resource);`, "mallory"},
		"person unknown, !=":    {`@id("x") forbid(principal, action, resource) when { principal != Person::"mallory" };`, "mallory"},
		"vault unknown":         {`@id("x") permit(principal, action == Action::"transfer", resource == Vault::"tresury");`, "tresury"},
		"operation unknown":     {`@id("x") permit(principal, action == Action::"trasnfer", resource);`, "trasnfer"},
		"operation in a set":    {`@id("x") permit(principal, action in [Action::"transfer", Action::"trasnfer"], resource);`, "trasnfer"},
		"label unknown":         {move(`context.labels.contains(Label::"payrol")`), "payrol"},
		"address in small":      {`@id("x") forbid(principal, action, resource) when { context.destination == "0xdeadbeefdeadbeefdeadbeefdeadbeefdeadbeef" };`, "write 0xDeaDbeefdEAdbeefdEadbEEFdeadbeEFdEaDbeeF"},
		"address, one letter":   {move(`context.destination == "0xDeaDbeefdEAdbeefdEadbEEFdeadbeEFdEaDbeef"`), "no destination is written so"},
		"label as text":         {move(`context.labels.contains("payroll")`), "String"},
		"asset unknown":         {move(`context.asset == Asset::"usdt"`), "usdt"},
		"chain unknown":         {move(`context.chain == Chain::"eip155:5"`), "eip155:5"},
		"tier unknown":          {move(`context.tier == Tier::"wram"`), "wram"},
		"purpose unknown":       {move(`context.purpose == Purpose::"tx"`), "tx"},
		"number as text":        {move(`context.amount < "5"`), "String"},
		"text as number":        {move(`context.destination + 1 == 2`), "String"},
		"never":                 {move(`context.amount`), "Bool"},
		"entity type unknown":   {`@id("x") permit(principal in Team::"finance", action == Action::"transfer", resource);`, "Team"},
		"attribute of a person": {move(`principal.age > 5`), "age"},
		"decimal":               {move(`decimal("1.5").lessThan(decimal("2.5"))`), "function"},
		"a clock":               {move(`datetime("2026-01-01") < datetime("2027-01-01")`), "function datetime"},
		"too large":             {strings.Repeat("//", MaxText), "bytes"},
		"too many":              {strings.Repeat(move("true"), MaxRules+1), "rules"},
	} {
		p, err := Read([]byte(c.text), vocabulary)
		if err == nil || p != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	_, err := Read([]byte(move("context.amuont < 5")+"\n"+`@id("y") permit(principal, action, resource);`), vocabulary)
	if err == nil || !strings.Contains(err.Error(), "line 1: rule x") || !strings.Contains(err.Error(), "line 2: rule y") {
		t.Errorf("not all that is wrong is said at once: %v", err)
	}
}

// Facts that are not as declared are denied before any rule is asked, also if a rule would allow all.
func TestUndeclaredFactsAreDenied(t *testing.T) {
	all := read(t, `@id("all") permit(principal, action in [`+allActions()+`], resource);`)
	if r := all.Decide(facts(), room(facts())); r.Verdict != Allow {
		t.Fatal(r)
	}
	for name, change := range map[string]func(*Facts){
		"vault": func(f *Facts) { f.Vault = "" }, "another vault": func(f *Facts) { f.Vault = "tresury" }, "tier": func(f *Facts) { f.Tier = "" }, "purpose": func(f *Facts) { f.Purpose = "" },
		"chain": func(f *Facts) { f.Chain = "" }, "another chain": func(f *Facts) { f.Chain = "eip155:5" }, "initiator": func(f *Facts) { f.Initiator = "" },
		"a group": func(f *Facts) { f.Groups = []string{"finanec"} }, "no approvals": func(f *Facts) { f.Approvals = nil },
		"a group's approvals": func(f *Facts) { delete(f.Approvals, "security") }, "approvals of a stranger": func(f *Facts) { delete(f.Approvals, "security"); f.Approvals["secuirty"] = 1 },
		"fewer than none": func(f *Facts) { f.Approvals["security"] = -1 }, "more than people": func(f *Facts) { f.Approvals["security"] = 3 },
		"approvers": func(f *Facts) { f.Approvers = -1 }, "organisations": func(f *Facts) { f.Organisations = 3 },
		"hour": func(f *Facts) { f.Hour = 24 }, "minute": func(f *Facts) { f.Minute = 60 }, "weekday": func(f *Facts) { f.Weekday = 0 },
		"no effect": func(f *Facts) { f.Effects = nil }, "no operation": func(f *Facts) { f.Effects[0].Operation = "" }, "operation unknown": func(f *Facts) { f.Effects[1].Operation = "upgrade" },
		"asset": func(f *Facts) { f.Effects[0].Asset = "usdt" }, "label": func(f *Facts) { f.Effects[0].Labels = []string{"payrol"} },
		"amount": func(f *Facts) { f.Effects[0].Amount = -1 }, "overflow": func(f *Facts) { f.Effects[0].Total.Month = math.MinInt64 }, "total below amount": func(f *Facts) { f.Effects[0].Total.Hour = 99 },
		"day below hour": func(f *Facts) { f.Effects[0].Total.Day = 99 }, "week below day": func(f *Facts) { f.Effects[0].Total.Week = 299 },
	} {
		f := facts()
		f.Approvals = map[string]int{"finance": 1, "security": 1}
		change(&f)
		if r := all.Decide(f, room(f)); r.Verdict != Deny || r.Rule != RuleFacts || r.Reason == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func allActions() string {
	var all []string
	for _, o := range operations {
		all = append(all, fmt.Sprintf("Action::%q", string(o)))
	}
	return strings.Join(all, ", ")
}

// What overflows denies, in permit and in forbid, before and after what would decide without it.
func TestErrorsDeny(t *testing.T) {
	const permit, forbid = `@id("ok") permit(principal, action in [Action::"transfer", Action::"fee"], resource);
`, `forbid(principal, action, resource) when { `
	for name, text := range map[string]string{
		"sum in a forbid":        permit + `@id("over") ` + forbid + `context.amount + 9223372036854775807 > 5 };`,
		"product in a forbid":    permit + `@id("over") ` + forbid + `context.total.day * 9223372036854775807 > 5 };`,
		"difference in a forbid": permit + `@id("over") ` + forbid + `-9223372036854775807 - context.amount - 2 > 5 };`,
		"in an unless":           permit + `@id("over") forbid(principal, action, resource) unless { context.amount + 9223372036854775807 > 5 };`,
		"in a permit":            permit + `@id("over") permit(principal, action == Action::"transfer", resource) when { context.amount + 9223372036854775807 > 5 };`,
		"in one of two forbids":  permit + `@id("never") ` + forbid + `context.amount > 1000000 }; @id("over") ` + forbid + `context.amount * 922337203685477580 > 5 };`,
	} {
		r := read(t, text).Decide(facts(), room(facts()))
		if r.Verdict != Deny || r.Rule != RuleErrs || !strings.Contains(r.Reason, "over: ") {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := read(t, permit).Decide(facts(), room(facts())); r.Verdict != Allow {
		t.Errorf("without them: %+v", r)
	}
}

// Every fact that the schema declares reaches the rules with its own value, and none is absent.
func TestEveryFactIsThere(t *testing.T) {
	for name, when := range map[string]string{
		"purpose": `context.purpose == Purpose::"transaction"`, "tier": `context.tier == Tier::"warm"`, "chain": `context.chain == Chain::"eip155:1"`, "asset": `context.asset == Asset::"eth"`,
		"amount": `context.amount == 100`, "total.hour": `context.total.hour == 101`, "total.day": `context.total.day == 301`, "total.week": `context.total.week == 401`, "total.month": `context.total.month == 501`,
		"destination": `context.destination == "0x00"`, "labels": `context.labels == [Label::"payroll"]`, "approvals": `context.approvals.finance == 1 && context.approvals.security == 2`,
		"approvers": `context.approvers == 3`, "organisations": `context.organisations == 2`, "hour": `context.hour == 10`, "minute": `context.minute == 7`, "weekday": `context.weekday == 3`,
		"principal": `principal == Person::"alice" && principal in Group::"finance" && !(principal in Group::"security")`, "resource": `resource == Vault::"treasury"`, "action": `action in Action::"move"`,
	} {
		f := facts()
		f.Minute, f.Approvals["security"], f.Approvers = 7, 2, 3
		f.Effects = f.Effects[:1]
		f.Effects[0].Total = Totals{101, 301, 401, 501}
		p := read(t, `@id("x") permit(principal, action == Action::"transfer", resource) when { `+when+` };`)
		if r := p.Decide(f, room(f)); r.Verdict != Allow {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for _, line := range strings.Split(factsType[strings.Index(factsType, "type Facts"):], "\n")[1:] {
		name, _, is := strings.Cut(strings.TrimSpace(line), ":")
		if _, there := facts().request(facts().Effects[0]).Context.Get(cedar.String(name)); is && !there {
			t.Errorf("fact %s is declared and absent", name)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	p, f := read(b, typical), facts()
	if r := p.Decide(f, room(f)); r.Verdict != Allow {
		b.Fatal(r)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Decide(f, room(f))
	}
}

// A charter that declares a name twice, or one that stands for nothing, has no schema.
func TestVocabularyRefused(t *testing.T) {
	for want, change := range map[string]func(*Vocabulary){
		"a group stands twice": func(v *Vocabulary) { v.Groups = []string{"finance", "finance"} }, "a chain stands twice": func(v *Vocabulary) { v.Chains = []string{"eip155:1", "eip155:1"} },
		`asset: the name "none" stands for nothing`: func(v *Vocabulary) { v.Assets = []string{None} }, "only a–z": func(v *Vocabulary) { v.People = []string{"Alice"} },
		"label is": func(v *Vocabulary) { v.Labels = []string{`x"] ; entity Evil enum ["y`} },
	} {
		v := vocabulary
		change(&v)
		if _, err := Read([]byte(fee), v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
