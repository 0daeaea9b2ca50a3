package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"sync/atomic"

	bbolt "go.etcd.io/bbolt"

	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/node/store"
)

// Bounds of one group, so that a burst does not make one endless transaction.
const (
	maxGroup      = 256
	maxGroupBytes = 8 << 20
)

// How much of a page stays in it when it is split. Records that follow one another, as the log's leaves do, never come back to a page:
// what is left free there is lost. Records in no order do, and full pages would be split at each of them.
const (
	fillSequence = 1.0
	fillElse     = 0.75
)

// fill chooses by what most of a group's bytes are.
func fill(group []*pending) float64 {
	all, sequence, last := 0, 0, ""
	for _, p := range group {
		for _, e := range p.batch.Put {
			n := len(e.Key) + len(e.Value)
			all += n
			if follows(last, e.Key) {
				sequence += n
			}
			last = e.Key
		}
	}
	if sequence >= all*3/4 {
		return fillSequence
	}
	return fillElse
}

// follows says whether two keys differ in their last part alone, a number, which is the next.
func follows(last, key string) bool {
	const digits = 16
	end := len(key) - digits
	if end < 0 || len(last) != len(key) || last[:end] != key[:end] {
		return false
	}
	a, errA := strconv.ParseUint(last[end:], 16, 64)
	b, errB := strconv.ParseUint(key[end:], 16, 64)
	return errA == nil && errB == nil && b == a+1
}

// A pending batch is waiting, then either taken by the committer or withdrawn by its
// caller; whoever moves it first decides.
type pending struct {
	batch store.Batch
	owner atomic.Uint32
	reply chan result
}

const (
	waiting uint32 = iota
	taken
	withdrawn
)

type result struct {
	revision uint64
	err      error
}

// Commit implements store.Store. If ctx ends while the batch is being written, the
// outcome is unknown: the error is both ErrUnknown and the context's.
func (s *Store) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	if err := b.Check(); err != nil {
		return 0, err
	}
	if s.readOnly {
		return 0, &store.InvalidError{Reason: "it was opened for reading"}
	}
	p := &pending{batch: clone(b), reply: make(chan result, 1)}
	if err := s.enqueue(ctx, p); err != nil {
		return 0, err
	}
	return await(ctx, p)
}

func await(ctx context.Context, p *pending) (uint64, error) {
	select {
	case r := <-p.reply:
		return r.revision, r.err
	case <-ctx.Done():
		if p.owner.CompareAndSwap(waiting, withdrawn) {
			return 0, ctx.Err()
		}
		return 0, fmt.Errorf("%w: %w", store.ErrUnknown, ctx.Err())
	}
}

