package session_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

// Burn and save, durably, then send, then the result.
func TestEffectsInOrder(t *testing.T) {
	c := newCluster(t, 2, 2)
	hash, err := c.open(0, c.toySetup())
	if err != nil {
		t.Fatal(err)
	}
	c.pump(nil)
	c.results(hash)
	common := []string{"send join", "send round 1", "commit toy", "send round 2", "commit signed"}
	if got, want := c.nodes[1].events, append([]string{"commit allow seen pair-use"}, common...); !slices.Equal(got, want) {
		t.Errorf("member: %q, want %q", got, want)
	}
	if got, want := c.nodes[0].events, append([]string{"commit allow seen pair-use", "send setup"}, common...); !slices.Equal(got, want) {
		t.Errorf("opener: %q, want %q", got, want)
	}
}

// A failed check is durable before anything else happens, and nothing of round 2 leaves.
func TestBurnComesFirst(t *testing.T) {
	c := newCluster(t, 2, 2)
	c.nodes[1].says("bad")
	hash, err := c.open(0, c.toySetup())
	if err != nil {
		t.Fatal(err)
	}
	c.pump(nil)
	want := []string{"commit allow seen pair-use", "send setup", "send join", "send round 1", "commit burn burns", "commit fault"}
	if got := c.nodes[0].events; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	var f *engine.Fault
	if err, _ := c.nodes[0].ended(hash); !errors.As(err, &f) || f.Class != engine.BurnPair {
		t.Errorf("ended with %v", err)
	}
	if got := c.nodes[0].host.Burned(c.com.Record.Hash()); !slices.Equal(got, []engine.PartyID{c.nodes[1].id}) {
		t.Errorf("burned %v", got)
	}
	c.check()
}

