package session

import (
	"time"

	"github.com/ostraka/ostraka/mpc/engine"
)

// Bounds of frames that came before we knew their session, per link.
const (
	orphanBytes = 8 << 20
	orphanCount = 4096
	orphanLife  = time.Minute

	maxOver = 8192 // ended sessions whose late frames are known as such
)

// orphans keeps frames for sessions that may start here soon: joins by setup hash, messages
// by session id. Each link has its own bound, so no peer can push another's out.
type orphans struct {
	links map[engine.PartyID]*orphanage
}

type orphanage struct {
	frames []orphan // oldest first
	bytes  int
}

type orphan struct {
	of    [32]byte
	frame []byte
	since time.Time
	unfit error // of a Join: why it counted for nothing when it came
}

func newOrphans() orphans { return orphans{map[engine.PartyID]*orphanage{}} }

// keep stores a frame; beyond the link's bound its oldest go.
func (o *orphans) keep(link engine.PartyID, x orphan) {
	l := o.links[link]
	if l == nil {
		l = &orphanage{}
		o.links[link] = l
	}
	for len(l.frames) > 0 && (l.bytes+len(x.frame) > orphanBytes || len(l.frames) >= orphanCount) {
		l.bytes -= len(l.frames[0].frame)
		l.frames[0] = orphan{}
		l.frames = l.frames[1:]
	}
	l.frames = append(l.frames, x)
	l.bytes += len(x.frame)
}

// take removes and returns the frames of one session, in the order of links and arrival.
func (o *orphans) take(of [32]byte) (frames []orphan) {
	for _, id := range sortedLinks(o.links) {
		o.links[id].filter(func(x orphan) bool {
			if x.of == of {
				frames = append(frames, x)
			}
			return x.of != of
		})
	}
	return frames
}

func (o *orphans) expire(now time.Time) {
	for link, l := range o.links {
		l.filter(func(x orphan) bool { return now.Sub(x.since).Abs() < orphanLife })
		if len(l.frames) == 0 {
			delete(o.links, link)
		}
	}
}

func (l *orphanage) filter(keep func(orphan) bool) {
	kept := l.frames[:0]
	l.bytes = 0
	for _, x := range l.frames {
		if keep(x) {
			kept = append(kept, x)
			l.bytes += len(x.frame)
		}
	}
	clear(l.frames[len(kept):])
	l.frames = kept
}

// over remembers setups and sessions that ended or were refused here: what comes late for
// them must not take the place of what comes early for others.
type over struct {
	set  map[[32]byte]bool
	ring [][32]byte
	next int
}

func newOver() over { return over{set: map[[32]byte]bool{}} }

func (o *over) has(id [32]byte) bool { return o.set[id] }

func (o *over) add(id [32]byte) {
	switch {
	case o.set[id]:
		return
	case len(o.ring) < maxOver:
		o.ring = append(o.ring, id)
	default:
		delete(o.set, o.ring[o.next])
		o.ring[o.next] = id
		o.next = (o.next + 1) % maxOver
	}
	o.set[id] = true
}
