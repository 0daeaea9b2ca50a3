package review

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/ledger"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Past is an intent of the history that a charter is tried over.
type Past struct {
	ID                        statement.ID
	Vault                     string
	Purpose, Chain, Initiator string
	Approved                  []string        // people
	At                        time.Time       // when it was decided on
	Until                     time.Time       // when it expired, or will
	Does                      []effect.Effect // of a transaction; nil: it is none, or it was not decoded
	Proof                     string          // where Does is nil: the address whose control it proves; empty: it was not decoded
	Was                       Was
	Why                       string // of Otherwise: what it ended by
}

// Was says what became of a Past.
type Was string

const (
	Signed    Was = "signed"   // or it may have been
	Denied    Was = "denied"   // by a policy
	Unsigned  Was = "unsigned" // it waits, or ended while it waited
	Otherwise Was = "other"    // it ended by what no policy speaks of
)

// Rules that stand beside the policy.
const (
	RuleVault  = "vault"  // the charter has the vault, and it signs for the chain
	RulePerson = "person" // an initiator of the vault proposed it
	RuleQuorum = "quorum" // enough approvers approved it
)

// An Outcome is what a charter would have made of a Past.
type Outcome struct {
	Past
	policy.Ruling        // zero where Asked is false
	Asked         bool   // the charter was asked: it speaks of what decided
	Would         string // what would have changed: "denied", "wait" or "allowed"; empty: nothing
}

// Replay asks a charter about a history, each intent at the time when it was decided on. What vaults gave out before is counted as the
// charter would have had it: what it allows counts, whatever became of it, and nothing else does. An error is about the charter alone.
func Replay(d charter.Document, past []Past) ([]Outcome, error) {
	p, err := policy.Of(d)
	if err != nil {
		return nil, err
	}
	past = slices.Clone(past)
	slices.SortFunc(past, func(a, b Past) int {
		if n := a.At.Compare(b.At); n != 0 {
			return n
		}
		return strings.Compare(a.ID.String(), b.ID.String())
	})
	books := map[string]*ledger.Ledger{}
	var out []Outcome
	for _, x := range past {
		o := Outcome{Past: x}
		if books[x.Vault] == nil {
			books[x.Vault] = &ledger.Ledger{}
		}
		if x.Was != Otherwise && (x.Does != nil || x.Proof != "") {
			o.Asked = true
			o.Ruling = replay(p, d.At(x.At, nobody), books[x.Vault], x)
			o.Would = x.Was.would(o.Verdict)
		}
		if o.Verdict == policy.Allow && x.Does != nil {
			if lines := Lines(d, x.Does); len(lines) > 0 {
				_ = books[x.Vault].Put(ledger.Debit{Intent: x.ID, Lines: lines, At: x.At})
			}
		}
		out = append(out, o)
	}
	return out, nil
}

// nobody's key is revoked: when it was is not known of the past.
func nobody(signet.Key) bool { return false }

func (w Was) would(v policy.Verdict) string {
	switch {
	case v == policy.Allow && w != Signed:
		return "allowed"
	case v == policy.Wait && w != Unsigned:
		return "wait"
	case v == policy.Deny && w != Denied:
		return "denied"
	}
	return ""
}

func replay(p *policy.Policy, d charter.Document, l *ledger.Ledger, x Past) policy.Ruling {
	deny := func(rule, format string, args ...any) policy.Ruling {
		return policy.Ruling{Verdict: policy.Deny, Rule: rule, Reason: fmt.Sprintf(format, args...)}
	}
	b, ok := d.Vault(x.Vault)
	member := func(of []string, name string) bool {
		return slices.ContainsFunc(d.Members(of), func(h charter.Human) bool { return h.Name == name })
	}
	switch {
	case !ok:
		return deny(RuleVault, "vault %s is not in the charter", x.Vault)
	case !slices.Contains(b.Chains, x.Chain):
		return deny(RuleVault, "vault %s signs for %v, not for %s", b.Name, b.Chains, x.Chain)
	case !member(b.Initiators, x.Initiator):
		return deny(RulePerson, "%s is no initiator of vault %s", x.Initiator, b.Name)
	}
	a := policy.Asked{Vault: b, Purpose: x.Purpose, Chain: x.Chain, Initiator: x.Initiator, At: x.At}
	for _, name := range x.Approved {
		if member(b.Approvers, name) && (name != x.Initiator || b.InitiatorApproves) {
			a.Approved = append(a.Approved, name)
		}
	}
	q := Question{Asked: a, ID: x.ID, Until: x.Until}
	var err error
	if q.Flows, err = flowsOf(d, x); err == nil {
		err = q.Fill(d, l)
	}
	if err != nil {
		return deny(policy.RuleFacts, "%s", err)
	}
	return q.Ask(p, d.Offset)
}

