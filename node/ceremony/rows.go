package ceremony

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/memory"
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
	memory.Sweep()
	defer memory.Sweep()
	return protocol.Load(r, k.cfg.Self, k.secrets(ctx, r))
}

// loadShare opens our share alone.
func (k *Keeper) loadShare(ctx context.Context, r *epoch.Record) (group.Scalar, error) {
	memory.Sweep()
	defer memory.Sweep()
	return protocol.LoadShare(r, k.cfg.Self, k.secrets(ctx, r))
}

// secrets reads a record's secret rows.
func (k *Keeper) secrets(ctx context.Context, r *epoch.Record) func(row string) (secret.Bytes, error) {
	eh := r.Hash()
	return func(row string) (secret.Bytes, error) {
		it, err := k.cfg.Journal.Store().Get(ctx, epochKey(r.KeyID, eh, row))
		if errors.Is(err, store.ErrNotFound) && k.dropped(r, row) {
			return secret.Bytes{}, protocol.ErrNoPair
		}
		if err != nil {
			return secret.Bytes{}, fmt.Errorf("read row %s of record %v: %w", row, eh, err)
		}
		return k.cfg.Sealer.Open(k.label(r.KeyID, eh, row), it.Value)
	}
}

// dropped says whether a row is of a pair that was burned: a store that was made from an export has the flag and no state.
func (k *Keeper) dropped(r *epoch.Record, row string) bool {
	return slices.ContainsFunc(k.cfg.Burned(protocol.PairKey(r)), func(p engine.PartyID) bool { return protocol.RowPair(p) == row })
}

