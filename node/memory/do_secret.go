//go:build goexperiment.runtimesecret

package memory

import "runtime/secret"

// Do runs f. What f leaves in registers and on the stack is erased when it returns, and what it allocated once nothing refers to it (Go's
// runtime/secret, an experiment, on Linux on amd64 and arm64). f must not start goroutines: theirs are not.
func Do(f func()) { secret.Do(f) }

// Erases says whether Do does.
const Erases = true
