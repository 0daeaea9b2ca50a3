package node_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/evidence/vetted"
	"github.com/ostraka/ostraka/node/nodetest"
)

// Frames 30 to 34 as they come through a link: from who is no member, and cut, long or spoiled from one who is. Each is dropped, with nothing written and nothing answered (spec/node 13).
func TestHostileFramesOfHardware(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 2)
	w.Found()
	a, b := w.Hosts[0], w.Hosts[1]
	guest := w.Newcomer()
	w.Join(a, guest)
	s := setting{World: w}
	nonce := bytes.Repeat([]byte{7}, 32)
	tlv := func(fill func(*transcript.Encoder)) []byte {
		var e transcript.Encoder
		fill(&e)
		return e.Sum()
	}
	good := map[byte][]byte{
		30: append(bytes.Clone(nonce), nonce...),
		31: tlv(func(e *transcript.Encoder) { e.Bytes(1, nonce).Bytes(2, []byte("evidence")).String(3, "") }),
		32: tlv(func(e *transcript.Encoder) { e.Bytes(1, nonce).Bytes(2, []byte("challenge")) }),
		33: tlv(func(e *transcript.Encoder) { e.Bytes(1, nonce).Bytes(2, make([]byte, 32)).String(3, "") }),
		34: tlv(func(e *transcript.Encoder) { e.Uint(1, 0).String(2, "no") }),
	}
	for kind, body := range good {
		frame := append([]byte{kind}, body...)
		s.drops(spoiled{"a guest's", "its operator is not in the roster in force"}, guest, a, frame)
		for name, bad := range map[string][]byte{
			"nothing": nil, "a byte less": body[:len(body)-1], "a byte more": append(bytes.Clone(body), 0), "half": body[:len(body)/2], "twice": append(bytes.Clone(body), body...),
			"a frame within the frame": frame, "endless": make([]byte, vetted.MaxEvidence+200), "a length that lies": {0, 1, 0xff, 0xff, 0xff, 0xff},
		} {
			s.drops(spoiled{name, "decode"}, b, a, append([]byte{kind}, bad...))
		}
	}
	// What is asked, shown or opened where nothing was: dropped for that.
	s.drops(spoiled{"evidence that nobody asked for", "is to no open question"}, b, a, append([]byte{31}, good[31]...))
	s.drops(spoiled{"a challenge about nothing", "about nothing that was shown"}, b, a, append([]byte{32}, good[32]...))
	s.drops(spoiled{"an answer to no challenge", "is to no open question"}, b, a, append([]byte{33}, good[33]...))
	// A member that says again and again something else of this node's evidence writes nothing where nothing is demanded of it.
	at := w.Log.Len()
	for i := range 500 {
		a.Deliver(context.Background(), w.Now, b.Own.Identity, append([]byte{34}, tlv(func(e *transcript.Encoder) { e.Uint(1, 0).String(2, fmt.Sprint("no ", i)) })...))
	}
	if log := w.Log.String()[at:]; strings.Contains(log, "no 4") || w.Log.Len()-at > 2000 {
		t.Errorf("500 words on evidence wrote %d bytes: %.300s", w.Log.Len()-at, log)
	}
	// And the first question of a member is answered, that it has nothing to show.
	w.Queue = nil
	a.Deliver(context.Background(), w.Now.Add(time.Minute), b.Own.Identity, append([]byte{30}, good[30]...))
	if len(w.Queue) != 1 || w.Queue[0].Frame[0] != 31 || !bytes.Contains(w.Queue[0].Frame, []byte("its settings name no hardware")) {
		t.Errorf("it answers %d frames", len(w.Queue))
	}
}
