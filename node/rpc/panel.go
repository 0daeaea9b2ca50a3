package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"

	"github.com/ostraka/ostraka/chain/evm"
)

// A Panel is a node's endpoints of one EVM chain. What it answers is what they agree on: where two differ, nothing is signed, whichever of them is right; and of
// several, more than half must answer, so that one which lies is never left alone with the node. One endpoint's word is its own.
type Panel struct{ members []*EVM }

// MaxPanel bounds the endpoints of one chain.
const MaxPanel = 8

// NewPanel makes a panel of endpoints of different hosts.
func NewPanel(urls []string, o Options) (*Panel, error) {
	if len(urls) == 0 || len(urls) > MaxPanel {
		return nil, fmt.Errorf("%d endpoints, want 1 to %d", len(urls), MaxPanel)
	}
	p := &Panel{}
	for _, u := range urls {
		c, err := NewEVM(u, o)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(p.members, func(m *EVM) bool { return m.name == c.name }) {
			return nil, fmt.Errorf("endpoint %s stands twice: two names of one host are one word", c.name)
		}
		p.members = append(p.members, c)
	}
	return p, nil
}

// Members are the endpoints, in their order.
func (p *Panel) Members() []*EVM { return slices.Clone(p.members) }

// String names the endpoints, without credentials.
func (p *Panel) String() string {
	var names []string
	for _, m := range p.members {
		names = append(names, m.name)
	}
	return strings.Join(names, ", ")
}

// GoString returns what String returns.
func (p *Panel) GoString() string { return p.String() }

// need is how many must answer.
func (p *Panel) need() int { return len(p.members)/2 + 1 }

// A DisagreementError says that endpoints of one chain say different things.
type DisagreementError struct {
	What         string
	A, B         string // scheme and host
	SaysA, SaysB string
}

func (e *DisagreementError) Error() string {
	return fmt.Sprintf("endpoints disagree on %s: %s says %s, %s says %s; nothing is signed until they agree: find out which of them is behind or lies", e.What, e.A, e.SaysA, e.B, e.SaysB)
}

// said is one endpoint's answer.
type said[T any] struct {
	by    *EVM
	value T
}

// ask puts a question to all endpoints at once. It gives the answers of those that answered, if they are enough; an endpoint's refusal is an answer of its own kind, and as
// good as none here.
func ask[T any](ctx context.Context, p *Panel, what string, q func(context.Context, *EVM) (T, error)) ([]said[T], error) {
	values, errs := make([]T, len(p.members)), make([]error, len(p.members))
	var wg sync.WaitGroup
	for i, m := range p.members {
		wg.Go(func() { values[i], errs[i] = q(ctx, m) })
	}
	wg.Wait()
	var out []said[T]
	for i, m := range p.members {
		if errs[i] == nil {
			out = append(out, said[T]{m, values[i]})
		}
	}
	if len(out) >= p.need() {
		return out, nil
	}
	err := errors.Join(errs...)
	if len(p.members) == 1 {
		return nil, err
	}
	return nil, fmt.Errorf("%s: %d of %d endpoints answer, and %d must: %w", what, len(out), len(p.members), p.need(), err)
}

// agreed is what all answers are, in words.
func agreed[T any](all []said[T], what string, words func(T) string) (T, error) {
	for _, x := range all[1:] {
		if a, b := words(all[0].value), words(x.value); a != b {
			var none T
			return none, &DisagreementError{What: what, A: all[0].by.name, SaysA: a, B: x.by.name, SaysB: b}
		}
	}
	return all[0].value, nil
}

// verdict is how an endpoint finds a transaction: nil, its Mismatches, or an *Ahead or *Behind.
type verdict struct{ err error }

