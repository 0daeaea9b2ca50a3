package rehearse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

var wazirx = Story{
	Name:     "wazirx",
	Incident: "July 2024, 234.9 million dollars: signers saw one thing and signed another; signatures over attempts that had failed were put together for one that took the wallet",
	tell:     tellWazirx,
}

func tellWazirx(ctx context.Context, t *tale) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	if err := t.otherWords(ctx); err != nil {
		return err
	}
	return t.harvest(ctx)
}

// otherWords: the bytes pay a thief, and the words say somebody else.
func (t *tale) otherWords(ctx context.Context) error {
	s, err := t.forgery(ctx, call{to: thief, value: milliether(100)}, call{to: payee, value: milliether(100)})
	if err != nil {
		return err
	}
	if err := t.denied(ctx, "alice's screen says that "+payee+" is paid; the bytes pay "+thief, s, intent.RuleShown); err != nil {
		return err
	}
	r, err := t.run(ctx, "tx", "approve", s.ID().String(), "--yes", "--key", t.circle.KeyFile(bob))
	if err != nil {
		return err
	}
	t.step(Step{
		What: "bob approves it all the same: `ostraka tx approve`", Outcome: fmt.Sprintf("exit %d: %s", r.code, shorten(r.said())),
		Held: r.code == codeUnverified && strings.Contains(r.errs, "not what is to be signed"),
	})
	return nil
}

// harvest: approvals of attempts that came to nothing serve for nothing else, and not for the attempt again.
func (t *tale) harvest(ctx context.Context) error {
	cancelled, err := t.asked(ctx, payee, milliether(100))
	if err != nil {
		return err
	}
	short, err := t.transfer(ctx, payee, milliether(100), 2*time.Second)
	if err == nil {
		err = t.propose(ctx, short)
	}
	if err != nil {
		return err
	}
	harvested := map[string][]byte{}
	for person, s := range map[string]statement.Statement{bob: cancelled, carol: short} {
		if harvested[person], err = t.sign(ctx, person, signet.Approve, s); err != nil {
			return err
		}
	}
	if err := t.cancel(ctx, cancelled); err != nil {
		return err
	}
	if err := sleep(ctx, time.Until(short.Fields().Time("expires"))+time.Second); err != nil {
		return err
	}
	loot, err := t.asked(ctx, thief, milliether(100))
	if err != nil {
		return err
	}
	for _, try := range []struct {
		what, person string
		to           statement.Statement
		why          error
	}{
		{"bob's approval of a payment that was taken back, for one to the thief", bob, loot, intent.ErrOtherBytes},
		{"carol's approval of a payment that ran out, for one to the thief", carol, loot, intent.ErrOtherBytes},
		{"bob's approval for the payment that was taken back", bob, cancelled, intent.ErrClosed},
		{"carol's approval for the payment that ran out", carol, short, intent.ErrExpired},
	} {
		answers, err := t.vote(ctx, try.to.ID(), harvested[try.person])
		if err != nil {
			return err
		}
		t.refusedBy(try.what, answers, try.why)
	}
	one, err := t.watch(ctx, loot.ID())
	if err != nil {
		return err
	}
	t.step(Step{What: "approvals that the thief's payment has", Outcome: fmt.Sprintf("%d at %d nodes; it is %s", len(one.Votes), len(one.Views), one.State()), Held: len(one.Votes) == 0 && one.Signed == nil})
	if err := t.cancel(ctx, loot); err != nil {
		return err
	}
	return t.pays(ctx, "alice asks for the payment anew; bob and carol approve it")
}
