package sos_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

func (o *one) anew(trigger, by string, number int, prev statement.ID) {
	o.t.Helper()
	q := o.request(trigger, by)
	q.Number, q.Previous = number, prev
	s, err := q.Statement(statement.Salt(o.id()))
	if err != nil {
		o.t.Fatal(err)
	}
	if o.d, _, err = o.d.Ask(s, o.r()); err != nil {
		o.t.Fatal(err)
	}
	o.q, _ = act.RequestOf(s)
}

func (o *one) goActive() {
	o.back()
	o.wait(time.Second)
	o.do(sos.Told{Request: o.q.ID})
	o.do(o.step("bolt", "declared"))
	o.wait(time.Second)
	c, _ := o.d.Case(o.q.ID)
	t, _ := o.p.Trigger(c.Request().Trigger)
	o.wait(t.Delay)
	if o.state() != sos.Active {
		o.t.Fatal(o.state(), o.d.Lacks(o.q.ID, o.view(), o.r()))
	}
}

// Tranches of an emergency that is CLOSED do not bound the sweeps of the next one: that one's rules go before while it holds.
func TestTranchesAndTheNextEmergency(t *testing.T) {
	o := newOne(t, plan.Legal, func(p *plan.Plan) { p.Tranches[0].Every = 24 * time.Hour }).to(sos.Closed)
	first := o.q
	o.keys[0].Epoch = [32]byte{5}
	o.anew(plan.Legal, "g2", 1, first.ID)
	o.goActive()
	s := o.sweep(nil) // 42 of 100 to the rescue address
	if err := errors.Join(o.spend(s), o.d.MaySign(s)); err != nil {
		t.Error(err)
	}
}

// Nor once the next one ended a lock-up that nobody closed.
func TestTranchesOfALockUpThatYielded(t *testing.T) {
	o := newOne(t, plan.Legal, func(p *plan.Plan) { p.Tranches[0].Every = 24 * time.Hour }).to(sos.Active)
	first := o.q
	o.do(sos.Reshared{Request: o.q.ID, Activation: statement.ID{1}, Key: o.fresh(), Committee: []string{"acme", "cora"}, Threshold: 2})
	o.wait(window + lockUp)
	o.keys[0].Epoch = [32]byte{5}
	o.anew(plan.Legal, "g2", 1, first.ID)
	o.goActive()
	if err := o.spend(o.sweep(nil)); err != nil {
		t.Fatal("while the first is unclosed: ", err)
	}
	k := act.Key{Key: o.keys[0].Key, Epoch: [32]byte{6}}
	o.do(sos.Reshared{Request: o.q.ID, Activation: statement.ID{2}, Key: k, Committee: []string{"acme", "yara"}, Threshold: 2})
	o.do(sos.Moved{Key: k})
	if c, _ := o.d.Case(first.ID); c.State() != sos.Closed || o.state() != sos.Active {
		t.Fatalf("the first is %s, the second %s", c.State(), o.state())
	}
	if err := o.spend(o.sweep(nil)); err != nil {
		t.Error("after its new shares: ", err)
	}
}

// Support alone, renewed for ever while the subject is heard, keeps no ordinary epoch from coming into force.
func TestNothingIsNearWhileItsSubjectIsHeard(t *testing.T) {
	o := newOne(t, plan.Silence, nil)
	o.alive = true // cora is heard all the time
	n := 0
	for i := range 100 {
		o.anew(plan.Silence, []string{"g2", "g3"}[i%2], 0, statement.ID{})
		for j := range 3 {
			if err := o.support(act.Guardian, fmt.Sprintf("g%d", j+1)); err != nil {
				t.Fatal(err)
			}
		}
		_ = o.support(act.Operator, "bolt")
		for range 59 {
			o.wait(time.Minute)
			if o.d.Ripe(o.q.ID, o.view(), o.r()) {
				n++
			}
		}
	}
	if n > 0 {
		t.Errorf("near for %d minutes of %d, though cora was heard all the time and nothing was declared", n, 5900)
	}
}

// A member that hears of an activation after its own end takes part once all gave, as one that heard of it before: they cannot take their parts back.
func TestActivationAfterTheEnd(t *testing.T) {
	o := newOne(t, plan.Legal, nil)
	o.d = sos.NewDocket(o.p, "yara")
	o.q = o.ask(plan.Legal, "g1")
	o.back()
	o.wait(time.Second)
	o.do(o.step("acme", "declared"))
	o.do(sos.Told{Request: o.q.ID})
	o.do(o.step("bolt", "declared"))
	o.wait(time.Second)
	trigger, _ := o.p.Trigger(plan.Legal)
	o.wait(trigger.Delay)
	a := o.activation(1)
	o.wait(window)
	err := o.try(a)
	for _, by := range []string{"acme", "bolt"} {
		if o.d.MayRun(sos.Guarded, a.ID) == nil {
			t.Errorf("before %s gave", by)
		}
		_ = o.try(sos.Gave{Released: act.Released{ID: o.id(), Head: o.q.Head(), Operator: by, Activation: a.ID, Key: a.Key.Key, Attempt: 1}})
	}
	if e := o.d.MayRun(sos.Guarded, a.ID); e != nil {
		t.Errorf("%s; activation: %v; run: %v", o.state(), err, e)
	}
	// Who contributes gives nothing then, and keeps none.
	x := newOne(t, plan.Legal, nil).to(sos.Active)
	x.wait(window)
	if err := x.try(x.activation(1)); !errors.Is(err, sos.ErrLate) {
		t.Errorf("a contributor, after its window: %v", err)
	}
}

// One contributor's EXPIRED, said to a successor alone, ends no request there: it could never be seated.
func TestExpiredToASuccessorAlone(t *testing.T) {
	o := newOne(t, plan.Silence, nil)
	o.d = sos.NewDocket(o.p, "yara")
	o.q = o.ask(plan.Silence, "g1")
	o.back()
	o.wait(time.Second)
	o.do(o.step("acme", "declared"))
	o.do(o.step("bolt", "expired")) // to yara alone; to acme it said DECLARED
	o.do(sos.Told{Request: o.q.ID})
	o.wait(time.Second)
	if o.state() == sos.Expired {
		t.Errorf("yara, who is no contributor, is %s", o.state())
	}
	o.now += time.Second
	o.do(o.step("bolt", "declared"))
	o.do(o.step("acme", "contest"))
	o.wait(time.Minute)
	if o.state() == sos.Expired {
		t.Error("it is over in the end")
	}
}
