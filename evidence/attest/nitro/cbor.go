package nitro

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Kinds of items in CBOR (RFC 8949, 3.1).
const (
	kindNumber = 0
	kindBytes  = 2
	kindText   = 3
	kindList   = 4
	kindMap    = 5
	itemNull   = 0xf6
)

var errShort = errors.New("ends too early")

// A reader takes items of CBOR off the front of bytes, and remembers the first error. It takes definite lengths alone, in their shortest form:
// bytes have one meaning, and a document one form.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// head takes the head of an item of one kind: its number or length.
func (r *reader) head(kind byte) uint64 {
	switch {
	case r.err != nil:
		return 0
	case len(r.b) == 0:
		r.fail(errShort)
		return 0
	case r.b[0]>>5 != kind:
		r.fail(fmt.Errorf("an item of kind %d stands where one of kind %d should", r.b[0]>>5, kind))
		return 0
	}
	low := r.b[0] & 31
	if low < 24 {
		r.b = r.b[1:]
		return uint64(low)
	}
	size := 1 << (low - 24)
	if low > 27 {
		r.fail(errors.New("an item's length is open or not known"))
		return 0
	}
	if len(r.b) < 1+size {
		r.fail(errShort)
		return 0
	}
	var wide [8]byte
	copy(wide[8-size:], r.b[1:])
	n := binary.BigEndian.Uint64(wide[:])
	if n < 24 || size > 1 && n>>(4*size) == 0 {
		r.fail(fmt.Errorf("number %d is not in its shortest form", n))
		return 0
	}
	r.b = r.b[1+size:]
	return n
}

// take takes bytes or text of at most max bytes.
func (r *reader) take(kind byte, max int) []byte {
	n := r.head(kind)
	switch {
	case r.err != nil:
	case n > uint64(max):
		r.fail(fmt.Errorf("has %d bytes, at most %d are allowed", n, max))
	case n > uint64(len(r.b)):
		r.fail(errShort)
	default:
		part := r.b[:n:n]
		r.b = r.b[n:]
		return part
	}
	return nil
}

func (r *reader) bytes(max int) []byte { return r.take(kindBytes, max) }

func (r *reader) text(max int) string {
	b := r.take(kindText, max)
	if !utf8.Valid(b) {
		r.fail(errors.New("a text is not UTF-8"))
	}
	return string(b)
}

// count takes the head of a list or map of at most max items.
func (r *reader) count(kind byte, max int) int {
	n := r.head(kind)
	if r.err == nil && n > uint64(max) {
		r.fail(fmt.Errorf("has %d items, at most %d are allowed", n, max))
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

// optional takes bytes or null.
func (r *reader) optional(max int) []byte {
	if r.err == nil && len(r.b) > 0 && r.b[0] == itemNull {
		r.b = r.b[1:]
		return nil
	}
	return r.bytes(max)
}

func (r *reader) done() error {
	if r.err == nil && len(r.b) > 0 {
		r.err = fmt.Errorf("%d bytes too many", len(r.b))
	}
	return r.err
}

// appendBytes writes bytes in their shortest form.
func appendBytes(to, b []byte) []byte {
	switch n := len(b); {
	case n < 24:
		to = append(to, kindBytes<<5|byte(n))
	case n < 1<<8:
		to = append(to, kindBytes<<5|24, byte(n))
	default:
		to = binary.BigEndian.AppendUint16(append(to, kindBytes<<5|25), uint16(n))
	}
	return append(to, b...)
}
