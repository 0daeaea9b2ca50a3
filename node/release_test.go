package node_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/pulse"
	"github.com/ostraka/ostraka/node/store"
)

const hold = 7 * 24 * time.Hour

// held is a circle of n with a t-of-n vault whose charter holds releases back. Its nodes show daily that they live.
func held(t *testing.T, n, threshold int) setting {
	t.Helper()
	w := nodetest.New(t, n)
	w.Change = func(d *charter.Document) { d.Vaults[0].HoldRelease, d.Heartbeat = hold, 24*time.Hour }
	vault, addr := nodetest.Ready(w, threshold)
	return setting{w, vault, addr}
}

// run has hosts run another program from now on.
func (s setting) upgrade(version string, binary byte, hosts ...*nodetest.Host) {
	s.T.Helper()
	for _, h := range hosts {
		h.Version, h.Binary = version, [32]byte{binary}
		s.Crash(h)
		s.Run("its new release is known", func() bool {
			return s.All(func(o *nodetest.Host) bool {
				return slices.ContainsFunc(o.Pulse.Beats(), func(b pulse.Beat) bool { return b.Operator == h.Own.Name && b.Binary == h.Binary })
			})
		})
	}
}

// days lets days pass, at each of which every node shows that it lives.
func (s setting) days(n int) {
	s.T.Helper()
	for range n {
		s.Now = s.Now.Add(24 * time.Hour)
		s.Run("everybody shows that it lives", func() bool {
			return s.All(func(h *nodetest.Host) bool {
				return !slices.ContainsFunc(h.Pulse.Beats(), func(b pulse.Beat) bool { return s.Now.Sub(b.Taken) > time.Hour })
			})
		})
	}
}

func (s setting) wants(nonce uint64) statement.Statement {
	s.T.Helper()
	st := s.Propose(s.vault, s.addr, nonce)
	s.Approve(st)
	return st
}

func (s setting) comes(what string, st statement.Statement) {
	s.T.Helper()
	s.Run(what, func() bool { return s.Signed(st) })
}

// refuses wants that an intent waits for a release that is held back.
func (s setting) refuses(what string, st statement.Statement) {
	s.T.Helper()
	if s.Try(5*time.Minute, func() bool { return s.Signed(st) }) {
		s.T.Fatalf("%s: signed by a release that the charter holds back", what)
	}
	if v, err := s.Hosts[0].Desk.Show(st.ID()); err != nil || !strings.Contains(v.Waits, "holds one back") {
		s.T.Errorf("%s: it waits for %q; %v", what, v.Waits, err)
	}
}

// A release that the charter holds back is tried by fewer than t, and signs with t once it was run for as long as the charter says; the one that
// the vault was made with is never held back.
func TestReleasesAreHeldBack(t *testing.T) {
	t.Parallel()
	s := held(t, 3, 2)
	s.comes("with what it was made with", s.wants(0))
	s.Now = s.Now.Add(2 * time.Hour)
	s.upgrade("", 2, s.Hosts[0])
	s.comes("with one of two on the new one", s.wants(1))
	s.upgrade("", 2, s.Hosts[1])
	st := s.wants(2)
	s.refuses("at once", st)
	s.days(6)
	st = s.wants(2)
	s.refuses("after six days", st)
	s.days(1)
	s.comes("after its time", s.wants(2))
	runs := s.Hosts[0].Pulse.Runs(s.Now)
	if r := runs[s.Hosts[0].Own.Name]; r.Ran < hold || len(runs) != 2 {
		t.Errorf("run by %v", runs)
	}
	// It was tried: the third may follow at once. What a node ran for long is remembered while it tries another.
	s.upgrade("", 3, s.Hosts[0])
	s.upgrade("", 2, s.Hosts[2])
	s.comes("with those that follow", s.wants(3))
	s.upgrade("", 2, s.Hosts[0])
	s.comes("after a step back", s.wants(4))
}

// A release is one by its version, whatever machine each was built for; what is no release is one by its bytes.
func TestAReleaseIsOneOnAllMachines(t *testing.T) {
	t.Parallel()
	s := held(t, 3, 2)
	s.upgrade("v1.1.0", 1, s.Hosts...)
	s.Now = s.Now.Add(2 * time.Hour)
	s.upgrade("v1.2.0", 2, s.Hosts[0])
	s.upgrade("v1.2.0", 3, s.Hosts[1])
	s.refuses("of two builds", s.wants(0))
	s.days(7)
	s.comes("after its time", s.wants(0))
}

// A liar that names very many programs, or the next one long before it is there, neither keeps the true one from being remembered nor, alone among those who
// are to try it, has it tried.
func TestLiesAboutReleases(t *testing.T) {
	t.Parallel()
	s := held(t, 4, 3)
	liar, honest := s.Hosts[3], s.Hosts[:3]
	liar.Hostile = true
	s.Now = s.Now.Add(2 * time.Hour)
	s.upgrade("v2.0.0", 9, liar) // it says
	s.days(8)
	for i := range 40 {
		for _, h := range honest {
			s.Act(h, func() {
				n := s.beat(liar, h, s.Now.Add(time.Duration(i)*time.Second), func(b *beaten) { b.Binary, b.Version = [32]byte{1, byte(i)}, fmt.Sprintf("v3.0.%d", i) })
				h.Deliver(context.Background(), s.Clock(h), liar.Own.Identity, frameOf(n))
			})
		}
	}
	s.days(1) // what it filled is forgotten
	s.upgrade("v2.0.0", 9, liar)
	for _, h := range honest {
		rows := s.Rows(h, "program/")
		if len(rows) != 4 || slices.ContainsFunc(rows, func(it store.Item) bool { return len(it.Value) > 4*128 }) {
			t.Errorf("%s keeps %d rows of programs", h.Own.Name, len(rows))
		}
	}
	s.upgrade("v2.0.0", 9, honest[0])
	s.comes("fewer than t run it", s.wants(0))
	s.upgrade("v2.0.0", 9, honest[1:]...)
	s.refuses("tried by a liar alone", s.wants(1))
	s.days(7)
	s.comes("after its time", s.wants(1))
}
