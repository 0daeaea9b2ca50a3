package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/statement"
)

// stuckAfter is how long a transfer may wait on its chain before the same is asked for at a higher fee. A block of Bitcoin alone takes ten minutes.
const (
	stuckAfter     = 10 * time.Minute
	coinStuckAfter = time.Hour
)

// stuck says that a signed transaction has waited for too long: it keeps its nonce, or its coins, and all that comes after it waits, too.
func stuck(c *client.Case) bool {
	limit := stuckAfter
	if strings.HasPrefix(c.Intent.Chain, "bip122:") {
		limit = coinStuckAfter
	}
	return c.Pending() && time.Since(c.Intent.Created) > limit
}

// replace asks for the same transfer at a higher fee, with the nonce or the coins of the one that waits, and follows it until it is "signed" or "confirmed". Whichever of the two the chain
// takes, it is what was asked for. What cannot be replaced, or is refused at a higher fee, is followed as it is.
func (s *sweep) replace(ctx context.Context, a *app, l *sweepLine, old *client.Case, until string) error {
	st, waits, fee, err := l.again(ctx, old)
	if err != nil {
		l.kept = true
		a.say("%s of %s: intent %.8s waits with %s, and its fee is not raised: %v", l.Asset, l.From, old.ID().String(), waits, err)
		return s.follow(ctx, a, l, old.ID(), until)
	}
	a.say("%s of %s: intent %.8s waits with %s since %s: it is replaced by intent %.8s, which pays %s", l.Asset, l.From,
		old.ID().String(), waits, statement.FormatTime(old.Intent.Created), st.ID().String(), fee)
	if err = s.propose(ctx, a, l, st, until); err == nil {
		return nil
	}
	return s.instead(ctx, a, l, old, err)
}

// instead says what became of a transfer whose replacement did not come through: the chain may have taken it after all, or takes it yet.
func (s *sweep) instead(ctx context.Context, a *app, l *sweepLine, old *client.Case, err error) error {
	one, _, found := s.circle.Case(ctx, []client.Vault{s.v}, old.ID())
	switch {
	case found != nil:
		return errors.Join(err, found)
	case reached(one, "confirmed") && one.State() != "replaced": // the chain took it after all
		l.Intent = old.ID().String()
		if l.saw(one); one.Reverted() {
			return undone(one)
		}
		if err := followed(old.ID(), one, nil); err != nil {
			return err
		}
		l.Outcome, l.Problem = outMoved, ""
		return nil
	case one.Pending() && ctx.Err() == nil:
		l.kept = true
		a.say("%s of %s: %v; intent %.8s waits on", l.Asset, l.From, err, old.ID().String())
		return s.follow(ctx, a, l, old.ID(), "confirmed")
	}
	return err
}
