package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/ostraka/ostraka/node/store"
)

// A Tenure is the time in which this process owns the store. It ends by Resign, or when Lost is closed; another begins with Acquire.
type Tenure struct {
	c     *Cluster
	me    Info
	token uint64
	lease int64
	ttl   time.Duration // as granted
	store *Store

	began time.Time
	heard atomic.Int64 // when the last renewal that was answered had been sent, on the monotonic clock, since began

	lost chan struct{}
	end  sync.Once
	why  atomic.Pointer[error]
	stop context.CancelFunc // of the renewals
	done chan struct{}      // closed when they have ended
}

// Acquire waits until this replica owns the store.
func (c *Cluster) Acquire(ctx context.Context, me Info) (*Tenure, error) {
	if err := me.form(); err != nil {
		return nil, err
	}
	for {
		_, _, held, revision, err := c.owner(ctx)
		if err != nil {
			return nil, err
		}
		if !held {
			t, err := c.take(ctx, me)
			if t != nil || err != nil {
				return t, err
			}
			continue
		}
		c.await(ctx, revision)
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("wait to own the store: %w", err)
		}
	}
}

// AcquireNow is Acquire for those who do not wait: store.ErrLocked names the owner.
func (c *Cluster) AcquireNow(ctx context.Context, me Info) (*Tenure, error) {
	if err := me.form(); err != nil {
		return nil, err
	}
	t, err := c.take(ctx, me)
	if t != nil || err != nil {
		return t, err
	}
	who, _, _, err := c.Owner(ctx)
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("replica %q owns store %s in the cluster: %w", who.Name, c.o.Name, store.ErrLocked)
}

// take tries to become the owner; nil and no error if another is.
func (c *Cluster) take(ctx context.Context, me Info) (*Tenure, error) {
	sent := time.Now()
	lease, err := c.grant(ctx, c.o.TTL)
	if err != nil {
		return nil, err
	}
	kv, err := c.claim(ctx, me, lease.ID)
	if kv == nil {
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = c.revoke(short, lease.ID) // else it runs out
		return nil, err
	}
	t := &Tenure{
		c: c, me: me, token: uint64(kv.CreateRevision), lease: lease.ID, ttl: time.Duration(lease.TTL) * time.Second,
		began: sent, lost: make(chan struct{}), done: make(chan struct{}),
	}
	if t.store, err = c.openStore(ctx, t); err != nil {
		_ = c.revoke(context.WithoutCancel(ctx), lease.ID)
		return nil, err
	}
	var keep context.Context
	keep, t.stop = context.WithCancel(context.Background())
	go t.keep(keep)
	return t, nil
}

// claim creates the owner's row, in the transaction that tells of the change. A lost answer is found out: the row lies under our lease, or not.
func (c *Cluster) claim(ctx context.Context, me Info, lease int64) (*mvccpb.KeyValue, error) {
	who, err := json.Marshal(me)
	if err != nil {
		return nil, err
	}
	for {
		list, revision, err := c.tenures(ctx)
		if err != nil {
			return nil, err
		}
		told, err := json.Marshal(followed(list, me, time.Now().UTC()))
		if err != nil {
			return nil, err
		}
		owner := c.key(rowOwner)
		r, err := anyone(ctx, &c.links, func(ctx context.Context, k *link) (*pb.TxnResponse, error) {
			return k.txn(ctx, &pb.TxnRequest{
				Compare: []*pb.Compare{created(owner, 0), modified(c.key(rowTenures), revision)},
				Success: []*pb.RequestOp{putOp(owner, who, lease), putOp(c.key(rowTenures), told, 0), getOp(owner, false)},
				Failure: []*pb.RequestOp{getOp(owner, false), getOp(c.key(rowTenures), true)},
			})
		})
		if err != nil {
			return nil, fmt.Errorf("take the store over: %w", err)
		}
		at := 0
		if r.Succeeded {
			at = 2
		}
		kv := got(r, at)
		if kv != nil && kv.Lease == lease {
			return kv, nil
		}
		if kv != nil {
			return nil, nil
		}
		c.pause(ctx, 10*time.Millisecond) // another replica came and went: tenures has changed
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("take the store over: %w", err)
		}
	}
}

// followed adds a change of owner to the list.
func followed(list []Change, me Info, now time.Time) []Change {
	next := Change{At: now, To: me.Name, Why: WhyFirst}
	if n := len(list); n > 0 {
		next.From, next.Why = list[n-1].To, WhyExpired
		if list[n-1].Resigned {
			next.Why = WhyResigned
		}
	}
	list = append(list, next)
	return list[max(0, len(list)-maxTenures):]
}