// judge asks all endpoints for a verdict, and gives the one that they agree on.
func (p *Panel) judge(ctx context.Context, what string, check func(context.Context, *EVM) error) error {
	all, err := ask(ctx, p, what, func(ctx context.Context, m *EVM) (verdict, error) {
		err := check(ctx, m)
		var mismatch *Mismatch
		var ahead *Ahead
		var behind *Behind
		if err == nil || errors.As(err, &mismatch) || errors.As(err, &ahead) || errors.As(err, &behind) {
			return verdict{err}, nil
		}
		return verdict{}, err
	})
	if err != nil {
		return err
	}
	v, err := agreed(all, what, verdict.class)
	if err != nil {
		return err
	}
	return v.err
}

// class is what verdicts are compared by: endpoints that are a block apart name other numbers for the same reason.
func (v verdict) class() string {
	var ahead *Ahead
	var behind *Behind
	switch {
	case v.err == nil:
		return "that all is well"
	case errors.As(v.err, &ahead):
		return "that it waits for those before it"
	case errors.As(v.err, &behind):
		return "that it is not there yet"
	}
	return "that it does not fit: " + strings.Join(fields(v.err), ", ")
}

// fields are what mismatches are about, each once.
func fields(err error) (out []string) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			out = append(out, fields(e)...)
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	if m := (*Mismatch)(nil); errors.As(err, &m) {
		out = append(out, string(m.Field))
	}
	return out
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
	least := all[0].value
	for _, x := range all[1:] {
		if x.value == nil || least != nil && x.value.Cmp(least) < 0 {
			least = x.value
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
	return slices.MinFunc(all, func(a, b said[uint64]) int { return cmp.Compare(a.value, b.value) }).value, nil
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
	have := slices.DeleteFunc(slices.Clone(all), func(x said[found]) bool { return !x.value.ok })
	if len(have) == 0 {
		return Receipt{}, false, nil
	}
	f, err := agreed(have, "transaction "+hash.String(), found.words)
	return f.receipt, err == nil && len(have) == len(all), err
}

// Missing says that all endpoints say, in plain words, that they know no receipt.
func (p *Panel) Missing(ctx context.Context, hash evm.Hash) (bool, error) {
	all, err := ask(ctx, p, "a receipt", func(ctx context.Context, c *EVM) (bool, error) { return c.Missing(ctx, hash) })
	return err == nil && !slices.ContainsFunc(all, func(x said[bool]) bool { return !x.value }), err
}

// Knows says that some endpoint knows a transaction, in its pool or in a block.
func (p *Panel) Knows(ctx context.Context, hash evm.Hash) (bool, error) {
	all, err := ask(ctx, p, "a transaction", func(ctx context.Context, c *EVM) (bool, error) {
		_, ok, err := c.TransactionByHash(ctx, hash)
		return ok, err
	})
	return err == nil && slices.ContainsFunc(all, func(x said[bool]) bool { return x.value }), err
}

// SendRaw gives a signed transaction to all endpoints. It is sent if one of them took it: what they refuse or do not answer is given back only if none did.
func (p *Panel) SendRaw(ctx context.Context, raw []byte) (evm.Hash, error) {
	hashes, errs := make([]evm.Hash, len(p.members)), make([]error, len(p.members))
	var wg sync.WaitGroup
	for i, m := range p.members {
		wg.Go(func() { hashes[i], errs[i] = m.SendRaw(ctx, raw) })
	}
	wg.Wait()
	for i, err := range errs {
		if err == nil {
			return hashes[i], nil
		}
	}
	// A refusal by some and silence by others is an unknown outcome.
	for _, err := range errs {
		if rejected := (*Rejected)(nil); !errors.As(err, &rejected) {
			return evm.Hash{}, err
		}
	}
	return evm.Hash{}, errs[0]
}

// Any puts questions to one endpoint after another until one answers: what is asked so is advice to people, and every node checks what comes of it. A refusal is an answer.
func (p *Panel) Any(ctx context.Context, q func(context.Context, *EVM) error) (err error) {
	for _, m := range p.members {
		if err = q(ctx, m); environment(err) == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}
