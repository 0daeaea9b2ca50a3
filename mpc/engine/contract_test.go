package engine_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// A plan is a stage written out by a test.
type plan struct {
	expect engine.Expect
	accept func(engine.Kind, engine.PartyID, []byte) error
	finish func() (engine.Outcome[int], error)
}

func (p plan) Expect() engine.Expect { return p.expect }
func (p plan) Accept(k engine.Kind, from engine.PartyID, b []byte) error {
	if p.accept == nil {
		return nil
	}
	return p.accept(k, from, b)
}
func (p plan) Finish(engine.Transcript) (engine.Outcome[int], error) { return p.finish() }

// leads is a first stage that sends nothing and goes on to next.
func leads(next engine.Stage[int]) plan {
	return plan{finish: func() (engine.Outcome[int], error) { return engine.Outcome[int]{Next: next}, nil }}
}

func wants(from ...engine.PartyID) engine.Expect {
	return engine.Expect{Wants: []engine.Want{{Kind: 1, From: from, MaxBody: 8}}}
}

func message(from engine.PartyID, s engine.SessionID) engine.Msg {
	return engine.Msg{Session: s, Round: 1, Kind: 1, From: from, Echo: engine.Transcript(s), Body: []byte{1}, Signed: []byte("s")}
}

// A stage that breaks the contract is our own mistake: nobody is accused, and what it
// burned stays burned.
func TestStagesAreHeldToTheContract(t *testing.T) {
	ids := enginetest.IDs(4)
	self, peer, stranger := ids[0], ids[1], ids[3]
	result, token := 1, engine.Token{Peer: peer}
	next := plan{expect: wants(peer)}
	send := func(out ...engine.Out) engine.Outcome[int] { return engine.Outcome[int]{Send: out, Next: next} }
	expect := func(e engine.Expect) engine.Outcome[int] { return engine.Outcome[int]{Next: plan{expect: e}} }
	want := func(w ...engine.Want) engine.Outcome[int] { return expect(engine.Expect{Wants: w}) }
	for name, out := range map[string]engine.Outcome[int]{
		"neither next nor result":  {},
		"next and result":          {Next: next, Result: &result},
		"sends to itself":          send(engine.Out{Kind: 1, To: self}),
		"sends to a stranger":      send(engine.Out{Kind: 1, To: stranger}),
		"sends too much":           send(engine.Out{Kind: 1, Body: make([]byte, 65)}),
		"sends one kind twice":     send(engine.Out{Kind: 1, To: peer}, engine.Out{Kind: 1, To: peer}),
		"sends and broadcasts":     send(engine.Out{Kind: 1, To: peer}, engine.Out{Kind: 1}),
		"wants of itself":          want(engine.Want{Kind: 1, From: []engine.PartyID{self}}),
		"wants of a stranger":      want(engine.Want{Kind: 1, From: []engine.PartyID{stranger}}),
		"wants of one twice":       want(engine.Want{Kind: 1, From: []engine.PartyID{peer, peer}}),
		"wants a kind twice":       want(engine.Want{Kind: 1}, engine.Want{Kind: 1}),
		"wants too much":           want(engine.Want{Kind: 1, MaxBody: 65}),
		"wants less than nothing":  want(engine.Want{Kind: 1, MaxBody: -1}),
		"wants too many":           want(wants(peer).Wants[0], engine.Want{Kind: 2, From: ids[1:2]}, engine.Want{Kind: 3, From: ids[1:2]}),
		"guards a pair of its own": expect(engine.Expect{Guard: []engine.Token{{Peer: self}}}),
		"guards a stranger":        expect(engine.Expect{Guard: []engine.Token{{Peer: stranger}}}),
	} {
		out.Burn = []engine.Token{token}
		s := session[int](t, ids[:3], 0, plan{finish: func() (engine.Outcome[int], error) { return out, nil }})
		eff, err := s.Start()
		var own *engine.Misuse
		var f *engine.Fault
		if !errors.As(err, &own) || errors.As(err, &f) || !s.Finished() {
			t.Errorf("%s: got %v", name, err)
		}
		if !slices.Equal(eff.Burn, []engine.Token{token}) || eff.Result != nil {
			t.Errorf("%s: got effects %+v", name, eff)
		}
	}
}

