package places_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/control"
	"github.com/ostraka/ostraka/evidence/attest"
	"github.com/ostraka/ostraka/evidence/places"
	"github.com/ostraka/ostraka/node/nodetest"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// document is a charter, as far as evidence is held to it: acme runs at AWS, bolt at Google, and keeps paper.
func document() charter.Document {
	identity := func(name string) ed25519.PublicKey {
		seed := sha256.Sum256([]byte(name))
		return ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
	}
	place := func(provider, account, region, access string) charter.Place {
		return charter.Place{Name: "main", Level: charter.Replica, Provider: provider, Account: account, Region: region, Jurisdiction: "de", Hardware: "amd", Access: []string{access}}
	}
	return charter.Document{Operators: []charter.Station{
		{Name: "acme", Entity: "Acme GmbH", Identity: identity("acme"), Places: []charter.Place{place("aws", "2785-7622-0453", "us-west-2", "sam")}},
		{Name: "bolt", Entity: "Bolt SA", Identity: identity("bolt"), Places: []charter.Place{
			place("gcp", "project-1", "europe-west3", "tom"), {Name: "safe", Level: charter.Paper, Jurisdiction: "fr", Access: []string{"tom"}},
		}},
	}}
}

func about(d charter.Document, operator, place string) attest.Subject {
	o, _ := d.Station(operator)
	return attest.Subject{Node: o.Identity, Operator: operator, Place: place}
}

