//go:build nightly

package dudect

import (
	"bytes"
	"testing"
)

// The measurement works on this machine: an early exit is found.
func TestFindsAnEarlyExit(t *testing.T) {
	const size = 4096
	want := make([]byte, size)
	in := make([][]byte, 2000)
	equal := 0
	got := Case{
		Samples: len(in), Runs: 5,
		Prepare: func(i, class int) {
			in[i] = make([]byte, size)
			in[i][class*(size-1)] = 1
		},
		Op: func(i int) {
			for range 16 {
				if bytes.Equal(in[i], want) {
					equal++
				}
			}
		},
	}.Median()
	t.Logf("|t| = %.1f", got)
	if got < Bound || equal != 0 {
		t.Errorf("|t| = %.1f for a comparison that exits early", got)
	}
}
