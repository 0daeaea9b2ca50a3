package ceremony

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

func (k *Keeper) move(ctx context.Context, now time.Time, w *root, busy func([32]byte) bool) (*mpc.Setup, error) {
	if w.joining || busy(w.keyID) {
		return nil, nil
	}
	for _, a := range w.sorted() {
		if a.book.Current() != nil && !w.published() {
			return nil, k.choose(ctx, now, w, a)
		}
		if err := k.assemble(ctx, now, w, a); err != nil {
			return nil, err
		}
	}
	k.hear(w)
	pending := w.book.Pending()
	if len(pending) == 0 {
		return k.beginNext(ctx, now, w)
	}
	p := pending[0]
	if _, open := k.emergencies[w.keyID]; open && w.published() && !p.Record.Rescued() {
		// What was on its way waits, and whoever withholds its last word of it makes nobody wait for the emergency's.
		return k.beginNext(ctx, now, w)
	}
	_, member := p.Record.Member(k.cfg.Self)
	if w.published() && w.stuck(now, p) && (!member || !p.Promised() && !k.there(p.Record.Parties(), k.reach(p.Record))) {
		// A member that was in the way for so long may be gone: another attempt, perhaps with another committee.
		if s, err := k.beginNext(ctx, now, w); s != nil || err != nil {
			return s, err
		}
	}
	if !member && p.Cert != nil && !w.orphan(p.Record) {
		return nil, nil // we leave: the new members test it and say FINAL
	}
	switch eh := p.Record.Hash(); {
	case p.Doubted, p.Unheard: // it stays as it is: others may hold our FINAL of it, or it comes to nothing
		return k.beginBeside(ctx, now, w)
	case p.Final == nil && (w.orphan(p.Record) || w.givenUp && !w.published()):
		return nil, k.drop(ctx, now, w, w.attempt, eh)
	case p.Cert == nil && now.Sub(w.since) > pendingLife:
		w.since = now
		return nil, k.drop(ctx, now, w, w.attempt, eh)
	case p.Cert == nil:
		return nil, nil
	case !p.Tested && k.mayOpen(now, w, k.reach(p.Record), p.Record.Parties()):
		return w.setup(now, protocol.ProtocolTest, w.keyID, eh, p.Record.Threshold, p.Record.Parties()), nil
	case !p.Tested && now.Sub(w.since) > finalPatience:
		// Everybody is there, and the test does not come about: somebody refuses it.
		w.since = now
		return nil, k.drop(ctx, now, w, w.attempt, eh)
	case !p.Tested:
		return nil, nil
	case p.Final == nil && !k.mayFollow(w, p.Record):
		return nil, nil
	case p.Final == nil:
		return nil, k.final(ctx, now, w, w.attempt, p)
	default:
		return k.beginBeside(ctx, now, w)
	}
}

// hear notes that all members of a record have greeted this process: were the store an older copy, one of them would have said so.
func (k *Keeper) hear(w *root) {
	for _, a := range w.attempts {
		for _, p := range a.book.Pending() {
			p.Unheard = p.Unheard && !k.there(p.Record.Parties(), k.reach(p.Record))
		}
	}
}

// beginBeside opens a new attempt beside one that we keep: somebody withholds FINAL, or gave the record up. The turns count from the
// end of our patience: if all of them were over by then, all would open at once and refuse each other, again and again.
func (k *Keeper) beginBeside(ctx context.Context, now time.Time, w *root) (*mpc.Setup, error) {
	if patient := w.waiting().Add(w.patience()); patient.After(w.next) {
		w.next = patient
	}
	return k.beginNext(ctx, now, w)
}

// orphan says that a record can never be tested here any more: an older attempt came into force after all, when its last FINAL
// did, and this one is no child of that.
func (w *root) orphan(r *epoch.Record) bool {
	c := w.book.Current()
	return c != nil && r.Prev != c.Record.Hash()
}

// beginNext opens what comes after the last attempt: a key, or new shares of it where they are due.
func (k *Keeper) beginNext(ctx context.Context, now time.Time, w *root) (*mpc.Setup, error) {
	if !w.published() {
		return k.anew(now, w), nil
	}
	if x, ok := k.emergencies[w.keyID]; ok {
		return k.rescue(ctx, now, w, x)
	}
	if s, ready, err := k.reshare(ctx, now, w); ready || err != nil {
		return s, err
	}
	return k.refresh(ctx, now, w)
}

