package sos_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// The simulator: n nodes, each with its own clocks and store, over a network that loses, repeats and delays. A seed gives all that
// happens. What happened is told to a judge (judge_test.go), which knows the true time and none of the code under test.

var start = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// Times of the sample plan, a DRILL's: a run is short.
const (
	delay  = 10 * time.Minute
	window = 10 * time.Minute
	lockUp = 12 * time.Minute
	silent = 2 * time.Minute
)

var names = []string{"acme", "bolt", "cora", "dora", "emma"}

var personKeys sync.Map // thousands of worlds have the same people

func personKey(t testing.TB, name string) signet.Key {
	t.Helper()
	if k, ok := personKeys.Load(name); ok {
		return k.(signet.Key)
	}
	pub, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(append([]byte(name), make([]byte, 32-len(name))...)).Public())
	if err != nil {
		t.Fatal(err)
	}
	k, err := signet.ParseKey(strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))))
	if err != nil {
		t.Fatal(err)
	}
	personKeys.Store(name, k)
	return k
}

// samplePlan is 3-of-3, or 4-of-5, with five guardians and two operators outside the committee.
func samplePlan(t testing.TB, n int) plan.Plan {
	p := plan.Plan{
		Charter: [32]byte{1}, Vault: [32]byte{2}, Name: "treasury", Drill: true, Threshold: map[int]int{3: 3, 5: 4}[n], Live: 2, Quorum: 3,
		Starters: 3, Organisations: 3, Witnesses: 1, Heartbeat: 30 * time.Second, Window: window, LockUp: lockUp, DrillEvery: 24 * time.Hour, Successors: []string{"yara", "zoe"}, Least: 2,
		Triggers: []plan.Trigger{
			{Name: plan.BelowThreshold, Delay: delay}, {Name: plan.Compromise, Delay: delay / 2}, {Name: plan.Legal, Delay: delay},
			{Name: plan.Refusal, After: silent, Delay: delay}, {Name: plan.Silence, After: silent, Delay: delay},
		},
		Destinations: []plan.Destination{{Name: "cold", Chain: "eip155:1", Address: "0x" + strings.Repeat("cd", 20), Vault: "rescue"}},
		Caps:         []plan.Cap{{Asset: "eth", Most: 100}},
		Calls:        []plan.Call{{Name: "pause", Chain: "eip155:1", To: "0x" + strings.Repeat("ab", 20), Data: []byte{1, 2, 3, 4}, Times: 1}},
		Tranches:     []plan.Tranche{{Asset: "eth", Most: 10, Every: 2 * time.Minute, Count: 3}},
	}
	for i, name := range append(slices.Clone(names[:n]), "yara", "zoe") {
		o := plan.Operator{Name: name, Identity: []byte{byte(i), 31: 1}, Officers: []signet.Key{personKey(t, name)}, Reach: plan.Reach{People: []string{name + "-ops"}, Organisations: []string{name}, Accounts: []string{"cloud/" + name}}}
		if i < n {
			p.Operators = append(p.Operators, o)
		} else {
			p.Others = append(p.Others, o)
		}
	}
	for i := range 5 {
		name := fmt.Sprintf("g%d", i+1)
		p.Guardians = append(p.Guardians, plan.Guardian{Name: name, Person: "p-" + name, Organisation: "firm-" + name, Key: personKey(t, name), Reach: plan.Reach{People: []string{"p-" + name}, Organisations: []string{"firm-" + name}}})
	}
	return p
}

// A box is one node: a program that may be down, clocks that may lie, and a store that survives it.
type box struct {
	name   string
	up     bool
	asleep bool          // suspended: time passes, its monotonic clock stands
	halted bool          // and if so, only its program does not run: the clock goes on
	idle   time.Duration // since its program last ran
	offset time.Duration // of its wall clock
	fast   int           // its monotonic clock runs so many times as fast
	mono   time.Duration
	boot   byte
	docket sos.Docket
	log    int64 // leaves
	past   []snapshot
	heads  map[string]int64 // of the others' logs that it knows
	known  []parcel         // statements in its store, to send again
	have   map[statement.ID]bool
	heard  []parcel // what it was told, and took or refused for good

	question *sos.Question // in memory
	answers  []act.NoVeto
	broken   bool     // its store cannot be written
	forks    []string // whose logs it knows to be forked
	corrupt  bool     // it says what it likes
}

