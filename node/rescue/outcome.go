package rescue

import (
	"context"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// write makes an entry of this room durable.
func (d *Desk) write(ctx context.Context, e journal.Entry) error {
	return d.outcome(d.cfg.Journal.Write(ctx, e))
}

// heard is another room's way to write, of which this room hears the outcome.
func (d *Desk) heard(write func(journal.Entry) error) func(journal.Entry) error {
	return func(e journal.Entry) error { return d.outcome(write(e)) }
}

// outcome hears how each write of this room ended. Where that is not known, a veto, an outflow or our own release may be durable of which the memory knows nothing, and
// a statement said again would have other bytes. So the process ends, and the next reads what is durable; until it has ended, no docket is read any more. It is called under
// our lock.
func (d *Desk) outcome(err error) error {
	if errors.Is(err, store.ErrUnknown) {
		d.lost = fmt.Errorf("whether what this node last wrote of an SOS is durable is not known: %w", err)
		d.cfg.Fatal(d.lost)
	}
	return err
}

// became is a docket that is durable now.
func (d *Desk) became(vault statement.ID, k sos.Docket) {
	if !d.asked[vault] {
		d.stands[vault] = stand{generation: d.cfg.Generation()} // settle wrote it with the first
	}
	d.dockets[vault], d.asked[vault] = k, true
	d.holds(vault, k)
}

// holds notes for other rooms whether SOS holds a vault, and whether its epochs wait.
func (d *Desk) holds(vault statement.ID, k sos.Docket) {
	_, open := k.Open()
	near := open || d.ripe(vault, k)
	d.known.Lock()
	defer d.known.Unlock()
	d.held[vault], d.near[vault] = open, near
}

// Holds says whether SOS holds a vault. It is asked under other rooms' locks, and takes none of this room's but its own. A docket that was not read since the process
// began, or cannot be read, holds its vault.
func (d *Desk) Holds(vault statement.ID) bool {
	d.known.Lock()
	defer d.known.Unlock()
	return d.held[vault]
}

// Near says whether a vault's epochs wait: SOS holds it, or a request of it lacks nothing but its subjects' silence. It is asked as Holds is.
func (d *Desk) Near(vault statement.ID) bool {
	d.known.Lock()
	defer d.known.Unlock()
	return d.near[vault]
}
