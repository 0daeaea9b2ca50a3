package node_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"math/big"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// A lie is an intent, signed by its initiator and approved by everybody, whose words are not what is to be signed.
type lie struct {
	class, name string
	truth       func(*intent.Intent) // makes its honest twin of an intent for a transfer of coins
	change      func(*intent.Intent) // makes the lie of its honest twin
	form        func(string) string  // or so does this, of the twin's text: what no program of ours would write
	rule        string               // by which nodes deny; "" where they take no such text
}

// rulesOf are the rules by which nodes see through a class of lies.
var rulesOf = map[string][]string{
	"recipient": {intent.RuleShown, intent.RuleDecoded}, "amount": {intent.RuleShown}, "asset": {intent.RuleShown, intent.RuleDecoded}, "nonce": {intent.RuleShown}, "gas": {intent.RuleShown}, "type": {intent.RuleShown},
	"chain id": {intent.RuleShown, intent.RuleDecoded}, "facts": {intent.RuleShown, ""}, "purpose": {intent.RuleShown, intent.RuleDecoded, ""}, "sender": {intent.RuleAddress},
	"proof":    {intent.RuleShown, ""},
	"selector": {intent.RuleDecoded, intent.RuleShown}, "delegatecall": {intent.RuleDecoded}, "unlimited approve": {intent.RuleDecoded, intent.RuleShown}, "permit": {intent.RuleDecoded},
	"setImplementation": {intent.RuleDecoded}, "7702": {intent.RuleDecoded}, "typed data": {intent.RuleDecoded}, "multicall": {intent.RuleDecoded}, "hidden bytes": {intent.RuleDecoded},
	"homoglyph": {intent.RuleShown, intent.RuleAddress, ""},
}

// How many lies there must be, and of each class.
const (
	leastLies    = 300
	leastOfClass = 10
)

func lies(t *testing.T) []lie {
	t.Helper()
	all := slices.Concat(
		lyingRecipients(), lyingAmounts(), lyingAssets(), lyingNonces(), lyingFees(), lyingTypes(), lyingChains(), lyingFacts(), lyingPurposes(), lyingProofs(), lyingSenders(),
		selectors(), delegatecalls(), approvals(), permits(), upgrades(), setCodes(), typedData(), multicalls(), hiddenBytes(), homoglyphs(),
	)
	count, names := map[string]int{}, map[string]bool{}
	for _, l := range all {
		if name := l.class + "/" + l.name; names[name] {
			t.Errorf("%s stands twice", name)
		} else if names[name] = true; !slices.Contains(rulesOf[l.class], l.rule) {
			t.Errorf("%s is to be denied by rule %q, which is none of its class", name, l.rule)
		}
		count[l.class]++
	}
	for class := range rulesOf {
		if count[class] < leastOfClass {
			t.Errorf("only %d lies of class %s", count[class], class)
		}
	}
	if len(all) < leastLies {
		t.Errorf("only %d lies", len(all))
	}
	return all
}

// Display versus bytes: every node alone, whatever the others say, and though the initiator and all approvers signed, denies an
// intent whose words are not what is to be signed; and allows the one that is its twin but honest.
func TestShownIsSigned(t *testing.T) {
	t.Parallel()
	s := prepare(t, 3, 3)
	s.Change = func(d *charter.Document) { // the rules permit a token that the charter lists
		d.Assets = append(d.Assets, charter.Asset{Name: "usdc", Chain: "eip155:1", Contract: usdc.String(), Decimals: 6})
	}
	s.Enact()
	sessions := 0
	s.Send = func(p nodetest.Parcel) { // nobody hears of anybody
		if nodetest.OfSession(p.Frame) {
			sessions++
		}
	}
	for _, l := range lies(t) {
		twin := s.Intent(s.vault, s.addr, 0)
		if l.truth != nil {
			l.truth(&twin)
		}
		if twin.Facts == nil {
			twin.Facts = nodetest.Words(twin)
		}
		t.Run(l.class+"/"+l.name, func(t *testing.T) {
			defer func(whole testing.TB) { s.T = whole }(s.T)
			s.T = t
			if l.form != nil {
				s.refused(s.malformed(l, twin))
			} else {
				s.denied(l, twin)
			}
			s.allowed(twin)
		})
	}
	for range 5 {
		s.Step(time.Second)
	}
	if sessions > 0 {
		t.Errorf("%d frames of sessions", sessions)
	}
}

