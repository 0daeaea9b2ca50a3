package reshare

import (
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/internal/cputime"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// 3-of-3 without pair set-up and without envelopes. A broadcast counts once for each receiver.
func BenchmarkRefresh(b *testing.B) {
	v := newVault(b, secp256k1.Group{}, 3, 0, 1, 2)
	bench(b, func() []Params { return v.refresh(sid, 1) })
}

func BenchmarkReshare(b *testing.B) {
	v := newVault(b, secp256k1.Group{}, 3, 0, 1, 2)
	b.Run("3-of-3 to itself", func(b *testing.B) {
		bench(b, func() []Params { return v.reshare(b, 3, []int{0, 1, 2}, []int{0, 1, 2}, sid, 1) })
	})
	b.Run("3-of-3 to three others", func(b *testing.B) {
		bench(b, func() []Params { return v.reshare(b, 3, []int{0, 1, 2}, []int{3, 4, 5}, sid, 1) })
	})
}

// bench measures the sessions, not what the caller prepares: constants from its record.
func bench(b *testing.B, params func() []Params) {
	all, sent := params(), 0
	cputime.Report(b, len(all), func() {
		for i := range all {
			all[i].Rand = enginetest.Reader(uint64(i))
		}
		sent = lockstep(b, machines(b, all))
	})
	b.ReportMetric(float64(sent)/float64(len(all)), "bytes/party")
}

// lockstep returns the bytes of bodies that all parties sent.
func lockstep(tb testing.TB, all []*engine.Session[Output]) (sent int) {
	var queue []engine.Msg
	for _, s := range all {
		eff, err := s.Start()
		if err != nil {
			tb.Fatal(err)
		}
		queue = append(queue, eff.Send...)
	}
	for ; len(queue) > 0; queue = queue[1:] {
		m := queue[0]
		for _, s := range all {
			if s.Self() == m.From || m.To != engine.Everyone && m.To != s.Self() {
				continue
			}
			sent += len(m.Body)
			eff, err := s.Step(m)
			if err != nil {
				tb.Fatal(err)
			}
			queue = append(queue, eff.Send...)
		}
	}
	for i, s := range all {
		if !s.Finished() {
			tb.Fatalf("party %d waits for %v", i, s.Waiting())
		}
	}
	return sent
}
