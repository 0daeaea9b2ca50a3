package frost

import (
	"fmt"
	"testing"

	"github.com/ostraka/ostraka/internal/cputime"
)

func BenchmarkSign(b *testing.B) {
	for _, suite := range suites {
		for _, n := range []int{2, 3} {
			b.Run(fmt.Sprintf("%s-%d-of-%d", suite, n, n), func(b *testing.B) {
				d, sent := newDeal(b, suite, n, n), 0
				cputime.Report(b, n, func() {
					each, results := lockstep(b, honest(b, d.params(all(n), message("bench"), d.group.Scalar(7), KeyPath())))
					if len(results) != n {
						b.Fatalf("%d results", len(results))
					}
					sent = each[0]
				})
				b.ReportMetric(float64(sent), "bytes/party")
			})
		}
	}
}

func TestBytesSentStayWithinBudget(t *testing.T) {
	for _, suite := range suites {
		for n, budget := range map[int]int{2: 98, 3: 196} {
			sent, results := lockstep(t, honest(t, newDeal(t, suite, n, n).params(all(n), message("bytes"), nil, KeyPath())))
			for i := range sent {
				if sent[i] > budget || len(results) != n {
					t.Errorf("%s: party %d of %d sends %d bytes, budget %d; %d results", suite, i, n, sent[i], budget, len(results))
				}
			}
		}
	}
}
