package node_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/nodetest"
)

// A daemon delivers from one goroutine per peer and ticks from another, while people ask:
// several intents at once come to their signatures. Run with -race.
func TestConcurrentDelivery(t *testing.T) {
	for _, tier := range []string{charter.TierWarm, charter.TierHot} {
		t.Run(tier, func(t *testing.T) { concurrently(t, tier) })
	}
}

func concurrently(t *testing.T, tier string) {
	w := nodetest.New(t, 3)
	w.Tier = tier
	vault, addr := nodetest.Ready(w, 2)
	if tier == charter.TierHot {
		setting{w, vault, addr}.fill(2)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	type lane struct {
		from, to *nodetest.Host
		odd      bool // messages of sessions go two ways: they may overtake one another
	}
	lanes := map[lane]chan nodetest.Parcel{}
	var clock atomic.Int64
	now := func() time.Time { return w.Now.Add(time.Duration(clock.Load())) }
	for _, from := range w.Hosts {
		for _, to := range w.Hosts {
			for _, odd := range []bool{false, true} {
				frames := make(chan nodetest.Parcel, 4096)
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
	w.Send = func(p nodetest.Parcel) {
		last := p.Frame[len(p.Frame)-1]
		lanes[lane{p.From, p.To, node.Session(p.Frame) && p.Frame[0] > 1 && last%2 == 1}] <- p
	}
	var all []statement.Statement
	for nonce := range uint64(4) {
		s, n := w.Proposal(w.Intent(vault, addr, nonce))
		all = append(all, s)
		if _, err := w.Hosts[int(nonce)%3].Submit(ctx, now(), n); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range all {
		for i, a := range nodetest.Approvers {
			n := w.Vote(s, a, signet.Approve)
			wg.Go(func() {
				for ctx.Err() == nil {
					if _, err := w.Hosts[i].Submit(ctx, now(), n); err == nil {
						return
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
	}
	settled := func() bool {
		for _, s := range all {
			for _, h := range w.Hosts {
				if st := w.State(h, s.ID()); st != intent.Signed {
					return false
				}
			}
		}
		return true
	}
	// The clock moves with the work, not with the wall: 2 ms for each turn of all nodes.
	for turn := 0; !settled(); turn++ {
		if turn > 20_000 {
			t.Fatalf("the intents are not signed; log:\n%s", w.Tail())
		}
		clock.Add(int64(2 * time.Millisecond))
		for _, h := range w.Hosts {
			h.Tick(ctx, now())
			h.Sessions.Sessions()
			h.Desk.List()
			h.Keeper.Roots()
			h.Presign.Stats()
		}
		time.Sleep(time.Millisecond)
	}
}
