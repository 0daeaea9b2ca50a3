package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/etcd"
)

// A Tenure is the time in which this replica owns its node: it alone decides, signs and writes. The store ends it when another replica takes over,
// and refuses every batch of an owner of before (spec/replicas 2). A tenure is to peers what a process is: it has an instance of its own (node/fence),
// and nothing of a session outlives it.
type Tenure struct {
	Replica *Replica
	Since   time.Time
	hold    *etcd.Tenure

	leaving atomic.Bool // a hand-over was asked for: nothing is begun

	mu      sync.RWMutex // held for reading while a frame that may begin a session is taken
	retired bool         // nothing is taken any more
	closed  chan struct{}
}

func newTenure(r *Replica, hold *etcd.Tenure) *Tenure {
	return &Tenure{Replica: r, Since: time.Now(), hold: hold, closed: make(chan struct{})}
}

// endTenure lets go of the frames that nobody takes any more. The streams are ended first, so that they are acknowledged to nobody.
func (d *Daemon) endTenure() {
	if d.Tenure.gone() {
		d.Link.Pause()
	}
	close(d.Tenure.closed)
}

const (
	checkTenure = 50 * time.Millisecond // how often a tenure is looked at; Until leaves more than that
	drainFor    = 25 * time.Second      // a hand-over takes no longer, whoever keeps a session open: one that signs lives 20 s
	restWait    = 5 * time.Second       // and so long for peers to say that they begin nothing more
	arriveWait  = 3 * time.Second       // and so long for what was sent to be acknowledged
	drainStep   = 5 * time.Millisecond
)

// errOver ends the work of a tenure that another replica ended, errHanded of one that was handed over.
var (
	errOver   = errors.New("another replica owns this node now, or may")
	errHanded = errors.New("this replica handed the node over")
)

// ErrBusy says that the node cannot be handed over at this moment.
var ErrBusy = errors.New("not now")

// over says whether what failed with this error failed because the tenure is over.
func (t *Tenure) over(err error) bool {
	if t == nil {
		return false
	}
	select {
	case <-t.hold.Lost():
		return true
	default:
		return errors.Is(err, store.ErrFenced)
	}
}

// Sure waits until nobody else can own this node at this moment, and returns nil: then what was read here before is what the node knows. Its error
// says that the tenure is over, or that ctx is. A node of one process is always sure.
func (t *Tenure) Sure(ctx context.Context) error {
	if t == nil {
		return nil
	}
	for t.doubtful() {
		select {
		case <-t.hold.Lost():
			return errOver
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", errOver, ctx.Err())
		case <-time.After(drainStep):
		}
	}
	return nil
}

// doubtful says that another replica may own this node.
func (t *Tenure) doubtful() bool { return t != nil && time.Until(t.hold.Until()) <= 0 }

// holdTenure silences the link while this replica cannot tell whether it still owns the node, and ends the work when it does not.
func (d *Daemon) holdTenure(ctx context.Context) {
	t := time.NewTicker(checkTenure)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.Tenure.hold.Lost():
			d.Link.Pause()
			d.end(errOver)
			return
		case <-t.C:
		}
		switch {
		case d.Tenure.doubtful():
			d.Link.Pause()
		case !d.Tenure.gone():
			d.Link.Resume()
		}
	}
}

// end makes run return.
func (d *Daemon) end(err error) {
	select {
	case d.fail <- err:
	default:
	}
}

// HandOver ends this replica's tenure for another one that stands by: it begins nothing more, waits until no session runs, falls silent, and gives
// the node up. What peers sent meanwhile they send to the next owner again, since nobody acknowledged it: no session fails for it. One peer, or
// several, can make it last drainFor, and no longer: what runs by then ends as it does when a process stops.
func (d *Daemon) HandOver(ctx context.Context) error {
	t := d.Tenure
	if t == nil {
		return errors.New("hand over: this node is one process with a store of its own: `ostraka node migrate-store` moves it to a store for several replicas")
	}
	if err := t.Replica.standsBy(ctx, time.Now()); err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	if !t.leaving.CompareAndSwap(false, true) {
		return fmt.Errorf("hand over: %w: it is under way already", ErrBusy)
	}
	var idleSince time.Time
	retire := func(idle func() bool) bool {
		return t.retire(func() bool {
			if !idle() {
				idleSince = time.Time{}
				return false
			}
			return arrived(d.Link.Settled(), &idleSince, time.Now())
		})
	}
	if err := d.drain(ctx, restWait, drainFor, retire); err != nil {
		t.leaving.Store(false)
		return fmt.Errorf("hand over: %w", err)
	}
	d.Link.Pause()
	d.log.Info("this replica hands the node over")
	d.end(errHanded)
	return nil
}

// drain asks the peers to begin nothing with this node, and waits for their answers, but not long: then set-ups are refused, so that who gave none
// holds nothing up. It calls retire until that says that the node is given up: at a moment without a session, or when total is over. Its error is that
// ctx ended before: then all is as it was, and the peers hear it.
func (n *Node) drain(ctx context.Context, wait, total time.Duration, retire func(idle func() bool) bool) error {
	began := time.Now()
	asked := n.askRest()
	for time.Since(began) < wait && ctx.Err() == nil && !n.allRest(asked) {
		time.Sleep(drainStep)
	}
	n.refuseSetups(true)
	for ctx.Err() == nil {
		late := time.Since(began) >= total
		if late {
			n.tellEnded(total)
		}
		if retire(func() bool { return late || n.Sessions.Idle() }) {
			return nil
		}
		time.Sleep(drainStep)
	}
	n.refuseSetups(false)
	n.endRest(asked)
	return fmt.Errorf("%w: whoever asked for it did not wait for the sessions that run: %w", ErrBusy, context.Cause(ctx))
}

// tellEnded logs which sessions a hand-over ends.
func (n *Node) tellEnded(after time.Duration) {
	for _, s := range n.Sessions.Sessions() {
		if s.Ended.IsZero() {
			n.cfg.Log.Warn("a hand-over ends a session", "after", after, "protocol", s.Protocol, "title", s.Title, "opener", n.Name(s.Opener), "waits_for", s.Waiting)
		}
	}
}

// retire takes no frames any more, if idle says that no session runs.
func (t *Tenure) retire(idle func() bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retired = t.retired || idle()
	return t.retired
}

// arrived says whether what this replica sent has reached who is there: the last message of a session that has ended here may be on its way, and the next owner does not
// have it. A peer that acknowledges nothing is waited for a moment only, from when no session ran here.
func arrived(settled bool, idleSince *time.Time, now time.Time) bool {
	if idleSince.IsZero() {
		*idleSince = now
	}
	return settled || now.Sub(*idleSince) >= arriveWait
}

// gone says whether the node was given up.
func (t *Tenure) gone() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.retired
}

// Leaving says that nothing is to be begun any more.
func (t *Tenure) Leaving() bool { return t != nil && t.leaving.Load() }

// taking calls take, unless the node was given up: then it waits for the end, so that the frame is never acknowledged.
func (t *Tenure) taking(take func()) {
	if t == nil {
		take()
		return
	}
	t.mu.RLock()
	if t.retired {
		t.mu.RUnlock()
		<-t.closed
		return
	}
	defer t.mu.RUnlock()
	take()
}
