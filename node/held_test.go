package node_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/rescue"
	"github.com/ostraka/ostraka/node/store"
)

// veto is a guardian's, as a note.
func (s setting) veto(r act.Request, i int) outbox.Note {
	s.T.Helper()
	v, err := act.Veto{Head: r.Head(), By: fmt.Sprintf("guardian-%d", i), Reason: "not so", Created: s.Now}.Statement(s.Salt())
	return s.said(pen(s.T.(*testing.T), i), v, err)
}

// question asks a host, as another, whether it knows of a veto, and gives what it sends: the first bytes of the frames, and the notes.
func (s setting) question(from, to *nodetest.Host, r act.Request) (frames []byte, notes []outbox.ID) {
	var e transcript.Encoder
	q := e.Bytes(1, s.vault[:]).Bytes(2, r.ID[:]).Bytes(3, make([]byte, 32)).Sum()
	s.Queue = nil
	s.Act(to, func() { to.Deliver(s.T.Context(), s.Clock(to), from.Own.Identity, append([]byte{24}, q...)) })
	for _, p := range s.Queue {
		if p.To == from {
			frames, notes = append(frames, p.Frame[0]), append(notes, noteOf(p).ID())
		}
	}
	return frames, notes
}

// alarmed counts the alarms in a host's log that say something.
func (s setting) alarmed(h *nodetest.Host, what string) (n int) {
	s.T.Helper()
	head, err := h.Journal.Head(s.T.Context())
	if err != nil {
		s.T.Fatal(err)
	}
	for i := range head.Size {
		l, err := h.Journal.Leaf(s.T.Context(), i)
		if err != nil {
			s.T.Fatal(err)
		}
		if l.Kind == tlog.KindAlarm && strings.Contains(string(l.Body.Content), what) {
			n++
		}
	}
	return n
}

// A subject that kept its FINAL of a refresh back sends it during the emergency: the epoch does not move, and the request goes on. Once guardians vetoed it, it is taken.
func TestWithheldFinalWaits(t *testing.T) {
	t.Parallel()
	first := emergency(t, charter.SuiteEd25519)
	t.Run("PREP", func(t *testing.T) { prepWaits(t, first.copy(t, "PREP")) })
	t.Run("between two declarations", func(t *testing.T) { lastWordBetween(t, first.copy(t, "between")) })
	t.Run("before any", func(t *testing.T) { lastWordBefore(t, first.copy(t, "before")) })
	s := first.copy(t, "FINAL")
	a, c := s.Hosts[0], s.Hosts[2]
	before := s.record(a)
	f, last := s.lastWord()
	r := s.declare()
	for range 2 {
		if v, _ := s.tell(c, a, last); v != outbox.Later {
			t.Errorf("verdict %d", v)
		}
	}
	if n := s.alarmed(a, "the FINAL of "+c.Own.Name); n != 1 {
		t.Errorf("its log tells of it %d times", n)
	}
	s.Step(time.Second)
	s.Deliver()
	if s.record(a).Hash() != before.Hash() || s.stands(a, r) != sos.Active {
		t.Fatalf("epoch %d, the request is %s", s.record(a).Epoch, s.stands(a, r))
	}
	t.Run("the emergency goes on", func(t *testing.T) { // and nobody waits for the last word that is missing
		s := active(t, s, r, "on")
		a, b, d := s.Hosts[0], s.Hosts[1], s.Hosts[3]
		id := s.activate(a)[0]
		s.Run("signed", func() bool { return s.activated(a, r, id) && s.activated(b, r, id) })
		for i := range 2 {
			if _, err := s.submit(b, s.contribution(r, id, i)); err != nil {
				t.Fatal(err)
			}
		}
		if !s.Try(2*time.Minute, func() bool { return s.HeldBy(a, s.vault, 3, a, b, d) && s.HeldBy(d, s.vault, 3, a, b, d) }) {
			t.Error("no new shares within two minutes")
		}
	})
	t.Run("vetoed", func(t *testing.T) {
		s := active(t, s, r, "vetoed")
		a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
		for i := 1; i < 3; i++ {
			if _, err := s.submit(a, s.veto(r, i)); err != nil {
				t.Fatal(err)
			}
		}
		s.Run("over", s.allStand(sos.Vetoed, r, a, b))
		if v, log := s.tell(c, a, last); v != outbox.Taken {
			t.Errorf("verdict %d\n%s", v, log)
		}
		if s.record(a).Hash() != f.Record {
			t.Error("the record is not in force")
		}
	})
}

