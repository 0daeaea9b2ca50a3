package session_test

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/dkls"
	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store/bolt"
	sim "github.com/ostraka/ostraka/sim/dkls"
)

// signs makes all nodes run DKLs23; bend edits what a node says.
func (c *cluster) signs(bend map[int]func(*engine.Msg)) (signed *sync.Map) {
	signed = &sync.Map{} // [2]any{node, setup} → signature
	for i, n := range c.nodes {
		n.admit = func(s *mpc.Setup) (*session.Task, error) {
			hash := s.Hash()
			return c.com.Task(n.journal, i, c.now, s, sim.Hooks{
				Wrap: func(m session.Machine) session.Machine {
					if bend[i] != nil {
						m = sim.Bend(m, bend[i])
					}
					return judged{m, n}
				},
				Signed: func(sig *ceremony.Signature) { signed.Store([2]any{i, hash}, *sig) },
				Done:   func(err error, sentLast bool) { n.done(hash, err, sentLast) },
			})
		}
	}
	return signed
}

func (c *cluster) signSetup(members ...int) *mpc.Setup {
	return c.com.Setup(members, [32]byte{1}, [32]byte{2}, c.now)
}

// Real signatures, frames in any order, several sessions at once.
func TestSigning(t *testing.T) {
	c := newCluster(t, 2, 3)
	signed := c.signs(nil)
	r := rand.New(rand.NewPCG(3, 4))
	var hashes [][32]byte
	sets := [][]int{{0, 1}, {1, 2}, {0, 2}, {0, 1, 2}}
	for _, set := range sets {
		hash, err := c.open(set[0], c.signSetup(set...))
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, hash)
	}
	c.pump(r.IntN)
	for k, set := range sets {
		var first any
		for _, i := range set {
			sig, ok := signed.Load([2]any{i, hashes[k]})
			if err, _ := c.nodes[i].ended(hashes[k]); !ok || err != nil {
				t.Errorf("signers %v: node %d ended with %v", set, i, err)
			}
			if first == nil {
				first = sig
			}
			if sig != first {
				t.Errorf("signers %v hold different signatures", set)
			}
		}
	}
	c.check()
}

// flipExtension spoils the OT extension, flipProduct the multiplication.
func flip(kind engine.Kind, at int) func(*engine.Msg) {
	return func(m *engine.Msg) {
		if m.Kind == kind {
			m.Body[at] ^= 1
		}
	}
}

// Issue 2, acceptance 4: after one failed OT or VOLE check the pair refuses 1,000 further
// attempts, across restarts: no verdict, no message of the protocol leaves, even if policy
// forgot to ask.
func TestBurnedPairRefusesThousandAttempts(t *testing.T) {
	for name, spoil := range map[string]func(*engine.Msg){
		"OT extension": flip(dkls.KindExtension, 7),
		"vector OLE":   flip(dkls.KindProduct, 40_070), // μ
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 2, 2)
			c.signs(map[int]func(*engine.Msg){1: spoil})
			n := c.nodes[0]
			dir := filepath.Join(t.TempDir(), "store")
			reopen := func() (closeStore func() error) {
				s, err := bolt.Open(dir, bolt.Options{Reserve: 1 << 20})
				if err != nil {
					t.Fatal(err)
				}
				n.startOver(s)
				return s.Close
			}
			closeStore := reopen()
			defer func() { _ = closeStore() }()
			hash, err := c.open(1, c.signSetup(0, 1))
			if err != nil {
				t.Fatal(err)
			}
			c.pump(nil)
			var f *engine.Fault
			if err, _ := n.ended(hash); !errors.As(err, &f) || f.Class != engine.BurnPair || n.failures != 1 {
				t.Fatalf("ended with %v, %d failed verdicts", err, n.failures)
			}
			verdicts, attempts := n.verdicts, 1000
			if raceEnabled {
				attempts = 100
			}
			for k := range attempts {
				if k%(attempts/4) == attempts/8 {
					if err := closeStore(); err != nil {
						t.Fatal(err)
					}
					closeStore = reopen()
				}
				n.fit = k%2 == 0 // the host stands by itself
				before := len(n.events)
				hash, err := c.open(1-k%2, c.signSetup(0, 1))
				if err == nil {
					c.pump(nil)
					err, _ = n.ended(hash)
				}
				var burned *session.BurnedError
				if n.fit && k%2 == 1 && !errors.As(err, &burned) {
					t.Fatalf("attempt %d: %v", k, err)
				}
				for _, e := range n.events[before:] {
					if e == "send round 1" || e == "send round 2" || e == "send round 3" || n.fit && e == "send join" {
						t.Fatalf("attempt %d: %s", k, e)
					}
				}
			}
			if n.verdicts != verdicts {
				t.Errorf("%d further verdicts", n.verdicts-verdicts)
			}
			c.check()
		})
	}
}

