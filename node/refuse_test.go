package node_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/wallet"
)

// setting is a circle with a vault, from which each case takes a copy.
type setting struct {
	*nodetest.World
	vault statement.ID
	addr  wallet.Address
}

func prepare(t *testing.T, n, threshold int) setting {
	w := nodetest.New(t, n)
	id, addr := nodetest.Ready(w, threshold)
	return setting{w, id, addr}
}

func (s setting) copy(t *testing.T, seed string) setting {
	return setting{s.Clone(t, seed), s.vault, s.addr}
}

// tell delivers a note as a peer's, and returns the verdict that it got and what the log says.
func (s setting) tell(from, to *nodetest.Host, n outbox.Note) (outbox.Verdict, string) {
	s.Queue = nil
	before := s.Log.Len()
	frame := append([]byte{nodetest.FrameNote}, n.Encode()...)
	s.Act(to, func() { to.Deliver(context.Background(), s.Clock(to), from.Own.Identity, frame) })
	id, verdict := n.ID(), outbox.Verdict(0)
	for _, p := range s.Queue {
		if p.To == from && p.Frame[0] == nodetest.FrameVerdict && bytes.Equal(p.Frame[1:33], id[:]) {
			verdict = outbox.Verdict(p.Frame[33])
		}
	}
	return verdict, s.Log.String()[before:]
}

// Proposals that no node takes: each says what is wrong.
func TestProposalsRefused(t *testing.T) {
	t.Parallel()
	base := prepare(t, 2, 2)
	good := func(s setting) intent.Intent { return s.Intent(s.vault, s.addr, 0) }
	for name, c := range map[string]struct {
		change func(s setting, it *intent.Intent)
		sign   func(s setting, st statement.Statement) []byte
		want   string
	}{
		"unknown vault": {change: func(_ setting, it *intent.Intent) { it.Vault[0] ^= 1 }, want: "is not known to this node"},
		"other charter": {change: func(_ setting, it *intent.Intent) { it.Charter[0] ^= 1 }, want: "is not in force here"},
		"other epoch":   {change: func(_ setting, it *intent.Intent) { it.Epoch[0] ^= 1 }, want: "is not in force here yet"},
		"no initiator":  {change: func(_ setting, it *intent.Intent) { it.Initiator = "abel" }, want: intent.ErrNoInitiator.Error()},
		"expired": {change: func(s setting, it *intent.Intent) {
			it.Created = s.Now.Add(-3 * time.Hour).Truncate(time.Second)
			it.Expires = it.Created.Add(time.Hour)
		}, want: "intent has expired at"},
		"from the future":        {change: func(_ setting, it *intent.Intent) { it.Created = it.Created.Add(6 * time.Minute) }, want: "compare the clocks"},
		"stranger in their name": {sign: func(s setting, st statement.Statement) []byte { return nodetest.NewPerson(t, "mallory").Makes(t, st) }, want: "is not ines's"},
		"approval as proposal": {sign: func(s setting, st statement.Statement) []byte {
			return nodetest.NewPerson(t, "ines").Sign(t, signet.Approve, st.Bytes())
		}, want: intent.ErrOtherUse.Error()},
		"other bytes": {sign: func(s setting, st statement.Statement) []byte {
			return nodetest.NewPerson(t, "ines").Sign(t, "intent", append(st.Bytes(), ' '))
		}, want: intent.ErrOtherBytes.Error()},
		"no signature": {sign: func(setting, statement.Statement) []byte { return nil }, want: intent.ErrMalformed.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			s := base.copy(t, name)
			it := good(s)
			if c.change != nil {
				c.change(s, &it)
			}
			st, n := s.Proposal(it)
			if c.sign != nil {
				n.Fields[1] = c.sign(s, st)
			}
			for _, h := range s.Hosts {
				if _, err := h.Submit(context.Background(), s.Now, n); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("%s answers %v, want %q", h.Own.Name, err, c.want)
				}
				if _, err := h.Desk.Show(st.ID()); !errors.Is(err, decide.ErrUnknown) {
					t.Fatalf("%s keeps the proposal: %v", h.Own.Name, err)
				}
			}
			sign(t, s.World, s.vault, s.addr)
		})
	}
}

