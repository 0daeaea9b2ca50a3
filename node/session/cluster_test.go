package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
	"github.com/ostraka/ostraka/sim/dkls"
)

var ctx = context.Background()

// A cluster is hosts in one process. Frames wait in one queue; time is the test's.
type cluster struct {
	t     testing.TB
	com   *dkls.Committee
	nodes []*node

	mu    sync.Mutex
	queue []flight
	now   time.Time
	hold  func(flight) bool // keeps a frame in the queue
}

type flight struct {
	from, to int
	frame    []byte
}

func (f flight) is(t mpc.FrameType) bool { return f.frame[0] == byte(t) }

// A node is one host over its disk, in one life after another.
type node struct {
	c    *cluster
	i    int
	id   engine.PartyID
	disk *memory.Disk
	live
	admit  func(s *mpc.Setup) (*session.Task, error)
	fit    bool  // Admit asks Fit, as the daemon does
	halted error // why no session may be held
	unfit  error // why a Join that comes now counts for nothing

	mu       sync.Mutex
	events   []string
	asked    []string // setups that policy was asked about
	ends     map[[32]byte]error
	sentLast map[[32]byte]bool
	broken   []string // what must not have happened
	fatal    error
	points   int // durable steps and sends so far
	crashAt  int
	verdicts int
	failures int
	lose     func(store.Batch) bool // batches whose outcome nobody learns, and which are not written
}

type live struct {
	store   store.Store
	journal *journal.Journal
	host    *session.Host
	dead    bool
}

var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// newCluster starts n hosts that run the toy protocol.
func newCluster(t testing.TB, threshold, n int) *cluster {
	c := &cluster{t: t, com: dkls.Make(threshold, n), now: start}
	for i, p := range c.com.Parties {
		m := &node{c: c, i: i, id: p.ID, disk: memory.NewDisk(), ends: map[[32]byte]error{}, sentLast: map[[32]byte]bool{}}
		m.admit = func(s *mpc.Setup) (*session.Task, error) { return m.toy(s, toyHooks{}) }
		c.nodes = append(c.nodes, m)
		m.start()
	}
	return c
}

// start opens a new life over the disk.
func (n *node) start() {
	n.c.t.Helper()
	s, err := n.disk.Open()
	if err != nil {
		n.c.t.Fatal(err)
	}
	n.startOver(s)
}

func (n *node) startOver(s store.Store) {
	n.c.t.Helper()
	l := live{store: &watched{s, n}}
	var err error
	if l.journal, err = journal.Open(ctx, l.store); err != nil {
		n.c.t.Fatal(err)
	}
	n.live = l
	n.host, err = session.NewHost(ctx, session.Config{
		Self: n.id, Sign: n.c.com.Signer(n.id), Journal: l.journal, Rand: &lockedReader{r: rand.NewChaCha8([32]byte{byte(n.i), byte(n.points)})},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Send: n.send,
		Admit: func(ctx context.Context, now time.Time, s *mpc.Setup) (*session.Task, error) {
			n.mu.Lock()
			hash := s.Hash()
			n.asked = append(n.asked, string(hash[:]))
			n.mu.Unlock()
			if n.fit {
				if err := n.host.Fit(ctx, now, s, s.Epoch); err != nil {
					return nil, err
				}
			}
			return n.admit(s)
		},
		Halted: func() error { return n.halted },
		Unfit:  func(engine.PartyID) error { return n.unfit },
		Fatal:  func(err error) { n.fatal = err },
	})
	if err != nil {
		n.c.t.Fatal(err)
	}
}

type lockedReader struct {
	mu sync.Mutex
	r  io.Reader
}

func (l *lockedReader) Read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(b)
}

// crash is what a panic at a crash point carries.
type crash struct{}

func (n *node) point(event string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.points++
	if n.points == n.crashAt {
		panic(crash{})
	}
	if event != "" {
		n.events = append(n.events, event)
	}
}

// watched notes commits, and may crash before and after each.
type watched struct {
	store.Store
	n *node
}

func (w *watched) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	w.n.point("")
	if w.n.lose != nil && w.n.lose(b) {
		return 0, store.ErrUnknown
	}
	rev, err := w.Store.Commit(ctx, b)
	var kinds []string
	for _, p := range b.Put {
		if kind, _, _ := strings.Cut(p.Key, "/"); !strings.HasPrefix(kind, "log") {
			kinds = append(kinds, kind)
		}
	}
	if err == nil {
		w.n.point("commit " + strings.Join(kinds, " "))
	}
	return rev, err
}

