package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/places"
)

// A shelf is a folder of evidence: DIR/OPERATOR/PLACE/FILE, and what it is judged by (spec/attest 6a).
type shelf struct {
	dir, sighters, at string

	files   []places.File
	trusted places.Trust
	asOf    time.Time // zero: each document as of when it was signed
}

// flags are those of a command that counts evidence. What names the time is --at where that word is free.
func (s *shelf) flags(c *cobra.Command, at string) {
	c.Flags().StringVar(&s.dir, "evidence", "", "folder of evidence: DIR/OPERATOR/PLACE/FILE, documents of clouds and sightings; DIR/keys (Google's) and DIR/roots, which you fetched yourself")
	c.Flags().StringVar(&s.sighters, "sighters", "", "file of those whose sightings you trust, lines of NAME KEY: without it no sighting counts")
	c.Flags().StringVar(&s.at, at, "", "judge evidence as of this time, such as 2026-11-27T12:00:00Z (default: each document as of when it was signed, for 31 days)")
}

// read reads the folder, and what it is judged by.
func (s *shelf) read(flag string) (err error) {
	if s.at != "" {
		if s.asOf, err = time.Parse(time.RFC3339, s.at); err != nil {
			return usage("--%s %q is no time such as 2026-11-27T12:00:00Z", flag, s.at)
		}
	}
	if s.trusted, err = trust(s.own("keys"), s.own("roots")); err != nil {
		return err
	}
	if s.trusted.Sighters, err = readSighters(s.sighters); err != nil || s.dir == "" {
		return err
	}
	s.files, err = readShelf(s.dir)
	return err
}

// own is one of the reader's own files, "" if there is none.
func (s *shelf) own(name string) string {
	path := filepath.Join(s.dir, name)
	if _, err := os.Stat(path); s.dir == "" || errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return path
}

// judge judges all files, and others that somebody else handed in.
func (s *shelf) judge(others []places.File, now time.Time) func(charter.Document) []places.Finding {
	all := slices.Clone(s.files)
	for _, f := range others {
		if !slices.ContainsFunc(all, func(o places.File) bool { return sameFile(o, f) }) {
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return func(d charter.Document) []places.Finding { return s.trusted.Judge(all, d, now, s.asOf) }
}

func sameFile(a, b places.File) bool {
	return a.Operator == b.Operator && a.Place == b.Place && a.Err == nil && b.Err == nil && string(a.Content) == string(b.Content)
}

// readShelf reads the files of a folder of evidence. No link in it leads out of it: it may be published. A file that stands elsewhere in it is an error: it would be
// passed over.
func readShelf(dir string) (out []places.File, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || path == "keys" || path == "roots" { // of the operators' folders nothing is believed
			return err
		}
		parts, name := strings.Split(path, "/"), filepath.Join(dir, filepath.FromSlash(path))
		switch {
		case len(parts) != 3:
			return usage("%s: evidence stands in DIR/OPERATOR/PLACE/FILE", name)
		case len(out) == places.MaxFiles:
			return usage("%s holds more than %d files of evidence", dir, places.MaxFiles)
		}
		f := places.File{Operator: parts[0], Place: parts[1], Name: name}
		if f.Content, f.Err = readWithin(root, path, places.MaxFile); f.Err != nil && !errors.Is(f.Err, errTooLarge) {
			return fmt.Errorf("%s: %w", name, f.Err)
		}
		out = append(out, f)
		return nil
	})
	return out, err
}

var errTooLarge = errors.New("it is too large")

func readWithin(root *os.Root, path string, most int64) ([]byte, error) {
	f, err := root.Open(filepath.FromSlash(path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		return nil, fmt.Errorf("%w: at most %d bytes are read", errTooLarge, most)
	}
	return b, err
}

// weigh judges a shelf against a charter's file. What does not count is an alarm, and so is what says otherwise than the charter: all of it is named
// at once, and what holds counts.
func (a *app) weigh(s shelf, d charter.Document) (out []places.Finding, alarm, err error) {
	if s.dir == "" {
		if s.sighters != "" || s.at != "" {
			return nil, nil, usage("--sighters and --at belong to --evidence DIR")
		}
		return nil, nil, nil
	}
	if err := s.read("at"); err != nil {
		return nil, nil, err
	}
	for _, f := range s.files { // it would be passed over
		o, ok := d.Station(f.Operator)
		if !ok || !slices.ContainsFunc(o.Places, func(p charter.Place) bool { return p.Name == f.Place }) {
			return nil, nil, usage("%s: the charter has no place %s of operator %s", f.Name, f.Place, f.Operator)
		}
	}
	out = s.trusted.Judge(s.files, d, time.Now().UTC(), s.asOf)
	var wrong []string
	for _, x := range out {
		if x.State != places.Holds {
			wrong = append(wrong, x.File+": "+x.Why)
		}
	}
	if len(wrong) > 0 {
		alarm = unverified("ask the operator which is right, fetch what is too old anew, put keys and certificates that are missing into DIR/keys and DIR/roots, and take away what does not hold", "evidence: %s", strings.Join(wrong, "; "))
	}
	return out, alarm, nil
}

// printBorne says what evidence bears out, and as of when.
func printBorne(w io.Writer, all []places.Finding) {
	for _, x := range all {
		if len(x.Fields) > 0 {
			fmt.Fprintf(w, "  %s: %s attested by %s, as of %s\n", x.Where(), strings.Join(x.Fields, ", "), x.By, statement.FormatTime(x.AsOf))
		}
	}
}

// readSighters reads the reader's list.
func readSighters(path string) (map[string][]signet.Key, error) {
	if path == "" {
		return nil, nil
	}
	b, err := readBounded(path, places.MaxSighters)
	if err != nil {
		return nil, err
	}
	out, err := places.ReadSighters(string(b))
	if err != nil {
		return nil, usage("%s, %w", path, err)
	}
	return out, nil
}
