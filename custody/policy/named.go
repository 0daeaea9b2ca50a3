package policy

import (
	"slices"
	"strconv"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
)

// Named says which calls of contracts the SOS plan of a vault's terms names (spec/sos 5.3): they are decoded, and no others. nil: there is no plan.
func Named(v charter.Vault) evm.Named {
	if v.SOS == nil {
		return nil
	}
	calls := v.SOS.Calls
	return func(chainID uint64, to evm.Address, data []byte) bool {
		chain := "eip155:" + strconv.FormatUint(chainID, 10)
		return slices.ContainsFunc(calls, func(c charter.Call) bool {
			return c.Chain == chain && slices.Equal(c.Data, data) && SameAddress(chain, c.To, to.String())
		})
	}
}
