//go:build nightly

package etcd_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/ostraka/ostraka/node/store/etcd/etcdtest"
)

// TestLinearizable for two minutes, with blows at random.
func TestLinearizableForLong(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 2))
	c := newCourt(t, "linear-long")
	stop, end := context.WithTimeout(ctx, 2*time.Minute)
	defer end()
	var reigns sync.WaitGroup
	for n := range 2 {
		reigns.Go(func() { c.reign(stop, n) })
	}
	for stop.Err() == nil {
		blow(rnd, c.replicas[:2])
		time.Sleep(time.Duration(rnd.IntN(1500)) * time.Millisecond)
	}
	for _, r := range c.replicas {
		etcdtest.SetAll(r.links, etcdtest.Pass)
	}
	reigns.Wait()
	c.judge(t)
	if !c.happened(1000, 50, 20, 20) {
		t.Error("too little happened")
	}
}
