package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/attest"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/nodetest"
)

// Places are attested by what the reader's own shelf holds, and by what a bundle carries, of which only the reader's keys and names judge.
func TestVerifyPlaces(t *testing.T) {
	c := publishes(t, func(d *charter.Document) { d.Operators[0].Places[0].Provider = "gcp" })
	cloud, d, now := nodetest.NewCloud(t), c.Document(), time.Now().UTC().Truncate(time.Second)
	o := d.Operators[0]
	token := func(region string, at time.Time) string {
		return string(cloud.Token(attest.Subject{Node: o.Identity, Operator: o.Name, Place: "main"}, "account-0", region, at))
	}
	saw := charter.Sighting{Witness: "audra", Entity: "Auditors LLP", Operator: "operator-1", Place: charter.Place{Name: "main", Hardware: "amd"}, Saw: "the rack", Created: now, Expires: now.AddDate(0, 1, 0)}
	other, _ := d.Station("operator-1")
	saw.Identity = other.Identity
	sighting := string(nodetest.Sighting(t, saw, "audra"))
	lists := shelved(t, map[string]string{"sighters": "audra " + nodetest.NewPerson(t, "audra").Key.String() + "\n"})
	sighters := filepath.Join(lists, "sighters")
	dirs := c.folders(false)
	place := func(r *verify.Report, operator string) verify.Place {
		i := slices.IndexFunc(r.Operators, func(o verify.Operator) bool { return o.Name == operator })
		return r.Operators[i].Places[0]
	}
	with := func(more ...string) []string { return append(slices.Clone(dirs), more...) }

	shelf := shelved(t, map[string]string{
		"operator-0/main/gcp.token": token("region-0", now.Add(-48*time.Hour)), "operator-1/main/audra": sighting, "keys": string(cloud.Keys()),
		"operator-1/main/aws.rsa2048": content(t, document("recorded/aws-us-west-2.rsa2048")),
	})
	code, r, errs := verified(t, with("--evidence", shelf, "--sighters", sighters)...)
	if code != codeUnverified || len(failedClaims(r)) != 1 || !strings.Contains(failedClaims(r)[0], "aws.rsa2048 holds, and says what the charter says: it says otherwise than the charter of operator-1/main: provider (seen: aws") {
		t.Fatalf("an AWS document says otherwise: exit code %d, %q%s", code, failedClaims(r), errs)
	}
	if p := place(r, "operator-0"); len(p.Attested) != 3 || !p.Attested[0].AsOf.Equal(now.Add(-48*time.Hour)) {
		t.Errorf("a token of two days ago: %+v", p)
	}
	if p := place(r, "operator-1"); len(p.Attested) != 1 || p.Attested[0].Field != "hardware" || p.Attested[0].By != "audra of Auditors LLP" {
		t.Errorf("a sighting: %+v", p)
	}
	code, r, _ = verified(t, with("--evidence", shelf, "--sighters", sighters, "--evidence-at", now.Add(-47*time.Hour-30*time.Minute).Format(time.RFC3339))...)
	if p := place(r, "operator-0"); len(p.Attested) != 3 {
		t.Errorf("as of then: exit code %d, %+v", code, p)
	}
	code, r, _ = verified(t, with("--evidence", shelf, "--sighters", sighters, "--evidence-at", now.Format(time.RFC3339))...)
	if p := place(r, "operator-0"); len(p.Attested) != 0 || !strings.Contains(strings.Join(r.Attention, "\n"), "does not count: it was signed at ") {
		t.Errorf("as of two days later: exit code %d, %+v, %q", code, p, r.Attention)
	}

	// Published: neither keys nor AWS's document, and nobody's names.
	out := filepath.Join(t.TempDir(), "public")
	publish := func(more ...string) (int, string, string) {
		return try(append(append([]string{"disclose", "publish", "-o", out, "--json"}, dirs...), more...)...)
	}
	code, text, errs := publish("--evidence", shelf, "--sighters", sighters)
	want(t, "published", code, codeDone, text+errs, `"evidence/operator-0/main/gcp.token"`, `"evidence/operator-1/main/audra"`, "aws.rsa2048 is not published")
	var report verify.Report
	if err := json.Unmarshal([]byte(content(t, filepath.Join(out, verify.PathReport))), &report); err != nil || len(place(&report, "operator-0").Attested) != 3 || strings.Contains(content(t, filepath.Join(out, verify.PathReport)), shelf) {
		t.Errorf("the publisher's report: %v, %+v", err, report.Operators)
	}
	for _, gone := range []string{"evidence/keys", "evidence/operator-1/main/aws.rsa2048"} {
		if _, err := os.Stat(filepath.Join(out, gone)); !os.IsNotExist(err) {
			t.Errorf("%s is published", gone)
		}
	}
	code, r, errs = verified(t, out)
	if code != codeDone || len(r.Unjudged) != 2 || len(place(r, "operator-0").Attested) != 0 || !strings.Contains(strings.Join(r.Attention, "\n"), "Google's keys of its day are needed; give --evidence DIR with") {
		t.Errorf("a reader without keys: exit code %d, %q, %q%s", code, r.Unjudged, r.Attention, errs)
	}
	keys := shelved(t, map[string]string{"keys": string(cloud.Keys())})
	code, r, errs = verified(t, out, "--evidence", keys, "--sighters", sighters)
	if code != codeDone || len(r.Unjudged) != 0 || len(place(r, "operator-0").Attested) != 3 || len(place(r, "operator-1").Attested) != 1 {
		t.Errorf("a reader with keys: exit code %d, %q%s", code, failedClaims(r), errs)
	}
	code, r, _ = verified(t, out, "--evidence", shelved(t, map[string]string{"keys": string(nodetest.NewCloud(t).Keys())}))
	if code != codeUnverified || !strings.Contains(failedClaims(r)[0], "place operator-0/main: ") {
		t.Errorf("a document that does not hold: exit code %d, %q", code, failedClaims(r))
	}
	if err := os.Remove(filepath.Join(out, "evidence/operator-1/main/audra")); err != nil {
		t.Fatal(err)
	}
	if code, r, _ = verified(t, out, "--evidence", keys, "--sighters", sighters); code != codeDone || len(r.Unjudged) != 1 || !strings.Contains(r.Unjudged[0], "listed, and not there") {
		t.Errorf("withheld: exit code %d, %q", code, r.Unjudged)
	}
	drifted := shelved(t, map[string]string{"operator-0/main/new.token": token("region-7", now), "keys": string(cloud.Keys())})
	code, text, errs = publish("--evidence", drifted)
	want(t, "published with drift", code, codeUnverified, text+errs, `"failed": true`)
	if _, err := os.Stat(filepath.Join(out, "evidence/operator-0/main/gcp.token")); !os.IsNotExist(err) {
		t.Errorf("what is listed no more is still there: %v", err)
	}
	code, text, errs = try("verify", out, "--evidence", keys)
	want(t, "for people", code, codeUnverified, text+errs, "FAILED", "region (seen: region-7; the charter says: region-0), as of ", "Place operator-1/main")
}

