package wallet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
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
	Endpoints map[string]*rpc.Panel // by chain, "eip155:1"
	Log       *slog.Logger

	passed doubts                // transactions whose nonce another used, as it seems
	late   map[statement.ID]late // those given up of late: a reorganisation may bring them back; nil before the first step
}

// doubts are the transactions that seem to have no way onto their chain any more.
type doubts map[statement.ID]doubt

// A doubt is since when that is so, and how often it was found.
type doubt struct {
	since time.Time
	looks int
}

// grown says whether it was found often, and for long, that a transaction has no way any more: then it is given up.
func (d doubts) grown(id statement.ID, now time.Time) bool {
	p := d[id]
	if p.since.IsZero() || p.since.After(now) {
		p = doubt{since: now}
	}
	p.looks++
	d[id] = p
	return p.looks >= passedLooks && now.Sub(p.since) >= passedFor
}

type late struct {
	sent  decide.Sent
	until time.Time
}

// A transaction is given up when its nonce was found spent, and no receipt of it, this often
// and for this long: receipts come after blocks, and the newest block may be thrown out.
const (
	passedLooks = 3
	passedFor   = 15 * time.Second
	lateFor     = time.Hour // how long a transaction that was given up is still looked for
)

// Step moves every signed transaction on by one look at its chain.
func (w *Follower) Step(ctx context.Context, now time.Time) {
	w.remember(now)
	for _, s := range w.Desk.OnTheWay() {
		c := w.Endpoints[s.Chain]
		if c == nil || ctx.Err() != nil {
			continue
		}
		if err := w.follow(ctx, now, c, s); err != nil {
			w.Log.Warn("transaction not followed", "intent", s.ID.Short(), "hash", s.Hash, "error", err)
		}
	}
	for id, l := range w.late {
		if err := w.revive(ctx, now, l); err != nil {
			w.Log.Warn("replaced transaction not looked for", "intent", id.Short(), "error", err)
		}
	}
}

// remember has what was given up before this process looked for as well.
func (w *Follower) remember(now time.Time) {
	if w.late != nil {
		return
	}
	w.passed, w.late = doubts{}, map[statement.ID]late{}
	for _, s := range w.Desk.GivenUp(now.Add(-lateFor)) {
		if w.Endpoints[s.Chain] != nil {
			w.late[s.ID] = late{s, now.Add(lateFor)}
		}
	}
}

// revive brings a transaction back that was given up too early: it stands in a block after all.
func (w *Follower) revive(ctx context.Context, now time.Time, l late) error {
	id := l.sent.ID
	if left := l.until.Sub(now); left <= 0 || left > lateFor {
		delete(w.late, id)
		return nil
	}
	hash, err := evm.ParseHash(l.sent.Hash)
	if err != nil {
		return err
	}
	if _, found, err := w.Endpoints[l.sent.Chain].Receipt(ctx, hash); err != nil || !found {
		return err
	}
	delete(w.late, id)
	return w.Desk.OnChain(ctx, now, id, intent.WasReorged{})
}

// spent says whether the account's mined nonce has passed the transaction's, which has no
// receipt: then there is nothing left to do for it. Words of an endpoint are never looked at.
func (w *Follower) spent(ctx context.Context, now time.Time, c *rpc.Panel, s decide.Sent, hash evm.Hash) (bool, error) {
	t, ok := payload.OnEVM(s.Payload)
	if !ok {
		return false, fmt.Errorf("it is no transaction of an EVM chain, and %s is one", s.Chain)
	}
	nonce := t.Facts().Nonce
	next, err := c.MinedNonce(ctx, t.Sender())
	if err != nil {
		return false, err
	}
	if next <= nonce {
		delete(w.passed, s.ID)
		return false, nil
	}
	// The receipt is asked for again after the nonce: it may have come between the two.
	if missing, err := c.Missing(ctx, hash); err != nil || !missing {
		return true, err
	}
	if !w.passed.grown(s.ID, now) {
		return true, nil
	}
	by := w.Desk.Successor(s)
	if by == "" {
		by = "a transaction that this node did not sign"
	}
	if err := w.Desk.OnChain(ctx, now, s.ID, intent.WasReplaced{By: by}); err != nil {
		return true, err
	}
	w.Log.Warn("transaction replaced", "intent", s.ID.Short(), "hash", s.Hash, "nonce", nonce, "mined", next, "by", by)
	delete(w.passed, s.ID)
	w.late[s.ID] = late{s, now.Add(lateFor)}
	return true, nil
}

func (w *Follower) follow(ctx context.Context, now time.Time, c *rpc.Panel, s decide.Sent) error {
	hash, err := evm.ParseHash(s.Hash)
	if err != nil {
		return err
	}
	var refusal error
	if s.State == intent.Signed {
		if refusal, err = w.broadcast(ctx, now, c, s); err != nil {
			return err
		}
	}
	receipt, found, err := c.Receipt(ctx, hash)
	if err != nil {
		return err
	}
	if found {
		delete(w.passed, s.ID)
		return w.mined(ctx, now, c, s, receipt)
	}
	if s.State == intent.Confirmed {
		return w.Desk.OnChain(ctx, now, s.ID, intent.WasReorged{})
	}
	if spent, err := w.spent(ctx, now, c, s, hash); err != nil || spent {
		return err
	}
	if refusal != nil {
		return refusal
	}
	return w.spread(ctx, now, c, s, hash)
}

// spread sends a transaction on as long as any endpoint does not have it: one that says that it does keeps it from no other. It is seen where one has it.
func (w *Follower) spread(ctx context.Context, now time.Time, c *rpc.Panel, s decide.Sent, hash evm.Hash) error {
	some, every, err := c.Knows(ctx, hash)
	if err != nil {
		return err
	}
	if !every {
		_, err = c.SendRaw(ctx, s.Raw)
	}
	if some {
		return w.Desk.OnChain(ctx, now, s.ID, intent.WasSeen{})
	}
	return w.forgotten(ctx, now, s, err)
}

// forgotten notes that the chain's nodes have lost a transaction and take it no more: the blocks' fee has risen above it, or another in the pool has its nonce. It is sent on: they may take
// it again.
func (w *Follower) forgotten(ctx context.Context, now time.Time, s decide.Sent, err error) error {
	if rejected := (*rpc.Rejected)(nil); !errors.As(err, &rejected) || s.State == intent.Signed {
		return err
	}
	if s.State == intent.Dropped {
		return nil
	}
	w.Log.Warn("transaction dropped: its chain's nodes forgot it, and refuse it", "intent", s.ID.Short(), "hash", s.Hash, "error", err)
	return w.Desk.OnChain(ctx, now, s.ID, intent.WasDropped{})
}

// broadcast sends a signed transaction for the first time. A chain's refusal is given back
// beside: the transaction's nonce may be spent, which the refusal's words do not prove.
func (w *Follower) broadcast(ctx context.Context, now time.Time, c *rpc.Panel, s decide.Sent) (refusal, err error) {
	_, err = c.SendRaw(ctx, s.Raw)
	if rejected := (*rpc.Rejected)(nil); errors.As(err, &rejected) {
		return err, nil
	}
	if err != nil {
		return nil, err
	}
	return nil, w.Desk.OnChain(ctx, now, s.ID, intent.WasBroadcast{})
}

func (w *Follower) mined(ctx context.Context, now time.Time, c *rpc.Panel, s decide.Sent, r rpc.Receipt) error {
	if s.State == intent.Confirmed && s.Block != r.BlockHash.String() { // thrown out, and in another again: it may have failed there
		return w.Desk.OnChain(ctx, now, s.ID, intent.WasReorged{})
	}
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