func raw(t testing.TB, change func(*evm.Request)) []byte {
	t.Helper()
	to, err := evm.ParseAddress("0x" + strings.Repeat("11", 20))
	if err != nil {
		t.Fatal(err)
	}
	r := evm.Request{Kind: evm.Dynamic, ChainID: 1, Nonce: 7, Gas: 21000, FeeCap: big.NewInt(30e9), TipCap: big.NewInt(1e9), To: to, Amount: big.NewInt(5)}
	change(&r)
	out, err := evm.Build(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Proposals that every node denies, by itself, naming the rule.
func TestProposalsDenied(t *testing.T) {
	t.Parallel()
	base := prepare(t, 2, 2)
	base.Change = func(d *charter.Document) { // a chain that the charter names, and no vault signs for
		d.Assets = append(d.Assets, charter.Asset{Name: "other", Chain: "eip155:5", Decimals: 18, Unit: 15})
	}
	base.Enact()
	for name, c := range map[string]struct {
		change func(*intent.Intent)
		check  string // what the nodes' endpoints find
		rule   string
		reason string
	}{
		"other key":      {change: func(it *intent.Intent) { it.Key[0] ^= 1 }, rule: intent.RuleKey, reason: "this node holds"},
		"other chain id": {change: func(it *intent.Intent) { it.Transaction = raw(t, func(r *evm.Request) { r.ChainID = 5 }) }, rule: intent.RuleChain, reason: "valid on eip155:5"},
		"unknown chain":  {change: func(it *intent.Intent) { it.Transaction = raw(t, func(r *evm.Request) { r.ChainID = 7 }) }, rule: intent.RuleDecoded, reason: "7 is not in the book; the book is what the charter names"},
		"unlisted chain": {change: func(it *intent.Intent) {
			it.Chain, it.Transaction = "eip155:5", raw(t, func(r *evm.Request) { r.ChainID = 5 })
		}, rule: intent.RuleChain, reason: "signs for [eip155:1]"},
		"other words": {change: func(it *intent.Intent) {
			it.Facts = nodetest.Words(*it)
			it.Transaction = raw(t, func(*evm.Request) {})
		}, rule: intent.RuleShown, reason: "decoded is amount \"5\""},
		"undecodable":     {change: func(it *intent.Intent) { it.Transaction = []byte{2, 0xc0} }, rule: intent.RuleDecoded},
		"unknown type":    {change: func(it *intent.Intent) { it.Transaction = []byte{4, 0xc0} }, rule: intent.RuleDecoded},
		"other address":   {change: func(it *intent.Intent) { it.Address = "0x" + strings.Repeat("22", 20) }, rule: intent.RuleAddress, reason: "this node holds 0x"},
		"other path":      {change: func(it *intent.Intent) { it.Path[2]++ }, rule: intent.RuleAddress, reason: "this node holds 0x"},
		"nonce too low":   {check: "nonce 0 is below the account's next, 3", rule: decide.RuleState, reason: "nonce 0"},
		"balance too low": {check: "balance 0 does not cover it", rule: decide.RuleState, reason: "balance"},
	} {
		t.Run(name, func(t *testing.T) {
			s := base.copy(t, name)
			s.Check = func(*nodetest.Host, evm.Address, evm.Facts) (bool, string, error) { return true, c.check, nil }
			it := s.Intent(s.vault, s.addr, 0)
			if c.change != nil {
				c.change(&it)
			}
			st, n := s.Proposal(it)
			if _, err := s.Submit(n); err != nil {
				t.Fatal(err)
			}
			s.Run("denied everywhere", func() bool {
				return s.All(func(h *nodetest.Host) bool {
					v, err := h.Desk.Show(st.ID())
					return err == nil && v.State == intent.Denied && len(v.Decisions) == 2
				})
			})
			for _, h := range s.Hosts {
				v, err := h.Desk.Show(st.ID())
				if err != nil || len(v.Decisions) != 2 {
					t.Fatalf("%s knows %d decisions: %v", h.Own.Name, len(v.Decisions), err)
				}
				for _, d := range v.Decisions {
					if d.Verdict != intent.Deny || d.Rule != c.rule || d.Reason == "" || !strings.Contains(d.Reason, c.reason) {
						t.Fatalf("%s: %s by rule %s: %q, want rule %s and %q", d.Operator, d.Verdict, d.Rule, d.Reason, c.rule, c.reason)
					}
				}
			}
			if _, err := s.Hosts[0].Submit(context.Background(), s.Now, s.Vote(st, "abel", signet.Approve)); !errors.Is(err, intent.ErrClosed) {
				t.Fatalf("a denied intent takes an approval: %v", err)
			}
		})
	}
}

// Trouble with a node's own endpoint decides nothing: the node waits, says why, and decides
// once the endpoint answers.
func TestEndpointInTrouble(t *testing.T) {
	t.Parallel()
	s := prepare(t, 2, 2)
	down := true
	s.Check = func(h *nodetest.Host, _ evm.Address, _ evm.Facts) (bool, string, error) {
		if down && h == s.Hosts[1] {
			return true, "", errors.New("endpoint does not answer: check node.json")
		}
		return true, "", nil
	}
	st := s.Propose(s.vault, s.addr, 0)
	s.Approve(st)
	s.Try(time.Minute, func() bool { return false })
	v, err := s.Hosts[1].Desk.Show(st.ID())
	if err != nil || !strings.Contains(v.Waits, "endpoint does not answer") || v.State == intent.Denied {
		t.Fatalf("state %s, waits %q: %v", v.State, v.Waits, err)
	}
	down = false
	s.Run("signed", func() bool { return s.Signed(st) })
}

// Votes that are refused: each says why.
func TestVotesRefused(t *testing.T) {
	t.Parallel()
	base := prepare(t, 2, 2)
	for name, c := range map[string]struct {
		vote func(s setting, st statement.Statement) outbox.Note
		want error
	}{
		"stranger":  {func(s setting, st statement.Statement) outbox.Note { return s.Vote(st, "mallory", signet.Approve) }, intent.ErrStranger},
		"initiator": {func(s setting, st statement.Statement) outbox.Note { return s.Vote(st, "ines", signet.Approve) }, intent.ErrStranger},
		"officer":   {func(s setting, st statement.Statement) outbox.Note { return s.Vote(st, "officer-0", signet.Approve) }, intent.ErrStranger},
		"other bytes": {func(s setting, st statement.Statement) outbox.Note {
			other, _ := s.Proposal(s.Intent(s.vault, s.addr, 9))
			n := s.Vote(other, "abel", signet.Approve)
			id := st.ID()
			n.Fields[0] = id[:]
			return n
		}, intent.ErrOtherBytes},
		"other use": {func(s setting, st statement.Statement) outbox.Note {
			n := s.Vote(st, "abel", signet.Reject)
			n.Fields[1] = []byte(signet.Approve)
			return n
		}, intent.ErrOtherUse},
		"unknown verb": {func(s setting, st statement.Statement) outbox.Note { return s.Vote(st, "abel", "intent") }, intent.ErrOtherUse},
		"expired": {func(s setting, st statement.Statement) outbox.Note {
			s.Now = s.Now.Add(2 * time.Hour)
			return s.Vote(st, "bea", signet.Approve)
		}, intent.ErrExpired},
		"repeated with another key's signature form": {func(s setting, st statement.Statement) outbox.Note {
			n := s.Vote(st, "abel", signet.Approve)
			if _, err := s.Submit(n); err != nil {
				t.Fatal(err)
			}
			n.Fields[2] = append(bytes.Clone(n.Fields[2]), '\n')
			return n
		}, intent.ErrDuplicate},
		"unknown intent": {func(s setting, st statement.Statement) outbox.Note {
			n := s.Vote(st, "abel", signet.Approve)
			n.Fields[0] = make([]byte, 32)
			return n
		}, decide.ErrUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			s := base.copy(t, name)
			st := s.Propose(s.vault, s.addr, 0)
			s.Deliver()
			w := s.World
			n := c.vote(setting{w, s.vault, s.addr}, st)
			if _, err := s.Hosts[0].Submit(context.Background(), w.Now, n); !errors.Is(err, c.want) {
				t.Fatalf("the node answers %v, want %v", err, c.want)
			}
			if v, err := s.Hosts[0].Desk.Show(st.ID()); err != nil || v.State == intent.Allowed || len(v.Votes) > 1 {
				t.Fatalf("%d votes counted, state %s: %v", len(v.Votes), v.State, err)
			}
		})
	}
}

// The same vote twice counts once, and is no error: people's contexts repeat themselves.
func TestVoteRepeated(t *testing.T) {
	t.Parallel()
	s := prepare(t, 2, 2)
	st := s.Propose(s.vault, s.addr, 0)
	n := s.Vote(st, "abel", signet.Approve)
	for i := range 3 {
		known, err := s.Hosts[0].Submit(context.Background(), s.Now, n)
		if err != nil || known != (i > 0) {
			t.Fatalf("time %d: known %v, %v", i, known, err)
		}
	}
	if v, _ := s.Hosts[0].Desk.Show(st.ID()); len(v.Votes) != 1 || v.Missing == "" {
		t.Fatalf("%d votes, missing %q", len(v.Votes), v.Missing)
	}
}

// A vote that overtakes its proposal is asked for again, and counts in the end.
func TestVoteBeforeProposal(t *testing.T) {
	t.Parallel()
	s := prepare(t, 2, 2)
	st, proposal := s.Proposal(s.Intent(s.vault, s.addr, 0))
	vote := s.Vote(st, "abel", signet.Approve)
	if v, log := s.tell(s.Hosts[0], s.Hosts[1], vote); v != outbox.Later || !strings.Contains(log, "no such intent") {
		t.Fatalf("verdict %d, log %s", v, log)
	}
	if v, _ := s.tell(s.Hosts[0], s.Hosts[1], proposal); v != outbox.Taken {
		t.Fatalf("the proposal gets verdict %d", v)
	}
	if v, _ := s.tell(s.Hosts[0], s.Hosts[1], vote); v != outbox.Taken {
		t.Fatalf("the vote, sent again, gets verdict %d", v)
	}
}

// A peer's notes that are forged, contradict, or speak of something else.
func TestPeerNotesRefused(t *testing.T) {
	t.Parallel()
	base := prepare(t, 3, 3)
	for name, c := range map[string]struct {
		note    func(s setting, st statement.Statement) outbox.Note
		verdict outbox.Verdict
		want    string
	}{
		"decision signed by another node": {func(s setting, st statement.Statement) outbox.Note {
			return s.decision(st, s.Hosts[1], s.Hosts[2], intent.Allow)
		}, outbox.Refused, "signature is not by this node's identity key"},
		"decision of a stranger": {func(s setting, st statement.Statement) outbox.Note {
			return s.decisionOf(st, "operator-9", s.Hosts[1], intent.Allow)
		}, outbox.Refused, "operator-9 is not in the committee"},
		"decision in person": {func(s setting, st statement.Statement) outbox.Note {
			n := s.decision(st, s.Hosts[1], s.Hosts[1], intent.Allow)
			n.Fields = n.Fields[:1]
			return n
		}, outbox.Refused, "has 1 fields, not 2"},
		"FINAL of a stranger": {func(s setting, _ statement.Statement) outbox.Note {
			return s.final(func(f *epoch.Final) { f.From[0] ^= 1; f.Record[0] ^= 1 })
		}, outbox.Later, "not"},
		"FINAL that does not decode": {func(setting, statement.Statement) outbox.Note {
			return outbox.Note{Kind: ceremony.NoteFinal, Fields: [][]byte{{1, 2}}}
		}, outbox.Refused, "decode"},
		"final certificate damaged": {func(s setting, _ statement.Statement) outbox.Note { return s.finalCert() }, outbox.Refused, ""},
		"key choice of another key": {func(s setting, _ statement.Statement) outbox.Note {
			return s.choice(func(c *charter.KeyChoice) { c.PublicKey[5] ^= 1 })
		}, outbox.Refused, "chose another key or certificate"},
		"key choice of another certificate": {func(s setting, _ statement.Statement) outbox.Note {
			return s.choice(func(c *charter.KeyChoice) { c.Certificate[5] ^= 1 })
		}, outbox.Refused, "chose another key or certificate"},
		"second roster":         {func(s setting, _ statement.Statement) outbox.Note { return s.roster() }, outbox.Refused, "belongs to circle \"test circle\" already"},
		"vault of a known name": {func(s setting, _ statement.Statement) outbox.Note { return s.vaultNote("treasury") }, outbox.Refused, "vault treasury: another statement with this name is known here"},
		"signature of another transaction": {func(s setting, st statement.Statement) outbox.Note {
			id := st.ID()
			return outbox.Note{Kind: decide.NoteSigned, Fields: [][]byte{id[:], raw(t, func(*evm.Request) {})}}
		}, outbox.Refused, ""},
		"unknown kind": {func(setting, statement.Statement) outbox.Note { return outbox.Note{Kind: 0x99, Fields: [][]byte{{1}}} }, outbox.Refused, "not known to this version"},
	} {
		t.Run(name, func(t *testing.T) {
			s := base.copy(t, name)
			st := s.Propose(s.vault, s.addr, 0)
			s.Deliver()
			verdict, log := s.tell(s.Hosts[1], s.Hosts[0], c.note(s, st))
			if verdict != c.verdict || !strings.Contains(strings.ReplaceAll(log, `\"`, `"`), c.want) {
				t.Fatalf("verdict %d, want %d with %q; log: %s", verdict, c.verdict, c.want, log)
			}
			s.Queue = nil
			s.Approve(st)
			s.Run("signed all the same", func() bool { return s.Signed(st) })
			calm(t, s.World, s.vault)
		})
	}
}

// An operator that decides twice, otherwise: the first counts, the second is kept as evidence and passed on, and a third is refused.
func TestContradictingDecision(t *testing.T) {
	t.Parallel()
	for _, first := range []intent.Verdict{intent.Allow, intent.Deny} {
		s := prepare(t, 3, 2)
		a, b := s.Hosts[0], s.Hosts[1]
		b.Hostile = true
		st := s.Propose(s.vault, s.addr, 0)
		s.Deliver()
		second := intent.Deny
		if first == intent.Deny {
			second = intent.Allow
		}
		one, two := s.decision(st, b, b, first), s.decision(st, b, b, second)
		if v, log := s.tell(b, a, one); v != outbox.Taken {
			t.Fatalf("verdict %d; %s", v, log)
		}
		if v, log := s.tell(b, a, two); v != outbox.Taken || !strings.Contains(log, "operator-1 said both ALLOW and DENY") {
			t.Fatalf("verdict %d; %s", v, log)
		}
		for _, n := range []outbox.Note{one, two} {
			if v, log := s.tell(s.Hosts[2], a, n); v != outbox.Taken || log != "" {
				t.Fatalf("verdict %d; %s", v, log)
			}
		}
		for _, v := range []intent.Verdict{first, second} {
			if v, log := s.tell(b, a, s.decision(st, b, b, v)); v != outbox.Refused || !strings.Contains(log, "in other bytes") {
				t.Fatalf("verdict %d; %s", v, log)
			}
		}
		for range 2 {
			v, err := a.Desk.Show(st.ID())
			if err != nil || len(v.Decisions) != 2 || v.Decisions[0].Verdict != first || v.Decisions[1].Verdict != second {
				t.Errorf("shows %+v, %v", v.Decisions, err)
			}
			s.Crash(a)
			s.Run("it is there again", func() bool { return a.Up })
		}
		s.Run("all others know", func() bool { v, err := s.Hosts[2].Desk.Show(st.ID()); return err == nil && len(v.Decisions) >= 2 })
	}
}

// A node dies just before or after it keeps the second word of an operator that said both: told again, it holds both.
func TestCrashAtAContradiction(t *testing.T) {
	t.Parallel()
	base := prepare(t, 3, 2)
	for name, fate := range map[string]nodetest.Fate{"before": nodetest.CrashBefore, "after": nodetest.CrashAfter} {
		s := base.copy(t, name)
		a, b, fell := s.Hosts[0], s.Hosts[1], false
		b.Hostile = true
		st := s.Propose(s.vault, s.addr, 0)
		s.Deliver()
		one, two := s.decision(st, b, b, intent.Deny), s.decision(st, b, b, intent.Allow)
		s.tell(b, a, one)
		s.Fate = func(h *nodetest.Host, _ int, batch store.Batch) nodetest.Fate {
			if fell || h != a || !slices.ContainsFunc(batch.Put, func(e store.Entry) bool { return strings.HasPrefix(e.Key, "contrary/") }) {
				return nodetest.Live
			}
			fell = true
			return fate
		}
		if s.tell(b, a, two); !fell {
			t.Fatal("it did not die")
		}
		s.Run("it is there again", func() bool { return a.Up })
		if v, _ := s.tell(b, a, two); v != outbox.Taken {
			t.Errorf("%s: told again, verdict %d", name, v)
		}
		if v, err := a.Desk.Show(st.ID()); err != nil || len(v.Decisions) != 2 || v.Decisions[0].Verdict != intent.Deny || v.Decisions[1].Verdict != intent.Allow {
			t.Errorf("%s: shows %+v, %v", name, v.Decisions, err)
		}
	}
}

func (s setting) decision(st statement.Statement, of, by *nodetest.Host, verdict intent.Verdict) outbox.Note {
	return s.decisionOf(st, of.Own.Name, by, verdict)
}

func (s setting) decisionOf(st statement.Statement, operator string, by *nodetest.Host, verdict intent.Verdict) outbox.Note {
	s.T.Helper()
	it, err := intent.Of(st)
	if err != nil {
		s.T.Fatal(err)
	}
	d := intent.Decision{Charter: it.Charter, Vault: it.Vault, Intent: st.ID(), Operator: operator, Verdict: verdict, Rule: intent.RuleQuorum, Created: s.Now}
	if verdict == intent.Allow {
		d.Facts = it.Facts
	}
	ds, err := d.Statement(s.Salt())
	if err != nil {
		s.T.Fatal(err)
	}
	sig, err := signet.SignNode(by.Key, ds)
	if err != nil {
		s.T.Fatal(err)
	}
	return outbox.Note{Kind: decide.NoteDecision, Fields: [][]byte{ds.Bytes(), sig}}
}

func (s setting) final(change func(*epoch.Final)) outbox.Note {
	v, _ := s.Hosts[0].Keeper.Root(s.vault, charter.SuiteECDSA)
	f := *v.Current.Finals[0]
	change(&f)
	return outbox.Note{Kind: ceremony.NoteFinal, Fields: [][]byte{f.Encode()}}
}

func (s setting) finalCert() outbox.Note {
	v, _ := s.Hosts[0].Keeper.Root(s.vault, charter.SuiteECDSA)
	raw := v.Current.Encode()
	raw[len(raw)-1] ^= 1
	return outbox.Note{Kind: ceremony.NoteFinalCert, Fields: [][]byte{raw}}
}

func (s setting) choice(change func(*charter.KeyChoice)) outbox.Note {
	s.T.Helper()
	v, _ := s.Hosts[0].Keeper.Root(s.vault, charter.SuiteECDSA)
	c, err := charter.KeyChoiceOf(v.Choice)
	if err != nil {
		s.T.Fatal(err)
	}
	change(&c)
	st, err := c.Statement()
	if err != nil {
		s.T.Fatal(err)
	}
	sig, err := signet.SignNode(s.Hosts[1].Key, st)
	if err != nil {
		s.T.Fatal(err)
	}
	return outbox.Note{Kind: ceremony.NoteChoice, Fields: [][]byte{st.Bytes(), []byte("operator-1"), sig}}
}

func (s setting) roster() outbox.Note {
	s.T.Helper()
	_, r, _ := s.Hosts[0].Circle.Roster()
	r.Circle = "another circle"
	st, err := r.Statement(s.Salt())
	if err != nil {
		s.T.Fatal(err)
	}
	return outbox.Note{Kind: circle.NoteRoster, Fields: [][]byte{st.Bytes(), s.Hosts[1].Officer.Makes(s.T, st)}}
}

func (s setting) vaultNote(name string) outbox.Note {
	s.T.Helper()
	_, roster, _ := s.Hosts[1].Circle.Roster()
	x, _ := s.Hosts[1].Charters.Charter()
	file, _ := x.Vault(name)
	st, err := charter.Vault{
		Roster: roster.ID, Charter: x.ID, Name: name, Suites: file.Suites, Threshold: file.Threshold, Committee: file.Committee, Created: s.Now,
	}.Statement(s.Salt())
	if err != nil {
		s.T.Fatal(err)
	}
	return outbox.Note{Kind: circle.NoteVault, Fields: [][]byte{st.Bytes(), s.Hosts[1].Officer.Makes(s.T, st)}}
}

// Sessions that a peer opens over something that is not so here: declined with a reason.
func TestSetupsDeclined(t *testing.T) {
	t.Parallel()
	base := prepare(t, 3, 2)
	for name, c := range map[string]struct {
		change func(s setting, x *mpc.Setup)
		want   string
	}{
		"other key":        {func(_ setting, x *mpc.Setup) { x.KeyID[0] ^= 1 }, "another key, epoch, suite or threshold"},
		"other epoch":      {func(_ setting, x *mpc.Setup) { x.Epoch[0] ^= 1 }, "another key, epoch, suite or threshold"},
		"other threshold":  {func(_ setting, x *mpc.Setup) { x.Threshold = 3; x.Parties = recordOfParties(x, base) }, "another key, epoch, suite or threshold"},
		"other committee":  {func(_ setting, x *mpc.Setup) { x.Parties[1].Index = 9 }, "is not that member of record"},
		"unknown protocol": {func(_ setting, x *mpc.Setup) { x.Protocol = "nonsense" }, "is not known here"},
		"unknown intent":   {func(_ setting, x *mpc.Setup) { x.Payload = request(func(r *protocol.Request) { r.Intent[0] ^= 1 }, x) }, "no such intent"},
		"other digest":     {func(_ setting, x *mpc.Setup) { x.Payload = request(func(r *protocol.Request) { r.Digest[0] ^= 1 }, x) }, "is not what this node decoded"},
		"other path":       {func(_ setting, x *mpc.Setup) { x.Payload = request(func(r *protocol.Request) { r.Path[2]++ }, x) }, "is not what this node decoded"},
		"other purpose": {func(_ setting, x *mpc.Setup) {
			x.Payload = request(func(r *protocol.Request) { r.Purpose = "message" }, x)
		}, "is not what this node decoded"},
		"a script tree": {func(_ setting, x *mpc.Setup) {
			x.Payload = request(func(r *protocol.Request) { r.Tree = make([]byte, 32) }, x)
		}, "is not what this node decoded"},
		"ran out":        {func(s setting, x *mpc.Setup) { x.NotAfter = s.Now.Add(-time.Minute).Truncate(time.Second) }, "ran out"},
		"lives too long": {func(s setting, x *mpc.Setup) { x.NotAfter = s.Now.Add(3 * time.Hour).Truncate(time.Second) }, ""},
		"keygen of a vault with a key": {func(s setting, x *mpc.Setup) {
			x.Protocol, x.Epoch, x.Payload, x.KeyID = protocol.ProtocolKeygen, [32]byte{}, nil, epoch.KeyID(s.vault, x.Suite, 2)
			x.Parties = recordOfParties(x, base)
		}, ""},
		"keygen of a stranger's vault": {func(_ setting, x *mpc.Setup) {
			x.Protocol, x.Epoch, x.Payload, x.KeyID = protocol.ProtocolKeygen, [32]byte{}, nil, sha256.Sum256([]byte("x"))
			x.Parties = recordOfParties(x, base)
		}, "belongs to no vault that this node's officer accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			s := base.copy(t, name)
			seats := order(s.World, s.vault)
			st := s.Propose(s.vault, s.addr, 0)
			s.Approve(st)
			s.Pass = func(p nodetest.Parcel) []nodetest.Parcel { // the nodes' own sessions do not come about
				if nodetest.OfSession(p.Frame) {
					return nil
				}
				return []nodetest.Parcel{p}
			}
			s.Deliver()
			x := s.setup(st, seats)
			c.change(s, x)
			s.Queue = nil
			frame, err := mpc.SealSetup(x, mpc.NewSigner(seats[0].Key))
			if err != nil {
				t.Fatal(err)
			}
			before := s.Log.Len()
			seats[1].Deliver(context.Background(), s.Now, seats[0].Own.Identity, frame)
			for _, p := range s.Queue {
				if p.Frame[0] == 2 {
					t.Fatal("the node joins")
				}
			}
			if log := s.Log.String()[before:]; !strings.Contains(log, "session refused") || !strings.Contains(log, c.want) {
				t.Fatalf("want %q; log: %s", c.want, log)
			}
			s.Pass = nil
			s.Run("signed all the same", func() bool { return s.Signed(st) })
		})
	}
}

