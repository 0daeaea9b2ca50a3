package published

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
)

// Bounds are what reading one log may cost, so that no operator keeps a reader from the others' logs. 0: as DefaultBounds has it.
type Bounds struct {
	Entries int64
	Bytes   int64 // of all its files
}

// DefaultBounds suit some years of a circle, and a machine with a few GB of memory.
var DefaultBounds = Bounds{Entries: 1_000_000, Bytes: 1 << 30}

func (b Bounds) orDefault() Bounds {
	if b.Entries == 0 {
		b.Entries = DefaultBounds.Entries
	}
	if b.Bytes == 0 {
		b.Bytes = DefaultBounds.Bytes
	}
	return b
}

// A BoundError says that a log costs more than the reader allows.
type BoundError struct {
	What string // as "it has 5 entries, of which at most 3 are read"
	Flag string // that allows more
}

// Allows ends the text of a BoundError.
const Allows = " allows more"

func (e *BoundError) Error() string { return e.What + ": " + e.Flag + Allows }

// errTime ends the reading of a place that takes too long.
var errTime = &BoundError{"the time that it may take ran out", "--max-time"}

// Late says whether an error is that a place took too long.
func Late(err error) bool {
	var e *BoundError
	return errors.As(err, &e) && e == errTime
}

// Entry refuses a log of more entries than are read.
func (b Bounds) Entry(n int64) error {
	if most := b.orDefault().Entries; n > most {
		return &BoundError{fmt.Sprintf("it has %d entries, of which at most %d are read", n, most), "--max-entries"}
	}
	return nil
}

// Room is how many bytes more there may be; Full says that there are too many.
func (b Bounds) Room(has int64) int64 { return b.orDefault().Bytes - has }

// Full is Room's error.
func (b Bounds) Full() error {
	return &BoundError{fmt.Sprintf("it has more than %d MB", b.orDefault().Bytes>>20), "--max-mb"}
}

// A meter counts what one log costs. Once it costs too much, nothing more of it is read.
type meter struct {
	ctx    context.Context
	bounds Bounds

	mu    sync.Mutex
	bytes int64
}

func newMeter(ctx context.Context, b Bounds) *meter { return &meter{ctx: ctx, bounds: b.orDefault()} }

// err is why nothing more is read; nil: more may be.
func (m *meter) err() error {
	if m.ctx.Err() != nil {
		return context.Cause(m.ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bytes > m.bounds.Bytes {
		return m.bounds.Full()
	}
	return nil
}

// add counts bytes that were read.
func (m *meter) add(n int64) error {
	m.mu.Lock()
	m.bytes += n
	m.mu.Unlock()
	return m.err()
}

// bounded holds what is fetched of one log to its bounds.
func (m *meter) bounded(fetch tlog.Fetch) tlog.Fetch {
	return func(path string) ([]byte, error) {
		if err := m.err(); err != nil {
			return nil, err
		}
		b, err := fetch(path)
		if err == nil {
			err = m.add(int64(len(b)))
		}
		if err == nil && path == tlog.PathCheckpoint {
			err = m.checkpoint(b)
		}
		if err != nil {
			return nil, err
		}
		return b, nil
	}
}

// checkpoint refuses a log that is too large before anything of it is fetched. Whether the log signed it, its reader says.
func (m *meter) checkpoint(signed []byte) error {
	if head, ok := shown(signed); ok {
		return m.bounds.Entry(head.Size)
	}
	return nil
}

// shown is what a checkpoint says, believed by nobody yet.
func shown(signed []byte) (tlog.Head, bool) {
	head, err := tlog.Opened{Checkpoint: signed}.Head()
	return head, err == nil
}

// until is a context that ends at a time, with what to say of it; zero: it does not.
func until(ctx context.Context, t time.Time) (context.Context, context.CancelFunc) {
	if t.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadlineCause(ctx, t, errTime)
}
