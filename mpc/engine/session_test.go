package engine_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

var update = flag.Bool("update", false, "write the outputs of testdata/*.txt anew")

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := enginetest.Script(string(want), toys(t, 3, nil)...)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

// The same parameters, seed and messages give the same bytes, in any order of arrival.
func TestOrderOfArrivalChangesNothing(t *testing.T) {
	for n := 2; n <= 5; n++ {
		first := enginetest.Run(enginetest.Options{}, toys(t, n, nil)...)
		want, err := first.Results()
		if err != nil {
			t.Fatal(err)
		}
		for seed := uint64(1); seed <= 60; seed++ {
			c := enginetest.Run(enginetest.Options{Seed: seed}, toys(t, n, nil)...)
			got, err := c.Results()
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("seed %d: got %v (%v), want %v", seed, got, err, want)
			}
			for i, p := range c.Parties {
				if !reflect.DeepEqual(p.Sent, first.Parties[i].Sent) || !reflect.DeepEqual(p.Saved, first.Parties[i].Saved) {
					t.Fatalf("seed %d: party %d sent or saved other bytes", seed, i+1)
				}
				if len(p.Rejected) > 0 || p.Judged != 1 {
					t.Fatalf("seed %d: party %d refused %v, judged %d times", seed, i+1, p.Rejected, p.Judged)
				}
			}
		}
	}
}

// Faults and their order do not depend on the order of arrival either.
func TestOrderOfArrivalChangesNoVerdict(t *testing.T) {
	bad := func(i int, s engine.Stage[string]) engine.Stage[string] {
		if i == 0 {
			return s
		}
		return enginetest.CorruptBody(s, kindOpen, engine.Everyone, func(b []byte) []byte { b[0] ^= 1; return b })
	}
	var want *engine.Fault
	for seed := range uint64(40) {
		f := enginetest.Run(enginetest.Options{Seed: seed}, toys(t, 4, bad)...).Parties[0].Fault()
		if f == nil || f.Class != engine.Blame || !slices.Equal(f.Accused, enginetest.IDs(4)[1:]) {
			t.Fatalf("seed %d: got %v", seed, f)
		}
		if want == nil {
			want = f
		}
		if !reflect.DeepEqual(f, want) {
			t.Fatalf("seed %d: got %v, want %v", seed, f, want)
		}
	}
}

// T_r is the hash that crypto/transcript gives for the same items (spec/engine 3).
func TestTranscriptIsThatOfCryptoTranscript(t *testing.T) {
	c := enginetest.Run(enginetest.Options{}, toys(t, 3, nil)...)
	want := [32]byte(engine.SessionID{'s', 'i', 'd'})
	for round := uint8(1); round <= 2; round++ {
		before, broadcasts := engine.Transcript(want), []engine.Msg(nil)
		h := transcript.New(transcript.EngineEcho).Bytes(want[:]).Uint(uint64(round))
		for _, p := range c.Parties {
			for _, m := range p.Sent {
				if m.Round == round && m.To == engine.Everyone {
					h.Bytes(m.From[:]).Uint(uint64(m.Kind)).Bytes(m.Body)
					broadcasts = append(broadcasts, m)
				}
			}
		}
		want = h.Sum256()
		if got := before.Next(round, broadcasts); got != engine.Transcript(want) {
			t.Errorf("round %d: Next is %x, want %x", round, got, want)
		}
		for _, p := range c.Parties {
			for _, m := range p.Sent {
				if m.Round == round+1 && m.Echo != engine.Transcript(want) {
					t.Errorf("round %d echoes %x, want %x", m.Round, m.Echo, want)
				}
			}
		}
	}
}

