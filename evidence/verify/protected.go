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
	v.protectSafes(x)
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

// protectSafes lists the Safes with a delay that the newest charter names. Whether the chain has them so, only the chain tells.
func (v *verifier) protectSafes(x *vault) {
	c, ok := v.history.Newest()
	if !ok {
		return
	}
	b, _ := c.Vault(x.Name)
	for _, d := range b.Delayed {
		x.out.Protected = append(x.out.Protected, Protection{d.Chain, "what lies in its Safe " + d.Safe, d.Key, fmt.Sprintf("%s in which the vault can veto", d.Cooldown), Declared})
		v.report.claim(Declared, "vault "+x.Name, fmt.Sprintf("on %s the chain itself lets one key, %s, act for its Safe %s after %s in which the vault can veto", d.Chain, d.Key, d.Safe, d.Cooldown), "the charter in force names them; whether the chain has them so, --rpc asks")
		v.report.safes = append(v.report.safes, Safe{Vault: x.Name, Chain: d.Chain, Safe: d.Safe, Module: d.Module, Key: d.Key, Cooldown: d.Cooldown, Expiration: d.Expiration})
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
