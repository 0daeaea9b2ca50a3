package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/control"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/evidence/attest"
)

// A shelf is a folder of evidence: DIR/OPERATOR/PLACE/FILE, and what it is judged by (spec/attest 6a).
type shelf struct {
	dir, witnesses, at string
}

func evidenceFlag(c *cobra.Command) *shelf {
	var s shelf
	c.Flags().StringVar(&s.dir, "evidence", "", "folder of evidence: DIR/OPERATOR/PLACE/FILE, documents of clouds and sightings; DIR/keys (Google's) and DIR/roots, which you fetched yourself")
	c.Flags().StringVar(&s.witnesses, "witnesses", "", "file of witnesses whom you trust, lines of NAME KEY: without it no sighting counts")
	c.Flags().StringVar(&s.at, "at", "", "judge evidence as of this time, such as 2026-11-27T12:00:00Z (default: now)")
	return &s
}

// An attested claim is a field of a place that somebody else's signature bears out.
type attested struct {
	copyName string // OPERATOR/PLACE
	kind     control.Kind
}

// kindsOf are the kinds of domains that a place's fields name.
var kindsOf = map[string]control.Kind{
	"provider": control.Provider, "account": control.Account, "region": control.Region, "jurisdiction": control.Jurisdiction,
	"hardware": control.Hardware, "access": control.Person,
}

// weigh reads a shelf. What does not hold, or says otherwise than the charter, is an alarm: all of it is named at once, and what holds counts.
func (a *app) weigh(s shelf, d charter.Document) (out []attested, alarm, err error) {
	if s.dir == "" {
		if s.witnesses != "" || s.at != "" {
			return nil, nil, usage("--witnesses and --at belong to --evidence DIR")
		}
		return nil, nil, nil
	}
	now := time.Now().UTC()
	if s.at != "" {
		if now, err = time.Parse(time.RFC3339, s.at); err != nil {
			return nil, nil, usage("--at %q is no time such as 2026-11-27T12:00:00Z", s.at)
		}
	}
	trusted, err := readWitnesses(s.witnesses)
	if err != nil {
		return nil, nil, err
	}
	var wrong []string
	err = s.each(d, func(o charter.Station, p charter.Place, path string) error {
		agree, differ, err := s.judge(path, d, o, p, trusted, now)
		name := o.Name + "/" + p.Name
		switch {
		case err != nil:
			wrong = append(wrong, err.Error())
		case len(differ) > 0:
			wrong = append(wrong, fmt.Sprintf("%s says otherwise than the charter of %s: %s", path, name, strings.Join(differ, ", ")))
			return nil
		}
		for _, field := range agree {
			out = append(out, attested{name, kindsOf[field]})
		}
		return nil
	})
	if len(wrong) > 0 {
		alarm = unverified("ask the operator which is right, fetch what has expired anew, and take away what does not hold", "evidence: %s", strings.Join(wrong, "; "))
	}
	return out, alarm, err
}

// each visits the files of a shelf. A folder that names no operator or place of the charter is an error: evidence would be passed over.
func (s shelf) each(d charter.Document, do func(charter.Station, charter.Place, string) error) error {
	return filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(s.dir, path)
		if err != nil || e.IsDir() {
			return err
		}
		parts := strings.Split(filepath.ToSlash(rel), "/")
		if rel == "keys" || rel == "roots" { // what the reader believes; from the operators' folders nothing of that is taken
			return nil
		}
		if len(parts) != 3 {
			return usage("%s: evidence stands in DIR/OPERATOR/PLACE/FILE", path)
		}
		o, ok := d.Station(parts[0])
		i := slices.IndexFunc(o.Places, func(p charter.Place) bool { return p.Name == parts[1] })
		if !ok || i < 0 {
			return usage("%s: the charter has no place %s of operator %s", path, parts[1], parts[0])
		}
		return do(o, o.Places[i], path)
	})
}

// judge verifies one file, and compares it with the place that it stands under. Of a document that names no node nothing agrees: its claim
// stays the operator's word.
func (s shelf) judge(path string, d charter.Document, o charter.Station, p charter.Place, trusted map[string][]signet.Key, now time.Time) (agree, differ []string, err error) {
	says := attest.Place{Provider: p.Provider, Account: p.Account, Region: p.Region}
	if !isSighting(path) {
		about := attest.Subject{Node: o.Identity, Operator: o.Name, Place: p.Name}
		c, err := readEvidence(path, evidenceFlags{keys: s.file("keys"), roots: s.file("roots")}, about, now)
		if err != nil {
			return nil, nil, err
		}
		if agree, differ = c.Match(says); c.Class() < attest.Attested {
			agree = nil
		}
		return agree, bothWords(differ, charter.Place{Provider: c.Provider, Account: c.Account, Region: c.Region}, p), nil
	}
	text, armored, err := readSighting(path)
	if err != nil {
		return nil, nil, err
	}
	x, err := charter.VerifySighting(text, armored, trusted, d, now)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if x.Operator != o.Name || x.Place.Name != p.Name {
		return nil, nil, fmt.Errorf("%s: it is of %s/%s", path, x.Operator, x.Place.Name)
	}
	saw := attest.Claim{Provider: strings.ToLower(x.Place.Provider), Account: x.Place.Account, Region: x.Place.Region}
	agree, differ = saw.Match(says)
	more, other := x.Compare(p)
	return append(agree, more...), bothWords(append(differ, other...), x.Place, p), nil
}

// bothWords writes what differs with both values.
func bothWords(fields []string, saw, says charter.Place) (out []string) {
	for _, f := range fields {
		is, was := strings.Join(saw.Access, ", "), strings.Join(says.Access, ", ")
		if field := placeField(&saw, f); field != nil {
			is, was = *field, *placeField(&says, f)
		}
		out = append(out, fmt.Sprintf("%s (seen: %s; the charter says: %s)", f, is, was))
	}
	return out
}

// file is one of the reader's own, "" if there is none.
func (s shelf) file(name string) string {
	path := filepath.Join(s.dir, name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return path
}

// hold notes in a structure what is attested.
func hold(s *control.Structure, all []attested) {
	for _, x := range all {
		s.Hold(x.copyName, x.kind, control.Attested)
	}
}
