package decide

import (
	"errors"
	"time"

	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/session"
)

// record is how sessions with a party went of late, in all intents. It is forgotten when the
// node stops.
type record struct {
	failed int       // sessions that failed by it, less those that succeeded
	until  time.Time // it is shunned until then
}

// maxDoubling bounds how long somebody is shunned: 64 times the first time.
const maxDoubling = 6

// shun notes how a session ended, for its parties. Each failure keeps its culprits away twice
// as long as the one before; who opens a session that never begins is held to account for it,
// more mildly, since it may have been let down itself.
func (d *Desk) shun(now time.Time, s *mpc.Setup, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var notBegun *session.NotBegunError
	switch {
	case err == nil:
		for _, p := range s.Parties {
			if r := d.poor[p.ID]; r.failed > 1 {
				d.poor[p.ID] = record{failed: r.failed - 1}
			} else {
				delete(d.poor, p.ID)
			}
		}
	case errors.As(err, &notBegun):
		if s.Opener != d.cfg.Self {
			d.failed(now, s.Opener, idleFor)
		}
	default:
		for _, p := range session.Culprits(err) {
			d.failed(now, p, skipFor)
		}
	}
}

func (d *Desk) failed(now time.Time, p engine.PartyID, base time.Duration) {
	r := d.poor[p]
	if until := now.Add(base << min(r.failed, maxDoubling)); until.After(r.until) {
		r.until = until
	}
	r.failed++
	d.poor[p] = r
}

// Shuns says that sessions with a party failed lately: while others are there, it is left out.
func (d *Desk) Shuns(now time.Time, p engine.PartyID) bool { return d.shuns(now, p) }

func (d *Desk) shuns(now time.Time, p engine.PartyID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return now.Before(d.poor[p].until)
}
