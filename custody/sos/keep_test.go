package sos_test

import (
	"errors"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// What is over is forgotten by the time that goes by, no request is needed for it: after 90 days, and not before the lock-up that new shares' records name.
func TestForgottenInTime(t *testing.T) {
	for name, c := range map[string]struct {
		lockUp, after time.Duration
	}{
		"90 days":        {lockUp, sos.RepeatWithin},
		"a long lock-up": {200 * 24 * time.Hour, 200*24*time.Hour + time.Hour},
	} {
		o := newOne(t, plan.Silence, func(p *plan.Plan) { p.LockUp = c.lockUp })
		o.now += 2 * time.Hour // its time is over
		o.wait(time.Second)
		if o.state() != sos.Expired {
			t.Fatalf("%s: it is %s", name, o.state())
		}
		o.now += c.after - time.Second
		o.do(sos.Tick{View: o.view()})
		if len(o.d.Cases()) != 1 {
			t.Errorf("%s: forgotten too early", name)
		}
		o.now += 2 * time.Second
		o.do(sos.Tick{View: o.view()})
		if len(o.d.Cases()) != 0 {
			t.Errorf("%s: kept for good", name)
		}
	}
}

// Attempts at one key leave room for those at another: the bound is each key's.
func TestAttemptsOfEachKey(t *testing.T) {
	o := newOne(t, plan.Silence, nil)
	o.keys = append(o.keys, act.Key{Key: [32]byte{6}, Epoch: [32]byte{7}})
	o.now += time.Second
	o.q = o.ask(plan.Silence, "g1")
	o.to(sos.Active)
	attempt := func(key, n int) error {
		a := o.activation(n)
		a.ID, a.Key = statement.ID{byte(n), byte(key), 99}, o.keys[key]
		return o.try(seated(a))
	}
	for n := range 64 {
		if err := attempt(0, n+1); err != nil {
			t.Fatal(err)
		}
	}
	if err := attempt(0, 65); !errors.Is(err, sos.ErrMany) {
		t.Errorf("attempt 65 at one key: %v", err)
	}
	for n := range 64 {
		if err := attempt(1, n+1); err != nil {
			t.Fatalf("attempt %d at the other key: %v", n+1, err)
		}
	}
	reread(t, o.p, o.d)
}

// Who left out whom they tried to reach may say it in a second support; it still counts once.
func TestContactsAreSaidLater(t *testing.T) {
	o := newOne(t, plan.Silence, nil)
	bare := act.Support{ID: o.id(), Head: o.q.Head(), Role: act.Guardian, By: "g1", Created: start.Add(o.now)}
	before := len(o.d.Lacks(o.q.ID, o.view(), o.r()))
	o.do(sos.Supported{Support: bare})
	for _, by := range []string{"g1", "g2", "g3"} {
		if err := o.support(act.Guardian, by); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.support(act.Operator, "acme"); err != nil {
		t.Fatal(err)
	}
	if lacks := o.d.Lacks(o.q.ID, o.view(), o.r()); before == 0 || len(lacks) != 0 {
		t.Errorf("%q", lacks)
	}
	if c, _ := o.d.Case(o.q.ID); len(c.Supports()) != 3 {
		t.Errorf("%d support it", len(c.Supports()))
	}
}

// Who asks anew takes the place of their own request, which never comes again: its vetoes would be gone.
func TestNoOlderRequestComesBack(t *testing.T) {
	o := newOne(t, plan.Silence, nil)
	first, err := o.q.Statement(statement.Salt{})
	if err != nil {
		t.Fatal(err)
	}
	old, err := act.RequestOf(first)
	if err != nil {
		t.Fatal(err)
	}
	next, _, err := sos.NewDocket(o.p, "acme").Ask(first, o.r())
	if err != nil {
		t.Fatal(err)
	}
	o.now += time.Second
	q := old
	q.ID, q.Created = statement.ID{}, start.Add(o.now)
	q.Expires = q.Created.Add(time.Hour)
	second, err := q.Statement(statement.Salt{1})
	if err != nil {
		t.Fatal(err)
	}
	if next, _, err = next.Ask(second, o.r()); err != nil {
		t.Fatal(err)
	}
	if _, known := next.Case(old.ID); known {
		t.Error("two of one who asks gather support")
	}
	if _, _, err = next.Ask(first, o.r()); !errors.Is(err, sos.ErrUsed) {
		t.Errorf("the older one comes back: %v", err)
	}
}
