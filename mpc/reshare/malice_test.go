package reshare

import (
	"bytes"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/malice"
	"github.com/ostraka/ostraka/mpc/session"
)

// table is spec/reshare 4: every byte of every message that a party sends, and what a
// well-formed wrong value comes to. The culprit of every one can be named.
func table(p Params, of engine.PartyID) (all []malice.Message) {
	is := func(q session.Party) bool { return q.ID == of }
	if slices.ContainsFunc(p.dealers(), is) {
		l := p.layout(of)
		at := l.points * 33
		fields := []malice.Field{{Name: "B", Type: malice.Point, Size: 33, Count: l.points, Want: malice.Blame}}
		if !l.zero {
			fields = append(fields,
				malice.Field{Name: "K", Type: malice.Point, At: at, Size: 33, Want: malice.Blame},
				malice.Field{Name: "z", Type: malice.Scalar, At: at + 33, Size: 32, Want: malice.Blame})
			at += 65
		}
		fields = append(fields,
			malice.Field{Name: "salt", Type: malice.Hash, At: at, Size: 32, Want: malice.Blame},
			malice.Field{Name: "h", Type: malice.Hash, At: at + 32, Size: 32, Count: l.hashes, Want: malice.Blame})
		all = append(all,
			malice.Message{Name: "commit", Kind: KindCommit, Size: 32, Fields: []malice.Field{
				{Name: "C", Type: malice.Hash, Size: 32, Want: malice.Blame},
			}},
			malice.Message{Name: "opening", Kind: KindOpening, Size: l.size(), Fields: fields},
			malice.Message{Name: "share", Kind: KindShare, Direct: true, Size: 64, Fields: []malice.Field{
				{Name: "g", Type: malice.Scalar, Size: 32, Want: malice.Blame},
				{Name: "blind", Type: malice.Hash, At: 32, Size: 32, Want: malice.Blame},
			}})
	}
	if slices.ContainsFunc(p.receivers(), is) {
		all = append(all, malice.Message{Name: "confirm", Kind: KindConfirm, Size: 129, Fields: []malice.Field{
			{Name: "signature", Type: malice.Hash, Size: 64, Want: malice.Blame},
			{Name: "K", Type: malice.Point, At: 64, Size: 33, Want: malice.Blame},
			{Name: "z", Type: malice.Scalar, At: 97, Size: 32, Want: malice.Blame},
		}})
	}
	return all
}

// split is what it comes to when one receiver alone gets another broadcast: the first flip
// of it does not match at that receiver, save of the commitment, whose echo differs first.
var split = map[engine.Kind]malice.Result{
	KindCommit: malice.Unattributed, KindOpening: malice.Blame, KindConfirm: malice.Blame,
}

// A stand is a run with a corrupt party and one that direct attacks go to, and what honest
// sessions of it send.
type stand struct {
	name            string
	params          func(id engine.SessionID, seed uint64) []Params // this run's, from this epoch
	corrupt, victim engine.PartyID
	now, earlier    []engine.Msg
}

// A plan makes the parameters of a run out of an epoch.
type plan func(v *vault, id engine.SessionID, seed uint64) []Params

// newStand has the earlier session in the epoch before: the same members had other shares.
func newStand(tb testing.TB, name string, corrupt, victim int, before *vault, p plan) *stand {
	tb.Helper()
	all := before.refresh(engine.SessionID{6}, 5)
	v := before.next(before.old.Threshold, all, outputs(tb, 0, all))
	s := &stand{name: name, corrupt: seat(corrupt).ID, victim: seat(victim).ID}
	s.params = func(id engine.SessionID, seed uint64) []Params { return p(v, id, seed) }
	run := func(all []Params) (msgs []engine.Msg) {
		c := enginetest.Run(enginetest.Options{}, machines(tb, all)...)
		if _, err := c.Results(); err != nil {
			tb.Fatal(err)
		}
		for _, p := range c.Parties {
			msgs = append(msgs, p.Sent...)
		}
		return msgs
	}
	s.now, s.earlier = run(s.params(sid, 1)), run(p(before, engine.SessionID{7}, 77))
	return s
}

