package etcd_test

import (
	"errors"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/etcd"
)

// A copy of the owner's running machine burns a presignature that the owner burned: one of the two alone may be told that it is durable, and the other's
// tenure ends.
func TestClonedOwner(t *testing.T) {
	a := owner(t, "clone", "r1")
	mustCommit(t, a, put("x", "1"))
	b := etcd.Twin(a.Store)
	burn := func(s store.Store, m string) error {
		_, err := s.Commit(ctx, store.Batch{If: []store.Cond{store.Absent("presig-burn/01")}, Put: []store.Entry{{Key: "presig-burn/01", Value: []byte(m)}}})
		return err
	}
	if err := burn(a.Store, "message one"); err != nil {
		t.Fatal(err)
	}
	if err := burn(b, "message two"); err == nil {
		t.Error("both were told that their own burn of one presignature is durable")
	} else if errors.Is(err, store.ErrConflict) {
		t.Errorf("the copy was told of a conflict, %v: it goes on as an owner", err)
	}
	if b.Ended() == nil {
		t.Error("the copy's tenure goes on")
	}
	if it, err := a.Store.Get(ctx, "presig-burn/01"); err != nil || string(it.Value) != "message one" {
		t.Errorf("the store holds %q, %v", it.Value, err)
	}
}

// Who may write in the cluster foresees no id of a lane, and makes the owner believe of no batch that it was written.
func TestForeseenLane(t *testing.T) {
	a, c := owner(t, "foreseen", "r1"), raw(t)
	for range 16 {
		mustCommit(t, a, put("x", "1"))
	}
	lanes := func() map[string][]byte {
		at := map[string][]byte{}
		r, err := c.Get(ctx, "ostraka/"+a.name+"/lane/", clientv3.WithPrefix())
		if err != nil || len(r.Kvs) != 16 {
			t.Fatal(err, len(r.Kvs))
		}
		for _, kv := range r.Kvs {
			at[string(kv.Key)] = kv.Value
		}
		return at
	}
	for key, id := range lanes() {
		for _, byOne := range []byte{1, 16, 17} { // counters
			foreseen := append([]byte{}, id...)
			foreseen[15] += byOne
			if _, err := c.Put(ctx, key, string(foreseen)); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, err := a.Store.Commit(ctx, put("burn/secret", "burnt"))
	if it, gone := a.Store.Get(ctx, "burn/secret"); err == nil && gone != nil {
		t.Errorf("it was told that the batch is durable; the store holds %q, %v", it.Value, gone)
	}
	if err == nil {
		t.Error("somebody else wrote in the lane, and nothing was said")
	}
}
