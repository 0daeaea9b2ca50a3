package psbt

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// AppendCompact writes a number as Bitcoin's CompactSize: 1, 3, 5 or 9 bytes, the shortest that holds it.
func AppendCompact(b []byte, n uint64) []byte {
	switch {
	case n < 0xfd:
		return append(b, byte(n))
	case n <= 0xffff:
		return binary.LittleEndian.AppendUint16(append(b, 0xfd), uint16(n))
	case n <= 0xffffffff:
		return binary.LittleEndian.AppendUint32(append(b, 0xfe), uint32(n))
	}
	return binary.LittleEndian.AppendUint64(append(b, 0xff), n)
}

// appendBytes writes a length and so many bytes.
func appendBytes(b, s []byte) []byte { return append(AppendCompact(b, uint64(len(s))), s...) }

var (
	errShort    = errors.New("ends too early")
	errShortest = errors.New("a length is not in its shortest form")
)

// A reader takes bytes from the front and keeps the first error.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err, r.rest = err, nil
	}
}

func (r *reader) take(n uint64) []byte {
	if r.err != nil || n > uint64(len(r.rest)) {
		r.fail(errShort)
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// compact reads a CompactSize. A longer form than needed is refused: two forms of one number are two hashes for one display.
func (r *reader) compact() uint64 {
	first := r.take(1)
	if first == nil {
		return 0
	}
	var n, least uint64
	switch first[0] {
	case 0xfd:
		n, least = little(r.take(2)), 0xfd
	case 0xfe:
		n, least = little(r.take(4)), 1<<16
	case 0xff:
		n, least = little(r.take(8)), 1<<32
	default:
		return uint64(first[0])
	}
	if n < least {
		r.fail(errShortest)
		return 0
	}
	return n
}

func little(b []byte) (n uint64) {
	for i, x := range b {
		n |= uint64(x) << (8 * i)
	}
	return n
}

func (r *reader) bytes() []byte { return r.take(r.compact()) }

// count reads how many parts follow, each of which takes least bytes or more: no number makes us keep room that the input cannot fill.
func (r *reader) count(least int) int {
	n := r.compact()
	if n > uint64(len(r.rest)/least) {
		r.fail(errShort)
		return 0
	}
	return int(n)
}

// end wants that nothing is left.
func (r *reader) end() error {
	if r.err == nil && len(r.rest) > 0 {
		return fmt.Errorf("is followed by %d more bytes", len(r.rest))
	}
	return r.err
}

// Compact reads a number in its shortest CompactSize form, and what follows it.
func Compact(b []byte) (n uint64, rest []byte, err error) {
	r := &reader{rest: b}
	n = r.compact()
	return n, r.rest, r.err
}
