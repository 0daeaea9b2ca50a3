package node

import (
	"context"
	"time"

	"github.com/ostraka/ostraka/node/backup"
	"github.com/ostraka/ostraka/node/store"
)

// Refill writes an export's rows into an empty store.
func Refill(ctx context.Context, now time.Time, st store.Store, o *backup.Opened) error {
	return refill(ctx, now, st, o)
}
