// Package nodetest runs a circle of nodes in one process: real keys, real protocols, disks in
// memory, frames in one queue, time that the test moves. A test may crash a node before or
// after any durable step, drop, change or repeat frames, and set clocks apart.
//
// A Watch looks at everything that nodes send and keep, and fails the test at once when an
// invariant does not hold (watch.go names them).
//
// Only tests import it.
package nodetest
