package node_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
)

const (
	frameDecline = 18
	restWait     = 50 * time.Millisecond // of tests, in the machine's time
)

func busy(h *nodetest.Host) bool { return h.Sessions.Busy(func(*mpc.Setup) bool { return true }) }

// met is prepare, and all have said that they are there.
func met(t *testing.T, n, threshold int) setting {
	s := prepare(t, n, threshold)
	s.Try(4*time.Second, func() bool { return false })
	s.Queue = nil
	return s
}

// A peer that opens sessions, says nothing in them and ignores a wish for a rest makes a hand-over last as long as it may, and no longer.
func TestHandOverIsNotHeldUp(t *testing.T) {
	t.Parallel()
	s := met(t, 2, 2)
	a, b := s.Hosts[0], s.Hosts[1]
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.From == b && p.Frame[0] == byte(mpc.MessageFrame) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	s.Approve(s.Propose(s.vault, s.addr, 0))
	s.Run("a session is open", func() bool { return busy(a) })
	s.Queue = nil
	s.Forge(b, a, []byte{frameRests}) // left from an earlier wish: it answers none that comes
	const total = 300 * time.Millisecond
	began, given := time.Now(), false
	err := a.Drain(context.Background(), restWait, total, func(idle func() bool) bool {
		if !given && time.Since(began) < restWait {
			t.Error("an answer to an earlier wish counts")
		}
		s.Forge(b, a, []byte{framePresent}) // its own rest is over: that is not ours
		given = idle()
		return given
	})
	if took := time.Since(began); err != nil || !given || took < total || took > total+5*time.Second || !busy(a) {
		t.Errorf("the hand-over ended after %v with the session open %v, given up %v: %v", took, busy(a), given, err)
	}
	if !strings.Contains(s.Log.String(), "a hand-over ends a session") {
		t.Error("nobody is told which session it ended")
	}
}

