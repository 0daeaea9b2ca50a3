package ceremony

import (
	"bytes"
	"testing"
)

// A part of a backup set lies within the size that it names, and has something in it.
func FuzzSetPart(f *testing.F) {
	f.Add(SetPart{[32]byte{1}, [32]byte{2}, []byte("plan"), 10, 4, []byte("abc")}.Encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := DecodeSetPart(raw)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), raw) {
			t.Errorf("%x is read, and written otherwise", raw)
		}
		if len(p.Bytes) == 0 || p.Offset+len(p.Bytes) > p.Size || p.Size > maxSet {
			t.Errorf("%d bytes at %d of %d", len(p.Bytes), p.Offset, p.Size)
		}
	})
}
