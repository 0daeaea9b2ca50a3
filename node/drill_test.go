package node_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/backup/drill"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/backup"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// askDrill is what a guardian needs for a drill, as one host shows it.
func (s setting) askDrill(h *nodetest.Host) drill.Request {
	s.T.Helper()
	s.Run("its log is cosigned", func() bool { return cosigned(h, 2) })
	r := drill.Request{Circle: "circle"}
	for i := range 3 {
		card, err := nodetest.GuardianKey(s.T, i, 0).Card()
		if err != nil {
			s.T.Fatal(err)
		}
		r.Names = append(r.Names, drill.Named{Party: card.Party(), Name: fmt.Sprintf("guardian-%d", i)})
	}
	for _, x := range s.Hosts {
		r.Names = append(r.Names, drill.Named{Party: x.Self(), Name: x.Own.Name})
	}
	r.Checkpoint, _, _ = h.Witness.Checkpoint()
	_, plan, set, err := h.BackupSet(s.T.Context(), s.root(h).KeyID)
	if err != nil {
		s.T.Fatal(err)
	}
	r.Keys = []drill.Asked{{Vault: s.vault, Name: s.root(h).Vault.Name, Record: s.record(h).Encode(), Plan: plan, Set: set}}
	return r
}

// drills makes a guardian's drill. A file takes the request and the answer over, as people carry them.
func (s setting) drills(r drill.Request, i int, change func(*drill.Request)) statement.Statement {
	s.T.Helper()
	if change != nil {
		change(&r)
	}
	r, err := drill.DecodeRequest(r.Encode())
	if err != nil {
		s.T.Fatal(err)
	}
	all, spoiled, err := client.DrillGuardian(r, nodetest.GuardianKey(s.T, i, 0), s.Now, s.Rand)
	if err != nil || len(all) != 1 || len(spoiled) != 0 {
		s.T.Fatalf("%d drills, %v spoiled, %v", len(all), spoiled, err)
	}
	if all, err = drill.DecodeAnswer(drill.EncodeAnswer(all)); err != nil {
		s.T.Fatal(err)
	}
	return all[0]
}

func drillNote(st statement.Statement) outbox.Note {
	return outbox.Note{Kind: backup.NoteDrill, Fields: [][]byte{st.Bytes()}}
}

// restores makes an operator's drill of an export that was cut now, for the place that the charter lists, and has its node note the export.
func (s setting) restores(h *nodetest.Host, r drill.Request) statement.Statement {
	s.T.Helper()
	o := cutHere(s.T.(*testing.T), s, h)
	defer o.Wipe()
	all, err := client.DrillExport(r, o, s.Now, s.Rand)
	if err != nil || len(all) != 1 {
		s.T.Fatalf("%d drills, %v", len(all), err)
	}
	s.Act(h, func() { _, err = h.Backups.Note(s.T.Context(), s.Clock(h), o.Signed) })
	if err != nil {
		s.T.Fatal(err)
	}
	return all[0]
}

func (s setting) readiness(h *nodetest.Host) (out string) {
	s.T.Helper()
	s.Act(h, func() {
		if err := h.CheckReady(s.T.Context(), s.Clock(h)); err != nil {
			s.T.Error(err)
		}
		r, err := h.Ready(s.T.Context(), s.Clock(h), s.vault)
		out = r.State.String()
		for _, m := range r.Missing {
			out += "; " + m.What
		}
		if err != nil {
			out += "; " + err.Error()
		}
	})
	return out
}

