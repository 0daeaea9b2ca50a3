package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	"github.com/ostraka/ostraka/node/store"
)

// full says whether a host counts that much of the limit that nothing of this size is allowed besides.
func (s setting) full(h *nodetest.Host, nonce uint64) bool {
	s.T.Helper()
	st := s.give(nonce, 6000, gwei30)
	s.Try(time.Minute, func() bool { return said(h, st) != nil })
	v, err := h.Desk.Show(st.ID())
	return err == nil && said(h, st) == nil && strings.Contains(v.Waits, "the policy does not permit it now")
}

func withoutNote(to *nodetest.Host, kinds ...outbox.Kind) func(nodetest.Parcel) []nodetest.Parcel {
	return func(p nodetest.Parcel) []nodetest.Parcel {
		if n, err := outbox.Decode(p.Frame[1:]); p.To == to && p.Frame[0] == nodetest.FrameNote && err == nil && slices.Contains(kinds, n.Kind) {
			return nil
		}
		return withoutSessions(p)
	}
}

// Half of the limit and more is given out, or may be, without a node that did not allow it, for whatever reason. Once that node has heard of it, it
// allows no second half; else it and one dishonest operator could sign that.
func TestLimitOfWhatANodeDidNotAllow(t *testing.T) {
	t.Parallel()
	base := limited(t)
	trouble := func(s setting) {
		c := s.Hosts[2]
		s.Check = func(h *nodetest.Host, _ evm.Address, f evm.Facts) (bool, string, error) {
			if h == c && f.Nonce == 1 {
				return false, "", errors.New("the endpoint is not there")
			}
			return false, "", nil
		}
	}
	for name, first := range map[string]func(s setting, c *nodetest.Host) statement.Statement{
		"it was away, and others signed": func(s setting, c *nodetest.Host) statement.Statement {
			s.Crash(c)
			st := s.give(1, 6000, gwei30)
			s.Run("signed", func() bool {
				return s.State(s.Hosts[0], st.ID()) == intent.Signed && s.State(s.Hosts[1], st.ID()) == intent.Signed
			})
			s.Now = s.Now.Add(nodetest.Life)
			s.Start(c)
			s.Run("it is told of the signature", func() bool { return s.State(c, st.ID()) == intent.Signed })
			return st
		},
		"it was away, and one may keep the signature back": func(s setting, c *nodetest.Host) statement.Statement {
			s.Pass = withoutSessions
			s.Crash(c)
			st := s.give(1, 6000, gwei30)
			s.Now = s.Now.Add(nodetest.Life)
			s.Start(c)
			return st
		},
		"it could not decide": func(s setting, _ *nodetest.Host) statement.Statement {
			s.Pass = withoutSessions
			trouble(s)
			st := s.give(1, 6000, gwei30)
			s.Try(time.Minute, func() bool { return false })
			s.Now = s.Now.Add(nodetest.Life)
			return st
		},
		"it could not decide, and the intent lives": func(s setting, _ *nodetest.Host) statement.Statement {
			s.Pass = withoutSessions
			trouble(s)
			return s.give(1, 6000, gwei30)
		},
		"it was told DENY": func(s setting, c *nodetest.Host) statement.Statement {
			s.Hosts[1].Hostile = true
			s.Pass = withoutSessions
			trouble(s)
			st, n := s.transfer(nodetest.Initiator, 1, 6000, gwei30)
			if _, err := s.Submit(n); err != nil {
				s.T.Fatal(err)
			}
			s.Deliver()
			s.Forge(s.Hosts[1], c, frameOf(s.decision(st, s.Hosts[1], s.Hosts[1], intent.Deny)))
			s.Approve(st)
			return st
		},
		"its proposal was kept from it, and the intent lives": func(s setting, c *nodetest.Host) statement.Statement {
			s.Pass = withoutNote(c, decide.NoteProposal)
			trouble(s)
			st, n := s.transfer(nodetest.Initiator, 1, 6000, gwei30)
			for _, h := range s.Hosts[:2] {
				for _, n := range []outbox.Note{n, s.Vote(st, "abel", signet.Approve), s.Vote(st, "bea", signet.Approve)} {
					s.Act(h, func() { _, _ = h.Submit(t.Context(), s.Now, n) })
				}
			}
			s.Run("it is told of it as alive", func() bool {
				_, err := c.Desk.Show(st.ID())
				return err == nil && s.State(c, st.ID()) == intent.Allowed
			})
			return st
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := base.copy(t, name)
			s.Downtime = -1
			c := s.Hosts[2]
			st := first(s, c)
			s.Run("it hears what others allowed", func() bool {
				v, err := c.Desk.Show(st.ID())
				return err == nil && len(v.Decisions) >= 2
			})
			if !s.full(c, 2) {
				t.Error("it does not count what others allowed")
			}
			if said(c, st) != nil {
				t.Fatal("it allowed the first itself: this test shows nothing")
			}
			if state := s.State(c, st.ID()); strings.Contains(name, "lives") != (state == intent.Allowed) {
				t.Errorf("the first is %s by now", state)
			}
			s.Crash(c)
			s.Start(c)
			if !s.full(c, 3) {
				t.Error("after a restart it does not count what others allowed")
			}
			s.Now = s.Now.Add(nodetest.Life + 24*time.Hour + 2*intent.Skew)
			s.Check, s.Pass = nil, withoutSessions
			s.Step(time.Second)
			last := s.give(9, 6000, gwei30)
			s.Run("the window is over", func() bool { return allows(c, []statement.Statement{last}) == 1 })
			s.Run("nothing waits", func() bool { s.Now = s.Now.Add(10 * time.Minute); return awaited(s.World) == 0 })
		})
	}
}