// stands are runs whose committees overlap in three, two, one and no members, with each role a
// corrupt party can have: who stays, who leaves, who joins.
func stands(tb testing.TB) []*stand {
	v := newVault(tb, secp256k1.Group{}, 3, 0, 1, 2)
	reshare := func(t int, next ...int) plan {
		return func(v *vault, id engine.SessionID, seed uint64) []Params {
			return v.reshare(tb, t, []int{0, 1, 2}, next, id, seed)
		}
	}
	return []*stand{
		newStand(tb, "refresh", 1, 0, v, (*vault).refresh),
		newStand(tb, "same committee", 1, 0, v, reshare(3, 0, 1, 2)),
		newStand(tb, "two stay, one of them corrupt", 2, 1, v, reshare(2, 1, 2, 3)),
		newStand(tb, "two stay, who leaves is corrupt", 0, 3, v, reshare(2, 1, 2, 3)),
		newStand(tb, "two stay, who joins is corrupt", 3, 0, v, reshare(3, 1, 2, 3)),
		newStand(tb, "one stays, who leaves is corrupt", 1, 2, v, reshare(3, 2, 3, 4)),
		newStand(tb, "none stays, a dealer is corrupt", 1, 4, v, reshare(2, 3, 4, 5)),
		newStand(tb, "none stays, a receiver is corrupt", 4, 1, v, reshare(3, 3, 4, 5)),
	}
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

// seen: replays toward the victim from a third party, brought to our length, and from an earlier session.
func (s *stand) seen(tb testing.TB, m malice.Message) malice.Seen {
	i := slices.IndexFunc(s.now, func(x engine.Msg) bool {
		return x.Kind == m.Kind && x.From != s.corrupt && x.From != s.victim && (x.To == engine.Everyone || x.To == s.victim)
	})
	if i < 0 {
		tb.Fatalf("nobody else sends kind %#x", uint8(m.Kind))
	}
	other := append(bytes.Clone(s.now[i].Body), make([]byte, m.Size)...)[:m.Size]
	return malice.Seen{Other: other, Earlier: body(tb, s.earlier, m.Kind, s.corrupt, s.victim)}
}

// run lets the corrupt party alter what it says, to all or to the victim, and the network besides.
func (s *stand) run(tb testing.TB, edit func(round uint8, out []engine.Out) []engine.Out, hook enginetest.Hook) *enginetest.Cluster[Output] {
	tb.Helper()
	var sessions []*engine.Session[Output]
	for _, p := range s.params(sid, 1) {
		first := Start(p)
		if p.Self.ID == s.corrupt && edit != nil {
			first = enginetest.Corrupt(first, edit)
		}
		sessions = append(sessions, machine(tb, p, first))
	}
	return enginetest.Run(enginetest.Options{Hook: hook}, sessions...)
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
		if !p.Result.Public.Equal(s.params(sid, 1)[0].Public) || p.Result.ChainCode != chainCode {
			tb.Error("an honest party holds another key")
		}
		for id, x := range p.Result.Publics {
			if !x.Equal(first.Publics[id]) {
				tb.Error("two honest parties hold different public shares")
			}
		}
		if p.Result.Share != nil && !p.Result.Public.Group().BaseMul(p.Result.Share).Equal(first.Publics[p.ID]) {
			tb.Error("an honest party's share does not match the others' view of it")
		}
	}
	r, err := malice.Judge(s.corrupt, ends)
	if err != nil {
		tb.Error(err)
	}
	return r
}

