package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Safe is one with a delay that the newest charter names, for Enquiry.
type Safe struct {
	Vault                string
	Chain                string // CAIP-2
	Safe, Module, Key    string
	Cooldown, Expiration time.Duration
}

// SafeFacts are what endpoints say of one.
type SafeFacts struct {
	Vault   string
	Safe    string
	Owner   string   // its only one; empty: it has several
	Unlike  []string // what is not as the charter has it
	Waiting int      // calls in its queue that can still be carried out
}

// safesOn are those on a chain.
func (r *Report) safesOn(chain string) []Safe {
	return slices.DeleteFunc(slices.Clone(r.safes), func(s Safe) bool { return s.Chain != chain })
}

// owned says whether an address is one of a vault's, and whether that is known: a vault may withhold its addresses, and logs may be missing.
func (r *Report) owned(vault, address string) (is, known bool) {
	for _, v := range r.Vaults {
		if v.Name == vault {
			is = slices.ContainsFunc(v.Addresses, func(a Address) bool { return evmChain(a.Chain) && a.Address == address })
			known = is || v.Published && r.unread == 0
		}
	}
	return is, known
}

// reconcileSafes holds what the charter says of Safes to what a chain says.
func (r *Report) reconcileSafes(f Facts) {
	for _, s := range r.safesOn(f.Chain) {
		i := slices.IndexFunc(f.Safes, func(x SafeFacts) bool { return x.Vault == s.Vault && x.Safe == s.Safe })
		if i < 0 {
			continue // it was not asked
		}
		subject, claim := "vault "+s.Vault, fmt.Sprintf("on %s the chain has its Safe %s with the delay that the charter names", s.Chain, s.Safe)
		basis := fmt.Sprintf("block %d, as %s says", f.Height, strings.Join(f.Endpoints, ", "))
		all := f.Safes[i].Unlike
		is, known := r.owned(s.Vault, f.Safes[i].Owner)
		if known && !is && len(all) == 0 {
			all = []string{fmt.Sprintf("its owner is %s, which is no address of the vault's", f.Safes[i].Owner)}
		}
		if len(all) > 0 {
			r.failAs(Attested, subject, claim, basis, strings.Join(all, "; "))
			continue
		}
		if !known {
			r.attend(fmt.Sprintf("vault %s: the owner of its Safe %s on %s is %s, and no address that is shown here: ask the vault for it (--address)", s.Vault, s.Safe, s.Chain, f.Safes[i].Owner))
			continue
		}
		r.claim(Attested, subject, claim, basis)
		r.attested(s)
		if n := f.Safes[i].Waiting; n > 0 {
			r.attend(fmt.Sprintf("vault %s: %s in the queue of its Safe %s on %s: whoever does not want that vetoes", s.Vault, count(n, "call waits", "calls wait"), s.Safe, s.Chain))
		}
	}
}

// attested raises what is said of a Safe from the charter's word to the chain's.
func (r *Report) attested(s Safe) {
	for i := range r.Vaults {
		for j := range r.Vaults[i].Protected {
			if p := &r.Vaults[i].Protected[j]; r.Vaults[i].Name == s.Vault && p.Chain == s.Chain && p.Key == s.Key {
				p.Class = Attested
			}
		}
	}
}