func TestVerifyPlacesRefuses(t *testing.T) {
	dir := t.TempDir()
	large := shelved(t, map[string]string{"acme/main/x": string(bytes.Repeat([]byte("x"), 128<<10+1))})
	for name, c := range map[string]struct {
		code int
		want string
		args []string
	}{
		"no time":          {codeUsage, `--evidence-at "noon" is no time`, []string{"--evidence-at", "noon"}},
		"no folder":        {codeError, "no such file", []string{"--evidence", filepath.Join(dir, "none")}},
		"elsewhere":        {codeUsage, "DIR/OPERATOR/PLACE/FILE", []string{"--evidence", shelved(t, map[string]string{"acme/x": "y"})}},
		"no sighters":      {codeUsage, "line 1", []string{"--sighters", filepath.Join(shelved(t, map[string]string{"s": "x\n"}), "s")}},
		"keys that are no": {codeError, "keys", []string{"--evidence", shelved(t, map[string]string{"keys": "x"})}},
		"large":            {codeError, "neither a disclosure", []string{"--evidence", large}}, // it is read, and judged where there is a charter
	} {
		code, out, errs := try(append([]string{"verify", dir}, c.args...)...)
		want(t, name, code, c.code, out+errs, c.want)
	}
	code, out, errs := try(append([]string{"disclose", "publish", dir, "-o", filepath.Join(dir, "out")}, "--evidence", large)...)
	want(t, "large, to be published", code, codeError, out+errs, "acme/main/x", "at most 131072 bytes")
	spaced := shelved(t, map[string]string{"acme/main/a b": "ostraka/1 sighting\n"})
	code, out, errs = try(append([]string{"disclose", "publish", dir, "-o", filepath.Join(dir, "out")}, "--evidence", spaced)...)
	want(t, "a name that is no path", code, codeUsage, out+errs, "is no name of a file")
}
