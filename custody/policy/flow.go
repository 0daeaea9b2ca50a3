package policy

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
)

// A Flow is an effect before it is known what the vault gave out besides.
type Flow struct {
	Operation   Operation
	Asset       string // empty: none
	Amount      int64  // policy units
	Destination string
	Labels      []string
}

// FlowsOf are what the effects of a transaction take, in policy units. An asset that the charter does not have is an error: nothing could be counted.
// Of what has no bound nothing is counted: a rule that permits it by its name permits all of it.
func FlowsOf(d charter.Document, effects []effect.Effect) (flows []Flow, err error) {
	for _, e := range effects {
		f := Flow{Operation: e.Operation, Destination: e.Destination, Labels: labelsOf(d, e.Chain, e.Destination)}
		asset, moves, err := assetOf(d, e)
		if err != nil {
			return nil, err
		}
		if f.Asset = asset.Name; moves && e.Operation != Unlimited {
			if f.Amount, err = asset.Units(e.Amount); err != nil {
				return nil, fmt.Errorf("policy: %s: %w", e.Operation, err)
			}
		}
		flows = append(flows, f)
	}
	return flows, nil
}

// assetOf is what an effect moves or lends; moves is false where that is nothing.
func assetOf(d charter.Document, e effect.Effect) (a charter.Asset, moves bool, err error) {
	contract := e.Contract
	switch e.Operation {
	case Transfer, Fee:
		contract = ""
	case Token, Allowance, Unlimited:
	case Call, DelegateCall, Create, Authorise, Message, Proof:
		if contract = ""; e.Amount == nil {
			return a, false, nil
		}
	default:
		return a, false, fmt.Errorf("policy: operation %q is unknown", e.Operation)
	}
	if e.Amount == nil && e.Operation != Unlimited {
		return a, false, fmt.Errorf("policy: %s of no amount", e.Operation)
	}
	a, ok := d.AssetOn(e.Chain, contract, SameAddressOn(e.Chain))
	switch {
	case !ok && contract == "":
		return a, false, fmt.Errorf("policy: chain %s: its own asset is not in the charter, so what it takes cannot be counted", e.Chain)
	case !ok:
		return a, false, fmt.Errorf("policy: token %s on chain %s is not among the charter's assets", contract, e.Chain)
	}
	return a, true, nil
}

// Outflow is what a transaction of the past gave out at most of each asset that a charter lists, its fee included. Of other assets no rule of that
// charter can ask; what does not fit is more than any limit.
func Outflow(d charter.Document, effects []effect.Effect) map[string]int64 {
	sums := map[string]int64{}
	for _, e := range effects {
		a, moves, err := assetOf(d, e)
		if err != nil || !moves || e.Operation == Unlimited {
			continue
		}
		n, err := a.Units(e.Amount)
		if err != nil || n > math.MaxInt64-sums[a.Name] {
			n = math.MaxInt64 - sums[a.Name]
		}
		sums[a.Name] += n
	}
	return sums
}

// labelsOf are those of the payee with an address.
func labelsOf(d charter.Document, chain, address string) (labels []string) {
	for _, p := range d.Payees {
		if p.Chain == chain && SameAddress(chain, p.Address, address) {
			labels = append(labels, p.Labels...)
		}
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

// SameAddress compares addresses as their chain does: on EVM chains and of Bitcoin's bech32, letters may be written large or small.
func SameAddress(chain, a, b string) bool {
	switch namespace, _, _ := strings.Cut(chain, ":"); namespace {
	case "eip155":
		x, err := evm.ParseAddress(a)
		y, err2 := evm.ParseAddress(b)
		return err == nil && err2 == nil && x == y
	case "bip122":
		n, err := bitcoin.NetworkOf(chain)
		if err != nil {
			return a == b
		}
		x, err := n.ParseAddress(a)
		y, err2 := n.ParseAddress(b)
		return err == nil && err2 == nil && bytes.Equal(x, y)
	}
	return a == b
}

// checkAddress refuses what is no address of its chain: a rule over it would never apply, and nothing could be sent there.
func checkAddress(chain, address string) (err error) {
	switch namespace, _, _ := strings.Cut(chain, ":"); namespace {
	case "eip155":
		_, err = evm.ParseAddress(address)
	case "bip122":
		var n bitcoin.Network
		if n, err = bitcoin.NetworkOf(chain); err == nil {
			_, err = n.ParseAddress(address)
		}
	}
	return err
}

// SameAddressOn is SameAddress of one chain.
func SameAddressOn(chain string) func(a, b string) bool {
	return func(a, b string) bool { return SameAddress(chain, a, b) }
}

// checkAddresses refuses destinations and tokens that are no addresses of their chain: a rule over them would never apply.
func checkAddresses(d charter.Document) error {
	for _, p := range d.Payees {
		if err := checkAddress(p.Chain, p.Address); err != nil {
			return fmt.Errorf("policy: payee %s: %w", p.Name, err)
		}
	}
	for _, v := range d.Vaults {
		if err := checkRescued(v); err != nil {
			return fmt.Errorf("policy: vault %s: rescue: %w", v.Name, err)
		}
	}
	for _, a := range d.Assets {
		if strings.HasPrefix(a.Chain, "eip155:") && a.Contract != "" {
			if _, err := evm.ParseAddress(a.Contract); err != nil {
				return fmt.Errorf("policy: asset %s: %w", a.Name, err)
			}
		}
	}
	return nil
}

// checkRescued: assets that are swept to no address, or a call of no contract, would be found out on the day of the emergency.
func checkRescued(v charter.Blueprint) error {
	if v.Rescue == nil {
		return nil
	}
	for _, x := range v.Rescue.Destinations {
		if err := checkAddress(x.Chain, x.Address); err != nil {
			return fmt.Errorf("destination %s: %w", x.Name, err)
		}
	}
	for _, c := range v.Rescue.Calls {
		if strings.HasPrefix(c.Chain, "eip155:") {
			if _, err := evm.ParseAddress(c.To); err != nil {
				return fmt.Errorf("call %s: %w", c.Name, err)
			}
		}
	}
	return nil
}

// Sums are what flows take of each asset.
func Sums(flows []Flow) (map[string]int64, error) {
	sums := map[string]int64{}
	for _, f := range flows {
		if f.Asset == "" {
			continue
		}
		if f.Amount < 0 || sums[f.Asset] > math.MaxInt64-1-f.Amount {
			return nil, fmt.Errorf("policy: %w", charter.ErrOverflow)
		}
		sums[f.Asset] += f.Amount
	}
	return sums, nil
}

// Effects are flows beside what the vault gave out of each asset, this transaction included. Every asset of the flows has its totals.
func Effects(flows []Flow, totals map[string]Totals) ([]Effect, error) {
	var out []Effect
	for _, f := range flows {
		e := Effect{Operation: f.Operation, Asset: f.Asset, Amount: f.Amount, Destination: f.Destination, Labels: f.Labels}
		if t, ok := totals[f.Asset]; ok {
			e.Total = t
		} else if f.Asset != "" {
			return nil, fmt.Errorf("policy: nothing is known of what was given out of %s", f.Asset)
		}
		out = append(out, e)
	}
	return out, nil
}
