// Package wire reads and writes protobuf in one form alone, for chains that sign it: fields in the order of their numbers,
// numbers in the shortest form, no field that says what its absence says, and no field that the reader does not know. So
// decoding and encoding again gives the same bytes, and nothing is signed that nobody saw.
package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// A Refused error says which field is not in that form, and why.
type Refused struct{ Field, Reason string }

func (e *Refused) Error() string { return e.Field + ": " + e.Reason }

// A Reader takes a message's fields in order and keeps the first error. Check Done after the last field.
type Reader struct {
	name string
	rest []byte
	err  error
}

// NewReader reads b, a message that errors call name. It keeps no copy: byte fields alias b.
func NewReader(name string, b []byte) *Reader { return &Reader{name: name, rest: b} }

// Fail records an error on a field that decoded but has an impossible value.
func (r *Reader) Fail(field, format string, args ...any) {
	if r.err == nil {
		r.err = &Refused{r.name + "." + field, fmt.Sprintf(format, args...)}
	}
}

// Adopt keeps another reader's error, of a message within this one.
func (r *Reader) Adopt(err error) {
	if r.err == nil && err != nil {
		r.err = err
	}
}

// Err is the first error so far.
func (r *Reader) Err() error { return r.err }

// next says whether the next field has this number, and moves behind its tag.
func (r *Reader) next(number protowire.Number, kind protowire.Type, field string) bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	tag, n := protowire.ConsumeVarint(r.rest)
	if n < 0 || n != protowire.SizeVarint(tag) {
		r.Fail(field, "a tag is cut short or not in its shortest form")
		return false
	}
	got, typ := protowire.DecodeTag(tag)
	if got != number {
		return false
	}
	if typ != kind {
		r.Fail(field, "is of wire type %d, not %d", typ, kind)
		return false
	}
	r.rest = r.rest[n:]
	return true
}

// Uint takes a number; 0 if the field is absent.
func (r *Reader) Uint(number protowire.Number, field string) uint64 {
	if !r.next(number, protowire.VarintType, field) {
		return 0
	}
	v, n := protowire.ConsumeVarint(r.rest)
	switch {
	case n < 0 || n != protowire.SizeVarint(v): // two encodings of one number: two hashes for one display
		r.Fail(field, "is cut short or not in its shortest form")
		return 0
	case v == 0:
		r.Fail(field, "says 0, which its absence says")
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// Int takes a number from 0 to 2⁶³−1.
func (r *Reader) Int(number protowire.Number, field string) int64 {
	v := r.Uint(number, field)
	if v > 1<<63-1 {
		r.Fail(field, "is negative")
		return 0
	}
	return int64(v)
}

// Bytes takes a field of 1 to max bytes; nil if it is absent.
func (r *Reader) Bytes(number protowire.Number, field string, max int) []byte {
	if !r.next(number, protowire.BytesType, field) {
		return nil
	}
	b := r.bytes(field, max)
	if r.err == nil && len(b) == 0 {
		r.Fail(field, "is empty, which its absence says")
	}
	return b
}

func (r *Reader) bytes(field string, max int) []byte {
	size, n := protowire.ConsumeVarint(r.rest)
	switch {
	case n < 0 || n != protowire.SizeVarint(size):
		r.Fail(field, "its length is cut short or not in its shortest form")
	case size > uint64(max):
		r.Fail(field, "has %d bytes, more than %d", size, max)
	case size > uint64(len(r.rest)-n):
		r.Fail(field, "is longer than what follows")
	default:
		b := r.rest[n : n+int(size) : n+int(size)]
		r.rest = r.rest[n+int(size):]
		return b
	}
	return nil
}

// Text takes a field of 1 to max bytes as text; "" if it is absent.
func (r *Reader) Text(number protowire.Number, field string, max int) string {
	return string(r.Bytes(number, field, max))
}

// Each takes a repeated field of at most most items, each of at most max bytes.
func (r *Reader) Each(number protowire.Number, field string, most, max int, item func([]byte)) {
	for n := 0; r.next(number, protowire.BytesType, field); n++ {
		if n == most {
			r.Fail(field, "there are more than %d", most)
			return
		}
		if b := r.bytes(field, max); r.err == nil {
			item(b)
		}
	}
}

// Refuse fails if a field is there.
func (r *Reader) Refuse(number protowire.Number, field, reason string) {
	if r.err != nil || len(r.rest) == 0 {
		return
	}
	if tag, n := protowire.ConsumeVarint(r.rest); n > 0 {
		if got, _ := protowire.DecodeTag(tag); got == number {
			r.Fail(field, "%s", reason)
		}
	}
}

// Done is the first error; a field that was not taken is one: it is unknown, stands twice, or out of order.
func (r *Reader) Done() error {
	if r.err == nil && len(r.rest) > 0 {
		tag, n := protowire.ConsumeVarint(r.rest)
		if n < 0 {
			r.Fail("end", "is followed by %d bytes that are no field", len(r.rest))
		} else {
			number, _ := protowire.DecodeTag(tag)
			r.Fail(fmt.Sprintf("field %d", number), "is unknown, stands twice or out of order")
		}
	}
	return r.err
}

// A Writer appends fields in the same form: what is zero or empty is left out. The zero value is ready.
type Writer struct{ b []byte }

// Uint appends a number.
func (w *Writer) Uint(number protowire.Number, v uint64) *Writer {
	if v != 0 {
		w.b = protowire.AppendVarint(protowire.AppendTag(w.b, number, protowire.VarintType), v)
	}
	return w
}

// Bytes appends bytes.
func (w *Writer) Bytes(number protowire.Number, b []byte) *Writer {
	if len(b) > 0 {
		w.Item(number, b)
	}
	return w
}

// Item appends one item of a repeated field, which may be empty.
func (w *Writer) Item(number protowire.Number, b []byte) *Writer {
	w.b = protowire.AppendBytes(protowire.AppendTag(w.b, number, protowire.BytesType), b)
	return w
}

// Text appends text.
func (w *Writer) Text(number protowire.Number, s string) *Writer { return w.Bytes(number, []byte(s)) }

// Sum returns what was written.
func (w *Writer) Sum() []byte { return w.b }
