package transcript

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"

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
type Hash struct{ e Encoder } // behind room for the root's tag and length

// New starts a hash under a label of the table in labels.go.
func New(label Label) *Hash { return NewSized(label, 0) }

// NewSized is New for items of about size bytes in all: a large tree is then not copied as it grows.
func NewSized(label Label, size int) *Hash {
	h := &Hash{Encoder{buf: make([]byte, frameSize, 64+size)}}
	h.e.String(tagLabel, label.String())
	return h
}

// NewSecret is New for a tree with secrets in it, each added by Bytes: what was encoded is overwritten as the encoding grows, and once it is hashed. So the hash is taken
// once, and Tree is not asked for. A share or an entropy draw in such a tree would else lie in memory until that is used again.
func NewSecret(label Label) *Hash {
	h := &Hash{Encoder{buf: make([]byte, frameSize, 256), secret: true}}
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
func (h *Hash) Tree() []byte { return bytes.Clone(h.tree()) }

func (h *Hash) tree() []byte {
	n := len(h.e.buf) - frameSize
	if n > MaxLen {
		panic(fmt.Sprintf("transcript: a tree has %d bytes", n))
	}
	binary.BigEndian.PutUint16(h.e.buf, uint16(tagRoot))
	binary.BigEndian.PutUint32(h.e.buf[2:], uint32(n))
	return h.e.buf
}

// done overwrites a tree with secrets in it.
func (h *Hash) done() {
	if h.e.secret {
		secret.Wipe(h.e.buf)
		h.e.buf = nil
	}
}

// Sum256 is SHA-256 of the tree.
func (h *Hash) Sum256() [32]byte {
	defer h.done()
	return sha256.Sum256(h.tree())
}

// Sum512 is SHA-512 of the tree.
func (h *Hash) Sum512() [64]byte {
	defer h.done()
	return sha512.Sum512(h.tree())
}

// Scalar is H_q: SHA-512 of the tree, cut to the group's WideSize, reduced.
func (h *Hash) Scalar(g group.Group) group.Scalar {
	s := h.Sum512()
	if h.e.secret {
		defer secret.Wipe(s[:])
	}
	return g.ReduceScalar(s[:g.WideSize()])
}
