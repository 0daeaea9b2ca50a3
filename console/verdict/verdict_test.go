package verdict

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/verify"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// good is a report without a fault.
func good() *verify.Report {
	return &verify.Report{
		Time: noon, Circle: "example", Entries: 1234,
		Operators: []verify.Operator{{Name: "acme", LastSeen: noon.Add(-5 * time.Minute)}, {Name: "bolt", LastSeen: noon.Add(-50 * time.Minute)}},
		Vaults:    []verify.Vault{{Name: "treasury", Threshold: 2, Committee: []string{"acme", "bolt"}, Keys: []verify.Key{{Suite: "ecdsa-secp256k1"}}}},
		Logs:      []verify.LogReport{{Operator: "acme", Source: "/srv/x/logs/acme"}, {Operator: "bolt", Source: "/srv/x/logs/bolt"}},
		Claims:    []verify.Claim{{Subject: "circle", Claim: "the logs of acme, bolt tell the same", Class: verify.Proved}, {Subject: "vault treasury", Claim: verify.NoPlan, Class: verify.Declared}},
	}
}

func fail(r *verify.Report, subject, claim, failed string) {
	r.Failed = true
	r.Claims = append([]verify.Claim{{Subject: subject, Claim: claim, Class: verify.Proved, Failed: failed}}, r.Claims...)
}

func TestVerdicts(t *testing.T) {
	v := Of(good())
	want := []string{
		"Every signature of vault treasury takes 2 of its 2 operators together.", "All 2 operators live: each was seen within 50 minutes of this check.",
		"1\u202f234 entries in 2 logs were read whole; the logs agree, and vouch for one another.",
	}
	if v.Level != Well || v.Title != "All is well" || !slices.Equal(v.Reasons, want) || v.More != 0 || len(v.Missing) != 1 {
		t.Errorf("%+v", v)
	}
	r := good()
	r.Attention = []string{"bolt is silent since 2026-11-26T09:05:06Z", "a", "b", "c"}
	if v := Of(r); v.Level != Attention || v.Title != "Needs attention" || v.Reasons[0] != "bolt is silent since 26 Nov 2026, 09:05 UTC." || len(v.Reasons) != 3 || v.More != 1 || r.Attention[0] != "bolt is silent since 2026-11-26T09:05:06Z" {
		t.Errorf("%+v of %q", v, r.Attention)
	}
	fail(r, "operator acme", "its log is shown", "no log of it is among what was read")
	if v := Of(r); v.Level != Wrong || v.Title != "Something is wrong" || v.Reasons[0] != "Operator acme: “its log is shown” does not hold: no log of it is among what was read." || len(v.Reasons) != 1 || v.More != 0 {
		t.Errorf("%+v", v)
	}
	r = good()
	r.Vaults = nil
	if v := Of(r); v.Level != Attention || !strings.Contains(v.Reasons[0], "no vault") {
		t.Errorf("%+v", v)
	}
	// Nobody lives: that they do is no reason then, whatever the verifier says.
	r = good()
	r.Operators[1].Silent = true
	if v := Of(r); slices.ContainsFunc(v.Reasons, func(s string) bool { return strings.Contains(s, "live") }) {
		t.Errorf("%+v", v)
	}
	if v := Of(&verify.Report{Failed: true}); v.Level != Wrong {
		t.Errorf("a failure without a claim: %+v", v)
	}
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "moments", 0: "moments", 59 * time.Second: "moments", time.Minute: "1 minute", 59 * time.Minute: "59 minutes", time.Hour: "1 hour", 47 * time.Hour: "47 hours", 48 * time.Hour: "2 days", 400 * 24 * time.Hour: "400 days",
	} {
		if got := Ago(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1\u202f000", 1234567: "1\u202f234\u202f567"} {
		if got := Number(n); got != want {
			t.Errorf("%d is %q", n, got)
		}
	}
}

var paths = []string{"logs/acme", "logs/bolt"}

// Two reports that differ in place and time alone say the same.
func TestWhatIsNoDifference(t *testing.T) {
	a, b := good(), good()
	b.Time, b.Attention, b.Signatures = noon.Add(24*time.Hour), []string{"acme is silent"}, 7
	b.Operators[0].Silent, b.Operators[1].Release = true, "v0.5.0"
	b.Logs[0].Source, b.Logs[1].Source = "https://example.org/logs/acme", "https://example.org/logs/bolt"
	b.Alarms = []verify.Alarm{}
	fail(a, "log at /srv/x/logs/acme", "it can be read whole", "/srv/x/logs/acme/keys: there is no such file")
	fail(b, "log at https://example.org/logs/acme", "it can be read whole", "logs/acme/keys: there is no such file")
	if d := Differences(a, b, paths); len(d) > 0 {
		t.Errorf("%+v", d)
	}
}

