package sos_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// one is a node alone, whose others are played by the test: for rules that no seed would reach.
type one struct {
	t     testing.TB
	p     plan.Plan
	d     sos.Docket
	q     act.Request
	now   time.Duration
	mono  time.Duration
	boot  byte
	count byte
	keys  []act.Key
	said  []act.Step
	name  string   // where several play
	quiet []string // whom nobody hears; none: cora
	alive bool     // they are heard all the same
	held  map[[32]byte]sos.Holders
}

func newOne(t testing.TB, trigger string, change func(*plan.Plan)) *one {
	p := samplePlan(t, 3)
	if change != nil {
		change(&p)
	}
	o := &one{t: t, p: p, d: sos.NewDocket(p, "acme"), boot: 1, keys: []act.Key{{Key: [32]byte{3}, Epoch: [32]byte{4}}}}
	o.q = o.ask(trigger, "g1")
	return o
}

func (o *one) id() statement.ID { o.count++; return statement.ID{o.count, 77} }

func (o *one) r() sos.Reading {
	return sos.Reading{Boot: [16]byte{o.boot}, Wall: start.Add(o.now), Mono: o.mono}
}

func (o *one) request(trigger, by string) act.Request {
	q := act.Request{
		Drill: true, Charter: o.p.Charter, Vault: o.p.Vault, Trigger: trigger, Subjects: []string{"cora"}, Reason: "lost", Keys: o.keys, Role: act.Guardian, By: by,
		Created: start.Add(o.now), Expires: start.Add(o.now + time.Hour),
	}
	if trigger == plan.Refusal {
		q.Challenge = statement.ID{9}
	}
	if trigger == plan.Legal {
		q.Document = statement.ID{9}
	}
	return q
}

func (o *one) ask(trigger, by string) act.Request {
	o.t.Helper()
	s, err := o.request(trigger, by).Statement(statement.Salt(o.id()))
	if err != nil {
		o.t.Fatal(err)
	}
	d, fx, err := o.d.Ask(s, o.r())
	if err != nil || len(fx.Tell) != 1 {
		o.t.Fatalf("%v, told %v", err, fx.Tell)
	}
	o.d = d
	q, _ := act.RequestOf(s)
	return q
}

// do applies an event that may not be refused.
func (o *one) do(e sos.Event) {
	o.t.Helper()
	if err := o.try(e); err != nil {
		o.t.Fatal(err)
	}
}

func (o *one) try(e sos.Event) error {
	d, fx, err := o.d.Apply(e, o.r())
	if err == nil {
		o.d, o.said = d, append(o.said, fx.Say...)
	}
	return err
}

func (o *one) view() sos.View {
	if o.alive {
		return sos.View{Keys: o.keys}
	}
	if len(o.quiet) > 0 {
		v := sos.View{Keys: o.keys, Silent: map[string]time.Duration{}, Refusing: map[string]time.Duration{}}
		for _, name := range o.quiet {
			v.Silent[name], v.Refusing[name] = time.Hour, time.Hour
		}
		return v
	}
	return sos.View{Keys: o.keys, Holders: o.held, Silent: map[string]time.Duration{"cora": time.Hour}, Refusing: map[string]time.Duration{"cora": time.Hour}, Height: 100}
}

func (o *one) wait(d time.Duration) {
	o.t.Helper()
	for d > 0 {
		step := min(d, 30*time.Second)
		o.now, o.mono, d = o.now+step, o.mono+step, d-step
		o.do(sos.Tick{View: o.view()})
	}
}

func (o *one) support(role, by string) error {
	v := act.Support{ID: o.id(), Head: o.q.Head(), Role: role, By: by, Created: start.Add(o.now)}
	if role == act.Guardian {
		v.Contacts = []string{"telephone: nobody"}
	}
	return o.try(sos.Supported{Support: v})
}

func (o *one) back() {
	o.t.Helper()
	for i := range 4 {
		if err := o.support(act.Guardian, fmt.Sprintf("g%d", i+1)); err != nil {
			o.t.Fatal(err)
		}
	}
	for _, name := range []string{"acme", "bolt"} {
		if err := o.support(act.Operator, name); err != nil {
			o.t.Fatal(err)
		}
	}
}

func (o *one) state() sos.State {
	c, _ := o.d.Case(o.q.ID)
	return c.State()
}

