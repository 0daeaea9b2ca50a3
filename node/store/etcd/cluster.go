package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/ostraka/ostraka/node/store"
)

// A Cluster is the way to one node's store in a cluster. Reading needs no ownership; writing is a Tenure's.
type Cluster struct {
	o      Options
	prefix string
	links  links

	closing sync.Once
}

// patience is how long Connect waits for an answer.
const patience = 15 * time.Second

// Connect makes the links, and asks for one answer, for 15 s at most: an error says which member said what.
func Connect(ctx context.Context, o Options) (_ *Cluster, err error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	conf, err := o.TLS()
	if err != nil {
		return nil, err
	}
	c := &Cluster{o: o, prefix: "ostraka/" + o.Name + "/"}
	c.links.log = o.Log
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	for _, e := range o.Endpoints {
		k, err := dial(e, conf)
		if err != nil {
			return nil, err
		}
		c.links.all = append(c.links.all, k)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, _, _, err := c.Owner(ctx); err != nil {
		return nil, fmt.Errorf("connect to the store's cluster: %w", err)
	}
	return c, nil
}

// Close ends all connections. A tenure that was not resigned runs out by itself.
func (c *Cluster) Close() {
	c.closing.Do(func() {
		for _, k := range c.links.all {
			_ = k.client.Close() // it only ends connections
		}
	})
}

func (c *Cluster) key(tag string, more ...string) []byte {
	k := append([]byte(c.prefix), tag...)
	for _, m := range more {
		k = append(k, m...)
	}
	return k
}

// keyAfter is the first key that does not begin with prefix: the end of etcd's range of all that do.
func keyAfter(prefix []byte) []byte { return []byte(clientv3.GetPrefixRangeEnd(string(prefix))) }

// query reads a range of keys; etcd's reads are linearizable unless they ask not to be.
func (c *Cluster) query(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	return anyone(ctx, &c.links, func(ctx context.Context, k *link) (*pb.RangeResponse, error) { return k.read(ctx, r) })
}

// one reads one key; nil if there is none. The revision is the cluster's.
func (c *Cluster) one(ctx context.Context, key []byte) (*mvccpb.KeyValue, int64, error) {
	r, err := c.query(ctx, &pb.RangeRequest{Key: key})
	if err != nil {
		return nil, 0, err
	}
	if len(r.Kvs) == 0 {
		return nil, r.Header.Revision, nil
	}
	return r.Kvs[0], r.Header.Revision, nil
}

// row reads and decodes a row that is not a record; nil if there is none. Who answers with one that cannot be read is passed over.
func row[T formed](ctx context.Context, c *Cluster, tag string) (into *T, kv *mvccpb.KeyValue, revision int64, err error) {
	q := &pb.RangeRequest{Key: c.key(tag)}
	r, err := anyone(ctx, &c.links, func(ctx context.Context, k *link) (*pb.RangeResponse, error) {
		into = nil
		r, err := k.read(ctx, q)
		if err != nil || len(r.Kvs) == 0 {
			return r, err
		}
		into, err = decode[T](tag, r.Kvs[0].Value)
		return r, err
	})
	if err != nil || into == nil {
		return nil, nil, r.GetHeader().GetRevision(), err
	}
	return into, r.Kvs[0], r.Header.Revision, nil
}

// Owner is the replica that owns the store, and its fencing token; false if nobody does.
func (c *Cluster) Owner(ctx context.Context) (Info, uint64, bool, error) {
	i, token, ok, _, err := c.owner(ctx)
	return i, token, ok, err
}

func (c *Cluster) owner(ctx context.Context) (i Info, token uint64, ok bool, revision int64, err error) {
	who, kv, revision, err := row[Info](ctx, c, rowOwner)
	if err != nil {
		return i, 0, false, 0, fmt.Errorf("read who owns the store: %w", err)
	}
	if kv == nil {
		return i, 0, false, revision, nil
	}
	return *who, uint64(kv.CreateRevision), true, revision, nil
}

// An Ownership is who owns the store, as Watch tells.
type Ownership struct {
	Info
	Token uint64 // 0: nobody owns it
}

// Watch tells who owns the store, at once and whenever it changes, until ctx ends; then the channel is closed. Who reads slowly is told
// the last state, not each.
func (c *Cluster) Watch(ctx context.Context) <-chan Ownership {
	out := make(chan Ownership, 1)
	go func() {
		defer close(out)
		var last Ownership
		for first := true; ctx.Err() == nil; {
			i, token, _, revision, err := c.owner(ctx)
			if err != nil {
				c.pause(ctx, time.Second)
				continue
			}
			if now := (Ownership{i, token}); first || now != last {
				first, last = false, now
				select {
				case <-out:
				default:
				}
				out <- now
			}
			c.await(ctx, revision)
		}
	}()
	return out
}

// await returns when the owner's row changes after revision, or after a while: a member that is cut off tells of nothing.
func (c *Cluster) await(ctx context.Context, revision int64) {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), time.Second)
	defer cancel()
	k, _ := c.links.now()
	wait := 10 * time.Millisecond
	if k.changed(ctx, c.key(rowOwner), revision) != nil {
		wait *= 10
	}
	c.pause(ctx, wait)
}

func (c *Cluster) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Tenures are the last changes of owner, the latest last.
func (c *Cluster) Tenures(ctx context.Context) ([]Change, error) {
	list, _, err := c.tenures(ctx)
	return list, err
}

func (c *Cluster) tenures(ctx context.Context) ([]Change, int64, error) {
	list, kv, _, err := row[changes](ctx, c, rowTenures)
	if err != nil || kv == nil {
		return nil, 0, err
	}
	return *list, kv.ModRevision, nil
}

