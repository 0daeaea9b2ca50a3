package coin

import (
	"context"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// ErrSilent says that an endpoint cannot tell what fees are usual.
var ErrSilent = errors.New("fees are not known: the endpoint's estimator has seen too little, or there is none; take a rate of your own, MinRate at least")

// MaxTarget is the most blocks that Rate looks ahead: a week.
const MaxTarget = 1008

// btcdTarget is as far as btcd looks. Waiting longer costs no more.
const btcdTarget = 25

// Rate is what a transaction pays that should stand in one of so many next blocks, 1 to MaxTarget; ErrSilent where the endpoint cannot tell.
func (c *Client) Rate(ctx context.Context, blocks int) (bitcoin.Rate, error) {
	if blocks < 1 || blocks > MaxTarget {
		return 0, fmt.Errorf("estimate a fee: %d blocks ahead, want 1 to %d", blocks, MaxTarget)
	}
	var smart struct {
		Rate rate `json:"feerate"` // absent where it does not know: errors says why
	}
	err := c.Call(ctx, &smart, "estimatesmartfee", blocks)
	if err == nil && smart.Rate > 0 {
		return bitcoin.Rate(smart.Rate), nil
	}
	if endpoint.Environment(err) != nil {
		return 0, err
	}
	if err == nil {
		return 0, ErrSilent
	}
	var plain rate // of btcd, which refuses, in words that say nothing, while it has seen too few blocks
	err = c.Call(ctx, &plain, "estimatefee", min(blocks, btcdTarget))
	switch {
	case endpoint.Environment(err) != nil:
		return 0, err
	case err != nil || plain == 0:
		return 0, ErrSilent
	}
	return bitcoin.Rate(plain), nil
}

// MinRate is the least that the endpoint takes into its pool and passes on.
func (c *Client) MinRate(ctx context.Context) (bitcoin.Rate, error) {
	var pool struct {
		Now   *rate `json:"mempoolminfee"` // more while the pool is full
		Relay *rate `json:"minrelaytxfee"`
	}
	if err := c.Call(ctx, &pool, "getmempoolinfo"); err != nil {
		return 0, err
	}
	if pool.Now != nil && pool.Relay != nil {
		return bitcoin.Rate(max(*pool.Now, *pool.Relay)), nil
	}
	var info struct { // btcd's pool has no limit, and tells of its rate here
		Relay *rate `json:"relayfee"`
	}
	if err := c.Call(ctx, &info, "getinfo"); err != nil {
		return 0, err
	}
	if info.Relay == nil {
		return 0, c.Broken("getinfo", "answered without a rate for relaying")
	}
	return bitcoin.Rate(*info.Relay), nil
}
