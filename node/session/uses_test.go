package session_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/mpc/dkls"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
)

// A peer spoils the OT extension, and cuts our node off from its store as it does, so that no burn is ever written. Each life gives it one verdict, and the store counts the lives.
func TestVerdictsOfLivesThatWereLost(t *testing.T) {
	c := newCluster(t, 2, 2)
	c.signs(map[int]func(*engine.Msg){1: flip(dkls.KindExtension, 7)})
	n := c.nodes[0]
	n.fit = true
	s := n.store.(*watched).Store
	lives := 0
	for range 20 {
		n.lose = nil
		n.startOver(s)
		n.fatal = nil
		n.lose = func(b store.Batch) bool {
			return slices.ContainsFunc(b.Put, func(e store.Entry) bool { return strings.HasPrefix(e.Key, "burn/") })
		}
		before := n.failures
		if _, err := c.open(1, c.signSetup(0, 1)); err != nil {
			t.Fatal(err)
		}
		c.pump(nil)
		if n.failures > before {
			lives++
		}
		c.tick(time.Minute)
	}
	if lives != 16 {
		t.Errorf("%d lives gave a verdict on the pair, want 16 and then no more", lives)
	}
	if burned := n.host.Burned(c.signSetup(0, 1).Epoch); len(burned) != 1 {
		t.Errorf("pairs that count as burned: %v", burned)
	}
}

// Sessions that end, whatever ends them, and lives that end in order or while nobody signs, count for nothing.
func TestHonestLivesAreNotCounted(t *testing.T) {
	for name, ends := range map[string]func(c *cluster, n *node){
		"stopped":          func(c *cluster, n *node) { n.host.Close(t.Context(), c.now) },
		"killed when idle": func(c *cluster, n *node) { c.tick(session.IdleBefore) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 2, 2)
			c.signs(nil)
			n := c.nodes[0]
			s := n.store.(*watched).Store
			for range 20 {
				n.startOver(s)
				hash, err := c.open(1, c.signSetup(0, 1))
				if err != nil {
					t.Fatal(err)
				}
				c.pump(nil)
				if err, ended := n.ended(hash); !ended || err != nil {
					t.Fatal(ended, err)
				}
				ends(c, n)
				rows, err := s.Range(t.Context(), store.Prefix("pair-use"), "", store.MaxLimit)
				if err != nil || len(rows) != 0 {
					t.Fatalf("the store says %v, %v", rows, err)
				}
			}
		})
	}
}

// A row that no node wrote stops the start.
func TestDamagedUses(t *testing.T) {
	for _, value := range []string{"", "\x00", "\x11\x00", "\x00\x02", "\x00\x00\x00"} {
		c := newCluster(t, 2, 2)
		n := c.nodes[0]
		s := n.store.(*watched).Store
		key := store.Key("pair-use", store.ID(make([]byte, 32)), store.ID(make([]byte, len(engine.PartyID{}))))
		if _, err := s.Commit(t.Context(), store.Batch{Put: []store.Entry{{Key: key, Value: []byte(value)}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := session.NewHost(t.Context(), session.Config{Journal: n.journal, Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%x: %v", value, err)
		}
	}
}
