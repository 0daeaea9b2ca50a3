package link

import "testing"

// Who was unpinned and is pinned again, by the same process, hears what is sent to it from then on: numbers of frames go on, or it would take new ones
// for repeats, and be faulted for what it acknowledged before.
func TestPinnedAgain(t *testing.T) {
	a, b := start(t, "a"), start(t, "b")
	a.SetPeers([]Peer{b.peer()})
	b.SetPeers([]Peer{a.peer()})
	connected(t, a, b)
	for _, f := range []string{"one", "two"} {
		a.send(t, "b", f)
	}
	b.send(t, "a", "back")
	wantFrames(t, b, "a", []string{"one", "two"})
	wantFrames(t, a, "b", []string{"back"})
	eventually(t, "both heard that the other has them", func() bool { return a.about("b").QueuedFrames+b.about("a").QueuedFrames == 0 })

	a.SetPeers(nil)
	eventually(t, "b notices", func() bool { return !b.about("a").Connected })
	a.SetPeers([]Peer{b.peer()})
	connected(t, a, b)
	a.send(t, "b", "three")
	b.send(t, "a", "again")
	wantFrames(t, b, "a", []string{"one", "two", "three"})
	wantFrames(t, a, "b", []string{"back", "again"})
	if s := a.about("b"); s.Faults != 0 {
		t.Errorf("%d faults: %+v", s.Faults, s)
	}
}
