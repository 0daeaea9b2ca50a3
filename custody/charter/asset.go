package charter

import (
	"errors"
	"fmt"
	"math"
	"math/big"
)

// ErrOverflow says that an amount does not fit in 63 bits of policy units.
var ErrOverflow = errors.New("the amount does not fit in 63 bits of the asset's policy unit")

// Units turns an amount of the smallest unit into policy units, rounded up: two small amounts never count as less than their sum.
func (a Asset) Units(amount *big.Int) (int64, error) {
	if amount.Sign() < 0 || a.Unit < 0 || a.Unit > maxDecimals {
		return 0, fmt.Errorf("asset %s: amount %v in units of 10^%d", a.Name, amount, a.Unit)
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(a.Unit)), nil)
	q, r := new(big.Int).QuoRem(amount, unit, new(big.Int))
	if r.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	if !q.IsInt64() || q.Int64() == math.MaxInt64 {
		return 0, fmt.Errorf("asset %s: %w", a.Name, ErrOverflow)
	}
	return q.Int64(), nil
}

// AssetOn finds the asset of a contract on a chain; an empty contract is the chain's own. same compares two contracts as the chain does.
func (d Document) AssetOn(chain, contract string, same func(a, b string) bool) (Asset, bool) {
	for _, a := range d.Assets {
		if a.Chain == chain && (a.Contract == "") == (contract == "") && (contract == "" || same(a.Contract, contract)) {
			return a, true
		}
	}
	return Asset{}, false
}
