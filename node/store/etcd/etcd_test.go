package etcd_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/etcd"
	"github.com/ostraka/ostraka/node/store/etcd/etcdtest"
	"github.com/ostraka/ostraka/node/store/storetest"
)

var (
	ctx     = context.Background()
	members *etcdtest.Members // three, for all tests: each test has stores of its own
)

func TestMain(m *testing.M) {
	var err error
	if members, err = etcdtest.Start(3); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	members.Stop()
	os.Exit(code)
}

// A replica is one process's way to a store, over links that a test can spoil.
type replica struct {
	*etcd.Store
	name  string // of the store
	c     *etcd.Cluster
	t     *etcd.Tenure
	links []*etcdtest.Proxy
	spoil atomic.Int32 // etcdtest.Mode of the links for the next batch
}

func connect(name, replicaName string) (r *replica, err error) {
	r = &replica{}
	o := members.Options(name, replicaName)
	o.TTL = 2 * time.Second
	if r.links, o.Endpoints, err = members.Proxies(); err != nil {
		return nil, err
	}
	r.c, err = etcd.Connect(ctx, o)
	return r, err
}

func (r *replica) own(now bool, name string) (err error) {
	me := etcd.Info{Name: name, Link: "127.0.0.1:1", Since: time.Now().UTC()}
	if now {
		r.t, err = r.c.AcquireNow(ctx, me)
	} else {
		limited, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		r.t, err = r.c.Acquire(limited, me)
	}
	if err == nil {
		r.Store = r.t.Store()
	}
	return err
}

// Close is the end of a process that stops in order.
func (r *replica) Close() error {
	var err error
	if r.t != nil {
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		err = r.t.Resign(limited)
	}
	r.c.Close()
	for _, p := range r.links {
		p.Close()
	}
	return err
}

// Commit ends in ErrUnknown if the links are to be spoilt: the answer is lost, or the request.
func (r *replica) Commit(c context.Context, b store.Batch) (uint64, error) {
	mode := etcdtest.Mode(r.spoil.Swap(0))
	if mode == etcdtest.Pass {
		return r.Store.Commit(c, b)
	}
	etcdtest.SetAll(r.links, mode)
	defer etcdtest.SetAll(r.links, etcdtest.Pass)
	c, cancel := context.WithTimeout(c, 300*time.Millisecond)
	defer cancel()
	return r.Store.Commit(c, b)
}

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Driver{
		Costly: true,
		Open: func(dir string) (store.Store, error) {
			r, err := connect(fmt.Sprintf("s%x", sha256.Sum256([]byte(dir)))[:20], "r1")
			if err != nil {
				return nil, err
			}
			if err := r.own(true, "r1"); err != nil {
				_ = r.Close()
				return nil, err
			}
			return r, nil
		},
		Unknown: func(s store.Store, written bool) bool {
			mode := etcdtest.Deaf
			if written {
				mode = etcdtest.Mute
			}
			s.(*replica).spoil.Store(int32(mode))
			return true
		},
	})
}

// names are the stores of tests that began: each run of a test has one of its own.
var names = struct {
	sync.Mutex
	of   map[*testing.T]int
	runs int
}{of: map[*testing.T]int{}}

func named(t *testing.T, store string) string {
	names.Lock()
	defer names.Unlock()
	if names.of[t] == 0 {
		names.runs++
		names.of[t] = names.runs
	}
	return fmt.Sprintf("%s-%d", store, names.of[t])
}

// start makes a replica that is closed at the test's end.
func start(t *testing.T, store, name string) *replica {
	t.Helper()
	r, err := connect(named(t, store), name)
	if err != nil {
		t.Fatal(err)
	}
	r.name = named(t, store)
	t.Cleanup(func() {
		etcdtest.SetAll(r.links, etcdtest.Pass)
		_ = r.Close()
	})
	return r
}

