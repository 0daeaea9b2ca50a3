package frost

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// statistics signs n times, and asks whether any nonce repeats or any bit of R or z leans to one side.
func statistics(t *testing.T, suite string, n int) {
	d := newDeal(t, suite, 2, 2)
	seen := make(map[[32]byte]bool, n)
	var ones [512]int
	for k := range n {
		params := d.params([]int{0, 1}, message("the same each time"), nil, KeyPath())
		for i := range params {
			binary.BigEndian.PutUint32(params[i].Session[:], uint32(k+1))
			params[i].Rand = enginetest.Reader(uint64(2*k + i))
		}
		_, results := lockstep(t, honest(t, params))
		r := [32]byte(results[0][:32])
		if seen[r] {
			t.Fatalf("signature %d has the nonce of an earlier one", k)
		}
		seen[r] = true
		for bit := range ones {
			ones[bit] += int(results[0][bit/8] >> (bit % 8) & 1)
		}
	}
	for bit, count := range ones {
		if suite == Ed25519 && bit >= 256+252 { // ℓ is a little above 2^252: the top bits of z are 0
			continue
		}
		if z := (2*float64(count) - float64(n)) / math.Sqrt(float64(n)); math.Abs(z) >= 4.5 {
			t.Errorf("bit %d is one in %d of %d signatures, z = %.2f", bit, count, n, z)
		}
	}
}

func TestSignaturesLookRandom(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) { statistics(t, suite, 2_000) })
	}
}

// lockstep runs sessions without envelopes and returns how many bytes of bodies each party sent: a broadcast
// counts once for each receiver.
func lockstep(tb testing.TB, sessions []*engine.Session[Signature]) (sent []int, results []Signature) {
	sent = make([]int, len(sessions))
	var queue []engine.Msg
	take := func(eff engine.Effects[Signature], err error) {
		if err != nil {
			tb.Fatal(err)
		}
		queue = append(queue, eff.Send...)
		if eff.Result != nil {
			results = append(results, *eff.Result)
		}
	}
	for _, s := range sessions {
		take(s.Start())
	}
	for len(queue) > 0 {
		m := queue[0]
		queue = queue[1:]
		for i, s := range sessions {
			if s.Self() == m.From {
				sent[i] += len(m.Body) * (len(sessions) - 1)
				continue
			}
			take(s.Step(m))
		}
	}
	return sent, results
}
