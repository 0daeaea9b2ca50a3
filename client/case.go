package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Case is one intent with all that the answering nodes show of it. Signatures were verified
// here, the transaction was decoded here.
type Case struct {
	Vault     Vault
	Statement statement.Statement
	Intent    intent.Intent
	Root      Root             // whose key is asked for
	Facts     []intent.Fact    // what this program decoded
	Unclear   string           // why it could not be decoded; then Facts are empty
	Payload   payload.Payload  // what is to be signed, as the book of its charter reads it; nil of a proof
	Tx        *evm.Transaction // of it, where it is a transaction on an EVM chain
	Proof     *Proof           // of a proof
	Votes     []Ballot         // ascending by person
	Decisions []Decision       // ascending by operator
	Signed    *Signed
	Views     []View   // by node
	Alarms    []string // what must not be: show them before anything else
	Doubted   []string // operators that the alarms are about, ascending: their nodes contradict themselves, or what was verified here
	Named     []Alarm  // the alarms, each with the operator that it is about
	stopped   bool     // an alarm is about the intent itself
}

// Stopped says that nobody should act on the intent: an alarm is about the intent itself, or about so many operators that the others could
// not sign it. A smaller number of them, who say what they like, stops nobody.
func (c *Case) Stopped() bool {
	committee := c.deciders().Committee
	others := slices.DeleteFunc(slices.Clone(committee), func(name string) bool { return slices.Contains(c.Doubted, name) })
	return c.stopped || len(c.Doubted) > 0 && len(others) < c.deciders().Threshold
}

// An Alarm is one alarm of a case.
type Alarm struct {
	Operator string // whose word it is about; empty: the intent itself
	Text     string
}

// A Proof is what a vault's key signs to show that it controls an address.
type Proof struct {
	intent.Proof
	Statement statement.Statement
	Key       group.Point // derived from the root; on Taproot the address holds its tweaked form
}

// Signed is what was signed, verified here.
type Signed struct {
	Hash string      // of the signed transaction; a message's digest; id of a proof's statement
	Raw  []byte      // the signed transaction; the signature of a message or proof
	Tx   *evm.Signed // of a transaction on an EVM chain
}

// Lapsed says that it was signed, and that no block of its chain takes it any more (spec/statements 6.2).
func (c *Case) Lapsed() bool {
	return c.Signed != nil && c.State() == "failed" && !slices.ContainsFunc(c.Views, func(v View) bool { return v.Reverted })
}

// Decoded says whether this program understood what is to be signed.
func (c *Case) Decoded() bool { return c.Payload != nil || c.Proof != nil }

// ID is the intent's id.
func (c *Case) ID() statement.ID { return c.Statement.ID() }

// A Ballot is a verified vote.
type Ballot struct {
	Person string
	Verb   signet.Verb
	Key    signet.Key
	Flags  signet.Flags // what the device says of who touched it
	Nodes  []string     // that count it
}

// A Decision is an operator's verified decision.
type Decision struct {
	intent.Decision
	ID statement.ID
}

// A View is what one node says of the intent beyond what can be verified.
type View struct {
	Node           string
	State          string
	Changed        string
	Undecided      []string
	Missing        string
	Waits          string
	LastError      string
	Awaited        []string
	Hash           string
	Height         uint64
	Reverted       bool
	Alarm          string
	PossiblySigned bool
	Over           bool // its epoch is over there
}

// ReadCase checks one node's copy of an intent.
func ReadCase(node string, vaults []Vault, m *v1.Intent) (*Case, error) {
	c, err := readCase(node, vaults, m)
	if err != nil {
		return nil, &VerifyError{node, fmt.Errorf("intent %x: %w", m.Id, err)}
	}
	return c, nil
}

// proposer is an initiator; or an operator of a vault with an SOS plan, in whose name its officers propose in an emergency. Whether one rules, each node's
// decision says.
func (v Vault) proposer(name string) (charter.Person, bool) {
	if p, ok := v.Initiator(name); ok || v.SOS == nil || !slices.Contains(v.anybody().Committee, name) {
		return p, ok
	}
	o, ok := v.Roster.Operator(name)
	return charter.Person{Name: name, Organisation: name, Keys: o.Officers}, ok
}

