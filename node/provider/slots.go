package provider

import (
	"context"
	"sync"
	"time"
)

// A start takes a quarter of a gibibyte for a second, so that nobody guesses the passphrase cheaply: a hundred at once would take the machine's memory. So a few
// start at once; and one that does not get ready gives its place up after a while, or it would be in all others' way.
const (
	startsAtOnce = 4
	placeFor     = 30 * time.Second
)

type slots struct {
	free chan struct{}
	hold time.Duration
}

func newSlots(n int, hold time.Duration) *slots {
	return &slots{make(chan struct{}, n), hold}
}

// take waits for a place. leave gives it up; so does time.
func (s *slots) take(ctx context.Context) (leave func(), ok bool) {
	select {
	case s.free <- struct{}{}:
	case <-ctx.Done():
		return nil, false
	}
	var once sync.Once
	out := func() { once.Do(func() { <-s.free }) }
	t := time.AfterFunc(s.hold, out)
	return func() { t.Stop(); out() }, true
}
