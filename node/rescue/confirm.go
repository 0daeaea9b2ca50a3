package rescue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/journal"
)

// A docket that hears a step or a release of its own node, which it does not have, was set back, though no peer has shown a newer copy of the node yet: its own words
// come back first. It goes no step further until the operator says that no other copy runs (spec/sos 6.3).

// Rolled says whether any docket waits for that.
func (d *Desk) Rolled(ctx context.Context) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.open(), func(vault statement.ID) bool {
		k, err := d.docket(ctx, vault)
		return err == nil && k.Rolled()
	})
}

// Confirm is that word: delays are counted anew, and vetoes come again as answers, before anything is given.
func (d *Desk) Confirm(ctx context.Context, now time.Time) (err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, vault := range d.open() {
		k, failed := d.docket(ctx, vault)
		if failed != nil || !k.Rolled() {
			err = errors.Join(err, failed)
			continue
		}
		var e journal.Entry
		next, failed := d.afresh(now, vault, k, d.reading(now), &e)
		if failed == nil {
			failed = d.cfg.Journal.Write(ctx, e)
		}
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		d.dockets[vault] = next
		d.cfg.Log.Warn("SOS: the operator confirmed that no other copy of this node runs: delays are counted anew", "vault", vault.Short())
	}
	return errors.Join(err, d.flush(ctx, now))
}

// afresh is a docket after a roll-back that the operator confirmed.
func (d *Desk) afresh(now time.Time, vault statement.ID, k sos.Docket, r sos.Reading, e *journal.Entry) (sos.Docket, error) {
	var fx sos.Effects
	for _, ev := range []sos.Event{sos.RolledBack{}, sos.Confirmed{}} {
		next, more, err := k.Apply(ev, r)
		if err != nil {
			return k, err
		}
		k, fx.Say, fx.Tell = next, append(fx.Say, more.Say...), append(fx.Tell, more.Tell...)
	}
	return k, d.settle(now, vault, k, fx, e)
}
