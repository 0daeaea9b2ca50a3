package sos

import (
	"time"
)

// The credited clock (spec/sos 6). A delay that a changed clock, a restart, a suspended machine or an old snapshot could shorten would
// be none: whoever runs one node's machine would have it in hand.
const (
	TickEvery = 30 * time.Second // a node reads its clocks at least so often
	MaxCredit = 60 * time.Second // that one reading earns
)

// A Reading is what a node's clocks say at one moment.
type Reading struct {
	Boot [16]byte      // random, drawn when the process began: no two lives of a node share one
	Wall time.Time     // may be set by anybody who has the machine or its time servers
	Mono time.Duration // since some moment of this boot; does not run while the machine is suspended
}

// plain takes Go's own monotonic reading out of the wall clock: with it, a difference of walls would not be one of walls.
func (r Reading) plain() Reading {
	r.Wall = r.Wall.Round(0).UTC()
	return r
}

// A Clock is what a node persists of one delay.
type Clock struct {
	FirstSeen time.Time     // own wall clock when the node first had what the delay is of; for people, and never counted from
	Credited  time.Duration // what has gone by, at least
	Boot      [16]byte
	LastWall  time.Time
	LastMono  time.Duration
}

// StartClock begins a clock at a node's own first sight. What a peer says of when it began is never asked.
func StartClock(r Reading) Clock {
	r = r.plain()
	return Clock{FirstSeen: r.Wall, Boot: r.Boot, LastWall: r.Wall, LastMono: r.Mono}
}

// Tick takes a reading. Credited grows by the smaller of what the two clocks say went by, by nothing if either went back or the boot is
// another, and by a minute at most: what was missed is lost.
func (c Clock) Tick(r Reading) Clock {
	r = r.plain()
	if r.Boot == c.Boot {
		c.Credited += min(max(min(r.Wall.Sub(c.LastWall), r.Mono-c.LastMono), 0), MaxCredit)
	}
	c.Boot, c.LastWall, c.LastMono = r.Boot, r.Wall, r.Mono
	return c
}

// Again is the clock of a node that was rolled back, or whose delay begins only now: everything is to be counted again.
func (c Clock) Again(r Reading) Clock {
	r = r.plain()
	c.Credited, c.Boot, c.LastWall, c.LastMono = 0, r.Boot, r.Wall, r.Mono
	return c
}
