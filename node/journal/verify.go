package journal

import (
	"context"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/store"
)

// Verify reads the whole log and computes every hash and the root again. It holds only what
// the tree's levels need, and may run beside writers: what they add is not looked at.
func (j *Journal) Verify(ctx context.Context) (tlog.Head, error) {
	head, _, err := j.storedHead(ctx)
	if err != nil {
		return head, err
	}
	top := map[int64]tlog.Hash{} // of each complete subtree that no larger one holds yet
	reader := tlog.ReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = top[x]
			delete(top, x)
		}
		return out, nil
	})
	rows := &pages{s: j.store, prefix: store.Prefix(kindLeaf)}
	for n := range head.Size {
		it, err := rows.next(ctx, leafKey(n))
		if err != nil {
			return head, err
		}
		r, err := decodeRow(n, it.Value)
		if err != nil {
			return head, err
		}
		if _, err := r.filed(n); err != nil {
			return head, err
		}
		first, computed, err := tlog.Append(n, r.leaf, reader)
		if err != nil {
			return head, err
		}
		if !slices.Equal(r.hashes, computed) {
			return head, fmt.Errorf("the hashes of log row %d are not what its leaf and those before it give", n)
		}
		last := len(computed) - 1
		top[first+int64(last)] = computed[last]
	}
	got, err := tlog.Root(head.Size, reader)
	if err != nil {
		return head, err
	}
	if got != head {
		return head, fmt.Errorf("log: the leaves give root %v at size %d, the head says %v", got.Root, head.Size, head.Root)
	}
	return head, nil
}

// pages walks rows in order.
type pages struct {
	s             store.Store
	prefix, after string
	page          []store.Item
}

// next returns the next row, which must have this key.
func (p *pages) next(ctx context.Context, key string) (store.Item, error) {
	if len(p.page) == 0 {
		var err error
		if p.page, err = p.s.Range(ctx, p.prefix, p.after, store.MaxLimit); err != nil {
			return store.Item{}, fmt.Errorf("read the log: %w", err)
		}
		if len(p.page) == 0 {
			return store.Item{}, fmt.Errorf("log: row %q is missing", key)
		}
		p.after = p.page[len(p.page)-1].Key
	}
	it := p.page[0]
	p.page = p.page[1:]
	if it.Key != key {
		return store.Item{}, fmt.Errorf("log: row %q is missing, %q follows", key, it.Key)
	}
	return it, nil
}
