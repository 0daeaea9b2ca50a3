package ceremony

import (
	"context"
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

// Tick moves every vault's key one step where it is ours to move, and returns the sessions
// that this node should open now. busy says whether a session of this key is open here.
func (k *Keeper) Tick(ctx context.Context, now time.Time, busy func(key [32]byte) bool) (open []*mpc.Setup) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.all() {
		s, err := k.move(ctx, now, w, busy)
		if err != nil {
			w.lastErr = err
			k.cfg.Log.Error("vault's key does not move on", "vault", w.title(), "error", err)
		}
		if s != nil {
			open = append(open, s)
		}
	}
	return open
}

func (k *Keeper) move(ctx context.Context, now time.Time, w *root, busy func([32]byte) bool) (*mpc.Setup, error) {
	if w.published() || w.joining || busy(w.keyID) {
		return nil, nil
	}
	for _, a := range w.sorted() {
		if a.book.Current() != nil {
			return nil, k.choose(ctx, now, w, a)
		}
		if err := k.assemble(ctx, now, w, a); err != nil {
			return nil, err
		}
	}
	pending := w.book.Pending()
	if len(pending) == 0 {
		return k.anew(now, w), nil
	}
	p := pending[0]
	switch eh := p.Record.Hash(); {
	case p.Cert == nil && now.Sub(w.since) > pendingLife:
		w.since = now
		return nil, k.drop(ctx, now, w, w.attempt, eh)
	case p.Cert == nil:
		return nil, nil
	case !p.Tested && k.mayOpen(now, w):
		return w.setup(now, protocol.ProtocolTest, w.keyID, eh), nil
	case !p.Tested:
		return nil, nil
	case p.Final == nil:
		return nil, k.final(ctx, now, w, w.attempt, p)
	case now.Sub(w.since) > finalPatience:
		// Somebody withholds FINAL, or gave the record up: a new attempt beside it.
		return k.anew(now, w), nil
	}
	return nil, nil
}

// anew opens the next attempt, if it is our turn and nobody is held to blame.
func (k *Keeper) anew(now time.Time, w *root) *mpc.Setup {
	if err := w.blamed(); err != nil {
		w.lastErr = err
		return nil
	}
	if w.number >= maxAttempts || !k.mayOpen(now, w) {
		return nil
	}
	return w.setup(now, protocol.ProtocolKeygen, epoch.KeyID(w.ID, w.suite, w.number+1), epoch.Hash{})
}