// burned reports whether a node's disk holds the flag of a pair.
func (n *node) burned(t *testing.T, peer engine.PartyID) bool {
	t.Helper()
	key := n.c.com.Record.Hash()
	_, err := n.store.Get(ctx, store.BurnKey(key[:], peer[:]))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// A crash before and after every durable step and every send of every node. No frame ever
// depends on a lost row; the others end cleanly; the next session succeeds.
func TestCrashAtEveryPoint(t *testing.T) {
	for victim := range 3 {
		points := 0
		for ; ; points++ {
			c := newCluster(t, 3, 3)
			n := c.nodes[victim]
			n.crashAt = points + 1
			hash, _ := c.open(0, c.toySetup())
			c.pump(nil)
			crashed := n.dead
			c.tick(21 * time.Second)
			for _, o := range c.nodes {
				if _, ended := o.ended(hash); !ended && o != n && slices.Contains(o.asked, string(hash[:])) {
					t.Errorf("victim %d, point %d: node %d still runs", victim, points, o.i)
				}
			}
			if !crashed {
				c.results(hash)
				break
			}
			n.crashAt = 0
			n.start()
			n.dead = false
			if open := n.host.Sessions(); len(open) != 0 {
				t.Errorf("victim %d, point %d: session survived the restart", victim, points)
			}
			again, err := c.open(0, c.toySetup())
			if err != nil {
				t.Fatal(err)
			}
			c.pump(nil)
			c.results(again)
		}
		if points < 8 {
			t.Errorf("victim %d: only %d points", victim, points)
		}
	}
}

// I7: once anything after a failed verdict happened, the pair stays burned over a crash at
// any later point, and there is no second verdict.
func TestCrashAroundABurn(t *testing.T) {
	for points := 0; ; points++ {
		c := newCluster(t, 2, 2)
		n := c.nodes[0]
		c.nodes[1].says("bad")
		n.crashAt = points + 1
		hash, _ := c.open(0, c.toySetup())
		c.pump(nil)
		crashed, told := n.dead, false
		if _, told = n.ended(hash); told && !crashed && n.failures != 1 {
			t.Fatalf("point %d: %d failed verdicts", points, n.failures)
		}
		n.crashAt = 0
		if crashed {
			n.start()
			n.dead = false
		}
		durable := n.burned(t, c.nodes[1].id)
		if told && !durable {
			t.Errorf("point %d: the abort left before the burn was durable", points)
		}
		before := n.verdicts
		for range 3 {
			if _, err := c.open(0, c.toySetup()); err != nil {
				t.Fatal(err)
			}
			c.pump(nil)
		}
		if durable && n.verdicts != before {
			t.Errorf("point %d: %d verdicts after the burn", points, n.verdicts-before)
		}
		if n.failures > 2 || n.failures == 2 && !crashed {
			t.Errorf("point %d: %d failed verdicts", points, n.failures)
		}
		c.check()
		if !crashed {
			break
		}
	}
}

// A burn that cannot be kept ends the process; nothing leaves after it, and should the
// process live on for a moment the pair is refused.
func TestBurnThatCannotBeKeptIsFatal(t *testing.T) {
	for _, outcome := range []memory.Outcome{memory.UnknownDone, memory.UnknownLost} {
		c := newCluster(t, 2, 2)
		c.nodes[1].says("bad")
		n := c.nodes[0]
		if _, err := c.open(0, c.toySetup()); err != nil {
			t.Fatal(err)
		}
		c.hold = func(f flight) bool { return f.to == 0 } // the other session hears nothing yet
		c.pump(nil)
		held := c.queue
		c.queue, c.hold = nil, nil
		if _, err := c.open(0, c.toySetup()); err != nil {
			t.Fatal(err)
		}
		n.disk.SetFault(func(b store.Batch) memory.Outcome {
			if b.Reserve {
				return outcome
			}
			return memory.Write
		})
		c.pump(nil)
		if !errors.Is(n.fatal, store.ErrUnknown) {
			t.Errorf("outcome %d: fatal error is %v", outcome, n.fatal)
		}
		sent := len(n.events)
		c.queue = held
		c.pump(nil)
		if _, err := c.open(0, c.toySetup()); !errors.Is(err, session.ErrRefused) {
			t.Errorf("a session was opened after the fatal error: %v", err)
		}
		for _, e := range n.events[sent:] {
			if e != "commit fault" {
				t.Errorf("outcome %d: after the fatal error: %s", outcome, e)
			}
		}
		if n.verdicts != 1 {
			t.Errorf("outcome %d: %d verdicts", outcome, n.verdicts)
		}
	}
}

// When the disk is full no session begins, but a burn finds its reserve (trust rule 11).
func TestBurnOnAFullDisk(t *testing.T) {
	c := newCluster(t, 2, 2)
	c.nodes[1].says("bad")
	n := c.nodes[0]
	if _, err := c.open(0, c.toySetup()); err != nil {
		t.Fatal(err)
	}
	n.disk.SetFault(func(store.Batch) memory.Outcome { return memory.Full })
	c.pump(nil)
	if n.fatal != nil || !n.burned(t, c.nodes[1].id) {
		t.Errorf("burned %v, fatal error %v", n.burned(t, c.nodes[1].id), n.fatal)
	}
	if _, err := c.open(0, c.toySetup()); !errors.Is(err, session.ErrRefused) || !errors.Is(err, store.ErrFull) {
		t.Errorf("opened with %v", err)
	}
}

// What must be kept and cannot be ends the session before anything that depends on it leaves.
func TestSaveThatFailsSendsNothing(t *testing.T) {
	for _, outcome := range []memory.Outcome{memory.Full, memory.UnknownDone, memory.UnknownLost} {
		c := newCluster(t, 2, 2)
		n := c.nodes[0]
		n.disk.SetFault(func(b store.Batch) memory.Outcome {
			if slices.ContainsFunc(b.Put, func(e store.Entry) bool { return len(e.Key) > 4 && e.Key[:4] == "toy/" }) {
				return outcome
			}
			return memory.Write
		})
		hash, err := c.open(0, c.toySetup())
		if err != nil {
			t.Fatal(err)
		}
		c.pump(nil)
		if err, ended := n.ended(hash); err == nil || !ended || slices.Contains(n.events, "send round 2") || n.sentLast[hash] {
			t.Errorf("outcome %d: ended %v with %v after %q", outcome, ended, err, n.events)
		}
	}
}

// An admission whose fate is unknown is not answered; if it was written, the setup never is.
func TestUnknownAdmissionIsRefused(t *testing.T) {
	for outcome, again := range map[memory.Outcome]int{memory.UnknownDone: 1, memory.UnknownLost: 2} {
		t.Run(fmt.Sprint(outcome), func(t *testing.T) {
			c := newCluster(t, 2, 2)
			n := c.nodes[1]
			n.disk.SetFault(func(store.Batch) memory.Outcome { return outcome })
			hash, err := c.open(0, c.toySetup())
			if err != nil {
				t.Fatal(err)
			}
			setup := c.queue[0]
			if err := c.deliver(setup); !errors.Is(err, session.ErrRefused) || !errors.Is(err, store.ErrUnknown) {
				t.Errorf("delivered with %v", err)
			}
			if err, ended := n.ended(hash); err == nil || !ended || len(n.events) > 0 {
				t.Errorf("ended %v with %v, events %q", ended, err, n.events)
			}
			n.disk.SetFault(nil)
			delete(n.ends, hash)
			err = c.deliver(setup)
			if done := outcome == memory.UnknownDone; done != errors.Is(err, session.ErrRefused) || len(n.asked) != again {
				t.Errorf("delivered again with %v, policy was asked %d times", err, len(n.asked))
			}
		})
	}
}
