package rescue

import (
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// fileChallenges keeps each call on an operator to sign, by the plan of the charter that it names. One that nobody signed whom that plan knows counts for nothing.
func (j *judge) fileChallenges() {
	for _, s := range j.Said {
		v, err := act.ChallengeOf(s.Statement)
		if s.Statement.Kind() != statement.SOSChallenge || err != nil || v.Vault != j.Vault {
			continue
		}
		var p plan.Plan
		i := slices.IndexFunc(j.cases, func(c *inquiry) bool { return c.Request.Trigger == plan.Refusal })
		if i < 0 {
			return // nothing rests on it
		}
		if p, err = j.Plan(act.Request{Charter: v.Charter, Vault: v.Vault, Keys: j.cases[i].Request.Keys}); err == nil {
			err = signedBy(s.Signatures, func(sig []byte) error { _, err := act.VerifyChallenge(s.Statement, sig, p); return err })
		}
		if err == nil && v.Drill == p.Drill {
			j.challenges = append(j.challenges, said[act.Challenge]{v, v.ID, s.Told})
		}
	}
}

// judgeChallenge wants a refusal that some node declared to name a challenge of one of its subjects, which stands in a log (spec/sos 2.1).
func (j *judge) judgeChallenge(c *inquiry) {
	if c.Request.Trigger != plan.Refusal || !slices.ContainsFunc(c.steps, func(s said[act.Step]) bool { return s.what.State == declared }) {
		return
	}
	i := slices.IndexFunc(j.challenges, func(v said[act.Challenge]) bool { return v.id == c.Request.Challenge })
	switch {
	case i < 0:
		j.find(c.subject(j.Story), claimCalled, "it says that challenge %s failed, and no log shows one, well signed", c.Request.Challenge.Short())
	case !slices.Contains(c.Request.Subjects, j.challenges[i].what.Operator):
		j.find(c.subject(j.Story), claimCalled, "it says that challenge %s failed, which called on %s and on none of its subjects", c.Request.Challenge.Short(), j.challenges[i].what.Operator)
	}
}

// unchallenged says why an operator had not refused long enough for one node, by that node's own log; "": it had. Whatever the vault signed since the node had
// the challenge ended what it counted.
func (j *judge) unchallenged(c *inquiry, l Log, subject string, s taken) string {
	t, _ := c.Plan.Trigger(plan.Refusal)
	longest, called := time.Duration(0), false
	for _, v := range j.challenges {
		if at, ok := v.told[l.Operator]; ok && v.what.Operator == subject && at.Leaf < s.Leaf {
			called = true
			if !j.signedBetween(l.Operator, subject, at.Leaf, s.Leaf) {
				longest = max(longest, s.At.Sub(at.At))
			}
		}
	}
	switch {
	case !l.Renewed.IsZero() && !called: // it may have stood in the log before that one
		return ""
	case !called:
		return fmt.Sprintf("no challenge of %s stands before it", subject)
	case longest < t.After-skew:
		return fmt.Sprintf("%s had been called on, and had signed nothing, for %s, and %s are needed", subject, longest.Truncate(time.Second), t.After)
	}
	return ""
}

// signedBetween says whether a log tells of a signature of the vault, or of a live test signature with an operator, between two leaves.
func (j *judge) signedBetween(log, operator string, from, to int) bool {
	between := func(told map[string]Place) bool {
		at, ok := told[log]
		return ok && from < at.Leaf && at.Leaf < to
	}
	return slices.ContainsFunc(j.Outflows, func(o Outflow) bool { return o.Vault == "" && between(o.Told) }) ||
		slices.ContainsFunc(j.cases, func(c *inquiry) bool {
			return slices.ContainsFunc(c.signed, func(v said[act.Signed]) bool { return v.what.Operator == operator && between(v.told) })
		})
}