func (s *Store) enqueue(ctx context.Context, p *pending) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(); err != nil {
		return err
	}
	select {
	case s.queue <- p:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// clone copies what the caller may change after it has given up waiting.
func clone(b store.Batch) store.Batch {
	b.If, b.Delete, b.Put = slices.Clone(b.If), slices.Clone(b.Delete), slices.Clone(b.Put)
	for i := range b.Put {
		b.Put[i].Value = append([]byte{}, b.Put[i].Value...)
	}
	return b
}

// run is the committer: the only writer of the file.
func (s *Store) run() {
	defer close(s.done)
	for p := range s.queue {
		if s.hold != nil {
			<-s.hold
		}
		group := s.gather(p)
		if len(group) == 0 {
			continue
		}
		results := s.commitGroup(group)
		for i, p := range group {
			p.reply <- results[i]
		}
	}
}

// gather takes p and the batches behind it that are waiting now.
func (s *Store) gather(p *pending) (group []*pending) {
	size := 0
	for {
		if p.owner.CompareAndSwap(waiting, taken) {
			group = append(group, p)
			size += putBytes(p.batch)
		}
		if len(group) == maxGroup || size >= maxGroupBytes {
			return group
		}
		select {
		case next, ok := <-s.queue:
			if !ok {
				return group
			}
			p = next
		default:
			return group
		}
	}
}

func putBytes(b store.Batch) (n int) {
	for _, e := range b.Put {
		n += len(e.Key) + len(e.Value)
	}
	return n
}

// commitGroup writes the group in one transaction. If it does not fit on the disk, each
// batch is tried alone: the large one must not fail the small ones, and only those
// with Reserve may use the reserve.
func (s *Store) commitGroup(group []*pending) []result {
	results, err := s.write(group, false)
	if !errors.Is(err, store.ErrFull) {
		return results
	}
	results = nil
	for i := range group {
		r, err := s.write(group[i:i+1], false)
		if errors.Is(err, store.ErrFull) && group[i].batch.Reserve {
			r = s.writeFromReserve(group[i : i+1])
		}
		results = append(results, r...)
	}
	return results
}

// writeFromReserve writes a batch that may use the reserve: into what room the disk has left first, which ordinary batches may not take while
// the reserve is not whole, then into what the reserve gives up. Else each such batch would cost a whole step of it.
func (s *Store) writeFromReserve(one []*pending) []result {
	for {
		r, err := s.write(one, true)
		if !errors.Is(err, store.ErrFull) {
			return r
		}
		switch freed, err := s.disk.spend(); {
		case err != nil:
			return s.fail(one, err, false)
		case !freed:
			return r
		}
	}
}

// write judges and writes batches in one transaction. Its error is ErrFull, with
// nothing written and every result ErrFull, or nil; other errors stand in the results.
func (s *Store) write(group []*pending, reserve bool) (results []result, full error) {
	if e := s.failed.Load(); e != nil {
		return same(group, *e), nil
	}
	var tx *bbolt.Tx
	var next state
	err := guard(s.dir, func() (err error) {
		if tx, err = s.db.Begin(true); err != nil {
			return err
		}
		results, next, err = apply(tx, *s.state.Load(), group)
		return err
	})
	if err != nil {
		return s.fail(group, err, false), nil
	}
	if next == *s.state.Load() { // nothing to write
		_ = tx.Rollback()
		return results, nil
	}
	if err := s.makeRoom(tx.Size(), group, reserve); err != nil {
		_ = tx.Rollback()
		if errors.Is(err, store.ErrFull) {
			return s.noRoom(group, reserve, err)
		}
		return s.fail(group, err, false), nil
	}
	failpoint.Hit("bolt/commit/before")
	if err := guard(s.dir, tx.Commit); err != nil {
		if noSpace(err) && s.unchanged() {
			return s.noRoom(group, reserve, nil)
		}
		return s.fail(group, err, true), nil
	}
	failpoint.Hit("bolt/commit/after")
	s.state.Store(&next)
	s.groups.Add(1)
	return results, nil
}

// noRoom is the outcome of a group for which the disk, or the quota, has no space.
func (s *Store) noRoom(group []*pending, reserve bool, cause error) ([]result, error) {
	if !reserve {
		s.full.Store(true)
	}
	if errors.Is(cause, errQuota) {
		err := fmt.Errorf("%w: %w of %d bytes in %s is used up: have it raised, and the node goes on after its next start", store.ErrFull, errQuota, s.quota, s.dir)
		return same(group, err), err
	}
	err := fmt.Errorf("%w: the disk of %s has no room: make some, and the node goes on by itself", store.ErrFull, s.dir)
	return same(group, err), err
}

// makeRoom allocates space for the group. Batches that only delete are tried without:
// they make room, and mostly fit into pages that are free.
func (s *Store) makeRoom(size int64, group []*pending, reserve bool) error {
	bytes, puts, writes := 0, 0, 0
	for _, p := range group {
		bytes += putBytes(p.batch)
		puts += len(p.batch.Put)
		writes += len(p.batch.Put) + len(p.batch.Delete)
	}
	err := s.withinQuota(size, bytes, reserve)
	if err == nil {
		err = s.disk.ensure(size, bytes, writes, reserve)
	}
	if puts == 0 && errors.Is(err, store.ErrFull) {
		return nil
	}
	return err
}

var errQuota = errors.New("the quota")

// withinQuota says whether records may take so many bytes more. What is free inside the file is not used: erasing makes room. A batch with Reserve may go as
// far beyond as the reserve reaches, so that nobody can fill the disk with them either.
func (s *Store) withinQuota(size int64, bytes int, reserve bool) error {
	if s.quota == 0 {
		return nil
	}
	most := s.quota
	if reserve {
		most += s.disk.want
	}
	if used := size - int64(s.db.Stats().FreeAlloc); used+2*int64(bytes)+64<<10 > most {
		return fmt.Errorf("%w: %w", store.ErrFull, errQuota)
	}
	return nil
}

// noSpace tells whether a transaction ended because a write found no space. An fsync
// that reports no space is no such case: what it was to save may be gone.
func noSpace(err error) bool {
	var p *fs.PathError
	return errors.As(err, &p) && p.Op == "write" && isFull(err)
}

// unchanged tells whether the file still shows the state last committed.
func (s *Store) unchanged() bool {
	err := guard(s.dir, func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			st, err := parseState(tx.Bucket(bucketName).Get(stateKey))
			if err == nil && st != *s.state.Load() {
				err = errors.New("state has moved")
			}
			return err
		})
	})
	return err == nil
}

