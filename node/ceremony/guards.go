package ceremony

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/custody/charter"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
)

// PlanOf is who guards the keys of a vault with these terms and this threshold; nil for nobody: there is no plan, or one that counts on as many
// operators as sign by themselves.
func PlanOf(t charter.Terms, threshold int) *guard.Plan {
	if t.SOS == nil || t.SOS.Operators >= threshold {
		return nil
	}
	p := &guard.Plan{Terms: t.SOS.Hash, Operators: t.SOS.Operators, Quorum: t.SOS.Guardians}
	for _, g := range t.SOS.Keepers {
		p.Guardians = append(p.Guardians, guard.Guardian{ID: g.Card.Party(), Key: g.Card.Encryption()})
	}
	slices.SortFunc(p.Guardians, func(a, b guard.Guardian) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return p
}

// guards is who guards a new epoch, by our own charter.
func (w *root) guards(threshold int) *guard.Plan { return PlanOf(w.Terms, threshold) }

// planned is the guardian-set hash that our charter wants of the epoch in force.
func (w *root) planned() (h [32]byte) {
	if p := w.guards(w.book.Current().Record.Threshold); p != nil {
		h = p.Hash()
	}
	return h
}

// replans says whether the epoch in force was made under another plan than our charter's: guardians came, went or have new keys. Then new
// shares are due. A vault that the charter does not list keeps what it has.
func (w *root) replans() bool {
	return w.Tier != "" && w.book.Current() != nil && w.book.Current().Record.Guardians != w.planned()
}

// Backups is an epoch's second sharing as it is kept here: the plan that it was made under and the encoded set, for everybody to see, and what is
// read from it. It was verified when it was made.
func (k *Keeper) Backups(ctx context.Context, r *epoch.Record) (p *guard.Plan, raw []byte, set *guard.Set, err error) {
	row := func(name string) ([]byte, error) {
		it, err := k.cfg.Journal.Store().Get(ctx, epochKey(r.KeyID, r.Hash(), name))
		if err != nil {
			return nil, fmt.Errorf("read row %s of record %v: %w", name, r.Hash(), err)
		}
		return it.Value, nil
	}
	if r.Guardians == [32]byte{} {
		return nil, nil, nil, epoch.ErrUnguarded
	}
	guards, err := row(protocol.RowGuards)
	if err == nil {
		p, err = guard.DecodePlan(guards)
	}
	if err == nil {
		raw, err = row(protocol.RowBackups)
	}
	if err == nil {
		set, _, err = r.OpenBackups(p, raw)
	}
	return p, raw, set, err
}

// Guarded says why the guardians of our charter have no whole set of an epoch in force; nil: they have, or the charter names none. The set was
// verified before our FINAL; that the bytes are still those shows the record, which all members signed.
func (k *Keeper) Guarded(ctx context.Context, v View) error {
	r := v.Current.Record
	p := PlanOf(v.Vault.Terms, r.Threshold)
	if p == nil {
		return nil
	}
	if r.Guardians != p.Hash() {
		return fmt.Errorf("the guardians of the charter in force have nothing of epoch %d yet: new shares are due", r.Epoch)
	}
	it, err := k.cfg.Journal.Store().Get(ctx, epochKey(r.KeyID, r.Hash(), protocol.RowBackups))
	if err == nil && guard.HashSet(it.Value) != r.Backups {
		err = errors.New("other bytes than all members signed")
	}
	if err != nil {
		return fmt.Errorf("what the guardians have of epoch %d is not whole at this node: %w", r.Epoch, err)
	}
	return nil
}

// loadMask opens our mask of a record, and holds it to the backup set. The caller wipes it.
func (k *Keeper) loadMask(ctx context.Context, r *epoch.Record, set *guard.Set) (group.Scalar, error) {
	it, err := k.cfg.Journal.Store().Get(ctx, epochKey(r.KeyID, r.Hash(), protocol.RowMask))
	if err != nil {
		return nil, fmt.Errorf("read the mask of record %v: %w", r.Hash(), err)
	}
	raw, err := k.cfg.Sealer.Open(k.label(r.KeyID, r.Hash(), protocol.RowMask), it.Value)
	if err != nil {
		return nil, err
	}
	return protocol.LoadMask(r, k.cfg.Self, set, raw)
}

// readBackups reads back the mask and the backup set of a record that was made under our plan, and holds both to it (protocols.md 1.5 step 1).
func (k *Keeper) readBackups(ctx context.Context, p *guard.Plan, r *epoch.Record) error {
	if p == nil {
		return nil
	}
	_, _, set, err := k.Backups(ctx, r)
	if err != nil {
		return err
	}
	mask, err := k.loadMask(ctx, r, set)
	if err != nil {
		return err
	}
	mask.Wipe()
	return nil
}

// BackupSet shows everybody what the guardians of a key's epoch in force have: its final certificate, the plan that it was made under and the set;
// these are nil of a key that has no guardians.
func (k *Keeper) BackupSet(ctx context.Context, key [32]byte) (cert, plan, set []byte, err error) {
	k.mu.Lock()
	w := k.keys[key]
	if w == nil || w.keyID != key || !w.published() {
		k.mu.Unlock()
		return nil, nil, nil, fmt.Errorf("key %x: %w", key[:6], ErrNoKey)
	}
	f := w.book.Current()
	k.mu.Unlock()
	p, raw, _, err := k.Backups(ctx, f.Record)
	if errors.Is(err, epoch.ErrUnguarded) {
		return f.Encode(), nil, nil, nil
	}
	if err != nil {
		return nil, nil, nil, err
	}
	return f.Encode(), p.Encode(), raw, nil
}

// CheckGuards verifies anew what an epoch's guardians have, unopened, and opens our own mask and holds it to it: what was whole when it was made may be damaged by
// now. It costs about 13 ms for each dealer and guardian. A node without a seat has no mask to open.
func (k *Keeper) CheckGuards(ctx context.Context, r *epoch.Record) (set, mask error) {
	p, raw, _, err := k.Backups(ctx, r)
	if err != nil {
		return err, err
	}
	s, err := r.CheckBackups(p, raw)
	if err != nil {
		return err, err
	}
	if _, seated := r.Member(k.cfg.Self); !seated {
		return nil, nil
	}
	m, err := k.loadMask(ctx, r, s)
	if err != nil {
		return nil, err
	}
	m.Wipe()
	return nil, nil
}
