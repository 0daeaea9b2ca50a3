package rescue

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
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
	if d.busy() {
		every = time.Second // a drill's delays are seconds
	}
	if now.Sub(d.ticked) < every && !now.Before(d.ticked) {
		return nil
	}
	d.ticked = now
	r := d.reading(now)
	if err := d.standAgain(ctx, now, r); err != nil {
		return err
	}
	for at, c := range d.refuses {
		d.refuses[at] = c.Tick(r)
	}
	err := d.listen(ctx, now, r)
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
	return d.cfg.Journal.Write(ctx, e)
}

// tickVault lets a vault's docket have the time. What changed is durable before anything follows from it.
func (d *Desk) tickVault(ctx context.Context, now time.Time, vault statement.ID, r sos.Reading) error {
	k, err := d.docket(ctx, vault)
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
		hit("sos-before-", k, next)
		if err := d.cfg.Journal.Write(ctx, e); err != nil {
			return err
		}
		hit("sos-after-", k, next)
		d.dockets[vault], d.asked[vault] = next, true
	}
	return d.carryOut(ctx, now, vault, next)
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
		err = errors.Join(err, d.sit(ctx, now, c), d.countersign(ctx, now, k, c), d.stand(ctx, c))
		next, failed := d.give(ctx, now, k, c)
		k, err = next, errors.Join(err, failed)
	}
	return errors.Join(err, d.forget(ctx, vault, k))
}

// standAgain counts every delay anew after this node was set back and its operator confirmed it (spec/sos 6.3): what was counted and what was heard since is lost.
// Vetoes come again as answers, before anything is given.
func (d *Desk) standAgain(ctx context.Context, now time.Time, r sos.Reading) error {
	generation := binary.BigEndian.AppendUint64(nil, d.cfg.Generation())
	it, err := d.cfg.Journal.Store().Get(ctx, kindStands)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("read row %q: %w", kindStands, err)
	}
	if err == nil && bytes.Equal(it.Value, generation) {
		return nil
	}
	var e journal.Entry
	next := map[statement.ID]sos.Docket{}
	for _, vault := range d.cfg.Vaults() {
		k, failed := d.docket(ctx, vault)
		if failed != nil {
			return failed
		}
		if err != nil || len(k.Cases()) == 0 { // the first time there is nothing to count anew
			continue
		}
		var fx sos.Effects
		for _, ev := range []sos.Event{sos.RolledBack{}, sos.Confirmed{}} {
			var more sos.Effects
			if k, more, failed = k.Apply(ev, r); failed != nil {
				return failed
			}
			fx.Say, fx.Tell = append(fx.Say, more.Say...), append(fx.Tell, more.Tell...)
		}
		if failed := d.settle(now, vault, k, fx, &e); failed != nil {
			return failed
		}
		next[vault] = k
	}
	e.Put = append(e.Put, store.Entry{Key: kindStands, Value: generation})
	if err := d.cfg.Journal.Write(ctx, e); err != nil {
		return err
	}
	maps.Copy(d.dockets, next)
	return nil
}
