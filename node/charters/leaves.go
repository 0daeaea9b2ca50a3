package charters

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
)

// Leaves are what a log tells of the charters, vetoes, revocations and freezes that are known here, as if they came now (spec/log 13).
func (c *Charters) Leaves(now time.Time) (out []tlog.Filed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range byID(c.known) {
		out = append(out, entryOf(now, charter.Enacted{}, c.known[id]).Leaves...)
	}
	say := func(x Signed) {
		out = append(out, tlog.Says(tlog.KindStatement, now, statement.ID{}, x.Statement.Bytes(), x.Signature))
	}
	for _, id := range byID(c.vetoes) {
		for _, operator := range slices.Sorted(maps.Keys(c.vetoes[id])) {
			say(c.vetoes[id][operator])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.revoked)) {
		say(c.revoked[key])
	}
	for _, of := range []map[statement.ID]charter.Accepted{c.freezes, c.unfreeze} {
		for _, id := range byID(of) {
			out = append(out, journal.Signed(now, of[id].Statement.Fields().ID("vault"), nil, of[id])...)
		}
	}
	return out
}

func byID[T any](m map[statement.ID]T) []statement.ID {
	return slices.SortedFunc(maps.Keys(m), func(a, b statement.ID) int { return bytes.Compare(a[:], b[:]) })
}
