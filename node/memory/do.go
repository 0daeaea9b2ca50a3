//go:build !goexperiment.runtimesecret

package memory

// Do runs f, and overwrites the stack that f used (Sweep). What f leaves in registers and on the heap is erased only where the program is built
// with GOEXPERIMENT=runtimesecret.
func Do(f func()) {
	Sweep()
	defer Sweep()
	f()
}

// Erases says whether Do erases registers and heap too.
const Erases = false
