package sos_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

func (o *one) sweep(change func(*sos.Outflow)) sos.Outflow {
	out := sos.Outflow{
		Intent: o.id(), Vault: "treasury", Key: o.keys[0].Key, Transaction: true, Chain: "eip155:1", Usual: 2,
		Flows: []sos.Flow{{What: sos.Transfer, Asset: "eth", Amount: 40, To: "0x" + strings.Repeat("CD", 20)}, {What: sos.Fee, Asset: "eth", Amount: 2}},
	}
	if change != nil {
		change(&out)
	}
	return out
}

func (o *one) spend(out sos.Outflow) error {
	d, err := o.d.Spend(out, o.r())
	if err == nil {
		o.d = d
	}
	return err
}

var thief = "0x" + strings.Repeat("ee", 20)

// What may leave in ACTIVE, each rule by itself.
func TestOutflowInActive(t *testing.T) {
	call := func(o *sos.Outflow) {
		o.Flows = []sos.Flow{{What: sos.Call, To: "0x" + strings.Repeat("ab", 20), Data: []byte{1, 2, 3, 4}}, o.Flows[1]}
	}
	for name, c := range map[string]struct {
		change func(*sos.Outflow)
		want   error
	}{
		"a sweep":                           {nil, nil},
		"to a thief":                        {func(o *sos.Outflow) { o.Flows[0].To = thief }, sos.ErrPlan},
		"S12, the address on another chain": {func(o *sos.Outflow) { o.Chain = "eip155:10" }, sos.ErrPlan},
		"a second output to a thief": {func(o *sos.Outflow) {
			o.Flows = append(o.Flows, sos.Flow{What: sos.Transfer, Asset: "eth", Amount: 9, To: thief})
		}, sos.ErrPlan},
		"S11, exactly the cap":   {func(o *sos.Outflow) { o.Flows[0].Amount = 98 }, nil},
		"S11, one more":          {func(o *sos.Outflow) { o.Flows[0].Amount = 99 }, sos.ErrPlan},
		"an asset without a cap": {func(o *sos.Outflow) { o.Flows[0].Asset, o.Flows[0].Amount = "usd", 1<<40 }, nil},
		"an overflow": {func(o *sos.Outflow) {
			o.Flows = append(o.Flows, o.Flows[0])
			o.Flows[0].Amount, o.Flows[2].Amount = math.MaxInt64, math.MaxInt64
		}, sos.ErrPlan},
		"a negative amount":        {func(o *sos.Outflow) { o.Flows[0].Amount = -5 }, sos.ErrPlan},
		"S12, dust":                {func(o *sos.Outflow) { o.Flows[0].Amount = 1 }, sos.ErrPlan},
		"S12, nothing":             {func(o *sos.Outflow) { o.Flows[0].Amount = 0 }, sos.ErrPlan},
		"S12, a fee of five times": {func(o *sos.Outflow) { o.Flows[1].Amount = 9 }, sos.ErrPlan},
		"a fee of four times":      {func(o *sos.Outflow) { o.Flows[1].Amount = 8 }, nil},
		"an unknown usual fee":     {func(o *sos.Outflow) { o.Usual = 0 }, sos.ErrPlan},
		"a fee that is negative":   {func(o *sos.Outflow) { o.Flows[1].Amount = -1 }, sos.ErrPlan},
		"S12, only a remainder":    {func(o *sos.Outflow) { o.Flows[0].What = sos.Remainder }, sos.ErrPlan},
		"a sweep with a remainder": {func(o *sos.Outflow) {
			o.Flows = append(o.Flows, sos.Flow{What: sos.Remainder, Asset: "eth", Amount: 500})
		}, nil},
		"only a fee":                      {func(o *sos.Outflow) { o.Flows = o.Flows[1:] }, sos.ErrPlan},
		"no flows":                        {func(o *sos.Outflow) { o.Flows = nil }, sos.ErrPlan},
		"a message":                       {func(o *sos.Outflow) { o.Transaction = false }, sos.ErrHeld},
		"what nobody knows":               {func(o *sos.Outflow) { o.Flows[0].What = 99 }, sos.ErrPlan},
		"a protective call":               {call, nil},
		"a call and a transfer":           {func(o *sos.Outflow) { f := o.Flows[0]; call(o); o.Flows = append(o.Flows, f) }, sos.ErrPlan},
		"two calls":                       {func(o *sos.Outflow) { call(o); o.Flows = append(o.Flows, o.Flows[0]) }, sos.ErrUsed},
		"other bytes":                     {func(o *sos.Outflow) { call(o); o.Flows[0].Data = []byte{1, 2, 3} }, sos.ErrPlan},
		"another contract":                {func(o *sos.Outflow) { call(o); o.Flows[0].To = thief }, sos.ErrPlan},
		"a call with value":               {func(o *sos.Outflow) { call(o); o.Flows[0].Amount = 5 }, sos.ErrPlan},
		"S12, under another vault's name": {func(o *sos.Outflow) { o.Vault, o.Flows[0].To = "petty-cash", thief }, sos.ErrPlan},
		"another vault's own":             {func(o *sos.Outflow) { o.Vault, o.Key, o.Flows[0].To = "petty-cash", [32]byte{8}, thief }, nil},
		"from the rescue vault":           {func(o *sos.Outflow) { o.Vault, o.Key = "rescue", [32]byte{8} }, sos.ErrHeld},
	} {
		o := newOne(t, plan.Silence, nil).to(sos.Active)
		if err := o.spend(o.sweep(c.change)); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Caps and counts hold over all of them, over restarts, and whatever became of a session.
func TestOutflowAddsUp(t *testing.T) {
	o := newOne(t, plan.Silence, nil).to(sos.Active)
	a, b := o.sweep(nil), o.sweep(nil) // 42 each
	for i, out := range []sos.Outflow{a, a, b, a} {
		if err := o.spend(out); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	o.d = reread(t, o.p, o.d)
	if err := o.spend(o.sweep(nil)); !errors.Is(err, sos.ErrPlan) || !strings.Contains(err.Error(), "84 have") {
		t.Errorf("S11: %v", err)
	}
	if o.d.MayRun(sos.Sweep, a.Intent) != nil || o.d.MayRun(sos.Sweep, statement.ID{1}) == nil {
		t.Error("what was taken may be signed, and nothing else")
	}
	call := func(x *sos.Outflow) {
		x.Flows = []sos.Flow{{What: sos.Call, To: "0x" + strings.Repeat("AB", 20), Data: []byte{1, 2, 3, 4}}, {What: sos.Fee, Asset: "eth", Amount: 1}}
	}
	if err := o.spend(o.sweep(call)); err != nil {
		t.Fatal(err)
	}
	if err := o.spend(o.sweep(call)); !errors.Is(err, sos.ErrUsed) {
		t.Errorf("a second call: %v", err)
	}
	// LOCK-UP: sweeps go on, calls do not.
	p := newOne(t, plan.Silence, nil).to(sos.LockUp)
	if err := p.spend(p.sweep(nil)); err != nil {
		t.Error(err)
	}
	if err := p.spend(p.sweep(call)); !errors.Is(err, sos.ErrPlan) {
		t.Errorf("a call in LOCK-UP: %v", err)
	}
	if err := p.spend(p.sweep(func(x *sos.Outflow) { x.Flows[0].To = thief })); !errors.Is(err, sos.ErrPlan) {
		t.Errorf("LOCK-UP, to a thief: %v", err)
	}
}

// Of all that has one nonce a chain takes one: together it counts as the largest of each asset. Whoever asks for it again and again uses up no cap, no
// protective call, no tranche and no room (S11).
func TestOneSlotCountsOnce(t *testing.T) {
	at := func(n byte, amount int64) func(*sos.Outflow) {
		return func(x *sos.Outflow) { x.Slot, x.Flows[0].Amount, x.Flows[1].Amount = [32]byte{n}, amount, 1 }
	}
	o := newOne(t, plan.Silence, func(p *plan.Plan) { p.Window = 3 * time.Hour }).to(sos.Active)
	for i := range int64(4200) { // more than a case keeps
		if err := o.spend(o.sweep(at(1, 20+i/200))); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	first := o.sweep(at(1, 59))
	if err := o.spend(first); err != nil { // 60 with its fee
		t.Fatal(err)
	}
	if err := o.spend(o.sweep(at(2, 40))); !errors.Is(err, sos.ErrPlan) || !strings.Contains(err.Error(), "60 have") {
		t.Errorf("101 of 100, over two nonces: %v", err)
	}
	small := o.sweep(at(1, 5))
	if err := o.spend(small); !errors.Is(err, sos.ErrUsed) || o.d.MayRun(sos.Sweep, first.Intent) != nil {
		t.Errorf("dust takes the place of a sweep: %v", err)
	}
	o.now += sos.SlotHeld
	if err := o.spend(small); err != nil { // the larger one may be the one that is taken
		t.Fatal(err)
	}
	if o.d.MayRun(sos.Sweep, small.Intent) != nil || o.d.MayRun(sos.Sweep, first.Intent) == nil {
		t.Error("the last of one nonce may be signed, and none before it")
	}
	o.d = reread(t, o.p, o.d)
	if err := o.spend(o.sweep(at(2, 40))); !errors.Is(err, sos.ErrPlan) {
		t.Errorf("what was counted was forgotten: %v", err)
	}
	if err := o.spend(o.sweep(at(2, 39))); err != nil {
		t.Errorf("exactly the cap: %v", err)
	}
	if err := o.spend(o.sweep(at(1, 60))); !errors.Is(err, sos.ErrPlan) {
		t.Errorf("the same nonce, and more than the cap: %v", err)
	}
	other := func(x *sos.Outflow) { // the asset of the one, and the fee of the other
		x.Slot, x.Flows[0].Asset, x.Flows[0].Amount, x.Flows[1].Amount = [32]byte{1}, "usd", 7, 1
	}
	if err := o.spend(o.sweep(other)); err != nil {
		t.Errorf("another asset at the same nonce, an hour later: %v", err)
	}
	call := func(n byte) func(*sos.Outflow) {
		return func(x *sos.Outflow) {
			x.Slot, x.Flows = [32]byte{n}, []sos.Flow{{What: sos.Call, To: "0x" + strings.Repeat("ab", 20), Data: []byte{1, 2, 3, 4}}, {What: sos.Fee, Asset: "eth", Amount: 1}}
		}
	}
	p := newOne(t, plan.Silence, nil).to(sos.Active)
	for range 3 {
		if err := p.spend(p.sweep(call(1))); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.spend(p.sweep(call(2))); !errors.Is(err, sos.ErrUsed) {
		t.Errorf("a second call: %v", err)
	}
	q := newOne(t, plan.Silence, nil).to(sos.Closed)
	for range 3 {
		if err := q.spend(q.sweep(at(1, 6))); err != nil { // 7 of 10
			t.Fatal(err)
		}
	}
	if err := q.spend(q.sweep(at(2, 3))); !errors.Is(err, sos.ErrPlan) {
		t.Errorf("11 of 10: %v", err)
	}
}

// Whoever composes in one slot a transfer of one asset after the other, each near its cap, would use up all caps at once, and one at most would leave: for an hour the
// slot is for the same again, and once it is known what took it that alone counts (S11).
func TestOneSlotUsesUpOneCap(t *testing.T) {
	in := func(n byte, asset string, amount int64) func(*sos.Outflow) {
		return func(x *sos.Outflow) {
			x.Slot, x.Flows[0].Asset, x.Flows[0].Amount, x.Flows[1].Amount = [32]byte{n}, asset, amount, 1
		}
	}
	call := func(x *sos.Outflow) {
		x.Slot, x.Flows = [32]byte{1}, []sos.Flow{{What: sos.Call, To: "0x" + strings.Repeat("ab", 20), Data: []byte{1, 2, 3, 4}}, {What: sos.Fee, Asset: "eth", Amount: 1}}
	}
	o := newOne(t, plan.Silence, func(p *plan.Plan) { p.Window, p.Caps = 3*time.Hour, append(p.Caps, plan.Cap{Asset: "usd", Most: 50}) }).to(sos.Active)
	for _, x := range []struct {
		what   string
		change func(*sos.Outflow)
		want   error
	}{
		{"the first", in(1, "usd", 40), nil},
		{"another asset", in(1, "eth", 90), sos.ErrUsed},
		{"a call", call, sos.ErrUsed},
		{"less of it", in(1, "usd", 38), sos.ErrUsed},
		{"two assets", func(x *sos.Outflow) {
			in(1, "usd", 40)(x)
			x.Flows = append(x.Flows, sos.Flow{What: sos.Transfer, Asset: "eth", Amount: 90, To: x.Flows[0].To})
		}, sos.ErrUsed},
		{"the same, for a lower fee", func(x *sos.Outflow) { in(1, "usd", 40)(x); x.Flows[1].Amount = 0 }, nil},
		{"the same, for a higher fee, in units that round up", func(x *sos.Outflow) { in(1, "usd", 39)(x); x.Flows[1].Amount = 4 }, nil},
		{"more of it", in(1, "usd", 48), nil},
		{"above its cap", in(1, "usd", 51), sos.ErrPlan},
		{"another at the next nonce", in(2, "eth", 90), nil},
		{"more of the first there than is left", in(3, "usd", 3), sos.ErrPlan},
	} {
		if err := o.spend(o.sweep(x.change)); !errors.Is(err, x.want) || x.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", x.what, err, x.want)
		}
	}
	o.d = reread(t, o.p, o.d)
	if err := o.spend(o.sweep(in(1, "eth", 6))); !errors.Is(err, sos.ErrUsed) {
		t.Errorf("what a slot is for was forgotten: %v", err)
	}
	o.now += sos.SlotHeld - time.Nanosecond
	if err := o.spend(o.sweep(in(1, "eth", 4))); !errors.Is(err, sos.ErrUsed) {
		t.Errorf("before its time is over: %v", err)
	}
	o.now++
	last := o.sweep(in(1, "eth", 4)) // a token that moves no more holds up nothing for ever
	if err := o.spend(last); err != nil {
		t.Errorf("its time is over: %v", err)
	}
	if err := o.spend(o.sweep(in(3, "usd", 3))); !errors.Is(err, sos.ErrPlan) {
		t.Errorf("what may still take place was forgotten: %v", err)
	}
	settle := func(x sos.Outflow) bool {
		next, counted := o.d.Settle(x, o.r())
		o.d = reread(t, o.p, next)
		return counted
	}
	if x := o.sweep(in(9, "usd", 1)); settle(x) || settle(o.sweep(in(0, "usd", 1))) {
		t.Error("what was counted nowhere is settled")
	}
	bad := last
	bad.Flows = append(append([]sos.Flow{}, last.Flows...), sos.Flow{What: sos.Transfer, Asset: "eth", Amount: math.MaxInt64})
	if settle(bad); o.spend(o.sweep(in(3, "usd", 3))) == nil {
		t.Error("what cannot be added up freed a cap")
	}
	if !settle(last) || o.d.MayRun(sos.Sweep, last.Intent) == nil || o.d.MaySign(last) == nil {
		t.Error("what the chain took is signed again")
	}
	for _, x := range []sos.Outflow{last, o.sweep(in(1, "eth", 4)), o.sweep(in(1, "usd", 4))} {
		if err := o.spend(x); !errors.Is(err, sos.ErrUsed) || !strings.Contains(err.Error(), "for good") {
			t.Errorf("in a nonce that is gone: %v", err)
		}
		if settle(x) {
			t.Error("a nonce is settled twice")
		}
	}
	never := o.sweep(in(1, "usd", 48)) // others tell of what was allowed in its place
	o.d = reread(t, o.p, o.d.Left([]sos.Past{{Outflow: never, Grounds: []sos.Ground{{Request: o.q.ID, At: start.Add(o.now)}}}}))
	if err := o.spend(o.sweep(in(3, "usd", 50))); err != nil {
		t.Errorf("what never takes place counts on: %v", err)
	}
	if err := o.spend(o.sweep(in(4, "eth", 5))); !errors.Is(err, sos.ErrPlan) || !strings.Contains(err.Error(), "97 have") { // 4, 90, and three fees
		t.Errorf("what took place is forgotten: %v", err)
	}
}

// What took a nonce of a call, or after CLOSED, counts alone as well, whoever had counted it.
func TestSettledCallsAndTranches(t *testing.T) {
	call := func(n byte) func(*sos.Outflow) {
		return func(x *sos.Outflow) {
			x.Slot, x.Flows = [32]byte{n}, []sos.Flow{{What: sos.Call, To: "0x" + strings.Repeat("ab", 20), Data: []byte{1, 2, 3, 4}}, {What: sos.Fee, Asset: "eth", Amount: 1}}
		}
	}
	sweep := func(amount int64) func(*sos.Outflow) {
		return func(x *sos.Outflow) { x.Slot, x.Flows[0].Amount, x.Flows[1].Amount = [32]byte{1}, amount, 1 }
	}
	o := newOne(t, plan.Silence, nil).to(sos.Active)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	must(o.spend(o.sweep(call(1))))
	took := o.sweep(call(1))
	if o.d, _ = o.d.Settle(took, o.r()); !errors.Is(o.spend(o.sweep(call(2))), sos.ErrUsed) {
		t.Error("the call that took place does not count")
	}
	o = newOne(t, plan.Silence, nil).to(sos.Active)
	must(o.spend(o.sweep(call(1))))
	before := o.sweep(sweep(7)) // allowed by the ordinary rules, before the declaration
	o.d, _ = o.d.Settle(before, o.r())
	o.d = reread(t, o.p, o.d)
	must(o.spend(o.sweep(call(2)))) // a call that never takes place counts no more
	q := newOne(t, plan.Silence, nil).to(sos.Closed)
	must(q.spend(q.sweep(sweep(9)))) // 10 of 10
	small := q.sweep(sweep(3))
	must(q.spend(small))
	q.d, _ = q.d.Settle(small, q.r())
	q.d = reread(t, q.p, q.d)
	if q.d.MaySign(small) == nil || !errors.Is(q.spend(small), sos.ErrUsed) {
		t.Error("what the chain took after the lock-up is signed again")
	}
	next := sweep(6)
	if err := q.spend(q.sweep(func(x *sos.Outflow) { next(x); x.Slot[0] = 2 })); !errors.Is(err, sos.ErrPlan) {
		t.Errorf("4 and 7 of 10: %v", err)
	}
	next = sweep(5)
	must(q.spend(q.sweep(func(x *sos.Outflow) { next(x); x.Slot[0] = 2 })))
}

// After CLOSED, what leaves is in tranches: from the vault and its rescue vault together.
func TestTranches(t *testing.T) {
	o := newOne(t, plan.Silence, nil).to(sos.Closed)
	out := func(vault string, n int64) sos.Outflow {
		return o.sweep(func(x *sos.Outflow) {
			x.Flows[0].To, x.Flows[0].Amount, x.Flows[1].Amount, x.Vault = thief, n, 1, vault
			if vault == "rescue" {
				x.Key = [32]byte{8}
			}
		})
	}
	if err := o.spend(out("treasury", 6)); err != nil { // 7 with its fee, of 10
		t.Fatal(err)
	}
	if err := o.spend(out("rescue", 3)); !errors.Is(err, sos.ErrPlan) {
		t.Errorf("11 of 10: %v", err)
	}
	if err := o.spend(out("rescue", 2)); err != nil {
		t.Error(err)
	}
	o.wait(2*time.Minute - 1)
	if err := o.spend(out("treasury", 2)); !errors.Is(err, sos.ErrPlan) {
		t.Errorf("a nanosecond before the second period: %v", err)
	}
	o.wait(1)
	if err := o.spend(out("treasury", 9)); err != nil {
		t.Error(err)
	}
	o.now += 100 * time.Hour // the wall alone
	if err := o.spend(out("treasury", 9)); !errors.Is(err, sos.ErrPlan) {
		t.Errorf("S2, the wall went forward: %v", err)
	}
	o.now -= 100 * time.Hour
	o.wait(30 * time.Second) // loses what the clock went back
	o.wait(4 * time.Minute)
	if err := o.spend(out("treasury", 1<<50)); err != nil {
		t.Errorf("after the last period: %v", err)
	}
	early := newOne(t, plan.Silence, nil).to(sos.LockUp)
	early.do(sos.Freed{EarlyRelease: act.EarlyRelease{Head: early.q.Head(), Created: start.Add(early.now)}})
	early.do(early.closing())
	if early.state() != sos.Closed {
		t.Errorf("released early and closed: %s", early.state())
	}
	if err := early.spend(early.sweep(func(x *sos.Outflow) { x.Flows[0].To, x.Flows[0].Amount = thief, 1<<50 })); err != nil {
		t.Errorf("released early: %v", err)
	}
}

// A subject's own node declares nothing that its life would end: it goes by the others' last words.
func TestLiveTestAtASubject(t *testing.T) {
	for _, c := range []struct {
		self, trigger, step string
		want                bool
	}{
		{"cora", plan.Refusal, "declared", true}, {"cora", plan.Silence, "contest", true}, {"cora", plan.Silence, "active", true},
		{"cora", plan.Silence, "", false}, {"cora", plan.Silence, "lock-up", false}, {"cora", plan.Silence, "vetoed", false}, {"cora", plan.Silence, "expired", false},
		{"bolt", plan.Silence, "contest", false}, {"cora", plan.Compromise, "contest", false}, {"cora", plan.Legal, "contest", false},
	} {
		o := newOne(t, c.trigger, nil)
		d := sos.NewDocket(o.p, c.self)
		s, err := o.request(c.trigger, "g1").Statement(statement.Salt(o.id()))
		if err != nil {
			t.Fatal(err)
		}
		if d, _, err = d.Ask(s, o.r()); err != nil {
			t.Fatal(err)
		}
		q, _ := act.RequestOf(s)
		if c.step != "" {
			if d, _, err = d.Apply(sos.Stepped{Step: act.Step{Head: q.Head(), Operator: "acme", State: c.step, Created: start}}, o.r()); err != nil {
				t.Fatal(err)
			}
		}
		if got := d.MayRun(sos.LiveTest, q.ID) == nil; got != c.want {
			t.Errorf("%s heard that a %s request is %q: a live test: %t", c.self, c.trigger, c.step, got)
		}
		if d, _, err = d.Apply(sos.RolledBack{}, o.r()); err != nil || d.MayRun(sos.LiveTest, q.ID) == nil {
			t.Errorf("S2: %s was rolled back, and tests: %v", c.self, err)
		}
	}
}

// An export is cut of new shares alone: in ACTIVE once every key of the request has some, in LOCK-UP once one has.
func TestExportsOfNewShares(t *testing.T) {
	o := newTwo(t, nil).to(sos.Active)
	for i, c := range []struct {
		do   func()
		want bool
	}{
		{func() {}, false},
		{func() { o.do(o.reshared(o.keys[0], "acme", "bolt", "yara")) }, false},
		{func() { o.do(o.reshared(second, "acme", "bolt", "zoe")) }, true},
		{func() { o.wait(window) }, true},
	} {
		c.do()
		if got := o.d.MayChange(sos.ExportKey) == nil; got != c.want {
			t.Errorf("%d, %s: an export: %t", i, o.state(), got)
		}
		for w := sos.NewDestination; w < sos.ExportKey; w++ {
			if o.d.MayChange(w) == nil {
				t.Errorf("%d, %s: new shares allow change %d", i, o.state(), w)
			}
		}
	}
	one := newTwo(t, nil).to(sos.Active)
	one.do(one.reshared(second, "acme", "bolt", "zoe"))
	if one.wait(window); one.state() != sos.LockUp || one.d.MayChange(sos.ExportKey) != nil {
		t.Errorf("%s, one key is left: no export", one.state())
	}
	none := newTwo(t, nil).to(sos.Active)
	late := none.activation(1)
	none.do(late)
	if none.d.MayChange(sos.ExportKey) == nil {
		t.Error("an activation alone allows an export")
	}
}

// Which sessions and changes there may be in each state.
func TestGates(t *testing.T) {
	for _, c := range []struct {
		state                            sos.State
		ordinary, live, guarded, outflow bool
	}{
		{sos.Armed, true, false, false, true}, {sos.Declared, false, true, false, false}, {sos.Contest, false, true, false, false},
		{sos.Active, false, true, false, true}, {sos.LockUp, false, false, false, true}, {sos.Closed, true, false, false, false},
	} {
		o := newOne(t, plan.Refusal, nil).to(c.state)
		if got := o.d.MayRun(sos.Ordinary, statement.ID{}) == nil; got != c.ordinary {
			t.Errorf("%s: an ordinary session: %t", c.state, got)
		}
		for w := sos.NewDestination; w <= sos.ExportKey; w++ {
			if got := o.d.MayChange(w) == nil; got != (c.ordinary || w == sos.ExportKey && c.state == sos.LockUp) {
				t.Errorf("%s: change %d: %t", c.state, w, got)
			}
		}
		if got := o.d.MayRun(sos.LiveTest, o.q.ID) == nil; got != c.live {
			t.Errorf("%s: a live test: %t", c.state, got)
		}
		if o.d.MayRun(sos.LiveTest, statement.ID{1}) == nil {
			t.Errorf("%s: S9: a live test for nothing", c.state)
		}
		if got := o.d.MayRun(sos.Guarded, o.activation(1).ID) == nil; got != c.guarded {
			t.Errorf("%s: a guarded reshare that nobody gave to: %t", c.state, got)
		}
		if got := o.spend(o.sweep(nil)) == nil; got != c.outflow {
			t.Errorf("%s: a sweep: %t", c.state, got)
		}
		if subjects := o.d.Subjects(); (len(subjects) == 1) == c.ordinary {
			t.Errorf("%s: subjects %v", c.state, subjects)
		}
	}
	for _, trigger := range []string{plan.Compromise, plan.Legal} {
		o := newOne(t, trigger, nil).to(sos.Contest)
		if o.d.MayRun(sos.LiveTest, o.q.ID) == nil {
			t.Errorf("%s: a live test that cancels nothing", trigger)
		}
	}
	// A contributor runs the reshare after its release, a new member at once.
	o := newOne(t, plan.Silence, nil).to(sos.Active)
	a := o.activation(1)
	o.do(a)
	if o.d.MayRun(sos.Guarded, a.ID) == nil {
		t.Error("a contributor deals before its release")
	}
	q := sos.Question{Nonce: [32]byte{8}, Asked: o.r()}
	d, _, err := o.d.Release(a.ID, q, o.answers(q.Nonce), ownLog, o.r())
	if err != nil || d.MayRun(sos.Guarded, a.ID) != nil {
		t.Errorf("released: %v, %v", err, d.MayRun(sos.Guarded, a.ID))
	}
	o.d = d
	out := o.sweep(nil)
	if err := o.spend(out); err != nil || o.d.MayRun(sos.Sweep, out.Intent) != nil {
		t.Errorf("a sweep that was taken: %v, %v", err, o.d.MayRun(sos.Sweep, out.Intent))
	}
	o.do(sos.RolledBack{})
	if !errors.Is(o.d.MayRun(sos.Sweep, out.Intent), sos.ErrRolled) || !errors.Is(o.d.MayRun(sos.Guarded, a.ID), sos.ErrRolled) {
		t.Error("S2: a node that was rolled back signs")
	}
	if sos.FreezeBinds(sos.Guarded) || sos.FreezeBinds(sos.Sweep) || sos.FreezeBinds(sos.LiveTest) || !sos.FreezeBinds(sos.Ordinary) {
		t.Error("a freeze binds ordinary work alone")
	}
}

// Vetoes and cancellations, before and after parts were given.
func TestCancelling(t *testing.T) {
	veto := func(o *one, names ...string) (last error) {
		for _, g := range names {
			last = o.try(sos.Objected{Veto: act.Veto{ID: o.id(), Head: o.q.Head(), By: g, Created: start.Add(o.now)}})
		}
		return last
	}
	life := func(o *one) error {
		return o.try(sos.Lived{Alive: act.Alive{ID: o.id(), Head: o.q.Head(), Operator: "cora", Created: start.Add(o.now)}})
	}
	signed := func(o *one) error {
		return o.try(sos.SignedLive{Signed: act.Signed{ID: o.id(), Head: o.q.Head(), Operator: "cora", Created: start.Add(o.now)}})
	}
	for _, s := range []sos.State{sos.Armed, sos.Declared, sos.Contest, sos.Active} {
		o := newOne(t, plan.Silence, nil).to(s)
		if err := veto(o, "g3", "g4", "g4", "g4"); err != nil || o.state() != s {
			t.Errorf("%s, S8: two guardians, one of them often: %s, %v", s, o.state(), err)
		}
		if err := veto(o, "g5"); err != nil || o.state() != sos.Vetoed {
			t.Errorf("%s: three guardians: %s, %v", s, o.state(), err)
		}
		if err := veto(o, "g1"); !errors.Is(err, sos.ErrOver) {
			t.Errorf("%s: after the end: %v", s, err)
		}
		o = newOne(t, plan.Silence, nil).to(s)
		if err := life(o); err != nil || o.state() != s {
			t.Errorf("%s: life alone: %s, %v", s, o.state(), err)
		}
		if err := signed(o); err != nil || o.state() != sos.Vetoed {
			t.Errorf("%s: life and a signature: %s, %v", s, o.state(), err)
		}
	}
	for _, trigger := range []string{plan.Compromise, plan.Legal} {
		o := newOne(t, trigger, nil).to(sos.Contest)
		if life(o) == nil || signed(o) == nil || o.state() != sos.Contest {
			t.Errorf("%s: a coerced subject cancels: %s", trigger, o.state())
		}
	}
	o := newOne(t, plan.Compromise, func(p *plan.Plan) { p.Guardians[4].Organisations = append(p.Guardians[4].Organisations, "cora") }).to(sos.Contest)
	if err := veto(o, "g5"); !errors.Is(err, sos.ErrCoerced) {
		t.Errorf("a guardian of a coerced subject's organisation: %v", err)
	}
	if err := veto(o, "zoe"); !errors.Is(err, sos.ErrForeign) {
		t.Errorf("who is no guardian: %v", err)
	}
	// S4: after this node gave its part, it is late; the vault locks up at once, and nothing more is given.
	o = newOne(t, plan.Silence, nil).to(sos.Active)
	o.do(o.activation(1))
	q := sos.Question{Nonce: [32]byte{8}, Asked: o.r()}
	d, _, err := o.d.Release(o.activation(1).ID, q, o.answers(q.Nonce), ownLog, o.r())
	if err != nil {
		t.Fatal(err)
	}
	o.d = d
	o.do(o.activation(2))
	if err := veto(o, "g3", "g4", "g5"); err != nil || o.state() != sos.LockUp {
		t.Errorf("a late veto: %s, %v", o.state(), err)
	}
	if _, _, err := o.d.Release(o.activation(2).ID, q, o.answers(q.Nonce), ownLog, o.r()); !errors.Is(err, sos.ErrVetoed) {
		t.Errorf("another part after a late veto: %v", err)
	}
	if _, err := o.d.NoVeto(o.q.ID, "bolt", [32]byte{1}, ownLog, o.r()); !errors.Is(err, sos.ErrVetoed) {
		t.Errorf("a no-veto after a late veto: %v", err)
	}
	o.wait(lockUp)
	if o.state() != sos.Expired { // no new shares came of it
		t.Errorf("after the lock-up: %s", o.state())
	}
	// S5: what is locked has an end. And new shares that come after all lock it up again.
	o.do(sos.Reshared{Request: o.q.ID, Activation: o.activation(1).ID, Key: o.fresh(), Committee: []string{"acme", "yara"}, Threshold: 2})
	if o.state() != sos.LockUp || o.d.MayRun(sos.Ordinary, statement.ID{}) == nil {
		t.Errorf("new shares after the end: %s", o.state())
	}
	v := newOne(t, plan.Silence, nil).to(sos.Contest)
	_ = veto(v, "g1", "g2", "g3")
	v.do(sos.Reshared{Request: v.q.ID, Activation: statement.ID{1}, Key: v.fresh(), Committee: []string{"acme", "yara"}, Threshold: 2})
	if v.state() != sos.LockUp {
		t.Errorf("new shares of a vetoed request: %s", v.state())
	}
}

// What a declaration lacks, in words.
func TestLacks(t *testing.T) {
	o := newOne(t, plan.Silence, nil)
	lacks := func() string { return strings.Join(o.d.Lacks(o.q.ID, o.view(), o.r()), "; ") }
	if got := lacks(); got != "1 more live operator must support it (so far nobody); 3 more guardians must support it (so far nobody); guardians of 3 more organisations must support it" {
		t.Error(got)
	}
	v := o.view()
	v.Silent["cora"], v.Keys = silent-1, nil
	if got := strings.Join(o.d.Lacks(o.q.ID, v, o.r()), "; "); !strings.Contains(got, "cora has been silent for 1m59s here, 2m0s is needed") || !strings.Contains(got, "the vault's keys that its subjects hold a share of with one committee, in the epochs in force") {
		t.Error(got)
	}
	if err := o.support(act.Operator, "cora"); err == nil {
		t.Error("the subject supports its own removal, and counts")
	}
	for _, g := range []string{"g1", "g2", "g3"} {
		_ = o.support(act.Guardian, g)
	}
	if got := lacks(); got != "1 more live operator must support it (so far nobody)" {
		t.Error(got)
	}
	late := act.Support{ID: o.id(), Head: o.q.Head(), Role: act.Operator, By: "acme", Created: start.Add(o.now + 6*time.Minute)}
	if err := o.try(sos.Supported{Support: late}); !errors.Is(err, sos.ErrEarly) {
		t.Errorf("from the future: %v", err)
	}
	late.Created = o.q.Created.Add(-time.Second)
	if err := o.try(sos.Supported{Support: late}); !errors.Is(err, sos.ErrForeign) {
		t.Errorf("S6, before the request: %v", err)
	}
	o.wait(59 * time.Minute)
	if err := o.support(act.Operator, "acme"); err != nil || o.state() != sos.Armed {
		t.Fatal(err, o.state())
	}
	o.wait(30 * time.Second)
	if o.state() != sos.Declared || len(o.d.Lacks(o.q.ID, o.view(), o.r())) != 1 {
		t.Errorf("with all that it takes it is %s", o.state())
	}
	again := o.ask(plan.Silence, "g2")
	if got := strings.Join(o.d.Lacks(again.ID, o.view(), o.r()), "; "); !strings.Contains(got, "one at a time") || !strings.Contains(got, "this node knows 1") || strings.Contains(got, "SOS is refused") {
		t.Error(got)
	}
}

// Requests that are refused at once, and who asks twice.
func TestAsking(t *testing.T) {
	o := newOne(t, plan.Silence, nil)
	for name, c := range map[string]struct {
		change func(*act.Request)
		want   error
	}{
		"another vault":         {func(q *act.Request) { q.Vault[0] ^= 1 }, sos.ErrForeign},
		"S7, another charter":   {func(q *act.Request) { q.Charter[0] ^= 2 }, sos.ErrForeign},
		"REAL of a DRILL plan":  {func(q *act.Request) { q.Drill = false }, sos.ErrPlan},
		"from the future":       {func(q *act.Request) { q.Created, q.Expires = q.Created.Add(time.Hour), q.Expires.Add(time.Hour) }, sos.ErrEarly},
		"two of 3-of-3":         {func(q *act.Request) { q.Subjects = []string{"bolt", "cora"} }, sos.ErrPlan},
		"an unserved trigger":   {func(q *act.Request) { q.Trigger = plan.BelowThreshold }, sos.ErrPlan},
		"a subject of no vault": {func(q *act.Request) { q.Subjects = []string{"zoe"} }, sos.ErrPlan},
	} {
		q := o.request(plan.Silence, "g3")
		c.change(&q)
		s, err := q.Statement(statement.Salt{1})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := o.d.Ask(s, o.r()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range 100 { // one gathers support for each who asks
		o.now += time.Second
		o.ask(plan.Silence, "g1")
	}
	o.now += time.Second
	if n := len(o.d.Cases()); n != 1 {
		t.Errorf("%d requests of one guardian are kept", n)
	}
	for i := range 4 {
		o.ask(plan.Silence, fmt.Sprintf("g%d", i+1))
	}
	if n := len(o.d.Cases()); n != 4 {
		t.Errorf("%d requests of four guardians are kept", n)
	}
	if err := o.try(sos.Told{Request: statement.ID{1}}); !errors.Is(err, sos.ErrUnknown) {
		t.Error(err)
	}
}

// A new member for which the request is over takes part once all contributors gave: they cannot take it back. Its key of the ceremony serves until none can come any more.
func TestGuardedAfterTheEnd(t *testing.T) {
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
	o.do(a)
	if err := o.d.MayRun(sos.Guarded, a.ID); err != nil {
		t.Errorf("in ACTIVE: %v", err)
	}
	o.wait(window)
	if o.state() != sos.Expired {
		t.Fatalf("it is %s", o.state())
	}
	beyond := func(later time.Duration) bool {
		c, _ := o.d.Case(o.q.ID)
		return c.Beyond(start.Add(o.now+later), "yara")
	}
	for _, by := range []string{"acme", "bolt"} {
		if c, _ := o.d.Case(o.q.ID); c.AllGave(a.ID) || o.d.MayRun(sos.Guarded, a.ID) == nil {
			t.Errorf("before %s gave", by)
		}
		o.do(sos.Gave{Released: act.Released{ID: o.id(), Head: o.q.Head(), Operator: by, Activation: a.ID, Key: a.Key.Key, Attempt: 1}})
	}
	if c, _ := o.d.Case(o.q.ID); !c.AllGave(a.ID) || o.d.MayRun(sos.Guarded, a.ID) != nil || o.d.MayRun(sos.Guarded, o.activation(2).ID) == nil {
		t.Errorf("all gave: %v", o.d.MayRun(sos.Guarded, a.ID))
	}
	most := 2*trigger.Delay + sos.Slack + window + lockUp
	if beyond(most-time.Nanosecond) || !beyond(most) {
		t.Error("the bound is not twice the delay, 7 days, window and lock-up")
	}
	o.do(o.step("acme", "lock-up"))
	if beyond(0) {
		t.Error("two may go on")
	}
	o.now += time.Second
	o.do(o.step("acme", "expired"))
	if !beyond(0) {
		t.Error("bolt alone cannot finish it, and the key is kept")
	}
}
