package node_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	purse "github.com/ostraka/ostraka/chain/bitcoin/coins"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/store"
)

// fares is an intent over coins, asked for and approved by all.
func (m mixed) fares(raw []byte) statement.Statement {
	m.T.Helper()
	s, n := m.Proposal(m.asks(raw, 0))
	m.Run("it is taken", func() bool { _, err := m.Submit(n); return err == nil })
	for _, who := range nodetest.Approvers {
		_, _ = m.Submit(m.Vote(s, who, signet.Approve)) // it may be denied by now
	}
	return s
}

// over wants an intent's end at every node, and says whether anybody has it signed.
func (m mixed) over(s statement.Statement) (signed bool) {
	m.T.Helper()
	m.Run("it ends", func() bool {
		return m.All(func(h *nodetest.Host) bool {
			v, err := h.Desk.Show(s.ID())
			return err == nil && slices.Contains([]intent.State{intent.Signed, intent.Expired, intent.Failed, intent.Denied}, v.State)
		})
	})
	return slices.ContainsFunc(m.Hosts, func(h *nodetest.Host) bool { return m.State(h, s.ID()) == intent.Signed })
}

// coinsStory is a payment of three coins by keys of two suites, during which a node dies; then one that spends one of them.
func coinsStory(t *testing.T, ready mixed, b *blow) (all []blow) {
	t.Helper()
	m := mixed{ready.copy(t, fmt.Sprint(b))}
	before, fell := commits(m.World), new(bool)
	if b != nil {
		fell = b.strike(m.World)
	}
	coins := m.three()
	first := m.fares(m.pays(func(t *purse.Transfer) { t.Payments[0].Amount = 60_000 }, coins...))
	signed := m.over(first)
	if all = blows(m.World, before); b == nil {
		return all
	}
	if m.Fate = nil; !*fell {
		t.Fatalf("%v: no such batch was written", b)
	}
	if signed {
		m.Run("it reaches everybody", func() bool { return m.Signed(first) })
	}
	rival := m.fares(m.pays(nil, coins[1], m.coin(charter.SuiteBIP340, 1, 5, 50_000)))
	if m.over(rival) == signed {
		t.Fatalf("signed: the first %v, and what spends one of its coins alike; log:\n%s", signed, m.Tail())
	}
	return all
}

// A node that dies before or after any batch of a transaction of Bitcoin gives its coins to that one alone, where anybody has it signed, and else to the next.
func TestCrashAtEveryBatchOfBitcoin(t *testing.T) {
	t.Parallel()
	ready := mixing(t, 3)
	all := coinsStory(t, ready, nil)
	some := pick(all, 16)
	t.Logf("%d of %d", len(some), len(all))
	for _, b := range some {
		t.Run(b.String(), func(t *testing.T) { coinsStory(t, ready, &b) })
	}
}

// What the chain did to a transaction is known after a crash, or not yet, and then found again; another gets its nonce only where it has come to its end.
func TestCrashAtEveryStepOnItsChain(t *testing.T) {
	t.Parallel()
	ready := setting{World: nodetest.New(t, 3)}
	ready.vault, ready.addr = nodetest.Ready(ready.World, 2)
	st := ready.Propose(ready.vault, ready.addr, 0)
	ready.Approve(st)
	ready.Run("it is signed", func() bool { return ready.Signed(st) })
	block := intent.WasConfirmed{Height: 7, Block: "0x07"}
	for name, events := range map[string][]intent.Event{
		"final":    {intent.WasBroadcast{}, intent.WasSeen{}, block, intent.WasReorged{}, intent.WasDropped{}, intent.WasBroadcast{}, block, intent.BecameFinal{}},
		"failed":   {intent.WasBroadcast{}, intent.WasConfirmed{Height: 7, Block: "0x07", Reverted: true}, intent.BecameFinal{}, intent.WasReorged{}},
		"replaced": {intent.WasBroadcast{}, intent.WasReplaced{By: "another"}, intent.WasReorged{}, block},
		"lapsed":   {intent.WasBroadcast{}, intent.WasLapsed{}, intent.WasReorged{}, block},
	} {
		for _, fate := range []nodetest.Fate{nodetest.CrashBefore, nodetest.CrashAfter} {
			t.Run(fmt.Sprint(name, fate), func(t *testing.T) { ready.copy(t, fmt.Sprint(name, fate)).rides(st, fate, events) })
		}
	}
}

// rides has a node die with each of these events, and hear it again once it is back.
func (s setting) rides(st statement.Statement, fate nodetest.Fate, events []intent.Event) {
	s.T.Helper()
	h := s.Hosts[0]
	s.Downtime = -1
	hears := func(e intent.Event) (lived bool, err error) {
		lived = s.Act(h, func() { err = h.Desk.OnChain(context.Background(), s.Clock(h), st.ID(), e) })
		return lived && h.Up, err
	}
	said := func() string {
		v, err := h.Desk.Show(st.ID())
		if err != nil {
			s.T.Fatal(err)
		}
		return fmt.Sprint(v.State, v.Height, v.Reverted, v.Hash, len(v.Raw))
	}
	for i, e := range events {
		before := said()
		s.Fate = func(x *nodetest.Host, _ int, _ store.Batch) nodetest.Fate {
			if x != h {
				return nodetest.Live
			}
			return fate
		}
		if lived, err := hears(e); lived {
			s.T.Fatalf("event %d, %T: no batch was written (%v)", i, e, err)
		}
		s.Fate = nil
		s.Start(h)
		s.Greet()
		if after := said(); (after == before) != (fate == nodetest.CrashBefore) {
			s.T.Fatalf("event %d, %T: %s before the crash, and %s after the start", i, e, before, after)
		}
		if fate == nodetest.CrashBefore {
			if _, err := hears(e); err != nil {
				s.T.Fatalf("event %d, %T, heard again: %v", i, e, err)
			}
		}
		s.keeps(h, st)
	}
}

// keeps wants that a node follows a transaction, and denies another with its nonce, as long as the chain may take it.
func (s setting) keeps(h *nodetest.Host, st statement.Statement) {
	s.T.Helper()
	state := s.State(h, st.ID())
	ended := slices.Contains([]intent.State{intent.Final, intent.Failed, intent.Replaced}, state)
	if followed := slices.ContainsFunc(h.Desk.OnTheWay(), func(x decide.Sent) bool { return x.ID == st.ID() }); followed == ended {
		s.T.Fatalf("it is %s, and followed on its chain: %v", state, followed)
	}
	rival, n := s.Proposal(s.Intent(s.vault, s.addr, 0))
	if err := s.alone(h, n); err != nil {
		s.T.Fatal(err)
	}
	v := s.show(h, rival)
	if denied := len(v.Decisions) == 1 && v.Decisions[0].Rule == decide.RuleNonce; denied == ended {
		s.T.Fatalf("the first is %s, and another with its nonce is %s, with the decisions %v; it waits for %s", state, v.State, v.Decisions, v.Waits)
	}
}
