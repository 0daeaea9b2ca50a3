package rpc

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ostraka/ostraka/chain/evm"
)

// A Block is one of the chain's.
type Block struct {
	Height uint64
	Hash   evm.Hash
}

// Block returns the block at a height, and the latest one for nil. found is false where the endpoint has none: the height is
// above its head, or so old that it keeps it no more.
func (c *EVM) Block(ctx context.Context, height *uint64) (b Block, found bool, err error) {
	const method = "eth_getBlockByNumber"
	at := "latest"
	if height != nil {
		at = fmt.Sprintf("%#x", *height)
	}
	var raw json.RawMessage
	if err := c.call(ctx, &raw, method, at, false); err != nil || string(raw) == "null" {
		return Block{}, false, err
	}
	var r struct {
		Number *quantity64 `json:"number"`
		Hash   *evm.Hash   `json:"hash"`
	}
	if err := c.client.Decode(method, raw, &r); err != nil {
		return Block{}, false, err
	}
	switch {
	case r.Number == nil || r.Hash == nil:
		return Block{}, false, c.broken(method, "answered with a block without number or hash")
	case height != nil && uint64(*r.Number) != *height:
		return Block{}, false, c.broken(method, "answered with block %d for %d", *r.Number, *height)
	}
	return Block{uint64(*r.Number), *r.Hash}, true, nil
}

// CheckBlock says whether a block is the one that the chain has at its height: nil, a *Mismatch if it has another, a *Behind
// if the endpoint is not there yet, or an environment's error.
func (c *EVM) CheckBlock(ctx context.Context, chainID uint64, b Block) error {
	if err := c.checkChain(ctx, chainID); err != nil {
		return err
	}
	is, found, err := c.Block(ctx, &b.Height)
	switch {
	case err != nil:
		return err
	case found && is.Hash == b.Hash:
		return nil
	case found:
		return &Mismatch{
			Field: FieldBlock, Expected: fmt.Sprintf("%s, the hash of block %d at %s", is.Hash, b.Height, c.name), Found: b.Hash.String(),
			Next: "compare the hash with an explorer; propose again as of a block that is final",
		}
	}
	head, err := c.BlockNumber(ctx)
	if err != nil {
		return err
	}
	if head < b.Height {
		return &Behind{Height: b.Height, Head: head}
	}
	return &EndpointError{
		Endpoint: c.name, Method: "eth_getBlockByNumber", Err: fmt.Errorf("it keeps no block %d, and its head is %d", b.Height, head),
		Next: "take an endpoint that keeps old blocks, or propose again as of a later one",
	}
}
