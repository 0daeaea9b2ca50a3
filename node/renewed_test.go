package node_test

import (
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/nodetest"
)

// A node dies amid a refresh and comes back: the others do not wait out the ceremony's two minutes for what its
// old process cannot send any more.
func TestNewProcessEndsWhatWaitsForTheOld(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 3)
	a, c := s.Hosts[0], s.Hosts[2]
	old := s.record(a)
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if env, err := mpc.ReadEnvelope(p.Frame); err == nil && p.From == c && env.Protocol == protocol.ProtocolRefresh {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	begun := func(x *mpc.Setup) bool { return x.Protocol == protocol.ProtocolRefresh }
	s.wantNew()
	s.Run("the refresh waits for one node", func() bool {
		for _, x := range a.Sessions.Sessions() {
			if x.Protocol == protocol.ProtocolRefresh && x.Round > 0 && len(x.Waiting) == 1 && x.Waiting[0] == c.Self() {
				return true
			}
		}
		return false
	})
	s.Pass = nil
	s.Crash(c)
	began := s.Now
	s.Run("it is back, and the session over", func() bool { return c.Up && !a.Sessions.Busy(begun) })
	if waited := s.Now.Sub(began); waited > 20*time.Second {
		t.Errorf("the others waited %v", waited)
	}
	s.moved(1, old)
	s.signs(1)
}
