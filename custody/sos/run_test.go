package sos_test

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// run lets so many ticks go by.
func (w *world) run(ticks int) {
	for range ticks {
		for _, f := range w.script[w.tick] {
			f()
		}
		w.pass(time.Duration(20+w.rng.IntN(11)) * time.Second)
		w.faults()
		w.deliver()
		for _, b := range w.boxes {
			w.beat(b)
		}
		w.activate()
		w.guardians()
		w.execute()
		w.gossip()
		w.tick++
	}
}

// pass lets true time pass: on every monotonic clock that runs, and on every wall.
func (w *world) pass(d time.Duration) {
	w.now += d
	for _, b := range w.boxes {
		if !b.asleep || b.halted {
			b.mono += d * time.Duration(b.fast)
		}
		// A pause of the program alone earns a minute, as one reading does; nothing else that is missed earns anything.
		earned := min(d, max(sos.MaxCredit-b.idle, 0))
		b.idle += d
		switch {
		case b.up && !b.asleep:
			w.judge.ran(b, d)
		case b.up && b.halted:
			w.judge.ran(b, earned)
		}
	}
}

func (w *world) faults() {
	d := w.dials
	for _, b := range w.boxes {
		lost := slices.Contains(w.subjects, b.name)
		switch {
		case lost && !b.up:
		case w.chance(d.jump):
			b.offset += time.Duration(w.rng.IntN(13)-4) * delay // forward more often than back
			w.judge.moved(b)
		case w.chance(d.racing):
			b.fast = 1 + w.rng.IntN(40)
		case w.chance(d.restart):
			w.restart(b) // and down for a while
		case w.chance(d.sleep) && b.up:
			b.asleep, b.halted = !b.asleep, w.chance(500)
		case w.chance(d.rollback) && len(b.past) > 0 && !lost:
			w.rollback(b)
		}
		if !b.up && !lost && w.chance(300) {
			b.up = true
		}
		if d.rollback > 0 && w.chance(100) {
			b.past = append(b.past, snapshot{b.docket.Bytes(), b.log, slices.Clone(b.known), slices.Clone(b.heard), w.judge.states(b)})
		}
	}
}

// rollback puts an old copy of the store in place. The program does not know.
func (w *world) rollback(b *box) {
	s := b.past[w.rng.IntN(len(b.past))]
	d, err := sos.DecodeDocket(s.raw, w.plan, func(id statement.ID, _ [32]byte) (plan.Plan, error) { return w.plans[id], nil })
	if err != nil {
		w.t.Fatal(err)
	}
	b.docket, b.log, b.known, b.have, b.heard = d, s.log, slices.Clone(s.known), map[statement.ID]bool{}, slices.Clone(s.heard)
	for _, p := range b.known {
		b.have[p.id] = true
	}
	b.boot, b.mono, b.question, b.answers = b.boot+1, 0, nil, nil
	b.past = b.past[:slices.IndexFunc(b.past, func(o snapshot) bool { return o.log == s.log })+1]
	w.judge.rolledBack(b, s.said)
}

// beat is what a node does on each tick: look at its clocks, find out whether it was rolled back, and try to give its part.
func (w *world) beat(b *box) {
	if !b.up || b.asleep {
		return
	}
	b.idle = 0
	if !w.chance(cmp.Or(w.dials.skips, 50)) { // now and then something comes before the tick
		_ = w.apply(b, parcel{event: sos.Tick{View: w.view(b)}})
	}
	w.notify(b)
	behind := slices.ContainsFunc(w.boxes, func(o *box) bool { return !o.corrupt && o.heads[b.name] > b.log })
	switch {
	case b.docket.Rolled() && !b.corrupt && w.chance(200):
		w.recover(b)
	case behind && !w.dials.unwatched && !b.docket.Rolled() && w.chance(300):
		_ = w.apply(b, parcel{event: sos.RolledBack{}})
		w.judge.admitted(b)
	}
	w.try(b)
}

// recover fetches everything again from everybody, and has the operator confirm. The log goes on behind what others cosigned.
func (w *world) recover(b *box) {
	for _, o := range w.boxes {
		for _, p := range o.known {
			_ = w.apply(b, p)
		}
		b.log = max(b.log, o.heads[b.name])
	}
	for _, o := range w.boxes { // what was refused for being early
		for _, p := range o.known {
			_ = w.apply(b, p)
		}
	}
	if b.up && !b.broken {
		if d, _, err := b.docket.Apply(sos.Confirmed{}, w.reading(b)); err == nil {
			b.keep(d)
		}
	}
}

func (w *world) view(b *box) sos.View {
	v := sos.View{Keys: w.keys, Silent: map[string]time.Duration{}, Refusing: map[string]time.Duration{}}
	for _, s := range w.subjects {
		if !w.box(s).up {
			v.Silent[s] = w.now
		}
		v.Refusing[s] = w.now
	}
	return v
}

// try asks the others, and tries to give this node's part for every activation, at every tick: too early more often than not.
func (w *world) try(b *box) {
	r := w.reading(b)
	if b.question != nil && w.chance(60) {
		b.question, b.answers = nil, nil
	}
	if b.question == nil {
		b.question = &sos.Question{Nonce: w.id(), Asked: r}
		w.judge.questioned(w, b, b.question.Nonce)
		b.answers = nil
	}
	for _, q := range w.requests {
		if s := stateOf(b, q.ID); w.chance(700) && s == sos.Active || w.chance(60) {
			for _, o := range w.boxes {
				if o != b {
					w.send(b, o.name, parcel{question: &question{q.ID, b.question.Nonce}})
				}
			}
		}
	}
	for _, id := range w.activations() {
		d, v, err := b.docket.Release(id, *b.question, b.answers, sos.Own{Origin: b.name, Log: head(b.log)}, r)
		if b.corrupt {
			w.gave(b, id, act.Released{Head: w.acts[id].a.Head, Operator: b.name, Activation: id})
			continue
		}
		if err != nil {
			if errors.Is(err, sos.ErrRolled) && !b.docket.Rolled() && !b.corrupt {
				_ = w.apply(b, parcel{event: sos.RolledBack{}})
				w.judge.admitted(b)
			}
			continue
		}
		if b.broken {
			continue
		}
		b.keep(d)
		w.judge.released(w, b, v)
		w.gave(b, id, v)
	}
}

