package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/ostraka/ostraka/internal/history"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/etcd"
	"github.com/ostraka/ostraka/node/store/etcd/etcdtest"
)

// court are owners that follow one another over one store, their workers, and what all of them asked and were told.
type court struct {
	store, reigns *history.History
	replicas      []*replica
	seen          *etcd.View // of somebody who owns nothing

	drawn atomic.Uint64 // values, each given once
	asked atomic.Int64  // operations: groups follow one another
	count [3]atomic.Int64

	mu       sync.Mutex
	tenures  []tenure
	unknown  []asking
	revision map[string]string // of a key at a revision: its value
	errs     []error
}

// A tenure as the one who acquired it knows it.
type tenure struct {
	token uint64
	from  int64 // it was there by then
}

// asking is a batch of which the owner under token does not know whether it was written.
type asking struct {
	who   int
	token uint64
	call  int64
	batch history.Batch
}

const (
	limitSlot, tokenSlot, freeSlot, putSlot = 0, 1, 2, 3

	inGroup = 60 // operations: a search takes the longer the more there are
)

func newCourt(t *testing.T, name string) *court {
	c := &court{store: history.New(), reigns: history.New(), revision: map[string]string{}}
	for _, r := range []string{"r1", "r2", "r3"} {
		c.replicas = append(c.replicas, start(t, name, r))
	}
	c.seen = c.replicas[2].c.View()
	return c
}

// reign owns the store whenever it can until stop ends, with a few workers in each tenure.
func (c *court) reign(stop context.Context, n int) {
	r := c.replicas[n]
	for tenures := 0; stop.Err() == nil; tenures++ {
		call := c.reigns.Now()
		t, err := r.c.Acquire(stop, etcd.Info{Name: fmt.Sprintf("r%d", n+1)})
		if err != nil {
			continue // no member answers, or it is over
		}
		c.reigns.Add(n, call, c.reigns.Now(), history.Reign{Token: t.Token()}, nil)
		c.mu.Lock()
		c.tenures = append(c.tenures, tenure{t.Token(), c.store.Now()})
		c.mu.Unlock()
		var workers sync.WaitGroup
		ends, end := context.WithTimeout(stop, time.Duration(1500+rand.IntN(1500))*time.Millisecond)
		for w := range 3 {
			workers.Go(func() {
				for ends.Err() == nil && t.Err() == nil {
					c.work(t, 10*n+w)
					time.Sleep(time.Duration(4+rand.IntN(8)) * time.Millisecond)
				}
			})
		}
		workers.Wait()
		end()
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		_ = t.Resign(limited) // of one that was lost it does nothing
		cancel()
	}
}

// work is one operation in the group that is everybody's now: a token that is taken within a limit, a token that is given back, a value, or a look.
func (c *court) work(t *etcd.Tenure, who int) {
	group := fmt.Sprint(c.asked.Add(1) / inGroup)
	limited, cancel := context.WithTimeout(ctx, []time.Duration{15, 60, 400, 8000}[rand.IntN(4)]*time.Millisecond)
	defer cancel()
	value := fmt.Sprintf("%d by %d", c.drawn.Add(1), who)
	b := history.Batch{Group: group}
	switch rand.IntN(5) {
	case 0, 1: // one token more, in the batch that takes it
		n, err := c.look(limited, t.Store(), group, limitSlot, who)
		if err != nil {
			return
		}
		var spent int
		fmt.Sscan(n, &spent) //nolint:errcheck // empty: none
		b.If = []history.Slot{{N: limitSlot, Value: n}, {N: tokenSlot}}
		b.Put = []history.Slot{{N: limitSlot, Value: fmt.Sprintf("%d spent; %s", spent+1, value)}, {N: tokenSlot, Value: value}}
	case 2: // taken and given back: the condition holds again
		b.If, b.Put = []history.Slot{{N: freeSlot}}, []history.Slot{{N: freeSlot, Value: value}}
		if was, err := c.look(limited, t.Store(), group, freeSlot, who); err != nil {
			return
		} else if was != "" {
			b.If, b.Put = []history.Slot{{N: freeSlot, Value: was}}, []history.Slot{{N: freeSlot}}
		}
	case 3:
		b.Put = []history.Slot{{N: putSlot, Value: value}}
	case 4: // what the owner reads and what others read is one
		from := store.Reader(t.Store())
		if rand.IntN(2) == 0 {
			from = c.seen
		}
		_, _ = c.look(limited, from, group, rand.IntN(history.Slots), who)
		return
	}
	c.commit(limited, t, b, who)
}

