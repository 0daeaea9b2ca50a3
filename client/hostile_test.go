package client

import (
	"testing"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node/nodetest"
)

// One node leaves out a complete reshare and pads its list with drafts that prove nothing: what an honest node proved counts all
// the same, or the decisions of the committee that it shows would be taken for lies.
func TestPaddedReshares(t *testing.T) {
	w := nodetest.New(t, 4)
	w.Suite = charter.SuiteEd25519
	w.Found()
	a, b, d := w.Hosts[0], w.Hosts[1], w.Hosts[3]
	id := w.AcceptVault(w.VaultFile("treasury", 2, w.Hosts[:3]...), w.Hosts[:3]...)
	w.Run("the vault's key is published", func() bool { v, ok := a.Keeper.Root(id, w.Suite); return ok && v.Current != nil })
	w.SignReshareAll(nodetest.Wish(id, 3, a, b, d), a, b, d)
	w.Run("moved", func() bool { return w.HeldBy(a, id, 3, a, b, d) })
	_, roster, _ := a.Circle.Roster()
	chain, rules := charter.Chain{roster}, &Rules{History: a.Charters.History()}
	x := a.Circle.Reshares(id)[0]
	root, _ := a.Keeper.Root(id, w.Suite)
	r := root.Current.Record
	eh := r.Hash()
	vault := &v1.Vault{Id: id[:], Name: "treasury", State: Ready, Reshares: [][]byte{x.Bytes()}, Roots: []*v1.Root{{
		Suite: w.Suite, State: Ready, PublicKey: r.Public.Bytes(), Key: r.KeyID[:], Epoch: eh[:], FinalCertificate: root.Current.Encode(),
	}}}
	for _, s := range a.Circle.Vaults() {
		vault.Statement = s.Statement.Bytes()
	}
	padded := &v1.Vault{Id: id[:], Name: "treasury", State: "keygen", Statement: vault.Statement}
	for range 3 {
		spec, err := charter.ReshareOf(x.Statement)
		if err != nil {
			t.Fatal(err)
		}
		draft, err := spec.Statement(w.Salt())
		if err != nil {
			t.Fatal(err)
		}
		padded.Reshares = append(padded.Reshares, charter.Accepted{Statement: draft}.Bytes())
	}
	honest, err := ReadVaults("acme", chain, rules, []*v1.Vault{vault})
	if err != nil {
		t.Fatal(err)
	}
	hostile, err := ReadVaults("evil", chain, rules, []*v1.Vault{padded})
	if err != nil {
		return // it is seen
	}
	out, err := MergeVaults(Answers[[]Vault]{{Node: "acme", Value: honest}, {Node: "evil", Value: hostile}})
	if err != nil {
		t.Fatal(err)
	}
	if c := out[0].anybody().Committee; len(c) != 4 {
		t.Errorf("who may ever have decided: %v; planned: %d", c, len(out[0].Planned()))
	}
}
