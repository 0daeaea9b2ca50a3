package pair

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/ristretto255"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/malice"
)

// The table of spec/pair 3. A wrong φ or M is a Diffie–Hellman message that the trees'
// check finds at the other end; that names nobody by itself (CheckFailed). The victim uses
// one of two Ms and corrections, by its choice: the other may be wrong without effect, which is
// the selective failure that the third count ends.
var table = []malice.Message{
	{Name: "choice", Kind: KindChoice, Direct: true, Size: 8224, Fields: []malice.Field{
		// a wrong φ spoils the keys of the corrupt party alone
		{Name: "φ", Type: malice.Point, Size: 32, Count: 256, Want: malice.Unaffected},
		{Name: "commitment", Type: malice.Hash, At: 8192, Size: 32, Want: malice.Blame},
	}},
	{Name: "answer", Kind: KindAnswer, Direct: true, Size: 13376, Fields: []malice.Field{
		{Name: "M", Type: malice.Point, Size: 32, Count: 256, Want: malice.Unattributed, Or: malice.Unaffected},
		{Name: "corrections", Type: malice.Bits, At: 8192, Size: 96, Count: 32, Stride: 160, Want: malice.Unattributed, Or: malice.Unaffected},
		{Name: "t̃", Type: malice.Hash, At: 8192 + 96, Size: 32, Count: 32, Stride: 160, Want: malice.Unattributed},
		{Name: "s̃", Type: malice.Hash, At: 8192 + 128, Size: 32, Count: 32, Stride: 160, Want: malice.Unattributed},
		{Name: "seed part", Type: malice.Hash, At: 13312, Size: 32, Want: malice.Blame},
		{Name: "salt", Type: malice.Hash, At: 13344, Size: 32, Want: malice.Blame},
	}},
}

// A stand is a roster and what an honest set-up of it sends; party 1 is corrupt toward party 0.
type stand struct{ now, earlier []engine.Msg }

func newStand(tb testing.TB, n int) *stand {
	tb.Helper()
	run := func(seed uint64) (msgs []engine.Msg) {
		all := parties(n)
		c := enginetest.Run(enginetest.Options{}, sessions(tb, all, stages(all, seed))...)
		if _, err := c.Results(); err != nil {
			tb.Fatal(err)
		}
		for _, p := range c.Parties {
			msgs = append(msgs, p.Sent...)
		}
		return msgs
	}
	return &stand{now: run(1), earlier: run(77)}
}

func body(tb testing.TB, msgs []engine.Msg, kind engine.Kind, from, to engine.PartyID) []byte {
	tb.Helper()
	i := slices.IndexFunc(msgs, func(m engine.Msg) bool { return m.Kind == kind && m.From == from && m.To == to })
	if i < 0 {
		tb.Fatalf("no message of kind %#x", uint8(kind))
	}
	return msgs[i].Body
}

func (s *stand) seen(tb testing.TB, kind engine.Kind) malice.Seen {
	ids := enginetest.IDs(3)
	return malice.Seen{Other: body(tb, s.now, kind, ids[2], ids[0]), Earlier: body(tb, s.earlier, kind, ids[1], ids[0])}
}

// run spoils what party 1 sends to party 0.
func run(tb testing.TB, n int, kind engine.Kind, do enginetest.Mutate) *enginetest.Cluster[states] {
	all := parties(n)
	hook := enginetest.On(enginetest.Match{From: all[1].ID, To: all[0].ID, Kind: kind}, do)
	return enginetest.Run(enginetest.Options{Hook: hook}, sessions(tb, all, stages(all, 1))...)
}

// judge is the result over the honest parties. Who got a result holds states that fit its
// honest peers'.
func judge(tb testing.TB, c *enginetest.Cluster[states]) malice.Result {
	tb.Helper()
	var ends []malice.End
	for i, p := range c.Parties {
		if i != 1 {
			ends = append(ends, malice.End{Party: p.ID, Done: p.Result != nil, Err: p.Err, Burned: p.Burned})
		}
	}
	r, err := malice.Judge(c.Parties[1].ID, ends)
	if err != nil {
		tb.Error(err)
	}
	return r
}

