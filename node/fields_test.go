package node_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/node/charters"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// A heard note came to the last host at a time.
type heard struct {
	at   time.Time
	note outbox.Note
}

// told has people and officers do all that makes notes of intents and of charters, and gives what the last host heard of it, in order.
func (s setting) told() (all []heard) {
	s.T.Helper()
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if n := noteOf(p); p.To == c && n.Kind != 0 {
			all = append(all, heard{s.Now, n})
		}
		return []nodetest.Parcel{p}
	}
	taken := func(what string, ns ...outbox.Note) { // at the first host: the last one hears of it from a peer
		for _, n := range ns {
			s.Run(what, func() (ok bool) {
				s.Act(a, func() { _, err := a.Submit(context.Background(), s.Clock(a), n); ok = err == nil })
				return ok
			})
			s.Deliver()
		}
	}
	st, n := s.Proposal(s.Intent(s.vault, s.addr, 0))
	taken("approved", n, s.Vote(st, "abel", signet.Approve), s.Vote(st, "bea", signet.Approve))
	s.Run("signed", func() bool { return s.Signed(st) })
	gone, n := s.Proposal(s.Intent(s.vault, s.addr, 1))
	taken("taken back", n, s.cancellation(gone))
	for _, h := range []*nodetest.Host{a, b} {
		s.freeze(h, time.Hour)
	}
	s.Run("frozen", func() bool { return s.frozen() == 3 })
	for _, h := range s.Hosts[:2] { // the last one's officer would say it at its own node
		u, _, err := h.Charters.PrepareUnfreeze(s.Clock(h), s.vault)
		if err == nil {
			_, err = h.Charters.Accept(context.Background(), s.Clock(h), u.Statement, h.Officer.Makes(s.T, u.Statement))
		}
		if err != nil {
			s.T.Fatal(err)
		}
		s.Deliver()
	}
	d := changed(s.World, func(d *charter.Document) { d.Vaults = slices.Clone(d.Vaults); d.Vaults[0].Expiry = 3 * time.Hour })
	if err := s.SignCharter(a, d, true); err != nil {
		s.T.Fatal(err)
	}
	s.Deliver()
	waits := a.Charters.Pending()[0]
	if err := veto(s.T.(*testing.T), s.World, b, waits.Charter.ID); err != nil {
		s.T.Fatal(err)
	}
	s.Deliver()
	ends := s.revocation("cleo", nodetest.NewPerson(s.T, "cleo")) // it names the version of now, and no officer signs another that lists an ended key
	d = changed(s.World, stricter)
	signCharter(s.T.(*testing.T), s.World, d, s.Hosts...)
	s.Run("in force", func() bool { return inForce(s.World, d) })
	taken("revoked", ends)
	return all
}

// damaged are what a liar may make of a note: each of its fields empty, shorter, longer, and changed in many places; fields left out, added, and put
// in another's place.
func damaged(n outbox.Note) map[string]outbox.Note {
	out := map[string]outbox.Note{
		"a field more":   {Kind: n.Kind, Fields: append(slices.Clone(n.Fields), []byte{1})},
		"the last gone":  {Kind: n.Kind, Fields: n.Fields[:len(n.Fields)-1]},
		"turned around":  {Kind: n.Kind, Fields: reversed(n.Fields)},
		"no field":       {Kind: n.Kind},
		"the first only": {Kind: n.Kind, Fields: [][]byte{n.Fields[0], n.Fields[0]}},
	}
	for i, f := range n.Fields {
		with := func(what string, b []byte) {
			fields := slices.Clone(n.Fields)
			fields[i] = b
			out[fmt.Sprintf("field %d %s", i, what)] = outbox.Note{Kind: n.Kind, Fields: fields}
		}
		with("empty", nil)
		with("shorter", f[:max(0, len(f)-1)])
		with("longer", append(bytes.Clone(f), 'x'))
		for at := 0; at < len(f); at += max(1, len(f)/23) {
			b := bytes.Clone(f)
			b[at] ^= 4
			with(fmt.Sprintf("changed at %d", at), b)
		}
	}
	return out
}

