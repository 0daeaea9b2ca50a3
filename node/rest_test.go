package node_test

import (
	"testing"
	"time"
)

const (
	frameRest    = 40
	frameRests   = 41
	framePresent = 42
)

// Nothing is begun with a node that asked for a rest, until its next process says that it is there; a rest that nobody ends is over after 30 s, and no clock makes it longer.
func TestRest(t *testing.T) {
	t.Parallel()
	s := prepare(t, 2, 2)
	a, b := s.Hosts[0], s.Hosts[1]
	s.Try(4*time.Second, func() bool { return false }) // both have said that they are there
	s.Queue = nil
	s.Forge(a, b, []byte{frameRest})
	if len(s.Queue) != 1 || s.Queue[0].To != a || len(s.Queue[0].Frame) != 1 || s.Queue[0].Frame[0] != frameRests {
		t.Fatalf("a wish for a rest is answered by %v", s.Queue)
	}
	s.Forge(b, a, []byte{frameRest})
	s.Queue = nil

	first := s.Propose(s.vault, s.addr, 0)
	s.Approve(first)
	before := len(a.Sessions.Sessions()) + len(b.Sessions.Sessions())
	if s.Try(20*time.Second, func() bool { return s.Signed(first) || len(a.Sessions.Sessions())+len(b.Sessions.Sessions()) > before }) {
		t.Fatal("a session was begun while each node rests for the other")
	}
	s.Run("the rest is over", func() bool { return s.Signed(first) })

	// The next process's word ends it at once.
	s.Forge(a, b, []byte{frameRest})
	s.Forge(b, a, []byte{frameRest})
	s.Queue = nil
	s.Crash(a) // and with it what it knew of b's rest
	s.Start(a)
	second := s.Propose(s.vault, s.addr, 1)
	s.Approve(second)
	if !s.Try(25*time.Second, func() bool { return s.Signed(second) }) {
		t.Fatalf("nothing is signed after both nodes are new: %s", s.Tail())
	}
}

func TestRestFrames(t *testing.T) {
	t.Parallel()
	s := prepare(t, 2, 2)
	a, b := s.Hosts[0], s.Hosts[1]
	s.drops(spoiled{"a rest with a body", "decode a wish for a rest"}, a, b, []byte{frameRest, 0})
	s.drops(spoiled{"an answer with a body", "decode the answer to a wish for a rest"}, a, b, []byte{frameRests, 0})
	s.drops(spoiled{"the end of a rest with a body", "decode the end of a rest"}, a, b, []byte{framePresent, 0})
	s.Queue = nil
	s.Forge(a, b, []byte{frameRests}) // nobody asked: it changes nothing
	if len(s.Queue) != 0 {
		t.Errorf("an answer is answered by %v", s.Queue)
	}
}
