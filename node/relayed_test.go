package node_test

import (
	"testing"
	"time"

	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/session"
)

// What operator-1's machine shows counts for its connection: nothing of a session that its key signed counts over the link of operator-2, whose own evidence
// is as good. Nobody is accused for it, and over its own link the next is signed.
func TestSessionOverAnothersLink(t *testing.T) {
	s := attests(t, 3, 3)
	a, bolt, cora := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	relayed := 0
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.From == bolt && p.To == a && p.Frame[0] <= byte(mpc.MessageFrame) {
			relayed++
			p.From = cora
		}
		return []nodetest.Parcel{p}
	}
	st := s.wants(0)
	if s.Try(nodetest.Patience, func() bool { return s.Signed(st) }) || relayed == 0 {
		t.Fatalf("signed with %d frames of operator-1 that came over operator-2's link", relayed)
	}
	for _, h := range s.Hosts {
		if rows := s.Rows(h, session.KindFault); len(rows) > 0 {
			t.Errorf("%s keeps %d faults", h.Own.Name, len(rows))
		}
	}
	s.Pass = nil
	s.comes("over its own link", s.wants(1))
}

// The connection breaks between a node's admission of a session and operator-1's Join: over the new one nothing was shown yet, and the Join may be a thief's.
func TestJoinOverAConnectionThatShowsNothing(t *testing.T) {
	s := attests(t, 3, 3)
	a, bolt := s.Hosts[0], s.Hosts[1]
	joins := 0
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.From == bolt && p.To == a && p.Frame[0] == byte(mpc.JoinFrame) {
			joins++
			bolt.Links++
		}
		return []nodetest.Parcel{p}
	}
	st := s.wants(0)
	if s.Try(5*time.Minute, func() bool { return s.Signed(st) }) || joins == 0 {
		t.Fatalf("signed with %d Joins over connections for which nothing was shown", joins)
	}
	s.Pass = nil
	s.comes("over a connection for which it was shown", s.wants(1))
}
