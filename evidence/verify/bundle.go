package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// Files of a bundle: a folder that any web server can host (spec/disclosure).
const (
	PathBundle = "disclosure.json" // what is where; nobody's word
	PathReport = "report.json"     // what the publisher's own verifier found; nobody's word
)

// MaxBundleFile bounds disclosure.json, in bytes.
const MaxBundleFile = 256 << 10

// A Bundle says where a folder's logs lie. It is a hint: nothing in it is believed.
type Bundle struct {
	Format int         `json:"format"` // 1
	Circle string      `json:"circle"` // its name
	Made   time.Time   `json:"made"`
	Logs   []BundleLog `json:"logs"`
}

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
		if l.Path != path.Clean(l.Path) || strings.HasPrefix(l.Path, "/") || strings.HasPrefix(l.Path, ".") || len(l.Path) > 200 { // else it reads what lies outside
			return out, fmt.Errorf("%s: log of %s: path %q does not lie below it", PathBundle, l.Operator, l.Path)
		}
	}
	return out, nil
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
