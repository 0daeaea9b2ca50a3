package frost

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/malice"
)

// table is spec/frost 4: every byte of every message, and what a well-formed wrong value of it comes to.
func table(suite string) []malice.Message {
	size := 32
	if suite == BIP340 {
		size = 33
	}
	return []malice.Message{
		{Name: "commit", Kind: KindCommit, Size: 2 * size, Fields: []malice.Field{
			{Name: "D", Type: malice.Point, Size: size, Want: malice.Blame},
			{Name: "E", Type: malice.Point, At: size, Size: size, Want: malice.Blame},
		}},
		{Name: "share", Kind: KindShare, Size: 32, Fields: []malice.Field{
			{Name: "z", Type: malice.Scalar, Size: 32, Want: malice.Blame},
		}},
	}
}

// split says what it comes to when one receiver alone gets another broadcast. The commitments are compared by echo; a false
// share convicts whoever sent it.
var split = map[engine.Kind]malice.Result{KindCommit: malice.Unattributed, KindShare: malice.Blame}

// A stand is a key, a signer set and what an honest session of it sends.
type stand struct {
	deal    *deal
	all     []Params
	corrupt int // position of the corrupt signer
	victim  int // position of the one that the network cheats
	now     []engine.Msg
	earlier []engine.Msg
}

func newStand(tb testing.TB, suite string, t, n, corrupt, victim int) *stand {
	tb.Helper()
	d := newDeal(tb, suite, t, n)
	s := &stand{deal: d, all: d.params(all(n), message("table"), d.group.Scalar(9), KeyPath()), corrupt: corrupt, victim: victim}
	s.now = sent(tb, s.fresh())
	old := s.fresh()
	for i := range old {
		old[i].Session, old[i].Rand = engine.SessionID{1}, enginetest.Reader(uint64(50+i))
	}
	s.earlier = sent(tb, old)
	return s
}

// fresh are the parameters with the coins unread.
func (s *stand) fresh() []Params {
	all := slices.Clone(s.all)
	for i := range all {
		all[i].Rand = enginetest.Reader(uint64(1000 + i))
	}
	return all
}

// sent runs an honest session and returns everything that was sent.
func sent(tb testing.TB, all []Params) (msgs []engine.Msg) {
	tb.Helper()
	c := enginetest.Run(enginetest.Options{}, honest(tb, all)...)
	if _, err := c.Results(); err != nil {
		tb.Fatal(err)
	}
	for _, p := range c.Parties {
		msgs = append(msgs, p.Sent...)
	}
	return msgs
}

// body finds what from sent.
func body(tb testing.TB, msgs []engine.Msg, kind engine.Kind, from engine.PartyID) []byte {
	tb.Helper()
	for _, m := range msgs {
		if m.Kind == kind && m.From == from {
			return m.Body
		}
	}
	tb.Fatalf("no message of kind %#x", uint8(kind))
	return nil
}

func (s *stand) ids() (corrupt, victim, other engine.PartyID) {
	for i, p := range s.all {
		if i != s.corrupt && i != s.victim {
			other = p.Self.ID
		}
	}
	return s.all[s.corrupt].Self.ID, s.all[s.victim].Self.ID, other
}

// seen is what the corrupt party can replay.
func (s *stand) seen(tb testing.TB, kind engine.Kind) malice.Seen {
	corrupt, _, other := s.ids()
	return malice.Seen{Other: body(tb, s.now, kind, other), Earlier: body(tb, s.earlier, kind, corrupt)}
}

// run lets the corrupt signer use edit: on what it says itself, or through the network.
func (s *stand) run(tb testing.TB, kind engine.Kind, edit func([]byte) []byte, hook enginetest.Hook) *enginetest.Cluster[Signature] {
	tb.Helper()
	var sessions []*engine.Session[Signature]
	for i, p := range s.fresh() {
		stage := first(tb, p)
		if i == s.corrupt && edit != nil {
			stage = enginetest.CorruptBody(stage, kind, engine.Everyone, edit)
		}
		sessions = append(sessions, open(tb, p, stage))
	}
	return enginetest.Run(enginetest.Options{Hook: hook}, sessions...)
}

