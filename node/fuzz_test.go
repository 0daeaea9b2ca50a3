package node

import "testing"

func FuzzDecodeDecline(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, reason, err := decodeDecline(in); err == nil && len(reason) > 512 {
			t.Fatalf("reason of %d bytes", len(reason))
		}
	})
}
