package ceremony

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/evidence/tlog"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/mpc/pair"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
)

// Admit decides whether we take part in a keygen or test session. It believes nothing in
// the Setup: key id, roster, threshold and suite follow from the vault that our officer
// accepted, the record from our own store.
func (k *Keeper) Admit(ctx context.Context, now time.Time, s *mpc.Setup) (*session.Task, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch s.Protocol {
	case protocol.ProtocolKeygen:
		return k.admitKeygen(now, s)
	case protocol.ProtocolTest:
		return k.admitTest(ctx, now, s)
	case protocol.ProtocolRefresh:
		return k.admitRefresh(ctx, now, s)
	case protocol.ProtocolReshare:
		return k.admitReshare(ctx, now, s)
	case protocol.ProtocolRescue:
		return k.admitRescue(ctx, now, s)
	}
	return nil, fmt.Errorf("protocol %q is not known here", s.Protocol)
}

// find looks for the vault and attempt that a key id belongs to. A Setup may skip any number
// of attempts: a node whose clock was wrong, or that was away, must find back to the others.
func (k *Keeper) find(key [32]byte) (*root, uint64) {
	w, a := k.owner(key)
	if w == nil || w.damage != nil || a < w.number {
		return nil, 0
	}
	return w, a
}

// place is a key generation of a root.
type place struct {
	root   *root
	number uint64
}

// index notes the key ids that a root may come to: whoever asks for one that is not known costs a look-up, and not a search of all roots.
// One that has its key comes to no other.
func (k *Keeper) index(w *root) {
	w.top = maxAttempts
	if w.attempt != nil && w.damage == nil && w.hasKey() {
		w.top = w.last()
	}
	for a := uint64(1); a <= w.top; a++ {
		id := epoch.KeyID(w.ID, w.suite, a)
		k.ids[[16]byte(id[:])] = place{w, a}
	}
}

// settle forgets the key ids that a root comes to no more, once it has a key: a thousand of them are more than all else that is held of it.
func (k *Keeper) settle(w *root) {
	if !w.hasKey() {
		return
	}
	for ; w.top > w.last(); w.top-- {
		id := epoch.KeyID(w.ID, w.suite, w.top)
		delete(k.ids, [16]byte(id[:]))
	}
}

// last is the number of the last attempt that is known here.
func (w *root) last() (n uint64) {
	n = w.number
	for _, a := range w.attempts {
		n = max(n, a.number)
	}
	return n
}

// owner finds the root and key generation of a key id.
func (k *Keeper) owner(key [32]byte) (*root, uint64) {
	p, known := k.ids[[16]byte(key[:])]
	if !known || epoch.KeyID(p.root.ID, p.root.suite, p.number) != key {
		return nil, 0
	}
	return p.root, p.number
}

func sameParties(a, b []mpc.Party) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].ID != b[i].ID || a[i].Index != b[i].Index || !bytes.Equal(a[i].Identity, b[i].Identity) {
			return false
		}
	}
	return true
}

func (k *Keeper) admitKeygen(now time.Time, s *mpc.Setup) (*session.Task, error) {
	if err := k.ownerDamaged(s.KeyID); err != nil {
		return nil, err
	}
	w, number := k.find(s.KeyID)
	switch {
	case w == nil:
		return nil, fmt.Errorf("key %x belongs to no vault that this node's officer accepted, or to an old attempt", s.KeyID[:6])
	case number <= w.number:
		return nil, fmt.Errorf("vault %s: attempt %d is over", w.title(), number)
	case s.Suite != w.suite || s.Threshold != w.Threshold || !sameParties(s.Parties, w.genesis) || s.Epoch != [32]byte{}:
		return nil, fmt.Errorf("vault %s: the setup's suite, threshold, committee or epoch is not the vault's", w.title())
	case w.hasKey():
		return nil, fmt.Errorf("vault %s has a key", w.title())
	case w.givenUp:
		return nil, fmt.Errorf("vault %s is given up: this node's officer signed another of that name", w.title())
	case w.joining:
		return nil, fmt.Errorf("vault %s: another attempt is being joined", w.title())
	case number > maxAttempts:
		return nil, fmt.Errorf("vault %s: %d attempts to make its key failed: find out why, then make the vault anew", w.title(), maxAttempts)
	}
	if err := cmp.Or(w.tooSoon(now, s.Opener, k.cfg.Self), w.blamed()); err != nil {
		return nil, err
	}
	// Give up what older attempts prepared. What we said FINAL of stays for ever: it may come
	// into force elsewhere, and the one key choice that we sign decides between the two.
	var e journal.Entry
	var dropped []func() error
	for _, a := range w.sorted() {
		for _, p := range a.book.Pending() {
			if eh := p.Record.Hash(); !p.Promised() {
				e.Add(k.goneEntry(now, w, a, eh, epoch.Dropped))
				dropped = append(dropped, func() error { return a.book.Drop(eh) })
			}
		}
	}
	e.Put = append(e.Put, store.Entry{Key: attemptKey(w), Value: binary.BigEndian.AppendUint64(nil, number)})
	e.Leaves = append(e.Leaves, tlog.Notes(tlog.KindSession, now, w.ID, s.Hash()).On(w.keyID))
	w.joining = true
	w.noteOpened(now, s.Opener)
	plan := w.guards(w.Threshold)
	t := k.makingTask(w, s, plan, fmt.Sprintf("keygen of vault %s, attempt %d", w.title(), number), func(seat protocol.Seat) (engine.Stage[protocol.Prepared], error) {
		return protocol.Keygen(seat, plan)
	})
	t.Admit = e
	t.Admitted = func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, drop := range dropped {
			if err := drop(); err != nil {
				k.cfg.Log.Error("record not given up", "vault", w.title(), "error", err)
			}
		}
		w.joining = false
		k.begin(w, newAttempt(w, number))
	}
	k.joins(w, t)
	return t, nil
}

