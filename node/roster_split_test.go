package node_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// One operator of four is dishonest: it proposes rosters without this one or that, signs them all, and
// shows them to whom it likes. The others' officers sign whatever their nodes let them, in any order, and
// messages come late. No two nodes ever hold different rosters of a version (spec/circle 2.7).
func TestCircleNeverSplits(t *testing.T) {
	t.Parallel()
	day, complete, moves := uint64(time.Now().Unix()/86400), 0, 0
	for seed := range uint64(40) {
		w := nodetest.New(t, 4)
		w.Found()
		dice := rand.New(rand.NewPCG(day, seed))
		honest, traitor := w.Hosts[:3], w.Hosts[3]
		traitor.Hostile = true
		var made []statement.Statement
		for _, h := range w.Hosts {
			for range 2 {
				made = append(made, proposal(t, w, w.Hosts[0], without(h.Own.Name)))
			}
		}
		signed := map[string]int{}
		for range 120 {
			s, h := made[dice.IntN(len(made))], honest[dice.IntN(len(honest))]
			switch dice.IntN(3) {
			case 0:
				note := outbox.Note{Kind: circle.NoteRoster, Fields: [][]byte{s.Bytes(), traitor.Officer.Makes(t, s)}}
				h.Deliver(context.Background(), w.Now, traitor.Own.Identity, append([]byte{nodetest.FrameNote}, note.Encode()...))
			case 1:
				_, err := w.SignRoster(h, func(h *nodetest.Host, _ time.Time) (charter.Accepted, bool, error) {
					return h.Circle.PrepareChosen(s.ID().String())
				})
				if err == nil {
					signed[h.Own.Name+s.ID().String()]++
				}
			default:
				// Some of what is on its way arrives, in the order of each pair.
				dice.Shuffle(len(w.Queue), func(i, j int) { w.Queue[i], w.Queue[j] = w.Queue[j], w.Queue[i] })
				late := w.Queue[len(w.Queue)/2:]
				w.Queue = append([]nodetest.Parcel{}, w.Queue[:len(w.Queue)/2]...)
				w.Deliver()
				w.Queue = append(w.Queue, late...)
			}
		}
		w.Try(time.Minute, func() bool { return false })
		moves += max(0, len(signed)-len(honest))
		ids := map[string]bool{}
		for _, h := range honest {
			if a, r, _ := h.Circle.Roster(); r.Version == 1 {
				ids[a.Statement.ID().String()] = true
			}
			if h.Circle.Fork() != "" {
				t.Fatalf("day %d seed %d: %s: %s", day, seed, h.Own.Name, h.Circle.Fork())
			}
		}
		if len(ids) > 1 {
			t.Fatalf("day %d seed %d: honest nodes hold %s", day, seed, strings.Join(strings.Fields(fmt.Sprint(ids)), " "))
		}
		complete += len(ids)
	}
	if complete == 0 || moves == 0 {
		t.Fatalf("%d rosters came into force, officers moved %d times: the test tells nothing", complete, moves)
	}
	t.Logf("%d rosters came into force, officers moved %d times", complete, moves)
}

// The same operator, with the one schedule that matters: all have signed a roster, and it signs a lower one
// without the first of them. Nobody follows it: its word alone does not show that the other is dead.
func TestOneTraitorFreesNobody(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 4)
	w.Found()
	tell, traitor := setting{World: w}, w.Hosts[3]
	same := func(*charter.Roster) {}
	high, low := proposal(t, w, w.Hosts[0], same), proposal(t, w, w.Hosts[0], without("operator-0"))
	for high.ID().String() < low.ID().String() {
		low = proposal(t, w, w.Hosts[0], without("operator-0"))
	}
	chosen := func(s statement.Statement) nodetest.Prepare {
		return func(h *nodetest.Host, _ time.Time) (charter.Accepted, bool, error) {
			return h.Circle.PrepareChosen(s.ID().String())
		}
	}
	first := w.Hosts[0]
	if _, _, err := first.Circle.Accept(context.Background(), w.Now, high.Bytes(), first.Officer.Makes(t, high)); err != nil {
		t.Fatal(err)
	}
	w.Deliver()
	for _, h := range w.Hosts[1:3] {
		if _, err := w.SignRoster(h, chosen(high)); err != nil {
			t.Fatal(err)
		}
		w.Deliver()
	}
	for _, h := range w.Hosts[1:3] {
		if v, log := tell.tell(traitor, h, rosterNote(t, low, traitor.Officer)); v != outbox.Taken {
			t.Fatal(log)
		}
		if _, err := w.SignRoster(h, chosen(low)); err == nil || !strings.Contains(err.Error(), "1 of the operators that it needs have signed others, 2 must") {
			t.Errorf("%s moves: %v", h.Own.Name, err)
		}
	}
	tell.tell(traitor, first, rosterNote(t, high, traitor.Officer))
	expect(t, first, "1 operator-0,operator-1,operator-2,operator-3 member")
}
