package verify

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
)

// A key's address is looked at in every form that the vault's chains write, now or in an older version of the charter, and once in each.
func TestForms(t *testing.T) {
	const bitcoin, test = "bip122:000000000019d6689c085ae165831e93", "bip122:000000000933ea01ad0ee984209779ba"
	path := hd.Path{0, 0, 0}
	key := secp256k1.BaseMul(secp256k1.NewScalar(1))
	x := &vault{Vault: charter.Vault{Name: "treasury"}, children: map[string]group.Point{charter.SuiteECDSA + path.String(): key, charter.SuiteBIP340 + path.String(): key}}
	const ethereum, witness = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
	for name, c := range map[string]struct {
		suite, given, on string
		chains           [][]string // of each version
		want             string
	}{
		"bitcoin's was given":            {charter.SuiteECDSA, witness, bitcoin, [][]string{{bitcoin, "eip155:1", "eip155:10"}}, "eip155:1 " + ethereum},
		"ethereum's was given":           {charter.SuiteECDSA, ethereum, "eip155:1", [][]string{{"eip155:1"}, {bitcoin, "eip155:1"}}, bitcoin + " " + witness},
		"it signed for the other once":   {charter.SuiteECDSA, witness, bitcoin, [][]string{{bitcoin, "eip155:5"}, {bitcoin}}, "eip155:5 " + ethereum},
		"one kind of chain":              {charter.SuiteECDSA, ethereum, "eip155:1", [][]string{{"eip155:1", "eip155:10"}}, ""},
		"a chain of another key":         {charter.SuiteBIP340, "bc1p", bitcoin, [][]string{{bitcoin, "eip155:1", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"}}, ""},
		"another network":                {charter.SuiteECDSA, ethereum, "eip155:1", [][]string{{test, "eip155:1"}}, test + " tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"},
		"a vault that no charter has":    {charter.SuiteECDSA, witness, bitcoin, nil, ""},
		"a key that the vault never had": {charter.SuiteEd25519, "x", "solana:x", [][]string{{"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"}}, ""},
	} {
		v := &verifier{}
		for _, chains := range c.chains {
			v.history = append(v.history, charter.Charter{Document: charter.Document{Vaults: []charter.Blueprint{{Name: "treasury", Chains: chains}}}})
		}
		var got []string
		for _, a := range v.forms(x, charter.Address{Path: path, Suite: c.suite, Chain: c.on, Address: c.given}) {
			got = append(got, fmt.Sprintf("%s %s", a.Chain, a.Address))
		}
		if strings.Join(got, "\n") != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
