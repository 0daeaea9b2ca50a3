package node_test

import (
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// narrow permits one payee, 10 ether a day, and small fees.
const narrow = `@id("payee")
permit (principal, action == Action::"transfer", resource)
when { context.labels.contains(Label::"known") && context.total.day <= 10000 };

@id("fee")
permit (principal, action == Action::"fee", resource)
when { context.amount <= 10 };
`

const knownPayee = "0x00000000000000000000000000000000DeaDBeef"

// TestPatchedNodes: the proposing node and all nodes but one allow everything: they hide their denials, publish ALLOW, and open sessions. The
// one that is left signs nothing that its own rules forbid (reliability.md P1).
func TestPatchedNodes(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Change = func(d *charter.Document) {
		d.Policy = narrow
		d.Payees = []charter.Payee{{Name: "known", Chain: "eip155:1", Address: knownPayee, Labels: []string{"known"}}}
	}
	vault, addr := nodetest.Ready(w, 3)
	s := setting{w, vault, addr}
	honest := w.Hosts[2]
	control := func(nonce uint64) {
		st := w.Propose(vault, addr, nonce)
		w.Approve(st)
		w.Run("an intent that is permitted is signed", func() bool { return w.Signed(st) })
	}
	control(0)
	joined, tried := 0, map[statement.ID]bool{}
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.From == honest && len(p.Frame) > 0 && p.Frame[0] == byte(mpc.JoinFrame) {
			joined++
		}
		if len(p.Frame) > 0 && p.Frame[0] == nodetest.FrameNote {
			if n, err := outbox.Decode(p.Frame[1:]); err == nil && n.Kind == decide.NoteDecision && tried[decided(n)] {
				return nil // patched nodes say nothing but what is forged below, and hear nothing that would fence them
			}
		}
		return []nodetest.Parcel{p}
	}
	for _, h := range w.Hosts[:2] {
		h.Hostile = true
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	by := map[string]int{}
	for i := range forbidden {
		class, it, votes := s.forbid(rnd, i)
		by[class]++
		st, proposal := w.Proposal(it)
		tried[st.ID()] = true
		for _, n := range append([]outbox.Note{proposal}, votes(st)...) {
			for _, h := range w.Hosts {
				w.Act(h, func() { _, _ = h.Submit(context.Background(), w.Clock(h), n) })
			}
		}
		w.Deliver()
		for _, h := range w.Hosts[:2] {
			s.pretend(h, honest, st)
		}
		w.Step(time.Second)
		w.Deliver()
		v, err := honest.Desk.Show(st.ID())
		if err == nil && (v.State == intent.Signed || len(v.Raw) > 0) {
			t.Fatalf("%s (%d): it is signed", class, i)
		}
		if joined > 0 {
			t.Fatalf("%s (%d): the honest node joins a session", class, i)
		}
		for _, d := range v.Decisions {
			if d.Operator == honest.Own.Name && d.Verdict == intent.Allow {
				t.Fatalf("%s (%d): the honest node allows it: %s %s", class, i, d.Rule, d.Reason)
			}
		}
		// What waits still has a nonce and a place: its initiator takes it back.
		s.cancel(st)
	}
	t.Logf("%d forbidden intents: %v", forbidden, by)
	joined = 0
	control(1)
	if joined == 0 {
		t.Error("the honest node's sessions are not seen")
	}
}

// decided is the intent that a decision is on.
func decided(n outbox.Note) statement.ID {
	s, err := statement.Parse(n.Fields[0])
	if err != nil {
		return statement.ID{}
	}
	return s.Fields().ID("intent")
}

// forbid makes a forbidden intent, and the votes on it.
func (s setting) forbid(rnd *rand.Rand, i int) (class string, it intent.Intent, votes func(statement.Statement) []outbox.Note) {
	it = s.Intent(s.vault, s.addr, 1)
	req := evm.Request{
		Kind: evm.Dynamic, ChainID: 1, Nonce: 1, Gas: 21000, FeeCap: big.NewInt(30e9), TipCap: big.NewInt(1e9), To: addressOf(knownPayee), Amount: big.NewInt(rnd.Int64N(1e18) + 1),
	}
	all := func(st statement.Statement) (out []outbox.Note) {
		for _, a := range nodetest.Approvers {
			out = append(out, s.Vote(st, a, signet.Approve))
		}
		return out
	}
	votes = all
	random := func() (a evm.Address) {
		for j := range a {
			a[j] = byte(rnd.IntN(256))
		}
		return a
	}
	classes := []struct {
		name string
		do   func()
	}{
		{"unknown recipient", func() { req.To = random() }},
		{"above the limit", func() { req.Amount = new(big.Int).Mul(big.NewInt(10+rnd.Int64N(1000)), big.NewInt(1e18)) }},
		{"unknown token", func() { token := random(); req.Token, req.Gas = &token, 65000 }},
		{"another chain", func() { req.ChainID = 2 + rnd.Uint64N(1e6) }},
		{"a fee that drains", func() { req.FeeCap = big.NewInt(1e12 + rnd.Int64N(1e15)) }},
		{"too few approvals", func() { votes = func(st statement.Statement) []outbox.Note { return all(st)[:1] } }},
		{"a stranger's approvals", func() {
			votes = func(st statement.Statement) []outbox.Note {
				return []outbox.Note{s.Vote(st, "mallory", signet.Approve), s.Vote(st, "zoe", signet.Approve), s.Vote(st, nodetest.Initiator, signet.Approve)}
			}
		}},
		{"another sender", func() { it.Path[2] = 1 + rnd.Uint32N(1000) }},
		{"words of another", func() {}},
	}
	c := classes[i%len(classes)]
	c.do()
	raw, err := evm.Build(req)
	if err != nil {
		s.T.Fatal(err)
	}
	it.Transaction = raw
	if c.name == "another chain" {
		it.Chain = fmt.Sprintf("eip155:%d", req.ChainID)
	}
	if it.Facts = factsOf(s.T, raw); c.name == "words of another" {
		req.To = random()
		it.Facts = factsOf(s.T, built(req))
		it.Transaction = raw
		for j, f := range it.Facts {
			it.Facts[j].Value = strings.TrimSpace(f.Value)
		}
	}
	return c.name, it, votes
}

func factsOf(t testing.TB, raw []byte) (out []intent.Fact) {
	tx, err := evm.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	f := tx.Facts()
	for _, l := range f.Lines() {
		out = append(out, intent.Fact{Name: l.Name, Value: l.Value})
	}
	return out
}

// pretend has a patched node's key publish ALLOW to the honest node, and open a session with it.
func (s setting) pretend(h, honest *nodetest.Host, st statement.Statement) {
	it, err := intent.Of(st)
	if err != nil {
		s.T.Fatal(err)
	}
	v, ok := honest.Keeper.Root(s.vault, s.Suite)
	if !ok {
		s.T.Fatal("no vault")
	}
	d := intent.NewDecision(st, v.Vault, h.Own.Name, intent.Ruling{Verdict: intent.Allow, Rule: "policy"}, intent.Facts{Decoded: it.Facts}, s.Now)
	ds, err := d.Statement(s.Salt())
	if err != nil {
		s.T.Fatal(err)
	}
	sig, err := signet.SignNode(h.Key, ds)
	if err != nil {
		s.T.Fatal(err)
	}
	s.Forge(h, honest, append([]byte{nodetest.FrameNote}, outbox.Note{Kind: decide.NoteDecision, Fields: [][]byte{ds.Bytes(), sig}}.Encode()...))
	x := s.setup(st, order(s.World, s.vault))
	x.Parties, x.Opener = recordOfParties(x, s), h.Self()
	frame, err := mpc.SealSetup(x, mpc.NewSigner(h.Key))
	if err != nil {
		s.T.Fatal(err)
	}
	s.Forge(h, honest, frame)
}

// cancel has the initiator take an intent back at every node.
func (s setting) cancel(st statement.Statement) {
	s.cancelAt(st, s.Hosts...)
	s.Deliver()
}

func (s setting) cancelAt(st statement.Statement, hosts ...*nodetest.Host) {
	it, err := intent.Of(st)
	if err != nil {
		s.T.Fatal(err)
	}
	c, err := intent.Cancellation{Charter: it.Charter, Vault: it.Vault, Intent: st.ID(), Initiator: it.Initiator, Created: s.Now.Truncate(time.Second)}.Statement(s.Salt())
	if err != nil {
		s.T.Fatal(err)
	}
	n := outbox.Note{Kind: decide.NoteCancel, Fields: [][]byte{c.Bytes(), nodetest.NewPerson(s.T, it.Initiator).Makes(s.T, c)}}
	for _, h := range hosts {
		s.Act(h, func() { _, _ = h.Submit(context.Background(), s.Clock(h), n) })
	}
}
