package guard

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/malice"
	"github.com/ostraka/ostraka/mpc/session"
)

// table is spec/guard 4: every byte of every message that a dealer sends, and what a well-formed wrong value comes to. The culprit of every
// one can be named. deal is the body as the dealer sends it: its length depends on the encryptions.
func table(p Params, deal []byte) []malice.Message {
	points := p.Plan.Quorum + p.Plan.Operators - 1
	return []malice.Message{
		{Name: "commit", Kind: KindCommit, Size: 32, Fields: []malice.Field{{Name: "C", Type: malice.Hash, Size: 32, Want: malice.Blame}}},
		{Name: "opening", Kind: KindOpening, Size: openingSize(p.Group, p.Plan), Fields: []malice.Field{
			{Name: "points", Type: malice.Point, Size: p.Group.PointSize(), Count: points, Want: malice.Blame},
			{Name: "salt", Type: malice.Hash, At: points * p.Group.PointSize(), Size: 32, Want: malice.Blame},
		}},
		dealTable(len(p.Members)-1, deal),
		{Name: "mask", Kind: KindMask, Direct: true, Size: 64, Fields: []malice.Field{
			{Name: "h", Type: malice.Scalar, Size: 32, Want: malice.Blame},
			{Name: "blind", Type: malice.Hash, At: 32, Size: 32, Want: malice.Blame},
		}},
	}
}

// dealTable walks the tree of a deal: heads of fields and items, hashes, encryptions.
func dealTable(hashes int, b []byte) malice.Message {
	m := malice.Message{Name: "deal", Kind: KindDeal, Size: len(b)}
	at := 0
	field := func(name string, size, count, stride int) {
		m.Fields = append(m.Fields, malice.Field{Name: name, Type: malice.Hash, At: at, Size: size, Count: count, Stride: stride, Want: malice.Blame})
	}
	field("head of hashes", 10, 0, 0)
	at += 10
	field("heads of hashes", 6, hashes, 38)
	at += 6
	field("hashes", 32, hashes, 38)
	at += hashes*38 - 6
	field("head of encryptions", 10, 0, 0)
	at += 10
	for i := 1; at < len(b); i++ {
		n := int(binary.BigEndian.Uint32(b[at+2:]))
		field(fmt.Sprintf("head of encryption %d", i), 6, 0, 0)
		at += 6
		field(fmt.Sprintf("challenge of encryption %d", i), 32, 0, 0)
		at += 32
		field(fmt.Sprintf("rows of encryption %d", i), n-32, 0, 0)
		at += n - 32
	}
	return m
}

// A stand is a guarded epoch with a corrupt dealer and one that direct attacks go to, and what honest sessions of it send.
type stand struct {
	name            string
	v               *vault
	corrupt, victim engine.PartyID
	now, earlier    []engine.Msg
}

func newStand(tb testing.TB, name string, v *vault, corrupt, victim int) *stand {
	tb.Helper()
	s := &stand{name: name, v: v, corrupt: seat(corrupt).ID, victim: seat(victim).ID}
	v.kept = map[engine.PartyID]*kept{}
	s.now = s.honest(tb, sid, 1)
	return s
}

// honest is what parties send in a session that nobody disturbs.
func (s *stand) honest(tb testing.TB, id engine.SessionID, seed uint64) (msgs []engine.Msg) {
	tb.Helper()
	c := enginetest.Run(enginetest.Options{}, s.v.machines(tb, id, seed)...)
	if _, err := c.Results(); err != nil {
		tb.Fatal(err)
	}
	for _, p := range c.Parties {
		msgs = append(msgs, p.Sent...)
	}
	return msgs
}

// stands: two operators, of whom each holds the same mask; three, of whom two have it together; and one who leaves, to whom nothing is dealt.
func stands(tb testing.TB) []*stand {
	g := secp256k1.Group{}
	return []*stand{
		newStand(tb, "two", newVault(tb, g, 2, 2, 1, 2, 3, false), 1, 0),
		newStand(tb, "three, a dealer is the victim", newVault(tb, g, 3, 3, 2, 2, 3, false), 1, 0),
		newStand(tb, "three, a member that deals nothing is the victim", newVault(tb, g, 2, 3, 1, 2, 3, false), 0, 2),
		newStand(tb, "two and one who leaves, who is the victim", newVault(tb, g, 2, 2, 1, 2, 3, true), 1, 2),
	}
}

func (s *stand) params() Params { return s.v.params(sid, 1)[0] }

// has says whether the victim gets a kind: who leaves gets no mask.
func (s *stand) has(m malice.Message) bool {
	return !m.Direct || slices.ContainsFunc(s.params().Members, func(q session.Party) bool { return q.ID == s.victim })
}

func body(tb testing.TB, msgs []engine.Msg, kind engine.Kind, from, to engine.PartyID) []byte {
	tb.Helper()
	i := slices.IndexFunc(msgs, func(m engine.Msg) bool {
		return m.Kind == kind && m.From == from && (m.To == engine.Everyone || m.To == to)
	})
	if i < 0 {
		tb.Fatalf("no message of kind %#x", uint8(kind))
	}
	return msgs[i].Body
}