// A disk is set back to before the node allowed half of the limit. Its peers tell it, before it may speak.
func TestLimitOfARestoredNode(t *testing.T) {
	t.Parallel()
	s := limited(t)
	c := s.Hosts[2]
	snap := s.Rows(c, "")
	st := s.give(1, 6000, gwei30)
	s.Run("signed", func() bool { return s.Signed(st) })
	pass(s.World, 15*time.Second)
	s.Restore(c, snap)
	s.Run("it is fenced, and told of what was signed", func() bool { return c.Fence.Fenced() != nil && s.State(c, st.ID()) == intent.Signed })
	if d := said(c, st); d == nil || d.Verdict != intent.Allow {
		t.Errorf("what it said itself is not told: %+v", d)
	}
	if _, err := c.ConfirmRestore(context.Background(), s.Now); err != nil {
		t.Fatal(err)
	}
	s.Run("the peers meet it again", func() bool { return s.Greeted() })
	if !s.full(c, 2) {
		t.Error("a restored node does not count what it forgot")
	}
	if err := c.Fence.Fenced(); err != nil {
		t.Errorf("what its operator answered for fences again: %v", err)
	}
}

// An operator that comes to hold a vault is told of what was given out before: of the committees that it knows, and before that of the first.
func TestLimitOfANewcomer(t *testing.T) {
	t.Parallel()
	s := limitedTo(t, 4, 3)
	c := s.Hosts[3]
	s.Downtime, s.Pass = -1, withoutSessions
	s.Crash(s.Hosts[2])
	st := s.give(1, 6000, gwei30)
	s.Deliver()
	s.Now = s.Now.Add(nodetest.Life)
	s.Try(time.Minute, func() bool { return false })
	s.Start(s.Hosts[2])
	s.Downtime, s.Pass = time.Second, nil
	s.Run("the third is told", func() bool { _, err := s.Hosts[2].Desk.Show(st.ID()); return err == nil })
	for _, n := range s.Hosts[0].Desk.Told(s.Now, s.vault) {
		if v, log := s.tell(s.Hosts[0], c, n); v != outbox.Taken || log != "" {
			t.Errorf("who does not hold the vault is told: verdict %d, %s", v, log)
		}
	}
	// The newcomer never hears of the epoch that the first intent names.
	old := recordAt(s.Hosts[0], s.vault, s.Suite).Hash()
	for _, h := range s.Hosts[:3] {
		if err := h.Keeper.AskRefresh(context.Background(), s.Now, s.vault, s.Suite); err != nil {
			t.Fatal(err)
		}
	}
	s.Run("new shares", func() bool {
		return !slices.ContainsFunc(s.Hosts[:3], func(h *nodetest.Host) bool { return recordAt(h, s.vault, s.Suite).Hash() == old })
	})
	s.Now = s.Now.Add(nodetest.Life + 2*time.Hour)
	s.Try(10*time.Minute, func() bool { return false }) // what was said of the intent is given up
	if _, err := c.Desk.Show(st.ID()); !errors.Is(err, decide.ErrUnknown) {
		t.Fatalf("who does not hold the vault knows the intent: %v", err)
	}
	s.SignReshareAll(nodetest.Wish(s.vault, 3, s.Hosts[1:]...), s.Hosts...)
	s.Run("the vault is in other hands", func() bool { return heldBy(s.World, s.vault, 3, s.Hosts[1:]...) })
	s.Run("the newcomer is told", func() bool { return s.State(c, st.ID()) == intent.Expired || s.State(c, st.ID()) == intent.Failed })
	s.Crash(c)
	s.Run("it is there again", func() bool { return c.Up })
	it := s.Intent(s.vault, s.addr, 2)
	it.Epoch = recordAt(c, s.vault, s.Suite).Hash()
	it.Transaction = s.payload(2, 6000, gwei30)
	next, n := s.Proposal(it)
	s.Run("proposal taken", func() bool { _, err := s.Submit(n); return err == nil })
	s.Approve(next)
	s.Try(time.Minute, func() bool { return said(c, next) != nil })
	if v, err := c.Desk.Show(next.ID()); err != nil || said(c, next) != nil || !strings.Contains(v.Waits, "the policy does not permit it now") {
		t.Errorf("what was given out before it came does not count: %+v, %q, %v", said(c, next), v.Waits, err)
	}
}

