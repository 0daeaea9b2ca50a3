package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"

	"github.com/ostraka/ostraka/node/store"
)

// The page format of bbolt (internal/common): numbers in the machine's byte order.
//
//	page:    id 8 ‖ flags 2 ‖ count 2 ‖ overflow 4 ‖ elements
//	meta:    magic 4 ‖ version 4 ‖ page size 4 ‖ flags 4 ‖ root 8 ‖ sequence 8 ‖
//	         freelist 8 ‖ high-water page 8 ‖ txid 8 ‖ FNV-1a of all before 8
//	leaf:    flags 4 ‖ position 4 ‖ key size 4 ‖ value size 4
//	branch:  position 4 ‖ key size 4 ‖ page 8
//	bucket:  root 8 ‖ sequence 8 ‖ page, if root is 0
const (
	pageHeader  = 16
	elementSize = 16
	bucketSize  = 16
	metaEnd     = pageHeader + 64

	flagBranch = 1
	flagLeaf   = 2
	flagMeta   = 4
	leafBucket = 1

	boltMagic   = 0xED0CDAED
	boltVersion = 2
	noFreelist  = 1<<64 - 1

	maxDepth = 32 // a tree of 2 keys per page and 2³² records is no deeper
)

var native = binary.NativeEndian

// A pageReader walks the tree of a file that bbolt has not opened: bbolt trusts page
// numbers and positions, and a cycle or a wild position ends the process.
type pageReader struct {
	f        *os.File
	pageSize int64
	root     uint64
	high     uint64 // pages from here on are not used
	tx       uint64 // the newest transaction
	seen     []uint64
}

// verify reads the whole store: structure, every record, and the state record against
// all of them. The caller holds the lock, and bbolt is not open.
func verify(f *os.File, path string) (st state, err error) {
	var t tally
	r, err := readMetas(f)
	if err == nil {
		t, err = count(r)
	}
	if err == nil {
		if st, err = t.compare(); err == nil {
			err = st.newest(r.tx)
		}
	}
	return st, named(err, path)
}

// readMetas reads both meta pages. bbolt takes the older one silently when the newer
// one is damaged, which would undo an acknowledged batch; here both must be sound and
// stand one transaction apart. (A meta page's 80 bytes lie in one sector, so a crash
// leaves no torn one.)
func readMetas(f *os.File) (*pageReader, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size, err := metaPageSize(f)
	if err != nil {
		return nil, err
	}
	var txid [2]uint64
	var root, high [2]uint64
	newest := 0
	for i := range 2 {
		b := make([]byte, metaEnd)
		if _, err := f.ReadAt(b, int64(i)*size); err != nil {
			return nil, fmt.Errorf("meta page %d: %w", i, err)
		}
		if err := checkMeta(b, uint64(i), size); err != nil {
			return nil, fmt.Errorf("meta page %d: %w", i, err)
		}
		root[i], high[i], txid[i] = native.Uint64(b[32:]), native.Uint64(b[56:]), native.Uint64(b[64:])
		if txid[i] > txid[newest] {
			newest = i
		}
		if i == newest && txid[i] > 1 && native.Uint64(b[48:]) != noFreelist {
			return nil, fmt.Errorf("meta page %d: has a list of free pages: another program wrote it", i)
		}
	}
	if txid[newest]-txid[1-newest] != 1 || txid[newest]%2 != uint64(newest) {
		return nil, fmt.Errorf("meta pages are of transactions %d and %d", txid[0], txid[1])
	}
	if high[newest] > uint64(info.Size())/uint64(size) {
		return nil, fmt.Errorf("file has %d bytes, too few for %d pages", info.Size(), high[newest])
	}
	return &pageReader{f: f, pageSize: size, root: root[newest], high: high[newest], tx: txid[newest], seen: make([]uint64, high[newest]/64+1)}, nil
}

func metaPageSize(f *os.File) (int64, error) {
	b := make([]byte, metaEnd)
	if _, err := f.ReadAt(b, 0); err != nil {
		return 0, fmt.Errorf("meta page 0: %w", err)
	}
	size := int64(native.Uint32(b[24:]))
	if size < 1024 || size > 64<<10 || size&(size-1) != 0 {
		return 0, fmt.Errorf("meta page 0: page size is %d", size)
	}
	return size, nil
}

func checkMeta(b []byte, id uint64, size int64) error {
	h := fnv.New64a()
	_, _ = h.Write(b[pageHeader:72])
	switch {
	case native.Uint64(b) != id || native.Uint16(b[8:]) != flagMeta:
		return errors.New("is no meta page")
	case native.Uint32(b[16:]) != boltMagic || native.Uint32(b[20:]) != boltVersion:
		return errors.New("is not of bbolt's version 2")
	case int64(native.Uint32(b[24:])) != size:
		return errors.New("has another page size")
	case native.Uint64(b[72:]) != h.Sum64():
		return errors.New("checksum is wrong")
	}
	return nil
}

