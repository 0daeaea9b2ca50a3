package sos_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// A judge holds what happened to the rules (reliability: I11; spec/sos 10), with its own arithmetic and by true time. Of the code under
// test it sees only what nodes said and did, never a docket. It knows the sample plan by heart: k = 3 of 5, no guardian of one
// organisation with another.
type judge struct {
	n          int
	r          int
	operators  []string
	requests   map[statement.ID]act.Request
	at         map[string]*ledger
	answers    map[statement.ID]answer
	asked0     map[[32]byte]time.Duration // true time of each question
	violations []string
	shown      map[string]sos.ClosedBy // the last closing that each node was shown
	count      map[string]int
}

// A ledger is one node's.
type ledger struct {
	ran      time.Duration // true time that its program ran
	admitted time.Duration // … when it last said that it was rolled back; −1: never
	per      map[statement.ID]*progress
	released map[statement.ID]bool
	out      []sent // swept, each intent once
	tranched []sent // from the rescue vault, after a lock-up that nobody closed
	intents  map[statement.ID]bool
	dirty    bool // rolled back, and not known to have fetched
}

// sent is what one intent let out.
type sent struct {
	slot       [32]byte
	eth, calls int64
}

// most is the most that a chain may take of all that was let out: of what has one slot the one or the other, whichever is more of each.
func most(all []sent) (eth, calls int64) {
	larger := map[[32]byte]sent{}
	for _, s := range all {
		if s.slot == [32]byte{} {
			eth, calls = eth+s.eth, calls+s.calls
			continue
		}
		o := larger[s.slot]
		larger[s.slot] = sent{s.slot, max(o.eth, s.eth), max(o.calls, s.calls)}
	}
	for _, s := range larger {
		eth, calls = eth+s.eth, calls+s.calls
	}
	return eth, calls
}

// progress is of one request at one node.
type progress struct {
	basis    time.Duration // run time when its store first held a declaration's basis; −1: not yet
	state    string
	declared time.Duration // true time
	active   time.Duration // run time
	vetoed   time.Duration // true time when it ended so
	told     bool
	gave     bool
	locked   time.Duration // run time
}

type answer struct {
	by    string
	head  int64
	at    time.Duration
	clean bool // its store held no veto when it answered, or it is corrupt
	nonce [32]byte
}

func newJudge(p plan.Plan, n int) *judge {
	j := &judge{n: n, r: p.Live, requests: map[statement.ID]act.Request{}, at: map[string]*ledger{}, answers: map[statement.ID]answer{}, asked0: map[[32]byte]time.Duration{}, shown: map[string]sos.ClosedBy{}, count: map[string]int{}}
	for _, o := range slices.Concat(p.Operators, p.Others) {
		j.at[o.Name] = &ledger{admitted: -1, per: map[statement.ID]*progress{}, released: map[statement.ID]bool{}, intents: map[statement.ID]bool{}}
	}
	for _, o := range p.Operators {
		j.operators = append(j.operators, o.Name)
	}
	return j
}

func (j *judge) fault(format string, args ...any) {
	j.violations = append(j.violations, fmt.Sprintf(format, args...))
}

func (j *judge) asked(q act.Request) { j.requests[q.ID] = q }

func (j *judge) ran(b *box, d time.Duration) { j.at[b.name].ran += d }

func (j *judge) moved(*box) {}

func (j *judge) of(b *box, id statement.ID) *progress {
	p, ok := j.at[b.name].per[id]
	if !ok {
		p = &progress{basis: -1, declared: -1, active: -1, vetoed: -1}
		j.at[b.name].per[id] = p
	}
	return p
}

// shares says whether a guardian or operator is of a subject's: in the sample plan, by what a cell added.
func shares(w *world, name string, subjects []string) bool {
	g, ok := w.plan.Guardian(name)
	reach := g.Reach
	if !ok {
		o, _ := w.plan.Anyone(name)
		reach = o.Reach
	}
	for _, s := range subjects {
		o, _ := w.plan.Anyone(s)
		for _, x := range slices.Concat(reach.People, reach.Organisations, reach.Accounts) {
			if slices.Contains(slices.Concat(o.People, o.Organisations, o.Accounts), x) {
				return true
			}
		}
	}
	return false
}

