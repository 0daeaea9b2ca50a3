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

// The message is Solana's off-chain message. The bytes are what @solana/offchain-messages 8.4.0 writes for the key of RFC 8032's
// first test, our domain, and the text in UTF-8 of at most 65,535 bytes.
func TestProofMessage(t *testing.T) {
	const want = "ff736f6c616e61206f6666636861696e006f737472616b612f312f70726f6f6600000000000000000000000000000000000201" +
		"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a19006f737472616b612f312070726f6f660a746578743a20c3a90a"
	key, err := hex.DecodeString("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ProofMessage(key, []byte("ostraka/1 proof\ntext: é\n"))
	if err != nil || hex.EncodeToString(got) != want {
		t.Errorf("message %x, %v; want %s", got, err, want)
	}
	if got[0] != 0xff {
		t.Error("it could be a transaction: those begin with a count of signatures, or with 0x80")
	}
	if long, err := ProofMessage(key, make([]byte, maxMessage)); err != nil || len(long) != 65535 {
		t.Errorf("longest: %d bytes, %v", len(long), err)
	}
	for name, c := range map[string]struct{ key, text []byte }{"no text": {key, nil}, "too long": {key, make([]byte, maxMessage+1)}, "short key": {key[1:], []byte("x")}, "no key": {nil, []byte("x")}} {
		if _, err := ProofMessage(c.key, c.text); err == nil {
			t.Errorf("%s: a message", name)
		}
	}
}