func owner(t *testing.T, store, name string) *replica {
	t.Helper()
	r := start(t, store, name)
	if err := r.own(false, name); err != nil {
		t.Fatal(err)
	}
	return r
}

func put(key, value string) store.Batch {
	return store.Batch{Put: []store.Entry{{Key: key, Value: []byte(value)}}}
}

func mustCommit(t *testing.T, s store.Store, b store.Batch) uint64 {
	t.Helper()
	rev, err := s.Commit(ctx, b)
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return rev
}

func closed(c <-chan struct{}, within time.Duration) bool {
	select {
	case <-c:
		return true
	case <-time.After(within):
		return false
	}
}

// Two replicas race: one owns the store, the other waits, and follows as soon as the first resigns.
func TestResignHandsOverAtOnce(t *testing.T) {
	a, b := start(t, "resign", "r1"), start(t, "resign", "r2")
	if err := a.own(false, "one"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.c.AcquireNow(ctx, etcd.Info{Name: "two"}); !errors.Is(err, store.ErrLocked) {
		t.Fatalf("a second owner: %v, want ErrLocked", err)
	}
	changes, quiet := context.WithCancel(ctx)
	defer quiet()
	watch := b.c.Watch(changes)
	if first := <-watch; first.Name != "one" || first.Token != a.t.Token() {
		t.Fatalf("the owner is %+v", first)
	}
	rev := mustCommit(t, a, put("k", "of one"))
	won := make(chan error, 1)
	go func() { won <- b.own(false, "two") }()
	time.Sleep(100 * time.Millisecond)
	if until := a.t.Until(); time.Until(until) <= 0 {
		t.Errorf("until %v is over", until)
	}
	at := time.Now()
	if err := a.t.Resign(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-won; err != nil {
		t.Fatal(err)
	}
	if took := time.Since(at); took > time.Second { // a lease would have run out after two
		t.Errorf("the hand-over took %v", took)
	}
	if b.t.Token() <= a.t.Token() {
		t.Errorf("token %d after %d", b.t.Token(), a.t.Token())
	}
	if !closed(a.t.Lost(), time.Second) || !a.t.Until().IsZero() {
		t.Error("the one that resigned still owns")
	}
	if _, err := a.Commit(ctx, put("k", "late")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("commit after resigning: %v", err)
	}
	if it, err := b.Get(ctx, "k"); err != nil || it.Revision != rev || string(it.Value) != "of one" {
		t.Errorf("the next owner reads %+v, %v", it, err)
	}
	list, err := b.c.Tenures(ctx)
	if err != nil || len(list) != 2 || list[0].Why != etcd.WhyFirst || list[1].Why != etcd.WhyResigned || list[1].From != "one" || list[1].To != "two" {
		t.Errorf("tenures: %+v, %v", list, err)
	}
	for now := range watch {
		if now.Name == "two" && now.Token == b.t.Token() {
			break
		}
	}
	view := a.c.View() // the old owner still sees
	if it, err := view.Get(ctx, "k"); err != nil || string(it.Value) != "of one" {
		t.Errorf("the view reads %+v, %v", it, err)
	}
}

// An owner that was stalled comes back after another took over: what it had sent, and what it sends now, is not written.
func TestPausedOwnerIsFenced(t *testing.T) {
	a, b := owner(t, "paused", "r1"), start(t, "paused", "r2")
	rev := mustCommit(t, a, put("k", "of a"))
	etcdtest.SetAll(a.links, etcdtest.Stall)
	sent := make(chan error, 1)
	go func() { // lies in the proxies until they let it go
		_, err := a.Store.Commit(ctx, store.Batch{If: []store.Cond{{Key: "k", Revision: rev}}, Put: []store.Entry{{Key: "stalled"}}})
		sent <- err
	}()
	if err := b.own(false, "b"); err != nil {
		t.Fatal(err)
	}
	if time.Until(a.t.Until()) > 0 {
		t.Error("another owns the store before the old owner's time is over")
	}
	mustCommit(t, b, put("other", "of b"))
	etcdtest.SetAll(a.links, etcdtest.Pass)
	if _, err := a.Store.Commit(ctx, put("k", "late")); !errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("the old owner's commit: %v, want ErrFenced", err)
	}
	if !closed(a.t.Lost(), 5*time.Second) {
		t.Error("the old owner does not know that it lost the store")
	}
	if err := <-sent; err == nil || !errors.Is(err, store.ErrFenced) {
		t.Errorf("the stalled commit: %v", err)
	}
	for what, err := range map[string]error{
		"get": func() error { _, err := a.Store.Get(ctx, "k"); return err }(), "commit": func() error { _, err := a.Store.Commit(ctx, put("x", "")); return err }(),
		"check": func() error {
			_, err := a.Store.Commit(ctx, store.Batch{If: []store.Cond{store.Absent("x")}})
			return err
		}(),
	} {
		if !errors.Is(err, store.ErrFenced) || !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s by the old owner: %v", what, err)
		}
	}
	if page, err := b.Range(ctx, "", "", 10); err != nil || len(page) != 2 || string(page[0].Value) != "of a" || page[0].Revision != rev {
		t.Errorf("the store holds %+v, %v", page, err)
	}
	if list, err := b.c.Tenures(ctx); err != nil || list[len(list)-1].Why != etcd.WhyExpired {
		t.Errorf("tenures: %+v, %v", list, err)
	}
}

