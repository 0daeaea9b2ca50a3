package sos_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// A racer is a contributor's node in the moments around a declaration, while a subject hands out the last word of a refresh that it kept back. What node/ceremony does with
// such a word, it does here: it waits while the vault is held or a request is ripe, and else the key moves.
type racer struct {
	*one
	hears   bool // its subjects' silence, where the request is about that
	offered bool // the certificate is whole here
	moved   bool
	backed  bool
	deaf    bool // it goes on hearing its subjects
}

type dash struct {
	t      testing.TB
	nodes  []*racer
	slow   bool // words of nodes wait until all that is planned has happened
	queue  []func()
	epochs []act.Key
}

func newDash(t testing.TB, p plan.Plan, trigger string, subjects ...string) *dash {
	x := &dash{t: t, epochs: []act.Key{{Key: [32]byte{3}, Epoch: [32]byte{4}}, {Key: [32]byte{3}, Epoch: [32]byte{6}}}}
	var q statement.Statement
	for _, name := range p.Contributors(subjects) {
		o := &one{t: t, p: p, d: sos.NewDocket(p, name), boot: 1, keys: x.epochs[:1], name: name}
		if q.IsZero() {
			r := o.request(trigger, "g1")
			r.Subjects = subjects
			var err error
			if q, err = r.Statement(statement.Salt(o.id())); err != nil {
				t.Fatal(err)
			}
		}
		d, _, err := o.d.Ask(q, o.r())
		if err != nil {
			t.Fatal(err)
		}
		o.d = d
		o.q, _ = act.RequestOf(q)
		x.nodes = append(x.nodes, &racer{one: o})
	}
	return x
}

func (n *racer) sees() sos.View {
	v := sos.View{Keys: n.keys, Silent: map[string]time.Duration{}}
	if !n.hears && !n.deaf {
		for _, s := range n.q.Subjects {
			v.Silent[s] = silent - time.Second
		}
	}
	if n.hears {
		for _, s := range n.q.Subjects {
			v.Silent[s] = time.Hour
		}
	}
	return v
}

// near is what node/rescue tells node/ceremony.
func (n *racer) near() bool {
	_, open := n.d.Open()
	return open || n.d.Ripe(n.q.ID, n.sees(), n.r())
}

// hand gives a node an event, and what it says of it to the others.
func (x *dash) hand(n *racer, e sos.Event) {
	said := len(n.said)
	n.do(e)
	for _, s := range n.said[said:] {
		for _, m := range x.nodes {
			if m != n {
				x.later(func() { x.hand(m, sos.Stepped{Step: s}) })
			}
		}
	}
}

func (x *dash) later(f func()) {
	if x.slow {
		x.queue = append(x.queue, f)
	} else {
		f()
	}
}

// offer is a certificate's arrival: it is carried again until it is taken.
func (x *dash) offer(n *racer) {
	if n.offered = true; n.moved || n.near() {
		return
	}
	n.moved, n.keys = true, x.epochs[1:]
	x.hand(n, sos.Moved{Key: x.epochs[1]})
	for _, m := range x.nodes {
		if m != n {
			x.later(func() { x.offer(m) })
		}
	}
}

func (x *dash) tick(n *racer) {
	n.now, n.mono = n.now+time.Second, n.mono+time.Second
	x.hand(n, sos.Tick{View: n.sees()})
	if n.state() == sos.Declared {
		x.hand(n, sos.Told{Request: n.q.ID})
	}
	if n.offered {
		x.offer(n)
	}
}

// happens is one of the three things that befall a node: its support is complete, its tick finds the subjects silent, the last word comes.
func (x *dash) happens(what int) {
	switch n := x.nodes[what/3]; what % 3 {
	case 0:
		if !n.state().Ended() {
			n.back()
			n.backed = true
		}
	case 1:
		n.hears = !n.deaf
		x.tick(n)
	case 2:
		x.offer(n)
	}
}

// settled runs everybody for some seconds, and says how it stands.
func (x *dash) settled() (held, moved, over int) {
	x.slow = false
	for range 8 {
		for len(x.queue) > 0 {
			f := x.queue[0]
			x.queue = x.queue[1:]
			f()
		}
		for _, n := range x.nodes {
			n.hears = !n.deaf
			x.tick(n)
		}
	}
	for _, n := range x.nodes {
		switch n.state() {
		case sos.Contest, sos.Active:
			held++
		case sos.Expired:
			over++
		}
		if n.moved {
			moved++
		}
	}
	return held, moved, over
}

// A subject hands each contributor the last word of a refresh whenever it likes: before, between and after the support and the declarations, and the network may hold back what
// nodes say. Within seconds either the emergency goes on at all who are needed, in the epoch that it names, or it is over for all, in the new one. Nobody is left who waits.
// Once the support is complete at as many as are needed, and they hear the subject no more, no such word ends it.
func TestLastWordAroundADeclaration(t *testing.T) {
	t.Parallel()
	counts, plans := map[string]int{}, map[int]plan.Plan{3: samplePlan(t, 3), 5: samplePlan(t, 5)}
	run := func(n int, trigger string, slow, deaf bool, order []int) {
		x := newDash(t, plans[n], trigger, []string{"cora", "dora"}[:n/2]...)
		all, need, safe := len(x.nodes), 2, false
		if trigger == plan.Silence {
			need = all
		}
		x.slow, x.nodes[0].deaf = slow, deaf
		for _, what := range order {
			x.happens(what)
			ready := 0
			for _, n := range x.nodes {
				if n.backed && !n.moved {
					ready++
				}
			}
			safe = safe || ready >= need
		}
		held, moved, over := x.settled()
		kind := fmt.Sprintf("%d operators, %s", n, trigger)
		switch {
		case held >= need && held+over == all && held+moved == all:
			counts[kind+": goes on"]++
		case over == all && moved == all && (!safe || deaf): // one that still hears its subject is not near
			counts[kind+": over"]++
		case deaf && moved == 0: // it waits for the silence
		default:
			t.Fatalf("%s, slow %v, deaf %v, order %v: of %d nodes the request goes on at %d and is over at %d, %d are in the new epoch; support was complete at as many as are needed: %v",
				kind, slow, deaf, order, all, held, over, moved, safe)
		}
	}
	seeded := rand.New(rand.NewPCG(1, 2))
	for order := range permutations(6) {
		run(3, plan.Legal, order[0]%2 == 0, false, order)
		run(3, plan.Silence, false, order[0]%2 == 0, order)
		run(3, plan.Silence, true, order[1]%2 == 0, order)
		run(5, plan.Legal, order[0]%2 == 0, false, seeded.Perm(9))
		run(5, plan.Silence, order[0]%2 == 0, order[1]%2 == 0, seeded.Perm(9))
	}
	for _, kind := range []string{"3 operators, legal", "3 operators, silence", "5 operators, legal", "5 operators, silence"} {
		if counts[kind+": goes on"] == 0 || counts[kind+": over"] == 0 {
			t.Errorf("%s: %v", kind, counts)
		}
	}
}

// permutations are all orders of n things.
func permutations(n int) func(func([]int) bool) {
	return func(yield func([]int) bool) {
		var walk func(done, left []int) bool
		walk = func(done, left []int) bool {
			if len(left) == 0 {
				return yield(done)
			}
			for i := range left {
				rest := slices.Delete(slices.Clone(left), i, i+1)
				if !walk(append(slices.Clone(done), left[i]), rest) {
					return false
				}
			}
			return true
		}
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		walk(nil, all)
	}
}
