package wallet

import (
	"context"
	"errors"
	"time"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/coins"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/rpc/coin"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// finalBlocks is in how many blocks, its own among them, a transaction of Bitcoin is final here.
const finalBlocks = 6

// settled says that a block holds a transaction, as far as this node has read.
func settled(s decide.Sent) bool { return s.State == intent.Confirmed }

// follow moves the signed transactions of a chain on by one look: what blocks hold is in the book, and the rest waits at the endpoints, which are given it again and again.
func (p *Purses) follow(ctx context.Context, now time.Time, on string, panel *coin.Panel, s *shelf) error {
	var errs []error
	for _, sent := range p.Desk.OnTheWay() {
		b, ok := sent.Payload.(*payload.Bitcoin)
		if !ok || sent.Chain != on || ctx.Err() != nil {
			continue
		}
		if err := p.followOne(ctx, now, panel, s, sent, b); err != nil {
			errs = append(errs, err)
		}
	}
	for id, o := range s.late {
		if err := p.revive(ctx, now, s, id, o); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// An outrun transaction was given up, since a block holds another that spends one of its coins.
type outrun struct {
	sent  decide.Sent
	spent uint32    // the height of that block; 0: the book did not know it when this process began
	until time.Time // no longer than this
}

// outrunFor is how long one is looked for at most: so long take the blocks that a book can take back.
const outrunFor = coins.Depth * 10 * time.Minute

// remember has what was given up before this process looked for as well. The book is here, and has not gone on from where it was.
func (p *Purses) remember(now time.Time, on string, s *shelf) {
	for _, sent := range p.Desk.GivenUp(now.Add(-outrunFor)) {
		if b, ok := sent.Payload.(*payload.Bitcoin); ok && sent.Chain == on {
			_, at, _ := p.taken(s, b)
			s.late[sent.ID] = outrun{sent, at, now.Add(outrunFor)}
		}
	}
}

// revive brings back a transaction that was given up, once a block holds it after all, or none that is left spends its coins: then it may be sent again. Where the book was never seen to
// know what spent them, their being free says nothing: rows of coins that were spent long ago are erased.
func (p *Purses) revive(ctx context.Context, now time.Time, s *shelf, id statement.ID, o outrun) error {
	b := o.sent.Payload.(*payload.Bitcoin)
	top, _, read := s.book.Height()
	left := o.until.Sub(now)
	if left <= 0 || left > outrunFor || read && o.spent > 0 && top >= o.spent+coins.Depth {
		delete(s.late, id)
		return nil
	}
	_, _, found, err := s.book.Found(ctx, b.ID())
	if err != nil {
		return err
	}
	by, at, gone := p.taken(s, b)
	switch free := read && o.spent > 0 && top >= o.spent && !gone; {
	case found, free:
	case gone && at != o.spent: // in another block now
		o.spent = at
		s.late[id] = o
		return nil
	default:
		return nil
	}
	p.Log.Warn("transaction that was given up is on its way again: the block that spent its coins is no more", "intent", id.Short(), "transaction", o.sent.Hash, "by", by)
	if err := p.Desk.OnChain(ctx, now, id, intent.WasReorged{}); err != nil {
		return err // it is tried again
	}
	delete(s.late, id)
	return nil
}

func (p *Purses) followOne(ctx context.Context, now time.Time, panel *coin.Panel, s *shelf, sent decide.Sent, b *payload.Bitcoin) error {
	height, in, found, err := s.book.Found(ctx, b.ID())
	top, _, read := s.book.Height()
	switch {
	case err != nil:
		return err
	case found && sent.State == intent.Confirmed && sent.Block != in.String(): // thrown out, and in another again
		return p.Desk.OnChain(ctx, now, sent.ID, intent.WasReorged{})
	case found && sent.State != intent.Confirmed:
		return p.Desk.OnChain(ctx, now, sent.ID, intent.WasConfirmed{Height: uint64(height), Block: in.String()})
	case found && read && top+1 >= height+finalBlocks:
		return p.Desk.OnChain(ctx, now, sent.ID, intent.BecameFinal{})
	case found:
		return nil
	case sent.State == intent.Confirmed && read:
		return p.Desk.OnChain(ctx, now, sent.ID, intent.WasReorged{})
	}
	if by, at, gone := p.taken(s, b); gone {
		if top+1 < at+finalBlocks {
			return nil // its block may be thrown out yet
		}
		who := p.Desk.Successor(sent)
		if who == "" {
			who = by.String()
		}
		p.Log.Warn("transaction replaced", "intent", sent.ID.Short(), "transaction", sent.Hash, "by", who)
		if err := p.Desk.OnChain(ctx, now, sent.ID, intent.WasReplaced{By: who}); err != nil {
			return err
		}
		s.late[sent.ID] = outrun{sent, at, now.Add(outrunFor)}
		return nil
	}
	return p.send(ctx, now, panel, sent, b)
}

// taken finds a block's transaction, another than this one, that spends one of its coins.
func (p *Purses) taken(s *shelf, b *payload.Bitcoin) (by psbt.ID, height uint32, gone bool) {
	for _, in := range b.Inputs() {
		if by, height, gone = s.book.Spent(in.Outpoint); gone && by != b.ID() {
			return by, height, true
		}
	}
	return by, 0, false
}

// send gives a transaction to the endpoints as long as any of them does not have it: one that says that it does keeps it from no other. A refusal is no end: what it builds on may be on
// its way, and a higher rate may be asked only now.
func (p *Purses) send(ctx context.Context, now time.Time, panel *coin.Panel, sent decide.Sent, b *payload.Bitcoin) error {
	some, every := false, false
	var err error
	if sent.State != intent.Signed {
		if some, every, err = panel.Knows(ctx, b.ID()); err != nil {
			return err
		}
	}
	if !every {
		_, err = panel.SendRaw(ctx, sent.Raw)
	}
	rejected := (*endpoint.Rejected)(nil)
	switch {
	case some:
		return p.Desk.OnChain(ctx, now, sent.ID, intent.WasSeen{})
	case sent.State == intent.Signed && err == nil:
		return p.Desk.OnChain(ctx, now, sent.ID, intent.WasBroadcast{})
	case sent.State == intent.Signed || !errors.As(err, &rejected):
		return err
	case sent.State == intent.Dropped:
		return nil
	}
	p.Log.Warn("transaction dropped: its chain's nodes forgot it, and refuse it", "intent", sent.ID.Short(), "transaction", sent.Hash, "error", err)
	return p.Desk.OnChain(ctx, now, sent.ID, intent.WasDropped{})
}