func TestFirstStageWantsNothing(t *testing.T) {
	ids := enginetest.IDs(2)
	for _, e := range []engine.Expect{wants(ids[1]), {Guard: []engine.Token{{Peer: ids[1]}}}} {
		s := session[int](t, ids, 0, plan{expect: e})
		var own *engine.Misuse
		if _, err := s.Start(); !errors.As(err, &own) || !s.Finished() {
			t.Errorf("got %v", err)
		}
	}
}

// A stage that wants nothing is passed at once, and rounds have an end.
func TestRoundsWithoutMessages(t *testing.T) {
	ids := enginetest.IDs(2)
	var endless plan
	endless.finish = func() (engine.Outcome[int], error) { return engine.Outcome[int]{Next: endless}, nil }
	var own *engine.Misuse
	if _, err := session[int](t, ids, 0, endless).Start(); !errors.As(err, &own) {
		t.Errorf("endless rounds: got %v", err)
	}
	one := 1
	last := plan{finish: func() (engine.Outcome[int], error) { return engine.Outcome[int]{Result: &one}, nil }}
	if eff, err := session[int](t, ids, 0, leads(leads(last))).Start(); err != nil || eff.Result != &one {
		t.Errorf("got %v, %v", eff, err)
	}
}

// judged steps through one round in which Accept and Finish say what the test wants.
func judged(t *testing.T, guard []engine.Token, accept map[engine.PartyID]error, out engine.Outcome[int], finish error) (engine.Effects[int], error) {
	t.Helper()
	ids := enginetest.IDs(4)
	st := plan{
		expect: wants(ids[3], ids[1], ids[2]),
		accept: func(_ engine.Kind, from engine.PartyID, _ []byte) error { return accept[from] },
		finish: func() (engine.Outcome[int], error) { return out, finish },
	}
	st.expect.Guard = guard
	s := session[int](t, ids, 0, leads(st))
	eff, err := s.Start()
	for _, id := range ids[1:] {
		if err == nil {
			eff, err = s.Step(message(id, params(ids).Session))
		}
	}
	if err == nil && len(guard) > 0 {
		eff, err = s.Judge()
	}
	if !s.Finished() {
		t.Error("the session is not finished")
	}
	return eff, err
}

