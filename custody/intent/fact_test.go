package intent

import (
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/statement"
)

func TestDifferentFacts(t *testing.T) {
	a, b := decided(t, vault(t)), decided(t, vault(t))
	b.Operator = "bolt"
	if d := DifferentFacts(a, b); d != "" {
		t.Errorf("equal facts differ: %s", d)
	}
	b.Facts = append([]Fact(nil), a.Facts...)
	b.Facts[1].Value = "2 wei"
	if d := DifferentFacts(a, b); !strings.Contains(d, "amount") || !strings.Contains(d, "bolt") {
		t.Errorf("other amount: %s", d)
	}
	b.Facts = a.Facts[:2]
	if d := DifferentFacts(a, b); !strings.Contains(d, "only acme decoded") {
		t.Errorf("fewer: %s", d)
	}
	if d := DifferentFacts(b, a); !strings.Contains(d, "only acme decoded") {
		t.Errorf("more: %s", d)
	}
}

// Two nodes that decoded a value which statements hold only in quotes agree, whether the
// decision was read or just made.
func TestQuotedFactsAreTheSame(t *testing.T) {
	v := vault(t)
	f := facts(v)
	f.Decoded = []Fact{{"text", `"ours"`}, {"token", "EVIL\u202e"}, {"long", strings.Repeat("x", 5000)}}
	made := NewDecision(stated(t, v), v, "acme", Ruling{Verdict: Deny, Rule: RuleShown, Reason: "x"}, f, noon)
	read := must(DecisionOf(must(made.Statement(salt))(t)))(t)
	if !slices.Equal(made.Facts, read.Facts) {
		t.Errorf("made %q, read %q", made.Facts, read.Facts)
	}
	if d := DifferentFacts(made, read); d != "" {
		t.Error(d)
	}
}

// What is decoded is denied unless the intent says exactly that; the reason names the first
// fact that differs, and both values.
func TestMisstates(t *testing.T) {
	v := vault(t)
	for name, c := range map[string]struct {
		change func([]Fact) []Fact // what the intent says
		want   []string
	}{
		"value":             {func(f []Fact) []Fact { f[1].Value = "2 wei"; return f }, []string{`amount "2 wei"`, `amount "1000000000000000000 wei"`}},
		"name":              {func(f []Fact) []Fact { f[1].Name = "value"; return f }, []string{`value "1000000000000000000 wei"`, `amount "1000000000000000000 wei"`}},
		"first of two":      {func(f []Fact) []Fact { f[1].Value, f[2].Value = "2 wei", "0x00"; return f }, []string{`amount "2 wei"`}},
		"letter case":       {func(f []Fact) []Fact { f[2].Value = strings.ToLower(f[2].Value); return f }, []string{`to "0x8617e340`, `to "0x8617E340`}},
		"look-alike letter": {func(f []Fact) []Fact { f[0].Value = "tr\u0430nsfer"; return f }, []string{`operation "transfer"`}},
		"order":             {func(f []Fact) []Fact { f[0], f[1] = f[1], f[0]; return f }, []string{`amount "1000`, `operation "transfer"`}},
		"one fewer":         {func(f []Fact) []Fact { return f[:2] }, []string{`does not say to "0x8617E340`}},
		"one more":          {func(f []Fact) []Fact { return append(f, Fact{"checked", "yes"}) }, []string{`says checked "yes"`}},
		"one twice":         {func(f []Fact) []Fact { return slices.Insert(f, 1, f[0]) }, []string{`operation "transfer"`, `amount "1000`}},
		"far end":           {func(f []Fact) []Fact { f[3].Value += "y"; return f }, []string{`xxxxy"`, `xxxxx"`, "…"}},
	} {
		long := Fact{"text", strings.Repeat("x", 2000)}
		f := facts(v)
		f.Decoded = append(f.Decoded, long)
		it := intent(v)
		it.Facts = c.change(append(decoded(), long))
		r := Decide(must(it.Statement(salt))(t), v, nil, f, noon)
		if r.Verdict != Deny || r.Rule != RuleShown || len(r.Reason) > maxReason {
			t.Errorf("%s: %+v", name, r)
		}
		for _, w := range c.want {
			if !strings.Contains(r.Reason, w) {
				t.Errorf("%s: %q does not say %q", name, r.Reason, w)
			}
		}
		if it.Facts = decoded(); it.Misstates(decoded()) != "" {
			t.Errorf("%s: the truth is denied: %s", name, it.Misstates(decoded()))
		}
	}
}

// What no statement can hold whole is not approved: nobody could read it.
func TestMisstatesWhatIsCut(t *testing.T) {
	most := strings.Repeat("x", statement.MaxFact-len("text "))
	for name, c := range map[string]struct {
		decoded []Fact
		want    string
	}{
		"whole":        {[]Fact{{"text", most}}, ""},
		"quoted":       {[]Fact{{"text", `"ours"`}}, ""},
		"long":         {[]Fact{{"text", most + "x"}}, "more than an intent can say"},
		"long, quoted": {[]Fact{{"text", `"` + most[2:]}}, "more than an intent can say"},
		"many":         {slices.Repeat([]Fact{{"text", "x"}}, statement.MaxFacts+1), "more than an intent can say"},
	} {
		it := Intent{Facts: Written(c.decoded)}
		if got := it.Misstates(c.decoded); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
