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
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/published"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/places"
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
	Staged   bool  // it lies beside the others until Place puts it in its operator's place
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

// A StrangerError says that a log names an operator whose identity is another.
type StrangerError struct {
	Operator string
	Identity ed25519.PublicKey
	Of       string // who has it; empty: nobody
}

func (e *StrangerError) Error() string {
	if e.Of != "" {
		return fmt.Sprintf("it is the log of %s, and calls itself %s", e.Of, e.Operator)
	}
	return fmt.Sprintf("it calls itself the log of %s, and its identity, %x, is not that operator's", e.Operator, []byte(e.Identity))
}

// Pins say which identity each operator has. What a log says of its own name is worth nothing.
type Pins map[string]ed25519.PublicKey

// Check holds a log to them.
func (p Pins) Check(k tlog.Keys) error {
	if p[k.Operator].Equal(k.Identity) {
		return nil
	}
	e := &StrangerError{Operator: k.Operator, Identity: k.Identity}
	for name, identity := range p {
		if identity.Equal(k.Identity) {
			e.Of = name
		}
	}
	return e
}

const (
	logsIn   = "logs"   // folder of a bundle for logs, each below its operator's name
	stagedIn = ".new"   // likewise, for logs whose operator is not known yet
	beforeIn = "before" // likewise, for logs that gave way: an operator's node was restored
	maxOlder = 3        // of one identity that are kept there
)

// Begun says of a name in a folder that a publication which came to no list may have made it.
func Begun(name string) bool {
	return name == logsIn || name == beforeIn || name == verify.PathEvidence || strings.HasPrefix(name, stagedIn) // of client.Replace too
}

// Copy brings a log into a bundle's folder, or up to date there: in its operator's place, if this very log lies there; else beside the others, until Place
// knows whose it is. With pins a log that is none of theirs is refused before anything of it is written.
func Copy(ctx context.Context, dir string, log Log, f Folder, pins Pins) (Copied, error) {
	fail := func(c Copied, err error) (Copied, error) {
		return c, fmt.Errorf("copy the log at %s: %w", log.Name, err)
	}
	k, err := log.keys()
	if err == nil {
		err = statement.CheckLabel(k.Operator) // it names a folder
	}
	if err == nil && pins != nil {
		err = pins.Check(k)
	}
	if err != nil {
		return fail(Copied{}, err)
	}
	below := path.Join(logsIn, k.Operator)
	here, there, err := held(filepath.Join(dir, below))
	if err == nil && there {
		err = succeeds(filepath.Join(dir, below), here, k)
	}
	if err != nil {
		return fail(Copied{}, err)
	}
	if !there || here.Origin != k.Origin {
		below = path.Join(stagedIn, k.ID.String())
	}
	f.At, f.Mode = filepath.Join(dir, filepath.FromSlash(below)), 0o644
	c, err := f.Copy(ctx, log)
	c.Path, c.Staged = below, path.Dir(below) == stagedIn
	if err != nil {
		return fail(c, err)
	}
	return c, nil
}

// nameOf names a log by what nobody else can sign.
func nameOf(k tlog.Keys) string {
	return strings.ReplaceAll(strings.TrimPrefix(k.Origin, "ostraka.log/"), "/", "-")
}

// held is whose log lies in a folder.
func held(at string) (k tlog.Keys, there bool, err error) {
	raw, err := os.ReadFile(filepath.Join(at, tlog.PathKeys))
	if errors.Is(err, fs.ErrNotExist) {
		return k, false, nil
	}
	if err == nil {
		if k, _, _, err = tlog.DecodeKeys(raw); err != nil {
			err = fmt.Errorf("%s: %w: choose an empty folder", at, err)
		}
	}
	return k, err == nil, err
}

// succeeds wants a log to be the one that lies in a folder, or the one that its identity began later: only a node that was restored has another.
func succeeds(at string, old, k tlog.Keys) error {
	had, err := old.Generation()
	is, e := k.Generation()
	if err = errors.Join(err, e); err != nil {
		return err
	}
	if !old.Identity.Equal(k.Identity) || is < had {
		return &OtherError{at, old.Origin, k.Origin}
	}
	return nil
}

// Unstage removes what was copied and came to no place.
func Unstage(dir string) error { return os.RemoveAll(filepath.Join(dir, stagedIn)) }

// Place puts a staged log in its operator's place, if its identity is that operator's. The log that the same node kept before it was restored gives way,
// and is kept beside.
func Place(dir string, c Copied, pins Pins) (Copied, error) {
	if !c.Staged {
		return c, nil
	}
	from := filepath.Join(dir, filepath.FromSlash(c.Path))
	k, there, err := held(from)
	switch {
	case err == nil && !there:
		err = fmt.Errorf("%s is gone", from)
	case err == nil:
		err = pins.Check(k)
	}
	if err != nil {
		return c, err
	}
	to := filepath.Join(dir, logsIn, k.Operator)
	old, there, err := held(to)
	if err == nil && there {
		if err = succeeds(to, old, k); err == nil {
			err = setAside(dir, to, old)
		}
	}
	if err == nil {
		err = errors.Join(os.RemoveAll(to), os.MkdirAll(filepath.Dir(to), 0o755)) // what has no keys was never copied whole
	}
	if err == nil {
		err = os.Rename(from, to)
	}
	if err != nil {
		return c, err
	}
	c.Path, c.Staged = path.Join(logsIn, k.Operator), false
	return c, nil
}

