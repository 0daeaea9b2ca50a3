package ceremony

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/pulse"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/memory"
)

// Shares names the shares that this node holds of keys in force, by key, without proofs.
func (k *Keeper) Shares() (out []pulse.Share) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.held() {
		out = append(out, pulse.Share{Key: w.keyID, Epoch: w.eh()})
	}
	return out
}

// KnowsKey says whether a key is of a vault that is known here.
func (k *Keeper) KnowsKey(key [32]byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := k.keys[key]
	return w != nil && w.keyID == key
}

func (k *Keeper) held() (out []*root) {
	for _, w := range k.all() {
		if !w.published() || w.bare {
			continue
		}
		if _, seated := w.book.Seat(k.cfg.Self); seated {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(a, b *root) int { return bytes.Compare(a.keyID[:], b.keyID[:]) })
	return out
}

// ProveShares adds proofs of shares that this node holds to a heartbeat. One of an epoch that is over meanwhile is passed over.
func (k *Keeper) ProveShares(ctx context.Context, h pulse.Heartbeat, shares []pulse.Share) (pulse.Heartbeat, error) {
	k.mu.Lock()
	var records []*epoch.Record
	for _, s := range shares {
		w := k.keys[s.Key]
		if w == nil || w.keyID != s.Key || !w.published() || w.bare {
			continue
		}
		if k.sure(w); w.damage == nil && w.eh() == s.Epoch {
			records = append(records, w.book.Current().Record)
		}
	}
	k.mu.Unlock()
	for _, r := range records {
		var err error
		if h, err = k.proveShare(ctx, h, r); err != nil {
			return h, err
		}
	}
	return h, nil
}

// proveShare proves one, and the mask beside it. What is shared with single peers is not read for it.
func (k *Keeper) proveShare(ctx context.Context, h pulse.Heartbeat, r *epoch.Record) (pulse.Heartbeat, error) {
	memory.Sweep()
	defer memory.Sweep()
	own, err := k.loadShare(ctx, r)
	if err != nil {
		return h, fmt.Errorf("heartbeat: %w", err)
	}
	defer own.Wipe()
	m, _ := r.Member(k.cfg.Self)
	if h, err = h.Prove(r.KeyID, r.Hash(), k.cfg.Self, own, m.Public, k.cfg.Rand); err != nil || r.Guardians == [32]byte{} {
		return h, err
	}
	_, _, set, err := k.Backups(ctx, r)
	if err != nil {
		return h, fmt.Errorf("heartbeat: %w", err)
	}
	mask, err := k.loadMask(ctx, r, set)
	if err != nil {
		return h, fmt.Errorf("heartbeat: %w", err)
	}
	defer mask.Wipe()
	return h.ProveMask(k.cfg.Self, mask, set.MaskPoint(m.Index), k.cfg.Rand)
}

// maxProvedRows is how many shares' proofs go into one batch of the store.
const maxProvedRows = 64

// TakeProofs checks the proofs of a heartbeat by one party that are of records in force here, and writes the entry with when these
// shares were proved. A share that is not known here, or not any more, is passed over; a proof that is wrong is not. A share that the
// heartbeat leaves out has no proof from then on, whatever it showed before.
func (k *Keeper) TakeProofs(ctx context.Context, now time.Time, h pulse.Heartbeat, by engine.PartyID, e journal.Entry, write func(journal.Entry) error) error {
	var proved, masks []shown
	for _, s := range h.Shares {
		x, ok, err := k.showing(h, s, by)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		masked := by == k.cfg.Self && len(s.Mask) > 0 // our own proofs were made a moment ago
		if by != k.cfg.Self {
			if err := h.Check(s, by, x.member.Public); err != nil {
				return err
			}
			if masked, err = k.checkMask(ctx, x.record, h, s, x.member); err != nil {
				return err
			}
		}
		if masked {
			masks = append(masks, x)
		}
		proved = append(proved, x)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	// What came into force meanwhile has other shares.
	over := func(x shown) bool { return x.root.damage != nil || !x.root.published() || x.root.eh() != x.epoch }
	proved, masks = slices.DeleteFunc(proved, over), slices.DeleteFunc(masks, over)
	for _, x := range proved[:min(len(proved), maxProvedRows)] {
		// Of very many, some are proved in memory alone: after a restart the next heartbeat proves them anew.
		e.Put = append(e.Put, provedRow(x.root.keyID, by, now))
	}
	gone := k.leftOut(h, by)
	for _, w := range gone {
		e.Delete = append(e.Delete, provedKey(w.keyID, by))
	}
	if err := write(e); err != nil {
		return err
	}
	for _, w := range gone {
		delete(w.proofs, by)
		delete(w.masks, by)
	}
	for _, x := range proved {
		x.root.proofs[by] = now
	}
	for _, x := range masks {
		x.root.masks[by] = now
	}
	return nil
}

// shown is a share that a heartbeat proves.
type shown struct {
	root   *root
	record *epoch.Record
	epoch  epoch.Hash
	member epoch.Member
}

// showing finds what a proof is held to; none for a share that is not known here. Proofs are verified without our lock: of 256 that takes a moment, in which others sign.
func (k *Keeper) showing(h pulse.Heartbeat, s pulse.Share, by engine.PartyID) (x shown, ok bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := k.keys[s.Key]
	if w == nil || w.keyID != s.Key || !w.published() || w.eh() != s.Epoch {
		return x, false, nil
	}
	if k.sure(w); w.damage != nil {
		return x, false, nil
	}
	r := w.book.Current().Record
	m, ok := r.Member(by)
	if !ok {
		return x, false, fmt.Errorf("heartbeat of %s: it has no share of vault %s", h.Operator, w.title())
	}
	return shown{w, r, w.eh(), m}, true, nil
}

// leftOut are the keys in force of which a party has a share by our record, and its heartbeat, made since that record, does not name it: its
// store was set back, or it lost the share. A proof of yesterday would have addresses given out that nobody can sign for. One that is only on its
// way to the new epoch proves its share to whoever asks. A heartbeat that is full leaves out nothing below its first key or above its last.
func (k *Keeper) leftOut(h pulse.Heartbeat, by engine.PartyID) (out []*root) {
	named := map[[32]byte]epoch.Hash{}
	for _, s := range h.Shares {
		named[s.Key] = s.Epoch
	}
	for _, w := range k.all() {
		if !w.published() || !h.Created.After(w.moved) || w.proofs[by].IsZero() || !h.Covers(w.keyID) {
			continue
		}
		if _, ok := w.book.Current().Record.Member(by); ok && named[w.keyID] != w.eh() && len(out) < maxProvedRows {
			out = append(out, w)
		}
	}
	return out
}

// checkMask checks the proof of a mask, where the epoch has one and we hold its backup set: a node that left holds none.
func (k *Keeper) checkMask(ctx context.Context, r *epoch.Record, h pulse.Heartbeat, s pulse.Share, m epoch.Member) (bool, error) {
	if r.Guardians == [32]byte{} || len(s.Mask) == 0 {
		return false, nil
	}
	_, _, set, err := k.Backups(ctx, r)
	if err != nil {
		return false, nil //nolint:nilerr // what we lack accuses nobody
	}
	return true, h.CheckMask(s, m.ID, set.MaskPoint(m.Index))
}
