package sim

import (
	"time"

	"github.com/ostraka/ostraka/node/store"
)

// What happened.
type What uint8

const (
	Started What = iota + 1
	Crashed
	Sent      // Node sent Frame to Peer, before any corruption
	Delivered // Node got Frame from Peer
	Committed // Node's Batch is written, whatever it was told
	Told      // Node says Fact
)

// An Event is something that happened, as checkers see it.
type Event struct {
	What       What
	At         time.Duration
	Node, Peer int
	Frame      []byte
	Batch      store.Batch
	Fact       any
}

// A Checker watches one invariant. An error is a violation and ends the run.
type Checker interface {
	Name() string
	See(*World, Event) error
	End(*World) error
}

// at is a name as one node uses it.
type at struct {
	node int
	name string
}
