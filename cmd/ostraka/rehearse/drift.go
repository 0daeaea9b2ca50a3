package rehearse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

var drift = Story{
	Name:     "drift",
	Incident: "April 2026, about 285 million dollars: members of a council were led to sign in advance, their signatures kept for weeks, and the delay of changes was taken away",
	Alters:   true, tell: tellDrift,
}

func tellDrift(ctx context.Context, t *tale) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{t.weeks, t.ranOut, t.otherVersion, t.noDelay, t.otherEpoch} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return t.pays(ctx, "alice asks for a payment under the charter and the shares of now; bob and carol approve it")
}

// kept is a payment that the nodes know, and approvals that bob and carol gave and somebody keeps for later.
type kept struct {
	intent    statement.Statement
	approvals [][]byte
}

func (t *tale) keep(ctx context.Context, life time.Duration) (k kept, err error) {
	if k.intent, err = t.transfer(ctx, payee, milliether(100), life); err == nil {
		err = t.propose(ctx, k.intent)
	}
	for _, person := range []string{bob, carol} {
		if err != nil {
			return k, err
		}
		var sig []byte
		sig, err = t.sign(ctx, person, signet.Approve, k.intent)
		k.approvals = append(k.approvals, sig)
	}
	return k, err
}

// use hands the kept approvals in: every node must refuse each of them.
func (t *tale) use(ctx context.Context, what string, k kept, why error) error {
	var all client.Answers[client.Taken]
	for _, sig := range k.approvals {
		answers, err := t.vote(ctx, k.intent.ID(), sig)
		if err != nil {
			return err
		}
		all = append(all, answers...)
	}
	t.refusedBy(what, all, why)
	return nil
}

// errTooLong is what nodes say of it.
var errTooLong = errors.New("is more than 7 days after created")

// weeks: an intent that lives for so long is written by hand, since no program of ours does, and signed by alice.
func (t *tale) weeks(ctx context.Context) error {
	s, err := t.transfer(ctx, payee, milliether(100), 0)
	if err != nil {
		return err
	}
	at := s.Fields().Time("created").Add(30 * 24 * time.Hour)
	long, err := statement.Parse([]byte(strings.Replace(s.Text(), "expires: "+s.Get("expires"), "expires: "+statement.FormatTime(at), 1)))
	if err != nil {
		return err
	}
	sig, err := t.sign(ctx, alice, signet.Makes(statement.Intent), long)
	if err != nil {
		return err
	}
	answers, err := t.hand(ctx, long, sig)
	if err != nil {
		return err
	}
	t.refusedBy("a payment that may be approved for 30 days", answers, errTooLong)
	return nil
}

func (t *tale) ranOut(ctx context.Context) error {
	k, err := t.keep(ctx, 2*time.Second)
	if err != nil {
		return err
	}
	if err := sleep(ctx, time.Until(k.intent.Fields().Time("expires"))+time.Second); err != nil {
		return err
	}
	return t.use(ctx, "approvals of bob and carol, kept until the payment ran out", k, intent.ErrExpired)
}

var listDelayLine = regexp.MustCompile(`(?m)^list-delay: \d+$`)

// errOtherVersion is how nodes call it.
var errOtherVersion = errors.New("another version of the charter came into force since it was proposed")

func (t *tale) otherVersion(ctx context.Context) error {
	k, err := t.keep(ctx, 0)
	if err != nil {
		return err
	}
	file, policy, err := t.written()
	if err != nil {
		return err
	}
	t.to.Busy("all officers sign another version of the charter")
	if _, err := t.amend(ctx, listDelayLine.ReplaceAllString(file, "list-delay: 3600"), policy); err != nil {
		return err
	}
	return t.use(ctx, "approvals of bob and carol, kept until another version of the charter came into force", k, errOtherVersion)
}

// noDelay: all officers were led to sign a version without a delay. It waits for the present one, and one of them wakes up.
func (t *tale) noDelay(ctx context.Context) error {
	file, policy, err := t.written()
	if err != nil {
		return err
	}
	t.to.Busy("all officers sign a version of the charter that has no delay")
	before, err := t.vault(ctx)
	if err != nil {
		return err
	}
	begun := time.Now()
	id, err := t.signAmendment(ctx, delayLine.ReplaceAllString(file, "delay: 0"), policy)
	if err != nil {
		return err
	}
	waiting, err := t.pending(ctx, id, func(p client.Pending) bool {
		return len(p.Due) == len(t.circle.Operators) && len(p.Missing) == 0 && !slices.ContainsFunc(dues(p), time.Time.IsZero)
	})
	if err != nil {
		return err
	}
	x := Step{What: "all three officers sign a version of the charter without a delay", Held: len(waiting.Due) == len(t.circle.Operators)}
	var words chorus
	for _, o := range t.circle.Operators {
		due := waiting.Due[o.Name]
		x.Held = x.Held && !due.Before(begun.Truncate(time.Second).Add(delay))
		words.say(o.Name, "puts it in force at "+due.Format(time.TimeOnly))
	}
	if x.Outcome = words.String(); x.Held {
		x.Rule = "delay"
	}
	t.step(x)
	cora := t.operator("cora")
	r, err := t.run(ctx, "charter", "veto", id, "--reason", "nobody told us", "--yes", "--dir", cora.Dir, "--key", cora.Officer)
	if err != nil {
		return err
	}
	t.step(Step{What: "cora alone takes its consent back: `ostraka charter veto`", Outcome: fmt.Sprintf("exit %d: %s", r.code, firstLine(r.out+r.said())), Held: r.code == 0})
	return t.afterVeto(ctx, id, before.Under, slices.MaxFunc(dues(waiting), time.Time.Compare))
}

