package node_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/store"
)

// A hit is a crash of one host at the nth batch that puts a row of a kind.
type hit struct {
	host int
	kind string
	nth  int
	fate nodetest.Fate
}

func (b hit) String() string {
	side := map[nodetest.Fate]string{nodetest.CrashBefore: "before", nodetest.CrashAfter: "after", nodetest.Unknown: "at"}[b.fate]
	return fmt.Sprintf("node %d %s its %d of %s", b.host, side, b.nth, b.kind)
}

// strike makes the crash come, and reports later whether it did.
func (b hit) strike(s setting) (fell *bool) {
	fell = new(bool)
	seen := 0
	s.Fate = func(h *nodetest.Host, _ int, batch store.Batch) nodetest.Fate {
		if *fell || h != s.Hosts[b.host] || !slices.ContainsFunc(batch.Put, func(e store.Entry) bool { return strings.HasPrefix(e.Key, store.Prefix(b.kind)) }) {
			return nodetest.Live
		}
		if seen++; seen < b.nth {
			return nodetest.Live
		}
		*fell = true
		return b.fate
	}
	return fell
}

// The rows by which a node that was set back stands in an emergency again, and those that an epoch rests on which an emergency made: a node that dies before or after either is durable,
// or does not know which, has it afterwards as if nothing had been.
func TestRowsOfAnEmergencyUnderCrashes(t *testing.T) {
	t.Parallel()
	s := emergency(t, charter.SuiteEd25519)
	a, b, c, d := s.Hosts[0], s.Hosts[1], s.Hosts[2], s.Hosts[3]
	s.Downtime = 1000 * time.Hour
	s.Crash(c)
	s.Downtime = 5 * time.Second
	rows := s.Rows(b, "")
	r := s.declare()
	s.again(a, s.veto(r, 2))      // which ends nothing
	pass(s.World, 15*time.Second) // the peers are told of their logs
	for _, x := range []hit{      // counted anew; and the vetoes are here
		{1, "sos-stands", 1, nodetest.CrashBefore}, {1, "sos-stands", 1, nodetest.CrashAfter}, {1, "sos-stands", 1, nodetest.Unknown},
		{1, "sos-stands", 2, nodetest.CrashBefore}, {1, "sos-stands", 2, nodetest.CrashAfter},
	} {
		t.Run(x.String(), func(t *testing.T) { standsAgain(t, s, r, rows, x) })
	}

	s.Run("all have announced a key", func() bool { return len(s.places(a, r)) == 3 })
	id := s.activate(a)[0]
	s.Run("signed", func() bool { return s.activated(a, r, id) && s.activated(b, r, id) && s.activated(d, r, id) })
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if k := noteOf(p).Kind; k == ceremony.NoteFinal || k == ceremony.NoteFinalCert {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	for i := range 2 {
		s.again(b, s.contribution(r, id, i))
	}
	s.Run("all said FINAL", func() bool {
		return len(s.finalsOf(a, a)) == 1 && len(s.finalsOf(b, b)) == 1 && len(s.finalsOf(d, d)) == 1
	})
	for _, x := range []hit{ // who gave, who is lost and hears of it, who follows
		{0, "rescued", 1, nodetest.CrashBefore}, {0, "rescued", 1, nodetest.CrashAfter}, {0, "rescued", 1, nodetest.Unknown},
		{2, "rescued", 1, nodetest.CrashBefore}, {2, "rescued", 1, nodetest.CrashAfter},
		{3, "rescued", 1, nodetest.CrashBefore}, {3, "rescued", 1, nodetest.CrashAfter},
	} {
		t.Run(x.String(), func(t *testing.T) { restsOn(t, s, x) })
	}
}

// standsAgain has the second host come back from a copy of before the request, with a crash.
func standsAgain(t *testing.T, ready setting, r act.Request, rows []store.Item, x hit) {
	s := ready.copy(t, x.String())
	s.Downtime = 5 * time.Second
	a, b := s.Hosts[0], s.Hosts[1]
	fell := x.strike(s)
	s.Restore(b, rows)
	restored(t, s, b)
	row := func() []byte {
		if all := s.Rows(b, store.Prefix("sos-stands")); len(all) == 1 {
			return all[0].Value
		}
		return nil
	}
	answers := 0
	s.Run("it has the request and the veto, and stands", func() (done bool) {
		s.Act(b, func() {
			if k, err := b.Rescue.Docket(t.Context(), s.vault); err == nil {
				q, known := k.Case(r.ID)
				done = known && len(q.Vetoes()) == 1 && !k.Rolled()
			}
		})
		before := len(s.Queue)
		s.Act(b, func() {
			b.Deliver(t.Context(), s.Clock(b), a.Own.Identity, append([]byte{24}, asking(s.vault[:], r.ID[:], make([]byte, 32))...))
		})
		if !done && slices.ContainsFunc(s.Queue[min(before, len(s.Queue)):], func(p nodetest.Parcel) bool { return p.From == b && p.Frame[0] == 25 }) {
			answers++
		}
		return done && len(row()) == 8
	})
	if answers > 0 {
		t.Errorf("it answered %d times before it had the vetoes", answers)
	}
	if !*fell {
		t.Errorf("no such batch was written")
	}
	s.Fate = nil
	s.Crash(b)
	s.Run("back once more", func() bool { return b.Up })
	s.Act(b, func() {
		if k, err := b.Rescue.Docket(t.Context(), s.vault); err != nil || k.Rolled() {
			t.Errorf("it stands no more: %v", err)
		}
	})
}

// restsOn has the last words of new shares arrive, with a crash.
func restsOn(t *testing.T, ready setting, x hit) {
	s := ready.copy(t, x.String())
	s.Downtime = 5 * time.Second
	fell := x.strike(s)
	h := s.Hosts[x.host]
	s.Run("all know what the epoch rests on", func() bool {
		return s.All(func(h *nodetest.Host) bool { return h.Up && len(h.Keeper.Grounds()) == 1 && s.record(h).Rescued() })
	})
	if !*fell {
		t.Errorf("no such batch was written")
	}
	s.Fate = nil
	s.Crash(h)
	s.Run("back once more", func() bool { return h.Up })
	want := s.Hosts[1].Keeper.Grounds()[0]
	if got := h.Keeper.Grounds(); len(got) != 1 || got[0].ID() != want.ID() {
		t.Errorf("%d grounds after a restart, or others than %s has", len(got), s.Hosts[1].Own.Name)
	}
}