func flowsOf(d charter.Document, x Past) ([]policy.Flow, error) {
	if x.Does == nil {
		return []policy.Flow{{Operation: policy.Proof, Destination: x.Proof}}, nil
	}
	return policy.FlowsOf(d, x.Does)
}

// A Question is an intent as a charter is asked about it: by its policy, and by the vault's quorum beside it.
type Question struct {
	policy.Asked
	ID    statement.ID
	Until time.Time
	Flows []policy.Flow
	Facts policy.Facts // Fill makes it and those that follow
	Least policy.Facts // with nothing given out besides
	Room  policy.Room
}

// Fill gathers the facts, beside what a ledger says that the vault gave out.
func (q *Question) Fill(d charter.Document, l *ledger.Ledger) (err error) {
	q.Facts, q.Room = q.Asked.Facts(d)
	q.Least = q.Facts
	if q.Facts.Effects, err = q.effects(l); err == nil {
		q.Least.Effects, err = q.effects(&ledger.Ledger{})
	}
	return err
}

func (q *Question) effects(l *ledger.Ledger) ([]policy.Effect, error) {
	sums, err := policy.Sums(q.Flows)
	if err != nil {
		return nil, err
	}
	totals := map[string]policy.Totals{}
	for asset, n := range sums {
		t, err := l.Totals(asset, q.At, q.ID, n)
		if err != nil {
			return nil, err
		}
		totals[asset] = policy.Totals(t)
	}
	return policy.Effects(q.Flows, totals)
}

// Ask says what the policy and the quorum make of it, as nodes rule: what is denied now and could be permitted at a later time of the
// intent's life waits.
func (q *Question) Ask(p *policy.Policy, offset time.Duration) policy.Ruling {
	r := p.Decide(q.Facts, q.Room)
	later := r.Verdict == policy.Deny && r.Rule != policy.RuleErrs && r.Rule != policy.RuleFacts
	if later && p.Ever(q.Least, q.Room, policy.Moments(q.At, q.Until, offset)) {
		r.Verdict, r.Reason = policy.Wait, "not permitted at this time, and perhaps later: "+r.Reason
	}
	if people, organisations := q.Lacks(); r.Verdict == policy.Allow && people+organisations > 0 {
		r = policy.Ruling{Verdict: policy.Wait, Rule: RuleQuorum, Reason: fmt.Sprintf("the vault's quorum needs approvals of %d more people, and of %d more organisations", people, organisations)}
	}
	return r
}

// Lacks is how many more people, and organisations of theirs, the vault's quorum needs.
func (q *Question) Lacks() (people, organisations int) {
	people = max(0, q.Vault.Quorum-q.Facts.Approvers)
	if q.Vault.Organisations > 1 { // one is there with the first approval
		organisations = max(0, q.Vault.Organisations-q.Facts.Organisations)
	}
	return people, organisations
}

// Lines are what a transaction of the past gave out of each asset at most, in a charter's units.
func Lines(d charter.Document, effects []effect.Effect) (lines []ledger.Line) {
	sums := policy.Outflow(d, effects)
	for _, a := range d.Assets { // ascending
		if n, moved := sums[a.Name]; moved {
			lines = append(lines, ledger.Line{Asset: a.Name, Amount: n})
		}
	}
	return lines
}

// A Sum is what went out of one asset, and what would have, in its smallest unit and without fees.
type Sum struct {
	Chain, Contract string // contract is empty of the chain's own asset
	Was, Would      *big.Int
}

// SumsOf adds up outcomes, by asset.
func SumsOf(all []Outcome) (sums []Sum) {
	for _, o := range all {
		for _, e := range o.Does {
			if !e.Operation.Moves() {
				continue
			}
			i := slices.IndexFunc(sums, func(s Sum) bool { return s.Chain == e.Chain && s.Contract == e.Contract })
			if i < 0 {
				i, sums = len(sums), append(sums, Sum{e.Chain, e.Contract, new(big.Int), new(big.Int)})
			}
			if o.Was == Signed {
				sums[i].Was.Add(sums[i].Was, e.Amount)
			}
			if o.Verdict == policy.Allow {
				sums[i].Would.Add(sums[i].Would, e.Amount)
			}
		}
	}
	slices.SortFunc(sums, func(a, b Sum) int {
		if one := strings.Compare(a.Chain, b.Chain); one != 0 || (a.Contract == "") == (b.Contract == "") {
			return cmp.Or(one, strings.Compare(a.Contract, b.Contract))
		}
		return strings.Compare(b.Contract, a.Contract) // the chain's own comes last
	})
	return slices.DeleteFunc(sums, func(s Sum) bool { return s.Was.Sign() == 0 && s.Would.Sign() == 0 })
}
