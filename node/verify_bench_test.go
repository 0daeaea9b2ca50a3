package node_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/nodetest"
)

// long writes the logs of a circle that signed so much into folders, each with a heartbeat of every host after so many requests.
func long(t testing.TB, requests, every int) (folders []string, now time.Time) {
	t.Helper()
	w := nodetest.New(t, 3)
	w.Change = func(d *charter.Document) {
		for i := range d.Vaults {
			d.Vaults[i].Publish = true
		}
	}
	vault, addr := nodetest.Ready(w, 3)
	all := w.PublishAll()
	w.Prolong(all, vault, addr, requests, every)
	for _, p := range all {
		dir := filepath.Join(t.TempDir(), p.Name)
		if err := p.Write(dir); err != nil {
			t.Fatal(err)
		}
		folders = append(folders, dir)
	}
	return folders, w.Now
}

func fromFolders(folders []string) (out []verify.Source) {
	for _, dir := range folders {
		out = append(out, verify.Source{Name: dir, Fetch: func(path string) ([]byte, error) {
			b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path)))
			if errors.Is(err, os.ErrNotExist) {
				err = fmt.Errorf("%s: %w", path, verify.ErrNotThere)
			}
			return b, err
		}})
	}
	return out
}

func verifyLong(t testing.TB, folders []string, now time.Time, requests int) *verify.Report {
	t.Helper()
	r, err := verify.Verify(fromFolders(folders), verify.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if all := failures(r); len(all) > 0 {
		t.Fatalf("%d claims of honest logs fail:\n%s", len(all), strings.Join(all[:min(len(all), 5)], "\n"))
	}
	if len(r.Vaults) != 1 || r.Vaults[0].Signed != requests {
		t.Fatalf("%+v", r.Vaults)
	}
	return r
}

// What the benchmark verifies is honest, and as much as it says.
func TestVerifyLong(t *testing.T) {
	t.Parallel()
	folders, now := long(t, 60, 4)
	if r := verifyLong(t, folders, now, 60); r.Entries < 60*21 || r.Signatures < 60*6 {
		t.Errorf("%d entries, %d signatures", r.Entries, r.Signatures)
	}
}

// 100,000 entries over three logs, on one core: seconds, and the heap at its largest.
func BenchmarkVerify(b *testing.B) {
	const requests, every = 4310, 4
	folders, now := long(b, requests, every)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	debug.FreeOSMemory()
	stop := peak()
	b.ResetTimer()
	var r *verify.Report
	before := spent(b)
	for b.Loop() {
		r = verifyLong(b, folders, now, requests)
	}
	b.ReportMetric((spent(b)-before).Seconds()/float64(b.N), "cpu-s/op") // of the whole process, collecting garbage included
	b.ReportMetric(float64(stop())/(1<<20), "peak-MB")
	b.ReportMetric(float64(r.Entries), "entries")
	b.ReportMetric(float64(r.Signatures), "signatures")
}

// spent is the processor time of this process so far: what else runs on the machine does not count.
func spent(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak watches the heap until it is called: the most that it held, what is garbage included.
func peak() func() uint64 {
	done := make(chan struct{})
	var most uint64
	var all sync.WaitGroup
	all.Go(func() {
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return func() uint64 { close(done); all.Wait(); return most }
}
