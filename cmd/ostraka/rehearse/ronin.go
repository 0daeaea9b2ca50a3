package rehearse

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/decide"
)

var ronin = Story{
	Name:     "ronin",
	Incident: "March 2022, about 612 million dollars: one company held 4 of 9 keys and a delegation over a fifth that was never revoked; 173,600 ether left, unseen for six days",
	tell:     tellRonin,
}

func tellRonin(ctx context.Context, t *tale) error {
	if err := t.nineKeys(ctx); err != nil {
		return err
	}
	if err := t.open(ctx); err != nil {
		return err
	}
	if err := t.delegation(ctx); err != nil {
		return err
	}
	return t.outflow(ctx)
}

// within puts the places of some operators into another organisation.
func within(file, organisation string, operators ...charter.StartOperator) string {
	for _, o := range operators {
		place := regexp.MustCompile(`(?m)^        provider: "` + regexp.QuoteMeta(o.Provider) + `"$`)
		file = place.ReplaceAllStringFunc(file, func(line string) string { return "        organisation: " + organisation + "\n" + line })
	}
	return file
}

// nineKeys: five of nine sign; one company runs four and may use a fifth.
func (t *tale) nineKeys(ctx context.Context) error {
	s, err := standard(9)
	if err != nil {
		return err
	}
	file, err := s.File()
	if err != nil {
		return err
	}
	file = thresholdOf(file, 5)
	folder, err := t.writeCharter(within(file, "sky", s.Operators[:5]...), charter.StartPolicy)
	if err != nil {
		return err
	}
	l, err := t.lintRefuses(ctx, "5 of 9 sign; company sky runs four of the nodes and was let into a fifth", folder, "steal/organisation")
	if err != nil {
		return err
	}
	n := l.number("organisation")
	t.step(Step{
		What:    "how few organisations steal it: the control number",
		Outcome: fmt.Sprintf("%d: %s", n[0], l.stealer("organisation")), Held: n[0] == 1 && l.stealer("organisation") == "sky",
	})
	if folder, err = t.writeCharter(file, charter.StartPolicy); err != nil {
		return err
	}
	return t.lintPasses(ctx, "nine companies with a node each, 5 of 9 sign", folder, [3]int{5, 5, 6})
}

var delegationEnds = regexp.MustCompile(`(?m)^    expires: .*$`)

// delegation: dave approves by a delegation that ends; then neither he nor what he approved counts.
func (t *tale) delegation(ctx context.Context) error {
	var wait time.Duration
	for life := 6 * time.Second; ; life *= 2 { // a busy machine needs longer to do what has to come before the end
		ended, s, err := t.delegate(ctx, wait+life)
		if err != nil {
			return err
		}
		if s != nil {
			return t.afterDelegation(ctx, *s, ended)
		}
		if life > time.Minute {
			return fmt.Errorf("this machine is too busy: in %v no approval reached the nodes", life)
		}
		wait = delay // a later end is looser
	}
}

// delegate ends the delegation after a life: an amendment that is stricter, so it is in force at once. While it lasts dave approves a payment;
// nil if it ended before the nodes had that.
func (t *tale) delegate(ctx context.Context, life time.Duration) (time.Time, *statement.Statement, error) {
	file, policy, err := t.written()
	if err != nil {
		return time.Time{}, nil, err
	}
	ends := time.Now().UTC().Add(life).Truncate(time.Second)
	file = delegationEnds.ReplaceAllString(file, fmt.Sprintf("    expires: %q", ends.Format(time.RFC3339)))
	if _, err := t.amend(ctx, file, policy); err != nil {
		return ends, nil, err
	}
	s, err := t.asked(ctx, payee, milliether(100))
	if err != nil {
		return ends, nil, err
	}
	sig, err := t.sign(ctx, dave, signet.Approve, s)
	if err != nil {
		return ends, nil, err
	}
	answers, err := t.vote(ctx, s.ID(), sig)
	if err != nil || len(answers.Good()) < len(answers) || !time.Now().Before(ends) {
		return ends, nil, err
	}
	one, err := t.show(ctx, s.ID())
	if err != nil || !time.Now().Before(ends) {
		return ends, nil, err
	}
	x := Step{What: fmt.Sprintf("dave approves a payment by a delegation that ends at %s", ends.Format(time.TimeOnly)), Held: len(one.Views) == len(t.circle.Operators)}
	var words chorus
	for _, v := range one.Views {
		x.Held = x.Held && v.Missing == fmt.Sprintf("1 more of [%s %s] must approve", bob, carol)
		words.say(v.Node, v.Missing)
	}
	x.Outcome = words.String()
	t.step(x)
	return ends, &s, nil
}