func slotKey(group string, n int) string {
	return store.Key("group", store.Name(group), store.Number(uint64(n)))
}

// look reads, and keeps under which revision a value was.
func (c *court) look(limited context.Context, from store.Reader, group string, n, who int) (string, error) {
	call := c.store.Now()
	it, err := from.Get(limited, slotKey(group, n))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	c.store.Add(who, call, c.store.Now(), history.Look{Group: group, N: n}, string(it.Value))
	c.at(it.Key, it.Revision, string(it.Value))
	return string(it.Value), nil
}

// at wants that a revision is one value's: conditions are revisions in the store, and values in the model.
func (c *court) at(key string, revision uint64, value string) {
	if revision == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range []string{fmt.Sprint(key, " at ", revision), key + " of " + value} {
		if old, ok := c.revision[k]; ok && old != fmt.Sprint(value, revision) {
			c.errs = append(c.errs, fmt.Errorf("%s: %q, then %q at %d", k, old, value, revision))
		}
		c.revision[k] = fmt.Sprint(value, revision)
	}
}

// commit asks for a batch under the conditions that the model knows as values.
func (c *court) commit(limited context.Context, t *etcd.Tenure, b history.Batch, who int) {
	x := store.Batch{}
	for _, s := range b.If {
		cond := store.Absent(slotKey(b.Group, s.N))
		if s.Value != "" {
			it, err := t.Store().Get(limited, cond.Key)
			if err != nil || string(it.Value) != s.Value {
				return // somebody was faster
			}
			cond = store.Unchanged(it)
		}
		x.If = append(x.If, cond)
	}
	for _, s := range b.Put {
		if s.Value == "" {
			x.Delete = append(x.Delete, slotKey(b.Group, s.N))
		} else {
			x.Put = append(x.Put, store.Entry{Key: slotKey(b.Group, s.N), Value: []byte(s.Value)})
		}
	}
	reigns, call := c.reigns.Now(), c.store.Now()
	revision, err := t.Store().Commit(limited, x)
	switch {
	case err == nil:
		c.store.Add(who, call, c.store.Now(), b, history.Done)
		c.reigns.Add(who, reigns, c.reigns.Now(), history.Reign{Token: t.Token(), Write: true}, nil)
		for _, p := range x.Put {
			c.at(p.Key, revision, string(p.Value))
		}
		c.count[history.Done].Add(1)
	case errors.Is(err, store.ErrUnknown):
		c.mu.Lock()
		c.unknown = append(c.unknown, asking{who, t.Token(), call, b})
		c.mu.Unlock()
		c.count[history.Unknown].Add(1)
	case errors.Is(err, store.ErrConflict):
		c.store.Add(who, call, c.store.Now(), b, history.Refused)
		c.count[history.Refused].Add(1)
	} // else it was not written: whoever reads its value finds one that nobody wrote
}