// anew opens the next attempt, if it is our turn and nobody is held to blame.
func (k *Keeper) anew(now time.Time, w *root) *mpc.Setup {
	if err := w.blamed(); err != nil {
		w.lastErr = err
		return nil
	}
	if held, missing := w.promised(); held >= maxHeld {
		w.lastErr = fmt.Errorf("vault %s: %d attempts at its key wait for the last word of %s; the next is made %s after the last: bring their nodes back, or make the vault anew without them",
			w.title(), held, missing, w.patience())
	}
	if w.givenUp || w.number >= maxAttempts || !k.mayOpen(now, w, k.cfg.Reachable, w.genesis) {
		return nil
	}
	s := w.setup(now, protocol.ProtocolKeygen, epoch.KeyID(w.ID, w.suite, w.number+1), epoch.Hash{}, w.Threshold, w.genesis)
	s.Payload = protocol.GuardedBy(w.guards(w.Threshold), w.genesis, w.Threshold).Encode()
	return s
}

// mayOpen says whether it is our turn: all parties are there, the lowest index opens at
// once, each next one 5 s later.
func (k *Keeper) mayOpen(now time.Time, w *root, there func(engine.PartyID) bool, parties []mpc.Party) bool {
	rank := 0
	if !slices.ContainsFunc(parties, func(p mpc.Party) bool { return p.ID == k.cfg.Self }) {
		return false
	}
	for i, p := range parties {
		switch {
		case p.ID == k.cfg.Self:
			rank = i
		case !there(p.ID):
			w.since = now
			return false
		}
	}
	// The turns count from when anybody may open, also after a failure: two that open the same
	// attempt at the same moment would refuse each other's, and again the next time.
	from := w.since
	if w.next.After(from) {
		from = w.next
	}
	return !now.Before(from.Add(time.Duration(rank) * turn))
}

func (w *root) setup(now time.Time, protocolName string, key [32]byte, eh epoch.Hash, threshold int, parties []mpc.Party) *mpc.Setup {
	return &mpc.Setup{
		Protocol: protocolName, Suite: w.suite, KeyID: key, Epoch: eh, Threshold: threshold,
		Parties: parties, NotAfter: now.Add(setupLife).UTC().Truncate(time.Second),
	}
}

// drop gives a record up, unless the book forbids it: we said FINAL of it, so it may come
// into force, and our share with it.
func (k *Keeper) drop(ctx context.Context, now time.Time, w *root, a *attempt, eh epoch.Hash) error {
	if err := a.book.MayDrop(eh); err != nil {
		return err
	}
	if err := k.cfg.Journal.Write(ctx, k.goneEntry(now, w, a, eh, epoch.Dropped)); err != nil {
		return err
	}
	return a.book.Drop(eh)
}

// final proves our share, as read back from storage, and says FINAL (protocols.md 1.5
// step 4). It is durable before it is sent: there is one FINAL of ours per record.
func (k *Keeper) final(ctx context.Context, now time.Time, w *root, a *attempt, p *epoch.Pending) error {
	if _, err := a.book.MayFinal(p.Record.Hash()); err != nil {
		return err
	}
	if burned := k.cfg.Burned(protocol.PairKey(p.Record)); len(burned) > 0 {
		// A test of it failed: others may hold one that succeeded, but its pairs are of no use to us.
		return k.drop(ctx, now, w, a, p.Record.Hash())
	}
	keys, err := k.loadKeys(ctx, p.Record)
	if err != nil {
		return err
	}
	defer keys.Wipe()
	f, err := epoch.MakeFinal(p.Record, p.Cert, k.cfg.Self, keys.Share, k.cfg.Rand, k.sign)
	if err != nil {
		return err
	}
	e := k.finalEntry(now, w, a, f, now)
	e.If = append(e.If, store.Absent(store.Key(kindGone, store.ID(a.keyID[:]), store.ID(f.Record[:]))))
	if err := k.cfg.Post(ctx, now, e, outbox.Note{Kind: NoteFinal, Fields: [][]byte{f.Encode()}}); err != nil {
		return err
	}
	a.keepFinal(f)
	p.Final, w.proofs[f.From], w.since, w.said = f, now, now, now
	return k.assemble(ctx, now, w, a)
}

// finalEntry keeps a FINAL, and since when it proves its maker's share, unless a later proof is known.
func (k *Keeper) finalEntry(now time.Time, w *root, a *attempt, f *epoch.Final, proved time.Time) journal.Entry {
	e := journal.Entry{Leaves: []tlog.Filed{tlog.Says(tlog.KindFinal, now, w.ID, f.Encode()).On(f.Record)}}
	e.Put = []store.Entry{{Key: store.Key(kindFinal, store.ID(a.keyID[:]), store.ID(f.Record[:]), store.ID(f.From[:])), Value: f.Encode()}}
	if proved.After(w.proofs[f.From]) {
		e.Put = append(e.Put, provedRow(a.keyID, f.From, proved))
	}
	return e
}

