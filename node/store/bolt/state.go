package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ostraka/ostraka/node/store"
)

// formatVersion 1 had no transaction in its state record. A store of it is read, and written in this one.
const formatVersion = 2

// state is what the state record says of all others. It is written in every
// transaction, and compared with the records at Open: a record that is lost, stale or
// doubled shows, though each record left is sound.
type state struct {
	revision uint64 // of the last batch that wrote
	count    uint64 // of records
	sum      uint64 // of the records' checksums as numbers, mod 2⁶⁴
	tx       uint64 // bbolt's transaction that wrote it, as the meta page names it; 0: written by format 1
}

func (st state) add(sum uint64) state {
	st.count++
	st.sum += sum
	return st
}

func (st state) remove(sum uint64) state {
	st.count--
	st.sum -= sum
	return st
}

func sumOf(frame []byte) uint64 { return binary.BigEndian.Uint64(store.Checksum(frame)) }

// frame encodes: a frame (spec/store.md) whose revision is the format's version and
// whose value is revision ‖ count ‖ sum ‖ transaction, 8 bytes each.
func (st state) frame() []byte {
	v := binary.BigEndian.AppendUint64(nil, st.revision)
	v = binary.BigEndian.AppendUint64(v, st.count)
	v = binary.BigEndian.AppendUint64(v, st.sum)
	v = binary.BigEndian.AppendUint64(v, st.tx)
	return store.Frame(string(stateKey), formatVersion, v)
}

func parseState(frame []byte) (state, error) {
	v, version, err := store.Unframe(string(stateKey), frame)
	if err != nil {
		return state{}, err
	}
	want := 32
	switch version {
	case 1:
		want = 24
	case formatVersion:
	default:
		return state{}, fmt.Errorf("%w: format %d, not %d", store.ErrVersion, version, formatVersion)
	}
	if len(v) != want {
		return state{}, &store.CorruptError{Key: string(stateKey), Err: fmt.Errorf("has %d bytes, not %d", len(v), want)}
	}
	st := state{revision: binary.BigEndian.Uint64(v), count: binary.BigEndian.Uint64(v[8:]), sum: binary.BigEndian.Uint64(v[16:])}
	if version == formatVersion {
		if st.tx = binary.BigEndian.Uint64(v[24:]); st.tx == 0 {
			return state{}, &store.CorruptError{Key: string(stateKey), Err: errors.New("names no transaction")}
		}
	}
	return st, nil
}

// A tally reads all pairs of the bucket and compares the records with what the state
// record says of them.
type tally struct {
	found, said state
	hasState    bool
}

// count reads them all. Hashing them is most of an Open, so every processor has its part in it.
func count(r *pageReader) (tally, error) {
	type pair struct{ k, v []byte }
	pairs := make(chan pair, 64)
	tallies := make([]tally, runtime.GOMAXPROCS(0))
	errs := make([]error, len(tallies)+1)
	var failed atomic.Bool
	var wg sync.WaitGroup
	for i := range tallies {
		wg.Go(func() {
			for p := range pairs {
				if errs[i] != nil {
					continue
				}
				if errs[i] = tallies[i].take(p.k, p.v); errs[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	errs[len(tallies)] = r.records(func(k, v []byte) error {
		if failed.Load() {
			return errStopped
		}
		pairs <- pair{k, v}
		return nil
	})
	close(pairs)
	wg.Wait()
	var all tally
	for i, t := range tallies {
		if errs[i] != nil {
			return tally{}, errs[i]
		}
		all.merge(t)
	}
	return all, errs[len(tallies)]
}

var errStopped = errors.New("a record was found damaged")

func (t *tally) take(k, v []byte) (err error) {
	if bytes.Equal(k, stateKey) {
		t.hasState = true
		t.said, err = parseState(v)
		return err
	}
	key, ok := strings.CutPrefix(string(k), recordTag)
	if !ok {
		return fmt.Errorf("key %q is no record's", k)
	}
	_, rev, err := store.Unframe(key, v)
	if err != nil {
		return err
	}
	t.found.revision = max(t.found.revision, rev)
	t.found = t.found.add(sumOf(v))
	return nil
}

func (t *tally) merge(o tally) {
	t.found = state{revision: max(t.found.revision, o.found.revision), count: t.found.count + o.found.count, sum: t.found.sum + o.found.sum}
	if o.hasState {
		t.said, t.hasState = o.said, true
	}
}

func (t *tally) compare() (state, error) {
	f, s := t.found, t.said
	if !t.hasState {
		return s, errors.New("the state record is gone")
	}
	if f.count != s.count || f.sum != s.sum || f.revision > s.revision {
		return s, fmt.Errorf("holds %d records with sum %x up to revision %d, should hold %d with sum %x up to %d",
			f.count, f.sum, f.revision, s.count, s.sum, s.revision)
	}
	return s, nil
}

// newest says whether the state record is the one that the newest transaction wrote. A page number that was changed may lead to all of an earlier tree, whose pages are free and still
// whole: each record of it is sound, and its own state record says so.
func (st state) newest(tx uint64) error {
	if st.tx == 0 || st.tx == tx {
		return nil
	}
	return fmt.Errorf("its pages lead to what transaction %d wrote, and the newest is %d", st.tx, tx)
}

// named makes damage that has no record's name the file's.
func named(err error, path string) error {
	if err == nil || errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrVersion) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &store.CorruptError{Key: path, Err: err}
}

// guard turns a panic of bbolt over pages that went bad after Open, or a fault in the
// mapped file, into a *store.CorruptError that names the folder.
func guard(dir string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = &store.CorruptError{Key: dir, Err: fmt.Errorf("bbolt: %v", r)}
		}
	}()
	return f()
}