func readCase(node string, vaults []Vault, m *v1.Intent) (*Case, error) {
	s, err := statement.ParseKind(m.Statement, statement.Intent)
	if err != nil {
		return nil, err
	}
	if id := s.ID(); !bytes.Equal(id[:], m.Id) {
		return nil, fmt.Errorf("its statement's id is %s", id)
	}
	it, err := intent.Of(s)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(vaults, func(v Vault) bool { return v.ID == it.Vault })
	if i < 0 {
		return nil, fmt.Errorf("it is for vault %s, which you do not see", it.Vault.Short())
	}
	c := &Case{Statement: s, Intent: it}
	known := false
	if c.Vault, known = vaults[i].under(it.Charter, it.Created); !known {
		return nil, fmt.Errorf("it names charter %s, which no node shows", it.Charter.Short())
	}
	p, ok := c.Vault.proposer(it.Initiator)
	if !ok {
		return nil, fmt.Errorf("%q is no initiator of vault %s", it.Initiator, c.Vault.Name)
	}
	// The signature of old intents must be shown too, so time is not looked at.
	if _, err := signet.Verify(m.ProposalSignature, signet.Makes(statement.Intent), s.Bytes(), p.Keys); err != nil {
		return nil, fmt.Errorf("signature of %s: %w", it.Initiator, err)
	}
	if signed, err := signet.Parse(m.ProposalSignature); err == nil && vaults[i].rules != nil && vaults[i].rules.revoked(signed.Key()) && len(m.Raw) == 0 && time.Now().Before(it.Expires) {
		c.alarm("the key that signed the proposal was revoked: nodes will not sign it")
	}
	c.decode()
	if err := c.readVotes(node, m.Votes); err != nil {
		return nil, err
	}
	if err := c.readDecisions(m.Decisions); err != nil {
		return nil, err
	}
	if len(m.Raw) > 0 {
		if c.Signed, err = c.readSigned(m.Raw); err != nil {
			return nil, err
		}
	}
	c.Views = []View{{
		Node: node, State: plain(m.State), Changed: plain(m.Changed), Undecided: plains(m.Undecided), Missing: plain(m.Missing), Waits: plain(m.Waits),
		LastError: plain(m.LastError), Awaited: plains(m.Awaited), Hash: plain(m.Hash), Height: m.Height, Reverted: m.Reverted, Alarm: plain(m.Alarm),
		PossiblySigned: m.PossiblySigned, Over: m.Over,
	}}
	return c, nil
}

// plain is what a node says in its own words, as a terminal may show it: what is no plain text is quoted, or it could write over what stands
// around it.
func plain(text string) string {
	if text == "" || statement.CheckText(text, maxWords) == nil {
		return text
	}
	return strconv.QuoteToASCII(text[:min(len(text), maxWords)])
}

func plains(texts []string) (out []string) {
	for _, t := range texts {
		out = append(out, plain(t))
	}
	return out
}

// maxWords bounds what is shown of a node's own words, in bytes.
const maxWords = 4096

func (c *Case) readVotes(node string, votes []*v1.Ballot) error {
	for _, b := range votes {
		p, ok := c.Vault.Approver(b.Person)
		if !ok {
			return fmt.Errorf("%q is no approver of vault %s", b.Person, c.Vault.Name)
		}
		verb := signet.Verb(b.Verb)
		if verb != signet.Approve && verb != signet.Reject {
			return fmt.Errorf("vote of %s: verb %.20q", b.Person, b.Verb)
		}
		signer, err := signet.Verify(b.Signature, verb, c.Statement.Bytes(), p.Keys)
		if err != nil {
			return fmt.Errorf("vote of %s: %w", b.Person, err)
		}
		c.Votes = append(c.Votes, Ballot{b.Person, verb, signer.Key, signer.Flags, []string{node}})
	}
	return nil
}

