//go:build !failpoint

package failpoint

// Enabled tells whether the build tag failpoint is set.
const Enabled = false

// Hit does nothing.
func Hit(string) {}
