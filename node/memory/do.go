//go:build !goexperiment.runtimesecret

package memory

import "github.com/ostraka/ostraka/crypto/secret"

// depth is how much of the stack Do overwrites.
const depth = 48 << 10

// Do runs f, and overwrites the stack that f used, as far as depth goes. What f leaves in registers and on the heap is erased only where
// the program is built with GOEXPERIMENT=runtimesecret.
func Do(f func()) {
	overwrite() // the stack grows here: while f runs it need not, and leaves no copy where it lay before
	defer overwrite()
	f()
}

// overwrite clears as much of the stack as lies below its caller.
//
//go:noinline
func overwrite() {
	var b [depth]byte
	secret.Wipe(b[:])
}

// Erases says whether Do erases registers and heap too.
const Erases = false
