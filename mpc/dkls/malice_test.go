package dkls

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/malice"
)

// The table of spec/dkls-sign 3: every byte of every message, and what a well-formed
// wrong value of it comes to. "Unattributed" is where DKLs23 cannot name anybody: ψ, u and w
// enter nothing but the signature itself.
var table = []malice.Message{
	{Name: "commit", Kind: KindCommit, Size: 32, Fields: []malice.Field{
		{Name: "com", Type: malice.Hash, Size: 32, Want: malice.Blame},
	}},
	{Name: "extension", Kind: KindExtension, Direct: true, Size: 4240, Fields: []malice.Field{
		{Name: "u", Type: malice.Bits, Size: 68, Count: 32, Want: malice.Burn},
		{Name: "x̂", Type: malice.Bits, At: 2176, Size: 16, Want: malice.Burn},
		{Name: "t̂", Type: malice.Bits, At: 2192, Size: 16, Count: 128, Want: malice.Burn},
	}},
	{Name: "opening", Kind: KindOpening, Size: 98, Fields: []malice.Field{
		{Name: "R", Type: malice.Point, Size: 33, Want: malice.Blame},
		{Name: "pk", Type: malice.Point, At: 33, Size: 33, Want: malice.Blame},
		{Name: "salt", Type: malice.Hash, At: 66, Size: 32, Want: malice.Blame},
	}},
	{Name: "product", Kind: KindProduct, Direct: true, Size: 40098, Fields: []malice.Field{
		{Name: "Γᵘ", Type: malice.Point, Size: 33, Want: malice.Burn},
		{Name: "Γᵛ", Type: malice.Point, At: 33, Size: 33, Want: malice.Burn},
		{Name: "ψ", Type: malice.Scalar, At: 66, Size: 32, Want: malice.Unattributed},
		{Name: "ã₁", Type: malice.Scalar, At: 98, Size: 32, Count: 416, Stride: 96, Want: malice.Burn},
		{Name: "ã₂", Type: malice.Scalar, At: 130, Size: 32, Count: 416, Stride: 96, Want: malice.Burn},
		{Name: "ã₃", Type: malice.Scalar, At: 162, Size: 32, Count: 416, Stride: 96, Want: malice.Burn},
		{Name: "η̂", Type: malice.Scalar, At: 40034, Size: 32, Want: malice.Burn},
		{Name: "μ", Type: malice.Hash, At: 40066, Size: 32, Want: malice.Burn},
	}},
	{Name: "sum", Kind: KindSum, Size: 64, Fields: []malice.Field{
		{Name: "u", Type: malice.Scalar, Size: 32, Want: malice.Unattributed},
		{Name: "w", Type: malice.Scalar, At: 32, Size: 32, Want: malice.Unattributed},
	}},
}

// whole says what a right body in the wrong place comes to.
var whole = map[engine.Kind]malice.Result{
	KindCommit: malice.Blame, KindExtension: malice.Burn, KindOpening: malice.Blame,
	KindProduct: malice.Burn, KindSum: malice.Unattributed,
}

// split says what it comes to when one receiver alone gets another broadcast. The
// commitment is compared by echo; a false opening fits no commitment; nothing follows the sums.
var split = map[engine.Kind]malice.Result{
	KindCommit: malice.Unattributed, KindOpening: malice.Blame, KindSum: malice.Unattributed,
}

// A stand is a key, a signer set and what an honest session of a protocol sends.
type stand[R any] struct {
	table        []malice.Message
	whole, split map[engine.Kind]malice.Result
	first        func(tb testing.TB, p Params) engine.Stage[R]
	check        func(p Params, r *R) error // of a result at an honest signer
	common       map[engine.Kind]bool       // kinds of which all honest parties send the same body

	all     []Params
	corrupt int // position of the corrupt signer
	victim  int // position of the one that direct attacks go to
	now     []engine.Msg
	earlier []engine.Msg
}

func newStand(tb testing.TB, t, n, corrupt, victim int) *stand[Signature] {
	tb.Helper()
	var set []int
	for i := range n {
		set = append(set, i)
	}
	s := &stand[Signature]{
		table: table, whole: whole, split: split, first: first,
		check: func(p Params, sig *Signature) error { return recovers(*sig, p.Child.(*secp256k1.Point), p.Digest) },
		all:   newDeal(tb, t, n).params(set, [32]byte{9}, nil), corrupt: corrupt, victim: victim,
	}
	s.rehearse(tb)
	return s
}

