package node_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

// What one hostile operator, with its node's keys, can try while a vault gets new shares, and in sessions of FROST.

// ask gives operators' word that the key gets new shares.
func (s setting) ask(hosts ...*nodetest.Host) {
	s.T.Helper()
	for _, h := range hosts {
		if err := h.Keeper.AskRefresh(context.Background(), s.Clock(h), s.vault, s.Suite); err != nil {
			s.T.Fatal(err)
		}
	}
}

// attempt is a Setup of an attempt at new shares, opened by a host.
func (s setting) attempt(n uint64, by *nodetest.Host) *mpc.Setup {
	r := s.root(s.Hosts[0]).Current.Record
	x := &mpc.Setup{
		Protocol: protocol.ProtocolRefresh, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: r.Threshold, Parties: r.Parties(),
		Opener: by.Self(), NotAfter: s.Now.Add(5 * time.Minute).Truncate(time.Second), Payload: (&protocol.Change{Attempt: n}).Encode(),
	}
	if _, err := s.Rand.Read(x.Nonce[:]); err != nil {
		s.T.Fatal(err)
	}
	return x
}

// forgeSetup sends a Setup to one host alone.
func (s setting) forgeSetup(x *mpc.Setup, from, to *nodetest.Host) {
	s.T.Helper()
	frame, err := mpc.SealSetup(x, mpc.NewSigner(from.Key))
	if err != nil {
		s.T.Fatal(err)
	}
	s.Forge(from, to, frame)
}

// decline says on a host's own link that it will not join.
func (s setting) decline(x *mpc.Setup, from, to *nodetest.Host) {
	hash := x.Hash()
	var e transcript.Encoder
	e.Bytes(1, hash[:]).String(2, "no")
	s.Forge(from, to, append([]byte{18}, e.Sum()...))
}

func (s setting) epochNumber(h *nodetest.Host) uint64 { return s.root(h).Current.Record.Epoch }

// withhold keeps the FINALs of a host from the others, and theirs from it; allow lets some pass all the same.
func (s setting) withhold(c *nodetest.Host, allow func(*epoch.Final, nodetest.Parcel) bool) {
	c.Hostile = true
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		n := noteOf(p)
		if p.From != c && p.To != c || n.Kind != ceremony.NoteFinal && n.Kind != ceremony.NoteFinalCert {
			return []nodetest.Parcel{p}
		}
		if n.Kind == ceremony.NoteFinal && allow != nil {
			if f, err := epoch.DecodeFinal(n.Fields[0]); err == nil && allow(f, p) {
				return []nodetest.Parcel{p}
			}
		}
		return nil
	}
}

// finalsOf are the FINALs that a host keeps of a party.
func (s setting) finalsOf(at, of *nodetest.Host) (out []*epoch.Final) {
	for _, it := range s.Rows(at, "final/") {
		f, err := epoch.DecodeFinal(it.Value)
		if err != nil {
			s.T.Fatal(err)
		}
		if f.From == of.Self() && f.Record != s.root(at).Current.Record.Hash() {
			out = append(out, f)
		}
	}
	return out
}

func (s setting) has(h *nodetest.Host, row string, eh epoch.Hash) bool {
	return slices.ContainsFunc(s.Rows(h, "epoch/"), func(it store.Item) bool {
		return strings.HasSuffix(it.Key, "/"+hex.EncodeToString(eh[:])+"/"+row)
	})
}

