package node_test

import (
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/nodetest"
)

var changedSuites = []string{charter.SuiteECDSA, charter.SuiteEd25519}

// circleOf is a circle of n nodes with a vault that the first few hold.
func circleOf(t *testing.T, suite string, n, held, threshold int) (w *nodetest.World, vault statement.ID) {
	t.Helper()
	w = nodetest.New(t, n)
	w.Suite = suite
	w.Found()
	vault = w.AcceptVault(w.VaultFile("treasury", threshold, w.Hosts[:held]...), w.Hosts[:held]...)
	w.Run("the vault's key is published", func() bool {
		for _, h := range w.Hosts[:held] {
			if v, ok := h.Keeper.Root(vault, suite); !ok || v.Current == nil {
				return false
			}
		}
		return true
	})
	return w, vault
}

// A 3-of-3 vault goes to another operator: the key stays, who left holds nothing, and the new committee signs.
func TestReshareToAnotherMember(t *testing.T) {
	for _, suite := range changedSuites {
		t.Run(suite, func(t *testing.T) {
			w, vault := circleOf(t, suite, 4, 3, 3)
			a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
			before, _ := a.Keeper.Root(vault, suite)
			w.SignReshareAll(nodetest.Wish(vault, 3, a, b, d), a, b, c, d)
			w.Run("moved everywhere", func() bool {
				return w.All(func(h *nodetest.Host) bool { return w.HeldBy(h, vault, 3, a, b, d) })
			})
			after, _ := a.Keeper.Root(vault, suite)
			if !after.Current.Record.Public.Equal(before.Current.Record.Public) {
				t.Fatal("the key has changed")
			}
		})
	}
}
