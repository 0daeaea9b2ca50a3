package node_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/nodetest"
)

// Operators who together show a request that names an address of another key, and that key's signature, show no signature of the vault's.
func TestVerifyAnotherKeysAddress(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Change = func(d *charter.Document) {
		for i := range d.Vaults {
			d.Vaults[i].Publish = true
		}
	}
	vault, addr := nodetest.Ready(w, 3)
	published := w.PublishAll()
	for name, forged := range map[string]bool{"the vault's key": false, "another key": true} {
		all := copied(published)
		key, err := crypto.ToECDSA(bytes.Repeat([]byte{7}, 32))
		if err != nil {
			t.Fatal(err)
		}
		if at := addr; forged {
			at.Address = crypto.PubkeyToAddress(key.PublicKey).Hex()
			w.ProlongBy(all, vault, at, crypto.FromECDSA(key), 1, 2)
		} else {
			w.Prolong(all, vault, addr, 1, 2)
		}
		r, err := verify.Verify(sources(t, all), verify.Options{Now: w.Now})
		if err != nil {
			t.Fatal(err)
		}
		said := slices.ContainsFunc(failures(r), func(f string) bool {
			return strings.Contains(f, "and the vault's key has "+addr.Address+" at its path")
		})
		if said != forged {
			t.Errorf("%s: %q", name, failures(r))
		}
	}
}

// An ECDSA key signs on Bitcoin and on chains like Ethereum, and a node gives out one form of its address: a vault of both kinds of chain is asked about in the other form too, or
// what was stolen there would be told of nobody.
func TestVerifyAKeyOnTwoKindsOfChain(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Change = func(d *charter.Document) {
		for i := range d.Vaults {
			d.Vaults[i].Chains = []string{regtest, "eip155:1"}
		}
	}
	_, addr := nodetest.Ready(w, 3)
	r, err := verify.Verify(sources(t, w.PublishAll()), verify.Options{Now: w.Now})
	if err != nil || r.Failed {
		t.Fatalf("%v, %q", err, failures(r))
	}
	key, err := crypto.DecompressPubkey(addr.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	at := crypto.PubkeyToAddress(*key).Hex()
	if addr.Chain != regtest || addr.Address == at {
		t.Fatalf("it was given out as %s on %s", addr.Address, addr.Chain)
	}
	if q := r.Enquire("eip155:1"); !slices.Equal(q.Addresses, []string{at}) {
		t.Errorf("the chain is asked about %q, not %s", q.Addresses, at)
	}
	if got := r.Vaults[0].Addresses; len(got) != 2 || got[1].Address != at || got[1].Chain != "eip155:1" || got[1].Path != got[0].Path || got[1].Account != got[0].Account {
		t.Errorf("%+v", got)
	}
}
