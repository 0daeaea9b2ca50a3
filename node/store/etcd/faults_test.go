package etcd_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/etcd"
	"github.com/ostraka/ostraka/node/store/etcd/etcdtest"
)

// A token that several workers want; what each was told.
type told struct {
	won, unknown int
}

// load lets workers take the same tokens, one after another, until it is stopped. Each counter is its worker's own.
type load struct {
	stop    chan struct{}
	done    sync.WaitGroup
	mu      sync.Mutex
	tokens  map[string]told
	last    map[int]uint64 // acknowledged to each worker
	acked   int
	least   int // that must be
	unknown int
	stall   time.Duration // the longest time without an answer
	heard   time.Time
	errs    []error
}

func run(s store.Store, workers int) *load {
	l := &load{stop: make(chan struct{}), tokens: map[string]told{}, last: map[int]uint64{}, heard: time.Now(), least: 50}
	for w := range workers {
		l.done.Go(func() {
			for n := uint64(1); ; n++ {
				select {
				case <-l.stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				if !l.one(s, w, n) {
					return
				}
			}
		})
	}
	return l
}

// one takes token n and counts, in one batch; whoever comes second counts alone.
func (l *load) one(s store.Store, w int, n uint64) bool {
	token, counter := store.Key("token", store.Number(n)), store.Key("counter", store.Number(uint64(w)))
	count := store.Entry{Key: counter, Value: fmt.Append(nil, n)}
	_, err := s.Commit(ctx, store.Batch{If: []store.Cond{store.Absent(token)}, Put: []store.Entry{{Key: token, Value: fmt.Append(nil, w)}, count}})
	won := err == nil
	if errors.Is(err, store.ErrConflict) {
		_, err = s.Commit(ctx, store.Batch{Put: []store.Entry{count}})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stall, l.heard = max(l.stall, time.Since(l.heard)), time.Now()
	t := l.tokens[token]
	switch {
	case err == nil:
		l.acked++
		l.last[w] = n
		if won {
			t.won++
		}
	case errors.Is(err, store.ErrUnknown):
		l.unknown++
		t.unknown++
	default:
		l.errs = append(l.errs, err)
		return false
	}
	l.tokens[token] = t
	return true
}

func (l *load) check(t *testing.T, s store.Store) {
	t.Helper()
	close(l.stop)
	l.done.Wait()
	for _, err := range l.errs {
		t.Errorf("commit: %v", err)
	}
	for token, told := range l.tokens {
		if told.won > 1 {
			t.Errorf("%s was won %d times", token, told.won)
		}
		if _, err := s.Get(ctx, token); told.won == 1 && err != nil {
			t.Errorf("%s was won: %v", token, err)
		}
	}
	for w, n := range l.last {
		it, err := s.Get(ctx, store.Key("counter", store.Number(uint64(w))))
		var there uint64
		if _, scan := fmt.Sscan(string(it.Value), &there); err != nil || scan != nil || there < n {
			t.Errorf("worker %d was acknowledged %d; the store holds %q, %v", w, n, it.Value, err)
		}
	}
	t.Logf("%d acknowledged, %d unknown, longest time without an answer %v", l.acked, l.unknown, l.stall.Round(time.Millisecond))
	if l.acked < l.least {
		t.Errorf("only %d batches were acknowledged", l.acked)
	}
}

// leader is the member that leads now.
func leader(t testing.TB, c *etcd.Cluster) *etcdtest.Member {
	t.Helper()
	return leaderOf(t, c, members)
}

func leaderOf(t testing.TB, c *etcd.Cluster, members *etcdtest.Members) *etcdtest.Member {
	t.Helper()
	for range 100 {
		all, err := c.Members(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			if m.Leader {
				for _, one := range members.All {
					if one.Name == m.Name {
						return one
					}
				}
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the cluster has no leader")
	return nil
}

// Under load the leader is killed and comes back, each member is cut off from all others in turn, and each link of the owner stalls: nothing
// that was acknowledged is lost, no token is won twice, and the owner stays the owner.
func TestMembersDieUnderLoad(t *testing.T) {
	a, err := connect(named(t, "faults"), "r1")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.own(false, "a"); err != nil {
		t.Fatal(err)
	}
	l := run(a.Store, 4)
	time.Sleep(300 * time.Millisecond)
	gone := leader(t, a.c)
	gone.Kill()
	time.Sleep(2 * time.Second)
	if err := gone.Start(); err != nil {
		t.Fatal(err)
	}
	if err := gone.Await(); err != nil {
		t.Fatal(err)
	}
	for i, m := range members.All {
		m.Pause()
		time.Sleep(1200 * time.Millisecond)
		m.Resume()
		a.links[i].Set(etcdtest.Stall)
		time.Sleep(400 * time.Millisecond)
		a.links[i].Set(etcdtest.Pass)
		time.Sleep(400 * time.Millisecond)
	}
	l.check(t, a.Store)
	if err := a.t.Err(); err != nil {
		t.Errorf("the owner lost the store: %v", err)
	}
}
