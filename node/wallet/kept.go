package wallet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/chain/bitcoin/block"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/rpc/coin"
)

// seek finds transactions that ended without a signature here, and that stand in a block: somebody kept their signatures back. It looks anew once there is another block, since no other can tell more. A
// transaction's id does not cover its signatures, so it is known though they are not.
func (p *Purses) seek(ctx context.Context, now time.Time, on string, panel *coin.Panel, s *shelf) error {
	_, last, begun := s.book.Height()
	if !begun || last == s.sought {
		return nil
	}
	s.sought = last // also where it fails: the next block is soon enough to try again
	return s.seekAmong(ctx, on, panel, p.Desk.Kept(now), func(id statement.ID, raw []byte) error {
		p.Log.Warn("a transaction that ended without a signature here stands in a block: nobody told its signatures", "intent", id.Short(), "chain", on)
		return p.Desk.Found(ctx, now, id, raw)
	})
}

// seekAmong gives each of these transactions that a block holds, with its signatures.
func (s *shelf) seekAmong(ctx context.Context, on string, panel *coin.Panel, all []decide.Sent, found func(statement.ID, []byte) error) error {
	var errs []error
	for _, x := range all {
		b, ok := x.Payload.(*payload.Bitcoin)
		if !ok || x.Chain != on {
			continue
		}
		_, in, stands, err := s.book.Found(ctx, b.ID())
		if err == nil && stands {
			var raw []byte
			if raw, err = inBlock(ctx, panel, in, b.ID()); err == nil {
				err = found(x.ID, raw)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("intent %s: %w", x.ID.Short(), err))
		}
	}
	return errors.Join(errs...)
}

// inBlock is a transaction as it lies in a block.
func inBlock(ctx context.Context, panel *coin.Panel, in, id psbt.ID) ([]byte, error) {
	raw, err := panel.Block(ctx, in)
	if err != nil {
		return nil, err
	}
	b, err := block.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("block %s: %w", in, err)
	}
	i := slices.IndexFunc(b.Transactions, func(t block.Transaction) bool { return t.TxID == id })
	if i < 0 || b.Hash != in {
		return nil, fmt.Errorf("block %s does not hold transaction %s, and did when it was read: see that endpoints are right", in, id)
	}
	return bytes.Clone(b.Transactions[i].Raw), nil
}
