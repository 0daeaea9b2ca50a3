// Package sim runs a cluster of nodes in one event loop: virtual time, a network, disks
// and clocks that fail as a list of faults says, and checkers that watch for broken
// invariants (reliability.md 5). A seed gives roster, faults, order and crashes; the same
// options give the same trace, byte for byte.
//
//	report := sim.Run(sim.Draw(seed, sim.Safety), scenario)
//	if report.Violation != nil {
//		t.Fatal(report) // names the seed and its options; Shrink makes the list of faults short
//	}
//
// There are two modes. Safety: faults everywhere, and nothing forbidden may happen.
// Liveness: some threshold of nodes is healthy, all others are broken for good, and what
// was asked for must come about; faults that heal by luck would hide a livelock.
//
// A crash may strike inside a commit, before or after it is durable. The node's handler
// then runs to its end, but nothing that it does has an effect any more.
package sim
