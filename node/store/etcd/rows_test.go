package etcd_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/etcd"
)

// raw is a client past the driver: what an operator, or a failing disk, may do.
func raw(t *testing.T) *clientv3.Client {
	t.Helper()
	conf, err := members.Options("raw", "r4").TLS()
	if err != nil {
		t.Fatal(err)
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: members.Endpoints(), TLS: conf, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// The keys of a store as they lie in the cluster: spec/store.md 7.2. A change here breaks every store in the field.
func TestKeysInTheCluster(t *testing.T) {
	a, c := owner(t, "keys", "r1"), raw(t)
	mustCommit(t, a, put("burn/01", "x"))
	announced, quiet := context.WithCancel(ctx)
	told := make(chan error, 1)
	go func() { told <- a.c.Announce(announced, etcd.Info{Name: "r1", Version: "v9"}) }()
	defer func() { quiet(); <-told }()
	for len(replicas(t, a.c)) == 0 {
		time.Sleep(20 * time.Millisecond)
	}
	if err := a.t.Mark(ctx, &etcd.Mark{State: etcd.Filling}); err != nil {
		t.Fatal(err)
	}
	r, err := c.Get(ctx, "ostraka/"+a.name+"/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, kv := range r.Kvs {
		key := strings.TrimPrefix(string(kv.Key), "ostraka/"+a.name+"/")
		keys = append(keys, key)
		switch leased := kv.Lease != 0; {
		case leased != (key == "owner" || key == "replica/r1"):
			t.Errorf("%s lies under lease %x", key, kv.Lease)
		case key == "owner" && uint64(kv.CreateRevision) != a.t.Token():
			t.Errorf("the owner's row was created at %d, the token is %d", kv.CreateRevision, a.t.Token())
		case key == "r/burn/01" && string(kv.Value) != string(store.Frame("burn/01", 0, []byte("x"))):
			t.Errorf("the record is %x", kv.Value)
		case strings.HasPrefix(key, "lane/") && len(kv.Value) != 16:
			t.Errorf("%s is %x", key, kv.Value)
		}
	}
	if got := strings.Join(keys, " "); got != "lane/00 mark owner r/burn/01 replica/r1 tenures" {
		t.Errorf("keys: %s", got)
	}
}

func replicas(t *testing.T, c *etcd.Cluster) []etcd.Replica {
	t.Helper()
	all, err := c.Replicas(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A replica is there while it says so; another that takes its name is refused.
func TestReplicas(t *testing.T) {
	a := start(t, "replicas", "r1")
	here, gone := context.WithCancel(ctx)
	defer gone()
	told := make(chan error, 2)
	go func() { told <- a.c.Announce(here, etcd.Info{Name: "one", Link: "a:1", Version: "v9"}) }()
	for len(replicas(t, a.c)) == 0 {
		time.Sleep(20 * time.Millisecond)
	}
	if one := replicas(t, a.c)[0]; one.Name != "one" || one.Link != "a:1" || one.Version != "v9" || one.Seen == 0 || one.Behind < 0 {
		t.Errorf("the replica says %+v", one)
	}
	b := start(t, "replicas", "r2")
	go func() { told <- b.c.Announce(here, etcd.Info{Name: "one", Link: "b:1"}) }()
	select {
	case err := <-told:
		if !errors.Is(err, etcd.ErrSameName) {
			t.Errorf("two replicas of one name: %v", err)
		}
	case <-time.After(15 * time.Second):
		t.Error("two replicas of one name are not refused")
	}
	// Whoever writes to the cluster ends no replica by it, and is no longer believed than until it tells of itself.
	if _, err := raw(t).Put(ctx, "ostraka/"+a.name+"/replica/one", `{"name":"one","link":"evil:1"}`); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); replicas(t, a.c)[0].Link != "a:1"; time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("the replica's row is %+v", replicas(t, a.c)[0])
		}
	}
	gone()
	if err := <-told; !errors.Is(err, context.Canceled) {
		t.Errorf("a replica whose row was written over: %v", err)
	}
	if left := replicas(t, a.c); len(left) != 0 {
		t.Errorf("a replica that left is still there: %+v", left)
	}
}

// A value that is not what was written, and a mark against the whole cluster, are damage. Nothing repairs or covers it.
func TestDamageShows(t *testing.T) {
	a, c := owner(t, "damage", "r1"), raw(t)
	mustCommit(t, a, put("sound", "x"))
	frame := store.Frame("flipped", 0, []byte("value"))
	frame[len(frame)-1] ^= 1
	for key, value := range map[string]string{
		"flipped": string(frame), "moved": string(store.Frame("sound", 0, []byte("x"))), "short": "x", "other": string(store.Frame("other", 7, []byte("x"))),
	} {
		if _, err := c.Put(ctx, "ostraka/"+a.name+"/r/"+key, value); err != nil {
			t.Fatal(err)
		}
		var damaged *store.CorruptError
		if _, err := a.Get(ctx, key); !errors.As(err, &damaged) || damaged.Key != key {
			t.Errorf("get %s: %v", key, err)
		}
		if _, err := a.Range(ctx, key, "", 5); !errors.As(err, &damaged) || damaged.Key != key {
			t.Errorf("range of %s: %v", key, err)
		}
		if r, err := c.Get(ctx, "ostraka/"+a.name+"/r/"+key); err != nil || string(r.Kvs[0].Value) != value {
			t.Errorf("%s was changed by reading it", key)
		}
	}
}

// Whoever writes in an owner's lanes past the driver ends the tenure: then nobody knows what was written.
func TestForeignWriterEndsTheTenure(t *testing.T) {
	a, c := owner(t, "foreign", "r1"), raw(t)
	mustCommit(t, a, put("k", ""))
	for i := range 16 {
		if _, err := c.Put(ctx, "ostraka/"+a.name+"/lane/"+string([]byte{'0' + byte(i/10), '0' + byte(i%10)}), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Store.Commit(ctx, put("k", "2")); !errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("commit: %v", err)
	}
	if !closed(a.t.Lost(), time.Second) {
		t.Error("the tenure goes on")
	}
}

// A lease that is taken away ends the tenure without a commit.
func TestLostLease(t *testing.T) {
	a, c := owner(t, "lease", "r1"), raw(t)
	r, err := c.Get(ctx, "ostraka/"+a.name+"/owner")
	if err != nil || len(r.Kvs) != 1 {
		t.Fatal(err)
	}
	if _, err := c.Revoke(ctx, clientv3.LeaseID(r.Kvs[0].Lease)); err != nil {
		t.Fatal(err)
	}
	if !closed(a.t.Lost(), 3*time.Second) || !a.t.Until().IsZero() || !errors.Is(a.t.Err(), store.ErrFenced) {
		t.Errorf("the lease is gone, and the tenure goes on: %v", a.t.Err())
	}
	if _, err := a.Store.Commit(ctx, put("k", "")); !errors.Is(err, store.ErrFenced) || !errors.Is(err, store.ErrClosed) {
		t.Errorf("commit: %v", err)
	}
}

// A snapshot shows one moment; the alarm of members that differ is damage.
func TestSnapshot(t *testing.T) {
	a := owner(t, "snapshot", "r1")
	mustCommit(t, a, put("a", "1"))
	err := a.Snapshot(ctx, func(r store.Reader) error {
		mustCommit(t, a, store.Batch{Put: []store.Entry{{Key: "a", Value: []byte("2")}, {Key: "b"}}})
		it, err := r.Get(ctx, "a")
		page, rangeErr := r.Range(ctx, "", "", 9)
		if err != nil || rangeErr != nil || string(it.Value) != "1" || len(page) != 1 {
			t.Errorf("the snapshot shows %+v and %+v, %v, %v", it, page, err, rangeErr)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMembers(t *testing.T) {
	a := start(t, "members", "r1")
	all, err := a.c.Members(ctx)
	if err != nil || len(all) != 3 {
		t.Fatalf("%+v, %v", all, err)
	}
	leaders := 0
	for i, m := range all {
		if m.Name != string(rune('a'+i)) || m.Problem != "" || m.Version == "" || m.Quota != 4<<30 || m.Index == 0 || len(m.Alarms) != 0 {
			t.Errorf("member %+v", m)
		}
		if m.Leader {
			leaders++
		}
	}
	if leaders != 1 {
		t.Errorf("%d leaders", leaders)
	}
	a.links[1].Set(3) // deaf
	short, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	all, err = a.c.Members(short)
	silent := 0
	for _, m := range all {
		if m.Problem != "" {
			silent++
		}
	}
	if err != nil || silent == 0 {
		t.Errorf("a member that does not answer: %+v, %v", all, err)
	}
}

// The corrupt alarm ends reading and writing, and is told as damage, until an operator has acted.
func TestCorruptAlarm(t *testing.T) {
	a, c := owner(t, "corrupt", "r1"), raw(t)
	mustCommit(t, a, put("k", ""))
	kv := pb.NewMaintenanceClient(c.ActiveConnection())
	set := func(action pb.AlarmRequest_AlarmAction) {
		t.Helper()
		list, err := c.MemberList(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kv.Alarm(ctx, &pb.AlarmRequest{Action: action, MemberID: list.Members[0].ID, Alarm: pb.AlarmType_CORRUPT}); err != nil {
			t.Fatal(err)
		}
	}
	set(pb.AlarmRequest_ACTIVATE)
	_, commitErr := a.Store.Commit(ctx, put("k", "2"))
	_, getErr := a.Get(ctx, "k")
	set(pb.AlarmRequest_DEACTIVATE)
	if !errors.Is(commitErr, store.ErrCorrupt) || errors.Is(commitErr, store.ErrUnknown) {
		t.Errorf("commit: %v", commitErr)
	}
	if getErr != nil && !errors.Is(getErr, store.ErrCorrupt) { // etcd serves reads that need no agreement
		t.Errorf("get: %v", getErr)
	}
}
