package evm

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
)

// PriceBump is by how much, in percent, a transaction must pay more per gas than the one whose nonce it takes: nodes of the chain keep the one that they have for less
// (go-ethereum, core/txpool/legacypool, DefaultConfig.PriceBump). Of a dynamic fee both fields must rise.
const PriceBump = 10

// ErrNoReplacement says that a transaction is something else than another one for a higher fee.
var ErrNoReplacement = errors.New("it does not replace the transaction with its nonce")

// Replaces says why a transaction is no replacement of another one that waits on the chain: the same sender's (which the caller knows), with the same chain, nonce and kind, that does
// the same and pays more. Nothing else may differ but the gas limit. Of the chain's own coin the amount may fall by what the highest fee rises, and no further: who sent all that
// lay there pays the rise out of it.
func Replaces(next, old Facts) error {
	differs := func(what string, a, b any) error {
		return fmt.Errorf("%w: %s: %v, and that one has %v", ErrNoReplacement, what, a, b)
	}
	total := func(f Facts) *big.Int { return new(big.Int).Add(f.Amount, f.MaxFee) }
	switch {
	case next.ChainID != old.ChainID:
		return differs("chain id", next.ChainID, old.ChainID)
	case next.Nonce != old.Nonce:
		return differs("nonce", next.Nonce, old.Nonce)
	case next.Kind != old.Kind:
		return differs("type", next.Kind, old.Kind)
	case next.Operation != old.Operation || next.Asset != old.Asset:
		return differs("what moves", next.Asset, old.Asset)
	case next.Destination != old.Destination:
		return differs("destination", next.Destination, old.Destination)
	case !bytes.Equal(next.Calldata, old.Calldata):
		return differs("call", len(next.Calldata), len(old.Calldata))
	case next.Amount.Cmp(old.Amount) > 0, next.Operation != NativeTransfer && next.Amount.Cmp(old.Amount) < 0, total(next).Cmp(total(old)) < 0 && next.Amount.Cmp(old.Amount) != 0:
		return differs("amount", next.Amount, old.Amount)
	case next.FeeCap.Cmp(Bumped(old.FeeCap)) < 0:
		return differs(fmt.Sprintf("fee cap, which must be %d %% more", PriceBump), next.FeeCap, old.FeeCap)
	case next.Kind != Legacy && next.TipCap.Cmp(Bumped(old.TipCap)) < 0:
		return differs(fmt.Sprintf("tip cap, which must be %d %% more", PriceBump), next.TipCap, old.TipCap)
	}
	return nil
}

// Bumped is the least price per gas that replaces another: a tenth more, rounded up, and one wei at least.
func Bumped(price *big.Int) *big.Int {
	n := new(big.Int).Mul(price, big.NewInt(100+PriceBump))
	n.Add(n, big.NewInt(99)).Quo(n, big.NewInt(100))
	if n.Cmp(price) <= 0 {
		n.Add(price, big.NewInt(1))
	}
	return n
}
