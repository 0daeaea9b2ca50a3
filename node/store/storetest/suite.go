package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ostraka/ostraka/node/store"
)

// A Driver says how to open stores of one kind.
type Driver struct {
	// Open opens the store that lives at dir, empty at first.
	Open func(dir string) (store.Store, error)

	// Unknown makes the next batch of s end in ErrUnknown, though it is written if
	// written is true. It returns false if the driver cannot.
	Unknown func(s store.Store, written bool) bool

	// Extra is what the store adds to each value, in bytes: so much less is there room for.
	Extra int

	// Costly says that a batch takes milliseconds of several processes: races are then run with fewer workers and keys.
	Costly bool

	// Files are the files at dir that hold records; every byte in them may rot. Nil:
	// the driver keeps nothing on disk, and kill and rot are not tested.
	Files func(dir string) []string
}

// Run runs the suite.
func Run(t *testing.T, d Driver) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Driver)
	}{
		{"GetPutDelete", getPutDelete},
		{"CreateIfAbsentHasOneWinner", oneWinner},
		{"CompareAndSwapLosesNothing", compareAndSwap},
		{"ConflictNamesKeyAndWritesNothing", conflict},
		{"BatchesAreAtomicToReaders", atomicToReaders},
		{"RangeOrderAndPages", ranges},
		{"Bounds", bounds},
		{"ValuesAreCopies", copies},
		{"ContextEnds", contextEnds},
		{"UnknownCountsAsSpent", unknown},
		{"Reopen", reopen},
		{"Locked", locked},
		{"Closed", closed},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, d) })
	}
	if d.Files != nil {
		t.Run("KillLosesNothing", func(t *testing.T) { kill(t, d) })
		t.Run("BitRotShows", func(t *testing.T) { bitRot(t, d) })
	}
}

var ctx = context.Background()

func open(t *testing.T, d Driver, dir string) store.Store {
	t.Helper()
	s, err := d.Open(dir)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() }) // closed twice where the test closes it
	return s
}

func fresh(t *testing.T, d Driver) store.Store { return open(t, d, t.TempDir()+"/s") }

func commit(t *testing.T, s store.Store, b store.Batch) uint64 {
	t.Helper()
	rev, err := s.Commit(ctx, b)
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return rev
}

func put(key, value string) store.Batch {
	return store.Batch{Put: []store.Entry{{Key: key, Value: []byte(value)}}}
}

func want(t *testing.T, s store.Store, key, value string, rev uint64) {
	t.Helper()
	it, err := s.Get(ctx, key)
	if err != nil || it.Key != key || string(it.Value) != value || it.Revision != rev {
		t.Errorf("get %q: %+v, %v; want %q at revision %d", key, it, err, value, rev)
	}
}

func wantNone(t *testing.T, s store.Store, key string) {
	t.Helper()
	if it, err := s.Get(ctx, key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get %q: %+v, %v; want ErrNotFound", key, it, err)
	}
}

func getPutDelete(t *testing.T, d Driver) {
	s := fresh(t, d)
	wantNone(t, s, "a")
	r1 := commit(t, s, put("a", "1"))
	if r1 < 1 {
		t.Errorf("first revision is %d", r1)
	}
	r2 := commit(t, s, store.Batch{Put: []store.Entry{{Key: "b", Value: nil}, {Key: "c", Value: []byte{0}}}})
	if r2 <= r1 {
		t.Errorf("revision %d after %d", r2, r1)
	}
	want(t, s, "a", "1", r1)
	want(t, s, "b", "", r2)
	want(t, s, "c", "\x00", r2)
	wantNone(t, s, "bb")
	r3 := commit(t, s, store.Batch{Put: []store.Entry{{Key: "a", Value: []byte("2")}}, Delete: []string{"b", "never"}})
	want(t, s, "a", "2", r3)
	wantNone(t, s, "b")
	if r4 := commit(t, s, put("b", "again")); r4 <= r2 {
		t.Errorf("b was deleted at %d and created at %d", r2, r4)
	}
	if r := commit(t, s, store.Batch{If: []store.Cond{{Key: "a", Revision: r3}, store.Absent("never")}}); r < r3 {
		t.Errorf("a batch that only checks returned revision %d", r)
	}
}

