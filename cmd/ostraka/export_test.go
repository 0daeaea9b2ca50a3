package main

import (
	"testing"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// A descriptor that is given to another wallet leads to the addresses that the nodes give out.
func TestExportedDescriptorsLeadToOurAddresses(t *testing.T) {
	const bitcoin = "bip122:000000000019d6689c085ae165831e93"
	for _, suite := range []string{charter.SuiteECDSA, charter.SuiteBIP340} {
		r := client.Root{Suite: suite, State: client.Ready, Record: &epoch.Record{
			Suite: suite, Public: secp256k1.BaseMul(secp256k1.NewScalar(7)), ChainCode: [32]byte{9},
		}}
		v := client.Vault{Vault: charter.Vault{Name: "treasury", Suites: []string{suite}, Terms: charter.Terms{Chains: []string{"eip155:1", bitcoin}}}, Roots: []client.Root{r}}
		x := client.Account{Account: charter.Account{Department: "ops", Name: "main", Path: [2]uint32{3, 5}}}
		d, err := exportOf(v, r, x)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Descriptors) != 1 {
			t.Fatalf("%s: descriptors %v", suite, d.Descriptors)
		}
		parsed, err := hd.ParseDescriptor(d.Descriptors[0])
		if err != nil {
			t.Fatal(err)
		}
		for index := range uint32(3) {
			child, _, err := parsed.Account.Child(index)
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := chain.Address(suite, bitcoin, child.Point, nil)
			if err != nil {
				t.Fatal(err)
			}
			ours, _, err := v.Address(r, bitcoin, hd.Path{3, 5, index})
			if err != nil || theirs != ours {
				t.Errorf("%s: address %d is %s, another wallet derives %s (%v)", suite, index, ours, theirs, err)
			}
		}
		if key, _, err := hd.ParseXPub(d.XPub); err != nil || key.Depth != 2 {
			t.Errorf("%s: xpub %s: %v", suite, d.XPub, err)
		}
	}
}