// joins lets go of the place that an attempt takes while it is admitted: only that attempt may, or what another admission gives
// up would be said FINAL of meanwhile.
func (k *Keeper) joins(w *root, t *session.Task) {
	admitted, done := t.Admitted, t.Done
	in := false
	t.Admitted = func() { in = true; admitted() }
	t.Done = func(ctx context.Context, now time.Time, err error, sentLast bool) {
		if !in {
			k.mu.Lock()
			w.joining = false
			k.mu.Unlock()
		}
		done(ctx, now, err, sentLast)
	}
}

// maxAttempts bounds the key generations of one vault.
const maxAttempts = 1000

// hasKey says whether any attempt's key is in force here.
func (w *root) hasKey() bool {
	for _, a := range w.attempts {
		if a.book.Current() != nil {
			return true
		}
	}
	return false
}

// sorted lists the attempts, the oldest first.
func (w *root) sorted() []*attempt {
	as := slices.Collect(maps.Values(w.attempts))
	slices.SortFunc(as, func(x, y *attempt) int { return cmp.Compare(x.number, y.number) })
	return as
}

// goneEntry ends a record for ever: its mark, and its secrets gone, with the burn flags of its pairs, which nothing can use again.
func (k *Keeper) goneEntry(now time.Time, w *root, a *attempt, eh epoch.Hash, how epoch.Departure) journal.Entry {
	kind := tlog.KindDrop
	if how == epoch.Erased {
		kind = tlog.KindErase
	}
	e := journal.Entry{Leaves: []tlog.Filed{tlog.Notes(kind, now, w.ID, eh)}}
	if how == epoch.Dropped {
		e.If = append(e.If, store.Absent(store.Key(kindFinal, store.ID(a.keyID[:]), store.ID(eh[:]), store.ID(k.cfg.Self[:]))), store.Absent(doubtKey(a.keyID, eh)))
	}
	e.Put = []store.Entry{{Key: store.Key(kindGone, store.ID(a.keyID[:]), store.ID(eh[:])), Value: []byte{byte(how)}}}
	e.Delete = append(e.Delete, epochKey(a.keyID, eh, protocol.RowShare), epochKey(a.keyID, eh, protocol.RowMask), epochKey(a.keyID, eh, protocol.RowBackups), epochKey(a.keyID, eh, protocol.RowGuards), doubtKey(a.keyID, eh))
	for _, id := range w.peersOf(eh) {
		if id != k.cfg.Self {
			e.Delete = append(e.Delete, epochKey(a.keyID, eh, protocol.RowPair(id)), store.BurnKey(eh[:], id[:]))
		}
	}
	slices.Sort(e.Delete)
	return e
}