// lastWord has the third host keep its FINAL of a refresh back, and go away.
func (s setting) lastWord() (*epoch.Final, outbox.Note) {
	s.T.Helper()
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.withhold(c, nil)
	s.ask(a, b, c)
	s.Run("two said FINAL", func() bool {
		return len(s.finalsOf(b, a)) == 1 && len(s.finalsOf(b, b)) == 1 && len(s.finalsOf(c, c)) == 1
	})
	f := s.finalsOf(c, c)[0]
	s.Downtime = 1000 * time.Hour
	s.Crash(c)
	s.Pass = nil
	return f, outbox.Note{Kind: ceremony.NoteFinal, Fields: [][]byte{f.Encode()}}
}

// lastWordBetween: one declared, and the other has no support yet as the last word comes to it. It moves alone: the request is over for both at once, and they go on in one epoch.
func lastWordBetween(t *testing.T, s setting) {
	a, b, c, d := s.Hosts[0], s.Hosts[1], s.Hosts[2], s.Hosts[3]
	_, last := s.lastWord()
	slow := true
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if n := noteOf(p); slow && p.To == b && n.Kind == rescue.NoteSaid {
			if st, err := statement.Parse(n.Fields[0]); err == nil && st.Kind() == statement.SOSSupport {
				return nil
			}
		}
		return []nodetest.Parcel{p}
	}
	r := s.askSOS(a, charter.TriggerLegal, c.Own.Name)
	s.Run("known", s.allStand(sos.Armed, r, a, b, d))
	s.support(a, r, 0)
	s.support(a, r, 1)
	s.consent(a, r)
	s.Run("declared at two", s.allStand(sos.Declared, r, a, d))
	if v, log := s.tell(c, a, last); v != outbox.Later {
		t.Errorf("verdict %d of who declared\n%s", v, log)
	}
	if v, log := s.tell(c, b, last); v != outbox.Taken {
		t.Errorf("verdict %d of who has no support\n%s", v, log)
	}
	slow = false
	if !s.Try(30*time.Second, s.allStand(sos.Expired, r, a, b, d)) {
		t.Errorf("half a minute later it is %s, %s and %s", s.stands(a, r), s.stands(b, r), s.stands(d, r))
	}
	if !s.Try(2*time.Minute, func() bool { return s.record(a).Hash() == s.record(b).Hash() }) {
		t.Errorf("epochs %d and %d", s.record(a).Epoch, s.record(b).Epoch)
	}
}

// lastWordBefore: the support is complete, and the declaration waits for the subject's silence. The last word waits as well, until the request is over.
func lastWordBefore(t *testing.T, s setting) {
	a, b, c, d := s.Hosts[0], s.Hosts[1], s.Hosts[2], s.Hosts[3]
	_, last := s.lastWord()
	r := s.askSOS(a, charter.TriggerSilence, c.Own.Name)
	s.Run("known", s.allStand(sos.Armed, r, a, b, d))
	s.support(a, r, 0)
	s.support(b, r, 1)
	s.consent(a, r)
	s.Run("near", func() bool { return a.Rescue.Near(s.vault) && b.Rescue.Near(s.vault) })
	for _, h := range []*nodetest.Host{a, b} {
		if v, log := s.tell(c, h, last); v != outbox.Later || s.stands(h, r) != sos.Armed {
			t.Errorf("%s: verdict %d, the request is %s\n%s", h.Own.Name, v, s.stands(h, r), log)
		}
	}
	if s.alarmed(a, "the FINAL of "+c.Own.Name) != 1 {
		t.Error("its log does not tell of it")
	}
	for i := 1; i < 3; i++ {
		if _, err := s.submit(a, s.veto(r, i)); err != nil {
			t.Fatal(err)
		}
	}
	s.Run("over", s.allStand(sos.Vetoed, r, a, b))
	if v, log := s.tell(c, a, last); v != outbox.Taken {
		t.Errorf("verdict %d\n%s", v, log)
	}
}

