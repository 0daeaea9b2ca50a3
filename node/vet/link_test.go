package vet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/evidence/vetted"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/vet"
)

// Who has a node's identity key and carries its very life on, elsewhere, stands at the end of another connection: what the measured machine showed counts for nothing there. Neither
// can it have that machine show anything for its own connection.
func TestALifeCarriedOnElsewhere(t *testing.T) {
	x := newCircle(t)
	acme, bolt := x.all[0], x.all[1]
	if errs := x.run(0); len(errs) > 0 || acme.Fit(bolt.id) != nil {
		t.Fatalf("%v, %v", errs, acme.Fit(bolt.id))
	}
	made := bolt.tpm.Made
	x.links++ // acme's link is to the thief now, who claims bolt's life, and says nothing of evidence, or asks the machine for it in acme's name
	stolen := x.conn(acme, bolt)
	x.pass = func(f frame) []frame {
		if f.from == acme && f.to == bolt && f.kind == vet.FrameAsk {
			x.links++ // what bolt's own connections are
			if err := bolt.Take(context.Background(), x.now, acme.id, f.kind, f.body); err != nil {
				t.Errorf("what is asked over another connection is no fault: %v", err)
			}
			x.links--
		}
		return nil
	}
	if err := acme.Fit(bolt.id); err == nil || !strings.Contains(err.Error(), vetted.ErrLink.Error()) {
		t.Errorf("before anything is asked over the new connection it counts as %v", err)
	}
	if m, err := acme.Meet(x.now, [32]byte{5}, [32]byte{}, []engine.PartyID{bolt.id}); m != nil || err == nil {
		t.Errorf("a session rests on %+v, %v", m, err)
	}
	x.run(time.Second)
	if err := acme.Fit(bolt.id); err == nil || bolt.tpm.Made != made || x.conn(acme, bolt) != stolen {
		t.Errorf("it counts as %v, and the machine made %d more", err, bolt.tpm.Made-made)
	}
	for _, s := range bolt.Shown(x.now) {
		if s.Own && s.Err != nil {
			t.Errorf("the machine thinks that it cannot show what it runs on: %v", s.Err)
		}
	}
}

// A connection that breaks costs one question: it is asked at once over the next one, again and again if need be, and what is said of evidence is said anew.
func TestAConnectionThatBreaks(t *testing.T) {
	x := newCircle(t)
	acme, bolt := x.all[0], x.all[1]
	x.run(0)
	var last [32]byte
	for i := range 100 {
		x.links++
		if err := bolt.Welcome(acme.id); err == nil {
			t.Fatalf("break %d: what was said over the connection before counts for the next one", i)
		}
		x.run(time.Minute)
		if err := errors.Join(acme.Fit(bolt.id), bolt.Welcome(acme.id)); err != nil {
			t.Fatalf("break %d: %v", i, err)
		}
		all := acme.leaves()
		if r := all[len(all)-1]; r.Connection == last || r.Connection != x.conn(acme, bolt) {
			t.Fatalf("break %d: the record is of connection %x", i, r.Connection)
		} else {
			last = r.Connection
		}
	}
	if bolt.tpm.Opened != 2 {
		t.Errorf("its TPM opened %d challenges", bolt.tpm.Opened)
	}
	// One that is refused gains no question by breaking it.
	bolt.tpm = x.maker.TPM(t, "bolt", "another release")
	bolt.start()
	x.links++
	x.run(time.Minute)
	asked := bolt.tpm.Made
	for range 5 {
		x.links++
		x.run(time.Second)
	}
	if err := acme.Fit(bolt.id); err == nil || bolt.tpm.Made != asked {
		t.Errorf("%v, and it was asked %d times more", err, bolt.tpm.Made-asked)
	}
}

// A challenge that no TPM opens is the fault of who sent it: this machine is as well as it was, and doctor says so.
func TestAChallengeThatIsNone(t *testing.T) {
	x := newCircle(t)
	acme, bolt, cora := x.all[0], x.all[1], x.all[2]
	x.run(0)
	own := func() error {
		for _, s := range bolt.Shown(x.now) {
			if s.Own {
				return s.Err
			}
		}
		return errors.New("it is not shown")
	}
	ask := func(from *node) {
		x.now = x.now.Add(time.Minute)
		if err := bolt.Take(context.Background(), x.now, from.id, vet.FrameAsk, x.question(from, bolt, 7)); err != nil {
			t.Fatal(err)
		}
	}
	challenge := func(from *node) {
		var e transcript.Encoder
		if err := bolt.Take(context.Background(), x.now, from.id, vet.FrameEnrol, e.Bytes(1, x.question(from, bolt, 7)[:32]).Bytes(2, []byte("junk")).Sum()); err != nil {
			t.Fatal(err)
		}
	}
	ask(cora)
	if challenge(cora); own() != nil {
		t.Errorf("a peer's junk has this node say of its own machine: %v", own())
	}
	if line := "a peer's challenge is none that this machine's TPM opens"; strings.Count(x.log.String(), line) != 1 || !strings.Contains(x.log.String(), "operator=cora") {
		t.Errorf("nothing names who sent it")
	}
	// And none makes it well.
	ask(acme)
	bolt.tpm.Broken = errors.New("TPM_RC_FAILURE")
	ask(cora)
	bolt.tpm.Broken = nil
	if challenge(acme); own() == nil || !strings.Contains(own().Error(), "TPM_RC_FAILURE") {
		t.Errorf("after a TPM failed: %v", own())
	}
}

// Who breaks its connections all the time, and gives another reason each time why it shows nothing, or starts anew, is asked four times at once and then once in 5 s, and fills no
// log. When it behaves again it is asked, and what it shows counts.
func TestConnectionsBrokenOnPurpose(t *testing.T) {
	for name, breaks := range map[string]func(x *circle){
		"connections": func(x *circle) { x.links++ },
		"processes":   func(x *circle) { x.all[1].life.Counter++ },
	} {
		x := newCircle(t)
		acme, bolt := x.all[0], x.all[1]
		asked, says := 0, "a word "
		x.pass = func(f frame) []frame {
			if f.from == acme && f.to == bolt && f.kind == vet.FrameAsk { // a hostile node answers by itself, without bolt's pace
				asked++
				return []frame{{bolt, acme, vet.FrameEvidence, answer(f.body[:32], nil, fmt.Sprint(says, asked))}}
			}
			return []frame{f}
		}
		from := x.log.Len()
		for range 600 { // two minutes
			breaks(x)
			x.run(200 * time.Millisecond)
		}
		lines := bytes.Count(x.log.Bytes()[from:], []byte("a peer does not show what it runs on"))
		if asked < 20 || asked > 4+120/5+1 || lines < 10 || lines > 120/5+1 {
			t.Errorf("%s: in two minutes it was asked %d times, with %d lines of log", name, asked, lines)
		}
		x.pass = nil
		if x.run(10 * time.Second); acme.Fit(bolt.id) != nil {
			t.Errorf("%s: it counts for nothing any more: %v", name, acme.Fit(bolt.id))
		}
	}
}