// deciders is the vault with the committee that decides on the intent: that of its epoch, if the key still is in it.
func (c *Case) deciders() charter.Vault {
	for _, r := range c.Vault.Roots {
		if r.Record != nil && r.Record.KeyID == c.Intent.Key && [32]byte(r.Record.Hash()) == c.Intent.Epoch {
			return c.Vault.held(r)
		}
	}
	return c.Vault.anybody()
}

func (c *Case) readDecisions(decisions []*v1.Decision) error {
	for _, m := range decisions {
		s, err := statement.ParseKind(m.Statement, statement.Decision)
		if err != nil {
			return err
		}
		d, err := intent.VerifyDecision(s, m.Signature, c.deciders(), c.Vault.Roster)
		if err == nil && d.Intent != c.ID() {
			err = errors.New("it is about another intent")
		}
		if err != nil {
			return fmt.Errorf("decision of %s: %w", m.Operator, err)
		}
		c.Decisions = append(c.Decisions, Decision{d, s.ID()})
	}
	return nil
}

func (c *Case) readSigned(raw []byte) (*Signed, error) {
	switch {
	case !c.Decoded():
		return nil, fmt.Errorf("something is signed that cannot be decoded: %s", c.Unclear)
	case c.Proof != nil:
		err := chain.CheckProof(c.Proof.Suite, c.Proof.Chain, c.Proof.Key, policy.Tree(c.Vault.Vault, c.Proof.Suite), c.Proof.Statement.Bytes(), raw)
		return &Signed{Hash: "0x" + c.Proof.Statement.ID().String(), Raw: raw}, err
	}
	done, err := c.Payload.ParseSigned(raw)
	if err != nil {
		return nil, fmt.Errorf("what is signed is not the intent's, by %s: %w", c.Intent.Address, err)
	}
	out := &Signed{Hash: done.Name, Raw: raw}
	if c.Tx != nil {
		out.Tx, err = evm.ParseAny(raw)
	}
	return out, err
}

// MergeCases puts the copies of one intent together and raises alarms where they contradict.
func MergeCases(copies []*Case) (*Case, error) {
	var texts []Copy
	for _, c := range copies {
		texts = append(texts, Copy{c.Views[0].Node, c.Statement.Bytes()})
	}
	if err := Compare("the intent's bytes", texts); err != nil {
		return nil, err
	}
	out := *copies[0]
	out.Votes, out.Decisions, out.Views = nil, nil, nil
	for _, c := range copies {
		out.merge(c)
	}
	slices.SortFunc(out.Votes, func(a, b Ballot) int { return strings.Compare(a.Person, b.Person) })
	slices.SortFunc(out.Decisions, func(a, b Decision) int { return strings.Compare(a.Operator, b.Operator) })
	out.compareFacts()
	out.hearAlarms()
	return &out, nil
}

func (c *Case) merge(o *Case) {
	for _, b := range o.Votes {
		i := slices.IndexFunc(c.Votes, func(x Ballot) bool { return x.Person == b.Person && x.Verb == b.Verb })
		if i < 0 {
			c.Votes = append(c.Votes, b)
			continue
		}
		c.Votes[i].Nodes = append(c.Votes[i].Nodes, b.Nodes...)
	}
	for _, d := range o.Decisions {
		i := slices.IndexFunc(c.Decisions, func(x Decision) bool { return x.Operator == d.Operator })
		if i < 0 {
			c.Decisions = append(c.Decisions, d)
		} else if c.Decisions[i].ID != d.ID {
			c.doubt(d.Operator, "operator %s signed two decisions: %s, and %s, which node %s shows", d.Operator, c.Decisions[i].Verdict, d.Verdict, o.Views[0].Node)
		}
	}
	c.Views = append(c.Views, o.Views...)
	if c.Signed == nil {
		c.Signed = o.Signed
	}
}

// alarm is about the intent itself.
func (c *Case) alarm(format string, args ...any) {
	c.stopped = true
	c.raise("", fmt.Sprintf(format, args...))
}

// doubt is an alarm about one operator's word.
func (c *Case) doubt(operator, format string, args ...any) {
	c.raise(operator, fmt.Sprintf(format, args...))
	if i, known := slices.BinarySearch(c.Doubted, operator); !known {
		c.Doubted = slices.Insert(c.Doubted, i, operator)
	}
}

