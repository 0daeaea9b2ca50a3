package node_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/rescue"
)

// active is a circle whose request is ACTIVE at all that live, with the third host gone. Each call is a copy of it.
func active(t *testing.T, ready setting, r act.Request, seed string) setting {
	t.Helper()
	s := ready.copy(t, seed)
	s.Downtime = 1000 * time.Hour
	s.Crash(s.Hosts[2])
	s.Downtime = 5 * time.Second
	s.Run("all live again", func() bool { return s.allStand(sos.Active, r, s.Hosts[0], s.Hosts[1], s.Hosts[3])() })
	return s
}

func readyToActivate(t *testing.T) (setting, act.Request) {
	t.Helper()
	s := emergency(t, charter.SuiteEd25519)
	s.Downtime = 1000 * time.Hour
	s.Crash(s.Hosts[2])
	r := s.declare()
	s.Run("all three have announced a key", func() bool { return len(s.places(s.Hosts[0], r)) == 3 })
	return s, r
}

// seats are what a host knows of the new committee's keys.
func (s setting) places(h *nodetest.Host, r act.Request) map[string]act.Seat {
	out := map[string]act.Seat{}
	s.Act(h, func() {
		for _, x := range h.Rescue.Said(s.T.Context(), s.vault) {
			if v, err := act.SeatOf(x.Statement); err == nil && v.Request == r.ID {
				out[v.Operator] = v
			}
		}
	})
	return out
}

// word is what a node says under its identity key.
func (s setting) nodeSays(by *nodetest.Host, st statement.Statement, err error) outbox.Note {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
	sig, err := signet.SignNode(by.Key, st)
	if err != nil {
		s.T.Fatal(err)
	}
	return outbox.Note{Kind: rescue.NoteSaid, Fields: [][]byte{st.Bytes(), sig}}
}

// composed is an activation as an honest node would write it.
func (s setting) composed(r act.Request) act.Activation {
	seats := s.places(s.Hosts[0], r)
	a := act.Activation{Head: r.Head(), Key: r.Keys[0], Attempt: 1, Contributors: nodetest.Names(s.Hosts[0], s.Hosts[1]), Threshold: 3, Created: s.Now.UTC().Truncate(time.Second)}
	record := s.record(s.Hosts[0])
	for _, h := range []*nodetest.Host{s.Hosts[0], s.Hosts[1], s.Hosts[3]} {
		id := mpc.IDOf(h.Own.Identity)
		m := act.Member{Operator: h.Own.Name, Party: id, Index: uint16(record.Mark()) + 1, Encryption: seats[h.Own.Name].Encryption}
		if old, ok := record.Member(id); ok {
			m.Index = uint16(old.Index)
		}
		a.Members = append(a.Members, m)
	}
	slices.SortFunc(a.Members, func(x, y act.Member) int { return strings.Compare(x.Operator, y.Operator) })
	return a
}

