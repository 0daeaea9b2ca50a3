package dkls

import (
	"fmt"
	"testing"

	"github.com/ostraka/ostraka/internal/cputime"
	"github.com/ostraka/ostraka/mpc/engine"
)

// lockstep runs sessions without envelopes and returns how many bytes of bodies each party
// sent: a broadcast counts once for each receiver.
func lockstep[R any](tb testing.TB, sessions []*engine.Session[R]) (sent []int, results []R) {
	sent = make([]int, len(sessions))
	var queue []engine.Msg
	take := func(i int, eff engine.Effects[R], err error) {
		if err != nil {
			tb.Fatal(err)
		}
		queue = append(queue, eff.Send...)
		if eff.Result != nil {
			results = append(results, *eff.Result)
		}
	}
	for i, s := range sessions {
		eff, err := s.Start()
		take(i, eff, err)
	}
	for len(queue) > 0 {
		m := queue[0]
		queue = queue[1:]
		for i, s := range sessions {
			if s.Self() == m.From {
				sent[i] += len(m.Body) * copies(m, len(sessions))
				continue
			}
			if m.To != engine.Everyone && m.To != s.Self() {
				continue
			}
			eff, err := s.Step(m)
			take(i, eff, err)
			if len(s.Guard()) > 0 {
				eff, err = s.Judge()
				take(i, eff, err)
			}
		}
	}
	return sent, results
}

func copies(m engine.Msg, parties int) int {
	if m.To == engine.Everyone {
		return parties - 1
	}
	return 1
}

func BenchmarkSign(b *testing.B) {
	for _, n := range []int{2, 3} {
		b.Run(fmt.Sprintf("%d-of-%d", n, n), func(b *testing.B) {
			var set []int
			for i := range n {
				set = append(set, i)
			}
			d, sent := newDeal(b, n, n), 0
			cputime.Report(b, n, func() {
				each, results := lockstep(b, honest(b, d.params(set, [32]byte{1}, nil)))
				if len(results) != n {
					b.Fatalf("%d results", len(results))
				}
				sent = each[0]
			})
			b.ReportMetric(float64(sent), "bytes/party")
		})
	}
}

func TestBytesSentStayWithinBudget(t *testing.T) {
	for n, budget := range map[int]int{2: 46_000, 3: 92_000} {
		d := newDeal(t, n, n)
		set := []int{0, 1, 2}[:n]
		sent, results := lockstep(t, honest(t, d.params(set, [32]byte{1}, nil)))
		for i := range sent {
			if sent[i] > budget || len(results) != n {
				t.Errorf("party %d of %d sends %d bytes, budget %d; %d results", i, n, sent[i], budget, len(results))
			}
		}
	}
}
