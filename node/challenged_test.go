package node_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// challenge is a guardian's, of an operator.
func (s setting) challenge(by int, of *nodetest.Host) (act.Challenge, outbox.Note) {
	s.T.Helper()
	x, _ := s.Hosts[0].Charters.Charter()
	st, err := act.Challenge{Drill: true, Charter: x.ID, Vault: s.vault, Operator: of.Own.Name, Role: act.Guardian, By: guardianName(by), Created: s.Now}.Statement(s.Salt())
	n := s.said(pen(s.T.(*testing.T), by), st, err)
	c, err := act.ChallengeOf(st)
	if err != nil {
		s.T.Fatal(err)
	}
	return c, n
}

func guardianName(i int) string { return "guardian-" + string(rune('0'+i)) }

// A refusal stands on a challenge that is older than a day. A node that was set back behind it fetches it before the request, and one that was away waits for the request that
// names it; by itself nobody counts an old one.
func TestChallengeIsFetched(t *testing.T) {
	t.Parallel()
	s := emergency(t, charter.SuiteEd25519, func(p *charter.Rescue) {
		p.Triggers = slices.Insert(p.Triggers, 1, charter.Trigger{Name: charter.TriggerRefusal, After: 25 * time.Hour, Delay: time.Minute})
	})
	a, b, c, d := s.Hosts[0], s.Hosts[1], s.Hosts[2], s.Hosts[3]
	s.Downtime = 26 * time.Hour
	s.Crash(d)
	s.Downtime = 5 * time.Second
	rows := s.Rows(b, "")
	refusing := func(h *nodetest.Host) (n int) {
		s.Act(h, func() { n = len(h.Rescue.Refusing(s.vault)) })
		return n
	}
	called, note := s.challenge(0, c)
	_, other := s.challenge(1, c)
	for i, x := range []hit{{1, "sos-called", 1, nodetest.CrashBefore}, {1, "sos-called", 1, nodetest.CrashAfter}} { // who dies as it counts one counts it afterwards
		fell := x.strike(s)
		if _, err := s.submit(a, []outbox.Note{note, other}[i]); err != nil {
			t.Fatal(err)
		}
		s.Run("counted by who is there", func() bool {
			return *fell && b.Up && len(s.Rows(a, store.Prefix("sos-called"))) == i+1 && len(s.Rows(b, store.Prefix("sos-called"))) == i+1
		})
	}
	s.Fate = nil
	pass(s.World, 15*time.Second)
	s.Now = s.Now.Add(26 * time.Hour)
	s.Run("all are there", func() bool { return d.Up })
	pass(s.World, 10*time.Second)
	if refusing(d) > 0 {
		t.Error("a node that was away counts an old challenge that no request names")
	}
	s.Crash(a) // what is told is read back
	s.Run("a is back", func() bool { return a.Up })

	x, _ := a.Charters.Charter()
	r := act.Request{
		Drill: true, Charter: x.ID, Vault: s.vault, Trigger: charter.TriggerRefusal, Subjects: []string{c.Own.Name}, Reason: "it signs nothing", Challenge: called.ID,
		Keys: []act.Key{{Key: s.root(a).KeyID, Epoch: s.record(a).Hash()}}, Role: act.Guardian, By: "guardian-0", Created: s.Now, Expires: s.Now.Add(time.Hour),
	}
	st, err := r.Statement(s.Salt())
	if _, err := s.submit(a, s.said(pen(t, 0), st, err)); err != nil {
		t.Fatal(err)
	}
	if r, err = act.RequestOf(st); err != nil {
		t.Fatal(err)
	}
	s.Run("the request is known to all, to who was away as well", s.allStand(sos.Armed, r, a, b, c, d))
	if refusing(d) != 1 || len(s.Rows(d, store.Prefix("sos-called"))) != 1 {
		t.Error("who was away counts more than the challenge that is named")
	}
	pass(s.World, 15*time.Second)
	s.Restore(b, rows)
	if refusing(b) > 0 {
		t.Fatal("the copy has the challenge")
	}
	restored(t, s, b)
	s.Run("the copy has the challenges and the request again", func() bool {
		return len(s.Rows(b, store.Prefix("sos-called"))) == 2 && refusing(b) == 1 && s.allStand(sos.Armed, r, b)()
	})
	// A signature ends the refusal, and what was kept of it.
	a.Rescue.Signed(s.vault)
	pass(s.World, 11*time.Minute)
	if n := len(s.Rows(a, store.Prefix("sos-called"))); n > 0 || refusing(a) > 0 {
		t.Errorf("%d challenges are kept after a signature", n)
	}
}
