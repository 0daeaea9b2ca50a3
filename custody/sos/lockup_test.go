package sos_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

var second = act.Key{Key: [32]byte{7}, Epoch: [32]byte{4}}

// newTwo is a node alone of a vault with two keys.
func newTwo(t testing.TB, change func(*plan.Plan)) *one {
	p := samplePlan(t, 3)
	if change != nil {
		change(&p)
	}
	o := &one{t: t, p: p, d: sos.NewDocket(p, "acme"), boot: 1, keys: []act.Key{{Key: [32]byte{3}, Epoch: [32]byte{4}}, second}}
	o.q = o.ask(plan.Silence, "g1")
	return o
}

// reshared is that a key of two has new shares.
func (o *one) reshared(k act.Key, committee ...string) sos.Reshared {
	k.Epoch = [32]byte{5}
	return sos.Reshared{Request: o.q.ID, Activation: statement.ID{1}, Key: k, Committee: committee, Threshold: 2}
}

func (o *one) closes(signed []string, keys ...act.Key) error {
	e := sos.ClosedBy{Close: act.Close{Head: o.q.Head(), Created: start.Add(o.now)}, Signed: signed}
	for _, k := range keys {
		k.Epoch = [32]byte{5}
		e.Keys = append(e.Keys, act.Backed{Key: k})
	}
	return o.try(e)
}

// What a closing must name, and who must have signed it: of one key or of two, with committees of their own.
func TestClosings(t *testing.T) {
	for name, c := range map[string]struct {
		early  time.Duration
		signed string
		keys   []int
		want   error
	}{
		"two of each committee":            {0, "acme bolt", []int{0, 1}, nil},
		"two of each, not the same":        {0, "acme yara zoe", []int{0, 1}, nil},
		"all":                              {0, "acme bolt yara zoe", []int{0, 1}, nil},
		"two of one, one of the other":     {0, "acme yara", []int{0, 1}, sos.ErrPlan},
		"two of the other, one of the one": {0, "acme zoe", []int{0, 1}, sos.ErrPlan},
		"one":                              {0, "acme", []int{0, 1}, sos.ErrPlan},
		"nobody":                           {0, "", []int{0, 1}, sos.ErrPlan},
		"two who hold nothing":             {0, "cora dora", []int{0, 1}, sos.ErrPlan},
		"only the first":                   {0, "acme bolt yara zoe", []int{0}, sos.ErrForeign},
		"only the second":                  {0, "acme bolt yara zoe", []int{1}, sos.ErrForeign},
		"none":                             {0, "acme bolt yara zoe", nil, sos.ErrForeign},
		"a nanosecond early, by all":       {1, "acme bolt yara zoe", []int{0, 1}, sos.ErrEarly},
	} {
		o := newTwo(t, nil).to(sos.Active)
		o.do(o.reshared(o.keys[0], "acme", "bolt", "yara"))
		o.do(o.reshared(second, "acme", "bolt", "zoe"))
		o.wait(window)
		o.wait(lockUp - c.early)
		var keys []act.Key
		for _, i := range c.keys {
			keys = append(keys, o.keys[i])
		}
		if err := o.closes(strings.Fields(c.signed), keys...); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if closed := o.state() == sos.Closed; closed != (c.want == nil) {
			t.Errorf("%s: it is %s", name, o.state())
		}
	}
}