// judge asks whether one order explains everything. What is unknown may have been written as long as nobody had followed as the owner, and not
// after: a token never comes back.
func (c *court) judge(t *testing.T) {
	t.Helper()
	for _, a := range c.unknown {
		end := history.Forever
		for _, next := range c.tenures {
			if next.token > a.token {
				end = min(end, next.from)
			}
		}
		if end > a.call {
			c.store.Add(a.who, a.call, end, a.batch, history.Unknown)
		}
	}
	for _, err := range append(c.errs, c.store.Check(history.Store()), c.reigns.Check(history.Fencing())) {
		if err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d operations in %d groups; %d batches done, %d refused, %d unknown, over %d tenures", c.store.Len(), c.asked.Load()/inGroup+1,
		c.count[history.Done].Load(), c.count[history.Refused].Load(), c.count[history.Unknown].Load(), len(c.tenures))
}

// Owners follow one another while the leader is killed, an owner's links stall until another has taken over, and answers are lost: what all their workers
// and a bystander were told, tokens, limits and values alike, has an order that explains it.
func TestLinearizable(t *testing.T) {
	c := newCourt(t, "linear")
	stop, end := context.WithCancel(ctx)
	var reigns sync.WaitGroup
	for n := range 2 {
		reigns.Go(func() { c.reign(stop, n) })
	}
	time.Sleep(500 * time.Millisecond)
	gone := leader(t, c.replicas[2].c)
	gone.Kill()
	time.Sleep(1500 * time.Millisecond)
	if err := gone.Start(); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []etcdtest.Mode{etcdtest.Mute, etcdtest.Stall} {
		r := c.owning(t)
		etcdtest.SetAll(r.links, mode)
		time.Sleep(2500 * time.Millisecond)
		etcdtest.SetAll(r.links, etcdtest.Pass)
		time.Sleep(500 * time.Millisecond)
	}
	enough := func() bool { return c.happened(100, 10, 3, 4) }
	for i := 0; i < 300 && !enough(); i++ { // a busy machine takes longer
		time.Sleep(100 * time.Millisecond)
	}
	end()
	reigns.Wait()
	if err := gone.Await(); err != nil {
		t.Error(err)
	}
	c.judge(t)
	if !enough() {
		t.Error("too little happened")
	}
}

// happened says whether so many batches ended so, and so many tenures began.
func (c *court) happened(done, refused, unknown int64, tenures int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count[history.Done].Load() >= done && c.count[history.Refused].Load() >= refused && c.count[history.Unknown].Load() >= unknown && len(c.tenures) >= tenures
}

// owning is the replica that owns the store, as a bystander sees it.
func (c *court) owning(t *testing.T) *replica {
	t.Helper()
	for range 400 {
		who, _, ok, err := c.replicas[2].c.Owner(ctx)
		if err == nil && ok {
			return c.replicas[strings.Index("r1r2", who.Name)/2]
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("nobody owns the store")
	return nil
}

// What would be told of owners that write without a token and without conditions: two take one token in the same cluster, straight by etcd's own
// client. The judge sees it.
func TestCarelessOwnersAreSeen(t *testing.T) {
	o := members.Options("careless", "r1")
	conf, err := o.TLS()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := clientv3.New(clientv3.Config{Endpoints: o.Endpoints, TLS: conf})
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	h := history.New()
	read, write := make(chan struct{}, 2), make(chan struct{})
	var done sync.WaitGroup
	for who := range 2 {
		done.Go(func() {
			call := h.Now()
			got, err := raw.Get(ctx, "careless/token")
			read <- struct{}{}
			<-write
			if err != nil || len(got.Kvs) > 0 {
				t.Errorf("the token is not free: %v", err)
				return
			}
			if _, err := raw.Put(ctx, "careless/token", fmt.Sprint(who)); err != nil {
				t.Error(err)
			}
			h.Add(who, call, h.Now(), history.Batch{Group: "careless", If: []history.Slot{{N: tokenSlot}}, Put: []history.Slot{{N: tokenSlot, Value: fmt.Sprint(who)}}}, history.Done)
		})
	}
	<-read
	<-read
	close(write)
	done.Wait()
	if err := h.Check(history.Store()); err == nil {
		t.Error("a token that two took is not seen")
	}
}