// Activations that an honest node neither takes nor signs: none of them names what the plan, the seats and the epoch do not.
func TestActivationRefuses(t *testing.T) {
	t.Parallel()
	s, r := readyToActivate(t)
	a, b, d := s.Hosts[0], s.Hosts[1], s.Hosts[3]
	mine, err := pve.NewPrivateKey(s.Rand)
	if err != nil {
		t.Fatal(err)
	}
	subject, _ := s.record(a).Member(mpc.IDOf(s.Hosts[2].Own.Identity))
	last := func(x *act.Activation) *act.Member { return &x.Members[len(x.Members)-1] }
	made := s.composed(r)
	last(&made).Encryption = mine.Public()
	st, err := made.Statement(s.Salt())
	for _, by := range []*nodetest.Host{a, b} { // though all contributors sign it: with r = 1 that is one node
		if _, err := s.submit(d, s.nodeSays(by, st, err)); !errors.Is(err, outbox.ErrLater) {
			t.Errorf("a key that its member did not announce: %v", err)
		}
	}
	for name, c := range map[string]struct {
		by   *nodetest.Host
		edit func(*act.Activation)
		take bool // it is well formed, and still nobody signs it
	}{
		"a subject contributes":         {a, func(x *act.Activation) { x.Contributors = nodetest.Names(a, s.Hosts[2]) }, false},
		"one contributor alone":         {a, func(x *act.Activation) { x.Contributors = nodetest.Names(a) }, false},
		"a successor contributes":       {a, func(x *act.Activation) { x.Contributors = nodetest.Names(a, d) }, false},
		"the subject sits":              {a, func(x *act.Activation) { last(x).Operator = "operator-2" }, false},
		"a stranger sits":               {a, func(x *act.Activation) { last(x).Operator = "operator-9" }, false},
		"another party's node":          {a, func(x *act.Activation) { last(x).Party[0] ^= 1 }, false},
		"the subject's index":           {a, func(x *act.Activation) { last(x).Index = uint16(subject.Index) }, false},
		"another epoch":                 {a, func(x *act.Activation) { x.Epoch[0] ^= 1 }, false},
		"another key":                   {a, func(x *act.Activation) { x.Key.Key[0] ^= 1 }, false},
		"another request":               {a, func(x *act.Activation) { x.Request[0] ^= 1 }, false},
		"in earnest":                    {a, func(x *act.Activation) { x.Drill = false }, false},
		"signed by no contributor":      {d, func(*act.Activation) {}, false},
		"one's own key for another's":   {a, func(x *act.Activation) { last(x).Encryption = mine.Public() }, false},
		"a lower threshold":             {a, func(x *act.Activation) { x.Threshold = 2 }, true},
		"a contributor who gets none":   {a, func(x *act.Activation) { x.Members, x.Threshold = x.Members[1:], 2 }, true},
		"the last attempt of all":       {a, func(x *act.Activation) { x.Attempt = statement.MaxSOSAttempt }, false},
		"a successor who is there, out": {a, func(x *act.Activation) { x.Members, x.Threshold = x.Members[:2], 2 }, true},
		"an index far away":             {a, func(x *act.Activation) { last(x).Index += 500 }, true},
		"another attempt than the keys": {a, func(x *act.Activation) { x.Attempt = 2 }, false},
	} {
		x := s.composed(r)
		c.edit(&x)
		st, err := x.Statement(s.Salt())
		n := s.nodeSays(c.by, st, err)
		if !c.take {
			if _, err := s.submit(b, n); err == nil {
				t.Errorf("%s: taken", name)
			}
			continue
		}
		t.Run(name, func(t *testing.T) {
			s := active(t, s, r, name)
			if _, err := s.submit(s.Hosts[1], n); err != nil {
				t.Error(err)
			}
			for range 20 {
				s.Step(500 * time.Millisecond)
				s.Deliver()
			}
			signed := slices.ContainsFunc(s.Hosts[1].Rescue.Said(t.Context(), s.vault), func(x rescue.Said) bool {
				return x.Statement.Kind() == statement.SOSActivation && slices.Contains(x.By, s.Hosts[1].Own.Name)
			})
			if signed {
				t.Error("an honest contributor signed it")
			}
			if name == "a successor who is there, out" {
				s.bothWant(r, a.Own.Name)
			}
		})
	}
}

// bothWant: what one operator asks for is signed by the other once that one asks for the same; the new committee is without the successor that is there, and all of it must sign.
func (s setting) bothWant(r act.Request, only string) {
	s.T.Helper()
	a, b := s.Hosts[0], s.Hosts[1]
	s.activate(b, only)
	id := s.activate(a, only)[0]
	s.Run("both signed", func() bool { return s.activated(a, r, id) && s.activated(b, r, id) })
	for _, x := range s.Hosts[0].Rescue.Said(s.T.Context(), s.vault) {
		if v, err := act.ActivationOf(x.Statement); err == nil && x.Statement.ID() == id && (len(v.Members) != 2 || v.Threshold != 2) {
			s.T.Errorf("%d of %d sign", v.Threshold, len(v.Members))
		}
	}
}

