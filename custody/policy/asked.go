package policy

import (
	"slices"
	"time"

	"github.com/cedar-policy/cedar-go"

	"github.com/ostraka/ostraka/custody/charter"
)

// Asked is a transaction that rules are asked about, without what it does.
type Asked struct {
	Vault                     charter.Blueprint
	Purpose, Chain, Initiator string
	Approved                  []string // people whose approval counts
	At                        time.Time
}

// Facts are all but the effects, and who could yet approve.
func (a Asked) Facts(d charter.Document) (Facts, Room) {
	count, m := Count(d, a.Approved), MomentOf(a.At, d.Offset)
	f := Facts{
		Vault: a.Vault.Name, Tier: a.Vault.Tier, Purpose: a.Purpose, Chain: a.Chain, Initiator: a.Initiator, Groups: GroupsOf(d, a.Initiator),
		Approvals: count.Approvals, Approvers: count.Approvers, Organisations: count.Organisations, Hour: m.Hour, Minute: m.Minute, Weekday: m.Weekday,
	}
	other := a.Initiator
	if a.Vault.InitiatorApproves {
		other = ""
	}
	return f, Could(d, a.Vault, other)
}

// momentEvery: rules over hours change at such times.
const momentEvery = 30 * time.Minute

// Moments are the times of the week from now to an end.
func Moments(now, end time.Time, offset time.Duration) (out []Moment) {
	for t := now; t.Before(end); t = t.Truncate(momentEvery).Add(momentEvery) {
		out = append(out, MomentOf(t, offset))
	}
	return out
}

// An Answer is what the rules say to one effect. What a rule forbids is forbidden, whatever else permits it; without a permit it is too; and
// where a rule cannot be computed.
type Answer struct {
	Effect  Effect
	Permits []string
	Forbids []Forbid
	Errs    []string // rules that cannot be computed, and why
}

// A Forbid is a rule that forbids, with its own reason; empty if it gives none.
type Forbid struct{ Rule, Reason string }

// Allowed says whether the effect is.
func (a Answer) Allowed() bool { return len(a.Permits) > 0 && len(a.Forbids) == 0 && len(a.Errs) == 0 }

// Answers asks about each effect by itself: which rules permit it, and which forbid it. Where one forbids, Decide names no rule that permits.
func (p *Policy) Answers(f Facts) ([]Answer, error) {
	if err := f.Validate(p.vocabulary); err != nil {
		return nil, err
	}
	entities := f.entities()
	var out []Answer
	for _, e := range f.Effects {
		one := Answer{Effect: e}
		for _, effect := range []cedar.Effect{cedar.Permit, cedar.Forbid} {
			_, said := cedar.Authorize(p.only(effect), entities, f.request(e))
			for _, err := range said.Errors {
				one.Errs = append(one.Errs, string(err.PolicyID)+": "+err.Message)
			}
			for _, name := range ids(said.Reasons) {
				if effect == cedar.Permit {
					one.Permits = append(one.Permits, name)
				} else {
					one.Forbids = append(one.Forbids, Forbid{name, p.reasons[cedar.PolicyID(name)]})
				}
			}
		}
		slices.Sort(one.Errs)
		out = append(out, one)
	}
	return out, nil
}

// only are the rules that permit, or those that forbid.
func (p *Policy) only(effect cedar.Effect) cedar.PolicyMap {
	out := cedar.PolicyMap{}
	for id, rule := range p.rules {
		if rule.Effect() == effect {
			out[id] = rule
		}
	}
	return out
}
