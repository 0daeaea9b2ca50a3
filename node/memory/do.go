//go:build !goexperiment.runtimesecret

package memory

// Do runs f. Built with GOEXPERIMENT=runtimesecret, what f leaves in registers, on the stack and on the heap is erased; this build does not do so.
func Do(f func()) { f() }

// Erases says whether Do does.
const Erases = false
