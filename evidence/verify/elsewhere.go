package verify

import (
	"fmt"
	"math"
	"strings"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/evidence/rescue"
)

// elsewhere says whether an intent asks for a transaction on another chain than Ethereum and those like it.
func elsewhere(it intent.Intent) bool {
	return it.Purpose == intent.PurposeTransaction && !evmChain(it.Chain)
}

// transaction reads what an intent asks for on such a chain.
func (x *vault) transaction(it intent.Intent) (payload.Payload, error) {
	if strings.HasPrefix(it.Chain, "bip122:") {
		return x.bitcoin(it)
	}
	if strings.HasPrefix(it.Chain, "solana:") {
		return payload.DecodeSolana(it) // by what it encloses: nodes compared that with the chain
	}
	return nil, fmt.Errorf("transactions of chain %s are not read by this release", it.Chain)
}

// bitcoin reads what an intent asks a vault's keys to sign. Whether the fee was too high, nodes judged.
func (x *vault) bitcoin(it intent.Intent) (*payload.Bitcoin, error) {
	suite := ""
	root := func(asked string) (payload.Root, error) {
		for _, k := range x.keys {
			if k.suite == asked {
				return payload.Root{Public: k.current().Public, ChainCode: k.current().ChainCode}, nil
			}
		}
		return payload.Root{}, fmt.Errorf("no log shows a key of suite %s", asked)
	}
	for _, k := range x.keys {
		if k.id == it.Key {
			suite = k.suite
		}
	}
	v, err := payload.VaultOf(it.Chain, root, policy.Recovery(x.Vault), math.MaxUint64)
	if err != nil {
		return nil, err
	}
	return payload.DecodeBitcoin(it, suite, v)
}

// checkElsewhere holds what was published to the request, every signature of it under its key.
func (q *request) checkElsewhere(id [32]byte, raw []byte) error {
	tx, err := q.vault.transaction(q.intent)
	if err != nil {
		return err
	}
	signed, err := tx.ParseSigned(raw)
	switch {
	case err != nil:
		return err
	case signed.ID != id:
		return fmt.Errorf("its id is %s, the logs tell of %x", signed.Name, id)
	}
	return nil
}

// readsElsewhere says what a transaction of such a chain moves.
func (v *verifier) readsElsewhere(x *vault, it intent.Intent, o *rescue.Outflow) {
	tx, err := x.transaction(it)
	if err != nil {
		o.Other = err.Error()
		return
	}
	for _, e := range tx.Effects() {
		switch e.Operation {
		case effect.Transfer, effect.Token:
			o.To = append(o.To, e.Destination)
		case effect.Fee:
		default:
			o.Other = "operation " + string(e.Operation)
		}
	}
	o.Slot = payload.Slot(tx)
	c, known := v.history.Version(it.Charter)
	if !known {
		o.Unmeasured = "it names a charter that was never in force"
		return
	}
	flows, err := policy.FlowsOf(c.Document, tx.Effects())
	if err == nil {
		o.Moves, err = policy.Sums(flows)
	}
	if err != nil {
		o.Unmeasured = err.Error()
	}
}

// sweptElsewhere says why a transaction that a plan allowed goes elsewhere than to the plan's rescue addresses.
func (q *request) sweptElsewhere(terms charter.Vault) error {
	tx, err := q.vault.transaction(q.intent)
	if err != nil {
		return fmt.Errorf("it was allowed by a plan, which does not name it: %w", err)
	}
	for _, e := range tx.Effects() {
		if e.Operation == effect.Fee || (e.Operation == effect.Transfer || e.Operation == effect.Token) && rescued(terms, e.Chain, e.Destination) {
			continue
		}
		return fmt.Errorf("it was allowed by a plan, and does %s to %s, which is none of the plan's rescue addresses", e.Operation, e.Destination)
	}
	return nil
}