// makingTask is a ceremony that makes shares: it keeps what it made before PREP leaves, and reads it back. first makes its
// machine's first stage.
func (k *Keeper) makingTask(w *root, s *mpc.Setup, plan *guard.Plan, title string, first func(protocol.Seat) (engine.Stage[protocol.Prepared], error)) *session.Task {
	var saved *epoch.Record
	var now time.Time // of the save
	return &session.Task{
		Timeout: keygenTimeout, Title: title,
		Begin: func(seat protocol.Seat) (session.Machine, error) {
			stage, err := first(seat)
			if err != nil {
				return nil, err
			}
			es, err := protocol.Engine(seat, stage)
			if err != nil {
				return nil, err
			}
			return session.NewMachine(es, 0, func(ctx context.Context, now time.Time, p *protocol.Prepared) error {
				return k.certified(ctx, now, p)
			}), nil
		},
		Save: func(at time.Time, rows []engine.Record) (journal.Entry, error) {
			now = at
			for _, r := range rows {
				if r.Name == protocol.RowRecord {
					var err error
					if saved, err = epoch.Decode(r.Value); err != nil {
						return journal.Entry{}, err
					}
				}
			}
			if saved == nil {
				return journal.Entry{}, errors.New("the ceremony keeps no record")
			}
			_, e, err := k.keep(s.KeyID, rows)
			e.Leaves = append(e.Leaves, tlog.Says(tlog.KindRecord, now, w.ID, saved.Encode()).On(saved.Hash()))
			return e, err
		},
		Saved: func(ctx context.Context) error {
			var err error
			if _, member := saved.Member(k.cfg.Self); member {
				keys, err := k.loadKeys(ctx, saved)
				if err != nil {
					return err
				}
				keys.Wipe()
				if err := k.readBackups(ctx, plan, saved); err != nil {
					return err
				}
			}
			k.mu.Lock()
			defer k.mu.Unlock()
			w.made[saved.Hash()] = saved
			if w.keyID != s.KeyID || w.givenUp && s.Protocol == protocol.ProtocolKeygen {
				err = fmt.Errorf("attempt %x was given up meanwhile", s.KeyID[:6])
			} else if !k.mayPrepare(w, saved) { // an emergency came after the session began: our PREP does not leave
				err = w.heldError("PREP", saved)
			} else if s.Protocol == protocol.ProtocolReshare || s.Protocol == protocol.ProtocolRescue {
				err = w.book.PrepareLower(saved) // its threshold, lower or not, is what our officer agreed to, or the plan that all signed: admitReshare, admitRescue
			} else {
				err = w.book.Prepare(saved)
			}
			if err == nil {
				w.prepared[saved.Hash()] = now
				return nil
			}
			// What was kept belongs to no book: it must not come back with the next start.
			return errors.Join(err, k.cfg.Journal.Write(ctx, k.goneEntry(now, w, &attempt{keyID: s.KeyID}, saved.Hash(), epoch.Dropped)))
		},
		Done: func(ctx context.Context, now time.Time, err error, _ bool) { k.ended(ctx, w, s, now, err) },
	}
}

// ended notes how a session ended, and when to try again. A test that failed by anybody's
// fault gives the record up, unless we said FINAL of it: its shares or pairs are not good.
func (k *Keeper) ended(ctx context.Context, w *root, s *mpc.Setup, now time.Time, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if w.keyID != s.KeyID {
		return
	}
	w.lastErr, w.since = err, now
	if err == nil {
		return
	}
	if s.Protocol == protocol.ProtocolRescue { // its window is short, and others may come to it a moment later: each by its own clock
		w.next = now.Add(rescueRetry)
	} else if !w.noteFailed(now, s.Opener, k.cfg.Self, err) {
		w.next = now.Add(retry << min(w.fails, maxDoubling))
		w.fails++
	}
	w.remember(now, err)
	var checks *pair.CheckFailed
	if errors.As(err, &checks) {
		k.countChecks(ctx, w, checks.Peers)
	}
	var fault *engine.Fault
	if s.Protocol == protocol.ProtocolTest && errors.As(err, &fault) && fault.Class != engine.Transient {
		if dropErr := k.drop(ctx, now, w, w.attempt, epoch.Hash(s.Epoch)); dropErr != nil {
			k.cfg.Log.Error("record not given up", "vault", w.title(), "error", dropErr)
		}
	}
}

// maxChecks is how often a pair's set-up may fail with one peer: the failures tell a liar
// about base OT choices, so the third is held against it (protocols.md 2.2).
const maxChecks = 3

func checksKey(vault [32]byte, peer engine.PartyID) string {
	return store.Key(kindChecks, store.ID(vault[:]), store.ID(peer[:]))
}

// countChecks counts failed set-ups with these peers, durably.
func (k *Keeper) countChecks(ctx context.Context, w *root, peers []engine.PartyID) {
	var e journal.Entry
	for _, p := range peers {
		w.checks[p]++
		e.Put = append(e.Put, store.Entry{Key: checksKey(w.ID, p), Value: []byte{byte(min(w.checks[p], 255))}})
	}
	if err := k.cfg.Journal.Write(ctx, e); err != nil {
		k.cfg.Log.Error("failed set-ups not counted", "vault", w.title(), "error", err)
	}
}

