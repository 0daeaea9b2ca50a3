package sos

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// largest is a plan with as many people as there may be, of names as long as they may be; shortest has few.
func largest() (p plan.Plan) {
	p.Vault, p.Name, p.Charter = statement.ID{1}, "treasury", statement.ID{2}
	for i := range statement.MaxOperators {
		p.Operators = append(p.Operators, plan.Operator{Name: fmt.Sprintf("o%02d-%s", i, strings.Repeat("x", 60))})
	}
	for i := range statement.MaxGuardians {
		p.Guardians = append(p.Guardians, plan.Guardian{Name: fmt.Sprintf("g%02d-%s", i, strings.Repeat("x", 60))})
	}
	return p
}

func shortest() (p plan.Plan) {
	p = largest()
	p.Operators, p.Guardians = p.Operators[:3:3], p.Guardians[:3:3]
	for i := range p.Operators {
		p.Operators[i].Name, p.Guardians[i].Name = p.Operators[i].Name[:3], p.Guardians[i].Name[:3]
	}
	return p
}

// asked is a case of a request as large as it may be.
func asked(t *testing.T, p plan.Plan, i int) Case {
	t.Helper()
	q := act.Request{
		Charter: p.Charter, Vault: p.Vault, Trigger: plan.Legal, Reason: strings.Repeat("r", 1024), Document: [32]byte{1}, Number: 1, Previous: statement.ID{3},
		Role: act.Guardian, By: p.Guardians[i%len(p.Guardians)].Name, Created: time.Unix(int64(i), 0).UTC(), Expires: time.Unix(int64(i)+3600, 0).UTC(),
	}
	for _, o := range p.Operators[1:] {
		q.Subjects = append(q.Subjects, o.Name)
	}
	for k := range statement.MaxSOSKeys {
		q.Keys = append(q.Keys, act.Key{Key: [32]byte{byte(k + 1)}, Epoch: [32]byte{9}})
	}
	s, err := q.Statement(statement.Salt{byte(i)})
	if err == nil {
		q, err = act.RequestOf(s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return Case{plan: p, said: s, request: q, state: Active, since: time.Unix(int64(i), 0)}
}

func (c *Case) activates(n int) {
	var names []string
	for _, o := range c.plan.Operators {
		names = append(names, o.Name)
	}
	for i := range n {
		c.activations = append(c.activations, activation{statement.ID{byte(i), byte(i >> 8), c.request.ID[0]}, c.request.Keys[0].Key, i + 1, names[1:], names})
	}
}

func (c *Case) moves(n int, w What, name string) {
	for i := range n {
		c.spent = append(c.spent, spend{intent: statement.ID{byte(i), byte(i >> 8), byte(i >> 16)}, what: w, name: name, amount: 1})
	}
}

// The largest docket that anybody can bring about has room in one write of a store, of the largest circle as of the smallest.
func TestLargestDocket(t *testing.T) {
	r := Reading{Wall: time.Unix(1<<20, 0)}
	for name, p := range map[string]plan.Plan{"the largest circle": largest(), "the smallest": shortest()} {
		d := NewDocket(p, p.Operators[0].Name)
		for _, o := range p.Operators {
			d.forked = join(d.forked, o.Name)
		}
		for i := range 2 * MaxCases { // as many requests as are taken
			c := asked(t, p, i)
			if d.room(c.said, c.request, r) != nil {
				break
			}
			d.cases = append(d.cases, c)
		}
		cases := len(d.cases)
		for i := range d.cases {
			d.cases[i].clock = Clock{FirstSeen: r.Wall, LastWall: r.Wall}
			f := d.cases[i].full()
			d.cases[i].supports, d.cases[i].vetoes, d.cases[i].alive, d.cases[i].signed, d.cases[i].steps, d.cases[i].reshared, d.cases[i].totals = f.supports, f.vetoes, f.alive, f.signed, f.steps, f.reshared, f.totals
		}
		said := len(d.Bytes())
		activated, gave, swept, after := 0, 0, 0, 0
		for i := range d.cases {
			c := &d.cases[i]
			for had := c.activations; ; had, activated = c.activations, activated+8 { // until no more is taken
				c.activates(8)
				if d.makeRoom() != nil {
					c.activations = had
					break
				}
			}
			for ; d.sum(Case.gaveSize) <= maxGave; gave++ {
				c.gave = append(c.gave, gift{statement.ID{byte(gave), byte(gave >> 8)}, p.Operators[1].Name})
			}
			for _, what := range []What{Transfer, tranched} {
				for {
					before := d
					before.cases = append([]Case{}, d.cases...)
					c.moves(250, what, "a"+strings.Repeat("s", 63))
					if d.hasRoom(before) != nil {
						*c = before.cases[i]
						break
					}
					if what == Transfer {
						swept += 250
					} else {
						after += 250
					}
				}
			}
		}
		n := len(d.Bytes())
		t.Logf("%s: %d requests with all that can be said of them are %d bytes; with %d activations, %d parts, %d outflows, %d after lock-ups: %d bytes", name, cases, said, activated, gave, swept, after, n)
		if n > MaxBytes || cases < 10 || activated < 48 || swept < 1000 || after < 500 {
			t.Errorf("%s: %d bytes, at most %d", name, n, MaxBytes)
		}
	}
}

// What is full gives way to what is needed: activations that came to nothing, and what an emergency before took.
func TestFullDocketGivesWay(t *testing.T) {
	p := largest()
	d := NewDocket(p, p.Operators[0].Name)
	d.cases = []Case{asked(t, p, 0), asked(t, p, 1), asked(t, p, 2)}
	d.cases[0].state, d.cases[1].state = Expired, Vetoed
	d.cases[0].activates(20)
	d.cases[1].activates(20)
	d.cases[0].gave = []gift{{d.cases[0].activations[3].id, "acme"}}
	for len(d.cases[2].activations) < 20 {
		d.cases[2].activates(1)
		if err := d.makeRoom(); err != nil {
			t.Fatalf("after %d: %v", len(d.cases[2].activations), err)
		}
	}
	if n := len(d.cases[0].activations); n != 1 || d.cases[0].ungiven(d.cases[0].activations[0]) {
		t.Errorf("of the oldest request %d activations are kept, not the one to which a part was given", n)
	}
	if len(d.cases[1].activations) != 20 {
		t.Error("those of a newer request went, and there was room")
	}
	before := d
	before.cases = append([]Case{}, d.cases...)
	d.cases[0].moves(2000, Transfer, "eip155:1/native")
	if err := d.hasRoom(before); !errors.Is(err, ErrMany) {
		t.Errorf("one emergency takes the place of all: %v", err)
	}
	d.cases[0] = before.cases[0]
	d.cases[0].moves(800, Transfer, "eip155:1/native")
	if err := d.hasRoom(before); err != nil {
		t.Fatal(err)
	}
	before.cases = append([]Case{}, d.cases...)
	d.cases[2].moves(800, Transfer, "eip155:1/native")
	if err := d.hasRoom(before); err != nil {
		t.Errorf("the next emergency has no place: %v", err)
	}
}

// What left without a docket's leave has the room that any outflow has; beyond that it is one sum of each thing that is bound, however often it is told.
func TestLeftHasRoom(t *testing.T) {
	p := shortest()
	p.Tranches = []plan.Tranche{{Asset: "usdc", Most: 1, Every: time.Hour, Count: 3}}
	p.Caps = []plan.Cap{{Asset: "usdc", Most: 1 << 40}}
	for state, w := range map[State]What{Armed: tranched, LockUp: tranched, Active: Transfer} {
		d := NewDocket(p, p.Operators[0].Name)
		d.rolled = true
		for i := range 3 {
			c := asked(t, p, i)
			c.state, c.declared = state, c.since
			d.cases = append(d.cases, c)
		}
		var all []Past
		for i := range 2500 {
			o := Outflow{Intent: statement.ID{1, byte(i), byte(i >> 8)}, Vault: p.Name, Slot: [32]byte{2, byte(i), byte(i >> 8)}, Transaction: true, Chain: "eip155:1",
				Flows: []Flow{{What: Transfer, Asset: "usdc", Amount: 2, To: "0xbb"}, {What: Fee, Asset: "eth", Amount: 1}}}
			x := Past{o, []Ground{{At: time.Unix(1000, 0)}}}
			if w == Transfer {
				for _, c := range d.cases {
					x.Grounds = append(x.Grounds, Ground{Request: c.request.ID, At: time.Unix(1000, 0)})
				}
				x.Grounds = x.Grounds[1:]
			}
			all = append(all, x)
		}
		next := d.Left(all)
		for range 2 { // told again
			next = next.Left(all)
		}
		n := len(next.Bytes())
		t.Logf("%s: %d bytes", state, n)
		switch most := len(d.Bytes()) + maxSwept + maxTranched + 1024; {
		case state == Armed && n != len(d.Bytes()):
			t.Error("a request that only gathers support counts what is ordinary")
		case n > most:
			t.Errorf("%s: %d bytes, at most %d", state, n, most)
		}
		for _, c := range next.cases {
			if sum := c.beside(Outflow{}, w, "usdc"); state != Armed && sum != 5000 {
				t.Errorf("%s: 5000 left, %d are counted", state, sum)
			}
		}
	}
}

// What a chain took keeps 16 bytes and no row: a vault of any number of deposit addresses is swept to the end, and nobody fills a case with dust. What is on its way has rows.
func TestSettledSweepsLeaveRoom(t *testing.T) {
	p := shortest()
	p.Destinations = []plan.Destination{{Name: "rescue", Chain: "eip155:1", Address: "0x00000000000000000000000000000000000000aa"}}
	p.Window, p.LockUp, p.Caps = 72*time.Hour, 14*24*time.Hour, []plan.Cap{{Asset: "eth", Most: 1 << 20}}
	p.Tranches = []plan.Tranche{{Asset: "btc", Most: 1, Every: 30 * 24 * time.Hour, Count: 4}}
	r := Reading{Wall: time.Unix(1, 0)}
	begin := func(s State) Docket {
		c := asked(t, p, 0)
		c.clock, c.state = StartClock(r), s
		d := NewDocket(p, p.Operators[0].Name)
		d.cases = []Case{c}
		return d
	}
	sweep := func(i int, asset, fee string) Outflow {
		return Outflow{Intent: statement.ID{1, byte(i), byte(i >> 8)}, Vault: p.Name, Slot: [32]byte{2, byte(i), byte(i >> 8)}, Transaction: true, Chain: "eip155:1", Usual: 10,
			Flows: []Flow{{What: Transfer, Asset: asset, Amount: 5, To: p.Destinations[0].Address}, {What: Fee, Asset: fee, Amount: 1}}}
	}
	for _, x := range []struct {
		name, asset, fee string
		state            State
		least            int // on their way at once
	}{
		{"its own coin", "eth", "eth", Active, 850},
		{"a token, its fee capped", "usdc-base", "eth", Active, 430},
		{"a token, its fee not", "usdc-base", "eth-base", Active, 820},
		{"after the lock-up", "usdc-base", "eth-base", Closed, 1250},
	} {
		t.Run(x.name, func(t *testing.T) {
			part, most := 0, maxSweptCase
			if x.state == Closed {
				part, most = 1, maxTranched
			}
			d, err := begin(x.state).Spend(sweep(1, x.asset, x.fee), r)
			if err != nil {
				t.Fatal(err)
			}
			n := most / d.cases[0].spentSize(part == 1)
			if n < x.least {
				t.Errorf("%d on their way at once, fewer than %d", n, x.least)
			}
			d = begin(x.state)
			for i := range 500 {
				o := sweep(i, x.asset, x.fee)
				next, err := d.Spend(o, r)
				if err != nil {
					t.Fatalf("after %d: %v", i, err)
				}
				d, _ = next.Settle(o, r)
			}
			c := d.cases[0]
			if size := c.spentSize(x.state == Closed); len(c.spent) > 0 || size > 500*16+16 {
				t.Errorf("500 that a chain took are %d rows, %d bytes", len(c.spent), size)
			}
			want := map[string]int64{"its own coin": 500 * 6, "a token, its fee capped": 500}[x.name]
			if got := c.beside(Outflow{}, Transfer, "eth"); got != want {
				t.Errorf("%d of a cap are counted, not %d", got, want)
			}
			d.cases[0].slots[part] = make([]settledSlot, most/16-2)
			if _, err := d.Spend(sweep(1<<15, x.asset, x.fee), r); !errors.Is(err, ErrMany) {
				t.Errorf("%d that a chain took: %v", most/16-2, err)
			}
			t.Logf("%d on their way at once; at most %d that a chain took", n, most/16)
		})
	}
}

// What is out of order is not read: one docket has one encoding, and a nonce is found in its list.
func TestSumsAndNoncesInOrder(t *testing.T) {
	p := shortest()
	for name, change := range map[string]func(*Case){
		"":                       func(*Case) {},
		"a sum twice":            func(c *Case) { c.totals = append(c.totals, c.totals[1]) },
		"sums out of order":      func(c *Case) { c.totals[0], c.totals[1] = c.totals[1], c.totals[0] },
		"a nonce twice":          func(c *Case) { c.slots[0] = append(c.slots[0], c.slots[0][1]) },
		"nonces out of order":    func(c *Case) { c.slots[1] = []settledSlot{{2}, {1}} },
		"nonces after, the same": func(c *Case) { c.slots[1] = []settledSlot{{2}, {2}} },
	} {
		c := asked(t, p, 0)
		c.totals = []total{{Transfer, "eth", 1, 2}, {tranched, "btc", 0, 4}}
		c.slots[0] = []settledSlot{{1}, {2}}
		change(&c)
		d := NewDocket(p, p.Operators[0].Name)
		d.cases = []Case{c}
		again, err := DecodeDocket(d.Bytes(), p, func(statement.ID, [32]byte) (plan.Plan, error) { return p, nil })
		if (err != nil) != (name != "") || err == nil && !bytes.Equal(again.Bytes(), d.Bytes()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
