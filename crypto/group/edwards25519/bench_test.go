package edwards25519

import (
	"bytes"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/internal/cputime"
)

// What one operation costs in CPU. The last is what DecodePoint's check of the order would cost by its definition.
func BenchmarkOperations(b *testing.B) {
	g := Group{}
	k := g.ReduceScalar(bytes.Repeat([]byte{7}, WideSize))
	p := g.BaseMul(k)
	encoded, minusOne := p.Bytes(), g.Scalar(1).Neg()
	x, y, _, _ := p.(*Point).p.ExtendedCoordinates()
	four, points := []group.Scalar{k, k, k, k}, []group.Point{p, p, p, p}
	for _, c := range []struct {
		name string
		op   func()
	}{
		{"scalar Mul", func() { k.Mul(k) }},
		{"scalar Invert", func() { k.Invert() }},
		{"BaseMul", func() { g.BaseMul(k) }},
		{"Mul", func() { p.Mul(k) }},
		{"MulVarTime", func() { p.MulVarTime(k) }},
		{"MultiMulVarTime of 4", func() { g.MultiMulVarTime(four, points) }},
		{"Add", func() { p.Add(p) }},
		{"Bytes", func() { p.Bytes() }},
		{"DecodePoint", func() { _, _ = g.DecodePoint(encoded) }},
		{"order by halving", func() { primeOrder(x, y) }},
		{"order by multiplying", func() { p.MulVarTime(minusOne).Equal(p.Neg()) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			const times = 50
			batch := func() {
				for range times {
					c.op()
				}
			}
			var m cputime.Meter
			for b.Loop() {
				m.Run(batch)
			}
			for m.Batches() < cputime.MinBatches {
				m.Run(batch)
			}
			b.ReportMetric(float64(m.Best().Nanoseconds())/1e3/times, "cpu-µs/op")
		})
	}
}