// seen: replays toward the victim from another dealer, which may be the victim itself, and from an earlier session.
func (s *stand) seen(tb testing.TB, m malice.Message) malice.Seen {
	i := slices.IndexFunc(s.now, func(x engine.Msg) bool { return x.Kind == m.Kind && x.From != s.corrupt })
	if i < 0 {
		tb.Fatalf("nobody else sends kind %#x", uint8(m.Kind))
	}
	if s.earlier == nil {
		s.earlier = s.honest(tb, engine.SessionID{7}, 77)
	}
	return malice.Seen{Other: s.now[i].Body, Earlier: body(tb, s.earlier, m.Kind, s.corrupt, s.victim)}
}

// sized brings bodies to our length, for replays of single fields.
func sized(s malice.Seen, n int) malice.Seen {
	to := func(b []byte) []byte { return append(bytes.Clone(b), make([]byte, n)...)[:n] }
	return malice.Seen{Other: to(s.Other), Earlier: to(s.Earlier)}
}

// run lets the corrupt party alter what it says, to all or to the victim, and the network besides. What others deal does not
// interest the corrupt party, so that it need not check it.
func (s *stand) run(tb testing.TB, edit func(round uint8, out []engine.Out) []engine.Out, hook enginetest.Hook) *enginetest.Cluster[Output] {
	tb.Helper()
	var sessions []*engine.Session[Output]
	for _, p := range s.v.params(sid, 1) {
		first := engine.Stage[Output](&whole{Start(p), s.v})
		if p.Self.ID == s.corrupt && edit != nil {
			first = enginetest.Corrupt(first, edit)
		}
		sessions = append(sessions, s.v.machine(tb, p, first))
	}
	deaf := enginetest.On(enginetest.Match{To: s.corrupt, Kind: KindDeal}, enginetest.Drop)
	if hook != nil {
		deaf = enginetest.Hooks(deaf, hook)
	}
	return enginetest.Run(enginetest.Options{Hook: deaf}, sessions...)
}

// bodies edits one kind: direct messages toward the victim alone.
func (s *stand) bodies(kind engine.Kind, edit func([]byte) []byte) func(uint8, []engine.Out) []engine.Out {
	return func(_ uint8, out []engine.Out) []engine.Out {
		for i, o := range out {
			if o.Kind == kind && (o.To == engine.Everyone || o.To == s.victim) {
				out[i].Body = edit(bytes.Clone(o.Body))
			}
		}
		return out
	}
}

// judge is the result over the honest parties. Those with an output agree on all of it.
func (s *stand) judge(tb testing.TB, c *enginetest.Cluster[Output]) malice.Result {
	tb.Helper()
	var ends []malice.End
	var first *Output
	for _, p := range c.Parties {
		if p.ID == s.corrupt {
			continue
		}
		ends = append(ends, malice.End{Party: p.ID, Done: p.Result != nil, Err: p.Err, Burned: p.Burned})
		if p.Result == nil {
			continue
		}
		if first == nil {
			first = p.Result
		}
		if !bytes.Equal(p.Result.Set.Encode(s.v.plan), first.Set.Encode(s.v.plan)) {
			tb.Error("two honest parties hold different sets")
		}
		i := slices.IndexFunc(s.v.members, func(q session.Party) bool { return q.ID == p.ID })
		if i >= 0 && !s.v.g.BaseMul(p.Result.Mask).Equal(p.Result.Set.MaskPoint(s.v.members[i].Index)) {
			tb.Error("an honest party's mask is not that of the set")
		}
	}
	r, err := malice.Judge(s.corrupt, ends)
	if err != nil {
		tb.Error(err)
	}
	return r
}

// split is what it comes to when one receiver alone gets another broadcast: the first flip of it does not match at that receiver, save of the
// commitment, whose echo differs first.
var split = map[engine.Kind]malice.Result{KindCommit: malice.Unattributed, KindOpening: malice.Blame, KindDeal: malice.Blame}

