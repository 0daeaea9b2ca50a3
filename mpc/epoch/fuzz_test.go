package epoch

import (
	"bytes"
	"testing"

	"github.com/ostraka/ostraka/crypto/transcript"
)

func FuzzDecodeRecord(f *testing.F) {
	w := newWorld(f)
	r := w.record(1, 1, 2, three, nil, 0)
	f.Add(r.Encode())
	f.Add(w.record(1, 1, 2, three, r, 3).Encode())
	s := newRescue(f)
	f.Add(s.child.Encode())
	f.Add(s.record(1, 3, 2, []int{0, 5}, s.child, 0).Encode())
	f.Add([]byte{0, 1, 0, 0, 0, 32})
	f.Fuzz(func(t *testing.T, in []byte) {
		if r, err := Decode(in); err == nil && !bytes.Equal(r.Encode(), in) {
			t.Fatal("decode then encode changed a record")
		}
	})
}

func FuzzDecodeCert(f *testing.F) {
	w := newWorld(f)
	root := w.record(1, 1, 2, three, nil, 0)
	f.Add(w.cert(root).Encode())
	f.Add(w.certOf(w.record(1, 2, 2, []int{0, 6}, root, 0), root).Encode())
	f.Add(newRescue(f).cert.Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		if c, err := DecodeCert(in); err == nil && !bytes.Equal(c.Encode(), in) {
			t.Fatal("decode then encode changed a certificate")
		}
	})
}

func FuzzDecodeFinal(f *testing.F) {
	w := newWorld(f)
	r := w.record(1, 1, 2, three, nil, 0)
	f.Add(w.final(r, w.cert(r), r.Members[0].ID, 1).Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		if x, err := DecodeFinal(in); err == nil && !bytes.Equal(x.Encode(), in) {
			t.Fatal("decode then encode changed a FINAL")
		}
	})
}

func FuzzDecodeFinalCert(f *testing.F) {
	w := newWorld(f)
	root := w.record(1, 1, 2, three, nil, 0)
	f.Add(w.finalCert(root, 1).Encode())
	f.Add(w.finalCertOf(w.record(1, 2, 2, []int{0, 6}, root, 0), root, 1).Encode())
	s := newRescue(f)
	f.Add(s.final(s.child, s.cert).Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		if x, err := DecodeFinalCert(in); err == nil && !bytes.Equal(x.Encode(), in) {
			t.Fatal("decode then encode changed a final certificate")
		}
	})
}

func FuzzOpenChain(f *testing.F) {
	w := newWorld(f)
	root := w.record(1, 1, 2, []int{0, 1}, nil, 0)
	c, err := NewChain(w.finalCert(root, 1), enrolled(root))
	if err == nil {
		c, err = c.Extend(w.finalCertOf(w.record(1, 2, 2, []int{0, 6}, root, 0), root, 1))
	}
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.Encode())
	f.Add((&Chain{c.links[:1]}).Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		if c, err := OpenChain(in, enrolled(root)); err == nil {
			if f, err := FirstLink(in); err != nil || !bytes.Equal(f.Encode(), c.Links()[0].Encode()) {
				t.Fatalf("its first link is not the one that is read alone: %v", err)
			}
		}
		if c, err := OpenChain(in, enrolled(root)); err == nil && !bytes.Equal(c.Encode(), in) {
			t.Fatal("decode then encode changed a chain")
		}
	})
}

// Whatever is shown to us, only what our key signed counts.
func FuzzRolledBack(f *testing.F) {
	w := newWorld(f)
	root := w.record(1, 1, 2, three, nil, 0)
	me := root.Members[0].ID
	setup, join := w.frames(root, me)
	f.Add(message(root.Hash(), SignPrep(root.Hash(), w.signer(me))), setup, join)
	mine, other, book := w.identity(me), w.identity(root.Members[1].ID), w.inForce(root)
	f.Fuzz(func(t *testing.T, body, setup, join []byte) {
		e := Evidence{Prep: body, OldOK: body, Setup: setup, Join: join}
		if RolledBack(other, e) != nil {
			t.Fatal("a signature that nobody made")
		}
		if RolledBack(mine, e, book) != nil {
			t.Fatal("a record that is current is not known")
		}
	})
}

// Grounds alone, without the PREPs that a fuzzer cannot make.
func FuzzDecodeGrounds(f *testing.F) {
	f.Add(newRescue(f).cert.Rescue.encode())
	f.Add([]byte{0, 1, 0, 0, 0, 32})
	f.Fuzz(func(t *testing.T, in []byte) {
		var e transcript.Encoder
		d := transcript.NewDecoder(e.Bytes(fieldCertRescue, in).Sum())
		if g := decodeGrounds(d); d.Done() == nil && !bytes.Equal(g.encode(), in) {
			t.Fatal("decode then encode changed grounds")
		}
	})
}
