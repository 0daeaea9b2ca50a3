package node_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/nodetest"
)

// A member withholds its FINAL of new shares, and is to leave. It opens sessions with each of the others as fast as it may, tests of the shares
// that wait or further attempts at new ones, and lets them hang: they move the key out of its hands all the same.
func TestMemberThatOpensWithoutEndIsLeftBehind(t *testing.T) {
	t.Parallel()
	for _, what := range []string{protocol.ProtocolTest, protocol.ProtocolRefresh, protocol.ProtocolReshare} {
		t.Run(what, func(t *testing.T) {
			w, vault := circleOf(t, charter.SuiteEd25519, 3, 3, 2)
			s := setting{World: w, vault: vault}
			a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
			s.ask(a, b, c)
			s.withhold(c, nil)
			s.Run("two said FINAL", func() bool { return len(s.finalsOf(a, a)) == 1 && len(s.finalsOf(b, b)) == 1 })
			eh := s.finalsOf(a, a)[0].Record
			finals := s.Pass
			s.Pass = func(p nodetest.Parcel) []nodetest.Parcel { // its node itself opens and joins nothing more
				if (p.From == c || p.To == c) && nodetest.OfSession(p.Frame) {
					return nil
				}
				return finals(p)
			}
			signers := []*nodetest.Host{a, b}
			if what == protocol.ProtocolReshare { // who signed may deal, and who deals may open
				signers = append(signers, c)
			}
			w.SignReshareAll(nodetest.Wish(vault, 2, a, b), signers...)
			moved := func() bool { return w.HeldBy(a, vault, 2, a, b) && w.HeldBy(b, vault, 2, a, b) }
			began := s.Now
			for i := uint64(2); !moved() && s.Now.Sub(began) < 3*time.Hour; i++ {
				for _, h := range []*nodetest.Host{a, b} {
					x := s.attempt(i, c)
					switch x.Protocol = what; what {
					case protocol.ProtocolTest:
						x.Epoch, x.Payload = eh, nil
					case protocol.ProtocolReshare:
						leaves := func(id engine.PartyID) bool { return id == c.Self() }
						x.Payload = (&protocol.Change{Attempt: i, Dealers: x.IDs(), Members: slices.DeleteFunc(x.IDs(), leaves)}).Encode()
					}
					s.forgeSetup(x, c, h)
				}
				s.Try(5*time.Second, moved)
			}
			t.Logf("moved %v after %s, %d FINALs", moved(), s.Now.Sub(began), len(s.finalsOf(a, a)))
			if !moved() {
				t.Errorf("one member keeps the key in its hands: %s", s.root(a).LastErr)
			}
		})
	}
}
