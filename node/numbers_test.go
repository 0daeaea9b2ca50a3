package node_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/session"
)

// rescueBy is a Setup of a guarded reshare that somebody opens.
func (s setting) rescueBy(by *nodetest.Host, n uint64, activation statement.ID, contributors, members []*nodetest.Host) *mpc.Setup {
	of := func(hosts []*nodetest.Host) (ids []engine.PartyID) {
		for _, h := range hosts {
			ids = append(ids, h.Self())
		}
		return ids
	}
	x := s.attempt(n, by)
	x.Protocol = protocol.ProtocolRescue
	x.Payload = (&protocol.Quorum{
		Attempt: n, Contributors: of(contributors), Members: of(members), Guardians: [][32]byte{{1}, {2}},
		Rescue: epoch.Rescue{Activation: activation, Until: uint64(s.Now.Unix()), Terms: [32]byte{3}},
	}).Encode()
	return x
}

// A subject drives its peers' count of attempts as far up as it goes, has one of them made, and keeps its FINAL back. Then it is lost. Whoever comes in its place knows of none of
// these attempts, and takes the number that comes after them; and it is not for who only receives to choose one.
func TestNumbersBeforeAnEmergency(t *testing.T) {
	t.Parallel()
	s := emergency(t, charter.SuiteEd25519)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.withhold(c, nil)
	s.ask(a, b, c)
	for _, h := range s.Hosts[:2] {
		before := s.Log.Len()
		x := s.attempt(1<<32-1, c)
		s.forgeSetup(x, c, h)
		if log := s.Log.String()[before:]; !strings.Contains(log, "so many were never made") {
			t.Errorf("%s takes an attempt of which there cannot have been so many: %s", h.Own.Name, log)
		}
		s.decline(x, c, h)
		x = s.attempt(uint64(s.Now.Unix())-5, c)
		s.forgeSetup(x, c, h)
		s.decline(x, c, h)
	}
	s.Run("two said FINAL", func() bool {
		return len(s.finalsOf(b, a)) == 1 && len(s.finalsOf(b, b)) == 1 && len(s.finalsOf(c, c)) == 1
	})
	high := s.attemptOf(a, s.finalsOf(a, a)[0].Record)
	if high < uint64(s.Now.Add(-time.Hour).Unix()) {
		t.Fatalf("the attack has not begun: attempt %d", high)
	}
	s.Downtime = 1000 * time.Hour
	s.Crash(c)
	s.Pass = nil
	r := s.declare()
	d := s.Hosts[3]
	s.Run("all three have announced a key", func() bool { return len(s.places(a, r)) == 3 })
	id := s.activate(a)[0]
	s.Run("signed", func() bool { return s.activated(a, r, id) && s.activated(b, r, id) && s.activated(d, r, id) })
	for i := range 2 {
		if _, err := s.submit(b, s.contribution(r, id, i)); err != nil {
			t.Fatal(err)
		}
	}
	admitted := func(x *mpc.Setup) (err error) {
		s.Act(a, func() { _, err = a.Keeper.Admit(t.Context(), s.Clock(a), x) })
		return err
	}
	var err error
	s.Run("the reshare may run", func() bool {
		err = admitted(s.rescueBy(d, uint64(s.Now.Unix()), id, []*nodetest.Host{a, b}, []*nodetest.Host{a, b, d}))
		return !errors.Is(err, session.ErrNotYet)
	})
	if err == nil || !strings.Contains(err.Error(), "opened by a contributor") {
		t.Errorf("opened by who only receives: %v", err)
	}
	spoiled := s.rescueBy(b, 1, id, []*nodetest.Host{a, b}, []*nodetest.Host{a, b, d})
	spoiled.Payload = []byte{1}
	if err := admitted(spoiled); err == nil || !strings.Contains(err.Error(), "decode quorum") {
		t.Errorf("a payload that is no quorum: %v", err)
	}
	s.Run("new shares", func() bool { return s.HeldBy(a, s.vault, 3, a, b, d) && s.HeldBy(d, s.vault, 3, a, b, d) })
	if now := s.record(d).Attempt; now <= high || now > uint64(s.Now.Unix()) {
		t.Errorf("new shares by attempt %d, after %d", now, high)
	}
}

// attemptOf is the number of a record that a host keeps.
func (s setting) attemptOf(h *nodetest.Host, eh epoch.Hash) uint64 {
	s.T.Helper()
	for _, it := range s.Rows(h, "epoch/") {
		if r, err := epoch.Decode(it.Value); err == nil && strings.HasSuffix(it.Key, "/"+protocol.RowRecord) && r.Hash() == eh {
			return r.Attempt
		}
	}
	s.T.Fatalf("%s keeps no record %v", h.Own.Name, eh)
	return 0
}