// backers counts, in what a node heard, who supports a request.
func backers(w *world, b *box, q act.Request) (guardians, operators []string) {
	for _, p := range b.heard {
		v, ok := p.event.(sos.Supported)
		if !ok || v.Request != q.ID || shares(w, v.By, q.Subjects) || slices.Contains(q.Subjects, v.By) {
			continue
		}
		_, isGuardian := w.plan.Guardian(v.By)
		switch {
		case v.Role == act.Operator && !isGuardian && !slices.Contains(operators, v.By):
			operators = append(operators, v.By)
		case v.Role == act.Guardian && isGuardian && !slices.Contains(guardians, v.By) && (q.Trigger != plan.Silence || len(v.Contacts) > 0):
			guardians = append(guardians, v.By)
		}
	}
	return guardians, operators
}

// vetoed says that what a node heard ends a request: three of the five guardians, or a subject's life and signature.
func vetoed(w *world, b *box, q act.Request) bool {
	var guardians []string
	life, signed := map[string]bool{}, map[string]bool{}
	for _, p := range b.heard {
		switch e := p.event.(type) {
		case sos.Objected:
			if e.Request == q.ID && !slices.Contains(guardians, e.By) && (q.Trigger != plan.Compromise || !shares(w, e.By, q.Subjects)) {
				guardians = append(guardians, e.By)
			}
		case sos.Lived:
			life[e.Operator] = life[e.Operator] || e.Request == q.ID
		case sos.SignedLive:
			signed[e.Operator] = signed[e.Operator] || e.Request == q.ID
		}
	}
	cancels := q.Trigger == plan.Silence || q.Trigger == plan.Refusal || q.Trigger == plan.BelowThreshold
	for _, s := range q.Subjects {
		if cancels && life[s] && signed[s] {
			return true
		}
	}
	return len(guardians) >= 3
}

// stored looks whether a declaration's basis is in a store now: the least that any declaration takes.
func (j *judge) stored(b *box) {
	var last statement.ID
	for _, p := range b.heard {
		v, ok := p.event.(sos.Supported)
		if !ok || v.Request == last {
			continue
		}
		last = v.Request
		if o := j.of(b, v.Request); o.basis < 0 {
			var g, ops []string
			for _, p := range b.heard {
				if s, ok := p.event.(sos.Supported); ok && s.Request == v.Request {
					if s.Role == act.Guardian && !slices.Contains(g, s.By) {
						g = append(g, s.By)
					} else if s.Role == act.Operator && !slices.Contains(ops, s.By) {
						ops = append(ops, s.By)
					}
				}
			}
			if len(g) >= 3 && len(ops) >= 1 {
				o.basis = j.at[b.name].ran
			}
		}
	}
}

// said takes a step that a node announced.
func (j *judge) said(w *world, b *box, s act.Step) {
	q, p := j.requests[s.Request], j.of(b, s.Request)
	before := p.state
	p.state = s.State
	j.count[s.State]++
	if b.corrupt {
		return
	}
	switch s.State {
	case "declared":
		j.declares(w, b, q)
		p.declared = w.now
	case "contest":
		j.contests(w, b, q)
	case "active":
		p.active = j.at[b.name].ran
		need := delay
		if q.Trigger == plan.Compromise {
			need = delay / 2
		}
		if p.basis < 0 || p.active-p.basis < need {
			j.fault("%s is active %s after it had the declaration, %s are needed", b.name, p.active-p.basis, need)
		}
		if before != "contest" {
			j.fault("%s is active after %q", b.name, before)
		}
		if _, ops := backers(w, b, q); len(ops) < j.r {
			j.fault("%s is active, and %d operators consented", b.name, len(ops))
		}
	case "lock-up":
		p.locked = j.at[b.name].ran
	case "closed":
		if ran := j.at[b.name].ran - p.locked; ran < lockUp {
			j.fault("%s closed after %s of lock-up", b.name, ran)
		}
		j.closed(b, q)
	case "expired":
		if before == "active" && p.gave && !b.dirtied(j) {
			j.fault("%s gave its part, and did not lock up", b.name)
		}
	case "vetoed":
		p.vetoed = w.now
		if p.gave && before == "active" && !b.dirtied(j) {
			j.fault("%s gave its part, and took it for vetoed", b.name)
		}
		if !vetoed(w, b, q) {
			j.fault("%s took request %s for vetoed", b.name, q.ID.Short())
		}
	}
}

// closes notes what somebody shows a node as a closing.
func (j *judge) closes(b *box, e sos.ClosedBy) { j.shown[b.name] = e }

