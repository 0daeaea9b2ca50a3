package rescue

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// protect makes an outflow of the old shares' that calls what the plan names.
func protect(o *Outflow) {
	o.To, o.Calls, o.Moves = nil, []Call{{"0x00000000000000000000000000000000000000bb", []byte{1, 2}}}, map[string]int64{"eth": 1}
}

// Every rule, broken once: the finding names the rule, and whom the logs accuse.
func TestEveryBrokenRuleIsFound(t *testing.T) {
	second := func(w *tale) { w.request("second", func(r *act.Request) { r.Number, r.Previous = 1, w.q.ID }) }
	for name, x := range map[string]struct {
		tell       func(*testing.T) *tale
		who, claim string
	}{
		// Who spoke.
		"a request that another signed": {func(t *testing.T) *tale {
			w := begun(t)
			w.s.Said[0].Signatures = w.byPerson(w.s.Said[0].Statement, "gene")
			return w
		}, "emergency", claimWho},
		"a request in the other mode": {func(t *testing.T) *tale {
			w := begun(t)
			w.request("drill", func(r *act.Request) { r.Drill = true })
			return w
		}, "emergency", claimWho},
		"a support in the other mode": {func(t *testing.T) *tale {
			w := begun(t)
			h := w.q.Head()
			h.Drill = true
			s, err := act.Support{Head: h, Role: act.Guardian, By: "gina", Created: w.now}.Statement(w.salt())
			w.say("drilled", s, err, w.byPerson(s, "gina"), live...)
			return w
		}, "emergency", claimWho},
		"a stranger's support": {func(t *testing.T) *tale {
			w := begun(t)
			s, err := act.Support{Head: w.q.Head(), Role: act.Guardian, By: "gina", Created: w.now}.Statement(w.salt())
			w.say("forged", s, err, w.byPerson(s, "acme"), live...)
			return w
		}, "emergency", claimWho},
		"something about no request": {func(t *testing.T) *tale {
			w := begun(t)
			h := w.q.Head()
			h.Request = statement.ID{66}
			s, err := act.Veto{Head: h, By: "gina", Reason: "x", Created: w.now}.Statement(w.salt())
			w.say("astray", s, err, w.byPerson(s, "gina"), live...)
			return w
		}, "emergency", claimWho},

		// The start.
		"no guardian's support before": {func(t *testing.T) *tale {
			w := begun(t)
			w.move("support gene", "acme", func(p *Place) { p.Leaf = 1000 })
			return w
		}, "operator acme", claimStart},
		"no operator's support before": {func(t *testing.T) *tale {
			w := begun(t)
			w.unsaid("support acme", "support cora")
			return w
		}, "operator cora", claimStart},
		"supports of one organisation": {func(t *testing.T) *tale {
			w, p := begun(t), people(t)
			p.Guardians[1].Organisation = p.Guardians[0].Organisation
			w.s.Plan = func(act.Request) (plan.Plan, error) { return p, nil }
			return w
		}, "operator dora", claimStart},
		"a guardian that is bound to the subject": {func(t *testing.T) *tale {
			w, p := begun(t), people(t)
			p.Guardians[1].Organisations = []string{"bolt"}
			w.s.Plan = func(act.Request) (plan.Plan, error) { return p, nil }
			return w
		}, "operator acme", claimStart},
		"a subject that lived": {func(t *testing.T) *tale {
			w := begun(t)
			w.s.Heard = func(log, subject string, leaf int) time.Time {
				if log == "cora" {
					return noon.Add(-time.Hour)
				}
				return noon.Add(-200 * time.Hour)
			}
			return w
		}, "operator cora", claimStart},
		"another charter": {func(t *testing.T) *tale {
			w := begun(t)
			w.s.Charter = func(log string, _ int) statement.ID { return statement.ID{7} }
			return w
		}, "operator acme", claimStart},
		"another epoch": {func(t *testing.T) *tale {
			w := begun(t)
			w.s.Current = func(string, [32]byte, int) [32]byte { return [32]byte{99} }
			return w
		}, "operator acme", claimStart},
		"a key of the same committee left out": {func(t *testing.T) *tale { return twoKeys(t, nil, false) }, "operator acme", claimStart},
		"a key of another committee named":     {func(t *testing.T) *tale { return twoKeys(t, elsewhere, true) }, "operator acme", claimStart},
		"two open at once": {func(t *testing.T) *tale {
			w := begun(t)
			second(w)
			for _, g := range []string{"gail", "gene"} {
				w.support(act.Guardian, g)
			}
			w.support(act.Operator, "acme")
			w.step(declared, 0, "acme")
			return w
		}, "operator acme", claimOne},

		"another beside a lock-up, an hour before its time is over": {func(t *testing.T) *tale { return another1(t, lockedFor-time.Hour) }, "operator acme", claimOne},
		"closed by nobody, and no other emergency led its keys on": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			w.later(lockedFor + time.Hour)
			w.step(closed, 80*time.Hour+lockedFor+time.Hour, live...)
			return w
		}, "operator acme", claimClose},

		// Steps and time.
		"active at once": {func(t *testing.T) *tale {
			w := begun(t)
			w.move("acme active", "acme", func(p *Place) { p.At = p.At.Add(-time.Hour) })
			return w
		}, "operator acme", claimTime},
		"active by a credit that is too small": {func(t *testing.T) *tale {
			w := begun(t)
			w.unsaid("acme active")
			w.step(active, 72*time.Hour-time.Second, "acme")
			return w
		}, "operator acme", claimTime},
		"active without the delay's beginning": {func(t *testing.T) *tale {
			w := begun(t)
			w.unsaid("cora contest")
			return w
		}, "operator cora", claimSteps},
		"active without consent": {func(t *testing.T) *tale {
			w := begun(t)
			w.move("support cora", "cora", func(p *Place) { p.Leaf = 1000 })
			return w
		}, "operator cora", claimPart},
		"active over vetoes": {func(t *testing.T) *tale {
			w := begun(t)
			w.veto("gail", live...)
			w.veto("gina", live...)
			w.move("veto gail", "acme", func(p *Place) { p.Leaf = 71 })
			w.move("veto gina", "acme", func(p *Place) { p.Leaf = 72 })
			return w
		}, "operator acme", claimVeto},
		"vetoed by one": {func(t *testing.T) *tale {
			w := begun(t)
			w.veto("gail", live...)
			w.step(vetoed, time.Hour, "dora")
			return w
		}, "operator dora", claimVeto},
		"a step that its own log hides": {func(t *testing.T) *tale {
			w := begun(t)
			w.lose("acme active", "acme")
			return w
		}, "operator acme", claimSteps},
		"a step that another log hides": {func(t *testing.T) *tale {
			w := begun(t)
			w.lose("acme active", "dora")
			return w
		}, "emergency", claimAll},
		"a veto that stands in one log only": {func(t *testing.T) *tale {
			w := begun(t)
			w.veto("gina", "dora")
			return w
		}, "emergency", claimAll},

		// Activations and parts.
		"an activation before its time": {func(t *testing.T) *tale {
			w := begun(t)
			w.activate("activation", nil)
			w.move("activation", "acme", func(p *Place) { p.Leaf = 5 })
			return w
		}, "operator acme", claimPart},
		"one contributor too many": {func(t *testing.T) *tale {
			w, p := begun(t), people(t)
			p.Live = 1
			w.s.Plan = func(act.Request) (plan.Plan, error) { return p, nil }
			w.activate("activation", nil)
			return w
		}, "emergency", claimFollow},
		"a threshold that is too low": {func(t *testing.T) *tale {
			w, p := begun(t), people(t)
			p.Least = 3
			w.s.Plan = func(act.Request) (plan.Plan, error) { return p, nil }
			w.activate("activation", nil)
			return w
		}, "emergency", claimFollow},
		"a member that is no successor": {func(t *testing.T) *tale {
			w, p := begun(t), people(t)
			p.Successors = nil
			w.s.Plan = func(act.Request) (plan.Plan, error) { return p, nil }
			w.activate("activation", nil)
			return w
		}, "emergency", claimFollow},
		"the subject is a member": {func(t *testing.T) *tale {
			w := begun(t)
			w.activate("activation", func(a *act.Activation) {
				a.Members = append([]act.Member{a.Members[0], {Operator: "bolt", Party: w.s.Party("bolt"), Index: 9, Encryption: [32]byte{9}}}, a.Members[1:]...)
				a.Threshold = 3
			})
			return w
		}, "emergency", claimFollow},
		"an index that was another's": {func(t *testing.T) *tale {
			w := begun(t)
			w.activate("activation", func(a *act.Activation) { a.Members[2].Index = 2 })
			return w
		}, "emergency", claimFollow},
		"a key of the ceremony that is made up": {func(t *testing.T) *tale {
			w := begun(t)
			w.activate("activation", func(a *act.Activation) { a.Members[2].Encryption = [32]byte{9} })
			return w
		}, "emergency", claimFollow},
		"a key of the ceremony for another attempt": {func(t *testing.T) *tale {
			w := begun(t)
			w.sit("dora", 2)
			w.activate("activation", nil)
			w.unsaid("seat dora 1")
			return w
		}, "emergency", claimFollow},
		"another's party": {func(t *testing.T) *tale {
			w := begun(t)
			w.activate("activation", func(a *act.Activation) { a.Members[2].Party = [16]byte{5} })
			return w
		}, "emergency", claimFollow},
		"a part over vetoes": {func(t *testing.T) *tale {
			w := begun(t)
			w.activate("activation", nil)
			w.veto("gail", live...)
			w.veto("gina", live...)
			w.release("acme", nil)
			return w
		}, "operator acme", claimVeto},
		"a part before its time": {func(t *testing.T) *tale {
			w := begun(t)
			w.activate("activation", nil)
			w.release("acme", func(v *act.Released) { v.Credited = time.Hour })
			return w
		}, "operator acme", claimTime},
		"a part behind the window": {func(t *testing.T) *tale {
			w := begun(t)
			w.activate("activation", nil)
			w.later(73 * time.Hour)
			w.release("acme", nil)
			return w
		}, "operator acme", claimTime},
		"a part without anybody's no-veto": {func(t *testing.T) *tale {
			w := begun(t)
			w.activate("activation", nil)
			w.release("acme", func(v *act.Released) { v.NoVetos = nil })
			return w
		}, "operator acme", claimPart},
		"a part on a no-veto that nobody shows": {func(t *testing.T) *tale {
			w := begun(t)
			w.activate("activation", nil)
			w.release("acme", func(v *act.Released) { v.NoVetos[0] = statement.ID{} })
			return w
		}, "operator acme", claimPart},
		"a part on another's answers": {func(t *testing.T) *tale {
			w := begun(t)
			w.activate("activation", nil)
			w.release("acme", nil)
			answers := w.s.Said[w.names["release acme"]].Statement.Fields().All("no-veto")
			w.release("cora", func(v *act.Released) {
				for i := range v.NoVetos {
					id, err := statement.ParseID(answers[i])
					if err != nil {
						t.Fatal(err)
					}
					v.NoVetos[i] = id
				}
			})
			return w
		}, "operator cora", claimPart},
		"a part for no activation": {func(t *testing.T) *tale {
			w := begun(t)
			w.activate("activation", nil)
			w.release("acme", func(v *act.Released) { v.Activation = statement.ID{4} })
			return w
		}, "operator acme", claimPart},
		"an earlier attempt after a later one": {func(t *testing.T) *tale {
			w := begun(t)
			w.activate("activation", func(a *act.Activation) { a.Attempt = 2 })
			w.release("acme", nil)
			w.activate("earlier", nil)
			w.release("acme", nil)
			return w
		}, "operator acme", claimPart},

		// New shares.
		"an epoch without its activation": {func(t *testing.T) *tale {
			w := whole(t)
			w.unsaid("activation")
			return w
		}, "epoch 1", claimEpoch},
		"an epoch without a contributor's part": {func(t *testing.T) *tale {
			w := whole(t)
			w.unsaid("release cora")
			return w
		}, "epoch 1", claimEpoch},
		"an epoch of other members": {func(t *testing.T) *tale {
			w := whole(t)
			w.s.Epochs[1].Members[2] = w.seat("erin", 4)
			return w
		}, "epoch 1", claimEpoch},
		"an epoch with another threshold": {func(t *testing.T) *tale {
			w := whole(t)
			w.s.Epochs[1].Threshold = 3
			return w
		}, "epoch 1", claimEpoch},
		"an epoch that was there before the part": {func(t *testing.T) *tale {
			w := whole(t)
			w.s.Epochs[1].Told["cora"] = Place{95, noon.Add(72 * time.Hour)}
			return w
		}, "operator cora", claimPart},
		"an epoch at a node that never was active": {func(t *testing.T) *tale {
			w := whole(t)
			w.unsaid("cora active")
			return w
		}, "operator cora", claimTime},

		// The lock, and the end.
		"a transfer out": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			w.sweep(func(o *Outflow) { o.To[0] = "0x00000000000000000000000000000000000000cc" })
			return w
		}, "request", claimLock},
		"a transfer to the rescue address's twin on another chain": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			w.sweep(func(o *Outflow) { o.Chain = "eip155:2" })
			return w
		}, "request", claimLock},
		"another call": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			w.sweep(func(o *Outflow) {
				o.To, o.Calls = nil, []Call{{"0x00000000000000000000000000000000000000bb", []byte{1, 3}}}
			})
			return w
		}, "request", claimLock},
		"a call too often": {func(t *testing.T) *tale {
			w := begun(t)
			for range 2 { // the plan allows one
				w.sweep(protect)
			}
			return w
		}, "emergency", claimLock},
		"a call in lock-up": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			w.sweep(protect)
			return w
		}, "operator acme", claimLock},
		"a sweep that was allowed before its time": {func(t *testing.T) *tale {
			w := begun(t)
			w.sweep(func(o *Outflow) { o.Key, o.Threshold, o.Allowed["cora"] = old, 3, Place{65, w.now} })
			return w
		}, "operator cora", claimLock},
		"more than the cap, in parts": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			for range 3 { // 41 each, of 100
				w.sweep(nil)
			}
			return w
		}, "emergency", claimCaps},
		"more than the cap, by one nonce and another": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			for _, n := range []int64{60, 20} {
				w.sweep(func(o *Outflow) { o.Slot, o.Moves["eth"] = "nonce 0", n })
			}
			w.sweep(nil)
			return w
		}, "emergency", claimCaps},
		"more than the cap, by what too few say that the chain did not take": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			w.sweep(func(o *Outflow) { o.Slot, o.Moves["eth"] = "nonce 0", 90 })
			w.sweep(func(o *Outflow) { o.Slot, o.Moves["eth"] = "nonce 0", 7 })
			w.takes(1)
			w.sweep(nil)
			for _, name := range live[1:] {
				delete(w.s.Outflows[1].Taken, name)
			}
			return w
		}, "emergency", claimCaps},
		"more than the cap, before the chain took less": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			for _, n := range []int64{90, 7} {
				w.sweep(func(o *Outflow) { o.Slot, o.Moves["eth"] = "nonce 0", n })
			}
			w.sweep(nil)
			w.takes(1)
			return w
		}, "operator acme", claimCaps},
		"more than the cap, where the chain is said to have taken two": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			for _, n := range []int64{90, 7} {
				w.sweep(func(o *Outflow) { o.Slot, o.Moves["eth"] = "nonce 0", n })
			}
			w.takes(0)
			w.takes(1)
			w.sweep(nil)
			return w
		}, "emergency", claimCaps},
		"what no cap can count": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			w.sweep(func(o *Outflow) { o.Moves, o.Unmeasured = nil, "a token that the charter does not name" })
			return w
		}, "request", claimCaps},
		"out of a rescue vault": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			w.later(time.Hour)
			w.out(1, func(o *Outflow) { o.Vault, o.Key = "cellar", act.Key{Key: [32]byte{7}} })
			return w
		}, "request", claimLock},
		"out of a rescue vault, just before the lock-up's time is over": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			w.later(lockedFor - time.Hour)
			w.out(1, cellar)
			return w
		}, "request", claimLock},
		"to elsewhere, though the lock-up's time is over: nobody closed it": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			w.later(lockedFor + time.Hour)
			w.out(1, nil)
			return w
		}, "request", claimLock},
		"more than a tranche of the rescue vault, after a lock-up that nobody closed": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			w.later(lockedFor + time.Hour)
			w.out(6, cellar)
			w.out(5, cellar)
			return w
		}, "emergency", claimTranches},
		"more than two tranches, the first before the closing": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			w.later(lockedFor + time.Hour)
			w.out(10, cellar)
			w.later(24 * time.Hour)
			w.close(nil, live...)
			w.step(closed, 80*time.Hour+15*24*time.Hour, live...)
			w.out(11, nil)
			return w
		}, "emergency", claimTranches},
		"out before the record lets go": {func(t *testing.T) *tale {
			w := whole(t)
			w.s.Epochs[1].Until = w.now.Add(time.Hour)
			w.out(1, nil)
			return w
		}, "request", claimLock},
		"more than a tranche": {func(t *testing.T) *tale {
			w := whole(t)
			w.out(6, nil)
			w.out(5, nil)
			return w
		}, "emergency", claimTranches},
		"more than two tranches on the second day": {func(t *testing.T) *tale {
			w := whole(t)
			w.out(10, nil)
			w.later(24 * time.Hour)
			w.out(11, nil)
			return w
		}, "emergency", claimTranches},
		"more than a tranche, by way of the rescue vault": {func(t *testing.T) *tale {
			w := whole(t)
			w.out(6, nil)
			w.out(5, func(o *Outflow) { o.Vault, o.Key = "cellar", act.Key{Key: [32]byte{7}} })
			return w
		}, "emergency", claimTranches},

		// Challenges.
		"a refusal of no challenge": {func(t *testing.T) *tale {
			return refused(t, nil, func(r *act.Request) { r.Challenge = statement.ID{3} })
		}, "emergency", claimCalled},
		"a refusal that no log shows": {func(t *testing.T) *tale {
			w := refused(t, nil, nil)
			w.unsaid("challenge")
			return w
		}, "operator acme", claimStart},
		"a refusal of another's challenge": {func(t *testing.T) *tale {
			return refused(t, func(v *act.Challenge) { v.Operator = "cora" }, nil)
		}, "emergency", claimCalled},
		"a challenge that a stranger signed": {func(t *testing.T) *tale {
			w := refused(t, nil, nil)
			i := w.names["challenge"]
			w.s.Said[i].Signatures = w.byPerson(w.s.Said[i].Statement, "dora")
			return w
		}, "emergency", claimCalled},
		"a challenge of the day before": {func(t *testing.T) *tale {
			w := refused(t, nil, nil)
			w.move("challenge", "cora", func(p *Place) { p.At = p.At.Add(25 * time.Hour) })
			return w
		}, "operator cora", claimStart},
		"a refusal, and the vault signed since": {func(t *testing.T) *tale {
			w := refused(t, nil, nil)
			at := w.s.Said[w.names["challenge"]].Told["dora"]
			w.s.Outflows = []Outflow{{Intent: statement.ID{70}, Key: old, Threshold: 3, Told: map[string]Place{"dora": {at.Leaf + 1, at.At.Add(time.Hour)}}}}
			return w
		}, "operator dora", claimStart},
		"a proof": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			w.sweep(func(o *Outflow) { o.To, o.Other = nil, "its purpose is proof" })
			return w
		}, "request", claimLock},
		"a transfer out by the old shares": {func(t *testing.T) *tale {
			w := begun(t)
			w.sweep(func(o *Outflow) { o.Key, o.Threshold, o.To[0] = old, 3, "0x00000000000000000000000000000000000000cc" })
			return w
		}, "request", claimLock},
		"closed by some": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			return w.ended(nil, "acme")
		}, "operator acme", claimClose},
		"declared without a key of which the subject holds a share": {func(t *testing.T) *tale {
			w := begun(t)
			w.s.Epochs = append(w.s.Epochs, Epoch{Key: another, Threshold: 3, Members: w.s.Epochs[0].Members})
			return w
		}, "operator acme", claimStart},
		"closed by one, and one who holds nothing": {func(t *testing.T) *tale {
			return begun(t).reshared().ended(nil, "acme", "bolt")
		}, "operator acme", claimClose},
		"closed by a closing that leaves a key with new shares out": {func(t *testing.T) *tale {
			return begun(t, another).second().reshared().ended(nil, live...)
		}, "operator acme", claimClose},
		"closed with a key that has no new shares": {func(t *testing.T) *tale {
			return begun(t, another).reshared().ended(func(c *act.Close) { c.Keys = append(c.Keys, act.Backed{Key: another, Backups: [32]byte{21}}) }, live...)
		}, "emergency", claimClose},
		"closed too early": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			w.close(nil, live...)
			w.step(closed, 80*time.Hour+14*24*time.Hour, live...)
			return w
		}, "operator dora", claimTime},
		"closed with other backups": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			w.later(14 * 24 * time.Hour)
			w.close(func(c *act.Close) { c.Keys[0].Backups = [32]byte{5} }, live...)
			return w
		}, "emergency", claimClose},
		"closed in another epoch": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			w.later(14 * 24 * time.Hour)
			w.close(func(c *act.Close) { c.Keys[0].Epoch = [32]byte{5} }, live...)
			return w
		}, "emergency", claimClose},
		"closed without a drill": {func(t *testing.T) *tale {
			w := begun(t).reshared()
			w.later(14 * 24 * time.Hour)
			w.close(func(c *act.Close) { c.Drill = [32]byte{} }, live...)
			return w
		}, "emergency", claimClose},
		"lock-up out of nothing": {func(t *testing.T) *tale {
			w := begun(t)
			w.unsaid("dora active")
			w.step(lockUp, 80*time.Hour, "dora")
			return w
		}, "operator dora", claimSteps},
	} {
		t.Run(name, func(t *testing.T) {
			v := x.tell(t).judge()
			for _, f := range v.Findings {
				if strings.HasPrefix(f.Subject, x.who) && f.Claim == x.claim {
					return
				}
			}
			t.Errorf("%s: %s: is not found; told was:\n%s", x.who, x.claim, told(v))
		})
	}
}

