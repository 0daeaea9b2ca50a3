package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// A vault is a stage with a secret: it counts how often it was told to wipe it.
type vault struct {
	plan
	wiped *int
}

func (v vault) Wipe() { *v.wiped++ }

// Whatever ends a session but its result, the stage that stood last is wiped, and with it
// one that never came to stand.
func TestEveryEndWithoutResultWipes(t *testing.T) {
	ids := enginetest.IDs(2)
	one := 1
	sid := params(ids).Session
	disputed := message(ids[1], sid)
	disputed.Echo[0] ^= 1
	guard := []engine.Token{{Peer: ids[1]}}
	result := func() (engine.Outcome[int], error) { return engine.Outcome[int]{Result: &one}, nil }
	for name, c := range map[string]struct {
		stage  plan
		msg    engine.Msg
		judge  bool
		give   bool // the host gives up
		result bool
	}{
		"result":              {stage: plan{expect: wants(ids[1]), finish: result}, msg: message(ids[1], sid), result: true},
		"fault":               {stage: plan{expect: wants(ids[1]), finish: func() (o engine.Outcome[int], err error) { return o, engine.Blamed("x", ids[1], nil) }}, msg: message(ids[1], sid)},
		"environment":         {stage: plan{expect: wants(ids[1]), finish: func() (o engine.Outcome[int], err error) { return o, errors.New("dry") }}, msg: message(ids[1], sid)},
		"no outcome":          {stage: plan{expect: wants(ids[1]), finish: func() (o engine.Outcome[int], err error) { return o, nil }}, msg: message(ids[1], sid)},
		"impossible fault":    {stage: plan{expect: wants(ids[1]), finish: func() (o engine.Outcome[int], err error) { return o, engine.Blamed("x", ids[0], nil) }}, msg: message(ids[1], sid)},
		"malformed":           {stage: plan{expect: wants(ids[1]), accept: func(engine.Kind, engine.PartyID, []byte) error { return errors.New("short") }, finish: result}, msg: message(ids[1], sid)},
		"misuse in accept":    {stage: plan{expect: wants(ids[1]), accept: func(engine.Kind, engine.PartyID, []byte) error { return &engine.Misuse{Err: errors.New("?")} }, finish: result}, msg: message(ids[1], sid)},
		"dispute":             {stage: plan{expect: wants(ids[1]), finish: result}, msg: disputed},
		"dispute, judged":     {stage: plan{expect: engine.Expect{Wants: wants(ids[1]).Wants, Guard: guard}, finish: result}, msg: disputed, judge: true},
		"contract":            {stage: plan{expect: wants(ids[0])}},
		"abandoned, waiting":  {stage: plan{expect: wants(ids[1])}, give: true},
		"abandoned, unjudged": {stage: plan{expect: engine.Expect{Wants: wants(ids[1]).Wants, Guard: guard}}, msg: message(ids[1], sid), give: true},
	} {
		var wiped int
		s := session[int](t, ids, 0, leads(vault{c.stage, &wiped}))
		eff, err := s.Start()
		if err == nil && c.msg.Kind != 0 {
			if wiped != 0 {
				t.Errorf("%s: wiped while it runs", name)
			}
			eff, err = s.Step(c.msg)
		}
		if err == nil && c.judge {
			eff, err = s.Judge()
		}
		if c.give {
			if err != nil || s.Finished() {
				t.Fatalf("%s: %v", name, err)
			}
			s.Abandon()
			_, err = s.Step(message(ids[1], sid))
			if !errors.Is(err, engine.ErrFinished) {
				t.Errorf("%s: then Step gives %v", name, err)
			}
		}
		if !s.Finished() || (err == nil) != c.result || (eff.Result != nil) != c.result {
			t.Errorf("%s: got %v, finished %v", name, err, s.Finished())
		}
		if want := map[bool]int{true: 0, false: 1}[c.result]; wiped != want {
			t.Errorf("%s: wiped %d times, want %d", name, wiped, want)
		}
		s.Abandon()
		if len(s.Waiting()) > 0 || len(s.Guard()) > 0 || wiped > 1 {
			t.Errorf("%s: abandoned after its end it waits for %v, was wiped %d times", name, s.Waiting(), wiped)
		}
	}
}

// What a stage leaves beside an error, or against the contract, is wiped like itself.
func TestStagesThatNeverStandAreWiped(t *testing.T) {
	ids := enginetest.IDs(2)
	one := 1
	for name, c := range map[string]struct {
		send   []engine.Out
		result *int
		err    error
	}{
		"beside an error":  {err: errors.New("dry")},
		"beside a result":  {result: &one},
		"beside bad sends": {send: []engine.Out{{Kind: 1, To: ids[0]}}},
	} {
		var first, next int
		out := engine.Outcome[int]{Send: c.send, Result: c.result, Next: vault{plan{expect: wants(ids[1])}, &next}}
		s := session[int](t, ids, 0, vault{plan{finish: func() (engine.Outcome[int], error) { return out, c.err }}, &first})
		if eff, err := s.Start(); err == nil || eff.Result != nil || first != 1 || next != 1 {
			t.Errorf("%s: got %v, wiped %d and %d times", name, err, first, next)
		}
	}
}

func TestAbandonBeforeStart(t *testing.T) {
	var wiped int
	s := session[int](t, enginetest.IDs(2), 0, vault{plan{}, &wiped})
	s.Abandon()
	if _, err := s.Start(); !errors.Is(err, engine.ErrFinished) || wiped != 1 || !s.Finished() {
		t.Errorf("got %v, wiped %d times", err, wiped)
	}
}

// The rows that a stage keeps are secret, and so are direct messages before they are encrypted:
// what prints effects, outcomes or a session must not print them.
func TestNothingPrintsBodiesOrRows(t *testing.T) {
	ids := enginetest.IDs(2)
	body := []byte("51-secret")
	m := message(ids[1], params(ids).Session)
	m.Body, m.Round = body, 2
	s := session[int](t, ids, 0, leads(plan{expect: wants(ids[1])}))
	if _, err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Step(m); err != nil {
		t.Fatal(err)
	}
	save := []engine.Record{{Name: "share", Value: body}}
	for _, v := range []any{
		engine.Effects[int]{Save: save, Send: []engine.Msg{m}}, engine.Outcome[int]{Save: save, Send: []engine.Out{{Kind: 1, Body: body}}},
		s, *s, &m, engine.Fault{Evidence: []engine.Msg{m}},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
			got := fmt.Sprintf(verb, v)
			for _, form := range []string{"secret", fmt.Sprintf("%x", body), fmt.Sprintf("%d", body[:4])[1:11]} {
				if strings.Contains(got, form) {
					t.Errorf("%T under %s prints %s", v, verb, got)
				}
			}
		}
	}
}
