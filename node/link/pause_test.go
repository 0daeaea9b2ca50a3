package link

import "testing"

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