// setAside keeps a log that gives way. There are few: a node that is restored again and again is somebody's to look at, and fills no disk.
func setAside(dir, at string, k tlog.Keys) error {
	within := filepath.Join(dir, beforeIn)
	older, err := filepath.Glob(filepath.Join(within, fmt.Sprintf("%x-*", []byte(k.Identity))))
	if err == nil && len(older) >= maxOlder {
		err = fmt.Errorf("%d logs that the node of %s kept before it was restored lie in %s: ask the operator why, then move them away", len(older), k.Operator, within)
	}
	if err == nil {
		err = os.MkdirAll(within, 0o755)
	}
	if err == nil {
		err = os.Rename(at, filepath.Join(within, nameOf(k)))
	}
	return err
}

func (l Log) keys() (tlog.Keys, error) {
	raw, err := l.Fetch(tlog.PathKeys)
	if err != nil {
		return tlog.Keys{}, err
	}
	k, _, _, err := tlog.DecodeKeys(raw)
	return k, err
}

// A Folder is where one log is copied to. It holds one log for ever.
type Folder struct {
	At     string
	Mode   os.FileMode       // of its files
	Bodies bool              // bodies are fetched again also where a bundle is full: a vault may be published since
	Bounds *published.Bounds // of what lies in it; nil: as large as the log is
	AtOnce int               // files that are fetched at the same time; 0: one
}

// Copy brings a log up to date. Its checkpoint is written last, once the folder was read through; if it comes not so far, what it wrote goes again, or it
// would stand in the way of what is right.
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
	if err == nil && f.Bounds != nil {
		err = f.Bounds.Entry(head.Size)
	}
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
	var epochs [][32]byte
	written, err := f.tiles(ctx, head.Size, log.Fetch)
	if err == nil {
		if err = tlog.ReadLeaves(head, f.fetch, func(_ int64, raw []byte) error { f.noteEpoch(&epochs, raw); return ctx.Err() }); err != nil {
			err = fmt.Errorf("%s does not hold this log: %w", f.At, err)
		}
	}
	if err != nil {
		for _, p := range written {
			_ = os.Remove(f.path(p))
		}
		return out, err
	}
	guards, err := f.guards(log, epochs)
	if err != nil {
		return out, err
	}
	n, err := f.notes(log, signed)
	if out.Files = len(written) + guards + n; err != nil {
		return out, err
	}
	return out, f.tidy(head.Size)
}

// maxGuards is how many epochs' second sharings are asked for: the last that a log tells of. A node shows those in force.
const maxGuards = 64

// noteEpoch keeps the epochs that a log's leaves say are in force, the newest last.
func (f Folder) noteEpoch(epochs *[][32]byte, raw []byte) {
	l, err := tlog.Decode(raw)
	if err != nil || l.Kind != tlog.KindFinalCert || l.About == [32]byte{} {
		return // what is wrong with a leaf the verifier says
	}
	*epochs = append(slices.DeleteFunc(*epochs, func(e [32]byte) bool { return e == l.About }), l.About)
	if n := len(*epochs); n > maxGuards {
		*epochs = slices.Delete(*epochs, 0, n-maxGuards)
	}
}

// guards copies the second sharings that a log's node publishes, and takes away those that it shows no more: their epochs are over.
func (f Folder) guards(log Log, epochs [][32]byte) (files int, err error) {
	for _, e := range epochs {
		p := tlog.GuardsPath(e)
		b, err := log.Fetch(p)
		switch {
		case errors.Is(err, verify.ErrNotThere):
			if err := os.Remove(f.path(p)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return files, err
			}
			continue
		case err != nil:
			return files, fmt.Errorf("%s: %w", p, err)
		case f.Bounds != nil && f.Bounds.Room(f.bytes()) < int64(len(b)):
			return files, f.Bounds.Full()
		}
		n, err := f.write(p, b)
		if files += n; err != nil {
			return files, err
		}
	}
	return files, nil
}

// notes copies what stands beside the tiles.
func (f Folder) notes(log Log, signed []byte) (files int, err error) {
	for _, p := range []string{tlog.PathSeen, tlog.PathWitnesses, tlog.PathKeys, tlog.PathCheckpoint} {
		b := signed
		if p != tlog.PathCheckpoint {
			if b, err = log.Fetch(p); errors.Is(err, verify.ErrNotThere) {
				continue
			}
		}
		n := 0
		if err == nil {
			n, err = f.write(p, b)
		}
		if files += n; err != nil {
			return files, err
		}
	}
	return files, nil
}

