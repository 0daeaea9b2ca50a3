package node

import (
	"context"
	"math/big"

	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/node/decide"
)

func (c *checker) checkCoins(ctx context.Context, q decide.Question) (checked bool, why string, err error) {
	return false, "", nil
}

func (c *checker) usualOfCoins(ctx context.Context, p payload.Payload) (*big.Int, error) {
	return nil, nil
}
