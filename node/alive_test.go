package node_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/store"
)

// guardedOf is guarded, with keys of a suite and a plan for every trigger that a test here asks for.
func guardedOf(t *testing.T, suite string, n, threshold int) setting {
	t.Helper()
	w := nodetest.New(t, n)
	w.Suite = suite
	w.Change = func(d *charter.Document) {
		d.Guardians = nodetest.Guardians(t, 3, 0)
		for i := range d.Vaults {
			if d.Vaults[i].Rescue == nil {
				d.Vaults[i].Rescue = nodetest.Plan(threshold-1, 2, "operator-9")
			}
		}
	}
	id, addr := nodetest.Ready(w, threshold)
	return setting{w, id, addr}
}

// lost is a circle whose last operator fell silent, and whose request the others declared: the delay runs.
func (s setting) lost() act.Request {
	s.T.Helper()
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.Run("all heard of all", func() bool { return len(a.Pulse.Beats()) == 3 && len(b.Pulse.Beats()) == 3 })
	s.Step(10 * time.Second)
	s.Downtime = 1000 * time.Hour
	s.Crash(c)
	r := s.askSOS(a, charter.TriggerSilence, c.Own.Name)
	s.Run("known to both", s.allStand(sos.Armed, r, a, b))
	s.support(a, r, 0)
	s.support(b, r, 1)
	s.consent(a, r)
	s.consent(b, r)
	s.Run("the delay runs", s.allStand(sos.Contest, r, a, b))
	return r
}

// saids counts the statements of a kind in a host's log.
func (s setting) saids(h *nodetest.Host, kind statement.Kind) (n int) {
	s.T.Helper()
	return len(s.saying(h, kind))
}

// saying are the statements of a kind in a host's log.
func (s setting) saying(h *nodetest.Host, kind statement.Kind) (all []statement.Statement) {
	s.T.Helper()
	head, err := h.Journal.Head(s.T.Context())
	if err != nil {
		s.T.Fatal(err)
	}
	for i := range head.Size {
		l, err := h.Journal.Leaf(s.T.Context(), i)
		if err != nil {
			s.T.Fatal(err)
		}
		if l.Kind != tlog.KindStatement {
			continue
		}
		if st, err := statement.ParseKind(l.Body.Content, kind); err == nil {
			all = append(all, st)
		}
	}
	return all
}

// An operator that was called lost comes back while the delay runs: its node alone proves that it lives, has the vault sign with it, and
// that ends it at every node. The vault signs again. In every suite.
func TestALostOperatorComesBack(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{charter.SuiteECDSA, charter.SuiteBIP340, charter.SuiteEd25519} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			s := guardedOf(t, suite, 3, 3)
			r := s.lost()
			s.Start(s.Hosts[2])
			s.Run("ended at every node", s.allStand(sos.Vetoed, r, s.Hosts...))
			for _, h := range s.Hosts {
				if alive, signed := s.saids(h, statement.SOSAlive), s.saids(h, statement.SOSSigned); alive != 1 || signed != 1 {
					t.Errorf("%s logged %d proofs of life and %d live signatures", h.Own.Name, alive, signed)
				}
				if rows := slices.Concat(s.Rows(h, store.Prefix("sos-live")), s.Rows(h, store.Prefix("sos-say"))); len(rows) > 0 {
					t.Errorf("%s keeps %s", h.Own.Name, rows[0].Key)
				}
			}
			if suite != charter.SuiteECDSA {
				return
			}
			st := s.Propose(s.vault, s.addr, 0)
			s.Approve(st)
			s.Run("signed", func() bool { return s.Signed(st) })
		})
	}
}

var _ = fmt.Sprint
