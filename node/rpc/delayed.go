package rpc

import (
	"context"
	"fmt"
	"math/big"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/evm/delayed"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// moment is a chain as of one block, for delayed.Read.
type moment struct {
	ctx context.Context
	*EVM
	at uint64
}

func (m moment) Call(to evm.Address, data []byte) ([]byte, error) {
	return m.callAt(m.ctx, Message{To: to, Data: data}, height(m.at))
}

func (m moment) Code(at evm.Address) ([]byte, error) { return m.CodeAt(m.ctx, at, m.at) }

// DelayedAt reads a Safe with a delay after the block at a height. What was queued is told where the endpoint gives logs of it; one that keeps none, or
// none so old, leaves Item.Call nil.
func (c *EVM) DelayedAt(ctx context.Context, d evm.Delay, at uint64) (delayed.State, error) {
	s, err := delayed.Read(d, moment{ctx, c, at})
	if err != nil || len(s.Queue) == 0 {
		return s, err
	}
	var numbers []string
	for _, x := range s.Queue {
		numbers = append(numbers, fmt.Sprintf("0x%064x", x.Nonce))
	}
	var logs []struct {
		Topics []evm.Hash `json:"topics"`
		Data   blob       `json:"data"`
	}
	filter := map[string]any{"address": d.Module, "topics": []any{evm.Hash(delayed.Topic), numbers}, "fromBlock": "0x0", "toBlock": height(at)}
	if c.call(ctx, &logs, "eth_getLogs", filter) != nil {
		return s, ctx.Err()
	}
	for _, l := range logs {
		if len(l.Topics) != 3 {
			continue
		}
		if n := new(big.Int).SetBytes(l.Topics[1][:]); n.IsUint64() {
			_ = s.Added(n.Uint64(), l.Data) // one that is not the module's own tells nothing
		}
	}
	return s, nil
}

// Delayed reads a Safe with a delay after the newest block that all endpoints have: they must agree on all but what was queued, which any of them may tell.
func (p *Panel) Delayed(ctx context.Context, d evm.Delay) (delayed.State, Header, error) {
	at, err := p.BlockNumber(ctx)
	if err != nil {
		return delayed.State{}, Header{}, err
	}
	type read struct {
		state delayed.State
		head  Header
	}
	all, err := ask(ctx, p, "a Safe with a delay", func(ctx context.Context, c *EVM) (r read, err error) {
		var found bool
		if r.head, found, err = c.HeaderAt(ctx, at); err == nil && !found {
			err = c.broken("eth_getBlockByNumber", "has no block %d", at)
		}
		if err == nil {
			r.state, err = c.DelayedAt(ctx, d, at)
		}
		return r, err
	})
	if err != nil {
		return delayed.State{}, Header{}, err
	}
	same, err := endpoint.Agreed(all, fmt.Sprintf("the Safe %s with its delay after block %d", d.Safe, at), func(r read) string { return fmt.Sprintf("block %.10s…: %s", r.head.Hash, r.state.Words()) })
	for i := range same.state.Queue {
		for _, x := range all {
			if c := x.Value.state.Queue[i].Call; c != nil && err == nil {
				same.state.Queue[i].Call = c
			}
		}
	}
	return same.state, same.head, err
}