// load reads back a vault's attempts, and which of them is in force.
func (k *Keeper) load(ctx context.Context, now time.Time, w *root) error {
	clear(w.attempts)
	w.presents(newAttempt(w, 0))
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
			w.presents(a)
		} else {
			w.attempts[a.keyID] = a
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

// Keyed says whether the store holds a certificate in force of each of a vault's keys.
func (k *Keeper) Keyed(ctx context.Context, v charter.Vault) bool {
	for _, suite := range v.Suites {
		it, err := k.cfg.Journal.Store().Get(ctx, store.Key(kindAttempt, store.ID(v.ID[:]), store.Name(suite)))
		if err != nil || len(it.Value) != 8 {
			return false
		}
		found := false
		for n := min(binary.BigEndian.Uint64(it.Value), maxAttempts); n > 0 && !found; n-- {
			key := epoch.KeyID(v.ID, suite, n)
			it, err := k.cfg.Journal.Store().Get(ctx, store.Key(kindCurrent, store.ID(key[:])))
			found = err == nil && len(it.Value) > 0
		}
		if !found {
			return false
		}
	}
	return true
}

func (k *Keeper) loadAttempt(ctx context.Context, now time.Time, w *root, a *attempt) error {
	var kept epoch.Kept
	var err error
	if kept.Current, err = k.loadCurrent(ctx, a); err != nil {
		return err
	}
	thorough := k.verified.Load() < verifiedAtStart || kept.Current == nil
	if err := k.checkAtStart(a, kept.Current); err != nil {
		return err
	}
	if kept.Gone, err = k.loadGone(ctx, a); err != nil {
		return err
	}
	if kept.Pending, err = k.loadRecords(ctx, a, kept); err != nil {
		return err
	}
	clear(a.finals)
	doubts := map[epoch.Hash]bool{}
	if thorough || len(kept.Pending) > 0 { // else they are of what is in force, and its certificate holds them all
		if err := k.loadFinals(ctx, a); err != nil {
			return err
		}
		if err := k.loadDoubts(ctx, a, doubts); err != nil {
			return err
		}
	}
	if thorough && kept.Current != nil {
		if err := k.checkCurrent(ctx, a, kept.Current.Record.Hash()); err != nil {
			return err
		}
	}
	for i, p := range kept.Pending {
		eh := p.Record.Hash()
		w.made[eh] = p.Record
		kept.Pending[i].Final = a.finals[eh][k.cfg.Self]
		kept.Pending[i].Doubted = doubts[eh] && kept.Pending[i].Final == nil
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
	f, err := epoch.ReadKept(it.Value)
	if err != nil {
		return nil, fmt.Errorf("read the final certificate: %w", err)
	}
	a.kept = sha256.Sum256(it.Value)
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

// loadRecords reads what is neither in force nor gone. Of those that are, no row is read but the first: their secrets are most of a store.
func (k *Keeper) loadRecords(ctx context.Context, a *attempt, kept epoch.Kept) (pending []epoch.Pending, err error) {
	prefix := store.Prefix(kindEpoch, store.ID(a.keyID[:]))
	for after := ""; ; {
		items, err := k.cfg.Journal.Store().Range(ctx, prefix, after, 1)
		if err != nil {
			return nil, fmt.Errorf("read records: %w", err)
		}
		if len(items) == 0 {
			return pending, nil
		}
		eh, _, _ := strings.Cut(strings.TrimPrefix(items[0].Key, prefix), "/")
		raw, err := hex.DecodeString(eh)
		if err != nil || len(raw) != len(epoch.Hash{}) {
			return nil, fmt.Errorf("read records: row %q is malformed", items[0].Key)
		}
		after = prefix + eh + "/\xff" // no row's name goes beyond it
		h := epoch.Hash(raw)
		if _, left := kept.Gone[h]; left || kept.Current != nil && kept.Current.Record.Hash() == h {
			continue
		}
		p, err := k.loadPending(ctx, a, h)
		if err != nil {
			return nil, err
		}
		pending = append(pending, p)
	}
}

// checkCurrent reads the public rows of the record in force. Who holds no share of it, or lost them all, has none.
func (k *Keeper) checkCurrent(ctx context.Context, a *attempt, eh epoch.Hash) error {
	rows, err := k.cfg.Journal.Store().Range(ctx, epochKey(a.keyID, eh, ""), "", 1)
	if err != nil {
		return fmt.Errorf("read records: %w", err)
	}
	if len(rows) > 0 {
		_, err = k.loadPending(ctx, a, eh)
	}
	return err
}

// loadPending reads the public rows of a record that is on its way.
func (k *Keeper) loadPending(ctx context.Context, a *attempt, eh epoch.Hash) (p epoch.Pending, err error) {
	have := map[string][]byte{}
	for _, row := range []string{protocol.RowRecord, rowCert, rowTested} {
		it, err := k.cfg.Journal.Store().Get(ctx, epochKey(a.keyID, eh, row))
		switch {
		case err == nil:
			have[row] = it.Value
		case !errors.Is(err, store.ErrNotFound):
			return p, fmt.Errorf("read row %s of record %v: %w", row, eh, err)
		}
	}
	if p.Record, err = epoch.Decode(have[protocol.RowRecord]); err != nil {
		return p, fmt.Errorf("record %v: %w", eh, err)
	}
	if p.Record.Hash() != eh {
		return p, fmt.Errorf("record %v: the row of that name holds record %v", eh, p.Record.Hash())
	}
	p.Tested = have[rowTested] != nil
	if raw := have[rowCert]; raw != nil {
		if p.Cert, err = epoch.DecodeCert(raw); err != nil {
			return p, fmt.Errorf("record %v: %w", eh, err)
		}
	}
	return p, nil
}

func (k *Keeper) loadFinals(ctx context.Context, a *attempt) error {
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
		if !w.choice.IsZero() && bytes.Equal(it.Value[64:], w.choice.Bytes()) {
			w.signed[strings.TrimPrefix(it.Key, prefix)] = it.Value[:64]
			continue // all choose with the same bytes
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
	err = k.eachParty(ctx, store.Prefix(kindChecks, store.ID(w.ID[:])), 1, func(id engine.PartyID, value []byte) {
		if w.names[id] != "" { // newcomers' too
			w.checks[id] = int(value[0])
		}
	})
	if err != nil {
		return fmt.Errorf("read failed set-ups: %w", err)
	}
	parties := w.parties()
	err = k.eachParty(ctx, store.Prefix(kindProved, store.ID(w.keyID[:])), 8, func(id engine.PartyID, value []byte) {
		if slices.ContainsFunc(parties, func(p mpc.Party) bool { return p.ID == id }) {
			w.proofs[id] = time.Unix(int64(binary.BigEndian.Uint64(value)), 0).UTC()
		}
	})
	if err != nil {
		return fmt.Errorf("read when shares were proved: %w", err)
	}
	return nil
}

// eachParty reads rows named by parties, whose values have a length.
func (k *Keeper) eachParty(ctx context.Context, prefix string, size int, do func(engine.PartyID, []byte)) error {
	return k.each(ctx, prefix, func(name string, value []byte) error {
		raw, err := hex.DecodeString(name)
		if err != nil || len(raw) != len(engine.PartyID{}) || len(value) != size {
			return fmt.Errorf("row %q: %w", prefix+name, store.ErrCorrupt)
		}
		do(engine.PartyID(raw), value)
		return nil
	})
}

func provedKey(key [32]byte, p engine.PartyID) string {
	return store.Key(kindProved, store.ID(key[:]), store.ID(p[:]))
}
