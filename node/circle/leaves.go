package circle

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
)

// Leaves are what a log tells of the rosters, vaults and reshares that are known here, as if they came now: for a log that showed no statements when
// they did (spec/log 13).
func (c *Circle) Leaves(now time.Time) (out []tlog.Filed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range byID(c.rosters) {
		out = append(out, journal.Signed(now, statement.ID{}, nil, c.rosters[id])...)
	}
	for _, id := range byID(c.vaults) {
		out = append(out, journal.Signed(now, id, nil, c.vaults[id])...)
	}
	for _, id := range byID(c.proposed) {
		out = append(out, journal.Signed(now, c.proposed[id].Vault, nil, c.proposed[id].Accepted)...)
	}
	return out
}

func byID[T any](m map[statement.ID]T) []statement.ID {
	return slices.SortedFunc(maps.Keys(m), func(a, b statement.ID) int { return bytes.Compare(a[:], b[:]) })
}
