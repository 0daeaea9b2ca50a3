package link

import (
	"encoding/binary"
	"fmt"
	"time"
)

const (
	// MaxFrame is the largest frame that Send takes, in bytes.
	MaxFrame = 8 << 20
	// MaxKnock bounds the body and the answer of a knock, in bytes.
	MaxKnock = 64 << 10

	maxMessage = 64 << 10           // the value of one BytesValue
	maxChunk   = maxMessage - 1<<10 // frame bytes in one message
	maxHello   = 1 << 10            // a newer neighbour's hello may be longer than ours

	// version is the wire version N that this code speaks; N−1 is accepted too, from version 1 on.
	version = 2
)

// Versions are the wire versions that this code speaks, ascending: N−1 and N, or 1 alone.
func Versions() []uint64 {
	if version == 1 {
		return []uint64{1}
	}
	return []uint64{version - 1, version}
}

// The first byte of a message says what it is (spec/link 3).
const (
	kindHello byte = iota + 1 // who is speaking, and what it has heard
	kindReady                 // the dialler accepts the answering hello
	kindFrame                 // a frame begins
	kindMore                  // the frame continues
	kindAck                   // all frames up to this one were handed over
	kindPing                  // answer with the same nonce
	kindPong                  // the nonce, and the answerer's UTC time
)

// An Incarnation is drawn at random when a Link is made: one life of one process. 16 bytes.
type Incarnation [16]byte

func (i Incarnation) String() string { return fmt.Sprintf("%x", i[:4]) }

// A fault is what an authenticated peer may not do. It ends the stream, and only that.
type fault struct{ reason string }

func (f *fault) Error() string { return f.reason }

func faultf(format string, args ...any) error { return &fault{fmt.Sprintf(format, args...)} }

// hello opens a stream in both directions (spec/link 3.1).
type hello struct {
	version  uint16
	born     Incarnation // the speaker's
	attempt  uint64      // the dialler's count of dials; the answer repeats it
	base     uint64      // the lowest sequence number that the speaker can still send
	known    Incarnation // of the listener, as the speaker last knew it; zero: none
	received uint64      // last frame of that incarnation which the speaker handed over
	clock    time.Time   // the speaker's UTC time, in milliseconds
	extra    []byte      // what a newer version adds; ignored
}

const helloSize = 1 + 2 + 16 + 8 + 8 + 16 + 8 + 8

func (h hello) encode() []byte {
	b := make([]byte, 0, helloSize+len(h.extra))
	b = append(b, kindHello)
	b = binary.BigEndian.AppendUint16(b, h.version)
	b = append(b, h.born[:]...)
	b = binary.BigEndian.AppendUint64(b, h.attempt)
	b = binary.BigEndian.AppendUint64(b, h.base)
	b = append(b, h.known[:]...)
	b = binary.BigEndian.AppendUint64(b, h.received)
	b = binary.BigEndian.AppendUint64(b, uint64(h.clock.UnixMilli()))
	return append(b, h.extra...)
}

// decodeHello checks the version against ours, the version this node speaks, before it reads the rest.
func decodeHello(b []byte, ours uint16) (hello, error) {
	var h hello
	if len(b) < 3 || b[0] != kindHello {
		return h, faultf("decode hello: the first message is not a hello")
	}
	h.version = binary.BigEndian.Uint16(b[1:])
	// N and N−1 work together: a neighbour one step newer accepts our version as its N−1.
	if h.version == 0 || h.version+1 < ours || h.version > ours+1 {
		return h, &versionError{theirs: h.version, ours: ours}
	}
	if len(b) > maxHello || len(b) < helloSize || (h.version <= ours && len(b) != helloSize) {
		return h, faultf("decode hello: %d bytes for version %d", len(b), h.version)
	}
	copy(h.born[:], b[3:])
	h.attempt = binary.BigEndian.Uint64(b[19:])
	h.base = binary.BigEndian.Uint64(b[27:])
	copy(h.known[:], b[35:])
	h.received = binary.BigEndian.Uint64(b[51:])
	ms := int64(binary.BigEndian.Uint64(b[59:]))
	h.extra = append([]byte(nil), b[helloSize:]...)
	switch {
	case h.born == Incarnation{}:
		return h, faultf("decode hello: the incarnation is zero")
	case h.base == 0:
		return h, faultf("decode hello: the lowest sequence number is 0")
	case !clockInRange(ms):
		return h, faultf("decode hello: the clock says %d ms since 1970", ms)
	}
	h.clock = time.UnixMilli(ms).UTC()
	return h, nil
}

// clockInRange admits the years 1970 to 9999.
func clockInRange(ms int64) bool { return ms >= 0 && ms < 253402300800000 }

type versionError struct{ theirs, ours uint16 }

