package publish

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// ErrBusy says that too many files are asked for at once: later there may be room.
var ErrBusy = errors.New("too much of the log is asked for at once")

// Bounds of those who wait.
const (
	waitOne  = 64   // for one reader
	waitMany = 2048 // for all; who has none waiting may still come,
	waitAll  = 4096 // up to here
)

// turns hands out a few places to many readers, one to each in turn: whoever asks for very much waits for itself.
type turns struct {
	mu      sync.Mutex
	free    int
	waiting map[string][]chan struct{} // by reader, the oldest first
	order   []string                   // readers that wait, the next first
	count   int
}

func newTurns(places int) *turns {
	return &turns{free: places, waiting: map[string][]chan struct{}{}}
}

// take waits for a place.
func (t *turns) take(ctx context.Context, reader string) error {
	t.mu.Lock()
	mine := len(t.waiting[reader])
	switch {
	case t.free > 0:
		t.free--
		t.mu.Unlock()
		return nil
	case mine >= waitOne, t.count >= waitMany && mine > 0, t.count >= waitAll:
		t.mu.Unlock()
		return ErrBusy
	case mine == 0:
		t.order = append(t.order, reader)
	}
	place := make(chan struct{})
	t.waiting[reader] = append(t.waiting[reader], place)
	t.count++
	t.mu.Unlock()
	select {
	case <-place:
		return nil
	case <-ctx.Done():
	}
	if !t.leave(reader, place) {
		t.give() // it was handed over meanwhile
	}
	return ctx.Err()
}

// leave takes back that a reader waits; false if its turn has come.
func (t *turns) leave(reader string, place chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiting[reader], place)
	if i < 0 {
		return false
	}
	t.without(reader, i)
	if len(t.waiting[reader]) == 0 {
		t.order = slices.DeleteFunc(t.order, func(r string) bool { return r == reader })
	}
	return true
}

// without drops the i-th of a reader's. mu is held.
func (t *turns) without(reader string, i int) {
	t.count--
	if t.waiting[reader] = slices.Delete(t.waiting[reader], i, i+1); len(t.waiting[reader]) == 0 {
		delete(t.waiting, reader)
	}
}

// give hands a place on.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.order) == 0 {
		t.free++
		return
	}
	reader := t.order[0]
	t.order = t.order[1:]
	close(t.waiting[reader][0])
	if t.without(reader, 0); len(t.waiting[reader]) > 0 {
		t.order = append(t.order, reader)
	}
}
