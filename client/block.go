package client

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/custody/intent"
)

// Block is the block at a height of a chain as two nodes or more read it, each at its own endpoint. For nil it is the latest
// that two nodes have come to: no node alone says how far the chain is.
func (c *Circle) Block(ctx context.Context, on string, height *uint64) (intent.Block, error) {
	if !chain.ReadsBlocks(on) {
		return intent.Block{}, &RefusedError{fmt.Sprintf("no node of this release reads blocks of chain %s", on)}
	}
	if height == nil {
		heads, err := c.blocks(ctx, on, nil)
		if err != nil {
			return intent.Block{}, err
		}
		slices.SortFunc(heads, func(a, b Answer[intent.Block]) int { return cmp.Compare(b.Value.Height, a.Value.Height) })
		height = &heads[1].Value.Height
	}
	good, err := c.blocks(ctx, on, height)
	if err != nil {
		return intent.Block{}, err
	}
	var hashes []Copy
	for _, a := range good {
		hashes = append(hashes, Copy{a.Node, fmt.Appendf(nil, "%#x", a.Value.Hash)})
	}
	return good[0].Value, Compare(fmt.Sprintf("the hash of block %d of %s", *height, on), hashes)
}

func (c *Circle) blocks(ctx context.Context, on string, height *uint64) (Answers[intent.Block], error) {
	what := "the latest block"
	if height != nil {
		what = fmt.Sprintf("block %d", *height)
	}
	answers := Ask(ctx, c, func(ctx context.Context, m *Member) (intent.Block, error) {
		res, err := m.Block(ctx, connect.NewRequest(&v1.BlockRequest{Chain: on, Height: height}))
		if err != nil {
			return intent.Block{}, err
		}
		b := res.Msg
		switch {
		case len(b.Hash) != 32 || bytes.Equal(b.Hash, make([]byte, 32)):
			return intent.Block{}, &VerifyError{m.Name, fmt.Errorf("the hash of block %d is %x", b.Height, b.Hash)}
		case height != nil && b.Height != *height:
			return intent.Block{}, &VerifyError{m.Name, fmt.Errorf("it answers with block %d for %d", b.Height, *height)}
		}
		return intent.Block{Height: b.Height, Hash: [32]byte(b.Hash)}, nil
	})
	return answers.Need(fmt.Sprintf("read %s of %s at two nodes", what, on), 2)
}
