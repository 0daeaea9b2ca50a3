package sos_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// What left without this docket's leave counts against caps and calls, once for each slot, and gives nobody leave: only by the plan that ruled, in the time of its request.
func TestLeftCountsAgainstCaps(t *testing.T) {
	slot := func(n byte, amount int64) func(*sos.Outflow) {
		return func(x *sos.Outflow) { x.Slot, x.Flows[0].Amount = [32]byte{n}, amount }
	}
	call := func(x *sos.Outflow) {
		x.Flows = []sos.Flow{{What: sos.Call, To: "0x" + strings.Repeat("AB", 20), Data: []byte{1, 2, 3, 4}}, {What: sos.Fee, Asset: "eth", Amount: 1}}
	}
	o := newOne(t, plan.Silence, nil).to(sos.Active)
	by := []sos.Ground{{}, {Request: o.q.ID, At: o.q.Created}}
	big, small := o.sweep(slot(1, 58)), o.sweep(slot(1, 8))
	o.d = o.d.Left([]sos.Past{{Outflow: big, Grounds: by}, {Outflow: small, Grounds: by}, {Outflow: big, Grounds: by}, {Outflow: o.sweep(call), Grounds: by}})
	if again := o.d.Left([]sos.Past{{Outflow: small, Grounds: by}}); !bytes.Equal(again.Bytes(), o.d.Bytes()) {
		t.Error("what is counted is counted again")
	}
	before := o.d.Bytes()
	if o.d.Left([]sos.Past{{Outflow: o.sweep(slot(1, 90)), Grounds: by}}); !bytes.Equal(o.d.Bytes(), before) {
		t.Error("a docket changed under its owner")
	}
	o.d = reread(t, o.p, o.d)
	if err := o.spend(o.sweep(slot(2, 38))); !errors.Is(err, sos.ErrPlan) || !strings.Contains(err.Error(), "61 have") { // 60 and the call's fee
		t.Errorf("101 of 100: %v", err)
	}
	if err := o.spend(o.sweep(call)); !errors.Is(err, sos.ErrUsed) {
		t.Errorf("a second call: %v", err)
	}
	thieves := o.sweep(func(x *sos.Outflow) { slot(1, 58)(x); x.Intent, x.Flows[0].To = big.Intent, thief })
	if err := o.d.MaySign(big); err == nil || o.d.MayRun(sos.Sweep, big.Intent) == nil || !errors.Is(o.spend(thieves), sos.ErrPlan) {
		t.Errorf("what others allowed is signed here without a look at it: %v", err)
	}
	if err := o.spend(big); err != nil || o.d.MayRun(sos.Sweep, big.Intent) != nil {
		t.Errorf("it is in its own way: %v", err)
	}
	if err := o.spend(o.sweep(slot(2, 37))); err != nil {
		t.Errorf("100 of 100: %v", err)
	}
}

func TestLeftOfOthersCountsForNothing(t *testing.T) {
	o := newOne(t, plan.Silence, nil).to(sos.Active)
	whole := func(change func(*sos.Past)) sos.Past {
		p := sos.Past{Outflow: o.sweep(func(x *sos.Outflow) { x.Flows[0].Amount = 98 }), Grounds: []sos.Ground{{Request: o.q.ID, At: o.q.Created}}}
		change(&p)
		return p
	}
	for name, p := range map[string]sos.Past{
		"without a ground":             whole(func(p *sos.Past) { p.Grounds = nil }),
		"by another request's plan":    whole(func(p *sos.Past) { p.Grounds[0].Request[0] ^= 1 }),
		"before the request":           whole(func(p *sos.Past) { p.Grounds[0].At = p.Grounds[0].At.Add(-time.Second) }),
		"by the ordinary rules before": whole(func(p *sos.Past) { p.Grounds[0] = sos.Ground{At: o.q.Created.Add(-time.Hour)} }),
		"no transaction":               whole(func(p *sos.Past) { p.Transaction = false }),
		"another vault's":              whole(func(p *sos.Past) { p.Vault, p.Key = "petty-cash", [32]byte{8} }),
	} {
		if next := o.d.Left([]sos.Past{p}); !bytes.Equal(next.Bytes(), o.d.Bytes()) {
			t.Errorf("%s: it is counted", name)
		}
	}
	over := whole(func(p *sos.Past) {
		p.Flows = append(p.Flows, sos.Flow{What: sos.Transfer, Asset: "eth", Amount: math.MaxInt64, To: thief})
	})
	o.d = o.d.Left([]sos.Past{over})
	if err := o.spend(o.sweep(func(x *sos.Outflow) { x.Flows[0].Amount = 2 })); !errors.Is(err, sos.ErrPlan) {
		t.Errorf("more than can be counted leaves room: %v", err)
	}
}

// Tranches: of the vault and its rescue vault together, from the declaration on; of a docket that was set back and has none any more, from the request on.
func TestLeftCountsAgainstTranches(t *testing.T) {
	past := func(o *one, at time.Duration, vault string) []sos.Past {
		p := sos.Past{Outflow: o.sweep(func(x *sos.Outflow) { x.Flows[0].To, x.Flows[0].Amount, x.Vault, x.Slot = thief, 7, vault, [32]byte{1} }), Grounds: []sos.Ground{{At: o.q.Created.Add(at)}}}
		if vault == "rescue" {
			p.Key = [32]byte{8}
		}
		return []sos.Past{p}
	}
	two := func(x *sos.Outflow) { x.Flows[0].To, x.Flows[0].Amount, x.Flows[1].Amount = thief, 1, 1 }
	for _, vault := range []string{"treasury", "rescue"} {
		o := newOne(t, plan.Silence, nil).to(sos.Closed)
		o.d = o.d.Left(past(o, time.Hour, vault)) // 9 of 10
		if err := o.spend(o.sweep(two)); !errors.Is(err, sos.ErrPlan) {
			t.Errorf("%s: 11 of 10: %v", vault, err)
		}
		o.wait(10 * time.Minute)
		if next := o.d.Left(past(o, 2*time.Hour, vault)); !bytes.Equal(next.Bytes(), o.d.Bytes()) {
			t.Errorf("%s: after the last tranche it is counted", vault)
		}
	}
	o := newOne(t, plan.Silence, nil)
	if next := o.d.Left(past(o, 0, "treasury")); !bytes.Equal(next.Bytes(), o.d.Bytes()) {
		t.Error("what is ordinary before a declaration is of the tranches")
	}
	o.do(sos.RolledBack{})
	if next := o.d.Left(past(o, 0, "treasury")); !bytes.Equal(next.Bytes(), o.d.Bytes()) {
		t.Error("of a request that only gathers support, all that is ordinary is of the tranches")
	}
	before := o.d.Bound()
	o.do(sos.Reshared{Request: o.q.ID, Activation: o.activation(1).ID, Key: o.fresh(), Committee: []string{"acme", "yara"}, Threshold: 2})
	if o.d.Bound() != before+1 {
		t.Error("what left is not counted anew when a request locks up")
	}
	if next := o.d.Left(past(o, -time.Second, "treasury")); !bytes.Equal(next.Bytes(), o.d.Bytes()) {
		t.Error("what left before the request is counted")
	}
	if next := o.d.Left(past(o, 0, "treasury")); bytes.Equal(next.Bytes(), o.d.Bytes()) {
		t.Error("a docket that may have lost its declaration counts nothing")
	}
	if id := (statement.ID{}); o.d.MayRun(sos.Sweep, id) == nil {
		t.Error("what no intent names may be signed")
	}
}