// blamed names a peer with whom set-up failed too often.
func (w *root) blamed() error {
	for _, p := range w.parties() {
		if w.checks[p.ID] >= maxChecks {
			return fmt.Errorf("vault %s: pair set-up with %s failed %d times: it is to blame; make the vault anew without it, or once its operator has found the cause", w.title(), w.names[p.ID], w.checks[p.ID])
		}
	}
	return nil
}

// certified keeps the certificate of a record that we prepared, and passes it on: a member
// that crashed before it saw all PREPs finds it here.
func (k *Keeper) certified(ctx context.Context, now time.Time, p *protocol.Prepared) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	w, a, err := k.of(p.Record.KeyID[:])
	if err != nil {
		return err
	}
	// Durable first: FINAL rests on it (protocols.md 1.5 step 4).
	if err := a.book.CheckCert(p.Cert); err != nil {
		return err
	}
	// The book learns of it when it is durable: else a test and our FINAL would stand on the disk without it.
	n := outbox.Note{Kind: NoteCert, Fields: [][]byte{p.Record.Encode(), p.Cert.Encode()}}
	if err := k.cfg.Post(ctx, now, k.certEntry(now, w, a, p.Cert), n); err != nil {
		return err
	}
	return a.book.Certify(p.Cert)
}

func (k *Keeper) certEntry(now time.Time, w *root, a *attempt, c *epoch.Cert) journal.Entry {
	return journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: epochKey(a.keyID, c.Record, rowCert), Value: c.Encode()}}},
		Leaves: []tlog.Filed{tlog.Says(tlog.KindCert, now, w.ID, c.Encode()).On(c.Record)},
	}
}

func (k *Keeper) admitTest(ctx context.Context, now time.Time, s *mpc.Setup) (*session.Task, error) {
	w, a, err := k.of(s.KeyID[:])
	if err != nil {
		return nil, err
	}
	p, err := a.book.MayTest(epoch.Hash(s.Epoch))
	if err != nil {
		return nil, fmt.Errorf("vault %s: %w", w.title(), err)
	}
	if err := k.cfg.Fit(ctx, now, s, protocol.PairKey(p.Record)); err != nil {
		return nil, err
	}
	if !sameParties(s.Parties, p.Record.Parties()) {
		return nil, fmt.Errorf("vault %s: a test needs all members of record %v", w.title(), p.Record.Hash())
	}
	if err := w.tooFast(now, s.Opener, k.cfg.Self, 0); err != nil {
		return nil, err
	}
	keys, err := k.loadKeys(ctx, p.Record)
	if err != nil {
		return nil, err
	}
	return k.testTask(w, a, p.Record, s, keys), nil
}

func (k *Keeper) testTask(w *root, a *attempt, r *epoch.Record, s *mpc.Setup, keys *protocol.Keys) *session.Task {
	return &session.Task{
		Hedge:   secret.New(keys.Share.Bytes()),
		Timeout: testTimeout, Title: fmt.Sprintf("test signature of vault %s", w.title()), Pairs: protocol.PairKey(r),
		Begin: func(seat protocol.Seat) (session.Machine, error) {
			stage, err := protocol.Test(seat, keys)
			if err != nil {
				return nil, err
			}
			es, err := protocol.Engine(seat, stage)
			if err != nil {
				return nil, err
			}
			return session.NewMachine(es, protocol.SignRounds(r.Suite), func(ctx context.Context, now time.Time, _ *protocol.Signature) error {
				return k.tested(ctx, now, w, a, r.Hash())
			}), nil
		},
		Done: func(ctx context.Context, now time.Time, err error, _ bool) {
			keys.Wipe()
			k.ended(ctx, w, s, now, err)
		},
	}
}

// tested keeps that the test signature over all shares and pairs succeeded.
func (k *Keeper) tested(ctx context.Context, now time.Time, w *root, a *attempt, eh epoch.Hash) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, err := a.book.MayTest(eh); err != nil {
		return err
	}
	// Durable first: FINAL rests on it (protocols.md 1.5 step 4).
	err := k.cfg.Journal.Write(ctx, journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: epochKey(a.keyID, eh, rowTested), Value: []byte{1}}}},
		Leaves: []tlog.Filed{tlog.Notes(tlog.KindTested, now, w.ID, eh)},
	})
	if err != nil {
		return err
	}
	return a.book.Tested(eh)
}
