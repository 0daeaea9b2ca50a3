package ceremony

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/mpc/engine"
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
			for _, m := range p.Record.Members {
				if a.finals[p.Record.Hash()][m.ID] == nil {
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
	if now.Sub(w.opened[opener]) < retry {
		return fmt.Errorf("vault %s: an attempt of the same opener was joined a moment ago", w.title())
	}
	n, missing := w.promised()
	if wait := w.said.Add(w.patience() - pendingLife).Sub(now); n > 1 && wait > 0 {
		return fmt.Errorf("vault %s: %d attempts wait for the last word of %s: not another one for %s", w.title(), n, missing, wait.Round(time.Second))
	}
	return nil
}
