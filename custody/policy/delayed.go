package policy

import (
	"fmt"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
)

// Delay gives what a charter lists of a Safe with a delay its meaning on the chain.
func Delay(x charter.Delayed) (evm.Delay, error) {
	d := evm.Delay{}
	id, ok := evmChain(x.Chain)
	if !ok {
		return d, fmt.Errorf("%q is no EVM chain", x.Chain)
	}
	d.ChainID = id
	for _, a := range []struct {
		name, text string
		to         *evm.Address
	}{{"safe", x.Safe, &d.Safe}, {"module", x.Module, &d.Module}, {"key", x.Key, &d.Key}} {
		var err error
		if *a.to, err = evm.ParseAddress(a.text); err != nil {
			return d, fmt.Errorf("%s: %w", a.name, err)
		}
	}
	return d, nil
}

// addDelays puts in the Safes of a charter's vaults.
func addDelays(b *evm.Book, d charter.Document) error {
	for _, v := range d.Vaults {
		for _, x := range v.Delayed {
			one, err := Delay(x)
			if err != nil {
				return fmt.Errorf("vault %s: delayed on %s: %w", v.Name, x.Chain, err)
			}
			b.Delays = append(b.Delays, one)
		}
	}
	return nil
}
