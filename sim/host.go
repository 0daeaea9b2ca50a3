package sim

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/ostraka/ostraka/node/store"
)

// A host is the place of one node: its disk, clock and power.
type host struct {
	w     *World
	id    int
	disk  *Disk
	node  Node
	life  int // incarnation, 1 is the first
	alive bool
	dying bool          // crashed inside a commit: the handler runs out without effect
	pause time.Duration // stopped until then
	skew  time.Duration // of its clock
	count int           // commits of all incarnations
	trap  trap
}

// A trap is a crash that waits for a commit.
type trap struct {
	at    int // the count of the commit; 0: not set
	after bool
	until time.Duration // restart
}

func newHost(w *World, id int) *host {
	h := &host{w: w, id: id, disk: newDisk(w.LazyDisk)}
	h.disk.decide = h.decide
	return h
}

func (h *host) clock() time.Time { return Epoch.Add(h.w.now + h.skew) }

// start makes a new incarnation over the disk.
func (h *host) start() {
	switch {
	case h.alive:
		return
	case h.w.now < h.pause:
		h.w.After(h.pause-h.w.now, h.start)
		return
	}
	h.life++
	h.alive, h.dying = true, false
	life := h.life
	lives := func() bool { return h.alive && !h.dying && h.life == life }
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], h.w.Seed)
	binary.BigEndian.PutUint64(seed[8:], uint64(h.id)<<32|uint64(life))
	h.node = h.w.scenario.New(Env{
		ID:    h.id,
		Store: &diskStore{h.disk.open(), h, lives},
		Rand:  rand.NewChaCha8(seed),
		Now:   h.clock,
		Send: func(to int, frame []byte) {
			if lives() {
				h.w.see(Event{What: Sent, Node: h.id, Peer: to, Frame: frame})
				h.w.send(h.id, to, frame)
			}
		},
		Stop: func() {
			if lives() {
				h.dying, h.trap.until = true, h.w.now+time.Second
			}
		},
		Tell: func(fact any) {
			if lives() {
				h.w.see(Event{What: Told, Node: h.id, Fact: fact})
			}
		},
	})
	h.w.see(Event{What: Started, Node: h.id})
	h.run(func() { h.node.Start(h.clock()) })
}

// run calls into the node if it lives, and ends it if a trap snapped meanwhile.
func (h *host) run(do func()) {
	if !h.alive || h.w.now < h.pause {
		return
	}
	do()
	if h.dying {
		h.crash(h.trap.until)
	}
}

// deliver gives a frame to the node; one that is stopped gets it when it goes on.
func (h *host) deliver(from int, frame []byte) {
	if h.alive && h.w.now < h.pause {
		h.w.After(h.pause-h.w.now, func() { h.deliver(from, frame) })
		return
	}
	if h.alive {
		h.w.see(Event{What: Delivered, Node: h.id, Peer: from, Frame: frame})
	}
	h.run(func() { h.node.Deliver(h.clock(), from, frame) })
}

// crash ends the incarnation; a new one starts at a later time of the world, or never.
func (h *host) crash(restart time.Duration) {
	if !h.alive {
		return
	}
	h.alive, h.dying, h.trap, h.pause = false, false, trap{}, 0
	h.node.Crash()
	h.disk.crash()
	h.w.see(Event{What: Crashed, Node: h.id})
	if restart > h.w.now {
		h.w.After(restart-h.w.now, h.start)
	}
}

// decide says what becomes of a commit: traps first, then the faults of the disk.
func (h *host) decide(b store.Batch) outcome {
	h.count++
	switch {
	case h.dying:
		return lost
	case h.trap.at == h.count:
		h.dying = true
		if h.trap.after {
			return unknownDone
		}
		return unknownLost
	}
	for _, f := range h.w.Faults {
		if f.Node != h.id || !f.active(h.w.now) {
			continue
		}
		switch f.Kind {
		case DiskFull:
			return full
		case DiskUnknown:
			switch h.count % 4 { // the draws of a commit must not depend on other faults
			case 0:
				return unknownDone
			case 1:
				return unknownLost
			}
		}
	}
	return written
}
