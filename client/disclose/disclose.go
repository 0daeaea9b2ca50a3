// Package disclose makes a circle's bundle: a folder with the logs of all its nodes, which any web server can host
// (spec/disclosure).
//
// Nothing that it copies is believed; the verifier reads the folder afterwards as any outsider would. A folder that is published
// again grows: tiles that are full never change and are not fetched twice. A log's checkpoint is written last, so that whoever reads meanwhile finds
// either the log as it was or as it is.
package disclose

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
)

// A Log is where one operator's log is fetched from.
type Log struct {
	Name  string // for people
	Fetch tlog.Fetch
}

// A Copied is a log as it lies in a folder now.
type Copied struct {
	Operator string
	Origin   string
	Path     string // of a bundle: below it
	Size     int64
	Grown    int64 // leaves more than before
	Files    int   // written now
}

// An OldError says that a log is shown smaller than it lies in the folder.
type OldError struct {
	At          string
	Held, Shown int64 // leaves
}

func (e *OldError) Error() string {
	return fmt.Sprintf("%s holds %d entries of this log, and an old one with %d is shown", e.At, e.Held, e.Shown)
}

// An OtherError says that another log lies in the folder.
type OtherError struct{ At, Had, Is string } // origins

func (e *OtherError) Error() string {
	return fmt.Sprintf("%s holds log %s, and this is %s", e.At, e.Had, e.Is)
}

// Copy brings a log into a bundle's folder, or up to date there. The log that the operator's node kept before it was restored gives way.
func Copy(ctx context.Context, dir string, log Log, bodies bool) (Copied, error) {
	k, err := log.keys()
	var c Copied
	if err == nil {
		err = statement.CheckLabel(k.Operator) // it names a folder
	}
	below := path.Join("logs", k.Operator)
	if err == nil {
		c, err = Folder{At: filepath.Join(dir, below), Mode: 0o644, Yields: true, Bodies: bodies}.Copy(ctx, log)
	}
	c.Path = below
	if err != nil {
		return c, fmt.Errorf("copy the log at %s: %w", log.Name, err)
	}
	return c, nil
}

func (l Log) keys() (tlog.Keys, error) {
	raw, err := l.Fetch(tlog.PathKeys)
	if err != nil {
		return tlog.Keys{}, err
	}
	k, _, _, err := tlog.DecodeKeys(raw)
	return k, err
}

// A Folder is where one log is copied to.
type Folder struct {
	At     string
	Mode   os.FileMode // of its files
	Yields bool        // another log of the operator that lies there gives way; else it is refused
	Bodies bool        // bodies are fetched again also where a bundle is full: a vault may be published since
}

// Copy brings a log up to date. Its checkpoint is written last, once the folder was read through.
func (f Folder) Copy(ctx context.Context, log Log) (Copied, error) {
	k, err := log.keys()
	if err != nil {
		return Copied{}, err
	}
	out := Copied{Operator: k.Operator, Origin: k.Origin}
	signed, err := log.Fetch(tlog.PathCheckpoint)
	if err != nil {
		return out, err
	}
	head, err := headOf(k, signed)
	if err != nil {
		return out, err
	}
	old, err := f.before(k)
	if err != nil {
		return out, err
	}
	if out.Size, out.Grown = head.Size, head.Size-old; out.Grown < 0 {
		return out, &OldError{f.At, old, head.Size}
	}
	for t := range tlog.Tiles(0, head.Size) {
		n, err := f.tile(t, log.Fetch)
		if out.Files += n; err != nil {
			return out, err
		}
		if err := ctx.Err(); err != nil {
			return out, err
		}
	}
	if err := tlog.ReadLeaves(head, f.fetch, func(int64, []byte) error { return nil }); err != nil {
		return out, fmt.Errorf("%s does not hold this log: %w", f.At, err)
	}
	for _, p := range []string{tlog.PathSeen, tlog.PathWitnesses, tlog.PathKeys, tlog.PathCheckpoint} {
		b := signed
		if p != tlog.PathCheckpoint {
			if b, err = log.Fetch(p); errors.Is(err, verify.ErrNotThere) {
				continue
			}
		}
		if err == nil {
			err = f.write(p, b, &out.Files)
		}
		if err != nil {
			return out, err
		}
	}
	return out, f.tidy(head.Size)
}

