package hd

import (
	"testing"

	"github.com/ostraka/ostraka/internal/cputime"
)

// The keys of 100,000 addresses below an account, on one core: encoded, as addresses are made of them.
//
//	go test ./crypto/hd -run '^$' -bench Keys
func BenchmarkKeys(b *testing.B) {
	const keys, batch = 100_000, 500
	for _, g := range kinds {
		b.Run(g.Name(), func(b *testing.B) {
			account, err := NewNode(g.BaseMul(g.Scalar(12345)), [32]byte{7}, Path{0, 5, 0})
			if err != nil {
				b.Fatal(err)
			}
			var m cputime.Meter
			next := uint32(0)
			derive := func() {
				for range batch {
					n, err := account.Child(next)
					if err != nil || len(n.Bytes()) != g.PointSize() {
						b.Fatal(err)
					}
					next++
				}
			}
			for b.Loop() {
				m.Run(derive)
			}
			for m.Batches() < cputime.MinBatches {
				m.Run(derive)
			}
			perKey := m.Best().Seconds() / batch
			b.ReportMetric(perKey*1e3, "cpu-ms/key")
			b.ReportMetric(perKey*keys, "cpu-s/100000-keys")
		})
	}
}