// fail makes the store refuse everything from now on. written tells whether the
// transaction had begun to write: then nobody knows what is on the disk.
func (s *Store) fail(group []*pending, cause error, written bool) []result {
	err := fmt.Errorf("%w after a fatal error in %s: %w", store.ErrClosed, s.dir, cause)
	if s.failed.CompareAndSwap(nil, &err) && s.told != nil {
		go s.told(err)
	}
	if written {
		return same(group, fmt.Errorf("%w: %w", store.ErrUnknown, err))
	}
	return same(group, err)
}

func same(group []*pending, err error) []result {
	return slices.Repeat([]result{{err: err}}, len(group))
}

// apply judges each batch against what stands before it in the transaction and writes
// those that hold. An error means that the transaction cannot be used.
func apply(tx *bbolt.Tx, st state, group []*pending) ([]result, state, error) {
	b := tx.Bucket(bucketName)
	if b == nil {
		return nil, st, errors.New("store has no records at all")
	}
	b.FillPercent = fill(group)
	before, results := st, make([]result, len(group))
	for i, p := range group {
		old, err := judge(b, p.batch)
		if err != nil {
			results[i].err = err
			continue
		}
		if len(p.batch.Put)+len(p.batch.Delete) > 0 {
			st.revision++
			if err := replace(b, &st, p.batch, old); err != nil {
				return nil, st, err
			}
		}
		results[i].revision = st.revision
	}
	if st == before {
		return results, st, nil
	}
	st.tx = uint64(tx.ID())
	return results, st, b.Put(stateKey, st.frame())
}

// judge tests the conditions and reads, soundly, what the batch will replace: old holds
// the checksums of the records that Put and Delete end.
func judge(b *bbolt.Bucket, batch store.Batch) (old []uint64, err error) {
	for _, c := range batch.If {
		r, err := lookup(b, c.Key)
		if err != nil {
			return nil, err
		}
		if r.revision != c.Revision {
			return nil, &store.ConflictError{Key: c.Key}
		}
	}
	keys := slices.Clone(batch.Delete)
	for _, e := range batch.Put {
		keys = append(keys, e.Key)
	}
	for _, k := range keys {
		r, err := lookup(b, k)
		if err != nil {
			return nil, err
		}
		if r.revision != 0 {
			old = append(old, r.sum)
		}
	}
	return old, nil
}

func replace(b *bbolt.Bucket, st *state, batch store.Batch, old []uint64) error {
	for _, sum := range old {
		*st = st.remove(sum)
	}
	for _, e := range batch.Put {
		frame := store.Frame(e.Key, st.revision, e.Value)
		if err := b.Put([]byte(recordTag+e.Key), frame); err != nil {
			return fmt.Errorf("put %q: %w", e.Key, err)
		}
		*st = st.add(sumOf(frame))
	}
	for _, k := range batch.Delete {
		if err := b.Delete([]byte(recordTag + k)); err != nil {
			return fmt.Errorf("delete %q: %w", k, err)
		}
	}
	return nil
}
