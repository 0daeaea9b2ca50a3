package epoch

import (
	"bytes"
	"testing"
)

func FuzzDecodeRecord(f *testing.F) {
	w := newWorld(f)
	r := w.record(1, 1, 2, three, nil, 0)
	f.Add(r.Encode())
	f.Add(w.record(1, 1, 2, three, r, 3).Encode())
	f.Add([]byte{0, 1, 0, 0, 0, 32})
	f.Fuzz(func(t *testing.T, in []byte) {
		if r, err := Decode(in); err == nil && !bytes.Equal(r.Encode(), in) {
			t.Fatal("decode then encode changed a record")
		}
	})
}

func FuzzDecodeCert(f *testing.F) {
	w := newWorld(f)
	f.Add(w.cert(w.record(1, 1, 2, three, nil, 0)).Encode())
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
	f.Add(w.finalCert(w.record(1, 1, 2, three, nil, 0), 1).Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		if x, err := DecodeFinalCert(in); err == nil && !bytes.Equal(x.Encode(), in) {
			t.Fatal("decode then encode changed a final certificate")
		}
	})
}
