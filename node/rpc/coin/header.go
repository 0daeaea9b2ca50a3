package coin

import (
	"context"

	"github.com/ostraka/ostraka/chain/bitcoin/block"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
)

// Header is a block's header, which has that hash and meets its own target. Pruned nodes have all of them.
func (c *Client) Header(ctx context.Context, id psbt.ID) (h block.Header, err error) {
	const method = "getblockheader"
	var raw hexText
	if err := c.Call(ctx, &raw, method, id.String(), false); err != nil {
		return h, err
	}
	if h, err = block.ParseHeader(raw); err != nil {
		return h, c.Broken(method, "answered with what is no header: %v", err)
	}
	if hash := h.ID(); hash != id {
		return block.Header{}, c.Broken(method, "answered with header %s for %s: it lies", hash, id)
	}
	return h, nil
}
