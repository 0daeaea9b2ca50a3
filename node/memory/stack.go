package memory

import "github.com/ostraka/ostraka/crypto/secret"

// depth is how much of the stack is overwritten.
const depth = 48 << 10

// Sweep overwrites what calls that have returned left on the stack of who calls it: as far as depth goes, and where the stack lies now. Called before
// them too, it has the stack grow, so that it need not while they run and leaves no copy where it lay.
//
//go:noinline
func Sweep() {
	var b [depth]byte
	secret.Wipe(b[:])
}
