//go:build nightly

package pve

import (
	"io"
	"testing"

	"github.com/ostraka/ostraka/internal/dudect"
)

// Ephemeral keys and what they share with ek: coins of zeros, whose digits are mostly 0, against random ones (protocols.md 7 #24).
func TestTimingOfMultiples(t *testing.T) {
	const n = 20000
	m, err := newMultiples(newKey(t, "recipient").Public())
	if err != nil {
		t.Fatal(err)
	}
	r, coins := stream("timing"), make([][KeySize]byte, n)
	c := dudect.Case{Samples: n, Runs: 5, Prepare: func(i, class int) {
		if _, err := io.ReadFull(r, coins[i][:]); err != nil {
			t.Fatal(err)
		}
		if class == 0 {
			coins[i] = [KeySize]byte{}
		}
	}, Op: func(i int) {
		if _, _, err := m.ephemeral(coins[i][:], false); err != nil {
			t.Fatal(err)
		}
	}}
	got := c.Median()
	t.Logf("|t| = %.2f", got)
	if got >= dudect.Bound {
		t.Errorf("the ephemeral key shows in the time: |t| = %.2f", got)
	}
	// The same in variable time is found: the measurement can fail.
	c.Op = func(i int) {
		if _, _, err := m.ephemeral(coins[i][:], true); err != nil {
			t.Fatal(err)
		}
	}
	if loud := c.Median(); loud < dudect.Bound {
		t.Errorf("variable time is not found: |t| = %.2f", loud)
	}
}