// closed holds a closing to the new shares that a node had heard of: it names exactly those, of one key or several, and two of the three who hold each signed it.
func (j *judge) closed(b *box, q act.Request) {
	made := map[[32]byte]sos.Reshared{}
	for _, p := range b.heard {
		if e, ok := p.event.(sos.Reshared); ok && e.Request == q.ID {
			made[e.Key.Key] = e
		}
	}
	e, ok := j.shown[b.name]
	if !ok || e.Request != q.ID || len(e.Keys) == 0 || len(e.Keys) != len(made) {
		j.fault("%s closed %s by a closing of %d keys; %d have new shares", b.name, q.ID.Short(), len(e.Keys), len(made))
	}
	for _, k := range e.Keys {
		n := 0
		for _, name := range made[k.Key.Key].Committee {
			if slices.Contains(e.Signed, name) {
				n++
			}
		}
		if made[k.Key.Key].Key != k.Key || n < 2 {
			j.fault("%s closed %s by a closing that %d of key %x's committee signed, in epoch %x", b.name, q.ID.Short(), n, k.Key.Key[:2], k.Epoch[:2])
		}
	}
	if len(made) < len(q.Keys) {
		j.count["closed in part"]++
	}
}

// declares holds a declaration to what it takes.
func (j *judge) declares(w *world, b *box, q act.Request) {
	guardians, operators := backers(w, b, q)
	before, open := 0, false
	for id, p := range j.at[b.name].per {
		if id == q.ID || p.declared < 0 {
			continue
		}
		before++
		overdue := p.state == "lock-up" && j.at[b.name].ran-p.locked >= lockUp // and nobody closed it
		open = open || !overdue && slices.Contains([]string{"declared", "contest", "active", "lock-up"}, p.state)
		if p.vetoed >= 0 && vetoedByGuardians(w, b, j.requests[id]) { // all within days here
			bound, boundOps := backers(w, b, j.requests[id])
			guardians = slices.DeleteFunc(guardians, func(g string) bool { return slices.Contains(bound, g) })
			operators = slices.DeleteFunc(operators, func(o string) bool { return slices.Contains(boundOps, o) })
		}
	}
	for _, p := range b.heard {
		if v, ok := p.event.(sos.Objected); ok && v.Request == q.ID {
			guardians = slices.DeleteFunc(guardians, func(g string) bool { return g == v.By })
		}
	}
	need, ops := 3, 1
	if before > 0 && !b.dirtied(j) {
		need = 4
	}
	if q.Trigger == plan.Compromise {
		need, ops = 4, j.r
	}
	switch {
	case open:
		j.fault("%s declares %s while another is open", b.name, q.ID.Short())
	case len(guardians) < need || len(operators) < ops:
		j.fault("%s declares %s with guardians %v and operators %v, after %d others", b.name, q.ID.Short(), guardians, operators, before)
	case q.Number < before && !b.dirtied(j):
		j.fault("%s declares %s, which says that %d came before; %d did", b.name, q.ID.Short(), q.Number, before)
	case q.Charter != w.plan.Charter || !slices.Equal(q.Keys, w.keys):
		j.fault("%s declares %s under another charter or epoch", b.name, q.ID.Short())
	case len(q.Subjects) > j.n-j.r || len(q.Subjects) < 1:
		j.fault("%s declares %s with %d subjects", b.name, q.ID.Short(), len(q.Subjects))
	case w.wall().After(q.Expires.Add(w.skewed())):
		j.fault("%s declares %s %s after it was made", b.name, q.ID.Short(), w.wall().Sub(q.Created))
	}
	for _, s := range q.Subjects {
		if (q.Trigger == plan.Silence || q.Trigger == plan.BelowThreshold) && w.box(s).up {
			j.fault("%s declares %s silent, and it lives", b.name, s)
		}
	}
}

func (b *box) dirtied(j *judge) bool { return j.at[b.name].dirty }

// skewed is how far walls may be off in a cell.
func (w *world) skewed() time.Duration {
	if w.dials.jump > 0 {
		return 1000 * time.Hour
	}
	return 0
}

func vetoedByGuardians(w *world, b *box, q act.Request) bool {
	var guardians []string
	for _, p := range b.heard {
		if e, ok := p.event.(sos.Objected); ok && e.Request == q.ID && !slices.Contains(guardians, e.By) {
			guardians = append(guardians, e.By)
		}
	}
	return len(guardians) >= 3
}

