package ceremony

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
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
	kindLink    = "link"    // link/<key>/<epoch>/<eh>: every final certificate that was in force here
	kindRescued = "rescued" // rescued/<vault>/<suite>/<eh>: the grounds of an epoch that an emergency made, as in note 0x17
	kindSince   = "since"   // since/<key>/<eh>: since when it is or was in force here, Unix time, 8 bytes; of what a newcomer was shown, when
	kindMoved   = "moved"   // moved/<key>: since when the one in force is, Unix time, 8 bytes
	kindLeft    = "left"    // left/<key>: when the first epoch without us came into force here, Unix time, 8 bytes
	kindWanted  = "wanted"  // wanted/<key>: when our operator asked for new shares, Unix time, 8 bytes
	kindGone    = "gone"    // gone/<key>/<eh>: given up (1) or erased (2), for ever
	kindDoubt   = "doubt"   // doubt/<key>/<eh>: pending when this store was set back; 1 byte
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

// keep seals a ceremony's rows; the record and the backup set stay readable.
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
	defer func() {
		for _, r := range rows { // whatever becomes of them
			if !protocol.Open(r.Name) {
				secret.Wipe(r.Value)
			}
		}
	}()
	for _, r := range rows {
		value := r.Value
		if !protocol.Open(r.Name) {
			sealed, err := k.cfg.Sealer.Seal(k.label(key, eh, r.Name), r.Value)
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
		if errors.Is(err, store.ErrNotFound) && k.dropped(r, row) {
			return secret.Bytes{}, protocol.ErrNoPair
		}
		if err != nil {
			return secret.Bytes{}, fmt.Errorf("read row %s of record %v: %w", row, eh, err)
		}
		return k.cfg.Sealer.Open(k.label(r.KeyID, eh, row), it.Value)
	})
}

// dropped says whether a row is of a pair that was burned: a store that was made from an export has the flag and no state.
func (k *Keeper) dropped(r *epoch.Record, row string) bool {
	return slices.ContainsFunc(k.cfg.Burned(protocol.PairKey(r)), func(p engine.PartyID) bool { return protocol.RowPair(p) == row })
}

