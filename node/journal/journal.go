// Package journal is the node's only writer: what happened and the state that follows from
// it stand in one store transaction, or neither stands (product.md, trust rules 4 and 5).
//
// Locks: queue guards what waits to be written; whoever finds no leader leads, writes all
// that waits in one batch, and wakes the others. head belongs to the leader. A caller alone
// never waits for a goroutine, so the simulator may drive a journal step by step.
package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/store"
)

// Kinds of rows that the log consists of.
const (
	kindLeaf = "log-leaf" // log-leaf/<number>: the leaf
	kindHash = "log-hash" // log-hash/<index>: a node of the tree
	keyHead  = "log-head" // size ‖ root
)

// An Entry is one change of state and the leaves that tell of it.
type Entry struct {
	store.Batch
	Leaves []tlog.Leaf
}

// Add joins another entry to this one.
func (e *Entry) Add(o Entry) {
	e.If, e.Put, e.Delete = append(e.If, o.If...), append(e.Put, o.Put...), append(e.Delete, o.Delete...)
	e.Leaves, e.Reserve = append(e.Leaves, o.Leaves...), e.Reserve || o.Reserve
}

// A Journal writes entries. All methods may be called at the same time.
type Journal struct {
	store store.Store

	queue sync.Mutex
	wait  []*write
	leads bool

	head   tlog.Head           // of the leader
	rev    uint64              // revision of the head's row
	recent map[int64]tlog.Hash // hashes that later appends read again
	broken error               // the head in memory may not be the stored one
}

type write struct {
	ctx  context.Context
	e    Entry
	done chan struct{}
	err  error
}

// ErrUnlogged says that the log cannot be written, so nothing may be done.
var ErrUnlogged = errors.New("the log cannot be written, so nothing is done: see `ostraka doctor`")

// Open reads the log's head and checks it against the stored hashes.
func Open(ctx context.Context, s store.Store) (*Journal, error) {
	j := &Journal{store: s}
	if err := j.load(ctx); err != nil {
		return nil, err
	}
	return j, nil
}

// Store gives the store for reading. Writing past the journal is a bug.
func (j *Journal) Store() store.Store { return j.store }

// Head is the log's size and root as last written.
func (j *Journal) Head(ctx context.Context) (tlog.Head, error) {
	h, _, err := j.storedHead(ctx)
	return h, err
}

// Leaf reads one leaf, 0 ≤ n < size.
func (j *Journal) Leaf(ctx context.Context, n int64) (tlog.Leaf, error) {
	it, err := j.store.Get(ctx, leafKey(n))
	if err != nil {
		return tlog.Leaf{}, fmt.Errorf("read log leaf %d: %w", n, err)
	}
	return tlog.Decode(it.Value)
}

func (j *Journal) load(ctx context.Context) error {
	h, rev, err := j.storedHead(ctx)
	if err != nil {
		return err
	}
	j.recent = map[int64]tlog.Hash{}
	if h.Size > 0 {
		got, err := tlog.Root(h.Size, j.reader(ctx))
		if err != nil {
			return err
		}
		if got != h {
			return fmt.Errorf("log: the stored hashes give root %v at size %d, the head says %v: restore from a replica, do not repair by hand", got.Root, h.Size, h.Root)
		}
	}
	j.head, j.rev, j.broken = h, rev, nil
	return nil
}

func (j *Journal) storedHead(ctx context.Context) (tlog.Head, uint64, error) {
	it, err := j.store.Get(ctx, keyHead)
	if errors.Is(err, store.ErrNotFound) {
		return tlog.Head{}, 0, nil
	}
	if err != nil {
		return tlog.Head{}, 0, fmt.Errorf("read the log's head: %w", err)
	}
	if len(it.Value) != 8+len(tlog.Hash{}) {
		return tlog.Head{}, 0, fmt.Errorf("read the log's head: has %d bytes", len(it.Value))
	}
	return tlog.Head{Size: int64(binary.BigEndian.Uint64(it.Value)), Root: tlog.Hash(it.Value[8:])}, it.Revision, nil
}

// reader reads stored hashes, the freshest from memory.
func (j *Journal) reader(ctx context.Context) tlog.Reader {
	return tlog.ReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			if h, ok := j.recent[x]; ok {
				out[i] = h
				continue
			}
			it, err := j.store.Get(ctx, hashKey(x))
			if err != nil {
				return nil, fmt.Errorf("read log hash %d: %w", x, err)
			}
			if len(it.Value) != len(tlog.Hash{}) {
				return nil, fmt.Errorf("read log hash %d: has %d bytes", x, len(it.Value))
			}
			out[i] = tlog.Hash(it.Value)
			j.recent[x] = out[i]
		}
		return out, nil
	})
}

func leafKey(n int64) string { return store.Key(kindLeaf, store.Number(uint64(n))) }
func hashKey(n int64) string { return store.Key(kindHash, store.Number(uint64(n))) }

