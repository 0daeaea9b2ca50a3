package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/store"
)

// A DamageError says that the log is not what was written. Nothing is written any more.
type DamageError struct{ Err error }

func (e *DamageError) Error() string {
	return fmt.Sprintf("the log of this node is damaged, so it signs and writes nothing: %v: stop the node, keep its folder as it is, and put an intact copy of its store back, "+
		"or have the other operators replace this one (docs/operator.md, \"When something breaks\")", e.Err)
}

func (e *DamageError) Unwrap() error { return e.Err }

// An UnreadError says that this process has not read the whole log yet.
type UnreadError struct{ Read, Size int64 }

func (e *UnreadError) Error() string {
	return fmt.Sprintf("this node is reading its log through, %d of %d entries so far, and signs nothing before the end: it goes on by itself", e.Read, e.Size)
}

// Reading is how far the log was read through.
type Reading struct {
	Wanted     bool      // one is under way, or begins soon
	Finished   bool      // a reading of this process came to its end and found no damage
	Whole      tlog.Head // what the last such reading read
	Read, Size int64     // of the reading under way; both 0: none is
	Damage     error     // a *DamageError
}

// reading is the state of a journal's readings: the first begins with the process.
type reading struct {
	turn sync.Mutex // held while rows are read

	mu    sync.Mutex // guards what follows
	state Reading
	now   *pass // under way
	begun bool  // one is wanted, or under way
}

// Reading tells how far the log was read through.
func (j *Journal) Reading() Reading {
	j.read.mu.Lock()
	defer j.read.mu.Unlock()
	out := j.read.state
	out.Wanted = j.read.begun
	return out
}

// Sound is nil once this process has read the whole log, and as long as no reading finds damage; else an *UnreadError or a *DamageError.
func (j *Journal) Sound() error {
	r := j.Reading()
	switch {
	case r.Damage != nil:
		return r.Damage
	case !r.Finished:
		return &UnreadError{r.Read, r.Size}
	}
	return nil
}

// ReadAgain has the log read through anew, unless it is being read.
func (j *Journal) ReadAgain() {
	j.read.mu.Lock()
	defer j.read.mu.Unlock()
	j.read.begun = true
}

// ReadOn reads so many rows more of the log, beside writers; more says that it has not come to the end. After damage it stops until ReadAgain.
// An error that is no *DamageError leaves the reading where it is.
func (j *Journal) ReadOn(ctx context.Context, rows int64) (more bool, err error) {
	r := &j.read
	r.turn.Lock()
	defer r.turn.Unlock()
	r.mu.Lock()
	p, begun := r.now, r.begun
	r.mu.Unlock()
	if !begun {
		return false, nil
	}
	if p == nil {
		p, err = j.begin(ctx)
	}
	done := false
	if err == nil {
		done, err = p.step(ctx, rows)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil && done:
		r.state = Reading{Finished: true, Whole: p.head}
		r.now, r.begun = nil, false
	case err == nil:
		r.now, r.state.Read, r.state.Size = p, p.next, p.head.Size
	case !errors.As(damaged(err), new(*DamageError)):
		r.now = p
		return true, err
	default:
		r.harm(err)
		return false, r.state.Damage
	}
	return !done, nil
}

// harm notes damage. The caller holds mu.
func (r *reading) harm(err error) {
	r.state = Reading{Whole: r.state.Whole, Damage: damaged(err)}
	r.now, r.begun = nil, false
}

// damaged is the error as damage, unless it says nothing about what is stored.
func damaged(err error) error {
	for _, other := range []error{context.Canceled, context.DeadlineExceeded, store.ErrClosed} {
		if errors.Is(err, other) {
			return err
		}
	}
	if errors.As(err, new(*DamageError)) {
		return err
	}
	return &DamageError{err}
}