type snapshot struct {
	raw   []byte
	log   int64
	known []parcel
	heard []parcel
	said  map[statement.ID]string // the judge's
}

// A parcel is on its way, or kept.
type parcel struct {
	id       statement.ID
	from, to string
	due      int
	ask      statement.Statement
	event    sos.Event
	question *question
	answer   *act.NoVeto
	head     int64 // of the sender's log
}

type question struct {
	request statement.ID
	nonce   [32]byte
}

type dials struct {
	loss, twice, late                              int  // percent of parcels
	jump, restart, sleep, rollback, breaks, racing int  // per mille, per node and tick
	corrupt                                        int  // contributors
	unwatched                                      bool // no host looks whether it was rolled back
	badGuardians                                   int
	skips                                          int // per mille of ticks that come late; 0: 50
	trigger                                        string
	subjects                                       int // 0: as few as leave less than t
}

type world struct {
	t        testing.TB
	rng      *rand.Rand
	plan     plan.Plan
	plans    map[statement.ID]plan.Plan
	boxes    []*box
	now      time.Duration // true time
	tick     int
	net      []parcel
	next     uint32
	judge    *judge
	dials    dials
	keys     []act.Key
	subjects []string
	muted    map[string]bool // nobody hears what it sends
	requests []act.Request
	script   map[int][]func()
	acts     map[statement.ID]*activated // by activation
	seen     map[string]time.Time        // when each guardian's tool had a request first: guardian and request
	steps    []act.Step
	vetoes   []act.Veto
	tries    int // attempts of activations
	forked   []string
	outflows int
}

type activated struct {
	a       act.Activation
	gave    map[string]bool
	guards  map[string]bool
	applied bool
}

func newWorld(t testing.TB, n int, seed uint64, d dials) *world {
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, uint64(n))), plan: samplePlan(t, n), dials: d, keys: []act.Key{{Key: [32]byte{3}, Epoch: [32]byte{4}}},
		muted: map[string]bool{}, script: map[int][]func(){}, acts: map[statement.ID]*activated{}, seen: map[string]time.Time{},
	}
	w.plans = map[statement.ID]plan.Plan{w.plan.Charter: w.plan}
	for _, o := range slices.Concat(w.plan.Operators, w.plan.Others) {
		w.boxes = append(w.boxes, &box{name: o.Name, up: true, fast: 1, boot: 1, docket: sos.NewDocket(w.plan, o.Name), heads: map[string]int64{}, have: map[statement.ID]bool{}})
	}
	for _, b := range w.boxes {
		b.keep(b.docket)
	}
	lost := n - w.plan.Threshold + 1
	w.subjects = w.plan.Contributors(nil)[n-lost:]
	for i := range min(d.corrupt, w.plan.Live) {
		w.boxes[i].corrupt = true
	}
	w.judge = newJudge(w.plan, n)
	return w
}

func (w *world) id() statement.ID {
	w.next++
	return sha256.Sum256([]byte{byte(w.next), byte(w.next >> 8), byte(w.next >> 16)})
}

func (w *world) box(name string) *box {
	return w.boxes[slices.IndexFunc(w.boxes, func(b *box) bool { return b.name == name })]
}

func (w *world) wall() time.Time { return start.Add(w.now) }

func (w *world) reading(b *box) sos.Reading {
	return sos.Reading{Boot: [16]byte{b.boot, 1}, Wall: w.wall().Add(b.offset), Mono: b.mono}
}

func (w *world) chance(perMille int) bool { return w.rng.IntN(1000) < perMille }

// keep writes the store; now and then a copy of it is made, as of a snapshot.
func (b *box) keep(d sos.Docket) {
	b.docket = d
	b.log++
}

