//go:build nightly

package etcd_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/etcd"
	"github.com/ostraka/ostraka/node/store/etcd/etcdtest"
)

// A cluster fills up: ordinary batches are refused while there is room for a deny or a freeze, and erasing still works; past etcd's own quota
// each outcome is still told as it is.
func TestFullCluster(t *testing.T) {
	small, err := etcdtest.Start(1, "--quota", "32", "--history", "1m")
	if err != nil {
		t.Fatal(err)
	}
	defer small.Stop()
	c, err := etcd.Connect(ctx, small.Options("full", "r1"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	tenure, err := c.Acquire(ctx, etcd.Info{Name: "r1"})
	if err != nil {
		t.Fatal(err)
	}
	s, n := tenure.Store(), 0
	fill := func(reserve bool, size int, pause time.Duration) error {
		for {
			b := store.Batch{Put: []store.Entry{{Key: fmt.Sprintf("k%05d", n), Value: make([]byte, size)}}, Reserve: reserve}
			_, err := s.Commit(ctx, b)
			it, getErr := s.Get(ctx, b.Put[0].Key)
			if err == nil && getErr != nil || err != nil && !errors.Is(err, store.ErrUnknown) && getErr == nil {
				t.Fatalf("batch %d: %v; the record: %d bytes, %v", n, err, len(it.Value), getErr)
			}
			if err != nil {
				return err
			}
			n++
			time.Sleep(pause)
		}
	}
	if err := fill(false, 512<<10, 200*time.Millisecond); !errors.Is(err, store.ErrFull) || !s.Full() {
		t.Fatalf("ordinary: %v; full: %v", err, s.Full())
	}
	for i := range 100 {
		if _, err := s.Commit(ctx, store.Batch{Put: []store.Entry{{Key: fmt.Sprint("freeze/", i), Value: make([]byte, 2000)}}, Reserve: true}); err != nil {
			t.Fatalf("freeze %d: %v", i, err)
		}
	}
	if _, err := s.Commit(ctx, store.Batch{Delete: []string{"k00000"}}); err != nil {
		t.Errorf("erase: %v", err)
	}
	if err := fill(true, 1<<20, 0); !errors.Is(err, store.ErrFull) {
		t.Fatalf("past the reserve: %v", err)
	}
	members, err := c.Members(ctx)
	if err != nil || len(members[0].Alarms) != 1 || members[0].Alarms[0] != "nospace" {
		t.Errorf("members: %+v, %v", members, err)
	}
}