// presence is how many TTLs a replica's row outlives it.
const presence = 5

// telling is how often a replica tells of itself.
func (c *Cluster) telling() time.Duration { return c.o.TTL * presence / 3 }

// ErrSameName says that another replica of this node goes by the same name.
var ErrSameName = errors.New("another replica of this node has the same name: give each its own")

// Announce keeps this replica's row, until ctx ends; then the row goes. The owner and those who wait do it alike. Its error is ctx's, or
// ErrSameName at the beginning: later whoever writes to the cluster could end a replica by it.
func (c *Cluster) Announce(ctx context.Context, me Info) error {
	if err := me.form(); err != nil {
		return err
	}
	p := &announcer{c: c, me: me, key: c.key(tagReplica, me.Name)}
	defer p.leave()
	if err := p.alone(ctx); err != nil {
		return err
	}
	for {
		if err := p.tell(ctx); err != nil && ctx.Err() == nil {
			c.o.Log.Warn("the cluster does not take this replica's presence", "error", err)
		}
		c.pause(ctx, c.telling())
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

type announcer struct {
	c              *Cluster
	me             Info
	key            []byte
	lease, granted int64 // its id, and seconds
	row            int64 // revision of the row as we last wrote it
}

// alone waits, where the row is there already, until it is seen to be what a process before this one left: nobody renews it. One that is
// renewed is that of another process, such as one over a copy of the folder.
func (p *announcer) alone(ctx context.Context) error {
	var first int64
	for began := time.Now(); ctx.Err() == nil && time.Since(began) < 2*p.c.telling(); p.c.pause(ctx, p.c.telling()/4) {
		there, _, err := p.c.one(ctx, p.key)
		switch {
		case err != nil: // the cluster may answer later
		case there == nil:
			return nil
		case first == 0:
			first = there.ModRevision
		case first != there.ModRevision:
			return ErrSameName
		}
	}
	return ctx.Err()
}

// tell renews the row.
func (p *announcer) tell(ctx context.Context) error {
	c := p.c
	if p.lease != 0 {
		if ttl, err := c.renew(ctx, p.lease, p.granted); err == nil && ttl <= 0 {
			p.lease, p.row = 0, 0
		}
	}
	if p.lease == 0 {
		g, err := c.grant(ctx, presence*c.o.TTL)
		if err != nil {
			return err
		}
		p.lease, p.granted = g.ID, g.TTL
	}
	there, revision, err := c.one(ctx, p.key)
	if err != nil {
		return err
	}
	if p.row != 0 && (there == nil || there.ModRevision != p.row) {
		if there != nil && there.Lease != p.lease {
			c.o.Log.Error("somebody else writes this replica's row: another process has its name, or whoever has a certificate of the cluster", "replica", p.me.Name)
		}
	}
	value, err := json.Marshal(Replica{Info: p.me, Seen: revision, SeenAt: time.Now().UTC()})
	if err != nil {
		return err
	}
	r, err := anyone(ctx, &c.links, func(ctx context.Context, k *link) (*pb.PutResponse, error) {
		return k.put(ctx, &pb.PutRequest{Key: p.key, Value: value, Lease: p.lease})
	})
	if err == nil {
		p.row = r.Header.Revision
	}
	return err
}

func (p *announcer) leave() {
	if p.lease != 0 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = p.c.revoke(ctx, p.lease) // else it runs out
	}
}

// Replicas are those that are there, in the order of their names.
func (c *Cluster) Replicas(ctx context.Context) (list []Replica, err error) {
	prefix := c.key(tagReplica)
	q := &pb.RangeRequest{Key: prefix, RangeEnd: keyAfter(prefix), Limit: maxMembers}
	_, err = anyone(ctx, &c.links, func(ctx context.Context, k *link) (*pb.RangeResponse, error) {
		list = nil
		r, err := k.read(ctx, q)
		for _, kv := range r.GetKvs() {
			one, err := decode[Replica](tagReplica, kv.Value)
			if err != nil {
				return nil, err
			}
			if string(kv.Key) != string(prefix)+one.Name {
				return nil, wrong("row %.200q is of a replica %q", kv.Key, one.Name)
			}
			one.Behind = max(0, r.Header.Revision-one.Seen)
			list = append(list, *one)
		}
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("read which replicas there are: %w", err)
	}
	return list, nil
}

// Leases. A grant whose answer is lost runs out by itself.

func (c *Cluster) grant(ctx context.Context, ttl time.Duration) (*pb.LeaseGrantResponse, error) {
	seconds := int64((ttl + time.Second - 1) / time.Second)
	r, err := anyone(ctx, &c.links, func(ctx context.Context, k *link) (*pb.LeaseGrantResponse, error) { return k.grant(ctx, seconds) })
	switch {
	case isNoSpace(err):
		return nil, fmt.Errorf("%w: the cluster has reached its quota and takes not even a lease: run `ostraka-store defrag`, or give the members a higher quota: %w", store.ErrFull, err)
	case err != nil:
		return nil, fmt.Errorf("ask for a lease: %w", err)
	}
	return r, nil
}

// renew asks once, whoever answers; it returns the seconds granted, 0 if the lease is gone.
func (c *Cluster) renew(ctx context.Context, lease, granted int64) (ttl int64, err error) {
	return once(ctx, &c.links, max(firstTry, c.o.TTL/4), func(ctx context.Context, k *link) (int64, error) { return k.renew(ctx, lease, granted) })
}

// revoke ends a lease; what is not revoked runs out.
func (c *Cluster) revoke(ctx context.Context, lease int64) error {
	_, err := anyone(ctx, &c.links, func(ctx context.Context, k *link) (*pb.LeaseRevokeResponse, error) {
		return k.lease.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: lease})
	})
	return err
}
