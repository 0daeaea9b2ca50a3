//go:build nightly

package epoch

import "testing"

// All scenes in the exact form, and larger ones.
func TestModelNightly(t *testing.T) {
	for _, s := range scenes {
		s.run(t, true)
	}
}
