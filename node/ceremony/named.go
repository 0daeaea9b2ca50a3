package ceremony

import (
	"time"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// Named is what an epoch that an intent names is to this node.
type Named int

const (
	Unknown Named = iota // it was never in force here: it may come to be
	Over                 // it was, and the key went to another committee or threshold since
	Serves               // it is, or was and the same members made new shares since, and nothing else
)

// Named says what an epoch is that people's statements name (spec/epochs 7.8). A person's approval is of a transaction under a
// vault's rules, by which a committee decides; whose shares sign it is the sessions' matter, and those are of the epoch in force
// alone. So new shares of the same members change nothing that was approved; another committee or threshold does.
func (k *Keeper) Named(vault statement.ID, key [32]byte, eh epoch.Hash) Named {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := k.keys[key]
	if w == nil || w.ID != vault || w.past[eh] == nil {
		return Unknown
	}
	if w.serves(w.past[eh]) {
		return Serves
	}
	return Over
}

// serves wants every record that was in force here after this one to have its members and threshold, and the parent of each too:
// a node that was away may have missed a committee in between. A parent may be older than this record only if it is its own: attempts
// at one refresh may come into force one after the other.
func (w *root) serves(x *epoch.Record) bool {
	for _, r := range w.past {
		if r.KeyID == x.KeyID && r.Higher(x) && w.parts(r, x) {
			return false
		}
	}
	return true
}

// parts says whether a record above another ends what was named under it.
func (w *root) parts(r, x *epoch.Record) bool {
	parent := w.past[r.Prev]
	return !alike(r, x) || r.Prev != x.Prev && (parent == nil || !alike(parent, x))
}

// Ended says since when an epoch serves no more here, or at the latest since when; zero: it does, or that is not known. One that this node never
// knew is older than the first that it knows.
func (k *Keeper) Ended(vault statement.ID, key [32]byte, eh epoch.Hash) time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := k.keys[key]
	if w == nil || w.ID != vault {
		return time.Time{}
	}
	x, next := w.past[eh], (*epoch.Record)(nil)
	for _, r := range w.past {
		if (x == nil || r.Higher(x) && w.parts(r, x)) && (next == nil || next.Higher(r)) {
			next = r
		}
	}
	if next == nil {
		return time.Time{}
	}
	return w.inForceSince(next)
}

// inForceSince is when a record was first known to be in force here, or one above it.
func (w *root) inForceSince(x *epoch.Record) (first time.Time) {
	for eh, at := range w.sinces {
		if r := w.past[eh]; r != nil && !x.Higher(r) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// alike says whether two records have the same members, in the same seats, and the same threshold.
func alike(a, b *epoch.Record) bool {
	return a.Threshold == b.Threshold && sameParties(a.Parties(), b.Parties())
}