func (e *versionError) Error() string {
	who := "the peer must be upgraded"
	if e.theirs > e.ours {
		who = "this node must be upgraded"
	}
	return fmt.Sprintf("the peer speaks link version %d, this node %d and its neighbours: %s", e.theirs, e.ours, who)
}

// message is anything after the hello (spec/link 3.2).
type message struct {
	kind  byte
	seq   uint64 // frame: its number, from 1
	ack   uint64 // frame, ack: all up to here were handed over
	total uint32 // frame: length of the whole
	nonce uint64 // ping, pong
	clock uint64 // pong: UTC milliseconds
	data  []byte // frame, more: shares memory with what was decoded
}

const frameHeader = 1 + 8 + 8 + 4

// fixedSize is the length of each kind of message, without the data of frame and more.
var fixedSize = [...]int{kindReady: 1, kindFrame: frameHeader, kindMore: 1, kindAck: 9, kindPing: 9, kindPong: 17}

// append writes m behind b.
func (m message) append(b []byte) []byte {
	b = append(b, m.kind)
	switch m.kind {
	case kindFrame:
		b = binary.BigEndian.AppendUint64(b, m.seq)
		b = binary.BigEndian.AppendUint64(b, m.ack)
		b = binary.BigEndian.AppendUint32(b, m.total)
		b = append(b, m.data...)
	case kindMore:
		b = append(b, m.data...)
	case kindAck:
		b = binary.BigEndian.AppendUint64(b, m.ack)
	case kindPing:
		b = binary.BigEndian.AppendUint64(b, m.nonce)
	case kindPong:
		b = binary.BigEndian.AppendUint64(b, m.nonce)
		b = binary.BigEndian.AppendUint64(b, m.clock)
	}
	return b
}

// decodeMessage reads one message after the hello. Every length is checked here or in assembler.
func decodeMessage(b []byte) (message, error) {
	var m message
	if len(b) == 0 || len(b) > maxMessage {
		return m, faultf("decode message: %d bytes", len(b))
	}
	m.kind = b[0]
	if m.kind < kindReady || m.kind > kindPong {
		return m, faultf("decode message: kind %d", m.kind)
	}
	fixed := fixedSize[m.kind]
	carries := m.kind == kindFrame || m.kind == kindMore
	if len(b) < fixed || !carries && len(b) != fixed {
		return m, faultf("decode message: kind %d with %d bytes", m.kind, len(b))
	}
	switch m.kind {
	case kindFrame:
		m.seq = binary.BigEndian.Uint64(b[1:])
		m.ack = binary.BigEndian.Uint64(b[9:])
		m.total = binary.BigEndian.Uint32(b[17:])
		m.data = b[frameHeader:]
	case kindMore:
		m.data = b[1:]
	case kindAck:
		m.ack = binary.BigEndian.Uint64(b[1:])
	case kindPing:
		m.nonce = binary.BigEndian.Uint64(b[1:])
	case kindPong:
		m.nonce = binary.BigEndian.Uint64(b[1:])
		m.clock = binary.BigEndian.Uint64(b[9:])
	}
	return m, nil
}

// assembler puts the chunks of one stream together. It holds at most one frame, and never more memory
// than about twice what has arrived: a claimed length allocates nothing.
type assembler struct {
	seq   uint64 // of the frame at hand or, between frames, of the last one
	total int
	open  bool
	buf   []byte
}

// take adds a frame or more message. The frame is complete when done is true; the caller then owns it.
func (a *assembler) take(m message) (frame []byte, done bool, err error) {
	if m.kind == kindFrame {
		switch {
		case a.open:
			return nil, false, faultf("frame %d begins inside frame %d", m.seq, a.seq)
		case m.seq == 0:
			return nil, false, faultf("frame 0: numbers begin at 1")
		case a.seq != 0 && m.seq != a.seq+1:
			return nil, false, faultf("frame %d after frame %d", m.seq, a.seq)
		case m.total > MaxFrame:
			return nil, false, faultf("frame %d claims %d bytes, the limit is %d", m.seq, m.total, MaxFrame)
		}
		a.seq, a.total, a.open, a.buf = m.seq, int(m.total), true, nil
	} else if !a.open {
		return nil, false, faultf("a chunk outside any frame")
	}
	// A chunk is full unless it is the last: one frame has one encoding.
	if want := min(a.total-len(a.buf), maxChunk); len(m.data) != want {
		return nil, false, faultf("frame %d: a chunk of %d bytes where %d belong", a.seq, len(m.data), want)
	}
	a.buf = append(a.buf, m.data...)
	if len(a.buf) < a.total {
		return nil, false, nil
	}
	frame, a.buf, a.open = a.buf, nil, false
	return frame, true, nil
}
