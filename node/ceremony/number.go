package ceremony

import (
	"fmt"
	"time"
)

// Attempts at a key's next epoch have numbers (spec/epochs 7.3): of two records of one epoch the higher one holds (spec/epochs 1.5), so a new attempt stands above all that may yet come into
// force. What one is unique by is its Setup; a number orders.
//
// Members may hold records, and have begun attempts, that others know nothing of. So what a node takes must not hang on the last number that it knows itself: a member could
// drive its peers' up with an attempt that one of them forgets, or before a newcomer comes, and would have nobody agree on a number again. Honest nodes count one by one, and
// no two attempts are a second apart; so the clock bounds them all alike, and nobody uses up what is not there yet.

// numbers are what a root knows of the attempts at its next epoch, beside what is pending.
type numbers struct {
	tried uint64              // the highest that we joined, begun or not: our own next is above it
	begun uint64              // the highest that all parties joined
	open  map[[32]byte]uint64 // those of sessions that we joined and that are not over, by hash of setup
}

func (n *numbers) join(setup [32]byte, number uint64) {
	if n.open == nil {
		n.open = map[[32]byte]uint64{}
	}
	n.tried, n.open[setup] = max(n.tried, number), number
}

// begin notes that all joined an attempt, if it is one at the epoch that is next now.
func (n *numbers) begin(setup [32]byte) { n.begun = max(n.begun, n.open[setup]) }

// latestAttempt is the highest number that an attempt may have now: one for each second since 1970.
func latestAttempt(now time.Time) uint64 { return uint64(max(now.Unix(), 0)) }

// lastAttempt is the highest number that no other attempt at the epoch after the one in force may have any more. What was only proposed takes none: whoever may open a
// session could use them up.
func (w *root) lastAttempt() (a uint64) {
	for _, p := range w.book.Pending() {
		a = max(a, p.Record.Attempt)
	}
	for _, n := range w.open {
		a = max(a, n)
	}
	return max(a, w.begun)
}

// nextAttempt is the number that we give the next one: above all that we joined, so that another opens it.
func (w *root) nextAttempt(now time.Time) uint64 {
	last := w.lastAttempt()
	if w.tried < latestAttempt(now) { // else it came while our clock was ahead
		last = max(last, w.tried)
	}
	return last + 1
}

// follows says whether an attempt of others may have its number.
func (w *root) follows(now time.Time, n uint64) error {
	switch last, latest := w.lastAttempt(), latestAttempt(now); {
	case n <= last:
		return fmt.Errorf("vault %s: attempt %d at new shares does not follow %d", w.title(), n, last)
	case n > latest:
		return fmt.Errorf("vault %s: attempt %d at new shares: so many were never made: the highest that may be is %d, the seconds since 1970", w.title(), n, latest)
	}
	return nil
}
