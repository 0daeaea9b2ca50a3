// Package tagged is a store whose rows only their node can write: every value carries a tag, a MAC of key and value under a key that follows from
// the node's data key (spec/store 9). Whoever writes to the disk or to the cluster without that key makes up no row, changes none, and puts none in
// another's place: what they wrote is a *store.CorruptError of store.ErrForeign, with the row's name, wherever it is read.
//
// It stands over any driver, and keeps the contract of one. A tag does not show that a row was deleted, nor that it has an earlier value of its own.
package tagged