func matrix(t *testing.T, s *stand, depth malice.Depth) {
	cell := func(name string, want malice.Result, c func(t *testing.T) *enginetest.Cluster[Output]) {
		t.Run(name, func(t *testing.T) {
			if got := s.judge(t, c(t)); got != want {
				t.Errorf("came to %s, want %s", got, want)
			}
		})
	}
	for _, m := range table(s.params(sid, 1)[0], s.corrupt) {
		seen, own := s.seen(t, m), body(t, s.now, m.Kind, s.corrupt, s.victim)
		edit := func(x malice.Mutation) func([]byte) []byte {
			if bytes.Equal(x.Edit(bytes.Clone(own), seen), own) {
				t.Fatalf("%s changes nothing", x)
			}
			return func(b []byte) []byte { return x.Edit(b, seen) }
		}
		for _, x := range append(m.Mutations(secp256k1.Group{}, depth), m.Replays(malice.Blame)...) {
			cell(x.String(), x.Want, func(t *testing.T) *enginetest.Cluster[Output] { return s.run(t, s.bodies(m.Kind, edit(x)), nil) })
		}
		on := func(do enginetest.Mutate) func(t *testing.T) *enginetest.Cluster[Output] {
			hook := enginetest.On(enginetest.Match{From: s.corrupt, To: s.victim, Kind: m.Kind}, do)
			return func(t *testing.T) *enginetest.Cluster[Output] { return s.run(t, nil, hook) }
		}
		for _, x := range m.Lengths() {
			want := x.Want
			if len(x.Edit(bytes.Clone(own), seen)) <= s.longest(m.Kind) {
				want = malice.Blame // it reaches the protocol: another dealer's opening is that long
			}
			cell(x.String(), want, on(enginetest.Edit(edit(x))))
		}
		flipped := edit(m.Mutations(secp256k1.Group{}, malice.Each)[0])
		cell(m.Name+"/whole/lost", malice.Timeout, on(enginetest.Drop))
		cell(m.Name+"/whole/repeated", malice.Unaffected, on(enginetest.Twice))
		cell(m.Name+"/whole/second version after the first", malice.Unaffected, on(enginetest.Besides(flipped)))
		if want, ok := split[m.Kind]; ok {
			cell(m.Name+"/whole/equivocated", want, on(enginetest.Edit(flipped)))
		}
	}
}

// longest is the largest body of a kind that the victim takes from anybody.
func (s *stand) longest(kind engine.Kind) (n int) {
	for _, m := range s.now {
		if m.Kind == kind && m.From != s.victim {
			n = max(n, len(m.Body))
		}
	}
	return n
}

// Every field has every mutation in a refresh, of one who stays and of one who joins; who leaves sends
// what who stays sends. All of all is for the night.
func TestMaliciousParty(t *testing.T) {
	for i, s := range stands(t) {
		depth := malice.One
		if i%2 == 0 {
			depth = malice.Each
		}
		t.Run(s.name, func(t *testing.T) { matrix(t, s, depth) })
	}
}

func TestTableCoversEveryByte(t *testing.T) {
	for _, s := range stands(t) {
		p := s.params(sid, 1)[0]
		for _, msg := range s.now {
			messages := table(p, msg.From)
			i := slices.IndexFunc(messages, func(m malice.Message) bool { return m.Kind == msg.Kind })
			if i < 0 {
				t.Fatalf("%s: %v sends kind %#x, which the table does not have of it", s.name, msg.From, uint8(msg.Kind))
			}
			if err := messages[i].Check(msg.Body); err != nil {
				t.Error(err)
			}
			if messages[i].Direct != (msg.To != engine.Everyone) {
				t.Errorf("%s is direct in one of table and protocol only", messages[i].Name)
			}
		}
		for _, q := range p.Parties {
			for _, m := range table(p, q.ID) {
				if !slices.ContainsFunc(s.now, func(x engine.Msg) bool { return x.From == q.ID && x.Kind == m.Kind }) {
					t.Errorf("%s: %v does not send %s", s.name, q.ID, m.Name)
				}
			}
		}
	}
}

// Who has no such message to send is not heard: a dealer who leaves confirms nothing, a new
// member deals nothing.
func TestOutOfRole(t *testing.T) {
	for _, s := range stands(t) {
		messages := table(s.params(sid, 1)[0], s.corrupt)
		for _, kind := range []engine.Kind{KindCommit, KindOpening, KindConfirm} {
			if slices.ContainsFunc(messages, func(m malice.Message) bool { return m.Kind == kind }) {
				continue
			}
			i := slices.IndexFunc(s.now, func(m engine.Msg) bool { return m.Kind == kind })
			c := s.run(t, func(round uint8, out []engine.Out) []engine.Out {
				if s.now[i].Round == round {
					out = append(out, engine.Out{Kind: kind, Body: s.now[i].Body})
				}
				return out
			}, nil)
			s.judge(t, c)
			for _, p := range c.Parties {
				heard := slices.ContainsFunc(p.Session.Heard(), func(m engine.Msg) bool { return m.From == s.corrupt && m.Kind == kind })
				if heard && p.ID != s.corrupt {
					t.Errorf("%s: %v takes kind %#x", s.name, p.ID, uint8(kind))
				}
			}
		}
	}
}
