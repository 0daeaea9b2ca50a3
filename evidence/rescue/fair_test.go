package rescue

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
)

const anywhere = "0x00000000000000000000000000000000000000cc"

// ordinary makes an outflow one of the old shares', that the ordinary rules allowed before the declaration.
func ordinary(o *Outflow) {
	o.Key, o.Threshold, o.Ruled, o.Allowed, o.To[0] = old, 3, statement.ID{}, nil, anywhere
}

// replaced is a tale of a sweep X whose nonce another transaction T took, told before the declaration, and of a second sweep: 90 of 100 each.
func replaced(t testing.TB, amount int64, change func(*Outflow)) *tale {
	w := begun(t).reshared()
	w.later(time.Minute)
	w.sweep(func(o *Outflow) {
		ordinary(o)
		o.Slot, o.Moves["eth"] = "nonce 0", amount
		for l := range o.Told {
			o.Told[l] = Place{0, w.now.Add(-400 * time.Hour)}
		}
	})
	w.sweep(func(o *Outflow) { o.Slot, o.Moves["eth"] = "nonce 0", 90 })
	w.takes(0)
	w.sweep(func(o *Outflow) { o.Moves["eth"] = 90 })
	if change != nil {
		change(&w.s.Outflows[0])
	}
	return w
}

// A docket counts what took a nonce, whoever asked for it and whenever, and frees what it had counted there (spec/sos 5.4): so does who judges it.
func TestWhatTookANonceCountsAlone(t *testing.T) {
	hidden := func(o *Outflow) { o.Hidden, o.Slot, o.Moves, o.To = true, "", nil, nil }
	for name, x := range map[string]struct {
		w         *tale
		found     string // who of; "": nobody
		attention bool
	}{
		"from before the declaration": {replaced(t, 1, nil), "", false},
		"of an older committee, of which fewer are left than signed": {replaced(t, 1, func(o *Outflow) {
			o.Taken = map[string]Place{"acme": o.Taken["acme"], "cora": o.Taken["cora"], "dora": o.Taken["dora"]}
			o.Threshold = 4
		}), "", false},
		"told in ACTIVE": {replaced(t, 1, func(o *Outflow) {
			for l := range o.Told {
				o.Told[l] = Place{75, noon.Add(72*time.Hour + time.Minute)}
			}
		}), "", false},
		"too large for what follows": {replaced(t, 11, nil), "emergency operator", false},
		"that nobody can count":      {replaced(t, 1, func(o *Outflow) { o.Unmeasured = "a token that the charter does not name" }), "emergency operator", false},
		"that one log tells of":      {replaced(t, 1, func(o *Outflow) { delete(o.Taken, "cora"); delete(o.Taken, "dora") }), "emergency operator", false},
		"withheld":                   {replaced(t, 1, hidden), "", true},
		"withheld, and more than one nonce could explain": {func() *tale {
			w := replaced(t, 1, hidden)
			w.sweep(func(o *Outflow) { o.Moves["eth"] = 90 })
			return w
		}(), "emergency operator", true},
		"withheld, of another vault": {replaced(t, 1, func(o *Outflow) { hidden(o); o.Vault = "petty-cash" }), "emergency operator", false},
		"which one node did not allow": {func() *tale {
			w := begun(t).reshared()
			w.sweep(func(o *Outflow) { o.Slot, o.Moves["eth"] = "nonce 0", 50; delete(o.Allowed, "acme") })
			w.sweep(func(o *Outflow) { o.Slot, o.Moves["eth"] = "nonce 0", 52 })
			w.takes(0)
			w.sweep(func(o *Outflow) { o.Moves["eth"] = 49 })
			return w
		}(), "", false},
		"a call in the nonce that another took": {func() *tale {
			w := begun(t)
			w.sweep(func(o *Outflow) {
				ordinary(o)
				o.Slot = "nonce 1"
				for l := range o.Told {
					o.Told[l] = Place{0, w.now.Add(-400 * time.Hour)}
				}
			})
			w.sweep(protect)
			w.takes(0)
			w.sweep(protect)
			return w
		}(), "", false},
		"a tranche in the nonce that another took": {func() *tale {
			w := whole(t)
			w.sweep(func(o *Outflow) {
				ordinary(o)
				o.Slot, o.Moves["eth"] = "nonce 2", 1
				for l := range o.Told {
					o.Told[l] = Place{0, w.now.Add(-800 * time.Hour)}
				}
			})
			w.out(8, nil)
			w.takes(1)
			w.out(9, nil)
			return w
		}(), "", false},
	} {
		v := x.w.judge()
		var found []string
		for _, f := range v.Findings {
			if f.Claim == claimCaps || f.Claim == claimTranches || strings.HasPrefix(f.Why, "call ") {
				found = append(found, strings.Fields(f.Subject)[0])
			}
		}
		slices.Sort(found)
		if got := strings.Join(slices.Compact(found), " "); got != x.found {
			t.Errorf("%s: found %q, want %q: %s", name, got, x.found, told(v))
		}
		if said := strings.Contains(strings.Join(v.Attention, "\n"), "what is withheld"); said != x.attention {
			t.Errorf("%s: %q", name, v.Attention)
		}
	}
}