func pinned(t testing.TB) places.Trust {
	t.Helper()
	p, err := places.Pinned()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// trusting is what a reader believes who has a cloud's keys, and knows audra.
func trusting(t testing.TB, c *nodetest.Cloud) places.Trust {
	t.Helper()
	p := pinned(t)
	var err error
	if p.Keys, err = attest.ReadKeys(c.Keys()); err != nil {
		t.Fatal(err)
	}
	p.Sighters = nodetest.Sighter(t, "audra")
	return p
}

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "attest", "testdata", "recorded", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func one(p places.Trust, f places.File, now, at time.Time) places.Finding {
	return p.Judge([]places.File{f}, document(), now, at)[0]
}

// What a cloud signed in a node's name bears out provider, account and region as of then, for 31 days; what is wrong with it is named.
func TestDocuments(t *testing.T) {
	d, cloud := document(), nodetest.NewCloud(t)
	good := places.File{Operator: "bolt", Place: "main", Name: "evidence/bolt/main/gcp.token", Content: cloud.Token(about(d, "bolt", "main"), "project-1", "europe-west3", noon)}
	with := func(content []byte) places.File { f := good; f.Content = content; return f }
	at := func(operator, place string) places.File { f := good; f.Operator, f.Place = operator, place; return f }
	tampered := bytes.Clone(good.Content)
	if at := len(tampered) - 40; tampered[at] == 'A' { // another letter of the signature's base64url
		tampered[at] = 'B'
	} else {
		tampered[at] = 'A'
	}
	full := trusting(t, cloud)
	another := trusting(t, nodetest.NewCloud(t))
	for name, c := range map[string]struct {
		by      places.Trust
		file    places.File
		now, at time.Time
		state   places.State
		fields  string
		why     string
	}{
		"at once":                 {full, good, noon.Add(time.Minute), time.Time{}, places.Holds, "provider account region", ""},
		"kept for a month":        {full, good, noon.Add(places.Kept - time.Minute), time.Time{}, places.Holds, "provider account region", ""},
		"too old":                 {full, good, noon.Add(places.Kept), time.Time{}, places.Old, "", "signed at 2026-11-27T12:00:00Z, and counted until 2026-12-28T12:00:00Z"},
		"as of then, years later": {full, good, noon.AddDate(5, 0, 0), noon.Add(time.Minute), places.Holds, "provider account region", ""},
		"as of later":             {full, good, noon.AddDate(5, 0, 0), noon.Add(2 * time.Hour), places.Old, "", "counted until 2026-11-27T13:00:00Z"},
		"as of before":            {full, good, noon.AddDate(5, 0, 0), noon.Add(-time.Hour), places.Old, "", "signed at 2026-11-27T12:00:00Z, after 2026-11-27T11:00:00Z"},
		"from the future":         {full, good, noon.Add(-time.Hour), time.Time{}, places.Fails, "", "from the future"},
		"tampered with":           {full, with(tampered), noon, time.Time{}, places.Fails, "", "signature"},
		"old and tampered with":   {full, with(tampered), noon.AddDate(1, 0, 0), time.Time{}, places.Fails, "", "signature"},
		"another's signature":     {another, good, noon, time.Time{}, places.Fails, "", "signature"},
		"no keys":                 {pinned(t), good, noon, time.Time{}, places.Unjudged, "", "keys of its day are needed"},
		"another operator's":      {full, at("acme", "main"), noon, time.Time{}, places.Fails, "", "names another node or place"},
		"another place's":         {full, at("bolt", "safe"), noon, time.Time{}, places.Fails, "", "names another node or place"},
		"of no operator":          {full, at("zeta", "main"), noon, time.Time{}, places.Unjudged, "", "no such place"},
		"of no place":             {full, at("bolt", "moon"), noon, time.Time{}, places.Unjudged, "", "no such place"},
		"drift":                   {full, with(cloud.Token(about(d, "bolt", "main"), "project-1", "us-east1", noon)), noon, time.Time{}, places.Fails, "", "region (seen: us-east1; the charter says: europe-west3), as of 2026-11-27T12:00:00Z"},
		"of no node":              {full, with(cloud.Token(attest.Subject{}, "project-1", "europe-west3", noon)), noon, time.Time{}, places.Fails, "", "aud"},
		"AWS names no node":       {full, places.File{Operator: "acme", Place: "main", Content: recorded(t, "aws-us-west-2.rsa2048")}, noon, time.Time{}, places.Holds, "", ""},
		"AWS, and drift":          {full, places.File{Operator: "bolt", Place: "main", Content: recorded(t, "aws-us-west-2.rsa2048")}, noon, time.Time{}, places.Fails, "", "provider (seen: aws; the charter says: gcp)"},
		"Azure without an issuer": {full, with(recorded(t, "azure-usgovvirginia.json")), noon, time.Time{}, places.Unjudged, "", "Microsoft Azure TLS Issuing CA 05"},
		"large":                   {full, with(make([]byte, places.MaxFile+1)), noon, time.Time{}, places.Fails, "", "at most 131072 are read"},
		"empty":                   {full, with(nil), noon, time.Time{}, places.Fails, "", "AWS document"},
		"unreadable":              {full, places.File{Operator: "bolt", Place: "main", Err: errors.New("the disk broke")}, noon, time.Time{}, places.Fails, "", "the disk broke"},
		"not there":               {full, places.File{Operator: "bolt", Place: "main", Err: places.ErrAbsent}, noon, time.Time{}, places.Unjudged, "", "listed, and not there"},
	} {
		x := one(c.by, c.file, c.now, c.at)
		if x.State != c.state || strings.Join(x.Fields, " ") != c.fields || !strings.Contains(x.Why, c.why) || (c.why == "") != (x.Why == "") {
			t.Errorf("%s: %+v", name, x)
		}
		if x.State == places.Unjudged && x.Needs == "" {
			t.Errorf("%s: it is not said what would help: %+v", name, x)
		}
		if len(x.Fields) > 0 && (!x.AsOf.Equal(noon) || x.By != "Google Cloud" || !x.Until.After(noon) || x.Where() != "bolt/main" || x.File != good.Name) {
			t.Errorf("%s: %+v", name, x)
		}
	}
}

// With the issuer's certificate, which the reader fetched, Azure's document is judged; it names no node, and says otherwise than the charter.
func TestRoots(t *testing.T) {
	p := pinned(t)
	regions, authorities, err := places.ReadRoots(recorded(t, "azure-issuing-ca-05.pem"))
	if err != nil || len(regions) > 0 {
		t.Fatalf("%v, %v", regions, err)
	}
	p.Authorities = p.Authorities.With(authorities)
	f := places.File{Operator: "bolt", Place: "main", Content: recorded(t, "azure-usgovvirginia.json")}
	if x := one(p, f, noon, time.Date(2023, 3, 8, 20, 0, 0, 0, time.UTC)); x.State != places.Fails || !strings.Contains(x.Why, "provider (seen: azure; the charter says: gcp)") {
		t.Errorf("%+v", x)
	}
	if x := one(p, f, noon, time.Time{}); x.State != places.Old {
		t.Errorf("three years later: %+v", x)
	}
	if regions, _, err := places.ReadRoots(recorded(t, "aws-2014.roots")); err != nil || len(regions) == 0 {
		t.Errorf("%v, %v", regions, err)
	}
	if _, _, err := places.ReadRoots([]byte("x\n")); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("%v", err)
	}
}

func sighted(d charter.Document) charter.Sighting {
	o, _ := d.Station("bolt")
	p := o.Places[0]
	return charter.Sighting{
		Witness: "audra", Entity: "Auditors LLP", Operator: "bolt", Identity: o.Identity, Place: charter.Place{Name: "main", Jurisdiction: p.Jurisdiction, Hardware: p.Hardware, Access: p.Access},
		Saw: "the rack", Created: noon, Expires: noon.AddDate(0, 6, 0),
	}
}

