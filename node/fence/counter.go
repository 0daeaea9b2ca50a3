package fence

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/tpm"
)

// A Counter only grows, and lies where whoever sets the store back does not reach: in the machine's TPM.
type Counter interface {
	Read(context.Context) (tpm.Reading, error)
	Raise(context.Context) (uint64, error) // what it stands at then
}

// kindCounter: tpm-counter/<machine>: what the TPM of that name stands at, or will once this process has raised it 8. 0: it is being made.
const kindCounter = "tpm-counter"

// counting is where this process stands with its counter. act guards it.
type counting struct {
	rows    map[[32]byte]uint64 // of all machines that this store ran on
	machine [32]byte            // this one; zero: none is configured
	value   uint64              // of the TPM, when last asked
	at      time.Time           // when it was last raised, or that was tried
	log     int64               // size of the log then
}

const (
	// countEvery is how often a process raises the counter while its log grows: each time wears the TPM's memory.
	countEvery = 24 * time.Hour

	// countAgain is how long it waits after a TPM did not do as it was told.
	countAgain = 10 * time.Minute

	countLimit = 20 * time.Second // for the TPM, while the node works
)

func (f *Fence) loadCounters(ctx context.Context) error {
	f.count.rows = map[[32]byte]uint64{}
	return f.each(ctx, kindCounter, 32, func(id, value []byte) error {
		if len(value) != 8 {
			return fmt.Errorf("has %d bytes", len(value))
		}
		f.count.rows[[32]byte(id)] = binary.BigEndian.Uint64(value)
		return nil
	})
}

// weigh compares the store with the TPM (spec/node 8.11). The row is written before the counter is raised, so that a row one ahead is a start
// that was cut off, and a counter that is ahead of its row can only be another copy's.
func (f *Fence) weigh(ctx context.Context) (why string, err error) {
	if f.cfg.Counter == nil {
		if len(f.count.rows) > 0 && !f.cfg.Shared { // who sets the folder back could switch the counter off with it
			return "its starts were counted by a TPM, and node.json names no counter any more", nil
		}
		return "", nil
	}
	r, err := f.cfg.Counter.Read(ctx)
	if err != nil {
		return "", fmt.Errorf("%w: without it this node does not start, since it could not tell whether its store is an older copy; if the TPM is gone for good, set `tpm.counter` to false in node.json", err)
	}
	f.count.machine, f.count.value = r.Machine, r.Value
	row, known := f.count.rows[r.Machine]
	switch {
	case !known && len(f.count.rows) > 0 && !f.cfg.Shared: // of a store that several machines share, it is a new replica's
		return "the TPM of this machine is none that its store knows: the data folder was brought to another machine, or the TPM was replaced or cleared", nil
	case !known && r.Made:
		return "the TPM of this machine has counted starts of this node, and its store knows of none of them: it is from before that, or another copy ran here", nil
	case !known, row == 0:
		return "", nil // the first start with a TPM, or one that was cut off
	case !r.Made:
		return "somebody removed this node's counter from the TPM", nil
	case r.Value > row:
		return fmt.Sprintf("the TPM of this machine stands at %d and this store at %d: the store was set back, or another copy was started on this machine", r.Value, row), nil
	case r.Value+1 < row:
		return fmt.Sprintf("the TPM of this machine stands at %d and this store at %d: a TPM does not count backwards, but a virtual one can be set back", r.Value, row), nil
	}
	return "", nil
}

// next is the row that stands before the counter is raised.
func (f *Fence) next() uint64 {
	if f.count.value == 0 || f.count.rows[f.count.machine] == 0 {
		return 0 // where a new counter begins, its TPM says
	}
	return f.count.value + 1
}

func (f *Fence) counterRow(value uint64) store.Entry {
	return store.Entry{Key: store.Key(kindCounter, store.ID(f.count.machine[:])), Value: binary.BigEndian.AppendUint64(nil, value)}
}

// begun adds what the TPM says to the entry of a new life: the row to come, or that this node is fenced. raise says that the counter is to be
// raised once the entry is durable: a fenced node leaves it as it is.
func (f *Fence) begun(ctx context.Context, now time.Time, e *journal.Entry) (raise bool, err error) {
	why, err := f.weigh(ctx)
	switch {
	case err != nil || f.fenced.Load() != nil:
		return false, err // it is fenced already
	case why == "" && f.cfg.Counter == nil:
		return false, nil
	case why == "":
		e.Put = append(e.Put, f.counterRow(f.next()))
		return true, nil
	}
	x := &FencedError{Why: why, Since: now.UTC().Truncate(time.Second)}
	f.fenced.Store(x)
	e.Put = append(e.Put, x.row())
	e.Leaves = append(e.Leaves, tlog.Says(tlog.KindFence, now, [32]byte{}, []byte(why)))
	return false, nil
}