// earlierSession is the session that s.earlier is of.
var earlierSession = engine.SessionID{1}

// rehearse runs two honest sessions, for what a corrupt party can replay.
func (s *stand[R]) rehearse(tb testing.TB) {
	tb.Helper()
	s.now = s.sent(tb, s.fresh())
	old := s.fresh()
	for i := range old {
		old[i].Session, old[i].Rand = earlierSession, enginetest.Reader(uint64(50+i))
	}
	s.earlier = s.sent(tb, old)
}

// fresh are the parameters with the coins unread.
func (s *stand[R]) fresh() []Params {
	all := slices.Clone(s.all)
	for i := range all {
		all[i].Rand = enginetest.Reader(uint64(1000 + i))
	}
	return all
}

// sent runs an honest session and returns everything that was sent.
func (s *stand[R]) sent(tb testing.TB, all []Params) (msgs []engine.Msg) {
	tb.Helper()
	var sessions []*engine.Session[R]
	for _, p := range all {
		sessions = append(sessions, open(tb, p, s.first(tb, p)))
	}
	c := enginetest.Run(enginetest.Options{}, sessions...)
	if _, err := c.Results(); err != nil {
		tb.Fatal(err)
	}
	for _, p := range c.Parties {
		msgs = append(msgs, p.Sent...)
	}
	return msgs
}

// body finds what from sent, to us or to all.
func body(tb testing.TB, msgs []engine.Msg, kind engine.Kind, from, to engine.PartyID) []byte {
	tb.Helper()
	for _, m := range msgs {
		if m.Kind == kind && m.From == from && (m.To == engine.Everyone || m.To == to) {
			return m.Body
		}
	}
	tb.Fatalf("no message of kind %#x", uint8(kind))
	return nil
}

func (s *stand[R]) ids() (corrupt, victim, other engine.PartyID) {
	for i, p := range s.all {
		if i != s.corrupt && i != s.victim {
			other = p.Self.ID
		}
	}
	return s.all[s.corrupt].Self.ID, s.all[s.victim].Self.ID, other
}

// seen is what the corrupt party can replay toward the victim.
func (s *stand[R]) seen(tb testing.TB, kind engine.Kind) malice.Seen {
	corrupt, victim, other := s.ids()
	return malice.Seen{
		Other:   body(tb, s.now, kind, other, victim),
		Earlier: body(tb, s.earlier, kind, corrupt, victim),
	}
}

// run lets the corrupt signer use edit: on what it says itself, or through the network.
func (s *stand[R]) run(tb testing.TB, kind engine.Kind, edit func([]byte) []byte, hook enginetest.Hook) *enginetest.Cluster[R] {
	tb.Helper()
	_, victim, _ := s.ids()
	to := victim
	if !isDirect(kind) {
		to = engine.Everyone
	}
	var sessions []*engine.Session[R]
	for i, p := range s.fresh() {
		stage := s.first(tb, p)
		if i == s.corrupt && edit != nil {
			stage = enginetest.CorruptBody(stage, kind, to, edit)
		}
		sessions = append(sessions, open(tb, p, stage))
	}
	return enginetest.Run(enginetest.Options{Hook: hook}, sessions...)
}

func isDirect(kind engine.Kind) bool { return kind == KindExtension || kind == KindProduct }

// judge is the result over all honest signers; what they hold must be right.
func (s *stand[R]) judge(tb testing.TB, c *enginetest.Cluster[R]) malice.Result {
	tb.Helper()
	var ends []malice.End
	for i, p := range c.Parties {
		if i == s.corrupt {
			continue
		}
		if p.Result != nil {
			if err := s.check(s.all[i], p.Result); err != nil {
				tb.Errorf("party %v has a bad result: %v", p.ID, err)
			}
		}
		ends = append(ends, malice.End{Party: p.ID, Done: p.Result != nil, Err: p.Err, Burned: p.Burned})
	}
	corrupt, _, _ := s.ids()
	r, err := malice.Judge(corrupt, ends)
	if err != nil {
		tb.Error(err)
	}
	return r
}