// send holds every frame to what it depends on, then puts it on its way.
func (n *node) send(to engine.PartyID, frame []byte) {
	if n.dead {
		return
	}
	n.point("")
	what := n.inspect(frame)
	n.c.mu.Lock()
	n.c.queue = append(n.c.queue, flight{n.i, n.c.com.Member(to), bytes.Clone(frame)})
	n.c.mu.Unlock()
	n.point("send " + what)
}

// inspect reports what of a frame's needs is not durable.
func (n *node) inspect(frame []byte) string {
	needs := func(keys ...string) {
		for _, k := range keys {
			if _, err := n.store.(*watched).Store.Get(ctx, k); err != nil {
				n.broken = append(n.broken, fmt.Sprintf("node %d sent a frame before %q was durable: %v", n.i, k, err))
			}
		}
	}
	switch mpc.FrameType(frame[0]) {
	case mpc.SetupFrame:
		return "setup"
	case mpc.JoinFrame:
		hash, _, err := mpc.JoinSetup(frame)
		if err != nil {
			return err.Error()
		}
		needs(dkls.AllowKey(hash))
		return "join"
	}
	env, err := mpc.ReadEnvelope(frame)
	if err != nil {
		return err.Error()
	}
	if env.Protocol == toyProtocol && env.To == engine.Everyone {
		hash := [32]byte(env.Body[32:])
		needs(dkls.AllowKey(hash))
		if env.Round == 2 {
			needs(toyKey(hash))
		}
	}
	return fmt.Sprintf("round %d", env.Round)
}

// call runs something in a node; a crash point ends its life.
func (n *node) call(do func()) {
	if n.dead {
		return
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case crash:
			n.dead = true
			n.disk.Crash()
		default:
			panic(r)
		}
	}()
	do()
}

// open lets a node open a session and returns its setup's hash.
func (c *cluster) open(by int, s *mpc.Setup) ([32]byte, error) {
	var err error
	c.nodes[by].call(func() { err = c.nodes[by].host.Open(ctx, c.now, s) })
	return s.Hash(), err
}

// pump delivers frames until none is left but those held back; pick chooses the next of n, nil
// the oldest.
func (c *cluster) pump(pick func(n int) int) {
	for {
		c.mu.Lock()
		var ready []int
		for i, f := range c.queue {
			if c.hold == nil || !c.hold(f) {
				ready = append(ready, i)
				if pick == nil {
					break
				}
			}
		}
		if len(ready) == 0 {
			c.mu.Unlock()
			return
		}
		at := ready[0]
		if pick != nil {
			at = ready[pick(len(ready))]
		}
		f := c.queue[at]
		c.queue = slices.Delete(c.queue, at, at+1)
		c.mu.Unlock()
		c.deliver(f)
	}
}

func (c *cluster) deliver(f flight) (err error) {
	n := c.nodes[f.to]
	n.call(func() { err = n.host.Deliver(ctx, c.now, c.nodes[f.from].id, f.frame) })
	return err
}

func (c *cluster) tick(d time.Duration) {
	c.now = c.now.Add(d)
	for _, n := range c.nodes {
		n.call(func() { n.host.Tick(ctx, c.now) })
	}
}

// check fails on what must not have happened.
func (c *cluster) check() {
	c.t.Helper()
	for _, n := range c.nodes {
		for _, b := range n.broken {
			c.t.Error(b)
		}
	}
}

// ended is how a session ended at a node.
func (n *node) ended(hash [32]byte) (err error, ended bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	err, ended = n.ends[hash]
	return err, ended
}

// results requires a result at all nodes.
func (c *cluster) results(hash [32]byte) {
	c.t.Helper()
	for _, n := range c.nodes {
		if err, ended := n.ended(hash); err != nil || !ended {
			c.t.Errorf("node %d: ended %v with %v", n.i, ended, err)
		}
	}
	c.check()
}

// The toy protocol: say the setup's hash, judge the pairs, keep a row, say it again.
const toyProtocol = "toy"

func toyKey(setup [32]byte) string { return store.Key("toy", store.ID(setup[:])) }

func (c *cluster) toySetup() *mpc.Setup {
	s := c.com.Setup(nil, [32]byte{}, [32]byte{}, c.now)
	s.Protocol, s.Parties = toyProtocol, c.com.Parties
	return s
}

type toyHooks struct {
	timeout  time.Duration
	standing mpc.Standing
	bad      engine.PartyID // whose word fails the judgement
	edit     func(*engine.Msg)
	wrap     func(session.Machine) session.Machine
}

type toyStage struct {
	n     *node
	setup *mpc.Setup
	hash  [32]byte
	hooks toyHooks
	peers []engine.PartyID
	round uint8
}

