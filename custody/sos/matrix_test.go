package sos_test

import (
	"flag"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

var (
	seeds = flag.Int("seeds", 200, "runs of each cell of the abuse matrix")
	first = flag.Uint64("seed", 1, "first seed")
	only  = flag.String("cell", "", "run this cell alone")
)

// A cell is one abuse of the matrix: how the world behaves, and what the abuser does. expect says what must happen in some of its runs,
// so that no cell passes because nothing happens.
type cell struct {
	name   string
	dials  dials
	ticks  int
	setup  func(w *world)
	expect []string
}

// story is a request that finds its support, in the order that the seed gives.
func (w *world) story(trigger string, at int) {
	w.script[at] = append(w.script[at], func() {
		if trigger == plan.Silence || trigger == plan.BelowThreshold {
			for _, s := range w.subjects {
				w.box(s).up = false
			}
		}
		w.backed(w.ask(trigger, nil), 3+w.rng.IntN(3))
	})
}

// backed has so many guardians, and the contributors' persons, support a request in the next ticks.
func (w *world) backed(q act.Request, guardians int) {
	if q.Trigger == plan.Compromise {
		guardians = max(guardians, 4)
	}
	for i := range guardians {
		w.soon(5, func() { w.support(q, act.Guardian, fmt.Sprintf("g%d", i+1)) })
	}
	for i, name := range w.plan.Contributors(q.Subjects) {
		if i == 0 && w.chance(150) {
			continue // its person does not consent
		}
		w.soon(8, func() { w.support(q, act.Operator, name) })
	}
}

func (w *world) soon(within int, f func()) {
	at := w.tick + 1 + w.rng.IntN(within)
	w.script[at] = append(w.script[at], f)
}

func (w *world) every(f func()) {
	for at := range 400 {
		w.script[at] = append(w.script[at], f)
	}
}

// abuse tries to get money out at every node, in every way that the plan does not allow, and in those that it does.
func (w *world) abuse() {
	w.every(func() {
		b := w.boxes[w.rng.IntN(w.judge.n)]
		if !b.up || b.asleep || b.broken {
			return
		}
		kind, o := w.outflow()
		d, err := b.docket.Spend(o, w.reading(b))
		if err != nil {
			return
		}
		b.keep(d)
		if o.Vault != "treasury" { // another docket is asked which sessions run
			w.judge.signs(b, o, kind)
			return
		}
		work := sos.Sweep
		if kind == "ordinary" || d.MayRun(sos.Sweep, o.Intent) != nil {
			work = sos.Ordinary
		}
		if d.MayRun(work, o.Intent) == nil {
			w.judge.signs(b, o, kind)
		}
	})
	w.every(func() {
		b := w.boxes[w.rng.IntN(w.judge.n)]
		if b.up && b.docket.MayRun(sos.Ordinary, statement.ID{}) == nil {
			w.judge.signs(b, sos.Outflow{}, "an ordinary session")
		}
		if b.up && b.docket.MayChange(sos.NewPolicy) == nil {
			w.judge.signs(b, sos.Outflow{}, "another policy")
		}
	})
}

// outflow is one that is allowed in ACTIVE, or one that differs in something.
func (w *world) outflow() (string, sos.Outflow) {
	rescue, pause := w.plan.Destinations[0].Address, w.plan.Calls[0]
	o := sos.Outflow{Intent: w.id(), Vault: "treasury", Key: w.keys[0].Key, Transaction: true, Chain: "eip155:1", Usual: 2, Flows: []sos.Flow{{What: sos.Transfer, Asset: "eth", Amount: int64(5 + w.rng.IntN(60)), To: rescue}, {What: sos.Fee, Asset: "eth", Amount: int64(1 + w.rng.IntN(4))}}}
	o.Slot[0] = byte(w.rng.IntN(4)) // three nonces, again and again, and a chain that has none
	call := sos.Flow{What: sos.Call, To: pause.To, Data: pause.Data}
	fee := sos.Flow{What: sos.Fee, Asset: "eth", Amount: 1}
	switch w.rng.IntN(16) {
	case 0:
		o.Flows[0].To = "0x" + strings.Repeat("ee", 20)
		return "to a thief", o
	case 1:
		o.Chain = "eip155:10"
		return "on another chain", o
	case 2:
		o.Flows[0].Amount, o.Flows[1].Amount = 1, 8
		return "dust", o
	case 3:
		o.Flows[1].Amount = 9
		return "a fee that burns", o
	case 4:
		o.Flows = []sos.Flow{{What: sos.Remainder, Asset: "eth", Amount: 50, To: "own"}, fee}
		return "only a remainder", o
	case 5:
		o.Transaction = false
		return "a message", o
	case 6:
		o.Flows = append(o.Flows, sos.Flow{What: sos.Transfer, Asset: "eth", Amount: 5, To: "0x" + strings.Repeat("ee", 20)})
		return "a second output", o
	case 7:
		call.Data = []byte{1, 2, 3, 5}
		o.Flows = []sos.Flow{call, fee}
		return "another call", o
	case 8:
		o.Vault, o.Chain = "another", "eip155:10"
		return "by another vault's name", o
	case 9, 10:
		o.Flows = []sos.Flow{call, fee}
		return "call", o
	case 11:
		o.Flows[0].Amount = 1<<63 - 1
		return "an overflow", o
	case 12:
		o.Vault, o.Key, o.Flows[0].To = "rescue", [32]byte{77}, "0x"+strings.Repeat("ee", 20)
		return "from the rescue vault", o
	}
	return "sweep", o
}

// matrix is S1 to S14.
var matrix = []cell{
	{"S1 early and late", dials{late: 20, skips: 300}, 90, edges, []string{"released", "executed", "lock-up", "expired"}},
	{"S2 clocks, restarts, suspension, snapshots", dials{jump: 12, restart: 3, sleep: 4, rollback: 3, loss: 10}, 110, func(w *world) { w.story(plan.Silence, 1) }, []string{"released", "contest"}},
	{"S2 snapshots", dials{rollback: 12, unwatched: true}, 100, func(w *world) { w.story(plan.Silence, 1) }, []string{"released", "active"}},
	{"S2 a monotonic clock that races", dials{racing: 30, loss: 10}, 90, func(w *world) { w.story(plan.Refusal, 1) }, []string{"released", "executed"}},
	{"S3 replay", dials{twice: 60, late: 60, loss: 20}, 110, replay, []string{"released", "vetoed"}},
	{"S4 veto race", dials{late: 50, loss: 20, twice: 20}, 80, race, []string{"released", "vetoed", "lock-up"}},
	{"S5 endless veto and repetition", dials{loss: 10, late: 20}, 150, repeat, []string{"vetoed", "declared", "released"}},
	{"S6 stale support", dials{loss: 10}, 90, stale, []string{"expired"}},
	{"S7 the charter changes meanwhile", dials{loss: 10, restart: 10}, 90, change, []string{"released", "executed"}},
	{"S8 too few, twice", dials{twice: 50, badGuardians: 2, corrupt: 1}, 90, few, []string{"declared", "expired"}},
	{"S9 signatures on demand", dials{loss: 10}, 90, demand, []string{"vetoed", "released"}},
	{"S10 suppressed notices", dials{loss: 5, corrupt: 1}, 90, suppress, []string{"declared", "contest"}},
	{"S11 structuring", dials{late: 20}, 120, func(w *world) { w.story(plan.Silence, 1); w.abuse(); w.abuse() }, []string{"signed sweep", "lock-up"}},
	{"S12 lock-up tricks", dials{loss: 10, restart: 10}, 120, locked, []string{"signed sweep", "signed call", "lock-up", "closed", "closed in part"}},
	{"S13 no log, forked log", dials{loss: 10}, 90, forks, []string{"released", "active"}},
	{"S14 killed at each step", dials{breaks: 40, loss: 10, twice: 20}, 110, func(w *world) { w.story(plan.Silence, 1); w.abuse() }, []string{"released", "executed"}},
	{"liars", dials{corrupt: 1, badGuardians: 2, loss: 10, late: 20}, 90, func(w *world) { w.story(pick(w, plan.Silence, plan.Legal), 1); w.lies(); w.abuse() }, []string{"released", "executed"}},
	{"liars, all who contribute", dials{corrupt: 9, badGuardians: 2, loss: 10, late: 20}, 90, func(w *world) { w.story(pick(w, plan.Silence, plan.Legal), 1); w.lies() }, []string{"executed"}},
}

func pick(w *world, all ...string) string { return all[w.rng.IntN(len(all))] }

// edges tries at every tick from the first to long after the last; in half of the runs the witnesses are heard only when the window is
// about to end.
func edges(w *world) {
	w.story(pick(w, plan.Silence, plan.Compromise, plan.Legal), 1)
	if w.chance(500) {
		return
	}
	w.muted["yara"], w.muted["zoe"] = true, true
	at := 40 + w.rng.IntN(26)
	w.script[at] = append(w.script[at], func() { w.muted["yara"], w.muted["zoe"] = false, false })
}

// replay says everything of a first request, which is vetoed, again about a second one; and the first again after the second.
func replay(w *world) {
	w.story(plan.Refusal, 1)
	w.script[12] = append(w.script[12], func() {
		if w.chance(500) {
			w.returns(w.requests[0], w.subjects[0])
			return
		}
		for i := range 3 {
			w.veto(w.requests[0], fmt.Sprintf("g%d", 5-i))
		}
	})
	w.script[40] = append(w.script[40], func() {
		q := w.ask(plan.Refusal, func(q *act.Request) { q.Number, q.Previous = 1, w.requests[0].ID; q.By = "g2" })
		w.backed(q, 5)
	})
	w.every(func() {
		for _, b := range w.boxes {
			if len(b.known) > 0 && w.chance(300) {
				p := b.known[w.rng.IntN(len(b.known))]
				p.to, p.due, p.from = w.boxes[w.rng.IntN(len(w.boxes))].name, w.tick, ""
				w.net = append(w.net, p)
			}
		}
	})
}

// race has guardians veto around the end of the delay, and now and then the subject come back.
func race(w *world) {
	w.story(plan.Silence, 1)
	w.race(26, 10)
	if w.chance(300) {
		at := 20 + w.rng.IntN(20)
		w.script[at] = append(w.script[at], func() { w.returns(w.requests[0], w.subjects[0]) })
	}
}

func (w *world) race(at, within int) {
	for i := range 3 {
		tick := at + w.rng.IntN(within)
		w.script[tick] = append(w.script[tick], func() { w.veto(w.requests[0], fmt.Sprintf("g%d", i+3)) })
	}
}

// lies: guardians veto now and then, and corrupt nodes say from the first that the delay has begun long ago.
func (w *world) lies() {
	if w.chance(400) {
		w.race(18, 20)
	}
	w.every(func() {
		for _, q := range w.requests {
			for _, b := range w.boxes {
				if b.corrupt && w.chance(100) {
					s := act.Step{ID: w.id(), Head: q.Head(), Operator: b.name, State: "contest", Created: w.wall().Add(-delay)}
					w.steps = append([]act.Step{s}, w.steps...)
					w.spread(b, parcel{id: s.ID, event: sos.Stepped{Step: s}})
				}
			}
		}
	})
}

// returns is the subject's cancellation.
func (w *world) returns(q act.Request, subject string) {
	w.box(subject).up = true
	w.person(sos.Lived{Alive: act.Alive{ID: w.id(), Head: q.Head(), Operator: subject, Created: w.wall()}})
	w.soon(3, func() {
		w.person(sos.SignedLive{Signed: act.Signed{ID: w.id(), Head: q.Head(), Operator: subject, Created: w.wall()}})
	})
}

// repeat has a declaration vetoed by guardians, others tried at once by the same people and by more, and a single guardian who vetoes all.
func repeat(w *world) {
	w.story(plan.Refusal, 1)
	w.script[14] = append(w.script[14], func() {
		for i := range 3 {
			w.veto(w.requests[0], fmt.Sprintf("g%d", i+3))
		}
	})
	for i, at := range []int{40, 60, 80} {
		w.script[at] = append(w.script[at], func() {
			q := w.ask(plan.Refusal, func(q *act.Request) {
				q.By = fmt.Sprintf("g%d", i+2)
				if w.chance(700) {
					q.Number, q.Previous = 1, w.requests[0].ID
				}
			})
			w.backed(q, 3+w.rng.IntN(3))
			w.soon(10, func() { w.veto(q, "g5") })
		})
	}
	if w.chance(500) { // another vault's life: no veto, and then the single guardian stops nothing
		delete(w.script, 14)
	}
}

// stale collects support long before: for an expired request, another epoch, another charter; or of a subject that lives.
func stale(w *world) {
	defect := w.rng.IntN(4) // one alone: each is enough
	for _, s := range w.subjects {
		w.box(s).up = defect == 3
	}
	w.script[1] = append(w.script[1], func() {
		q := w.ask(plan.Silence, func(q *act.Request) {
			if defect == 0 {
				q.Created, q.Expires = q.Created.Add(-2*time.Hour), q.Created.Add(3*time.Minute)
			}
		})
		w.script[20] = append(w.script[20], func() { w.backed(q, 5) })
	})
	w.script[18] = append(w.script[18], func() {
		switch defect {
		case 1:
			w.keys = []act.Key{{Key: w.keys[0].Key, Epoch: [32]byte{44}}}
			if w.chance(500) { // else its program has not noticed yet
				for _, b := range w.boxes {
					_ = w.apply(b, parcel{event: sos.Moved{Key: w.keys[0]}})
				}
			}
		case 2:
			w.amend(func(*plan.Plan) {})
		}
	})
}

// amend puts another charter in force everywhere.
func (w *world) amend(change func(*plan.Plan)) {
	p := w.plan
	p.Charter[0]++
	p.Triggers, p.Destinations, p.Caps = slices.Clone(p.Triggers), slices.Clone(p.Destinations), slices.Clone(p.Caps)
	change(&p)
	w.plans[p.Charter], w.plan = p, p
	for _, b := range w.boxes {
		b.docket = b.docket.Under(p)
	}
}

// change lowers every bar while a request is open: it keeps the plan that it began with.
func change(w *world) {
	w.story(plan.Silence, 1)
	old := w.plan
	at := 14 + w.rng.IntN(20)
	w.script[at] = append(w.script[at], func() {
		w.amend(func(p *plan.Plan) {
			for i := range p.Triggers {
				p.Triggers[i].Delay = time.Second
			}
			p.Caps[0].Most, p.Destinations[0].Address = 1000, "0x"+strings.Repeat("ee", 20)
		})
	})
	w.abuse()
	w.script[at+1] = append(w.script[at+1], func() { w.plan.Destinations = old.Destinations })
}

// few has two guardians say everything twice, under several roles, a guardian of the subject's own organisation, and one corrupt operator.
func few(w *world) {
	g := &w.plan.Guardians[2]
	g.Organisations = append(g.Organisations, w.subjects[0])
	w.amend(func(p *plan.Plan) { p.Organisations = 2 })
	for _, s := range w.subjects {
		w.box(s).up = false
	}
	full := w.chance(400) // then four who count are enough
	w.script[1] = append(w.script[1], func() {
		q := w.ask(plan.Silence, func(q *act.Request) { q.Expires = q.Created.Add(20 * time.Minute) })
		for range 3 {
			for _, name := range []string{"g1", "g2", "g3"} {
				w.soon(6, func() { w.support(q, act.Guardian, name) })
			}
			for _, name := range append(w.plan.Contributors(q.Subjects), w.subjects...) {
				w.soon(6, func() { w.support(q, act.Operator, name) })
			}
		}
		w.soon(6, func() { w.supports(q, act.Guardian, "g5", false) }) // who does not say whom they tried to reach
		if w.chance(300) {                                             // who is against it as well
			w.soon(3, func() { w.veto(q, "g1") })
		}
		if full {
			w.soon(9, func() { w.support(q, act.Guardian, "g4") })
		}
	})
}

// demand has the subject prove its life, and the vault sign with it, for one request or another, in every trigger.
func demand(w *world) {
	w.story(pick(w, plan.Silence, plan.Refusal, plan.Compromise, plan.Legal), 1)
	at := 12 + w.rng.IntN(20)
	w.script[at] = append(w.script[at], func() {
		q := w.requests[0]
		if w.chance(300) { // said for another request, it is nothing
			q.ID[0] ^= 1
		}
		w.returns(q, w.subjects[0])
	})
	w.abuse()
}

// suppress keeps a node's words from everybody, or everybody's from a node; a corrupt node says that all is well.
func suppress(w *world) {
	w.story(pick(w, plan.Silence, plan.Legal, plan.Refusal), 1)
	name := w.plan.Contributors(w.subjects)[w.rng.IntN(w.plan.Live)]
	w.muted[name] = true
	if w.chance(500) {
		at := 20 + w.rng.IntN(20)
		w.script[at] = append(w.script[at], func() { w.muted[name] = false })
	}
	w.every(func() { // the corrupt node announces a contest that nobody else knows of
		for _, q := range w.requests {
			if w.chance(200) {
				w.spread(w.boxes[0], parcel{id: w.id(), event: sos.Stepped{Step: act.Step{Head: q.Head(), Operator: w.boxes[0].name, State: "contest", Created: w.wall()}}})
			}
		}
	})
}

func locked(w *world) {
	if w.chance(500) { // a vault with two keys, of which the window may be too short for one
		w.keys = append(w.keys, act.Key{Key: [32]byte{6}, Epoch: [32]byte{4}})
	}
	w.story(pick(w, plan.Silence, plan.Compromise), 1)
	w.abuse()
	w.abuse()
	w.every(func() {
		b := w.boxes[w.rng.IntN(len(w.boxes))]
		for _, q := range w.requests { // a release that not all signed is never verified; a closing comes too early, names too much or too little, or too few signed it
			e := sos.ClosedBy{Close: act.Close{Head: q.Head(), Created: w.wall().Add(b.offset)}}
			for _, k := range w.keys {
				if w.chance(800) {
					e.Keys = append(e.Keys, act.Backed{Key: act.Key{Key: k.Key, Epoch: [32]byte{5, byte(1 + w.rng.IntN(2))}}})
				}
			}
			for _, name := range []string{"acme", "bolt", "yara", "zoe"} {
				if w.chance(500) {
					e.Signed = append(e.Signed, name)
				}
			}
			w.judge.closes(b, e)
			_ = w.apply(b, parcel{event: e})
		}
	})
}

// forks has logs that cannot be written, and a fork that is found out.
func forks(w *world) {
	w.story(plan.Silence, 1)
	w.every(func() {
		b := w.boxes[w.rng.IntN(len(w.boxes))]
		b.broken = w.chance(100)
	})
	if !w.chance(600) {
		return
	}
	at := 15 + w.rng.IntN(30)
	w.script[at] = append(w.script[at], func() {
		w.forked = []string{w.boxes[w.rng.IntN(2)].name}
		for _, b := range w.boxes {
			if w.chance(800) && b.up && !b.asleep && !b.broken && w.apply(b, parcel{event: sos.Forked{Operator: w.forked[0]}}) == nil {
				b.forks = w.forked
			}
		}
	})
}

// The abuse matrix: 200 seeds a cell, n = 3 and 5. A failing seed is printed; -cell and -seed run it again.
func TestAbuseMatrix(t *testing.T) {
	debug.SetGCPercent(800) // worlds are small and many: half of the time went into collecting them
	for _, c := range matrix {
		if *only != "" && !strings.HasPrefix(c.name, *only) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, n := range []int{3, 5} {
				total, bad := map[string]int{}, 0
				for seed := *first; seed < *first+uint64(*seeds) && bad < 3; seed++ {
					w := newWorld(t, n, seed, c.dials)
					c.setup(w)
					w.run(c.ticks)
					for k, v := range w.judge.count {
						if v > 0 {
							total[k]++
						}
					}
					if len(w.judge.violations) > 0 {
						bad++
						t.Errorf("n=%d -cell %q -seed %d: %s", n, c.name, seed, w.judge.violations[0])
					}
				}
				t.Logf("n=%d: runs in which: %v", n, total)
				for _, k := range c.expect {
					if *seeds >= 50 && total[k] == 0 {
						t.Errorf("n=%d: %q never happened: the cell tries nothing", n, k)
					}
				}
			}
		})
	}
}