// apply takes an event: in memory, then the store, then what follows. A crash may come between.
func (w *world) apply(b *box, p parcel) error {
	if !b.up || b.asleep {
		return nil
	}
	r := w.reading(b)
	var next sos.Docket
	var fx sos.Effects
	var err error
	if p.event == nil {
		next, fx, err = b.docket.Ask(p.ask, r)
	} else {
		next, fx, err = b.docket.Apply(p.event, r)
	}
	if err != nil {
		if !errors.Is(err, sos.ErrEarly) && !errors.Is(err, sos.ErrUnknown) && !b.broken { // else it comes again
			b.hear(p)
		}
		return err
	}
	if b.broken { // no decision without a log entry
		return nil
	}
	if w.dials.breaks > 0 && w.chance(w.dials.breaks) { // S14: killed before it was durable
		w.restart(b)
		return nil
	}
	b.keep(next)
	if p.id != (statement.ID{}) && !b.have[p.id] {
		b.have[p.id] = true
		b.known = append(b.known, p)
	}
	b.hear(p)
	w.judge.stored(b)
	if w.dials.breaks > 0 && w.chance(w.dials.breaks) { // and killed right after: what follows is done again from the outbox
		w.restart(b)
		b.up = true
	}
	w.effects(b, fx)
	return nil
}

// hear notes what a node was told about a request that it knows, whatever it made of it.
func (b *box) hear(p parcel) {
	if p.id != (statement.ID{}) {
		b.heard = append(b.heard, p)
	}
}

// effects sends a node's own steps to every node directly.
func (w *world) effects(b *box, fx sos.Effects) {
	for _, s := range fx.Say {
		s.ID = w.id()
		w.steps = append(w.steps, s)
		w.judge.said(w, b, s)
		w.spread(b, parcel{id: s.ID, event: sos.Stepped{Step: s}})
	}
}

// notify hands the notices of a declaration on, and notes that it did. A node that nobody hears cannot.
func (w *world) notify(b *box) {
	c, ok := b.docket.Open()
	if !ok || c.State() != sos.Declared || w.muted[b.name] || b.broken {
		return
	}
	if d, _, err := b.docket.Apply(sos.Told{Request: c.ID()}, w.reading(b)); err == nil {
		b.keep(d)
		w.judge.noticed(b, c.ID())
	}
}

// spread keeps a parcel at its maker and sends it to all others.
func (w *world) spread(b *box, p parcel) {
	if p.id != (statement.ID{}) && !b.have[p.id] {
		b.have[p.id] = true
		b.known = append(b.known, p)
	}
	for _, o := range w.boxes {
		if o != b {
			w.send(b, o.name, p)
		}
	}
}

func (w *world) send(b *box, to string, p parcel) {
	p.from, p.to, p.head = b.name, to, b.log
	if w.muted[b.name] || w.rng.IntN(100) < w.dials.loss {
		return
	}
	copies := 1
	if w.rng.IntN(100) < w.dials.twice {
		copies = 2
	}
	for range copies {
		p.due = w.tick
		if w.rng.IntN(100) < w.dials.late {
			p.due += w.rng.IntN(6)
		}
		w.net = append(w.net, p)
	}
}

// person hands a person's statement to every node, each by itself.
func (w *world) person(e sos.Event) {
	p := parcel{id: w.id(), event: e}
	for _, b := range w.boxes {
		if w.rng.IntN(100) >= w.dials.loss {
			q := p
			q.to, q.due = b.name, w.tick
			w.net = append(w.net, q)
		}
	}
}

// ask makes a request and hands it out. What it returns is what was said.
func (w *world) ask(trigger string, change func(*act.Request)) act.Request {
	q := act.Request{
		Drill: true, Charter: w.plan.Charter, Vault: w.plan.Vault, Trigger: trigger, Subjects: w.subjects, Reason: "lost", Keys: w.keys, Role: act.Guardian, By: "g1",
		Created: w.wall(), Expires: w.wall().Add(time.Hour),
	}
	switch trigger {
	case plan.Refusal:
		q.Challenge = statement.ID{9}
	case plan.Legal:
		q.Document = statement.ID{9}
	}
	if change != nil {
		change(&q)
	}
	s, err := q.Statement(statement.Salt(w.id()))
	if err != nil {
		w.t.Fatal(err)
	}
	if q, err = act.RequestOf(s); err != nil {
		w.t.Fatal(err)
	}
	w.requests = append(w.requests, q)
	w.judge.asked(q)
	p := parcel{id: s.ID(), ask: s}
	for _, b := range w.boxes {
		if w.rng.IntN(100) >= w.dials.loss {
			r := p
			r.to, r.due = b.name, w.tick
			w.net = append(w.net, r)
		}
	}
	return q
}

