package node_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// What becomes of intents when the key's epoch moves on.

// An operator holds FINALs of several attempts back, and says one whenever an intent waits for approvals: each moves the epoch. It ends
// no intent: the same members made new shares, and nothing that people approved has changed.
func TestHeldFinalsEndNoIntents(t *testing.T) {
	t.Parallel()
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
	if len(records) < 3 {
		t.Fatalf("%d FINALs are held back: the attack has not begun", len(records))
	}
	s.Now = s.Now.Add(25 * time.Hour) // nobody's word for a refresh holds any longer
	for i, r := range records {
		st := s.Propose(s.vault, s.addr, uint64(i))
		s.Deliver()
		for _, h := range []*nodetest.Host{a, b} {
			s.Forge(c, h, frameOf(outbox.Note{Kind: ceremony.NoteFinal, Fields: [][]byte{held[r.Hash()].Encode()}}))
		}
		if s.record(a).Hash() != r.Hash() {
			t.Fatalf("attempt %d did not come into force", r.Attempt)
		}
		for _, p := range nodetest.Approvers {
			s.Submit(s.Vote(st, p, "approve")) //nolint:errcheck // the intent may have ended
		}
		if !s.Try(time.Minute, func() bool { return s.at(st, intent.Signed, a, b) }) {
			t.Errorf("one operator ended intent %d of %d, which is %s, a day after anybody asked for new shares", i, len(records), s.State(a, st.ID()))
		}
	}
}

// signSetups counts the sessions that are opened to sign an intent, by the record that they are of.
func (s setting) signSetups(st statement.Statement) map[epoch.Hash]int {
	n, next := map[epoch.Hash]int{}, s.Pass
	seen := map[[32]byte]bool{}
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.Frame[0] == 1 {
			if x, err := mpc.OpenSetup(p.Frame); err == nil && x.Protocol == protocol.ProtocolSign && !seen[x.Hash()] {
				if r, err := protocol.DecodeRequest(x.Payload); err == nil && r.Intent == [32]byte(st.ID()) {
					seen[x.Hash()] = true
					n[x.Epoch]++
				}
			}
		}
		if next == nil {
			return []nodetest.Parcel{p}
		}
		return next(p)
	}
	return n
}

// An intent that is approved, and allowed, before a vault goes to another committee and back serves no more, in the hands of the very
// people and nodes who approved and allowed it; neither do approvals that come later. New shares in between help nothing.
func TestApprovalsDoNotOutliveAReshare(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ held, away, threshold int }{"another committee": {2, 3, 2}, "another threshold": {3, 3, 3}} {
		t.Run(name, func(t *testing.T) {
			w, vault := circleOf(t, charter.SuiteBIP340, 3, c.held, 2)
			home, away := w.Hosts[:c.held], w.Hosts[:c.away]
			w.Run("account taken", func() bool { _, err := w.Submit(w.AccountNote(vault, "main", 1)); return err == nil })
			addr := address(t, w, vault, home...)
			before := recordAt(home[0], vault, w.Suite)
			w.Pass = func(p nodetest.Parcel) []nodetest.Parcel { // no session signs anything yet
				if env, err := mpc.ReadEnvelope(p.Frame); err == nil && env.Protocol == protocol.ProtocolSign {
					return nil
				}
				if x, err := mpc.OpenSetup(p.Frame); p.Frame[0] == 1 && err == nil && x.Protocol == protocol.ProtocolSign {
					return nil
				}
				return []nodetest.Parcel{p}
			}
			lives := func(nonce uint64) statement.Statement {
				it := w.Intent(vault, addr, nonce)
				it.Expires = it.Created.Add(24 * time.Hour)
				s, n := w.Proposal(it)
				w.Run("proposal taken", func() bool { _, err := w.Submit(n); return err == nil })
				return s
			}
			allowed, waits := lives(1), lives(2)
			w.Approve(allowed)
			w.Submit(w.Vote(waits, nodetest.Approvers[0], "approve")) //nolint:errcheck // as far as it gets
			allows := func(h *nodetest.Host) bool {
				v, err := h.Desk.Show(allowed.ID())
				return err == nil && len(v.Decisions) == c.held
			}
			w.Run("allowed", func() bool { return !slices.ContainsFunc(home, func(h *nodetest.Host) bool { return !allows(h) }) })
			w.SignReshareAll(nodetest.Wish(vault, c.threshold, away...), w.Hosts...)
			w.Run("away", func() bool { return heldBy(w, vault, c.threshold, away...) })
			w.SignReshareAll(nodetest.Wish(vault, 2, home...), w.Hosts...)
			w.Run("back", func() bool { return heldBy(w, vault, 2, home...) })
			if r := recordAt(home[0], vault, w.Suite); !slices.EqualFunc(r.Parties(), before.Parties(), func(x, y mpc.Party) bool { return x.ID == y.ID && x.Index == y.Index }) {
				t.Fatal("the committee is not the one before")
			}
			w.Pass = nil
			w.Submit(w.Vote(waits, nodetest.Approvers[1], "approve")) //nolint:errcheck // it was denied with the committee
			w.Run("denied", func() bool {
				return !slices.ContainsFunc(home, func(h *nodetest.Host) bool { return w.State(h, waits.ID()) != intent.Denied })
			})
			v, err := home[0].Desk.Show(waits.ID())
			if err != nil || len(v.Decisions) == 0 || v.Decisions[0].Rule != intent.RuleEpoch {
				t.Errorf("decided %+v, %v", v.Decisions, err)
			}
			if w.Try(3*time.Minute, func() bool {
				return slices.ContainsFunc(w.Hosts, func(h *nodetest.Host) bool { return w.State(h, allowed.ID()) == intent.Signed })
			}) {
				t.Error("what was allowed two committees ago is signed")
			}
			if v, err := home[0].Desk.Show(allowed.ID()); err != nil || !strings.Contains(v.Waits, "another committee") {
				t.Errorf("it says %q, %v", v.Waits, err)
			}
			signs(t, w, vault, addr, 3, home...)
		})
	}
}

