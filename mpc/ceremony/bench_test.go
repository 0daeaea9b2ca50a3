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
		sent = lockstep(b, machines(b, com.join(b, setup), unguarded))
	})
	b.ReportMetric(float64(sent)/3, "bytes/party")
}

// BenchmarkKeygenFrost is the same without pairs.
func BenchmarkKeygenFrost(b *testing.B) {
	com, sent := newCommittee(3), 0
	cputime.Report(b, 3, func() {
		setup := &session.Setup{Protocol: ProtocolKeygen, Suite: epoch.SuiteBIP340, KeyID: [32]byte{1}, Threshold: 3, Parties: com.parties}
		sent = lockstep(b, machines(b, com.join(b, setup), unguarded))
	})
	b.ReportMetric(float64(sent)/3, "bytes/party")
}

// BenchmarkRefresh is new shares 3-of-3, from Setup to certificate, with new pairs where the suite has them.
func BenchmarkRefresh(b *testing.B) {
	for _, suite := range suites {
		b.Run(suite, func(b *testing.B) {
			com := newCommittee(3)
			keys := com.keygenOf(b, suite, 3, 3)
			benchMove(b, com.refresh(keys))
		})
	}
}

// BenchmarkReshare is 3-of-3 to 3-of-3 among the same, and to three newcomers, where six take part.
func BenchmarkReshare(b *testing.B) {
	for _, suite := range suites {
		for name, members := range map[string][]int{"same": {0, 1, 2}, "new": {3, 4, 5}} {
			b.Run(suite+"/"+name, func(b *testing.B) {
				com := newCommittee(6)
				keys := com.keygenOf(b, suite, 3, 3)
				benchMove(b, com.reshare(keys, 3, []int{0, 1, 2}, members))
			})
		}
	}
}

func benchMove(b *testing.B, m *move) {
	n, sent := len(m.setup.Parties), 0
	cputime.Report(b, n, func() { sent = lockstep(b, machines(b, m.com.join(b, m.setup), m.first)) })
	b.ReportMetric(float64(sent)/float64(n), "bytes/party")
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
