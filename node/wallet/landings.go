package wallet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
	"github.com/ostraka/ostraka/node/rpc/sol"
)

// Landings follow signed transactions of Solana. No node there keeps what waits: the same bytes are sent again until a block holds them, or none can any more.
type Landings struct {
	Desk   *decide.Desk
	Panels map[string]*sol.Panel // by chain
	Log    *slog.Logger

	passed doubts
	late   map[statement.ID]late      // those given up of late; nil before the first step
	sent   map[statement.ID]time.Time // when it was sent last
	lived  map[statement.ID]time.Time // when a block could take it last, as this process saw, and none had; or when it was signed
	known  map[statement.ID]bool      // it was looked at before
	other  map[statement.ID]bool      // its message stands in a block under another signature
}

const (
	// resendEvery is how long a transaction is left alone once it was sent.
	resendEvery = 5 * time.Second
	// unseenFor is how long what this process saw in life at no time, or not of late, must look dead: the endpoints may be behind the block that it names, or the nonce.
	unseenFor = 10 * time.Minute
	// livedFor is how long after a look at a living transaction endpoints without history can tell yet that it did not land: they keep some two minutes.
	livedFor = time.Minute
)

// Step moves every signed transaction on by one look at its chain.
func (l *Landings) Step(ctx context.Context, now time.Time) {
	began := l.remember(now)
	underway := map[statement.ID]bool{}
	for _, s := range l.Desk.OnTheWay() {
		p, ok := s.Payload.(*payload.Solana)
		panel := l.Panels[s.Chain]
		if !ok || panel == nil || ctx.Err() != nil {
			continue
		}
		if underway[s.ID] = true; !l.known[s.ID] && !began && s.Allowed && s.State == intent.Signed {
			l.lived[s.ID] = now // it was signed just now, and this node's endpoints knew its block or nonce when it allowed it
		}
		l.known[s.ID] = true
		if err := l.follow(ctx, now, panel, s, p); err != nil {
			l.Log.Warn("transaction not followed", "intent", s.ID.Short(), "transaction", s.Hash, "error", err)
		}
	}
	maps.DeleteFunc(l.sent, func(id statement.ID, _ time.Time) bool { return !underway[id] })
	maps.DeleteFunc(l.lived, func(id statement.ID, _ time.Time) bool { return !underway[id] })
	maps.DeleteFunc(l.known, func(id statement.ID, _ bool) bool { return !underway[id] })
	maps.DeleteFunc(l.other, func(id statement.ID, _ bool) bool { return !underway[id] })
	maps.DeleteFunc(l.passed, func(id statement.ID, _ doubt) bool { return !underway[id] })
	for id, x := range l.late {
		if err := l.revive(ctx, now, x); err != nil {
			l.Log.Warn("transaction that was given up not looked for", "intent", id.Short(), "error", err)
		}
	}
}

// remember has what was given up before this process looked for as well; began says that this is the first step.
func (l *Landings) remember(now time.Time) (began bool) {
	if l.late != nil {
		return false
	}
	l.passed, l.late, l.sent, l.lived, l.other, l.known = doubts{}, map[statement.ID]late{}, map[statement.ID]time.Time{}, map[statement.ID]time.Time{}, map[statement.ID]bool{}, map[statement.ID]bool{}
	for _, s := range l.Desk.GivenUp(now.Add(-lateFor)) {
		if l.Panels[s.Chain] != nil {
			l.late[s.ID] = late{s, now.Add(lateFor)}
		}
	}
	return true
}

// revive brings a transaction back that was given up too early: it stands in a block after all.
func (l *Landings) revive(ctx context.Context, now time.Time, x late) error {
	id := x.sent.ID
	if left := x.until.Sub(now); left <= 0 || left > lateFor {
		delete(l.late, id)
		return nil
	}
	name, err := sol.ParseSignature(x.sent.Hash)
	if err != nil {
		return err
	}
	if s, err := l.Panels[x.sent.Chain].Status(ctx, name); err != nil || s.Level < sol.Confirmed {
		return err
	}
	delete(l.late, id)
	return l.Desk.OnChain(ctx, now, id, intent.WasReorged{})
}

