package decide

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// A node that was away may hear of a signature before it hears who allowed it: peers send it all that it lacks, in no order. So it waits for that before it
// says that something is wrong (spec/statements 6.2), and if it is not told, it does say so.

const (
	allowsWithin = 10 * time.Minute // how long it waits, added up over the moments in which a peer was there that could tell
	allowsAtMost = 24 * time.Hour   // after the signature came it waits no longer: who cuts its links, or its power, again and again puts no alarm off for ever
	allowsStep   = 10 * time.Second // of a longer gap between two looks counts no more: this process stood still, and heard nobody
)

// A wait is for what allows a signature.
type wait struct {
	first time.Time     // when the signature came
	last  time.Time     // when it was looked after last
	heard time.Duration // for which somebody was there that could tell
}

// row is what is kept of it.
func (w wait) row() []byte { return binary.BigEndian.AppendUint64(nil, uint64(w.first.Unix())) }

// waitOf reads that back. A version before wrote no time: the wait begins now.
func waitOf(row []byte, now time.Time) wait {
	w := wait{first: now, last: now}
	if len(row) == 8 {
		w.first = time.Unix(int64(binary.BigEndian.Uint64(row)), 0)
	}
	return w
}

// after is the wait at a later look. Where the clock was set back it goes on from there.
func (w wait) after(now time.Time, there bool) wait {
	if there && now.After(w.last) {
		w.heard += min(now.Sub(w.last), allowsStep)
	}
	if w.last = now; w.first.After(now) {
		w.first = now
	}
	return w
}

// over says whether it is said now that something is wrong.
func (w wait) over() bool { return w.heard >= allowsWithin || w.last.Sub(w.first) >= allowsAtMost }

func unallowedKey(id statement.ID) string { return store.Key(kindUnallowed, store.ID(id[:])) }

// doubts adds to a signature's batch that fewer ALLOWs are known than it takes, so that a restart forgets nothing.
func (d *Desk) doubts(f *file, now time.Time, e *journal.Entry) {
	e.Put = append(e.Put, store.Entry{Key: unallowedKey(f.stmt.ID()), Value: wait{first: now}.row()})
	d.cfg.Log.Info("a signature came before the decisions that allow it: this node waits for them", "intent", f.stmt.ID().Short(), "for", allowsWithin)
}

// doubted notes how long this node has waited for what allows a signature; the zero wait ends that.
func (d *Desk) doubted(id statement.ID, w wait) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w == (wait{}) {
		delete(d.unallowed, id)
		return
	}
	d.unallowed[id] = w
}

// doubting says whether it does.
func (d *Desk) doubting(id statement.ID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.unallowed[id]
	return ok
}

// alarm is what people are told is wrong with a file's signature; not what it waits for.
func (d *Desk) alarm(f *file) string {
	if f.life.Unallowed() && d.doubting(f.stmt.ID()) {
		return ""
	}
	return f.life.Alarm()
}

// clears adds to the batch of decisions that they are enough for the signature that was there before them; with true it did.
func (d *Desk) clears(f *file, next intent.Life, e *journal.Entry) bool {
	if next.Unallowed() || !d.doubting(f.stmt.ID()) {
		return false
	}
	e.Delete = append(e.Delete, unallowedKey(f.stmt.ID()))
	return true
}

// loadUnallowed waits on: what was missed while this process did not run comes now, so nothing was heard yet.
func (d *Desk) loadUnallowed(ctx context.Context, now time.Time) error {
	prefix := store.Prefix(kindUnallowed)
	for after := ""; ; {
		items, err := d.cfg.Journal.Store().Range(ctx, prefix, after, store.MaxLimit)
		if err != nil {
			return fmt.Errorf("read which signatures nobody is known to allow: %w", err)
		}
		for _, it := range items {
			after = it.Key
			raw, err := hex.DecodeString(strings.TrimPrefix(it.Key, prefix))
			if err != nil || len(raw) != len(statement.ID{}) {
				d.cfg.Log.Error("a row of signatures that nobody is known to allow is passed over", "row", it.Key)
				continue
			}
			d.doubted(statement.ID(raw), waitOf(it.Value, now))
		}
		if len(items) < store.MaxLimit {
			return nil
		}
	}
}

// raise says of signatures that they are without the ALLOWs that they take, once those did not come in time.
func (d *Desk) raise(ctx context.Context, now time.Time) {
	d.mu.Lock()
	waits := maps.Clone(d.unallowed)
	d.mu.Unlock()
	for id, w := range waits {
		if err := d.raiseOne(ctx, now, id, w); err != nil {
			d.cfg.Log.Error("an alarm is not written yet", "intent", id.Short(), "error", err)
		}
	}
}

// told says whether one of the others is there that could tell.
func (d *Desk) told(f *file) bool {
	v, err := d.vaultOf(f.life.Intent())
	if err != nil {
		return true // who they are is not known: the alarm does not wait for that
	}
	return slices.ContainsFunc(v.Parties, func(p mpc.Party) bool { return p.ID != d.cfg.Self && d.cfg.There(p.ID) })
}

func (d *Desk) raiseOne(ctx context.Context, now time.Time, id statement.ID, w wait) error {
	f, err := d.take(id)
	if err != nil {
		return nil // it joins a session, or was set aside
	}
	defer f.mu.Unlock()
	if !d.doubting(id) {
		return nil // the last ALLOW came since
	}
	if w = w.after(now, d.told(f)); !w.over() {
		d.doubted(id, w)
		return nil
	}
	e := journal.Entry{Batch: store.Batch{Delete: []string{unallowedKey(f.stmt.ID())}}}
	if f.life.Unallowed() {
		d.cfg.Log.Error("signature of a closed intent", "what", f.life.Alarm())
		e.Leaves = []tlog.Filed{f.says(tlog.KindAlarm, now, []byte(f.life.Alarm()))}
	}
	if err := d.cfg.Journal.Write(ctx, e); err != nil {
		return err
	}
	d.doubted(id, wait{})
	return nil
}
