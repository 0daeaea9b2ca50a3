//go:build nightly

package slip39

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/ostraka/ostraka/internal/dudect"
)

// What is done with a share's value takes the same time whatever it is: products in the field, interpolation, the checksum, and the
// way between bytes and words (protocols.md 7 #24).
func TestTiming(t *testing.T) {
	const samples = 10000
	r := rand.NewChaCha8([32]byte{39})
	in := make([][32]byte, samples)
	words := make([][]uint16, samples)
	for name, op := range map[string]func(i int){
		"product": func(i int) {
			for k := range in[i] {
				in[i][k] = mul(in[i][k], 0xb5)
			}
		},
		"interpolation": func(i int) { interpolate([]point{{0, in[i][:]}, {1, in[0][:]}, {2, in[i][:]}}, atSecret) },
		"checksum":      func(i int) { remainder(true, words[i]) },
		"packing":       func(i int) { pack(make([]uint16, 0, maxWords), in[i][:]) },
		"unpacking":     func(i int) { _, _ = unpack(words[i]) },
	} {
		for class, value := range map[string][]byte{"zeros": make([]byte, 32), "ones": bytes.Repeat([]byte{255}, 32)} {
			got := dudect.Case{
				Samples: samples, Runs: 5,
				Prepare: func(i, class int) {
					_, _ = r.Read(in[i][:])
					if class == 0 {
						copy(in[i][:], value)
					}
					words[i] = pack(words[i][:0], in[i][:])
				},
				Op: op,
			}.Median()
			t.Logf("%s of %s: |t| = %.2f", name, class, got)
			if got >= dudect.Bound {
				t.Errorf("%s of %s takes another time than of random bytes: |t| = %.2f", name, class, got)
			}
		}
	}
}
