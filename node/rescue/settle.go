package rescue

import (
	"context"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
)

// Settle hears that a chain took a transaction for good, and writes it with what else is written about that: what else was counted of its nonce is free again. A docket that
// counts nothing there has nothing to settle. One that cannot be read, or was set back, keeps what it counted: unknown is spent.
func (d *Desk) Settle(ctx context.Context, now time.Time, vault statement.ID, o sos.Outflow, write func(journal.Entry) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := map[statement.ID]sos.Docket{}
	var e journal.Entry
	for _, id := range d.open() {
		k, err := d.docket(ctx, id)
		if err != nil || k.Rolled() {
			continue
		}
		n, counted := k.Settle(o, d.reading(now))
		if !counted {
			continue
		}
		next[id] = n
		if err := d.settle(now, id, n, sos.Effects{}, &e); err != nil {
			return fmt.Errorf("vault %s: settle nonce: %w", o.Vault, err)
		}
	}
	if len(next) > 0 { // who verifies counts as we do
		e.Leaves = append(e.Leaves, tlog.Notes(tlog.KindTaken, now, vault, o.Intent).On(o.Intent))
	}
	if err := d.heard(write)(e); err != nil {
		return err
	}
	for id, k := range next {
		d.became(id, k)
	}
	return nil
}
