package node_test

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// word is an ALLOW of a dishonest operator, whatever its reason and facts.
func (s setting) word(st statement.Statement, by *nodetest.Host, reason string, facts []intent.Fact) outbox.Note {
	s.T.Helper()
	it, err := intent.Of(st)
	if err != nil {
		s.T.Fatal(err)
	}
	d := intent.Decision{Charter: it.Charter, Vault: it.Vault, Intent: st.ID(), Operator: by.Own.Name, Verdict: intent.Allow, Rule: decide.RulePolicy, Reason: reason, Facts: facts, Created: s.Now}
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

// pastOf is a note of the past of an intent that these hosts allow.
func (s setting) pastOf(st statement.Statement, hosts ...*nodetest.Host) outbox.Note {
	s.T.Helper()
	it, err := intent.Of(st)
	if err != nil {
		s.T.Fatal(err)
	}
	var all []nodetest.Allow
	for _, h := range hosts {
		if d := said(h, st); d != nil && !h.Hostile {
			all = append(all, s.bare(*d))
			continue
		}
		whole := s.allow(st, h.Own.Name, h, intent.Allow, it.Facts)
		d, err := intent.DecisionOf(whole.Decision)
		if err != nil {
			s.T.Fatal(err)
		}
		all = append(all, s.bare(decide.Decision{Decision: d, Statement: whole.Decision, Signature: whole.Signature}))
	}
	return outbox.Note{Kind: decide.NotePast, Fields: [][]byte{st.Bytes(), nodetest.NewPerson(s.T, it.Initiator).Makes(s.T, st), nodetest.Allows(all)}}
}

// An ALLOW that no note of the past could carry is taken by nobody: it would count here, and not at who comes later.
func TestAllowThatNoNoteCarries(t *testing.T) {
	t.Parallel()
	s := limited(t)
	a, d := s.Hosts[0], s.Hosts[1]
	s.Downtime = -1
	d.Hostile = true
	s.Crash(d)
	st, n := s.transfer(nodetest.Initiator, 1, 6000, gwei30)
	s.Act(a, func() {
		if _, err := a.Submit(t.Context(), s.Now, n); err != nil {
			t.Fatal(err)
		}
	})
	it, _ := intent.Of(st)
	other := slices.Clone(it.Facts)
	other[0].Value = "another"
	for name, n := range map[string]outbox.Note{
		"no facts": s.word(st, d, "permitted", nil), "fewer facts": s.word(st, d, "permitted", it.Facts[1:]), "another fact": s.word(st, d, "permitted", other),
		"a reason in quotes": s.word(st, d, `"x"`, it.Facts),
	} {
		if v, log := s.tell(d, a, n); v != outbox.Refused || !strings.Contains(log, "allows other facts than the intent's") {
			t.Errorf("%s: verdict %d, %s", name, v, log)
		}
	}
	if v, log := s.tell(d, a, s.word(st, d, "permitted", it.Facts)); v != outbox.Taken {
		t.Errorf("as nodes write it: verdict %d, %s", v, log)
	}
}

// Two of a committee of 2-of-3 turn dishonest after it became 3-of-5: their ALLOWs in the name of the old epoch, or of one that never was, on an
// intent made long after it was over, fill nobody's limit.
func TestOldCommitteeFillsNoLimit(t *testing.T) {
	t.Parallel()
	for name, invented := range map[string]bool{"the old epoch": false, "an invented one": true} {
		s := limitedTo(t, 5, 3)
		old := recordAt(s.Hosts[0], s.vault, s.Suite).Hash()
		s.SignReshareAll(nodetest.Wish(s.vault, 3, s.Hosts...), s.Hosts...)
		s.Run("the vault is in other hands", func() bool { return heldBy(s.World, s.vault, 3, s.Hosts...) })
		for _, after := range []time.Duration{30 * time.Minute, 10 * 24 * time.Hour} {
			s.Now = s.Now.Add(after)
			s.Step(time.Second)
			it := s.Intent(s.vault, s.addr, 1)
			if it.Epoch = old; invented {
				it.Epoch[0] ^= 1
				it.Created, it.Expires = it.Created.Add(-nodetest.Life), it.Created // else its certificate may be on its way
			}
			it.Transaction = s.payload(1, 6000, gwei30)
			st, _ := s.Proposal(it)
			s.Hosts[0].Hostile, s.Hosts[1].Hostile = true, true
			past := s.pastOf(st, s.Hosts[:2]...)
			for _, h := range s.Hosts[2:] {
				v, log := s.tell(s.Hosts[0], h, past)
				if want := after < time.Hour; want != (v == outbox.Taken) { // a member may lag behind for so long
					t.Errorf("%s, %v later, %s: verdict %d, %s", name, after, h.Own.Name, v, log)
				}
			}
		}
	}
}

// One dishonest ALLOW on an intent that nobody approved does not keep its nonce from one that everybody approved.
func TestNonceIsNotKeptByOneAllow(t *testing.T) {
	t.Parallel()
	s := limited(t)
	a, d, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.Downtime = -1
	d.Hostile = true
	s.Crash(d)
	s.Pass = withoutSessions
	submit := func(notes ...outbox.Note) {
		for _, n := range notes {
			for _, h := range []*nodetest.Host{a, c} {
				s.Act(h, func() { _, _ = h.Submit(t.Context(), s.Now, n) })
			}
		}
	}
	evil, n := s.transfer("ivan", 1, 1, gwei30)
	submit(n)
	it, _ := intent.Of(evil)
	for _, h := range []*nodetest.Host{a, c} {
		if v, log := s.tell(d, h, s.word(evil, d, "permitted", it.Facts)); v != outbox.Taken {
			t.Fatal(v, log)
		}
	}
	good, n := s.transfer(nodetest.Initiator, 1, 2, gwei30)
	submit(n, s.Vote(good, "abel", signet.Approve), s.Vote(good, "bea", signet.Approve))
	s.Run("what people approved is allowed", func() bool {
		return allows(a, []statement.Statement{good}) == 1 && allows(c, []statement.Statement{good}) == 1
	})
}

// A newcomer that is told before it knows that it comes to hold the vault keeps nothing; it is told again once it does.
func TestNewcomerToldTooEarly(t *testing.T) {
	t.Parallel()
	s := limitedTo(t, 4, 3)
	c := s.Hosts[3]
	s.Pass = withoutSessions
	st := s.give(1, 6000, gwei30)
	s.Run("all allow", func() bool {
		return !slices.ContainsFunc(s.Hosts[:3], func(h *nodetest.Host) bool { return said(h, st) == nil })
	})
	s.Now = s.Now.Add(nodetest.Life)
	s.Step(time.Second)
	s.Pass = nil
	s.Now = s.Now.Add(2 * time.Hour)
	s.Try(10*time.Minute, func() bool { return false }) // what was said of the intent is given up
	wish := nodetest.Wish(s.vault, 3, s.Hosts[1:]...)
	s.SignReshare(s.Hosts[0], true, wish)
	s.SignReshare(c, false, wish)
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if n, err := outbox.Decode(p.Frame[1:]); p.To == c && p.Frame[0] == nodetest.FrameNote && err == nil && (n.Kind == circle.NoteReshare || n.Kind == circle.NoteAccepted) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	s.SignReshare(s.Hosts[1], false, wish)
	s.SignReshare(s.Hosts[2], false, wish)
	s.Try(5*time.Second, func() bool { return false })
	if _, err := c.Desk.Show(st.ID()); !errors.Is(err, decide.ErrUnknown) {
		t.Fatalf("it knows the intent before the plan: %v", err)
	}
	s.Pass = nil
	s.Run("the vault is in other hands", func() bool { return heldBy(s.World, s.vault, 3, s.Hosts[1:]...) })
	s.Run("it is told", func() bool { _, err := c.Desk.Show(st.ID()); return err == nil })
}

// A note of the past brings a live intent that names an epoch whose certificate is on its way: it is not closed for good.
func TestLiveIntentIsNotClosed(t *testing.T) {
	t.Parallel()
	s := limited(t)
	a, d, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	old := recordAt(a, s.vault, s.Suite).Hash()
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if n, err := outbox.Decode(p.Frame[1:]); p.To == c && p.Frame[0] == nodetest.FrameNote && err == nil && (n.Kind == ceremony.NoteFinal || n.Kind == ceremony.NoteFinalCert) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	for _, h := range s.Hosts {
		if err := h.Keeper.AskRefresh(context.Background(), s.Now, s.vault, s.Suite); err != nil {
			t.Fatal(err)
		}
	}
	s.Run("new shares", func() bool { return recordAt(a, s.vault, s.Suite).Hash() != old })
	it := s.Intent(s.vault, s.addr, 1)
	it.Epoch, it.Transaction = recordAt(a, s.vault, s.Suite).Hash(), s.payload(1, 1000, gwei30)
	st, n := s.Proposal(it)
	for _, n := range []outbox.Note{n, s.Vote(st, "abel", signet.Approve), s.Vote(st, "bea", signet.Approve)} {
		s.Act(a, func() {
			if _, err := a.Submit(t.Context(), s.Now, n); err != nil {
				t.Fatal(err)
			}
		})
	}
	waiting := s.Queue
	d.Hostile = true
	if v, log := s.tell(d, c, s.pastOf(st, a, d)); v != outbox.Later || !strings.Contains(log, "which is not in force here yet") {
		t.Fatalf("verdict %d, %s", v, log)
	}
	s.Queue, s.Pass = append(waiting, s.Queue...), withoutSessions
	s.Run("it decides like all others", func() bool { return allows(c, []statement.Statement{st}) == 1 })
}

// What a node said before it was restored, and its operator answered for that, fences it no more: a dishonest peer may have kept it back.
func TestOperatorsWordAnswersForThePast(t *testing.T) {
	t.Parallel()
	s := limited(t)
	a, d, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.Check = func(h *nodetest.Host, _ evm.Address, _ evm.Facts) (bool, string, error) {
		if h == a {
			return false, "", errors.New("the endpoint is not there")
		}
		return false, "", nil
	}
	d.Hostile = true
	snap := s.Rows(c, "")
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if n, err := outbox.Decode(p.Frame[1:]); p.From == d && p.Frame[0] == nodetest.FrameNote && err == nil && (n.Kind == decide.NoteDecision || n.Kind == decide.NotePast) {
			return nil // it keeps its own
		}
		return withoutSessions(p)
	}
	first, second := s.give(1, 3000, gwei30), s.give(2, 3000, gwei30)
	s.Run("it allows both", func() bool { return allows(c, []statement.Statement{first, second}) == 2 })
	pass(s.World, 15*time.Second)
	early, late := s.pastOf(first, d, c), s.pastOf(second, d, c)
	s.Now = s.Now.Add(nodetest.Life)
	s.Restore(c, snap)
	s.Run("it is fenced", func() bool { return c.Fence.Fenced() != nil })
	s.Try(2*time.Minute, func() bool { return false })
	if _, err := c.ConfirmRestore(context.Background(), s.Now); err != nil {
		t.Fatal(err)
	}
	s.Run("the peers meet it again", func() bool { return s.Greeted() })
	if v, _ := s.tell(d, c, early); v != outbox.Taken || c.Fence.Fenced() != nil {
		t.Errorf("verdict %d, fenced: %v", v, c.Fence.Fenced())
	}
	s.Crash(c)
	s.Run("it is there again", func() bool { return c.Up && s.Greeted() })
	if v, _ := s.tell(d, c, late); v != outbox.Taken || c.Fence.Fenced() != nil {
		t.Errorf("after a start: verdict %d, fenced: %v", v, c.Fence.Fenced())
	}
	if d := said(c, second); d == nil || d.Verdict != intent.Allow {
		t.Error("it does not count what it said")
	}
}

