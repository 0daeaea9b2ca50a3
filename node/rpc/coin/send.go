package coin

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// Knows says whether the endpoint has a transaction in its pool or, if it has an index of transactions, in a block.
func (c *Client) Knows(ctx context.Context, id psbt.ID) (bool, error) {
	tx, err := c.transaction(ctx, id)
	return tx != nil, err
}

// SendRaw broadcasts a signed transaction and returns its id. Sending the same bytes again is success: on any refusal the endpoint is asked whether it
// has the transaction, so no node's wording matters. If it does not, the error is a *endpoint.Rejected with what explains it; any other means that
// the outcome is unknown and that sending again is safe. A transaction that stands in a block, without an index of transactions, is known by an
// output of it that nothing has spent yet.
func (c *Client) SendRaw(ctx context.Context, raw []byte) (psbt.ID, error) {
	const method = "sendrawtransaction"
	tx, err := psbt.ParseTx(bytes.Clone(raw))
	if err != nil {
		return psbt.ID{}, fmt.Errorf("broadcast: %w", err)
	}
	id := tx.ID()
	sent, err := c.id(ctx, method, hex.EncodeToString(raw))
	if err == nil && sent != id {
		err = c.Broken(method, "answered with id %s for transaction %s", sent, id)
	}
	if err == nil {
		return id, nil
	}
	known, lookup := c.has(ctx, id, tx.Outs)
	if known && lookup == nil {
		return id, nil
	}
	var refusal *endpoint.CallError
	if errors.As(err, &refusal) && lookup == nil {
		return psbt.ID{}, &endpoint.Rejected{Hash: id.String(), Err: refusal, Why: c.explain(ctx, tx)}
	}
	return psbt.ID{}, fmt.Errorf("broadcast %s: outcome unknown, send again: %w", id, errors.Join(err, lookup))
}

// has says whether a transaction is in the pool, or in a block.
func (c *Client) has(ctx context.Context, id psbt.ID, outs []psbt.Out) (bool, error) {
	if known, err := c.Knows(ctx, id); known || err != nil {
		return known, err
	}
	var found atomic.Bool
	err := each(ctx, len(outs), func(ctx context.Context, i int) error {
		if found.Load() {
			return nil
		}
		is, err := c.output(ctx, psbt.Outpoint{ID: id, Index: uint32(i)}, false)
		if is != nil && is.Amount == outs[i].Amount && bytes.Equal(is.Script, outs[i].Script) {
			found.Store(true)
		}
		return err
	})
	return found.Load(), err
}

// explain asks the endpoint which inputs it may have refused. Facts that cannot be read explain nothing.
func (c *Client) explain(ctx context.Context, tx *psbt.Tx) error {
	found := make([]*endpoint.Mismatch, len(tx.Ins))
	s := Spending{}
	for _, in := range tx.Ins {
		s.Coins = append(s.Coins, Coin{Outpoint: in.Outpoint})
	}
	if err := each(ctx, len(tx.Ins), func(ctx context.Context, i int) error {
		is, err := c.output(ctx, tx.Ins[i].Outpoint, true)
		if err == nil && is == nil {
			found[i] = missing(tx.Ins[i].Outpoint)
		}
		return err
	}); err != nil {
		return nil
	}
	if err := c.checkPool(ctx, s, found); err != nil {
		return nil
	}
	return joined(found)
}
