// Package session hosts protocol sessions on a node: it answers setups, collects joins,
// steps machines, and carries their effects out in the order that makes them safe: burn and
// save durably, then send, then result (house.md, the engine's contract; spec/sessions-host).
//
// The Host starts no goroutine and reads no clock: its caller brings frames and the time.
//
// Locks. Host.mu guards the tables of joining and running sessions. Each run has a lock of
// its own, held while its machine steps, so two sessions step at the same time. Each pair
// (key, peer) has a lock that is held from the reading of its burn flag to the sending of
// what follows from the verdict: one verdict at a time per pair (protocols.md 2.3). The
// order is run, then pairs in sorted order, then mu.
package session
