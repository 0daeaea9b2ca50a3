package node

import (
	"context"
	"testing"

	"github.com/ostraka/ostraka/node/outbox"
)

// Whatever a pinned peer sends, the node neither panics nor leaves its duties.
func FuzzDeliver(f *testing.F) {
	w, _, _ := ready(f, 2, 2)
	h, peer := w.hosts[0], w.hosts[1]
	f.Add([]byte{frameNote})
	f.Add(append([]byte{frameNote}, outbox.Note{Kind: 0x20, Fields: [][]byte{{1}, {2}}}.Encode()...))
	f.Add(append([]byte{frameVerdict}, make([]byte, 33)...))
	f.Add([]byte{frameDecline, 0, 1})
	for kind := byte(1); kind <= 3; kind++ {
		f.Add([]byte{kind, 0, 1, 0, 0, 0, 0})
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		h.Deliver(context.Background(), w.now, peer.own.Identity, frame)
		w.queue = nil
		if _, err := h.Journal.Head(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzDecodeDecline(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, reason, err := decodeDecline(in); err == nil && len(reason) > 512 {
			t.Fatalf("reason of %d bytes", len(reason))
		}
	})
}