func (o *one) step(by, state string) sos.Stepped {
	return sos.Stepped{Step: act.Step{ID: o.id(), Head: o.q.Head(), Operator: by, State: state, Created: start.Add(o.now)}}
}

// to takes the case to a state.
func (o *one) to(s sos.State) *one {
	o.t.Helper()
	if s >= sos.Declared {
		o.back()
		o.wait(time.Second)
	}
	if s >= sos.Contest {
		o.do(sos.Told{Request: o.q.ID})
		o.do(o.step("bolt", "declared"))
		o.wait(time.Second)
	}
	if s >= sos.Active {
		c, _ := o.d.Case(o.q.ID)
		t, _ := o.p.Trigger(c.Request().Trigger)
		o.wait(t.Delay)
	}
	if s >= sos.LockUp {
		o.do(o.activation(1))
		o.do(sos.Reshared{Request: o.q.ID, Activation: o.activation(1).ID, Key: o.fresh(), Committee: []string{"acme", "yara", "zoe"}, Threshold: 2})
		o.wait(window)
	}
	if s >= sos.Closed {
		o.wait(lockUp)
		o.do(o.closing())
	}
	if got := o.state(); got != s {
		o.t.Fatalf("the case is %s, not %s", got, s)
	}
	return o
}

func (o *one) fresh() act.Key { return act.Key{Key: o.keys[0].Key, Epoch: [32]byte{5}} }

func (o *one) closing() sos.ClosedBy {
	return sos.ClosedBy{Close: act.Close{Head: o.q.Head(), Keys: []act.Backed{{Key: o.fresh()}}, Created: start.Add(o.now)}, Signed: []string{"acme", "zoe"}}
}

func (o *one) activation(attempt int) sos.Activated {
	return seated(sos.Activated{
		Activation: act.Activation{
			ID: statement.ID{byte(attempt), 99}, Head: o.q.Head(), Key: o.keys[0], Attempt: attempt, Contributors: []string{"acme", "bolt"}, Threshold: 2, Created: start.Add(o.now),
			Members: []act.Member{{Operator: "acme", Party: [16]byte{1}, Index: 1, Encryption: [32]byte{1}}, {Operator: "yara", Party: [16]byte{2}, Index: 4, Encryption: [32]byte{2}}},
		},
		Taken: map[uint16]string{1: "acme", 2: "bolt", 3: "cora"}, Party: map[string][16]byte{"acme": {1}, "yara": {2}, "bolt": {3}, "cora": {4}, "zoe": {5}},
	})
}

// seated adds what each member's node announced.
func seated(e sos.Activated) sos.Activated {
	e.Seats = nil
	for _, m := range e.Members {
		e.Seats = append(e.Seats, act.Seat{Head: e.Head, Operator: m.Operator, Key: e.Key, Attempt: e.Attempt, Encryption: m.Encryption})
	}
	return e
}

var ownLog = sos.Own{Origin: "log of acme", Log: tlog.Head{Size: 50, Root: tlog.Hash{5}}}

// answers are those of bolt and of yara, who witnesses.
func (o *one) answers(nonce [32]byte) (all []act.NoVeto) {
	for _, by := range []string{"bolt", "yara"} {
		all = append(all, act.NoVeto{ID: o.id(), Head: o.q.Head(), Operator: by, Asker: "acme", Nonce: nonce, Origin: ownLog.Origin, Log: tlog.Head{Size: 40, Root: tlog.Hash{4}}, Created: start.Add(o.now)})
	}
	return all
}

