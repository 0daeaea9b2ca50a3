package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/evidence/places"
)

const sample = `{"format":1,"circle":"example","made":"2026-11-27T12:00:00Z","logs":[{"operator":"acme","path":"logs/acme"},{"operator":"bolt","path":"logs/bolt"}]}`

func TestBundle(t *testing.T) {
	sources, b, err := Open("https://example.com/", func(p string) ([]byte, error) {
		if p == PathBundle {
			return []byte(sample), nil
		}
		return []byte(p), nil
	})
	if err != nil || b.Circle != "example" || len(sources) != 2 || sources[1].Name != "https://example.com/logs/bolt" {
		t.Fatalf("%+v, %v, %v", b, sources, err)
	}
	if got, _ := sources[0].Fetch("checkpoint"); string(got) != "logs/acme/checkpoint" {
		t.Errorf("fetched %s", got)
	}
	if _, _, err := Open("x", func(p string) ([]byte, error) { return nil, fmt.Errorf("%s: %w", p, ErrNotThere) }); err == nil {
		t.Error("opened nothing")
	}
}

func TestBundlesThatAreRefused(t *testing.T) {
	for name, swap := range map[string][2]string{
		"another format": {`"format":1`, `"format":2`}, "unknown field": {`"format":1`, `"format":1,"x":1`}, "no logs": {`[{"operator":"acme","path":"logs/acme"},{"operator":"bolt","path":"logs/bolt"}]`, `[]`},
		"a path out": {"logs/acme", "../acme"}, "an absolute path": {"logs/acme", "/acme"}, "a path in another form": {"logs/acme", "logs//acme"}, "hidden": {"logs/acme", ".logs"},
		"an operator": {`"operator":"acme"`, `"operator":"A/B"`}, "more": {"}]}", "}]}{}"}, "a witness": {`"format":1`, `"format":1,"witnesses":["x"]`},
		"many logs":                {`{"operator":"acme","path":"logs/acme"}`, strings.TrimSuffix(strings.Repeat(`{"operator":"acme","path":"logs/acme"},`, 65), ",")},
		"logs where evidence lies": {"logs/acme", "evidence/acme"}, "evidence of no operator": evidence(`{"operator":"../x","place":"main","file":"a"}`), "evidence of no place": evidence(`{"operator":"acme","place":"","file":"a"}`),
		"evidence that leads out": evidence(`{"operator":"acme","place":"main","file":"../a"}`), "evidence without a name": evidence(`{"operator":"acme","place":"main"}`), "keys among the evidence": evidence(`{"operator":"acme","place":"main","file":"a","keys":"b"}`),
		"evidence twice": evidence(`{"operator":"acme","place":"main","file":"a"},{"operator":"acme","place":"main","file":"a"}`),
		"much evidence":  evidence(strings.TrimSuffix(strings.Repeat(`{"operator":"acme","place":"main","file":"a"},`, places.MaxFiles+1), ",")),
		"long":           {"example", strings.Repeat("x", MaxBundleFile)},
	} {
		raw := strings.Replace(sample, swap[0], swap[1], 1)
		if raw == sample {
			t.Fatalf("%s: nothing to swap", name)
		}
		if b, err := ParseBundle([]byte(raw)); err == nil {
			t.Errorf("%s: read as %+v", name, b)
		}
	}
}

// evidence swaps a list of it into the sample.
func evidence(list string) [2]string {
	return [2]string{`"format":1`, `"format":1,"evidence":[` + list + `]`}
}

// What a bundle carries of evidence is read where it says; what is not there is said to be.
func TestBundlesEvidence(t *testing.T) {
	swap := evidence(`{"operator":"acme","place":"main","file":"gcp.token"},{"operator":"bolt","place":"safe","file":"audra"}`)
	b, err := ParseBundle([]byte(strings.Replace(sample, swap[0], swap[1], 1)))
	if err != nil {
		t.Fatal(err)
	}
	got := b.Shelf("https://example.com/", func(p string) ([]byte, error) {
		if p == "evidence/bolt/safe/audra" {
			return nil, fmt.Errorf("%s: %w", p, ErrNotThere)
		}
		return []byte(p), nil
	})
	if len(got) != 2 || string(got[0].Content) != "evidence/acme/main/gcp.token" || got[0].Operator != "acme" || got[0].Place != "main" || got[0].Name != "https://example.com/evidence/acme/main/gcp.token" || !errors.Is(got[1].Err, places.ErrAbsent) {
		t.Errorf("%+v", got)
	}
	if listed := b.Listed(); len(listed) != 2 || listed[1].Name != "evidence/bolt/safe/audra" || listed[1].Content != nil {
		t.Errorf("%+v", listed)
	}
}

func FuzzBundle(f *testing.F) {
	f.Add([]byte(sample))
	swap := evidence(`{"operator":"acme","place":"main","file":"gcp.token"}`)
	f.Add([]byte(strings.Replace(sample, swap[0], swap[1], 1)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := ParseBundle(raw)
		if err != nil {
			return
		}
		again, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseBundle(again); err != nil {
			t.Errorf("%q became %q: %v", raw, again, err)
		}
	})
}