func reversed(fields [][]byte) [][]byte {
	out := slices.Clone(fields)
	slices.Reverse(out)
	return out
}

// same says whether a damaged note says the same after all: an armor in another form, and not the one field that is alone.
func same(a, b outbox.Note) bool {
	if len(a.Fields) != len(b.Fields) {
		return false
	}
	for i := range a.Fields {
		x, errX := signet.Parse(a.Fields[i])
		y, errY := signet.Parse(b.Fields[i])
		if !bytes.Equal(a.Fields[i], b.Fields[i]) && (errX != nil || errY != nil || !bytes.Equal(x.Armored(), y.Armored())) {
			return false
		}
	}
	return true
}

// Every field of every note of intents and charters, damaged in every way, is taken by nobody, leaves no row behind, and does not keep the true note
// from being taken.
func TestEveryFieldOfEveryNote(t *testing.T) {
	t.Parallel()
	base := peopled(t)
	story := base.copy(t, "story")
	all := story.told()
	s := base.copy(t, "table")
	a, c := s.Hosts[0], s.Hosts[2]
	a.Hostile, s.Hosts[1].Hostile = true, true
	seen := map[outbox.Kind]int{}
	try := func(s setting, x heard) {
		t.Helper()
		if seen[x.note.Kind] == 0 {
			seen[x.note.Kind] = s.refusesDamaged(x.note)
			return
		}
		s.tell(s.Hosts[0], s.Hosts[2], x.note)
	}
	for _, x := range all {
		if s.Now = x.at; decide.Takes(x.note.Kind) || charters.Takes(x.note.Kind) {
			try(s, x)
		}
		s.Act(c, func() { c.Tick(context.Background(), s.Clock(c)) })
	}
	// What only newcomers, and who was away or restored, are sent.
	for _, n := range slices.Concat(story.Hosts[0].Charters.Told(), story.Hosts[0].Desk.Told(story.Now, s.vault)) {
		if n.Kind == decide.NotePast || n.Kind == charters.NoteEnacted && !bytes.Contains(n.Fields[0], []byte("\nversion: 0\n")) {
			fresh := base.copy(t, fmt.Sprint("told ", n.ID()))
			fresh.Now = story.Now
			try(fresh, heard{story.Now, n})
		}
	}
	// One of several signatures (0x26): node/decide TestPartRefused. No transaction here needs any.
	for k := decide.NoteProposal; k <= decide.NotePast; k++ {
		if seen[k] < 10 {
			t.Errorf("kind %#x: %d ways were tried", uint8(k), seen[k])
		}
	}
	for k := charters.NoteCharter; k <= charters.NoteEnacted; k++ {
		if seen[k] < 10 {
			t.Errorf("kind %#x: %d ways were tried", uint8(k), seen[k])
		}
	}
}

// refusesDamaged wants that the last host takes a note in no damaged form, and then as it was. n counts the forms.
func (s setting) refusesDamaged(note outbox.Note) (n int) {
	s.T.Helper()
	c := s.Hosts[2]
	before := rowsOf(s, c)
	for what, bad := range damaged(note) {
		if same(bad, note) {
			continue
		}
		v, log := s.tell(s.Hosts[0], c, bad)
		if rows := rowsOf(s, c); v == outbox.Taken || rows != before {
			s.T.Fatalf("kind %#x, %s: verdict %d, %d rows instead of %d; %s", uint8(note.Kind), what, v, rows, before, log)
		}
		n++
	}
	if v, log := s.tell(s.Hosts[0], c, note); v != outbox.Taken {
		s.T.Errorf("kind %#x, as it was: verdict %d; %s", uint8(note.Kind), v, log)
	}
	return n
}

// rowsOf counts what a host keeps of notes.
func rowsOf(s setting, h *nodetest.Host) int { return len(s.Rows(h, "")) }
