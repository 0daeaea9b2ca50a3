package node_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/attest"
	"github.com/ostraka/ostraka/evidence/places"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/nodetest"
)

// What clouds and a sighter bear out of places is attested, as of when they signed; the rest stays the operators' word, and beside the control
// numbers stands what is left of them.
func TestVerifyJudgesPlaces(t *testing.T) {
	t.Parallel()
	w, all := shownBy(t, func(d *charter.Document) {
		d.Operators[0].Places[0].Provider = "gcp"
	})
	cloud, d := nodetest.NewCloud(t), w.Document()
	trusted, err := places.Pinned()
	if err == nil {
		trusted.Keys, err = attest.ReadKeys(cloud.Keys())
	}
	if err != nil {
		t.Fatal(err)
	}
	trusted.Sighters = nodetest.Sighter(t, "audra")
	signed := w.Now.Add(-24 * time.Hour).Truncate(time.Second)
	token := func(operator int, region string) places.File {
		o, _ := d.Station(fmt.Sprint("operator-", operator))
		about := attest.Subject{Node: o.Identity, Operator: o.Name, Place: "main"}
		return places.File{Operator: o.Name, Place: "main", Name: "evidence/" + o.Name + "/main/gcp.token", Content: cloud.Token(about, o.Places[0].Account, region, signed)}
	}
	saw := func(operator int) places.File {
		o, _ := d.Station(fmt.Sprint("operator-", operator))
		place := o.Places[0]
		place.Level, place.Organisation = "", ""
		x := charter.Sighting{Witness: "audra", Entity: "Auditors LLP", Operator: o.Name, Identity: o.Identity, Place: place, Saw: "the rack", Created: signed, Expires: signed.AddDate(0, 6, 0)}
		return places.File{Operator: o.Name, Place: "main", Name: "evidence/" + o.Name + "/main/audra", Content: nodetest.Sighting(t, x, "audra")}
	}
	judged := func(by places.Trust, files ...places.File) *verify.Report {
		t.Helper()
		o := verify.Options{Now: w.Now}
		if len(files) > 0 {
			o.Evidence = func(d charter.Document) []places.Finding { return by.Judge(files, d, w.Now, time.Time{}) }
		}
		r, err := verify.Verify(sources(t, all), o)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	placed := func(r *verify.Report, operator int) (verify.Place, verify.Claim) {
		t.Helper()
		subject := "place " + r.Operators[operator].Name + "/main"
		i := slices.IndexFunc(r.Claims, func(c verify.Claim) bool { return c.Subject == subject && c.Failed == "" })
		if i < 0 || slices.ContainsFunc(r.Claims[i+1:], func(c verify.Claim) bool { return c.Subject == subject && c.Failed == "" }) {
			t.Fatalf("%s has not one claim: %+v", subject, r.Claims)
		}
		return r.Operators[operator].Places[0], r.Claims[i]
	}
	steal := func(r *verify.Report, kind string) *int {
		i := slices.IndexFunc(r.Vaults[0].Control, func(f verify.Figure) bool { return f.Kind == kind })
		return r.Vaults[0].Control[i].Attested
	}

	r := judged(trusted)
	if p, c := placed(r, 0); r.Failed || p.Class != verify.Declared || len(p.Attested) != 0 || c.Class != verify.Declared || !strings.Contains(c.Claim, "a copy in use of operator-0's share lies here: provider gcp, account account-0, region region-0, country AA") || steal(r, "account") != nil {
		t.Errorf("without evidence: %+v, %+v", p, c)
	}

	r = judged(trusted, token(0, "region-0"), saw(1), saw(2))
	p, c := placed(r, 0)
	if r.Failed || p.Class != verify.Declared || len(p.Attested) != 3 || !p.Attested[0].AsOf.Equal(signed) || c.Class != verify.Attested ||
		!strings.Contains(c.Claim, "provider gcp, account account-0, region region-0 (Google Cloud, as of "+signed.UTC().Format(time.RFC3339)+")") || !strings.Contains(c.Basis, "by the operator's own word alone: country AA, hardware amd, within reach of admin-0") {
		t.Errorf("a token: %+v, %+v", p, c)
	}
	if p, c := placed(r, 1); p.Class != verify.Attested || len(p.Attested) != 6 || c.Class != verify.Attested || strings.Contains(c.Basis, "word alone") || !strings.Contains(c.Claim, "(audra of Auditors LLP, as of ") {
		t.Errorf("a sighting of all: %+v, %+v", p, c)
	}
	for kind, want := range map[string]int{"account": 3, "provider": 3, "region": 3, "person": 2, "jurisdiction": 2} {
		if got := steal(r, kind); got == nil || *got != want {
			t.Errorf("%s: as attested %+v, not %d", kind, r.Vaults[0].Control, want)
		}
	}
	if steal(r, "organisation") != nil || !slices.ContainsFunc(r.Claims, func(c verify.Claim) bool {
		return c.Class == verify.Attested && c.Subject == "vault treasury" && c.Claim == verify.AsAttested+"2 persons, 3 accounts, 3 providers, 3 regions, 2 countries, 1 hardware vendor"
	}) {
		t.Errorf("no claim of what is attested: %+v", r.Claims)
	}

	r = judged(trusted, token(0, "region-7"))
	if got := failures(r); len(got) != 1 || !strings.Contains(got[0], "place operator-0/main: evidence evidence/operator-0/main/gcp.token holds, and says what the charter says: FAILED: it says otherwise than the charter of operator-0/main: region (seen: region-7; the charter says: region-0)") {
		t.Errorf("drift: %q", got)
	}
	if p, c := placed(r, 0); p.Class != verify.Declared || len(p.Attested) != 0 || c.Class != verify.Declared {
		t.Errorf("drift: %+v, %+v", p, c)
	}

	pinned, err := places.Pinned()
	if err != nil {
		t.Fatal(err)
	}
	before := len(judged(pinned).Attention)
	r = judged(pinned, token(0, "region-7"), saw(1))
	if r.Failed || len(r.Unjudged) != 2 || len(r.Attention) != before+2 || steal(r, "account") != nil || !strings.Contains(strings.Join(r.Attention, "\n"), "gcp.token of operator-0/main is not judged: Google's token: key \"selfmade-key\" is none of those given: Google's keys of its day are needed; give --evidence DIR with") {
		t.Errorf("without keys: %q, %q", failures(r), r.Attention)
	}
	if _, c := placed(r, 1); c.Class != verify.Declared || !strings.Contains(c.Basis, "audra (Auditors LLP), who signed it, is not listed") {
		t.Errorf("without keys: %+v", c)
	}
	o := verify.Options{Now: w.Now.Add(100 * 24 * time.Hour)}
	o.Evidence = func(d charter.Document) []places.Finding {
		return trusted.Judge([]places.File{token(0, "region-7")}, d, o.Now, time.Time{})
	}
	if r, err = verify.Verify(sources(t, all), o); err != nil || r.Failed || !strings.Contains(strings.Join(r.Attention, "\n"), "does not count: it was signed at ") {
		t.Errorf("a hundred days later: %v, %q, %q", err, failures(r), r.Attention)
	}
}
