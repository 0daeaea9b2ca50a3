// Package memory is a store in memory, for tests and for the simulator: the same
// contract as a driver on disk, with crashes and failures that a test decides.
package memory

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/ostraka/ostraka/node/store"
)

// An Outcome is what happens to one batch.
type Outcome uint8

const (
	Write       Outcome = iota // as usual
	Full                       // ErrFull, nothing written; a batch with Reserve is written
	UnknownDone                // ErrUnknown, and it was written
	UnknownLost                // ErrUnknown, and nothing was written
)

// A Disk keeps records while stores over it come and go.
type Disk struct {
	mu       sync.Mutex
	items    map[string]store.Item
	keys     []string // of items, sorted
	revision uint64
	open     *Store
	fault    func(store.Batch) Outcome
}

// NewDisk makes an empty disk.
func NewDisk() *Disk { return &Disk{items: map[string]store.Item{}} }

// New makes a store over a disk of its own.
func New() *Store {
	s, err := NewDisk().Open()
	if err != nil {
		panic(fmt.Sprintf("memory: a new disk is open: %v", err)) // unreachable: nobody else has it
	}
	return s
}

// Open opens the disk; ErrLocked if it is open already.
func (d *Disk) Open() (*Store, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open != nil {
		return nil, fmt.Errorf("open memory store: %w", store.ErrLocked)
	}
	d.open = &Store{d: d}
	return d.open, nil
}

// Crash ends the open store as a kill would: its later calls return ErrClosed and the
// disk can be opened again. What Commit acknowledged stays.
func (d *Disk) Crash() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = nil
}

// SetFault lets decide choose the outcome of each later batch whose conditions hold;
// nil ends it. decide must not call the store.
func (d *Disk) SetFault(decide func(store.Batch) Outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = decide
}

// A Store is one opening of a disk.
type Store struct{ d *Disk }

var _ store.Store = (*Store)(nil)

// enter locks the disk, unless the store is closed or ctx has ended.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.d.mu.Lock()
	if s.d.open != s {
		s.d.mu.Unlock()
		return store.ErrClosed
	}
	return nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Item, error) {
	if err := store.CheckGet(key); err != nil {
		return store.Item{}, err
	}
	if err := s.enter(ctx); err != nil {
		return store.Item{}, err
	}
	defer s.d.mu.Unlock()
	it, ok := s.d.items[key]
	if !ok {
		return store.Item{}, store.ErrNotFound
	}
	it.Value = bytes.Clone(it.Value)
	return it, nil
}

// Range implements store.Store.
func (s *Store) Range(ctx context.Context, prefix, after string, limit int) ([]store.Item, error) {
	if err := store.CheckRange(prefix, after, limit); err != nil {
		return nil, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.d.mu.Unlock()
	i, exact := slices.BinarySearch(s.d.keys, max(prefix, after))
	if exact && after != "" {
		i++
	}
	var page []store.Item
	for _, k := range s.d.keys[i:] {
		if len(page) == limit || !strings.HasPrefix(k, prefix) {
			break
		}
		it := s.d.items[k]
		it.Value = bytes.Clone(it.Value)
		page = append(page, it)
	}
	return page, nil
}

// Snapshot implements store.Snapshotter.
func (s *Store) Snapshot(ctx context.Context, read func(store.Reader) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	d := NewDisk()
	d.keys, d.items, d.revision = slices.Clone(s.d.keys), maps.Clone(s.d.items), s.d.revision
	s.d.mu.Unlock()
	then, err := d.Open()
	if err != nil {
		return err
	}
	return read(then)
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	if err := b.Check(); err != nil {
		return 0, err
	}
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	d := s.d
	defer d.mu.Unlock()
	for _, c := range b.If {
		if d.items[c.Key].Revision != c.Revision {
			return 0, &store.ConflictError{Key: c.Key}
		}
	}
	if len(b.Put)+len(b.Delete) == 0 {
		return d.revision, nil
	}
	outcome := Write
	if d.fault != nil {
		outcome = d.fault(b)
	}
	switch {
	case outcome == Full && !b.Reserve:
		return 0, store.ErrFull
	case outcome == UnknownLost:
		return 0, store.ErrUnknown
	}
	d.apply(b)
	if outcome == UnknownDone {
		return 0, store.ErrUnknown
	}
	return d.revision, nil
}

func (d *Disk) apply(b store.Batch) {
	d.revision++
	for _, e := range b.Put {
		if i, found := slices.BinarySearch(d.keys, e.Key); !found {
			d.keys = slices.Insert(d.keys, i, e.Key)
		}
		d.items[e.Key] = store.Item{Key: e.Key, Value: append([]byte{}, e.Value...), Revision: d.revision}
	}
	for _, k := range b.Delete {
		if i, found := slices.BinarySearch(d.keys, k); found {
			d.keys = slices.Delete(d.keys, i, i+1)
			delete(d.items, k)
		}
	}
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if s.d.open == s {
		s.d.open = nil
	}
	return nil
}
