package journal_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/bolt"
)

// sized counts what is committed.
type sized struct {
	store.Store
	bytes, batches atomic.Int64
}

func (s *sized) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	for _, p := range b.Put {
		s.bytes.Add(int64(len(p.Key) + len(p.Value) + store.FrameSize))
	}
	s.batches.Add(1)
	return s.Store.Commit(ctx, b)
}

// BenchmarkWrite: writers at once, each entry a row of 200 bytes and a leaf, on a disk.
func BenchmarkWrite(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s, err := bolt.Open(filepath.Join(b.TempDir(), "store"), bolt.Options{Reserve: 1 << 20})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			count := &sized{Store: s}
			j, err := journal.Open(ctx, count)
			if err != nil {
				b.Fatal(err)
			}
			var n atomic.Int64
			b.SetParallelism(writers)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := int(n.Add(1))
					e := put(store.Key("row", store.Number(uint64(i))), leaf(i))
					e.Put[0].Value = make([]byte, 200)
					if err := j.Write(ctx, e); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(count.bytes.Load())/float64(b.N), "bytes/entry")
			b.ReportMetric(float64(b.N)/float64(count.batches.Load()), "entries/batch")
		})
	}
}

// appended is how many entries BenchmarkAppend writes: enough that the tree is deep and the file's first pages count for nothing.
const appended = 200_000

// BenchmarkAppend: entries of one leaf with a body and no rows of state, by so many writers that batches are full. One operation is a whole
// log. disk-bytes/entry is by how much the store's file grew, less the leaves' and bodies' own bytes.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		name   string
		bodies []int // bytes, in turn
	}{
		{"body=200", []int{200}},
		{"body=700", []int{700}},
		{"intent", []int{1500, 350, 350, 800, 800, 800, 250, 0, 0, 0}}, // proposed, two approvals, three decisions, signed, and what has no body
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				dir := filepath.Join(b.TempDir(), "store")
				s, err := bolt.Open(dir, bolt.Options{Reserve: 1 << 20})
				if err != nil {
					b.Fatal(err)
				}
				count := &sized{Store: s}
				j, err := journal.Open(ctx, count)
				if err != nil {
					b.Fatal(err)
				}
				before := fileSize(b, dir)
				b.StartTimer()
				own := appendAll(b, j, c.bodies)
				b.StopTimer()
				b.ReportMetric(float64(fileSize(b, dir)-before-own)/appended, "disk-bytes/entry")
				b.ReportMetric(float64(appended)/float64(count.batches.Load()), "entries/batch")
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(appended*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

func fileSize(b *testing.B, dir string) int64 {
	b.Helper()
	info, err := os.Stat(filepath.Join(dir, "store.db"))
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}

// appendAll writes entries by 256 writers at once, and gives the bytes of their leaves and bodies.
func appendAll(b *testing.B, j *journal.Journal, bodies []int) (own int64) {
	b.Helper()
	var next, bytes atomic.Int64
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for i := next.Add(1); i <= appended; i = next.Add(1) {
				content := make([]byte, bodies[i%int64(len(bodies))])
				copy(content, fmt.Sprint(i))
				f := tlog.Says(tlog.KindDecision, time.Unix(i, 0).UTC(), [32]byte{1}, content)
				bytes.Add(int64(len(f.Leaf.Encode()) + len(f.Body.Encode())))
				if err := j.Write(ctx, journal.Entry{Leaves: []tlog.Filed{f}}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return bytes.Load()
}
