package node_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/fence"
	"github.com/ostraka/ostraka/node/nodetest"
)

// A node that was restored, where nobody who remembers is there and a liar says that all is well, signs no checkpoint from its old state, and cosigns
// none: beside what the one out of reach holds that would be a fork, and it is honest.
func TestRestoredNodeForksNothing(t *testing.T) {
	t.Parallel()
	s := prepare(t, 3, 2)
	a, liar, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	ready := func() bool { return s.All(func(h *nodetest.Host) bool { return cosigned(h, 2) }) }
	s.Run("every log is cosigned by the others", ready)
	before, liars := s.Rows(a, ""), s.Rows(liar, "")
	_, old, _ := a.Witness.Checkpoint()
	for i := range 2 {
		st := s.Propose(s.vault, s.addr, uint64(i))
		s.Approve(st)
		s.Run("signed", func() bool { return s.Signed(st) })
	}
	s.Run("all is cosigned, the last too", ready)
	pass(s.World, 15*time.Second)
	seen, shown, _ := c.Witness.Checkpoint()
	s.Downtime = -1
	s.Crash(c)
	liar.Hostile = true
	s.Restore(a, before)
	s.Restore(liar, liars) // it holds nothing against a
	s.Run("the liar greets it", func() bool { return a.Fence.Wary(liar.Self()) == nil })
	pass(s.World, 15*time.Minute)
	if err := a.Fence.Fenced(); err != nil {
		t.Fatalf("nobody showed it that it was restored: %v", err)
	}
	if _, now, _ := a.Witness.Checkpoint(); now != old {
		t.Errorf("it signed its log at %d entries, and published %d before", now.Size, old.Size)
	}
	if status, _, _ := a.Cosign(context.Background(), s.Clock(a), tlog.Request{Old: shown.Size, Checkpoint: seen}.Encode()); status != 503 {
		t.Errorf("it cosigns: %d", status)
	}
	s.Start(c)
	s.Run("it is shown what it forgot", func() bool { return a.Fence.Fenced() != nil })
	pass(s.World, time.Minute)
	if f := c.Witness.Forks(); len(f) != 0 {
		t.Errorf("an honest node is accused: %v", f[0])
	}
}

// A node that starts while another is out of reach signs, as before; its log is signed once that one is back, after a day, or at its operator's word. One that runs on is
// not affected.
func TestLogOfWhoStartedWaits(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"the other comes back", "a day", "the operator's word"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := prepare(t, 3, 2)
			a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
			s.Run("every log is cosigned by the others", func() bool { return s.All(func(h *nodetest.Host) bool { return cosigned(h, 2) }) })
			if err := a.Fence.Vouch(s.Clock(a)); !errors.Is(err, fence.ErrSure) {
				t.Errorf("there is nothing to vouch for: %v", err)
			}
			s.Downtime = -1
			s.Crash(c)
			s.Now = s.Now.Add(time.Hour)
			s.Run("those that run on are cosigned", func() bool { return cosigned(a, 1) && cosigned(b, 1) })
			s.Crash(a)
			s.Start(a)
			st := s.Propose(s.vault, s.addr, 0)
			s.Approve(st)
			s.Run("the two sign", func() bool { return s.at(st, intent.Signed, a, b) })
			pass(s.World, time.Minute)
			var unsure *fence.UnsureError
			if _, made := a.Fence.Sure(s.Clock(a)), cosigned(a, 1); made || !errors.As(a.Fence.Sure(s.Clock(a)), &unsure) || unsure.Peer != c.Own.Name {
				t.Fatalf("it signed its log: %t; %v", made, unsure)
			}
			want := 1
			switch how {
			case "a day":
				s.Now = s.Now.Add(24 * time.Hour)
			case "the operator's word":
				if err := a.Fence.Vouch(s.Clock(a)); err != nil {
					t.Fatal(err)
				}
			default:
				s.Start(c)
				want = 2
			}
			s.Run("its log is signed", func() bool { return cosigned(a, want) && cosigned(b, want) })
		})
	}
}