func matrix(t *testing.T, s *stand, g group.Group, depth malice.Depth) {
	cell := func(name string, want malice.Result, c func(t *testing.T) *enginetest.Cluster[Output]) {
		t.Run(name, func(t *testing.T) {
			if got := s.judge(t, c(t)); got != want {
				t.Errorf("came to %s, want %s", got, want)
			}
		})
	}
	for _, m := range table(s.params(), body(t, s.now, KindDeal, s.corrupt, s.victim)) {
		if !s.has(m) {
			continue
		}
		own, raw := body(t, s.now, m.Kind, s.corrupt, s.victim), s.seen(t, m)
		edit := func(x malice.Mutation, seen malice.Seen) func([]byte) []byte {
			if bytes.Equal(x.Edit(bytes.Clone(own), seen), own) {
				t.Fatalf("%s changes nothing", x)
			}
			return func(b []byte) []byte { return x.Edit(b, seen) }
		}
		said := func(x malice.Mutation, seen malice.Seen) {
			cell(x.String(), x.Want, func(t *testing.T) *enginetest.Cluster[Output] { return s.run(t, s.bodies(m.Kind, edit(x, seen)), nil) })
		}
		for _, x := range m.Mutations(g, depth) {
			if !s.frames(x, own, raw) && (depth == malice.All || !costly(x, depth)) {
				said(x, sized(raw, m.Size))
			}
		}
		for _, x := range m.Replays(malice.Blame) {
			said(x, raw)
		}
		on := func(do enginetest.Mutate) func(t *testing.T) *enginetest.Cluster[Output] {
			hook := enginetest.On(enginetest.Match{From: s.corrupt, To: s.victim, Kind: m.Kind}, do)
			return func(t *testing.T) *enginetest.Cluster[Output] { return s.run(t, nil, hook) }
		}
		flipped := edit(m.Mutations(g, malice.Each)[0], sized(raw, m.Size))
		if want, ok := split[m.Kind]; ok {
			cell(m.Name+"/whole/equivocated", want, on(enginetest.Edit(flipped)))
		}
		if depth == malice.One {
			continue // lengths and repeats are judged alike for all
		}
		for _, x := range m.Lengths() {
			want := x.Want
			if m.Kind == KindDeal && x.Name == "one byte long" {
				want = malice.Blame // it reaches the protocol: encryptions may be that long
			}
			cell(x.String(), want, on(enginetest.Edit(edit(x, raw))))
		}
		cell(m.Name+"/whole/lost", malice.Timeout, on(enginetest.Drop))
		cell(m.Name+"/whole/repeated", malice.Unaffected, on(enginetest.Twice))
		cell(m.Name+"/whole/second version after the first", malice.Unaffected, on(enginetest.Besides(flipped)))
	}
}

// frames says whether a mutation changes nothing: heads of a tree are the same in every message of one shape.
func (s *stand) frames(x malice.Mutation, own []byte, raw malice.Seen) bool {
	return bytes.HasPrefix([]byte(x.Field), []byte("head")) && bytes.Equal(x.Edit(bytes.Clone(own), sized(raw, len(own))), own)
}

// costly says whether to leave a mutation for the night: encryptions are all judged alike, at 13 ms each.
func costly(x malice.Mutation, depth malice.Depth) bool {
	return strings.Contains(x.Field, "encryption ") && (depth == malice.One || !strings.HasSuffix(x.Field, " 1"))
}

// Every field has every mutation where two deal; the others, whose members check more encryptions, have one a field. All of all is for the night.
func TestMaliciousDealer(t *testing.T) {
	for i, s := range stands(t) {
		depth := malice.One
		if i == 0 {
			depth = malice.Each
		}
		t.Run(s.name, func(t *testing.T) { matrix(t, s, secp256k1.Group{}, depth) })
	}
}

func TestTableCoversEveryByte(t *testing.T) {
	s := newStand(t, "three", newVault(t, secp256k1.Group{}, 2, 3, 1, 2, 3, false), 0, 2)
	for _, msg := range s.now {
		messages := table(s.params(), body(t, s.now, KindDeal, msg.From, msg.To))
		i := slices.IndexFunc(messages, func(m malice.Message) bool { return m.Kind == msg.Kind })
		if i < 0 {
			t.Fatalf("%v sends kind %#x, which the table does not have", msg.From, uint8(msg.Kind))
		}
		if err := messages[i].Check(msg.Body); err != nil {
			t.Error(err)
		}
		if messages[i].Direct != (msg.To != engine.Everyone) {
			t.Errorf("%s is direct in one of table and protocol only", messages[i].Name)
		}
	}
}

// A member that is no dealer, and one who leaves, are not heard.
func TestWhoDealsNothingIsNotHeard(t *testing.T) {
	v := newVault(t, secp256k1.Group{}, 2, 3, 1, 2, 3, true)
	s := newStand(t, "", v, 0, 1)
	for _, k := range []int{2, 3} {
		s.corrupt = seat(k).ID
		// By whom a broadcast is not heard differs from others' transcripts next round: so it says nothing more.
		for kind, want := range map[engine.Kind]int{KindCommit: 1, KindOpening: 1, KindDeal: 2} {
			said := 0
			c := s.run(t, func(round uint8, out []engine.Out) []engine.Out {
				for _, m := range s.now {
					due := m.Kind == kind || kind == KindDeal && m.Kind == KindMask && m.To == s.victim
					if m.From == seat(0).ID && m.Round == round && due {
						out, said = append(out, engine.Out{Kind: m.Kind, To: m.To, Body: m.Body}), said+1
					}
				}
				return out
			}, nil)
			if p := c.Party(s.victim); slices.ContainsFunc(p.Session.Heard(), func(m engine.Msg) bool { return m.From == s.corrupt }) {
				t.Errorf("party %d is heard", k)
			}
			if said != want {
				t.Errorf("party %d said %d messages of kind %#x", k, said, uint8(kind))
			}
			s.judge(t, c)
		}
	}
}
