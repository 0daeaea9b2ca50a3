package ceremony

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

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
