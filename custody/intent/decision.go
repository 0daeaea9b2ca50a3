package intent

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// Facts are what a node found out by itself about an intent: none of it comes from the
// intent's own words or from another node.
type Facts struct {
	Charter statement.ID // in force here
	Key     [32]byte     // keyID that the vault published
	Epoch   [32]byte     // eh of the record in force, or of the one that the intent names if the same members made new shares since, and nothing else
	Address string       // derived from the key at the intent's path
	Chain   string       // that the decoded transaction is valid on
	Unclear string       // why the transaction could not be decoded; empty if it could
	Decoded []Fact       // as they are, not yet in written form: operation, asset, amount, destination, …, in the decoder's order
}

// Verdict is ALLOW, DENY, or neither yet.
type Verdict string

const (
	Wait  Verdict = ""      // approvals are missing: nothing is published
	Allow Verdict = "allow" // every rule holds
	Deny  Verdict = "deny"  // a rule forbids it, for good
)

// Rules of the first form, in the order in which Decide asks them.
const (
	RuleCharter  = "charter"  // the intent is under the charter in force
	RuleVault    = "vault"    // it is for this vault
	RuleKey      = "key"      // it names the vault's published key
	RuleEpoch    = "epoch"    // and an epoch of it with the committee and threshold of now
	RuleTime     = "time"     // it is alive
	RuleDecoded  = "decoded"  // this node understands the transaction
	RuleShown    = "shown"    // the intent's facts are what this node decoded
	RuleChain    = "chain"    // its chain is the one it says, and the vault allows it
	RuleAddress  = "address"  // its sender derives from the vault's key
	RulePerson   = "person"   // an initiator of the vault proposed it
	RuleRejected = "rejected" // approvers did not reject it
	RuleQuorum   = "quorum"   // enough approvers approved it
)

// A Ruling is what Decide found.
type Ruling struct {
	Verdict Verdict
	Rule    string // the rule that decided; RuleQuorum for Wait and Allow
	Reason  string // in words; may be empty for Allow
	Tally   Tally
}

// Decide rules on an intent: default deny, the first rule that fails decides. It knows
// no clock and no chain. s is the intent's statement; votes come from VerifyVote.
func Decide(s statement.Statement, v charter.Vault, votes []Vote, f Facts, now time.Time) Ruling {
	it, err := Of(s)
	if err != nil {
		return Ruling{Verdict: Deny, Rule: RuleDecoded, Reason: err.Error()}
	}
	tally := Count(s.ID(), it.Initiator, v, votes)
	for _, r := range []struct {
		rule   string
		reason func() string // why it fails, "" if it holds
	}{
		{RuleCharter, func() string { return anotherCharter(it, f) }},
		{RuleVault, func() string { return words(it.checkVault(v)) }},
		{RuleKey, func() string { return differs(statement.ID(it.Key).String(), statement.ID(f.Key).String()) }},
		// Signatures collected before a reshare must not serve after it.
		{RuleEpoch, func() string { return differs(statement.ID(it.Epoch).String(), statement.ID(f.Epoch).String()) }},
		{RuleTime, func() string { return words(it.CheckTime(now)) }},
		{RuleDecoded, func() string { return f.undecoded() }},
		// What people read, in whatever program, is what is signed.
		{RuleShown, func() string { return it.Misstates(f.Decoded) }},
		{RuleChain, func() string { return wrongChain(it, v, f) }},
		{RuleAddress, func() string { return differs(it.Address, f.Address) }},
		{RulePerson, func() string { return notInitiator(it, v) }},
		{RuleRejected, func() string { return hopeless(tally) }},
	} {
		if why := r.reason(); why != "" {
			return Ruling{Verdict: Deny, Rule: r.rule, Reason: why, Tally: tally}
		}
	}
	if !tally.Met() {
		return Ruling{Verdict: Wait, Rule: RuleQuorum, Reason: tally.Missing(), Tally: tally}
	}
	return Ruling{Verdict: Allow, Rule: RuleQuorum, Tally: tally}
}

func anotherCharter(it Intent, f Facts) string {
	if it.Charter == f.Charter {
		return ""
	}
	return fmt.Sprintf("another version of the charter (%s) is in force than the intent names (%s): propose it anew", f.Charter.Short(), it.Charter.Short())
}

func differs(says, is string) string {
	if says == is {
		return ""
	}
	return fmt.Sprintf("the intent says %s, this node holds %s", says, is)
}