func (w *world) gave(b *box, id statement.ID, v act.Released) {
	a := w.acts[id]
	if !slices.Contains(a.a.Contributors, b.name) || a.gave[b.name] {
		return
	}
	a.gave[b.name] = true
	v.ID = w.id()
	w.spread(b, parcel{id: v.ID, event: sos.Gave{Released: v}})
}

func (w *world) activations() (ids []statement.ID) {
	for id := range w.acts {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b statement.ID) int { return slices.Compare(a[:], b[:]) })
	return ids
}

// activate makes an activation as soon as the nodes of r operators would sign it; corrupt ones sign anything.
func (w *world) activate() {
	if w.tries > 0 && !w.chance(30) || w.tries > 3 {
		return
	}
	for _, q := range w.requests {
		e := w.activation(q, w.tries+1)
		var ready []string
		for _, name := range w.plan.Contributors(q.Subjects) {
			if b := w.box(name); len(ready) < w.plan.Live && b.up && (b.corrupt || stateOf(b, q.ID) == sos.Active) {
				ready = append(ready, name)
			}
		}
		if len(ready) < w.plan.Live {
			continue
		}
		e.Contributors = ready
		for index, name := range e.Taken { // it stays, and so 2 of 3 sign
			if name == ready[0] {
				e.Party[name] = [16]byte{9}
				e.Members = append([]act.Member{{Operator: name, Party: e.Party[name], Index: index, Encryption: [32]byte{3}}}, e.Members...)
				e = seated(e)
			}
		}
		ok := true
		for _, name := range ready {
			ok = ok && (w.box(name).corrupt || w.box(name).docket.MayActivate(e) == nil)
		}
		if !ok {
			continue
		}
		w.tries++
		w.acts[e.ID] = &activated{a: e.Activation, gave: map[string]bool{}, guards: map[string]bool{}}
		w.spread(w.box(ready[0]), parcel{id: e.ID, event: e})
		_ = w.apply(w.box(ready[0]), parcel{id: e.ID, event: e})
	}
}

func (w *world) activation(q act.Request, attempt int) sos.Activated {
	e := sos.Activated{
		Activation: act.Activation{ID: w.id(), Head: q.Head(), Key: q.Keys[0], Attempt: attempt, Threshold: 2, Created: w.wall()},
		Taken:      map[uint16]string{1: "acme", 2: "bolt", 3: "cora", 4: "dora", 5: "emma"}, Party: map[string][16]byte{"yara": {1}, "zoe": {2}},
	}
	if len(q.Keys) > 1 {
		e.Key = q.Keys[w.rng.IntN(len(q.Keys))]
	}
	e.Members = []act.Member{{Operator: "yara", Party: [16]byte{1}, Index: 8, Encryption: [32]byte{1}}, {Operator: "zoe", Party: [16]byte{2}, Index: 9, Encryption: [32]byte{2}}}
	return seated(e)
}

func stateOf(b *box, id statement.ID) sos.State {
	c, ok := b.docket.Case(id)
	if !ok {
		return sos.NotReady
	}
	return c.State()
}

// guardians contribute when their tools let them. The first badGuardians need no leave.
func (w *world) guardians() {
	for _, id := range w.activations() {
		a := w.acts[id]
		q := w.requests[slices.IndexFunc(w.requests, func(q act.Request) bool { return q.ID == a.a.Request })]
		for i, g := range w.plan.Guardians {
			if a.guards[g.Name] {
				continue
			}
			seen, ok := w.seen[g.Name+q.ID.String()]
			if !ok {
				seen = w.wall()
				w.seen[g.Name+q.ID.String()] = seen
			}
			if i < w.dials.badGuardians {
				a.guards[g.Name] = true
				continue
			}
			b := sos.Bundle{Request: q, Activation: a.a, Seats: seated(sos.Activated{Activation: a.a}).Seats, Steps: w.steps, Vetoes: w.vetoes}
			if sos.MayContribute(w.plans[q.Charter], g.Name, b, seen, w.wall()) == nil {
				a.guards[g.Name] = true
				w.judge.contributed(w, g.Name, a.a, seen)
			}
		}
	}
}

// execute: with r parts and k contributions, the key has new shares.
func (w *world) execute() {
	for _, id := range w.activations() {
		a := w.acts[id]
		if a.applied || len(a.gave) < w.plan.Live || len(a.guards) < w.plan.Quorum {
			continue
		}
		a.applied = true
		w.judge.executed(w, a.a)
		w.person(sos.Reshared{Request: a.a.Request, Activation: id, Key: act.Key{Key: a.a.Key.Key, Epoch: [32]byte{5, byte(a.a.Attempt)}}, Committee: a.a.Names(), Threshold: a.a.Threshold})
	}
}

// gossip sends what a node has to another, again.
func (w *world) gossip() {
	if w.tick%4 != 0 {
		return
	}
	for _, b := range w.boxes {
		if !b.up || b.asleep {
			continue
		}
		o := w.boxes[w.rng.IntN(len(w.boxes))]
		for _, p := range b.known {
			if o != b && (!o.have[p.id] || w.chance(50)) {
				w.send(b, o.name, p)
			}
		}
	}
}
