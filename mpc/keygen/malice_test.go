package keygen

import (
	"bytes"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/malice"
)

// table is spec/keygen 2: every byte of every message, and what a well-formed wrong value
// comes to. Keygen can name the culprit of every one.
func table(t, n int) []malice.Message {
	points := (t + 1) * 33
	return []malice.Message{
		{Name: "commit", Kind: KindCommit, Size: 32, Fields: []malice.Field{
			{Name: "C", Type: malice.Hash, Size: 32, Want: malice.Blame},
		}},
		{Name: "opening", Kind: KindOpening, Size: openingSize(secp256k1.Group{}, t, n), Fields: []malice.Field{
			{Name: "A", Type: malice.Point, Size: 33, Count: t, Want: malice.Blame},
			{Name: "K", Type: malice.Point, At: t * 33, Size: 33, Want: malice.Blame},
			{Name: "z", Type: malice.Scalar, At: points, Size: 32, Want: malice.Blame},
			{Name: "cc", Type: malice.Hash, At: points + 32, Size: 32, Want: malice.Blame},
			{Name: "ρ", Type: malice.Hash, At: points + 64, Size: 32, Want: malice.Blame},
			{Name: "h", Type: malice.Hash, At: points + 96, Size: 32, Count: n - 1, Want: malice.Blame},
		}},
		{Name: "share", Kind: KindShare, Direct: true, Size: 64, Fields: []malice.Field{
			{Name: "f", Type: malice.Scalar, Size: 32, Want: malice.Blame},
			{Name: "blind", Type: malice.Hash, At: 32, Size: 32, Want: malice.Blame},
		}},
		{Name: "confirm", Kind: KindConfirm, Size: 129, Fields: []malice.Field{
			{Name: "signature", Type: malice.Hash, Size: 64, Want: malice.Blame},
			{Name: "K", Type: malice.Point, At: 64, Size: 33, Want: malice.Blame},
			{Name: "z", Type: malice.Scalar, At: 97, Size: 32, Want: malice.Blame},
		}},
	}
}

// split is what it comes to when one receiver alone gets another broadcast: the first flip
// of it does not match at that receiver, save of the commitment, whose echo differs first.
var split = map[engine.Kind]malice.Result{
	KindCommit: malice.Unattributed, KindOpening: malice.Blame, KindConfirm: malice.Blame,
}

// A stand is a committee whose party 1 is corrupt, and what honest sessions of it send.
type stand struct {
	t, n         int
	now, earlier []engine.Msg
}