// Links die one after another under a batch: it is known to be written, once, since a member is left that answers.
func TestLostAnswerIsFoundOut(t *testing.T) {
	a := owner(t, "lost-answer", "r1")
	for i, mode := range []etcdtest.Mode{etcdtest.Mute, etcdtest.Deaf, etcdtest.Stall, etcdtest.Cut} {
		spoilt := a.links[:len(a.links)-1]
		etcdtest.SetAll(spoilt, mode)
		key := fmt.Sprint("k", i)
		rev, err := a.Store.Commit(ctx, store.Batch{If: []store.Cond{store.Absent(key)}, Put: []store.Entry{{Key: key}}})
		etcdtest.SetAll(spoilt, etcdtest.Pass)
		if err != nil {
			t.Fatalf("mode %d: %v", mode, err)
		}
		if it, err := a.Get(ctx, key); err != nil || it.Revision != rev {
			t.Errorf("mode %d: %+v, %v; committed at %d", mode, it, err, rev)
		}
	}
	etcdtest.SetAll(a.links[:2], etcdtest.Mute) // a conflict is found out as well
	defer etcdtest.SetAll(a.links, etcdtest.Pass)
	_, err := a.Store.Commit(ctx, store.Batch{If: []store.Cond{store.Absent("k0")}, Put: []store.Entry{{Key: "never"}}})
	var c *store.ConflictError
	if !errors.As(err, &c) || c.Key != "k0" {
		t.Errorf("conflict over muted links: %v", err)
	}
}

// A request that was on its way when its caller gave up arrives after the next batch of its lane: it is not written, though its own
// conditions hold again.
func TestLateArrivalIsNotWritten(t *testing.T) {
	a := owner(t, "late", "r1")
	take := store.Batch{If: []store.Cond{store.Absent("token")}, Put: []store.Entry{{Key: "token", Value: []byte("late")}}}
	etcdtest.SetAll(a.links, etcdtest.Stall)
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if _, err := a.Store.Commit(short, take); !errors.Is(err, store.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("commit over stalled links: %v, want ErrUnknown", err)
	}
	held := -1
	for i, p := range a.links { // one keeps what it holds; the others pass
		if held < 0 {
			held = i
			continue
		}
		p.Set(etcdtest.Pass)
	}
	for range 2 * 16 { // every lane is used
		mustCommit(t, a.Store, put("other", ""))
	}
	etcdtest.SetAll(a.links, etcdtest.Pass)
	time.Sleep(100 * time.Millisecond)
	it, err := a.Get(ctx, "token")
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		t.Fatal(err)
	default: // it had arrived in time, by another link: then it was there before the lane went on
		if last, _ := a.Get(ctx, "other"); it.Revision > last.Revision {
			t.Errorf("the token was written at %d, after the lanes had gone on at %d", it.Revision, last.Revision)
		}
	}
}