// What a log's host withholds accuses no operator: the finding is about what is shown.
func TestWithheldAccusesNobody(t *testing.T) {
	w := begun(t)
	w.unsaid("support gene")
	w.s.Withheld = true
	v := w.judge()
	for _, f := range v.Findings {
		if strings.HasPrefix(f.Subject, "operator ") {
			t.Errorf("%s: %s: %s", f.Subject, f.Claim, f.Why)
		}
	}
	if len(v.Findings) == 0 {
		t.Error("nothing is said of it")
	}
}

// After an early release, or once it is closed, what leaves is the charter's affair again.
func TestWhatLeavesAfterwards(t *testing.T) {
	w := whole(t)
	w.out(9, nil)
	if v := w.judge(); len(v.Findings) > 0 {
		t.Errorf("closed: %s", told(v))
	}
	w = begun(t).reshared()
	s, err := act.EarlyRelease{Head: w.q.Head(), Reason: "all is well", Created: w.now}.Statement(w.salt())
	w.say("early release", s, err, w.byPerson(s, live...), live...)
	w.out(1000, nil)
	if v := w.judge(); len(v.Findings) > 0 || !v.Cases[0].Freed {
		t.Errorf("released: %s", told(v))
	}
	w = begun(t).reshared()
	w.sweep(func(o *Outflow) { o.Hidden = true })
	if v := w.judge(); len(v.Findings) > 0 || v.Judged != 0 || !strings.Contains(strings.Join(v.Attention, "\n"), "withheld") {
		t.Errorf("withheld: %s %v", told(v), v.Attention)
	}
}

