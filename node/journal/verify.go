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
	p, err := j.begin(ctx)
	if err != nil {
		return tlog.Head{}, err
	}
	_, err = p.step(ctx, p.head.Size)
	return p.head, err
}

// A pass is one reading of the whole log, as far as it has come.
type pass struct {
	head tlog.Head
	next int64
	rows *pages
	top  map[int64]tlog.Hash // of each complete subtree that no larger one holds yet
}

func (j *Journal) begin(ctx context.Context) (*pass, error) {
	head, _, err := j.storedHead(ctx)
	if err != nil {
		return nil, err
	}
	return &pass{head: head, rows: &pages{s: j.store, prefix: store.Prefix(kindLeaf)}, top: map[int64]tlog.Hash{}}, nil
}

// ReadHashes gives those of the subtrees on top, each once.
func (p *pass) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = p.top[x]
		delete(p.top, x)
	}
	return out, nil
}

// step reads so many rows more; done says that the log is whole.
func (p *pass) step(ctx context.Context, rows int64) (done bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	for end := min(p.head.Size, p.next+rows); p.next < end; p.next++ {
		if err := p.row(ctx, p.next); err != nil {
			return false, err
		}
	}
	if p.next < p.head.Size {
		return false, nil
	}
	got, err := tlog.Root(p.head.Size, p)
	if err != nil {
		return false, err
	}
	if got != p.head {
		return false, fmt.Errorf("log: the leaves give root %v at size %d, the head says %v", got.Root, p.head.Size, p.head.Root)
	}
	return true, nil
}

func (p *pass) row(ctx context.Context, n int64) error {
	it, err := p.rows.next(ctx, leafKey(n))
	if err != nil {
		return err
	}
	r, err := decodeRow(n, it.Value)
	if err != nil {
		return err
	}
	if _, err := r.filed(n); err != nil {
		return err
	}
	first, computed, err := tlog.Append(n, r.leaf, p)
	if err != nil {
		return err
	}
	if !slices.Equal(r.hashes, computed) {
		return fmt.Errorf("the hashes of log row %d are not what its leaf and those before it give", n)
	}
	last := len(computed) - 1
	p.top[first+int64(last)] = computed[last]
	return nil
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
		if p.page, err = p.s.Range(ctx, p.prefix, p.after, pageRows); err != nil {
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

// pageRows are read at once: 40 MB at most.
const pageRows = 64
