package control

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// place is a replica of an operator that stands alone everywhere.
func place(operator string) Copy {
	c := Copy{Name: operator + "/replica"}
	for k := range Kind(Kinds) {
		c.Reach[k] = []string{fmt.Sprintf("%v of %s", k, operator)}
	}
	return c
}

func committee(names ...string) (shares []Share) {
	for _, name := range names {
		shares = append(shares, Share{Operator: name, Copies: []Copy{place(name)}})
	}
	return shares
}

// standard is 3-of-3 over three organisations, one of them an independent provider, with three of five guardians elsewhere.
func standard() Structure {
	s := Structure{Vault: "treasury", Threshold: 3, Shares: committee("acme", "bolt", "cora"), SOS: &SOS{Live: 2, Quorum: 3}}
	s.Shares[2].Independent = true
	for i := range 5 {
		g := Guardian{Name: fmt.Sprintf("guardian-%d", i)}
		for k := range Kind(Kinds) {
			g.Reach[k] = fmt.Sprintf("%v of guardian %d", k, i)
		}
		s.Guardians = append(s.Guardians, g)
	}
	s.Spending = Spending{Initiators: []Spender{{"alice", "acme"}}, Approvers: []Spender{{"bob", "acme"}, {"carol", "bolt"}}, Quorum: 1}
	return s
}

func size(f Figure) [3]int { return [3]int{f.Steal.Size, f.Halt.Size, f.Lose.Size} }

func TestStandardVault(t *testing.T) {
	s := standard()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, f := range s.Measure() {
		if size(f) != [3]int{3, 1, 2} {
			t.Errorf("%v: steal, halt, lose are %v", f.Kind, size(f))
		}
	}
	if broken := s.Check(Defaults(3)); len(broken) > 0 {
		t.Errorf("it breaks %v", broken)
	}
	if sp := s.Spend(); sp.Persons.Size != 2 || sp.Organisations.Size != 1 {
		t.Errorf("spend: %+v", sp)
	}
	org := s.Measure()[Organisation]
	if want := []Coalition{{"organisation of acme"}, {"organisation of bolt"}, {"organisation of cora"}}; !slices.EqualFunc(org.Halt.Coalitions, want, slices.Equal[Coalition]) || org.Halt.More {
		t.Errorf("halt: %v", org.Halt)
	}
}

