package sos_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

func always(p plan.Plan) func(statement.ID, [32]byte) (plan.Plan, error) {
	return func(statement.ID, [32]byte) (plan.Plan, error) { return p, nil }
}

// reread stores a docket and reads it again.
func reread(t testing.TB, p plan.Plan, d sos.Docket) sos.Docket {
	t.Helper()
	raw := d.Bytes()
	again, err := sos.DecodeDocket(raw, p, always(p))
	if err != nil {
		t.Fatal(err)
	}
	if string(again.Bytes()) != string(raw) {
		t.Fatalf("%x became %x", raw, again.Bytes())
	}
	return again
}

// full is a docket with something in every field.
func full(t testing.TB) (*one, sos.Docket) {
	o := newOne(t, plan.Silence, nil).to(sos.Active)
	o.do(o.activation(1))
	o.do(sos.Objected{Veto: act.Veto{ID: o.id(), Head: o.q.Head(), By: "g5", Created: start.Add(o.now)}})
	o.do(sos.Lived{Alive: act.Alive{ID: o.id(), Head: o.q.Head(), Operator: "cora", Created: start.Add(o.now)}})
	o.do(sos.Gave{Released: act.Released{ID: o.id(), Head: o.q.Head(), Operator: "bolt", Activation: o.activation(1).ID}})
	o.do(sos.Reshared{Request: o.q.ID, Activation: o.activation(1).ID, Key: o.fresh(), Committee: []string{"acme", "yara"}, Threshold: 2})
	if err := o.spend(o.sweep(func(x *sos.Outflow) { x.Slot = [32]byte{14} })); err != nil {
		t.Fatal(err)
	}
	for n := range byte(2) { // and two that the chain took
		took := o.sweep(func(x *sos.Outflow) { x.Slot, x.Flows[0].Amount = [32]byte{15 + n}, 5 })
		if err := o.spend(took); err != nil {
			t.Fatal(err)
		}
		var settled bool
		if o.d, settled = o.d.Settle(took, o.r()); !settled {
			t.Fatal("nothing was counted in its slot")
		}
	}
	o.do(sos.Forked{Operator: "yara"})
	o.ask(plan.Silence, "g4")
	return o, o.d
}

func TestDocketSnapshot(t *testing.T) {
	o, d := full(t)
	reread(t, o.p, d)
	got := fmt.Sprintf("%x\n", d.Bytes())
	file := filepath.Join("testdata", "docket.hex")
	if sos.Updating() {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || string(want) != got {
		t.Errorf("%s differs, %v:\n%s", file, err, got)
	}
	// S7: no other plan, vault or request can be put under what is stored.
	for name, change := range map[string]func(*plan.Plan){
		"a shorter delay":   func(p *plan.Plan) { p.Triggers[4].Delay = time.Second },
		"another address":   func(p *plan.Plan) { p.Destinations[0].Address = thief },
		"another vault":     func(p *plan.Plan) { p.Vault[0] ^= 1 },
		"other guardians":   func(p *plan.Plan) { p.Guardians = p.Guardians[:4] },
		"a lower threshold": func(p *plan.Plan) { p.Least++ },
	} {
		p := samplePlan(t, 3)
		change(&p)
		if _, err := sos.DecodeDocket(d.Bytes(), p, always(p)); err == nil {
			t.Errorf("%s: it is read", name)
		}
	}
	if _, err := sos.DecodeDocket(d.Bytes(), o.p, func(statement.ID, [32]byte) (plan.Plan, error) { return plan.Plan{}, errors.New("no such charter") }); err == nil || !strings.Contains(err.Error(), "no such charter") {
		t.Errorf("without its charter: %v", err)
	}
	raw := d.Bytes()
	for i := range raw { // whatever is damaged is refused, or is another docket: never read as this one
		bad := append([]byte{}, raw...)
		bad[i] ^= 1
		if again, err := sos.DecodeDocket(bad, o.p, always(o.p)); err == nil && string(again.Bytes()) != string(bad) {
			t.Fatalf("byte %d: read, and written otherwise", i)
		}
	}
}

func FuzzDocket(f *testing.F) {
	o, d := full(f)
	f.Add(d.Bytes())
	f.Add(newOne(f, plan.Legal, nil).d.Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := sos.DecodeDocket(raw, o.p, always(o.p))
		if err == nil && string(d.Bytes()) != string(raw) {
			t.Errorf("%x became %x", raw, d.Bytes())
		}
	})
}

