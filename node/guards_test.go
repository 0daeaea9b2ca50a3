package node_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/store"
)

// guarded is a circle whose vaults have an SOS plan: one operator and two of three guardians.
func guarded(t *testing.T, n, threshold int) (setting, *int) {
	t.Helper()
	w, life := nodetest.New(t, n), 0
	w.Change = func(d *charter.Document) {
		d.Guardians = nodetest.Guardians(t, 3, life)
		for i := range d.Vaults {
			if d.Vaults[i].Rescue == nil && life >= 0 {
				d.Vaults[i].Rescue = nodetest.Plan(threshold-1, 2, "operator-9")
			}
		}
	}
	id, addr := nodetest.Ready(w, threshold)
	return setting{w, id, addr}, &life
}

// checkBackups holds what every host keeps of its record to the charter's plan.
func (s setting) checkBackups(r *epoch.Record) {
	s.T.Helper()
	for _, h := range s.Hosts {
		plan := ceremony.PlanOf(s.root(h).Vault.Terms, r.Threshold)
		if plan == nil || r.Guardians != plan.Hash() {
			s.T.Fatalf("%s: the epoch was made under another plan than the charter's", h.Own.Name)
		}
		eh := r.Hash()
		row := func(name string) []byte {
			rows := s.Rows(h, store.Key("epoch", store.ID(r.KeyID[:]), store.ID(eh[:]), store.Name(name)))
			if len(rows) != 1 {
				s.T.Fatalf("%s holds %d rows %s", h.Own.Name, len(rows), name)
			}
			return rows[0].Value
		}
		if _, err := r.CheckBackups(plan, row(protocol.RowBackups)); err != nil {
			s.T.Error(err)
		}
		if len(row(protocol.RowMask)) <= 32 {
			s.T.Errorf("%s: the mask is not sealed", h.Own.Name)
		}
	}
}

// A vault with an SOS plan is guarded from its first epoch on, and its shares are made anew when a guardian has another key: nobody asks.
func TestEveryEpochIsGuarded(t *testing.T) {
	t.Parallel()
	s, life := guarded(t, 3, 3)
	first := s.record(s.Hosts[0])
	s.checkBackups(first)
	s.wantNew()
	second := s.moved(1, first)
	s.checkBackups(second)
	if second.Backups == first.Backups || second.Guardians != first.Guardians {
		t.Error("a new epoch has the old backups, or other guardians")
	}
	s.Run("all masks are proved at all nodes", func() bool {
		for _, h := range s.Hosts {
			if len(s.root(h).Masks) < 3 {
				return false
			}
		}
		return true
	})
	for _, h := range s.Hosts {
		if err := h.Backed(context.Background(), s.vault, s.Suite); err != nil {
			t.Error(err)
		}
	}
	*life = 1
	s.Enact()
	if err := s.Hosts[0].Backed(context.Background(), s.vault, s.Suite); err == nil || !strings.Contains(err.Error(), "have nothing of epoch 1 yet") {
		t.Errorf("backed, while the guardians of the charter in force have nothing: %v", err)
	}
	third := s.moved(2, second)
	s.checkBackups(third)
	if third.Guardians == second.Guardians {
		t.Error("the guardians' new keys are not those of the new epoch")
	}
	for _, h := range s.Hosts {
		eh := second.Hash()
		for _, name := range []string{protocol.RowMask, protocol.RowBackups, protocol.RowShare} {
			if len(s.Rows(h, store.Key("epoch", store.ID(second.KeyID[:]), store.ID(eh[:]), store.Name(name)))) > 0 {
				t.Errorf("%s keeps %s of an epoch that is over", h.Own.Name, name)
			}
		}
	}
	s.Step(time.Minute)
	if !s.in(2, s.Hosts...) {
		t.Error("the epoch moves on by itself")
	}
}

// A guarded vault signs as any other.
func TestGuardedSettingSigns(t *testing.T) {
	t.Parallel()
	s, _ := guarded(t, 2, 2)
	intent := s.Propose(s.vault, s.addr, 0)
	s.Approve(intent)
	s.Run("signed", func() bool { return s.Signed(intent) })
}
