package rpc

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/ostraka/ostraka/chain/evm"
)

// Limits are a node's own bounds on what it signs.
type Limits struct {
	FeeCap    *big.Int // most wei per gas; nil for no bound
	Replacing bool     // it takes the nonce of one that waits on the chain (evm.Replaces): only one that is mined has it for good
}

// Check compares a transaction's facts with the chain: chain id, nonce (the next pending
// one), fee cap (at most the limit, at least the next base fee), and balances of the coin
// and of the token. It returns nil, an environment's error, or all Mismatches joined. An *Ahead is
// returned alone: fees and balances are looked at when the transaction's turn has come.
func (c *EVM) Check(ctx context.Context, from evm.Address, f evm.Facts, limits Limits) error {
	if err := c.checkChain(ctx, f.ChainID); err != nil {
		return err // nothing else has a meaning on another chain
	}
	nonce := c.checkNonce
	if limits.Replacing {
		nonce = c.checkMined
	}
	checks := []func(context.Context, evm.Address, evm.Facts) error{
		nonce, limits.checkFeeCap, c.checkBaseFee, c.checkBalance, c.checkToken,
	}
	var found []error
	for _, check := range checks {
		err := check(ctx, from, f)
		var mismatch *Mismatch // *Ahead is none
		if err != nil && !errors.As(err, &mismatch) {
			return err
		}
		found = append(found, err)
	}
	return errors.Join(found...)
}

func (c *EVM) checkChain(ctx context.Context, chainID uint64) error {
	id, err := c.ChainID(ctx)
	if err != nil || id == chainID {
		return err
	}
	return &Mismatch{
		Field: FieldChainID, Expected: fmt.Sprintf("%d, the chain of %s", id, c.name), Found: fmt.Sprint(chainID),
		Next: "use the endpoint of the transaction's chain, or propose for this one",
	}
}

func (c *EVM) checkNonce(ctx context.Context, from evm.Address, f evm.Facts) error {
	next, err := c.PendingNonce(ctx, from)
	if err != nil || next == f.Nonce {
		return err
	}
	if f.Nonce > next {
		return &Ahead{Account: from, Nonce: f.Nonce, Next: next}
	}
	return &Mismatch{
		Field: FieldNonce, Expected: fmt.Sprintf("%d, the next of %s", next, from), Found: fmt.Sprint(f.Nonce),
		Next: "propose again with the next nonce",
	}
}

// checkMined is checkNonce of a replacement: the nonce is free while nothing with it is mined.
func (c *EVM) checkMined(ctx context.Context, from evm.Address, f evm.Facts) error {
	mined, err := c.MinedNonce(ctx, from)
	if err != nil {
		return err
	}
	if f.Nonce < mined {
		return &Mismatch{
			Field: FieldNonce, Expected: fmt.Sprintf("%d at least, the first of %s that is not used", mined, from), Found: fmt.Sprint(f.Nonce),
			Next: "look at the transaction that it was to replace: it is mined, or another in its place",
		}
	}
	if next, err := c.PendingNonce(ctx, from); err != nil || f.Nonce <= max(next, mined) {
		return err
	} else {
		return &Ahead{Account: from, Nonce: f.Nonce, Next: next}
	}
}

func (l Limits) checkFeeCap(_ context.Context, _ evm.Address, f evm.Facts) error {
	if l.FeeCap == nil || f.FeeCap.Cmp(l.FeeCap) <= 0 {
		return nil
	}
	return &Mismatch{
		Field: FieldFeeCap, Expected: fmt.Sprintf("at most %v, this node's limit", wei(l.FeeCap)), Found: wei(f.FeeCap),
		Next: "propose with a lower fee cap, or raise the limit in this node's configuration",
	}
}

func (c *EVM) checkBaseFee(ctx context.Context, _ evm.Address, f evm.Facts) error {
	base, err := c.BaseFee(ctx)
	if err != nil || base == nil || f.FeeCap.Cmp(base) >= 0 {
		return err
	}
	return &Mismatch{
		Field: FieldFeeCap, Expected: fmt.Sprintf("at least %v, the next block's base fee", wei(base)), Found: wei(f.FeeCap),
		Next: "propose with a higher fee cap",
	}
}

func (c *EVM) checkBalance(ctx context.Context, from evm.Address, f evm.Facts) error {
	balance, err := c.Balance(ctx, from)
	if err != nil || balance.Cmp(f.MaxCost) >= 0 {
		return err
	}
	return &Mismatch{
		Field: FieldBalance, Expected: fmt.Sprintf("at least %v, for the highest fee and what is sent", wei(f.MaxCost)),
		Found: wei(balance), Next: fmt.Sprintf("fund %s, or propose a smaller amount", from),
	}
}

func (c *EVM) checkToken(ctx context.Context, from evm.Address, f evm.Facts) error {
	if f.Token == nil {
		return nil
	}
	balance, err := c.TokenBalance(ctx, *f.Token, from)
	if err != nil || balance.Cmp(f.Amount) >= 0 {
		return err
	}
	return &Mismatch{
		Field: FieldToken, Expected: fmt.Sprintf("at least %v of %s", f.Amount, f.Asset), Found: balance.String(),
		Next: fmt.Sprintf("fund %s, or propose a smaller amount", from),
	}
}
