package policy

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/cedar-policy/cedar-go"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
)

// A Verdict is what rules say.
type Verdict string

// Verdicts.
const (
	Deny  Verdict = "deny"  // for good
	Wait  Verdict = "wait"  // more approvals would allow it
	Allow Verdict = "allow" // every effect is permitted
)

// Rules that are not the charter's.
const (
	RuleFacts   = "facts"          // the facts are not such as rules may be asked about
	RuleDefault = "default"        // no rule permits it
	RuleErrs    = "rule-that-errs" // a rule could not be computed
)

// A Ruling says what the rules make of facts.
type Ruling struct {
	Verdict Verdict
	Rule    string // the rule that decided, ascending if several, joined by commas
	Reason  string // in words; empty for Allow
	Missing []Need // for Wait: the fewest more approvals with which it would be allowed
}

// A Need is how many more approvals a group must give; or Anybody, or people of so many more Organisations.
type Need struct {
	Of    string
	Count int
}

// Needs that are not a group's; no label is like them.
const (
	Anybody       = "(anybody)"
	Organisations = "(organisations)"
)

// Room is who could still approve: of each group, and in all.
type Room struct {
	Approvals     map[string]int
	Approvers     int
	Organisations int
}

// Decide asks the rules about every effect. room is what the counts of approvals could yet become, those of now included.
func (p *Policy) Decide(f Facts, room Room) Ruling {
	if err := f.Validate(p.vocabulary); err != nil {
		return Ruling{Verdict: Deny, Rule: RuleFacts, Reason: err.Error()}
	}
	now := p.ask(f)
	if now.Verdict == Allow || now.Rule == RuleErrs {
		return now
	}
	full := f.with(room)
	if err := full.Validate(p.vocabulary); err != nil {
		return Ruling{Verdict: Deny, Rule: RuleFacts, Reason: "who could still approve: " + err.Error()}
	}
	if p.ask(full).Verdict != Allow {
		return now // no approvals help
	}
	now.Verdict, now.Missing = Wait, p.missing(f, full)
	return now
}

// A Moment is a time of the week, at the charter's offset from UTC.
type Moment struct {
	Hour, Minute int
	Weekday      int // 1 is Monday, 7 Sunday
}

// MomentOf is a time at an offset from UTC.
func MomentOf(t time.Time, offset time.Duration) Moment {
	t = t.UTC().Add(offset)
	return Moment{t.Hour(), t.Minute(), (int(t.Weekday())+6)%7 + 1}
}

// Ever says whether the rules would allow at one of some moments, with all the approvals that could come, what they deny now. The caller
// gives facts with the least totals that it may come to.
func (p *Policy) Ever(f Facts, room Room, moments []Moment) bool {
	f = f.with(room)
	for _, m := range moments {
		f.Hour, f.Minute, f.Weekday = m.Hour, m.Minute, m.Weekday
		if f.Validate(p.vocabulary) == nil && p.ask(f).Verdict == Allow {
			return true
		}
	}
	return false
}

func (f Facts) with(r Room) Facts {
	f.Approvals, f.Approvers, f.Organisations = maps.Clone(r.Approvals), r.Approvers, r.Organisations
	return f
}

// ask puts every effect to Cedar, and takes its answer only if no rule erred.
func (p *Policy) ask(f Facts) Ruling {
	entities := f.entities()
	var permitted []string
	for i, e := range f.Effects {
		decision, diagnostic := cedar.Authorize(p.rules, entities, f.request(e))
		if len(diagnostic.Errors) > 0 {
			return p.erred(i, e, diagnostic.Errors)
		}
		if decision != cedar.Allow {
			return p.denied(i, e, diagnostic.Reasons)
		}
		permitted = append(permitted, ids(diagnostic.Reasons)...)
	}
	slices.Sort(permitted)
	return Ruling{Verdict: Allow, Rule: strings.Join(slices.Compact(permitted), ",")}
}

// words name an effect, its amount as people count the asset.
func (p *Policy) words(place int, e Effect) string {
	what := fmt.Sprintf("effect %d, %s", place+1, e.Operation)
	if e.Asset != "" {
		amount := fmt.Sprintf("%d policy units of %s", e.Amount, e.Asset)
		if a, known := p.assets[e.Asset]; known {
			amount = Amount(a, e.Amount)
		}
		what += " of " + amount
	}
	if e.Destination != "" {
		what += " to " + e.Destination
	}
	return what
}

// Amount writes policy units of an asset in people's units.
func Amount(a charter.Asset, n int64) string {
	smallest := new(big.Int).Mul(big.NewInt(n), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(a.Unit)), nil))
	return evm.FormatUnits(smallest, uint8(a.Decimals)) + " " + a.Name
}

func (p *Policy) erred(place int, e Effect, errs []cedar.DiagnosticError) Ruling {
	var all []string
	for _, err := range errs {
		all = append(all, fmt.Sprintf("%s: %s", err.PolicyID, err.Message))
	}
	slices.Sort(all)
	return Ruling{Verdict: Deny, Rule: RuleErrs, Reason: p.words(place, e) + ": rules that cannot be computed deny: " + strings.Join(all, "; ")}
}

func (p *Policy) denied(place int, e Effect, by []cedar.DiagnosticReason) Ruling {
	if len(by) == 0 {
		return Ruling{Verdict: Deny, Rule: RuleDefault, Reason: p.words(place, e) + ": no rule permits it"}
	}
	names := ids(by)
	var why []string
	for _, name := range names {
		if text := p.reasons[cedar.PolicyID(name)]; text != "" {
			name += ": " + text
		}
		why = append(why, name)
	}
	return Ruling{Verdict: Deny, Rule: strings.Join(names, ","), Reason: p.words(place, e) + ": forbidden by " + strings.Join(why, "; ")}
}

func ids(reasons []cedar.DiagnosticReason) (all []string) {
	for _, r := range reasons {
		all = append(all, string(r.PolicyID))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// missing lowers one count after another from what could be, as far as it stays allowed. A rule for which fewer approvals are better than
// more may make this more than the fewest; it is never too few.
func (p *Policy) missing(f, full Facts) (needs []Need) {
	at := full
	lower := func(name string, from, to int, set func(*Facts, int)) {
		for n := from; n < to; n++ {
			try := at
			try.Approvals = maps.Clone(at.Approvals)
			if set(&try, n); p.ask(try).Verdict == Allow {
				at, to = try, n
			}
		}
		if to > from {
			needs = append(needs, Need{name, to - from})
		}
	}
	for _, g := range slices.Sorted(maps.Keys(f.Approvals)) {
		lower(g, f.Approvals[g], full.Approvals[g], func(x *Facts, n int) { x.Approvals[g] = n })
	}
	lower(Anybody, f.Approvers, full.Approvers, func(x *Facts, n int) { x.Approvers = n })
	lower(Organisations, f.Organisations, full.Organisations, func(x *Facts, n int) { x.Organisations = n })
	return needs
}
