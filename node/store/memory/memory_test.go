package memory_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
	"github.com/ostraka/ostraka/node/store/storetest"
)

func TestConformance(t *testing.T) {
	var mu sync.Mutex
	disks := map[string]*memory.Disk{}
	storetest.Run(t, storetest.Driver{
		Open: func(dir string) (store.Store, error) {
			mu.Lock()
			defer mu.Unlock()
			if disks[dir] == nil {
				disks[dir] = memory.NewDisk()
			}
			return disks[dir].Open()
		},
		Unknown: func(s store.Store, written bool) bool {
			mu.Lock()
			defer mu.Unlock()
			for _, d := range disks {
				left := 1
				d.SetFault(func(store.Batch) memory.Outcome {
					if left--; left < 0 {
						return memory.Write
					}
					if written {
						return memory.UnknownDone
					}
					return memory.UnknownLost
				})
			}
			return true
		},
	})
}

func TestCrashKeepsWhatWasAcknowledged(t *testing.T) {
	ctx, d := context.Background(), memory.NewDisk()
	s, err := d.Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(ctx, store.Batch{Put: []store.Entry{{Key: "a"}}}); err != nil {
		t.Fatal(err)
	}
	d.Crash()
	if _, err := s.Commit(ctx, store.Batch{Put: []store.Entry{{Key: "b"}}}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("commit after the crash: %v", err)
	}
	s, err = d.Open()
	if err != nil {
		t.Fatal(err)
	}
	if page, err := s.Range(ctx, "", "", 10); err != nil || len(page) != 1 || page[0].Key != "a" {
		t.Errorf("after the crash: %+v, %v", page, err)
	}
}

func TestFullDiskTakesReserve(t *testing.T) {
	ctx, d := context.Background(), memory.NewDisk()
	s, err := d.Open()
	if err != nil {
		t.Fatal(err)
	}
	d.SetFault(func(store.Batch) memory.Outcome { return memory.Full })
	if _, err := s.Commit(ctx, store.Batch{Put: []store.Entry{{Key: "a"}}}); !errors.Is(err, store.ErrFull) {
		t.Errorf("ordinary batch: %v", err)
	}
	if _, err := s.Commit(ctx, store.Batch{Put: []store.Entry{{Key: "b"}}, Reserve: true}); err != nil {
		t.Errorf("batch with reserve: %v", err)
	}
	if _, err := s.Get(ctx, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("refused record: %v", err)
	}
}
