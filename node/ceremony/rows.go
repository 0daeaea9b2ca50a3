package ceremony

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/store"
)

// Rows of this room (spec/store).
const (
	kindAttempt = "attempt" // attempt/<vault>/<suite>: number of the last key generation, 8 bytes
	kindEpoch   = "epoch"   // epoch/<key>/<eh>/<row>: what a ceremony keeps; secret rows are sealed
	kindCurrent = "current" // current/<key>: final certificate in force
	kindGone    = "gone"    // gone/<key>/<eh>: given up (1) or erased (2), for ever
	kindFinal   = "final"   // final/<key>/<eh>/<party>: a member's FINAL
	kindProved  = "proved"  // proved/<key>/<party>: when the share was last proved, Unix time, 8 bytes
	kindChecks  = "checks"  // checks/<vault>/<party>: failed pair set-ups, 1 byte
	kindChoice  = "choice"  // choice/<vault>/<suite>/<operator>: signature ‖ key statement

	rowCert   = "cert"
	rowTested = "tested"
)

func epochKey(key [32]byte, eh epoch.Hash, row string) string {
	return store.Key(kindEpoch, store.ID(key[:]), store.ID(eh[:]), store.Name(row))
}

func attemptKey(w *root) string {
	return store.Key(kindAttempt, store.ID(w.ID[:]), store.Name(w.suite))
}

func (k *Keeper) label(key [32]byte, eh epoch.Hash, row string) seal.Label {
	return seal.Label{Key: key[:], Epoch: eh[:], Operator: k.cfg.Self[:], Row: row}
}

// keep seals a ceremony's rows; the record stays readable.
func (k *Keeper) keep(key [32]byte, rows []engine.Record) (epoch.Hash, journal.Entry, error) {
	var e journal.Entry
	var eh epoch.Hash
	for _, r := range rows {
		if r.Name == protocol.RowRecord {
			rec, err := epoch.Decode(r.Value)
			if err != nil {
				return eh, e, err
			}
			eh = rec.Hash()
		}
	}
	for _, r := range rows {
		value := r.Value
		if r.Name != protocol.RowRecord {
			sealed, err := k.cfg.Sealer.Seal(k.label(key, eh, r.Name), r.Value)
			secret.Wipe(r.Value)
			if err != nil {
				return eh, e, fmt.Errorf("seal row %s: %w", r.Name, err)
			}
			value = sealed
		}
		e.Put = append(e.Put, store.Entry{Key: epochKey(key, eh, r.Name), Value: value})
	}
	return eh, e, nil
}

// loadKeys opens what keep sealed and checks it against the record.
func (k *Keeper) loadKeys(ctx context.Context, r *epoch.Record) (*protocol.Keys, error) {
	eh := r.Hash()
	return protocol.Load(r, k.cfg.Self, func(row string) (secret.Bytes, error) {
		it, err := k.cfg.Journal.Store().Get(ctx, epochKey(r.KeyID, eh, row))
		if err != nil {
			return secret.Bytes{}, fmt.Errorf("read row %s of record %v: %w", row, eh, err)
		}
		return k.cfg.Sealer.Open(k.label(r.KeyID, eh, row), it.Value)
	})
}

// load reads back a vault's attempts, and which of them is in force.
func (k *Keeper) load(ctx context.Context, w *root) error {
	clear(w.attempts)
	k.begin(w, newAttempt(w, 0))
	it, err := k.cfg.Journal.Store().Get(ctx, attemptKey(w))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil || len(it.Value) != 8 {
		return fmt.Errorf("read the number of its key generation: %w", errors.Join(err))
	}
	last := binary.BigEndian.Uint64(it.Value)
	for n := uint64(1); n <= last; n++ {
		a := newAttempt(w, n)
		if err := k.loadAttempt(ctx, w, a); err != nil {
			return fmt.Errorf("attempt %d: %w", n, err)
		}
		if w.book.Current() == nil {
			k.begin(w, a)
		} else {
			w.attempts[a.keyID], k.keys[a.keyID] = a, w
		}
	}
	if err := k.loadChoice(ctx, w); err != nil {
		return err
	}
	return k.loadProofs(ctx, w)
}

func (k *Keeper) loadAttempt(ctx context.Context, w *root, a *attempt) error {
	if err := k.loadCurrent(ctx, a); err != nil {
		return err
	}
	if err := k.loadRecords(ctx, a); err != nil {
		return err
	}
	return k.loadFinals(ctx, a)
}

func (k *Keeper) loadCurrent(ctx context.Context, a *attempt) error {
	it, err := k.cfg.Journal.Store().Get(ctx, store.Key(kindCurrent, store.ID(a.keyID[:])))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the final certificate: %w", err)
	}
	f, err := epoch.DecodeFinalCert(it.Value)
	if err != nil {
		return fmt.Errorf("read the final certificate: %w", err)
	}
	a.book.Adopt(f)
	return nil
}

