package client_test

import (
	"context"
	"testing"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node/nodetest"
)

// After a refresh one operator shows the certificate of the epoch before, which holds: the key is the same, and people are not
// kept from their vault by it.
func TestOneNodeShowsAnOlderEpoch(t *testing.T) {
	w := nodetest.New(t, 3)
	w.Suite = charter.SuiteBIP340
	id, _ := nodetest.Ready(w, 2)
	shown := func(h *nodetest.Host) *v1.Vault {
		v, _ := h.Keeper.Root(id, w.Suite)
		r := v.Current.Record
		eh := r.Hash()
		for _, a := range h.Circle.Vaults() {
			if a.Statement.ID() == id {
				return &v1.Vault{Id: id[:], Name: v.Vault.Name, State: client.Ready, Statement: a.Statement.Bytes(), Roots: []*v1.Root{{
					Suite: w.Suite, State: client.Ready, PublicKey: r.Public.Bytes(), Key: r.KeyID[:], Epoch: eh[:], FinalCertificate: v.Current.Encode(),
				}}}
			}
		}
		t.Fatal("no vault")
		return nil
	}
	old := shown(w.Hosts[2])
	for _, h := range w.Hosts {
		if err := h.Keeper.AskRefresh(context.Background(), w.Now, id, w.Suite); err != nil {
			t.Fatal(err)
		}
	}
	w.Run("refreshed", func() bool {
		return w.All(func(h *nodetest.Host) bool { v, _ := h.Keeper.Root(id, w.Suite); return v.Current.Record.Epoch == 1 })
	})
	_, roster, _ := w.Hosts[0].Circle.Roster()
	var all client.Answers[[]client.Vault]
	for i, m := range []*v1.Vault{shown(w.Hosts[0]), shown(w.Hosts[1]), old} {
		vs, err := client.ReadVaults(w.Hosts[i].Own.Name, charter.Chain{roster}, &client.Rules{History: w.Hosts[i].Charters.History()}, []*v1.Vault{m})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, client.Answer[[]client.Vault]{Node: w.Hosts[i].Own.Name, Value: vs})
	}
	if _, err := client.MergeVaults(all); err != nil {
		t.Errorf("one node keeps people from the vault: %v", err)
	}
}
