// Package tlog is a node's append-only Merkle log: leaves, hashes, tree heads. The hashing
// is RFC 6962's, through golang.org/x/mod/sumdb/tlog; storage is the caller's
// (spec/log).
//
// A leaf says in public what kind of thing happened when, to which vault, about what, and the
// id of the statement that says it in full. Ids are hashes of salted bytes, so a leaf hides
// what it does not say. The statement itself is the leaf's body: shown or withheld, it changes
// no hash of the tree.
package tlog

import (
	"crypto/sha256"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// A Hash is a node of the tree.
type Hash = tlog.Hash

// HashSize is the length of a Hash in bytes.
const HashSize = tlog.HashSize

// A Head is the tree's size and root.
type Head struct {
	Size int64
	Root Hash
}

// Empty is the head of the tree without leaves: its root is SHA-256 of nothing.
var Empty = Head{Root: sha256.Sum256(nil)}

// Reader gives stored hashes by their index (StoredHashIndex of x/mod's tlog).
type Reader = tlog.HashReader

// ReaderFunc makes a Reader of a function.
type ReaderFunc = tlog.HashReaderFunc

// StoredHashes is how many hashes a tree of this size stores: index numbers go up to it.
func StoredHashes(size int64) int64 { return tlog.StoredHashCount(size) }

// Completes says which leaf completes the hash of this index, and on which level of the tree it lies: 0 is
// the leaf's own.
func Completes(index int64) (leaf int64, level int) {
	level, n := tlog.SplitStoredHashIndex(index)
	return (n+1)<<level - 1, level
}

// Append computes what a new leaf adds: the hashes to be stored from index first on.
func Append(size int64, leaf []byte, old Reader) (first int64, hashes []Hash, err error) {
	hashes, err = tlog.StoredHashes(size, leaf, old)
	if err != nil {
		return 0, nil, fmt.Errorf("append leaf %d to the log: %w", size, err)
	}
	return tlog.StoredHashCount(size), hashes, nil
}

// Root computes the head of a tree of this size.
func Root(size int64, stored Reader) (Head, error) {
	h, err := tlog.TreeHash(size, stored)
	if err != nil {
		return Head{}, fmt.Errorf("compute the log's root at size %d: %w", size, err)
	}
	return Head{size, h}, nil
}
