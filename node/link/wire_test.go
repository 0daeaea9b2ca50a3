package link

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"
)

func sampleHello() hello {
	return hello{
		version: 1, born: Incarnation{0xaa, 0xbb}, attempt: 3, base: 7, known: Incarnation{0xcc},
		received: 9, clock: time.UnixMilli(1_800_000_000_123).UTC(),
	}
}

// Byte snapshots: a change of these is a new wire version.
func TestWireSnapshots(t *testing.T) {
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"hello": {sampleHello().encode(), "01" + "0001" + "aabb" + strings.Repeat("00", 14) + "0000000000000003" + "0000000000000007" +
			"cc" + strings.Repeat("00", 15) + "0000000000000009" + "000001a3185c507b"},
		"ready": {message{kind: kindReady}.append(nil), "02"},
		"frame": {message{kind: kindFrame, seq: 1, ack: 2, total: 3, data: []byte("abc")}.append(nil), "03" + "0000000000000001" + "0000000000000002" + "00000003" + "616263"},
		"more":  {message{kind: kindMore, data: []byte("abc")}.append(nil), "04616263"},
		"ack":   {message{kind: kindAck, ack: 258}.append(nil), "050000000000000102"},
		"ping":  {message{kind: kindPing, nonce: 1}.append(nil), "060000000000000001"},
		"pong":  {message{kind: kindPong, nonce: 1, clock: 2}.append(nil), "0700000000000000010000000000000002"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestDecodeHello(t *testing.T) {
	change := func(f func(*hello)) []byte { h := sampleHello(); f(&h); return h.encode() }
	good := sampleHello().encode()
	for name, c := range map[string]struct {
		b    []byte
		says string
	}{
		"empty":            {nil, "not a hello"},
		"another kind":     {append([]byte{kindReady}, good[1:]...), "not a hello"},
		"short":            {good[:helloSize-1], "66 bytes for version 1"},
		"long":             {append(bytes.Clone(good), 0), "68 bytes for version 1"},
		"version 0":        {change(func(h *hello) { h.version = 0 }), "version 0"},
		"version 3":        {change(func(h *hello) { h.version = 3 }), "this node must be upgraded"},
		"version 65535":    {change(func(h *hello) { h.version = 65535 }), "version 65535"},
		"far too long":     {append(change(func(h *hello) { h.version = 2 }), make([]byte, maxHello)...), "1091 bytes for version 2"},
		"newer but short":  {change(func(h *hello) { h.version = 2 })[:helloSize-1], "66 bytes for version 2"},
		"zero incarnation": {change(func(h *hello) { h.born = Incarnation{} }), "incarnation is zero"},
		"base 0":           {change(func(h *hello) { h.base = 0 }), "lowest sequence number is 0"},
		"clock before":     {change(func(h *hello) { h.clock = time.UnixMilli(-1) }), "clock says -1"},
		"clock after":      {change(func(h *hello) { h.clock = time.UnixMilli(253402300800000) }), "clock says"},
	} {
		_, err := decodeHello(c.b, 1)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		wantContains(t, err.Error(), c.says)
	}
	newer := append(change(func(h *hello) { h.version = 2 }), "later fields"...)
	if h, err := decodeHello(newer, 1); err != nil || !bytes.Equal(h.encode(), newer) {
		t.Errorf("a newer neighbour's hello: %v", err)
	}
	if h, err := decodeHello(good, 2); err != nil || h.version != 1 {
		t.Errorf("an older neighbour's hello: %v", err)
	}
}

func TestAssembler(t *testing.T) {
	full, rest := make([]byte, maxChunk), []byte("rest")
	start := func(seq uint64, total int, data []byte) message {
		return message{kind: kindFrame, seq: seq, total: uint32(total), data: data}
	}
	more := func(data []byte) message { return message{kind: kindMore, data: data} }
	for name, c := range map[string]struct {
		in   []message
		says string // of the last message; empty: a frame is complete
	}{
		"empty frame":            {[]message{start(1, 0, nil)}, ""},
		"one chunk":              {[]message{start(5, 4, rest)}, ""},
		"two chunks":             {[]message{start(1, maxChunk+4, full), more(rest)}, ""},
		"two frames":             {[]message{start(1, 4, rest), start(2, 4, rest)}, ""},
		"number 0":               {[]message{start(0, 4, rest)}, "numbers begin at 1"},
		"gap":                    {[]message{start(1, 4, rest), start(3, 4, rest)}, "frame 3 after frame 1"},
		"repeat":                 {[]message{start(1, 4, rest), start(1, 4, rest)}, "frame 1 after frame 1"},
		"claims 4 GiB":           {[]message{start(1, 1<<32-1, full)}, "claims 4294967295 bytes"},
		"claims one byte more":   {[]message{start(1, MaxFrame+1, full)}, "the limit is 8388608"},
		"chunk longer than told": {[]message{start(1, 3, rest)}, "a chunk of 4 bytes where 3 belong"},
		"short chunk":            {[]message{start(1, maxChunk+4, rest)}, "a chunk of 4 bytes"},
		"empty chunk":            {[]message{start(1, maxChunk+4, full), more(nil)}, "a chunk of 0 bytes where 4 belong"},
		"long last chunk":        {[]message{start(1, maxChunk+4, full), more(full)}, "where 4 belong"},
		"chunk outside":          {[]message{more(rest)}, "outside any frame"},
		"chunk behind":           {[]message{start(1, 4, rest), more(rest)}, "outside any frame"},
		"frame in frame":         {[]message{start(1, maxChunk+4, full), start(2, 4, rest)}, "frame 2 begins inside frame 1"},
	} {
		var a assembler
		for i, m := range c.in {
			frame, done, err := a.take(m)
			last := i == len(c.in)-1
			var f *fault
			switch {
			case !last && err != nil:
				t.Errorf("%s: message %d: %v", name, i, err)
			case last && c.says == "" && (err != nil || !done || len(frame) != a.total):
				t.Errorf("%s: %d bytes, done %v, %v", name, len(frame), done, err)
			case last && c.says != "" && !errors.As(err, &f):
				t.Errorf("%s: accepted", name)
			case last && c.says != "":
				wantContains(t, err.Error(), c.says)
			}
		}
	}
	// A claim allocates nothing.
	var a assembler
	if _, _, err := a.take(start(1, MaxFrame, full)); err != nil || cap(a.buf) > 2*maxChunk {
		t.Errorf("one chunk of a claimed 8 MiB took %d bytes: %v", cap(a.buf), err)
	}
}

func FuzzHello(f *testing.F) {
	f.Add(sampleHello().encode())
	newer := sampleHello()
	newer.version, newer.extra = 2, []byte("more")
	f.Add(newer.encode())
	f.Add([]byte{kindHello, 0, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHello(b, 1)
		if err == nil && !bytes.Equal(h.encode(), b) {
			t.Errorf("%x decodes, and encodes to %x", b, h.encode())
		}
	})
}

func FuzzMessage(f *testing.F) {
	for _, m := range []message{
		{kind: kindReady}, {kind: kindFrame, seq: 1, ack: 2, total: 3, data: []byte("abc")}, {kind: kindMore, data: []byte("abc")},
		{kind: kindAck, ack: 5}, {kind: kindPing, nonce: 5}, {kind: kindPong, nonce: 5, clock: 6},
	} {
		f.Add(m.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMessage(b)
		if err == nil && !bytes.Equal(m.append(nil), b) {
			t.Errorf("%x decodes, and encodes to %x", b, m.append(nil))
		}
	})
}

// FuzzAssembler reads messages as length (2 bytes) and bytes; a length of 65535 stands for a full chunk.
// What comes out, cut into chunks again, is what went in.
func FuzzAssembler(f *testing.F) {
	f.Add([]byte{0, 22, kindFrame, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'x'})
	f.Add([]byte{255, 255, 0, 0, 252, 5, 0, 2, kindMore, 'x', 0, 2, kindMore, 'y'})
	f.Fuzz(func(t *testing.T, b []byte) {
		var a assembler
		var taken, given int
		var last uint64
		for len(b) >= 2 {
			n := int(b[0])<<8 | int(b[1])
			b = b[2:]
			var m message
			if n == 65535 && len(b) >= 4 {
				total := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
				m, b = message{kind: kindFrame, seq: last + 1, total: total, data: make([]byte, maxChunk)}, b[4:]
			} else {
				n = min(n, len(b))
				var err error
				if m, err = decodeMessage(b[:n]); err != nil || (m.kind != kindFrame && m.kind != kindMore) {
					return
				}
				b = b[n:]
			}
			frame, done, err := a.take(m)
			if err != nil {
				return
			}
			taken += len(m.data)
			if done {
				given, last = given+len(frame), a.seq
				if len(frame) > MaxFrame || given != taken {
					t.Fatalf("%d bytes in, %d out", taken, given)
				}
			}
			if cap(a.buf) > 2*(taken-given)+maxMessage {
				t.Fatalf("%d bytes held for %d", cap(a.buf), taken-given)
			}
		}
	})
}
