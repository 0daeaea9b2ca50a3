package bitcoin_test

import (
	"testing"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/internal/cputime"
)

// Decoding with digests, keys derived already: an ordinary transaction, and the most inputs that fit.
//
//	go test ./chain/bitcoin -run '^$' -bench Decode
func BenchmarkDecode(b *testing.B) {
	v := cached(vault(b, true))
	v.MaxRate = bitcoin.PerVByte(1_000_000)
	large := bitcoin.Draft{Outs: []bitcoin.Output{{Amount: 10_000, Address: payee(b, bitcoin.PayTaproot)}}}
	for i := range bitcoin.MaxInputs {
		c := coin(b, v, v1(uint32(i%8)), 10_000)
		c.Outpoint.Index = uint32(i)
		large.Ins = append(large.Ins, c)
	}
	for name, packet := range map[string][]byte{"ordinary": honest(b, v), "largest": build(b, v, large)} {
		b.Run(name, func(b *testing.B) {
			var m cputime.Meter
			one := func() {
				if tx, err := bitcoin.Decode(packet, v); err != nil || len(tx.Uses()) == 0 {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				m.Run(one)
			}
			for m.Batches() < cputime.MinBatches {
				m.Run(one)
			}
			b.ReportMetric(m.Best().Seconds()*1e3, "cpu-ms/decode")
		})
	}
}