func newStand(tb testing.TB, t, n int) *stand {
	tb.Helper()
	run := func(id engine.SessionID, seed uint64) (msgs []engine.Msg) {
		c := enginetest.Run(enginetest.Options{}, machines(tb, committee(secp256k1.Group{}, t, n, id, seed))...)
		if _, err := c.Results(); err != nil {
			tb.Fatal(err)
		}
		for _, p := range c.Parties {
			msgs = append(msgs, p.Sent...)
		}
		return msgs
	}
	return &stand{t: t, n: n, now: run(sid, 1), earlier: run(engine.SessionID{7}, 77)}
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

// seen: replays from party 2 and from an earlier session, toward party 0.
func (s *stand) seen(tb testing.TB, kind engine.Kind) malice.Seen {
	ids := enginetest.IDs(s.n)
	return malice.Seen{Other: body(tb, s.now, kind, ids[2], ids[0]), Earlier: body(tb, s.earlier, kind, ids[1], ids[0])}
}

// run lets party 1 alter what it says, to all or to party 0, and the network besides.
func (s *stand) run(tb testing.TB, edit func(round uint8, out []engine.Out) []engine.Out, hook enginetest.Hook) *enginetest.Cluster[Output] {
	tb.Helper()
	var sessions []*engine.Session[Output]
	for i, p := range committee(secp256k1.Group{}, s.t, s.n, sid, 1) {
		first := Start(p)
		if i == 1 && edit != nil {
			first = enginetest.Corrupt(first, edit)
		}
		sessions = append(sessions, machine(tb, p, first))
	}
	return enginetest.Run(enginetest.Options{Hook: hook}, sessions...)
}

// bodies edits one kind: direct messages toward party 0 alone.
func bodies(kind engine.Kind, edit func([]byte) []byte) func(uint8, []engine.Out) []engine.Out {
	return func(_ uint8, out []engine.Out) []engine.Out {
		for i, o := range out {
			if o.Kind == kind && (o.To == engine.Everyone || o.To == enginetest.IDs(1)[0]) {
				out[i].Body = edit(bytes.Clone(o.Body))
			}
		}
		return out
	}
}

// judge is the result over the honest parties. Those with an output agree on all of it.
func judge(tb testing.TB, c *enginetest.Cluster[Output]) malice.Result {
	tb.Helper()
	var ends []malice.End
	var first *Output
	for i, p := range c.Parties {
		if i == 1 {
			continue
		}
		ends = append(ends, malice.End{Party: p.ID, Done: p.Result != nil, Err: p.Err, Burned: p.Burned})
		if p.Result == nil {
			continue
		}
		if first == nil {
			first = p.Result
		}
		if !p.Result.Public.Equal(first.Public) || p.Result.ChainCode != first.ChainCode {
			tb.Error("two honest parties hold different keys")
		}
		if !p.Result.Public.Group().BaseMul(p.Result.Share).Equal(first.Publics[p.ID]) {
			tb.Error("an honest party's share does not match the others' view of it")
		}
	}
	r, err := malice.Judge(c.Parties[1].ID, ends)
	if err != nil {
		tb.Error(err)
	}
	return r
}

func matrix(t *testing.T, s *stand, depth malice.Depth) {
	ids := enginetest.IDs(s.n)
	cell := func(name string, want malice.Result, c func(t *testing.T) *enginetest.Cluster[Output]) {
		t.Run(name, func(t *testing.T) {
			if got := judge(t, c(t)); got != want {
				t.Errorf("came to %s, want %s", got, want)
			}
		})
	}
	for _, m := range table(s.t, s.n) {
		seen, own := s.seen(t, m.Kind), body(t, s.now, m.Kind, ids[1], ids[0])
		edit := func(x malice.Mutation) func([]byte) []byte {
			if bytes.Equal(x.Edit(bytes.Clone(own), seen), own) {
				t.Fatalf("%s changes nothing", x)
			}
			return func(b []byte) []byte { return x.Edit(b, seen) }
		}
		for _, x := range append(m.Mutations(secp256k1.Group{}, depth), m.Replays(malice.Blame)...) {
			cell(x.String(), x.Want, func(t *testing.T) *enginetest.Cluster[Output] { return s.run(t, bodies(m.Kind, edit(x)), nil) })
		}
		on := func(do enginetest.Mutate) func(t *testing.T) *enginetest.Cluster[Output] {
			hook := enginetest.On(enginetest.Match{From: ids[1], To: ids[0], Kind: m.Kind}, do)
			return func(t *testing.T) *enginetest.Cluster[Output] { return s.run(t, nil, hook) }
		}
		for _, x := range m.Lengths() {
			cell(x.String(), x.Want, on(enginetest.Edit(edit(x))))
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

func TestMaliciousParty(t *testing.T) { matrix(t, newStand(t, 3, 3), malice.Each) }

func TestTableCoversEveryByte(t *testing.T) {
	s, found := newStand(t, 2, 3), map[engine.Kind]bool{}
	messages := table(2, 3)
	for _, msg := range s.now {
		i := slices.IndexFunc(messages, func(m malice.Message) bool { return m.Kind == msg.Kind })
		if i < 0 {
			t.Fatalf("kind %#x is not in the table", uint8(msg.Kind))
		}
		if err := messages[i].Check(msg.Body); err != nil {
			t.Error(err)
		}
		if messages[i].Direct != (msg.To != engine.Everyone) {
			t.Errorf("%s is direct in one of table and protocol only", messages[i].Name)
		}
		found[msg.Kind] = true
	}
	if len(found) != len(messages) {
		t.Errorf("the table has %d kinds, a session %d", len(messages), len(found))
	}
}

// openings decodes what each party opens in an honest session.
func (s *stand) opening(tb testing.TB, i int) *opening {
	tb.Helper()
	ids := enginetest.IDs(s.n)
	o, err := decodeOpening(secp256k1.Group{}, s.t, s.n, body(tb, s.now, KindOpening, ids[i], ids[0]))
	if err != nil {
		tb.Fatal(err)
	}
	return o
}

// A rushing party that has seen all openings chooses Aⱼ so that the key is its own X*.
func TestRogueKey(t *testing.T) {
	s, g := newStand(t, 3, 3), secp256k1.Group{}
	mine := g.Scalar(99) // X* = 99·G
	a0 := g.BaseMul(mine)
	for _, i := range []int{0, 2} {
		a0 = a0.Add(s.opening(t, i).commit[0].Neg())
	}
	for name, edit := range map[string]func(b []byte) []byte{
		"late constant": func(b []byte) []byte { return append(a0.Bytes(), b[33:]...) },
		// with a proof that it does know, of something else
		"late constant, proof of X*": func(b []byte) []byte {
			own := s.opening(t, 1)
			own.commit[0], own.nonce = a0, g.BaseMul(g.Scalar(5))
			own.proof = g.Scalar(5).Add(g.Scalar(1).Mul(mine))
			return own.encode()
		},
		"mirror of party 0's opening": func([]byte) []byte { return s.opening(t, 0).encode() },
	} {
		t.Run(name, func(t *testing.T) {
			if got := judge(t, s.run(t, bodies(KindOpening, edit), nil)); got != malice.Blame {
				t.Errorf("came to %s", got)
			}
		})
	}
	t.Run("mirror of commitment and opening", func(t *testing.T) {
		ids := enginetest.IDs(3)
		got := judge(t, s.run(t, func(_ uint8, out []engine.Out) []engine.Out {
			for i, o := range out {
				if o.To == engine.Everyone && o.Kind != KindConfirm {
					out[i].Body = body(t, s.now, o.Kind, ids[0], ids[2])
				}
			}
			return out
		}, nil))
		if got != malice.Blame {
			t.Errorf("came to %s", got)
		}
	})
}

// A commitment that fits a rogue opening, made by one who does not know a₀: only the proof
// is in the way.
func TestProofIsNeeded(t *testing.T) {
	s, g := newStand(t, 3, 3), secp256k1.Group{}
	all := committee(g, 3, 3, sid, 1)
	rogue := s.opening(t, 1)
	rogue.commit[0] = rogue.commit[0].Add(g.BaseMul(g.Scalar(7)))
	r := &run{Params: all[1]}
	c := r.commitHash(all[1].Self.ID, rogue)
	got := judge(t, s.run(t, func(_ uint8, out []engine.Out) []engine.Out {
		for i, o := range out {
			switch o.Kind {
			case KindCommit:
				out[i].Body = c[:]
			case KindOpening:
				out[i].Body = rogue.encode()
			}
		}
		return out
	}, nil))
	if got != malice.Blame {
		t.Errorf("came to %s", got)
	}
}

// Polynomials of another length: dealt by the honest code with another t, or with a point too
// many, whose coefficient a colluder's cancels.
func TestThresholdRaiseAndCut(t *testing.T) {
	g := secp256k1.Group{}
	for wrong, want := range map[int]malice.Result{2: malice.Blame, 4: malice.Timeout} {
		all := committee(g, 3, 4, sid, 1)
		all[1].Threshold = wrong
		if got := judge(t, enginetest.Run(enginetest.Options{}, machines(t, all)...)); got != want {
			t.Errorf("threshold %d instead of 3 came to %s, want %s", wrong, got, want)
		}
	}
	extra := g.BaseMul(g.Scalar(12345))
	insert := func(p group.Point) func([]byte) []byte {
		return func(b []byte) []byte { return slices.Insert(b, 3*33, p.Bytes()...) }
	}
	all := committee(g, 3, 4, sid, 1)
	var sessions []*engine.Session[Output]
	for i, p := range all {
		first := Start(p)
		if i == 1 {
			first = enginetest.CorruptBody(first, KindOpening, engine.Everyone, insert(extra))
		}
		if i == 2 {
			first = enginetest.CorruptBody(first, KindOpening, engine.Everyone, insert(extra.Neg()))
		}
		sessions = append(sessions, machine(t, p, first))
	}
	c := enginetest.Run(enginetest.Options{}, sessions...)
	for _, i := range []int{0, 3} {
		p := c.Parties[i]
		if p.Result != nil || p.Err != nil || !slices.Equal(p.Session.Waiting(), enginetest.IDs(3)[1:]) {
			t.Errorf("two colluders with cancelling coefficients: party %d ended with %v", i, p.Err)
		}
	}
}

// Honest parties may draw equal coefficients; nothing is wrong with that.
func TestEqualCoefficientsAreNoFault(t *testing.T) {
	all := committee(secp256k1.Group{}, 2, 3, sid, 1)
	all[1].Rand = &repeating{}
	if _, err := enginetest.Run(enginetest.Options{}, machines(t, all)...).Results(); err != nil {
		t.Error(err)
	}
}

// repeating is a source that says the same 8 bytes for ever.
type repeating struct{ n int }

func (r *repeating) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r.n%8) + 1
		r.n++
	}
	return len(b), nil
}

// Openings that each pass alone, but differ between receivers: nobody gets a key.
func TestEquivocatedOpenings(t *testing.T) {
	ids := enginetest.IDs(3)
	s := newStand(t, 3, 3)
	// The hash for party 2, as party 0 sees it: party 0 has no way to check it.
	other := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	hook := enginetest.On(enginetest.Match{From: ids[1], To: ids[0], Kind: KindOpening}, enginetest.Edit(other))
	c := s.run(t, nil, hook)
	if got := judge(t, c); got != malice.Unattributed {
		t.Errorf("came to %s", got)
	}
	for _, i := range []int{0, 2} {
		if c.Parties[i].Result != nil {
			t.Error("an honest party has a key")
		}
	}
}