// An intent whose session failed is burned, and new shares do not bring its approvals back: nothing can be harvested over epochs.
func TestBurnedApprovalsStayBurnedOverARefresh(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 2, 2)
	old := s.record(s.Hosts[0])
	lied := false
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if env, err := mpc.ReadEnvelope(p.Frame); err == nil && p.To == s.Hosts[1] && env.Protocol == protocol.ProtocolSign && env.Round == 2 {
			return nil // or it would have a signature
		}
		if p.From == s.Hosts[1] {
			var did bool
			p, did = liedIn(p, protocol.ProtocolSign, 2)
			lied = lied || did
		}
		return []nodetest.Parcel{p}
	}
	st := s.Propose(s.vault, s.addr, 1)
	s.Approve(st)
	s.Run("burned", func() bool { return s.at(st, intent.Failed, s.Hosts[0]) })
	if !lied {
		t.Fatal("nobody lied")
	}
	s.Pass = nil
	setups := s.signSetups(st)
	s.wantNew()
	r := s.moved(1, old)
	s.Approve(st)
	s.Try(2*time.Minute, func() bool { return false })
	if !s.at(st, intent.Failed, s.Hosts...) || setups[r.Hash()] > 0 {
		t.Errorf("%s and %s after new shares, in %d sessions", s.State(s.Hosts[0], st.ID()), s.State(s.Hosts[1], st.ID()), setups[r.Hash()])
	}
	s.signs(2)
}

// A proposal may overtake the certificate of the epoch that it names, on its way to a node: that node does not rule on it by what it
// holds, but takes it when it stands there too.
func TestIntentOfAnEpochThatComesLater(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 3)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	late := func(p nodetest.Parcel) []nodetest.Parcel {
		if k := noteOf(p).Kind; p.To == b && (k == ceremony.NoteFinal || k == ceremony.NoteFinalCert) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	s.Pass = late
	s.wantNew()
	s.Run("two have moved", func() bool { return s.in(1, a, c) && s.in(0, b) })
	st := s.Propose(s.vault, s.addr, 1)
	s.Approve(st)
	s.Try(30*time.Second, func() bool { return false })
	if v, err := b.Desk.Show(st.ID()); err == nil && v.State != intent.Proposed {
		t.Fatalf("who does not know the epoch ruled on the intent: %s", v.State)
	}
	s.Pass = nil
	s.Run("signed when the last has moved", func() bool { return s.at(st, intent.Signed, a, b, c) })
}

// New shares come into force while an intent is being signed by the old ones, and the session's messages do not arrive. Where our last
// message may have left, the intent is never signed again; else it is signed by the new shares once the old session is over, and what arrives
// then of the old one makes no second signature.
func TestOneSignatureOverARefresh(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{charter.SuiteBIP340, charter.SuiteECDSA} {
		for round, again := range map[uint8]bool{1: true, protocol.SignRounds(suite): false} {
			t.Run(fmt.Sprintf("%s lost from round %d on", suite, round), func(t *testing.T) { oneSignature(t, suite, round, again) })
		}
	}
}

func oneSignature(t *testing.T, suite string, round uint8, again bool) {
	s := ofSuite(t, suite, 2, 2)
	old := s.record(s.Hosts[0])
	var held []nodetest.Parcel
	holds, signatures := true, map[string]bool{}
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if n := noteOf(p); n.Kind == decide.NoteSigned {
			signatures[string(n.Fields[1])] = true
		}
		if env, err := mpc.ReadEnvelope(p.Frame); holds && err == nil && env.Protocol == protocol.ProtocolSign && env.Round >= round {
			held = append(held, p)
			return nil
		}
		return []nodetest.Parcel{p}
	}
	st := s.Propose(s.vault, s.addr, 1)
	setups := s.signSetups(st)
	s.Approve(st)
	s.Run("the session stops", func() bool { return len(held) >= 2 })
	s.wantNew()
	r := s.moved(1, old)
	if setups[r.Hash()] > 0 || !s.at(st, intent.Signing, s.Hosts...) {
		t.Fatalf("%d sessions of the new shares beside the one of the old: %s", setups[r.Hash()], s.State(s.Hosts[0], st.ID()))
	}
	holds = false
	if !again {
		s.Run("closed", func() bool { return s.at(st, intent.Failed, s.Hosts...) })
		s.Try(2*time.Minute, func() bool { return false })
	} else {
		s.Run("signed by the new shares", func() bool { return s.Signed(st) })
	}
	s.Queue = append(s.Queue, held...)
	s.Deliver()
	s.Try(time.Minute, func() bool { return false })
	want := 0
	if again {
		want = 1
	}
	if setups[old.Hash()] != 1 || setups[r.Hash()] != want || len(signatures) != want {
		t.Errorf("%d sessions of the old shares, %d of the new, %d signatures", setups[old.Hash()], setups[r.Hash()], len(signatures))
	}
	s.signs(2)
	calm(t, s.World, s.vault)
}
