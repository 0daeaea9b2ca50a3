package ceremony

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
)

// DEVIATION: protocols.md 1.5 step 4 has a FinalCert move every holder at once; here not one whose vault an emergency holds, or holds in a moment, and then once the request is over (6.4).
//
// While an emergency holds a vault, its keys move by the emergency alone (protocols.md 6.4, spec/node 12.5): a subject that kept its FINAL of an ordinary record back would
// else choose the moment when the epoch moves, and with it end the request. What comes is logged, and taken once the request is over: its sender sends it again.
//
// Nodes come to DECLARED one after the other. So they wait from when all support that the declaration needs is here, and not only from their own declaration: a FINAL that came
// to one between the first declaration and the last would have it move alone. Where it is quicker than the support, that one moves, says that the request is over for it, and with too
// few left the request is over for the others too (custody/sos, stranded), who then follow the certificate.

// mayPrepare says whether our PREP of a record may leave now.
func (k *Keeper) mayPrepare(w *root, r *epoch.Record) bool { return r.Rescued() || !k.cfg.Held(w.ID) }

// mayFollow says whether FINAL of a record may be said, and the record followed now.
func (k *Keeper) mayFollow(w *root, r *epoch.Record) bool { return r.Rescued() || !k.cfg.Near(w.ID) }

// errHeld says that an emergency holds a vault, or is about to.
var errHeld = errors.New("an emergency holds the vault, or is about to be declared")

func (w *root) heldError(what string, r *epoch.Record) error {
	return fmt.Errorf("%s of record %v, epoch %d of vault %s, waits: %w", what, r.Hash(), r.Epoch, w.title(), errHeld)
}

// A lateWord is one that came while its vault was held.
type lateWord struct {
	record epoch.Hash
	from   engine.PartyID // zero: a certificate
}

// maxLate bounds what the log tells of them.
const maxLate = 64

// mayMove refuses a word that could move a vault which is held; once in each process the log tells of it.
func (k *Keeper) mayMove(ctx context.Context, now time.Time, w *root, r *epoch.Record, from engine.PartyID, what string) error {
	if k.mayFollow(w, r) {
		return nil
	}
	err := w.heldError(what, r)
	if key := (lateWord{r.Hash(), from}); !w.late[key] && len(w.late) < maxLate {
		k.cfg.Log.Warn("not now", "why", err)
		if e := k.cfg.Journal.Write(ctx, journal.Entry{Leaves: []tlog.Filed{tlog.Says(tlog.KindAlarm, now, w.ID, []byte(err.Error())).On(r.Hash())}}); e != nil {
			return e
		}
		w.late[key] = true
	}
	return fmt.Errorf("%w: %w", outbox.ErrLater, err)
}

// adoptFrom adopts a final certificate that another brought, unless it is an ordinary one of a vault that is held.
func (k *Keeper) adoptFrom(ctx context.Context, now time.Time, w *root, a *attempt, f *epoch.FinalCert, write func(journal.Entry) error) error {
	if c := a.book.Current(); c == nil || f.Record.Higher(c.Record) { // else the book knows it
		if err := k.mayMove(ctx, now, w, f.Record, engine.PartyID{}, "the final certificate"); err != nil {
			return err
		}
	}
	return k.adopt(ctx, now, w, a, f, write)
}
