package epoch

import (
	"testing"

	"github.com/ostraka/ostraka/internal/cputime"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// BenchmarkHandover is the last round alone: five parties, two of whom leave. A broadcast
// counts once for each receiver.
func BenchmarkHandover(b *testing.B) {
	h, sent := newHandover(b, 0), 0
	cputime.Report(b, len(h.parties), func() {
		c := enginetest.Run(enginetest.Options{}, h.sessions(b, engine.Everyone, nil)...)
		sent = 0
		for _, p := range c.Parties {
			for _, m := range p.Sent {
				sent += len(m.Body) * (len(h.parties) - 1)
			}
		}
	})
	b.ReportMetric(float64(sent)/float64(len(h.parties)), "bytes/party")
}

// BenchmarkOpenChain is a new member's check of four epochs of three and four members.
func BenchmarkOpenChain(b *testing.B) {
	l := newLine(b)
	raw := l.chain.Encode()
	cputime.Report(b, 1, func() {
		if _, err := OpenChain(raw, enrolled(l.records[0])); err != nil {
			b.Fatal(err)
		}
	})
	b.ReportMetric(float64(len(raw)), "bytes/party")
}
