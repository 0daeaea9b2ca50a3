package node_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// proposal is the version after a host's own, with a change.
func proposal(t *testing.T, w *nodetest.World, h *nodetest.Host, change func(*charter.Roster)) statement.Statement {
	t.Helper()
	_, last, _ := h.Circle.Roster()
	r := charter.Roster{Circle: last.Circle, Version: last.Version + 1, Previous: last.ID, Created: last.Created, Operators: append([]charter.Operator{}, last.Operators...)}
	change(&r)
	s, err := r.Statement(w.Salt())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func rosterNote(t *testing.T, s statement.Statement, by nodetest.Person) outbox.Note {
	t.Helper()
	return outbox.Note{Kind: circle.NoteRoster, Fields: [][]byte{s.Bytes(), by.Makes(t, s)}}
}

func without(name string) func(*charter.Roster) {
	return func(r *charter.Roster) {
		for i, o := range r.Operators {
			if o.Name == name {
				r.Operators = append(r.Operators[:i:i], r.Operators[i+1:]...)
			}
		}
	}
}

// Roster notes that no node takes, or not yet: each says what is wrong.
func TestRosterNotesRefused(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 4)
	w.Found()
	s := setting{World: w}
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	puppet, seed := nodetest.NewPerson(t, "puppet"), sha256.Sum256([]byte("puppet"))
	puppetID := ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
	add := func(r *charter.Roster) {
		o := b.Own
		o.Name, o.Entity, o.Address, o.Officers = "puppet", "Puppet Ltd", "puppet.example:1", nil
		o.Identity = puppetID
		o.Officers = append(o.Officers, puppet.Key)
		r.Operators = append(r.Operators, o)
	}
	good := proposal(t, w, a, without("operator-3"))
	for name, x := range map[string]struct {
		note    outbox.Note
		verdict outbox.Verdict
		want    string
	}{
		"no signature":           {outbox.Note{Kind: circle.NoteRoster, Fields: [][]byte{good.Bytes()}}, outbox.Refused, "has 1 fields, not 2"},
		"a signature of another": {outbox.Note{Kind: circle.NoteRoster, Fields: [][]byte{good.Bytes(), b.Officer.Makes(t, proposal(t, w, a, without("operator-2")))}}, outbox.Refused, "accept roster"},
		"a stranger's":           {rosterNote(t, good, nodetest.NewPerson(t, "mallory")), outbox.Refused, "is no officer of an operator concerned"},
		"not a roster":           {outbox.Note{Kind: circle.NoteRoster, Fields: [][]byte{[]byte("x"), {1}}}, outbox.Refused, ""},
		"two versions on":        {rosterNote(t, proposal(t, w, a, func(r *charter.Roster) { r.Version = 2 }), b.Officer), outbox.Later, "version 1 of the roster is not in force here"},
		"of another previous":    {rosterNote(t, proposal(t, w, a, func(r *charter.Roster) { r.Previous[0] ^= 1 }), b.Officer), outbox.Refused, "previous: is"},
		"another version 0":      {rosterNote(t, proposal(t, w, a, func(r *charter.Roster) { r.Version, r.Previous = 0, statement.ID{} }), b.Officer), outbox.Refused, "belongs to circle"},
		"another's identity":     {rosterNote(t, proposal(t, w, a, func(r *charter.Roster) { r.Operators[3].Identity = puppetID }), b.Officer), outbox.Refused, "identity: is another than it was"},
		"a puppet signs first":   {rosterNote(t, proposal(t, w, a, add), puppet), outbox.Later, "nobody of version 0 has proposed"},
		"whole, not a vault":     {outbox.Note{Kind: circle.NoteAccepted, Fields: [][]byte{charter.Accepted{Statement: good}.Bytes()}}, outbox.Refused, "roster"},
		"whole, malformed":       {outbox.Note{Kind: circle.NoteAccepted, Fields: [][]byte{{1}}}, outbox.Refused, "decode accepted"},
		"whole, two fields":      {outbox.Note{Kind: circle.NoteAccepted, Fields: [][]byte{{1}, {2}}}, outbox.Refused, "has 2 fields, not 1"},
	} {
		if v, log := s.tell(b, a, x.note); v != x.verdict || !strings.Contains(log, x.want) {
			t.Errorf("%s: verdict %d, want %d with %q; log: %s", name, v, x.verdict, x.want, log)
		}
	}
	if n := len(w.Rows(a, "roster/")); n != 1 {
		t.Errorf("%d rosters are kept", n)
	}
	// One operator's proposals are bounded; those of others have their own room.
	for _, by := range []*nodetest.Host{b, c} {
		refused := 0
		for range 12 {
			if v, _ := s.tell(by, a, rosterNote(t, proposal(t, w, a, add), by.Officer)); v == outbox.Refused {
				refused++
			}
		}
		if refused != 4 {
			t.Errorf("%s: %d of 12 proposals refused, want 4", by.Own.Name, refused)
		}
	}
	// They hold nobody up: the officer makes one with a lower id, or its node says by which to choose.
	x := w.Newcomer()
	w.Join(a, x)
	if _, _, err := a.Circle.PrepareRoster(w.Now, ""); err == nil || !strings.Contains(err.Error(), "operator puppet, who comes, must sign") || !strings.Contains(err.Error(), "accept --new") {
		t.Errorf("the lowest is offered: %v", err)
	}
	w.Amend(1, nodetest.Anew, a, x, b, c, w.Hosts[3])
}