// While a hand-over waits for sessions, set-ups of a peer that ignores the wish for a rest are put off, and nobody is shunned for it. When the hand-over
// fails all goes on at once.
func TestHandOverRefusesSetups(t *testing.T) {
	t.Parallel()
	s := met(t, 2, 2)
	a, b := s.Hosts[0], s.Hosts[1]
	ignores, ended := true, false
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		ended = ended || p.To == b && p.Frame[0] == framePresent
		if ignores && p.Frame[0] == frameRest {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	first := s.Propose(s.vault, s.addr, 0)
	s.Forge(b, a, []byte{frameRest}) // a begins nothing with b, so that what is begun is b's
	putOff := func() bool {
		for _, x := range b.Sessions.Sessions() {
			if errors.Is(x.Err, session.ErrNotYet) && strings.Contains(x.Err.Error(), "handed over") {
				return true
			}
		}
		return false
	}
	ctx, cancel := context.WithCancel(context.Background())
	err := a.Drain(ctx, restWait, time.Hour, func(func() bool) bool {
		s.Approve(first)
		if !s.Try(25*time.Second, putOff) || busy(a) {
			t.Errorf("put off: %v; a holds a session: %v", putOff(), busy(a))
		}
		cancel()
		return false
	})
	if !errors.Is(err, node.ErrBusy) || !errors.Is(err, context.Canceled) {
		t.Errorf("a hand-over that nobody waits for ends in %v", err)
	}
	s.Run("signed after the hand-over failed", func() bool { return s.Signed(first) })
	if !ended {
		t.Error("b is not told that the rest is over")
	}

	// A peer that gave the rest begins at once as well: it does not wait for the end of its 30 s.
	ignores = false
	s.Run("quiet", func() bool { return !busy(a) && !busy(b) })
	second := s.Propose(s.vault, s.addr, 1)
	ctx, cancel = context.WithCancel(context.Background())
	if err := a.Drain(ctx, restWait, time.Hour, func(func() bool) bool { s.Deliver(); cancel(); return false }); err == nil {
		t.Error("a hand-over that was given up succeeds")
	}
	s.Forge(b, a, []byte{frameRest})
	s.Approve(second)
	if !s.Try(15*time.Second, func() bool { return s.Signed(second) }) {
		t.Errorf("nothing is signed within 15 s of a hand-over that failed: %s", s.Tail())
	}
}

// One of three asks for rests without end, in any order and number: it is left alone, and the others sign. A guest asks for nothing.
func TestRestsWithoutEnd(t *testing.T) {
	t.Parallel()
	s := met(t, 3, 2)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	before := s.Log.Len()
	for range 1000 {
		s.Forge(c, a, []byte{frameRest})
		s.Forge(c, a, []byte{frameRests})
	}
	if n := len(s.Queue); n != 1000 || s.Log.Len() != before {
		t.Errorf("1000 wishes get %d answers, and the log says %s", n, s.Log.String()[before:])
	}
	s.Queue = nil
	first := s.Propose(s.vault, s.addr, 0)
	s.Approve(first)
	for n := 0; !s.Signed(first); n++ {
		if n == 20 {
			t.Fatalf("nothing is signed while one asks for a rest again and again: %s", s.Tail())
		}
		s.Forge(c, a, []byte{frameRest})
		s.Forge(c, b, []byte{frameRest})
		s.Try(3*time.Second, func() bool { return s.Signed(first) })
	}
	guest := s.Newcomer()
	s.Join(a, guest)
	for _, f := range []byte{frameRest, frameRests, framePresent} {
		s.Queue, before = nil, s.Log.Len()
		s.Forge(guest, a, []byte{f})
		if said := s.Log.String()[before:]; len(s.Queue) != 0 || !strings.Contains(said, node.ErrGuest.Error()) {
			t.Errorf("frame %d of a guest is answered by %v; the log says %s", f, s.Queue, said)
		}
	}
}

// A wish for a rest that comes while a session is being opened is answered behind its set-up: in front of it, the set-up would reach the next owner, in a life too late.
func TestRestIsAnsweredBehindSetups(t *testing.T) {
	t.Parallel()
	s := met(t, 2, 2)
	a, b := s.Hosts[0], s.Hosts[1]
	first := s.Propose(s.vault, s.addr, 0)
	s.Forge(b, a, []byte{frameRest}) // a begins nothing with b, so that what is begun is b's
	var sent []byte                  // by b to a
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.From == b && (p.Frame[0] == byte(mpc.SetupFrame) || p.Frame[0] == frameRests) {
			sent = append(sent, p.Frame[0])
		}
		return []nodetest.Parcel{p}
	}
	answered := make(chan struct{})
	asked := false
	s.Fate = func(h *nodetest.Host, _ int, batch store.Batch) nodetest.Fate {
		admits := slices.ContainsFunc(batch.Put, func(e store.Entry) bool { return strings.HasPrefix(e.Key, "seen/") })
		if h == b && admits && !asked {
			asked = true
			now := s.Clock(b)
			go func() {
				b.Deliver(context.Background(), now, a.Own.Identity, []byte{frameRest})
				close(answered)
			}()
			select {
			case <-answered:
			case <-time.After(50 * time.Millisecond):
			}
		}
		return nodetest.Live
	}
	s.Approve(first)
	s.Run("a session was opened", func() bool { return asked })
	<-answered
	s.Run("the wish is answered", func() bool { return slices.Contains(sent, frameRests) })
	if sent[0] != byte(mpc.SetupFrame) {
		t.Errorf("b sent frames %v: an answer before the set-up that was on its way", sent)
	}
}

// A process that hands itself over before it has said that it is there says so no more: that would end the rest which it asks for. When the hand-over fails it does.
func TestNoPresenceWhileHandingOver(t *testing.T) {
	t.Parallel()
	s := met(t, 2, 2)
	a, b := s.Hosts[0], s.Hosts[1]
	s.Crash(a)
	s.Start(a)
	present := 0
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.From == a && p.To == b && p.Frame[0] == framePresent {
			present++
		}
		return []nodetest.Parcel{p}
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := a.Drain(ctx, restWait, time.Hour, func(func() bool) bool {
		s.Try(10*time.Second, func() bool { return false })
		if present > 0 {
			t.Error("it says that it is there, and ends the rest that it asked for")
		}
		cancel()
		return false
	}); err == nil {
		t.Error("a hand-over that was given up succeeds")
	}
	s.Run("it says that it is there", func() bool { return present > 0 })
}
