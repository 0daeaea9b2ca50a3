package node_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
)

// A node whose disk is set back to before new shares were made, and whose operator has confirmed that it is the only copy: it learns of
// the epoch in force, and has no share of it.
func bare(t *testing.T, n, threshold int) (setting, *nodetest.Host) {
	t.Helper()
	s := prepare(t, n, threshold)
	h := s.Hosts[0]
	snap := s.Rows(h, "")
	refresh(t, s)
	pass(s.World, 15*time.Second) // the peers are told within 5 s
	s.Restore(h, snap)
	s.Run("the node is fenced", func() bool { return h.Fence.Fenced() != nil })
	pass(s.World, 15*time.Second) // an operator takes longer
	if _, err := h.ConfirmRestore(context.Background(), s.Clock(h)); err != nil {
		t.Fatal(err)
	}
	s.Run("it knows the epoch in force", func() bool { return h.Up && h.Fence.Fenced() == nil && s.Greeted() && s.in(1, s.Hosts...) })
	return s, h
}

// Such a node says so, allows nothing and makes no new shares, without filling the log; its operator is told of a way to a share that
// leads there.
func TestBackupOlderThanNewShares(t *testing.T) {
	t.Parallel()
	s, h := bare(t, 3, 2)
	look := func() {
		t.Helper()
		v := s.root(h)
		if v.Step != ceremony.StepBare || !strings.Contains(v.Bare, "no share of epoch 1") || !v.Proofs[h.Self()].IsZero() {
			t.Fatalf("step %q, %q; proved %v", v.Step, v.Bare, v.Proofs[h.Self()])
		}
		if want := strings.Join(nodetest.Names(s.Hosts[1:]...), ","); !strings.Contains(v.WayBack, "--committee "+want+" --threshold 2") {
			t.Errorf("the way back: %s", v.WayBack)
		}
	}
	look()
	// What its node does not prove any more is proved nowhere, though a day is not over: no address is given out that it cannot sign for.
	s.Run("its heartbeat leaves the share out", func() bool {
		return s.All(func(at *nodetest.Host) bool { return slices.Contains(s.root(at).Stale(s.Now), h.Own.Name) })
	})
	for _, at := range s.Hosts[1:] {
		if stale := s.root(at).Stale(s.Now); len(stale) != 1 {
			t.Errorf("%s finds %v stale", at.Own.Name, stale)
		}
	}
	s.Crash(s.Hosts[1])
	s.Run("it comes back", func() bool { return s.Hosts[1].Up && s.Greeted() })
	if stale := s.root(s.Hosts[1]).Stale(s.Now); len(stale) != 1 || stale[0] != h.Own.Name {
		t.Errorf("after a start %v are stale", stale)
	}
	s.Crash(h)
	s.Run("it is there again", func() bool { return h.Up && s.Greeted() })
	look()
	if err := h.Keeper.AskRefresh(context.Background(), s.Clock(h), s.vault, s.Suite); err == nil || !strings.Contains(err.Error(), "vault reshare") {
		t.Fatalf("new shares are asked for: %v", err)
	}
	s.wantNew(s.Hosts[1:]...)
	before := s.Log.Len()
	pass(s.World, 5*time.Minute)
	if n := strings.Count(s.Log.String()[before:], "node="+h.Own.Name); n > 60 {
		t.Errorf("%d lines of its log in 5 minutes", n)
	}
	if why := s.root(s.Hosts[1]).LastErr + s.root(s.Hosts[2]).LastErr; !strings.Contains(why, "holds no share of epoch 1") {
		t.Errorf("the others are told: %q", why)
	}
	st := s.Propose(s.vault, s.addr, 1)
	s.Approve(st)
	s.Run("signed by the two others", func() bool { return s.Signed(st) })
	v, err := h.Desk.Show(st.ID())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(v.Decisions, func(d decide.Decision) bool { return d.Operator == h.Own.Name })
	if i < 0 || v.Decisions[i].Verdict != intent.Deny || v.Decisions[i].Rule != decide.RuleShare {
		t.Errorf("its decision: %+v", v.Decisions)
	}
	s.SignReshareAll(nodetest.Wish(s.vault, 2, s.Hosts[1:]...), s.Hosts[1:]...)
	s.Run("the others hold it", func() bool {
		return s.All(func(o *nodetest.Host) bool { return s.HeldBy(o, s.vault, 2, s.Hosts[1:]...) })
	})
	s.SignReshareAll(nodetest.Wish(s.vault, 2, s.Hosts...), s.Hosts[1], s.Hosts[2], h)
	s.Run("all hold it", func() bool {
		return s.All(func(o *nodetest.Host) bool {
			return s.HeldBy(o, s.vault, 2, s.Hosts...) && s.root(o).Step == ceremony.StepReady
		})
	})
	s.Downtime = -1
	s.Crash(s.Hosts[1])
	st = s.Propose(s.vault, s.addr, 2)
	s.Approve(st)
	s.Run("signed with its new share", func() bool { return s.at(st, intent.Signed, h, s.Hosts[2]) })
}

// Who left a vault says so, with the epoch and when, over restarts and later epochs; and no more once it came back.
func TestWhoLeftSaysSo(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	h, rest := s.Hosts[0], s.Hosts[1:]
	if v := s.root(h); v.Step != ceremony.StepReady || v.Left.Epoch != 0 {
		t.Fatalf("before: %q, %+v", v.Step, v.Left)
	}
	s.SignReshareAll(nodetest.Wish(s.vault, 2, rest...), rest...)
	s.Run("the others hold it", func() bool {
		return s.All(func(o *nodetest.Host) bool { return s.HeldBy(o, s.vault, 2, rest...) })
	})
	left := s.root(h)
	at := left.Left.At
	if left.Step != ceremony.StepLeft || left.Left.Epoch != 1 || at.IsZero() || s.Now.Sub(at) > 10*time.Minute || s.root(rest[0]).Left.Epoch != 0 {
		t.Fatalf("it left: %q, %+v", left.Step, left.Left)
	}
	pass(s.World, 10*time.Minute)
	s.wantNew(rest...)
	s.Run("the others have new shares", func() bool { return s.in(2, s.Hosts...) })
	s.Crash(h)
	s.Run("it is there again", func() bool { return h.Up && s.Greeted() })
	if v := s.root(h); v.Step != ceremony.StepLeft || v.Left.Epoch != 1 || !v.Left.At.Equal(at.Truncate(time.Second)) {
		t.Errorf("an epoch later: %q, %+v; it left at %v", v.Step, v.Left, at)
	}
	s.SignReshareAll(nodetest.Wish(s.vault, 2, s.Hosts...), s.Hosts[1], s.Hosts[2], h)
	s.Run("all hold it", func() bool {
		return s.All(func(o *nodetest.Host) bool { return s.HeldBy(o, s.vault, 2, s.Hosts...) })
	})
	if v := s.root(h); v.Step != ceremony.StepReady || v.Left != (ceremony.Left{}) {
		t.Errorf("it came back: %q, %+v", v.Step, v.Left)
	}
}

// Where all shares are needed there is no way, and nobody is sent on one.
func TestBackupOlderThanNewSharesOfAll(t *testing.T) {
	t.Parallel()
	s, h := bare(t, 2, 2)
	v := s.root(h)
	if v.Step != ceremony.StepBare || !strings.Contains(v.WayBack, "2 shares are needed, the others have 1") {
		t.Fatalf("step %q: %s", v.Step, v.WayBack)
	}
}