// A subject that kept back the last message of a session from before the declaration brings the signature whenever it likes: nobody else did anything. What a node began since, or
// too few had begun before, is under the lock.
func TestASignatureThatWasKeptBack(t *testing.T) {
	before := func(names ...string) func(*Outflow) {
		return func(o *Outflow) {
			o.Sessions = map[string][]int{}
			for _, name := range names {
				o.Sessions[name] = []int{2, 5}
			}
		}
	}
	out := func(out func(*Outflow), change func(*Outflow)) *tale {
		w := begun(t)
		w.later(time.Hour)
		w.sweep(func(o *Outflow) {
			ordinary(o)
			out(o)
			change(o)
		})
		return w
	}
	own := func(*Outflow) {}
	for name, x := range map[string]struct {
		w     *tale
		found bool
	}{
		"in the logs of those who are left":       {out(own, before("acme", "cora")), false},
		"in the subject's too":                    {out(own, before("acme", "bolt", "cora")), false},
		"out of a rescue vault":                   {out(cellar, before("acme", "cora")), false},
		"in one log alone":                        {out(own, before("acme")), true},
		"in the subject's log alone":              {out(own, before("bolt")), true},
		"in no log":                               {out(own, before()), true},
		"out of a rescue vault, in one log alone": {out(cellar, before("cora")), true},
		"in the logs of those who are left, and in one again since": {out(own, func(o *Outflow) { before("acme", "cora")(o); o.Sessions["cora"] = append(o.Sessions["cora"], 1000) }), true},
		"since the declaration": {out(own, func(o *Outflow) {
			before("acme", "cora")(o)
			o.Sessions["acme"], o.Sessions["cora"] = []int{1000}, []int{1000}
		}), true},
	} {
		v := x.w.judge()
		if found := slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Claim == claimLock }); found != x.found || !found && len(v.Findings) > 0 {
			t.Errorf("%s: found %t: %s", name, found, told(v))
		}
		if said := strings.Contains(strings.Join(v.Attention, "\n"), "whose last message came late"); said == x.found {
			t.Errorf("%s: %q", name, v.Attention)
		}
	}
}

// renews begins a node's log anew from a copy of before all this: what stood in it is lost.
func (w *tale) renews(name string) {
	w.renewed[name] = w.now
	for _, s := range w.s.Said {
		delete(s.Told, name)
	}
	for _, e := range w.s.Epochs {
		delete(e.Told, name)
	}
}

// again has a log tell once more of what others brought back, in their order.
func (w *tale) again(name string, kinds ...statement.Kind) {
	for _, k := range kinds {
		for _, s := range w.s.Said {
			if _, told := s.Told[name]; !told && s.Statement.Kind() == k && len(s.Told) > 0 {
				w.leaf[name]++
				s.Told[name] = Place{10 * w.leaf[name], w.now}
			}
		}
	}
}

