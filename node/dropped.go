package node

import (
	"sync"
	"time"

	"github.com/ostraka/ostraka/mpc/engine"
)

const (
	// Frames of one peer that were dropped stand in the log one by one, so many at once, and then one in dropGap with the number of those between.
	dropBurst = 256
	dropGap   = 10 * time.Second
)

// drops holds to a pace what is written of frames that were dropped: one peer would fill this node's disk with them.
type drops struct {
	mu sync.Mutex
	of map[engine.PartyID]*dropped
}

type dropped struct {
	full time.Time // when as many as dropBurst may be written again
	more int       // that were not since
}

// drop writes down that a peer's frame was dropped. The zero party stands for all who are pinned for nothing.
func (n *Node) drop(now time.Time, from engine.PartyID, about ...any) {
	d := &n.drops
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.of[from]
	if p == nil {
		if d.of == nil {
			d.of = map[engine.PartyID]*dropped{}
		}
		p = &dropped{}
		d.of[from] = p
	}
	full := p.full
	if full.Before(now) || full.After(now.Add(dropBurst*dropGap)) {
		full = now // nothing for long, or a clock that was set back
	}
	if full = full.Add(dropGap); full.After(now.Add(dropBurst * dropGap)) {
		p.more++
		return
	}
	if p.more > 0 {
		about = append(about, "more", p.more)
	}
	p.full, p.more = full, 0
	n.cfg.Log.Warn("frame dropped", about...)
}