// Notes of the past that prove nothing: they are refused, and leave nothing behind.
func TestPastRefused(t *testing.T) {
	t.Parallel()
	base := limited(t)
	c := base.Hosts[2]
	base.Downtime = -1
	base.Crash(c)
	base.Pass = withoutSessions
	st := base.give(1, 6000, gwei30)
	base.Deliver()
	base.Now = base.Now.Add(nodetest.Life)
	type past struct {
		st     statement.Statement
		armor  []byte
		allows []nodetest.Allow
	}
	for name, x := range map[string]struct {
		change func(s setting, p *past)
		raw    func([]byte) []byte
		after  time.Duration
		want   outbox.Verdict
		says   string
	}{
		"whole":         {want: outbox.Taken},
		"of two of two": {change: func(_ setting, p *past) { p.allows = p.allows[:2] }, want: outbox.Taken},
		"of long ago":   {after: 31 * 24 * time.Hour, want: outbox.Taken, says: "-"},
		"too few":       {change: func(_ setting, p *past) { p.allows = p.allows[:1] }, says: "2 to 16"},
		"one twice":     {change: func(_ setting, p *past) { p.allows = []nodetest.Allow{p.allows[0], p.allows[0]} }, says: "out of order"},
		"out of order":  {change: func(_ setting, p *past) { slices.Reverse(p.allows) }, says: "out of order"},
		"a DENY": {change: func(s setting, p *past) {
			p.allows[1] = s.allow(p.st, "operator-1", s.Hosts[1], intent.Deny, nil)
		}, says: "no ALLOW"},
		"of another intent": {change: func(s setting, p *past) {
			other, _ := s.transfer(nodetest.Initiator, 2, 1, gwei30)
			p.allows[1] = s.allow(other, "operator-1", s.Hosts[1], intent.Allow, nil)
		}, says: "of another intent"},
		"with facts": {change: func(s setting, p *past) {
			it, _ := intent.Of(p.st)
			p.allows[1] = s.allow(p.st, "operator-1", s.Hosts[1], intent.Allow, it.Facts)
		}, says: "it has facts"},
		"of other facts": {change: func(s setting, p *past) { // signed without facts, as no honest node does
			p.allows[1] = s.allow(p.st, "operator-1", s.Hosts[1], intent.Allow, nil)
		}, says: "operator-1"},
		"in another's name": {change: func(_ setting, p *past) { p.allows[1].Signature = p.allows[0].Signature }, says: "operator operator-1"},
		"by an outsider": {change: func(s setting, p *past) {
			p.allows[1] = s.allow(p.st, "operator-7", s.Hosts[1], intent.Allow, nil)
		}, says: "fewer ALLOWs"},
		"by an outsider too": {change: func(s setting, p *past) {
			p.allows = append(p.allows, s.allow(p.st, "operator-7", s.Hosts[1], intent.Allow, nil))
		}, want: outbox.Taken},
		"signature damaged": {change: func(_ setting, p *past) {
			p.allows[1].Signature = bytes.Clone(p.allows[1].Signature)
			p.allows[1].Signature[9] ^= 1
		}, says: "operator-1"},
		"proposal of a stranger": {change: func(s setting, p *past) { p.armor = nodetest.NewPerson(s.T, "mallory").Makes(s.T, p.st) }, says: "is not ines's"},
		"no proposal":            {change: func(_ setting, p *past) { p.armor = nil }, says: "signature is malformed"},
		"of another charter":     {change: func(s setting, p *past) { p.st = s.other(p.st, func(it *intent.Intent) { it.Charter[0] ^= 1 }) }, want: outbox.Later, says: "is not in force here"},
		"of another vault":       {change: func(s setting, p *past) { p.st = s.other(p.st, func(it *intent.Intent) { it.Vault[0] ^= 1 }) }, want: outbox.Later, says: "is not known to this node"},
		"of tomorrow": {change: func(s setting, p *past) {
			p.st = s.other(p.st, func(it *intent.Intent) {
				it.Created, it.Expires = it.Created.Add(48*time.Hour), it.Expires.Add(48*time.Hour)
			})
		}, want: outbox.Later, says: "compare the clocks"},
		"a byte more": {raw: func(b []byte) []byte { return append(b, 0) }, says: "decode ALLOWs"},
		"cut short":   {raw: func(b []byte) []byte { return b[:len(b)-1] }, says: "decode ALLOWs"},
		"nothing":     {raw: func([]byte) []byte { return nil }, says: "decode ALLOWs"},
	} {
		t.Run(name, func(t *testing.T) {
			s := base.copy(t, name)
			s.Pass = withoutNote(s.Hosts[2], decide.NoteProposal, decide.NotePast)
			s.Now = s.Now.Add(x.after)
			p := past{st, nodetest.NewPerson(t, nodetest.Initiator).Makes(t, st), nil}
			for _, h := range s.Hosts[:2] {
				d := said(h, st)
				p.allows = append(p.allows, s.bare(*d))
			}
			if x.change != nil {
				x.change(s, &p)
			}
			n := outbox.Note{Kind: decide.NotePast, Fields: [][]byte{p.st.Bytes(), p.armor, nodetest.Allows(p.allows)}}
			if x.raw != nil {
				n.Fields[2] = x.raw(n.Fields[2])
			}
			want := x.want
			if want == 0 {
				want = outbox.Refused
			}
			v, log := s.tell(s.Hosts[0], s.Hosts[2], n)
			if v != want || x.says != "-" && !strings.Contains(strings.ReplaceAll(log, `\"`, `"`), x.says) {
				t.Fatalf("verdict %d, want %d with %q: %s", v, want, x.says, log)
			}
			_, err := s.Hosts[2].Desk.Show(p.st.ID())
			if known := err == nil; known != (x.want == outbox.Taken && x.says == "") {
				t.Errorf("known: %v", known)
			}
			if rows := s.Rows(s.Hosts[2], "proposal/"); len(rows) != 0 && x.says != "" {
				t.Errorf("%d rows are left", len(rows))
			}
			if x.want == outbox.Taken && x.says == "" {
				if again, log := s.tell(s.Hosts[1], s.Hosts[2], n); again != outbox.Taken || log != "" {
					t.Errorf("again: verdict %d, %s", again, log)
				}
			}
		})
	}
}