// mayOpen says whether it is our turn: all members are there, the lowest index opens at
// once, each next one 5 s later.
func (k *Keeper) mayOpen(now time.Time, w *root) bool {
	rank := 0
	for i, p := range w.parties {
		switch {
		case p.ID == k.cfg.Self:
			rank = i
		case !k.cfg.Reachable(p.ID):
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

func (w *root) setup(now time.Time, protocolName string, key [32]byte, eh epoch.Hash) *mpc.Setup {
	return &mpc.Setup{
		Protocol: protocolName, Suite: w.suite, KeyID: key, Epoch: eh, Threshold: w.Threshold,
		Parties: w.parties, NotAfter: now.Add(setupLife).UTC().Truncate(time.Second),
	}
}

// drop gives a record up, unless the book forbids it: we said FINAL of it, so it may come
// into force, and our share with it.
func (k *Keeper) drop(ctx context.Context, now time.Time, w *root, a *attempt, eh epoch.Hash) error {
	if err := a.book.MayDrop(eh); err != nil {
		return err
	}
	if err := k.cfg.Journal.Write(ctx, k.dropEntry(now, w, a, eh)); err != nil {
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
	keys, err := k.loadKeys(ctx, p.Record)
	if err != nil {
		return err
	}
	defer keys.Wipe()
	f, err := epoch.MakeFinal(p.Record, p.Cert, k.cfg.Self, keys.Share, k.cfg.Rand, k.sign)
	if err != nil {
		return err
	}
	if err := k.cfg.Post(ctx, now, k.finalEntry(now, w, a, f), outbox.Note{Kind: NoteFinal, Fields: [][]byte{f.Encode()}}); err != nil {
		return err
	}
	p.Final, a.finals[f.From], w.proofs[f.From], w.since = f, f, now, now
	return k.assemble(ctx, now, w, a)
}

func (k *Keeper) finalEntry(now time.Time, w *root, a *attempt, f *epoch.Final) journal.Entry {
	e := journal.Entry{Leaves: []tlog.Leaf{{Kind: tlog.KindFinal, Time: now, Vault: w.ID, ID: f.Record}}}
	e.Put = []store.Entry{
		{Key: store.Key(kindFinal, store.ID(a.keyID[:]), store.ID(f.Record[:]), store.ID(f.From[:])), Value: f.Encode()},
		provedRow(a.keyID, f.From, now),
	}
	return e
}

// assemble makes the final certificate once all FINALs are there: only it moves us.
func (k *Keeper) assemble(ctx context.Context, now time.Time, w *root, a *attempt) error {
	pending := a.book.Pending()
	if len(pending) == 0 || pending[0].Cert == nil {
		return nil
	}
	f := &epoch.FinalCert{Record: pending[0].Record, Cert: pending[0].Cert}
	for _, m := range f.Record.Members {
		final := a.finals[m.ID]
		if final == nil || final.Record != f.Record.Hash() {
			return nil
		}
		f.Finals = append(f.Finals, final)
	}
	checked, err := epoch.DecodeFinalCert(f.Encode())
	if err != nil {
		return err
	}
	n := outbox.Note{Kind: NoteFinalCert, Fields: [][]byte{checked.Encode()}}
	return k.adopt(ctx, now, w, a, checked, func(e journal.Entry) error { return k.cfg.Post(ctx, now, e, n) })
}

// adopt lets the book decide on a final certificate and keeps what it decided: a certificate
// that the book refuses never replaces the one in the store.
func (k *Keeper) adopt(ctx context.Context, now time.Time, w *root, a *attempt, f *epoch.FinalCert, write func(journal.Entry) error) error {
	if _, moved := a.book.Adopt(f); !moved {
		return outbox.ErrOld
	}
	if err := write(k.currentEntry(now, w, a, f)); err != nil {
		// The book is ahead of the store: read it back.
		return errors.Join(err, k.load(ctx, w))
	}
	return k.choose(ctx, now, w, a)
}

func (k *Keeper) currentEntry(now time.Time, w *root, a *attempt, f *epoch.FinalCert) journal.Entry {
	return journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: store.Key(kindCurrent, store.ID(a.keyID[:])), Value: f.Encode()}}},
		Leaves: []tlog.Leaf{{Kind: tlog.KindFinalCert, Time: now, Vault: w.ID, ID: f.Sum()}},
	}
}

// choose signs, once per suite of a vault, that this key is the one that the vault publishes. Our share
// is read back first: a node without it must not help to give out addresses.
func (k *Keeper) choose(ctx context.Context, now time.Time, w *root, a *attempt) error {
	if w.signed[k.cfg.Operator] != nil {
		return nil
	}
	keys, err := k.loadKeys(ctx, a.book.Current().Record)
	if err != nil {
		return fmt.Errorf("the key is not chosen, since our share of it does not load: %w", err)
	}
	keys.Wipe()
	s, err := w.wanted(a)
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

// wanted is the key statement that follows from what is in force here.
func (w *root) wanted(a *attempt) (statement.Statement, error) {
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
		Leaves: []tlog.Leaf{{Kind: tlog.KindSignature, Time: now, Vault: w.ID, ID: s.ID()}},
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
	return k.prove(ctx, now, w, challenge)
}

func (w *root) member(id engine.PartyID) bool {
	return slices.ContainsFunc(w.parties, func(p mpc.Party) bool { return p.ID == id })
}
