package evm

import (
	"fmt"
	"math/big"
	"strings"
)

// EtherDecimals is how many decimal places of an ether (and of the own coin of every EVM
// chain) one wei is.
const EtherDecimals = 18

// FormatUnits writes amount, in the smallest unit, in whole units with as few decimal
// places as are exact.
func FormatUnits(amount *big.Int, decimals uint8) string {
	digits := new(big.Int).Abs(amount).String()
	if missing := int(decimals) + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - int(decimals)
	text := strings.TrimSuffix(strings.TrimRight(digits[:point]+"."+digits[point:], "0"), ".")
	if amount.Sign() < 0 {
		return "-" + text
	}
	return text
}

// ParseUnits reads a decimal number of whole units, such as 1.25, into the smallest unit.
// Signs, exponents, separators, more places than decimals and amounts above 2²⁵⁶−1 are
// refused, so that nothing is rounded.
func ParseUnits(text string, decimals uint8) (*big.Int, error) {
	whole, fraction, point := strings.Cut(text, ".")
	digits := whole + fraction
	switch {
	case whole == "" || point && fraction == "" || strings.Trim(digits, "0123456789") != "" || len(text) > 400:
		return nil, fmt.Errorf("amount %.50q: want a decimal number such as 1.25", text)
	case len(fraction) > int(decimals):
		return nil, fmt.Errorf("amount %.50q: has %d decimal places, more than the asset's %d", text, len(fraction), decimals)
	}
	amount, ok := new(big.Int).SetString(digits+strings.Repeat("0", int(decimals)-len(fraction)), 10)
	if !ok || amount.BitLen() > 256 {
		return nil, fmt.Errorf("amount %.50q: is above 2²⁵⁶−1 of the smallest unit", text)
	}
	return amount, nil
}