// twoKeys is a tale of a vault with a second key, which its request names or not.
func twoKeys(t testing.TB, second func(w *tale, e *Epoch), named bool) *tale {
	return upToActive(t, func(w *tale) {
		e := w.s.Epochs[0]
		e.Key = another
		if second != nil {
			second(w, &e)
		}
		w.s.Epochs = append(w.s.Epochs, e)
	}, func(q *act.Request) {
		if named {
			q.Keys = append(q.Keys, another)
		}
	})
}

// elsewhere: an emergency before led that key to another committee, in which the one that is lost sits as well.
func elsewhere(w *tale, e *Epoch) {
	e.Threshold, e.Members = 2, []Seat{w.seat("acme", 1), w.seat("bolt", 2), w.seat("dora", 4)}
}

// another1 is a tale of a lock-up that nobody closes, and of a request that acme declares beside it.
func another1(t testing.TB, after time.Duration) *tale {
	w := begun(t).reshared()
	w.later(after)
	w.request("second", func(r *act.Request) { r.Number, r.Previous, r.Keys = 1, w.q.ID, []act.Key{fresh} })
	w.s.Current = func(_ string, _ [32]byte, leaf int) [32]byte {
		if leaf > w.s.Said[w.names["second"]].Told["acme"].Leaf {
			return fresh.Epoch
		}
		return old.Epoch
	}
	for _, g := range []string{"gail", "gina", "gene"} {
		w.support(act.Guardian, g)
	}
	w.support(act.Operator, "acme")
	w.step(declared, 0, "acme")
	return w
}