func (c *Case) raise(operator, text string) {
	if !slices.Contains(c.Alarms, text) {
		c.Alarms, c.Named = append(c.Alarms, text), append(c.Named, Alarm{operator, text})
	}
}

// compareFacts lays every node's decoded facts beside our own.
func (c *Case) compareFacts() {
	own := intent.Decision{Operator: "this program", Facts: intent.Written(c.Facts)}
	for _, d := range c.Decisions {
		if !c.Decoded() || len(d.Facts) == 0 && d.Verdict == intent.Deny {
			continue // it could not be decoded, and the decision says so
		}
		if what := intent.DifferentFacts(own, d.Decision); what != "" {
			c.doubt(d.Operator, "operator %s decoded the transaction differently: %s", d.Operator, what)
		}
	}
}

// hearAlarms takes nodes' own alarms. They speak of signatures that should not be: where one is proved, it is no single node's word.
func (c *Case) hearAlarms() {
	for _, v := range c.Views {
		switch {
		case v.Alarm == "":
		case c.Signed != nil:
			c.alarm("node %s: %s", v.Node, v.Alarm)
		default:
			c.doubt(v.Node, "node %s: %s, and shows no signature", v.Node, v.Alarm)
		}
	}
}

// Order of states in which a signature exists.
var afterSigning = []string{"signed", "broadcast", "seen", "reorged", "dropped", "replaced", "confirmed", "final", "failed"}

var beforeSigning = []string{"proposed", "approving", "allowed", "signing", "expired", "cancelled", "denied", "replaced", "failed"}

// Ended is the state of an intent whose epoch is over: whatever nodes had decided by then, it is not signed any more.
const Ended = "ended"

// over says that most of the answering nodes call the intent's epoch over, and that the highest record which they prove is another one's.
// That record alone says nothing: new shares of the same members end no intent.
func (c *Case) over() bool {
	apart := c.Root.Record != nil && [32]byte(c.Root.Record.Hash()) != c.Intent.Epoch
	n := 0
	for _, v := range c.Views {
		if v.Over {
			n++
		}
	}
	return c.Signed == nil && apart && 2*n > len(c.Views)
}

// Why is the reason of an intent that was denied, or that ended with its epoch; "" for any other.
func (c *Case) Why() string {
	switch c.State() {
	case Ended:
		return "the vault's key went to another committee or threshold since it was proposed: propose it anew"
	case "denied":
		for _, d := range c.Decisions {
			if d.Verdict == intent.Deny {
				return fmt.Sprintf("rule %s: %s", d.Rule, c.Reason(d))
			}
		}
	}
	return ""
}

// Unproven is the state of an intent that nodes call signed without showing a signature.
const Unproven = "unproven"

// State is the circle's view: what is proved first, then what most nodes say. That a signed
// transaction came to nothing takes the word of two nodes: who believes one pays again.
func (c *Case) State() string {
	count := map[string]int{}
	for _, v := range c.Views {
		count[v.State]++
	}
	if c.Signed != nil {
		best := 0
		for i, s := range afterSigning {
			need := 1
			if s == "replaced" || s == "failed" {
				need = min(2, len(c.Views))
			}
			if s == "failed" && (count["confirmed"] > 0 || count["final"] > 0) && !slices.ContainsFunc(c.Views, func(v View) bool { return v.Reverted }) {
				continue // what stands in a block did not lapse: nodes that say so were not shown the block, and who believes them pays twice
			}
			if count[s] >= need {
				best = i
			}
		}
		return afterSigning[best]
	}
	best := Unproven
	for _, s := range beforeSigning {
		if count[s] > count[best] {
			best = s
		}
	}
	if c.over() && slices.Contains([]string{"proposed", "approving", "allowed"}, best) {
		return Ended
	}
	return best
}

// Closed says that the intent will never be signed, as far as the answering nodes know.
func (c *Case) Closed() bool {
	return c.Signed == nil && slices.Contains([]string{"expired", "cancelled", "denied", "replaced", "failed", Ended}, c.State())
}

