package node_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// floods are the ways to send reshares without end that d and e sign, and nobody who holds the vault: beside one another or each
// after the one before; in one piece, signature by signature, or never completed. They give what the next one follows.
var floods = map[string]func(w *nodetest.World, a, d *nodetest.Host, x charter.Accepted, previous statement.ID) statement.ID{
	"beside one another": func(w *nodetest.World, a, d *nodetest.Host, x charter.Accepted, previous statement.ID) statement.ID {
		(setting{World: w}).tell(d, a, whole(x))
		return previous
	},
	"each after the one before": func(w *nodetest.World, a, d *nodetest.Host, x charter.Accepted, _ statement.ID) statement.ID {
		(setting{World: w}).tell(d, a, whole(x))
		return x.Statement.ID()
	},
	"signature by signature": func(w *nodetest.World, a, d *nodetest.Host, x charter.Accepted, previous statement.ID) statement.ID {
		for _, sig := range x.Signatures {
			(setting{World: w}).tell(d, a, outbox.Note{Kind: circle.NoteReshare, Fields: [][]byte{x.Statement.Bytes(), sig}})
		}
		return previous
	},
	"never completed": func(w *nodetest.World, a, d *nodetest.Host, x charter.Accepted, previous statement.ID) statement.ID {
		(setting{World: w}).tell(d, a, outbox.Note{Kind: circle.NoteReshare, Fields: [][]byte{x.Statement.Bytes(), x.Signatures[d.Own.Name]}})
		return previous
	},
}

// Two newcomers of a complete reshare make more of them without end: else every node keeps them all, and clients, who read 4,096 of
// a vault at most, read no node any more. What others make, with the newcomers or without, is taken still; and once it is
// carried out, the rest is shown to nobody.
func TestReshareFlood(t *testing.T) {
	t.Parallel()
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			w, vault := circleOf(t, charter.SuiteEd25519, 5, 3, 2)
			a, b, c, d, e := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3], w.Hosts[4]
			w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
				if nodetest.OfSession(p.Frame) {
					return nil
				}
				return []nodetest.Parcel{p}
			}
			one := w.SignReshareAll(nodetest.Wish(vault, 2, a, d, e), a, b, c, d, e)
			w.Deliver()
			_, roster, _ := a.Circle.Roster()
			const n, most = 300, 2 * 128 // by two
			previous := one
			for i := range n {
				number := uint64(i + 2)
				flood := flood
				if name == "never completed" {
					number = 2
					if i == 0 { // below one that is complete
						number, flood = 100, floods["beside one another"]
					}
				}
				x := signedBy(t, w, draftOf(t, w, vault, roster.ID, previous, number, 2, d, e), map[string]nodetest.Person{d.Own.Name: d.Officer, e.Own.Name: e.Officer})
				previous = flood(w, a, d, x, previous)
			}
			if got := len(a.Circle.Reshares(vault)) - 1; got > most || name != "each after the one before" && got > 32 {
				t.Errorf("%d of %d reshares that nobody of the committee signed are kept", got, n)
			}
			wish := nodetest.Wish(vault, 3, a, b, c, d) // d is in it, and has no room
			wish.Instead = true
			for i, h := range []*nodetest.Host{a, d, b, c} {
				var err error
				if !w.Try(time.Minute, func() bool { _, err = w.TrySignReshare(h, i == 0, wish); return err == nil }) {
					t.Fatalf("%s cannot sign the honest one: %v", h.Own.Name, err)
				}
			}
			w.Pass = nil
			if !w.Try(20*time.Minute, func() bool { return w.HeldBy(a, vault, 3, a, b, c, d) }) {
				v, _ := a.Keeper.Root(vault, w.Suite)
				t.Fatalf("the vault does not move: plan %v, %s", v.Plan, v.LastErr)
			}
			if got := len(a.Circle.Reshares(vault)); got != 1 {
				t.Errorf("%d reshares are shown, the vault is held under one", got)
			}
		})
	}
}

// An operator that has no room signs what another one, who has room, signs later: its signature waits, and counts then.
func TestReshareSignedByOneWithoutRoom(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, d := w.Hosts[0], w.Hosts[1], w.Hosts[3]
	_, roster, _ := a.Circle.Roster()
	s := setting{World: w}
	sign := func(number uint64, h *nodetest.Host) (charter.Accepted, outbox.Note) {
		x := signedBy(t, w, draftOf(t, w, vault, roster.ID, vault, number, 2, a, b, d), map[string]nodetest.Person{h.Own.Name: h.Officer})
		return x, outbox.Note{Kind: circle.NoteReshare, Fields: [][]byte{x.Statement.Bytes(), x.Signatures[h.Own.Name]}}
	}
	for i := range uint64(16) {
		_, n := sign(i+2, b)
		if v, log := s.tell(b, a, n); v != outbox.Taken {
			t.Fatal(i, v, log)
		}
	}
	x, first := sign(1, b)
	if v, log := s.tell(b, a, first); v != outbox.Later || !strings.Contains(log, "operator-1 signed 16 that follow the same statement") {
		t.Fatal(v, log)
	}
	second := outbox.Note{Kind: circle.NoteReshare, Fields: [][]byte{x.Statement.Bytes(), d.Officer.Makes(t, x.Statement)}}
	for _, n := range []outbox.Note{second, first} {
		if v, log := s.tell(b, a, n); v != outbox.Taken {
			t.Fatal(v, log)
		}
	}
}

