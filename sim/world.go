package sim

import (
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"time"

	"github.com/ostraka/ostraka/node/store"
)

// Client is the number of whoever asks the nodes to do things. Its links fail too.
const Client = -1

// Epoch is when every simulation begins.
var Epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// A Node is what runs at a place of the cluster. Its methods are called one at a time;
// now is its own clock.
type Node interface {
	Start(now time.Time)
	Deliver(now time.Time, from int, frame []byte)
	Tick(now time.Time)
	Crash() // it is gone; a new one starts over the same disk
}

// Env is what a node gets. All but ID belongs to one incarnation: after a crash nothing
// works any more.
type Env struct {
	ID    int
	Store store.Store
	Rand  io.Reader // differs for each node and incarnation
	Now   func() time.Time
	Send  func(to int, frame []byte)
	Stop  func()         // ends its own process; it is started again a second later
	Tell  func(fact any) // what checkers should know; no node may depend on it
}

// A Scenario is what is simulated. Its parts are made anew for each run.
type Scenario struct {
	New      func(Env) Node
	Begin    func(*World) // plans what the client does, with After and Ask
	Done     func() bool  // nil: run to the end of the time
	Checkers []Checker
	// Corrupt is what a corrupt node sends in place of a frame; nil: what it would.
	Corrupt func(r *rand.Rand, from, to int, frame []byte) [][]byte
}

// Options fix a run together with its scenario.
type Options struct {
	Seed      uint64
	Mode      Mode
	Nodes     int           // number of nodes, at most 16
	Threshold int           // healthy nodes in liveness mode; fewer than that are corrupt
	Corrupt   Set           // nodes in the adversary's hands
	Healthy   Set           // liveness mode: nodes that must come to an end
	Length    time.Duration // virtual time
	LazyDisk  int           // acknowledged commits that a crash may lose; 0 is a true disk
	Faults    []Fault
}

// A Set is a set of nodes, bit i for node i.
type Set uint32

// Has reports whether a node is in the set.
func (s Set) Has(i int) bool { return i >= 0 && s>>i&1 == 1 }

// A Report is what came of a run.
type Report struct {
	Options   Options
	Violation error
	Trace     [sha256.Size]byte // of everything that happened
	Events    int
	Time      time.Duration // virtual time that went by
}

func (r Report) String() string {
	return fmt.Sprintf("after %v and %d events: %v\n%#v", r.Time, r.Events, r.Violation, r.Options)
}

// A World is one running simulation.
type World struct {
	Options
	scenario Scenario
	hosts    []*host
	links    map[[2]int]*rand.Rand
	adverse  *rand.Rand
	queue    queue
	now      time.Duration
	seq      uint64
	events   int
	trace    hash.Hash
	broken   error
}

// interval is how often a node's Tick is called, on the world's clock.
const interval = 500 * time.Millisecond

// Run simulates.
func Run(o Options, s Scenario) Report {
	w := &World{
		Options: o, scenario: s, trace: sha256.New(), links: map[[2]int]*rand.Rand{},
		adverse: rand.New(rand.NewPCG(o.Seed, 'a')),
	}
	for id := range o.Nodes {
		w.hosts = append(w.hosts, newHost(w, id))
	}
	for _, h := range w.hosts {
		h.start()
		w.tick(h, time.Duration(h.id)*time.Millisecond)
	}
	for _, f := range o.Faults {
		w.plan(f)
	}
	s.Begin(w)
	for w.broken == nil && w.queue.Len() > 0 && w.now < o.Length && (s.Done == nil || !s.Done()) {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		e.do()
	}
	for _, c := range s.Checkers {
		if err := c.End(w); err != nil && w.broken == nil {
			w.broken = fmt.Errorf("%s: %w", c.Name(), err)
		}
	}
	return Report{o, w.broken, [sha256.Size]byte(w.trace.Sum(nil)), w.events, w.now}
}

// After plans something at a later time.
func (w *World) After(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.queue, event{w.now + d, w.seq, do})
}

// Ask sends a frame of the client's to a node.
func (w *World) Ask(to int, frame []byte) { w.transmit(Client, to, frame) }

// Elapsed is the virtual time since the beginning.
func (w *World) Elapsed() time.Duration { return w.now }

// Honest reports whether a node is not in the adversary's hands.
func (w *World) Honest(id int) bool { return !w.Corrupt.Has(id) }

// Disk is what a node has durably.
func (w *World) Disk(id int) *Disk { return w.hosts[id].disk }

func (w *World) tick(h *host, d time.Duration) {
	w.After(d, func() {
		h.run(func() { h.node.Tick(h.clock()) })
		w.tick(h, interval)
	})
}

// see shows an event to the trace and to the checkers.
func (w *World) see(e Event) {
	w.events++
	e.At = w.now
	var b [24]byte
	binary.BigEndian.PutUint64(b[:], uint64(w.now))
	binary.BigEndian.PutUint64(b[8:], uint64(int64(e.Node)<<8|int64(e.What)))
	binary.BigEndian.PutUint64(b[16:], uint64(int64(e.Peer)<<32|int64(len(e.Frame))))
	w.trace.Write(b[:])
	w.trace.Write(e.Frame)
	for _, p := range e.Batch.Put {
		fmt.Fprintf(w.trace, "%q=%q", p.Key, p.Value)
	}
	for _, c := range w.scenario.Checkers {
		if err := c.See(w, e); err != nil && w.broken == nil {
			w.broken = fmt.Errorf("%s, node %d at %v: %w", c.Name(), e.Node, w.now, err)
		}
	}
}

type event struct {
	at  time.Duration
	seq uint64 // events of one moment happen in the order in which they were planned
	do  func()
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(e any)   { *q = append(*q, e.(event)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = event{}
	*q = (*q)[:last]
	return e
}