// A node that was set back counts anew, and its new log tells of its own words from before where they came back to it: that they stand in another place accuses it of nothing.
func TestWordsOfBeforeInANewLog(t *testing.T) {
	for name, x := range map[string]struct {
		before func(*tale)
		after  func(*tale)
	}{
		"it signed an activation": {func(w *tale) { w.activate("activation", nil) }, nil},
		"it gave its part": {func(w *tale) {
			w.activate("activation", nil)
			w.release("acme", nil)
		}, nil},
		"it gave two, and hears of them in another order": {func(w *tale) {
			w.activate("activation", nil)
			w.release("acme", nil)
			w.activate("later", func(a *act.Activation) { a.Attempt = 2 })
			w.release("acme", nil)
			w.s.Said[w.names["release acme"]], w.s.Said[w.names["release acme"]-8] = w.s.Said[w.names["release acme"]-8], w.s.Said[w.names["release acme"]]
		}, nil},
		"it gave, and new shares came since": {func(w *tale) {
			w.activate("activation", nil)
			w.release("acme", nil)
			w.release("cora", nil)
		}, func(w *tale) {
			w.inForce()
			w.step(lockUp, 0, live...)
		}},
		"new shares came, and it was set back since": {func(w *tale) {
			w.activate("activation", nil)
			w.release("acme", nil)
			w.release("cora", nil)
			w.inForce()
			w.step(lockUp, 0, live...)
		}, func(w *tale) {
			w.leaf["acme"]++
			w.s.Epochs[1].Told["acme"] = Place{10*w.leaf["acme"] - 45, w.now}
		}},
	} {
		w := begun(t)
		w.later(time.Second)
		x.before(w)
		w.later(time.Minute)
		w.renews("acme")
		w.again("acme", statement.SOSRequest, statement.SOSSupport)
		w.step(contest, 0, "acme")
		w.later(time.Second)
		w.again("acme", statement.SOSStep, statement.SOSSeat, statement.SOSActivation, statement.SOSNoVeto, statement.SOSReleased)
		if x.after != nil {
			x.after(w)
		}
		if v := w.judge(); len(v.Findings) > 0 {
			t.Errorf("%s: it is accused:\n%s", name, told(v))
		}
		w.renewed["acme"] = noon // what it says for the first time stands where it should
		if v := w.judge(); !strings.Contains(told(v), "operator acme") {
			t.Errorf("%s: a log that was begun anew before all that is believed", name)
		}
	}
}

// What one log tells and nobody signed makes unsure what that log's own node did, and excuses no other.
func TestGarbageInOneLogExcusesNobodyElse(t *testing.T) {
	for _, x := range []struct {
		garbage, broke string
		named          bool
	}{{"dora", "acme", true}, {"acme", "acme", false}} {
		w := begun(t)
		w.move(x.broke+" active", x.broke, func(p *Place) { p.At = p.At.Add(-time.Hour) })
		s, err := act.Veto{Head: w.q.Head(), By: "gina", Reason: "x", Created: w.now}.Statement(w.salt())
		w.say("garbage", s, err, [][]byte{{1}}, x.garbage)
		v := w.judge()
		if named := slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Subject == "operator "+x.broke }); named != x.named {
			t.Errorf("garbage in %s's log: %s is named %t: %s", x.garbage, x.broke, named, told(v))
		}
	}
}

// The same, where the copy is of ACTIVE: the new log begins with what the copy had, and the activation comes back between the two times that it is active.
func TestANewLogThatBeginsWithTheCopy(t *testing.T) {
	w := begun(t)
	w.activate("activation", nil)
	w.release("acme", nil)
	for _, name := range []string{"activation", "release acme"} {
		w.lose(name, "acme")
	}
	w.later(time.Minute)
	w.renewed["acme"] = w.now
	w.step(contest, 0, "acme")
	w.again("acme", statement.SOSActivation, statement.SOSReleased)
	w.later(72 * time.Hour)
	w.step(active, 72*time.Hour, "acme")
	if v := w.judge(); len(v.Findings) > 0 {
		t.Errorf("it is accused:\n%s", told(v))
	}
	w.renewed = nil
	if v := w.judge(); !strings.Contains(told(v), "operator acme") {
		t.Error("a log that was never begun anew is believed")
	}
}