// Two ALLOWs are not enough where three must sign. And a node's own among them, which it does not hold, says that its disk was set back.
func TestPastOfThree(t *testing.T) {
	t.Parallel()
	base := prepare(t, 3, 3)
	for own, want := range map[bool]outbox.Verdict{false: outbox.Refused, true: outbox.Taken} {
		s := base.copy(t, fmt.Sprint("own ", own))
		c := s.Hosts[2]
		c.Hostile = true
		s.Pass = withoutNote(c, decide.NoteProposal, decide.NoteDecision)
		st, n := s.Proposal(s.Intent(s.vault, s.addr, 0))
		it, err := intent.Of(st)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range s.Hosts[:2] {
			s.Act(h, func() { _, _ = h.Submit(t.Context(), s.Now, n) })
		}
		s.Now = s.Now.Add(nodetest.Life)
		var all []nodetest.Allow
		for i, h := range s.Hosts {
			if whole := s.allow(st, h.Own.Name, h, intent.Allow, it.Facts); i < 2 || own {
				d, err := intent.DecisionOf(whole.Decision)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, s.bare(decide.Decision{Decision: d, Statement: whole.Decision, Signature: whole.Signature}))
			}
		}
		n = outbox.Note{Kind: decide.NotePast, Fields: [][]byte{st.Bytes(), nodetest.NewPerson(t, nodetest.Initiator).Makes(t, st), nodetest.Allows(all)}}
		v, log := s.tell(s.Hosts[0], c, n)
		if v != want || !own && !strings.Contains(log, "fewer ALLOWs than the vault's threshold: 2 of treasury, not 3") || own != (c.Fence.Fenced() != nil) {
			t.Errorf("own %v: verdict %d, fenced: %v; %s", own, v, c.Fence.Fenced(), log)
		}
	}
}

