package session_test

import (
	"errors"
	"strings"
	"testing"

	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
)

// What another than its author hands over counts for nothing, whichever frame it is and however early, and nobody is accused: each frame counts when
// it comes over its author's own link.
func TestRelayedFramesCountForNothing(t *testing.T) {
	c := newCluster(t, 2, 3)
	hash, err := c.open(0, c.toySetup())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[byte]int{}
	for len(c.queue) > 0 {
		f := c.queue[0]
		c.queue = c.queue[1:]
		relayed := f
		relayed.from = 3 - f.from - f.to
		before, points := len(c.queue), c.nodes[f.to].points
		if err := c.deliver(relayed); err == nil || !strings.Contains(err.Error(), "author's own link") {
			t.Fatalf("a frame of type %d that another handed over: %v", f.frame[0], err)
		}
		if len(c.queue) != before || c.nodes[f.to].points != points {
			t.Fatalf("a frame of type %d that another handed over moved something", f.frame[0])
		}
		seen[f.frame[0]]++
		if err := c.deliver(f); err != nil {
			t.Fatal(err)
		}
	}
	for typ := mpc.SetupFrame; typ <= mpc.MessageFrame; typ++ {
		if seen[byte(typ)] == 0 {
			t.Errorf("no frame of type %d", typ)
		}
	}
	c.results(hash)
	for _, n := range c.nodes {
		if rows, err := n.store.Range(ctx, store.Prefix(session.KindFault), "", 10); err != nil || len(rows) > 0 {
			t.Errorf("node %d keeps %d faults, %v", n.i, len(rows), err)
		}
	}
}

// A Join counts by what its sender had shown when it came, not by what the party itself shows later; in an emergency it counts.
func TestJoinOfWhoHasShownNothing(t *testing.T) {
	for name, early := range map[string]bool{"before its Setup": true, "after its Setup": false} {
		for _, emergency := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				c := newCluster(t, 2, 3)
				n := c.nodes[1]
				n.admit = func(s *mpc.Setup) (*session.Task, error) {
					task, err := n.toy(s, toyHooks{})
					if err == nil {
						task.Emergency = emergency
					}
					return task, err
				}
				last := func(f flight) bool { return f.to == 1 && (f.from == 2 || early) }
				c.hold = last
				hash, err := c.open(0, c.toySetup())
				if err != nil {
					t.Fatal(err)
				}
				c.pump(nil)
				n.unfit = errors.New("it shows nothing")
				c.hold = func(f flight) bool { return f.to == 1 && f.from != 2 }
				c.pump(nil)
				n.unfit, c.hold = nil, nil
				c.pump(nil)
				if err, ended := n.ended(hash); ended != emergency || err != nil {
					t.Errorf("early %t, emergency %t: ended %t, %v", early, emergency, ended, err)
				}
			})
		}
	}
}