// Write makes an entry durable, or returns an error with nothing written. After
// store.ErrUnknown it may have been written; one-time tokens in it count as spent.
func (j *Journal) Write(ctx context.Context, e Entry) error {
	w := &write{ctx: ctx, e: e, done: make(chan struct{})}
	j.queue.Lock()
	j.wait = append(j.wait, w)
	if j.leads {
		j.queue.Unlock()
		<-w.done
		return w.err
	}
	j.leads = true
	for len(j.wait) > 0 {
		group := take(&j.wait)
		j.queue.Unlock()
		j.commit(group)
		for _, g := range group {
			close(g.done)
		}
		j.queue.Lock()
	}
	j.leads = false
	j.queue.Unlock()
	return w.err
}

// maxGroup bounds what is written at once: each leaf adds a row, about two hashes, and
// its entry's own rows.
const maxGroup = 60

// take cuts the longest front of the queue that fits one batch.
func take(queue *[]*write) []*write {
	n, rows := 0, 0
	for _, w := range *queue {
		rows += len(w.e.Put) + len(w.e.Delete) + len(w.e.If) + 4*len(w.e.Leaves)
		if n > 0 && (rows > maxGroup || touches((*queue)[:n], w)) {
			break
		}
		n++
	}
	group := slices.Clone((*queue)[:n])
	*queue = slices.Delete(*queue, 0, n)
	return group
}

// touches reports whether an entry shares a key with one of the group: it must then see
// what that one wrote.
func touches(group []*write, w *write) bool {
	keys := map[string]bool{}
	for _, k := range w.keys() {
		keys[k] = true
	}
	for _, g := range group {
		for _, k := range g.keys() {
			if keys[k] {
				return true
			}
		}
	}
	return false
}

func (w *write) keys() (ks []string) {
	for _, c := range w.e.If {
		ks = append(ks, c.Key)
	}
	for _, p := range w.e.Put {
		ks = append(ks, p.Key)
	}
	return append(ks, w.e.Delete...)
}

// commit writes a group at once; if any of it is refused, each of it alone.
func (j *Journal) commit(group []*write) {
	var all Entry
	for _, w := range group {
		all.Add(w.e)
	}
	err := j.append(group[0].ctx, all)
	if err != nil && len(group) > 1 && !errors.Is(err, store.ErrUnknown) {
		for _, w := range group {
			w.err = j.append(w.ctx, w.e)
		}
		return
	}
	for _, w := range group {
		w.err = err
	}
}

// append writes one entry with its leaves, the tree's new hashes and its new head.
func (j *Journal) append(ctx context.Context, e Entry) error {
	if j.broken != nil {
		if err := j.load(ctx); err != nil {
			return fmt.Errorf("%w: %w", ErrUnlogged, err)
		}
	}
	if len(e.Leaves) == 0 {
		_, err := j.store.Commit(ctx, e.Batch)
		return err
	}
	b, head, fresh, err := j.grow(ctx, e)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnlogged, err)
	}
	rev, err := j.store.Commit(ctx, b)
	var conflict *store.ConflictError
	switch {
	case err == nil:
		j.head, j.rev = head, rev
		j.remember(fresh)
		return nil
	case errors.Is(err, store.ErrUnknown), errors.As(err, &conflict) && conflict.Key == keyHead:
		j.broken = err
	}
	return err
}

// grow adds an entry's leaves to a copy of the tree.
func (j *Journal) grow(ctx context.Context, e Entry) (b store.Batch, head tlog.Head, fresh map[int64]tlog.Hash, err error) {
	b = store.Batch{
		If: append(slices.Clone(e.If), store.Cond{Key: keyHead, Revision: j.rev}), Put: slices.Clone(e.Put),
		Delete: e.Delete, Reserve: e.Reserve,
	}
	fresh = map[int64]tlog.Hash{}
	stored := j.reader(ctx)
	both := tlog.ReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			h, ok := fresh[x]
			if !ok {
				old, err := stored.ReadHashes([]int64{x})
				if err != nil {
					return nil, err
				}
				h = old[0]
			}
			out[i] = h
		}
		return out, nil
	})
	size := j.head.Size
	for _, leaf := range e.Leaves {
		raw := leaf.Encode()
		first, hashes, err := tlog.Append(size, raw, both)
		if err != nil {
			return b, head, nil, err
		}
		b.Put = append(b.Put, store.Entry{Key: leafKey(size), Value: raw})
		for i, h := range hashes {
			x := first + int64(i)
			fresh[x] = h
			b.Put = append(b.Put, store.Entry{Key: hashKey(x), Value: bytes32(h)})
		}
		size++
	}
	if head, err = tlog.Root(size, both); err != nil {
		return b, head, nil, err
	}
	b.Put = append(b.Put, store.Entry{Key: keyHead, Value: append(binary.BigEndian.AppendUint64(nil, uint64(size)), head.Root[:]...)})
	return b, head, fresh, nil
}

func bytes32(h tlog.Hash) []byte { return slices.Clone(h[:]) }

// remember keeps the hashes that appends are likely to read again, and not too many.
func (j *Journal) remember(fresh map[int64]tlog.Hash) {
	if len(j.recent) > 4096 {
		clear(j.recent)
	}
	for x, h := range fresh {
		j.recent[x] = h
	}
}
