package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/ostraka/ostraka/node/store"
)

// looks is how often members are asked how much room they have.
const looks = 2 * time.Second

// room keeps ordinary batches out of the last of the quota. When a member's file reaches it etcd takes no write at all, from anyone, until
// it is defragmented or the quota raised: then nobody could deny, freeze or veto.
type room struct {
	reserve int64
	short   atomic.Bool // ordinary batches are refused
	stop    context.CancelFunc
	done    chan struct{}
	once    sync.Once
}

func (r *room) start(s *Store) {
	r.reserve, r.done = s.c.o.Reserve, make(chan struct{})
	var ctx context.Context
	ctx, r.stop = context.WithCancel(s.ctx)
	go func() {
		defer close(r.done)
		for ctx.Err() == nil {
			r.look(ctx, s.c)
			s.c.pause(ctx, looks)
		}
	}()
}

func (r *room) end() {
	r.once.Do(r.stop)
	<-r.done
}

// look asks every member, and finds the leader on the way. Who does not answer says nothing.
func (r *room) look(ctx context.Context, c *Cluster) {
	ctx, cancel := context.WithTimeout(ctx, looks)
	defer cancel()
	answers := make(chan *pb.StatusResponse, len(c.links.all))
	for i, k := range c.links.all {
		go func() {
			st, err := k.status(ctx)
			if err != nil {
				st = nil
			} else if st.Leader == st.Header.MemberId {
				c.links.prefer(i)
			}
			answers <- st
		}()
	}
	heard, short := 0, false
	for range c.links.all {
		if st := <-answers; st != nil {
			heard++
			short = short || tight(st.DbSize, st.DbSizeInUse, st.DbSizeQuota, r.reserve)
		}
	}
	if heard > 0 {
		r.short.Store(short)
	}
}

// tight says that a member is so near its quota that the rest is kept. The quota counts the file, which never shrinks by itself; what was
// erased leaves free pages in it, and batches that fit into those let it grow no further. The last half of the reserve is kept whatever
// is free: a batch may need pages that lie together.
func tight(size, inUse, quota, reserve int64) bool {
	if quota <= 0 {
		return false
	}
	reserve = min(reserve, quota/4)
	left, free := quota-size, size-inUse
	return left < reserve/2 || left < reserve && free < reserve
}

// refuse is the error of an ordinary batch while the rest is kept. Batches that only delete make room.
func (r *room) refuse(b store.Batch) error {
	if b.Reserve || len(b.Put) == 0 || !r.short.Load() {
		return nil
	}
	return r.full(errors.New("the members near their quota"))
}

// spent notes that etcd itself refused; the next look may take it back.
func (r *room) spent() { r.short.Store(true) }

func (r *room) full(cause error) error {
	return fmt.Errorf("%w: the cluster has no room for more: run `ostraka-store defrag`, or give its members a higher quota, and the node goes on by itself: %w", store.ErrFull, cause)
}

// Full says that ordinary batches are refused for want of room.
func (s *Store) Full() bool { return s.room.short.Load() }