// lockedFor is the lock-up of the sample plan.
const lockedFor = 14 * 24 * time.Hour

func cellar(o *Outflow) { o.Vault, o.Key = "cellar", act.Key{Key: [32]byte{7}} }

// What the plan lets leave, to its last unit: caps, tranches and calls that are kept accuse nobody.
func TestExactlyWhatThePlanLetsLeave(t *testing.T) {
	for name, w := range map[string]*tale{
		"the cap, over one nonce that was asked for again": func() *tale {
			w := begun(t).reshared()
			for _, n := range []int64{41, 59, 7} { // a chain takes one of these
				w.sweep(func(o *Outflow) { o.Slot, o.Moves["eth"] = "nonce 0", n })
			}
			w.sweep(nil)
			return w
		}(),
		"the cap, once the chain took the smaller one": func() *tale {
			w := begun(t).reshared()
			for _, n := range []int64{90, 59} {
				w.sweep(func(o *Outflow) { o.Slot, o.Moves["eth"] = "nonce 0", n })
			}
			w.takes(1)
			w.sweep(nil)
			return w
		}(),
		"a call that the chain did not take, and another": func() *tale {
			w := begun(t)
			w.sweep(func(o *Outflow) { protect(o); o.Slot = "nonce 0" })
			w.sweep(func(o *Outflow) { o.Slot = "nonce 0" })
			w.takes(1)
			w.sweep(protect)
			return w
		}(),
		"one call, asked for again": func() *tale {
			w := begun(t)
			for range 2 {
				w.sweep(func(o *Outflow) { protect(o); o.Slot = "nonce 0" })
			}
			return w
		}(),
		"a call that was allowed in ACTIVE and signed in lock-up": func() *tale {
			w := begun(t)
			w.sweep(protect)
			w.activate("activation", nil)
			w.release("acme", nil)
			w.step(lockUp, 73*time.Hour, live...)
			for _, l := range live {
				w.leaf[l]++
				w.s.Outflows[0].Told[l] = Place{10 * w.leaf[l], w.now}
			}
			return w
		}(),
		"tranches": func() *tale {
			w := whole(t)
			w.out(4, nil)
			w.out(6, cellar)
			w.later(24 * time.Hour)
			w.out(10, nil)
			w.later(24 * time.Hour)
			w.out(10, nil)
			w.later(24 * time.Hour)
			w.out(1000, nil)
			return w
		}(),
		"tranches of the rescue vault, after a lock-up that nobody closed, and then one of the vault": func() *tale {
			w := begun(t).reshared()
			w.later(lockedFor)
			w.out(10, cellar)
			w.later(24 * time.Hour)
			w.out(4, cellar)
			w.close(nil, live...)
			w.step(closed, 80*time.Hour+15*24*time.Hour, live...)
			w.out(6, nil)
			return w
		}(),
		"a sweep that was counted before it was closed": func() *tale {
			w := begun(t).reshared()
			w.later(14 * 24 * time.Hour)
			w.close(nil, live...)
			w.sweep(nil)
			w.step(closed, 80*time.Hour+14*24*time.Hour, live...)
			for _, l := range live {
				w.leaf[l]++
				w.s.Outflows[0].Told[l] = Place{10 * w.leaf[l], w.now}
			}
			return w
		}(),
		"a lock-up that began before there were new shares": func() *tale {
			w := whole(t)
			e := &w.s.Epochs[1]
			e.Until = e.Until.Add(2 * time.Hour)
			for _, l := range live {
				at := w.s.Said[w.names[l+" "+lockUp]].Told[l]
				e.Told[l] = Place{at.Leaf + 1, at.At}
			}
			w.out(1, nil)
			return w
		}(),
		"another beside a lock-up that nobody closed in its time":                            another1(t, lockedFor),
		"a key of another committee in which the subject sits, left to a request of its own": twoKeys(t, elsewhere, false),
		"two keys of one committee": twoKeys(t, nil, true),
		"out of another vault": func() *tale {
			w := begun(t).reshared()
			w.later(time.Hour)
			w.out(1, func(o *Outflow) { cellar(o); o.Vault = "petty-cash" })
			return w
		}(),
		"a refusal": refused(t, nil, nil),
		"a refusal, called on again after the vault signed": func() *tale {
			w := refused(t, nil, nil)
			at := w.s.Said[w.names["challenge"]].Told["dora"]
			w.s.Outflows = []Outflow{{Intent: statement.ID{70}, Key: old, Threshold: 3, Told: map[string]Place{"dora": {at.Leaf - 1, at.At.Add(-time.Hour)}}}}
			return w
		}(),
	} {
		if v := w.judge(); len(v.Findings) > 0 {
			t.Errorf("%s: it is accused:\n%s", name, told(v))
		}
	}
}

