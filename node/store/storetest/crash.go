package storetest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ostraka/ostraka/node/store"
)

// ChildEnv tells a test binary to be the process that is killed; its value is the
// store's folder.
const ChildEnv = "OSTRAKA_STORETEST_CHILD"

const childWorkers = 8

// Child writes without end if the environment asks for it, and never returns then. Each
// worker counts n upwards: batch n creates log/<w>/<n> and sets three counters to n.
// Each acknowledged batch is printed as "<w> <n>".
func Child(open func(dir string) (store.Store, error)) {
	dir := os.Getenv(ChildEnv)
	if dir == "" {
		return
	}
	s, err := open(dir)
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range childWorkers {
		wg.Go(func() {
			for n := next(s, w); ; n++ {
				if _, err := s.Commit(ctx, childBatch(w, n)); err != nil {
					fmt.Println("commit:", err)
					os.Exit(1)
				}
				mu.Lock()
				fmt.Println(w, n)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func childBatch(w int, n uint64) store.Batch {
	log := store.Key("log", store.Number(uint64(w)), store.Number(n))
	b := store.Batch{If: []store.Cond{store.Absent(log)}, Put: []store.Entry{{Key: log, Value: make([]byte, n%500)}}}
	for _, c := range []string{"a", "b", "c"} {
		b.Put = append(b.Put, store.Entry{Key: counter(c, w), Value: fmt.Append(nil, n)})
	}
	return b
}

func counter(c string, w int) string {
	return store.Key("counter", store.Name(c), store.Number(uint64(w)))
}

// next is the number after the last batch that worker w wrote.
func next(s store.Store, w int) uint64 {
	it, err := s.Get(ctx, counter("a", w))
	if err != nil {
		return 1
	}
	var n uint64
	if _, err := fmt.Sscan(string(it.Value), &n); err != nil {
		panic(err)
	}
	return n + 1
}

// Killed runs the child over dir and kills it after it has acknowledged acks batches
// (or when it dies by a failpoint in env). It returns the last number acknowledged to
// each worker.
func Killed(t *testing.T, dir string, acks int, env ...string) map[int]uint64 {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), ChildEnv+"="+dir), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acked := map[int]uint64{}
	lines := bufio.NewReader(out)
	for i := 0; ; i++ {
		if i == acks {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break // a line cut short was not acknowledged
		}
		var w int
		var n uint64
		if _, scanErr := fmt.Sscan(line, &w, &n); err != nil || scanErr != nil {
			t.Fatalf("child said %q (%v)", line, err)
		}
		acked[w] = n
	}
	_ = cmd.Wait() // it was killed
	return acked
}

// CheckKilled holds the store against what the child was told: every acknowledged
// batch is there, and no batch is half there.
func CheckKilled(t *testing.T, s store.Store, acked map[int]uint64) {
	t.Helper()
	for w := range childWorkers {
		last := next(s, w) - 1
		if last < acked[w] {
			t.Errorf("worker %d: batch %d was acknowledged, the store ends at %d", w, acked[w], last)
		}
		for _, c := range []string{"a", "b", "c"} {
			it, err := s.Get(ctx, counter(c, w))
			if last > 0 && (err != nil || string(it.Value) != fmt.Sprint(last)) {
				t.Errorf("worker %d: counter %s is %q, %v; counter a is %d", w, c, it.Value, err, last)
			}
		}
		n, prefix, after := uint64(0), store.Prefix("log", store.Number(uint64(w))), ""
		for {
			page, err := s.Range(ctx, prefix, after, store.MaxLimit)
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range page {
				n, after = n+1, it.Key
				if it.Key != prefix+string(store.Number(n)) {
					t.Fatalf("worker %d: log entry %d is %s", w, n, it.Key)
				}
			}
			if len(page) < store.MaxLimit {
				break
			}
		}
		if n != last {
			t.Errorf("worker %d: %d log entries, counters say %d", w, n, last)
		}
	}
}

func kill(t *testing.T, d Driver) {
	dir := filepath.Join(t.TempDir(), "s")
	all := map[int]uint64{}
	for round := range 10 {
		acks := []int{1, 40, 333, 9, 150}[round%5]
		maps.Copy(all, Killed(t, dir, acks))
		s := open(t, d, dir)
		CheckKilled(t, s, all)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// bitRot changes one byte of a closed store at a time. Then either opening or a read
// reports damage, or everything reads as it was: never a wrong or a missing record.
func bitRot(t *testing.T, d Driver) {
	dir := filepath.Join(t.TempDir(), "s")
	s := open(t, d, dir)
	expect := map[string]string{}
	for i := range 40 {
		var b store.Batch
		for j := range 8 {
			k, v := fmt.Sprintf("k/%d", (i*8+j)*7919%256), strings.Repeat("v", (i*j)%90)+fmt.Sprint(i)
			expect[k] = v
			b.Put = append(b.Put, store.Entry{Key: k, Value: []byte(v)})
		}
		commit(t, s, b)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	found := 0
	for _, file := range d.Files(dir) {
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range samples(rnd, whole) {
			rotten := append([]byte(nil), whole...)
			rotten[at] ^= 1 << rnd.IntN(8)
			if err := os.WriteFile(file, rotten, 0o600); err != nil {
				t.Fatal(err)
			}
			if rotShows(t, d, dir, expect, at) {
				found++
			}
		}
		if err := os.WriteFile(file, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if found == 0 {
		t.Error("no change was ever noticed")
	}
	if rotShows(t, d, dir, expect, -1) {
		t.Error("the sound store is called damaged")
	}
}

// samples picks bytes, most of them where something is written, and all of the first
// kilobyte of each such page's start region.
func samples(rnd *rand.Rand, b []byte) (at []int) {
	const page = 4096
	for start := 0; start < len(b); start += page {
		p := b[start:min(start+page, len(b))]
		if strings.Trim(string(p), "\x00") == "" {
			continue
		}
		for i := range min(96, len(p)) {
			at = append(at, start+i)
		}
		for range 40 {
			at = append(at, start+rnd.IntN(len(p)))
		}
	}
	rnd.Shuffle(len(at), func(i, j int) { at[i], at[j] = at[j], at[i] })
	return at[:min(len(at), 1200)]
}

func rotShows(t *testing.T, d Driver, dir string, expect map[string]string, at int) bool {
	t.Helper()
	s, err := d.Open(dir)
	if err != nil {
		if !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("byte %d: open: %v, want ErrCorrupt", at, err)
		}
		return true
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Errorf("byte %d: close: %v", at, err)
		}
	}()
	for k, v := range expect {
		it, err := s.Get(ctx, k)
		if errors.Is(err, store.ErrCorrupt) {
			return true
		}
		if err != nil || string(it.Value) != v {
			t.Errorf("byte %d: %s is %q, %v", at, k, it.Value, err)
		}
	}
	page, err := s.Range(ctx, "", "", store.MaxLimit)
	if err != nil || len(page) != len(expect) {
		t.Errorf("byte %d: range has %d records, %v; want %d", at, len(page), err, len(expect))
	}
	return false
}
