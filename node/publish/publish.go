// Package publish is what everybody may read of a node's log, without a token (spec/log 8, 10): its latest published checkpoint, its keys,
// what it saw of others' logs, its tiles, and the bodies of its leaves as far as the charter has them shown.
//
// Nothing of the log is shown beyond the published checkpoint. A file costs at most 256 rows of the store, and few are made at a time:
// who reads much waits, and keeps the node from nothing.
package publish

import (
	"context"
	"errors"
	"fmt"
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
	atOnce   = 2   // files that are made from the store at the same time
	keepFull = 128 // full tiles and bundles of leaves that memory keeps; 8 KiB each, or about 40
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
}

// Log is our log as everybody sees it.
type Log struct {
	cfg  Config
	busy chan struct{}

	mu    sync.Mutex
	full  map[string][]byte // by path; none of them ever changes
	order []string          // of full, the oldest first
}

// New shows a log.
func New(cfg Config) *Log {
	return &Log{cfg: cfg, busy: make(chan struct{}, atOnce), full: map[string][]byte{}}
}

// Get gives a published file by its path, or ErrNotFound. The bytes are shared: they must not be changed.
func (l *Log) Get(ctx context.Context, path string) ([]byte, error) {
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
	read, bodies := tlog.ParsePath, strings.HasPrefix(path, "body/")
	if bodies {
		read = tlog.ParseBodyPath
	}
	t, err := read(path)
	if err != nil || !t.In(head.Size) {
		return nil, ErrNotFound
	}
	if b, ok := l.kept(path); ok {
		return b, nil
	}
	select {
	case l.busy <- struct{}{}:
		defer func() { <-l.busy }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	b, err := l.make(ctx, t, bodies)
	if err == nil && !bodies && t.Whole() {
		l.keep(path, b)
	}
	return b, err
}

func (l *Log) make(ctx context.Context, t tlog.Tile, bodies bool) ([]byte, error) {
	if t.Level != tlog.Entries {
		return tlog.HashTile(t, l.cfg.Journal.Hashes(ctx))
	}
	first, count := t.Leaves()
	leaves, err := l.cfg.Journal.Leaves(ctx, first, count)
	if err != nil {
		return nil, err
	}
	if len(leaves) != count {
		return nil, fmt.Errorf("the log ends at leaf %d, below its published checkpoint", first+int64(len(leaves)))
	}
	if bodies {
		return tlog.EncodeBodies(l.shown(leaves)), nil
	}
	raw := make([][]byte, count)
	for i, f := range leaves {
		raw[i] = f.Leaf.Encode()
	}
	return tlog.EncodeEntries(raw)
}

func (l *Log) kept(path string) ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.full[path]
	return b, ok
}

func (l *Log) keep(path string, b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.full[path]; ok {
		return
	}
	l.full[path], l.order = b, append(l.order, path)
	if len(l.order) > keepFull {
		delete(l.full, l.order[0])
		l.order = l.order[1:]
	}
}