// What became of it is told whole: who gave, who follows, until when, what left and how much of what may.
func TestWhatIsTold(t *testing.T) {
	w := whole(t)
	c := w.judge().Cases[0]
	if !slices.Equal(c.Guardians, []string{"gail", "gina"}) || !slices.Equal(c.Committee, live) || !slices.Equal(c.ClosedBy, live) || !c.Until.Equal(w.s.Epochs[1].Until) {
		t.Errorf("guardians %v, committee %v, closed by %v, locked until %s", c.Guardians, c.Committee, c.ClosedBy, c.Until)
	}
	if len(c.Went) != 1 || c.Went[0].Name != "cold" || c.Went[0].To != rescueAddress || !slices.Equal(c.Left, []Left{{"eth", 41, 100, true}}) {
		t.Errorf("%+v, %+v", c.Went, c.Left)
	}
	for _, n := range c.Nodes {
		var states []string
		for _, s := range n.Steps {
			states = append(states, s.State)
		}
		if !slices.Equal(states, []string{declared, contest, active, lockUp, closed}) || n.Steps[2].Credited != 72*time.Hour {
			t.Errorf("%+v", n)
		}
	}
}

// A lock-up that nobody closed is over once another emergency gave its keys newer shares, as the node's own log told before.
func TestLedOnByAnother(t *testing.T) {
	for _, told := range []bool{true, false} {
		w := begun(t).reshared()
		first := w.q
		w.later(lockedFor)
		w.request("second", func(r *act.Request) { r.Number, r.Previous, r.Keys = 1, first.ID, []act.Key{fresh} })
		w.activate("newer", func(a *act.Activation) { a.Key = fresh })
		e := Epoch{Key: act.Key{Key: fresh.Key, Epoch: [32]byte{15}}, Number: 2, Prev: fresh.Epoch, Threshold: 2, Rescued: true, Activation: w.a.ID, Told: map[string]Place{}}
		for _, l := range live {
			w.leaf[l]++
			if told {
				e.Told[l] = Place{10 * w.leaf[l], w.now}
			}
		}
		w.s.Epochs, w.q = append(w.s.Epochs, e), first
		w.step(closed, 80*time.Hour+lockedFor, live...)
		if found := slices.ContainsFunc(w.judge().Findings, func(f Finding) bool { return f.Claim == claimClose && f.Subject == "operator acme" }); found == told {
			t.Errorf("told %t: found %t", told, found)
		}
	}
}