func (s setting) setup(st statement.Statement, seats []*nodetest.Host) *mpc.Setup {
	s.T.Helper()
	it, err := intent.Of(st)
	if err != nil {
		s.T.Fatal(err)
	}
	tx, err := evm.Decode(it.Transaction)
	if err != nil {
		s.T.Fatal(err)
	}
	r := recordOf(s.World, s.vault)
	req := protocol.Request{Purpose: it.Purpose, Intent: st.ID(), Path: it.Path[:], Digest: tx.Digest()}
	x := &mpc.Setup{
		Protocol: protocol.ProtocolSign, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: r.Threshold,
		Payload: req.Encode(), Opener: seats[0].Self(), NotAfter: s.Now.Add(5 * time.Minute).Truncate(time.Second),
	}
	for _, m := range r.Members[:2] {
		x.Parties = append(x.Parties, m.Party)
	}
	return x
}

func recordOfParties(_ *mpc.Setup, s setting) (out []mpc.Party) {
	for _, m := range recordOf(s.World, s.vault).Members {
		out = append(out, m.Party)
	}
	return out
}

func request(change func(*protocol.Request), x *mpc.Setup) []byte {
	r, err := protocol.DecodeRequest(x.Payload)
	if err != nil {
		panic(err)
	}
	change(r)
	return r.Encode()
}

