package session_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
)

// TOB-SILA-9: a Setup is decided on once, whoever repeats it and whatever happened since.
func TestSetupReplay(t *testing.T) {
	c := newCluster(t, 3, 3)
	var setup flight
	c.hold = func(f flight) bool {
		if f.is(mpc.SetupFrame) && f.to == 1 {
			setup = f
		}
		return false
	}
	hash, err := c.open(0, c.toySetup())
	if err != nil {
		t.Fatal(err)
	}
	n := c.nodes[1]
	replay := func(when string) {
		t.Helper()
		for _, from := range []int{0, 2, 1} {
			before := len(n.events)
			err := c.deliver(flight{from, 1, setup.frame})
			if err == nil || errors.Is(err, session.ErrRefused) != (from == 0) || len(n.asked) != 1 || len(n.events) != before {
				t.Errorf("%s, from %d: %v; policy was asked %d times; %q", when, from, err, len(n.asked), n.events[before:])
			}
		}
	}
	c.pump(nil)
	c.results(hash)
	replay("after the session")
	n.disk.Crash()
	n.start()
	replay("after a restart")
	c.now = c.now.Add(10 * time.Minute)
	replay("after it ran out")
	if err := n.host.ForgetSeen(ctx, c.now.Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	replay("after its mark was forgotten")
	items, err := n.store.Range(ctx, store.Prefix(store.KindSeen), "", 10)
	if err != nil || len(items) != 0 {
		t.Errorf("%d marks are left, %v", len(items), err)
	}
}

// While a Setup is open its repetition says nothing, and asks nobody.
func TestSetupRepeatedWhileOpen(t *testing.T) {
	c := newCluster(t, 2, 2)
	if _, err := c.open(0, c.toySetup()); err != nil {
		t.Fatal(err)
	}
	setup := c.queue[0]
	for i := range 3 {
		if err := c.deliver(setup); err != nil || len(c.nodes[1].asked) != 1 {
			t.Errorf("delivery %d: %v, asked %d times", i, err, len(c.nodes[1].asked))
		}
	}
}

func TestForgetSeenKeepsWhatMayBeReplayed(t *testing.T) {
	c := newCluster(t, 2, 2)
	for range 300 { // more than a batch
		c.now = c.now.Add(time.Second)
		if _, err := c.open(0, c.toySetup()); err != nil {
			t.Fatal(err)
		}
		c.queue = nil
	}
	n := c.nodes[0]
	count := func() int {
		items, err := n.store.Range(ctx, store.Prefix(store.KindSeen), "", store.MaxLimit)
		if err != nil {
			t.Fatal(err)
		}
		return len(items)
	}
	runsOut := c.now.Add(5 * time.Minute)
	for _, s := range []struct {
		now  time.Time
		want int
	}{{c.now, 300}, {runsOut.Add(23 * time.Hour), 300}, {runsOut.Add(24*time.Hour - 99*time.Second), 100}, {runsOut.Add(24*time.Hour + time.Second), 0}} {
		if err := n.host.ForgetSeen(ctx, s.now); err != nil || count() != s.want {
			t.Errorf("at %v: %d marks, want %d; %v", s.now, count(), s.want, err)
		}
	}
}

// Whatever the order and however often frames come, the session ends well everywhere: joins
// before their setup, messages before the last join, round 2 before round 1.
func TestAnyOrderAndRepetition(t *testing.T) {
	for seed := range uint64(60) {
		c := newCluster(t, 3, 3)
		r := rand.New(rand.NewPCG(seed, 1))
		hash, err := c.open(0, c.toySetup())
		if err != nil {
			t.Fatal(err)
		}
		more := 100
		c.hold = func(f flight) bool {
			if more > 0 && r.IntN(4) == 0 {
				more--
				c.queue = append(c.queue, flight{(f.to + 1) % 3, f.to, f.frame}) // by another link
			}
			return false
		}
		c.pump(r.IntN)
		c.results(hash)
	}
}

// The joins of others and even the first messages come before the setup.
func TestSetupComesLast(t *testing.T) {
	c := newCluster(t, 3, 3)
	c.hold = func(f flight) bool { return f.to == 2 && f.is(mpc.SetupFrame) }
	hash, err := c.open(0, c.toySetup())
	if err != nil {
		t.Fatal(err)
	}
	c.pump(nil)
	c.hold = nil
	c.pump(nil)
	c.results(hash)
}

// Frames of other sessions, keys and epochs, forged and garbled ones: 10,000 of them in the
// middle of a session, which completes (TOB-SILA-14).
func TestGarbageMidSession(t *testing.T) {
	c := newCluster(t, 3, 3)
	r := rand.New(rand.NewPCG(1, 2))
	var real []flight
	c.hold = func(f flight) bool { real = append(real, f); return false }
	first, err := c.open(1, c.toySetup())
	if err != nil {
		t.Fatal(err)
	}
	c.pump(nil)
	c.results(first)
	old := slices.Clone(real)
	epoch := c.toySetup()
	epoch.Epoch[0] ^= 1
	key := c.toySetup()
	key.KeyID[0] ^= 1
	for _, s := range []*mpc.Setup{epoch, key} { // another epoch, another key: their own sessions
		if _, err := c.open(1, s); err != nil {
			t.Fatal(err)
		}
		c.pump(nil)
	}
	hash, err := c.open(0, c.toySetup())
	if err != nil {
		t.Fatal(err)
	}
	var rest []flight
	c.hold = func(f flight) bool { return len(f.frame) > 0 && !f.is(mpc.SetupFrame) && !f.is(mpc.JoinFrame) }
	c.pump(nil)
	c.mu.Lock()
	rest = slices.Clone(c.queue)
	c.mu.Unlock()
	if len(rest) == 0 {
		t.Fatal("no message waits")
	}
	for i := range 10_000 {
		f := rest[i%len(rest)]
		f.frame = bytes.Clone(f.frame)
		switch i % 5 {
		case 0: // one bit
			f.frame[r.IntN(len(f.frame))] ^= 1 << r.IntN(8)
		case 1: // noise
			f.frame = make([]byte, r.IntN(300))
			for k := range f.frame {
				f.frame[k] = byte(r.Uint32())
			}
		case 2: // cut
			f.frame = f.frame[:r.IntN(len(f.frame))]
		case 3: // of another session
			f.frame = old[r.IntN(len(old))].frame
		case 4: // to somebody else
			f.to = r.IntN(3)
		}
		_ = c.deliver(f)
	}
	c.hold = nil
	c.pump(nil)
	c.results(hash)
}

func TestDecline(t *testing.T) {
	c := newCluster(t, 3, 3)
	c.hold = func(f flight) bool { return f.to != 0 }
	hash, err := c.open(0, c.toySetup())
	if err != nil {
		t.Fatal(err)
	}
	n := c.nodes[0]
	n.host.Declined(ctx, c.now, engine.PartyID{9}, hash, "I am a stranger", false)
	n.host.Declined(ctx, c.now, c.nodes[1].id, [32]byte{9}, "another setup", false)
	if _, ended := n.ended(hash); ended {
		t.Fatal("a decline that means nothing ended the session")
	}
	n.host.Declined(ctx, c.now, c.nodes[1].id, hash, "policy\x1b[31m says no", false)
	err, _ = n.ended(hash)
	var d *session.DeclinedError
	var f *engine.Fault
	if !errors.As(err, &d) || d.By != c.nodes[1].id || d.Reason != "policy?[31m says no" || !errors.As(err, &f) || f.Class != engine.Transient {
		t.Errorf("ended with %v", err)
	}
}

// Who cannot join yet says so, to the opener and through it to all others: they know that nobody is in the way.
func TestDeclineForNow(t *testing.T) {
	for name, c := range map[string]struct {
		by     int // whose word node 1 hears: the opener's or the decliner's own
		notYet bool
	}{"of the opener": {0, true}, "of the opener, for good": {0, false}, "of the party": {2, true}, "of the party, for good": {2, false}} {
		t.Run(name, func(t *testing.T) {
			cl := newCluster(t, 3, 3)
			cl.hold = func(f flight) bool { return f.from == 2 || f.to == 2 }
			hash, err := cl.open(0, cl.toySetup())
			if err != nil {
				t.Fatal(err)
			}
			cl.pump(nil)
			n := cl.nodes[1]
			n.host.Declined(ctx, cl.now, cl.nodes[c.by].id, hash, "its log is not cosigned", c.notYet)
			err, ended := n.ended(hash)
			var d *session.DeclinedError
			if !ended || errors.Is(err, session.ErrNotYet) != c.notYet || errors.As(err, &d) != (c.by == 2) || !strings.Contains(err.Error(), "its log is not cosigned") {
				t.Errorf("ended %t with %v", ended, err)
			}
		})
	}
}

// A decline after the last join ends nothing: else a peer could abort what has begun.
func TestDeclineAfterTheBeginning(t *testing.T) {
	c := newCluster(t, 2, 2)
	c.hold = func(f flight) bool { return f.is(mpc.MessageFrame) }
	hash, err := c.open(0, c.toySetup())
	if err != nil {
		t.Fatal(err)
	}
	c.pump(nil)
	c.nodes[0].host.Declined(ctx, c.now, c.nodes[1].id, hash, "too late", false)
	c.hold = nil
	c.pump(nil)
	c.results(hash)
}

// The silent are named and nobody is accused.
func TestDeadlineNamesWhomWeWaitFor(t *testing.T) {
	for _, at := range []struct {
		name  string
		hold  func(flight) bool
		round uint8
	}{
		{"join", func(f flight) bool { return f.from == 2 || f.to == 2 }, 0},
		{"round 1", func(f flight) bool { return f.from == 2 && f.is(mpc.MessageFrame) }, 1},
	} {
		t.Run(at.name, func(t *testing.T) {
			c := newCluster(t, 3, 3)
			c.hold = at.hold
			hash, err := c.open(0, c.toySetup())
			if err != nil {
				t.Fatal(err)
			}
			c.pump(nil)
			n := c.nodes[0]
			if s := n.host.Sessions(); len(s) != 1 || !slices.Equal(s[0].Waiting, []engine.PartyID{c.nodes[2].id}) || s[0].Round != at.round || !s[0].Ended.IsZero() {
				t.Errorf("sessions are %+v", s)
			}
			c.tick(20 * time.Second)
			if _, ended := n.ended(hash); ended {
				t.Error("ended at its deadline, not after it")
			}
			c.tick(time.Second)
			err, _ = n.ended(hash)
			var silent *session.SilentError
			var f *engine.Fault
			if !errors.As(err, &silent) || !slices.Equal(silent.Waiting, []engine.PartyID{c.nodes[2].id}) {
				t.Errorf("ended with %v", err)
			}
			if !errors.As(err, &f) || f.Class != engine.Transient || len(f.Accused) != 0 || f.Round != at.round {
				t.Errorf("fault is %+v", f)
			}
			if s := n.host.Sessions(); len(s) != 1 || s[0].Err == nil || s[0].Ended.IsZero() {
				t.Errorf("sessions are %+v", s)
			}
		})
	}
}

// The process was stopped for longer than the deadline and no Tick came between: nothing stale
// leaves, whatever the next frame is.
func TestPausePastTheDeadline(t *testing.T) {
	for _, kind := range []mpc.FrameType{mpc.JoinFrame, mpc.MessageFrame} {
		c := newCluster(t, 2, 2)
		c.hold = func(f flight) bool { return f.to == 0 && f.is(kind) }
		hash, err := c.open(0, c.toySetup())
		if err != nil {
			t.Fatal(err)
		}
		c.pump(nil)
		n := c.nodes[0]
		sent := len(n.events)
		c.now, c.hold = c.now.Add(time.Minute), nil
		c.pump(nil)
		var silent *session.SilentError
		if err, _ := n.ended(hash); !errors.As(err, &silent) || len(n.events) != sent {
			t.Errorf("frame type %d: ended with %v after %q", kind, err, n.events[sent:])
		}
	}
}

// A setup that comes after a pause is refused, as is one from the future or not for us.
func TestSetupsThatAreRefusedUnasked(t *testing.T) {
	c := newCluster(t, 3, 3)
	late, early, foreign := c.toySetup(), c.toySetup(), c.toySetup()
	late.NotAfter = c.now.Add(-time.Second)
	early.NotAfter = c.now.Add(2 * time.Hour)
	foreign.Parties = c.com.Parties[:2]
	foreign.Threshold = 2
	for name, s := range map[string]*mpc.Setup{"late": late, "early": early, "not ours": foreign} {
		s.Opener = c.nodes[0].id
		frame, err := mpc.SealSetup(s, c.com.Signer(s.Opener))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.deliver(flight{0, 2, frame}); !errors.Is(err, session.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := c.nodes[2]; len(n.asked)+len(n.events) != 0 {
		t.Errorf("asked %d times, events %q", len(n.asked), n.events)
	}
}

func TestRestartEndsSessionsCleanly(t *testing.T) {
	c := newCluster(t, 2, 2)
	c.hold = func(f flight) bool { return f.to == 0 && f.is(mpc.MessageFrame) }
	hash, err := c.open(0, c.toySetup())
	if err != nil {
		t.Fatal(err)
	}
	c.pump(nil)
	n := c.nodes[0]
	n.disk.Crash()
	n.start()
	c.hold = nil
	events := len(n.events)
	c.pump(nil)
	if len(n.events) != events || len(n.host.Sessions()) != 0 {
		t.Errorf("after the restart: %q, %d sessions", n.events[events:], len(n.host.Sessions()))
	}
	c.tick(21 * time.Second)
	var silent *session.SilentError
	if err, _ := c.nodes[1].ended(hash); !errors.As(err, &silent) {
		t.Errorf("the other ended with %v", err)
	}
	again, err := c.open(0, c.toySetup())
	if err != nil {
		t.Fatal(err)
	}
	c.pump(nil)
	if err, ended := n.ended(again); err != nil || !ended {
		t.Errorf("ended %v with %v", ended, err)
	}
}

func TestCloseBeginsNothingMore(t *testing.T) {
	c := newCluster(t, 2, 2)
	c.hold = func(f flight) bool { return f.is(mpc.MessageFrame) }
	hash, err := c.open(0, c.toySetup())
	if err != nil {
		t.Fatal(err)
	}
	c.pump(nil)
	n := c.nodes[0]
	n.host.Close(ctx, c.now)
	c.hold = nil
	events := len(n.events)
	c.pump(nil)
	var f *engine.Fault
	if err, ended := n.ended(hash); !ended || !errors.As(err, &f) || f.Class != engine.Transient || len(n.events) != events {
		t.Errorf("ended %v with %v; %q", ended, err, n.events[events:])
	}
	if _, err := c.open(0, c.toySetup()); !errors.Is(err, session.ErrRefused) {
		t.Errorf("opened with %v", err)
	}
}

// Lag is no offence: the session ends, and names whose standing differs.
func TestStandingsThatDiffer(t *testing.T) {
	c := newCluster(t, 2, 2)
	c.nodes[1].admit = func(s *mpc.Setup) (*session.Task, error) {
		return c.nodes[1].toy(s, toyHooks{standing: mpc.Standing{Epoch: 1}})
	}
	hash, err := c.open(0, c.toySetup())
	if err != nil {
		t.Fatal(err)
	}
	c.pump(nil)
	for i, n := range c.nodes {
		var behind *mpc.StandingError
		if err, _ := n.ended(hash); !errors.As(err, &behind) || behind.From != c.nodes[1-i].id {
			t.Errorf("node %d ended with %v", i, err)
		}
		if slices.Contains(n.events, "send round 1") || slices.Contains(n.events, "commit fault") {
			t.Errorf("node %d: %q", i, n.events)
		}
	}
}

// A party that says two things is proved guilty once, and the session goes on.
func TestEquivocationIsKeptOnce(t *testing.T) {
	c := newCluster(t, 2, 2)
	liar, n := c.nodes[1], c.nodes[0]
	liar.admit = func(s *mpc.Setup) (*session.Task, error) {
		return liar.toy(s, toyHooks{wrap: func(m session.Machine) session.Machine { return &twice{m, n.id} }})
	}
	more := 20
	c.hold = func(f flight) bool { // and each of them again and again
		env, err := mpc.ReadEnvelope(f.frame)
		if err == nil && env.To == n.id && more > 0 {
			more--
			c.queue = append([]flight{f}, c.queue...)
		}
		return false
	}
	hash, err := c.open(0, c.toySetup())
	if err != nil {
		t.Fatal(err)
	}
	c.pump(nil)
	c.results(hash)
	faults := 0
	for _, e := range n.events {
		if strings.Contains(e, "fault") {
			faults++
		}
	}
	if faults != 1 {
		t.Errorf("%d faults kept: %q", faults, n.events)
	}
	if q, err := n.host.Quarantined(ctx, c.com.Record.KeyID); err != nil || !slices.Equal(q, []engine.PartyID{liar.id}) {
		t.Errorf("quarantined %v, %v", q, err)
	}
}

// twice says everything a second time, differently, to one party.
type twice struct {
	session.Machine
	to engine.PartyID
}

func (m *twice) more(e session.Effects, err error) (session.Effects, error) {
	for _, x := range slices.Clone(e.Send) {
		x.To, x.Body = m.to, []byte("other")
		e.Send = append(e.Send, x)
	}
	return e, err
}

func (m *twice) Start() (session.Effects, error)            { return m.more(m.Machine.Start()) }
func (m *twice) Step(x engine.Msg) (session.Effects, error) { return m.more(m.Machine.Step(x)) }
func (m *twice) Judge() (session.Effects, error)            { return m.more(m.Machine.Judge()) }

// Sessions are bounded, and policy is not even asked beyond the bound.
func TestTooManySessions(t *testing.T) {
	c := newCluster(t, 2, 2)
	n := c.nodes[0]
	most := 0
	for ; most < 5000; most++ {
		_, err := c.open(0, c.toySetup())
		c.queue = nil
		if err != nil {
			if !errors.Is(err, session.ErrRefused) {
				t.Fatal(err)
			}
			break
		}
	}
	if most != 1024 || len(n.asked) != most {
		t.Errorf("%d sessions, policy was asked %d times", most, len(n.asked))
	}
	c.tick(21 * time.Second)
	if _, err := c.open(0, c.toySetup()); err != nil {
		t.Errorf("after all ended: %v", err)
	}
	if got := len(n.host.Sessions()); got != 1+256 {
		t.Errorf("%d sessions are shown", got)
	}
}

// Faults of each class leave what protocols.md 0.3 says, and Fit refuses accordingly.
func TestSanctions(t *testing.T) {
	for word, want := range map[string]func(error) bool{
		"bad":   func(err error) bool { var e *session.BurnedError; return errors.As(err, &e) },
		"blame": func(err error) bool { var e *session.QuarantineError; return errors.As(err, &e) },
		"doubt": func(err error) bool { return errors.Is(err, session.ErrTooManyFailures) },
	} {
		t.Run(word, func(t *testing.T) {
			c := newCluster(t, 2, 2)
			n := c.nodes[0]
			n.fit = true
			c.nodes[1].says(word)
			var err error
			opened := 0
			for ; opened < 10 && err == nil; opened++ {
				c.now = c.now.Add(time.Second)
				_, err = c.open(0, c.toySetup())
				c.pump(nil)
			}
			if !want(err) {
				t.Fatalf("refused with %v", err)
			}
			if most := map[string]int{"bad": 1, "blame": 1, "doubt": 3}[word]; opened-1 != most {
				t.Errorf("%d sessions began", opened-1)
			}
			n.disk.Crash()
			n.start()
			if _, again := c.open(0, c.toySetup()); !want(again) {
				t.Errorf("after a restart: %v", again)
			}
			c.now = c.now.Add(61 * time.Minute)
			if _, later := c.open(0, c.toySetup()); (later == nil) != (word == "doubt") {
				t.Errorf("after an hour: %v", later)
			}
			c.check()
		})
	}
}

// A fault that names nobody is erased with its count after a month; one that accuses stays.
func TestOldFailuresGo(t *testing.T) {
	for word, want := range map[string][2]string{"doubt": {"1 1", "0 0"}, "blame": {"0 1", "0 1"}} {
		t.Run(word, func(t *testing.T) {
			c := newCluster(t, 2, 2)
			n := c.nodes[0]
			c.nodes[1].says(word)
			if _, err := c.open(0, c.toySetup()); err != nil {
				t.Fatal(err)
			}
			c.pump(nil)
			rows := func() string {
				var counts []int
				for _, kind := range []string{"unattributed", session.KindFault} {
					items, err := n.store.Range(t.Context(), store.Prefix(kind), "", store.MaxLimit)
					if err != nil {
						t.Fatal(err)
					}
					counts = append(counts, len(items))
				}
				return strings.Trim(fmt.Sprint(counts), "[]")
			}
			for i, after := range []time.Duration{29 * 24 * time.Hour, 31 * 24 * time.Hour} {
				if err := n.host.Sweep(t.Context(), c.now.Add(after)); err != nil {
					t.Fatal(err)
				}
				if got := rows(); got != want[i] {
					t.Errorf("after %s: %s, want %s", after, got, want[i])
				}
			}
		})
	}
}

func TestBusyAndStatus(t *testing.T) {
	c := newCluster(t, 2, 2)
	s := c.toySetup()
	hash, err := c.open(0, s)
	if err != nil {
		t.Fatal(err)
	}
	n := c.nodes[0]
	busy := func() bool { return n.host.Busy(func(o *mpc.Setup) bool { return o.Hash() == hash }) }
	if !busy() || n.host.Busy(func(*mpc.Setup) bool { return false }) {
		t.Error("busy with the wrong thing")
	}
	got := n.host.Sessions()
	if len(got) != 1 || got[0].Setup != hash || got[0].Title != "toy" || got[0].Opener != n.id || got[0].Deadline != c.now.Add(20*time.Second) {
		t.Errorf("sessions are %+v", got)
	}
	c.pump(nil)
	if busy() {
		t.Error("busy after the end")
	}
	if got := fmt.Sprint(n.host.Sessions()[0].Err); got != "<nil>" {
		t.Errorf("ended with %s", got)
	}
}