func (l *Landings) follow(ctx context.Context, now time.Time, panel *sol.Panel, s decide.Sent, p *payload.Solana) error {
	name, err := sol.ParseSignature(s.Hash)
	if err != nil {
		return err
	}
	at, err := panel.Status(ctx, name)
	if err != nil {
		return err
	}
	block := fmt.Sprintf("slot %d", at.Slot)
	if at.Err != "" {
		block += ", where it failed" // that, too, may be another in another fork
	}
	switch {
	case at.Level < sol.Confirmed && s.State == intent.Confirmed, at.Level >= sol.Confirmed && s.State == intent.Confirmed && s.Block != block:
		return l.Desk.OnChain(ctx, now, s.ID, intent.WasReorged{}) // its fork was left
	case at.Level == sol.Unknown:
		return l.wait(ctx, now, panel, s, p, at.Recent)
	case at.Level < sol.Confirmed:
		return l.Desk.OnChain(ctx, now, s.ID, intent.WasSeen{})
	case s.State != intent.Confirmed:
		return l.Desk.OnChain(ctx, now, s.ID, intent.WasConfirmed{Height: at.Slot, Block: block, Reverted: at.Err != ""})
	case at.Level == sol.Finalized:
		return l.Desk.OnChain(ctx, now, s.ID, intent.BecameFinal{})
	}
	return nil
}

// wait sends what no block holds, or gives it up once none can. recent says that no block of late holds it, and that nobody looked at older ones.
func (l *Landings) wait(ctx context.Context, now time.Time, panel *sol.Panel, s decide.Sent, p *payload.Solana, recent bool) error {
	alive, err := living(ctx, panel, p)
	if err != nil {
		return err
	}
	if alive {
		delete(l.passed, s.ID)
		l.lived[s.ID] = now
		return l.send(ctx, now, panel, s)
	}
	if !l.dead(s.ID, now, recent) {
		return nil
	}
	var end intent.Event = intent.WasLapsed{}
	if _, _, durable := p.Durable(); durable {
		by := l.Desk.Successor(s)
		if by == "" {
			by = "a transaction that this node did not sign"
		}
		end = intent.WasReplaced{By: by}
	}
	if err := l.Desk.OnChain(ctx, now, s.ID, end); err != nil {
		return err
	}
	l.Log.Warn("no block takes the transaction any more", "intent", s.ID.Short(), "transaction", s.Hash)
	delete(l.passed, s.ID)
	l.late[s.ID] = late{s, now.Add(lateFor)}
	return nil
}

// dead says that no block holds a transaction, nor can. What ended it may be itself, in a block that was not shown yet; and of what this process did not see in life shortly before, endpoints
// may not know the beginning yet, or not any more.
func (l *Landings) dead(id statement.ID, now time.Time, recent bool) bool {
	grown := l.passed.grown(id, now)
	since := l.passed[id].since
	lived, seen := l.lived[id]
	switch gap := since.Sub(lived); {
	case l.other[id]:
		return false
	case seen && gap >= 0 && gap <= livedFor:
		return grown
	case recent:
		return false
	}
	return grown && now.Sub(since) >= unseenFor
}

// living says whether a block may take a transaction yet: its nonce has the value that it names, or its block is young enough.
func living(ctx context.Context, panel *sol.Panel, p *payload.Solana) (bool, error) {
	account, value, durable := p.Durable()
	if !durable {
		return panel.BlockhashValid(ctx, value)
	}
	all, err := panel.Accounts(ctx, []solana.Key{account})
	if err != nil {
		return false, err
	}
	a, err := all[0].Read()
	return a.Kind == solana.NonceAccount && a.Nonce == value, err
}

// send gives it to the endpoints. A refusal is no end: who pays for it may get the coins yet.
func (l *Landings) send(ctx context.Context, now time.Time, panel *sol.Panel, s decide.Sent) error {
	if since := now.Sub(l.sent[s.ID]); since >= 0 && since < resendEvery {
		return nil
	}
	l.sent[s.ID] = now
	_, err := panel.Send(ctx, s.Raw)
	if errors.Is(err, sol.ErrProcessed) {
		l.other[s.ID] = true
	}
	if refused := (*endpoint.Rejected)(nil); errors.As(err, &refused) && s.State == intent.Seen {
		return errors.Join(err, l.Desk.OnChain(ctx, now, s.ID, intent.WasDropped{}))
	}
	if err != nil {
		return err
	}
	if s.State != intent.Signed && s.State != intent.Dropped && s.State != intent.Reorged {
		return nil
	}
	return l.Desk.OnChain(ctx, now, s.ID, intent.WasBroadcast{})
}
