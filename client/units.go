package client

import (
	"math/big"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/policy"
)

// Units is an amount of the smallest unit in whole units of an asset of the intent's chain, with its name, as the charter that the intent names has both: "12.5 usdc". contract is the token's address, empty for
// the chain's own coin. False where that charter does not list it.
func (c *Case) Units(contract string, amount *big.Int) (text string, ok bool) {
	version, ok := c.Vault.rules.History.Version(c.Intent.Charter)
	if !ok {
		return "", false
	}
	a, ok := version.Document.AssetOn(c.Intent.Chain, contract, policy.SameAddressOn(c.Intent.Chain))
	if !ok {
		return "", false
	}
	return evm.FormatUnits(amount, uint8(a.Decimals)) + " " + a.Name, true
}
