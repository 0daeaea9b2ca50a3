package chain

import (
	"bytes"
	"testing"
)

// A proof's signature is read in the one form in which it is written, and bounded.
func FuzzParseProof(f *testing.F) {
	chains := []string{"eip155:1", "bip122:000000000019d6689c085ae165831e93", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"}
	for i, c := range chains {
		f.Add(uint8(i), FormatProof(c, bytes.Repeat([]byte{7}, 65)))
		f.Add(uint8(i), "")
	}
	f.Fuzz(func(t *testing.T, at uint8, text string) {
		on := chains[int(at)%len(chains)]
		sig, err := ParseProof(on, text)
		if err != nil {
			return
		}
		if len(sig) == 0 || len(sig) > 512 || FormatProof(on, sig) != text {
			t.Fatalf("on %s %q is read as %x, which is written %q", on, text, sig, FormatProof(on, sig))
		}
	})
}
