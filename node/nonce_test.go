package node_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/rpc"
)

// twins are two transfers with one nonce, the older first.
func (s setting) twins() (a, b statement.Statement, notes [2]outbox.Note) {
	s.T.Helper()
	a, notes[0] = s.Proposal(s.Intent(s.vault, s.addr, 0))
	s.Now = s.Now.Add(time.Second)
	b, notes[1] = s.Proposal(s.Intent(s.vault, s.addr, 0))
	return a, b, notes
}

func (s setting) show(h *nodetest.Host, st statement.Statement) decide.View {
	s.T.Helper()
	v, err := h.Desk.Show(st.ID())
	if err != nil {
		s.T.Fatal(err)
	}
	return v
}

// Of two intents with one nonce the nodes allow the one that people approve, whichever each of them heard of first and
// whatever their initiators say of when they were made; the other is denied once the first is signed.
func TestOneIntentPerNonce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		early int // the host that hears of the younger intent first
		votes []int
	}{
		"older approved first":             {-1, []int{0, 1}},
		"younger approved first":           {-1, []int{1, 0}},
		"one node hears the younger first": {1, []int{0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t, 3, 2)
			older, younger, notes := s.twins()
			pair := []statement.Statement{older, younger}
			for i, h := range s.Hosts {
				order := []int{0, 1}
				if i == c.early {
					order = []int{1, 0}
				}
				for _, k := range order {
					s.Act(h, func() { _, _ = h.Submit(context.Background(), s.Clock(h), notes[k]) })
				}
			}
			s.Deliver()
			for _, k := range c.votes {
				for _, who := range nodetest.Approvers {
					_, _ = s.Submit(s.Vote(pair[k], who, signet.Approve)) // the second may be denied by now
				}
			}
			a, b := pair[c.votes[0]], pair[c.votes[1]]
			s.Run("the one that was approved is signed", func() bool { return s.Signed(a) })
			s.Run("the other is denied", func() bool {
				return s.All(func(h *nodetest.Host) bool { return s.State(h, b.ID()) == intent.Denied })
			})
			d := s.show(s.Hosts[0], b).Decisions[0]
			if d.Rule != decide.RuleNonce || !strings.Contains(d.Reason, "is used by intent "+a.ID().Short()+", which is signed") {
				t.Errorf("denied by rule %s: %s", d.Rule, d.Reason)
			}
		})
	}
}

// An intent that another keeps from its nonce is signed once that other has ended, however.
func TestNonceIsFreeAgain(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s setting, a statement.Statement){
		"rejected": func(s setting, a statement.Statement) {
			if _, err := s.Submit(s.Vote(a, nodetest.Approvers[0], signet.Reject)); err != nil {
				s.T.Fatal(err)
			}
		},
		"cancelled": func(s setting, a statement.Statement) {
			if _, err := s.Submit(s.cancellation(a)); err != nil {
				s.T.Fatal(err)
			}
		},
		"expired": func(s setting, a statement.Statement) { s.Now = s.Now.Add(nodetest.Life - 20*time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t, 3, 3)
			// Both are approved; the older waits for the nodes' endpoints.
			s.Check = func(_ *nodetest.Host, _ evm.Address, f evm.Facts) (bool, string, error) {
				if f.Gas == 50_000 {
					return false, "", errors.New("the endpoint is not there")
				}
				return false, "", nil
			}
			it := s.Intent(s.vault, s.addr, 0)
			it.Transaction = raw(t, func(r *evm.Request) { r.Nonce, r.Gas = 0, 50_000 })
			a, note := s.Proposal(it)
			if _, err := s.Submit(note); err != nil {
				t.Fatal(err)
			}
			s.Approve(a)
			s.Now = s.Now.Add(time.Minute)
			b := s.Propose(s.vault, s.addr, 0)
			s.Approve(b)
			s.Try(5*time.Second, func() bool { return false })
			for _, h := range s.Hosts { // what was held survives a restart
				s.Crash(h)
			}
			s.Try(5*time.Second, func() bool { return false })
			if v := s.show(s.Hosts[1], b); v.State != intent.Approving || !strings.Contains(v.Waits, "belongs to intent "+a.ID().Short()) || !strings.Contains(v.Waits, "`ostraka tx cancel") {
				t.Fatalf("%s, waits %q", v.State, v.Waits)
			}
			end(s, a)
			s.Run("the second is signed", func() bool { return s.Signed(b) })
		})
	}
}

