package journal

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/store"
)

// A row is what the store holds of a leaf (spec/log 2).
type row struct {
	leaf   []byte
	hashes []tlog.Hash // the leaf's own, then those of the subtrees that it completes, from below
	body   []byte
}

const (
	fieldLeaf transcript.Tag = iota + 1
	fieldHashes
	fieldBody
)

const (
	maxLeaf   = 256
	maxHashes = 49 // of a tree of maxSize leaves
	maxBody   = tlog.MaxContent + tlog.MaxSignatures*(tlog.MaxSignature+6) + 64
)

func (r row) encode() []byte {
	hashes := make([]byte, 0, len(r.hashes)*tlog.HashSize)
	for _, h := range r.hashes {
		hashes = append(hashes, h[:]...)
	}
	var e transcript.Encoder
	return e.Bytes(fieldLeaf, r.leaf).Bytes(fieldHashes, hashes).Bytes(fieldBody, r.body).Sum()
}

func decodeRow(n int64, b []byte) (row, error) {
	d := transcript.NewDecoder(b)
	r := row{leaf: d.Bytes(fieldLeaf, maxLeaf)}
	hashes := d.Bytes(fieldHashes, maxHashes*tlog.HashSize)
	r.body = d.Bytes(fieldBody, maxBody)
	if err := d.Done(); err != nil {
		return row{}, fmt.Errorf("log row %d: %w", n, err)
	}
	for ; len(hashes) >= tlog.HashSize; hashes = hashes[tlog.HashSize:] {
		r.hashes = append(r.hashes, tlog.Hash(hashes[:tlog.HashSize]))
	}
	// The last leaf of a subtree of 2^k leaves completes k+1 hashes.
	if want := tlog.StoredHashes(n+1) - tlog.StoredHashes(n); len(hashes) > 0 || int64(len(r.hashes)) != want {
		return row{}, fmt.Errorf("log row %d: it holds %d hashes, not %d", n, len(r.hashes), want)
	}
	return r, nil
}

// filed gives the leaf and its body, which must be the leaf's.
func (r row) filed(n int64) (f tlog.Filed, err error) {
	if f.Leaf, err = tlog.Decode(r.leaf); err != nil {
		return f, fmt.Errorf("log leaf %d: %w", n, err)
	}
	if f.Body, err = tlog.DecodeBody(r.body); err != nil {
		return f, fmt.Errorf("log leaf %d: %w", n, err)
	}
	if len(f.Body.Content) > 0 && !tlog.Named(f.Kind) && !f.Leaf.Fits(f.Body) {
		return f, fmt.Errorf("log leaf %d: its body is not what its id names", n)
	}
	return f, nil
}

// Tells says whether a row of the store is a leaf of this kind, in today's form or the first release's, wherever the store lies. A row that is no leaf is none.
func Tells(it store.Item, kind string) (bool, error) {
	if strings.HasPrefix(it.Key, store.Prefix(kindOldLeaf)) {
		l, err := tlog.Decode(it.Value)
		if err != nil {
			return false, fmt.Errorf("row %q: %w", it.Key, err)
		}
		return l.Kind == kind, nil
	}
	number, ok := strings.CutPrefix(it.Key, store.Prefix(kindLeaf))
	if !ok {
		return false, nil
	}
	n, err := strconv.ParseUint(number, 16, 48)
	if err != nil {
		return false, fmt.Errorf("row %q: %w", it.Key, err)
	}
	r, err := decodeRow(int64(n), it.Value)
	if err != nil {
		return false, fmt.Errorf("row %q: %w", it.Key, err)
	}
	l, err := tlog.Decode(r.leaf)
	if err != nil {
		return false, fmt.Errorf("row %q: %w", it.Key, err)
	}
	return l.Kind == kind, nil
}