// What somebody independent saw counts for whoever trusts them, until it says; a stranger's is not judged, and a forged one does not hold.
func TestSightings(t *testing.T) {
	d := document()
	full := trusting(t, nodetest.NewCloud(t))
	good := sighted(d)
	changed := func(change func(*charter.Sighting)) charter.Sighting { x := good; change(&x); return x }
	for name, c := range map[string]struct {
		saw    charter.Sighting
		by     string
		days   int
		place  string
		state  places.State
		fields string
		why    string
	}{
		"good": {good, "audra", 1, "main", places.Holds, "jurisdiction hardware access", ""},
		"of all": {changed(func(x *charter.Sighting) {
			x.Place.Provider, x.Place.Account, x.Place.Region = "GCP", "project-1", "europe-west3"
		}), "audra", 1, "main", places.Holds, "provider account region jurisdiction hardware access", ""},
		"expired":            {good, "audra", 200, "main", places.Old, "", "have it looked at again"},
		"expired and forged": {good, "mallory", 200, "main", places.Fails, "", "not listed"},
		"before it was made": {good, "audra", -1, "main", places.Fails, "", "compare the clocks"},
		"a stranger's":       {changed(func(x *charter.Sighting) { x.Witness = "mallory" }), "mallory", 1, "main", places.Unjudged, "", "mallory (Auditors LLP), who signed it, is not listed"},
		"a forged name":      {good, "mallory", 1, "main", places.Fails, "", "not listed"},
		"the operator's own": {changed(func(x *charter.Sighting) { x.Entity = "bolt sa" }), "audra", 1, "main", places.Fails, "", charter.ErrOwnWord.Error()},
		"of another place":   {good, "audra", 1, "safe", places.Fails, "", "it is of bolt/main"},
		"drift":              {changed(func(x *charter.Sighting) { x.Place.Access = []string{"eve", "tom"} }), "audra", 1, "main", places.Fails, "", "access (seen: eve, tom; the charter says: tom)"},
	} {
		f := places.File{Operator: "bolt", Place: c.place, Name: "x", Content: nodetest.Sighting(t, c.saw, c.by)}
		x := one(full, f, noon.AddDate(0, 0, c.days), time.Time{})
		if x.State != c.state || strings.Join(x.Fields, " ") != c.fields || !strings.Contains(x.Why, c.why) || (c.why == "") != (x.Why == "") {
			t.Errorf("%s: %+v", name, x)
		}
		if x.State == places.Holds && (x.By != "audra of Auditors LLP" || !x.AsOf.Equal(noon) || !x.Until.Equal(good.Expires)) {
			t.Errorf("%s: %+v", name, x)
		}
	}
	broken := places.File{Operator: "bolt", Place: "main", Content: []byte("ostraka/1 sighting\nwitness: x\n")}
	if x := one(full, broken, noon, time.Time{}); x.State != places.Fails || !strings.Contains(x.Why, "no signature") {
		t.Errorf("%+v", x)
	}
}

// What holds is marked in a structure, and nothing else.
func TestMark(t *testing.T) {
	d, cloud := document(), nodetest.NewCloud(t)
	file := func(region string) places.File {
		return places.File{Operator: "bolt", Place: "main", Content: cloud.Token(about(d, "bolt", "main"), "project-1", region, noon)}
	}
	s := control.Structure{Shares: []control.Share{{Operator: "bolt", Copies: []control.Copy{{Name: "bolt/main"}, {Name: "bolt/safe"}}}}}
	for k := range control.Kinds {
		s.Shares[0].Copies[0].Reach[k], s.Shares[0].Copies[1].Reach[k] = []string{"x"}, []string{"y"}
	}
	p := trusting(t, cloud)
	places.Mark(&s, p.Judge([]places.File{file("elsewhere-1")}, d, noon, time.Time{}))
	if held, _ := s.Held(control.Provider, control.Attested); held != 0 {
		t.Errorf("what says otherwise than the charter raises %d claims", held)
	}
	places.Mark(&s, p.Judge([]places.File{file("europe-west3")}, d, noon, time.Time{}))
	for k, want := range map[control.Kind]int{control.Provider: 1, control.Account: 1, control.Region: 1, control.Person: 0, control.Jurisdiction: 0, control.Organisation: 0} {
		if held, all := s.Held(k, control.Attested); held != want || all != 2 {
			t.Errorf("%v: %d of %d are attested, not %d", k, held, all, want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, good := range []string{"gcp.token", "a", "A-1_b.json", strings.Repeat("x", 64)} {
		if err := places.CheckName(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", ".", "..", ".hidden", "a/b", `a\b`, "a b", "é", "a\x00", strings.Repeat("x", 65)} {
		if places.CheckName(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	d := document()
	if said := places.Said(d.Operators[1].Places[1]); !slices.Equal(said, []string{"jurisdiction", "access"}) {
		t.Errorf("of paper is said %q", said)
	}
	left := places.Left([]places.File{{Operator: "bolt", Place: "main", Name: "x"}}, "nobody can here")
	if len(left) != 1 || left[0].State != places.Unjudged || left[0].Why != "nobody can here" || left[0].Needs != "" {
		t.Errorf("%+v", left)
	}
}
