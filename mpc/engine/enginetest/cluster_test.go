package enginetest_test

import (
	"slices"
	"testing"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// hello is a protocol of one round: each party says one byte, the result lists them.
type hello struct {
	self  byte
	peers []engine.PartyID
	heard []byte
}

func (h *hello) Expect() engine.Expect                            { return engine.Expect{} }
func (h *hello) Accept(engine.Kind, engine.PartyID, []byte) error { return nil }
func (h *hello) Finish(engine.Transcript) (engine.Outcome[string], error) {
	return engine.Outcome[string]{Send: []engine.Out{{Kind: 1, Body: []byte{h.self}}}, Next: (*listen)(h)}, nil
}

type listen hello

func (l *listen) Expect() engine.Expect {
	return engine.Expect{Wants: []engine.Want{{Kind: 1, From: l.peers, MaxBody: 1}}}
}

func (l *listen) Accept(_ engine.Kind, _ engine.PartyID, body []byte) error {
	l.heard = append(l.heard, body...)
	return nil
}

func (l *listen) Finish(engine.Transcript) (engine.Outcome[string], error) {
	r := string(l.heard)
	return engine.Outcome[string]{Result: &r}, nil
}

func hellos(t *testing.T, change func(engine.Stage[string]) engine.Stage[string]) []*engine.Session[string] {
	t.Helper()
	ids := enginetest.IDs(3)
	var all []*engine.Session[string]
	for i, id := range ids {
		peers := slices.Delete(slices.Clone(ids), i, i+1)
		var first engine.Stage[string] = &hello{self: 'a' + byte(i), peers: peers}
		if change != nil && i == 0 {
			first = change(first)
		}
		s, err := engine.New(engine.Params{Session: engine.SessionID{1}, Parties: ids, MaxBody: 1, Kinds: 1}, id, first)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

func TestHooks(t *testing.T) {
	ids := enginetest.IDs(3)
	one := enginetest.Match{From: ids[0], To: ids[1], Round: 1, Kind: 1}
	upper := func(b []byte) []byte { b[0] ^= 'a' ^ 'A'; return b }
	for name, c := range map[string]struct {
		hook    enginetest.Hook
		want    string // what party 2 heard
		refused int
	}{
		"nothing": {nil, "ac", 0},
		"drop":    {enginetest.On(one, enginetest.Drop), "", 0},
		"twice":   {enginetest.On(one, enginetest.Twice), "ac", 0},
		"edit":    {enginetest.On(one, enginetest.Edit(upper)), "Ac", 0},
		"flip":    {enginetest.On(one, enginetest.Flip(5)), "Ac", 0},
		"besides": {enginetest.On(one, enginetest.Besides(upper)), "ac", 1},
		"edit twice": {enginetest.Hooks(enginetest.On(one, enginetest.Edit(upper)), enginetest.On(one, enginetest.Twice),
			enginetest.On(enginetest.Match{From: ids[2]}, enginetest.Flip(0))), "Ab", 0},
	} {
		c2 := enginetest.Run(enginetest.Options{Hook: c.hook}, hellos(t, nil)...)
		p := c2.Party(ids[1])
		got := ""
		if p.Result != nil {
			got = *p.Result
		}
		if got != c.want || len(p.Rejected) != c.refused {
			t.Errorf("%s: heard %q, refused %v", name, got, p.Rejected)
		}
		if _, err := c2.Results(); (err == nil) != (c.want != "") {
			t.Errorf("%s: results say %v", name, err)
		}
	}
	if c := enginetest.Run(enginetest.Options{}, hellos(t, nil)...); c.Party(engine.PartyID{9}) != nil {
		t.Error("found a party that is not there")
	}
}

// A corrupt party says one thing to all, and its own transcript has it.
func TestCorrupt(t *testing.T) {
	edit := func(round uint8, out []engine.Out) []engine.Out {
		if round == 1 {
			out[0].Body = []byte("x")
		}
		return out
	}
	all, err := enginetest.Run(enginetest.Options{}, hellos(t, func(s engine.Stage[string]) engine.Stage[string] {
		return enginetest.Corrupt(s, edit)
	})...).Results()
	if err != nil || !slices.Equal(all, []string{"bc", "xc", "xb"}) {
		t.Errorf("got %q, %v", all, err)
	}
}