// Everything that a release needs is needed.
func TestReleaseIsRefused(t *testing.T) {
	type try struct {
		o       *one
		id      statement.ID
		q       sos.Question
		answers []act.NoVeto
		own     sos.Own
	}
	good := func(t testing.TB, trigger string) *try {
		o := newOne(t, trigger, nil).to(sos.Active)
		o.do(o.activation(1))
		q := sos.Question{Nonce: [32]byte{8}, Asked: o.r()}
		return &try{o, o.activation(1).ID, q, o.answers(q.Nonce), ownLog}
	}
	for name, c := range map[string]struct {
		change func(*try)
		want   error
	}{
		"all is there":                         {func(*try) {}, nil},
		"an activation that is not known":      {func(c *try) { c.id = statement.ID{1} }, sos.ErrUnknown},
		"S13, no witness":                      {func(c *try) { c.answers = c.answers[:1] }, sos.ErrNoVeto},
		"no other contributor":                 {func(c *try) { c.answers = c.answers[1:] }, sos.ErrNoVeto},
		"S3, to another question":              {func(c *try) { c.answers[0].Nonce[0] ^= 1 }, sos.ErrNoVeto},
		"S3, to another asker":                 {func(c *try) { c.answers[0].Asker = "yara" }, sos.ErrNoVeto},
		"S3, on another request":               {func(c *try) { c.answers[0].Request[0] ^= 1 }, sos.ErrNoVeto},
		"S3, in a drill":                       {func(c *try) { c.answers[0].Drill = false }, sos.ErrNoVeto},
		"a witness who is a subject":           {func(c *try) { c.answers[1].Operator = "cora" }, sos.ErrNoVeto},
		"a witness who contributes":            {func(c *try) { c.answers[1].Operator = "bolt" }, sos.ErrNoVeto},
		"its own answer":                       {func(c *try) { c.answers[0].Operator = "acme" }, sos.ErrNoVeto},
		"an answer of more than an hour":       {func(c *try) { c.answers[0].Created = start.Add(c.o.now - time.Hour - 1) }, sos.ErrNoVeto},
		"an answer of an hour":                 {func(c *try) { c.answers[0].Created = start.Add(c.o.now - time.Hour) }, nil},
		"an answer from the future":            {func(c *try) { c.answers[0].Created = start.Add(c.o.now + 6*time.Minute) }, sos.ErrNoVeto},
		"S2, a question of another start":      {func(c *try) { c.q.Asked.Boot[0]++ }, sos.ErrNoVeto},
		"S2, a question of an hour ago":        {func(c *try) { c.q.Asked.Mono -= time.Hour + 1 }, sos.ErrNoVeto},
		"S2, by the wall":                      {func(c *try) { c.q.Asked.Wall = c.q.Asked.Wall.Add(-time.Hour - 1) }, sos.ErrNoVeto},
		"S2, a copy of the machine":            {func(c *try) { c.o.mono -= time.Second }, sos.ErrNoVeto},
		"S2, a longer log is known":            {func(c *try) { c.answers[1].Log.Size = 51 }, sos.ErrRolled},
		"S2, another log of that size":         {func(c *try) { c.answers[0].Log = tlog.Head{Size: 50, Root: tlog.Hash{6}} }, sos.ErrRolled},
		"S2, a log under another name":         {func(c *try) { c.answers[0].Origin += "/1" }, sos.ErrRolled},
		"the very log":                         {func(c *try) { c.answers[0].Log = ownLog.Log }, nil},
		"S2, rolled back":                      {func(c *try) { c.o.do(sos.RolledBack{}) }, sos.ErrRolled},
		"S2, and confirmed, but not yet again": {func(c *try) { c.o.do(sos.RolledBack{}); c.o.do(sos.Confirmed{}) }, sos.ErrEarly},
		"S13, the contributor's log is forked": {func(c *try) { c.o.do(sos.Forked{Operator: "bolt"}) }, sos.ErrForked},
		"S13, its own log is forked":           {func(c *try) { c.o.do(sos.Forked{Operator: "acme"}) }, sos.ErrForked},
		"S13, the witness's log is forked":     {func(c *try) { c.o.do(sos.Forked{Operator: "yara"}) }, sos.ErrNoVeto},
		"S4, vetoed": {func(c *try) {
			for i := range 3 {
				c.o.do(sos.Objected{Veto: act.Veto{ID: c.o.id(), Head: c.o.q.Head(), By: fmt.Sprintf("g%d", i+3), Created: start.Add(c.o.now)}})
			}
		}, sos.ErrVetoed},
		"two vetoes are too few": {func(c *try) {
			for i := range 2 {
				c.o.do(sos.Objected{Veto: act.Veto{ID: c.o.id(), Head: c.o.q.Head(), By: fmt.Sprintf("g%d", i+3), Created: start.Add(c.o.now)}})
			}
		}, nil},
		"S1, the window is over by the wall": {func(c *try) { c.o.now += window }, sos.ErrLate},
		"S1, by a nanosecond it is not":      {func(c *try) { c.o.now += window - 1 }, nil},
		"S3, used": {func(c *try) {
			d, _, err := c.o.d.Release(c.id, c.q, c.answers, c.own, c.o.r())
			if err != nil {
				t.Fatal(err)
			}
			c.o.d = d
		}, sos.ErrUsed},
		"S3, an earlier attempt after a later one": {func(c *try) {
			c.o.do(c.o.activation(2))
			d, _, err := c.o.d.Release(c.o.activation(2).ID, c.q, c.answers, c.own, c.o.r())
			if err != nil {
				t.Fatal(err)
			}
			c.o.d = d
		}, sos.ErrUsed},
	} {
		x := good(t, plan.Silence)
		c.change(x)
		before := string(x.o.d.Bytes())
		d, v, err := x.o.d.Release(x.id, x.q, x.answers, x.own, x.o.r())
		if !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		switch {
		case err == nil && (v.Operator != "acme" || v.Activation != x.id || v.Credited < delay || len(v.NoVetos) != 2):
			t.Errorf("%s: released %+v", name, v)
		case err != nil && string(d.Bytes()) != before:
			t.Errorf("%s: it was refused, and changed the docket", name)
		}
	}
}

