package journal_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

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
