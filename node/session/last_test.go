package session_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
)

// roundOf is the round of a message's frame; 0 for setups and Joins.
func roundOf(f flight) uint8 {
	env, err := mpc.ReadEnvelope(f.frame)
	if err != nil {
		return 0
	}
	return env.Round
}

// Once our last message has left, an abort means "possibly signed", and not before that.
func TestSentLast(t *testing.T) {
	for round, want := range map[uint8]bool{1: false, 2: true} {
		c := newCluster(t, 2, 2)
		c.hold = func(f flight) bool { return f.to == 0 && roundOf(f) == round }
		hash, err := c.open(0, c.toySetup())
		if err != nil {
			t.Fatal(err)
		}
		c.pump(nil)
		c.tick(21 * time.Second)
		if err, ended := c.nodes[0].ended(hash); !ended || err == nil || c.nodes[0].sentLast[hash] != want {
			t.Errorf("round %d never comes: ended %v with %v, our last message left: %v", round, ended, err, c.nodes[0].sentLast[hash])
		}
	}
}

// A node that may hold no session any more says nothing after that, in sessions that run as well.
func TestHaltedSessionsSayNothing(t *testing.T) {
	c := newCluster(t, 2, 2)
	n := c.nodes[0]
	c.hold = func(f flight) bool { return roundOf(f) > 0 }
	hash, err := c.open(0, c.toySetup())
	if err != nil {
		t.Fatal(err)
	}
	c.pump(nil)
	n.halted = errors.New("not our life")
	said := len(n.events)
	c.hold = nil
	c.pump(nil)
	if err, ended := n.ended(hash); !ended || !errors.Is(err, n.halted) {
		t.Errorf("ended %v with %v", ended, err)
	}
	if i := slices.IndexFunc(n.events[said:], func(e string) bool { return strings.HasPrefix(e, "send") }); i >= 0 {
		t.Errorf("it says: %q", n.events[said:])
	}
	if _, err := c.open(0, c.toySetup()); err == nil {
		t.Error("it opens another")
	}
}

// Two copies over one store admit one Setup at the same moment: one of them joins.
func TestSeenMarkIsACondition(t *testing.T) {
	c := newCluster(t, 2, 2)
	n := c.nodes[0]
	n.admit = func(s *mpc.Setup) (*session.Task, error) {
		hash := s.Hash()
		other := store.Entry{Key: store.SeenKey(uint64(s.NotAfter.Unix()), hash[:]), Value: []byte("another copy")}
		if _, err := n.store.Commit(ctx, store.Batch{Put: []store.Entry{other}}); err != nil {
			t.Fatal(err)
		}
		return n.toy(s, toyHooks{})
	}
	if _, err := c.open(0, c.toySetup()); !errors.Is(err, store.ErrConflict) {
		t.Errorf("opened: %v", err)
	}
	if slices.ContainsFunc(n.events, func(e string) bool { return strings.HasPrefix(e, "send") }) {
		t.Errorf("it says: %q", n.events)
	}
}

// The share that hedges a session's coins is wiped, also when the session never begins.
func TestHedgeIsWiped(t *testing.T) {
	for name, begins := range map[string]bool{"it begins": true, "it never begins": false} {
		c := newCluster(t, 2, 2)
		n, hedge := c.nodes[0], bytes.Repeat([]byte{7}, 32)
		n.admit = func(s *mpc.Setup) (*session.Task, error) {
			task, err := n.toy(s, toyHooks{})
			if err == nil {
				task.Hedge = secret.New(hedge)
			}
			return task, err
		}
		c.hold = func(f flight) bool { return !begins && f.is(mpc.JoinFrame) }
		hash, err := c.open(0, c.toySetup())
		if err != nil {
			t.Fatal(err)
		}
		c.pump(nil)
		c.tick(21 * time.Second)
		if _, ended := n.ended(hash); !ended || !bytes.Equal(hedge, make([]byte, 32)) {
			t.Errorf("%s: ended %v, hedge %x", name, ended, hedge)
		}
	}
}
