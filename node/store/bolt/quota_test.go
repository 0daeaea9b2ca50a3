package bolt

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/node/store"
)

// TestQuota: a store takes no more than it may, whatever room the disk has; refusals and freezes still are written, and what is erased makes room.
func TestQuota(t *testing.T) {
	const quota = 1 << 20
	s, err := Open(t.TempDir()+"/s", Options{Reserve: 256 << 10, Quota: quota})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, value := context.Background(), make([]byte, 16<<10)
	put := func(i int, reserve bool) error {
		_, err := s.Commit(ctx, store.Batch{Put: []store.Entry{{Key: fmt.Sprintf("k/%04d", i), Value: value}}, Reserve: reserve})
		return err
	}
	n := 0
	for ; err == nil && n < 1000; n++ {
		err = put(n, false)
	}
	if !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), "the quota of 1048576 bytes") || n < quota/len(value)/3 || n > quota/len(value) {
		t.Fatalf("after %d batches: %v", n, err)
	}
	if !s.Full() {
		t.Error("it does not say that it is full")
	}
	m := 0
	for err = nil; err == nil && m < 1000; m++ {
		err = put(2000+m, true)
	}
	if !errors.Is(err, store.ErrFull) || m < 2 || m > 40 {
		t.Errorf("after %d batches of the reserve: %v", m, err)
	}
	for i := range n - 1 {
		if _, err := s.Commit(ctx, store.Batch{Delete: []string{fmt.Sprintf("k/%04d", i)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(1, false); err != nil || s.Full() {
		t.Errorf("once room was made: %v, full: %t", err, s.Full())
	}
}
