package pair

import (
	"testing"

	"github.com/ostraka/ostraka/internal/cputime"
	"github.com/ostraka/ostraka/mpc/engine"
)

// BenchmarkSetup is set-up with one peer, both directions: cost per peer.
func BenchmarkSetup(b *testing.B) {
	all, sent := parties(2), 0
	cputime.Report(b, len(all), func() {
		sent = lockstep(b, sessions(b, all, stages(all, 1)))
	})
	b.ReportMetric(float64(sent), "bytes/party")
}

// lockstep runs two parties without envelopes and returns the bytes that the first sent.
func lockstep(tb testing.TB, two []*engine.Session[states]) (sent int) {
	var queue []engine.Msg
	for _, s := range two {
		eff, err := s.Start()
		if err != nil {
			tb.Fatal(err)
		}
		queue = append(queue, eff.Send...)
	}
	for ; len(queue) > 0; queue = queue[1:] {
		to := two[0]
		if m := queue[0]; m.From == to.Self() {
			sent += len(m.Body)
			to = two[1]
		}
		eff, err := to.Step(queue[0])
		if err != nil {
			tb.Fatal(err)
		}
		queue = append(queue, eff.Send...)
	}
	return sent
}
