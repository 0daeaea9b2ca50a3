package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/store"
)

// Write makes an entry durable, or returns an error with nothing written. After
// store.ErrUnknown it may have been written; one-time tokens in it count as spent. An
// entry's leaves must have a kind and a time that tlog.Decode takes.
//
// A context that ends while the entry waits withdraws it; once it is being written the
// context has no say, since others stand in the same batch. In a log that is known to be
// damaged nothing is written.
func (j *Journal) Write(ctx context.Context, e Entry) error {
	if damage := j.Reading().Damage; damage != nil {
		return fmt.Errorf("%w: %w", ErrUnlogged, damage)
	}
	w := &write{ctx: ctx, e: e, woken: make(chan struct{})}
	j.queue.Lock()
	j.wait = append(j.wait, w)
	first := !j.led
	j.led = true
	j.queue.Unlock()
	if !first {
		<-w.woken
		if !w.leads {
			return w.err
		}
	}
	j.lead()
	return w.err
}

// lead writes one batch from the front of the queue: the leader's own entry is its first.
func (j *Journal) lead() {
	j.queue.Lock()
	group := j.take()
	j.queue.Unlock()
	for _, w := range group {
		w.err = store.ErrUnknown // what it is if the store panics
	}
	defer j.handOver(group)
	j.commit(slices.DeleteFunc(slices.Clone(group), func(w *write) bool {
		ended := w.ctx.Err()
		if ended != nil {
			w.err = ended
		}
		return ended != nil
	}))
}

// handOver wakes the group, and who leads next: the first in the queue.
func (j *Journal) handOver(group []*write) {
	j.queue.Lock()
	defer j.queue.Unlock()
	for _, w := range group {
		if !w.leads {
			close(w.woken)
		}
	}
	j.led = len(j.wait) > 0
	if j.led {
		j.wait[0].leads = true
		close(j.wait[0].woken)
	}
}

// take cuts the longest front of the queue that fits one batch. Entries that may use the
// reserve stand by themselves: others must not spend it beside them.
func (j *Journal) take() []*write {
	var g gauge
	n := 0
	for _, w := range j.wait {
		if fits := g.add(w.e); n > 0 && (!fits || w.e.Reserve != j.wait[0].e.Reserve) {
			break
		}
		n++
	}
	group := slices.Clone(j.wait[:n])
	j.wait = slices.Delete(j.wait, 0, n)
	return group
}

// A gauge measures a batch against the store's bounds.
type gauge struct {
	conds, writes, leaves, bytes int
	keys                         map[string]bool
}

// leafBytes is more than what a leaf adds besides its body: its row, with two hashes on average, and the key.
const leafBytes = 512

// add reports whether an entry fits beside those before it, and shares no key with them: it
// must see what they wrote.
func (g *gauge) add(e Entry) bool {
	if g.keys == nil {
		g.keys = map[string]bool{}
	}
	g.conds, g.writes, g.leaves = g.conds+len(e.If), g.writes+len(e.Put)+len(e.Delete), g.leaves+len(e.Leaves)
	for _, l := range e.Leaves {
		g.bytes += leafBytes + l.Body.Size()
	}
	own := map[string]bool{}
	for _, c := range e.If {
		own[c.Key] = true
	}
	for _, p := range e.Put {
		own[p.Key] = true
		g.bytes += len(p.Value)
	}
	for _, k := range e.Delete {
		own[k] = true
	}
	alone := true
	for k := range own {
		alone = alone && !g.keys[k]
		g.keys[k] = true
		g.bytes += 2 * len(k)
	}
	rows := g.writes + g.leaves + 1 // the head's
	return alone && g.conds < store.MaxConds && rows <= store.MaxWrites && g.bytes < store.MaxBytes/2
}

// commit writes a group at once. Whose condition fails is taken out; if the rest is refused
// for another reason, each of it goes alone: one entry never fails another.
func (j *Journal) commit(group []*write) {
	for len(group) > 0 {
		var all Entry
		for _, w := range group {
			all.Add(w.e)
		}
		err := j.append(context.WithoutCancel(group[0].ctx), all)
		if i := loser(group, err); i >= 0 {
			group[i].err = err
			group = slices.Delete(group, i, i+1)
			continue
		}
		if err != nil && len(group) > 1 && !errors.Is(err, store.ErrUnknown) {
			for _, w := range group {
				w.err = j.append(context.WithoutCancel(w.ctx), w.e)
			}
			return
		}
		for _, w := range group {
			w.err = err
		}
		return
	}
}

