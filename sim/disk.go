package sim

import (
	"context"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

type outcome uint8

const (
	written outcome = iota
	full
	unknownDone
	unknownLost
	lost // the node is dead already
)

// A Disk outlives the incarnations of its node. It keeps what was committed in order, so
// that a crash of a lazy disk, or a restored backup, can take the last of it away.
type Disk struct {
	log    []store.Batch
	synced int // batches that no crash takes away
	lazy   int
	disk   *memory.Disk
	view   *memory.Store
	decide func(store.Batch) outcome
}

func newDisk(lazy int) *Disk { return &Disk{disk: memory.NewDisk(), lazy: lazy} }

func (d *Disk) open() *memory.Store {
	s, err := d.disk.Open()
	if err != nil {
		panic(fmt.Sprintf("sim: open disk: %v", err)) // unreachable: one incarnation at a time
	}
	d.view = s
	d.disk.SetFault(func(b store.Batch) memory.Outcome {
		switch o := d.decide(b); o {
		case full:
			if !b.Reserve {
				return memory.Full
			}
		case unknownLost, lost:
			return memory.UnknownLost
		case unknownDone:
			d.note(b)
			return memory.UnknownDone
		}
		d.note(b)
		return memory.Write
	})
	return s
}

func (d *Disk) note(b store.Batch) {
	d.log = append(d.log, store.Batch{Put: cloneEntries(b.Put), Delete: slices.Clone(b.Delete)})
	if len(d.log)-d.synced > d.lazy {
		d.synced = len(d.log)
	}
}

func cloneEntries(in []store.Entry) []store.Entry {
	out := make([]store.Entry, len(in))
	for i, e := range in {
		out[i] = store.Entry{Key: e.Key, Value: slices.Clone(e.Value)}
	}
	return out
}

func (d *Disk) crash() {
	d.disk.Crash()
	if d.synced < len(d.log) {
		d.rewind(d.synced)
	}
}

// rewind makes the disk what it was after n batches, as a restored backup does. It is
// closed meanwhile.
func (d *Disk) rewind(n int) {
	d.log, d.synced = d.log[:n], n
	d.disk = memory.NewDisk()
	s, err := d.disk.Open()
	for _, b := range d.log {
		if err == nil {
			_, err = s.Commit(context.Background(), b)
		}
	}
	if err != nil {
		panic(fmt.Sprintf("sim: replay disk: %v", err)) // unreachable: the batches were good once
	}
	d.disk.Crash()
}

// Has reports whether a record is there and no crash could take it away. It works on
// disks of dead nodes too.
func (d *Disk) Has(key string) bool {
	for _, b := range slices.Backward(d.log[:d.synced]) {
		if slices.ContainsFunc(b.Put, func(e store.Entry) bool { return e.Key == key }) {
			return true
		}
		if slices.Contains(b.Delete, key) {
			return false
		}
	}
	return false
}

// A diskStore is the disk as one incarnation sees it.
type diskStore struct {
	store.Store
	h     *host
	lives func() bool
}

func (s *diskStore) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	if !s.lives() {
		return 0, store.ErrUnknown
	}
	before := len(s.h.disk.log)
	rev, err := s.Store.Commit(ctx, b)
	if len(s.h.disk.log) > before {
		s.h.w.see(Event{What: Committed, Node: s.h.id, Batch: b})
	}
	return rev, err
}
