package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/etcd"
	"github.com/ostraka/ostraka/node/store/etcd/etcdtest"
)

// The owner is left with the leader, and both are cut off from the two other members: nothing of theirs counts. The other replica takes over
// with the two; after healing the old owner is fenced, and its last batch is nowhere.
func TestMinorityWritesNothing(t *testing.T) {
	split, err := etcdtest.StartSplit(3)
	if err != nil {
		t.Fatal(err)
	}
	defer split.Stop()
	join := func(name string, members ...*etcdtest.Member) *etcd.Cluster {
		o := split.Options("split", name)
		o.TTL, o.Endpoints = 2*time.Second, nil
		for _, m := range members {
			o.Endpoints = append(o.Endpoints, m.Endpoint)
		}
		c, err := etcd.Connect(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	lead := leaderOf(t, join("r3", split.All...), split)
	var others []*etcdtest.Member
	for _, m := range split.All {
		if m != lead {
			others = append(others, m)
		}
	}
	a, b := join("r1", lead), join("r2", others...)
	first, err := a.Acquire(ctx, etcd.Info{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	mustCommit(t, first.Store(), put("k", "of a"))

	split.Split([]*etcdtest.Member{lead}, others)
	at := time.Now()
	limited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := first.Store().Commit(limited, put("k", "of the minority")); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("commit in the minority: %v, want ErrUnknown", err)
	}
	waiting, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	second, err := b.Acquire(waiting, etcd.Info{Name: "b"})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the majority's replica owns the store after %v", time.Since(at).Round(time.Millisecond))
	if time.Until(first.Until()) > 0 {
		t.Error("two owners at once")
	}
	for i := range 5 {
		mustCommit(t, second.Store(), put(fmt.Sprint("b/", i), ""))
	}
	split.Split()
	if !closed(first.Lost(), 10*time.Second) {
		t.Error("the old owner does not know that it lost the store")
	}
	if _, err := first.Store().Commit(ctx, put("k", "late")); !errors.Is(err, store.ErrFenced) {
		t.Errorf("commit of the old owner: %v", err)
	}
	if it, err := second.Store().Get(ctx, "k"); err != nil || string(it.Value) != "of a" {
		t.Errorf("k holds %q, %v", it.Value, err)
	}
	if err := second.Resign(ctx); err != nil {
		t.Error(err)
	}
}