// Guardians and operators drill, over files; every node takes what any of them was given, and the vault is ARMED. What was made for anything else is refused, and
// what has been is refused again. It survives a restart; when drills are overdue, the vault is NOT READY, and every log says so.
func TestDrillsArmAVault(t *testing.T) {
	t.Parallel()
	w := drillWorld(t)
	s, a, b, c := w, w.Hosts[0], w.Hosts[1], w.Hosts[2]
	s.Run("logs are cosigned", func() bool { return cosigned(a, 2) && cosigned(b, 2) })
	if got := s.readiness(a); !strings.HasPrefix(got, "not-ready") || !strings.Contains(got, "no drill in date of guardians guardian-0, guardian-1, guardian-2") ||
		strings.Contains(got, "mask for the epoch") || strings.Contains(got, "values are not verified") {
		t.Fatalf("before any drill: %s", got)
	}
	r := s.askDrill(a)
	s.refusesDrills(r)
	for i, h := range s.Hosts {
		if _, err := s.submit(h, drillNote(s.drills(s.askDrill(b), i, nil))); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.readiness(b); !strings.Contains(got, "no backup of "+a.Own.Name) || !strings.Contains(got, "no restore drill in date of operators") {
		t.Errorf("before operators drilled: %s", got)
	}
	for _, h := range s.Hosts {
		if _, err := s.submit(b, drillNote(s.restores(h, s.askDrill(h)))); err != nil {
			t.Fatal(err)
		}
	}
	s.Run("every node has every drill", func() bool {
		return s.sameDrills(6) && s.All(func(h *nodetest.Host) bool { return len(h.Backups.Entries()) == 3 })
	})
	for _, h := range s.Hosts {
		if got := s.readiness(h); got != sos.Armed.String() {
			t.Fatalf("%s: %s", h.Own.Name, got)
		}
	}
	if n := s.alarmsOf(c, "is ready for SOS"); n != 1 {
		t.Errorf("%d alarms say that it is ready", n)
	}
	s.Crash(c)
	s.Run("it is back", func() bool { return c.Up && len(c.Backups.Drills()) == 6 })
	if got := s.readiness(c); got != sos.Armed.String() || s.alarmsOf(c, "is ready for SOS") != 1 {
		t.Errorf("after a restart: %s, %d alarms", got, s.alarmsOf(c, "is ready for SOS"))
	}
	s.Step(time.Hour + time.Minute)
	if got := s.readiness(c); !strings.HasPrefix(got, "not-ready; no drill in date of guardians") {
		t.Errorf("an hour later: %s", got)
	}
	if n := s.alarmsOf(c, "NOT READY for SOS: no drill in date"); n != 1 {
		t.Errorf("%d alarms say that drills are overdue", n)
	}
}

// alarms counts those of a host's log that say something.
func (s setting) alarmsOf(h *nodetest.Host, text string) (n int) {
	s.T.Helper()
	head, err := h.Journal.Head(s.T.Context())
	if err != nil {
		s.T.Fatal(err)
	}
	for i := range head.Size {
		f, err := h.Journal.Leaf(s.T.Context(), i)
		if err != nil {
			s.T.Fatal(err)
		}
		if f.Kind == tlog.KindAlarm && bytes.Contains(f.Content, []byte(text)) {
			n++
		}
	}
	return n
}

// refusesDrills hands a node drills that count for nothing, whoever carries them.
func (s setting) refusesDrills(r drill.Request) {
	s.T.Helper()
	a, b := s.Hosts[0], s.Hosts[1]
	try := func(name string, n outbox.Note, says string) {
		s.T.Helper()
		if _, err := s.submit(a, n); err == nil || !strings.Contains(err.Error(), says) {
			s.T.Errorf("%s: %v", name, err)
		}
	}
	good := s.drills(r, 0, nil)
	as := func(change func(*drill.Drill)) outbox.Note {
		d, err := drill.Of(good)
		if err != nil {
			s.T.Fatal(err)
		}
		change(&d)
		st, err := d.Statement()
		if err != nil {
			s.T.Fatal(err)
		}
		return drillNote(st)
	}
	try("another epoch", as(func(d *drill.Drill) { d.Epoch[0] ^= 1 }), "another epoch here")
	try("another key", as(func(d *drill.Drill) { d.Key[0] ^= 1 }), "not known")
	try("another vault", as(func(d *drill.Drill) { d.Vault[0] ^= 1 }), "vault")
	try("another guardian", as(func(d *drill.Drill) { d.By = "guardian-1" }), "party")
	card, err := nodetest.GuardianKey(s.T, 1, 0).Card()
	if err != nil {
		s.T.Fatal(err)
	}
	try("another person's card", as(func(d *drill.Drill) { d.By, d.Party = "guardian-1", card.Party() }), "proof")
	try("a card that is not in the charter", as(func(d *drill.Drill) { d.Party[0] ^= 1 }), "party")
	try("no guardian", as(func(d *drill.Drill) { d.By = "nobody" }), "no guardian")
	other, _, _ := b.Witness.Checkpoint()
	try("another checkpoint", as(func(d *drill.Drill) { d.Checkpoint = other }), "proof")
	try("another time", as(func(d *drill.Drill) { d.Created = d.Created.Add(time.Second) }), "proof")
	try("fields", outbox.Note{Kind: backup.NoteDrill, Fields: [][]byte{good.Bytes(), nil}}, "fields")
	bare, _, _ := bytes.Cut(r.Checkpoint, []byte("\n\n"))
	lines := bytes.SplitAfter(r.Checkpoint[len(bare)+2:], []byte("\n"))
	try("not cosigned", drillNote(s.drills(r, 0, func(r *drill.Request) { r.Checkpoint = append(append(bytes.Clone(bare), "\n\n"...), lines[0]...) })), "no node of another operator")
	forged := s.forgedCheckpoint(b)
	try("of a log as it never was", drillNote(s.drills(r, 0, func(r *drill.Request) { r.Checkpoint = forged })), "root")
	now := s.Now
	s.Now = now.Add(25 * time.Hour)
	try("a day later", drillNote(good), "newer one")
	s.Now = now
	if _, err := s.submit(a, drillNote(good)); err != nil {
		s.T.Error(err)
	}
	if known, err := s.submit(a, drillNote(good)); err != nil || !known {
		s.T.Errorf("said again: %t, %v", known, err)
	}
	s.Now = s.Now.Add(-time.Minute)
	older := s.drills(r, 0, nil)
	s.Now = now
	try("older than what is kept", drillNote(older), "newer one")
	for range 7 {
		s.Step(time.Second)
		if _, err := s.submit(a, drillNote(s.drills(r, 0, nil))); err != nil {
			s.T.Error(err)
		}
	}
	s.Step(time.Second)
	try("a flood", drillNote(s.drills(r, 0, nil)), "within")
	if rows := s.Rows(a, store.Prefix("drill")); len(rows) != 1 {
		s.T.Errorf("%d rows are kept of one guardian and key", len(rows))
	}
	s.Run("others have heard of it", func() bool { return s.sameDrills(1) })
	s.Step(time.Hour)
}

// sameDrills says whether all hosts hold the same drills, so many.
func (s setting) sameDrills(n int) bool {
	want := s.Hosts[0].Backups.Drills()
	return len(want) == n && s.All(func(h *nodetest.Host) bool {
		return slices.EqualFunc(h.Backups.Drills(), want, func(x, y backup.Drilled) bool { return x.ID == y.ID })
	})
}

// forgedCheckpoint is of a host's own log with another root, signed by its key and cosigned by another that its operator bribed.
func (s setting) forgedCheckpoint(h *nodetest.Host) []byte {
	s.T.Helper()
	_, head, _ := h.Witness.Checkpoint()
	head.Root[0] ^= 1
	log, _ := tlog.Derive(h.Key, 0)
	v, _ := h.Witness.Verifiers()
	signer, err := tlog.NewLogSigner(v.Name(), log)
	if err != nil {
		s.T.Fatal(err)
	}
	cp := tlog.Checkpoint{Origin: v.Name(), Head: head}
	signed, err := cp.Sign(signer)
	if err != nil {
		s.T.Fatal(err)
	}
	bribed := s.Hosts[2]
	_, key := tlog.Derive(bribed.Key, 0)
	_, x := bribed.Witness.Verifiers()
	cosigner, err := tlog.NewCosigner(x.Name(), key)
	if err != nil {
		s.T.Fatal(err)
	}
	line, err := cosigner.Cosign(cp, s.Now)
	if err != nil {
		s.T.Fatal(err)
	}
	return append(signed, line...)
}

// drillWorld is a guarded circle whose charter lists a place for exports, and a rescue address.
func drillWorld(t *testing.T) setting {
	t.Helper()
	w := nodetest.New(t, 3)
	w.Change = func(d *charter.Document) {
		d.Guardians = nodetest.Guardians(t, 3, 0)
		for i := range d.Operators {
			away := d.Operators[i].Places[0]
			away.Name, away.Level = "away", charter.Export
			d.Operators[i].Places = append([]charter.Place{away}, d.Operators[i].Places...)
		}
		for i := range d.Vaults {
			d.Vaults[i].Rescue = nodetest.Plan(2, 2, "operator-9")
			d.Vaults[i].Rescue.Destinations = []charter.Destination{{Name: "haven", Chain: "eip155:1", Address: "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"}}
		}
	}
	id, addr := nodetest.Ready(w, 3)
	return setting{w, id, addr}
}
