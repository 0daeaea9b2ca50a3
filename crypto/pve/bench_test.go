package pve

import (
	"testing"

	"github.com/ostraka/ostraka/internal/cputime"
)

// What a dealer, everybody and a recipient spend on one proof.
func BenchmarkProof(b *testing.B) {
	for _, g := range groups {
		c, s, k := sample(b, g)
		proof := encrypt(b, c, s, "coins")
		for _, op := range []struct {
			name string
			do   func() error
		}{
			{"Encrypt", func() error { _, err := Encrypt(c, s, stream("coins")); return err }},
			{"Verify", func() error { return Verify(c, proof) }},
			{"Decrypt", func() error { _, _, err := Decrypt(c, proof, k); return err }},
		} {
			b.Run(g.Name()+"/"+op.name, func(b *testing.B) {
				b.ReportAllocs()
				cputime.Report(b, 1, func() {
					if err := op.do(); err != nil {
						b.Fatal(err)
					}
				})
				b.ReportMetric(float64(len(proof)), "bytes")
			})
		}
	}
}