// afterDelegation: one more approval would have been enough.
func (t *tale) afterDelegation(ctx context.Context, s statement.Statement, ended time.Time) error {
	t.to.Busy("the delegation runs out")
	if err := sleep(ctx, time.Until(ended)+2*time.Second); err != nil {
		return err
	}
	if err := t.approve(ctx, bob, s); err != nil {
		return err
	}
	// All have bob's approval; then it is seen whether that was enough.
	one, err := t.until(ctx, s.ID(), awhile, func(c *client.Case) bool { return c.Signed != nil || len(c.Votes) == 2 && everybody(c) })
	if err == nil && one.Signed == nil {
		one, err = t.watch(ctx, s.ID())
	}
	if err != nil {
		return err
	}
	t.step(t.lacking("the delegation ended, and bob approves too: two people, of whom one counts no more", one))
	next, err := t.asked(ctx, payee, milliether(100))
	if err != nil {
		return err
	}
	sig, err := t.sign(ctx, dave, signet.Approve, next)
	if err != nil {
		return err
	}
	answers, err := t.vote(ctx, next.ID(), sig)
	if err != nil {
		return err
	}
	t.refusedBy("dave approves another payment after the end", answers, intent.ErrStranger)
	if err := t.cancel(ctx, next); err != nil {
		return err
	}
	return t.signed(ctx, "carol approves the first one in dave's place", s, carol)
}

// everybody says whether every vote is counted at every node that answers.
func everybody(c *client.Case) bool {
	return !slices.ContainsFunc(c.Votes, func(b client.Ballot) bool { return len(b.Nodes) < len(c.Views) })
}

// lacking is a step: every node must wait for one more approval of an intent, in its own words.
func (t *tale) lacking(what string, one *client.Case) Step {
	x := Step{What: what, Held: one.Signed == nil && len(one.Decisions) == 0 && len(one.Views) == len(t.circle.Operators)}
	var words chorus
	for _, v := range one.Views {
		x.Held = x.Held && v.Missing == fmt.Sprintf("1 more of [%s] must approve", carol)
		words.say(v.Node, fmt.Sprintf("%s: %s", v.State, v.Missing))
	}
	if x.Outcome = words.String(); x.Held {
		x.Rule = intent.RuleQuorum
	}
	return x
}

// outflow: the charter lets 1,000 ether a day go. What is beyond that waits, whoever approved it.
func (t *tale) outflow(ctx context.Context) error {
	all, err := t.asked(ctx, payee, milliether(173_600_000))
	if err != nil {
		return err
	}
	if err := t.denied(ctx, "173,600 ether at once, where the policy lets 1,000 go in a day", all, decide.RulePolicy); err != nil {
		return err
	}
	first, err := t.asked(ctx, payee, milliether(600_000))
	if err != nil {
		return err
	}
	if err := t.signed(ctx, "600 ether, within the day's limit, approved by bob and carol", first, bob, carol); err != nil {
		return err
	}
	second, err := t.asked(ctx, payee, milliether(600_000))
	if err != nil {
		return err
	}
	for _, person := range []string{bob, carol} {
		if err := t.approve(ctx, person, second); err != nil {
			return err
		}
	}
	one, err := t.watch(ctx, second.ID())
	if err != nil {
		return err
	}
	x := Step{What: "another 600 ether on the same day, approved by bob and carol: together more than the limit", Held: one.Signed == nil && one.Tally().Met() && len(one.Views) == len(t.circle.Operators)}
	var words chorus
	for _, v := range one.Views {
		x.Held = x.Held && strings.Contains(v.Waits, "the policy does not permit it now")
		words.say(v.Node, fmt.Sprintf("%s, %d more must approve: %s", v.State, one.Tally().Need, v.Waits))
	}
	if x.Outcome = words.String(); x.Held {
		x.Rule = decide.RulePolicy
	}
	t.step(x)
	return t.cancel(ctx, second)
}
