// Package sos is one node's view of one vault's SOS (spec/sos): which requests it has, how far each has come on this node's own
// clock, and what may be signed meanwhile. It is pure: time, entropy, who signed, what was seen, and what is stored are arguments.
//
// Nobody decides for a node. Each counts the delay from its own durable first sight, on its own clock, in steps that neither a clock
// change, a restart, a suspension nor a snapshot can shorten (clock.go), and gives its part in one decision (release.go) that looks at
// everything once more. So nothing early happens unless r operators and k guardians are dishonest.
//
// Where each rule stands:
//
//	start.go    what a declaration takes: who counts, of which organisations, since when silent; one at a time; repeats; pauses
//	cancel.go   vetoes, proof of life with a live signature; what is late
//	tick.go     what time brings: the notice quorum, the delay, the window, the lock-up
//	clock.go    the credited clock
//	release.go  the one decision after which vetoes are late; what a node answers to others before theirs
//	guardian.go what a guardian's own tool refuses
//	activate.go who contributes, and for whom
//	gate.go     which sessions may run, and what may not change meanwhile
//	outflow.go  what may leave: sweeps, protective calls, lock-up, tranches
//	ready.go    NOT READY or ARMED: what is missing, and what to do
//	moves.go    the whole machine in one table
//
// The S-numbers in comments are the abuses of spec/sos 9 that a check stops.
package sos