// A signature that appears of an intent that was closed here ends the signing of another that
// was allowed in its place.
func TestSignatureTakesTheNonce(t *testing.T) {
	t.Parallel()
	s := prepare(t, 3, 2)
	it := s.Intent(s.vault, s.addr, 0)
	it.Expires = it.Created.Add(time.Minute)
	a, note := s.Proposal(it)
	if _, err := s.Submit(note); err != nil {
		t.Fatal(err)
	}
	s.Deliver()
	elsewhere := s.copy(t, "elsewhere") // the same circle, in which the first intent is signed
	elsewhere.Approve(a)
	elsewhere.Run("signed elsewhere", func() bool { return elsewhere.Signed(a) })
	raw := elsewhere.show(elsewhere.Hosts[0], a).Raw

	s.Now = s.Now.Add(2 * time.Minute)
	b := s.Propose(s.vault, s.addr, 0)
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if nodetest.OfSession(p.Frame) {
			return nil // nobody signs yet
		}
		return []nodetest.Parcel{p}
	}
	s.Approve(b)
	s.Run("allowed", func() bool {
		return s.All(func(h *nodetest.Host) bool { return len(s.show(h, b).Decisions) == 3 })
	})
	id := a.ID()
	for i, h := range s.Hosts {
		if v, why := s.tell(s.Hosts[(i+1)%3], h, outbox.Note{Kind: decide.NoteSigned, Fields: [][]byte{id[:], raw}}); v != outbox.Taken {
			t.Fatalf("verdict %d: %s", v, why)
		}
	}
	s.Pass = nil
	s.Try(2*time.Minute, func() bool { return false })
	for _, h := range s.Hosts {
		if v := s.show(h, b); v.Raw != nil || !strings.Contains(v.Waits, "is used by intent "+a.ID().Short()) {
			t.Errorf("%s: %s, waits %q", h.Own.Name, v.State, v.Waits)
		}
		if s.State(h, a.ID()) != intent.Signed {
			t.Errorf("%s: the first is %s", h.Own.Name, s.State(h, a.ID()))
		}
	}
}

// An intent whose nonce the chain has not reached waits for it, is not denied, and says for
// what it waits; if the gap never closes it expires.
func TestNonceAhead(t *testing.T) {
	t.Parallel()
	base := prepare(t, 2, 2)
	for name, closes := range map[string]bool{"closes": true, "never": false} {
		t.Run(name, func(t *testing.T) {
			s := base.copy(t, name)
			e := endpoint{
				"eth_chainId": `"result":"0x1"`, "eth_getTransactionCount": `"result":"0x5"`, "eth_getBalance": `"result":"0xde0b6b3a7640000000"`,
				"eth_feeHistory": `"result":{"baseFeePerGas":["0x1","0x1"],"reward":[["0x1"]]}`,
			}
			c := e.serve(t)
			s.Check = func(_ *nodetest.Host, from evm.Address, f evm.Facts) (bool, string, error) {
				err := c.Check(context.Background(), from, f, rpc.Limits{})
				if mismatch := (*rpc.Mismatch)(nil); errors.As(err, &mismatch) {
					return true, err.Error(), nil
				}
				return true, "", err
			}
			st := s.Propose(s.vault, s.addr, 7)
			s.Approve(st)
			s.Try(time.Minute, func() bool { return false })
			v := s.show(s.Hosts[0], st)
			if want := "awaits nonce 7: the account " + s.addr.Address + " is at 5"; len(v.Decisions) > 0 || !strings.HasPrefix(v.Waits, want) {
				t.Fatalf("%d decisions, waits %q; want %q", len(v.Decisions), v.Waits, want)
			}
			if closes {
				e["eth_getTransactionCount"] = `"result":"0x7"`
				s.Run("signed", func() bool { return s.Signed(st) })
				return
			}
			s.Run("expired", func() bool {
				return s.All(func(h *nodetest.Host) bool { return s.State(h, st.ID()) == intent.Expired })
			})
		})
	}
}