// An officer makes reshares that nobody carries out: its own node says when the others would take no more, and what then.
func TestRoomForOwnReshares(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	for i := range 16 {
		wish := nodetest.Wish(vault, 2+i%2, a, b, d)
		wish.Instead, wish.Reason = true, fmt.Sprintf("try %d", i)
		w.SignReshare(a, true, wish)
	}
	wish := nodetest.Wish(vault, 3, a, b, c, d)
	wish.Instead = true
	if _, err := w.TrySignReshare(a, true, wish); err == nil || !strings.Contains(err.Error(), "let another operator's officer sign the next one first") {
		t.Fatalf("one too many: %v", err)
	}
	w.Deliver()
	w.SignReshareAll(wish, b, a, c, d)
	w.Run("moved", func() bool { return heldBy(w, vault, 3, a, b, c, d) })
	wish = nodetest.Wish(vault, 2, a, b, d)
	w.SignReshareAll(wish, a, b, c, d) // there is room again
	w.Run("moved back", func() bool { return heldBy(w, vault, 2, a, b, d) })
}

// A hostile holder proposes with wrong keys what everybody wants: the newcomer's officer is offered the honest one, which more
// holders signed, or that nobody had to give a high number; sees that there is another; and may choose either by its id.
func TestNewcomerFindsTheHonestReshare(t *testing.T) {
	t.Parallel()
	for _, number := range []uint64{1, 100} {
		w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
		a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
		_, roster, _ := a.Circle.Roster()
		r := draftOf(t, w, vault, roster.ID, vault, number, 2, a, b, d)
		r.Keys = slices.Clone(r.Keys)
		r.Keys[0].PublicKey = epochKeyOf(t, w, a, vault)
		lie := signedBy(t, w, r, map[string]nodetest.Person{b.Own.Name: b.Officer})
		s := setting{World: w}
		for _, h := range []*nodetest.Host{a, d} {
			if v, log := s.tell(b, h, outbox.Note{Kind: circle.NoteReshare, Fields: [][]byte{lie.Statement.Bytes(), lie.Signatures[b.Own.Name]}}); v != outbox.Taken {
				t.Fatalf("%s: verdict %d %s", h.Own.Name, v, log)
			}
		}
		wish := nodetest.Wish(vault, 2, a, b, d)
		wish.Instead = true
		honest, signers := w.SignReshare(a, true, wish), 1
		if number == 1 { // the honest one has the higher one: a second holder's word decides
			w.SignReshare(c, false, wish)
			signers = 2
		}
		w.Deliver()
		w.Run("the honest one is here", func() bool {
			return slices.ContainsFunc(d.Circle.Reshares(vault), func(x charter.Accepted) bool {
				return x.Statement.ID() == honest && len(x.Signatures) == signers
			})
		})
		for _, instead := range []bool{false, true} {
			wish.Instead = instead
			got, _, err := d.Circle.PrepareReshare(w.Now, wish)
			if err != nil || got.Statement.ID() != honest {
				t.Errorf("number %d, instead %v: offered %s, the honest one is %s: %v", number, instead, got.Statement.ID().Short(), honest.Short(), err)
			}
			others := d.Circle.Rivals(got)
			if len(others) != 1 || others[0].ID != lie.Statement.ID() || others[0].Differs != "public-key" {
				t.Errorf("number %d: besides: %v", number, others)
			}
		}
		for _, id := range []statement.ID{honest, lie.Statement.ID()} {
			got, fresh, err := d.Circle.PrepareReshare(w.Now, circle.Wish{Vault: vault, ID: id.String()[:8]})
			if err != nil || fresh || got.Statement.ID() != id {
				t.Errorf("chose %s, got %s: %v", id.Short(), got.Statement.ID().Short(), err)
			}
		}
		for _, id := range []string{"00000000", honest.String()[:7]} {
			if _, _, err := d.Circle.PrepareReshare(w.Now, circle.Wish{Vault: vault, ID: id}); err == nil {
				t.Errorf("%q chooses one", id)
			}
		}
	}
}

// What a newcomer's officer signed is offered again, for who saw no answer; once the holders sign another that says the same, that is.
func TestNewcomerFollowsTheHolders(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	_, roster, _ := a.Circle.Roster()
	wish := nodetest.Wish(vault, 2, a, b, d)
	offered := func() statement.ID {
		got, _, err := d.Circle.PrepareReshare(w.Now, wish)
		if err != nil {
			t.Fatal(err)
		}
		return got.Statement.ID()
	}
	first := w.SignReshareAll(wish, a, d)
	w.Deliver()
	second := signedBy(t, w, draftOf(t, w, vault, roster.ID, vault, 2, 2, a, b, d), map[string]nodetest.Person{b.Own.Name: b.Officer, c.Own.Name: c.Officer})
	s := setting{World: w}
	for i, h := range []*nodetest.Host{b, c} {
		if v, log := s.tell(a, d, outbox.Note{Kind: circle.NoteReshare, Fields: [][]byte{second.Statement.Bytes(), second.Signatures[h.Own.Name]}}); v != outbox.Taken {
			t.Fatal(v, log)
		}
		if want := []statement.ID{first, second.Statement.ID()}[i]; offered() != want {
			t.Fatalf("%d holders signed the second: %s is offered, want %s", i+1, offered().Short(), want.Short())
		}
	}
}