// Frames of somebody who is not pinned, or in a version that we do not speak, go unanswered.
func TestFramesDropped(t *testing.T) {
	t.Parallel()
	s := prepare(t, 3, 2)
	stranger := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	_, note := s.Proposal(s.Intent(s.vault, s.addr, 0))
	s.Queue = nil
	st := s.Propose(s.vault, s.addr, 1)
	s.Deliver()
	good, err := mpc.SealSetup(s.setup(st, order(s.World, s.vault)[:2]), mpc.NewSigner(order(s.World, s.vault)[0].Key))
	if err != nil {
		t.Fatal(err)
	}
	h, peer := order(s.World, s.vault)[1], order(s.World, s.vault)[0].Own.Identity
	for name, c := range map[string]struct {
		from  ed25519.PublicKey
		frame []byte
		want  string
	}{
		"stranger":          {stranger, append([]byte{nodetest.FrameNote}, note.Encode()...), "frame of a node that is not a peer"},
		"empty":             {peer, nil, "not a peer"},
		"unknown type":      {peer, []byte{200, 1, 2}, ""},
		"version of a note": {peer, append([]byte{nodetest.FrameNote, 0xff}, note.Encode()...), "decode note"},
		"verdict too long":  {peer, append([]byte{nodetest.FrameVerdict}, make([]byte, 99)...), "decode verdict"},
		"decline cut":       {peer, []byte{nodetest.FrameDecline, 0, 1, 0}, "decode"},
		"setup cut":         {peer, good[:len(good)-9], "decode"},
		"setup changed":     {peer, append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1), "not authentic"},
		"oversized":         {peer, append(bytes.Clone(good), make([]byte, 2<<20)...), ""},
	} {
		before := s.Log.Len()
		s.Queue = nil
		h.Deliver(context.Background(), s.Now, c.from, c.frame)
		log := s.Log.String()[before:]
		if !strings.Contains(log, "frame dropped") || !strings.Contains(log, c.want) {
			t.Errorf("%s: want %q; log: %s", name, c.want, log)
		}
		if len(s.Queue) > 0 && s.Queue[0].Frame[0] != nodetest.FrameVerdict {
			t.Errorf("%s: the node answers", name)
		}
	} // One peer fills nobody's disk with it, and hides nothing of what others send.
	at := s.Log.Len()
	for range 2000 {
		h.Deliver(context.Background(), s.Now, peer, []byte{200, 1, 2})
		h.Deliver(context.Background(), s.Now, stranger, []byte{200, 1, 2})
	}
	h.Deliver(context.Background(), s.Now, order(s.World, s.vault)[2].Own.Identity, []byte{200, 1, 2})
	if n := strings.Count(s.Log.String()[at:], "frame dropped"); n < 2 || n > 600 || !strings.Contains(s.Log.String()[at:], "from="+order(s.World, s.vault)[2].Own.Name) {
		t.Errorf("4000 frames that make no sense wrote %d lines: %.300s", n, s.Log.String()[at:])
	}
	at = s.Log.Len()
	h.Deliver(context.Background(), s.Now.Add(10*time.Second), peer, []byte{200, 1, 2})
	if log := s.Log.String()[at:]; !strings.Contains(log, "more=17") && !strings.Contains(log, "more=18") {
		t.Errorf("how many were left out is not said: %q", log)
	}
}

// Clocks that differ by minutes do no harm; by more, the error says which and to what.
func TestClockSkew(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-4 * time.Minute, -time.Minute, time.Minute, 4 * time.Minute} {
		t.Run(skew.String(), func(t *testing.T) {
			w := nodetest.New(t, 2)
			w.Hosts[1].Skew = skew
			vault, addr := nodetest.Ready(w, 2)
			sign(t, w, vault, addr)
		})
	}
	for _, skew := range []time.Duration{-20 * time.Minute, 100 * time.Minute} {
		t.Run(skew.String(), func(t *testing.T) {
			s := prepare(t, 2, 2)
			s.Hosts[1].Skew = skew
			_, n := s.Proposal(s.Intent(s.vault, s.addr, 0))
			_, err := s.Hosts[1].Submit(context.Background(), s.Clock(s.Hosts[1]), n)
			if !errors.Is(err, intent.ErrFuture) && !errors.Is(err, intent.ErrExpired) || !strings.Contains(err.Error(), "2026-11-23T") {
				t.Fatalf("the error does not name the times: %v", err)
			}
		})
	}
}
