package decide

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// A node that was away may hear of a signature before it hears who allowed it: peers send it all that it lacks, in no order. So it waits for that before it
// says that something is wrong (spec/statements 6.2), and if it is not told, it does say so.

// allowsWithin is how long it waits, with a peer there that could tell.
const allowsWithin = 10 * time.Minute

func unallowedKey(id statement.ID) string { return store.Key(kindUnallowed, store.ID(id[:])) }

// doubts adds to a signature's batch that fewer ALLOWs are known than it takes, so that a restart forgets nothing.
func (d *Desk) doubts(f *file, e *journal.Entry) {
	e.Put = append(e.Put, store.Entry{Key: unallowedKey(f.stmt.ID())})
	d.cfg.Log.Info("a signature came before the decisions that allow it: this node waits for them", "intent", f.stmt.ID().Short(), "for", allowsWithin)
}

// doubted notes since when this node waits for what allows a signature; the zero time ends that.
func (d *Desk) doubted(id statement.ID, since time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if since.IsZero() {
		delete(d.unallowed, id)
		return
	}
	d.unallowed[id] = since
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

// loadUnallowed begins to wait anew: what was missed while this process did not run comes now.
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
			d.doubted(statement.ID(raw), now)
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
	for id, since := range waits {
		if err := d.raiseOne(ctx, now, id, since); err != nil {
			d.cfg.Log.Error("an alarm is not written yet", "intent", id.Short(), "error", err)
		}
	}
}

// heardSince is since when one of the others is there that could tell: while all are away the wait begins anew, as it does where the clock was set back.
func (d *Desk) heardSince(f *file, now, since time.Time) time.Time {
	v, err := d.vaultOf(f.life.Intent())
	if err != nil {
		return since
	}
	for _, p := range v.Parties {
		if p.ID != d.cfg.Self && d.cfg.There(p.ID) && !since.After(now) {
			return since
		}
	}
	d.doubted(f.stmt.ID(), now)
	return now
}

func (d *Desk) raiseOne(ctx context.Context, now time.Time, id statement.ID, since time.Time) error {
	f, err := d.take(id)
	if err != nil {
		return nil // it joins a session, or was set aside
	}
	defer f.mu.Unlock()
	if now.Sub(d.heardSince(f, now, since)) < allowsWithin {
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
	d.doubted(id, time.Time{})
	return nil
}
