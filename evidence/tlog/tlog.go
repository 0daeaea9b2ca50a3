// Package tlog is a node's append-only Merkle log: leaves, hashes, tree heads. The hashing
// is RFC 6962's, through golang.org/x/mod/sumdb/tlog; storage is the caller's
// (spec/log).
//
// A leaf says in public what kind of thing happened when, to which vault, and the id of
// the statement that says it in full. Ids are hashes of salted bytes, so a leaf hides what
// it does not say.
package tlog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ostraka/ostraka/crypto/transcript"
)

// Kinds of leaves.
const (
	KindStatement = "statement" // a statement by people was seen: roster, vault, intent…
	KindSignature = "signature" // a person's or a node's signature over a statement was seen
	KindDecision  = "decision"  // this node decided
	KindSession   = "session"   // this node joined a session
	KindFault     = "fault"     // a session ended in a fault
	KindBurn      = "burn"      // a pair was burned
	KindRecord    = "record"    // an epoch record was prepared
	KindCert      = "cert"      // … certified
	KindTested    = "tested"    // … tried by a test signature
	KindFinal     = "final"     // this node said FINAL
	KindFinalCert = "final-cert"
	KindDrop      = "drop"    // a pending record, or an operator that joined, was given up
	KindErase     = "erase"   // a higher record is in force: the secrets of this one are gone
	KindWanted    = "wanted"  // the operator asked for new shares of a key
	KindSigned    = "signed"  // a signature came out
	KindChain     = "chain"   // a transaction's life on its chain went on
	KindAlive     = "alive"   // a share proved itself
	KindAddress   = "address" // an address was given out
	KindAlarm     = "alarm"
	KindLife      = "life"      // a process began its work on this store
	KindFence     = "fence"     // this node was restored or cloned: it signs nothing
	KindConfirmed = "confirmed" // its operator made sure that no other copy runs

	KindPresignature = "presignature" // a presignature was taken: it serves this once
)

// A Leaf is one entry.
type Leaf struct {
	Kind  string    // 1 to 32 bytes
	Time  time.Time // whole seconds, UTC, of the node's own clock; 1970 to 2⁴⁰ s later
	Vault [32]byte  // vault statement's id, or zero
	ID    [32]byte  // of the statement, or the hash of what the kind names
}

const (
	fieldKind transcript.Tag = iota + 1
	fieldTime
	fieldVault
	fieldID
)

// Encode is the canonical form, the bytes that the log hashes.
func (l Leaf) Encode() []byte {
	var e transcript.Encoder
	e.String(fieldKind, l.Kind).Uint(fieldTime, uint64(l.Time.Unix()))
	return e.Bytes(fieldVault, l.Vault[:]).Bytes(fieldID, l.ID[:]).Sum()
}

// Decode reads the canonical form.
func Decode(b []byte) (Leaf, error) {
	d, l := transcript.NewDecoder(b), Leaf{}
	if l.Kind = d.String(fieldKind, 32); l.Kind == "" {
		d.Fail(fieldKind, errors.New("a leaf has a kind"))
	}
	l.Time = time.Unix(int64(d.Uint(fieldTime, 1<<40)), 0).UTC()
	copy(l.Vault[:], d.Fixed(fieldVault, 32))
	copy(l.ID[:], d.Fixed(fieldID, 32))
	if err := d.Done(); err != nil {
		return Leaf{}, fmt.Errorf("decode log leaf: %w", err)
	}
	return l, nil
}

// A Hash is a node of the tree.
type Hash = tlog.Hash

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