// Three nodes under one cloud account, which one person runs.
func TestMultichain(t *testing.T) {
	s := standard()
	for i := range s.Shares {
		s.Shares[i].Copies[0].Reach[Account] = []string{"cloud/ceo@multichain"}
		s.Shares[i].Copies[0].Reach[Person] = []string{"zhaojun"}
	}
	f := s.Measure()
	if size(f[Account]) != [3]int{1, 1, 1} || size(f[Person]) != [3]int{1, 1, 1} || size(f[Organisation]) != [3]int{3, 1, 2} {
		t.Errorf("account %v, person %v, organisation %v", size(f[Account]), size(f[Person]), size(f[Organisation]))
	}
	text := fmt.Sprint(s.Check(Defaults(3)))
	for _, want := range []string{"steal/account", "steal/person", "cloud/ceo@multichain reaches enough shares to sign alone", "zhaojun", "acme, bolt, cora"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
}

// Each node has an account and an administrator of its own, and all of them are employees of one company.
func TestEmployees(t *testing.T) {
	s := standard()
	for i := range s.Shares {
		s.Shares[i].Copies[0].Staff = []string{"multichain"}
	}
	if f := s.Measure(); size(f[Person]) != [3]int{3, 1, 2} || size(f[Organisation]) != [3]int{1, 1, 2} {
		t.Errorf("person %v, organisation %v", size(f[Person]), size(f[Organisation]))
	}
	if text := fmt.Sprint(s.Check(Defaults(3))); !strings.Contains(text, "steal/organisation: multichain reaches enough shares to sign alone") {
		t.Error(text)
	}
}

// Four of nine keys in one firm, and a fifth that it may use: Ronin.
func TestRonin(t *testing.T) {
	s := Structure{Threshold: 5, Shares: committee("a", "b", "c", "d", "e", "f", "g", "h", "i")}
	for i := range 4 {
		s.Shares[i].Copies[0].Reach[Organisation] = []string{"sky"}
	}
	s.Shares[4].Copies[0].Reach[Organisation] = []string{"axie", "sky"}
	if f := s.Measure()[Organisation]; size(f) != [3]int{1, 2, 2} || !slices.Equal(f.Steal.Coalitions[0], Coalition{"sky"}) {
		t.Errorf("%+v", f)
	}
}

// Two of five: Harmony. Three of five, and two of three, are a majority.
func TestMajority(t *testing.T) {
	for _, c := range []struct {
		t, n int
		want string
	}{{2, 5, "control rule majority: 2 operators sign, at least 3 are asked: raise the threshold to 3"}, {2, 4, "at least 3 are asked"}, {3, 5, ""}, {2, 3, ""}, {2, 2, ""}} {
		s := standard()
		s.Threshold, s.Shares, s.SOS = c.t, committee("acme", "bolt", "cora", "dora", "eris")[:c.n], nil
		s.Shares[0].Independent = true
		if text := fmt.Sprint(s.Check(Defaults(c.t))); (c.want == "") != (text == "[]") || !strings.Contains(text, c.want) {
			t.Errorf("%d of %d: %s", c.t, c.n, text)
		}
	}
}

// A backup counts as a share where it lies; paper has no account, so no account takes it.
func TestBackups(t *testing.T) {
	s := standard()
	s.Shares[0].Copies = append(s.Shares[0].Copies, Copy{Name: "acme/paper", Level: Paper, Reach: [Kinds][]string{Organisation: {"organisation of bolt"}, Person: {"notary"}}})
	f := s.Measure()
	if size(f[Organisation]) != [3]int{2, 1, 2} {
		t.Errorf("bolt keeps acme's paper: %v", size(f[Organisation]))
	}
	if size(f[Account]) != [3]int{3, 1, 2} || f[Account].Lose.Coalitions[0][0] == "account of acme" {
		t.Errorf("accounts: %+v", f[Account])
	}
	if o := s.WhatIf(Domain{Organisation, "organisation of acme"}); o.CanSign || !o.CanSOS || o.Lost || !slices.Equal(o.Restores, []string{"acme"}) {
		t.Errorf("acme's organisation is lost: %+v", o)
	}
}

func TestWhatIf(t *testing.T) {
	s := standard()
	lose := func(names ...string) (all []Domain) {
		for _, n := range names {
			all = append(all, Domain{Organisation, "organisation of " + n})
		}
		return all
	}
	for name, c := range map[string]struct {
		lost               []Domain
		signs, sos, isLost bool
	}{
		"nothing":               {nil, true, false, false},
		"one operator":          {lose("acme"), false, true, false},
		"two operators":         {lose("acme", "bolt"), false, false, true},
		"two guardians":         {lose("guardian 0", "guardian 1"), true, false, false},
		"an operator and two":   {lose("acme", "guardian 0", "guardian 1"), false, true, false},
		"an operator and three": {lose("acme", "guardian 0", "guardian 1", "guardian 2"), false, false, true},
		"kinds mixed":           {append(lose("acme"), Domain{Region, "region of bolt"}), false, false, true},
		"of another kind":       {[]Domain{{Person, "organisation of acme"}}, true, false, false},
	} {
		if o := s.WhatIf(c.lost...); o.CanSign != c.signs || o.CanSOS != c.sos || o.Lost != c.isLost {
			t.Errorf("%s: %+v", name, o)
		}
	}
	s.SOS = nil
	if o := s.WhatIf(lose("acme")...); !o.Lost || o.CanSOS {
		t.Errorf("without a plan: %+v", o)
	}
}

func TestSpend(t *testing.T) {
	a, b, c, d := Spender{"alice", "acme"}, Spender{"bob", "acme"}, Spender{"carol", "bolt"}, Spender{"dora", "cora"}
	for name, c := range map[string]struct {
		s                      Spending
		persons, organisations int
	}{
		"initiator counts":        {Spending{[]Spender{a}, []Spender{a, b}, 1, true}, 1, 1},
		"initiator does not":      {Spending{[]Spender{a}, []Spender{a, b}, 1, false}, 2, 1},
		"two of others":           {Spending{[]Spender{a}, []Spender{c, d}, 2, false}, 3, 3},
		"the better initiator":    {Spending{[]Spender{a, c}, []Spender{c, d}, 2, true}, 2, 2},
		"nobody asks":             {Spending{nil, []Spender{c}, 1, false}, 0, 0},
		"the quorum is not there": {Spending{[]Spender{a}, []Spender{a}, 1, false}, 0, 0},
		"the largest first":       {Spending{[]Spender{d}, []Spender{a, b, c}, 2, false}, 3, 2},
	} {
		if sp := c.s; one(nil).Size != 0 || sp.persons().Size != c.persons || sp.organisations().Size != c.organisations {
			t.Errorf("%s: persons %v, organisations %v", name, sp.persons(), sp.organisations())
		}
	}
}

// random is a small structure in which domains overlap in every way.
func random(r *rand.Rand) Structure {
	n := 1 + r.IntN(5)
	s := Structure{Threshold: 1 + r.IntN(n)}
	some := func(most int) (names []string) {
		for range r.IntN(most + 1) {
			names = append(names, fmt.Sprint("d", r.IntN(7)))
		}
		return names
	}
	for i := range n {
		share := Share{Operator: fmt.Sprint(i), Copies: []Copy{{Reach: [Kinds][]string{some(3)}, Staff: some(1)}}}
		for range r.IntN(3) {
			share.Copies = append(share.Copies, Copy{Level: Level(r.IntN(3)), Reach: [Kinds][]string{some(2)}, Staff: some(1)})
		}
		s.Shares = append(s.Shares, share)
	}
	for i := range r.IntN(6) {
		g := Guardian{Name: fmt.Sprint(i)}
		if r.IntN(5) > 0 {
			g.Reach[0] = fmt.Sprint("d", r.IntN(10))
		}
		s.Guardians = append(s.Guardians, g)
	}
	if m := len(s.Guardians); m > 0 && s.Threshold > 1 && r.IntN(4) > 0 {
		s.SOS = &SOS{Live: 1 + r.IntN(s.Threshold-1), Quorum: 1 + r.IntN(m)}
	}
	return s
}

// slow says what a set of domains of the first kind can do, from the words of product.md alone.
func slow(s Structure, c []string) (steals, halts, loses bool) {
	in := func(d string) bool { return slices.Contains(c, d) }
	all := func(reach []string) bool {
		return len(reach) > 0 && !slices.ContainsFunc(reach, func(d string) bool { return !in(d) })
	}
	var reached, signing, left, guardsReached, guardsLeft int
	for _, share := range s.Shares {
		var reach, signs, stays bool
		for _, c := range share.Copies {
			reach = reach || slices.ContainsFunc(append(slices.Clip(c.Reach[0]), c.Staff...), in)
			signs = signs || c.Level == Replica && !all(c.Reach[0])
			stays = stays || !all(c.Reach[0])
		}
		for b, n := range map[*bool]*int{&reach: &reached, &signs: &signing, &stays: &left} {
			if *b {
				*n++
			}
		}
	}
	for _, g := range s.Guardians {
		if g.Reach[0] != "" && in(g.Reach[0]) {
			guardsReached++
		} else {
			guardsLeft++
		}
	}
	sos := func(operators, guardians int) bool {
		return s.SOS != nil && operators >= s.SOS.Live && guardians >= s.SOS.Quorum
	}
	return reached >= s.Threshold || sos(reached, guardsReached), signing < s.Threshold, left < s.Threshold && !sos(left, guardsLeft)
}

// All numbers, and all coalitions named, of many structures agree with every subset tried one by one.
func TestExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	cases := 3000
	if testing.Short() {
		cases = 300
	}
	seen := map[[3]int]int{}
	for range cases {
		s := random(r)
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		names := s.domains(0)
		var want [3]int
		smallest := [3]map[string]bool{}
		for set := range uint32(1) << len(names) {
			var c []string
			for i, name := range names {
				if set>>i&1 == 1 {
					c = append(c, name)
				}
			}
			steals, halts, loses := slow(s, c)
			for i, holds := range []bool{steals, halts, loses} {
				n := bits.OnesCount32(set)
				if holds && (want[i] == 0 || n < want[i]) {
					want[i], smallest[i] = n, map[string]bool{}
				}
				if holds && n == want[i] {
					smallest[i][fmt.Sprint(c)] = true
				}
			}
		}
		f := s.Measure()[0]
		if size(f) != want {
			t.Fatalf("%+v: steal, halt, lose are %v, want %v", s, size(f), want)
		}
		seen[want]++
		for i, n := range []Number{f.Steal, f.Halt, f.Lose} {
			if len(n.Coalitions) != min(len(smallest[i]), MaxNamed) || n.More != (len(smallest[i]) > MaxNamed) {
				t.Fatalf("%+v: %d coalitions named, more %v, of %d", s, len(n.Coalitions), n.More, len(smallest[i]))
			}
			for _, c := range n.Coalitions {
				if !smallest[i][fmt.Sprint([]string(c))] {
					t.Fatalf("%+v: %v does not suffice, or is not smallest", s, c)
				}
			}
		}
	}
	if len(seen) < 30 {
		t.Errorf("only %d different outcomes", len(seen))
	}
}