// D − 1 ns is too early, at every step that could be first.
func TestNotANanosecondEarly(t *testing.T) {
	o := newOne(t, plan.Silence, nil).to(sos.Contest)
	o.wait(delay - 1)
	if o.state() != sos.Contest || o.d.MayActivate(o.activation(1)) == nil || o.try(o.activation(1)) == nil {
		t.Errorf("a nanosecond before its time it is %s", o.state())
	}
	if got := o.d.Waits(o.view()); len(got) != 1 || !strings.Contains(got[0], "1s of the delay") {
		t.Errorf("it waits for %v", got)
	}
	o.wait(1)
	if o.state() != sos.Active {
		t.Errorf("after its delay it is %s", o.state())
	}
	// By default a REAL silence takes 72 h of credit: 8,640 readings of 30 s.
	o = newOne(t, plan.Silence, func(p *plan.Plan) { p.Triggers[4].Delay = 72 * time.Hour }).to(sos.Contest)
	o.wait(72*time.Hour - 1)
	if o.state() != sos.Contest {
		t.Errorf("early, it is %s", o.state())
	}
	o.wait(1)
	if o.state() != sos.Active {
		t.Errorf("after 72 h it is %s", o.state())
	}
}

// Where the plan names a chain, its blocks must have passed besides.
func TestBlocksCount(t *testing.T) {
	o := newOne(t, plan.Legal, func(p *plan.Plan) { p.Chain, p.Blocks = "eip155:1", 30 }).to(sos.Contest)
	o.wait(2 * delay) // the height stands still
	if o.state() != sos.Contest {
		t.Fatalf("without blocks it is %s", o.state())
	}
	v := o.view()
	v.Height = 129
	o.do(sos.Tick{View: v})
	if o.state() != sos.Contest {
		t.Errorf("a block too few, and it is %s", o.state())
	}
	v.Height = 130
	o.do(sos.Tick{View: v})
	if o.state() != sos.Active {
		t.Errorf("with all blocks it is %s", o.state())
	}
	o = newOne(t, plan.Legal, func(p *plan.Plan) { p.Chain, p.Blocks = "eip155:1", 30 }).to(sos.Declared)
	o.do(sos.Told{Request: o.q.ID})
	o.do(o.step("bolt", "declared"))
	v.Height = 0
	o.do(sos.Tick{View: v})
	if o.state() != sos.Declared {
		t.Errorf("with an unknown height the delay begins: %s", o.state())
	}
}

