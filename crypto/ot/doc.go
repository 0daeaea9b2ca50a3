// Package ot is oblivious transfer between an ordered pair of parties, up to a vector
// multiplication: base transfers, their extension, and a product of secrets shared as a sum.
package ot