const couriers = 16

// A gate makes the first verdict wait until sessions enough have come to its lock. A session
// has four messages here, so sixteen couriers are busy with four at least.
type gate struct {
	open chan struct{}
	want int64
	came atomic.Int64
}

type gated struct {
	session.Machine
	g    *gate
	once sync.Once
}

func (m *gated) Guard() []engine.Token {
	guard := m.Machine.Guard()
	if len(guard) > 0 {
		m.once.Do(func() {
			if m.g.came.Add(1) == m.g.want {
				close(m.g.open)
			}
		})
	}
	return guard
}

func (m *gated) Judge() (session.Effects, error) {
	<-m.g.open
	return m.Machine.Judge()
}

// protocols.md 2.3: some 480 sessions opened at once would learn all of Δ before the first
// flag lands. They learn one verdict.
func TestManySessionsLearnOneVerdict(t *testing.T) {
	sessions := 480
	if raceEnabled {
		sessions = 60
	}
	c := newCluster(t, 2, 2)
	c.signs(map[int]func(*engine.Msg){1: flip(dkls.KindExtension, 7)})
	n := c.nodes[0]
	admit, g := n.admit, &gate{open: make(chan struct{}), want: 4}
	n.admit = func(s *mpc.Setup) (*session.Task, error) {
		task, err := admit(s)
		if err != nil {
			return nil, err
		}
		begin := task.Begin
		task.Begin = func(seat ceremony.Seat) (session.Machine, error) {
			m, err := begin(seat)
			return &gated{Machine: m, g: g}, err
		}
		return task, nil
	}
	c.hold = func(f flight) bool { return f.to == 0 && f.is(mpc.MessageFrame) }
	hashes := make([][32]byte, sessions)
	for k := range hashes {
		var err error
		if hashes[k], err = c.open(1, c.signSetup(0, 1)); err != nil {
			t.Fatal(err)
		}
		c.pump(nil)
	}
	if n.verdicts != 0 {
		t.Fatal("a verdict came too early")
	}
	waiting := c.queue
	c.queue = nil
	var wg sync.WaitGroup
	var next atomic.Int64
	for range couriers {
		wg.Go(func() {
			for {
				k := int(next.Add(1)) - 1
				if k >= len(waiting) {
					return
				}
				_ = n.host.Deliver(ctx, c.now, c.nodes[1].id, waiting[k].frame)
			}
		})
	}
	wg.Wait()
	n.host.Tick(ctx, c.now)
	if n.verdicts != 1 || n.failures != 1 {
		t.Errorf("%d verdicts, %d failed", n.verdicts, n.failures)
	}
	burned, failed := 0, 0
	for _, h := range hashes {
		err, _ := n.ended(h)
		var b *session.BurnedError
		var f *engine.Fault
		switch {
		case errors.As(err, &b):
			burned++
		case errors.As(err, &f) && f.Class == engine.BurnPair:
			failed++
		}
	}
	if failed != 1 || burned != sessions-1 || len(n.host.Burned(c.com.Record.Hash())) != 1 {
		t.Errorf("%d sessions failed, %d were refused, of %d", failed, burned, sessions)
	}
	if slices.Contains(n.events, "send round 2") {
		t.Error("something of round 2 left")
	}
	c.check()
}

// A pair burns while another session computes its first message: that message must not leave,
// though nobody could reach that session when the flag was set.
func TestBurnWhileASessionBegins(t *testing.T) {
	c := newCluster(t, 2, 2)
	c.signs(map[int]func(*engine.Msg){1: flip(dkls.KindExtension, 7)})
	n := c.nodes[0]
	c.hold = func(f flight) bool { return f.to == 0 && f.is(mpc.MessageFrame) }
	if _, err := c.open(0, c.signSetup(0, 1)); err != nil {
		t.Fatal(err)
	}
	c.pump(nil)
	bad := c.queue
	c.queue = nil
	admit := n.admit
	n.admit = func(s *mpc.Setup) (*session.Task, error) {
		task, err := admit(s)
		if err != nil {
			return nil, err
		}
		begin := task.Begin
		task.Begin = func(seat ceremony.Seat) (session.Machine, error) {
			m, err := begin(seat)
			return &meanwhile{m, func() {
				for _, f := range bad {
					_ = c.deliver(f)
				}
			}}, err
		}
		return task, nil
	}
	before := len(n.events)
	hash, err := c.open(0, c.signSetup(0, 1))
	if err != nil {
		t.Fatal(err)
	}
	c.pump(nil)
	var b *session.BurnedError
	if err, _ := n.ended(hash); !errors.As(err, &b) || n.failures != 1 || slices.Contains(n.events[before:], "send round 1") {
		t.Errorf("ended with %v, %d failed verdicts, %q", err, n.failures, n.events[before:])
	}
	c.check()
}

