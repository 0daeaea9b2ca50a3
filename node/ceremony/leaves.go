package ceremony

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/node/store"
)

// Leaves are what a log tells of the keys that are known here, as if they came now: what was chosen, and every final certificate that was in force
// (spec/log 13).
func (k *Keeper) Leaves(ctx context.Context, now time.Time) (out []tlog.Filed, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.all() {
		if !w.published() {
			continue
		}
		var by [][]byte
		for _, operator := range slices.Sorted(maps.Keys(w.signed)) {
			by = append(by, w.signed[operator])
		}
		out = append(out, tlog.Says(tlog.KindStatement, now, w.ID, w.choice.Bytes(), by...))
		err := k.each(ctx, store.Prefix(kindLink, store.ID(w.keyID[:])), func(_ string, value []byte) error {
			f, err := epoch.DecodeFinalCert(value)
			if err == nil {
				out = append(out, tlog.Says(tlog.KindFinalCert, now, w.ID, value).On(f.Record.Hash()))
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read the epochs of vault %s: %w", w.title(), err)
		}
	}
	return out, nil
}