// A hostile operator opens an attempt with one node alone and lets it hang; a second attempt is made and tested; then it opens a
// third one, and ends the first while the third one's admission is on its way to the disk. The node must not say FINAL
// of the record that this admission gives up: its share would be erased, and the record come into force.
func TestNoFinalOfWhatAnAdmissionGivesUp(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 3)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	ctx := context.Background()
	s.ask(a, b, c)
	hangs := s.attempt(1, c)
	s.forgeSetup(hangs, c, a)
	s.Now = s.Now.Add(11 * time.Second) // one attempt of a peer is joined in 10 s
	if err := c.Sessions.Open(ctx, s.Now, s.attempt(2, c)); err != nil {
		t.Fatal(err)
	}
	// One node opens the test; the first one is busy with the attempt that hangs, and says no FINAL.
	if !s.Try(90*time.Second, func() bool { return len(s.finalsOf(b, b)) == 1 && len(s.finalsOf(c, c)) == 1 }) {
		t.Fatalf("no record was tested: %s", s.Tail())
	}
	eh := s.finalsOf(b, b)[0].Record
	if !s.has(a, "tested", eh) || len(s.finalsOf(a, a)) != 0 {
		t.Fatal("the first node is not where the attack begins")
	}
	s.Deliver()
	s.Now = s.Now.Add(11 * time.Second)
	third := s.attempt(3, c)
	task, err := a.Keeper.Admit(ctx, s.Now, third) // as its host does …
	if err != nil {
		t.Fatal(err)
	}
	s.decline(hangs, c, a)
	a.Tick(ctx, s.Now)
	if err := a.Journal.Write(ctx, task.Admit); err != nil { // … and then writes
		t.Logf("the admission is refused: %v", err)
	} else {
		task.Admitted()
	}
	s.Try(30*time.Second, func() bool { return false })
	for _, h := range s.Hosts {
		if r := s.root(h).Current.Record; r.Hash() == eh {
			if _, err := s.Keys(a, r); err != nil {
				t.Fatalf("%s moved to a record of which %s erased its share: %v", h.Own.Name, a.Own.Name, err)
			}
		}
	}
	if slices.ContainsFunc(s.finalsOf(a, a), func(f *epoch.Final) bool { return f.Record == eh }) && !s.has(a, protocol.RowShare, eh) {
		t.Errorf("FINAL was said, and the share is gone")
	}
}

// withheld opens n attempts at new shares as a hostile operator, one upon the other, and withholds its FINAL of each.
func (s setting) withheld(n int) {
	s.T.Helper()
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.ask(a, b, c)
	s.withhold(c, nil)
	for len(s.finalsOf(a, a)) < n {
		have, highest := len(s.finalsOf(a, a)), uint64(0)
		for _, it := range s.Rows(a, "epoch/") {
			if r, err := epoch.Decode(it.Value); strings.HasSuffix(it.Key, "/"+protocol.RowRecord) && err == nil && r.Epoch > 0 {
				highest = max(highest, r.Attempt)
			}
		}
		s.Now = s.Now.Add(13 * time.Minute) // beyond the others' patience
		if err := c.Sessions.Open(context.Background(), s.Now, s.attempt(highest+1, c)); err != nil {
			s.T.Log(err)
		}
		if !s.Try(time.Minute, func() bool { return len(s.finalsOf(a, a)) > have && len(s.finalsOf(b, b)) > have }) {
			return
		}
	}
}

// An operator opens one attempt upon the other, withholds its FINAL of each, and then says that of the last: all move.
func TestWithheldFinalsAreErasedAtOnce(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	began := s.Now
	s.withheld(21)
	all := s.finalsOf(c, c)
	t.Logf("%d FINALs are withheld after %s, %d rows at %s", len(all), s.Now.Sub(began), len(s.Rows(a, "epoch/")), a.Own.Name)
	if len(all) < 3 {
		t.Fatal("too few for one batch to be full")
	}
	var last *epoch.Record
	for _, it := range s.Rows(a, "epoch/") {
		if strings.HasSuffix(it.Key, "/"+protocol.RowRecord) {
			r, err := epoch.Decode(it.Value)
			if err != nil {
				t.Fatal(err)
			}
			if said := slices.ContainsFunc(s.finalsOf(a, a), func(f *epoch.Final) bool { return f.Record == r.Hash() }); said && (last == nil || r.Higher(last)) {
				last = r
			}
		}
	}
	s.withhold(c, func(f *epoch.Final, p nodetest.Parcel) bool { return p.From == c && f.Record == last.Hash() })
	for _, f := range all {
		if f.Record == last.Hash() {
			for _, h := range []*nodetest.Host{a, b} {
				s.Forge(c, h, frameOf(outbox.Note{Kind: ceremony.NoteFinal, Fields: [][]byte{f.Encode()}}))
			}
		}
	}
	if !s.Try(time.Minute, func() bool { return s.epochNumber(a) == 1 && s.epochNumber(b) == 1 }) {
		t.Fatalf("the new epoch cannot be taken: %s", s.root(a).LastErr)
	}
}