func TestFaultsOfARoundAreMerged(t *testing.T) {
	ids := enginetest.IDs(4)
	decode := errors.New("scalar is ≥ q")
	proved := engine.Blamed("b", ids[2], nil)
	proved.Strength = engine.Proved
	guard := []engine.Token{{Key: [32]byte{2}, Peer: ids[3]}, {Key: [32]byte{1}, Peer: ids[3]}, {Key: [32]byte{1}, Peer: ids[1]}, {Key: [32]byte{1}, Peer: ids[1]}}
	for name, c := range map[string]struct {
		accept map[engine.PartyID]error
		want   engine.Fault
		burn   []engine.Token
	}{
		"malformed is blame": {
			map[engine.PartyID]error{ids[2]: decode},
			engine.Fault{Accused: ids[2:3], Check: "engine: message is malformed", Class: engine.Blame}, nil,
		},
		"two are blamed in order of parties": {
			map[engine.PartyID]error{ids[3]: engine.Blamed("a", ids[3], nil), ids[1]: engine.Blamed("c", ids[1], nil)},
			engine.Fault{Accused: []engine.PartyID{ids[1], ids[3]}, Check: "c, a", Class: engine.Blame}, nil,
		},
		"a burn outweighs blame": {
			map[engine.PartyID]error{ids[2]: decode, ids[3]: engine.Burned("pair", ids[3], nil)},
			engine.Fault{Accused: ids[3:], Check: "pair", Class: engine.BurnPair},
			[]engine.Token{{Key: [32]byte{1}, Peer: ids[3]}, {Key: [32]byte{2}, Peer: ids[3]}},
		},
		"blame outweighs doubt": {
			map[engine.PartyID]error{ids[1]: engine.Nobody("n", nil), ids[2]: proved},
			engine.Fault{Accused: ids[2:3], Check: "b", Class: engine.Blame, Strength: engine.Proved}, nil,
		},
		"what one can prove and one cannot is local": {
			map[engine.PartyID]error{ids[1]: engine.Blamed("b", ids[1], nil), ids[2]: proved},
			engine.Fault{Accused: ids[1:3], Check: "b", Class: engine.Blame}, nil,
		},
		"doubt": {
			map[engine.PartyID]error{ids[1]: engine.Nobody("n", nil)},
			engine.Fault{Check: "n", Class: engine.Unattributed}, nil,
		},
	} {
		eff, err := judged(t, guard, c.accept, engine.Outcome[int]{}, errors.New("Finish was called"))
		var f *engine.Fault
		if !errors.As(err, &f) {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		if !slices.Equal(f.Accused, c.want.Accused) || f.Check != c.want.Check || f.Class != c.want.Class || f.Strength != c.want.Strength || f.Round != 1 {
			t.Errorf("%s: got %+v", name, f)
		}
		if len(f.Evidence) != len(f.Accused) || !slices.Equal(eff.Burn, c.burn) {
			t.Errorf("%s: evidence of %d messages, burns %v", name, len(f.Evidence), eff.Burn)
		}
		if c.accept[ids[2]] == decode && f.Class == engine.Blame && !errors.Is(err, decode) {
			t.Errorf("%s: the cause is lost", name)
		}
	}
}

func TestFaultOfFinish(t *testing.T) {
	ids := enginetest.IDs(4)
	token := engine.Token{Key: [32]byte{9}, Peer: ids[1]}
	saved := engine.Record{Name: "kept"}
	out := engine.Outcome[int]{Burn: []engine.Token{token}, Save: []engine.Record{saved}, Send: []engine.Out{{Kind: 2}}, Next: plan{}}
	eff, err := judged(t, nil, nil, out, engine.Burned("pair", ids[1], nil))
	var f *engine.Fault
	if !errors.As(err, &f) || f.Class != engine.BurnPair {
		t.Fatalf("got %v", err)
	}
	if want := (engine.Effects[int]{Burn: out.Burn, Save: out.Save}); !reflect.DeepEqual(eff, want) {
		t.Errorf("got effects %+v, want %+v", eff, want)
	}
}

// Accused ⊆ corrupt: a fault that cannot be true is a mistake of the stage.
func TestImpossibleFaultsAreMisuse(t *testing.T) {
	ids := enginetest.IDs(5)
	for name, f := range map[string]*engine.Fault{
		"accuses ourselves":         engine.Blamed("x", ids[0], nil),
		"accuses a stranger":        engine.Blamed("x", ids[4], nil),
		"blames nobody":             {Check: "x", Class: engine.Blame},
		"doubts somebody":           {Check: "x", Class: engine.Unattributed, Accused: ids[1:2]},
		"has no class":              {Check: "x"},
		"has a class of the future": {Check: "x", Class: 9, Accused: ids[1:2]},
	} {
		_, err := judged(t, nil, nil, engine.Outcome[int]{}, f)
		var own *engine.Misuse
		var got *engine.Fault
		if !errors.As(err, &own) || errors.As(err, &got) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	_, err := judged(t, nil, map[engine.PartyID]error{ids[1]: &engine.Misuse{Doing: "accept", Err: errors.New("out of order")}}, engine.Outcome[int]{}, nil)
	var got *engine.Fault
	if err == nil || errors.As(err, &got) {
		t.Errorf("misuse of a stage: got %v", err)
	}
}

// TOB-SILA-8: no message is judged before all transcripts agree.
func TestNothingIsAcceptedOverADisputedTranscript(t *testing.T) {
	ids := enginetest.IDs(3)
	st := plan{
		expect: wants(ids[1], ids[2]),
		accept: func(engine.Kind, engine.PartyID, []byte) error { t.Error("accepted"); return nil },
	}
	s := session[int](t, ids, 0, leads(st))
	if _, err := s.Start(); err != nil {
		t.Fatal(err)
	}
	bad := message(ids[2], params(ids).Session)
	bad.Echo[31] ^= 1
	if _, err := s.Step(bad); err != nil {
		t.Fatalf("judged too early: %v", err)
	}
	_, err := s.Step(message(ids[1], params(ids).Session))
	var f *engine.Fault
	if !errors.As(err, &f) || f.Class != engine.Unattributed || len(f.Accused) != 0 || len(f.Evidence) != 2 {
		t.Errorf("got %v", err)
	}
}

func TestMergeOfNothing(t *testing.T) {
	if f := engine.Merge(); f != nil {
		t.Errorf("got %v", f)
	}
}
