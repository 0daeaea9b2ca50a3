package main

import (
	"context"
	"fmt"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
)

// A coinTransfer is a line on Bitcoin: some coins of an account in one transaction, or one that a run before began.
type coinTransfer struct {
	*sweepLine
	s       *sweep
	account client.Account
	dest    charter.Destination
	haul    client.Haul
	old     *client.Case // nil: it was not begun
}

// onBitcoin lists what becomes of every account's coins on a chain of Bitcoin: what is under way, what is to be moved, the most valuable first, and what stays, by its reason. The nodes read
// the coins; no endpoint is asked from here.
func (s *sweep) onBitcoin(ctx context.Context, a *app, chain string) (lines []*sweepLine, err error) {
	to, err := s.destination(chain)
	if err != nil {
		return nil, err
	}
	own, ok := s.v.InForce().AssetOn(chain, "", func(a, b string) bool { return a == b })
	if ok && !s.wants(own.Name) || !ok && len(s.assets) > 0 {
		return nil, nil
	}
	for _, x := range s.accounts {
		line := sweepLine{Chain: chain, From: x.Department + "/" + x.Name, Asset: own.Name, To: to.Name, Outcome: outPlanned}
		mine, err := s.coinsOf(ctx, a, line, x, to)
		if err == nil && !ok && len(mine) > 0 {
			err = fmt.Errorf("the charter names no asset of %s, so no node can count what leaves", chain)
		}
		if err != nil { // one account that fails keeps no other back
			line.Outcome, line.Problem = outSkipped, err.Error()
			mine = []*sweepLine{&line}
		}
		lines = append(lines, mine...)
	}
	return lines, nil
}

func (s *sweep) coinsOf(ctx context.Context, a *app, line sweepLine, x client.Account, to charter.Destination) (out []*sweepLine, err error) {
	add := func(t coinTransfer, amount, fee uint64, coins int) *sweepLine {
		l := line
		t.sweepLine, t.s, t.account, t.dest = &l, s, x, to
		l.Amount, l.Coins = btc(amount), coins
		if fee > 0 {
			l.Fee = btc(fee)
		}
		l.move = func(ctx context.Context) error { return t.move(ctx, a) }
		l.land = func(ctx context.Context) error { return t.land(ctx, a) }
		l.again = t.dearer
		out = append(out, &l)
		return &l
	}
	for _, old := range client.SweptCoins(s.cases, x.Path, line.Chain, to.Address) {
		p := old.Payload.(*payload.Bitcoin) //nolint:forcetypeassert // SweptCoins gives no other
		l := add(coinTransfer{old: old}, p.Outputs()[0].Amount, p.Fee(), len(p.Inputs()))
		l.Intent, l.Outcome = old.ID().String(), outUnderway
		l.saw(old)
	}
	h, err := s.circle.Holding(ctx, s.v, x, line.Chain)
	if err != nil {
		return out, err
	}
	if h.ReserveBeside(s.cases, to.Address); len(h.Coins)+h.Doubted+h.Left == 0 {
		return out, nil
	}
	all, err := h.Sweep(to.Address, client.SweepCoins)
	if err != nil {
		return out, err
	}
	for _, haul := range all.Hauls {
		add(coinTransfer{haul: haul}, haul.Amount, haul.Fee, haul.Coins)
	}
	for _, stays := range all.Stays {
		l := add(coinTransfer{}, stays.Sum, 0, stays.Coins)
		if l.Outcome, l.Problem = outSkipped, stays.Why; !stays.Worth {
			l.Outcome = outLeft
		}
	}
	return out, nil
}

// move has the transaction signed. Its coins are its own, so that nothing else waits for its block. One that a run before began, and that waits, is replaced if that is asked for, or once
// it has waited for long.
func (t *coinTransfer) move(ctx context.Context, a *app) error {
	switch {
	case t.old != nil && t.old.Pending() && (t.s.bump || stuck(t.old)):
		return t.s.replace(ctx, a, t.sweepLine, t.old, "signed")
	case t.old != nil:
		return t.s.follow(ctx, a, t.sweepLine, t.old.ID(), "signed")
	}
	st, err := t.s.circle.PreparePacket(t.payment("rescue: sweep to "+t.To), t.haul.Unsigned)
	if err != nil {
		return err
	}
	return t.s.propose(ctx, a, t.sweepLine, st, "signed")
}

// land waits until a block holds the transaction, or the one that it replaced.
func (t *coinTransfer) land(ctx context.Context, a *app) error {
	id, err := statement.ParseID(t.Intent)
	if err != nil {
		return err
	}
	err = t.s.follow(ctx, a, t.sweepLine, id, "confirmed")
	if err != nil && t.old != nil && t.old.ID() != id {
		return t.s.instead(ctx, a, t.sweepLine, t.old, err)
	}
	return err
}

func (t *coinTransfer) payment(memo string) client.Payment {
	return client.Payment{Vault: t.s.v, Account: t.account, Chain: t.Chain, As: t.s.as, Memo: memo, Life: emergencyLife(client.Sender{Vault: t.s.v})}
}

// dearer prepares the same coins' transaction for what the nodes say is usual by now, and more than the one that waits pays.
func (t *coinTransfer) dearer(ctx context.Context, old *client.Case) (st statement.Statement, waits, fee string, err error) {
	was, ok := old.Payload.(*payload.Bitcoin)
	if !ok {
		return st, "", "", fmt.Errorf("intent %s is no transaction of Bitcoin", old.ID().Short())
	}
	waits = fmt.Sprintf("%d coins", len(was.Inputs()))
	h, err := t.s.circle.Holding(ctx, t.s.v, t.account, t.Chain)
	if err != nil {
		return st, waits, "", err
	}
	p := t.payment("rescue: sweep to " + t.To + ", for a higher fee")
	p.Rate = min(h.Rate, h.Vault.MaxRate)
	var paid, rises uint64
	if st, paid, rises, err = t.s.circle.PrepareDearerSweep(old, p); err == nil {
		t.Amount, t.Fee = btc(paid), btc(rises)
	}
	return st, waits, fmt.Sprintf("%d sat, and not %d", rises, was.Fee()), err
}
