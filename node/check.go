package node

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/rpc/coin"
	"github.com/ostraka/ostraka/node/rpc/sol"
)

const (
	checkTimeout = 10 * time.Second
	checkFresh   = 3 * time.Second  // an answer serves for that long
	checkRetry   = 2 * time.Second  // after trouble with the endpoint
	checkKeep    = 10 * time.Minute // forgotten after that
)

// checker asks chain endpoints beside the node's work: a slow endpoint never holds up a
// link. A question is answered at once with what is known, or with errAsking; the desk asks
// again at its next tick.
type checker struct {
	endpoints map[string]*rpc.Panel
	coins     map[string]*coin.Panel
	solana    map[string]*sol.Panel

	mu      sync.Mutex
	answers map[question]*answer
	fees    map[question]*big.Int // what answers said besides
}

type question struct{ chain, what string }

type answer struct {
	busy bool
	at   time.Time
	why  string
	err  error
}

var errAsking = errors.New("this node is asking its chain endpoint")

// check compares a transaction with the chain.
func (c *checker) check(ctx context.Context, asked decide.Question) (checked bool, why string, err error) {
	if p, ok := asked.Payload.(*payload.Solana); ok {
		return c.checkSolana(ctx, p, asked.Before)
	}
	t, ok := payload.OnEVM(asked.Payload)
	if !ok {
		return c.checkCoins(ctx, asked)
	}
	from, f := t.Sender(), t.Facts()
	q := question{t.Chain(), fmt.Sprint("transaction", asked.Replacing, from, f.Lines())}
	return c.evm(ctx, q, func(ctx context.Context, e *rpc.Panel) error {
		return e.Check(ctx, from, f, rpc.Limits{Replacing: asked.Replacing})
	})
}

// checkBlock compares the block that a proof speaks of with the chain's.
func (c *checker) checkBlock(ctx context.Context, chain string, b intent.Block) (checked bool, why string, err error) {
	q := question{chain, fmt.Sprintf("block %d %x", b.Height, b.Hash)}
	id, err := strconv.ParseUint(strings.TrimPrefix(chain, "eip155:"), 10, 64)
	if err != nil {
		return false, "", nil // there is no endpoint of such a chain
	}
	return c.evm(ctx, q, func(ctx context.Context, e *rpc.Panel) error {
		return e.CheckBlock(ctx, id, rpc.Block{Height: b.Height, Hash: b.Hash})
	})
}

// usual asks what a fee of such a transaction usually is.
func (c *checker) usual(ctx context.Context, p payload.Payload) (*big.Int, error) {
	if s, ok := p.(*payload.Solana); ok {
		return c.usualOfSolana(ctx, s)
	}
	t, ok := payload.OnEVM(p)
	if !ok {
		return c.usualOfCoins(ctx, p)
	}
	from := t.Sender()
	q := question{t.Chain(), fmt.Sprint("fee", from, t.Facts().Lines())}
	checked, _, err := c.evm(ctx, q, func(ctx context.Context, e *rpc.Panel) error {
		to, value, data := t.Transaction().Message()
		fee, err := e.UsualFee(ctx, rpc.Message{From: from, To: to, Value: value, Data: data})
		c.mu.Lock()
		defer c.mu.Unlock()
		c.fees[q] = fee
		return err
	})
	if !checked || err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fees[q], nil
}

// evm puts a question to the endpoints of an EVM chain, if there are any.
func (c *checker) evm(ctx context.Context, q question, ask func(context.Context, *rpc.Panel) error) (checked bool, why string, err error) {
	panel := c.endpoints[q.chain]
	if panel == nil {
		return false, "", nil
	}
	return c.answer(ctx, q, func(ctx context.Context) error { return ask(ctx, panel) })
}

func (c *checker) answer(ctx context.Context, q question, ask func(context.Context) error) (checked bool, why string, err error) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.answers[q]
	if a == nil {
		c.forget(now)
		a = &answer{}
		c.answers[q] = a
	}
	age := now.Sub(a.at)
	if !a.busy && (a.at.IsZero() || age > checkFresh || a.err != nil && age > checkRetry) {
		a.busy = true
		go c.put(context.WithoutCancel(ctx), a, ask)
	}
	switch {
	case a.at.IsZero() || a.busy && age > checkFresh && a.err == nil:
		return true, "", errAsking
	default:
		return true, a.why, a.err
	}
}

// put puts one question to an endpoint and keeps the answer.
func (c *checker) put(ctx context.Context, a *answer, ask func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	err := ask(ctx)
	why := ""
	if mismatch := (*rpc.Mismatch)(nil); errors.As(err, &mismatch) {
		why, err = err.Error(), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a.busy, a.at, a.why, a.err = false, time.Now(), why, err
}

func (c *checker) forget(now time.Time) {
	for q, a := range c.answers {
		if !a.busy && now.Sub(a.at) > checkKeep {
			delete(c.answers, q)
			delete(c.fees, q)
		}
	}
}