// One presignature, one burn, one setup: 32 workers want each of 200 keys.
func oneWinner(t *testing.T, d Driver) {
	s := fresh(t, d)
	keys, workers := 200, 32
	if d.Costly {
		keys, workers = 40, 8
	}
	wins, owner := make([]atomic.Int32, keys), make([]atomic.Int32, keys)
	parallel(t, workers, func(w int) error {
		for i := range keys {
			k := (i + w*7) % keys
			key := store.Key("token", store.Number(uint64(k)))
			_, err := s.Commit(ctx, store.Batch{If: []store.Cond{store.Absent(key)}, Put: []store.Entry{{Key: key, Value: fmt.Append(nil, w)}}})
			var c *store.ConflictError
			switch {
			case err == nil:
				wins[k].Add(1)
				owner[k].Store(int32(w))
			case !errors.As(err, &c) || c.Key != key:
				return err
			}
		}
		return nil
	})
	for k := range keys {
		if n := wins[k].Load(); n != 1 {
			t.Errorf("key %d has %d winners", k, n)
		}
		it, err := s.Get(ctx, store.Key("token", store.Number(uint64(k))))
		if err != nil || string(it.Value) != fmt.Sprint(owner[k].Load()) {
			t.Errorf("key %d holds %q, %v; won by %d", k, it.Value, err, owner[k].Load())
		}
	}
}