// assemble makes the final certificate of whatever record has all its FINALs: only it moves us.
func (k *Keeper) assemble(ctx context.Context, now time.Time, w *root, a *attempt) error {
	for _, p := range a.book.Pending() {
		f := &epoch.FinalCert{Record: p.Record, Cert: p.Cert}
		finals := a.finals[p.Record.Hash()]
		for _, m := range p.Record.Members {
			if final := finals[m.ID]; final != nil {
				f.Finals = append(f.Finals, final)
			}
		}
		if p.Cert == nil || len(f.Finals) < len(p.Record.Members) || !k.mayFollow(w, p.Record) {
			continue
		}
		checked, err := epoch.DecodeFinalCert(f.Encode())
		if err != nil {
			return err
		}
		n := outbox.Note{Kind: NoteFinalCert, Fields: [][]byte{checked.Encode()}}
		return k.adopt(ctx, now, w, a, checked, func(e journal.Entry) error { return k.cfg.Post(ctx, now, e, n) })
	}
	return nil
}

// adopt lets the book decide on a final certificate, and keeps what it decided together with the end of all that is
// lower: a certificate that the book refuses never replaces the one in the store (protocols.md 1.5 step 4).
func (k *Keeper) adopt(ctx context.Context, now time.Time, w *root, a *attempt, f *epoch.FinalCert, write func(journal.Entry) error) error {
	_, was := a.book.Seat(k.cfg.Self)
	erase, moved := a.book.Adopt(f)
	if !moved {
		return outbox.ErrOld
	}
	// A crash between finds the rest again: Restore names what is lower.
	first := erase[:min(len(erase), eraseAtOnce)]
	e := k.currentEntry(now, w, a, f, first)
	_, is := a.book.Seat(k.cfg.Self)
	leftAt := w.leftAt
	switch {
	case was && !is:
		leftAt = a.madeAt(f.Record, now)
		e.Put = append(e.Put, store.Entry{Key: leftKey(a.keyID), Value: binary.BigEndian.AppendUint64(nil, uint64(leftAt.Unix()))})
	case is && !leftAt.IsZero():
		leftAt = time.Time{}
		e.Delete = append(e.Delete, leftKey(a.keyID))
	}
	err := write(e)
	if err == nil {
		err = k.eraseAll(ctx, now, w, a, erase[len(first):])
	}
	if err != nil {
		// The book is ahead of the store: read it back.
		return errors.Join(err, k.reload(ctx, now, w))
	}
	a.vague = nil // it came in force before our eyes
	w.past[f.Record.Hash()], w.sinces[f.Record.Hash()] = f.Record, now
	if k.cfg.InForce != nil {
		k.cfg.InForce()
	}
	k.settle(w)
	k.succeed(w)
	if err := k.lookForShare(ctx, w, a); err != nil {
		return errors.Join(err, k.reload(ctx, now, w))
	}
	if a != w.attempt && w.published() {
		return nil // an old attempt's key came into force after all: it is not the one that the vault publishes
	}
	clear(w.masks) // they are of the epoch before
	w.moved, w.since, w.fails, w.lastErr, w.overdue = a.madeAt(f.Record, now), now, 0, nil, false
	w.numbers = numbers{}
	clear(w.opened) // an attempt that came into force was no waste: the next may follow at once
	w.leftAt = leftAt
	if f.Record.Epoch > 0 {
		if w.served(a, f.Record, now) {
			w.wanted = time.Time{}
		}
		return nil
	}
	return k.choose(ctx, now, w, a)
}

// eraseAtOnce records are erased in one batch: an entry has its bounds.
const eraseAtOnce = 2

// eraseAll erases records, however many they are.
func (k *Keeper) eraseAll(ctx context.Context, now time.Time, w *root, a *attempt, erase []epoch.Hash) error {
	for some := range slices.Chunk(erase, eraseAtOnce) {
		var e journal.Entry
		for _, eh := range some {
			e.Add(k.goneEntry(now, w, a, eh, epoch.Erased))
		}
		if err := k.cfg.Journal.Write(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) currentEntry(now time.Time, w *root, a *attempt, f *epoch.FinalCert, erase []epoch.Hash) journal.Entry {
	eh := f.Record.Hash()
	e := journal.Entry{
		Batch: store.Batch{Put: []store.Entry{
			{Key: store.Key(kindCurrent, store.ID(a.keyID[:])), Value: f.Encode()},
			{Key: store.Key(kindLink, store.ID(a.keyID[:]), store.Number(f.Record.Epoch), store.ID(eh[:])), Value: f.Encode()},
			{Key: store.Key(kindMoved, store.ID(a.keyID[:])), Value: binary.BigEndian.AppendUint64(nil, uint64(a.madeAt(f.Record, now).Unix()))},
			{Key: store.Key(kindSince, store.ID(a.keyID[:]), store.ID(eh[:])), Value: binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))},
		}},
		Leaves: []tlog.Filed{tlog.Says(tlog.KindFinalCert, now, w.ID, f.Encode()).On(eh)},
	}
	e.Delete = append(e.Delete, doubtKey(a.keyID, eh))
	for _, lower := range erase {
		e.Add(k.goneEntry(now, w, a, lower, epoch.Erased))
	}
	if f.Record.Epoch > 0 && a == w.attempt && w.served(a, f.Record, now) {
		e.Delete = append(e.Delete, wantedKey(a.keyID))
	}
	return e
}