// A vault that was accepted before is taken whole by who came later, and by nobody in its committee.
func TestWholeVaults(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Found()
	s := setting{World: w}
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	w.List(w.VaultFile("treasury", 2, a, b))
	x, _, err := a.Circle.PrepareVault(w.Now, "treasury")
	if err != nil {
		t.Fatal(err)
	}
	x.Signatures = map[string][]byte{"operator-0": a.Officer.Makes(t, x.Statement)}
	whole := func() outbox.Note { return outbox.Note{Kind: circle.NoteAccepted, Fields: [][]byte{x.Bytes()}} }
	if v, log := s.tell(a, c, whole()); v != outbox.Refused || !strings.Contains(log, "not accepted by every operator") {
		t.Errorf("half accepted: verdict %d, %s", v, log)
	}
	x.Signatures["operator-1"] = b.Officer.Makes(t, x.Statement)
	if v, log := s.tell(a, b, whole()); v != outbox.Refused || !strings.Contains(log, "signatures come one by one") {
		t.Errorf("into its committee: verdict %d, %s", v, log)
	}
	if v, log := s.tell(a, c, whole()); v != outbox.Taken || len(c.Keeper.Roots()) != 1 {
		t.Errorf("verdict %d, %s", v, log)
	}
	if v, _ := s.tell(b, c, whole()); v != outbox.Taken {
		t.Error("said twice, it is not known")
	}
	again, _, err := a.Circle.PrepareVault(w.Now, "treasury")
	if err != nil || again.Statement.ID() == x.Statement.ID() {
		t.Fatal(err)
	}
	again.Signatures = map[string][]byte{"operator-0": a.Officer.Makes(t, again.Statement), "operator-1": b.Officer.Makes(t, again.Statement)}
	x = again
	if v, log := s.tell(a, c, whole()); v != outbox.Refused || !strings.Contains(log, "another statement with this name") {
		t.Errorf("a second of one name: verdict %d, %s", v, log)
	}
}

// A roster is proposed only when all who stay can hear of it.
func TestRosterNeedsLinks(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 4)
	w.Found()
	a, d := w.Hosts[0], w.Hosts[3]
	x := w.Newcomer()
	w.Join(a, x)
	w.Downtime = -1
	w.Crash(d)
	if _, err := w.SignRoster(a, nodetest.Accept); err == nil || !strings.Contains(err.Error(), "operator operator-3 is not connected") {
		t.Errorf("proposed while one that stays is away: %v", err)
	}
	if _, err := w.SignRoster(a, nodetest.Replace(d)); err != nil {
		t.Errorf("replacing the one that is away: %v", err)
	}
}

// Who was invited to a circle takes no other circle's charter, and joins no second one.
func TestGenesisIsBound(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 6)
	all := w.Hosts
	w.Hosts = all[:2]
	w.Found()
	one := w.Hosts[0]
	w.Hosts = all[2:4]
	w.Found()
	two := w.Hosts[0]
	w.Hosts = all
	x := w.Hosts[4]
	w.Join(one, x)
	w.Run("the charter is here", func() bool { _, _, ok := x.Circle.Roster(); return ok })
	i, err := two.Circle.Invite(context.Background(), w.Now, x.Own.Name, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Circle.Join(context.Background(), w.Now, i.Line()); err == nil || !strings.Contains(err.Error(), "belongs to circle") {
		t.Errorf("it joins a second circle: %v", err)
	}
	other, _, _ := two.Circle.Roster()
	if v, log := (setting{World: w}).tell(one, x, outbox.Note{Kind: circle.NoteRoster, Fields: [][]byte{other.Statement.Bytes(), other.Signatures["operator-2"]}}); v != outbox.Refused {
		t.Errorf("another circle's charter: verdict %d, %s", v, log)
	}
	if _, err := x.Circle.Invite(context.Background(), w.Now, "operator-9", time.Hour); err == nil {
		t.Error("who is not taken in yet invites")
	}
	if got := fmt.Sprint(x.Circle.Draft(), one.Circle.Draft()); got != "[] [operator-4]" {
		t.Errorf("drafts %s", got)
	}
}