// Store is the node's store, as long as the tenure lasts.
func (t *Tenure) Store() *Store { return t.store }

// Token is the fencing token: higher than that of every tenure before.
func (t *Tenure) Token() uint64 { return t.token }

// Lost is closed when the tenure is over: the store is closed for good, and another replica may own it.
func (t *Tenure) Lost() <-chan struct{} { return t.lost }

// Err says why the tenure is over; nil while it lasts.
func (t *Tenure) Err() error {
	if e := t.why.Load(); e != nil {
		return *e
	}
	return nil
}

// Until is the moment before which no other replica can own the store: when the last renewal that was answered had been sent, and the
// lease's time, less a sixth for clocks that differ. Zero once the tenure is lost. It may lie in the past: while the cluster chooses a
// leader no renewal is answered, and leases live on. Then whoever does something that is not a Commit (answers people, sends what was
// committed before) waits; a Commit needs no clock, the token stands in it.
//
// It is on the monotonic clock, which on Linux stands still while a machine is suspended. A machine that wakes up may believe a moment
// in the past to be in the future, until the next renewal fails; its commits are refused all the same.
func (t *Tenure) Until() time.Time {
	if t.Err() != nil {
		return time.Time{}
	}
	return t.began.Add(time.Duration(t.heard.Load()) + t.ttl - t.ttl/6)
}

// grace is how long after the lease's time nobody has answered before the tenure is given up: an election takes one to two seconds.
func (t *Tenure) grace() time.Duration { return t.ttl }

// keep renews the lease until the tenure ends.
func (t *Tenure) keep(ctx context.Context) {
	defer close(t.done)
	for ctx.Err() == nil {
		heard := t.began.Add(time.Duration(t.heard.Load()))
		sent := time.Now()
		ttl, err := t.c.renew(ctx, t.lease, int64(t.ttl/time.Second))
		switch {
		case err == nil && ttl > 0:
			t.heard.Store(int64(sent.Sub(t.began)))
			t.c.pause(ctx, t.ttl/3-time.Since(sent))
			continue
		case err == nil:
			t.lose(errors.New("the lease has run out"))
		case isFinal(err) && !isNoSpace(err):
			t.lose(fmt.Errorf("the lease is not renewed: %w", err))
		case time.Since(heard) > t.ttl+t.grace():
			t.lose(fmt.Errorf("no member of the cluster has renewed the lease for %v: %w", time.Since(heard).Round(time.Second), err))
		}
		t.c.pause(ctx, 50*time.Millisecond)
	}
}

// lose ends the tenure: nothing is written any more.
func (t *Tenure) lose(why error) {
	t.end.Do(func() {
		err := fmt.Errorf("%w: %w: %w", store.ErrFenced, store.ErrClosed, why)
		t.why.Store(&err)
		t.store.cut(err)
		close(t.lost)
		t.stop()
		t.c.o.Log.Warn("this replica owns the store no more", "store", t.c.o.Name, "token", t.token, "why", why)
	})
}

// Resign waits for batches under way, then gives the store up: the next replica takes over at once.
func (t *Tenure) Resign(ctx context.Context) error {
	_ = t.store.Close()
	if t.Err() != nil {
		return nil // another has it, or may
	}
	defer t.lose(errors.New("this replica resigned"))
	list, revision, err := t.c.tenures(ctx)
	if err != nil {
		return fmt.Errorf("resign: %w", err)
	}
	if n := len(list); n > 0 {
		list[n-1].Resigned = true
	}
	told, err := json.Marshal(list)
	if err != nil {
		return err
	}
	owner := t.c.key(rowOwner)
	_, err = anyone(ctx, &t.c.links, func(ctx context.Context, k *link) (*pb.TxnResponse, error) {
		return k.txn(ctx, &pb.TxnRequest{
			Compare: []*pb.Compare{created(owner, int64(t.token)), modified(t.c.key(rowTenures), revision)},
			Success: []*pb.RequestOp{putOp(t.c.key(rowTenures), told, 0), dropOp(owner)},
		})
	})
	if err := errors.Join(err, t.c.revoke(ctx, t.lease)); err != nil {
		return fmt.Errorf("resign: the lease runs out by itself in %v: %w", t.ttl, err)
	}
	return nil
}