// The publisher holds keys for evidence of places that the visitor does not: what it makes of them is no difference, and is marked as its word. What
// fails is one, whoever finds it; and so is another place.
func TestEvidenceIsThePublishersWord(t *testing.T) {
	three := 3
	with := func(r *verify.Report) *verify.Report {
		r.Operators[0].Places = []verify.Place{{Name: "main", Provider: "gcp", Class: verify.Declared}}
		r.Vaults[0].Control = []verify.Figure{{Kind: "provider", Steal: 3}}
		r.Claims = append(r.Claims, verify.Claim{Subject: "place acme/main", Claim: "it lies there", Class: verify.Declared})
		return r
	}
	theirs, mine := with(good()), with(good())
	mine.Unjudged = []string{"x"}
	if got := Evidence(theirs, mine); got != "" {
		t.Errorf("of the same is said %q", got)
	}
	theirs.Operators[0].Places[0].Class, theirs.Operators[0].Places[0].Attested = verify.Attested, []verify.Borne{{Field: "provider", By: "Google Cloud", AsOf: noon}}
	theirs.Vaults[0].Control[0].Attested = &three
	theirs.Claims[len(theirs.Claims)-1].Class = verify.Attested
	theirs.Claims = append(theirs.Claims, verify.Claim{Subject: "vault treasury", Claim: verify.AsAttested + "3 providers", Class: verify.Attested})
	if d := Differences(theirs, mine, paths); len(d) > 0 {
		t.Errorf("%+v", d)
	}
	if got := Evidence(theirs, mine); !strings.Contains(got, "the publisher's word") {
		t.Errorf("what the visitor cannot judge is %q", got)
	}
	if theirs.Operators[0].Places[0].Class != verify.Attested || theirs.Vaults[0].Control[0].Attested == nil || len(theirs.Claims) != 4 {
		t.Errorf("the report itself is changed: %+v", theirs)
	}
	theirs.Operators[0].Places[0].Provider = "aws"
	if d := Differences(theirs, mine, paths); len(d) != 1 {
		t.Errorf("another place: %+v", d)
	}
	theirs.Operators[0].Places[0].Provider = "gcp"
	fail(theirs, "place acme/main", "evidence x holds", "it says otherwise")
	if d := Differences(theirs, mine, paths); len(d) != 1 || !strings.HasPrefix(d[0].Title, "The publisher says") {
		t.Errorf("what fails at the publisher: %+v", d)
	}
}

// Whatever else differs is said, each under its own heading.
func TestDifferences(t *testing.T) {
	const found, says, claims, leaves, parts = "Your browser found", "The publisher says", "The publisher claims", "Your browser finds true", "Both reports differ in"
	for name, c := range map[string]struct {
		change func(theirs, mine *verify.Report)
		title  string
		item   string
	}{
		"a failure hidden":      {func(_, m *verify.Report) { fail(m, "operator acme", "its log is shown", "it is not") }, found, "Operator acme"},
		"a failure made up":     {func(t, _ *verify.Report) { fail(t, "operator acme", "its log is shown", "it is not") }, says, "Operator acme"},
		"a claim made up":       {func(t, _ *verify.Report) { t.Claims = append(t.Claims, verify.Claim{Subject: "x", Claim: "y"}) }, claims, "x: y."},
		"a claim left out":      {func(t, _ *verify.Report) { t.Claims = t.Claims[:1] }, leaves, "Vault treasury"},
		"a class raised":        {func(t, _ *verify.Report) { t.Claims[1].Class = verify.Attested }, claims, "Vault treasury"},
		"a basis of its own":    {func(t, _ *verify.Report) { t.Claims[0].Basis = "trust me" }, claims, "Circle"},
		"another circle":        {func(t, _ *verify.Report) { t.CircleID[0] = 1 }, parts, "circle"},
		"a drill":               {func(t, _ *verify.Report) { t.Drill = true }, parts, "drill"},
		"an operator moved":     {func(t, _ *verify.Report) { t.Operators[0].Entity = "Another Ltd" }, parts, "operators"},
		"seen later":            {func(t, _ *verify.Report) { t.Operators[0].LastSeen = noon }, parts, "operators"},
		"another policy":        {func(t, _ *verify.Report) { t.Charter.Policy = "permit all" }, parts, "charter"},
		"fewer to steal":        {func(t, _ *verify.Report) { t.Vaults[0].Threshold = 9 }, parts, "vaults"},
		"another root":          {func(t, _ *verify.Report) { t.Logs[0].RootText = "00" }, parts, "logs"},
		"an alarm left out":     {func(_, m *verify.Report) { m.Alarms = []verify.Alarm{{What: "forked"}} }, parts, "alarms"},
		"fewer entries":         {func(t, _ *verify.Report) { t.Entries-- }, parts, "how much"},
		"another place of logs": {func(t, _ *verify.Report) { t.Logs[0].Source = "https://example.org/other/acme" }, parts, "logs"},
	} {
		theirs, mine := good(), good()
		c.change(theirs, mine)
		d := Differences(theirs, mine, paths)
		i := slices.IndexFunc(d, func(d Difference) bool { return strings.HasPrefix(d.Title, c.title) })
		if i < 0 || !slices.ContainsFunc(d[i].Items, func(s string) bool { return strings.Contains(s, c.item) }) {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if got := Sources(verify.Bundle{Logs: []verify.BundleLog{{Path: "a"}, {Path: "logs/a"}}}); !slices.Equal(got, []string{"logs/a", "a"}) {
		t.Errorf("%q", got)
	}
}