// prepWaits: a refresh begins before a declaration, and comes to its PREPs after it: none leaves. Before that, a node in ARMED tells who asks of the veto that it has.
func prepWaits(t *testing.T, s setting) {
	a, b, c, d := s.Hosts[0], s.Hosts[1], s.Hosts[2], s.Hosts[3]
	r := s.askSOS(a, charter.TriggerLegal, c.Own.Name)
	s.Run("known", s.allStand(sos.Armed, r, a, b, c, d))
	v := s.veto(r, 2)
	if _, err := s.submit(b, v); err != nil {
		t.Fatal(err)
	}
	if frames, notes := s.question(a, b, r); !slices.Equal(frames, []byte{nodetest.FrameNote}) || notes[0] != v.ID() {
		t.Errorf("frames %v", frames)
	}
	s.support(a, r, 0)
	s.consent(a, r)
	var kept []nodetest.Parcel
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.Frame[0] == byte(mpc.SetupFrame) || p.Frame[0] == byte(mpc.JoinFrame) || !isSession(p) {
			return []nodetest.Parcel{p}
		}
		kept = append(kept, p)
		return nil
	}
	s.ask(a, b, c)
	s.Run("a session runs", func() bool { return len(kept) > 0 })
	s.support(a, r, 1)
	s.Run("declared", func() bool {
		for _, h := range []*nodetest.Host{a, b, c} {
			if !s.stands(h, r).Holds() {
				return false
			}
		}
		return true
	})
	s.Pass = nil
	s.Queue = append(s.Queue, kept...)
	for range 20 {
		s.Step(time.Second)
		s.Deliver()
	}
	for _, h := range []*nodetest.Host{a, b, c} {
		certified := slices.DeleteFunc(s.Rows(h, "epoch/"), func(it store.Item) bool { return !strings.HasSuffix(it.Key, "/cert") })
		if len(certified) != 1 || len(s.Rows(h, "gone/")) != 1 {
			t.Errorf("%s: %d certificates, %d records given up", h.Own.Name, len(certified), len(s.Rows(h, "gone/")))
		}
	}
}

func isSession(p nodetest.Parcel) bool { return len(p.Frame) > 0 && p.Frame[0] < nodetest.FrameNote }

// Two contributors gave their parts. What comes after cannot take them back: a guardian's second contribution, vetoes, and that the request is over at the successor before
// it heard of the releases. It keeps its key, and all three finish.
func TestReleasedIsFinished(t *testing.T) {
	t.Parallel()
	s, r := readyToActivate(t)
	a, b, d := s.Hosts[0], s.Hosts[1], s.Hosts[3]
	id := s.activate(a)[0]
	s.Run("all have it", func() bool { return s.activated(a, r, id) && s.activated(b, r, id) && s.activated(d, r, id) })
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel { // neither contributions nor releases come to d
		n := noteOf(p)
		if p.To == d && n.Kind == rescue.NoteContribution {
			return nil
		}
		if p.To == d && n.Kind == rescue.NoteSaid {
			if st, err := statement.Parse(n.Fields[0]); err == nil && st.Kind() == statement.SOSReleased {
				return nil
			}
		}
		return []nodetest.Parcel{p}
	}
	for i := range 2 {
		if _, err := s.submit(a, s.contribution(r, id, i)); err != nil {
			t.Fatal(err)
		}
	}
	s.Run("both gave", func() bool { return s.gave(a, r, id) && s.gave(b, r, id) })
	if _, err := s.submit(b, s.contribution(r, id, 0)); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if _, err := s.submit(a, s.veto(r, i)); err != nil {
			t.Fatal(err)
		}
	}
	s.Run("too late for two of them", s.allStand(sos.LockUp, r, a, b))
	s.Run("in time for the third", s.allStand(sos.Vetoed, r, d))
	for range 40 { // its ticks are half a minute apart once nothing is open
		s.Step(time.Second)
		s.Deliver()
	}
	if len(s.Rows(d, "sos-key")) == 0 {
		t.Fatal("its key of the ceremony is erased")
	}
	s.Pass = nil
	s.Run("new shares", func() bool {
		return s.HeldBy(a, s.vault, 3, a, b, d) && s.HeldBy(b, s.vault, 3, a, b, d) && s.HeldBy(d, s.vault, 3, a, b, d)
	})
	s.Run("no key is kept", func() bool {
		return s.allStand(sos.LockUp, r, a, b, d)() && len(s.Rows(a, "sos-key"))+len(s.Rows(b, "sos-key"))+len(s.Rows(d, "sos-key")) == 0
	})
}

