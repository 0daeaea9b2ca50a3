package wallet

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/rpc"
)

// finalDepth is how many blocks make a transaction final here.
const finalDepth = 12

// Follower follows signed transactions on their chains, through this node's own endpoints.
// The stored bytes are sent again until the chain has them: that is harmless.
type Follower struct {
	Desk      *decide.Desk
	Endpoints map[string]*rpc.EVM // by chain, "eip155:1"
	Log       *slog.Logger
}

// Step moves every signed transaction on by one look at its chain.
func (w *Follower) Step(ctx context.Context, now time.Time) {
	for _, s := range w.Desk.OnTheWay() {
		c := w.Endpoints[s.Chain]
		if c == nil || ctx.Err() != nil {
			continue
		}
		if err := w.follow(ctx, now, c, s); err != nil {
			w.Log.Warn("transaction not followed", "intent", s.ID.Short(), "hash", s.Hash, "error", err)
		}
	}
}

func (w *Follower) follow(ctx context.Context, now time.Time, c *rpc.EVM, s decide.Sent) error {
	hash, err := evm.ParseHash(s.Hash)
	if err != nil {
		return err
	}
	if s.State == intent.Signed {
		if _, err := c.SendRaw(ctx, s.Raw); err != nil {
			return err
		}
		if err := w.Desk.OnChain(ctx, now, s.ID, intent.WasBroadcast{}); err != nil {
			return err
		}
	}
	receipt, found, err := c.Receipt(ctx, hash)
	if err != nil {
		return err
	}
	if found {
		return w.mined(ctx, now, c, s, receipt)
	}
	if s.State == intent.Confirmed {
		return w.Desk.OnChain(ctx, now, s.ID, intent.WasReorged{})
	}
	if _, known, err := c.TransactionByHash(ctx, hash); err != nil || known {
		return errors.Join(err, w.seen(ctx, now, s.ID, known))
	}
	_, err = c.SendRaw(ctx, s.Raw)
	return err
}

func (w *Follower) seen(ctx context.Context, now time.Time, id statement.ID, known bool) error {
	if !known {
		return nil
	}
	return w.Desk.OnChain(ctx, now, id, intent.WasSeen{})
}

func (w *Follower) mined(ctx context.Context, now time.Time, c *rpc.EVM, s decide.Sent, r rpc.Receipt) error {
	if s.State != intent.Confirmed {
		ev := intent.WasConfirmed{Height: r.Block, Block: r.BlockHash.String(), Reverted: !r.Success}
		if err := w.Desk.OnChain(ctx, now, s.ID, ev); err != nil {
			return err
		}
	}
	head, err := c.BlockNumber(ctx)
	if err != nil || head < r.Block+finalDepth {
		return err
	}
	return w.Desk.OnChain(ctx, now, s.ID, intent.BecameFinal{})
}
