package verify

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/statement"
)

// ruleSOS is the rule of a node's decision while an emergency's plan stands in the place of quorum and policy (spec/sos 5.9).
const ruleSOS = "sos"

// asker finds who asked. In a vault with a plan that may be an operator's officer, in its name; what comes of it the plan must have ruled (swept).
func (v *verifier) asker(q *request, terms charter.Vault, name string) (p charter.Person, officer, ok bool) {
	if p, ok = terms.Initiator(name); ok || terms.SOS == nil || !slices.Contains(terms.Committee, name) {
		return p, false, ok
	}
	reach, _ := v.rosters.Reach(q.vault.Roster)
	o, ok := reach.Operator(name)
	return charter.Person{Name: name, Organisation: name, Keys: o.Officers}, true, ok
}

// swept says whether nodes enough allowed a request by an emergency's plan, and what is wrong with it then. Whether that emergency was ACTIVE is
// judged where emergencies are; here: that it was asked for, of this vault, and that the transaction is what the plan names.
func (v *verifier) swept(q *request, terms charter.Vault) (ruled bool, err error) {
	n, asked := 0, map[statement.ID]bool{}
	for _, d := range q.decisions {
		if d.Verdict == intent.Allow && d.Rule == ruleSOS {
			n, asked[requestIn(d.Reason)] = n+1, true
		}
	}
	switch {
	case n == 0 || n < terms.Threshold:
		return false, nil
	case terms.SOS == nil:
		return true, errors.New("it was allowed by the plan of an emergency, and the vault had none")
	case len(asked) != 1:
		return true, errors.New("nodes allowed it by the plans of different requests")
	}
	for id := range asked {
		d := v.docs[id]
		if d == nil {
			return true, fmt.Errorf("it was allowed by the plan of request %s, which no log shows", id.Short())
		}
		s, ok := d.as(statement.SOSRequest)
		if !ok || s.Fields().ID("vault") != q.vault.ID {
			return true, fmt.Errorf("it was allowed by the plan of request %s, which is none of the vault's", id.Short())
		}
	}
	if elsewhere(q.intent) {
		return true, q.sweptElsewhere(terms)
	}
	tx, err := evm.DecodeCall(q.intent.Transaction, policy.Named(terms))
	if err != nil {
		return true, fmt.Errorf("it was allowed by a plan, which does not name it: %w", err)
	}
	f := tx.Facts()
	if !rescued(terms, q.intent.Chain, f.Destination.String()) && f.Operation != evm.ContractCall {
		return true, fmt.Errorf("it was allowed by a plan, and goes to %s, which is none of the plan's rescue addresses", f.Destination)
	}
	return true, nil
}

// rescued says whether an address is one of the rescue addresses of a vault's plan.
func rescued(terms charter.Vault, chain, address string) bool {
	return slices.ContainsFunc(terms.SOS.Destinations, func(x charter.Destination) bool {
		return x.Chain == chain && policy.SameAddress(chain, x.Address, address)
	})
}

// requestIn is the request that a decision's reason names; zero: none.
func requestIn(reason string) (id statement.ID) {
	for _, word := range strings.Fields(reason) {
		if b, err := hex.DecodeString(word); err == nil && len(b) == len(id) {
			return statement.ID(b)
		}
	}
	return id
}
