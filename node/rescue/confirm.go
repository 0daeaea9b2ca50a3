package rescue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/statement"
)

// A docket that hears a step or a release of its own node, which it does not have, was set back, though no peer has shown a newer copy of the node yet: its own words
// come back first. It goes no step further until the operator says that no other copy runs (spec/sos 6.3).

// Rolled says whether any docket waits for that.
func (d *Desk) Rolled(ctx context.Context) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.open(), func(vault statement.ID) bool {
		k, err := d.docket(ctx, vault)
		return err == nil && k.Rolled() && !d.stands[vault].fetching
	})
}

// Confirm is that word: delays are counted anew, and vetoes are fetched again, before anything is given (stand.go).
func (d *Desk) Confirm(ctx context.Context, now time.Time) (err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, vault := range d.open() {
		k, failed := d.docket(ctx, vault)
		if failed != nil || !k.Rolled() || d.stands[vault].fetching {
			err = errors.Join(err, failed)
			continue
		}
		if failed := d.restand(ctx, now, vault, k, sos.RolledBack{}, stand{d.cfg.Generation(), true}, d.reading(now)); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		d.cfg.Log.Warn("SOS: the operator confirmed that no other copy of this node runs: delays are counted anew", "vault", vault.Short())
	}
	return errors.Join(err, d.flush(ctx, now))
}