// contests holds the beginning of a delay to the notices: those who must know had the declaration durable.
func (j *judge) contests(w *world, b *box, q act.Request) {
	know, all := 0, 0
	for _, name := range j.operators {
		if slices.Contains(q.Subjects, name) || shares(w, name, q.Subjects) {
			continue
		}
		all++
		if o := w.box(name); o.corrupt || j.of(o, q.ID).declared >= 0 {
			know++
		}
	}
	need := j.r
	if q.Trigger == plan.Silence {
		need = all
	}
	if know < need || !j.of(b, q.ID).told {
		j.fault("%s begins the delay of %s: %d of %d know of it, its own notices went out: %t", b.name, q.ID.Short(), know, need, j.of(b, q.ID).told)
	}
}

func (j *judge) noticed(b *box, id statement.ID) { j.of(b, id).told = true }

func (j *judge) states(b *box) map[statement.ID]string {
	all := map[statement.ID]string{}
	for id, p := range j.at[b.name].per {
		all[id] = p.state
	}
	return all
}

func (j *judge) rolledBack(b *box, states map[statement.ID]string) {
	l := j.at[b.name]
	l.dirty, l.admitted = true, -1 // what it had found out of an earlier one is gone, too; whether it finds this one out, vouched asks
	for id, p := range l.per {     // what it knew may be gone; what it has earned of a delay, in the copy, it has
		p.state = states[id]
		if !slices.ContainsFunc(b.heard, func(p parcel) bool { v, ok := p.event.(sos.Supported); return ok && v.Request == id }) {
			p.basis = -1
		}
	}
}

func (j *judge) admitted(b *box) { j.at[b.name].admitted = j.at[b.name].ran }

func (j *judge) questioned(w *world, _ *box, nonce [32]byte) { j.asked0[nonce] = w.now }

func (j *judge) answered(w *world, b *box, v act.NoVeto) {
	j.answers[v.ID] = answer{b.name, v.Log.Size, w.now, b.corrupt || !vetoed(w, b, j.requests[v.Request]), v.Nonce}
	if !j.answers[v.ID].clean {
		j.fault("%s says that there is no veto on %s, and has it", b.name, v.Request.Short())
	}
}

// released holds the one decision to everything.
func (j *judge) released(w *world, b *box, v act.Released) {
	l, p, q := j.at[b.name], j.of(b, v.Request), j.requests[v.Request]
	a := w.acts[v.Activation].a
	j.count["released"]++
	need := delay
	if q.Trigger == plan.Compromise {
		need = delay / 2
	}
	if p.basis < 0 || l.ran-p.basis < need {
		j.fault("%s gave its part %s after it had the declaration, %s are needed", b.name, l.ran-p.basis, need)
	}
	if l.admitted >= 0 && l.ran-l.admitted < need {
		j.fault("%s gave its part %s after it was rolled back", b.name, l.ran-l.admitted)
	}
	// A store that was put back has also forgotten how much of the window was gone, and a start loses up to a minute of it: the wall
	// tells it, unless that was set back as well.
	most := window
	if w.dials.jump > 0 {
		most += 3 * time.Minute
	}
	if p.state != "active" || l.ran-p.active >= most && !l.dirty {
		j.fault("%s gave its part while %s, %s after it became active", b.name, p.state, l.ran-p.active)
	}
	if vetoed(w, b, q) {
		j.fault("%s gave its part, and has a veto", b.name)
	}
	_, operators := backers(w, b, q)
	if !slices.Contains(operators, b.name) {
		j.fault("%s gave its part without its own person's consent", b.name)
	}
	if len(a.Contributors) != j.r {
		j.fault("%s gave its part with %d contributors", b.name, len(a.Contributors))
	}
	for _, name := range a.Contributors {
		if !slices.Contains(operators, name) {
			j.fault("%s gave its part with %s, which has not consented or is bound", b.name, name)
		}
	}
	if l.released[v.Activation] && w.dials.rollback == 0 {
		j.fault("%s gave its part twice", b.name)
	}
	l.released[v.Activation], p.gave = true, true
	j.vouched(w, b, v, a)
}

// vouched: every other contributor and a witness outside say that there is no veto, to this node's own question, within the hour.
func (j *judge) vouched(w *world, b *box, v act.Released, a act.Activation) {
	by := map[string]bool{}
	for _, id := range v.NoVetos {
		n, ok := j.answers[id]
		asked, known := j.asked0[n.nonce]
		switch {
		case !ok || !known:
			j.fault("%s relies on what nobody said", b.name)
		case n.nonce != b.question.Nonce || w.now-asked > time.Hour+time.Minute:
			j.fault("%s relies on an answer of %s to another question, or of %s ago", b.name, n.by, w.now-asked)
		case n.head >= b.log:
			j.fault("%s gave its part, and %s knows %d leaves of its log, of which it has %d", b.name, n.by, n.head, b.log)
		}
		by[n.by] = true
	}
	for _, name := range a.Contributors {
		if name != b.name && !by[name] {
			j.fault("%s gave its part, and %s had not said that there is no veto", b.name, name)
		}
		if slices.Contains(w.forked, name) && slices.Contains(b.forks, name) {
			j.fault("%s gave its part beside %s, whose log is forked", b.name, name)
		}
	}
	if !by["yara"] && !by["zoe"] {
		j.fault("%s gave its part without a witness", b.name)
	}
}

