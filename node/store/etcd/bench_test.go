package etcd_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/etcd"
)

// one owner over three members on this machine's loopback, straight, without proxies.
func benchOwner(b *testing.B, name string) *etcd.Tenure {
	b.Helper()
	c, err := etcd.Connect(ctx, members.Options(name, "r1"))
	if err != nil {
		b.Fatal(err)
	}
	t, err := c.Acquire(ctx, etcd.Info{Name: "r1"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = t.Resign(ctx); c.Close() })
	for range 20 { // the leader is found
		if _, err := t.Store().Commit(ctx, put("k", "")); err != nil {
			b.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return t
}

var written atomic.Int64

func BenchmarkCommit(b *testing.B) {
	for _, workers := range []int{1, 16} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			s := benchOwner(b, fmt.Sprintf("bench%d", workers)).Store()
			b.SetParallelism(workers) // times GOMAXPROCS
			b.ResetTimer()
			if workers == 1 {
				for b.Loop() {
					one(b, s, written.Add(1))
				}
				return
			}
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					one(b, s, written.Add(1))
				}
			})
		})
	}
}

// one batch as the journal's: a condition, a row, a leaf.
func one(b *testing.B, s store.Store, n int64) {
	key := store.Key("log", store.Number(uint64(n)))
	_, err := s.Commit(ctx, store.Batch{If: []store.Cond{store.Absent(key)}, Put: []store.Entry{{Key: key, Value: make([]byte, 300)}, {Key: "row/" + fmt.Sprint(n%64), Value: make([]byte, 100)}}})
	if err != nil {
		b.Error(err)
	}
}

func BenchmarkGet(b *testing.B) {
	s := benchOwner(b, "benchget").Store()
	for b.Loop() {
		if _, err := s.Get(ctx, "k"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLeaderKilled measures the longest time for which no batch is answered when the leader is killed under load.
func BenchmarkLeaderKilled(b *testing.B) {
	t := benchOwner(b, "benchstall")
	c, err := etcd.Connect(ctx, members.Options("benchstall", "r2"))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	var worst time.Duration
	for b.Loop() {
		l := run(t.Store(), 8)
		time.Sleep(500 * time.Millisecond)
		gone := leader(b, c)
		gone.Kill()
		time.Sleep(5 * time.Second)
		close(l.stop)
		l.done.Wait()
		worst = max(worst, l.stall)
		if err := gone.Start(); err != nil {
			b.Fatal(err)
		}
		if err := gone.Await(); err != nil {
			b.Fatal(err)
		}
		time.Sleep(time.Second)
	}
	b.ReportMetric(worst.Seconds(), "s-stall")
	if t.Err() != nil {
		b.Error(t.Err())
	}
}