// afterVeto: the time comes at which the version would have come into force.
func (t *tale) afterVeto(ctx context.Context, id string, before statement.ID, due time.Time) error {
	t.to.Busy("the delay runs out")
	if err := sleep(ctx, time.Until(due)+2*time.Second); err != nil {
		return err
	}
	p, err := t.pending(ctx, id, func(p client.Pending) bool { return len(p.Vetoes) > 0 })
	if err != nil {
		return err
	}
	v, err := t.vault(ctx)
	if err != nil {
		return err
	}
	x := Step{What: "the delay is over", Outcome: "the version without a delay is in force"}
	if v.Under == before && len(p.Vetoes) == 1 && len(p.Awaited) == len(t.circle.Operators) {
		x.Outcome = fmt.Sprintf("no node of %s has put it in force: %s vetoed it, %q; charter %s stays", strings.Join(p.Awaited, ", "), p.Vetoes[0].Operator, p.Vetoes[0].Reason, before.Short())
		x.Rule, x.Held = "veto", p.Vetoes[0].Operator == "cora"
	}
	t.step(x)
	return nil
}

func dues(p client.Pending) (all []time.Time) {
	for _, at := range p.Due {
		all = append(all, at)
	}
	return all
}

// pending reads a version that waits from all nodes, until it is as wanted.
func (t *tale) pending(ctx context.Context, id string, done func(client.Pending) bool) (p client.Pending, err error) {
	c, err := t.as(alice)
	if err != nil {
		return p, err
	}
	_, err = poll(ctx, awhile, func() (bool, error) {
		r, _, err := c.Rules(ctx)
		if err != nil {
			return false, err
		}
		i := slices.IndexFunc(r.Pending, func(p client.Pending) bool { return p.ID.String() == id })
		if i < 0 {
			return false, nil
		}
		p = r.Pending[i]
		return done(p), nil
	})
	return p, err
}

// otherEpoch: the vault's shares are dealt anew, to more signers.
func (t *tale) otherEpoch(ctx context.Context) error {
	k, err := t.keep(ctx, 0)
	if err != nil {
		return err
	}
	t.to.Busy("the vault's shares are dealt anew: 3 of 3 sign from now on")
	if err := t.reshare(ctx); err != nil {
		return err
	}
	for _, sig := range k.approvals {
		if _, err := t.vote(ctx, k.intent.ID(), sig); err != nil { // what nodes make of it is looked at next
			return err
		}
	}
	return t.denied(ctx, "approvals of bob and carol, kept until the vault's shares were dealt anew", k.intent, intent.RuleEpoch)
}

// reshare lets all three sign.
func (t *tale) reshare(ctx context.Context) error {
	id := ""
	for i, o := range t.circle.Operators {
		args := []string{"vault", "reshare", local.VaultName, "--yes", "--json", "--no-wait", "--dir", o.Dir, "--key", o.Officer}
		if i == 0 {
			args = append(args, "--committee", "acme,bolt,cora", "--threshold", "3", "--reason", "rehearsal")
		} else {
			args = append(args, "--id", id)
		}
		var r result
		ok, err := poll(ctx, awhile, func() (done bool, err error) {
			r, err = t.run(ctx, args...)
			return err == nil && (r.code == 0 || i == 0), err
		})
		if err != nil {
			return err
		}
		var doc struct{ ID string }
		if !ok || r.code != 0 || json.Unmarshal([]byte(r.out), &doc) != nil {
			return fmt.Errorf("%s signs the reshare: exit %d: %s", o.Name, r.code, r.said())
		}
		id = doc.ID
	}
	ok, err := poll(ctx, awhile, func() (bool, error) {
		v, err := t.vault(ctx)
		return err == nil && v.Threshold == 3 && v.State == client.Ready, err
	})
	if err == nil && !ok {
		err = errors.New("the vault's shares were not dealt anew in time")
	}
	return err
}
