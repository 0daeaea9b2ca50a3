// Package publish is what everybody may read of a node's log, without a token (spec/log 8, 10): its latest published checkpoint, its keys,
// what it saw of others' logs, its tiles, and the bodies of its leaves as far as the charter has them shown.
//
// Nothing of the log is shown beyond the published checkpoint. A file costs at most 256 rows of the store, and few are made at a time, for each reader in
// turn: who reads much waits, and keeps the node and other readers from nothing.
package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
)

// ErrNotFound says that no such file is published.
var ErrNotFound = errors.New("no such file is published")

// Bounds.
const (
	atOnce   = 2        // files that are made from the store at the same time
	keepMost = 16 << 20 // bytes of tiles and leaves that memory keeps,
	keepPage = 1 << 20  // and of one bundle's leaves with their bodies
)

// Config is what a Log shows.
type Config struct {
	Journal *journal.Journal
	// Checkpoint is the latest that was published; empty before the first.
	Checkpoint func() (signed []byte, head tlog.Head)
	// Keys are those of our present log, once they are made known, as tlog.EncodeKeys writes them.
	Keys func() (file []byte, ok bool)
	// Seen are the latest checkpoints of other logs that this node cosigned.
	Seen func(ctx context.Context) ([][]byte, error)
	// Witnesses are those beyond the circle that are asked to cosign our log.
	Witnesses []tlog.Witness
	// Publishes says whether the charter in force has everything of a vault shown.
	Publishes func(vault statement.ID) bool
	// Guards gives the second sharing of an epoch in force, or ErrNotFound.
	Guards func(ctx context.Context, record [32]byte) (tlog.Guards, error)
}

// Log is our log as everybody sees it.
type Log struct {
	cfg   Config
	turns *turns

	mu    sync.Mutex
	pages map[where]page
	order []where // of pages, the oldest first
	bytes int     // of all of them
}

// where a page stands: as a tile, of whatever width.
type where struct {
	level int
	index int64
}

// page is as much of a tile, or of a bundle of leaves, as there was when it was read: what stands in a log never changes, so every narrower one is
// the beginning of it.
type page struct {
	hashes []byte       // of a tile
	leaves []tlog.Filed // of a bundle
	whole  bool         // its leaves have their bodies
	bytes  int
}

func (p page) width() int { return max(len(p.hashes)/hashSize, len(p.leaves)) }

// New shows a log.
func New(cfg Config) *Log {
	return &Log{cfg: cfg, turns: newTurns(atOnce), pages: map[where]page{}}
}

// Get gives a published file by its path, or ErrNotFound, or ErrBusy. Readers take turns where files have to be made. The bytes are shared: they must not be
// changed.
func (l *Log) Get(ctx context.Context, reader, path string) ([]byte, error) {
	signed, head := l.cfg.Checkpoint()
	switch path {
	case tlog.PathCheckpoint:
		if len(signed) > 0 {
			return signed, nil
		}
		return nil, ErrNotFound
	case tlog.PathKeys:
		if file, ok := l.cfg.Keys(); ok {
			return file, nil
		}
		return nil, ErrNotFound
	case tlog.PathSeen:
		seen, err := l.cfg.Seen(ctx)
		return tlog.EncodeSeen(seen), err
	case tlog.PathWitnesses:
		return tlog.EncodeWitnesses(l.cfg.Witnesses), nil
	}
	if record, err := tlog.ParseGuardsPath(path); err == nil && l.cfg.Guards != nil {
		return l.guards(ctx, reader, record)
	}
	read, bodies := tlog.ParsePath, strings.HasPrefix(path, "body/")
	if bodies {
		read = tlog.ParseBodyPath
	}
	t, err := read(path)
	if err != nil || !t.In(head.Size) {
		return nil, ErrNotFound
	}
	p, ok := l.kept(t, bodies)
	if !ok {
		if p, err = l.read(ctx, reader, t, bodies, head.Size); err != nil {
			return nil, err
		}
	}
	if t.Level != tlog.Entries {
		return p.hashes[:t.Width*hashSize], nil
	}
	if bodies {
		return tlog.EncodeBodies(l.shown(p.leaves[:t.Width])), nil
	}
	raw := make([][]byte, t.Width)
	for i := range raw {
		raw[i] = p.leaves[i].Leaf.Encode()
	}
	return tlog.EncodeEntries(raw)
}

// guards is the second sharing of an epoch, when it is the reader's turn: it is read from the store.
func (l *Log) guards(ctx context.Context, reader string, record [32]byte) ([]byte, error) {
	if err := l.turns.take(ctx, reader); err != nil {
		return nil, err
	}
	defer l.turns.give()
	g, err := l.cfg.Guards(ctx, record)
	if err != nil {
		return nil, err
	}
	return g.Encode(), nil
}

// read reads a page from the store, as wide as the published log has it, when it is the reader's turn.
func (l *Log) read(ctx context.Context, reader string, t tlog.Tile, bodies bool, size int64) (page, error) {
	if err := l.turns.take(ctx, reader); err != nil {
		return page{}, err
	}
	defer l.turns.give()
	if p, ok := l.kept(t, bodies); ok { // read meanwhile
		return p, nil
	}
	if _, large := l.kept(t, false); large { // its bodies are not kept: no more of them is read than is asked for
		return l.make(ctx, t)
	}
	t.Width = int(min(size>>(8*max(t.Level, 0))-256*t.Index, 256))
	p, err := l.make(ctx, t)
	if err == nil {
		l.keep(where{t.Level, t.Index}, p)
	}
	return p, err
}

func (l *Log) make(ctx context.Context, t tlog.Tile) (p page, err error) {
	if t.Level != tlog.Entries {
		p.hashes, err = tlog.HashTile(t, l.cfg.Journal.Hashes(ctx))
		p.bytes = len(p.hashes)
		return p, err
	}
	first, count := t.Leaves()
	if p.leaves, err = l.cfg.Journal.Leaves(ctx, first, count); err != nil {
		return p, err
	}
	if len(p.leaves) != count {
		return p, fmt.Errorf("the log ends at leaf %d, below its published checkpoint", first+int64(len(p.leaves)))
	}
	p.whole = true
	for _, f := range p.leaves {
		p.bytes += leafCost + f.Body.Size()
	}
	return p, nil
}

const hashSize = len(tlog.Hash{})

// leafCost is about what a leaf takes of memory without its body.
const leafCost = 400

func (l *Log) kept(t tlog.Tile, bodies bool) (page, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.pages[where{t.Level, t.Index}]
	return p, ok && p.width() >= t.Width && (p.whole || !bodies)
}

// keep remembers a page in place of a narrower one; of one with large bodies its leaves alone.
func (l *Log) keep(at where, p page) {
	if p.whole && p.bytes > keepPage {
		leaves := make([]tlog.Filed, len(p.leaves))
		for i, f := range p.leaves {
			leaves[i].Leaf = f.Leaf
		}
		p = page{leaves: leaves, bytes: leafCost * len(leaves)}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if old, ok := l.pages[at]; ok {
		l.bytes -= old.bytes
		l.order = slices.DeleteFunc(l.order, func(o where) bool { return o == at })
	}
	l.pages[at], l.order = p, append(l.order, at)
	for l.bytes += p.bytes; l.bytes > keepMost; l.order = l.order[1:] {
		l.bytes -= l.pages[l.order[0]].bytes
		delete(l.pages, l.order[0])
	}
}