// judge is the result over all honest signers; their signatures must verify, their proofs convince.
func (s *stand) judge(tb testing.TB, c *enginetest.Cluster[Signature]) malice.Result {
	tb.Helper()
	var ends []malice.End
	for i, p := range c.Parties {
		if i == s.corrupt {
			continue
		}
		if p.Result != nil {
			if err := valid(tb, s.all[i], *p.Result); err != nil {
				tb.Errorf("party %v released a bad signature: %v", p.ID, err)
			}
		}
		if f := p.Fault(); f != nil && f.Check == "frost: share" {
			convict(tb, s.all[(i+1)%len(s.all)], f)
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
func matrix(t *testing.T, s *stand, depth malice.Depth) {
	corrupt, victim, _ := s.ids()
	cell := func(name string, want malice.Result, run func(t *testing.T) *enginetest.Cluster[Signature]) {
		t.Run(name, func(t *testing.T) {
			if got := s.judge(t, run(t)); got != want {
				t.Errorf("came to %s, want %s", got, want)
			}
		})
	}
	for _, m := range table(s.deal.suite) {
		seen := s.seen(t, m.Kind)
		own := body(t, s.now, m.Kind, corrupt)
		edit := func(x malice.Mutation) func([]byte) []byte {
			if bytes.Equal(x.Edit(bytes.Clone(own), seen), own) {
				t.Fatalf("%s changes nothing", x)
			}
			return func(b []byte) []byte { return x.Edit(b, seen) }
		}
		for _, x := range append(m.Mutations(s.deal.group, depth), m.Replays(malice.Blame)...) {
			cell(x.String(), x.Want, func(t *testing.T) *enginetest.Cluster[Signature] { return s.run(t, m.Kind, edit(x), nil) })
		}
		on := func(do enginetest.Mutate) func(t *testing.T) *enginetest.Cluster[Signature] {
			hook := enginetest.On(enginetest.Match{From: corrupt, To: victim, Kind: m.Kind}, do)
			return func(t *testing.T) *enginetest.Cluster[Signature] { return s.run(t, m.Kind, nil, hook) }
		}
		for _, x := range m.Lengths() {
			cell(x.String(), x.Want, on(enginetest.Edit(edit(x))))
		}
		other := m.Mutations(s.deal.group, malice.Each)[0]
		cell(m.Name+"/whole/lost", malice.Timeout, on(enginetest.Drop))
		cell(m.Name+"/whole/repeated", malice.Unaffected, on(enginetest.Twice))
		cell(m.Name+"/whole/second version after the first", malice.Unaffected, on(enginetest.Besides(edit(other))))
		cell(m.Name+"/whole/equivocated", split[m.Kind], on(enginetest.Edit(edit(other))))
	}
}

func TestMaliciousSigner(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) { matrix(t, newStand(t, suite, 3, 3, 1, 0), malice.Each) })
	}
}

// A message kind with bytes that no field covers, or that the table does not know, fails.
func TestTableCoversEveryByte(t *testing.T) {
	for _, suite := range suites {
		s, found := newStand(t, suite, 2, 3, 0, 1), map[engine.Kind]bool{}
		messages := table(suite)
		for _, msg := range s.now {
			i := slices.IndexFunc(messages, func(m malice.Message) bool { return m.Kind == msg.Kind })
			if i < 0 || msg.To != engine.Everyone {
				t.Fatalf("kind %#x is not in the table", uint8(msg.Kind))
			}
			if err := messages[i].Check(msg.Body); err != nil {
				t.Error(err)
			}
			found[msg.Kind] = true
		}
		if len(found) != len(messages) {
			t.Errorf("the table has %d kinds, a session %d", len(messages), len(found))
		}
	}
}

// Two versions of one message are kept as proof, whoever comes first is used.
func TestEquivocationIsKeptAsProof(t *testing.T) {
	s := newStand(t, BIP340, 2, 2, 1, 0)
	corrupt, victim, _ := s.ids()
	c := s.run(t, KindCommit, nil, enginetest.On(enginetest.Match{From: corrupt, To: victim, Kind: KindCommit},
		enginetest.Besides(func(b []byte) []byte { b[0] ^= 1; return b })))
	refused := c.Party(victim).Rejected
	if len(refused) != 1 || !errors.Is(refused[0], engine.ErrEquivocation) || refused[0].Proof.Strength != engine.Proved {
		t.Fatal(fmt.Sprint(refused))
	}
}
