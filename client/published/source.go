package published

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ostraka/ostraka/evidence/places"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
)

// Options may be zero.
type Options struct {
	Insecure bool   // take web servers whose certificate no authority vouches for
	Cache    string // folder for files that never change; empty: none
	Bounds   Bounds
	Until    time.Time // when what was not read by then counts as away; zero: never
	Direct   bool      // each file is fetched when it is asked for, and none ahead
}

// A Source is one log that is published somewhere.
type Source struct {
	verify.Source
	Live bool // fetching it again may show more

	below string // where it lies in its place
	cache string // its folder
}

// Forget empties a log's cache: what was read from it did not hold.
func (s Source) Forget() error {
	if s.cache == "" {
		return nil
	}
	return os.RemoveAll(s.cache)
}

// A Place is where sources come from: one argument of a command.
type Place struct {
	Name    string
	Sources []Source
	Bundle  *verify.Bundle // nil: it is a log, or a node

	fetch tlog.Fetch
	ends  []func()
}

// Evidence reads what the bundle has of evidence of places.
func (p Place) Evidence() []places.File {
	if p.Bundle == nil {
		return nil
	}
	return p.Bundle.Shelf(p.Name, p.fetch)
}

// Close ends the fetching and removes what was fetched ahead. Nothing is read of its sources afterwards.
func (p Place) Close() {
	for _, end := range p.ends {
		end()
	}
}

// Live says whether fetching it again may show more.
func (p Place) Live() bool { return len(p.Sources) > 0 && p.Sources[0].Live }

// ErrNothing says that there is neither a bundle nor a log.
var ErrNothing = errors.New("neither a disclosure (disclosure.json), nor a log (checkpoint and keys), nor a node's log (log/) is there")

// Open finds out what lies at a URL or in a folder: a bundle, a log, or a node, whose log lies below log/.
func Open(ctx context.Context, where string, o Options) (Place, error) {
	if strings.HasPrefix(where, "https://") || strings.HasPrefix(where, "http://") {
		return openWeb(ctx, where, o)
	}
	if strings.Contains(where, "://") {
		return Place{}, fmt.Errorf("%.80q is neither a folder nor an https:// address", where)
	}
	info, err := os.Stat(where)
	switch {
	case err != nil:
		return Place{}, err
	case !info.IsDir():
		return Place{}, fmt.Errorf("%s is a file: name the folder that it lies in", where)
	}
	root, err := os.OpenRoot(where) // so that no link in a bundle of somebody else's leads out of it
	if err != nil {
		return Place{}, err
	}
	ctx, cancel := until(ctx, o.Until)
	p, err := find(where, folder(root), false)
	for i, s := range p.Sources {
		p.Sources[i].Fetch = newMeter(ctx, o.Bounds).bounded(s.Fetch)
	}
	p.ends = append(p.ends, cancel, func() { root.Close() })
	if err != nil {
		p.Close()
	}
	return p, err
}

// find looks what a place is by the files that it has.
func find(name string, fetch tlog.Fetch, live bool) (Place, error) {
	p := Place{Name: name, fetch: fetch}
	sources, b, err := verify.Open(name, fetch)
	switch {
	case err == nil:
		p.Bundle = &b
		for i, s := range sources {
			p.Sources = append(p.Sources, Source{Source: s, Live: live, below: b.Logs[i].Path + "/"})
		}
		return p, nil
	case !errors.Is(err, verify.ErrNotThere):
		return p, fmt.Errorf("%s: %w", name, err)
	}
	for _, below := range []string{"", "log/"} {
		at := func(path string) ([]byte, error) { return fetch(below + path) }
		_, err := at(tlog.PathKeys)
		switch {
		case err == nil:
			p.Sources = []Source{{Source: verify.Source{Name: strings.TrimSuffix(name, "/") + strings.TrimSuffix("/"+below, "/"), Fetch: at}, Live: live, below: below}}
			return p, nil
		case !errors.Is(err, verify.ErrNotThere):
			return p, fmt.Errorf("%s: %w", name, err)
		}
	}
	return p, fmt.Errorf("%s: %w", name, ErrNothing)
}

// folder reads files below one folder.
func folder(root *os.Root) tlog.Fetch {
	return func(path string) ([]byte, error) {
		name := filepath.FromSlash(path)
		info, err := root.Stat(name)
		if errors.Is(err, os.ErrNotExist) || err == nil && info.IsDir() {
			return nil, fmt.Errorf("%s: %w", path, verify.ErrNotThere)
		}
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() { // a pipe would be waited for
			return nil, fmt.Errorf("%s is no file", path)
		}
		f, err := root.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		var b bytes.Buffer
		if err := copyBounded(&b, f, path, info.Size()); err != nil {
			return nil, err
		}
		return b.Bytes(), nil
	}
}

// limit is the largest that a file may be, by its name.
func limit(path string) int64 {
	if parts := strings.Split(path, "/"); parts[0] == verify.PathEvidence && len(parts) == 4 {
		return places.MaxFile
	}
	name := path
	for _, part := range []string{"tile/entries/", "tile/", "body/"} {
		if i := strings.LastIndex("/"+path, "/"+part); i >= 0 {
			name = part
			break
		}
	}
	switch {
	case name == "tile/entries/":
		return tlog.MaxBundle
	case name == "tile/":
		return tlog.MaxTile
	case name == "body/":
		return tlog.MaxBodies
	case strings.HasSuffix(path, verify.PathBundle):
		return verify.MaxBundleFile
	case isGuards(path):
		return tlog.MaxGuards
	case strings.HasSuffix(path, tlog.PathSeen):
		return tlog.MaxSeen * (tlog.MaxNote + 64)
	case strings.HasSuffix(path, tlog.PathWitnesses):
		return tlog.MaxWitnesses * (tlog.MaxName + 128)
	}
	return tlog.MaxNote
}

// isGuards says whether a path, below whatever folder, is that of an epoch's second sharing.
func isGuards(path string) bool {
	parts := strings.Split(path, "/")
	if len(parts) < 2 {
		return false
	}
	_, err := tlog.ParseGuardsPath(strings.Join(parts[len(parts)-2:], "/"))
	return err == nil
}

// host is a URL's scheme and host, which may be shown.
func host(u *url.URL) string { return u.Scheme + "://" + u.Host }
