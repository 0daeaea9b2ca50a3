package node_test

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// A node that cannot write what a peer gives it, since it stops, its replica lost the store, or the store does not say, gives no answer: a refusal would make
// every peer let go of a vote for good, and nobody would bring it again. Told once more, it takes it.
func TestUnansweredIsToldAgain(t *testing.T) {
	t.Parallel()
	base := prepare(t, 2, 2)
	for name, fate := range map[string]nodetest.Fate{"it stops": nodetest.Stopped, "another replica owns the store": nodetest.Fenced, "nobody knows": nodetest.Unknown, "its link is gone": nodetest.Live} {
		t.Run(name, func(t *testing.T) {
			s := base.copy(t, name)
			a, b := s.Hosts[0], s.Hosts[1]
			st, proposal := s.Proposal(s.Intent(s.vault, s.addr, 0))
			notes := []outbox.Note{proposal, s.Vote(st, nodetest.Approvers[0], signet.Approve)}
			for _, n := range notes {
				s.Fate = func(*nodetest.Host, int, store.Batch) nodetest.Fate { return fate }
				if v := s.answer(b, a, n, fate == nodetest.Live); v != 0 {
					t.Errorf("note of kind %#x is answered with %d", uint8(n.Kind), v)
				}
				if s.Fate = nil; fate == nodetest.Unknown {
					s.Crash(a)
					s.Start(a)
				}
				if v := s.answer(b, a, n, false); v != outbox.Taken {
					t.Fatalf("note of kind %#x, told again, is answered with %d", uint8(n.Kind), v)
				}
			}
			if v, err := a.Desk.Show(st.ID()); err != nil || len(v.Votes) != 1 {
				t.Errorf("%+v, %v", v.Votes, err)
			}
		})
	}
}

// answer is what a node says to a peer's note; 0: nothing. The connection may break while it looks at it.
func (s setting) answer(from, to *nodetest.Host, n outbox.Note, broken bool) (v outbox.Verdict) {
	s.Queue = nil
	ctx, cancel := context.WithCancel(context.Background())
	if broken {
		cancel()
	}
	defer cancel()
	s.Act(to, func() {
		to.Deliver(ctx, s.Clock(to), from.Own.Identity, append([]byte{nodetest.FrameNote}, n.Encode()...))
	})
	id := n.ID()
	i := slices.IndexFunc(s.Queue, func(p nodetest.Parcel) bool {
		return p.To == from && p.Frame[0] == nodetest.FrameVerdict && bytes.Equal(p.Frame[1:33], id[:])
	})
	if i >= 0 {
		v = outbox.Verdict(s.Queue[i].Frame[33])
	}
	return v
}
