package nodetest

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/internal/cputime"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/bolt"
)

var vaults = flag.Int("vaults", 1000, "that BenchmarkVaults makes")

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkVaults tells what very many vaults cost a node that keeps its store on disk:
//
//	go test ./node/nodetest -run '^$' -bench Vaults -benchtime 1x -vaults 10000 -timeout 1h
//
// start: until it takes frames and signs; B/vault: the heap that an idle one takes; tick: there are five each second; cold and warm: a vault's first signature since the start,
// over three nodes in this process, and its next. cpu: of the one thread that does it, whatever else the machine does meanwhile; of a start, which uses all processors, of the
// whole process.
func BenchmarkVaults(b *testing.B) {
	for _, suite := range []string{charter.SuiteECDSA, charter.SuiteEd25519} {
		b.Run(suite, func(b *testing.B) {
			w := New(b, 3)
			w.Suite = suite
			like, _ := Ready(w, 2)
			all := w.Many(b.TempDir(), *vaults, like)
			for b.Loop() {
				w.figures(b, all)
			}
		})
	}
}

func (w *World) figures(b *testing.B, all []statement.ID) {
	b.Helper()
	measure := func(what string, times int, do func()) {
		var m cputime.Meter
		began := time.Now()
		m.Run(func() {
			for range times {
				do()
			}
		})
		b.ReportMetric(time.Since(began).Seconds()*1e3/float64(times), what+"-ms")
		b.ReportMetric(m.Best().Seconds()*1e3/float64(times), what+"-cpu-ms")
	}
	before := heap()
	began, used := time.Now(), cputime.Process()
	w.Start(w.Hosts[0])
	w.readLogs(b)
	b.ReportMetric((cputime.Process()-used).Seconds()*1e3, "start-cpu-ms")
	b.ReportMetric(time.Since(began).Seconds()*1e3, "start-ms")
	b.ReportMetric(float64(heap()-before)/float64(len(all)), "B/vault")
	w.Start(w.Hosts[1])
	w.Start(w.Hosts[2])
	w.readLogs(b)
	w.Greet()
	for range 50 { // until heartbeats are made and taken
		w.Deliver()
		w.Step(200 * time.Millisecond)
	}
	h := w.Hosts[0]
	measure("tick", 50, func() {
		w.Now = w.Now.Add(200 * time.Millisecond)
		h.Tick(context.Background(), w.Clock(h))
	})
	if w.Suite != charter.SuiteECDSA {
		return // its accounts are of a chain whose transactions nodetest does not make
	}
	last := all[len(all)-1]
	addr := w.Account(last)
	for nonce, what := range []string{"cold", "warm"} {
		measure(what, 1, func() {
			w.signs(last, func() statement.Statement { return w.Propose(last, addr, uint64(nonce)) })
		})
	}
}

func (w *World) readLogs(t testing.TB) {
	t.Helper()
	for _, h := range w.Hosts {
		for more := h.Up; more; {
			var err error
			if more, err = h.Journal.ReadOn(context.Background(), 1024); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (w *World) signs(vault statement.ID, propose func() statement.Statement) {
	w.T.Helper()
	s := propose()
	w.Approve(s)
	w.Run(fmt.Sprintf("vault %s signs", vault.Short()), func() bool {
		return w.All(func(h *Host) bool { return w.State(h, s.ID()) == intent.Signed })
	})
}

// TestManyVaults counts what a node does for vaults that nothing happens to.
func TestManyVaults(t *testing.T) {
	const n = statement.MaxShares + 4 // more than one heartbeat names
	w := New(t, 2)
	w.Change = func(d *charter.Document) { d.Heartbeat = time.Minute }
	like, _ := Ready(w, 2)
	all := w.Many(t.TempDir(), n, like)
	h, ctx := w.Hosts[0], context.Background()
	forged := spoil(t, w, h)
	before := h.Reads.Load()
	for _, h := range w.Hosts {
		w.Start(h)
	}
	if each := (h.Reads.Load() - before) / n; each > 24 {
		t.Errorf("a start reads %d times for each vault", each)
	}
	w.readLogs(t)
	w.Greet()
	began := w.Now
	fresh := func() bool {
		return w.All(func(o *Host) bool {
			for _, id := range all {
				v, _ := o.Keeper.Root(id, w.Suite)
				for _, p := range v.Parties {
					if v.Damage == nil && id != forged && !v.Proofs[p.ID].After(began) {
						return false
					}
				}
			}
			return true
		})
	}
	if !w.Try(2*time.Minute, fresh) {
		t.Fatal("not every share is proved in its turn:\n", w.Tail())
	}
	if v, _ := h.Keeper.Root(forged, w.Suite); v.Step != ceremony.StepDamaged || !strings.Contains(v.LastErr, "verify final certificate") {
		t.Errorf("a certificate that does not verify: step %q, %s", v.Step, v.LastErr)
	}
	w.Deliver()
	before = h.Reads.Load()
	for range 10 {
		w.Now = w.Now.Add(200 * time.Millisecond)
		h.Tick(ctx, w.Clock(h))
	}
	if reads := h.Reads.Load() - before; reads > 60 {
		t.Errorf("ten ticks at rest read %d times", reads)
	}
	for name, upkeep := range map[string]func(context.Context, time.Time) error{"sweep": h.Sweep, "housekeeping": h.Housekeep, "readiness": h.CheckReady} {
		before = h.Reads.Load()
		if err := upkeep(ctx, w.Clock(h)); err != nil {
			t.Error(err)
		}
		if reads := h.Reads.Load() - before; reads > 20 {
			t.Errorf("%s reads %d times", name, reads)
		}
	}
	last := all[n-1]
	addr := w.Account(last)
	w.signs(last, func() statement.Statement { return w.Propose(last, addr, 0) })
}

// spoil changes, on the disk of a host that is stopped, a signature of some vault's certificate in force that is not among the first.
func spoil(t *testing.T, w *World, h *Host) (vault statement.ID) {
	t.Helper()
	st, err := bolt.Open(h.Folder, bolt.Options{Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	ctx := context.Background()
	// Vaults are read in no fixed order: all but 64 are not among the first, so one of 65 is not.
	rows, err := st.Range(ctx, store.Prefix("vault"), "", 1)
	if err != nil || len(rows) != 1 {
		t.Fatal(err)
	}
	a, err := charter.DecodeAccepted(rows[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	vault = a.Statement.ID()
	key := epoch.KeyID(vault, w.Suite, 1)
	it, err := st.Get(ctx, store.Key("current", store.ID(key[:])))
	if err != nil {
		t.Fatal(err)
	}
	it.Value[len(it.Value)-1] ^= 1
	if _, err := st.Commit(ctx, store.Batch{Put: []store.Entry{{Key: it.Key, Value: it.Value}}}); err != nil {
		t.Fatal(err)
	}
	return vault
}
