// Package act is what people and nodes say in SOS, typed (spec/sos 4): requests, supports, vetoes, challenges, proofs of life, live
// test signatures, steps, no-vetoes, activations, releases, closings and early releases.
//
// Each type is written as a statement and read from one; what a statement's form cannot hold is checked on both ways. Whether the
// right key signed is checked here too, against a plan's keys. What follows from it is custody/sos's.
package act
