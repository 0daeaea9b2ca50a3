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

// onBitcoin says whether an intent asks for a transaction of Bitcoin.
func onBitcoin(it intent.Intent) bool {
	return it.Purpose == intent.PurposeTransaction && strings.HasPrefix(it.Chain, "bip122:")
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

// checkBitcoin holds what was published to the request, every signature of it under the key of its coin.
func (q *request) checkBitcoin(id [32]byte, raw []byte) error {
	tx, err := q.vault.bitcoin(q.intent)
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

// readsBitcoin says what a transaction of Bitcoin moves.
func (v *verifier) readsBitcoin(x *vault, it intent.Intent, o *rescue.Outflow) {
	tx, err := x.bitcoin(it)
	if err != nil {
		o.Other = err.Error()
		return
	}
	for _, e := range tx.Effects() {
		switch e.Operation {
		case effect.Transfer:
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

// sweptBitcoin says why a transaction that a plan allowed goes elsewhere than to the plan's rescue addresses.
func (q *request) sweptBitcoin(terms charter.Vault) error {
	tx, err := q.vault.bitcoin(q.intent)
	if err != nil {
		return fmt.Errorf("it was allowed by a plan, which does not name it: %w", err)
	}
	for _, e := range tx.Effects() {
		if e.Operation == effect.Fee || e.Operation == effect.Transfer && rescued(terms, e.Chain, e.Destination) {
			continue
		}
		return fmt.Errorf("it was allowed by a plan, and does %s to %s, which is none of the plan's rescue addresses", e.Operation, e.Destination)
	}
	return nil
}
