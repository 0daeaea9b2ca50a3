// Package charters keeps the versions of the circle's charter: what is in force, what waits, and what people and operators may say at once
// beside it: vetoes, revocations of keys, freezes (spec/charter 5).
//
// A version needs an officer of every operator of its roster, and then every operator's node: each enacts it once its own clock has counted the
// delay, unless somebody vetoed it there before, and enacts no other of that version. So at most one can come into force, and all nodes
// find the same one, whoever is hostile.
package charters
