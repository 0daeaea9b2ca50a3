package rpc

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"slices"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// A Panel is a node's endpoints of one EVM chain. What it answers is what they agree on: where two differ, nothing is signed, whichever of them is right; and of
// several, more than half must answer, so that one which lies is never left alone with the node. One endpoint's word is its own.
type Panel struct{ endpoint.Panel[*EVM] }

// MaxPanel bounds the endpoints of one chain.
const MaxPanel = endpoint.MaxPanel

// NewPanel makes a panel of endpoints of different hosts.
func NewPanel(urls []string, o Options) (*Panel, error) {
	p, err := endpoint.NewPanel(urls, o, NewEVM)
	if err != nil {
		return nil, err
	}
	return &Panel{p}, nil
}

// said is one endpoint's answer.
type said[T any] = endpoint.Said[*EVM, T]

func ask[T any](ctx context.Context, p *Panel, what string, q func(context.Context, *EVM) (T, error)) ([]said[T], error) {
	return endpoint.Ask(ctx, &p.Panel, what, q)
}

// judge asks all endpoints for a verdict, and gives the one that they agree on.
func (p *Panel) judge(ctx context.Context, what string, check func(context.Context, *EVM) error) error {
	return endpoint.Judge(ctx, &p.Panel, what, check)
}

// Check is EVM.Check by all.
func (p *Panel) Check(ctx context.Context, from evm.Address, f evm.Facts, limits Limits) error {
	return p.judge(ctx, "the transaction", func(ctx context.Context, m *EVM) error { return m.Check(ctx, from, f, limits) })
}

// CheckBlock is EVM.CheckBlock by all.
func (p *Panel) CheckBlock(ctx context.Context, chainID uint64, b Block) error {
	return p.judge(ctx, fmt.Sprintf("block %d", b.Height), func(ctx context.Context, m *EVM) error { return m.CheckBlock(ctx, chainID, b) })
}

// UsualFee is the lowest that any endpoint calls usual, nil if one of them finds that the call would fail.
func (p *Panel) UsualFee(ctx context.Context, m Message) (*big.Int, error) {
	all, err := ask(ctx, p, "the usual fee", func(ctx context.Context, c *EVM) (*big.Int, error) { return c.UsualFee(ctx, m) })
	if err != nil {
		return nil, err
	}
	least := all[0].Value
	for _, x := range all[1:] {
		if x.Value == nil || least != nil && x.Value.Cmp(least) < 0 {
			least = x.Value
		}
	}
	return least, nil
}

// BlockNumber is the height that all endpoints have come to.
func (p *Panel) BlockNumber(ctx context.Context) (uint64, error) {
	return p.least(ctx, "the height", (*EVM).BlockNumber)
}

// MinedNonce is the next nonce of an account after the latest block that all endpoints have.
func (p *Panel) MinedNonce(ctx context.Context, account evm.Address) (uint64, error) {
	return p.least(ctx, "the nonce", func(c *EVM, ctx context.Context) (uint64, error) { return c.MinedNonce(ctx, account) })
}

func (p *Panel) least(ctx context.Context, what string, q func(*EVM, context.Context) (uint64, error)) (uint64, error) {
	all, err := ask(ctx, p, what, func(ctx context.Context, c *EVM) (uint64, error) { return q(c, ctx) })
	if err != nil {
		return 0, err
	}
	return slices.MinFunc(all, func(a, b said[uint64]) int { return cmp.Compare(a.Value, b.Value) }).Value, nil
}

// found is a receipt, if there is one.
type found struct {
	receipt Receipt
	ok      bool
}

func (f found) words() string {
	return fmt.Sprintf("block %d, %s, success %t", f.receipt.Block, f.receipt.BlockHash, f.receipt.Success)
}

// Receipt is the outcome of a transaction, once all endpoints have it. Those that have it must agree on it.
func (p *Panel) Receipt(ctx context.Context, hash evm.Hash) (receipt Receipt, is bool, err error) {
	all, err := ask(ctx, p, "a receipt", func(ctx context.Context, c *EVM) (found, error) {
		r, ok, err := c.Receipt(ctx, hash)
		return found{r, ok}, err
	})
	if err != nil {
		return Receipt{}, false, err
	}
	have := slices.DeleteFunc(slices.Clone(all), func(x said[found]) bool { return !x.Value.ok })
	if len(have) == 0 {
		return Receipt{}, false, nil
	}
	f, err := endpoint.Agreed(have, "transaction "+hash.String(), found.words)
	return f.receipt, err == nil && len(have) == len(all), err
}

// Missing says that all endpoints say, in plain words, that they know no receipt.
func (p *Panel) Missing(ctx context.Context, hash evm.Hash) (bool, error) {
	all, err := ask(ctx, p, "a receipt", func(ctx context.Context, c *EVM) (bool, error) { return c.Missing(ctx, hash) })
	return err == nil && !slices.ContainsFunc(all, func(x said[bool]) bool { return !x.Value }), err
}

// Knows says whether some endpoint knows a transaction, in its pool or in a block, and whether every one does: one that lies keeps nothing from the others.
func (p *Panel) Knows(ctx context.Context, hash evm.Hash) (some, every bool, err error) {
	return endpoint.Known(ctx, &p.Panel, "a transaction", func(ctx context.Context, c *EVM) (bool, error) {
		_, ok, err := c.TransactionByHash(ctx, hash)
		return ok, err
	})
}

// SendRaw gives a signed transaction to all endpoints. It is sent if one of them took it: what they refuse or do not answer is given back only if none did.
func (p *Panel) SendRaw(ctx context.Context, raw []byte) (evm.Hash, error) {
	return endpoint.Send(ctx, &p.Panel, func(ctx context.Context, m *EVM) (evm.Hash, error) { return m.SendRaw(ctx, raw) })
}
