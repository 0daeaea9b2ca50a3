package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/backup"
	"github.com/ostraka/ostraka/node/charters"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/rescue"
	"github.com/ostraka/ostraka/node/wallet"
)

// Submit takes a statement or vote from a person at this node's door: the same checks as
// for a peer's note, and the same durability.
func (n *Node) Submit(ctx context.Context, now time.Time, note outbox.Note) (known bool, err error) {
	if !slices.Contains([]outbox.Kind{decide.NoteProposal, decide.NoteVote, decide.NoteCancel, wallet.NoteAccount, charters.NoteRevoke, rescue.NoteSaid, rescue.NoteContribution, backup.NoteDrill}, note.Kind) {
		return false, fmt.Errorf("people do not send notes of kind %#x", uint8(note.Kind))
	}
	if note.Kind == backup.NoteDrill {
		if err := n.Backups.Fresh(now, note); err != nil {
			return false, err
		}
	}
	verdict, err := n.take(ctx, now, engine.Everyone, note)
	if verdict == outbox.Taken && err == nil {
		return false, nil
	}
	if errors.Is(err, errKnown) {
		return true, nil
	}
	return false, err
}
