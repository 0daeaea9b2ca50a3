package node_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// forgotten lets a refresh come to where the first two said FINAL and the third withholds its own. It returns the record, and the first
// one's disk as it was before its FINAL.
func (s setting) forgotten() (eh epoch.Hash, snap []store.Item) {
	s.T.Helper()
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.Fate = func(h *nodetest.Host, _ int, batch store.Batch) nodetest.Fate {
		own := func(e store.Entry) bool {
			return strings.HasPrefix(e.Key, "final/") && strings.HasSuffix(e.Key, "/"+string(store.ID(partyID(a))))
		}
		if h == a && snap == nil && slices.ContainsFunc(batch.Put, own) {
			snap = s.Rows(a, "")
		}
		return nodetest.Live
	}
	s.withhold(c, nil)
	s.ask(a, b, c)
	s.Run("two said FINAL", func() bool {
		return len(s.finalsOf(b, a)) == 1 && len(s.finalsOf(b, b)) == 1 && len(s.finalsOf(c, c)) == 1
	})
	s.Fate = nil
	a.Hostile = true // it has forgotten what it said
	return s.finalsOf(b, a)[0].Record, snap
}

func frameOfFinal(f *epoch.Final) []byte {
	return frameOf(outbox.Note{Kind: ceremony.NoteFinal, Fields: [][]byte{f.Encode()}})
}

// A disk is set back to before the node's FINAL, and its operator answers for the copy. Then the last member's FINAL is heard: the
// record comes into force with the FINAL that the node forgot, so its share must not have been given up for another attempt.
func TestRestoredBeforeItsFinal(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{charter.SuiteECDSA, charter.SuiteBIP340} {
		t.Run(suite, func(t *testing.T) {
			s := ofSuite(t, suite, 3, 3)
			a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
			eh, snap := s.forgotten()
			last, own := s.finalsOf(c, c)[0], s.finalsOf(b, a)[0]
			pass(s.World, 15*time.Second) // the peers are told of its log
			s.Restore(a, snap)
			s.Run("the node is fenced", func() bool { return a.Fence.Fenced() != nil })
			s.Crash(a)
			s.Run("it is there again", func() bool { return a.Up })
			if _, err := a.ConfirmRestore(context.Background(), s.Now); err != nil {
				t.Fatal(err)
			}
			s.Run("the peers meet it again", func() bool { return s.Greeted() })
			if s.Forge(b, a, frameOfFinal(own)); a.Fence.Fenced() != nil {
				t.Fatalf("what the operator answered for fences again: %v", a.Fence.Fenced())
			}
			s.Try(10*time.Minute, func() bool { return !s.has(a, protocol.RowShare, eh) })
			s.Crash(a)
			s.Run("it is there once more", func() bool { return a.Up && s.Greeted() })
			s.Try(10*time.Minute, func() bool { return !s.has(a, protocol.RowShare, eh) })
			if bytes.Contains(s.Log.Bytes(), []byte("does not move on")) {
				t.Error("the node tries to give up what it must keep")
			}
			s.Forge(c, b, frameOfFinal(last))
			s.Run("the late FINAL is heard", func() bool { return s.record(b).Hash() == eh && s.record(a).Hash() == eh })
			if _, err := s.Keys(a, s.record(a)); err != nil {
				t.Fatalf("the record is in force, the old shares are erased, and one share of the new ones is gone: %v", err)
			}
			if rows := s.Rows(a, "doubt/"); len(rows) > 0 && strings.HasSuffix(rows[0].Key, string(store.ID(eh[:]))) {
				t.Error("what is in force is still doubted")
			}
		})
	}
}

// Our own FINAL that the store does not hold, of a record that it does: that alone fences, without lives. It is not kept as if it had been
// said here, and fences once.
func TestForgottenFinalIsEvidence(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 3)
	a, b := s.Hosts[0], s.Hosts[1]
	eh, snap := s.forgotten()
	own := s.finalsOf(b, a)[0]
	held := s.Pass
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.Frame[0] == nodetest.FrameLife || p.Frame[0] == nodetest.FrameOther {
			return nil
		}
		return held(p)
	}
	s.Restore(a, snap)
	tell := func() { a.Deliver(context.Background(), s.Now, b.Own.Identity, frameOfFinal(own)) }
	if tell(); a.Fence.Fenced() == nil || !strings.Contains(a.Fence.Fenced().Error(), "FINAL on record") {
		t.Fatalf("our own FINAL that the store does not hold: %v", a.Fence.Fenced())
	}
	if len(s.finalsOf(a, a)) > 0 {
		t.Error("it is kept as if it had been said here")
	}
	s.Crash(a)
	s.Run("it starts with it", func() bool { return a.Up })
	if _, err := a.ConfirmRestore(context.Background(), s.Now); err != nil {
		t.Fatal(err)
	}
	if tell(); a.Fence.Fenced() != nil {
		t.Errorf("what the operator answered for fences again: %v", a.Fence.Fenced())
	}
	if !s.has(a, protocol.RowShare, eh) {
		t.Error("the share is gone")
	}
}