// matrix runs the table.
func matrix[R any](t *testing.T, s *stand[R], depth malice.Depth) {
	corrupt, victim, _ := s.ids()
	cell := func(name string, want malice.Result, run func(t *testing.T) *enginetest.Cluster[R]) {
		t.Run(name, func(t *testing.T) {
			if got := s.judge(t, run(t)); got != want {
				t.Errorf("came to %s, want %s", got, want)
			}
		})
	}
	for _, m := range s.table {
		seen := s.seen(t, m.Kind)
		own := body(t, s.now, m.Kind, corrupt, victim)
		edit := func(x malice.Mutation) func([]byte) []byte {
			if bytes.Equal(x.Edit(bytes.Clone(own), seen), own) {
				t.Fatalf("%s changes nothing", x)
			}
			return func(b []byte) []byte { return x.Edit(b, seen) }
		}
		for _, x := range append(m.Mutations(secp256k1.Group{}, depth), m.Replays(s.whole[m.Kind])...) {
			if s.common[m.Kind] && x.Name == "another party's" {
				continue // it is the same one
			}
			cell(x.String(), x.Want, func(t *testing.T) *enginetest.Cluster[R] { return s.run(t, m.Kind, edit(x), nil) })
		}
		on := func(do enginetest.Mutate) func(t *testing.T) *enginetest.Cluster[R] {
			hook := enginetest.On(enginetest.Match{From: corrupt, To: victim, Kind: m.Kind}, do)
			return func(t *testing.T) *enginetest.Cluster[R] { return s.run(t, m.Kind, nil, hook) }
		}
		for _, x := range m.Lengths() {
			cell(x.String(), x.Want, on(enginetest.Edit(edit(x))))
		}
		flipped := m.Mutations(secp256k1.Group{}, malice.Each)[0]
		cell(m.Name+"/whole/lost", malice.Timeout, on(enginetest.Drop))
		cell(m.Name+"/whole/repeated", malice.Unaffected, on(enginetest.Twice))
		cell(m.Name+"/whole/second version after the first", malice.Unaffected, on(enginetest.Besides(edit(flipped))))
		if want, ok := s.split[m.Kind]; ok {
			cell(m.Name+"/whole/equivocated", want, on(enginetest.Edit(edit(flipped))))
		}
	}
}

func TestMaliciousSigner(t *testing.T) { matrix(t, newStand(t, 3, 3, 1, 0), malice.Each) }

// A message kind with bytes that no field covers, or that the table does not know, fails.
func TestTableCoversEveryByte(t *testing.T) { newStand(t, 2, 3, 0, 1).covered(t) }

func (s *stand[R]) covered(t *testing.T) {
	t.Helper()
	found := map[engine.Kind]bool{}
	for _, msg := range s.now {
		i := slices.IndexFunc(s.table, func(m malice.Message) bool { return m.Kind == msg.Kind })
		if i < 0 {
			t.Fatalf("kind %#x is not in the table", uint8(msg.Kind))
		}
		if err := s.table[i].Check(msg.Body); err != nil {
			t.Error(err)
		}
		if s.table[i].Direct != (msg.To != engine.Everyone) || s.table[i].Direct != isDirect(msg.Kind) {
			t.Errorf("%s is direct in one of table and protocol only", s.table[i].Name)
		}
		found[msg.Kind] = true
	}
	if len(found) != len(s.table) {
		t.Errorf("the table has %d kinds, a session %d", len(s.table), len(found))
	}
}

// Two versions of one message are kept as proof, whoever comes first is used.
func TestEquivocationIsKeptAsProof(t *testing.T) {
	s := newStand(t, 2, 2, 1, 0)
	corrupt, victim, _ := s.ids()
	c := s.run(t, KindCommit, nil, enginetest.On(enginetest.Match{From: corrupt, To: victim, Kind: KindCommit},
		enginetest.Besides(func(b []byte) []byte { b[0] ^= 1; return b })))
	refused := c.Party(victim).Rejected
	if len(refused) != 1 || !errors.Is(refused[0], engine.ErrEquivocation) || refused[0].Proof.Strength != engine.Proved {
		t.Fatal(fmt.Sprint(refused))
	}
}
