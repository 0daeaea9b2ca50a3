package fence

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// Restored marks a store that was made from an export, before any node runs over it: its first start is fenced, whatever peers know or
// show of it, and burns all pairs (protocols.md 1.5 step 8). Peers that are gone too could not tell.
func Restored(ctx context.Context, j *journal.Journal, now time.Time, why string) error {
	at := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
	row := append(append(make([]byte, 8), at...), why...) // no counter was shown to it
	return j.Write(ctx, journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: kindFenced, Value: row}, {Key: kindRestored, Value: at}}},
		Leaves: []tlog.Filed{tlog.Says(tlog.KindFence, now, [32]byte{}, []byte(why))},
	})
}

// RestoredAt is when this store was made from an export: what was signed before may be forgotten here. Zero: it never was.
func (f *Fence) RestoredAt() time.Time { return f.restoredAt }
