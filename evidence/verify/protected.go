package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/policy"
)

// A Protection is what a chain itself enforces for a vault, whoever runs the nodes: one key outside the vault takes what lies there, after a delay in which
// the vault can still act.
type Protection struct {
	Chain string `json:"chain"` // CAIP-2
	Of    string `json:"of"`    // what it covers, for people
	Key   string `json:"key"`   // that takes it: x-only in hex, or an address
	After string `json:"after"` // how long it waits, for people
	Class Class  `json:"class"`
}

// protect lists what chains enforce for a vault. proved says that an address which holds the script was derived here.
func (v *verifier) protect(x *vault, proved bool) {
	r := policy.Recovery(x.Vault)
	if r == nil {
		return
	}
	class := Declared // the vault's statement says so, and no address bears it out yet
	if proved {
		class = Proved
		v.report.claim(Proved, "vault "+x.Name, fmt.Sprintf("the chain itself lets one key, %x, take a coin of its Taproot addresses that lay still for %d blocks", r.Key, r.Blocks), "its addresses hold that script: derived here")
	}
	of := "each coin of its Taproot addresses"
	if slices.Contains(x.Suites, charter.SuiteECDSA) {
		of += ", and none of its other ones"
	}
	for _, chain := range v.chainsOf(x) {
		if strings.HasPrefix(chain, "bip122:") {
			x.out.Protected = append(x.out.Protected, Protection{chain, of, fmt.Sprintf("%x", r.Key), fmt.Sprintf("%d blocks without a move", r.Blocks), class})
		}
	}
}

// chainsOf are those that a vault signs for by the newest charter, ascending.
func (v *verifier) chainsOf(x *vault) []string {
	c, ok := v.history.Newest()
	if !ok {
		return nil
	}
	b, _ := c.Vault(x.Name)
	return b.Chains
}