// A peer that says again and again that it was restored is sent what it may have forgotten once a minute at most, and the last time too.
func TestRestoredAgainAndAgain(t *testing.T) {
	t.Parallel()
	s := limited(t)
	a, d := s.Hosts[0], s.Hosts[1]
	st := s.give(1, 1, gwei30)
	s.Run("signed", func() bool { return s.State(a, st.ID()) == intent.Signed && awaited(s.World) == 0 })
	s.Downtime = -1
	s.Crash(d)
	d.Hostile = true
	told := 0
	tick := func(pause time.Duration) {
		s.Now = s.Now.Add(pause)
		s.Act(a, func() { a.Tick(context.Background(), s.Clock(a)) })
		for _, p := range s.Queue {
			if n, err := outbox.Decode(p.Frame[1:]); p.To == d && p.Frame[0] == nodetest.FrameNote && err == nil {
				if n.Kind == decide.NotePast {
					told++
				}
				id := n.ID()
				s.Act(a, func() {
					a.Deliver(context.Background(), s.Clock(a), d.Own.Identity, append(append([]byte{nodetest.FrameVerdict}, id[:]...), byte(outbox.Taken)))
				})
			}
		}
		s.Queue = nil
	}
	for i := range uint64(30) {
		frame := append([]byte{nodetest.FrameLife}, restoredLife(d, 1000+i)...)
		s.Act(a, func() { a.Deliver(context.Background(), s.Clock(a), d.Own.Identity, frame) })
		tick(10 * time.Millisecond)
	}
	if told != 1 {
		t.Errorf("it is told %d times within a second", told)
	}
	tick(time.Minute)
	tick(time.Second)
	if told != 2 {
		t.Errorf("it is told %d times in the end: the last word was never answered", told)
	}
}

