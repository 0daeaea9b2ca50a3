package node_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/nodetest"
)

// ruled is a 2-of-3 vault whose rules ask for an approval of the treasury, which is cleo, beside the quorum of two.
func ruled(t *testing.T) setting {
	t.Helper()
	w := nodetest.New(t, 3)
	w.Change = func(d *charter.Document) {
		d.Policy = `@id("treasury")
permit (principal, action in [Action::"transfer", Action::"fee"], resource)
when { context.approvals.treasury >= 1 };
`
		d.Groups[0].People = []string{"abel", "bea", "cleo"}
		d.Groups = append(d.Groups, charter.Group{Name: "treasury", People: []string{"cleo"}})
		d.People = append(d.People, charter.Human{Name: "cleo", Organisation: "customer", Keys: []signet.Key{nodetest.NewPerson(t, "cleo").Key}})
		slices.SortFunc(d.People, func(a, b charter.Human) int { return strings.Compare(a.Name, b.Name) })
		i := person(d, nodetest.Initiator)
		i.Keys = append(slices.Clone(i.Keys), nodetest.NewPerson(t, "ines's spare").Key)
		slices.SortFunc(i.Keys, func(a, b signet.Key) int { return strings.Compare(a.String(), b.String()) })
	}
	vault, addr := nodetest.Ready(w, 2)
	return setting{w, vault, addr}
}

// all has all nodes allow something that everybody approved, and none of them sign it.
func (s setting) all(nonce uint64) statement.Statement {
	s.T.Helper()
	s.Pass = withoutSessions
	st := s.long(nonce)
	s.votes(st, "abel", "bea", "cleo")
	s.Run("allowed", func() bool {
		return s.All(func(h *nodetest.Host) bool { return s.State(h, st.ID()) == intent.Allowed })
	})
	return st
}

// What was allowed is signed only if all that allowed it still holds: an approval that a rule of the charter asks for, though the quorum needs it
// not, and the key that proposed it.
func TestWhatAllowedItMustStand(t *testing.T) {
	t.Parallel()
	base := ruled(t)
	for name, c := range map[string]struct {
		blow func(s setting, st statement.Statement)
		why  string // "": it is signed
	}{
		"nothing happens": {func(setting, statement.Statement) {}, ""},
		"the treasury takes its approval back": {func(s setting, st statement.Statement) {
			if _, err := s.Submit(s.Vote(st, "cleo", signet.Reject)); err != nil {
				s.T.Fatal(err)
			}
		}, "the rules that permitted it do not now"},
		"the treasury's key is revoked": {func(s setting, _ statement.Statement) {
			if _, err := s.Submit(s.revocation("cleo", nodetest.NewPerson(s.T, "cleo"))); err != nil {
				s.T.Fatal(err)
			}
		}, "the rules that permitted it do not now"},
		"another approver's key is revoked": {func(s setting, _ statement.Statement) {
			if _, err := s.Submit(s.revocation("bea", nodetest.NewPerson(s.T, "bea"))); err != nil {
				s.T.Fatal(err)
			}
		}, ""},
		"the key that proposed it is revoked": {func(s setting, _ statement.Statement) {
			if _, err := s.Submit(s.revocation(nodetest.Initiator, nodetest.NewPerson(s.T, "ines's spare"))); err != nil {
				s.T.Fatal(err)
			}
		}, "the key that signed the proposal is ines's no more"},
	} {
		s := base.copy(t, strings.ReplaceAll(name, " ", "-"))
		st := s.all(1)
		c.blow(s, st)
		s.Deliver()
		s.Pass = nil
		if c.why == "" {
			s.Run(name+": signed", func() bool { return s.Signed(st) })
			continue
		}
		s.unsigned(name, st, 2*time.Minute)
		if v, err := s.Hosts[0].Desk.Show(st.ID()); err != nil || !strings.Contains(v.Waits, c.why) {
			t.Errorf("%s: people are told %q, %v", name, v.Waits, err)
		}
	}
}

// A proposal by a key that is revoked before anybody decided is denied.
func TestProposalByARevokedKey(t *testing.T) {
	t.Parallel()
	s := ruled(t)
	st := s.long(1)
	if _, err := s.Submit(s.revocation(nodetest.Initiator, nodetest.NewPerson(t, "ines's spare"))); err != nil {
		t.Fatal(err)
	}
	s.Deliver()
	_, _ = s.Submit(s.Vote(st, "abel", signet.Approve))
	s.Run("denied", func() bool {
		return s.All(func(h *nodetest.Host) bool {
			d := said(h, st)
			return d != nil && d.Verdict == intent.Deny && d.Rule == intent.RulePerson
		})
	})
}

// One operator can keep the signature of an intent back that others allowed. So it counts at a node that allowed it, and took no part, after it
// has ended; unless another transaction with its nonce is final.
func TestLimitOfWhatMayBeSignedElsewhere(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s setting, st statement.Statement){
		"it runs out":      func(s setting, _ statement.Statement) { s.Now = s.Now.Add(nodetest.Life) },
		"it is taken back": func(s setting, st statement.Statement) { _, _ = s.Submit(s.cancellation(st)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := limited(t)
			s.Pass = withoutSessions
			first := s.give(1, 6000, gwei30)
			s.Run("all know that all allow it", func() bool {
				return s.All(func(h *nodetest.Host) bool { v, _ := h.Desk.Show(first.ID()); return len(v.Decisions) == 3 })
			})
			end(s, first)
			s.Step(time.Second)
			var next []statement.Statement
			for round := range 2 { // and after a restart
				next = append(next, s.give(uint64(2+round), 6000, gwei30))
				if s.Try(time.Minute, func() bool { return allows(s.Hosts[0], next) != 0 }) {
					t.Errorf("%s, round %d: what others may have signed does not count", name, round)
				}
				s.Crash(s.Hosts[0])
				s.Run("restarted", func() bool { return s.Hosts[0].Up })
			}
			s.Now = s.Now.Add(24 * time.Hour)
			s.Step(time.Second)
			last := s.give(9, 6000, gwei30)
			s.Run("the window is over", func() bool { return allows(s.Hosts[0], []statement.Statement{last}) == 1 })
		})
	}
}

// A decision that somebody gives long after all is over moves nothing in a window.
func TestLateDecisionMovesNoWindow(t *testing.T) {
	t.Parallel()
	s := limited(t)
	late := s.Hosts[2]
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.From == late {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	first := s.give(1, 6000, gwei30)
	s.Run("signed by the others", func() bool { return s.State(s.Hosts[0], first.ID()) == intent.Signed })
	s.Now = s.Now.Add(25 * time.Hour)
	s.Pass = nil
	s.Run("the late decision is known", func() bool { v, _ := s.Hosts[0].Desk.Show(first.ID()); return len(v.Decisions) == 3 })
	if got := allows(s.Hosts[0], []statement.Statement{s.give(2, 6000, gwei30)}); got != 1 {
		t.Error("what was signed a day ago counts, because somebody spoke of it")
	}
}
