package dkls

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// A link repeats what a peer has not acknowledged, as node/link does over a connection. The
// sum stands for TLS: what the network garbled is dropped.
type link struct {
	send   func(to int, wire []byte)
	life   uint64 // of this process
	next   uint64
	queues map[int][]parcel
}

type parcel struct {
	seq  uint64
	wire []byte
	born time.Time
}

const (
	wireData   = 'd'
	wireAck    = 'a'
	wireHeader = 1 + 8 + 8
	wireSum    = 8

	giveUp = time.Minute
)

func wrap(kind byte, life, seq uint64, frame []byte) []byte {
	b := binary.BigEndian.AppendUint64([]byte{kind}, life)
	b = append(binary.BigEndian.AppendUint64(b, seq), frame...)
	sum := sha256.Sum256(b)
	return append(b, sum[:wireSum]...)
}

func unwrap(wire []byte) (kind byte, life, seq uint64, frame []byte, ok bool) {
	if len(wire) < wireHeader+wireSum {
		return 0, 0, 0, nil, false
	}
	body := wire[:len(wire)-wireSum]
	sum := sha256.Sum256(body)
	return body[0], binary.BigEndian.Uint64(body[1:]), binary.BigEndian.Uint64(body[9:]), body[wireHeader:],
		bytes.Equal(sum[:wireSum], wire[len(body):])
}

// post sends a frame now, and again until it is acknowledged.
func (l *link) post(now time.Time, to int, frame []byte) {
	l.next++
	p := parcel{l.next, wrap(wireData, l.life, l.next, frame), now}
	l.queues[to] = append(l.queues[to], p)
	l.send(to, p.wire)
}

// take answers a wire's frame; nil if there is nothing to deliver.
func (l *link) take(from int, wire []byte) []byte {
	kind, life, seq, frame, ok := unwrap(wire)
	switch {
	case !ok:
		return nil
	case kind == wireData:
		l.send(from, wrap(wireAck, life, seq, nil))
		return bytes.Clone(frame)
	case kind == wireAck && life == l.life:
		l.drop(from, func(p parcel) bool { return p.seq == seq })
	}
	return nil
}

func (l *link) tick(now time.Time, peers int) {
	for to := range peers {
		l.drop(to, func(p parcel) bool { return now.Sub(p.born).Abs() > giveUp })
		for _, p := range l.queues[to] {
			l.send(to, p.wire)
		}
	}
}

func (l *link) drop(to int, gone func(parcel) bool) {
	kept := l.queues[to][:0]
	for _, p := range l.queues[to] {
		if !gone(p) {
			kept = append(kept, p)
		}
	}
	clear(l.queues[to][len(kept):])
	l.queues[to] = kept
}
