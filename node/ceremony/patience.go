package ceremony

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/session"
)

// A member that withholds its FINAL makes the others keep the shares of each attempt for ever. So attempts are made ever more
// seldom, whoever opens them.

// promised counts the records with our FINAL that wait for others', beside one another: of the attempts at a first key, or at its next
// epoch. missing names whose word is not here.
func (w *root) promised() (n int, missing string) {
	names := map[string]bool{}
	for _, a := range w.attempts {
		if w.published() && a != w.attempt {
			continue // attempts at the key are over
		}
		for _, p := range a.book.Pending() {
			if p.Final == nil || a == w.attempt && w.orphan(p.Record) {
				continue
			}
			n++
			finals := a.finals[p.Record.Hash()]
			for _, m := range p.Record.Members {
				if finals[m.ID] == nil {
					names[w.names[m.ID]] = true
				}
			}
		}
	}
	return n, strings.Join(slices.Sorted(maps.Keys(names)), ", ")
}

// patience is how long others' FINALs are waited for before the next attempt is made.
func (w *root) patience() time.Duration {
	n, _ := w.promised()
	return finalPatience << min(max(n-1, 0), maxPatience)
}

// tooSoon refuses attempts that come too fast, of one opener, or while others' last words may still come. The first time nobody is
// held up: a node that lost our messages may not know of the attempt that we wait for.
func (w *root) tooSoon(now time.Time, opener, self engine.PartyID) error {
	if opener == self {
		return nil
	}
	if err := w.tooFast(now, opener, self, retry); err != nil {
		return err
	}
	n, missing := w.promised()
	if wait := w.said.Add(w.patience() - pendingLife).Sub(now); n > 1 && wait > 0 {
		return fmt.Errorf("vault %s: %d attempts wait for the last word of %s: not another one for %s", w.title(), n, missing, wait.Round(time.Second))
	}
	return nil
}

// waiting is since when we wait for others' last words: sessions that fail meanwhile, whoever opens them, begin no wait anew.
func (w *root) waiting() time.Time {
	if w.said.After(w.began) {
		return w.said
	}
	return w.began
}

// opening is what became of the sessions that a peer opened here.
type opening struct {
	at     time.Time // when we joined the last one, or when it failed
	hung   int       // that hung until their time was over, or failed by the opener
	gaveUp int       // that it gave up before they began: because others declined, it says
}

// Who gives up before anything began is let in again after half of what it waits itself if it is honest, so that no moment decides; and late
// enough for us to come to our own.
const (
	gapAfterGivingUp = retry / 4
	maxGivenUp       = maxDoubling + 1
	maxHung          = 9 // ten seconds, doubled so often, is 85 minutes
)

// tooFast refuses who opens sessions and lets them die: while one hangs we open none, and after it we wait, so we would never come to
// open our own. gap is between two that do not fail.
func (w *root) tooFast(now time.Time, opener, self engine.PartyID, gap time.Duration) error {
	o := w.opened[opener]
	if o.gaveUp > 0 {
		gap = max(gap, gapAfterGivingUp<<min(o.gaveUp, maxGivenUp))
	}
	if o.hung > 0 {
		gap = max(gap, retry<<min(o.hung, maxHung))
	}
	if opener != self && now.Sub(o.at) < gap {
		return fmt.Errorf("vault %s: a session of the same opener was joined a moment ago, and %d of its sessions failed", w.title(), o.hung+o.gaveUp)
	}
	return nil
}

func (w *root) noteOpened(now time.Time, opener engine.PartyID) {
	o := w.opened[opener]
	o.at = now
	w.opened[opener] = o
}

// noteFailed holds a failure against the opener if it was itself in the way, or if the session hung before it began: then nobody else can be
// told from it. held says so of a peer: then the failure is no reason for us to wait.
func (w *root) noteFailed(now time.Time, opener, self engine.PartyID, err error) (held bool) {
	if opener == self {
		return false
	}
	var notBegun *session.NotBegunError
	var silent *session.SilentError
	o := w.opened[opener]
	o.at = now
	switch begun := !errors.As(err, &notBegun); {
	case slices.Contains(session.Culprits(err), opener), !begun && errors.As(err, &silent):
		o.hung++
	case !begun:
		o.gaveUp++
	default:
		return false
	}
	w.opened[opener] = o
	return true
}