func words(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (f Facts) undecoded() string {
	if f.Unclear == "" && len(f.Decoded) == 0 {
		return "the transaction was not decoded"
	}
	return f.Unclear
}

func wrongChain(it Intent, v charter.Vault, f Facts) string {
	if it.Chain != f.Chain {
		return fmt.Sprintf("the intent says %s, its transaction is valid on %s", it.Chain, f.Chain)
	}
	if !slices.Contains(v.Chains, it.Chain) {
		return fmt.Sprintf("vault %s signs for %v, not for %s", v.Name, v.Chains, it.Chain)
	}
	return ""
}

func notInitiator(it Intent, v charter.Vault) string {
	if _, ok := v.Initiator(it.Initiator); ok {
		return ""
	}
	return fmt.Sprintf("%s is no initiator of vault %s", it.Initiator, v.Name)
}

func hopeless(t Tally) string {
	if !t.Hopeless() {
		return ""
	}
	if t.Need > len(t.Awaited) {
		return fmt.Sprintf("rejected by %v: %d more approvals are needed, %d people are left", t.Rejected, t.Need, len(t.Awaited))
	}
	return fmt.Sprintf("rejected by %v: approvals must come from %d further organisations, and those who are left, %v, are of fewer", t.Rejected, t.Spread, t.Awaited)
}

// A Decision is one node's own ALLOW or DENY on an intent.
type Decision struct {
	Charter  statement.ID
	Vault    statement.ID
	Intent   statement.ID
	Operator string
	Verdict  Verdict // Allow or Deny
	Rule     string
	Reason   string // may be empty
	Approved []string
	Facts    []Fact // in written form (Written)
	Created  time.Time
}

// NewDecision states a ruling, Allow or Deny, as the operator's node publishes it.
func NewDecision(s statement.Statement, v charter.Vault, operator string, r Ruling, f Facts, now time.Time) Decision {
	return Decision{
		Charter: v.Under, Vault: v.ID, Intent: s.ID(), Operator: operator,
		Verdict: r.Verdict, Rule: r.Rule, Reason: r.Reason, Approved: r.Tally.Approved,
		Facts: Written(f.Decoded), Created: now,
	}
}

// maxReason is the table's bound, in bytes.
const maxReason = 1024

// Statement writes the decision. A reason that no statement may hold is written in quotes
// with escapes, as facts are (Written): nothing a stranger put on a chain keeps a node from
// deciding.
func (d Decision) Statement(salt statement.Salt) (statement.Statement, error) {
	if d.Verdict != Allow && d.Verdict != Deny {
		return statement.Statement{}, fmt.Errorf("decision on %s: verdict %q is neither allow nor deny", d.Intent.Short(), d.Verdict)
	}
	var b statement.Block
	b = b.AddID("charter", d.Charter).AddID("vault", d.Vault).AddID("intent", d.Intent)
	b = b.Add("operator", d.Operator).Add("verdict", string(d.Verdict)).Add("rule", d.Rule)
	if d.Reason != "" {
		reason, _ := quoted(d.Reason, maxReason)
		b = b.Add("reason", reason)
	}
	b = b.AddList("approved-by", d.Approved)
	b, err := addFacts(b, d.Facts)
	if err != nil {
		return statement.Statement{}, fmt.Errorf("decision on %s: %w", d.Intent.Short(), err)
	}
	return statement.Build(statement.Decision, b.AddTime("created", d.Created), salt)
}

// DecisionOf gives a decision statement its meaning.
func DecisionOf(s statement.Statement) (Decision, error) {
	if err := s.Require(statement.Decision); err != nil {
		return Decision{}, err
	}
	f := s.Fields()
	d := Decision{
		Charter: f.ID("charter"), Vault: f.ID("vault"), Intent: f.ID("intent"),
		Operator: f.Get("operator"), Verdict: Verdict(f.Get("verdict")), Rule: f.Get("rule"),
		Reason: f.Get("reason"), Approved: f.All("approved-by"), Created: f.Time("created"),
	}
	var err error
	if d.Facts, err = readFacts(f); err != nil {
		return Decision{}, fmt.Errorf("decision %s: %w", s.ID().Short(), err)
	}
	for i := 1; i < len(d.Approved); i++ {
		if d.Approved[i-1] >= d.Approved[i] {
			return Decision{}, fmt.Errorf("decision %s: approved-by: %s is not in ascending order", s.ID().Short(), d.Approved[i])
		}
	}
	return d, nil
}

// VerifyDecision checks that the node of the operator named in it signed the decision,
// and that this operator sits in the vault's committee.
func VerifyDecision(s statement.Statement, sig []byte, v charter.Vault, r charter.Roster) (Decision, error) {
	d, err := DecisionOf(s)
	if err != nil {
		return Decision{}, err
	}
	o, ok := r.Operator(d.Operator)
	if !ok || !slices.Contains(v.Committee, d.Operator) {
		return Decision{}, fmt.Errorf("decision %s: operator %s is not in the committee of vault %s", s.ID().Short(), d.Operator, v.Name)
	}
	if d.Vault != v.ID || d.Charter != v.Under {
		return Decision{}, fmt.Errorf("decision %s: %w: it names vault %s under charter %s", s.ID().Short(), ErrOtherVault, d.Vault.Short(), d.Charter.Short())
	}
	if err := signet.VerifyNode(ed25519.PublicKey(o.Identity), s, sig); err != nil {
		return Decision{}, fmt.Errorf("operator %s: %w", d.Operator, err)
	}
	return d, nil
}