// Tally counts the votes that were verified here. While the intent may yet be signed, approvals by keys that were revoked or have expired since
// count for nothing, as at nodes.
func (c *Case) Tally() intent.Tally {
	v := c.Vault.Vault
	if r := c.Vault.rules; r != nil && c.Signed == nil {
		if x, ok := r.History.Version(c.Intent.Charter); ok {
			v.Approvers = x.Terms(v, time.Now(), r.revoked).Approvers
		}
	}
	return c.tally(v)
}

func (c *Case) tally(v charter.Vault) intent.Tally {
	var votes []intent.Vote
	for _, b := range c.Votes {
		votes = append(votes, intent.Vote{Intent: c.ID(), Person: b.Person, Verb: b.Verb, Key: b.Key, Flags: b.Flags})
	}
	return intent.Count(c.ID(), c.Intent.Initiator, v, votes)
}

// Decision finds an operator's decision.
func (c *Case) Decision(operator string) (Decision, bool) {
	i := slices.IndexFunc(c.Decisions, func(d Decision) bool { return d.Operator == operator })
	if i < 0 {
		return Decision{}, false
	}
	return c.Decisions[i], true
}

// Reason is why an operator denies. Rejections are told in words from the votes verified here.
func (c *Case) Reason(d Decision) string {
	t := c.Tally()
	if d.Rule != intent.RuleRejected || len(t.Rejected) == 0 {
		return d.Reason
	}
	count := func(n int, one, more string) string {
		if n == 1 {
			return "1 " + one
		}
		return fmt.Sprintf("%d %s", n, more)
	}
	return fmt.Sprintf("rejected by %s; %s needed, %s left", strings.Join(t.Rejected, ", "),
		count(t.Need, "approval", "approvals"), count(len(t.Awaited), "person", "people"))
}

// Waits is why nodes do not decide yet, in their own words; "" if none says.
func (c *Case) Waits() string {
	for _, v := range c.Views {
		if v.Waits != "" {
			return fmt.Sprintf("%s: %s", v.Node, v.Waits)
		}
	}
	return ""
}