func matrix(t *testing.T, s *stand, n int, depth malice.Depth) {
	ids := enginetest.IDs(n)
	for _, m := range table {
		seen, own := s.seen(t, m.Kind), body(t, s.now, m.Kind, ids[1], ids[0])
		mutations := append(m.Mutations(ristretto255.Group{}, depth), m.Lengths()[:2]...)
		for _, x := range append(mutations, m.Lengths()[3]) {
			t.Run(x.String(), func(t *testing.T) {
				if bytes.Equal(x.Edit(bytes.Clone(own), seen), own) {
					t.Fatal("changes nothing")
				}
				c := run(t, n, m.Kind, enginetest.Edit(func(b []byte) []byte { return x.Edit(b, seen) }))
				if got := judge(t, c); !x.Allows(got) {
					t.Errorf("came to %s, want %s", got, x.Want)
				}
			})
		}
		whole := map[string]struct {
			do   enginetest.Mutate
			want malice.Result
		}{
			"lost":     {enginetest.Drop, malice.Timeout},
			"repeated": {enginetest.Twice, malice.Unaffected},
			"second version after the first": {enginetest.Besides(func(b []byte) []byte {
				b[0] ^= 1
				return b
			}), malice.Unaffected},
		}
		for name, w := range whole {
			t.Run(m.Name+"/whole/"+name, func(t *testing.T) {
				if got := judge(t, run(t, n, m.Kind, w.do)); got != w.want {
					t.Errorf("came to %s, want %s", got, w.want)
				}
			})
		}
	}
}

func TestMaliciousParty(t *testing.T) { matrix(t, newStand(t, 3), 3, malice.One) }

func TestTableCoversEveryByte(t *testing.T) {
	found := map[engine.Kind]bool{}
	for _, msg := range newStand(t, 2).now {
		i := slices.IndexFunc(table, func(m malice.Message) bool { return m.Kind == msg.Kind })
		if i < 0 {
			t.Fatalf("kind %#x is not in the table", uint8(msg.Kind))
		}
		if err := table[i].Check(msg.Body); err != nil {
			t.Error(err)
		}
		if msg.To == engine.Everyone {
			t.Errorf("%s is broadcast", table[i].Name)
		}
		found[msg.Kind] = true
	}
	if len(found) != len(table) {
		t.Errorf("the table has %d kinds, a session %d", len(table), len(found))
	}
}

// A failed tree check discards everything, names nobody, and tells the host whom to count,
// also beside another party's blame.
func TestFailedTreeCheckIsCounted(t *testing.T) {
	all := parties(3)
	trees := enginetest.On(enginetest.Match{From: all[1].ID, To: all[0].ID, Kind: KindAnswer}, enginetest.Flip(8*(8192+96)))
	opening := enginetest.On(enginetest.Match{From: all[2].ID, To: all[0].ID, Kind: KindAnswer}, enginetest.Flip(8*13320))
	for name, c := range map[string]struct {
		hook    enginetest.Hook
		class   engine.Class
		accused []engine.PartyID
	}{
		"alone":        {trees, engine.Unattributed, nil},
		"beside blame": {enginetest.Hooks(trees, opening), engine.Blame, []engine.PartyID{all[2].ID}},
	} {
		t.Run(name, func(t *testing.T) {
			p := enginetest.Run(enginetest.Options{Hook: c.hook}, sessions(t, all, stages(all, 1))...).Parties[0]
			f := p.Fault()
			if f == nil || f.Class != c.class || !slices.Equal(f.Accused, c.accused) {
				t.Fatalf("ended with %v", p.Err)
			}
			var failed *CheckFailed
			if !errors.As(p.Err, &failed) || !slices.Equal(failed.Peers, []engine.PartyID{all[1].ID}) {
				t.Errorf("counts %v", failed)
			}
		})
	}
}
