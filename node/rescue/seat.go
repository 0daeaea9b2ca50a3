package rescue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/store"
)

// keyKey is where our own key of a ceremony is kept: guardians may take days.
func keyKey(vault statement.ID, request statement.ID, k [32]byte, attempt int) string {
	return store.Key(kindKey, store.ID(vault[:]), store.ID(request[:]), store.ID(k[:]), store.Number(uint64(attempt)))
}

func (d *Desk) keyLabel(k act.Key, row string) seal.Label {
	return seal.Label{Key: k.Key[:], Epoch: k.Epoch[:], Operator: []byte(d.cfg.Operator), Row: row}
}

// seatsOf are the seats that were announced for an attempt at a key, by operator.
func (d *Desk) seatsOf(c sos.Case, k act.Key, attempt int) map[string]act.Seat {
	seats := map[string]act.Seat{}
	for _, w := range d.words[c.Plan().Vault] {
		if v := w.seat; v != nil && w.request == c.ID() && v.Key == k && v.Attempt == attempt {
			seats[v.Operator] = *v
		}
	}
	return seats
}

// next is the attempt that comes after all activations of a key that all their contributors signed, or that they cannot all sign any more: one of them alone uses up none.
func (d *Desk) next(c sos.Case, k act.Key) int {
	all, last := d.activations(c), 0
	for _, a := range all {
		if a.Key == k && a.Attempt > last && (d.whole(c, a) || d.crossed(c, all, k, a.Attempt)) {
			last = a.Attempt
		}
	}
	return last + 1
}

// crossed says that nothing comes of an attempt: of each activation of it some contributor signed another one, as where two operators compose at the same time. A
// contributor signs one of an attempt, and whoever does not want a part given can withhold their signature as well.
func (d *Desk) crossed(c sos.Case, all []act.Activation, k act.Key, attempt int) bool {
	signed := map[string]statement.ID{}
	var of []act.Activation
	for _, a := range all {
		if a.Key != k || a.Attempt != attempt {
			continue
		}
		of = append(of, a)
		for name := range d.signedBy(c.Plan().Vault, a.ID) {
			signed[name] = a.ID
		}
	}
	return !slices.ContainsFunc(of, func(a act.Activation) bool {
		return !slices.ContainsFunc(a.Contributors, func(name string) bool { id, has := signed[name]; return has && id != a.ID })
	})
}

// sit makes our key for each attempt that may come, if this node may be of a new committee, and says so to all.
func (d *Desk) sit(ctx context.Context, now time.Time, c sos.Case) error {
	if c.State() != sos.Active || c.MaySit(d.cfg.Operator) != nil {
		return nil
	}
	for _, k := range c.Request().Keys {
		if slices.ContainsFunc(c.Reshared(), func(r act.Key) bool { return r.Key == k.Key }) {
			continue
		}
		next := d.next(c, k)
		for attempt := next; attempt <= min(next+ahead, statement.MaxSOSAttempt); attempt++ {
			if _, sits := d.seatsOf(c, k, attempt)[d.cfg.Operator]; !sits {
				if err := d.newSeat(ctx, now, c, k, attempt); err != nil {
					return fmt.Errorf("a key for the new committee: %w", err)
				}
			}
			if !slices.ContainsFunc(d.activations(c), func(a act.Activation) bool { return a.Key == k && a.Attempt == attempt }) {
				break // nobody needs the one after it
			}
		}
	}
	return nil
}

// ahead is how many attempts may be begun above the next, while others wait for a contributor who does not sign: whoever is gone, or wants none, stops no other.
const ahead = 8

// free is the lowest attempt at a key that this node has signed nothing of.
func (d *Desk) free(c sos.Case, k act.Key) int {
	n := d.next(c, k)
	for slices.ContainsFunc(d.activations(c), func(a act.Activation) bool {
		return a.Key == k && a.Attempt == n && d.signedBy(c.Plan().Vault, a.ID)[d.cfg.Operator] != nil
	}) {
		n++
	}
	return n
}

func (d *Desk) newSeat(ctx context.Context, now time.Time, c sos.Case, k act.Key, attempt int) error {
	vault := c.Plan().Vault
	secret, err := pve.NewPrivateKey(d.cfg.Rand)
	if err != nil {
		return err
	}
	defer secret.Wipe()
	v, err := act.Seat{Head: c.Request().Head(), Operator: d.cfg.Operator, Key: k, Attempt: attempt, Created: now.UTC().Truncate(time.Second)}.Prove(secret, d.cfg.Rand)
	if err != nil {
		return err
	}
	row := keyKey(vault, c.ID(), k.Key, attempt)
	sealed, err := d.cfg.Sealer.Seal(d.keyLabel(k, row), secret.Bytes().Expose())
	if err != nil {
		return err
	}
	e := journal.Entry{}
	e.Put = append(e.Put, store.Entry{Key: row, Value: sealed})
	_, kept, err := d.say(now, vault, v.Statement, "", &e)
	if err != nil {
		return err
	}
	failpoint.Hit("sos-before-seat")
	if err := d.write(ctx, e); err != nil {
		return err
	}
	failpoint.Hit("sos-after-seat")
	kept()
	return nil
}

// openKey opens our key of a ceremony. The caller wipes it.
func (d *Desk) openKey(ctx context.Context, row string, k act.Key) (*pve.PrivateKey, error) {
	it, err := d.cfg.Journal.Store().Get(ctx, row)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errors.New("this node's key of the ceremony is not here: it was made for another attempt, or the store was set back")
	}
	if err != nil {
		return nil, fmt.Errorf("read row %q: %w", row, err)
	}
	b, err := d.cfg.Sealer.Open(d.keyLabel(k, row), it.Value)
	if err != nil {
		return nil, err
	}
	defer b.Wipe()
	return pve.ParsePrivateKey(b.Expose())
}

// stand erases our keys of ceremonies once a key has its new shares, or none can come by the request any more: where it is over here, others that gave their parts may
// wait for us.
func (d *Desk) stand(ctx context.Context, now time.Time, c sos.Case) error {
	if d.stood[c.ID()] || c.State() == sos.Armed {
		return nil
	}
	over, id, vault := c.Beyond(now, d.cfg.Operator), c.ID(), c.Plan().Vault
	whole := over
	var e journal.Entry
	for _, k := range c.Request().Keys {
		if !over && !slices.ContainsFunc(c.Reshared(), func(r act.Key) bool { return r.Key == k.Key }) {
			continue // it may come yet
		}
		prefix := store.Prefix(kindKey, store.ID(vault[:]), store.ID(id[:]), store.ID(k.Key[:]))
		items, err := d.cfg.Journal.Store().Range(ctx, prefix, "", store.MaxWrites/4)
		if err != nil {
			return fmt.Errorf("read %s: %w", kindKey, err)
		}
		for _, it := range items {
			e.Delete = append(e.Delete, it.Key)
		}
		whole = whole && len(items) < store.MaxWrites/4
	}
	if len(e.Delete) > 0 {
		slices.Sort(e.Delete)
		if err := d.write(ctx, e); err != nil {
			return err
		}
	}
	d.stood[c.ID()] = whole
	return nil
}