// errAhead says that the counter moved by itself.
var errAhead = errors.New("another copy of this node raised the counter of this machine's TPM")

// raise raises the counter to what the row says.
func (f *Fence) raise(ctx context.Context, now time.Time, row uint64) error {
	failpoint.Hit("fence-before-count")
	v, err := f.cfg.Counter.Raise(ctx)
	if err != nil {
		return err
	}
	failpoint.Hit("fence-after-count")
	if row != 0 && v != row {
		return fmt.Errorf("%w: it stands at %d, not %d", errAhead, v, row)
	}
	if row == 0 {
		if err := f.cfg.Journal.Write(ctx, journal.Entry{Batch: store.Batch{Put: []store.Entry{f.counterRow(v)}}}); err != nil {
			return fmt.Errorf("keep where the TPM's counter stands: %w", err)
		}
	}
	f.count.rows[f.count.machine], f.count.value, f.count.at = v, v, now
	return nil
}

// Counted is what the machine's TPM stood at when it was last raised; false: none counts.
func (f *Fence) Counted() (value uint64, ok bool) {
	f.act.Lock()
	defer f.act.Unlock()
	return f.count.value, f.cfg.Counter != nil
}

// Recount asks for the counter to be raised soon: shares came into force, and a store from before must not pass for this one.
func (f *Fence) Recount() { f.recount.Store(true) }

// counts raises the counter when it is due. act is held.
func (f *Fence) counts(ctx context.Context, now time.Time) error {
	if f.cfg.Counter == nil || f.fenced.Load() != nil {
		return nil
	}
	since := now.Sub(f.count.at)
	if since < 0 {
		f.count.at = now // the clock was set back
	}
	asked := f.recount.Load()
	if since < countAgain || !asked && since < countEvery {
		return nil
	}
	f.count.at = now
	head, err := f.cfg.Journal.Head(ctx)
	if err != nil || !asked && head.Size == f.count.log {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, countLimit)
	defer cancel()
	switch err := f.countOn(limited, now); {
	case errors.Is(err, errAhead):
		f.fence(ctx, now, err.Error(), 0)
	case err != nil:
		f.cfg.Log.Error("the TPM's counter is not raised; the node goes on, and tries again", "in", countAgain, "error", err)
	default:
		f.count.log = head.Size
		f.recount.Store(false)
	}
	return nil
}

// countOn raises the counter by one. It is asked first: whether the last try was carried out may not be known.
func (f *Fence) countOn(ctx context.Context, now time.Time) error {
	r, err := f.cfg.Counter.Read(ctx)
	if err != nil {
		return err
	}
	row := f.count.rows[f.count.machine]
	if r.Machine != f.count.machine || r.Value > row {
		return fmt.Errorf("%w: it stands at %d, this process left it at %d", errAhead, r.Value, row)
	}
	if f.count.value = r.Value; r.Value == row {
		row++
		if err := f.cfg.Journal.Write(ctx, journal.Entry{Batch: store.Batch{Put: []store.Entry{f.counterRow(row)}}}); err != nil {
			return fmt.Errorf("keep where the TPM's counter will stand: %w", err)
		}
		f.count.rows[f.count.machine] = row
	}
	return f.raise(ctx, now, row)
}

// adopts is the operator's word about counters: from there on this store goes with the TPM of this machine as it stands, or with none.
func (f *Fence) adopts(ctx context.Context, e *journal.Entry) error {
	if f.cfg.Counter == nil {
		for machine := range f.count.rows {
			e.Delete = append(e.Delete, store.Key(kindCounter, store.ID(machine[:])))
		}
		return nil
	}
	r, err := f.cfg.Counter.Read(ctx)
	if err != nil {
		return err
	}
	f.count.machine, f.count.value = r.Machine, r.Value
	f.count.rows[r.Machine] = 0
	if r.Value > 0 {
		f.count.rows[r.Machine] = r.Value + 1
	}
	e.Put = append(e.Put, f.counterRow(f.count.rows[r.Machine]))
	for machine := range f.count.rows {
		if f.cfg.Shared && machine != r.Machine { // one word answers for all replicas: each takes its TPM as it stands when it starts
			e.Put = append(e.Put, store.Entry{Key: store.Key(kindCounter, store.ID(machine[:])), Value: make([]byte, 8)})
		}
	}
	return nil
}
