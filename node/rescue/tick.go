package rescue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// Tick counts on: silences, refusals, and the delays of what is open.
func (d *Desk) Tick(ctx context.Context, now time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	every := sos.TickEvery
	if d.busy() || d.unsettled() {
		every = time.Second // a drill's delays are seconds
	}
	if now.Sub(d.ticked) < every && !now.Before(d.ticked) {
		return nil
	}
	d.ticked = now
	r := d.reading(now)
	err := d.standAgain(ctx, now, r)
	for at, c := range d.refuses {
		d.refuses[at] = c.Tick(r)
	}
	err = errors.Join(err, d.listen(ctx, now, r))
	for _, vault := range d.cfg.Vaults() {
		err = errors.Join(err, d.tickVault(ctx, now, vault, r), d.reply(ctx, now, vault, r))
	}
	return errors.Join(err, d.flush(ctx, now))
}

// busy says whether anything is under way.
func (d *Desk) busy() bool {
	for _, k := range d.dockets {
		for _, c := range k.Cases() {
			if !c.State().Ended() {
				return true
			}
		}
	}
	return false
}

// listen counts how long each other operator has not been heard of. A clock begins anew with each heartbeat; it is made durable now and then.
func (d *Desk) listen(ctx context.Context, now time.Time, r sos.Reading) error {
	for name, at := range d.cfg.Beats() {
		s, known := d.silence[name]
		switch {
		case name == d.cfg.Operator:
			continue
		case !known, !at.Equal(s.beat): // not only a later one: our wall clock may have been set back
			s = silence{clock: sos.StartClock(r), beat: at}
		default:
			s.clock = s.clock.Tick(r)
		}
		d.silence[name] = s
	}
	if now.Sub(d.saved) < saveEvery && !now.Before(d.saved) {
		return nil
	}
	var e journal.Entry
	for name, s := range d.silence {
		e.Put = append(e.Put, store.Entry{Key: store.Key(kindSilence, store.Name(name)), Value: s.bytes()})
	}
	if e.Put = append(e.Put, d.refusing()...); len(e.Put) == 0 {
		return nil
	}
	d.saved = now
	return d.write(ctx, e)
}

// tickVault lets a vault's docket have the time. What changed is durable before anything follows from it.
func (d *Desk) tickVault(ctx context.Context, now time.Time, vault statement.ID, r sos.Reading) error {
	k, err := d.docket(ctx, vault)
	if errors.Is(err, errStale) {
		return nil // standAgain says why
	}
	if err != nil {
		return err
	}
	if len(k.Cases()) == 0 {
		return nil
	}
	before := k.Bytes()
	next, fx, err := k.Apply(sos.Tick{View: d.view(vault)}, r)
	if err != nil {
		return err
	}
	if c, open := next.Open(); open && c.State() == sos.Declared {
		// The step that says so is on its way to every node, the subjects' too, in the same write; people are told by their own notifiers.
		told, more, err := next.Apply(sos.Told{Request: c.ID()}, r)
		if err != nil {
			return err
		}
		next, fx.Say, fx.Tell = told, append(fx.Say, more.Say...), append(fx.Tell, more.Tell...)
	}
	for _, c := range next.Cases() {
		done, more := d.complete(next, c, r)
		done, also, err := d.moved(done, c, r)
		if err != nil {
			return err
		}
		next, fx.Say, fx.Tell = done, slices.Concat(fx.Say, more.Say, also.Say), slices.Concat(fx.Tell, more.Tell, also.Tell)
	}
	if string(next.Bytes()) != string(before) || len(fx.Say)+len(fx.Tell) > 0 {
		var e journal.Entry
		if err := d.settle(now, vault, next, fx, &e); err != nil {
			return err
		}
		if err := d.write(ctx, e); err != nil {
			return err
		}
		d.became(vault, next)
	}
	return d.carryOut(ctx, now, vault, next)
}

// carryOut does what the plan asks of this node once a request is ACTIVE: a key of its own for the new committee, its signature under activations that name it,
// its part once it may be given.
func (d *Desk) carryOut(ctx context.Context, now time.Time, vault statement.ID, k sos.Docket) (err error) {
	for _, c := range k.Cases() {
		d.sanction(k, c)
		err = errors.Join(err, d.sit(ctx, now, c), d.countersign(ctx, now, k, c), d.stand(ctx, now, c))
		next, failed := d.give(ctx, now, k, c)
		k, err = next, errors.Join(err, failed)
	}
	return errors.Join(err, d.forget(ctx, vault, k))
}
