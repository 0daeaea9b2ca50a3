package node_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/nodetest"
)

// A pair whose check failed is made anew at the word of the operator who saw it fail, not without; then all sign again.
// When the same pair fails a second time, no new shares are made with that peer, and the reason says what to do.
func TestBurnedPairHealsOnce(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteECDSA, 2, 2)
	saw, broke := s.Hosts[0], s.Hosts[1]
	fails := func(nonce uint64) {
		t.Helper()
		st := s.Propose(s.vault, s.addr, nonce)
		s.Approve(st)
		s.Run("the intent fails", func() bool { return s.State(saw, st.ID()) == intent.Failed })
		if got := saw.Sessions.Burned(pairs(s.World, s.vault)); len(got) != 1 || got[0] != broke.Self() {
			t.Fatalf("burned %v, want the other node", got)
		}
	}
	old := s.record(saw)
	breakPair(s.World, broke, saw, old)
	fails(1)
	s.wantNew(broke)
	s.Try(2*time.Minute, func() bool { return false })
	if !s.in(0, s.Hosts...) || !bytes.Contains(s.Log.Bytes(), []byte("is burned: our operator must find out why")) {
		t.Fatal("the pair is made anew without the word of the operator who saw it fail")
	}
	s.wantNew(saw)
	now := s.moved(1, old)
	if got := saw.Sessions.Burned(protocol.PairKey(now)); len(got) > 0 {
		t.Fatalf("burned after new shares: %v", got)
	}
	s.signs(10)
	s.Crash(saw) // the flag's end is as durable as the epoch
	s.Start(saw)
	s.signs(11)

	breakPair(s.World, broke, saw, now)
	fails(20)
	for range 2 {
		err := saw.Keeper.AskRefresh(context.Background(), s.Clock(saw), s.vault, s.Suite)
		if err == nil || !strings.Contains(err.Error(), "the pair with "+broke.Own.Name+" failed 2 times") || !strings.Contains(err.Error(), "reshare") {
			t.Fatalf("after a second failure: %v", err)
		}
		s.Crash(saw)
		s.Start(saw)
	}
	s.wantNew(broke)
	s.Try(2*time.Minute, func() bool { return false })
	if !s.in(1, s.Hosts...) {
		t.Fatal("new shares with a pair that failed twice")
	}
}

// Who broke the protocol is left out until an operator's word: with it all make new shares, and it signs again.
func TestRefreshLiftsQuarantine(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 3)
	old, liar := s.record(s.Hosts[0]), s.Hosts[2]
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.From == liar {
			p, _ = liedIn(p, protocol.ProtocolSign, 2)
		}
		return []nodetest.Parcel{p}
	}
	st := s.Propose(s.vault, s.addr, 1)
	s.Approve(st)
	quarantined := func(h *nodetest.Host) bool {
		q, err := h.Sessions.Quarantined(context.Background(), old.KeyID)
		return err == nil && slices.Equal(q, []engine.PartyID{liar.Self()})
	}
	s.Run("the liar is quarantined", func() bool { return quarantined(s.Hosts[0]) && quarantined(s.Hosts[1]) })
	s.Pass, s.Queue, liar.Hostile = nil, nil, false
	s.Run("the intent ends", func() bool { return s.All(func(h *nodetest.Host) bool { return ended(s.World, h, st) }) })
	s.wantNew()
	s.moved(1, old)
	calm(t, s.World, s.vault)
	s.signs(2)
}

// opens is a refresh that a hostile member opens at another.
func (s setting) opens(from *nodetest.Host, nonce byte, change func(*mpc.Setup)) []byte {
	s.T.Helper()
	r := s.record(from)
	x := &mpc.Setup{
		Protocol: protocol.ProtocolRefresh, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: r.Threshold, Parties: r.Parties(),
		Payload: (&protocol.Change{Attempt: 1}).Encode(), Opener: from.Self(), Nonce: [32]byte{nonce, 9}, NotAfter: s.Now.Add(5 * time.Minute).Truncate(time.Second),
	}
	change(x)
	frame, err := mpc.SealSetup(x, mpc.NewSigner(from.Key))
	if err != nil {
		s.T.Fatal(err)
	}
	return frame
}

