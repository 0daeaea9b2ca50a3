package rescue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/internal/failpoint"
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
	d.ticked, d.wall = now, now
	r := d.reading(now)
	err := d.standAgain(ctx, now, r)
	for at, c := range d.refuses {
		c.clock = c.clock.Tick(r)
		d.refuses[at] = c
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
	beats := d.cfg.Beats()
	for name, at := range beats {
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
		key := store.Key(kindSilence, store.Name(name))
		if _, known := beats[name]; !known { // it left the circle
			delete(d.silence, name)
			e.Delete = append(e.Delete, key)
			continue
		}
		e.Put = append(e.Put, store.Entry{Key: key, Value: s.bytes()})
	}
	e.Put = append(e.Put, d.refusing()...)
	over, keys := d.uncalled()
	e.Delete = append(e.Delete, keys...)
	d.saved = now
	if err := d.inParts(ctx, e); err != nil {
		return err
	}
	for _, id := range over {
		delete(d.calls, id)
	}
	return nil
}

// inParts writes rows that need not be durable together: those of every operator, and of every operator of each vault, are more than one write may have.
func (d *Desk) inParts(ctx context.Context, e journal.Entry) error {
	for len(e.Put)+len(e.Delete) > 0 {
		var part journal.Entry
		put, gone := min(len(e.Put), store.MaxWrites/4), min(len(e.Delete), store.MaxWrites/4)
		part.Put, e.Put = e.Put[:put], e.Put[put:]
		part.Delete, e.Delete = e.Delete[:gone], e.Delete[gone:]
		if err := d.write(ctx, part); err != nil {
			return err
		}
	}
	return nil
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
	defer func() { d.await(vault) }()
	if len(k.Cases()) == 0 {
		return d.forget(ctx, now, vault, k)
	}
	d.holds(vault, k) // charter and epochs may be others than when a request was last heard of
	before := k.Bytes()
	if k, err = d.forks(k, r); err != nil {
		return err
	}
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
		hit("sos-before-", k, next)
		if err := d.write(ctx, e); err != nil {
			return err
		}
		hit("sos-after-", k, next)
		d.became(vault, next)
	}
	return d.carryOut(ctx, now, vault, next)
}

// forks tells the docket whose logs are known to be forked: no part is given beside them (S13).
func (d *Desk) forks(k sos.Docket, r sos.Reading) (sos.Docket, error) {
	for _, name := range d.cfg.Forks() {
		if k.LogForked(name) {
			continue
		}
		next, _, err := k.Apply(sos.Forked{Operator: name}, r)
		if errors.Is(err, sos.ErrForeign) { // who left the circle contributes to nothing
			continue
		}
		if err != nil {
			return k, err
		}
		k = next
	}
	return k, nil
}

// hit passes a kill point for each state that a write brings a request to.
func hit(when string, k, next sos.Docket) {
	if !failpoint.Enabled {
		return
	}
	for _, c := range next.Cases() {
		if was, known := k.Case(c.ID()); !known || was.State() != c.State() {
			failpoint.Hit(when + c.State().String())
		}
	}
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
	return errors.Join(err, d.forget(ctx, now, vault, k))
}
