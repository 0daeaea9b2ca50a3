package etcd

import "context"

// Twin is what a copy of the running machine has: the same memory, and in it token, lease and lanes.
func Twin(s *Store) *Store {
	t := &Tenure{c: s.t.c, me: s.t.me, token: s.t.token, lease: s.t.lease, ttl: s.t.ttl, began: s.t.began, lost: make(chan struct{}), done: make(chan struct{}), stop: func() {}}
	t.heard.Store(s.t.heard.Load())
	o := &Store{view: s.view, t: t, lanes: make(chan *lane, lanes)}
	o.ctx, o.cut = context.WithCancelCause(context.Background())
	for range lanes {
		l := <-s.lanes
		c := *l
		s.lanes <- l
		o.lanes <- &c
	}
	t.store = o
	return o
}

// Ended is why its tenure is over; nil: it is not.
func (s *Store) Ended() error { return s.t.Err() }