func (w *world) support(q act.Request, role, by string) { w.supports(q, role, by, true) }

func (w *world) supports(q act.Request, role, by string, contacts bool) {
	v := act.Support{ID: w.id(), Head: q.Head(), Role: role, By: by, Created: w.wall()}
	if role == act.Guardian && contacts {
		v.Contacts = []string{"telephone: nobody"}
		w.seen[by+q.ID.String()] = w.wall()
	}
	w.person(sos.Supported{Support: v})
}

func (w *world) veto(q act.Request, by string) {
	v := act.Veto{ID: w.id(), Head: q.Head(), By: by, Reason: "they live", Created: w.wall()}
	w.vetoes = append(w.vetoes, v)
	w.person(sos.Objected{Veto: v})
}

// deliver hands over what is due.
func (w *world) deliver() {
	rest := w.net[:0:0]
	due := []parcel{}
	for _, p := range w.net {
		if p.due > w.tick {
			rest = append(rest, p)
		} else {
			due = append(due, p)
		}
	}
	w.net = rest
	if w.dials.late > 0 {
		w.rng.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
	}
	for _, p := range due {
		b := w.box(p.to)
		if !b.up || b.asleep {
			continue
		}
		if p.from != "" {
			b.heads[p.from] = max(b.heads[p.from], p.head)
		}
		switch {
		case p.question != nil:
			w.respond(b, p)
		case p.answer != nil:
			b.answers = append(b.answers, *p.answer)
		default:
			_ = w.apply(b, p) // refused, or not known yet: it comes again by gossip
		}
	}
}

// respond answers whether there is a veto. A corrupt node always says that there is none.
func (w *world) respond(b *box, p parcel) {
	own := sos.Own{Origin: p.from, Log: head(b.heads[p.from])}
	v, err := b.docket.NoVeto(p.question.request, p.from, p.question.nonce, own, w.reading(b))
	if b.corrupt {
		q := w.requests[slices.IndexFunc(w.requests, func(q act.Request) bool { return q.ID == p.question.request })]
		v, err = act.NoVeto{Head: q.Head(), Operator: b.name, Asker: p.from, Nonce: p.question.nonce, Origin: p.from, Log: head(0), Created: w.wall()}, nil
	}
	if err == nil {
		v.ID = w.id()
		w.judge.answered(w, b, v)
		w.send(b, p.from, parcel{answer: &v})
		return
	}
	for _, k := range b.known { // who has a veto answers with it
		if about, ok := objection(k.event); ok && about == p.question.request && w.box(p.from).up && !w.box(p.from).have[k.id] {
			w.send(b, p.from, k)
		}
	}
}

// objection is the request that an event could end.
func objection(e sos.Event) (statement.ID, bool) {
	switch e := e.(type) {
	case sos.Objected:
		return e.Request, true
	case sos.Lived:
		return e.Request, true
	case sos.SignedLive:
		return e.Request, true
	}
	return statement.ID{}, false
}

// head is a log of so many leaves: its root says which.
func head(n int64) tlog.Head { return tlog.Head{Size: n, Root: tlog.Hash{byte(n), byte(n >> 8), 1}} }

func (w *world) restart(b *box) {
	raw := b.docket.Bytes()
	d, err := sos.DecodeDocket(raw, w.plans[w.plan.Charter], func(id statement.ID, _ [32]byte) (plan.Plan, error) { return w.plans[id], nil })
	if err != nil || string(d.Bytes()) != string(raw) {
		w.judge.fault("%s cannot read its store again: %v", b.name, err)
		return
	}
	b.docket, b.boot, b.question, b.answers = d, b.boot+1, nil, nil
	if w.chance(500) { // the machine was started anew, and not the program alone
		b.mono = 0
	}
	b.up, b.asleep = false, false
}