func (s *toyStage) Expect() (e engine.Expect) {
	if s.round == 0 {
		return e
	}
	e.Wants = []engine.Want{{Kind: engine.Kind(s.round), From: s.peers, MaxBody: 40}}
	if s.round == 1 {
		for _, p := range s.peers {
			e.Guard = append(e.Guard, engine.Token{Key: s.setup.Epoch, Peer: p})
		}
	}
	return e
}

func (s *toyStage) Accept(_ engine.Kind, from engine.PartyID, body []byte) error {
	switch {
	case s.round == 1 && bytes.HasSuffix(body, []byte("bad")):
		return engine.Burned("toy: word", from, nil)
	case s.round == 1 && bytes.HasSuffix(body, []byte("blame")):
		return engine.Blamed("toy: word", from, nil)
	case s.round == 1 && bytes.HasSuffix(body, []byte("doubt")):
		return engine.Nobody("toy: word", nil)
	}
	return nil
}

func (s *toyStage) Finish(engine.Transcript) (out engine.Outcome[int], err error) {
	next := *s
	next.round++
	switch s.round {
	case 0, 1:
		out.Send = []engine.Out{{Kind: engine.Kind(next.round), Body: s.hash[:]}}
		out.Next = &next
	case 2:
		done := 1
		out.Result = &done
	}
	if s.round == 1 {
		out.Save = []engine.Record{{Name: "toy", Value: []byte{1}}}
	}
	return out, nil
}

// judged counts verdicts.
type judged struct {
	session.Machine
	n *node
}

func (j judged) Judge() (session.Effects, error) {
	e, err := j.Machine.Judge()
	j.n.mu.Lock()
	defer j.n.mu.Unlock()
	j.n.verdicts++
	if len(e.Burn) > 0 {
		j.n.failures++
	}
	return e, err
}

// toy makes a node's task in the toy protocol.
func (n *node) toy(s *mpc.Setup, hooks toyHooks) (*session.Task, error) {
	hash := s.Hash()
	stage := &toyStage{n: n, setup: s, hash: hash, hooks: hooks}
	for _, p := range s.Parties {
		if p.ID != n.id {
			stage.peers = append(stage.peers, p.ID)
		}
	}
	if hooks.timeout == 0 {
		hooks.timeout = 20 * time.Second
	}
	return &session.Task{
		Standing: hooks.standing, Timeout: hooks.timeout, Title: "toy", Pairs: s.Epoch,
		Admit: journal.Entry{
			Batch:  store.Batch{Put: []store.Entry{{Key: dkls.AllowKey(hash), Value: []byte{1}}}},
			Leaves: []tlog.Filed{{Leaf: tlog.Leaf{Kind: tlog.KindSession, Time: n.c.now, ID: hash}}},
		},
		Begin: func(seat ceremony.Seat) (session.Machine, error) {
			es, err := engine.New[int](engine.Params{Session: seat.Session, Parties: s.IDs(), MaxBody: 64, Kinds: 2}, n.id, stage)
			if err != nil {
				return nil, err
			}
			m := session.NewMachine(es, 2, func(ctx context.Context, _ time.Time, _ *int) error {
				return n.journal.Write(ctx, journal.Entry{Batch: store.Batch{Put: []store.Entry{{Key: dkls.SignedKey(hash), Value: []byte{1}}}}})
			})
			if hooks.edit != nil {
				m = dkls.Bend(m, hooks.edit)
			}
			if hooks.wrap != nil {
				m = hooks.wrap(m)
			}
			return judged{m, n}, nil
		},
		Save: func(_ time.Time, rows []engine.Record) (e journal.Entry, err error) {
			if len(rows) != 1 {
				return e, errors.New("the toy keeps one row")
			}
			e.Put = []store.Entry{{Key: toyKey(hash), Value: rows[0].Value}}
			return e, nil
		},
		Saved: func(ctx context.Context) error {
			_, err := n.store.Get(ctx, toyKey(hash))
			return err
		},
		Done: func(_ context.Context, _ time.Time, err error, sentLast bool) { n.done(hash, err, sentLast) },
	}, nil
}

func (n *node) done(hash [32]byte, err error, sentLast bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, twice := n.ends[hash]; twice {
		n.broken = append(n.broken, fmt.Sprintf("node %d was told twice that a session ended", n.i))
	}
	n.ends[hash], n.sentLast[hash] = err, sentLast
}

// says makes a node end its first word with this.
func (n *node) says(word string) {
	n.admit = func(s *mpc.Setup) (*session.Task, error) {
		return n.toy(s, toyHooks{edit: func(m *engine.Msg) {
			if m.Round == 1 {
				m.Body = append(m.Body, word...)
			}
		}})
	}
}