// loadRecords rebuilds the pending part of the book.
func (k *Keeper) loadRecords(ctx context.Context, a *attempt) error {
	st := k.cfg.Journal.Store()
	prefix := store.Prefix(kindEpoch, store.ID(a.keyID[:]))
	items, err := st.Range(ctx, prefix, "", store.MaxLimit)
	if err != nil {
		return fmt.Errorf("read records: %w", err)
	}
	rows := map[string]map[string][]byte{}
	for _, it := range items {
		eh, row, _ := strings.Cut(strings.TrimPrefix(it.Key, prefix), "/")
		if rows[eh] == nil {
			rows[eh] = map[string][]byte{}
		}
		rows[eh][row] = it.Value
	}
	for eh, have := range rows {
		r, err := epoch.Decode(have[protocol.RowRecord])
		if err != nil {
			return fmt.Errorf("record %.12s: %w", eh, err)
		}
		h := r.Hash()
		gone, err := st.Get(ctx, store.Key(kindGone, store.ID(a.keyID[:]), store.ID(h[:])))
		if err == nil && len(gone.Value) == 1 {
			continue
		} else if !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("record %v: read whether it was given up: %w", h, err)
		}
		if c := a.book.Current(); c != nil && c.Record.Hash() == h {
			continue
		}
		if err := a.book.Prepare(r); err != nil {
			return err
		}
		if raw := have[rowCert]; raw != nil {
			c, err := epoch.DecodeCert(raw)
			if err == nil {
				err = a.book.Certify(c)
			}
			if err != nil {
				return fmt.Errorf("record %v: %w", h, err)
			}
		}
		if have[rowTested] != nil {
			if err := a.book.Tested(h); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k *Keeper) loadFinals(ctx context.Context, a *attempt) error {
	items, err := k.cfg.Journal.Store().Range(ctx, store.Prefix(kindFinal, store.ID(a.keyID[:])), "", store.MaxLimit)
	if err != nil {
		return fmt.Errorf("read FINALs: %w", err)
	}
	for _, it := range items {
		f, err := epoch.DecodeFinal(it.Value)
		if err != nil {
			return fmt.Errorf("read FINALs: %w", err)
		}
		for _, p := range a.book.Pending() {
			if p.Record.Hash() != f.Record {
				continue
			}
			a.finals[f.From] = f
			if f.From == k.cfg.Self {
				p.Final = f
			}
		}
	}
	return nil
}

func (k *Keeper) loadChoice(ctx context.Context, w *root) error {
	prefix := store.Prefix(kindChoice, store.ID(w.ID[:]), store.Name(w.suite))
	items, err := k.cfg.Journal.Store().Range(ctx, prefix, "", store.MaxLimit)
	if err != nil {
		return fmt.Errorf("read the key's choice: %w", err)
	}
	for _, it := range items {
		if len(it.Value) < 64 {
			return fmt.Errorf("read the key's choice: row %q is too short", it.Key)
		}
		s, err := statement.ParseKind(it.Value[64:], statement.Key)
		if err != nil {
			return fmt.Errorf("read the key's choice: %w", err)
		}
		c, err := charter.KeyChoiceOf(s)
		if err != nil {
			return fmt.Errorf("read the key's choice: %w", err)
		}
		a := w.attempts[c.Key]
		if a == nil || a.book.Current() == nil {
			return fmt.Errorf("read the key's choice: key %x has no final certificate here", c.Key[:6])
		}
		w.attempt = a
		w.choice = s
		w.signed[strings.TrimPrefix(it.Key, prefix)] = it.Value[:64]
	}
	return nil
}

func (k *Keeper) loadProofs(ctx context.Context, w *root) error {
	for _, p := range w.parties {
		if it, err := k.cfg.Journal.Store().Get(ctx, checksKey(w.ID, p.ID)); err == nil && len(it.Value) == 1 {
			w.checks[p.ID] = int(it.Value[0])
		} else if !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("read failed set-ups: %w", err)
		}
		it, err := k.cfg.Journal.Store().Get(ctx, provedKey(w.keyID, p.ID))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil || len(it.Value) != 8 {
			return fmt.Errorf("read when shares were proved: %w", errors.Join(err))
		}
		w.proofs[p.ID] = time.Unix(int64(binary.BigEndian.Uint64(it.Value)), 0).UTC()
	}
	return nil
}

func provedKey(key [32]byte, p engine.PartyID) string {
	return store.Key(kindProved, store.ID(key[:]), store.ID(p[:]))
}
