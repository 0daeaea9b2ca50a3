package bolt

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/storetest"
)

const testReserve = 256 << 10

func openStore(dir string) (store.Store, error) {
	s, err := Open(dir, Options{Reserve: testReserve})
	if err != nil {
		return nil, err
	}
	return &interrupted{Store: s}, nil
}

func TestMain(m *testing.M) {
	storetest.Child(openStore)
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Driver{
		Open: openStore,
		Unknown: func(s store.Store, written bool) bool {
			if written {
				s.(*interrupted).next.Store(true)
			}
			return written // what bolt loses, it loses with the whole store: TestFailedSyncIsFatal
		},
		Files: func(dir string) []string { return []string{filepath.Join(dir, dataFile)} },
	})
}

// interrupted is a store whose next batch outlives its caller's context.
type interrupted struct {
	*Store
	next atomic.Bool
}

func (s *interrupted) Commit(c context.Context, b store.Batch) (uint64, error) {
	if !s.next.CompareAndSwap(true, false) {
		return s.Store.Commit(c, b)
	}
	tx, err := s.db.Begin(true) // the committer stops at its own Begin
	if err != nil {
		return 0, err
	}
	c, cancel := context.WithCancel(c)
	p := &pending{batch: b, reply: make(chan result, 1)}
	if err := s.enqueue(c, p); err != nil {
		cancel()
		return 0, err
	}
	until(func() bool { return p.owner.Load() == taken })
	cancel()
	rev, err := await(c, p)
	if rollbackErr := tx.Rollback(); rollbackErr != nil {
		return 0, rollbackErr
	}
	return rev, err
}