// records calls f with every pair of the one bucket, in order.
func (r *pageReader) records(f func(k, v []byte) error) error {
	found := false
	err := r.walk(r.root, nil, nil, 0, func(flags uint32, k, v []byte) error {
		if found || !bytes.Equal(k, bucketName) || flags != leafBucket || len(v) < bucketSize {
			return fmt.Errorf("unknown bucket %q", k)
		}
		found = true
		plain := func(flags uint32, k, v []byte) error {
			if flags != 0 {
				return fmt.Errorf("key %q is no record's", k)
			}
			return f(k, v)
		}
		if root := native.Uint64(v); root != 0 {
			return r.walk(root, nil, nil, 0, plain)
		}
		return leaf(v[bucketSize:], nil, nil, plain)
	})
	if err == nil && !found {
		return errors.New("has no records at all")
	}
	return err
}

// walk visits the leaves below page id, whose keys must lie in lo ≤ key < hi.
func (r *pageReader) walk(id uint64, lo, hi []byte, depth int, f func(flags uint32, k, v []byte) error) error {
	if depth > maxDepth {
		return fmt.Errorf("page %d: tree is deeper than %d", id, maxDepth)
	}
	b, err := r.page(id)
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	if native.Uint16(b[8:]) == flagLeaf {
		err = leaf(b, lo, hi, f)
	} else {
		err = r.branch(b, lo, hi, depth, f)
	}
	if err != nil && !errors.Is(err, store.ErrCorrupt) {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return err
}

// page reads a page with its overflow, once.
func (r *pageReader) page(id uint64) ([]byte, error) {
	if id < 2 || id >= r.high {
		return nil, fmt.Errorf("is outside 2 to %d", r.high-1)
	}
	head := make([]byte, pageHeader)
	if _, err := r.f.ReadAt(head, int64(id)*r.pageSize); err != nil {
		return nil, err
	}
	n := 1 + uint64(native.Uint32(head[12:]))
	switch flags := native.Uint16(head[8:]); {
	case native.Uint64(head) != id:
		return nil, fmt.Errorf("calls itself page %d", native.Uint64(head))
	case flags != flagLeaf && flags != flagBranch:
		return nil, fmt.Errorf("has type %#x", flags)
	case n > r.high-id:
		return nil, fmt.Errorf("runs over %d pages", n)
	}
	for i := id; i < id+n; i++ {
		if r.seen[i/64]>>(i%64)&1 == 1 {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		r.seen[i/64] |= 1 << (i % 64)
	}
	b := make([]byte, int64(n)*r.pageSize)
	_, err := r.f.ReadAt(b, int64(id)*r.pageSize)
	return b, err
}

func (r *pageReader) branch(b []byte, lo, hi []byte, depth int, f func(flags uint32, k, v []byte) error) error {
	n, err := elements(b)
	if err != nil {
		return err
	}
	if n == 0 {
		return errors.New("branch without children")
	}
	keys, child := make([][]byte, n+1), make([]uint64, n)
	for i := range n {
		at := pageHeader + i*elementSize
		if keys[i], _, err = cut(b, n, at, native.Uint32(b[at:]), native.Uint32(b[at+4:]), 0); err != nil {
			return err
		}
		if err := inOrder(keys[i], lo, hi); err != nil {
			return err
		}
		lo = append(bytes.Clone(keys[i]), 0)
		child[i] = native.Uint64(b[at+8:])
	}
	keys[n] = hi
	for i := range n {
		if err := r.walk(child[i], keys[i], keys[i+1], depth+1, f); err != nil {
			return err
		}
	}
	return nil
}

func leaf(b []byte, lo, hi []byte, f func(flags uint32, k, v []byte) error) error {
	n, err := elements(b)
	if err != nil {
		return err
	}
	for i := range n {
		at := pageHeader + i*elementSize
		k, v, err := cut(b, n, at, native.Uint32(b[at+4:]), native.Uint32(b[at+8:]), native.Uint32(b[at+12:]))
		if err != nil {
			return err
		}
		if err := inOrder(k, lo, hi); err != nil {
			return err
		}
		if err := f(native.Uint32(b[at:]), k, v); err != nil {
			return err
		}
		lo = append(bytes.Clone(k), 0)
	}
	return nil
}

// elements is the number of elements of a page whose table fits.
func elements(b []byte) (int, error) {
	if len(b) < pageHeader {
		return 0, errors.New("is too short for a page")
	}
	n := int(native.Uint16(b[10:]))
	if pageHeader+n*elementSize > len(b) {
		return 0, fmt.Errorf("has %d elements, too many", n)
	}
	return n, nil
}

// cut takes key and value of an element: pos counts from the element itself.
func cut(b []byte, n, at int, pos, ksize, vsize uint32) (k, v []byte, err error) {
	start := uint64(at) + uint64(pos)
	end := start + uint64(ksize) + uint64(vsize)
	if start < uint64(pageHeader+n*elementSize) || end > uint64(len(b)) {
		return nil, nil, fmt.Errorf("element %d lies outside", (at-pageHeader)/elementSize)
	}
	return b[start : start+uint64(ksize)], b[start+uint64(ksize) : end], nil
}

func inOrder(k, lo, hi []byte) error {
	if bytes.Compare(k, lo) < 0 || hi != nil && bytes.Compare(k, hi) >= 0 {
		return fmt.Errorf("key %q is out of order", k)
	}
	return nil
}
