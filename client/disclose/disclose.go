// Package disclose makes a circle's bundle: a folder with the logs of all its nodes, which any web server can host
// (spec/disclosure).
//
// Nothing that it copies is believed; the verifier reads the folder afterwards as any outsider would. A folder that is published
// again grows: tiles that are full never change and are not fetched twice. A log's checkpoint is written last, so that whoever reads meanwhile finds
// either the log as it was or as it is.
package disclose

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
)

// A Log is where one operator's log is fetched from.
type Log struct {
	Name  string // for people
	Fetch tlog.Fetch
}

// A Copied is a log as it lies in the folder now.
type Copied struct {
	Operator string
	Origin   string
	Path     string // below the folder
	Size     int64
	Grown    int64 // leaves more than before
}

// Copy brings a log into a folder, or up to date there. Its keys must be those of the log that lies there.
func Copy(ctx context.Context, dir string, log Log) (Copied, error) {
	c, err := copyLog(ctx, dir, log)
	if err != nil {
		return c, fmt.Errorf("copy the log at %s: %w", log.Name, err)
	}
	return c, nil
}

func copyLog(ctx context.Context, dir string, log Log) (Copied, error) {
	raw, err := log.Fetch(tlog.PathKeys)
	if err != nil {
		return Copied{}, err
	}
	k, _, _, err := tlog.DecodeKeys(raw)
	if err != nil {
		return Copied{}, err
	}
	if err := statement.CheckLabel(k.Operator); err != nil { // it names a folder
		return Copied{}, err
	}
	at := filepath.Join(dir, "logs", k.Operator)
	out := Copied{Operator: k.Operator, Origin: k.Origin, Path: path.Join("logs", k.Operator)}
	signed, err := log.Fetch(tlog.PathCheckpoint)
	if err != nil {
		return out, err
	}
	if out.Size, err = sizeOf(k, signed); err != nil {
		return out, err
	}
	old, err := before(at, k)
	if err != nil {
		return out, err
	}
	if old > out.Size {
		return out, fmt.Errorf("it has %d entries, and the folder holds %d of it: an old log is shown", out.Size, old)
	}
	out.Grown = out.Size - old
	for t := range tlog.Tiles(0, out.Size) {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		if err := tile(at, t, log.Fetch); err != nil {
			return out, err
		}
	}
	seen, err := log.Fetch(tlog.PathSeen)
	if err != nil && !errors.Is(err, verify.ErrNotThere) {
		return out, err
	}
	for _, f := range []struct {
		name string
		body []byte
	}{{tlog.PathKeys, raw}, {tlog.PathSeen, seen}, {tlog.PathCheckpoint, signed}} {
		if f.body == nil {
			continue
		}
		if err := write(filepath.Join(at, f.name), f.body); err != nil {
			return out, err
		}
	}
	return out, tidy(at, out.Size)
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
		size, err := before(at, k)
		if err != nil {
			return nil, err
		}
		out = append(out, Copied{Operator: k.Operator, Origin: k.Origin, Path: path.Join("logs", k.Operator), Size: size})
	}
	return out, nil
}

// sizeOf opens a checkpoint by its log's key.
func sizeOf(k tlog.Keys, signed []byte) (int64, error) {
	v, err := tlog.NewLogVerifier(k.Origin, k.Log)
	if err != nil {
		return 0, err
	}
	c, _, err := tlog.OpenCheckpoint(signed, v, nil)
	return c.Head.Size, err
}

// before is how large a log lies in the folder; a log with other keys is another, and gives way.
func before(at string, k tlog.Keys) (int64, error) {
	raw, err := os.ReadFile(filepath.Join(at, tlog.PathKeys))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	old, _, _, err := tlog.DecodeKeys(raw)
	if err != nil {
		return 0, fmt.Errorf("%s: %w: choose an empty folder", at, err)
	}
	if old.Origin != k.Origin { // the node was restored, and keeps another log since
		return 0, os.Rename(at, fmt.Sprintf("%s.%d", at, time.Now().Unix()))
	}
	signed, err := os.ReadFile(filepath.Join(at, tlog.PathCheckpoint))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return sizeOf(old, signed)
}

// tile copies a tile, and the bodies of an entry bundle; what is full and there already stays.
func tile(at string, t tlog.Tile, fetch tlog.Fetch) error {
	paths := []string{t.Path()}
	if t.Level == tlog.Entries {
		paths = append(paths, t.BodyPath())
	}
	for _, p := range paths {
		file := filepath.Join(at, filepath.FromSlash(p))
		if _, err := os.Stat(file); err == nil && t.Width == fullWidth {
			continue
		}
		b, err := fetch(p)
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		if err := write(file, b); err != nil {
			return err
		}
	}
	return nil
}

const fullWidth = 256

// tidy takes away the parts of tiles that larger ones have replaced.
func tidy(at string, size int64) error {
	keep := map[string]bool{}
	for t := range tlog.Tiles(0, size) {
		keep[t.Path()] = true
		if t.Level == tlog.Entries {
			keep[t.BodyPath()] = true
		}
	}
	for _, below := range []string{"tile", "body"} {
		err := filepath.WalkDir(filepath.Join(at, below), func(file string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			rel, err := filepath.Rel(at, file)
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

// write puts a file in its place at once.
func write(file string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

// WriteBundle writes what is where. The circle's name is what the verifier found.
func WriteBundle(dir, circle string, now time.Time, logs []Copied, witnesses []string) (verify.Bundle, error) {
	b := verify.Bundle{Format: 1, Circle: circle, Made: now.UTC().Truncate(time.Second), Witnesses: witnesses}
	for _, l := range logs {
		b.Logs = append(b.Logs, verify.BundleLog{Operator: l.Operator, Path: l.Path})
	}
	slices.SortFunc(b.Logs, func(x, y verify.BundleLog) int {
		if x.Operator < y.Operator {
			return -1
		}
		return 1
	})
	raw, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return b, err
	}
	if _, err := verify.ParseBundle(raw); err != nil {
		return b, err
	}
	return b, write(filepath.Join(dir, verify.PathBundle), append(raw, '\n'))
}

// WriteReport writes what the publisher's own verifier found.
func WriteReport(dir string, r *verify.Report) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return write(filepath.Join(dir, verify.PathReport), append(raw, '\n'))
}

// Folder reads the files of a bundle folder, as the verifier wants them.
func Folder(dir string) tlog.Fetch {
	return func(p string) ([]byte, error) {
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(p)))
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s: %w", p, verify.ErrNotThere)
		}
		return b, err
	}
}
