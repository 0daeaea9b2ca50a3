package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ostraka/ostraka/node/store"
)

var ctx = context.Background()

func openTest(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{Reserve: testReserve})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // some tests close it or break it on purpose
	return s
}

func put(key, value string) store.Batch {
	return store.Batch{Put: []store.Entry{{Key: key, Value: []byte(value)}}}
}

func mustCommit(t testing.TB, s *Store, b store.Batch) uint64 {
	t.Helper()
	rev, err := s.Commit(ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func until(cond func() bool) {
	for !cond() {
		runtime.Gosched()
	}
}

// 64 batches that wait together cost one transaction; those that fail do so alone.
func TestGroupCommit(t *testing.T) {
	s := openTest(t, t.TempDir()+"/s")
	rev := mustCommit(t, s, put("cas", "0"))
	before := s.groups.Load()
	s.hold = make(chan struct{})
	const n = 64
	errs := make([]error, n)
	var wins atomic.Int32
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			b := put(fmt.Sprint("k", i), "v")
			if i%2 == 1 { // half of them race for one record
				b.If = []store.Cond{{Key: "cas", Revision: rev}}
				b.Put = append(b.Put, store.Entry{Key: "cas", Value: fmt.Append(nil, i)})
			}
			_, errs[i] = s.Commit(ctx, b)
			if i%2 == 1 && errs[i] == nil {
				wins.Add(1)
			}
		})
	}
	until(func() bool { return len(s.queue) == n-1 })
	close(s.hold)
	wg.Wait()
	if got := s.groups.Load() - before; got != 1 {
		t.Errorf("%d batches took %d transactions, want 1", n, got)
	}
	if wins.Load() != 1 {
		t.Errorf("%d batches won one record", wins.Load())
	}
	for i, err := range errs {
		_, getErr := s.Get(ctx, fmt.Sprint("k", i))
		switch {
		case i%2 == 0 && err != nil:
			t.Errorf("batch %d failed with another: %v", i, err)
		case err != nil && !errors.Is(err, store.ErrConflict):
			t.Errorf("batch %d: %v", i, err)
		case (err == nil) != (getErr == nil):
			t.Errorf("batch %d: commit said %v, get says %v", i, err, getErr)
		}
	}
}

func TestWithdrawnWhileWaiting(t *testing.T) {
	s := openTest(t, t.TempDir()+"/s")
	s.hold = make(chan struct{})
	c, cancel := context.WithCancel(ctx)
	done := make(chan error)
	go func() { _, err := s.Commit(c, put("a", "1")); done <- err }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("commit: %v, want only the context's error", err)
	}
	close(s.hold)
	mustCommit(t, s, put("b", "1"))
	if _, err := s.Get(ctx, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("withdrawn batch: %v", err)
	}
}

