package decide

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
)

// record is how sessions with a party went of late, in all intents. It is durable, or every
// restart would give a silent party another intent to spoil.
type record struct {
	failed int       // sessions that failed by it, less those that succeeded
	until  time.Time // it is shunned until then
}

// kindShunned: shunned/<party>: failures 8 ‖ until, Unix seconds 8.
const kindShunned = "shunned"

const (
	maxDoubling = 6              // bounds how long somebody is shunned: 64 times the first time
	recordLife  = 24 * time.Hour // after its end a record is kept that long, then forgotten
	maxFailed   = 1 << 16        // of a record that is read back
)

func shunnedKey(p engine.PartyID) string { return store.Key(kindShunned, store.ID(p[:])) }

func (r record) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(r.failed))
	return binary.BigEndian.AppendUint64(b, uint64(r.until.Unix()))
}

func decodeRecord(key string, value []byte) (p engine.PartyID, r record, err error) {
	id, err := hex.DecodeString(strings.TrimPrefix(key, store.Prefix(kindShunned)))
	if err != nil || len(id) != len(p) || len(value) != 16 {
		return p, r, fmt.Errorf("row %q is no record of a shunned party", key)
	}
	failed, until := binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:])
	if failed == 0 || failed > maxFailed || until > 1<<40 {
		return p, r, fmt.Errorf("row %q: %d failures until %d", key, failed, until)
	}
	return engine.PartyID(id), record{int(failed), time.Unix(int64(until), 0)}, nil
}

// shun notes how a session ended, for its parties, and returns what is to be made durable with
// its end. Each failure keeps its culprits away twice as long as the one before; who opens a
// session that never begins is held to account for it, more mildly, since it may have been let
// down itself. The caller holds shunning until the rows are written, so that they follow one another.
func (d *Desk) shun(now time.Time, s *mpc.Setup, err error) (rows store.Batch) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var notBegun *session.NotBegunError
	switch {
	case err == nil:
		for _, p := range s.Parties {
			r, poor := d.poor[p.ID]
			switch {
			case !poor:
			case r.failed > 1:
				r = record{failed: r.failed - 1, until: now}
				d.poor[p.ID] = r
				rows.Put = append(rows.Put, store.Entry{Key: shunnedKey(p.ID), Value: r.encode()})
			default:
				delete(d.poor, p.ID)
				rows.Delete = append(rows.Delete, shunnedKey(p.ID))
			}
		}
	case errors.As(err, &notBegun):
		if s.Opener != d.cfg.Self {
			rows.Put = append(rows.Put, d.failed(now, s.Opener, idleFor))
		}
	default:
		ids := session.Culprits(err)
		slices.SortFunc(ids, func(a, b engine.PartyID) int { return bytes.Compare(a[:], b[:]) })
		for _, p := range slices.Compact(ids) {
			rows.Put = append(rows.Put, d.failed(now, p, skipFor))
		}
	}
	return rows
}

// forgive takes a success into account, durably, where it changes anything.
func (d *Desk) forgive(ctx context.Context, now time.Time, s *mpc.Setup) error {
	d.shunning.Lock()
	defer d.shunning.Unlock()
	return d.keepRows(ctx, d.shun(now, s, nil))
}

func (d *Desk) keepRows(ctx context.Context, rows store.Batch) error {
	if len(rows.Put)+len(rows.Delete) == 0 {
		return nil
	}
	return d.cfg.Journal.Write(ctx, journal.Entry{Batch: rows})
}

// loadShunned reads back who is shunned. A clock that was ahead when a row was written must not
// keep somebody away for longer than one failure can.
func (d *Desk) loadShunned(ctx context.Context, now time.Time) error {
	items, err := d.cfg.Journal.Store().Range(ctx, store.Prefix(kindShunned), "", store.MaxLimit)
	if err != nil {
		return fmt.Errorf("read shunned parties: %w", err)
	}
	for _, it := range items {
		p, r, err := decodeRecord(it.Key, it.Value)
		if err != nil {
			return fmt.Errorf("read shunned parties: %w", err)
		}
		if most := now.Add(skipFor << maxDoubling); r.until.After(most) {
			r.until = most
		}
		d.poor[p] = r
	}
	return nil
}

// Forget erases the records of parties that have not been shunned for long.
func (d *Desk) Forget(ctx context.Context, now time.Time) error {
	d.shunning.Lock()
	defer d.shunning.Unlock()
	var old store.Batch
	d.mu.Lock()
	for p, r := range d.poor {
		if now.Sub(r.until) > recordLife && len(old.Delete) < store.MaxWrites {
			old.Delete = append(old.Delete, shunnedKey(p))
			delete(d.poor, p)
		}
	}
	d.forgetFlows(now)
	d.mu.Unlock()
	return d.keepRows(ctx, old)
}

func (d *Desk) failed(now time.Time, p engine.PartyID, base time.Duration) store.Entry {
	r := d.poor[p]
	if until := now.Add(base << min(r.failed, maxDoubling)); until.After(r.until) {
		r.until = until
	}
	r.failed = min(r.failed+1, maxFailed)
	d.poor[p] = r
	return store.Entry{Key: shunnedKey(p), Value: r.encode()}
}

// Shuns says that sessions with a party failed lately: while others are there, it is left out.
func (d *Desk) Shuns(now time.Time, p engine.PartyID) bool { return d.shuns(now, p) }

func (d *Desk) shuns(now time.Time, p engine.PartyID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return now.Before(d.poor[p].until)
}