// An initiator has 64 open intents in a vault at most, at each node; a peer's copy of one more
// waits until there is room.
func TestOpenIntentsAreBounded(t *testing.T) {
	t.Parallel()
	s := prepare(t, 2, 2)
	a, b := s.Hosts[0], s.Hosts[1]
	submit := func(h *nodetest.Host, n outbox.Note) (err error) {
		s.Act(h, func() { _, err = h.Submit(context.Background(), s.Clock(h), n) })
		return err
	}
	s.Pass = func(nodetest.Parcel) []nodetest.Parcel { return nil } // each node has people of its own
	var first [2]statement.Statement
	for i := range decide.MaxOpen {
		for k, h := range []*nodetest.Host{a, b} {
			st, n := s.Proposal(s.Intent(s.vault, s.addr, uint64(2*i+k)))
			if err := submit(h, n); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first[k] = st
			}
		}
	}
	more, note := s.Proposal(s.Intent(s.vault, s.addr, 1000))
	err := submit(a, note)
	var crowded *decide.CrowdedError
	if !errors.As(err, &crowded) || !strings.Contains(err.Error(), "ines has 64 open intents in vault treasury") || !strings.Contains(err.Error(), "`ostraka tx cancel ID`") {
		t.Fatalf("one more is answered with %v", err)
	}
	if v, _ := s.tell(b, a, note); v != outbox.Later {
		t.Errorf("a peer that shows it is told %d, want later", v)
	}
	s.Crash(a)
	s.Run("it is there again", func() bool { return a.Up })
	if err := submit(a, note); !errors.As(err, &crowded) {
		t.Errorf("after a restart: %v", err)
	}
	if err := submit(a, s.cancellation(first[0])); err != nil {
		t.Fatal(err)
	}
	if err := submit(a, note); err != nil {
		t.Errorf("once there is room: %v", err)
	}
	// Those that ran out make room for the other node's, and all are with all in the end.
	s.Pass = nil
	s.Run("time runs out", func() bool {
		return s.State(a, more.ID()) == intent.Expired && s.State(b, first[1].ID()) == intent.Expired
	})
	signed := s.Propose(s.vault, s.addr, 2000)
	s.Approve(signed)
	s.Run("signed", func() bool { return s.Signed(signed) })
}

// An initiator takes every nonce with intents that it calls older than all others, and which nobody approves: they stop nothing that people
// approve. Once its key is revoked they are denied, and their nonces are free.
func TestNoncesThatNobodyApproved(t *testing.T) {
	t.Parallel()
	s := limited(t)
	honest, n := s.transfer(nodetest.Initiator, 0, 1, gwei30)
	if _, err := s.Submit(n); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Submit(s.Vote(honest, nodetest.Approvers[0], signet.Approve)); err != nil {
		t.Fatal(err)
	}
	var squats []statement.Statement
	for nonce := range uint64(4) {
		it := s.Intent(s.vault, s.addr, nonce)
		it.Initiator, it.Transaction = "ivan", s.payload(nonce, 1, gwei30)
		it.Created = it.Created.Add(-time.Hour)
		st, n := s.Proposal(it)
		if _, err := s.Submit(n); err != nil {
			t.Fatal(err)
		}
		squats = append(squats, st)
	}
	if _, err := s.Submit(s.Vote(honest, nodetest.Approvers[1], signet.Approve)); err != nil {
		t.Fatal(err)
	}
	s.Run("what people approved is signed", func() bool { return s.Signed(honest) })
	if v := s.show(s.Hosts[0], squats[1]); v.State != intent.Proposed {
		t.Fatalf("%s: this test shows nothing", v.State)
	}
	ivan := nodetest.NewPerson(t, "ivan")
	if _, err := s.Submit(s.revocation("ivan", ivan)); err != nil {
		t.Fatal(err)
	}
	s.Run("denied by nobody's vote", func() bool {
		return !slices.ContainsFunc(squats, func(st statement.Statement) bool { return s.State(s.Hosts[0], st.ID()) != intent.Denied })
	})
	for _, d := range s.show(s.Hosts[0], squats[1]).Decisions {
		if d.Rule != intent.RulePerson || !strings.Contains(d.Reason, "is ivan's no more") && !strings.Contains(d.Reason, "ivan is no initiator") {
			t.Errorf("%s denies by %s: %s", d.Operator, d.Rule, d.Reason)
		}
	}
}
