package transcript

import (
	"crypto/sha256"
	"crypto/sha512"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
)

// Types of hashed items. They stand in the tag, so that a number and a byte string
// with the same bytes differ.
const (
	tagRoot Tag = iota + 1
	tagLabel
	tagBytes
	tagUint
	tagList
)

// A Hash collects typed items under a label: one tlv tree, hashed as a whole.
type Hash struct{ e Encoder }

// New starts a hash under a label of the table in labels.go.
func New(label Label) *Hash {
	h := &Hash{}
	h.e.String(tagLabel, label.String())
	return h
}

// NewSecret is New for a tree with secrets in it, each added by Bytes: what was encoded is overwritten as the encoding grows, and once it is hashed. So the hash is taken
// once, and Tree is not asked for. A share or an entropy draw in such a tree would else lie in memory until that is used again.
func NewSecret(label Label) *Hash {
	h := &Hash{Encoder{secret: true}}
	h.e.String(tagLabel, label.String())
	return h
}

// Bytes adds a byte string.
func (h *Hash) Bytes(b []byte) *Hash { h.e.Bytes(tagBytes, b); return h }

// Uint adds a number.
func (h *Hash) Uint(v uint64) *Hash { h.e.Uint(tagUint, v); return h }

// List adds a counted list of byte strings.
func (h *Hash) List(items ...[]byte) *Hash {
	h.e.List(tagList, len(items), func(i int, e *Encoder) { e.Bytes(tagBytes, items[i]) })
	return h
}

// Points adds a counted list of encoded points, none the identity of secp256k1.
func (h *Hash) Points(p ...group.Point) *Hash {
	h.e.List(tagList, len(p), func(i int, e *Encoder) { e.Bytes(tagBytes, p[i].Bytes()) })
	return h
}

// Tree is what is hashed, and what is signed where an identity key signs.
func (h *Hash) Tree() []byte {
	root := Encoder{buf: make([]byte, 0, frameSize+len(h.e.buf))}
	return root.Bytes(tagRoot, h.e.buf).Sum()
}

// done overwrites a tree with secrets in it, and what it was made of.
func (h *Hash) done(tree []byte) {
	if h.e.secret {
		secret.Wipe(tree)
		secret.Wipe(h.e.buf)
		h.e.buf = nil
	}
}

// Sum256 is SHA-256 of the tree.
func (h *Hash) Sum256() [32]byte {
	tree := h.Tree()
	defer h.done(tree)
	return sha256.Sum256(tree)
}

// Sum512 is SHA-512 of the tree.
func (h *Hash) Sum512() [64]byte {
	tree := h.Tree()
	defer h.done(tree)
	return sha512.Sum512(tree)
}

// Scalar is H_q: SHA-512 of the tree, cut to the group's WideSize, reduced.
func (h *Hash) Scalar(g group.Group) group.Scalar {
	s := h.Sum512()
	if h.e.secret {
		defer secret.Wipe(s[:])
	}
	return g.ReduceScalar(s[:g.WideSize()])
}