// The largest structure: sixteen shares in eight copies each, that lie across one another; 32 guardians.
func largest() Structure {
	r := rand.New(rand.NewPCG(3, 4))
	s := Structure{Threshold: 9, SOS: &SOS{Live: 8, Quorum: 17}}
	for i := range MaxShares {
		share := Share{Operator: fmt.Sprint(i)}
		for range MaxCopies {
			c := Copy{}
			for k := range Kinds {
				for range 1 + r.IntN(2) {
					c.Reach[k] = append(c.Reach[k], fmt.Sprint("d", i*5+r.IntN(8)))
				}
			}
			share.Copies = append(share.Copies, c)
		}
		s.Shares = append(s.Shares, share)
	}
	for i := range MaxGuardians {
		g := Guardian{Name: fmt.Sprint(i)}
		for k := range Kinds {
			g.Reach[k] = fmt.Sprint("d", r.IntN(100))
		}
		s.Guardians = append(s.Guardians, g)
	}
	return s
}

func BenchmarkMeasure(b *testing.B) {
	for name, s := range map[string]Structure{"standard": standard(), "largest": largest()} {
		if err := s.Validate(); err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s.Measure()
			}
		})
	}
}

// As attested: whoever declares may lie, so all that is only declared counts as one domain. It never takes more to steal than as declared.
func TestBelieved(t *testing.T) {
	s := standard()
	steal := func(s Structure, k Kind) int { return s.Measure()[k].Steal.Size }
	for k := range Kind(Kinds) {
		want := 1
		if k == Organisation {
			want = steal(s, k)
		}
		if got := steal(s.Believed(Attested), k); got != want {
			t.Errorf("nothing is attested, %v: %d steal, not %d", k, got, want)
		}
		if got := steal(s.Believed(Declared), k); got != steal(s, k) {
			t.Errorf("all is believed, %v: %d steal, not %d", k, got, steal(s, k))
		}
	}
	all := steal(s, Account)
	if all < 2 {
		t.Fatal("one account steals: this test shows nothing")
	}
	for i, share := range s.Shares {
		for _, c := range share.Copies {
			s.Hold(c.Name, Account, Attested)
			s.Hold(c.Name, Account, Declared) // takes nothing back
		}
		held, claims := s.Held(Account, Attested)
		if i == 0 && (held == 0 || held == claims) {
			t.Errorf("%d of %d claims are attested", held, claims)
		}
	}
	if got := steal(s.Believed(Attested), Account); got != all || steal(s, Account) != all {
		t.Errorf("all accounts are attested: %d steal, not %d", got, all)
	}
	three := standard()
	three.Shares = nil
	for _, name := range []string{"x", "y", "z"} {
		c := Copy{Name: name}
		c.Reach[Account] = []string{name}
		three.Shares = append(three.Shares, Share{Copies: []Copy{c}})
	}
	for attested, want := range []int{1, 1, 2, 3} { // who only declares may lie in an account of the others
		if attested > 0 {
			three.Hold([]string{"x", "y", "z"}[attested-1], Account, Attested)
		}
		if got := steal(three.Believed(Attested), Account); got != want {
			t.Errorf("%d of three are attested: %d steal, not %d", attested, got, want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		s := random(r)
		for _, share := range s.Shares {
			for _, c := range share.Copies {
				for k := range Kind(Kinds) {
					if r.IntN(2) == 0 {
						s.Hold(c.Name, k, Attested)
					}
				}
			}
		}
		before := s.Measure()
		sure := s.Believed(Attested).Measure()
		for k := range Kind(Kinds) {
			if a, b := sure[k].Steal.Size, before[k].Steal.Size; a > b && b > 0 || a == 0 && b > 0 {
				t.Fatalf("%v: %d steal as attested, %d as declared: %+v", k, a, b, s)
			}
		}
		if !reflect.DeepEqual(before, s.Measure()) {
			t.Fatal("what is believed changed what is declared")
		}
	}
}