// What an activation may not say.
func TestActivations(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*sos.Activated)
		want   error
	}{
		"as planned":                       {func(*sos.Activated) {}, nil},
		"another request":                  {func(a *sos.Activated) { a.Charter[0] ^= 1 }, sos.ErrForeign},
		"another epoch":                    {func(a *sos.Activated) { a.Epoch[0] ^= 1 }, sos.ErrForeign},
		"another key":                      {func(a *sos.Activated) { a.Key.Key[0] ^= 1 }, sos.ErrForeign},
		"one contributor":                  {func(a *sos.Activated) { a.Contributors = []string{"acme"} }, sos.ErrPlan},
		"three":                            {func(a *sos.Activated) { a.Contributors = []string{"acme", "bolt", "yara"} }, sos.ErrPlan},
		"the subject contributes":          {func(a *sos.Activated) { a.Contributors = []string{"acme", "cora"} }, sos.ErrConsent},
		"who is outside contributes":       {func(a *sos.Activated) { a.Contributors = []string{"acme", "yara"} }, sos.ErrConsent},
		"t′ of one":                        {func(a *sos.Activated) { a.Threshold = 1 }, sos.ErrPlan},
		"the subject gets a share":         {func(a *sos.Activated) { a.Members[1].Operator, a.Members[1].Party = "cora", [16]byte{4} }, sos.ErrPlan},
		"a stranger gets a share":          {func(a *sos.Activated) { a.Members[1].Operator = "vera" }, sos.ErrPlan},
		"an index that was another's":      {func(a *sos.Activated) { a.Members[1].Index = 3 }, sos.ErrPlan},
		"another party":                    {func(a *sos.Activated) { a.Members[1].Party[0] ^= 1 }, sos.ErrPlan},
		"who continues may keep its index": {func(a *sos.Activated) { a.Members[0].Index = 1 }, nil},
		"an operator that did not contribute": {func(a *sos.Activated) {
			a.Members[0].Operator, a.Members[0].Party, a.Members[0].Index = "zoe", [16]byte{5}, 9
			*a = seated(*a)
		}, nil},
		"a key that no node announced":          {func(a *sos.Activated) { a.Members[1].Encryption = [32]byte{9} }, sos.ErrUnseated},
		"a member whose node announced nothing": {func(a *sos.Activated) { a.Seats = a.Seats[:1] }, sos.ErrUnseated},
		"another member's key":                  {func(a *sos.Activated) { a.Members[1].Encryption = a.Members[0].Encryption }, sos.ErrUnseated},
		"a key of another attempt":              {func(a *sos.Activated) { a.Seats[1].Attempt = 2 }, sos.ErrUnseated},
		"a key of another request":              {func(a *sos.Activated) { a.Seats[1].Request[0] ^= 1 }, sos.ErrUnseated},
		"a key of a drill":                      {func(a *sos.Activated) { a.Seats[1].Drill = !a.Seats[1].Drill }, sos.ErrUnseated},
		"a key for another epoch":               {func(a *sos.Activated) { a.Seats[1].Epoch[0] ^= 1 }, sos.ErrUnseated},
	} {
		o := newOne(t, plan.Silence, nil).to(sos.Active)
		a := o.activation(1)
		a.Members = slices.Clone(a.Members)
		c.change(&a)
		// A pointer to Request must not be changed above: then the case would be unknown.
		if err := o.d.MayActivate(a); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := o.try(a); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: taken with %v", name, err)
		}
	}
	o := newOne(t, plan.Silence, nil).to(sos.Active)
	o.do(o.activation(1))
	o.do(o.activation(1)) // again: nothing new
	second := o.activation(1)
	second.ID[5] = 1
	if err := o.try(second); !errors.Is(err, sos.ErrUsed) {
		t.Errorf("two activations of one attempt: %v", err)
	}
}

// A node that hears of its own steps or release, and has none of them, was rolled back.
func TestItsOwnWordsComeBack(t *testing.T) {
	o := newOne(t, plan.Silence, nil)
	o.do(o.step("acme", "vetoed"))
	if o.d.Rolled() {
		t.Error("a word that it may have said in this state")
	}
	o.do(o.step("acme", "contest"))
	if !o.d.Rolled() {
		t.Error("S2: a step that it does not know")
	}
	o = newOne(t, plan.Silence, nil).to(sos.Active)
	o.do(o.activation(1))
	o.do(sos.Gave{Released: act.Released{Head: o.q.Head(), Operator: "acme", Activation: o.activation(1).ID}})
	if !o.d.Rolled() {
		t.Error("S2: a release that it does not know")
	}
	if _, err := o.d.NoVeto(o.q.ID, "bolt", [32]byte{1}, ownLog, o.r()); !errors.Is(err, sos.ErrRolled) {
		t.Errorf("S2: it answers: %v", err)
	}
	if c, _ := newOne(t, plan.Silence, nil).to(sos.LockUp).d.Open(); !slices.Equal(c.Committee(), []string{"acme", "yara", "zoe"}) {
		t.Errorf("the committee is %v", c.Committee())
	}
}