// An operator withholds its FINAL of the first attempt, for ever, and does all else rightly: the next attempt succeeds.
func TestOneWithheldFinal(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	a, c := s.Hosts[0], s.Hosts[2]
	s.ask(s.Hosts...)
	var first epoch.Hash
	s.withhold(c, func(f *epoch.Final, _ nodetest.Parcel) bool {
		if first == (epoch.Hash{}) {
			first = f.Record
		}
		return f.Record != first
	})
	if !s.Try(time.Hour, func() bool { return s.epochNumber(a) == 1 }) {
		t.Errorf("no new shares within an hour: %s", s.root(a).LastErr)
	}
}

// An operator opens attempts of ever higher numbers with one node alone. When it stops, new shares are made all the same.
func TestAttemptNumbersDoNotDriftApart(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	a, c := s.Hosts[0], s.Hosts[2]
	s.ask(s.Hosts...)
	for i := range uint64(3) {
		x := s.attempt(16*(i+1), c)
		s.forgeSetup(x, c, a)
		s.decline(x, c, a)
	}
	s.Queue = nil
	if !s.Try(time.Hour, func() bool { return s.All(func(h *nodetest.Host) bool { return s.epochNumber(h) == 1 }) }) {
		t.Errorf("no new shares within an hour: %s / %s", s.root(a).LastErr, s.root(s.Hosts[1]).LastErr)
	}
}

// A disk is full for a moment, just when a certificate is kept. The node starts again afterwards.
func TestFullDiskAtTheCertificate(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	a, c := s.Hosts[0], s.Hosts[2]
	s.ask(s.Hosts...)
	s.withhold(c, nil)
	struck := 0
	a.Disk.SetFault(func(b store.Batch) memory.Outcome {
		for _, e := range b.Put {
			if strings.HasPrefix(e.Key, "epoch/") && strings.HasSuffix(e.Key, "/cert") && struck < 2 {
				struck++
				return memory.Full
			}
		}
		return 0
	})
	s.Try(3*time.Minute, func() bool { return len(s.finalsOf(a, a)) == 1 })
	if struck == 0 {
		t.Fatal("the disk was never full")
	}
	a.Disk.SetFault(nil)
	for _, f := range s.finalsOf(a, a) {
		if !s.has(a, "cert", f.Record) {
			t.Errorf("FINAL stands on the disk, its certificate does not: %v", f.Record)
		}
	}
	s.Crash(a)
	s.Step(2 * time.Second)
	if !a.Up {
		t.Fatal("the node does not start")
	}
}

// liedAt is a frame of a session's round, changed and rightly signed.
func liedAt(p nodetest.Parcel, name string, round uint8) (out nodetest.Parcel, changed bool) {
	env, err := mpc.ReadEnvelope(p.Frame)
	if err != nil || env.Protocol != name || env.Round != round {
		return p, false
	}
	d := transcript.NewDecoder(p.Frame[1:])
	head, body := bytes.Clone(d.Bytes(1, 1024)), bytes.Clone(d.Bytes(2, 1<<20))
	body[len(body)-1] ^= 1
	sum := sha256.Sum256(body)
	sig := ed25519.Sign(p.From.Key, transcript.New(transcript.SessionEnvelope).Bytes(head).Bytes(sum[:]).Tree())
	var e transcript.Encoder
	e.Bytes(1, head).Bytes(2, body).Bytes(3, sig)
	p.Frame = append([]byte{p.Frame[0]}, e.Sum()...)
	p.From.Hostile = true
	return p, true
}

