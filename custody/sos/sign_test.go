package sos_test

import (
	"errors"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/plan"
)

// What was never counted is not signed, in whatever state it was allowed before; the plan rules over its own vault alone.
func TestMaySign(t *testing.T) {
	for _, c := range []struct {
		state            sos.State
		own, rescue      bool // may be signed, uncounted
		rules, bindsOwns bool
	}{
		{sos.Declared, false, true, false, true},
		{sos.Contest, false, true, false, true},
		{sos.Active, false, false, true, true},
		{sos.LockUp, false, false, true, true},
		{sos.Closed, false, false, false, true},
	} {
		o := newOne(t, plan.Silence, nil).to(c.state)
		own, rescue := o.sweep(nil), o.sweep(func(x *sos.Outflow) { x.Vault, x.Key = "rescue", [32]byte{8} })
		for what, x := range map[string]struct {
			out sos.Outflow
			may bool
		}{"own": {own, c.own}, "rescue": {rescue, c.rescue}} {
			if err := o.d.MaySign(x.out); (err == nil) != x.may || err != nil && !errors.Is(err, sos.ErrHeld) {
				t.Errorf("%s, %s: %v", c.state, what, err)
			}
		}
		if by, subjects := o.d.Rules(own); by.IsZero() == c.rules || (len(subjects) > 0) != c.rules {
			t.Errorf("%s: the plan of %s rules, about %v", c.state, by.Short(), subjects)
		}
		if by, _ := o.d.Rules(rescue); !by.IsZero() {
			t.Errorf("%s: the plan rules over a rescue vault", c.state)
		}
		if o.d.Binds(own) != c.bindsOwns {
			t.Errorf("%s: it binds: %v", c.state, !c.bindsOwns)
		}
	}
	o := newOne(t, plan.Silence, nil).to(sos.Active)
	taken := o.sweep(nil)
	if err := o.spend(taken); err != nil {
		t.Fatal(err)
	}
	if err := o.d.MaySign(taken); err != nil {
		t.Error(err)
	}
	o = newOne(t, plan.Silence, nil).to(sos.Closed)
	for range 60 { // each credits a minute at most
		o.wait(time.Minute)
	}
	if err := o.d.MaySign(o.sweep(nil)); err != nil || o.d.Binds(o.sweep(nil)) {
		t.Errorf("after the last tranche: %v", err)
	}
}
