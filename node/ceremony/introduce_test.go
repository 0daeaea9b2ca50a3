package ceremony

import (
	"bytes"
	"strings"
	"testing"
)

func FuzzDecodeSignatures(f *testing.F) {
	f.Add(encodeSignatures(map[string][]byte{"acme": bytes.Repeat([]byte{1}, 64), "bolt": bytes.Repeat([]byte{2}, 64)}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		signed, err := decodeSignatures(in, 2)
		if err == nil && !bytes.Equal(encodeSignatures(signed), in) {
			t.Fatalf("%x decodes to signatures that do not come back", in)
		}
	})
}

func TestDecodeSignaturesRefused(t *testing.T) {
	sig := bytes.Repeat([]byte{1}, 64)
	good := encodeSignatures(map[string][]byte{"acme": sig, "bolt": sig})
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"empty":        {nil, "decode node signatures"},
		"cut":          {good[:len(good)-1], "decode node signatures"},
		"one":          {encodeSignatures(map[string][]byte{"acme": sig}), "decode node signatures"},
		"short":        {encodeSignatures(map[string][]byte{"acme": sig[1:], "bolt": sig}), "decode node signatures"},
		"out of order": {bytes.Replace(bytes.Replace(bytes.Replace(good, []byte("acme"), []byte("xxxx"), 1), []byte("bolt"), []byte("acme"), 1), []byte("xxxx"), []byte("bolt"), 1), "ascending"},
		"twice":        {bytes.Replace(good, []byte("bolt"), []byte("acme"), 1), "ascending"},
	} {
		if _, err := decodeSignatures(c.in, 2); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