func TestCancelledWhileWritingIsUnknown(t *testing.T) {
	s := openTest(t, t.TempDir()+"/s")
	tx, err := s.db.Begin(true) // the committer stops at its own Begin
	if err != nil {
		t.Fatal(err)
	}
	p := &pending{batch: put("a", "1"), reply: make(chan result, 1)}
	c, cancel := context.WithCancel(ctx)
	if err := s.enqueue(c, p); err != nil {
		t.Fatal(err)
	}
	until(func() bool { return p.owner.Load() == taken })
	cancel()
	if _, err := await(c, p); !errors.Is(err, store.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("await: %v, want ErrUnknown and the context's error", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	mustCommit(t, s, put("b", "1"))
	if _, err := s.Get(ctx, "a"); err != nil {
		t.Errorf("the batch was under way and is not there: %v", err)
	}
}

func used(t *testing.T, s *Store) (n int64) {
	t.Helper()
	for _, f := range []*os.File{s.file, s.disk.reserve} {
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

// On a disk of fixed size, ordinary batches end in ErrFull with nothing written, those
// with Reserve go on, and all is as before when there is space again.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir() + "/s"
	s := openTest(t, dir)
	budget := used(t, s) + 3*growStep
	s.disk.allocate = func(f *os.File, from, to int64) error {
		if used(t, s)+max(0, to-from) > budget {
			return &os.PathError{Op: "fallocate", Path: f.Name(), Err: syscall.ENOSPC}
		}
		return allocate(f, from, to)
	}
	written := 0
	var err error
	for ; err == nil; written++ {
		if written > 10_000 {
			t.Fatal("the disk is never full")
		}
		_, err = s.Commit(ctx, put(fmt.Sprint("fill/", written), strings.Repeat("x", 20_000)))
	}
	if written--; written < 10 {
		t.Fatalf("full after %d batches: %v", written, err)
	}
	if !errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrUnknown) {
		t.Fatalf("batch %d: %v, want ErrFull", written, err)
	}
	if _, err := s.Get(ctx, fmt.Sprint("fill/", written)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("refused record: %v", err)
	}
	vetoes := 0
	for ; s.disk.held == s.disk.want; vetoes++ { // free pages first, then the reserve
		if vetoes > 10_000 {
			t.Fatal("the reserve is never used")
		}
		b := put(fmt.Sprint("veto/", vetoes), strings.Repeat("v", 5000))
		b.Reserve = true
		mustCommit(t, s, b)
	}
	if _, err := s.Commit(ctx, put("greedy", strings.Repeat("x", 200_000))); !errors.Is(err, store.ErrFull) {
		t.Errorf("ordinary batch while the reserve is spent: %v, want ErrFull", err)
	}
	if _, err := s.Commit(ctx, store.Batch{Delete: []string{"fill/0", "fill/1"}}); err != nil {
		t.Errorf("deleting on a full disk: %v", err)
	}
	budget += 8 << 20
	mustCommit(t, s, put("greedy", strings.Repeat("x", 500_000)))
	if s.disk.held != s.disk.want {
		t.Errorf("reserve holds %d of %d bytes after space came back", s.disk.held, s.disk.want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir)
	if page, err := s.Range(ctx, "", "", store.MaxLimit); err != nil || len(page) != written+vetoes-1 {
		t.Errorf("after reopening: %d records, %v; want %d", len(page), err, written+vetoes-1)
	}
}

// The reserve is for thousands of refusals: each takes what it needs of it, and not a whole step.
func TestReserveLasts(t *testing.T) {
	s, err := Open(t.TempDir()+"/s", Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	budget := used(t, s)
	s.disk.allocate = func(f *os.File, from, to int64) error {
		if used(t, s)+max(0, to-from) > budget {
			return syscall.ENOSPC
		}
		return allocate(f, from, to)
	}
	const vetoes = 1000
	for i := range vetoes {
		b := put(fmt.Sprintf("veto/%04d", i), strings.Repeat("v", 2000))
		b.Reserve = true
		if _, err := s.Commit(ctx, b); err != nil {
			t.Fatalf("refusal %d of %d: %v", i, vetoes, err)
		}
	}
	if _, err := s.Commit(ctx, put("ordinary", strings.Repeat("x", 200_000))); !errors.Is(err, store.ErrFull) || !s.full.Load() {
		t.Errorf("ordinary batch beside a spent reserve: %v", err)
	}
	if s.Full() { // the disk itself has room
		t.Error("it stays full when there is room again")
	}
}

// A batch too large for the disk must not take the small ones of its group with it.
func TestFullDiskFailsOnlyTheLarge(t *testing.T) {
	s := openTest(t, t.TempDir()+"/s")
	mustCommit(t, s, put("a", "1"))
	s.disk.allocate = func(f *os.File, _, _ int64) error { return syscall.ENOSPC }
	s.hold = make(chan struct{})
	var small, large error
	var wg sync.WaitGroup
	wg.Go(func() { _, small = s.Commit(ctx, put("small", "x")) })
	wg.Go(func() { _, large = s.Commit(ctx, put("large", strings.Repeat("x", 1_000_000))) })
	until(func() bool { return len(s.queue) == 1 })
	close(s.hold)
	wg.Wait()
	if small != nil || !errors.Is(large, store.ErrFull) {
		t.Errorf("small: %v; large: %v, want ErrFull", small, large)
	}
}

func TestFillZeroKeepsWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, to := range []int64{2, 100_000} {
		if err := fillZero(f, to); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil || len(b) != 100_000 || string(b[:5]) != "data\x00" {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := openTest(b, b.TempDir()+"/s")
			var n atomic.Int64
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					for {
						i := n.Add(1)
						if i > int64(b.N) {
							return
						}
						if _, err := s.Commit(ctx, put(store.Key("bench", store.Number(uint64(i))), strings.Repeat("v", 200))); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}
