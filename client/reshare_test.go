package client

import (
	"errors"
	"slices"
	"strings"
	"testing"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node/nodetest"
)

// A committee is believed by its officers' signatures alone: no node can invent one, nor leave out what shows it.
func TestCommitteeIsWhatOfficersSigned(t *testing.T) {
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
	show := func(list [][]byte) *v1.Vault {
		v, _ := a.Keeper.Root(id, w.Suite)
		r := v.Current.Record
		eh := r.Hash()
		out := &v1.Vault{Id: id[:], Name: "treasury", State: Ready, Reshares: list, Roots: []*v1.Root{{
			Suite: w.Suite, State: Ready, PublicKey: r.Public.Bytes(), Key: r.KeyID[:], Epoch: eh[:], FinalCertificate: v.Current.Encode(),
		}}}
		for _, x := range a.Circle.Vaults() {
			out.Statement = x.Statement.Bytes()
		}
		return out
	}
	x := a.Circle.Reshares(id)[0]
	vaults, err := ReadVaults("acme", chain, rules, []*v1.Vault{show([][]byte{x.Bytes()})})
	if err != nil {
		t.Fatal(err)
	}
	if v := vaults[0]; v.Threshold != 3 || !slices.Equal(v.Committee, nodetest.Names(a, b, d)) || v.Founded.Threshold != 2 || len(v.Planned()) != 0 {
		t.Errorf("the vault is shown as %d of %v, founded as %d, with %d planned", v.Threshold, v.Committee, v.Founded.Threshold, len(v.Planned()))
	}
	if c := vaults[0].anybody().Committee; len(c) != 4 {
		t.Errorf("who may ever have decided: %v", c)
	}
	without := charter.Accepted{Statement: x.Statement, Signatures: map[string][]byte{}}
	for name, sig := range x.Signatures {
		if name != d.Own.Name {
			without.Signatures[name] = sig
		}
	}
	spoiled := charter.Accepted{Statement: x.Statement, Signatures: map[string][]byte{}}
	for name := range x.Signatures {
		spoiled.Signatures[name] = x.Signatures[a.Own.Name]
	}
	for name, list := range map[string][][]byte{
		"no statement":         nil,
		"a signature missing":  {without.Bytes()},
		"another's signatures": {spoiled.Bytes()},
		"rubbish":              {{1, 2, 3}},
	} {
		var verify *VerifyError
		if _, err := ReadVaults("acme", chain, rules, []*v1.Vault{show(list)}); !errors.As(err, &verify) {
			t.Errorf("%s: %v", name, err)
		} else if name == "no statement" && !strings.Contains(err.Error(), "nor a reshare that officers completed") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
