//go:build nightly

package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/etcd"
	"github.com/ostraka/ostraka/node/store/etcd/etcdtest"
)

// claims are what callers were told of tokens.
type claims struct {
	mu      sync.Mutex
	won     map[string][]string // token → who was told that they have it
	unknown map[string][]string
	tenures int
}

func (c *claims) told(token, who string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.won[token] = append(c.won[token], who)
	case errors.Is(err, store.ErrUnknown):
		c.unknown[token] = append(c.unknown[token], who)
	}
}

// Two replicas follow one another for a minute while their links stall, and members are killed and paused, at random. No token is won twice
// over all tenures, and each that was won holds its winner's name.
func TestTokensOverTenures(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	c := &claims{won: map[string][]string{}, unknown: map[string][]string{}}
	stop, end := context.WithTimeout(ctx, time.Minute)
	defer end()
	replicas := []*replica{start(t, "tenures", "r1"), start(t, "tenures", "r2")}
	var done sync.WaitGroup
	for i, r := range replicas {
		done.Go(func() { c.reign(stop, r, fmt.Sprintf("r%d", i+1)) })
	}
	for stop.Err() == nil {
		blow(rnd, replicas)
		time.Sleep(time.Duration(rnd.IntN(1500)) * time.Millisecond)
	}
	for _, r := range replicas {
		etcdtest.SetAll(r.links, etcdtest.Pass)
	}
	done.Wait()
	view := replicas[0].c.View()
	for token, by := range c.won {
		it, err := view.Get(ctx, token)
		if len(by) != 1 || err != nil || string(it.Value) != by[0] {
			t.Errorf("%s was won by %q and holds %q, %v", token, by, it.Value, err)
		}
	}
	t.Logf("%d tokens won, %d unknown, over %d tenures", len(c.won), len(c.unknown), c.tenures)
	if c.tenures < 4 || len(c.won) < 200 {
		t.Errorf("too little happened")
	}
}

func blow(rnd *rand.Rand, replicas []*replica) {
	m := members.All[rnd.IntN(len(members.All))]
	switch r := replicas[rnd.IntN(len(replicas))]; rnd.IntN(5) {
	case 0, 1:
		mode := []etcdtest.Mode{etcdtest.Stall, etcdtest.Mute, etcdtest.Deaf, etcdtest.Cut}[rnd.IntN(4)]
		etcdtest.SetAll(r.links, mode)
		time.Sleep(time.Duration(500+rnd.IntN(5000)) * time.Millisecond)
		etcdtest.SetAll(r.links, etcdtest.Pass)
	case 2:
		r.links[rnd.IntN(len(r.links))].Set(etcdtest.Mute)
		time.Sleep(time.Second)
		etcdtest.SetAll(r.links, etcdtest.Pass)
	case 3:
		m.Kill()
		time.Sleep(time.Second)
		if m.Start() == nil {
			_ = m.Await()
		}
	case 4:
		m.Pause()
		time.Sleep(time.Duration(rnd.IntN(2000)) * time.Millisecond)
		m.Resume()
	}
}

// reign owns the store when it can, and takes tokens while it does.
func (c *claims) reign(stop context.Context, r *replica, name string) {
	for stop.Err() == nil {
		tenure, err := r.c.Acquire(stop, etcd.Info{Name: name})
		if err != nil {
			continue
		}
		c.mu.Lock()
		c.tenures++
		n := c.tenures
		c.mu.Unlock()
		var workers sync.WaitGroup
		for w := range 4 {
			workers.Go(func() { c.take(stop, tenure, fmt.Sprintf("%s/%d/%d", name, n, w)) })
		}
		workers.Wait()
		_ = tenure.Resign(ctx) // of one that was lost it does nothing
	}
}

func (c *claims) take(stop context.Context, t *etcd.Tenure, who string) {
	for i := 0; stop.Err() == nil && t.Err() == nil && i < 600; i++ {
		token := store.Key("token", store.Number(rand.Uint64N(6000)))
		_, err := t.Store().Commit(ctx, store.Batch{If: []store.Cond{store.Absent(token)}, Put: []store.Entry{{Key: token, Value: []byte(who)}}})
		c.told(token, who, err)
		time.Sleep(5 * time.Millisecond)
	}
}
