//go:build open

package node_test

import (
	"context"
	"crypto/sha256"
	"github.com/ostraka/ostraka/node/ceremony"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// Attacks of one hostile operator that succeed today, for THREATS.md to name: they cost time or disk, no key and no signature.
// Each leaves this file, and its tag, with its mend.

// How many records an operator that withholds its FINAL makes the others keep.
func TestWithheldFinalsAreBounded(t *testing.T) {
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	began := s.Now
	s.withheld(12)
	if n := len(s.finalsOf(s.Hosts[0], s.Hosts[0])); n >= 12 {
		t.Errorf("%d records with our FINAL after %s: nothing bounds them", n, s.Now.Sub(began))
	}
}

// A FINAL that was withheld for a month is no proof that its maker still has its share, nor are the shares
// that it brings into force those that an operator asks for today.
func TestOldFinal(t *testing.T) {
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.ask(a, b, c)
	s.withhold(c, nil)
	s.Run("two said FINAL", func() bool {
		return len(s.finalsOf(a, a)) == 1 && len(s.finalsOf(b, b)) == 1 && len(s.finalsOf(a, b)) == 1
	})
	f := s.finalsOf(c, c)[0]
	s.Downtime = -1
	s.Crash(c) // for ever
	s.Queue = nil
	s.Now = s.Now.Add(30 * 24 * time.Hour)
	s.Step(time.Second)
	s.ask(a)
	asked := s.Now
	if stale := s.root(a).Stale(s.Now); !slices.Contains(stale, c.Own.Name) {
		t.Fatalf("stale: %v", stale)
	}
	s.Forge(c, a, frameOf(outbox.Note{Kind: ceremony.NoteFinal, Fields: [][]byte{f.Encode()}}))
	v := s.root(a)
	if v.Current.Record.Epoch != 1 {
		t.Fatal("the certificate did not come into force")
	}
	if stale := v.Stale(s.Now); !slices.Contains(stale, c.Own.Name) {
		t.Errorf("the FINAL of a month ago counts as a proof of today that %s has its share", c.Own.Name)
	}
	if v.Change.Wanted.IsZero() {
		t.Errorf("the operator asked for new shares at %s; shares made a month before count as these", asked.Format(time.RFC3339))
	}
	if v.Change.Moved.After(asked.Add(-time.Hour)) {
		t.Errorf("the next refresh is due as if the shares were made at %s", v.Change.Moved.Format(time.RFC3339))
	}
}

// A peer that sends challenges without end must not keep another's from being answered: without a fresh proof no address is
// given out (trust rule 9).
func TestChallengesOfOneDoNotStarveAnother(t *testing.T) {
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.Now = s.Now.Add(48 * time.Hour)
	r := s.root(a).Current.Record
	flood := func(i int) {
		junk := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		s.Forge(c, a, append(append([]byte{nodetest.FrameChallenge}, r.KeyID[:]...), junk[:]...))
	}
	rows := len(s.Rows(a, ""))
	for i := range 120 {
		flood(i)
		if i%10 == 5 {
			s.Act(b, func() {
				if err := b.Keeper.ProveAll(context.Background(), s.Now, s.vault, s.Suite); err != nil {
					t.Fatal(err)
				}
			})
		}
		s.Deliver()
		s.Step(time.Second)
	}
	if stale := s.root(b).Stale(s.Now); slices.Contains(stale, a.Own.Name) {
		t.Errorf("%s asked 12 times in two minutes, and got no proof of %s", b.Own.Name, a.Own.Name)
	}
	t.Logf("%d more rows at %s in two minutes", len(s.Rows(a, ""))-rows, a.Own.Name)
}

// What an operator can make another keep by opening attempts and declining them.
func TestAttemptsOfOneAreBounded(t *testing.T) {
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	a, c := s.Hosts[0], s.Hosts[2]
	s.ask(a)
	before := len(s.Rows(a, ""))
	for i := range uint64(200) {
		x := s.attempt(i+1, c)
		s.forgeSetup(x, c, a)
		s.decline(x, c, a)
	}
	if grown := len(s.Rows(a, "")) - before; grown > 100 {
		t.Errorf("200 attempts at one moment leave %d rows", grown)
	}
}

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
