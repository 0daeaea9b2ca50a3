package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/node/rpc"
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
	endpoints map[string]*rpc.EVM

	mu      sync.Mutex
	answers map[question]*answer
}

type question struct {
	from  evm.Address
	facts string
}

type answer struct {
	busy bool
	at   time.Time
	why  string
	err  error
}

var errAsking = errors.New("this node is asking its chain endpoint")

func (c *checker) check(ctx context.Context, from evm.Address, f evm.Facts) (checked bool, why string, err error) {
	endpoint := c.endpoints[fmt.Sprintf("eip155:%d", f.ChainID)]
	if endpoint == nil {
		return false, "", nil
	}
	q, now := question{from, fmt.Sprint(f.Lines())}, time.Now()
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
		go c.ask(context.WithoutCancel(ctx), endpoint, from, f, a)
	}
	switch {
	case a.at.IsZero() || a.busy && age > checkFresh && a.err == nil:
		return true, "", errAsking
	default:
		return true, a.why, a.err
	}
}

// ask puts one question to an endpoint and keeps the answer.
func (c *checker) ask(ctx context.Context, endpoint *rpc.EVM, from evm.Address, f evm.Facts, a *answer) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	err := endpoint.Check(ctx, from, f, rpc.Limits{})
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
		}
	}
}
