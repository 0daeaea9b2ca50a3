package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

func TestProposeApproveSign(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	vault, addr := nodetest.Make(w, 3)
	s := w.Propose(vault, addr, 0)
	w.Approve(s)
	w.Run("signed everywhere", func() bool { return w.Signed(s) })
	var raw []byte
	for i, h := range w.Hosts {
		v, err := h.Desk.Show(s.ID())
		if err != nil {
			t.Fatal(err)
		}
		signed, err := evm.ParseSigned(v.Raw)
		if err != nil {
			t.Fatal(err)
		}
		if signed.From.String() != addr.Address {
			t.Fatalf("node %d holds a transaction from %s, want %s", i, signed.From, addr.Address)
		}
		if i > 0 && !bytes.Equal(raw, v.Raw) {
			t.Fatalf("node %d holds another transaction", i)
		}
		raw = v.Raw
		if len(v.Decisions) != 3 {
			t.Fatalf("node %d knows %d decisions", i, len(v.Decisions))
		}
	}
	if w.Watch.Finals < 6 || w.Watch.Joins < 18 {
		t.Fatalf("the watch saw %d FINALs and %d joins: it does not look", w.Watch.Finals, w.Watch.Joins)
	}
}

// A node that was down during approvals gets them when it returns, and signing follows.
func TestNodeDownThenUp(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	vault, addr := nodetest.Ready(w, 3)
	w.Downtime = -1
	w.Crash(w.Hosts[2])
	s := w.Propose(vault, addr, 0)
	w.Approve(s)
	w.Try(time.Minute, func() bool { return false })
	v, err := w.Hosts[0].Desk.Show(s.ID())
	if err != nil {
		t.Fatal(err)
	}
	if v.State == intent.Signed || len(v.Awaited) != 1 || v.Awaited[0] != "operator-2" {
		t.Fatalf("state %s, awaited %v; want the third operator named", v.State, v.Awaited)
	}
	w.Start(w.Hosts[2]) // nothing but its disk is left
	w.Run("signed everywhere", func() bool { return w.Signed(s) })
}

// Every node may be restarted at any step of a key's making.
func TestRestartsDuringKeygen(t *testing.T) {
	t.Parallel()
	for stop := 5; stop < 60; stop += 9 {
		t.Run(fmt.Sprint(stop), func(t *testing.T) {
			w := nodetest.New(t, 3)
			w.Found()
			w.Downtime = 0
			steps := 0
			w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
				if steps++; steps == stop {
					w.Crash(w.Hosts[stop%3])
				}
				return []nodetest.Parcel{p}
			}
			id := w.Vault(2)
			addr := w.Account(id)
			s := w.Propose(id, addr, 0)
			w.Approve(s)
			w.Run("signed", func() bool { return w.Signed(s) })
		})
	}
}

func TestProofsOnDemand(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	vault, _ := nodetest.Ready(w, 2)
	w.Now = w.Now.Add(25 * time.Hour)
	v, _ := w.Hosts[1].Keeper.Root(vault, charter.SuiteECDSA)
	if got := v.Stale(w.Now); len(got) != 3 {
		t.Fatalf("stale %v, want all three", got)
	}
	if err := w.Hosts[1].Keeper.ProveAll(context.Background(), w.Now, vault, charter.SuiteECDSA); err != nil {
		t.Fatal(err)
	}
	stale := func(h *nodetest.Host) []string {
		v, _ := h.Keeper.Root(vault, charter.SuiteECDSA)
		return v.Stale(w.Now)
	}
	w.Run("all shares proved to who asked", func() bool { return len(stale(w.Hosts[1])) == 0 })
	// A proof answers one challenge: who did not ask learns nothing from it.
	if got := stale(w.Hosts[0]); len(got) != 2 {
		t.Fatalf("operator-0, who asked nobody, finds %v stale; want the two others", got)
	}
}

// Whatever a pinned peer sends, the node neither panics nor leaves its duties.
func FuzzDeliver(f *testing.F) {
	w := nodetest.New(f, 2)
	nodetest.Ready(w, 2)
	h, peer := w.Hosts[0], w.Hosts[1]
	f.Add([]byte{nodetest.FrameNote})
	f.Add(append([]byte{nodetest.FrameNote}, outbox.Note{Kind: 0x20, Fields: [][]byte{{1}, {2}}}.Encode()...))
	f.Add(append([]byte{nodetest.FrameVerdict}, make([]byte, 33)...))
	f.Add([]byte{nodetest.FrameDecline, 0, 1})
	for kind := byte(1); kind <= 3; kind++ {
		f.Add([]byte{kind, 0, 1, 0, 0, 0, 0})
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		h.Deliver(context.Background(), w.Now, peer.Own.Identity, frame)
		w.Queue = nil
		if _, err := h.Journal.Head(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}

// A node was away while an intent lived to which nobody answered. What was said of it can never be taken there: the others end that, once the
// intent is over for an hour, and not before.
func TestNotesOfAnIntentThatOneNodeNeverSaw(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	vault, addr := nodetest.Ready(w, 2)
	away := w.Hosts[2]
	w.Downtime = -1
	w.Crash(away)
	s, proposal := w.Proposal(w.Intent(vault, addr, 0))
	vote := w.Vote(s, nodetest.Approvers[0], signet.Approve)
	for _, n := range []outbox.Note{proposal, vote} {
		if _, err := w.Submit(n); err != nil {
			t.Fatal(err)
		}
	}
	w.Deliver()
	w.Now = w.Now.Add(nodetest.Life)
	w.Start(away)
	w.Try(5*time.Minute, func() bool { return false })
	if awaited(w) == 0 {
		t.Error("nothing waits: this test shows nothing")
	}
	w.Now = w.Now.Add(time.Hour)
	id, to := s.ID(), away.Self()
	for _, n := range []outbox.Note{proposal, vote, {Kind: decide.NoteSigned, Fields: [][]byte{id[:], {1}}}} {
		if d := w.Hosts[0].Desk; !d.Lacks(w.Now, to, n) || d.Lacks(w.Now.Add(-30*time.Minute), to, n) || away.Desk.Lacks(w.Now, w.Hosts[0].Self(), n) {
			t.Errorf("kind %#x: something may come of it, or nothing half an hour ago, or where the intent is not known", uint8(n.Kind))
		}
	}
	w.Run("nothing waits for the node that was away", func() bool { return awaited(w) == 0 })
	if got := len(w.Rows(w.Hosts[0], "outbox/")) + len(w.Rows(w.Hosts[0], "note/")); got != 0 {
		t.Errorf("%d rows are left", got)
	}
	if _, err := away.Desk.Show(id); !errors.Is(err, decide.ErrUnknown) {
		t.Errorf("the node that was away took it: %v", err)
	}
}

// awaited counts the notes that are on their way.
func awaited(w *nodetest.World) (n int) {
	for _, h := range w.Hosts {
		for _, o := range w.Hosts {
			n += h.Outbox.Waiting(o.Self())
		}
	}
	return n
}