// served says whether new shares are those that our operator asked for: none that were made before the word.
func (w *root) served(a *attempt, r *epoch.Record, now time.Time) bool {
	return !w.wanted.After(a.madeAt(r, now))
}

// choose signs, once per suite of a vault, that this key is the one that the vault publishes. Our share
// is read back first: a node without it must not help to give out addresses.
func (k *Keeper) choose(ctx context.Context, now time.Time, w *root, a *attempt) error {
	if w.signed[k.cfg.Operator] != nil || a.bare {
		return nil
	}
	keys, err := k.loadKeys(ctx, a.book.Current().Record)
	if err != nil {
		return fmt.Errorf("the key is not chosen, since our share of it does not load: %w", err)
	}
	keys.Wipe()
	s, err := w.keyStatement(a)
	if err != nil {
		return err
	}
	if !w.choice.IsZero() && w.choice.ID() != s.ID() {
		return nil // others chose another attempt: its certificate decides when it comes
	}
	sig, err := signet.SignNode(k.cfg.Identity, s)
	if err != nil {
		return err
	}
	n := outbox.Note{Kind: NoteChoice, Fields: [][]byte{s.Bytes(), []byte(k.cfg.Operator), sig}}
	if err := k.cfg.Post(ctx, now, k.choiceEntry(now, w, s, k.cfg.Operator, sig), n); err != nil {
		return err
	}
	w.attempt = a
	w.choice, w.signed[k.cfg.Operator] = s, sig
	return nil
}

// keyStatement is the choice of the key that follows from what is in force here.
func (w *root) keyStatement(a *attempt) (statement.Statement, error) {
	f := a.book.Current()
	return charter.KeyChoice{
		Charter: w.Charter, Vault: w.ID, Key: a.keyID, Attempt: a.number, Suite: w.suite,
		PublicKey: f.Record.Public.Bytes(), Epoch: f.Record.Hash(), Certificate: f.Sum(),
	}.Statement()
}

func (k *Keeper) choiceEntry(now time.Time, w *root, s statement.Statement, operator string, sig []byte) journal.Entry {
	return journal.Entry{
		Batch: store.Batch{Put: []store.Entry{{
			Key: store.Key(kindChoice, store.ID(w.ID[:]), store.Name(w.suite), store.Name(operator)), Value: append(slices.Clone(sig), s.Bytes()...),
		}}},
		// All members choose with the same bytes: each leaf shows the signature that is new.
		Leaves: []tlog.Filed{tlog.Says(tlog.KindStatement, now, w.ID, s.Bytes(), sig)},
	}
}

// Stale lists the operators whose share has not proved itself within a day.
func (v View) Stale(now time.Time) (names []string) {
	for _, p := range v.Parties {
		if now.Sub(v.Proofs[p.ID]) > 24*time.Hour {
			names = append(names, v.Names[p.ID])
		}
	}
	return names
}

// ProveAll asks every member to prove its share now. Only proofs over a challenge of ours
// count here: one made beforehand shows nothing.
func (k *Keeper) ProveAll(ctx context.Context, now time.Time, vault statement.ID, suite string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.damagedOf(rootID{vault, suite}); err != nil {
		return err
	}
	w := k.roots[rootID{vault, suite}]
	if w == nil || !w.published() {
		return ErrNoKey
	}
	var challenge [32]byte
	if _, err := io.ReadFull(k.cfg.Rand, challenge[:]); err != nil {
		return fmt.Errorf("draw a challenge: %w", err)
	}
	for c, at := range w.asked {
		if now.Sub(at) > proofSkew {
			delete(w.asked, c)
		}
	}
	w.asked[challenge] = now
	k.cfg.Challenge(w.keyID, challenge)
	if _, seated := w.book.Seat(k.cfg.Self); !seated {
		return nil // we have no share to prove
	}
	if w.bare {
		return k.bareError(w)
	}
	return k.prove(ctx, now, w, challenge)
}

func (w *root) member(id engine.PartyID) bool {
	return slices.ContainsFunc(w.genesis, func(p mpc.Party) bool { return p.ID == id })
}
