package rpc

import (
	"context"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// Health is how an endpoint stands.
type Health = endpoint.Health

// Health asks an endpoint how it stands.
func (c *EVM) Health(ctx context.Context) (h Health, err error) {
	id, err := c.ChainID(ctx)
	if err != nil {
		return h, err
	}
	var head *struct {
		Number    quantity64 `json:"number"`
		Timestamp quantity64 `json:"timestamp"`
	}
	if err := c.call(ctx, &head, "eth_getBlockByNumber", "latest", false); err != nil {
		return h, err
	}
	if head == nil {
		return h, fmt.Errorf("endpoint %s has no latest block", c.Endpoint())
	}
	const last = 1 << 40 // a time beyond it is none
	return Health{Chain: fmt.Sprintf("eip155:%d", id), Height: uint64(head.Number), At: time.Unix(int64(min(head.Timestamp, last)), 0).UTC()}, nil
}