// Seats that nobody takes.
func TestSeatRefuses(t *testing.T) {
	t.Parallel()
	s, r := readyToActivate(t)
	b, c, d := s.Hosts[1], s.Hosts[2], s.Hosts[3]
	for name, x := range map[string]struct {
		by   *nodetest.Host
		edit func(*act.Seat)
	}{
		"a subject":         {c, func(v *act.Seat) { v.Operator = c.Own.Name }},
		"for another":       {b, func(*act.Seat) {}},
		"another key":       {d, func(v *act.Seat) { v.Key.Key[0] ^= 1 }},
		"another epoch":     {d, func(v *act.Seat) { v.Epoch[0] ^= 1 }},
		"in earnest":        {d, func(v *act.Seat) { v.Drill = false }},
		"a second key":      {d, func(*act.Seat) {}},
		"no operator at al": {d, func(v *act.Seat) { v.Operator = "operator-9" }},
	} {
		key, err := pve.NewPrivateKey(s.Rand)
		if err != nil {
			t.Fatal(err)
		}
		v := act.Seat{Head: r.Head(), Operator: d.Own.Name, Key: r.Keys[0], Attempt: 1, Created: s.Now.UTC().Truncate(time.Second)}
		x.edit(&v)
		if v, err = v.Prove(key, s.Rand); err != nil {
			t.Fatal(err)
		}
		st, err := v.Statement(s.Salt())
		if _, err := s.submit(s.Hosts[0], s.nodeSays(x.by, st, err)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	// Possession of another's key cannot be shown.
	v := s.places(b, r)[b.Own.Name]
	v.Operator, v.ID = d.Own.Name, statement.ID{}
	st, err := v.Statement(s.Salt())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := act.SeatOf(st); err == nil {
		t.Error("another's key is announced as one's own")
	}
}

// Contributions that do not hold are not kept; a guardian who makes two has none; one who vetoed does not count.
func TestContributionRefuses(t *testing.T) {
	t.Parallel()
	s, r := readyToActivate(t)
	a, b := s.Hosts[0], s.Hosts[1]
	id := s.activate(a)[0]
	s.Run("both signed", func() bool { return s.activated(a, r, id) && s.activated(b, r, id) && s.activated(s.Hosts[3], r, id) })
	good := s.contribution(r, id, 0)
	for name, edit := range map[string]func(n *outbox.Note){
		"another activation": func(n *outbox.Note) { n.Fields[0][0] ^= 1 },
		"a short id":         func(n *outbox.Note) { n.Fields[0] = n.Fields[0][:31] },
		"a byte less":        func(n *outbox.Note) { n.Fields[1] = n.Fields[1][:len(n.Fields[1])-1] },
		"a byte more":        func(n *outbox.Note) { n.Fields[1] = append(n.Fields[1], 0) },
		"damaged":            func(n *outbox.Note) { n.Fields[1][len(n.Fields[1])/2] ^= 1 },
		"nothing":            func(n *outbox.Note) { n.Fields[1] = nil },
		"a third field":      func(n *outbox.Note) { n.Fields = append(n.Fields, nil) },
	} {
		n := outbox.Note{Kind: good.Kind, Fields: [][]byte{slices.Clone(good.Fields[0]), slices.Clone(good.Fields[1])}}
		edit(&n)
		if _, err := s.submit(b, n); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for _, n := range []outbox.Note{good, s.contribution(r, id, 0), s.contribution(r, id, 1)} { // the first guardian makes two
		if _, err := s.submit(b, n); err != nil {
			t.Fatal(err)
		}
	}
	for range 40 {
		s.Step(500 * time.Millisecond)
		s.Deliver()
	}
	if s.stands(a, r) != sos.Active || s.record(a).Rescued() || s.gave(a, r, id) || s.gave(b, r, id) {
		t.Error("two polynomials of one guardian counted")
	}
	n := s.contribution(r, id, 2)
	if _, err := s.submit(b, n); err != nil {
		t.Fatal(err)
	}
	s.Run("with a third guardian it is enough", func() bool { return s.record(a).Rescued() && s.record(b).Rescued() })
}

func (s setting) activated(h *nodetest.Host, r act.Request, id statement.ID) (ok bool) {
	s.Act(h, func() {
		if d, err := h.Rescue.Docket(s.T.Context(), s.vault); err == nil {
			c, _ := d.Case(r.ID)
			ok = c.Activated(id)
		}
	})
	return ok
}

// gave says whether a host's part was given, as it knows itself.
func (s setting) gave(h *nodetest.Host, r act.Request, id statement.ID) (ok bool) {
	s.Act(h, func() {
		if d, err := h.Rescue.Docket(s.T.Context(), s.vault); err == nil {
			c, _ := d.Case(r.ID)
			ok = c.Gave(id, h.Own.Name)
		}
	})
	return ok
}

// No part is given while another contributor has not said that it knows of no veto; a veto that it alone knows is its answer, and ends it.
func TestVetoIsTheAnswer(t *testing.T) {
	t.Parallel()
	ready, r := readyToActivate(t)
	t.Run("no answer", func(t *testing.T) {
		s := active(t, ready, r, "no answer")
		a, b := s.Hosts[0], s.Hosts[1]
		s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
			if p.Frame[0] == 25 && p.From == b {
				return nil
			}
			return []nodetest.Parcel{p}
		}
		id := s.activate(a)[0]
		s.Run("signed", func() bool { return s.activated(a, r, id) && s.activated(b, r, id) })
		for i := range 2 {
			if _, err := s.submit(b, s.contribution(r, id, i)); err != nil {
				t.Fatal(err)
			}
		}
		for range 60 {
			s.Step(500 * time.Millisecond)
			s.Deliver()
		}
		if s.gave(a, r, id) || s.record(a).Rescued() {
			t.Error("it gave its part without the other's word")
		}
	})
	t.Run("too few vetoes", func(t *testing.T) { // they are told before it is said that they end nothing here
		s := active(t, ready, r, "too few")
		a, b := s.Hosts[0], s.Hosts[1]
		v, err := act.Veto{Head: r.Head(), By: "guardian-1", Reason: "not so", Created: s.Now}.Statement(s.Salt())
		n := s.said(pen(t, 1), v, err)
		if _, err := s.submit(b, n); err != nil {
			t.Fatal(err)
		}
		var e transcript.Encoder
		question := e.Bytes(1, s.vault[:]).Bytes(2, r.ID[:]).Bytes(3, make([]byte, 32)).Sum()
		s.Queue = nil
		s.Act(b, func() { b.Deliver(t.Context(), s.Clock(b), a.Own.Identity, append([]byte{24}, question...)) })
		var told []byte
		for _, p := range s.Queue {
			if p.To == a && (p.Frame[0] == 25 || noteOf(p).ID() == n.ID()) {
				told = append(told, p.Frame[0])
			}
		}
		if !slices.Equal(told, []byte{nodetest.FrameNote, 25}) {
			t.Errorf("frames %v", told)
		}
	})
	t.Run("a veto", func(t *testing.T) {
		s := active(t, ready, r, "a veto")
		a, b := s.Hosts[0], s.Hosts[1]
		id := s.activate(a)[0]
		s.Run("signed", func() bool { return s.activated(a, r, id) && s.activated(b, r, id) })
		vetoes := map[outbox.ID]bool{}
		s.Pass = func(p nodetest.Parcel) []nodetest.Parcel { // what b has of vetoes does not reach a by itself
			if n := noteOf(p); p.Frame[0] == nodetest.FrameNote && p.To == a && vetoes[n.ID()] {
				return nil
			}
			return []nodetest.Parcel{p}
		}
		for i := 1; i < 3; i++ {
			v, err := act.Veto{Head: r.Head(), By: fmt.Sprintf("guardian-%d", i), Reason: "not so", Created: s.Now}.Statement(s.Salt())
			n := s.said(pen(t, i), v, err)
			vetoes[n.ID()] = true
			if _, err := s.submit(b, n); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 2 {
			if _, err := s.submit(a, s.contribution(r, id, i)); err != nil {
				t.Fatal(err)
			}
		}
		for range 40 {
			s.Step(500 * time.Millisecond)
			s.Deliver()
		}
		if s.gave(a, r, id) {
			t.Error("it gave its part, and the other knew of the vetoes")
		}
		s.Pass = nil
		s.Run("vetoed", s.allStand(sos.Vetoed, r, a, b))
	})
}

// What one operator alone says of a contributor's log, or of releases that nobody could give, stops nothing.
func TestLiesStopNothing(t *testing.T) {
	t.Parallel()
	s, r := readyToActivate(t)
	a, b, d := s.Hosts[0], s.Hosts[1], s.Hosts[3]
	lies := 0
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.Frame[0] != 24 || p.To != d {
			return []nodetest.Parcel{p}
		}
		lies++
		nonce := [32]byte(p.Frame[len(p.Frame)-32:])
		st, err := act.NoVeto{
			Head: r.Head(), Operator: d.Own.Name, Asker: p.From.Own.Name, Nonce: nonce, Origin: tlog.Origin(p.From.Own.Identity, 0), Log: tlog.Head{Size: 1 << 40, Root: tlog.Hash{1}}, Created: s.Now.UTC().Truncate(time.Second),
		}.Statement(s.Salt())
		return []nodetest.Parcel{{From: d, To: p.From, Frame: append([]byte{25}, s.nodeSays(d, st, err).Encode()...), Life: d.Life}}
	}
	for i := range 3 {
		v := act.Released{
			Head: r.Head(), Operator: b.Own.Name, Activation: statement.ID{byte(i + 1)}, Key: r.Keys[0].Key, Attempt: i + 1, Credited: time.Minute, FirstSeen: s.Now.UTC().Truncate(time.Second), Created: s.Now.UTC().Truncate(time.Second),
		}
		st, err := v.Statement(s.Salt())
		if _, err := s.submit(a, s.nodeSays(b, st, err)); err == nil {
			t.Error("a release for an activation that nobody knows is taken")
		}
	}
	id := s.activate(a)[0]
	s.Run("signed", func() bool { return s.activated(a, r, id) && s.activated(b, r, id) })
	for i := range 2 {
		if _, err := s.submit(b, s.contribution(r, id, i)); err != nil {
			t.Fatal(err)
		}
	}
	s.Run("new shares all the same", func() bool { return s.HeldBy(a, s.vault, 3, a, b, d) && s.HeldBy(d, s.vault, 3, a, b, d) })
	if lies == 0 {
		t.Error("nobody was lied to")
	}
}

// activationStory carries a plan out with a blow at one batch.
func activationStory(t *testing.T, ready setting, r act.Request, b *blow) []blow {
	t.Helper()
	s := active(t, ready, r, fmt.Sprint(b))
	before, fell := commits(s.World), new(bool)
	if b != nil {
		fell = b.strike(s.World)
	}
	live := []*nodetest.Host{s.Hosts[0], s.Hosts[1], s.Hosts[3]}
	var ids []statement.ID
	s.Run("asked", func() (done bool) {
		lived := s.Act(live[0], func() {
			var err error
			ids, err = live[0].Rescue.AskActivation(t.Context(), s.Clock(live[0]), s.vault, nil, 0, true)
			done = err == nil
		})
		return lived && done || len(s.activations(live[0], r)) > 0
	})
	if ids = s.activations(live[0], r); len(ids) == 0 {
		t.Fatal("no activation")
	}
	id := ids[len(ids)-1]
	for i := range 2 {
		s.Run("the guardian sees it", func() bool { return live[0].Up })
		s.again(live[1], s.contribution(r, id, i))
	}
	s.Run("new shares everywhere", func() bool {
		return !slices.ContainsFunc(live, func(h *nodetest.Host) bool { return !h.Up || !s.HeldBy(h, s.vault, 3, live...) })
	})
	s.Run("no key of the ceremony and no contribution is kept", func() bool {
		return !slices.ContainsFunc(live, func(h *nodetest.Host) bool { return len(s.Rows(h, "sos-key"))+len(s.Rows(h, "sos-given")) > 0 })
	})
	if b != nil && !*fell {
		t.Fatalf("%v: no such batch was written", b)
	}
	return blows(s.World, before)
}

// activations are those that a host knows to be signed by any contributor.
func (s setting) activations(h *nodetest.Host, r act.Request) (ids []statement.ID) {
	s.Act(h, func() {
		for _, x := range h.Rescue.Said(s.T.Context(), s.vault) {
			if v, err := act.ActivationOf(x.Statement); err == nil && v.Request == r.ID {
				ids = append(ids, v.ID)
			}
		}
	})
	return ids
}

// A node that dies before or after any batch comes to the same new shares: a release is given once, and what was contributed is not lost.
func TestActivationUnderCrashes(t *testing.T) {
	t.Parallel()
	ready, r := readyToActivate(t)
	for _, b := range pick(activationStory(t, ready, r, nil), 8) {
		t.Run(fmt.Sprint(b), func(t *testing.T) { activationStory(t, ready, r, &b) })
	}
}