// A node that was set back behind a veto answers nobody until others have told it again, though its operator confirmed it. A write whose outcome is not known ends a node, and it
// reads back what was written.
func TestVetoAfterRestore(t *testing.T) {
	t.Parallel()
	s, r := readyToActivate(t)
	a, b := s.Hosts[0], s.Hosts[1]
	rows := s.Rows(b, "")
	v := s.veto(r, 1)
	s.Fate = func(h *nodetest.Host, _ int, batch store.Batch) nodetest.Fate {
		if h == b && slices.ContainsFunc(batch.Put, func(e store.Entry) bool { return strings.HasPrefix(e.Key, "sos-said/") }) {
			return nodetest.Unknown
		}
		return nodetest.Live
	}
	s.Downtime = 5 * time.Second
	if _, err := s.submit(b, v); err != nil || b.Up || s.Fatal != 1 {
		t.Fatalf("after a write of unknown outcome the node goes on: %v, %d", err, s.Fatal)
	}
	s.Fate = nil
	vetoes := func(h *nodetest.Host) (n int, rolled bool) {
		s.Act(h, func() {
			k, err := h.Rescue.Docket(t.Context(), s.vault)
			if err == nil {
				c, _ := k.Case(r.ID)
				n, rolled = len(c.Vetoes()), k.Rolled()
			}
		})
		return n, rolled
	}
	s.Run("it read it back, and told it", func() bool { n, _ := vetoes(b); m, _ := vetoes(a); return b.Up && n == 1 && m == 1 })
	pass(s.World, 15*time.Second) // the peers are told of its log within 5 s
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.To == b && (p.Frame[0] == 29 || noteOf(p).ID() == v.ID()) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	s.Restore(b, rows)
	restored(t, s, b)
	s.Run("it stands in the delay again", s.allStand(sos.Contest, r, b))
	for range 10 {
		s.Step(time.Second)
		s.Deliver()
	}
	if _, rolled := vetoes(b); !rolled {
		t.Error("it goes on before it has heard from the others")
	}
	if frames, _ := s.question(a, b, r); len(frames) > 0 {
		t.Errorf("it answers: %v", frames)
	}
	s.Pass = nil
	s.Run("it goes on once it has", func() bool { n, rolled := vetoes(b); return n == 1 && !rolled })
	if frames, _ := s.question(a, b, r); !slices.Equal(frames, []byte{nodetest.FrameNote, 25}) {
		t.Errorf("frames %v", frames)
	}
}

// A copy from before the request knows of nothing: it fetches what the others have all the same, vetoes first, and then stands in the emergency as they do.
func TestCopyFromBeforeTheRequest(t *testing.T) {
	t.Parallel()
	s := emergency(t, charter.SuiteEd25519)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.Downtime = 1000 * time.Hour
	s.Crash(c)
	s.Downtime = 5 * time.Second
	rows := s.Rows(b, "")
	r := s.askSOS(a, charter.TriggerLegal, c.Own.Name)
	s.Run("known", s.allStand(sos.Armed, r, a, b))
	if _, err := s.submit(a, s.veto(r, 1)); err != nil {
		t.Fatal(err)
	}
	pass(s.World, 15*time.Second)
	s.Restore(b, rows)
	restored(t, s, b)
	s.Run("it has the request and the veto again", func() (done bool) {
		s.Act(b, func() {
			if k, err := b.Rescue.Docket(t.Context(), s.vault); err == nil {
				q, known := k.Case(r.ID)
				done = known && len(q.Vetoes()) == 1 && !k.Rolled()
			}
		})
		return done
	})
}
