package dkls

import (
	"fmt"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
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

func BenchmarkPresign(b *testing.B) {
	for _, n := range []int{2, 3} {
		b.Run(fmt.Sprintf("%d-of-%d", n, n), func(b *testing.B) {
			c, sent := newCircle(b, n, n), 0
			cputime.Report(b, n, func() {
				all := c.reserve(b)
				each, results := lockstep(b, presigners(b, all))
				if len(results) != n {
					b.Fatalf("%d results", len(results))
				}
				sent = each[0]
				for i := range all {
					c.pools[i].Release(all[i].Ticket)
				}
			})
			b.ReportMetric(float64(sent), "bytes/party")
		})
	}
}

func BenchmarkOnline(b *testing.B) {
	for _, n := range []int{2, 3} {
		b.Run(fmt.Sprintf("%d-of-%d", n, n), func(b *testing.B) {
			c, r, sent := newCircle(b, n, n), request{digest: [32]byte{1}, tweak: secp256k1.NewScalar(5)}, 0
			made := c.take(b, c.presign(b), r)
			cputime.Report(b, n, func() {
				used := slices.Clone(made)
				for i := range used {
					used[i].Presignature = copied(made[i].Presignature)
				}
				each, results := lockstep(b, users(b, used))
				if len(results) != n {
					b.Fatalf("%d results", len(results))
				}
				sent = each[0]
			})
			b.ReportMetric(float64(sent), "bytes/party")
		})
	}
}

func TestBytesSentPresignedStayWithinBudget(t *testing.T) {
	for n, budget := range map[int]int{2: 46_000, 3: 92_000} {
		c, r := newCircle(t, n, n), request{digest: [32]byte{1}}
		offline, _ := lockstep(t, presigners(t, c.reserve(t)))
		online, results := lockstep(t, users(t, c.take(t, c.presign(t), r)))
		for i := range c.set {
			if offline[i] > budget || online[i] != SumSize*(n-1) || len(results) != n {
				t.Errorf("party %d of %d sends %d bytes offline, budget %d, and %d online", i, n, offline[i], budget, online[i])
			}
		}
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
