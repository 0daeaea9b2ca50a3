package link

import (
	"sync/atomic"
	"testing"
	"time"
)

// A paused link carries nothing either way, whoever dials; what waited arrives afterwards, once and in order.
func TestPause(t *testing.T) {
	a, b := start(t, "a"), start(t, "b")
	a.SetPeers([]Peer{b.peer()})
	b.SetPeers([]Peer{a.peer()})
	connected(t, a, b)
	a.send(t, "b", "before")
	wantFrames(t, b, "a", []string{"before"})

	a.Pause()
	a.Pause() // twice is once
	eventually(t, "the stream has ended at both ends", func() bool { return !a.about("b").Connected && !b.about("a").Connected })
	a.send(t, "b", "while")
	b.send(t, "a", "meanwhile")
	dials := b.about("a").LastErrorAt
	eventually(t, "b dials and is turned away", func() bool { return b.about("a").LastErrorAt.After(dials) })
	if got := len(b.from("a")) + len(a.from("b")); got != 1 {
		t.Fatalf("%d frames arrived, one was sent before the pause", got)
	}

	a.Resume()
	a.Resume()
	wantFrames(t, b, "a", []string{"before", "while"})
	wantFrames(t, a, "b", []string{"meanwhile"})
	for _, s := range []Status{a.about("b"), b.about("a")} {
		if s.Twin != "" || s.Faults != 0 {
			t.Errorf("after a pause: %+v", s)
		}
	}
}

// A process that must be silent answers no probe, though its stream stands still: whoever took over stands instead of it, and nobody takes the two for
// twins. It learns of its state no other way: nothing paused it.
func TestSilence(t *testing.T) {
	var silent atomic.Bool
	suspended := func(c *Config, _ *timing, _ *uint16) { c.Silent = silent.Load }
	a, old := start(t, "a"), start(t, "b", suspended)
	a.SetPeers([]Peer{guest("b")})
	old.SetPeers([]Peer{a.peer()})
	connected(t, a, old)
	silent.Store(true)
	old.send(t, "a", "of before")
	next := start(t, "b")
	next.SetPeers([]Peer{a.peer()})
	next.send(t, "a", "of the next")
	wantFrames(t, a, "b", []string{"of the next"})
	time.Sleep(300 * time.Millisecond) // the old one dials again and again
	if s := a.about("b"); s.Twin != "" || s.Faults != 0 || !s.Connected {
		t.Errorf("after a replica took over: %+v", s)
	}
	if got := a.from("b"); len(got) != 1 {
		t.Errorf("%q arrived", got)
	}
}