// tiles copies all tiles and bodies, several at the same time, and says which it wrote.
func (f Folder) tiles(ctx context.Context, size int64, fetch tlog.Fetch) (written []string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	c := copying{Folder: f, fetch: fetch, room: math.MaxInt64}
	if f.Bounds != nil {
		c.room = f.Bounds.Room(f.bytes())
	}
	todo := make(chan tlog.Tile)
	for range max(1, f.AtOnce) {
		all.Go(func() {
			for t := range todo {
				paths, e := c.tile(t)
				mu.Lock()
				if written = append(written, paths...); err == nil && e != nil {
					err = e
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	give(ctx, todo, size)
	all.Wait()
	if err == nil {
		err = ctx.Err()
	}
	return written, err
}

// give hands out the tiles of a log.
func give(ctx context.Context, todo chan<- tlog.Tile, size int64) {
	defer close(todo)
	for t := range tlog.Tiles(0, size) {
		select {
		case todo <- t:
		case <-ctx.Done():
			return
		}
	}
}

// bytes is how much lies in the folder.
func (f Folder) bytes() (n int64) {
	_ = filepath.WalkDir(f.At, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			if info, err := e.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

func (f Folder) path(p string) string { return filepath.Join(f.At, filepath.FromSlash(p)) }

func (f Folder) fetch(p string) ([]byte, error) { return os.ReadFile(f.path(p)) }

// write puts a file in its place, unless it is there as it is.
func (f Folder) write(p string, b []byte) (files int, err error) {
	if old, err := f.fetch(p); err == nil && bytes.Equal(old, b) {
		return 0, nil
	}
	return 1, client.Replace(f.path(p), b, f.Mode)
}

// Kept are the logs that lie in the folder and were not copied now: their nodes could not be reached.
func Kept(dir string, copied []Copied) (out []Copied, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, logsIn))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		at := filepath.Join(dir, logsIn, e.Name())
		k, there, err := held(at)
		if err != nil || !there || k.Operator != e.Name() || slices.ContainsFunc(copied, func(c Copied) bool { return c.Operator == k.Operator }) {
			continue
		}
		size, err := Folder{At: at}.before(k)
		if err != nil {
			return nil, err
		}
		out = append(out, Copied{Operator: k.Operator, Origin: k.Origin, Path: path.Join(logsIn, k.Operator), Size: size})
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
	old, there, err := held(f.At)
	if err != nil || !there {
		return 0, err
	}
	if old.Origin != k.Origin {
		return 0, &OtherError{f.At, old.Origin, k.Origin}
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

// A copying fetches tiles into a folder that has room for so many bytes.
type copying struct {
	Folder
	fetch tlog.Fetch
	mu    sync.Mutex
	room  int64
}

// tile copies a tile, and the bodies of an entry bundle. A tile that is there stays, and bodies of a full bundle, unless they are wanted again.
func (c *copying) tile(t tlog.Tile) (written []string, err error) {
	paths := []string{t.Path()}
	if t.Level == tlog.Entries {
		paths = append(paths, t.BodyPath())
	}
	for i, p := range paths {
		has := int64(0)
		if info, err := os.Stat(c.path(p)); err == nil {
			if has = info.Size(); i == 0 || t.Width == fullWidth && !c.Bodies {
				continue
			}
		}
		b, err := c.fetch(p)
		if err != nil {
			return written, fmt.Errorf("%s: %w", p, err)
		}
		if !c.takes(int64(len(b)) - has) {
			return written, c.Bounds.Full()
		}
		n, err := c.write(p, b)
		if err != nil {
			return written, err
		}
		if n > 0 {
			written = append(written, p)
		}
	}
	return written, nil
}

func (c *copying) takes(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.room -= n
	return c.room >= 0
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

// Shelve puts evidence into a bundle's folder, each file at the path that is its name.
func Shelve(dir string, files []places.File) error {
	for _, f := range files {
		if err := client.Replace(filepath.Join(dir, filepath.FromSlash(f.Name)), f.Content, 0o644); err != nil {
			return fmt.Errorf("publish evidence: %w", err)
		}
	}
	return nil
}

// Shelved is the evidence that a folder's own list names: none if there is no list that can be read.
func Shelved(dir string) []verify.BundleFile {
	raw, err := os.ReadFile(filepath.Join(dir, verify.PathBundle))
	if err != nil {
		return nil
	}
	b, err := verify.ParseBundle(raw)
	if err != nil {
		return nil
	}
	return b.Evidence
}

// Unshelve takes away evidence that a list named and the new one does not.
func Unshelve(dir string, old, listed []verify.BundleFile) error {
	for _, f := range old {
		if slices.Contains(listed, f) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, filepath.FromSlash(f.Path()))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("take away old evidence: %w", err)
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
