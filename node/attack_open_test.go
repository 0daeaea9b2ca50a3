//go:build open

package node_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// Attacks of one hostile operator that succeed today, for THREATS.md to name: they cost time or disk, no key and no signature.
// Each leaves this file, and its tag, with its mend.

// An operator holds FINALs of several attempts back, and says one whenever an intent waits for approvals: each moves the epoch, and
// ends the intent. The two others sign all the same.
func TestHeldFinalsEndNoIntents(t *testing.T) {
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.withheld(6)
	held := map[epoch.Hash]*epoch.Final{}
	for _, f := range s.finalsOf(c, c) {
		held[f.Record] = f
	}
	var records []*epoch.Record
	for _, it := range s.Rows(a, "epoch/") {
		if r, err := epoch.Decode(it.Value); strings.HasSuffix(it.Key, "/"+protocol.RowRecord) && err == nil && held[r.Hash()] != nil {
			records = append(records, r)
		}
	}
	slices.SortFunc(records, func(x, y *epoch.Record) int { return int(x.Attempt) - int(y.Attempt) })
	s.Now = s.Now.Add(25 * time.Hour) // nobody's word for a refresh holds any longer
	ended := 0
	for i, r := range records {
		st := s.Propose(s.vault, s.addr, uint64(i))
		s.Deliver()
		for _, h := range []*nodetest.Host{a, b} {
			s.Forge(c, h, frameOf(outbox.Note{Kind: ceremony.NoteFinal, Fields: [][]byte{held[r.Hash()].Encode()}}))
		}
		for _, p := range nodetest.Approvers {
			s.Submit(s.Vote(st, p, "approve")) //nolint:errcheck // the intent may have ended
		}
		if !s.Try(time.Minute, func() bool { return s.at(st, intent.Signed, a, b) }) {
			ended++
			t.Logf("intent %d is %s: epoch attempt %d", i, s.State(a, st.ID()), s.root(a).Current.Record.Attempt)
		}
	}
	if ended > 1 {
		t.Errorf("one operator ended %d of %d intents, one after the other, a day after anybody asked for new shares", ended, len(records))
	}
}