func (f Folder) path(p string) string { return filepath.Join(f.At, filepath.FromSlash(p)) }

func (f Folder) fetch(p string) ([]byte, error) { return os.ReadFile(f.path(p)) }

// write puts a file in its place, unless it is there as it is.
func (f Folder) write(p string, b []byte, files *int) error {
	if old, err := f.fetch(p); err == nil && bytes.Equal(old, b) {
		return nil
	}
	*files++
	return client.Replace(f.path(p), b, f.Mode)
}

// Kept are the logs that lie in the folder and were not copied now: their nodes could not be reached.
func Kept(dir string, copied []Copied) (out []Copied, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, "logs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		at := filepath.Join(dir, "logs", e.Name())
		raw, err := os.ReadFile(filepath.Join(at, tlog.PathKeys))
		if err != nil {
			continue // never copied whole
		}
		k, _, _, err := tlog.DecodeKeys(raw)
		if err != nil || k.Operator != e.Name() || slices.ContainsFunc(copied, func(c Copied) bool { return c.Operator == k.Operator }) {
			continue
		}
		size, err := Folder{At: at}.before(k)
		if err != nil {
			return nil, err
		}
		out = append(out, Copied{Operator: k.Operator, Origin: k.Origin, Path: path.Join("logs", k.Operator), Size: size})
	}
	return out, nil
}

// headOf opens a checkpoint by its log's key.
func headOf(k tlog.Keys, signed []byte) (tlog.Head, error) {
	v, err := tlog.NewLogVerifier(k.Origin, k.Log)
	if err != nil {
		return tlog.Head{}, err
	}
	c, _, err := tlog.OpenCheckpoint(signed, v, nil)
	return c.Head, err
}

// before is how large the log lies in the folder.
func (f Folder) before(k tlog.Keys) (int64, error) {
	raw, err := f.fetch(tlog.PathKeys)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	old, _, _, err := tlog.DecodeKeys(raw)
	if err != nil {
		return 0, fmt.Errorf("%s: %w: choose an empty folder", f.At, err)
	}
	if old.Origin != k.Origin {
		if !f.Yields || old.Operator != k.Operator {
			return 0, &OtherError{f.At, old.Origin, k.Origin}
		}
		return 0, os.Rename(f.At, fmt.Sprintf("%s.%d", f.At, time.Now().Unix()))
	}
	signed, err := f.fetch(tlog.PathCheckpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	head, err := headOf(old, signed)
	return head.Size, err
}

const fullWidth = 256

// tile copies a tile, and the bodies of an entry bundle; what is full and there already stays.
func (f Folder) tile(t tlog.Tile, fetch tlog.Fetch) (files int, err error) {
	paths := []string{t.Path()}
	if t.Level == tlog.Entries {
		paths = append(paths, t.BodyPath())
	}
	for i, p := range paths {
		if _, err := os.Stat(f.path(p)); err == nil && t.Width == fullWidth && (i == 0 || !f.Bodies) {
			continue
		}
		b, err := fetch(p)
		if err != nil {
			return files, fmt.Errorf("%s: %w", p, err)
		}
		if err := f.write(p, b, &files); err != nil {
			return files, err
		}
	}
	return files, nil
}

// tidy takes away the parts of tiles that larger ones have replaced.
func (f Folder) tidy(size int64) error {
	keep := map[string]bool{}
	for t := range tlog.Tiles(0, size) {
		keep[t.Path()] = true
		if t.Level == tlog.Entries {
			keep[t.BodyPath()] = true
		}
	}
	for _, below := range []string{"tile", "body"} {
		err := filepath.WalkDir(f.path(below), func(file string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			rel, err := filepath.Rel(f.At, file)
			if err == nil && !keep[filepath.ToSlash(rel)] {
				err = os.Remove(file)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Bundle says what is where. The circle's name is what the verifier found.
func Bundle(circle string, now time.Time, logs []Copied) verify.Bundle {
	b := verify.Bundle{Format: 1, Circle: circle, Made: now.UTC().Truncate(time.Second)}
	for _, l := range logs {
		b.Logs = append(b.Logs, verify.BundleLog{Operator: l.Operator, Path: l.Path})
	}
	slices.SortFunc(b.Logs, func(x, y verify.BundleLog) int { return strings.Compare(x.Operator, y.Operator) })
	return b
}
