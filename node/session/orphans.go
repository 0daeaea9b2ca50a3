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
}

func newOrphans() orphans { return orphans{map[engine.PartyID]*orphanage{}} }

// keep stores a frame unless the link's bound is reached: the newest are refused.
func (o *orphans) keep(now time.Time, link engine.PartyID, of [32]byte, frame []byte) {
	l := o.links[link]
	if l == nil {
		l = &orphanage{}
		o.links[link] = l
	}
	if l.bytes+len(frame) > orphanBytes || len(l.frames) >= orphanCount {
		return
	}
	l.frames = append(l.frames, orphan{of, frame, now})
	l.bytes += len(frame)
}

// take removes and returns the frames of one session, in the order of links and arrival.
func (o *orphans) take(of [32]byte) (frames [][]byte) {
	for _, id := range sortedLinks(o.links) {
		o.links[id].filter(func(x orphan) bool {
			if x.of == of {
				frames = append(frames, x.frame)
			}
			return x.of != of
		})
	}
	return frames
}

func (o *orphans) expire(now time.Time) {
	for _, l := range o.links {
		l.filter(func(x orphan) bool { return now.Sub(x.since) < orphanLife })
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
