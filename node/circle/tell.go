package circle

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
)

// handOver sends what was said before they came: all versions to who waits to be taken in, and
// the vaults and their reshares besides to whom the newest version took in. Complete reshares go to all: who heard of
// the newest version first takes no signature of an officer whom it replaced. Every member does it, and does it again
// after a restart, so it needs no memory; who has it says so.
func (c *Circle) handOver(ctx context.Context, now time.Time) error {
	if c.standing() != Member {
		return nil
	}
	guests := c.guests()
	var fresh []charter.Operator
	if n := len(c.chain); n > 1 {
		for _, o := range c.chain[n-1].Operators {
			if _, old := c.chain[n-2].Operator(o.Name); !old && o.Name != c.cfg.Own.Name {
				fresh = append(fresh, o)
			}
		}
	}
	if err := c.tellReshares(ctx, now); err != nil {
		return err
	}
	if err := c.tellLeft(ctx, now); err != nil || len(guests)+len(fresh) == 0 {
		return err
	}
	if err := c.tellVersions(ctx, now, slices.Concat(guests, fresh)); err != nil || len(fresh) == 0 {
		return err
	}
	if err := c.cfg.HandOver(ctx, now, fresh); err != nil {
		return err
	}
	for _, n := range c.allWhole() {
		if err := c.cfg.Forward(ctx, now, n, fresh); err != nil {
			return err
		}
	}
	return nil
}

// tellVersions sends all versions in force.
func (c *Circle) tellVersions(ctx context.Context, now time.Time, to []charter.Operator) error {
	for _, r := range c.chain {
		for _, n := range piecewise(NoteRoster, c.rosters[r.ID]) {
			if err := c.cfg.Forward(ctx, now, n, to); err != nil {
				return err
			}
		}
	}
	return nil
}

// tellReshares sends complete reshares that are under an older version than the newest.
func (c *Circle) tellReshares(ctx context.Context, now time.Time) error {
	newest := c.chain.Newest()
	others := slices.DeleteFunc(slices.Clone(newest.Operators), func(o charter.Operator) bool { return o.Name == c.cfg.Own.Name })
	for _, v := range c.accepted() {
		for _, p := range c.plans(v.Statement.ID()) {
			if p.Roster == newest.ID {
				continue
			}
			if err := c.cfg.Forward(ctx, now, whole(c.proposed[p.ID].Accepted), others); err != nil {
				return err
			}
		}
	}
	return nil
}

// tellLeft sends who left the versions of the roster, and the complete reshares of the vaults that it held: what its node must know to
// believe the certificate that ends its hold.
func (c *Circle) tellLeft(ctx context.Context, now time.Time) error {
	for _, o := range c.pins().Left {
		if err := c.tellVersions(ctx, now, []charter.Operator{o}); err != nil {
			return err
		}
		var notes []outbox.Note
		for _, v := range c.accepted() {
			if id := v.Statement.ID(); c.onceHeld(id, o.Name) {
				for _, p := range c.plans(id) {
					notes = append(notes, whole(c.proposed[p.ID].Accepted))
				}
			}
		}
		for _, n := range notes {
			if err := c.cfg.Forward(ctx, now, n, []charter.Operator{o}); err != nil {
				return err
			}
		}
	}
	return nil
}

// onceHeld says whether an operator may have held a vault: it is of a committee that officers agreed on.
func (c *Circle) onceHeld(vault statement.ID, name string) bool {
	s := c.succession(vault)
	own, _ := s.Under(vault)
	return slices.Contains(own.Committee, name) || slices.ContainsFunc(s.Plans(), func(p charter.Plan) bool { return slices.Contains(p.Committee, name) })
}

func whole(a charter.Accepted) outbox.Note {
	return outbox.Note{Kind: NoteAccepted, Fields: [][]byte{a.Bytes()}}
}

// piecewise is a statement as officers sign it, a note for each.
func piecewise(kind outbox.Kind, a charter.Accepted) (notes []outbox.Note) {
	for _, name := range slices.Sorted(maps.Keys(a.Signatures)) {
		notes = append(notes, outbox.Note{Kind: kind, Fields: [][]byte{a.Statement.Bytes(), a.Signatures[name]}})
	}
	return notes
}

// accepted are the vaults in force, in a fixed order.
func (c *Circle) accepted() (out []charter.Accepted) {
	for _, id := range slices.SortedFunc(maps.Keys(c.vaults), func(a, b statement.ID) int { return bytes.Compare(a[:], b[:]) }) {
		if a := c.vaults[id]; c.complete(a) && c.told(id) {
			out = append(out, a)
		}
	}
	return out
}

// allWhole are the vaults in force and their complete reshares, each in one piece and after what it rests on.
func (c *Circle) allWhole() (notes []outbox.Note) {
	for _, v := range c.accepted() {
		notes = append(notes, whole(v))
		for _, p := range c.plans(v.Statement.ID()) {
			notes = append(notes, whole(c.proposed[p.ID].Accepted))
		}
	}
	return notes
}

// Told is what a member tells one that forgot: all versions of the roster, the vaults in force, and their reshares.
func (c *Circle) Told() (notes []outbox.Note) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.chain {
		notes = append(notes, piecewise(NoteRoster, c.rosters[r.ID])...)
	}
	for _, v := range c.accepted() {
		notes = append(notes, piecewise(NoteVault, v)...) // its committee takes no other form
	}
	return append(notes, c.allWhole()...)
}

// tellNewcomers sends an accepted vault statement, and the complete reshares that led to here, to operators who may have come
// to the circle after they were made. Who knows them takes no notice.
func (c *Circle) tellNewcomers(ctx context.Context, now time.Time, r charter.Reshare, before charter.Vault) error {
	if !slices.ContainsFunc(r.Committee, func(name string) bool { return !slices.Contains(before.Committee, name) }) {
		return nil
	}
	all := []charter.Accepted{c.vaults[r.Vault]}
	for _, p := range c.plans(r.Vault) {
		if p.Number < r.Number {
			all = append(all, c.proposed[p.ID].Accepted)
		}
	}
	for _, a := range all {
		if err := c.cfg.Post(ctx, now, journal.Entry{}, whole(a)); err != nil {
			return err
		}
	}
	return nil
}
