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

// kindCounter: tpm-counter/<machine>: what the TPM of that name stands at, or will once this process has raised it 8 (0: it is being made) ‖ start counter of
// the process that wrote it 8 ‖ size of the log then 8 ‖ its root 32.
const kindCounter = "tpm-counter"

const counterSize = 8 + 8 + 8 + 32

// A moment is when a row of a counter was written: put into an older copy of the store, it is of a moment that this never had.
type moment struct {
	start uint64
	log   tlog.Head
}

// counting is where this process stands with its counter. act guards it.
type counting struct {
	rows    map[[32]byte]uint64 // of all machines that this store ran on
	wrote   map[[32]byte]moment // when, as read at the start; those of the release before do not say
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
	f.count.rows, f.count.wrote = map[[32]byte]uint64{}, map[[32]byte]moment{}
	return f.each(ctx, kindCounter, 32, func(id, value []byte) error {
		if len(value) != 8 && len(value) != counterSize {
			return fmt.Errorf("has %d bytes", len(value))
		}
		f.count.rows[[32]byte(id)] = binary.BigEndian.Uint64(value)
		if len(value) == counterSize {
			size := binary.BigEndian.Uint64(value[16:])
			if size > maxLog {
				return fmt.Errorf("is of a log of %d leaves", size)
			}
			f.count.wrote[[32]byte(id)] = moment{binary.BigEndian.Uint64(value[8:]), tlog.Head{Size: int64(size), Root: tlog.Hash(value[24:])}}
		}
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
	}
	if why, err := f.fits(ctx, r.Machine); why != "" || err != nil {
		return why, err
	}
	switch {
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

// fits holds a machine's row to the store that it lies in: it was written at a start that the store knows, over a log that the store's grew from. Else somebody
// took it out of a later copy, so that an older one passes for that. One that says that the counter is being made, which whatever the TPM stands at agrees with,
// is of the last start, unless several machines have the store.
func (f *Fence) fits(ctx context.Context, machine [32]byte) (why string, err error) {
	m, ok := f.count.wrote[machine]
	if !ok {
		return "", nil
	}
	last := f.own.Counter - 1 // as the store has it
	if m.start > last || m.start < last && f.count.rows[machine] == 0 && !f.cfg.Shared {
		return fmt.Sprintf("what this store has of its TPM's counter was written at start %d, and its last start is %d: that row was brought into another copy of the store", m.start, last), nil
	}
	head, err := f.cfg.Journal.Head(ctx)
	if err != nil {
		return "", err
	}
	if m.log.Size <= head.Size {
		if head, err = f.cfg.Journal.HeadAt(ctx, m.log.Size); err != nil {
			return "", fmt.Errorf("hold the log to what the TPM's counter was raised over: %w", err)
		}
	}
	if head != m.log {
		return fmt.Sprintf("what this store has of its TPM's counter was written over a log of %d entries, and this log did not grow from that one: that row was brought into another copy of the store", m.log.Size), nil
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

// counterRow is a machine's row, of this moment.
func (f *Fence) counterRow(ctx context.Context, machine [32]byte, value uint64) (store.Entry, error) {
	head, err := f.cfg.Journal.Head(ctx)
	if err != nil {
		return store.Entry{}, err
	}
	row := binary.BigEndian.AppendUint64(make([]byte, 0, counterSize), value)
	row = binary.BigEndian.AppendUint64(row, f.own.Counter)
	row = binary.BigEndian.AppendUint64(row, uint64(head.Size))
	return store.Entry{Key: store.Key(kindCounter, store.ID(machine[:])), Value: append(row, head.Root[:]...)}, nil
}

// keep makes this machine's row durable.
func (f *Fence) keep(ctx context.Context, value uint64) error {
	row, err := f.counterRow(ctx, f.count.machine, value)
	if err != nil {
		return err
	}
	return f.cfg.Journal.Write(ctx, journal.Entry{Batch: store.Batch{Put: []store.Entry{row}}})
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
		row, err := f.counterRow(ctx, f.count.machine, f.next())
		e.Put = append(e.Put, row)
		return err == nil, err
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
		if err := f.keep(ctx, v); err != nil {
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
		if err := f.keep(ctx, row); err != nil {
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
	for machine, value := range f.count.rows {
		if machine != r.Machine {
			if !f.cfg.Shared {
				continue
			}
			value = 0 // one word answers for all replicas: each takes its TPM as it stands when it starts
		}
		row, err := f.counterRow(ctx, machine, value)
		if err != nil {
			return err
		}
		e.Put = append(e.Put, row)
	}
	return nil
}