// loser finds whose condition a conflict names.
func loser(group []*write, err error) int {
	var conflict *store.ConflictError
	if !errors.As(err, &conflict) {
		return -1
	}
	return slices.IndexFunc(group, func(w *write) bool {
		return slices.ContainsFunc(w.e.If, func(c store.Cond) bool { return c.Key == conflict.Key })
	})
}

// append writes one entry with its leaves, the tree's new hashes and its new head. A head
// that is not the one in memory is read again, once: the entry's own conditions held, so
// the caller must not see a conflict.
func (j *Journal) append(ctx context.Context, e Entry) error {
	err := j.try(ctx, e)
	var conflict *store.ConflictError
	if errors.As(err, &conflict) && conflict.Key == keyHead {
		if err = j.try(ctx, e); errors.As(err, &conflict) && conflict.Key == keyHead {
			return fmt.Errorf("%w: somebody else writes it", ErrUnlogged)
		}
	}
	return err
}

func (j *Journal) try(ctx context.Context, e Entry) error {
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
	// Unless the store says that it wrote, or that it did not, only the store knows.
	j.broken = store.ErrUnknown
	rev, err := j.store.Commit(ctx, b)
	var conflict *store.ConflictError
	switch {
	case err == nil:
		j.head, j.rev, j.broken = head, rev, nil
		j.remember(fresh)
	case errors.As(err, &conflict) && conflict.Key != keyHead, errors.Is(err, store.ErrFull), errors.Is(err, store.ErrInvalid):
		j.broken = nil
	case ofLog(err):
		j.read.mu.Lock()
		defer j.read.mu.Unlock()
		j.read.harm(err)
		return fmt.Errorf("%w: %w", ErrUnlogged, j.read.state.Damage)
	}
	return err
}

// ofLog says that the store found a row of the log to be damaged.
func ofLog(err error) bool {
	var corrupt *store.CorruptError
	return errors.As(err, &corrupt) && (corrupt.Key == keyHead || strings.HasPrefix(corrupt.Key, store.Prefix(kindLeaf)))
}

// grow adds an entry's leaves to a copy of the tree.
func (j *Journal) grow(ctx context.Context, e Entry) (b store.Batch, head tlog.Head, fresh map[int64]tlog.Hash, err error) {
	b = store.Batch{
		If: append(slices.Clone(e.If), store.Cond{Key: keyHead, Revision: j.rev}), Put: slices.Clone(e.Put),
		Delete: e.Delete, Reserve: e.Reserve,
	}
	fresh = map[int64]tlog.Hash{}
	both := over(fresh, j.reader(ctx))
	size := j.head.Size
	for _, leaf := range e.Leaves {
		r := row{leaf: leaf.Leaf.Encode(), body: leaf.Body.Encode()}
		if _, err := r.filed(size); err != nil {
			return b, head, nil, fmt.Errorf("a leaf of kind %q could not be read again: %w", leaf.Kind, err)
		}
		first, hashes, err := tlog.Append(size, r.leaf, both)
		if err != nil {
			return b, head, nil, err
		}
		for i, h := range hashes {
			fresh[first+int64(i)] = h
		}
		r.hashes = hashes
		b.Put = append(b.Put, store.Entry{Key: leafKey(size), Value: r.encode()})
		size++
	}
	if head, err = tlog.Root(size, both); err != nil {
		return b, head, nil, err
	}
	b.Put = append(b.Put, store.Entry{Key: keyHead, Value: append(binary.BigEndian.AppendUint64(nil, uint64(size)), head.Root[:]...)})
	return b, head, fresh, nil
}

// over reads hashes that are not stored yet before those that are.
func over(fresh map[int64]tlog.Hash, stored tlog.Reader) tlog.Reader {
	return tlog.ReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
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
}

// maxRecent bounds the hashes held in memory; an append reads about as many as the tree has
// levels.
const maxRecent = 4096

func (j *Journal) remember(fresh map[int64]tlog.Hash) {
	if len(j.recent) > maxRecent {
		clear(j.recent)
	}
	for x, h := range fresh {
		j.recent[x] = h
	}
}