// Awaited are the operators that signing waits for, in words of the nodes.
func (c *Case) Awaited() (out []string) {
	for _, v := range c.Views {
		out = append(out, v.Awaited...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Case reads one intent at every node. vaults are those that Vaults returned.
func (c *Circle) Case(ctx context.Context, vaults []Vault, id statement.ID) (*Case, []Failure, error) {
	answers := Ask(ctx, c, func(ctx context.Context, m *Member) (*Case, error) {
		res, err := m.Intent(ctx, connect.NewRequest(&v1.IntentRequest{Id: id[:]}))
		if err != nil {
			return nil, err
		}
		if res.Msg.Intent == nil || !bytes.Equal(res.Msg.Intent.Id, id[:]) {
			return nil, &VerifyError{m.Name, errors.New("it answers with another intent")}
		}
		return ReadCase(c.Operator(m.Name), vaults, res.Msg.Intent)
	})
	good, err := answers.Need("read intent "+id.Short(), 1)
	if err != nil {
		return nil, answers.Failures(), err
	}
	var copies []*Case
	for _, a := range good {
		copies = append(copies, a.Value)
	}
	out, err := MergeCases(copies)
	return out, answers.Failures(), err
}

// Cases lists intents, the newest last. A zero vault means all.
func (c *Circle) Cases(ctx context.Context, vaults []Vault, vault statement.ID) ([]*Case, []Failure, error) {
	req := &v1.IntentsRequest{}
	if vault != (statement.ID{}) {
		req.Vault = vault[:]
	}
	answers := Ask(ctx, c, func(ctx context.Context, m *Member) ([]*Case, error) {
		res, err := m.Intents(ctx, connect.NewRequest(req))
		if err != nil {
			return nil, err
		}
		return ReadCases(c.Operator(m.Name), vaults, res.Msg.Intents)
	})
	good, err := answers.Need("list intents", 1)
	if err != nil {
		return nil, nil, err
	}
	out, err := CollectCases(good)
	return out, answers.Failures(), err
}

// ReadCases checks one node's list.
func ReadCases(node string, vaults []Vault, list []*v1.Intent) ([]*Case, error) {
	var out []*Case
	for _, i := range list {
		one, err := ReadCase(node, vaults, i)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// CollectCases merges lists by intent.
func CollectCases(lists Answers[[]*Case]) ([]*Case, error) {
	copies := map[statement.ID][]*Case{}
	for _, a := range lists {
		for _, c := range a.Value {
			copies[c.ID()] = append(copies[c.ID()], c)
		}
	}
	var out []*Case
	for _, same := range copies {
		one, err := MergeCases(same)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b *Case) int {
		if n := a.Intent.Created.Compare(b.Intent.Created); n != 0 {
			return n
		}
		return strings.Compare(a.ID().String(), b.ID().String())
	})
	return out, nil
}

// Taken is what a node did with something submitted.
type Taken struct {
	Known bool // it had it before
}

// A node may hear of a vote a moment before it knows the intent.
const (
	laterTries = 20
	laterPause = 100 * time.Millisecond
)

// Submit hands a signed statement or a vote to every node, and again to one that says not yet.
func (c *Circle) Submit(ctx context.Context, req *v1.SubmitRequest) Answers[Taken] {
	return Ask(ctx, c, func(ctx context.Context, m *Member) (Taken, error) {
		for try := 1; ; try++ {
			res, err := m.Submit(ctx, connect.NewRequest(req))
			if err == nil {
				return Taken{res.Msg.Known}, nil
			}
			if Classify(err) != NotReady || Down(err) || try == laterTries {
				return Taken{}, err
			}
			select {
			case <-ctx.Done():
				return Taken{}, err
			case <-time.After(laterPause):
			}
		}
	})
}

// SignStatement signs a statement as the circle's person; nothing is handed to nodes.
func (c *Circle) SignStatement(ctx context.Context, s statement.Statement) (*v1.SubmitRequest, error) {
	if c.signer == nil {
		return nil, ErrNoKey
	}
	sig, err := c.signer.Sign(ctx, signet.Makes(s.Kind()), s.Bytes())
	if err != nil {
		return nil, err
	}
	return &v1.SubmitRequest{What: &v1.SubmitRequest_Signed{Signed: &v1.Signed{Statement: s.Bytes(), Signature: sig}}}, nil
}

// SubmitStatement signs a statement as the circle's person and hands it to every node.
func (c *Circle) SubmitStatement(ctx context.Context, s statement.Statement) (Answers[Taken], error) {
	req, err := c.SignStatement(ctx, s)
	if err != nil {
		return nil, err
	}
	return c.Submit(ctx, req), nil
}

// SameNonce are the intents of an address that would use the same nonce of a chain, of which it
// takes one. Those that ended without a signature leave it free.
func SameNonce(all []*Case, address, chain string, nonce uint64) []*Case {
	var out []*Case
	for _, c := range all {
		maybe := slices.ContainsFunc(c.Views, func(v View) bool { return v.PossiblySigned })
		if c.Tx != nil && c.Intent.Address == address && c.Intent.Chain == chain && c.Tx.Facts().Nonce == nonce && (maybe || !c.Closed()) {
			out = append(out, c)
		}
	}
	return out
}

// FreeNonce is the first nonce from next on that no intent of an address has which may still
// use it. The chain counts what it was sent; nodes know what will be sent.
func FreeNonce(all []*Case, address, chain string, next uint64, now time.Time) uint64 {
	taken := map[uint64]bool{}
	for _, c := range all {
		if c.Tx == nil || c.Intent.Address != address || c.Intent.Chain != chain {
			continue
		}
		if c.Signed != nil || !c.Closed() && now.Before(c.Intent.Expires) {
			taken[c.Tx.Facts().Nonce] = true
		}
	}
	for taken[next] {
		next++
	}
	return next
}

// Voted says whether a person has given this answer already.
func (c *Case) Voted(person string, verb signet.Verb) bool {
	return slices.ContainsFunc(c.Votes, func(b Ballot) bool { return b.Person == person && b.Verb == verb })
}

// Now is the present in whole seconds, UTC: statements hold no less.
func Now() time.Time { return time.Now().UTC().Truncate(time.Second) }
