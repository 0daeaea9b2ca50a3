package endpoint

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// DefaultShort is how long an endpoint of several is waited for that did not answer in time before.
const DefaultShort = time.Second

// Of so many calls to an endpoint that does not answer one is waited for so many times as long: one that became slow is heard again.
const (
	longerEvery = 16
	longerTimes = 4
)

// patience is how long an endpoint is waited for. One that never answers would else cost every question the whole time that a call may take: what the others say waits for it.
type patience struct {
	short time.Duration // 0: it is waited for as ever

	mu     sync.Mutex
	silent bool // it did not answer in time when it was asked last
	asked  int  // since it is silent
}

// next is for how long the next call waits; 0: as long as any.
func (p *patience) next() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.silent {
		return 0
	}
	if p.asked++; p.asked%longerEvery == 0 {
		return longerTimes * p.short
	}
	return p.short
}

// within bounds a call. ended is told what came of it; a call that had less than the short time from the beginning shows nothing.
func (p *patience) within(ctx context.Context) (_ context.Context, ended func(error)) {
	if p.short == 0 {
		return ctx, func(error) {}
	}
	until, bounded := ctx.Deadline()
	hurried := bounded && time.Until(until) < p.short
	cancel := context.CancelFunc(func() {})
	if d := p.next(); d > 0 {
		ctx, cancel = context.WithTimeout(ctx, d)
	}
	return ctx, func(err error) {
		cancel()
		late := net.Error(nil)
		timeout := errors.Is(err, context.DeadlineExceeded) || errors.As(err, &late) && late.Timeout()
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case err == nil:
			p.silent, p.asked = false, 0
		case timeout && !hurried:
			p.silent = true
		}
	}
}