// A hostile member opens new shares that nobody asked for, or in another form than follows from what is in force: each node
// refuses, keeps nothing, and makes them in the right form afterwards.
func TestHostileRefreshIsRefused(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	old := s.record(s.Hosts[0])
	a, c := s.Hosts[0], s.Hosts[2]
	refused := func(name string, nonce byte, want string, change func(*mpc.Setup)) {
		t.Helper()
		before, rows := s.Log.Len(), len(s.Rows(a, ""))
		s.Forge(c, a, s.opens(c, nonce, change))
		if log := s.Log.String()[before:]; !strings.Contains(log, "refused") || !strings.Contains(log, want) {
			t.Errorf("%s: want %q; log: %s", name, want, log)
		}
		if n := len(s.Rows(a, "")); n != rows || a.Sessions.Busy(func(*mpc.Setup) bool { return true }) {
			t.Errorf("%s: %d rows, %d before", name, n, rows)
		}
		s.Queue = nil
	}
	payload := func(c protocol.Change) func(*mpc.Setup) { return func(x *mpc.Setup) { x.Payload = c.Encode() } }
	refused("unasked", 1, "our operator did not ask", func(*mpc.Setup) {})
	s.wantNew(a)
	s.Queue = nil
	members := old.Parties()
	stranger := members[2]
	stranger.Index++
	for i, x := range []struct {
		name, want string
		change     func(*mpc.Setup)
	}{
		{"attempt zero", "does not follow", payload(protocol.Change{})},
		{"attempt far on", "so many were never made", payload(protocol.Change{Attempt: 1 << 61})},
		{"no payload", "decode change", func(x *mpc.Setup) { x.Payload = nil }},
		{"payload of a request", "decode change", func(x *mpc.Setup) { x.Payload = (&protocol.Request{Purpose: "drill"}).Encode() }},
		{"dealers named", "is no refresh of its key", payload(protocol.Change{Attempt: 1, Dealers: []engine.PartyID{c.Self()}})},
		{"members named", "is no refresh of its key", payload(protocol.Change{Attempt: 1, Members: []engine.PartyID{c.Self()}})},
		{"without one", "of all members", func(x *mpc.Setup) {
			x.Parties = slices.DeleteFunc(x.Parties, func(p mpc.Party) bool { return p.ID == s.Hosts[1].Self() })
		}},
		{"another index", "of all members", func(x *mpc.Setup) { x.Parties = []mpc.Party{members[0], members[1], stranger} }},
		{"threshold", "with its threshold", func(x *mpc.Setup) { x.Threshold = 3 }},
		{"epoch", "the epoch in force", func(x *mpc.Setup) { x.Epoch[0] ^= 1 }},
		{"suite", "is no refresh of its key", func(x *mpc.Setup) { x.Suite = charter.SuiteEd25519 }},
		{"key", "is not known here", func(x *mpc.Setup) { x.KeyID[0] ^= 1 }},
		{"a reshare", "", func(x *mpc.Setup) { x.Protocol = protocol.ProtocolReshare }},
	} {
		refused(x.name, byte(i+10), x.want, x.change)
	}
	c.Hostile = false
	s.wantNew()
	s.moved(1, old)
	s.signs(1)
}

