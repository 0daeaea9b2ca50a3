package node_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/nodetest"
)

// A version of the roster comes into force while a vault is reshared, intents are proposed and people ask. Run with -race.
func TestConcurrentRosterAndReshare(t *testing.T) {
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	x := w.Newcomer()
	w.Join(a, x)
	w.Run("it has the charter", func() bool { _, _, ok := x.Circle.Roster(); return ok })
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	type lane struct {
		from, to *nodetest.Host
		session  bool
	}
	lanes := map[lane]chan nodetest.Parcel{}
	var clock atomic.Int64
	now := func() time.Time { return w.Now.Add(time.Duration(clock.Load())) }
	for _, from := range w.Hosts {
		for _, to := range w.Hosts {
			for _, odd := range []bool{false, true} {
				frames := make(chan nodetest.Parcel, 1<<14)
				lanes[lane{from, to, odd}] = frames
				wg.Go(func() {
					for {
						select {
						case <-ctx.Done():
							return
						case p := <-frames:
							p.To.Deliver(ctx, now(), p.From.Own.Identity, p.Frame)
						}
					}
				})
			}
		}
	}
	w.Send = func(p nodetest.Parcel) { lanes[lane{p.From, p.To, node.Session(p.Frame)}] <- p }
	sign := func(h *nodetest.Host, prepare func() (charter.Accepted, bool, error), may func(fresh bool) bool) {
		wg.Go(func() {
			for ; ctx.Err() == nil; time.Sleep(2 * time.Millisecond) {
				p, fresh, err := prepare()
				if err != nil || !may(fresh) {
					continue
				}
				if _, _, err := h.Circle.Accept(ctx, now(), p.Statement.Bytes(), h.Officer.Makes(t, p.Statement)); err == nil {
					return
				}
			}
		})
	}
	wish := nodetest.Wish(vault, 2, a, b, d)
	for _, h := range []*nodetest.Host{a, b, d} {
		sign(h, func() (charter.Accepted, bool, error) { return h.Circle.PrepareReshare(now(), wish) }, func(fresh bool) bool { return h == a || !fresh })
	}
	for _, h := range []*nodetest.Host{a, x, b, c, d} {
		sign(h, func() (charter.Accepted, bool, error) { return h.Circle.PrepareRoster(now(), "") }, func(fresh bool) bool { return h == a || !fresh })
	}
	settled := func() bool {
		for _, h := range w.Hosts {
			_, r, _ := h.Circle.Roster()
			if r.Version != 1 || h != x && !w.HeldBy(h, vault, 2, a, b, d) {
				return false
			}
		}
		return true
	}
	for turn := 0; !settled(); turn++ {
		if turn > 20_000 {
			t.Fatalf("not settled; log:\n%s", w.Tail())
		}
		clock.Add(int64(20 * time.Millisecond))
		for _, h := range w.Hosts {
			h.Tick(ctx, now())
			h.Keeper.Roots()
			h.Circle.Vaults()
			h.Circle.Fork()
			h.Circle.Reshares(vault)
		}
		time.Sleep(time.Millisecond)
	}
}