// The window was too short for one of two keys. The closing names the other alone; the one that is left stays in its epoch, and a new request names it alone.
func TestAKeyIsLeft(t *testing.T) {
	o := newTwo(t, nil).to(sos.Active)
	o.do(o.reshared(o.keys[0], "acme", "bolt", "yara"))
	o.wait(window)
	if last := o.said[len(o.said)-1]; last.State != "lock-up" || !strings.Contains(last.Why, "key 070000000000 has no new shares") {
		t.Errorf("the step does not say what is left: %s, %s", last.State, last.Why)
	}
	c, _ := o.d.Case(o.q.ID)
	if got := strings.Join(c.Awaits([]string{"yara"}, []string{"bolt"}), "; "); got != "key 070000000000 has no new shares: a closing leaves it in its epoch, and after CLOSED a new request may name it; "+
		"12m0s of the lock-up are left; a closing of key 030000000000 is signed by yara, and awaits 1 of acme, bolt; an early release is signed by bolt, and awaits acme, yara" {
		t.Error(got)
	}
	if err := o.closes([]string{"acme", "bolt"}, o.keys[0]); !errors.Is(err, sos.ErrEarly) {
		t.Errorf("early: %v", err)
	}
	o.wait(lockUp)
	for name, keys := range map[string][]act.Key{"both": o.keys, "the one that is left": {second}} {
		if err := o.closes([]string{"acme", "bolt", "yara"}, keys...); !errors.Is(err, sos.ErrForeign) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := o.closes([]string{"acme", "yara"}, o.keys[0]); err != nil || o.state() != sos.Closed {
		t.Fatalf("the one with new shares: %s, %v", o.state(), err)
	}
	if c, _ = o.d.Case(o.q.ID); !slices.Equal(c.Left(), []act.Key{second}) {
		t.Errorf("left are %v", c.Left())
	}
	if last := o.said[len(o.said)-1]; !strings.Contains(last.Why, "closed by acme, yara; key 070000000000 has no new shares and stays in its epoch") {
		t.Error(last.Why)
	}
	o.d = reread(t, o.p, o.d)

	// cora holds a share of the second key alone.
	v := o.view()
	v.Keys = []act.Key{{Key: o.keys[0].Key, Epoch: [32]byte{5}}, second}
	v.Holders = map[[32]byte]sos.Holders{o.keys[0].Key: {[]string{"acme", "bolt", "yara"}, 2}, second.Key: {[]string{"acme", "bolt", "cora"}, 3}}
	first := o.q
	for name, keys := range map[string][]act.Key{"all keys": v.Keys, "the first": v.Keys[:1], "in the old epochs": o.keys, "the one that is left": v.Keys[1:]} {
		o.now += time.Second
		q := o.request(plan.Silence, "g2")
		q.Keys, q.Number, q.Previous = keys, 1, first.ID
		s, err := q.Statement(statement.Salt(o.id()))
		if err != nil {
			t.Fatal(err)
		}
		d, _, err := o.d.Ask(s, o.r())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		o.d = d
		lacks := strings.Contains(strings.Join(o.d.Lacks(s.ID(), v, o.r()), "; "), "does not name the vault's keys")
		if lacks != (name != "the one that is left") {
			t.Errorf("%s: lacks %v", name, o.d.Lacks(s.ID(), v, o.r()))
		}
		if !lacks {
			o.q, _ = act.RequestOf(s)
		}
	}
}

// The second of two keys gets its new shares after the closing of the first: the certificate holds, so all is locked up again, and one closing names both.
func TestAKeyComesLate(t *testing.T) {
	o := newTwo(t, nil).to(sos.Active)
	o.do(o.reshared(o.keys[0], "acme", "bolt", "yara"))
	o.wait(window + lockUp)
	if err := o.closes([]string{"acme", "bolt"}, o.keys[0]); err != nil {
		t.Fatal(err)
	}
	o.do(o.reshared(o.keys[0], "acme", "bolt", "yara")) // again: nothing new
	if o.state() != sos.Closed {
		t.Fatalf("known shares: %s", o.state())
	}
	o.do(sos.Freed{EarlyRelease: act.EarlyRelease{Head: o.q.Head(), Created: start.Add(o.now)}})
	o.do(o.reshared(second, "acme", "bolt", "zoe"))
	if o.state() != sos.LockUp {
		t.Fatalf("with shares of the second: %s", o.state())
	}
	if err := o.closes([]string{"acme", "bolt"}, o.keys...); !errors.Is(err, sos.ErrEarly) {
		t.Errorf("an early release that zoe did not sign: %v", err)
	}
	o.wait(lockUp)
	if err := o.closes([]string{"acme", "bolt"}, o.keys[0]); !errors.Is(err, sos.ErrForeign) {
		t.Errorf("the first alone: %v", err)
	}
	if err := o.closes([]string{"acme", "bolt"}, o.keys...); err != nil || o.state() != sos.Closed {
		t.Errorf("both: %s, %v", o.state(), err)
	}
}

// Early release counts in place of the time, for a closing as for all else; without successors it alone does. Who contributes holds a mask of the key.
func TestReleaseBeforeItsTime(t *testing.T) {
	for _, successors := range []bool{true, false} {
		o := newTwo(t, nil).to(sos.Active)
		if !successors { // the plan that a case keeps is the one that it began with
			o = newTwo(t, func(p *plan.Plan) { p.Successors = nil }).to(sos.Active)
		}
		o.do(o.reshared(o.keys[0], "acme", "bolt"))
		o.wait(window)
		if !successors {
			o.wait(2 * lockUp)
			c, _ := o.d.Case(o.q.ID)
			if got := strings.Join(c.Awaits(nil, nil), "; "); !strings.Contains(got, "only an early release ends the lock-up") {
				t.Error(got)
			}
		}
		if err := o.closes([]string{"acme", "bolt"}, o.keys[0]); !errors.Is(err, sos.ErrEarly) {
			t.Errorf("successors %t: %v", successors, err)
		}
		o.do(sos.Freed{EarlyRelease: act.EarlyRelease{Head: o.q.Head(), Created: start.Add(o.now)}})
		if err := o.closes([]string{"acme", "bolt"}, o.keys[0]); err != nil || o.state() != sos.Closed {
			t.Errorf("successors %t, released: %s, %v", successors, o.state(), err)
		}
	}
	o := newTwo(t, nil).to(sos.Active)
	for name, threshold := range map[string]int{"none sign": 0, "more than there are": 3} {
		e := o.reshared(second, "acme", "bolt")
		e.Threshold = threshold
		if err := o.try(e); !errors.Is(err, sos.ErrForeign) {
			t.Errorf("%s: %v", name, err)
		}
	}
	a := o.activation(1)
	a.Holders = []string{"acme", "cora", "yara"}
	if err := o.try(a); !errors.Is(err, sos.ErrPlan) || !strings.Contains(err.Error(), "bolt holds no share") {
		t.Errorf("a contributor without a mask: %v", err)
	}
	a.Holders[1] = "bolt"
	o.do(a)
}

// Every coalition of three operators and up to five guardians, through the machine (spec/sos 1.2; spec/sos 10): for each, the honest do nothing beside their tools. Before the
// delay no honest contributor's node gives its part and no honest guardian's tool contributes, so nothing comes of any coalition but of t operators, who sign without all
// this. After it, exactly those that the table names go through: r operators, that consent, and k guardians.
func TestEveryCoalitionBeforeAndAfter(t *testing.T) {
	const n, m = 3, 5
	checked := 0
	for set := range 1 << (n + m) {
		var operators, guardians []string
		for i := range n {
			if set>>i&1 == 1 {
				operators = append(operators, names[i])
			}
		}
		for i := range m {
			if set>>(n+i)&1 == 1 {
				guardians = append(guardians, fmt.Sprintf("g%d", i+1))
			}
		}
		p := samplePlan(t, n)
		before, after := p.Can(len(operators), len(guardians))
		early, late := through(t, operators, guardians)
		// t operators need none of this: no machine is in their way, and none opens to them either.
		if early || late != (after == plan.Reshare) || (before == plan.Sign) != (len(operators) >= p.Threshold) || before == plan.Reshare {
			t.Errorf("%v with %v: through the machine before the delay %t, after it %t; the table says %s and %s", operators, guardians, early, late, before, after)
		}
		if before == plan.Sign && sos.NewDocket(p, "acme").MayRun(sos.Ordinary, statement.ID{}) != nil {
			t.Errorf("%v do not sign", operators)
		}
		checked++
	}
	if checked != 256 {
		t.Errorf("%d coalitions", checked)
	}
}

// through has a coalition do all that its people and tools can: support, consent, activate, contribute, at each of its nodes; all else is played against it by nobody. It says
// whether r contributors' nodes gave their parts and k guardians' tools contributed, a nanosecond before the delay was over, and after it.
func through(t *testing.T, operators, guardians []string) (early, late bool) {
	t.Helper()
	p := samplePlan(t, 3)
	var lost []string
	for _, o := range p.Operators {
		if !slices.Contains(operators, o.Name) {
			lost = append(lost, o.Name)
		}
	}
	if len(lost) == 0 {
		lost = []string{"cora"} // of those who are all there, one is called lost
		operators = operators[:2]
		if p.Serves(plan.Silence, lost) != nil {
			t.Fatal("the plan serves nobody")
		}
		return coalition(t, p, operators, guardians, lost, true)
	}
	return coalition(t, p, operators, guardians, lost, false)
}

// coalition runs the machine of each operator of a coalition. alive says that the subject lives: its node sends heartbeats, and nobody sees it silent.
func coalition(t *testing.T, p plan.Plan, operators, guardians, lost []string, alive bool) (early, late bool) {
	by := "g1"
	if len(guardians) > 0 {
		by = guardians[0]
	}
	var nodes []*one
	for i, name := range operators {
		o := &one{t: t, p: p, name: name, d: sos.NewDocket(p, name), boot: 1, keys: []act.Key{{Key: [32]byte{3}, Epoch: [32]byte{4}}}, quiet: lost, alive: alive}
		q := o.request(plan.Silence, by)
		q.Subjects = lost
		s, err := q.Statement(statement.Salt{1})
		if err != nil {
			t.Fatal(err)
		}
		if o.q, err = act.RequestOf(s); err != nil {
			t.Fatal(err)
		}
		if o.d, _, err = o.d.Ask(s, o.r()); err != nil {
			if i > 0 || p.Serves(plan.Silence, lost) == nil {
				t.Fatalf("%v: %v", operators, err)
			}
			return false, false // the plan serves no such request: fewer than r are left
		}
		nodes = append(nodes, o)
	}
	for _, o := range nodes {
		for _, g := range guardians {
			_ = o.support(act.Guardian, g)
		}
		for _, name := range operators {
			_ = o.support(act.Operator, name)
		}
		o.wait(time.Second)
	}
	for _, o := range nodes {
		_ = o.try(sos.Told{Request: o.q.ID})
		for _, other := range nodes {
			if other != o && other.state().Holds() {
				o.do(o.step(other.name, "declared"))
			}
		}
		o.wait(time.Second)
		o.wait(delay - 1)
	}
	early = parts(nodes, p, operators, guardians, start.Add(2*time.Second+delay-1))
	for _, o := range nodes {
		o.wait(1)
	}
	return early, parts(nodes, p, operators, guardians, start.Add(2*time.Second+delay))
}

// parts says whether r of these nodes give their part now, with everybody's no-veto, and k of these guardians' tools contribute.
func parts(nodes []*one, p plan.Plan, operators, guardians []string, now time.Time) bool {
	gave, given := 0, 0
	for _, o := range nodes {
		a := o.activation(1)
		a.Contributors = slices.Clone(operators)
		a.Members = a.Members[1:] // yara, and zoe
		a.Members = append(a.Members, act.Member{Operator: "zoe", Party: [16]byte{5}, Index: 5, Encryption: [32]byte{5}})
		a = seated(a)
		_ = o.try(a)
		q := sos.Question{Nonce: [32]byte{8}, Asked: o.r()}
		var answers []act.NoVeto
		for _, by := range slices.Concat(operators, []string{"yara", "zoe"}) {
			if by != o.name {
				answers = append(answers, act.NoVeto{ID: o.id(), Head: o.q.Head(), Operator: by, Asker: o.name, Nonce: q.Nonce, Origin: ownLog.Origin, Log: ownLog.Log, Created: start.Add(o.now)})
			}
		}
		if _, _, err := o.d.Release(a.ID, q, answers, ownLog, o.r()); err == nil {
			gave++
		}
		if gave > 0 || o == nodes[0] {
			b := sos.Bundle{Request: o.q, Activation: a.Activation, Seats: a.Seats}
			for _, name := range operators { // who colludes may write what it likes of its own past, and no honest guardian's clock gains by it
				s := o.step(name, "contest").Step
				s.Created = start
				b.Steps = append(b.Steps, s)
			}
			given = 0
			for _, g := range guardians {
				if sos.MayContribute(p, g, b, start.Add(2*time.Second), now) == nil {
					given++
				}
			}
		}
	}
	return gave >= p.Live && given >= p.Quorum
}

// Where t′ = n′, one of the new committee that is lost or hostile keeps every closing back. Once the lock-up's time is over it holds the vault's own keys alone: charters come into force, and
// rescue vaults sign in tranches, which a closing does not begin anew.
func TestALockUpThatNobodyCloses(t *testing.T) {
	for _, successors := range []bool{true, false} {
		o := newTwo(t, func(p *plan.Plan) {
			if !successors {
				p.Successors = nil
			}
		}).to(sos.Active)
		o.do(o.reshared(o.keys[0], "acme", "bolt"))
		o.do(o.reshared(second, "acme", "bolt"))
		o.wait(window)
		out := func(vault string, n int64) sos.Outflow {
			return o.sweep(func(x *sos.Outflow) {
				x.Flows[0].To, x.Flows[0].Amount, x.Flows[1].Amount, x.Vault = thief, n, 1, vault
				if vault == "rescue" {
					x.Key = [32]byte{8}
				}
			})
		}
		changes := []sos.Change{sos.NewDestination, sos.NewPolicy, sos.NewPlan, sos.NewKey}
		o.wait(lockUp - 1)
		if err := o.spend(out("rescue", 1)); !errors.Is(err, sos.ErrHeld) {
			t.Errorf("successors %t, a nanosecond early: %v", successors, err)
		}
		for _, w := range changes {
			if o.d.MayChange(w) == nil {
				t.Errorf("successors %t, a nanosecond early: change %d", successors, w)
			}
		}
		o.wait(1)
		if err := o.closes([]string{"acme"}, o.keys...); err == nil || o.state() != sos.LockUp {
			t.Fatalf("successors %t: closed by one of two: %s", successors, o.state())
		}
		for _, w := range changes {
			if err := o.d.MayChange(w); err != nil {
				t.Errorf("successors %t: %v", successors, err)
			}
		}
		for what, err := range map[string]error{
			"an ordinary reshare": o.d.MayChange(sos.NewCommittee), "an ordinary session": o.d.MayRun(sos.Ordinary, statement.ID{}),
			"to elsewhere": o.spend(out("treasury", 5)), "by the key": o.spend(o.sweep(func(x *sos.Outflow) { x.Vault, x.Flows[0].To = "petty-cash", thief })),
			"more than a tranche of the rescue vault": o.spend(out("rescue", 10)), "uncounted": o.d.MaySign(out("rescue", 1)),
		} {
			if err == nil {
				t.Errorf("successors %t: the vault's own keys: %s", successors, what)
			}
		}
		first := out("rescue", 6) // 7 of 10
		if err := errors.Join(o.spend(first), o.d.MaySign(first), o.spend(o.sweep(nil))); err != nil {
			t.Errorf("successors %t: %v", successors, err)
		}
		o.wait(2 * time.Minute)
		if !successors {
			o.wait(4 * time.Minute)
			if err := errors.Join(o.spend(out("rescue", 1<<50)), o.d.MaySign(out("rescue", 1))); err != nil {
				t.Errorf("after the last tranche: %v", err)
			}
			continue
		}
		if err := o.closes([]string{"acme", "bolt"}, o.keys...); err != nil {
			t.Fatal(err)
		}
		o.d = reread(t, o.p, o.d)
		if err := o.spend(out("rescue", 13)); !errors.Is(err, sos.ErrPlan) {
			t.Errorf("21 of 20 in the second period, the closing between: %v", err)
		}
		if err := o.spend(out("treasury", 12)); err != nil {
			t.Errorf("20 of 20: %v", err)
		}
		o.do(sos.RolledBack{})
		if err := o.spend(out("treasury", 1)); !errors.Is(err, sos.ErrPlan) {
			t.Errorf("after a roll-back tranches are counted anew: %v", err)
		}
	}
}

// Who is lost sits in both committees of a vault, as after an emergency that left a key. A request is about the keys of one: each goes its way by itself, whichever comes first, and one about both is none.
func TestLostInTwoCommittees(t *testing.T) {
	third := act.Key{Key: [32]byte{9}, Epoch: [32]byte{4}}
	held := map[[32]byte]sos.Holders{{3}: {[]string{"acme", "bolt", "cora"}, 3}, second.Key: {[]string{"acme", "cora", "yara"}, 2}, third.Key: {[]string{"acme", "bolt", "cora"}, 3}}
	all := []act.Key{{Key: [32]byte{3}, Epoch: [32]byte{4}}, second, third}
	groups := func(change func(v *sos.View), subjects ...string) (out string) {
		v := sos.View{Keys: all, Holders: maps.Clone(held)}
		change(&v)
		for _, g := range v.Of(subjects) {
			for _, k := range g {
				out += fmt.Sprint(k.Key[0])
			}
			out += " "
		}
		return out
	}
	for _, c := range []struct {
		change   func(v *sos.View)
		subjects []string
		want     string
	}{
		{func(*sos.View) {}, []string{"cora"}, "39 7 "},
		{func(*sos.View) {}, []string{"bolt"}, "39 "},
		{func(*sos.View) {}, []string{"bolt", "yara"}, "39 7 "},
		{func(*sos.View) {}, []string{"emma"}, ""},
		{func(v *sos.View) {
			v.Holders[third.Key] = sos.Holders{Operators: []string{"acme", "bolt", "cora"}, Threshold: 2}
		}, []string{"cora"}, "3 7 9 "},
		{func(v *sos.View) { delete(v.Holders, second.Key) }, []string{"cora"}, "379 "},
		{func(v *sos.View) { v.Holders = nil }, []string{"cora"}, "379 "},
	} {
		if got := groups(c.change, c.subjects...); got != c.want {
			t.Errorf("because of %v: %q, not %q", c.subjects, got, c.want)
		}
	}
	for name, c := range map[string]struct {
		keys []act.Key
		goes bool
	}{
		"the keys of one": {[]act.Key{all[0], third}, true}, "the key of the other": {[]act.Key{second}, true}, "all": {all, false}, "half of one's": {all[:1], false},
		"in another epoch": {[]act.Key{{Key: second.Key, Epoch: [32]byte{6}}}, false},
	} {
		o := newTwo(t, nil)
		o.keys, o.held = all, held
		q := o.request(plan.Silence, "g2")
		q.Keys = c.keys
		s, err := q.Statement(statement.Salt(o.id()))
		if err != nil {
			t.Fatal(err)
		}
		if o.d, _, err = o.d.Ask(s, o.r()); err != nil {
			t.Fatal(err)
		}
		o.q, _ = act.RequestOf(s)
		if !c.goes {
			o.back()
			if o.wait(time.Second); o.state() != sos.Armed {
				t.Errorf("%s: %s", name, o.state())
			}
			continue
		}
		o.to(sos.Active)
		for _, k := range c.keys {
			o.do(o.reshared(k, "acme", "bolt"))
		}
		o.wait(window + lockUp)
		if err := o.closes([]string{"acme", "bolt"}, c.keys...); err != nil || o.state() != sos.Closed {
			t.Errorf("%s: %s, %v", name, o.state(), err)
		}
	}
}

// One of a t′ = n′ committee is lost after the lock-up's time, which nobody closes without it. Another emergency may be declared because of it then, and not before; the sweeps go by its plan from
// then on, and its new shares end the first.
func TestAnotherAfterALockUpThatNobodyCloses(t *testing.T) {
	o := newTwo(t, nil).to(sos.Active)
	first := o.q
	o.do(o.reshared(o.keys[0], "acme", "cora"))
	o.do(o.reshared(second, "acme", "cora"))
	o.wait(window + lockUp - time.Minute)
	for i := range o.keys {
		o.keys[i].Epoch = [32]byte{5}
	}
	q := o.request(plan.Legal, "g2")
	q.Number, q.Previous = 1, first.ID
	s, err := q.Statement(statement.Salt(o.id()))
	if err != nil {
		t.Fatal(err)
	}
	if o.d, _, err = o.d.Ask(s, o.r()); err != nil {
		t.Fatal(err)
	}
	o.q, _ = act.RequestOf(s)
	o.back()
	o.wait(30 * time.Second)
	if o.state() != sos.Armed || !strings.Contains(strings.Join(o.d.Lacks(o.q.ID, o.view(), o.r()), "; "), "one at a time") {
		t.Fatalf("beside a lock-up whose time is not over: %s", o.state())
	}
	o.wait(30 * time.Second)
	if open, _ := o.d.Open(); o.state() != sos.Declared || open.ID() != o.q.ID {
		t.Fatalf("after it: %s, %v", o.state(), o.d.Lacks(o.q.ID, o.view(), o.r()))
	}
	if err := o.spend(o.sweep(nil)); !errors.Is(err, sos.ErrHeld) {
		t.Errorf("a sweep by the first's plan: %v", err)
	}
	o.do(sos.Told{Request: o.q.ID})
	o.do(o.step("bolt", "declared"))
	o.wait(time.Second)
	o.wait(delay)
	if o.state() != sos.Active {
		t.Fatal(o.state())
	}
	sweep := o.sweep(nil)
	if err := errors.Join(o.spend(sweep), o.d.MaySign(sweep)); err != nil {
		t.Error(err)
	}
	if by, _ := o.d.Rules(sweep); by != o.q.ID {
		t.Errorf("the plan of %s rules", by.Short())
	}
	for i, k := range o.keys {
		e := o.reshared(k, "acme", "yara")
		e.Key.Epoch = [32]byte{6}
		o.do(e)
		o.do(sos.Moved{Key: e.Key})
		if c, _ := o.d.Case(first.ID); (c.State() == sos.Closed) != (i == 1) || o.state() != sos.Active {
			t.Fatalf("%d keys have newer shares: the first is %s, the second %s", i+1, c.State(), o.state())
		}
	}
	o.d = reread(t, o.p, o.d)
	o.wait(window)
	if o.state() != sos.LockUp {
		t.Error(o.state())
	}
}