// A guardian's tool by itself: files, its own clock, and nobody to ask.
func TestGuardianTool(t *testing.T) {
	type try struct {
		p    plan.Plan
		g    string
		b    sos.Bundle
		seen time.Time
		now  time.Time
	}
	for name, c := range map[string]struct {
		change func(*try)
		want   error
	}{
		"all is there":                       {func(*try) {}, nil},
		"a nanosecond early":                 {func(c *try) { c.now = c.now.Add(-1) }, sos.ErrEarly},
		"seen later than all":                {func(c *try) { c.seen = c.seen.Add(time.Hour) }, sos.ErrEarly},
		"one contributor's delay began late": {func(c *try) { c.b.Steps[1].Created = c.b.Steps[1].Created.Add(time.Second) }, sos.ErrEarly},
		"one does not show when":             {func(c *try) { c.b.Steps = c.b.Steps[:1] }, sos.ErrEarly},
		"a step of another request":          {func(c *try) { c.b.Steps[0].Request[0] ^= 1 }, sos.ErrEarly},
		"only declared":                      {func(c *try) { c.b.Steps[0].State = "declared" }, sos.ErrEarly},
		"one is dated a week ahead":          {func(c *try) { c.b.Steps[1].Created = c.now.Add(7 * 24 * time.Hour) }, nil},
		"one is ahead by the skew":           {func(c *try) { c.b.Steps[1].Created = c.now.Add(act.Skew) }, sos.ErrEarly},
		"and by a second more":               {func(c *try) { c.b.Steps[1].Created = c.now.Add(act.Skew + time.Second) }, nil},
		"ahead, and seen later":              {func(c *try) { c.b.Steps[1].Created, c.seen = c.now.Add(7*24*time.Hour), c.seen.Add(time.Hour) }, sos.ErrEarly},
		"this clock is behind them all": {func(c *try) {
			for i := range c.b.Steps {
				c.b.Steps[i].Created = c.now.Add(time.Duration(i) + 7*24*time.Hour)
			}
		}, sos.ErrEarly},
		"weeks later":                   {func(c *try) { c.now = c.now.Add(delay + window + sos.Slack) }, sos.ErrLate},
		"the last moment":               {func(c *try) { c.now = c.now.Add(delay + window + sos.Slack - 1) }, nil},
		"another charter's plan":        {func(c *try) { c.p.Charter[0] ^= 1 }, sos.ErrForeign},
		"no guardian":                   {func(c *try) { c.g = "acme" }, sos.ErrForeign},
		"of the subject's organisation": {func(c *try) { c.p.Guardians[0].Organisations = []string{"cora"} }, sos.ErrPlan},
		"another key":                   {func(c *try) { c.b.Activation.Key.Key[0] ^= 1 }, sos.ErrForeign},
		"another request":               {func(c *try) { c.b.Activation.Request[0] ^= 1 }, sos.ErrForeign},
		"the subject gets a share":      {func(c *try) { c.b.Activation.Members[1].Operator = "cora" }, sos.ErrPlan},
		"one contributor":               {func(c *try) { c.b.Activation.Contributors = []string{"acme"} }, sos.ErrPlan},
		"three vetoes": {func(c *try) {
			for i := range 3 {
				c.b.Vetoes = append(c.b.Vetoes, act.Veto{Head: c.b.Request.Head(), By: fmt.Sprintf("g%d", i+3)})
			}
		}, sos.ErrVetoed},
		"three vetoes of one": {func(c *try) {
			for range 3 {
				c.b.Vetoes = append(c.b.Vetoes, act.Veto{Head: c.b.Request.Head(), By: "g3"})
			}
		}, nil},
	} {
		o := newOne(t, plan.Silence, nil)
		x := &try{p: samplePlan(t, 3), g: "g1", b: sos.Bundle{Request: o.q, Activation: o.activation(1).Activation, Seats: o.activation(1).Seats}, seen: start, now: start.Add(time.Minute + delay)}
		for _, name := range []string{"acme", "bolt"} {
			s := o.step(name, "contest").Step
			s.Created = start.Add(time.Minute)
			x.b.Steps = append(x.b.Steps, s)
		}
		c.change(x)
		if err := sos.MayContribute(x.p, x.g, x.b, x.seen, x.now); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReady(t *testing.T) {
	p, now := samplePlan(t, 3), start
	k := []act.Key{{Key: [32]byte{3}, Epoch: [32]byte{4}}}
	good := func() sos.Shelf {
		s := sos.Shelf{Keys: k, Guardians: k, Masked: k, Bundles: map[string][]act.Key{}, Drilled: map[string]time.Time{}, Restored: map[string]time.Time{}}
		for _, o := range p.Operators {
			s.Bundles[o.Name], s.Restored[o.Name] = k, now
		}
		for _, g := range p.Guardians {
			s.Drilled[g.Name] = now
		}
		return s
	}
	for name, c := range map[string]struct {
		change func(*plan.Plan, *sos.Shelf)
		want   string
		stops  bool
	}{
		"all is there":          {func(*plan.Plan, *sos.Shelf) {}, "", false},
		"no card":               {func(p *plan.Plan, _ *sos.Shelf) { p.Guardians[0].Key = p.Guardians[1].Key }, "the same person or key", true},
		"no key":                {func(_ *plan.Plan, s *sos.Shelf) { s.Keys = nil }, "no key", true},
		"of an old epoch":       {func(_ *plan.Plan, s *sos.Shelf) { s.Keys = []act.Key{{Key: k[0].Key, Epoch: [32]byte{5}}} }, "not verified for the epoch in force", true},
		"no mask":               {func(_ *plan.Plan, s *sos.Shelf) { s.Masked = nil }, "no mask", true},
		"no bundle":             {func(_ *plan.Plan, s *sos.Shelf) { delete(s.Bundles, "bolt") }, "no backup of bolt", false},
		"a drill too old":       {func(_ *plan.Plan, s *sos.Shelf) { s.Drilled["g2"] = now.Add(-24*time.Hour - 1) }, "guardians g2", false},
		"a drill of the future": {func(_ *plan.Plan, s *sos.Shelf) { s.Drilled["g2"] = now.Add(time.Hour) }, "guardians g2", false},
		"a drill just in time":  {func(_ *plan.Plan, s *sos.Shelf) { s.Drilled["g2"] = now.Add(-24 * time.Hour) }, "", false},
		"nowhere to sweep":      {func(p *plan.Plan, _ *sos.Shelf) { p.Destinations = nil }, "no rescue address", false},
		"never restored":        {func(_ *plan.Plan, s *sos.Shelf) { delete(s.Restored, "cora") }, "operators cora", false},
		"a loss without answer": {func(p *plan.Plan, _ *sos.Shelf) { p.Operators[1].Accounts = []string{"cloud/acme"} }, "the loss of acme could not be answered", false},
	} {
		q, s := samplePlan(t, 3), good()
		c.change(&q, &s)
		missing := sos.Ready(q, s, now)
		var text string
		stops := false
		for _, m := range missing {
			text += m.What + "; "
			stops = stops || m.Stops
			if m.Do == "" {
				t.Errorf("%s: nothing is said about what to do", name)
			}
		}
		if (text == "") != (c.want == "") || !strings.Contains(text, c.want) || stops != c.stops {
			t.Errorf("%s: %q, stops: %t", name, text, stops)
		}
		want := sos.Armed
		if c.want != "" {
			want = sos.NotReady
		}
		if got := sos.NewDocket(q, "acme").StateOf(missing); got != want {
			t.Errorf("%s: the vault is %s", name, got)
		}
	}
	o := newOne(t, plan.Silence, nil).to(sos.Contest)
	if got := o.d.StateOf([]sos.Missing{{}}); got != sos.Contest {
		t.Errorf("an open request is %s", got)
	}
}
