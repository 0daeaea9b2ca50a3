package ot

import (
	"bytes"
	"errors"
	"testing"
)

// Families of peer faults: everything a fuzzed message may end in.
func isPeerFault(err error) bool { return errors.Is(err, ErrEncoding) != errors.Is(err, ErrCheck) }

func FuzzAnswer(f *testing.F) {
	id := idOf("fuzz", 0)
	_, phi, err := NewChooser(id, stream("fuzz"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(phi)
	f.Add(flip(phi, 0, 1))
	f.Add(make([]byte, ChoiceSize))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, msg []byte) {
		l, answer, err := Answer(id, stream("answer"), msg)
		if err == nil && (l == nil || len(answer) != AnswerSize) {
			t.Error("no answer and no error")
		}
		if err != nil && (!errors.Is(err, ErrEncoding) || l != nil || answer != nil) {
			t.Errorf("%v, with output %v", err, l != nil)
		}
	})
}

func FuzzChooserFinish(f *testing.F) {
	id := idOf("fuzz", 0)
	c, phi, err := NewChooser(id, stream("fuzz"))
	if err != nil {
		f.Fatal(err)
	}
	_, answer, err := Answer(id, stream("answer"), phi)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(answer)
	f.Add(flip(answer, ChoiceSize, 1))
	f.Add(flip(answer, 0, 1))
	f.Add(make([]byte, AnswerSize))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, msg []byte) {
		p, err := clone(c).Finish(msg)
		if (p == nil) != (err != nil) || err != nil && !isPeerFault(err) {
			t.Errorf("state %v and error %v", p != nil, err)
		}
	})
}

func FuzzCheck(f *testing.F) {
	l, p := setUp(f, idOf("fuzz", 0), stream("fuzz"))
	id := idOf("session", 0)
	_, msg, err := Extend(id, l, stream("β"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(msg)
	f.Add(flip(msg, 0, 1))
	f.Add(flip(msg, ExtensionSize-1, 1))
	f.Add(make([]byte, ExtensionSize))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := Check(id, p, in)
		switch {
		case (s == nil) != (err != nil), err != nil && !isPeerFault(err):
			t.Errorf("sender %v and error %v", s != nil, err)
		case bytes.Equal(in, msg) && err != nil:
			t.Errorf("the honest message: %v", err)
		}
	})
}

func FuzzReceiverFinish(f *testing.F) {
	r := stream("fuzz")
	l, p := setUp(f, idOf("fuzz", 0), r)
	rcv, snd := extend(f, idOf("session", 0), l, p, r)
	_, msg, err := snd.Multiply([32]byte{}, scalars(f, r), r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(msg)
	f.Add(flip(msg, 0, 1))
	f.Add(flip(msg, ProductSize-1, 1))
	f.Add(bytes.Repeat([]byte{0xff}, ProductSize))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		_, err := finish(rcv, [32]byte{}, in)
		if (err == nil) != bytes.Equal(in, msg) || err != nil && !isPeerFault(err) {
			t.Errorf("message equal to the honest one: %v, error %v", bytes.Equal(in, msg), err)
		}
	})
}

func FuzzDecodeStates(f *testing.F) {
	l, p := setUp(f, idOf("fuzz", 0), stream("fuzz"))
	f.Add(l.Encode().Expose())
	f.Add(p.Encode().Expose())
	f.Add(make([]byte, LeavesSize))
	f.Add(make([]byte, PuncturedSize))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		if l, err := DecodeLeaves(in); err == nil && !bytes.Equal(l.Encode().Expose(), in) {
			t.Error("leaves: decode then encode changed the bytes")
		}
		if p, err := DecodePunctured(in); err == nil && !bytes.Equal(p.Encode().Expose(), in) {
			t.Error("punctured leaves: decode then encode changed the bytes")
		}
	})
}