// load reads back a vault's attempts, and which of them is in force.
func (k *Keeper) load(ctx context.Context, now time.Time, w *root) error {
	clear(w.attempts)
	k.begin(w, newAttempt(w, 0))
	it, err := k.cfg.Journal.Store().Get(ctx, attemptKey(w))
	if errors.Is(err, store.ErrNotFound) {
		return k.loadGrounds(ctx, w) // what a newcomer is told before its officer signs
	}
	if err != nil || len(it.Value) != 8 {
		return fmt.Errorf("read the number of its key generation: %w", cmp.Or(err, store.ErrCorrupt))
	}
	last := binary.BigEndian.Uint64(it.Value)
	for n := uint64(1); n <= last; n++ {
		a := newAttempt(w, n)
		if err := k.loadAttempt(ctx, now, w, a); err != nil {
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
	if err := k.loadPast(ctx, w); err != nil {
		return err
	}
	if err := k.loadGrounds(ctx, w); err != nil {
		return err
	}
	return k.loadProofs(ctx, w)
}

func (k *Keeper) loadAttempt(ctx context.Context, now time.Time, w *root, a *attempt) error {
	var kept epoch.Kept
	var err error
	if kept.Current, err = k.loadCurrent(ctx, a); err != nil {
		return err
	}
	if kept.Gone, err = k.loadGone(ctx, a); err != nil {
		return err
	}
	if err := k.loadFinals(ctx, a); err != nil {
		return err
	}
	doubts := map[epoch.Hash]bool{}
	if err := k.loadDoubts(ctx, a, doubts); err != nil {
		return err
	}
	if kept.Pending, err = k.loadRecords(ctx, a, kept); err != nil {
		return err
	}
	for i, p := range kept.Pending {
		w.made[p.Record.Hash()] = p.Record
		kept.Pending[i].Doubted = doubts[p.Record.Hash()] && p.Final == nil
	}
	book, erase, err := epoch.Restore(kept)
	if err != nil {
		return err
	}
	a.book = book
	if err := k.lookForShare(ctx, w, a); err != nil {
		return err
	}
	return k.eraseAll(ctx, now, w, a, erase)
}

func (k *Keeper) loadCurrent(ctx context.Context, a *attempt) (*epoch.FinalCert, error) {
	it, err := k.cfg.Journal.Store().Get(ctx, store.Key(kindCurrent, store.ID(a.keyID[:])))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the final certificate: %w", err)
	}
	f, err := epoch.DecodeFinalCert(it.Value)
	if err != nil {
		return nil, fmt.Errorf("read the final certificate: %w", err)
	}
	return f, nil
}

func (k *Keeper) loadGone(ctx context.Context, a *attempt) (map[epoch.Hash]epoch.Departure, error) {
	gone := map[epoch.Hash]epoch.Departure{}
	prefix := store.Prefix(kindGone, store.ID(a.keyID[:]))
	err := k.each(ctx, prefix, func(name string, value []byte) error {
		eh, err := hex.DecodeString(name)
		if err != nil || len(eh) != 32 || len(value) != 1 {
			return fmt.Errorf("row %q is malformed", name)
		}
		gone[epoch.Hash(eh)] = epoch.Departure(value[0])
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what was given up: %w", err)
	}
	return gone, nil
}

func doubtKey(key [32]byte, eh epoch.Hash) string {
	return store.Key(kindDoubt, store.ID(key[:]), store.ID(eh[:]))
}

// loadDoubts reads what was pending when this store was set back.
func (k *Keeper) loadDoubts(ctx context.Context, a *attempt, doubts map[epoch.Hash]bool) error {
	err := k.each(ctx, store.Prefix(kindDoubt, store.ID(a.keyID[:])), func(name string, _ []byte) error {
		eh, err := hex.DecodeString(name)
		if err != nil || len(eh) != 32 {
			return fmt.Errorf("row %q is malformed", name)
		}
		doubts[epoch.Hash(eh)] = true
		return nil
	})
	if err != nil {
		return fmt.Errorf("read what was pending when the store was set back: %w", err)
	}
	return nil
}

// each reads every row below a prefix; name is what follows it.
func (k *Keeper) each(ctx context.Context, prefix string, do func(name string, value []byte) error) error {
	for after := ""; ; {
		items, err := k.cfg.Journal.Store().Range(ctx, prefix, after, store.MaxLimit)
		if err != nil {
			return err
		}
		for _, it := range items {
			if err := do(strings.TrimPrefix(it.Key, prefix), it.Value); err != nil {
				return err
			}
			after = it.Key
		}
		if len(items) < store.MaxLimit {
			return nil
		}
	}
}

// loadRecords reads what is neither in force nor gone.
func (k *Keeper) loadRecords(ctx context.Context, a *attempt, kept epoch.Kept) (pending []epoch.Pending, err error) {
	rows := map[string]map[string][]byte{}
	err = k.each(ctx, store.Prefix(kindEpoch, store.ID(a.keyID[:])), func(name string, value []byte) error {
		eh, row, _ := strings.Cut(name, "/")
		if rows[eh] == nil {
			rows[eh] = map[string][]byte{}
		}
		rows[eh][row] = value
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	for eh, have := range rows {
		r, err := epoch.Decode(have[protocol.RowRecord])
		if err != nil {
			return nil, fmt.Errorf("record %.12s: %w", eh, err)
		}
		h := r.Hash()
		_, left := kept.Gone[h]
		if left || kept.Current != nil && kept.Current.Record.Hash() == h {
			continue
		}
		p := epoch.Pending{Record: r, Tested: have[rowTested] != nil, Final: a.finals[h][k.cfg.Self]}
		if raw := have[rowCert]; raw != nil {
			if p.Cert, err = epoch.DecodeCert(raw); err != nil {
				return nil, fmt.Errorf("record %v: %w", h, err)
			}
		}
		pending = append(pending, p)
	}
	return pending, nil
}

func (k *Keeper) loadFinals(ctx context.Context, a *attempt) error {
	clear(a.finals)
	err := k.each(ctx, store.Prefix(kindFinal, store.ID(a.keyID[:])), func(_ string, value []byte) error {
		f, err := epoch.DecodeFinal(value)
		if err == nil {
			a.keepFinal(f)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read FINALs: %w", err)
	}
	return nil
}

// moment reads a row of 8 bytes, Unix time; zero if there is none.
func (k *Keeper) moment(ctx context.Context, key string) (time.Time, error) {
	it, err := k.cfg.Journal.Store().Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil || len(it.Value) != 8 {
		return time.Time{}, fmt.Errorf("read row %q: %w", key, cmp.Or(err, store.ErrCorrupt))
	}
	return time.Unix(int64(binary.BigEndian.Uint64(it.Value)), 0).UTC(), nil
}

func leftKey(key [32]byte) string { return store.Key(kindLeft, store.ID(key[:])) }

func wantedKey(key [32]byte) string { return store.Key(kindWanted, store.ID(key[:])) }

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

func (k *Keeper) loadProofs(ctx context.Context, w *root) (err error) {
	if w.moved, err = k.moment(ctx, store.Key(kindMoved, store.ID(w.keyID[:]))); err != nil {
		return err
	}
	if w.wanted, err = k.moment(ctx, wantedKey(w.keyID)); err != nil {
		return err
	}
	if w.leftAt, err = k.moment(ctx, leftKey(w.keyID)); err != nil {
		return err
	}
	for id := range w.names { // newcomers' too
		if it, err := k.cfg.Journal.Store().Get(ctx, checksKey(w.ID, id)); err == nil && len(it.Value) == 1 {
			w.checks[id] = int(it.Value[0])
		} else if !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("read failed set-ups: row %q: %w", checksKey(w.ID, id), cmp.Or(err, store.ErrCorrupt))
		}
	}
	for _, p := range w.parties() {
		at, err := k.moment(ctx, provedKey(w.keyID, p.ID))
		if err != nil {
			return err
		}
		if !at.IsZero() {
			w.proofs[p.ID] = at
		}
	}
	return nil
}

func provedKey(key [32]byte, p engine.PartyID) string {
	return store.Key(kindProved, store.ID(key[:]), store.ID(p[:]))
}