// alone gives a note to a node, which hears of no other.
func (s setting) alone(h *nodetest.Host, n outbox.Note) error {
	_, err := h.Submit(context.Background(), s.Clock(h), n)
	return err
}

// own is the only decision that a node knows of an intent: its own.
func (s setting) own(h *nodetest.Host, id statement.ID) (decide.View, intent.Decision) {
	s.T.Helper()
	v, err := h.Desk.Show(id)
	if err != nil {
		s.T.Fatalf("%s: %v", h.Own.Name, err)
	}
	if len(v.Decisions) != 1 || v.Decisions[0].Operator != h.Own.Name {
		s.T.Fatalf("%s is %s and holds %d decisions, want its own: %s%s", h.Own.Name, v.State, len(v.Decisions), v.Missing, v.Waits)
	}
	return v, v.Decisions[0].Decision
}

// denied wants every node's own signed DENY, before and after all approved.
func (s setting) denied(l lie, twin intent.Intent) {
	s.T.Helper()
	it := twin
	it.Facts = slices.Clone(twin.Facts)
	if l.change(&it); reflect.DeepEqual(it, twin) {
		s.T.Fatal("the lie is no lie")
	}
	st, proposal := s.Proposal(it)
	defer s.forget(st)
	for _, h := range s.Hosts {
		if err := s.alone(h, proposal); err != nil {
			s.T.Fatalf("%s takes no proposal: %v", h.Own.Name, err)
		}
		before, d := s.own(h, st.ID())
		if d.Verdict != intent.Deny || d.Rule != l.rule || d.Reason == "" {
			s.T.Fatalf("%s: %s by rule %s: %q; want deny by rule %s", h.Own.Name, d.Verdict, d.Rule, d.Reason, l.rule)
		}
		if l.rule == intent.RuleShown && !slices.Equal(d.Facts, s.words(it)) {
			s.T.Fatalf("%s denies, and does not say what it is: %v", h.Own.Name, d.Facts)
		}
		for _, a := range nodetest.Approvers {
			if err := s.alone(h, s.Vote(st, a, signet.Approve)); !errors.Is(err, intent.ErrClosed) {
				s.T.Fatalf("%s takes an approval: %v", h.Own.Name, err)
			}
		}
		if after, _ := s.own(h, st.ID()); after.State != intent.Denied || before.State != intent.Denied || after.Raw != nil {
			s.T.Fatalf("%s: %s, then %s", h.Own.Name, before.State, after.State)
		}
	}
}

// words are what an intent asks to be signed, as the charter reads it.
func (s setting) words(it intent.Intent) []intent.Fact {
	if it.Purpose != intent.PurposeProof {
		if p, err := evm.DecodeIn(it.Transaction, s.context()); err == nil {
			return wordsOf(p)
		}
	}
	return nodetest.Words(it)
}

func wordsOf(p *evm.Payload) (facts []intent.Fact) {
	for _, l := range p.Lines() {
		facts = append(facts, intent.Fact(l))
	}
	return intent.Written(facts)
}

// forget takes back, on every node, what did not go as it must: it would keep the nonce of all that follow.
func (s setting) forget(st statement.Statement) {
	if s.T.Failed() {
		for _, h := range s.Hosts {
			_ = s.alone(h, s.cancellation(st))
		}
	}
}

// malformed is the twin's text, changed and signed by its initiator.
func (s setting) malformed(l lie, twin intent.Intent) (statement.ID, outbox.Note) {
	s.T.Helper()
	st, _ := s.Proposal(twin)
	text := l.form(st.Text())
	if text == st.Text() {
		s.T.Fatal("the lie is no lie")
	}
	return statement.ID(sha256.Sum256([]byte(text))), outbox.Note{Kind: decide.NoteProposal, Fields: [][]byte{
		[]byte(text), nodetest.NewPerson(s.T, twin.Initiator).Sign(s.T, signet.Makes(statement.Intent), []byte(text)),
	}}
}