// meanwhile lets something happen while a machine starts.
type meanwhile struct {
	session.Machine
	do func()
}

func (m *meanwhile) Start() (session.Effects, error) {
	e, err := m.Machine.Start()
	m.do()
	return e, err
}

// A burn ends other sessions in flight at once, and leaves those of other pairs alone.
func TestBurnEndsSessionsInFlight(t *testing.T) {
	c := newCluster(t, 2, 3)
	c.signs(map[int]func(*engine.Msg){1: flip(dkls.KindExtension, 7)})
	n := c.nodes[0]
	c.hold = func(f flight) bool { return f.to == 0 && f.is(mpc.MessageFrame) }
	var same, other, joining, bad [32]byte
	for _, s := range []struct {
		hash *[32]byte
		set  []int
	}{{&same, []int{0, 1}}, {&other, []int{0, 2}}, {&bad, []int{0, 1}}} {
		var err error
		if *s.hash, err = c.open(0, c.signSetup(s.set...)); err != nil {
			t.Fatal(err)
		}
		c.pump(nil)
	}
	c.hold = func(f flight) bool { return true }
	joining, err := c.open(0, c.signSetup(0, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	c.hold = func(f flight) bool { // bad goes on, all else waits
		env, err := mpc.ReadEnvelope(f.frame)
		if err != nil || f.to != 0 {
			return true
		}
		for _, s := range n.host.Sessions() {
			if s.Session == env.Session {
				return s.Setup != bad
			}
		}
		return true
	}
	c.pump(nil)
	for name, h := range map[string][32]byte{"running": same, "joining": joining} {
		var b *session.BurnedError
		if err, _ := n.ended(h); !errors.As(err, &b) {
			t.Errorf("%s session with the pair: %v", name, err)
		}
	}
	c.hold = nil
	c.pump(nil)
	if err, ended := n.ended(other); err != nil || !ended {
		t.Errorf("session with another peer: ended %v with %v", ended, err)
	}
	c.check()
}

// Frames by many goroutines, sessions that burn among sessions that do not: nothing blocks,
// every session ends, and each pair had one failed verdict.
func TestConcurrentSessions(t *testing.T) {
	const sessions = 40
	c := newCluster(t, 3, 3)
	var lies atomic.Int64
	c.nodes[2].admit = func(s *mpc.Setup) (*session.Task, error) {
		bad := lies.Add(1) > sessions/2
		return c.nodes[2].toy(s, toyHooks{edit: func(m *engine.Msg) {
			if bad && m.Round == 1 {
				m.Body = append(m.Body, "bad"...)
			}
		}})
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 8 { // eight couriers
		wg.Go(func() {
			for {
				c.mu.Lock()
				if len(c.queue) == 0 {
					c.mu.Unlock()
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
					}
					continue
				}
				f := c.queue[0]
				c.queue = c.queue[1:]
				c.mu.Unlock()
				_ = c.deliver(f)
			}
		})
	}
	hashes := make([][32]byte, sessions)
	var openers sync.WaitGroup
	for k := range hashes {
		openers.Go(func() {
			s := c.toySetup()
			if err := c.nodes[k%3].host.Open(ctx, c.now, s); err != nil {
				t.Error(err)
			}
			hashes[k] = s.Hash()
			_ = c.nodes[0].host.Sessions()
		})
	}
	openers.Wait()
	settled := func() bool {
		for _, n := range c.nodes {
			n.host.Tick(ctx, c.now)
		}
		for _, h := range hashes {
			for _, n := range c.nodes[:2] {
				if _, ended := n.ended(h); !ended {
					return false
				}
			}
		}
		return true
	}
	for range 2000 {
		if settled() {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	later := c.now.Add(time.Minute)
	close(stop)
	wg.Wait()
	for _, n := range c.nodes {
		n.host.Tick(ctx, later) // whose partners gave up
		for _, h := range hashes {
			if _, ended := n.ended(h); !ended {
				t.Errorf("node %d: a session did not end", n.i)
			}
		}
	}
	for _, n := range c.nodes[:2] {
		if n.failures > 1 || len(n.host.Burned(c.com.Record.Hash())) != n.failures {
			t.Errorf("node %d: %d failed verdicts, burned %v", n.i, n.failures, n.host.Burned(c.com.Record.Hash()))
		}
	}
	c.check()
}