// restoredLife is a hail of a host whose operator just confirmed a restore (spec/node 8.1, 8.2).
func restoredLife(h *nodetest.Host, counter uint64) []byte {
	b := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, counter), counter-1)
	b = append(binary.BigEndian.AppendUint64(b, counter), make([]byte, 8)...) // instance
	b = append(binary.BigEndian.AppendUint64(b, 1<<40), make([]byte, 32)...)
	sig := ed25519.Sign(h.Key, transcript.New(transcript.NodeLife).Bytes(h.Key.Public().(ed25519.PublicKey)).Bytes(b).Tree())
	return append(append(b, sig...), make([]byte, 32)...)
}

// What a node denied, and t others allowed, may be signed until its time is over, not only until the node's own word on it: it counts as long.
func TestLimitOfWhatLivesElsewhere(t *testing.T) {
	t.Parallel()
	s := limited(t)
	c := s.Hosts[2]
	s.Pass = withoutSessions
	s.Check = func(h *nodetest.Host, _ evm.Address, f evm.Facts) (bool, string, error) {
		if h == c && f.Nonce == 1 {
			return true, "the nonce is used", nil
		}
		return false, "", nil
	}
	it := s.Intent(s.vault, s.addr, 1)
	it.Transaction, it.Expires = s.payload(1, 6000, gwei30), it.Created.Add(48*time.Hour)
	st, n := s.Proposal(it)
	if _, err := s.Submit(n); err != nil {
		t.Fatal(err)
	}
	s.Approve(st)
	s.Run("two allow, and one denies", func() bool {
		d := said(c, st)
		return allows(s.Hosts[0], []statement.Statement{st})+allows(s.Hosts[1], []statement.Statement{st}) == 2 && d != nil && d.Verdict == intent.Deny
	})
	s.Forge(s.Hosts[1], c, frameOf(s.decision(st, s.Hosts[1], s.Hosts[1], intent.Deny))) // it says both: here the intent is denied
	s.Run("it hears what others allowed", func() bool { v, _ := c.Desk.Show(st.ID()); return len(v.Decisions) == 4 })
	if state := s.State(c, st.ID()); state != intent.Denied {
		t.Fatalf("here it is %s: this test shows nothing", state)
	}
	for i, after := range []time.Duration{25 * time.Hour, 24 * time.Hour, 22 * time.Hour} { // 71 hours in all
		s.Now = s.Now.Add(after)
		s.Step(time.Second)
		if !s.full(c, uint64(2+i)) {
			t.Errorf("after step %d it does not count what others may sign, or signed %v ago at the latest", i, s.Now.Sub(it.Expires))
		}
	}
	s.Now = it.Expires.Add(24*time.Hour + 2*intent.Skew)
	s.Step(time.Second)
	last := s.give(9, 6000, gwei30)
	s.Run("the window is over", func() bool { return allows(c, []statement.Statement{last}) == 1 })
}
