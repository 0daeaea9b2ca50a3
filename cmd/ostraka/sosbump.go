package main

import (
	"context"
	"errors"
	"math/big"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/statement"
)

// stuckAfter is how long a transfer may wait on its chain before the same is asked for at a higher fee.
const stuckAfter = 10 * time.Minute

// stuck says that a signed transaction has waited for too long: it keeps its nonce, and all that comes after it waits, too.
func stuck(c *client.Case) bool { return c.Pending() && time.Since(c.Intent.Created) > stuckAfter }

// bumps says whether a line is a transfer whose fee can be raised: protective calls are not.
func (l *sweepLine) bumps() bool { return l.teller.EVM != nil && !l.kept }

// replace asks for the same transfer at a higher fee, with the nonce of the one that waits, and follows it. Whichever of the two the chain takes, it is what was asked for. What cannot be
// replaced, or is refused at a higher fee, is followed as it is.
func (s *sweep) replace(ctx context.Context, a *app, l *sweepLine, old *client.Case) error {
	f := old.Tx.Facts()
	st, fee, err := s.replacement(ctx, l, f)
	if err != nil {
		l.kept = true
		a.say("%s of %s: intent %.8s waits with nonce %d, and its fee is not raised: %v", l.Asset, l.From, old.ID().String(), f.Nonce, err)
		return s.follow(ctx, a, l, old.ID())
	}
	a.say("%s of %s: intent %.8s waits with nonce %d since %s: it is replaced by intent %.8s, which pays %s wei per gas at most, and not %s", l.Asset, l.From,
		old.ID().String(), f.Nonce, statement.FormatTime(old.Intent.Created), st.ID().String(), fee, f.FeeCap)
	err = s.propose(ctx, a, l, st)
	if err == nil {
		return nil
	}
	one, _, found := s.circle.Case(ctx, []client.Vault{s.v}, old.ID())
	switch {
	case found != nil:
		return errors.Join(err, found)
	case reached(one, "confirmed") && one.State() != "replaced": // the chain took it after all
		l.Intent, l.State = old.ID().String(), one.State()
		return followed(old.ID(), one, nil)
	case one.Pending() && ctx.Err() == nil:
		l.kept = true
		a.say("%s of %s: %v; intent %.8s waits on", l.Asset, l.From, err, old.ID().String())
		return s.follow(ctx, a, l, old.ID())
	}
	return err
}

// replacement prepares it. fee is the highest price per gas that it pays.
func (s *sweep) replacement(ctx context.Context, l *sweepLine, f evm.Facts) (st statement.Statement, fee string, err error) {
	fees, err := l.teller.Fees(ctx)
	if err != nil {
		return st, "", err
	}
	balance, err := l.teller.Balance(ctx, l.from)
	if err != nil {
		return st, "", err
	}
	r, err := client.Bump(f, fees.FeeCap, fees.TipCap, balance)
	if err != nil {
		return st, "", err
	}
	st, err = s.circle.Prepare(ctx, client.Transfer{
		Sender: l.sender, To: r.To, Token: r.Token, Amount: r.Amount, Legacy: r.Kind == evm.Legacy, Nonce: &r.Nonce, Gas: &r.Gas, FeeCap: r.FeeCap, TipCap: r.TipCap,
		Memo: "rescue: sweep to " + l.To + ", for a higher fee", Life: emergencyLife(l.sender),
	})
	if err == nil {
		l.Amount, l.Fee = evm.FormatUnits(r.Amount, uint8(l.asset.Decimals)), evm.FormatUnits(new(big.Int).Mul(new(big.Int).SetUint64(r.Gas), r.FeeCap), evm.EtherDecimals)
	}
	return st, r.FeeCap.String(), err
}
