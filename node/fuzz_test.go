package node

import (
	"bytes"
	"testing"
)

func FuzzDecodeDecline(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 0})
	f.Add(encodeDecline([32]byte{1}, "policy", false)[1:])
	f.Add(encodeDecline([32]byte{1}, "its log is not cosigned", true)[1:])
	f.Fuzz(func(t *testing.T, in []byte) {
		hash, reason, notYet, err := decodeDecline(in)
		if err == nil && (len(reason) > 512 || !bytes.Equal(encodeDecline(hash, reason, notYet)[1:], in)) {
			t.Fatalf("%x became %x", in, encodeDecline(hash, reason, notYet)[1:])
		}
	})
}
