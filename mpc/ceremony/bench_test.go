package ceremony

import (
	"testing"

	"github.com/ostraka/ostraka/internal/cputime"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/session"
)

// BenchmarkKeygen is the whole ceremony 3-of-3, from Setup to certificate: joins, key
// generation, pair set-up, PREP. Bytes are bodies; a broadcast counts once for each receiver.
func BenchmarkKeygen(b *testing.B) {
	com, sent := newCommittee(3), 0
	cputime.Report(b, 3, func() {
		setup := &session.Setup{Protocol: ProtocolKeygen, Suite: epoch.SuiteECDSA, KeyID: [32]byte{1}, Threshold: 3, Parties: com.parties}
		sent = lockstep(b, machines(b, com.join(b, setup), Keygen))
	})
	b.ReportMetric(float64(sent)/3, "bytes/party")
}

// lockstep returns the bytes of bodies that all parties sent.
func lockstep(tb testing.TB, all []*engine.Session[Prepared]) (sent int) {
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
