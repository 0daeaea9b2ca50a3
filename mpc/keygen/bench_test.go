package keygen

import (
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/internal/cputime"
	"github.com/ostraka/ostraka/mpc/engine"
)

// BenchmarkKeygen is 3-of-3 without pair set-up and without envelopes. A broadcast counts
// once for each receiver.
func BenchmarkKeygen(b *testing.B) {
	sent := 0
	cputime.Report(b, 3, func() { sent = lockstep(b, machines(b, committee(secp256k1.Group{}, 3, 3, sid, 1))) })
	b.ReportMetric(float64(sent)/3, "bytes/party")
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
	return sent
}
