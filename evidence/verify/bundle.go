package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/places"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// Files of a bundle: a folder that any web server can host (spec/disclosure).
const (
	PathBundle = "disclosure.json" // what is where; nobody's word
	PathReport = "report.json"     // what the publisher's own verifier found; nobody's word

	PathEvidence = "evidence" // folder of evidence: OPERATOR/PLACE/FILE below it
)

// MaxBundleFile bounds disclosure.json, in bytes.
const MaxBundleFile = 256 << 10

// A Bundle says where a folder's logs lie. It is a hint: nothing in it is believed.
type Bundle struct {
	Format int         `json:"format"` // 1
	Circle string      `json:"circle"` // its name
	Made   time.Time   `json:"made"`
	Logs   []BundleLog `json:"logs"`
	// Evidence lists what clouds and third parties signed of places. No key that could judge it stands in a bundle.
	Evidence []BundleFile `json:"evidence,omitempty"`
}

// A BundleFile is a file of evidence.
type BundleFile struct {
	Operator string `json:"operator"`
	Place    string `json:"place"`
	File     string `json:"file"` // its own name
}

// Path is where it lies below the bundle.
func (f BundleFile) Path() string { return path.Join(PathEvidence, f.Operator, f.Place, f.File) }

// A BundleLog is one log of a bundle.
type BundleLog struct {
	Operator string `json:"operator"`
	Path     string `json:"path"` // below the bundle: "logs/acme"
}

const maxLogs = 64

// ParseBundle reads disclosure.json, strictly.
func ParseBundle(b []byte) (Bundle, error) {
	var out Bundle
	if len(b) > MaxBundleFile {
		return out, fmt.Errorf("%s: %d bytes, at most %d are allowed", PathBundle, len(b), MaxBundleFile)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		return out, fmt.Errorf("%s: %w", PathBundle, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return out, fmt.Errorf("%s: something follows the object", PathBundle)
	}
	if out.Format != 1 {
		return out, fmt.Errorf("%s: format %d is not known to this version, which reads 1", PathBundle, out.Format)
	}
	if n := len(out.Logs); n < 1 || n > maxLogs {
		return out, fmt.Errorf("%s: logs: %d are listed, not 1 to %d", PathBundle, n, maxLogs)
	}
	for _, l := range out.Logs {
		if err := statement.CheckLabel(l.Operator); err != nil {
			return out, fmt.Errorf("%s: operator: %w", PathBundle, err)
		}
		if !below(l.Path) {
			return out, fmt.Errorf("%s: log of %s: path %q is not parts of a-z, 0-9, \".\", \"_\" and \"-\" below it", PathBundle, l.Operator, l.Path)
		}
		if l.Path == PathEvidence || strings.HasPrefix(l.Path, PathEvidence+"/") {
			return out, fmt.Errorf("%s: log of %s: path %q is where evidence lies", PathBundle, l.Operator, l.Path)
		}
	}
	return out, out.checkEvidence()
}

func (b Bundle) checkEvidence() error {
	if n := len(b.Evidence); n > places.MaxFiles {
		return fmt.Errorf("%s: evidence: %d files are listed, at most %d are read", PathBundle, n, places.MaxFiles)
	}
	seen := map[BundleFile]bool{}
	for _, f := range b.Evidence {
		err := errors.Join(statement.CheckLabel(f.Operator), statement.CheckLabel(f.Place), places.CheckName(f.File))
		if err == nil && seen[f] {
			err = errors.New("it is listed twice")
		}
		if err != nil {
			return fmt.Errorf("%s: evidence %.200q: %w", PathBundle, f.Path(), err)
		}
		seen[f] = true
	}
	return nil
}

// Shelf reads the evidence that a bundle lists. name is where it lies, for people.
func (b Bundle) Shelf(name string, fetch tlog.Fetch) (out []places.File) {
	for _, f := range b.Evidence {
		one := places.File{Operator: f.Operator, Place: f.Place, Name: strings.TrimSuffix(name, "/") + "/" + f.Path()}
		one.Content, one.Err = fetch(f.Path())
		if errors.Is(one.Err, ErrNotThere) {
			one.Err = places.ErrAbsent
		}
		out = append(out, one)
	}
	return out
}

// Listed is the evidence that a bundle lists, unread.
func (b Bundle) Listed() (out []places.File) {
	for _, f := range b.Evidence {
		out = append(out, places.File{Operator: f.Operator, Place: f.Place, Name: f.Path()})
	}
	return out
}

// below says whether a path names a folder below a bundle, in letters that no terminal takes for anything else. No part begins with a dot, else
// it reads what lies outside, or what is hidden.
func below(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part[0] == '.' || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
			return false
		}
	}
	return len(path) <= 200
}

// Open gives the logs of a bundle. name is where it lies, for people; fetch gets its files.
func Open(name string, fetch tlog.Fetch) ([]Source, Bundle, error) {
	raw, err := fetch(PathBundle)
	if err != nil {
		return nil, Bundle{}, err
	}
	b, err := ParseBundle(raw)
	if err != nil {
		return nil, b, err
	}
	var out []Source
	for _, l := range b.Logs {
		out = append(out, Source{strings.TrimSuffix(name, "/") + "/" + l.Path, func(p string) ([]byte, error) { return fetch(l.Path + "/" + p) }})
	}
	return out, b, nil
}
