package session

import (
	"bytes"
	"testing"

	"github.com/ostraka/ostraka/mpc/engine"
)

func FuzzDecodeSetup(f *testing.F) {
	f.Add(proposal(2).Encode())
	f.Add(proposal(16).Encode())
	f.Add([]byte{0, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := DecodeSetup(in)
		if err == nil && !bytes.Equal(s.Encode(), in) {
			t.Fatal("decode then encode changed a setup")
		}
	})
}

func FuzzDecodeJoin(f *testing.F) {
	body, _, err := unseal(frameJoin, open(f, proposal(2), 1).joins[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, in []byte) {
		j, err := DecodeJoin(in)
		if err == nil && !bytes.Equal(j.Encode(), in) {
			t.Fatal("decode then encode changed a join")
		}
	})
}

func FuzzReadEnvelope(f *testing.F) {
	o := open(f, proposal(2), 1)
	f.Add(o.seal(f, 0, -1, 1, "hello"))
	f.Add(o.seal(f, 0, 1, 1, "hello"))
	f.Add([]byte{frameMessage, 0, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := ReadEnvelope(in)
		if err != nil {
			return
		}
		m := engine.Msg{Session: e.Session, Round: e.Round, Kind: e.Kind, From: e.From, To: e.To}
		if h := (&Channel{setup: &Setup{Protocol: e.Protocol}}).header(&m); !bytes.Equal(h, e.header) {
			t.Fatal("decode then encode changed a header")
		}
	})
}

// Whatever comes to a session that stands is dropped without harm, unless it is a frame of
// this session.
func FuzzFramesOfStrangers(f *testing.F) {
	o := open(f, proposal(2), 1)
	f.Add(o.frame)
	f.Add(o.joins[0])
	f.Add(o.seal(f, 0, 1, 1, "hello")[:40])
	f.Fuzz(func(t *testing.T, in []byte) {
		g, _ := newJoin(t, o.setup, 1, 9)
		if g.Add(in) == nil && !bytes.Equal(in, o.joins[0]) {
			t.Fatal("took a join that nobody made")
		}
		if _, err := o.channels[1].Open(in); err == nil {
			t.Fatal("opened a message that nobody sent")
		}
		_, _ = TypeOf(in)
		_, _, _ = JoinSetup(in)
		_, _ = OpenSetup(in)
	})
}
