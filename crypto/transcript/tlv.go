// Package transcript encodes and hashes without ambiguity.
//
// There is one canonical encoding, tlv: uint16 tag ‖ uint32 length ‖ bytes, big-endian.
// A list is one tlv whose value is a uint32 count and then its items. Two different
// trees never share bytes, so what is hashed or signed has one meaning
// (spec/encoding; the lack of this cost others their keys: TSSHOCK).
package transcript

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/ostraka/ostraka/crypto/secret"
)

// Tag is the number of a field within its message, or its type within a hash.
type Tag uint16

// MaxLen bounds every encoded value: 16 MiB.
const MaxLen = 16 << 20

// An Encoder appends fields. The zero value is ready.
type Encoder struct {
	buf    []byte
	secret bool // what is left behind as buf grows is overwritten
}

const frameSize = 2 + 4 // tag, length

// NewSecretEncoder is one for secrets, each added by Bytes: what is left behind as the encoding grows is overwritten. Who asks for Sum overwrites that.
func NewSecretEncoder() *Encoder { return &Encoder{secret: true} }

// grow makes room for n bytes, and leaves nothing of what is secret where it lay before.
func (e *Encoder) grow(n int) {
	if !e.secret || cap(e.buf)-len(e.buf) >= n {
		return
	}
	old := e.buf
	e.buf = append(make([]byte, 0, max(256, 2*(len(old)+n))), old...)
	secret.Wipe(old)
}

// Bytes appends one field.
func (e *Encoder) Bytes(tag Tag, b []byte) *Encoder {
	if len(b) > MaxLen {
		panic(fmt.Sprintf("transcript: field %d has %d bytes", tag, len(b)))
	}
	e.grow(frameSize + len(b))
	e.buf = binary.BigEndian.AppendUint16(e.buf, uint16(tag))
	e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(len(b)))
	e.buf = append(e.buf, b...)
	return e
}

// String appends one field of text.
func (e *Encoder) String(tag Tag, s string) *Encoder { return e.Bytes(tag, []byte(s)) }

// Uint appends one field of 8 bytes, big-endian.
func (e *Encoder) Uint(tag Tag, v uint64) *Encoder {
	return e.Bytes(tag, binary.BigEndian.AppendUint64(nil, v))
}

// List appends n items as one field; item fills each.
func (e *Encoder) List(tag Tag, n int, item func(i int, e *Encoder)) *Encoder {
	in := Encoder{buf: binary.BigEndian.AppendUint32(nil, uint32(n))}
	for i := range n {
		item(i, &in)
	}
	return e.Bytes(tag, in.buf)
}

// Sum returns what was encoded.
func (e *Encoder) Sum() []byte { return e.buf }

// A Decoder takes fields in order and remembers the first error. Check Err, or use
// Done, after the last field: values read after an error are zero.
type Decoder struct {
	buf []byte
	err error
}

// NewDecoder reads b. It keeps no copy: byte fields alias b.
func NewDecoder(b []byte) *Decoder { return &Decoder{buf: b} }

var errTruncated = errors.New("ends too early")

// Bytes takes the next field, which must carry this tag and have at most max bytes.
func (d *Decoder) Bytes(tag Tag, max int) []byte {
	if d.err != nil {
		return nil
	}
	if len(d.buf) < 6 {
		return d.fail(tag, errTruncated)
	}
	got, n := Tag(binary.BigEndian.Uint16(d.buf)), binary.BigEndian.Uint32(d.buf[2:])
	switch {
	case got != tag:
		return d.fail(tag, fmt.Errorf("found field %d", got))
	case uint64(n) > uint64(max):
		return d.fail(tag, fmt.Errorf("has %d bytes, at most %d are allowed", n, max))
	case uint64(n) > uint64(len(d.buf)-6):
		return d.fail(tag, errTruncated)
	}
	v := d.buf[6 : 6+n : 6+n]
	d.buf = d.buf[6+n:]
	return v
}

// Fixed takes the next field, which must have exactly n bytes.
func (d *Decoder) Fixed(tag Tag, n int) []byte {
	v := d.Bytes(tag, n)
	if d.err == nil && len(v) != n {
		return d.fail(tag, fmt.Errorf("has %d bytes, not %d", len(v), n))
	}
	return v
}

// String takes the next field as text of at most max bytes.
func (d *Decoder) String(tag Tag, max int) string { return string(d.Bytes(tag, max)) }

// Uint takes the next field of 8 bytes, which must be at most max.
func (d *Decoder) Uint(tag Tag, max uint64) uint64 {
	v := d.Fixed(tag, 8)
	if d.err != nil {
		return 0
	}
	u := binary.BigEndian.Uint64(v)
	if u > max {
		d.fail(tag, fmt.Errorf("is %d, at most %d is allowed", u, max))
		return 0
	}
	return u
}

// List takes the next field as a list of min to max items; item reads each.
func (d *Decoder) List(tag Tag, min, max int, item func(i int, d *Decoder)) int {
	v := d.Bytes(tag, math.MaxInt32)
	if d.err != nil {
		return 0
	}
	if len(v) < 4 {
		d.fail(tag, errTruncated)
		return 0
	}
	n := binary.BigEndian.Uint32(v)
	if uint64(n) < uint64(min) || uint64(n) > uint64(max) {
		d.fail(tag, fmt.Errorf("has %d items, %d to %d are allowed", n, min, max))
		return 0
	}
	in := NewDecoder(v[4:])
	for i := range int(n) {
		item(i, in)
		if in.err != nil {
			d.fail(tag, fmt.Errorf("item %d: %w", i, in.err))
			return 0
		}
	}
	if err := in.Done(); err != nil {
		d.fail(tag, err)
		return 0
	}
	return int(n)
}

// Fail records an error on a field that decoded but has an impossible value.
func (d *Decoder) Fail(tag Tag, err error) { d.fail(tag, err) }

// Err is the first error so far.
func (d *Decoder) Err() error { return d.err }

// More says whether a field follows: for one that stands only where it says something.
func (d *Decoder) More() bool { return d.err == nil && len(d.buf) > 0 }

// Done is the first error; bytes left over are one.
func (d *Decoder) Done() error {
	if d.err == nil && len(d.buf) > 0 {
		d.err = fmt.Errorf("%d bytes too many", len(d.buf))
	}
	return d.err
}

func (d *Decoder) fail(tag Tag, err error) []byte {
	if d.err == nil {
		d.err = fmt.Errorf("field %d: %w", tag, err)
	}
	return nil
}