// A share of a FROST signature is wrong. The stored fault alone convicts: it has the accused's message, and what it answers to.
func TestStoredFaultOfFROSTConvicts(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 2, 2)
	a, b := s.Hosts[0], s.Hosts[1]
	var commitments [][]byte
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if env, err := mpc.ReadEnvelope(p.Frame); err == nil && env.Protocol == protocol.ProtocolSign && env.Round == 1 {
			d := transcript.NewDecoder(p.Frame[1:])
			d.Bytes(1, 1024)
			commitments = append(commitments, bytes.Clone(d.Bytes(2, 1<<20))[32:]) // after the echo
		}
		if p.From == b {
			p, _ = liedAt(p, protocol.ProtocolSign, 2)
		}
		return []nodetest.Parcel{p}
	}
	st, n := s.Proposal(s.asks(s.addr, "ours"))
	s.Run("proposal taken", func() bool { _, err := s.Submit(n); return err == nil })
	s.Approve(st)
	s.Try(time.Minute, func() bool { return len(s.Rows(a, "fault/")) > 0 })
	rows := s.Rows(a, "fault/")
	if len(rows) == 0 {
		t.Fatal("no fault is kept")
	}
	if len(commitments) < 2 {
		t.Fatalf("%d commitments were seen", len(commitments))
	}
	for i, c := range commitments[:2] {
		found := slices.ContainsFunc(rows, func(it store.Item) bool { return bytes.Contains(it.Value, c) })
		if !found {
			t.Errorf("commitment %d does not stand in the stored fault: frost.Proves cannot be asked", i)
		}
	}
}

// An operator withholds FINAL of a first attempt, has a second one certified and takes no part in its test, and then says the first
// FINAL: the second record's parent is in force no more, so that it can never be tested. New shares are made all the same.
func TestUntestedSiblingOfWhatCameIntoForce(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.withheld(1)
	if len(s.finalsOf(a, a)) != 1 {
		t.Fatal("no FINAL was said")
	}
	f := s.finalsOf(c, c)[0]
	finals := s.Pass
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if env, err := mpc.ReadEnvelope(p.Frame); err == nil && env.Protocol == protocol.ProtocolTest && (p.From == c || p.To == c) {
			return nil
		}
		return finals(p)
	}
	if err := c.Sessions.Open(context.Background(), s.Now, s.attempt(2, c)); err != nil {
		t.Fatal(err)
	}
	s.Deliver()
	s.Try(time.Second, func() bool { return false })
	for _, h := range []*nodetest.Host{a, b} {
		s.Forge(c, h, frameOf(outbox.Note{Kind: ceremony.NoteFinal, Fields: [][]byte{f.Encode()}}))
	}
	s.Pass = nil
	s.Run("the first record is in force", func() bool { return s.All(func(h *nodetest.Host) bool { return s.epochNumber(h) == 1 }) })
	s.Try(5*time.Minute, func() bool { return false })
	s.ask(a, b, c)
	if !s.Try(time.Hour, func() bool { return s.epochNumber(a) == 2 }) {
		t.Errorf("no new shares within an hour after all asked: step %q, %s", s.root(a).Change.Step, s.root(a).LastErr)
	}
}

// Of a FROST session that fails: possibly signed if and only if our share left.
func TestPossiblySignedInFROST(t *testing.T) {
	t.Parallel()
	for round, want := range map[uint8]bool{1: false, 2: true} {
		s := ofSuite(t, charter.SuiteBIP340, 2, 2)
		a, b := s.Hosts[0], s.Hosts[1]
		b.Hostile = true
		s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
			env, err := mpc.ReadEnvelope(p.Frame)
			if p.From == b && (err == nil && env.Protocol == protocol.ProtocolSign && env.Round >= round || noteOf(p).Kind == decide.NoteSigned) {
				return nil
			}
			return []nodetest.Parcel{p}
		}
		st := s.Propose(s.vault, s.addr, 0)
		s.Approve(st)
		s.Try(3*time.Minute, func() bool { return s.at(st, intent.Failed, a) })
		if v, err := a.Desk.Show(st.ID()); err != nil || v.Possibly != want {
			t.Errorf("nothing came from round %d on: %s, possibly signed %v, %v", round, v.State, v.Possibly, err)
		}
	}
}

// How many records an operator that withholds its FINAL makes the others keep.
func TestWithheldFinalsAreBounded(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 3, 2)
	began := s.Now
	s.withheld(12)
	if n := len(s.finalsOf(s.Hosts[0], s.Hosts[0])); n != 3 {
		t.Errorf("%d records with our FINAL after %s, want 3: as many as may wait, and no more", n, s.Now.Sub(began))
	}
}

// A FINAL that was withheld for a month is no proof that its maker still has its share, nor are the shares
// that it brings into force those that an operator asks for today.
func TestOldFinal(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
