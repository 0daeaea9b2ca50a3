package rescue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/node/journal"
)

// What leaves while SOS holds a vault, and afterwards in tranches (spec/sos 5): the room that decides asks here. It holds locks of its own when it
// does, so nothing here calls it back.

// Binds says whether any docket has a say about what leaves a vault: its own, or of a vault whose rescue vault it is. Only then the rest of this
// file is worth asking.
func (d *Desk) Binds(ctx context.Context, vault statement.ID, o sos.Outflow) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	any := false
	err := d.eachBound(ctx, vault, o, func(statement.ID, sos.Docket) error {
		any = true
		return nil
	})
	return any || err != nil
}

// Rules names the request whose plan is the rule over an outflow, and whom it is about; zero where the ordinary rules are.
func (d *Desk) Rules(ctx context.Context, vault statement.ID, o sos.Outflow) (request statement.ID, subjects []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = d.eachBound(ctx, vault, o, func(_ statement.ID, k sos.Docket) error { // what cannot be read says so in Judge
		if by, about := k.Rules(o); !by.IsZero() {
			request, subjects = by, about
		}
		return nil
	})
	return request, subjects
}

// Judge says why an outflow must not be signed; nothing is counted by it.
func (d *Desk) Judge(ctx context.Context, now time.Time, vault statement.ID, o sos.Outflow) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, _, err := d.spend(ctx, now, vault, o)
	return err
}

// Spend counts an outflow with what else is written for its decision: in one transaction, so that nothing is allowed that is not counted, whatever
// becomes of it.
func (d *Desk) Spend(ctx context.Context, now time.Time, vault statement.ID, o sos.Outflow, write func(journal.Entry) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, next, err := d.spend(ctx, now, vault, o)
	if err != nil {
		return err
	}
	failpoint.Hit("sos-before-spend")
	if err := d.heard(write)(e); err != nil {
		return err
	}
	failpoint.Hit("sos-after-spend")
	for id, k := range next {
		d.became(id, k)
	}
	return nil
}

func (d *Desk) spend(ctx context.Context, now time.Time, vault statement.ID, o sos.Outflow) (e journal.Entry, next map[statement.ID]sos.Docket, err error) {
	next = map[statement.ID]sos.Docket{}
	err = d.eachBound(ctx, vault, o, func(id statement.ID, k sos.Docket) error {
		if k.Rolled() { // it does not know what it counted
			return fmt.Errorf("vault %s: %w", o.Vault, sos.ErrRolled)
		}
		n, err := k.Spend(o, d.reading(now))
		if err != nil {
			return err
		}
		next[id] = n
		return d.settle(now, id, n, sos.Effects{}, &e)
	})
	e.Reserve = false // room is kept for what stops something
	return e, next, err
}

// MaySign says why a session for an outflow must not begin now.
func (d *Desk) MaySign(ctx context.Context, vault statement.ID, o sos.Outflow) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.eachBound(ctx, vault, o, func(_ statement.ID, k sos.Docket) error {
		if k.Rolled() {
			return fmt.Errorf("vault %s: %w", o.Vault, sos.ErrRolled)
		}
		return k.MaySign(o)
	})
}

// MayChange says why no version of the charter comes into force now: some vault's docket forbids it (spec/sos 5.1); "" if none does.
func (d *Desk) MayChange(ctx context.Context) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, vault := range d.open() {
		k, err := d.docket(ctx, vault)
		if err == nil {
			for _, what := range []sos.Change{sos.NewPlan, sos.NewPolicy, sos.NewDestination, sos.NewKey} {
				err = errors.Join(err, k.MayChange(what))
			}
		}
		if err != nil {
			return err.Error()
		}
	}
	return ""
}

// MayExport says why no export may be cut of a share of a vault now (spec/sos 5.1).
func (d *Desk) MayExport(ctx context.Context, vault statement.ID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.asked[vault] {
		return nil
	}
	k, err := d.docket(ctx, vault)
	if err != nil {
		return err
	}
	return k.MayChange(sos.ExportKey)
}

// Subjects are the operators that an open request of a vault is about: nobody waits for their signature under an unfreezing.
func (d *Desk) Subjects(ctx context.Context, vault statement.ID) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.asked[vault] {
		return nil
	}
	k, err := d.docket(ctx, vault)
	if err != nil {
		return nil
	}
	return k.Subjects()
}

// open lists the vaults with a docket, in order.
func (d *Desk) open() []statement.ID {
	return slices.SortedFunc(maps.Keys(d.asked), func(a, b statement.ID) int { return slices.Compare(a[:], b[:]) })
}

// eachBound goes through the dockets that have a say. One that cannot be read has: over its own vault, and over those that the plan in force
// sweeps to.
func (d *Desk) eachBound(ctx context.Context, vault statement.ID, o sos.Outflow, do func(statement.ID, sos.Docket) error) error {
	for _, id := range d.open() {
		k, err := d.docket(ctx, id)
		switch {
		case err != nil && (id == vault || d.sweepsTo(id, o.Vault)):
			return fmt.Errorf("vault %s: %w: the SOS docket of vault %s cannot be read: %w", o.Vault, sos.ErrHeld, id.Short(), err)
		case err != nil || !k.Binds(o):
			continue
		}
		if err := do(id, k); err != nil {
			return err
		}
	}
	return nil
}

// RescueVaults names those that the plan in force of a vault sweeps to.
func (d *Desk) RescueVaults(vault statement.ID) (names []string) {
	_, p, err := d.inForce(vault)
	for _, x := range p.Destinations {
		if err == nil && x.Vault != "" {
			names = append(names, x.Vault)
		}
	}
	return names
}

func (d *Desk) sweepsTo(vault statement.ID, name string) bool {
	_, p, err := d.inForce(vault)
	if err != nil {
		return false
	}
	for _, x := range p.Destinations {
		if x.Vault != "" && x.Vault == name {
			return true
		}
	}
	return false
}
