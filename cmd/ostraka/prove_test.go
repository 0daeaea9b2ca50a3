package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
)

// The flags that name a root stand where there may be several.
func TestSuiteFlags(t *testing.T) {
	alone(t)
	for args, flags := range map[string][]string{
		"address prove": {"--text", "--entity", "--height", "--suite", "--chain", "--memo", "--expires", "--no-wait"},
		"address new":   {"--suite"},
		"address list":  {"--suite"},
		"vault create":  {"--file"},
		"demo":          {"--suite", "--eth-rpc", "--keep"},
	} {
		code, out, errs := try(append(strings.Fields(args), "--help")...)
		if code != codeDone {
			t.Errorf("%s: code %d, %s", args, code, errs)
		}
		for _, f := range flags {
			if !strings.Contains(out, f+" ") {
				t.Errorf("%s has no flag %s: %s", args, f, out)
			}
		}
	}
}

func vaultOfTwo() client.Vault {
	v := client.Vault{Roots: []client.Root{{Suite: charter.SuiteECDSA}, {Suite: charter.SuiteEd25519}}}
	v.Name, v.Suites = "two", []string{charter.SuiteECDSA, charter.SuiteEd25519}
	v.Chains = []string{"eip155:1", "eip155:10", demoChains[charter.SuiteEd25519]}
	return v
}

// Whose address is meant is asked before a node is: the root, the chain and the form of the account.
func TestSenderOf(t *testing.T) {
	for _, c := range []struct{ suite, chain, account, want string }{
		{"", "", "ops/main", "name one of ecdsa-secp256k1, ed25519"},
		{"bip340-secp256k1", "", "ops/main", `has no key of suite "bip340-secp256k1"`},
		{charter.SuiteECDSA, "", "ops/main", "give --chain"},
		{charter.SuiteEd25519, "", "ops", "want DEPARTMENT/ACCOUNT"},
		{charter.SuiteEd25519, "", "ops/main/x", "no address's index"},
		{charter.SuiteEd25519, "", "ops/main/0/0", "want DEPARTMENT/ACCOUNT"},
		{charter.SuiteECDSA, "eip155:1", "ops/main/4294967296", "no address's index"},
	} {
		_, err := senderOf(context.Background(), &client.Circle{}, vaultOfTwo(), c.suite, c.chain, c.account)
		if p := explain(err); err == nil || p.Code != codeUsage || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Each suite of the demonstration has a chain that it signs for.
func TestDemoChains(t *testing.T) {
	for _, suite := range []string{charter.SuiteECDSA, charter.SuiteBIP340, charter.SuiteEd25519} {
		if !chain.Serves(suite, demoChains[suite]) {
			t.Errorf("%s does not sign for %s", suite, demoChains[suite])
		}
	}
	if len(demoChains) != 3 {
		t.Errorf("%d suites", len(demoChains))
	}
}

// A proof's document holds all that its reader needs to verify it, and no transaction's fields.
func TestProofDocument(t *testing.T) {
	p := intent.Proof{
		Vault: statement.ID{1}, Intent: statement.ID{2}, Suite: charter.SuiteECDSA, Path: [3]uint32{0, 1, 2}, Address: "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf", Chain: "eip155:1", Claim: intent.Claim{Entity: "Example Ltd", Text: "ours"},
		Created: client.Now(), Expires: client.Now().Add(1e9 * 60),
	}
	s, err := p.Statement()
	if err != nil {
		t.Fatal(err)
	}
	c := &client.Case{Proof: &client.Proof{Proof: p, Statement: s, Key: secp256k1.Group{}.Generator()}}
	d := proofOf(c)
	again, err := statement.Parse([]byte(d.Statement))
	if err != nil || again.ID().String() != d.ID || d.Suite != charter.SuiteECDSA || d.Signature != "" || d.Entity != "Example Ltd" || d.Text != "ours" {
		t.Errorf("%+v, %v", d, err)
	}
	if d.PublicKey != "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798" {
		t.Errorf("key %s", d.PublicKey)
	}
	c.Signed = &client.Signed{Hash: "0x" + d.ID, Raw: slices.Repeat([]byte{7}, 65)}
	if got := proofOf(c).Signature; got != "0x"+strings.Repeat("07", 65) {
		t.Errorf("signature %s", got)
	}
	if got := signedOf(c); got.Hash != "0x"+d.ID || got.R != "" || got.S != "" || got.Raw != fmt.Sprintf("0x%x", c.Signed.Raw) {
		t.Errorf("signed %+v", got)
	}
	if proofOf(&client.Case{}) != nil {
		t.Error("a transaction has a proof's document")
	}
}
