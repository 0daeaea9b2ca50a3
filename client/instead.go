package client

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
)

// Instead is what takes the place of a transaction that waits on its chain, as an intent of its own.
type Instead struct {
	Void    bool         // it does nothing but keep the other off the chain; else it does the same
	Rate    bitcoin.Rate // on Bitcoin; 0: what the nodes say
	FeeCap  *big.Int     // on EVM chains, per gas; nil: what two nodes say
	TipCap  *big.Int
	Memo    string
	Life    time.Duration // zero: the vault's
	Account Account       // the sender's
}

// voidGas is what a transfer of nothing takes on most chains.
const voidGas = 21_000

// PrepareInstead makes the statement of an intent that takes the place of another, for a fee that makes the chain's nodes keep it instead.
func (c *Circle) PrepareInstead(ctx context.Context, old *Case, how Instead) (statement.Statement, error) {
	if !old.Pending() {
		return statement.Statement{}, &RefusedError{fmt.Sprintf("intent %s is %s: only a transaction that is signed, and that no block holds, can be replaced", old.ID().Short(), old.State())}
	}
	switch p := old.Payload.(type) {
	case *payload.Bitcoin:
		return c.coinsInstead(ctx, old, p, how)
	case *payload.EVM:
		return c.callInstead(ctx, old, p, how)
	case *payload.Solana:
		return c.solanaInstead(ctx, old, p, how)
	}
	return statement.Statement{}, &RefusedError{fmt.Sprintf("transactions of chain %s are not replaced", old.Intent.Chain)}
}

func (c *Circle) coinsInstead(ctx context.Context, old *Case, p *payload.Bitcoin, how Instead) (statement.Statement, error) {
	pay := Payment{Vault: old.Vault, Account: how.Account, Chain: old.Intent.Chain, Rate: how.Rate, Replaces: old.ID(), Memo: how.Memo, Life: how.Life}
	if pay.Rate == 0 {
		h, err := c.Holding(ctx, old.Vault, how.Account, pay.Chain)
		if err != nil {
			return statement.Statement{}, err
		}
		pay.Rate = h.Rate
	}
	var raw []byte
	var err error
	if how.Void {
		var to bitcoin.Spot
		if to, err = pay.change(); err == nil {
			raw, err = p.Cancellation(to, pay.Rate, 0)
		}
	} else {
		raw, err = p.Replacement(pay.Rate, 0)
	}
	if err != nil {
		return statement.Statement{}, &RefusedError{err.Error()}
	}
	return c.PreparePacket(pay, raw)
}

func (c *Circle) callInstead(ctx context.Context, old *Case, p *payload.EVM, how Instead) (statement.Statement, error) {
	s := Sender{Vault: old.Vault, Root: old.Root, Account: how.Account, Index: old.Intent.Path[2], Chain: old.Intent.Chain, Replaces: old.ID()}
	a, err := c.begin(s, how.Memo, how.Life)
	if err != nil {
		return statement.Statement{}, err
	}
	at, err := s.context(a)
	if err != nil {
		return statement.Statement{}, err
	}
	in, err := payload.EVMContext(a, at)
	if err != nil {
		return statement.Statement{}, err
	}
	f := p.Facts()
	if how.FeeCap == nil || how.TipCap == nil {
		q, err := c.Quote(ctx, s.Chain, p.Sender(), f.Destination, f.Amount, nil, nil)
		if err != nil && how.FeeCap == nil {
			return statement.Statement{}, err
		}
		if how.FeeCap == nil {
			how.FeeCap = q.FeeCap
		}
		if how.TipCap == nil && err == nil {
			how.TipCap = q.TipCap
		}
	}
	feeCap, tipCap := dearer(evm.Bumped(f.FeeCap), how.FeeCap), (*big.Int)(nil)
	if f.Kind == evm.Dynamic || f.Kind == evm.SetCode {
		tipCap = dearer(evm.Bumped(f.TipCap), how.TipCap)
		feeCap = dearer(feeCap, tipCap)
	}
	if how.Void {
		a.Transaction, err = p.Cancel(voidGas, feeCap, tipCap, in)
	} else {
		a.Transaction, err = p.Faster(feeCap, tipCap, in)
	}
	if err != nil {
		return statement.Statement{}, &RefusedError{err.Error()}
	}
	a.Purpose = intent.PurposeTransaction
	return s.written(a)
}

// AccountAt is the account at a path.
func AccountAt(all []Account, path [3]uint32) (Account, error) {
	i := slices.IndexFunc(all, func(a Account) bool { return a.Path == [2]uint32(path[:2]) })
	if i < 0 {
		return Account{}, fmt.Errorf("no account of the vault is at %s", statement.FormatPath(path[:2]...))
	}
	return all[i], nil
}
