package nodetest

import (
	"context"
	"slices"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/circle"
)

// Names are the operators of hosts, ascending.
func Names(hosts ...*Host) (names []string) {
	for _, h := range hosts {
		names = append(names, h.Own.Name)
	}
	slices.Sort(names)
	return names
}

// Wish is a reshare to these hosts.
func Wish(vault statement.ID, threshold int, hosts ...*Host) circle.Wish {
	return circle.Wish{Vault: vault, Committee: Names(hosts...), Threshold: threshold}
}

// SignReshare has a host's officer sign what its operator wishes. The first makes the statement; the others wait for it.
func (w *World) SignReshare(h *Host, first bool, wish circle.Wish) (id statement.ID) {
	w.T.Helper()
	w.Run("reshare signed by "+h.Own.Name, func() (signed bool) {
		w.Act(h, func() {
			var err error
			id, err = w.TrySignReshare(h, first, wish)
			signed = err == nil
		})
		return signed
	})
	return id
}

// TrySignReshare does so once.
func (w *World) TrySignReshare(h *Host, first bool, wish circle.Wish) (id statement.ID, err error) {
	a, fresh, err := h.Circle.PrepareReshare(w.Clock(h), wish)
	if err != nil {
		return id, err
	}
	if fresh && !first {
		return id, errNobody // the first officer's statement is still on its way
	}
	_, _, err = h.Circle.Accept(context.Background(), w.Clock(h), a.Statement.Bytes(), h.Officer.Makes(w.T, a.Statement))
	return a.Statement.ID(), err
}

// SignReshareAll has several officers sign one reshare.
func (w *World) SignReshareAll(wish circle.Wish, signers ...*Host) (id statement.ID) {
	w.T.Helper()
	for i, h := range signers {
		id = w.SignReshare(h, i == 0, wish)
	}
	return id
}

// HeldBy says whether a host sees a vault's key in the hands of these hosts, with this threshold.
func (w *World) HeldBy(h *Host, vault statement.ID, threshold int, hosts ...*Host) bool {
	v, ok := h.Keeper.Root(vault, w.Suite)
	return ok && v.Current != nil && v.Vault.Threshold == threshold && slices.Equal(v.Vault.Committee, Names(hosts...))
}