// Four replicas want the store at the same moment, again and again: one gets it each time, with a higher token.
func TestOneOwner(t *testing.T) {
	var all []*replica
	for i := range 4 {
		all = append(all, start(t, "race", fmt.Sprintf("r%d", i+1)))
	}
	var token uint64
	for round := range 5 {
		won := make(chan *replica, len(all))
		errs := make(chan error, len(all))
		for i, r := range all {
			go func() {
				err := r.own(true, fmt.Sprintf("r%d", i+1))
				if err == nil {
					won <- r
				}
				errs <- err
			}()
		}
		for range all {
			if err := <-errs; err != nil && !errors.Is(err, store.ErrLocked) {
				t.Errorf("round %d: %v", round, err)
			}
		}
		if len(won) != 1 {
			t.Fatalf("round %d: %d owners", round, len(won))
		}
		winner := <-won
		if winner.t.Token() <= token {
			t.Errorf("round %d: token %d after %d", round, winner.t.Token(), token)
		}
		token = winner.t.Token()
		mustCommit(t, winner.Store, put("k", fmt.Sprint(round)))
		if err := winner.t.Resign(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// A page of records may be larger than what gRPC takes by default.
func TestLargePages(t *testing.T) {
	a := owner(t, "large", "r1")
	for i := range 5 {
		mustCommit(t, a.Store, store.Batch{Put: []store.Entry{{Key: fmt.Sprint("k", i), Value: make([]byte, 1<<20)}}})
	}
	if page, err := a.Range(ctx, "k", "", store.MaxLimit); err != nil || len(page) != 5 {
		t.Errorf("%d records, %v", len(page), err)
	}
}

// A batch that was written though its caller was told nothing leaves its lane in order: all lanes go on.
func TestLanesGoOnAfterUnknown(t *testing.T) {
	a := owner(t, "goes-on", "r1")
	for i := range 3 {
		mustCommit(t, a, put("connected", ""))
		a.spoil.Store(int32(etcdtest.Mute))
		if _, err := a.Commit(ctx, put(fmt.Sprint("unknown/", i), "")); !errors.Is(err, store.ErrUnknown) {
			t.Fatalf("commit over mute links: %v, want ErrUnknown", err)
		}
	}
	for range 2 * 16 {
		mustCommit(t, a, put("other", ""))
	}
	if page, err := a.Range(ctx, "unknown/", "", 9); err != nil || len(page) != 3 {
		t.Errorf("%d of 3 were written, %v", len(page), err)
	}
	if err := a.t.Err(); err != nil {
		t.Error(err)
	}
}

// A try lies in a stalled link; another was told that the token is taken. When the token is free again and the first try arrives, it is not
// written: its caller knows that it was refused.
func TestLateArrivalAfterConflict(t *testing.T) {
	a := owner(t, "late-conflict", "r1")
	for round := range 3 {
		mustCommit(t, a, put("token", "taken"))
		etcdtest.SetAll(a.links[:2], etcdtest.Stall)
		_, err := a.Store.Commit(ctx, store.Batch{If: []store.Cond{store.Absent("token")}, Put: []store.Entry{{Key: "token", Value: []byte("late")}}})
		if !errors.Is(err, store.ErrConflict) {
			t.Fatalf("round %d: %v, want a conflict", round, err)
		}
		mustCommit(t, a, store.Batch{Delete: []string{"token"}})
		etcdtest.SetAll(a.links, etcdtest.Pass)
		time.Sleep(100 * time.Millisecond)
		if it, err := a.Get(ctx, "token"); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("round %d: %q, %v", round, it.Value, err)
		}
	}
}
