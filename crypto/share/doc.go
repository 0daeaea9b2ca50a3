// Package share holds Shamir's sharing over a group's scalars with Feldman's
// commitments (FOCS 1987), and Schnorr's proof of knowledge. Keygen and reshare are
// built on it; its formats stand in spec/groups.
//
// A threshold t counts the shares that are needed: polynomials have t coefficients
// and degree t−1. Plain Feldman lets the last speaker bias a joint key; that
// dealers commit to their commitments first is the protocols' part, not this room's.
//
// What the caller must destroy: a Polynomial after its shares are sent, a Nonce that is
// not answered, every share when its epoch ends. Each has Wipe.
package share
