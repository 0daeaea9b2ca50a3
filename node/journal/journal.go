// Package journal is the node's only writer: what happened and the state that follows from
// it stand in one store transaction, or neither stands (product.md, trust rules 4 and 5;
// spec/log).
//
// Locks: queue guards what waits to be written. Whoever finds no leader leads: it writes what
// waits in one batch, its own entry first, and hands the lead to the first that came
// meanwhile. The fields from head on belong to the leader. A caller alone never waits for a
// goroutine, so the simulator may drive a journal step by step.
package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/store"
)

// Kinds of rows that the log consists of.
const (
	kindLeaf = "log"      // log/<number>: a leaf, its body, the hashes that it completes
	keyHead  = "log-head" // size ‖ root

	maxSize = 1 << 48 // leaves
)

// An Entry is one change of state and the leaves that tell of it.
type Entry struct {
	store.Batch
	Leaves []tlog.Filed
}

// Add joins another entry to this one.
func (e *Entry) Add(o Entry) {
	e.If, e.Put, e.Delete = append(e.If, o.If...), append(e.Put, o.Put...), append(e.Delete, o.Delete...)
	e.Leaves, e.Reserve = append(e.Leaves, o.Leaves...), e.Reserve || o.Reserve
}

// A Journal writes entries. All methods may be called at the same time.
type Journal struct {
	store store.Store
	read  reading

	queue sync.Mutex
	wait  []*write
	led   bool // somebody leads

	head   tlog.Head           // of the leader
	rev    uint64              // revision of the head's row
	recent map[int64]tlog.Hash // hashes that later appends read again
	broken error               // the head in memory may not be the stored one
}

type write struct {
	ctx   context.Context
	e     Entry
	woken chan struct{} // closed when the entry is dealt with, or it is our turn to lead
	leads bool
	err   error
}

// ErrUnlogged says that the log cannot be written, so nothing may be done.
var ErrUnlogged = errors.New("the log cannot be written, so nothing is done: see `ostraka doctor`")

// Open reads the log's head and checks it against the stored hashes. Damage anywhere else shows when the log is read through: ReadOn.
func Open(ctx context.Context, s store.Store) (*Journal, error) {
	if err := oldForm(ctx, s); err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	j := &Journal{store: s, read: reading{begun: true}}
	if err := j.load(ctx); err != nil {
		return nil, damaged(err)
	}
	return j, nil
}

// Store gives the store for reading. Writing past the journal is a bug.
func (j *Journal) Store() store.Store { return j.store }

// Head is the log's size and root as last written; tlog.Empty before the first leaf.
func (j *Journal) Head(ctx context.Context) (tlog.Head, error) {
	h, _, err := j.storedHead(ctx)
	return h, err
}

// HeadAt is the head that the log had when it was of this size, 0 ≤ size ≤ that of Head.
func (j *Journal) HeadAt(ctx context.Context, size int64) (tlog.Head, error) {
	return tlog.Root(size, j.Hashes(ctx))
}

// Hashes reads the stored hashes of the tree. Rows are read once: a reader serves one question.
func (j *Journal) Hashes(ctx context.Context) tlog.Reader {
	rows := map[int64]row{}
	return tlog.ReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			n, level := tlog.Completes(x)
			r, ok := rows[n]
			if !ok {
				var err error
				if r, err = j.row(ctx, n); err != nil {
					return nil, err
				}
				r.body = nil
				rows[n] = r
			}
			if level >= len(r.hashes) {
				return nil, fmt.Errorf("read the log: row %d holds %d hashes, not %d", n, len(r.hashes), level+1)
			}
			out[i] = r.hashes[level]
		}
		return out, nil
	})
}

func (j *Journal) row(ctx context.Context, n int64) (row, error) {
	it, err := j.store.Get(ctx, leafKey(n))
	if err != nil {
		return row{}, fmt.Errorf("read log leaf %d: %w", n, err)
	}
	return decodeRow(n, it.Value)
}

// Leaf reads one leaf with its body, 0 ≤ n < size.
func (j *Journal) Leaf(ctx context.Context, n int64) (tlog.Filed, error) {
	r, err := j.row(ctx, n)
	if err != nil {
		return tlog.Filed{}, err
	}
	return r.filed(n)
}

// Leaves reads up to limit leaves with their bodies, from the first on; limit ≤ store.MaxLimit. Fewer mean that the log ends.
func (j *Journal) Leaves(ctx context.Context, first int64, limit int) ([]tlog.Filed, error) {
	after := store.Prefix(kindLeaf)
	if first > 0 {
		after = leafKey(first - 1)
	}
	items, err := j.store.Range(ctx, store.Prefix(kindLeaf), after, limit)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	out := make([]tlog.Filed, len(items))
	for i, it := range items {
		n := first + int64(i)
		if it.Key != leafKey(n) {
			return nil, fmt.Errorf("log: row %q is missing, %q follows", leafKey(n), it.Key)
		}
		r, err := decodeRow(n, it.Value)
		if err != nil {
			return nil, err
		}
		if out[i], err = r.filed(n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// load takes the stored head for ours. The hashes that it is made of must give its root.
func (j *Journal) load(ctx context.Context) error {
	h, rev, err := j.storedHead(ctx)
	if err != nil {
		return err
	}
	j.recent = map[int64]tlog.Hash{}
	got, err := tlog.Root(h.Size, j.reader(ctx))
	if err != nil {
		return err
	}
	if got != h {
		return fmt.Errorf("log: the stored hashes give root %v at size %d, the head says %v", got.Root, h.Size, h.Root)
	}
	// A head set back would let a second history grow over the first.
	switch _, err := j.store.Get(ctx, leafKey(h.Size)); {
	case err == nil:
		return fmt.Errorf("log: leaf %d lies past the head's size", h.Size)
	case !errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("read log leaf %d: %w", h.Size, err)
	}
	j.head, j.rev, j.broken = h, rev, nil
	return nil
}

func (j *Journal) storedHead(ctx context.Context) (tlog.Head, uint64, error) {
	it, err := j.store.Get(ctx, keyHead)
	if errors.Is(err, store.ErrNotFound) {
		return tlog.Empty, 0, nil
	}
	if err != nil {
		return tlog.Head{}, 0, fmt.Errorf("read the log's head: %w", err)
	}
	if len(it.Value) != 8+len(tlog.Hash{}) {
		return tlog.Head{}, 0, fmt.Errorf("read the log's head: has %d bytes, not %d", len(it.Value), 8+len(tlog.Hash{}))
	}
	size := binary.BigEndian.Uint64(it.Value)
	if size == 0 || size > maxSize {
		return tlog.Head{}, 0, fmt.Errorf("read the log's head: size %d is not 1 to 2⁴⁸", size)
	}
	return tlog.Head{Size: int64(size), Root: tlog.Hash(it.Value[8:])}, it.Revision, nil
}

// reader reads stored hashes, the freshest from memory.
func (j *Journal) reader(ctx context.Context) tlog.Reader {
	stored := j.Hashes(ctx)
	return tlog.ReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			if h, ok := j.recent[x]; ok {
				out[i] = h
				continue
			}
			h, err := stored.ReadHashes([]int64{x})
			if err != nil {
				return nil, err
			}
			out[i], j.recent[x] = h[0], h[0]
		}
		return out, nil
	})
}

func leafKey(n int64) string { return store.Key(kindLeaf, store.Number(uint64(n))) }
