package ceremony

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"

	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/node/fence"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// EvidenceOf is what a note carries that may be signed by our own key.
func EvidenceOf(n outbox.Note) (e epoch.Evidence) {
	if len(n.Fields) != fieldCount[n.Kind] {
		return e
	}
	// What does not decode says nothing; taking the note refuses it.
	switch n.Kind {
	case NoteCert:
		e.Cert, _ = epoch.DecodeCert(n.Fields[1])
	case NoteFinal:
		e.Final, _ = epoch.DecodeFinal(n.Fields[0])
	case NoteFinalCert:
		e.FinalCert, _ = epoch.DecodeFinalCert(n.Fields[0])
	}
	return e
}

// RolledBack holds evidence against the books of all keys (protocols.md 1.5 step 8): our own
// signature on a record of which none of them knows.
func (k *Keeper) RolledBack(e epoch.Evidence) *fence.ClonedError {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.blind {
		return nil // the rows that cannot be read may know of it; peers still tell by our lives
	}
	books := []*epoch.Book{k.rowsBook()}
	for _, w := range k.all() {
		for _, a := range w.sorted() {
			books = append(books, a.book)
		}
	}
	var back *epoch.RolledBackError
	err := epoch.RolledBack(k.cfg.Identity.Public().(ed25519.PublicKey), e, books...)
	if !errors.As(err, &back) {
		return nil
	}
	return &fence.ClonedError{ID: back.Record, What: back.Signed + " on record"}
}

// Doubt keeps every record that is pending for good, durably: the store was set back, and our FINAL of any of them may be forgotten.
// Were one given up, it could come into force without our share.
func (k *Keeper) Doubt(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.all() {
		for _, a := range w.sorted() {
			e := journal.Entry{Batch: store.Batch{Reserve: true}}
			for _, eh := range a.book.Doubt() {
				e.Put = append(e.Put, store.Entry{Key: doubtKey(a.keyID, eh), Value: []byte{1}})
			}
			if len(e.Put) == 0 {
				continue
			}
			if err := k.cfg.Journal.Write(ctx, e); err != nil {
				return fmt.Errorf("keep what is pending of vault %s: %w", w.title(), err)
			}
		}
	}
	return nil
}

// Pairs lists the pairs of all keys, those of records on their way as well.
func (k *Keeper) Pairs() (all []engine.Token) {
	k.mu.Lock()
	defer k.mu.Unlock()
	all = k.damagedPairs()
	for _, w := range k.all() {
		for _, a := range w.sorted() {
			var records []*epoch.Record
			for _, p := range a.book.Pending() {
				records = append(records, p.Record)
			}
			if c := a.book.Current(); c != nil {
				records = append(records, c.Record)
			}
			for _, r := range records {
				for _, m := range r.Members {
					if m.ID != k.cfg.Self {
						all = append(all, engine.Token{Key: protocol.PairKey(r), Peer: m.ID})
					}
				}
			}
		}
	}
	return all
}

// lookForShare notes whether the store holds our share of the record in force. A copy that is older than new shares does not: the
// final certificate came from peers, the share from nobody.
func (k *Keeper) lookForShare(ctx context.Context, w *root, a *attempt) error {
	c := a.book.Current()
	if c == nil {
		return nil
	}
	a.bare = false
	if _, seated := c.Record.Member(k.cfg.Self); !seated {
		return nil
	}
	eh := c.Record.Hash()
	switch _, err := k.cfg.Journal.Store().Get(ctx, epochKey(a.keyID, eh, protocol.RowShare)); {
	case errors.Is(err, store.ErrNotFound):
		a.bare = true
		k.cfg.Log.Error("this node holds no share of a vault's key: its store is a copy from before the epoch in force", "vault", w.title(), "epoch", c.Record.Epoch)
	case err != nil:
		return fmt.Errorf("look for the share of record %v: %w", eh, err)
	}
	return nil
}

// bareError says that we have no share of the epoch in force, and the way to one.
func (k *Keeper) bareError(w *root) error {
	what, next := k.bareWords(w)
	return fmt.Errorf("vault %s: %s; %s", w.title(), what, next)
}

// bareWords are for people. New shares of all members (a refresh) take the old ones of all; a reshare takes those of t dealers, and
// gives every new member one.
func (k *Keeper) bareWords(w *root) (what, next string) {
	r, own := w.book.Current().Record, k.cfg.Operator
	what = fmt.Sprintf("this node holds no share of epoch %d, which is in force: its store is a copy from before", r.Epoch)
	all := w.committee(r)
	others := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return name == own })
	to := func(names []string) string {
		return fmt.Sprintf("`ostraka vault reshare %s --committee %s --threshold %d`", w.Name, strings.Join(names, ","), r.Threshold)
	}
	switch {
	case !w.published():
		return what, "the key can never be published: make the vault anew, under another name"
	case len(others) < r.Threshold:
		return what, fmt.Sprintf("nothing can be signed with this key any more: %d shares are needed, the others have %d; look for the folder or the backup that has this one", r.Threshold, len(others))
	}
	return what, fmt.Sprintf("every operator but %s runs %s; once that is done every operator runs %s", own, to(others), to(all))
}

// viewBare shows what the store lacks: the share does not prove itself, whatever it did in the epoch before.
func (k *Keeper) viewBare(w *root, v *View) {
	if !w.bare {
		return
	}
	v.Step, v.Waiting = StepBare, nil
	v.Bare, v.WayBack = k.bareWords(w)
	v.LastErr = v.Bare + "; " + v.WayBack
	delete(v.Proofs, k.cfg.Self)
}