// Two members are set back to before the certificate of new shares that both said FINAL of, and the third, which heard one's, is away.
// Neither can tell the other. What was prepared is kept until the third has spoken: it comes into force, and the share is there.
func TestRestoredWhileTheWitnessIsAway(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	snaps := map[*nodetest.Host][]store.Item{}
	s.Fate = func(h *nodetest.Host, _ int, batch store.Batch) nodetest.Fate {
		cert := func(e store.Entry) bool {
			return strings.HasPrefix(e.Key, "epoch/") && strings.HasSuffix(e.Key, "/"+string(store.Name("cert")))
		}
		if snaps[h] == nil && h != b && slices.ContainsFunc(batch.Put, cert) {
			snaps[h] = s.Rows(h, "")
		}
		return nodetest.Live
	}
	s.withhold(c, nil)
	s.ask(a, b, c)
	s.Run("all said FINAL, and one withholds it", func() bool {
		return len(s.finalsOf(b, a)) == 1 && len(s.finalsOf(b, b)) == 1 && len(s.finalsOf(c, c)) == 1
	})
	s.Fate = nil
	a.Hostile, c.Hostile = true, true // they have forgotten what they said
	last := s.finalsOf(c, c)[0]
	eh := last.Record
	s.Downtime = -1
	s.Crash(b)
	s.Restore(a, snaps[a])
	s.Restore(c, snaps[c])
	if !s.has(a, protocol.RowShare, eh) || len(s.finalsOf(a, a)) != 0 {
		t.Fatal("the copy is not of between the share and our FINAL")
	}
	s.Try(10*time.Minute, func() bool { return !s.has(a, protocol.RowShare, eh) })
	if a.Fence.Fenced() != nil {
		t.Fatal("somebody could tell, so this shows nothing: ", a.Fence.Fenced())
	}
	if !s.has(a, protocol.RowShare, eh) {
		t.Error("the share is given up, and whoever was away may hold our FINAL")
	}
	s.Start(b)
	s.Run("the one that was away tells", func() bool { return a.Fence.Fenced() != nil })
	if _, err := a.ConfirmRestore(context.Background(), s.Now); err != nil {
		t.Fatal(err)
	}
	s.Forge(c, b, frameOfFinal(last))
	s.Run("the late FINAL is heard", func() bool { return s.record(b).Hash() == eh && s.record(a).Hash() == eh })
	if _, err := s.Keys(a, s.record(a)); err != nil {
		t.Errorf("the record is in force, and our share of it is gone: %v", err)
	}
}

// A node is set back to before the certificate of what it said FINAL of. The peer that heard that was told of the node's new process by the
// third one, and greets it before anything of the node's own has come: it shows the FINAL first, or the node would take its store for new and
// give the share up.
func TestForgottenFinalComesBeforeTheGreeting(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 3)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	var snap []store.Item
	s.Fate = func(h *nodetest.Host, _ int, batch store.Batch) nodetest.Fate {
		cert := func(e store.Entry) bool {
			return strings.HasPrefix(e.Key, "epoch/") && strings.HasSuffix(e.Key, "/"+string(store.Name("cert")))
		}
		if h == a && snap == nil && slices.ContainsFunc(batch.Put, cert) {
			snap = s.Rows(a, "")
		}
		return nodetest.Live
	}
	s.withhold(c, nil)
	s.ask(a, b, c)
	s.Run("all said FINAL, and one withholds it", func() bool { return len(s.finalsOf(b, a)) == 1 && len(s.finalsOf(c, c)) == 1 })
	s.Fate = nil
	a.Hostile = true // it has forgotten what it said
	eh := s.finalsOf(b, a)[0].Record
	held := s.Pass
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.From == a && p.To == b {
			return nil // that way the link is slow
		}
		return held(p)
	}
	s.Restore(a, snap)
	if !s.has(a, protocol.RowShare, eh) || s.has(a, string(store.Name("cert")), eh) {
		t.Fatal("the copy is not of between the share and the certificate")
	}
	s.Run("the third one meets it", func() bool { return a.Fence.Wary(c.Self()) == nil })
	s.Crash(b)
	s.Run("the peer greets it", func() bool { return a.Fence.Fenced() != nil || a.Fence.Wary(b.Self()) == nil })
	s.Try(10*time.Minute, func() bool { return !s.has(a, protocol.RowShare, eh) })
	if why := a.Fence.Fenced(); why == nil || !strings.Contains(why.Error(), "FINAL on record") {
		t.Errorf("its own FINAL is not shown to it: %v", why)
	}
	if !s.has(a, protocol.RowShare, eh) {
		t.Error("the share is given up, and the record may come into force")
	}
}