// The proposal came, and no decision did: the note of the past adds them.
func TestPastOfAKnownIntent(t *testing.T) {
	t.Parallel()
	s := limited(t)
	c := s.Hosts[2]
	s.Pass = withoutNote(c, decide.NoteVote, decide.NoteDecision)
	st, n := s.transfer(nodetest.Initiator, 1, 6000, gwei30)
	for _, n := range []outbox.Note{n, s.Vote(st, "abel", signet.Approve), s.Vote(st, "bea", signet.Approve)} {
		for _, h := range s.Hosts[:2] {
			s.Act(h, func() { _, _ = h.Submit(t.Context(), s.Now, n) })
		}
		s.Deliver()
	}
	s.Now = s.Now.Add(nodetest.Life)
	s.Step(time.Second)
	if v, err := c.Desk.Show(st.ID()); err != nil || len(v.Decisions) != 0 || v.State != intent.Expired {
		t.Fatalf("knows %d decisions, %v", len(v.Decisions), err)
	}
	var all []nodetest.Allow
	for _, h := range s.Hosts[:2] {
		all = append(all, s.bare(*said(h, st)))
	}
	past := outbox.Note{Kind: decide.NotePast, Fields: [][]byte{st.Bytes(), nodetest.NewPerson(t, nodetest.Initiator).Makes(t, st), nodetest.Allows(all)}}
	for range 2 {
		if v, log := s.tell(s.Hosts[0], c, past); v != outbox.Taken || log != "" {
			t.Fatalf("verdict %d; %s", v, log)
		}
	}
	for range 2 {
		if v, err := c.Desk.Show(st.ID()); err != nil || len(v.Decisions) != 2 || !s.full(c, 2) {
			t.Errorf("knows %d decisions, %v, or does not count it", len(v.Decisions), err)
		}
		s.Crash(c)
		s.Run("it is there again", func() bool { return c.Up })
	}
}

