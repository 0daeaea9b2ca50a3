package decide

import (
	"context"
	"errors"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
)

// An operator that signs with others may keep what they made: the intent fails, expires or is taken back here, and the transaction stands in a block some day. Who believes that nothing was
// signed pays again. So the chain is asked where it can be.

// Kept lists the transactions that ended without a signature here, and that others may hold: operators enough allowed them, or our last message left. What counts in no window any more is left out.
func (d *Desk) Kept(now time.Time) (out []Sent) {
	for _, f := range d.all() {
		f.mu.Lock()
		may := over(f.life) && (f.life.PossiblySigned() || f.life.Suffices())
		if may && !f.gone && f.raw == nil && travels(f.payload) && !gone(f.life.Intent(), now) {
			out = append(out, d.sent(f))
		}
		f.mu.Unlock()
	}
	return out
}

// Found takes a signed transaction that this node met on its chain, though nobody had told it. As any signature it must be of this very transaction; then all are told.
func (d *Desk) Found(ctx context.Context, now time.Time, id statement.ID, raw []byte) error {
	f, err := d.take(id)
	if err != nil {
		return err
	}
	defer f.mu.Unlock()
	n := outbox.Note{Kind: NoteSigned, Fields: [][]byte{id[:], raw}}
	err = d.sign(now, f, raw, func(e journal.Entry) error { return d.cfg.Post(ctx, now, e, n) })
	if errors.Is(err, outbox.ErrOld) {
		return nil // somebody told it meanwhile
	}
	return err
}