func TestNewRefusesImpossibleParams(t *testing.T) {
	ids := enginetest.IDs(17)
	for name, change := range map[string]func(p *engine.Params, self *engine.PartyID){
		"session id is zero":  func(p *engine.Params, _ *engine.PartyID) { p.Session = engine.SessionID{} },
		"no parties":          func(p *engine.Params, _ *engine.PartyID) { p.Parties = nil },
		"alone":               func(p *engine.Params, _ *engine.PartyID) { p.Parties = ids[:1] },
		"seventeen":           func(p *engine.Params, _ *engine.PartyID) { p.Parties = ids },
		"not among them":      func(_ *engine.Params, self *engine.PartyID) { *self = ids[5] },
		"zero self":           func(_ *engine.Params, self *engine.PartyID) { *self = engine.Everyone },
		"zero party":          func(p *engine.Params, _ *engine.PartyID) { p.Parties[1] = engine.Everyone },
		"party twice":         func(p *engine.Params, _ *engine.PartyID) { p.Parties[1] = ids[2] },
		"self twice":          func(p *engine.Params, _ *engine.PartyID) { p.Parties[1] = ids[0] },
		"no body":             func(p *engine.Params, _ *engine.PartyID) { p.MaxBody = 0 },
		"body of 1 GB":        func(p *engine.Params, _ *engine.PartyID) { p.MaxBody = 1 << 30 },
		"no message":          func(p *engine.Params, _ *engine.PartyID) { p.Kinds = 0 },
		"seventeen a round":   func(p *engine.Params, _ *engine.PartyID) { p.Kinds = 17 },
		"negative body bound": func(p *engine.Params, _ *engine.PartyID) { p.MaxBody = -1 },
	} {
		p, self := params(slices.Clone(ids[:3])), ids[0]
		change(&p, &self)
		var own *engine.Misuse
		if _, err := engine.New(p, self, newToy(ids[:3], 0, nil)); !errors.As(err, &own) {
			t.Errorf("%s: got %v, want a misuse", name, err)
		}
	}
	if _, err := engine.New[string](params(ids[:2]), ids[0], nil); err == nil {
		t.Error("a missing first stage was taken")
	}
}

// fresh returns party 1 of three, started, and what 2 and 3 send it in each round.
func fresh(t *testing.T) (s *engine.Session[string], from2, from3 []engine.Msg) {
	t.Helper()
	heard := map[engine.PartyID][]engine.Msg{}
	ids := enginetest.IDs(3)
	enginetest.Run(enginetest.Options{Hook: func(to engine.PartyID, m engine.Msg) []engine.Msg {
		if to == ids[0] {
			m.Signed = enginetest.Envelope(m)
			heard[m.From] = append(heard[m.From], m)
		}
		return []engine.Msg{m}
	}}, toys(t, 3, nil)...)
	s = toys(t, 3, nil)[0]
	if _, err := s.Start(); err != nil {
		t.Fatal(err)
	}
	return s, heard[ids[1]], heard[ids[2]]
}

// feed steps through messages, judges where due, and wants no error.
func feed(t *testing.T, s *engine.Session[string], all ...engine.Msg) (last engine.Effects[string]) {
	t.Helper()
	for _, m := range all {
		eff, err := s.Step(m)
		if err == nil && len(s.Guard()) > 0 {
			eff, err = s.Judge()
		}
		if err != nil {
			t.Fatalf("round %d kind %d of %v: %v", m.Round, m.Kind, m.From, err)
		}
		last = eff
	}
	return last
}