// A node dies just before or after a note of the past is durable: in the end it counts it, and no row is left over.
func TestCrashAtThePast(t *testing.T) {
	t.Parallel()
	base := limited(t)
	for name, fate := range map[string]nodetest.Fate{"before": nodetest.CrashBefore, "after": nodetest.CrashAfter} {
		s := base.copy(t, name)
		c, fell := s.Hosts[2], false
		s.Downtime = -1
		s.Crash(c)
		st := s.give(1, 6000, gwei30)
		s.Run("signed", func() bool { return s.State(s.Hosts[0], st.ID()) == intent.Signed })
		s.Now = s.Now.Add(nodetest.Life)
		s.Downtime = time.Second
		s.Fate = func(h *nodetest.Host, _ int, b store.Batch) nodetest.Fate {
			if fell || h != c || !slices.ContainsFunc(b.Put, func(e store.Entry) bool { return strings.HasPrefix(e.Key, "proposal/") }) {
				return nodetest.Live
			}
			fell = true
			return fate
		}
		s.Start(c)
		s.Run("it is told of the signature", func() bool { return c.Up && s.State(c, st.ID()) == intent.Signed })
		if !fell || !s.full(c, 2) {
			t.Errorf("%s: fell %v, or it does not count what others signed", name, fell)
		}
		s.Run("nothing waits", func() bool { return awaited(s.World) == 0 })
	}
}

func (s setting) other(st statement.Statement, change func(*intent.Intent)) statement.Statement {
	s.T.Helper()
	it, err := intent.Of(st)
	if err != nil {
		s.T.Fatal(err)
	}
	change(&it)
	out, err := it.Statement(st.Salt())
	if err != nil {
		s.T.Fatal(err)
	}
	return out
}

// allow is a decision as a note of the past carries it, signed as it stands.
func (s setting) allow(st statement.Statement, operator string, by *nodetest.Host, verdict intent.Verdict, facts []intent.Fact) nodetest.Allow {
	s.T.Helper()
	it, err := intent.Of(st)
	if err != nil {
		s.T.Fatal(err)
	}
	d := intent.Decision{Charter: it.Charter, Vault: it.Vault, Intent: st.ID(), Operator: operator, Verdict: verdict, Rule: decide.RulePolicy, Facts: facts, Created: s.Now}
	ds, err := d.Statement(s.Salt())
	if err != nil {
		s.T.Fatal(err)
	}
	sig, err := signet.SignNode(by.Key, ds)
	if err != nil {
		s.T.Fatal(err)
	}
	return nodetest.Allow{Decision: ds, Signature: sig}
}

// bare is a decision that was published, as such a note carries it.
func (s setting) bare(d decide.Decision) nodetest.Allow {
	s.T.Helper()
	x := d.Decision
	x.Facts = nil
	bare, err := x.Statement(d.Statement.Salt())
	if err != nil {
		s.T.Fatal(err)
	}
	return nodetest.Allow{Decision: bare, Signature: d.Signature}
}

// mayBeSigned gives 6000 with nonce 1, which all allow; its time is over, and nobody knows a signature.
func (s setting) mayBeSigned() {
	s.T.Helper()
	s.Pass = withoutSessions
	st := s.give(1, 6000, gwei30)
	s.Run("all know that all allow it", func() bool {
		return s.All(func(h *nodetest.Host) bool { v, _ := h.Desk.Show(st.ID()); return len(v.Decisions) == 3 })
	})
	s.Now = s.Now.Add(nodetest.Life)
	s.Step(time.Second)
	s.Pass = nil
}

