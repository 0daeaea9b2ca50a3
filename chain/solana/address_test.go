package solana

import (
	"encoding/hex"
	"testing"
)

// The key of RFC 8032, test 1; its base58 was computed apart, in another language.
func TestAddress(t *testing.T) {
	key, err := hex.DecodeString("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Address(key); err != nil || got != "FVen3X669xLzsi6N2V91DoiyzHzg1uAgqiT8jZ9nS96Z" {
		t.Errorf("%s, %v", got, err)
	}
	small := make([]byte, 32)
	small[0] = 1
	for name, bad := range map[string][]byte{"empty": nil, "short": key[:31], "identity": small, "order 2": append([]byte{0xec}, append(bytesOf(0xff, 30), 0x7f)...)} {
		if _, err := Address(bad); err == nil {
			t.Errorf("%s: an address", name)
		}
	}
}

func bytesOf(b byte, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = b
	}
	return out
}

func TestProofMessageIsNoTransaction(t *testing.T) {
	m := ProofMessage([]byte("ours"))
	if string(m) != "\xffours" {
		t.Errorf("message %q", m)
	}
}