func (j *judge) contributed(w *world, g string, a act.Activation, seen time.Time) {
	need := delay
	q := j.requests[a.Request]
	if q.Trigger == plan.Compromise {
		need = delay / 2
	}
	if w.wall().Sub(seen) < need {
		j.fault("guardian %s contributed %s after they had the request", g, w.wall().Sub(seen))
	}
	var no []string
	for _, v := range w.vetoes {
		if v.Request == q.ID && !slices.Contains(no, v.By) {
			no = append(no, v.By)
		}
	}
	if len(no) >= 3 {
		j.fault("guardian %s contributed, and knows of vetoes of %v", g, no)
	}
	if shares(w, g, q.Subjects) {
		j.fault("guardian %s contributed, and shares a domain with a subject", g)
	}
}

func (j *judge) executed(_ *world, a act.Activation) {
	j.count["executed"]++
	q := j.requests[a.Request]
	for _, m := range a.Members {
		if slices.Contains(q.Subjects, m.Operator) || !slices.Contains(append([]string{"yara", "zoe"}, a.Contributors...), m.Operator) {
			j.fault("%s got a share of %s", m.Operator, q.ID.Short())
		}
	}
}

// inTranches holds what leaves a rescue vault to ten in each two minutes, three times.
func (j *judge) inTranches(b *box, o sos.Outflow, over time.Duration) {
	l := j.at[b.name]
	if periods := int64(over / (2 * time.Minute)); periods < 3 && !l.intents[o.Intent] {
		l.intents[o.Intent] = true
		x := sent{slot: o.Slot}
		for _, f := range o.Flows {
			if f.Asset == "eth" {
				x.eth += f.Amount
			}
		}
		l.tranched = append(l.tranched, x)
		if eth, _ := most(l.tranched); eth > 10*(periods+1) {
			j.fault("%s let %d eth out of the rescue vault %s after the lock-up's time", b.name, eth, over)
		}
	}
}

// signs judges an outflow that a node let through. kind says what it is.
func (j *judge) signs(b *box, o sos.Outflow, kind string) {
	l, held, ended, over := j.at[b.name], "", false, time.Duration(-1)
	for _, p := range l.per {
		if slices.Contains([]string{"declared", "contest", "active", "lock-up"}, p.state) {
			held = p.state
		}
		if p.state == "lock-up" {
			over = l.ran - p.locked - lockUp
		}
		ended = ended || p.state == "closed"
	}
	if b.corrupt || held == "" || o.Vault == "rescue" && (held == "declared" || held == "contest") {
		return
	}
	for _, p := range l.per {
		if slices.Contains([]string{"declared", "contest", "active"}, p.state) { // another emergency since
			held, over = p.state, -1
		}
	}
	if over >= 0 && kind == "another policy" { // a lock-up that nobody closes in its time holds its own keys alone
		return
	}
	if over >= 0 && o.Vault == "rescue" {
		j.count["after a lock-up that nobody closed, signed "+kind]++
		j.inTranches(b, o, over)
		return
	}
	j.count["signed "+kind]++
	switch {
	case kind != "sweep" && kind != "call":
		j.fault("%s signs %q while %s", b.name, kind, held)
	case held == "declared" || held == "contest":
		j.fault("%s signs a %s while %s", b.name, kind, held)
	case kind == "call" && held != "active":
		j.fault("%s makes a protective call while %s", b.name, held)
	}
	if l.intents[o.Intent] {
		return
	}
	l.intents[o.Intent] = true
	x := sent{slot: o.Slot}
	for _, f := range o.Flows {
		switch {
		case f.What == sos.Call:
			x.calls++
		case f.Asset == "eth":
			x.eth += f.Amount
		}
	}
	l.out = append(l.out, x)
	if eth, calls := most(l.out); eth > 100 || calls > 1 {
		j.fault("%s let %d eth out and made %d calls", b.name, eth, calls)
	}
}