// Of two with one nonce the chain takes one: what may be signed counts until another with its nonce is final, and again if that is thrown out.
func TestLimitOfWhatCannotBeMined(t *testing.T) {
	t.Parallel()
	s := limited(t)
	a := s.Hosts[0]
	s.mayBeSigned()
	rival := s.give(1, 1, gwei30)
	s.Run("the other with its nonce is signed", func() bool { return s.Signed(rival) })
	s.Pass = withoutSessions
	if !s.full(a, 2) {
		t.Error("what may be signed does not count beside another that is signed and not mined")
	}
	happens := func(s setting, events ...intent.Event) {
		t.Helper()
		for _, e := range events {
			if err := s.Hosts[0].Desk.OnChain(context.Background(), s.Now, rival.ID(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	happens(s, intent.WasBroadcast{}, intent.WasConfirmed{Height: 7, Block: "0x07"})
	if !s.full(a, 3) {
		t.Error("what may be signed does not count beside another in a block that is not final")
	}
	happens(s, intent.BecameFinal{})
	reorged := s.copy(t, "reorged") // starts again, so it counts anew
	happens(reorged, intent.WasReorged{})
	if !reorged.full(reorged.Hosts[0], 4) {
		t.Error("its rival was thrown out, and what may be signed does not count again")
	}
	for _, s := range []setting{s.copy(t, "again"), s} {
		st := s.give(5, 6000, gwei30)
		s.Run("allowed: the first can never be mined", func() bool { return allows(s.Hosts[0], []statement.Statement{st}) == 1 })
	}
}

// A transaction that is to replace another needs no room for both, and the larger counts whichever is signed. Asking again for what is signed adds
// nothing.
func TestLimitOfOneNonce(t *testing.T) {
	t.Parallel()
	s := limited(t)
	a := s.Hosts[0]
	s.mayBeSigned()
	second := s.give(1, 6001, gwei30) // 12,003 with the first
	s.Run("signed: of the two one can be mined", func() bool { return s.Signed(second) })
	s.Pass = withoutSessions
	room := func(s setting, nonce uint64, thousandths int64) bool {
		st := s.give(nonce, thousandths, gwei30)
		return s.Try(10*time.Second, func() bool { return allows(s.Hosts[0], []statement.Statement{st}) == 1 })
	}
	if one := s.copy(t, "more"); room(one, 2, 3998) {
		t.Error("6002 and 3999 are more than the limit")
	}
	if one := s.copy(t, "just"); !room(one, 2, 3997) {
		t.Error("6002 and 3998 are the limit")
	}
	for range 5 { // the same again, by others who call it signed
		it := s.Intent(s.vault, s.addr, 1)
		it.Transaction = s.payload(1, 6001, gwei30)
		st, n := s.Proposal(it)
		if _, err := s.Submit(n); err != nil {
			t.Fatal(err)
		}
		v, _ := a.Desk.Show(second.ID())
		id := st.ID()
		s.Hosts[1].Hostile = true
		if got, log := s.tell(s.Hosts[1], a, outbox.Note{Kind: decide.NoteSigned, Fields: [][]byte{id[:], v.Raw}}); got != outbox.Taken {
			t.Fatalf("verdict %d: %s", got, log)
		}
		s.Now = s.Now.Add(time.Hour)
	}
	if !room(s.copy(t, "as before"), 2, 3997) {
		t.Error("what is signed counts again for each intent that asks for it")
	}
	s.Now = s.Now.Add(20 * time.Hour) // a day after it was first signed
	if !room(s, 2, 9000) {
		t.Error("who asks again for what is signed makes it count for longer")
	}
}