// What is not due is refused, costs nothing, and the session ends as if it never came.
func TestRefusals(t *testing.T) {
	ids := enginetest.IDs(4)
	for name, c := range map[string]struct {
		change func(m *engine.Msg) // of the commitment of party 2
		want   error
	}{
		"other session":      {func(m *engine.Msg) { m.Session[0]++ }, engine.ErrForeign},
		"unknown sender":     {func(m *engine.Msg) { m.From = ids[3] }, engine.ErrSender},
		"ourselves":          {func(m *engine.Msg) { m.From = ids[0] }, engine.ErrSender},
		"nobody":             {func(m *engine.Msg) { m.From = engine.Everyone }, engine.ErrSender},
		"other recipient":    {func(m *engine.Msg) { m.To = ids[2] }, engine.ErrRecipient},
		"round 0":            {func(m *engine.Msg) { m.Round = 0 }, engine.ErrLate},
		"two rounds early":   {func(m *engine.Msg) { m.Round = 3 }, engine.ErrEarly},
		"round 255":          {func(m *engine.Msg) { m.Round = 255 }, engine.ErrEarly},
		"unknown kind":       {func(m *engine.Msg) { m.Kind = 99 }, engine.ErrKind},
		"direct, not to all": {func(m *engine.Msg) { m.To = ids[0] }, engine.ErrKind},
		"too large for it":   {func(m *engine.Msg) { m.Body = make([]byte, 33) }, engine.ErrOversized},
		"too large for any":  {func(m *engine.Msg) { m.Kind, m.Body = 99, make([]byte, 65) }, engine.ErrOversized},
		"large envelope":     {func(m *engine.Msg) { m.Signed = make([]byte, 5000) }, engine.ErrOversized},
	} {
		s, from2, from3 := fresh(t)
		m := from2[0]
		c.change(&m)
		eff, err := s.Step(m)
		var no *engine.Rejected
		if !errors.Is(err, c.want) || !errors.As(err, &no) || no.Proof != nil {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if !reflect.DeepEqual(eff, engine.Effects[string]{}) || len(s.Heard()) > 0 || len(s.Waiting()) != 2 {
			t.Errorf("%s: the refusal left a trace", name)
		}

		for i := range from2 {
			eff = feed(t, s, from2[i], from3[i])
		}
		if eff.Result == nil || !s.Finished() {
			t.Errorf("%s: the session did not end well", name)
		}
	}
}

func TestRepeatsAreIgnored(t *testing.T) {
	s, from2, from3 := fresh(t)
	feed(t, s, from2[0], from2[0], from3[0], from3[0]) // the last one is late already
	if eff := feed(t, s, from2[1], from2[1], from2[2], from3[1], from3[2]); len(eff.Send) != 1 {
		t.Errorf("got %v", eff)
	}
	if _, err := s.Step(from2[2]); !errors.Is(err, engine.ErrLate) {
		t.Errorf("late direct message: got %v", err)
	}
}

// The first message wins; the second is kept as proof, and the session goes on: the
// evidence must not let a corrupt party choose who ends the session.
func TestEquivocationIsProvedAndEndsNothing(t *testing.T) {
	s, from2, from3 := fresh(t)
	differ := func(m engine.Msg) {
		t.Helper()
		other := m
		other.Body = append(slices.Clone(m.Body[1:]), 0)
		other.Signed = enginetest.Envelope(other)
		_, err := s.Step(other)
		var no *engine.Rejected
		if !errors.Is(err, engine.ErrEquivocation) || !errors.As(err, &no) {
			t.Fatalf("got %v", err)
		}
		f := no.Proof
		if f.Class != engine.Blame || f.Strength != engine.Proved || !slices.Equal(f.Accused, []engine.PartyID{m.From}) ||
			f.Round != m.Round || !reflect.DeepEqual(f.Evidence, []engine.Msg{m, other}) {
			t.Errorf("got proof %+v", f)
		}
		if ended := (*engine.Fault)(nil); errors.As(err, &ended) {
			t.Error("the proof looks as if it had ended the session")
		}
	}
	feed(t, s, from2[0], from2[1])
	differ(from2[0]) // this round
	differ(from2[1]) // one round early
	feed(t, s, from3[0])
	differ(from3[0]) // a broadcast of a round that is over
	feed(t, s, from2[2], from3[1])
	differ(from2[2]) // direct
	feed(t, s, from3[2], from2[3])
	if eff := feed(t, s, from3[3]); eff.Result == nil {
		t.Error("the session has no result")
	}
}

func TestEquivocationOfTwoWitnesses(t *testing.T) {
	_, from2, _ := fresh(t)
	m, ids := from2[0], enginetest.IDs(3)
	other := func(change func(m *engine.Msg)) engine.Msg {
		o := m
		o.Body = slices.Clone(m.Body)
		change(&o)
		return o
	}
	for name, o := range map[string]engine.Msg{
		"same":                       m,
		"other session":              other(func(m *engine.Msg) { m.Session[1]++; m.Body[0]++ }),
		"other round":                other(func(m *engine.Msg) { m.Round++; m.Body[0]++ }),
		"other kind":                 other(func(m *engine.Msg) { m.Kind++; m.Body[0]++ }),
		"other sender":               other(func(m *engine.Msg) { m.From = ids[2]; m.Body[0]++ }),
		"other envelope of the same": other(func(m *engine.Msg) { m.Signed = []byte("x") }),
	} {
		if f, ok := engine.Equivocation(m, o); ok {
			t.Errorf("%s: got %v", name, f)
		}
	}
	for name, o := range map[string]engine.Msg{
		"body":                other(func(m *engine.Msg) { m.Body[0]++ }),
		"echo":                other(func(m *engine.Msg) { m.Echo[0]++ }),
		"direct besides":      other(func(m *engine.Msg) { m.To = ids[0] }),
		"body, not evidenced": other(func(m *engine.Msg) { m.Body[0]++; m.Signed = nil }),
	} {
		f, ok := engine.Equivocation(m, o)
		if !ok || (f.Strength == engine.Proved) != (len(o.Signed) > 0) {
			t.Errorf("%s: got %v, %v", name, f, ok)
		}
	}
	toA, toB := other(func(m *engine.Msg) { m.To = ids[0] }), other(func(m *engine.Msg) { m.To = ids[2]; m.Body[0]++ })
	if _, ok := engine.Equivocation(toA, toB); ok {
		t.Error("direct messages to two parties may differ")
	}
}

// Memory: of one party at most Params.Kinds messages are held for the next round, and
// what is not due there goes when the round comes.
func TestEarlyMessagesAreBounded(t *testing.T) {
	s, from2, from3 := fresh(t)
	for k := engine.Kind(50); k < 60; k++ {
		m := from2[1]
		m.Kind = k
		_, err := s.Step(m)
		if held := k < 52; held != (err == nil) || !held && !errors.Is(err, engine.ErrEarly) {
			t.Errorf("kind %d: got %v", k, err)
		}
	}
	if _, err := s.Step(from2[1]); !errors.Is(err, engine.ErrEarly) {
		t.Errorf("got %v", err)
	}
	feed(t, s, from3[1], from3[0], from2[0])
	if got := s.Heard(); len(got) != 3 { // two commitments, and the early opening of 3
		t.Errorf("holds %d messages: junk of party 2 stayed", len(got))
	}
	feed(t, s, from2[1], from2[2], from3[2], from2[3])
	if eff := feed(t, s, from3[3]); eff.Result == nil {
		t.Error("the session has no result")
	}
}

func TestWaitingNamesTheSilent(t *testing.T) {
	s, from2, from3 := fresh(t)
	ids := enginetest.IDs(3)
	if unborn := toys(t, 3, nil)[0]; unborn.Waiting() != nil || unborn.Guard() != nil || unborn.Round() != 0 {
		t.Error("a session waits before it was started")
	}
	want := func(who ...engine.PartyID) {
		t.Helper()
		if got := s.Waiting(); !slices.Equal(got, who) {
			t.Errorf("waits for %v, want %v", got, who)
		}
	}
	want(ids[1], ids[2])
	feed(t, s, from3[0])
	want(ids[1])
	feed(t, s, from2[0], from3[1])
	want(ids[1], ids[2]) // 3 owes its direct message still
	feed(t, s, from3[2])
	want(ids[1])
	feed(t, s, from2[1], from2[2], from2[3], from3[3])
	want()
}

// A judgement waits for the host's locks, even where everything is there already.
func TestGuardedStageWaitsForJudge(t *testing.T) {
	s, from2, from3 := fresh(t)
	if _, err := s.Judge(); !errors.Is(err, engine.ErrNothingDue) {
		t.Errorf("got %v", err)
	}
	feed(t, s, from2[0], from2[1], from2[2])
	feed(t, s, from3[1], from3[2])
	eff, err := s.Step(from3[0])
	if err != nil || len(eff.Send) != 3 || s.Round() != 2 {
		t.Fatalf("got %v, %v in round %d", eff, err, s.Round())
	}
	ids := enginetest.IDs(3)
	key := [32]byte{'k'}
	if want := []engine.Token{{Key: key, Peer: ids[1]}, {Key: key, Peer: ids[2]}}; !slices.Equal(s.Guard(), want) {
		t.Errorf("guards %v, want %v", s.Guard(), want)
	}
	if _, err := s.Step(from2[3]); err != nil || s.Round() != 2 { // a message does not judge
		t.Errorf("got %v in round %d", err, s.Round())
	}
	eff, err = s.Judge()
	if err != nil || len(eff.Save) != 1 || len(eff.Send) != 1 || s.Guard() != nil {
		t.Errorf("got %v, %v", eff, err)
	}
}

// TOB-SILA-8: two honest parties that were told different things must not accuse each
// other; the signed bodies, exchanged afterwards, name who told them.
func TestEquivocatedBroadcastAccusesNobody(t *testing.T) {
	ids := enginetest.IDs(3)
	for seed := range uint64(20) {
		c := enginetest.Run(enginetest.Options{
			Seed: seed,
			Hook: enginetest.On(enginetest.Match{From: ids[2], To: ids[0], Kind: kindCommit}, enginetest.Flip(3)),
		}, toys(t, 3, nil)...)
		var evidence [2][]engine.Msg
		for i, p := range c.Parties[:2] {
			f := p.Fault()
			if f == nil || f.Class != engine.Unattributed || len(f.Accused) > 0 || len(p.Burned) > 0 || p.Result != nil {
				t.Fatalf("seed %d, party %d: got %v", seed, i+1, f)
			}
			evidence[i] = f.Evidence
		}
		var named []engine.PartyID
		for _, a := range evidence[0] {
			for _, b := range evidence[1] {
				if f, ok := engine.Equivocation(a, b); ok && f.Strength == engine.Proved {
					named = append(named, f.Accused...)
				}
			}
		}
		if !slices.Equal(named, ids[2:]) {
			t.Errorf("seed %d: the evidence names %v", seed, named)
		}
	}
}

// A failed pair check burns the pair, durably before all else, in a step that fails.
func TestBurnStandsBesideTheError(t *testing.T) {
	ids := enginetest.IDs(3)
	c := enginetest.Run(enginetest.Options{
		Hook: enginetest.On(enginetest.Match{From: ids[1], To: ids[0], Kind: kindPad}, enginetest.Flip(0)),
	}, toys(t, 3, nil)...)
	p := c.Parties[0]
	f := p.Fault()
	if f == nil || f.Class != engine.BurnPair || !slices.Equal(f.Accused, ids[1:2]) || f.Strength != engine.Local {
		t.Fatalf("got %v", f)
	}
	if want := []engine.Token{{Key: [32]byte{'k'}, Peer: ids[1]}}; !slices.Equal(p.Burned, want) {
		t.Errorf("burned %v, want %v", p.Burned, want)
	}
	if len(f.Evidence) != 3 || f.Round != 2 || f.Session != params(ids).Session {
		t.Errorf("got fault %+v", f)
	}
	if _, err := p.Session.Step(engine.Msg{}); !errors.Is(err, engine.ErrFinished) {
		t.Errorf("after the end: got %v", err)
	}
	if _, err := p.Session.Judge(); !errors.Is(err, engine.ErrFinished) {
		t.Errorf("after the end: got %v", err)
	}
}

func TestStartAndStepOutOfOrder(t *testing.T) {
	s := toys(t, 2, nil)[0]
	var own *engine.Misuse
	if _, err := s.Step(engine.Msg{}); !errors.Is(err, engine.ErrNotStarted) || !errors.As(err, &own) {
		t.Errorf("Step first: got %v", err)
	}
	if _, err := s.Judge(); !errors.Is(err, engine.ErrNotStarted) {
		t.Errorf("Judge first: got %v", err)
	}
	if _, err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Start(); !errors.Is(err, engine.ErrStarted) || s.Finished() {
		t.Errorf("Start twice: got %v", err)
	}
}

func TestEnvironmentAccusesNobody(t *testing.T) {
	ids := enginetest.IDs(2)
	s := session(t, ids, 0, newToy(ids, 0, strings.NewReader("short")))
	_, err := s.Start()
	var f *engine.Fault
	var own *engine.Misuse
	if err == nil || errors.As(err, &f) || errors.As(err, &own) || !s.Finished() {
		t.Errorf("got %v", err)
	}
}
