// Package memory keeps secrets out of swap, core dumps and other processes, as far as the system lets a Go program (SECURITY.md says how far that is).
//
// An Arena is a piece of memory outside Go's heap: locked, left out of core dumps, empty in a forked child, between pages that nobody may touch. What
// lives long lies there: the data key, the identity (Signer), and rows of shares while they are open. All that computes with them copies them into Go's own memory for a
// moment. Process guards the whole of it: where the limit on locked memory is infinite it locks that too.
package memory