// Two nodes open new shares at the same moment: each refuses the other's, and the next attempt is one.
func TestTwoRefreshesAtOnce(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	old := s.record(s.Hosts[0])
	for _, h := range s.Hosts { // before any of them ticks
		if err := h.Keeper.AskRefresh(context.Background(), s.Now, s.vault, s.Suite); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range s.Hosts[:2] {
		x, err := mpc.OpenSetup(s.opens(h, 1, func(*mpc.Setup) {}))
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Sessions.Open(context.Background(), s.Now, x); err != nil {
			t.Fatal(err)
		}
	}
	s.Deliver()
	if !bytes.Contains(s.Log.Bytes(), []byte("another attempt is being joined")) && !bytes.Contains(s.Log.Bytes(), []byte("does not follow 1")) {
		t.Fatal("they did not meet")
	}
	s.moved(1, old)
	s.signs(1)
	calm(t, s.World, s.vault)
}

// New shares come into force while signatures are under way: a session that goes on ends with its signature; one whose
// messages are lost ends when its time is over, and counts as possibly signed only where our last message had left.
func TestSignaturesUnderWayDuringRefresh(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{charter.SuiteBIP340, charter.SuiteECDSA} {
		last := protocol.SignRounds(suite)
		for _, c := range []struct {
			name    string
			round   uint8
			release bool
		}{{"goes on from the first", 1, true}, {"goes on from the last", last, true}, {"lost the first", 1, false}, {"lost the last", last, false}} {
			t.Run(suite+" "+c.name, func(t *testing.T) { underWay(t, suite, c.round, c.release) })
		}
	}
}

func underWay(t *testing.T, suite string, round uint8, release bool) {
	s := ofSuite(t, suite, 2, 2)
	old := s.record(s.Hosts[0])
	var held []nodetest.Parcel
	holds := true
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if env, err := mpc.ReadEnvelope(p.Frame); holds && err == nil && env.Protocol == protocol.ProtocolSign && env.Round >= round {
			held = append(held, p)
			return nil
		}
		return []nodetest.Parcel{p}
	}
	st := s.Propose(s.vault, s.addr, 1)
	s.Approve(st)
	s.Run("the session stops", func() bool { return len(held) >= 2 })
	began := s.Now
	s.wantNew()
	s.moved(1, old)
	if s.Now.Sub(began) > 15*time.Second {
		t.Fatalf("new shares took %v: the session is over", s.Now.Sub(began))
	}
	if !release {
		s.Run("the session ends", func() bool { return s.All(func(h *nodetest.Host) bool { return ended(s.World, h, st) }) })
		for _, h := range s.Hosts {
			v, err := h.Desk.Show(st.ID())
			if err != nil || v.State == intent.Signed || v.Possibly != (round == protocol.SignRounds(suite)) {
				t.Errorf("%s: %s, possibly signed %v, %v", h.Own.Name, v.State, v.Possibly, err)
			}
		}
	} else {
		holds, s.Queue = false, append(s.Queue, held...)
		s.Run("signed by the old shares", func() bool { return s.Signed(st) })
	}
	s.Pass = nil
	s.signs(2)
	calm(t, s.World, s.vault)
	if _, err := s.Keys(s.Hosts[0], old); err == nil {
		t.Error(fmt.Sprint("the old share is still there: ", old.Hash()))
	}
}

// New shares that are due are not begun with a member who broke the protocol: the nodes that saw it say so, the others sign
// on, and an operator's word begins them.
func TestScheduledRefreshWithoutPardon(t *testing.T) {
	t.Parallel()
	s := scheduled(t, time.Hour)
	old, seats := s.record(s.Hosts[0]), s.seats()
	saw, liar := seats[0], seats[1]
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.From == liar {
			p, _ = liedIn(p, protocol.ProtocolSign, 2)
		}
		return []nodetest.Parcel{p}
	}
	st := s.Propose(s.vault, s.addr, 1)
	s.Approve(st)
	s.Run("the liar is quarantined", func() bool {
		q, err := saw.Sessions.Quarantined(context.Background(), old.KeyID)
		return err == nil && slices.Equal(q, []engine.PartyID{liar.Self()})
	})
	s.Pass, s.Queue, liar.Hostile = nil, nil, false
	s.Now = s.Now.Add(time.Hour)
	before := s.Log.Len()
	s.Try(10*time.Minute, func() bool { return false })
	if !s.in(0, s.Hosts...) || !strings.Contains(s.root(saw).LastErr, "is quarantined") {
		t.Errorf("new shares with a member who is quarantined: %q", s.root(saw).LastErr)
	}
	if n := strings.Count(s.Log.String()[before:], "\n"); n > 200 {
		t.Errorf("%d lines of log in ten minutes", n)
	}
	s.signs(2)
	s.wantNew(saw)
	s.moved(1, old)
	calm(t, s.World, s.vault)
}
