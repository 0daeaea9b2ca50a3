package journal

import (
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// Signed tells of a statement that bears more signatures than was known: where there were none, the statement with
// all of them; else each that is new.
func Signed(now time.Time, vault [32]byte, was map[string][]byte, is charter.Accepted) (out []tlog.Filed) {
	id := is.Statement.ID()
	var fresh [][]byte
	for _, operator := range slices.Sorted(maps.Keys(is.Signatures)) {
		if was[operator] == nil {
			fresh = append(fresh, is.Signatures[operator])
		}
	}
	if len(was) == 0 {
		return []tlog.Filed{tlog.Says(tlog.KindStatement, now, vault, is.Statement.Bytes(), fresh...)}
	}
	for _, sig := range fresh {
		out = append(out, tlog.Says(tlog.KindSignature, now, vault, sig).On(id))
	}
	return out
}
