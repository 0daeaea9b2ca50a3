package etcd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc/codes"

	"github.com/ostraka/ostraka/node/store"
)

// A Store is the owner's store.
type Store struct {
	view
	t     *Tenure
	ctx   context.Context // ends, with the cause, when the tenure is lost
	cut   context.CancelCauseFunc
	lanes chan *lane
	room  room

	mu     sync.Mutex
	closed bool
	under  sync.WaitGroup // calls under way
}

var (
	_ store.Store       = (*Store)(nil)
	_ store.Snapshotter = (*Store)(nil)
	_ store.Snapshotter = (*View)(nil)
)

func (c *Cluster) openStore(ctx context.Context, t *Tenure) (*Store, error) {
	s := &Store{view: view{c}, t: t, lanes: make(chan *lane, lanes)}
	s.ctx, s.cut = context.WithCancelCause(context.Background())
	// Nobody writes in lanes but the owner, and batches of the owner before fail since the row is ours: what is read here stays.
	prefix := c.key(tagLane)
	r, err := c.query(ctx, &pb.RangeRequest{Key: prefix, RangeEnd: keyAfter(prefix), KeysOnly: true, Limit: 4 * lanes})
	if err != nil {
		return nil, fmt.Errorf("open the store: read its lanes: %w", err)
	}
	at := map[string]int64{}
	for _, kv := range r.Kvs {
		at[string(kv.Key)] = kv.ModRevision
	}
	for n := range lanes {
		key := c.key(tagLane, fmt.Sprintf("%02d", n))
		s.lanes <- &lane{key: key, revision: at[string(key)]}
	}
	s.room.start(s)
	return s, nil
}

// enter counts a call under way; the caller calls the function it gets when it is over. The context ends with the caller's, or a moment after
// the tenure: where the cluster answers, it says by then what became of a batch that was on its way.
func (s *Store) enter(ctx context.Context) (context.Context, func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil, nil, context.Cause(s.ctx)
	}
	if s.closed {
		return nil, nil, store.ErrClosed
	}
	s.under.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.ctx, func() {
		s.t.c.pause(ctx, firstTry)
		cancel(context.Cause(s.ctx))
	})
	return ctx, func() { stop(); cancel(nil); s.under.Done() }, nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Item, error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return store.Item{}, err
	}
	defer leave()
	return s.view.Get(ctx, key)
}

// Range implements store.Store.
func (s *Store) Range(ctx context.Context, prefix, after string, limit int) ([]store.Item, error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return s.view.Range(ctx, prefix, after, limit)
}

// Snapshot implements store.Snapshotter.
func (s *Store) Snapshot(ctx context.Context, read func(store.Reader) error) error {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return s.view.Snapshot(ctx, read)
}

// Close implements store.Store. The tenure goes on: Resign ends it.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.under.Wait()
	s.room.end()
	return nil
}

// A View reads the store without owning it: what the owner has committed, at the moment of each call.
type View struct{ view }

// View reads without owning.
func (c *Cluster) View() *View { return &View{view{c}} }

type view struct{ c *Cluster }

// Get implements store.Reader.
func (v view) Get(ctx context.Context, key string) (store.Item, error) { return v.at(0).Get(ctx, key) }

// Range implements store.Reader.
func (v view) Range(ctx context.Context, prefix, after string, limit int) ([]store.Item, error) {
	return v.at(0).Range(ctx, prefix, after, limit)
}

// Snapshot implements store.Snapshotter: all is read at one revision. Members forget old revisions after a while (10 minutes by default);
// what then is not read yet cannot be read any more.
func (v view) Snapshot(ctx context.Context, read func(store.Reader) error) error {
	_, revision, err := v.c.one(ctx, v.c.key(rowOwner))
	if err != nil {
		return err
	}
	return read(v.at(revision))
}

func (v view) at(revision int64) moment { return moment{v.c, revision} }

// moment reads at one revision; 0: the latest.
type moment struct {
	c        *Cluster
	revision int64
}

func (m moment) Get(ctx context.Context, key string) (store.Item, error) {
	if err := store.CheckGet(key); err != nil {
		return store.Item{}, err
	}
	if err := ctx.Err(); err != nil {
		return store.Item{}, err
	}
	r, err := m.c.query(ctx, &pb.RangeRequest{Key: m.c.key(tagRecord, key), Revision: m.revision})
	if err != nil {
		return store.Item{}, m.explain(fmt.Sprintf("read record %q", key), err)
	}
	if len(r.Kvs) == 0 {
		return store.Item{}, store.ErrNotFound
	}
	return m.c.item(r.Kvs[0])
}

func (m moment) Range(ctx context.Context, prefix, after string, limit int) ([]store.Item, error) {
	if err := store.CheckRange(prefix, after, limit); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	from := m.c.key(tagRecord, max(prefix, after))
	if after != "" {
		from = append(from, 0) // the next key there can be
	}
	r, err := m.c.query(ctx, &pb.RangeRequest{Key: from, RangeEnd: keyAfter(m.c.key(tagRecord, prefix)), Limit: int64(limit), Revision: m.revision})
	if err != nil {
		return nil, m.explain(fmt.Sprintf("read records %q", prefix), err)
	}
	page := make([]store.Item, len(r.Kvs))
	for i, kv := range r.Kvs {
		if page[i], err = m.c.item(kv); err != nil {
			return nil, err
		}
	}
	return page, nil
}

func (m moment) explain(what string, err error) error {
	if isCorrupt(err) {
		return m.c.differ(err)
	}
	if codeOf(err) == codes.OutOfRange {
		return fmt.Errorf("%s as it was when the copy began: the members have forgotten that by now: start them with a longer --history: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// differ is what etcd's own alarm means: the members' copies are not alike.
func (c *Cluster) differ(err error) error {
	return &store.CorruptError{Key: c.prefix, Err: fmt.Errorf("the members found that their copies differ, and serve nothing until an operator has replaced the one that is wrong (`ostraka-store status` names it): %w", err)}
}

// item checks a record's frame. Its revision is etcd's own.
func (c *Cluster) item(kv *mvccpb.KeyValue) (store.Item, error) {
	key, ok := bytes.CutPrefix(kv.Key, c.key(tagRecord))
	if !ok {
		return store.Item{}, &store.CorruptError{Key: string(kv.Key), Err: errors.New("the cluster gave a key that was not asked for")}
	}
	value, revision, err := store.Unframe(string(key), kv.Value)
	if err == nil && revision != 0 {
		err = &store.CorruptError{Key: string(key), Err: fmt.Errorf("its frame has revision %d: it was copied from another store", revision)}
	}
	if err != nil {
		return store.Item{}, err
	}
	return store.Item{Key: string(key), Value: bytes.Clone(value), Revision: uint64(kv.ModRevision)}, nil
}