func parallel(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := f(i); err != nil {
				t.Errorf("worker %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

func compareAndSwap(t *testing.T, d Driver) {
	s := fresh(t, d)
	commit(t, s, put("n", ""))
	workers, each := 8, 25
	if d.Costly {
		workers, each = 4, 8
	}
	parallel(t, workers, func(int) error {
		for done := 0; done < each; {
			it, err := s.Get(ctx, "n")
			if err != nil {
				return err
			}
			_, err = s.Commit(ctx, store.Batch{If: []store.Cond{store.Unchanged(it)}, Put: []store.Entry{{Key: "n", Value: append(it.Value, 'x')}}})
			if err == nil {
				done++
			} else if !errors.Is(err, store.ErrConflict) {
				return err
			}
		}
		return nil
	})
	if it, err := s.Get(ctx, "n"); err != nil || len(it.Value) != workers*each {
		t.Errorf("%d of %d swaps are there, %v", len(it.Value), workers*each, err)
	}
}

func conflict(t *testing.T, d Driver) {
	s := fresh(t, d)
	rev := commit(t, s, put("a", "1"))
	for _, c := range []store.Cond{{Key: "a"}, {Key: "a", Revision: rev + 1}, {Key: "b", Revision: rev}} {
		_, err := s.Commit(ctx, store.Batch{
			If:     []store.Cond{{Key: "z"}, c},
			Put:    []store.Entry{{Key: "new", Value: []byte("x")}},
			Delete: []string{"a"},
		})
		var ce *store.ConflictError
		if !errors.As(err, &ce) || ce.Key != c.Key || !errors.Is(err, store.ErrConflict) {
			t.Errorf("condition %+v: %v, want a conflict on %q", c, err, c.Key)
		}
	}
	want(t, s, "a", "1", rev)
	wantNone(t, s, "new")

	r2 := commit(t, s, put("a", "1")) // same bytes, other revision
	if _, err := s.Commit(ctx, store.Batch{If: []store.Cond{{Key: "a", Revision: rev}}, Delete: []string{"a"}}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("condition on revision %d, now %d: %v", rev, r2, err)
	}
}

func atomicToReaders(t *testing.T, d Driver) {
	s := fresh(t, d)
	three := func(v string) store.Batch {
		var b store.Batch
		for _, k := range []string{"m/a", "m/b", "m/c"} {
			b.Put = append(b.Put, store.Entry{Key: k, Value: []byte(v)})
		}
		return b
	}
	commit(t, s, three("start"))
	parallel(t, 4, func(w int) error {
		for i := range 40 {
			if w == 0 {
				if _, err := s.Commit(ctx, three(fmt.Sprint(i))); err != nil {
					return err
				}
				continue
			}
			page, err := s.Range(ctx, "m/", "", 10)
			if err != nil {
				return err
			}
			if len(page) != 3 || !bytes.Equal(page[0].Value, page[2].Value) || page[0].Revision != page[1].Revision || page[0].Revision != page[2].Revision {
				return fmt.Errorf("read half a batch: %+v", page)
			}
		}
		return nil
	})
}

func ranges(t *testing.T, d Driver) {
	s := fresh(t, d)
	var b store.Batch
	for i := range 100 { // written in another order
		b.Put = append(b.Put, store.Entry{Key: store.Key("seen", store.Number(uint64(i*37%100)*1000)), Value: fmt.Append(nil, i*37%100)})
	}
	for _, k := range []string{"seem", "seen", "seen.", "seen0", "sefn/0"} {
		b.Put = append(b.Put, store.Entry{Key: k})
	}
	commit(t, s, b)
	for _, limit := range []int{1, 7, 100, 1024} {
		after, got := "", 0
		for {
			page, err := s.Range(ctx, "seen/", after, limit)
			if err != nil {
				t.Fatalf("range: %v", err)
			}
			for _, it := range page {
				if string(it.Value) != fmt.Sprint(got) || it.Key != store.Key("seen", store.Number(uint64(got)*1000)) {
					t.Fatalf("limit %d: item %d is %q=%q", limit, got, it.Key, it.Value)
				}
				got, after = got+1, it.Key
			}
			if len(page) < limit {
				break
			}
		}
		if got != 100 {
			t.Errorf("limit %d: %d items", limit, got)
		}
	}
	for _, c := range []struct {
		prefix, after string
		n             int
	}{
		{"", "", 105}, {"nothing/", "", 0}, {"seen", "", 103}, {"seen", "seen", 102}, {"seen/", "seen/zzz", 0}, {"seen/", "seen/" + "0000000000000bb8", 96},
		{"seen/", "seen/0000000000000bb8x", 96}, {"t", "", 0},
	} {
		if page, err := s.Range(ctx, c.prefix, c.after, 1024); err != nil || len(page) != c.n {
			t.Errorf("range %q after %q: %d items, %v; want %d", c.prefix, c.after, len(page), err, c.n)
		}
	}
}

func bounds(t *testing.T, d Driver) {
	s := fresh(t, d)
	puts := func(n, size int) (b store.Batch) {
		for i := range n {
			b.Put = append(b.Put, store.Entry{Key: fmt.Sprintf("k%04d", i), Value: make([]byte, size)})
		}
		return b
	}
	for name, b := range map[string]store.Batch{
		"too many writes":      puts(store.MaxWrites+1, 0),
		"too many conditions":  {If: make([]store.Cond, store.MaxConds+1)},
		"too many bytes":       puts(2, store.MaxBytes/2-d.Extra-4), // keys have 5 bytes
		"empty key":            put("", "x"),
		"empty condition":      {If: []store.Cond{{}}},
		"long key":             put(strings.Repeat("k", store.MaxKey+1), "x"),
		"key put twice":        {Put: []store.Entry{{Key: "a"}, {Key: "a"}}},
		"key put and deleted":  {Put: []store.Entry{{Key: "a"}}, Delete: []string{"a"}},
		"key deleted twice":    {Delete: []string{"a", "a"}},
		"key tested twice":     {If: []store.Cond{{Key: "a"}, {Key: "a", Revision: 1}}},
		"revision over 63 bit": {If: []store.Cond{{Key: "a", Revision: 1 << 63}}},
	} {
		if _, err := s.Commit(ctx, b); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if page, err := s.Range(ctx, "", "", 10); err != nil || len(page) != 0 {
		t.Errorf("refused batches left %d items, %v", len(page), err)
	}
	_, err := s.Get(ctx, "")
	if !errors.Is(err, store.ErrInvalid) {
		t.Errorf("get of an empty key: %v", err)
	}
	for _, limit := range []int{-1, 0, store.MaxLimit + 1} {
		if _, err := s.Range(ctx, "", "", limit); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("range with limit %d: %v", limit, err)
		}
	}
	if _, err := s.Range(ctx, "b", "a", 1); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("range after a key outside the prefix: %v", err)
	}

	commit(t, s, puts(store.MaxWrites, (store.MaxBytes-store.MaxWrites*(5+d.Extra))/store.MaxWrites))
	long := strings.Repeat("k", store.MaxKey)
	rev := commit(t, s, put(long, strings.Repeat("v", store.MaxBytes-store.MaxKey-d.Extra)))
	want(t, s, long, strings.Repeat("v", store.MaxBytes-store.MaxKey-d.Extra), rev)
	wantNone(t, s, long[1:])
	any := "\x00\xff/\n"
	want(t, s, any, "x", commit(t, s, put(any, "x")))
}

func copies(t *testing.T, d Driver) {
	s := fresh(t, d)
	v := []byte("value")
	rev := commit(t, s, store.Batch{Put: []store.Entry{{Key: "a", Value: v}}})
	clear(v)
	it, err := s.Get(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	clear(it.Value)
	page, err := s.Range(ctx, "a", "", 1)
	if err != nil || len(page) != 1 {
		t.Fatalf("range: %v, %v", page, err)
	}
	clear(page[0].Value)
	want(t, s, "a", "value", rev)
}

func contextEnds(t *testing.T, d Driver) {
	s := fresh(t, d)
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Commit(over, put("a", "1")); !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("commit: %v", err)
	}
	if _, err := s.Get(over, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v", err)
	}
	if _, err := s.Range(over, "", "", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("range: %v", err)
	}
	wantNone(t, s, "a")

	// Ended under way: whatever Commit says, what the store holds must agree with it.
	times := 30
	if d.Costly {
		times = 8
	}
	parallel(t, 8, func(w int) error {
		for i := range times {
			c, cancel := context.WithCancel(ctx)
			go cancel()
			key := fmt.Sprintf("k/%d/%d", w, i)
			_, err := s.Commit(c, put(key, "x"))
			cancel()
			_, getErr := s.Get(ctx, key)
			switch {
			case err == nil && getErr != nil:
				return fmt.Errorf("%s was acknowledged: %w", key, getErr)
			case err != nil && !errors.Is(err, context.Canceled):
				return err
			case err != nil && !errors.Is(err, store.ErrUnknown) && !errors.Is(getErr, store.ErrNotFound):
				return fmt.Errorf("%s was refused (%v) and is there", key, err)
			}
		}
		return nil
	})
}

// A token whose taking ended in ErrUnknown is spent, whether it was written or not:
// the taker must not use it, and nobody else gets it twice.
func unknown(t *testing.T, d Driver) {
	for _, written := range []bool{true, false} {
		s := fresh(t, d)
		take := store.Batch{If: []store.Cond{store.Absent("token/1")}, Put: []store.Entry{{Key: "token/1"}}}
		if !d.Unknown(s, written) {
			if written {
				t.Error("no driver knows the outcome always: a context may end under way")
			}
			continue
		}
		if _, err := s.Commit(ctx, take); !errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrConflict) {
			t.Fatalf("written %v: %v, want ErrUnknown", written, err)
		}
		wins := 0
		for range 2 {
			if _, err := s.Commit(ctx, take); err == nil {
				wins++
			} else if !errors.Is(err, store.ErrConflict) {
				t.Fatalf("written %v: %v", written, err)
			}
		}
		if most := map[bool]int{true: 0, false: 1}[written]; wins != most {
			t.Errorf("written %v: token taken %d times more, want %d", written, wins, most)
		}
	}
}

func reopen(t *testing.T, d Driver) {
	dir := t.TempDir() + "/s"
	s := open(t, d, dir)
	revs := map[string]uint64{}
	times := 300
	if d.Costly {
		times = 90
	}
	for i := range times {
		k := fmt.Sprintf("k/%d", i%60)
		revs[k] = commit(t, s, put(k, fmt.Sprint(k, strings.Repeat("v", i*11))))
	}
	commit(t, s, store.Batch{Delete: []string{"k/7"}})
	last := commit(t, s, put("last", ""))
	delete(revs, "k/7")
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		s = open(t, d, dir)
		for k, rev := range revs {
			if it, err := s.Get(ctx, k); err != nil || it.Revision != rev || !strings.HasPrefix(string(it.Value), k+"v") {
				t.Errorf("after reopening, %s: %+v, %v", k, it, err)
			}
		}
		wantNone(t, s, "k/7")
		if rev := commit(t, s, put("last", "")); rev <= last {
			t.Errorf("revision %d after %d", rev, last)
		} else {
			last = rev
		}
	}
}

func locked(t *testing.T, d Driver) {
	dir := t.TempDir() + "/s"
	s := open(t, d, dir)
	if _, err := d.Open(dir); !errors.Is(err, store.ErrLocked) {
		t.Errorf("second open: %v, want ErrLocked", err)
	}
	commit(t, s, put("a", "1"))
}

func closed(t *testing.T, d Driver) {
	s := fresh(t, d)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, getErr := s.Get(ctx, "a")
	_, rangeErr := s.Range(ctx, "", "", 1)
	_, commitErr := s.Commit(ctx, put("a", "1"))
	for what, err := range map[string]error{"get": getErr, "range": rangeErr, "commit": commitErr} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", what, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}

	s = fresh(t, d) // closed under load: every acknowledged batch was written, none hangs
	parallel(t, 9, func(w int) error {
		if w == 8 {
			return s.Close()
		}
		for i := range 50 {
			if _, err := s.Commit(ctx, put(fmt.Sprint(w, i), "")); err != nil {
				if errors.Is(err, store.ErrClosed) {
					return nil
				}
				return err
			}
		}
		return nil
	})
}
