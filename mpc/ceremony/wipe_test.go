package ceremony

import (
	"bytes"
	"errors"
	"testing"

	"github.com/ostraka/ostraka/crypto/ot"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/keygen"
	"github.com/ostraka/ostraka/mpc/pair"
	"github.com/ostraka/ostraka/mpc/session"
)

// A safe is a toy that counts how often it was told to wipe.
type safe struct {
	toy
	wiped int
}

func (s *safe) Wipe() { s.wiped++ }

// What stands beside or before another stage is wiped with it, and so is a result that waited.
func TestComposedStagesPassWipeOn(t *testing.T) {
	a, b := &safe{toy: toy{kind: 1}}, &safe{toy: toy{kind: 5}}
	early, forgotten := "early", 0
	both := &beside[string, string]{a: a, b: b, r: two[string, string]{b: &early}, forget: func(r two[string, string]) {
		if r.b == &early {
			forgotten++
		}
	}}
	(&then[two[string, string], string]{s: both}).Wipe()
	if a.wiped != 1 || b.wiped != 1 || forgotten != 1 {
		t.Errorf("wiped %d and %d, forgot %d", a.wiped, b.wiped, forgotten)
	}
	// Stages without secrets, and sides that are done, are passed over.
	(&then[two[string, string], string]{s: &beside[string, string]{a: &toy{}}}).Wipe()
}

// One side has its result in the round in which the other fails.
func TestBesideForgetsAResultWhoseOtherSideFails(t *testing.T) {
	forgotten := 0
	s := &beside[string, string]{a: &toy{kind: 1, err: errors.New("dry")}, b: &toy{kind: 5}, forget: func(r two[string, string]) {
		if r.b != nil && *r.b == "0x5" {
			forgotten++
		}
	}}
	if _, err := s.Finish(engine.Transcript{}); err == nil || forgotten != 1 {
		t.Errorf("got %v, forgot %d", err, forgotten)
	}
}

// A ceremony that the host gives up while it waits for confirmations holds states of pairs that
// are ready: they do not outlive it.
func TestAbandonedCeremonyIsWiped(t *testing.T) {
	com := newCommittee(3)
	com.seed = 100
	setup := &session.Setup{Protocol: ProtocolKeygen, Suite: epoch.SuiteECDSA, KeyID: [32]byte{1}, Threshold: 2, Parties: com.parties}
	var ready []*pair.State
	seats := com.join(t, setup)
	sessions := machines(t, seats, func(s Seat) (engine.Stage[Prepared], error) {
		first, err := Keygen(s, nil)
		pairs := first.(*then[two[keygen.Output, made], Prepared]).s.(*beside[keygen.Output, made]).b.(*then[states, made])
		pairs.s = &tap[states]{pairs.s, func(r *states) {
			for _, p := range *r {
				ready = append(ready, p)
			}
		}}
		return first, err
	})
	hook := enginetest.On(enginetest.Match{Kind: keygen.KindConfirm}, enginetest.Drop)
	run := enginetest.Run(enginetest.Options{Hook: hook}, sessions...)
	if len(ready) != 6 {
		t.Fatalf("%d states of pairs are ready, want 6", len(ready))
	}
	for _, p := range run.Parties {
		if p.Session.Finished() {
			t.Fatalf("ended with %v", p.Err)
		}
		p.Session.Abandon()
	}
	for _, s := range seats {
		if _, err := s.Rand.Read(make([]byte, 1)); err == nil {
			t.Error("the coins of the session stay")
		}
	}
	for _, s := range ready {
		if !s.Leaves.Encode().Equal(new(ot.Leaves).Encode()) || !s.Punctured.Encode().Equal(new(ot.Punctured).Encode()) || len(bytes.Trim(s.Seed.Expose(), "\x00")) > 0 {
			t.Error("the state of a pair stays")
		}
	}
}

// Nor do coins outlive a ceremony or a signature that succeeds.
func TestCoinsAreWipedAtTheEnd(t *testing.T) {
	com := newCommittee(3)
	keys := com.keygen(t, 2)
	r := keys[0].Record
	com.seed = 100
	for name, setup := range map[string]*session.Setup{
		"keygen": {Protocol: ProtocolKeygen, Suite: epoch.SuiteECDSA, KeyID: [32]byte{1}, Threshold: 2, Parties: com.parties},
		"sign":   {Protocol: ProtocolSign, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: 2, Parties: com.parties, Payload: (&Request{Purpose: "drill"}).Encode()},
	} {
		seats := com.join(t, setup)
		var err error
		if name == "keygen" {
			_, err = enginetest.Run(enginetest.Options{}, machines(t, seats, unguarded)...).Results()
		} else {
			next := 0
			_, err = enginetest.Run(enginetest.Options{}, machines(t, seats, func(s Seat) (engine.Stage[Signature], error) {
				next++
				return Sign(s, keys[next-1], make([]byte, 32))
			})...).Results()
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, s := range seats {
			if _, err := s.Rand.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s: the coins of party %d stay", name, i)
			}
		}
	}
}

// A tap shows a result as it passes.
type tap[R any] struct {
	engine.Stage[R]
	see func(*R)
}

func (s *tap[R]) Finish(t engine.Transcript) (engine.Outcome[R], error) {
	out, err := s.Stage.Finish(t)
	if out.Result != nil {
		s.see(out.Result)
	}
	if out.Next != nil {
		out.Next = &tap[R]{out.Next, s.see}
	}
	return out, err
}