// refused wants that no node takes a text as an intent at all.
func (s setting) refused(id statement.ID, n outbox.Note) {
	s.T.Helper()
	for _, h := range s.Hosts {
		if err := s.alone(h, n); err == nil || errors.Is(err, outbox.ErrLater) {
			s.T.Fatalf("%s: %v", h.Own.Name, err)
		}
		if _, err := h.Desk.Show(id); !errors.Is(err, decide.ErrUnknown) {
			s.T.Fatalf("%s keeps it: %v", h.Own.Name, err)
		}
	}
}

// allowed wants every node's own ALLOW of the honest twin once all approved, over the facts that people read; then the twin is taken back.
func (s setting) allowed(twin intent.Intent) {
	s.T.Helper()
	st, proposal := s.Proposal(twin)
	defer s.forget(st)
	notes := []outbox.Note{proposal}
	for _, a := range nodetest.Approvers {
		notes = append(notes, s.Vote(st, a, signet.Approve))
	}
	for _, h := range s.Hosts {
		for _, n := range notes {
			if err := s.alone(h, n); err != nil {
				s.T.Fatalf("%s: the honest twin: %v", h.Own.Name, err)
			}
		}
		if _, d := s.own(h, st.ID()); d.Verdict != intent.Allow || !slices.Equal(d.Facts, twin.Facts) {
			s.T.Fatalf("%s: the honest twin: %s by rule %s: %s; facts %v", h.Own.Name, d.Verdict, d.Rule, d.Reason, d.Facts)
		}
		if err := s.alone(h, s.cancellation(st)); err != nil {
			s.T.Fatal(err)
		}
	}
}

// Where the words of lies stand.
var (
	payee = addressOf("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")
	thief = addressOf("0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359")
	usdc  = addressOf("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
)

func addressOf(text string) evm.Address {
	a, err := evm.ParseAddress(text)
	if err != nil {
		panic(err)
	}
	return a
}

// coins is a transfer of one ether, and dollars of one dollar's worth of a token.
func coins() evm.Request {
	return evm.Request{ChainID: 1, Gas: 21000, FeeCap: big.NewInt(30e9), TipCap: big.NewInt(1e9), To: payee, Amount: big.NewInt(1e18)}
}

func dollars() evm.Request {
	r, token := coins(), usdc
	r.Gas, r.Token, r.Amount = 65000, &token, big.NewInt(1e6)
	return r
}

func built(r evm.Request) []byte {
	b, err := evm.Build(r)
	if err != nil {
		panic(err)
	}
	return b
}

// pays is the truth of a transfer.
func pays(r evm.Request) func(*intent.Intent) {
	return func(it *intent.Intent) { it.Transaction = built(r) }
}

// otherBytes says one transfer and asks for another.
func otherBytes(class, name string, said evm.Request, change func(*evm.Request)) lie {
	return lie{class: class, name: name, truth: pays(said), rule: intent.RuleShown, change: func(it *intent.Intent) {
		r := said
		change(&r)
		it.Transaction = built(r)
	}}
}

// by is a lie that another rule denies.
func (l lie) by(rule string) lie {
	l.rule = rule
	return l
}

// otherWords asks for a transfer and says another thing of one of its facts.
func otherWords(class, name string, is evm.Request, fact, value string) lie {
	return lie{class: class, name: name, truth: pays(is), rule: intent.RuleShown, change: func(it *intent.Intent) { says(it, fact, value) }}
}

func says(it *intent.Intent, fact, value string) {
	i := slices.IndexFunc(it.Facts, func(f intent.Fact) bool { return f.Name == fact })
	if i < 0 || it.Facts[i].Value == value {
		panic("no lie about " + fact)
	}
	it.Facts[i].Value = value
}

// otherThing says that a dollar is paid, and asks for what no node understands.
func otherThing(class, name string, payload []byte) lie {
	return lie{class: class, name: name, truth: pays(dollars()), rule: intent.RuleDecoded, change: func(it *intent.Intent) { it.Transaction = payload }}
}
