package node_test

import (
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node/nodetest"
)

// rosterStory takes a newcomer in, replaces an operator by another, and lets one resign, with a blow.
// However it falls, all come to one chain, and nobody says two things.
func rosterStory(t *testing.T, b *blow) (all []blow) {
	t.Helper()
	w := nodetest.New(t, 6)
	everybody := w.Hosts
	w.Hosts = everybody[:4]
	w.Found()
	w.Hosts = everybody
	one, two, three, out, x, y := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3], w.Hosts[4], w.Hosts[5]
	before, fell := commits(w), new(bool)
	if b != nil {
		fell = b.strike(w)
	}
	w.Join(two, x)
	w.Run("the newcomer holds the charter", func() bool { _, _, ok := charterOf(x); return ok })
	w.Amend(1, nodetest.Accept, two, x, one, three, out)
	w.Join(one, y)
	w.Run("the newcomer holds the charter", func() bool { _, r, _ := charterOf(y); return r.Version == 1 })
	w.Amend(2, nodetest.Replace(out), one, y, two, three, x)
	w.Amend(3, nodetest.Resign, three, one, two, x, y)
	w.Run("all know", func() bool {
		return w.All(func(h *nodetest.Host) bool { return h == out || strings.HasPrefix(version(h), "3 ") })
	})
	if b != nil && !*fell {
		t.Fatalf("%v: no such batch was written", b)
	}
	want := one.Circle.Versions()
	for _, h := range w.Hosts {
		for v, a := range h.Circle.Versions() {
			if a.Statement.ID() != want[v].Statement.ID() {
				t.Errorf("%s has another version %d than %s", h.Own.Name, v, one.Own.Name)
			}
		}
		if h.Circle.Fork() != "" {
			t.Errorf("%s: %s", h.Own.Name, h.Circle.Fork())
		}
	}
	for _, h := range []*nodetest.Host{one, two, x, y} {
		expect(t, h, "3 operator-0,operator-1,operator-4,operator-5 member")
	}
	expect(t, three, "3 operator-0,operator-1,operator-4,operator-5 left")
	return blows(w, before)
}

func charterOf(h *nodetest.Host) (charter.Accepted, charter.Roster, bool) {
	if !h.Up {
		return charter.Accepted{}, charter.Roster{}, false
	}
	return h.Circle.Charter()
}

func TestCrashAtEveryBatchOfRosters(t *testing.T) {
	all := rosterStory(t, nil)
	some := pick(all, 60)
	t.Logf("%d of %d", len(some), len(all))
	for _, b := range some {
		t.Run(b.String(), func(t *testing.T) { rosterStory(t, &b) })
	}
}
