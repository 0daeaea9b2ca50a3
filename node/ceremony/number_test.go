package ceremony

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/mpc/epoch"
)

// Which numbers an attempt at the next epoch may have, whatever others proposed, began or finished before.
func TestNumbers(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	setup := [32]byte{1}
	for _, c := range []struct {
		name   string
		before func(*root)
		n      uint64
		want   string // of the refusal; empty: taken
		next   uint64 // that this node would give
	}{
		{"the first", func(*root) {}, 1, "", 1},
		{"zero", func(*root) {}, 0, "does not follow 0", 1},
		{"many that this node knows nothing of", func(*root) {}, 999_999, "", 1},
		{"the highest of all now", func(*root) {}, 1_000_000, "", 1},
		{"more than there can have been", func(*root) {}, 1_000_001, "so many were never made", 1},
		{"all that there are", func(*root) {}, 1 << 62, "so many were never made", 1},
		{"the end of all numbers", func(*root) {}, math.MaxUint64, "so many were never made", 1},
		{"while another is open", func(w *root) { w.join(setup, 7) }, 7, "does not follow 7", 8},
		{"above one that is open", func(w *root) { w.join(setup, 7) }, 8, "", 8},
		{"proposed, and never begun", func(w *root) { w.join(setup, 7); delete(w.open, setup) }, 1, "", 8},
		{"begun, and over", func(w *root) { w.join(setup, 7); w.begin(setup); delete(w.open, setup) }, 7, "does not follow 7", 8},
		{"begun, and the epoch came in force meanwhile", func(w *root) { w.join(setup, 7); w.numbers = numbers{}; w.begin(setup) }, 1, "", 1},
		{"proposed while our clock was ahead", func(w *root) { w.join(setup, 2_000_000); delete(w.open, setup) }, 1, "", 1},
		{"proposed in this very second", func(w *root) { w.join(setup, 1_000_000); delete(w.open, setup) }, 1, "", 1},
		{"proposed a second ago", func(w *root) { w.join(setup, 999_999); delete(w.open, setup) }, 1_000_000, "", 1_000_000},
		{"begun in this very second", func(w *root) { w.join(setup, 1_000_000); w.begin(setup) }, 1_000_000, "does not follow", 1_000_001},
	} {
		w := &root{attempt: &attempt{book: epoch.NewBook()}}
		c.before(w)
		err := w.follows(now, c.n)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: attempt %d: %v, not %q", c.name, c.n, err, c.want)
		}
		if n := w.nextAttempt(now); n != c.next {
			t.Errorf("%s: the next would be %d, not %d", c.name, n, c.next)
		}
	}
	if n := latestAttempt(time.Unix(-5, 0)); n != 0 {
		t.Errorf("a clock of before 1970 allows %d", n)
	}
}
