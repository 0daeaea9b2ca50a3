package evm

import (
	"encoding/hex"
	"strings"
	"testing"
)

// A widely published example of EIP-191: web3.js, eth.accounts.sign("Some data", …).
func TestMessage(t *testing.T) {
	digest := MessageDigest([]byte("Some data"))
	if got := hex.EncodeToString(digest[:]); got != "1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655" {
		t.Errorf("digest is %s", got)
	}
	sig, err := hex.DecodeString("b91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c")
	if err != nil {
		t.Fatal(err)
	}
	who, err := RecoverMessage(digest, sig)
	if err != nil || who.String() != "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23" {
		t.Errorf("signed by %s, %v", who, err)
	}
	edit := func(do func([]byte)) []byte {
		b := append([]byte{}, sig...)
		do(b)
		return b
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "short": sig[:64], "long": append(edit(func([]byte) {}), 0),
		"v 0": edit(func(b []byte) { b[64] = 0 }), "v 29": edit(func(b []byte) { b[64] = 29 }),
		"r 0": edit(func(b []byte) { clear(b[:32]) }), "s 0": edit(func(b []byte) { clear(b[32:64]) }),
		"high s": edit(func(b []byte) { b[32] = 0xff }),
	} {
		if got, err := RecoverMessage(digest, bad); err == nil {
			t.Errorf("%s: signed by %s", name, got)
		} else if strings.Contains(err.Error(), "panic") {
			t.Error(err)
		}
	}
	if other, err := RecoverMessage(MessageDigest([]byte("Some other data")), sig); err == nil && other == who {
		t.Error("the signature serves another text")
	}
}
