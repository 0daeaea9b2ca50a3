package reshare

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// A rescue is a key's second sharing, dealt by a dealer that the product does not have: masks of degree r−1 over operators, values of degree k−1
// over guardians.
type rescue struct {
	*vault
	masks, values share.Polynomial
	r, k          int
}

func newRescue(tb testing.TB, g group.Group, r, k int, seats ...int) *rescue {
	tb.Helper()
	x := &rescue{vault: newVault(tb, g, r+1, seats...), r: r, k: k}
	var err error
	if x.masks, err = share.Sample(g, r, nil, enginetest.Reader(31)); err != nil {
		tb.Fatal(err)
	}
	if x.values, err = share.Sample(g, k, g.Scalar(4242).Sub(x.masks.Constant()), enginetest.Reader(32)); err != nil {
		tb.Fatal(err)
	}
	return x
}

// params are those of all parties of a guarded reshare; guardians are counted from 1.
func (x *rescue) params(tb testing.TB, t int, contributors, guardians, committee []int, seed uint64) []Params {
	tb.Helper()
	g := x.old.Group
	union := slices.Concat(contributors, committee)
	slices.Sort(union)
	all := x.vault.params(slices.Compact(union), t, sid, seed)
	var at, where []share.Index
	for _, k := range contributors {
		at = append(at, seat(k).Index)
	}
	for _, k := range guardians {
		where = append(where, share.Index(k))
	}
	lambda, err := share.LagrangeAll(g, at)
	if err != nil {
		tb.Fatal(err)
	}
	mu, err := share.LagrangeAll(g, where)
	if err != nil {
		tb.Fatal(err)
	}
	var dealt []share.Polynomial
	for i, w := range where {
		p, err := share.Sample(g, t, x.values.Eval(w), enginetest.Reader(seed+100+uint64(i)))
		if err != nil {
			tb.Fatal(err)
		}
		dealt = append(dealt, p)
	}
	for i := range all {
		p := &all[i]
		p.Receivers = ids(committee)
		for k, a := range at {
			p.Dealers = append(p.Dealers, Dealer{ID: seat(contributors[k]).ID, Constant: g.BaseMul(x.masks.Eval(a)), Weight: lambda[k]})
			if p.Self.Index == a {
				p.Secret = x.masks.Eval(a)
			}
		}
		for k, f := range dealt {
			a := Absent{Commit: f.Commit(), Weight: mu[k]}
			if slices.Contains(p.Receivers, p.Self.ID) {
				a.Value = f.Eval(p.Self.Index)
			}
			p.Absent = append(p.Absent, a)
		}
	}
	return all
}

// Any r contributors with any k guardians give the key to any committee, and one fewer on either side does not begin.
func TestAbsentDealersGiveTheKey(t *testing.T) {
	for i, g := range groups {
		for j, c := range []struct {
			r, k, m int
			seats   []int
		}{{1, 2, 3, []int{0, 1, 2}}, {2, 3, 5, []int{0, 1, 2}}, {3, 2, 3, []int{0, 1, 2, 4}}} {
			if i > 0 && j > 0 {
				break
			}
			x := newRescue(t, g, c.r, c.k, c.seats...)
			n := 0
			for _, who := range subsets(len(c.seats), c.r) {
				var contributors []int
				for _, i := range who {
					contributors = append(contributors, c.seats[i])
				}
				for _, guards := range subsets(c.m, c.k) {
					var guardians []int
					for _, i := range guards {
						guardians = append(guardians, i+1)
					}
					// Committees that keep all contributors, one, or none, by turns; t′ of two or three.
					n++
					committee := [][]int{{7, 8, 9}, slices.Concat(contributors[:1], []int{6, 7}), slices.Concat(contributors, []int{6, 7})}[n%3]
					threshold := 2 + n%2
					all := x.params(t, threshold, contributors, guardians, committee, uint64(n))
					check(t, x.vault, threshold, all, outputs(t, 0, all))

					few := x.params(t, threshold, contributors, guardians[1:], committee, uint64(n))
					refused(t, few, "constants do not give the public key")
					if c.r > 1 {
						few = x.params(t, threshold, contributors[1:], guardians, committee, uint64(n))
						refused(t, few, "constants do not give the public key")
					}
				}
			}
		}
	}
}

// refused starts every party: it is our own misuse for each, and nothing leaves.
func refused(t *testing.T, all []Params, want string) {
	t.Helper()
	for _, p := range all {
		out, err := Start(p).Finish(engine.Transcript{})
		var own *engine.Misuse
		if !errors.As(err, &own) || !strings.Contains(err.Error(), want) || len(out.Send) > 0 {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// What guardians dealt is held to the session's terms by everybody, before anything is dealt.
func TestAbsentMisuse(t *testing.T) {
	g := secp256k1.Group{}
	x := newRescue(t, g, 2, 2, 0, 1, 2)
	for _, c := range []struct {
		want  string
		of    int // 0 contributes and leaves, 1 contributes and stays, 2 joins
		spoil func(*Params)
	}{
		{"1 points, exactly 2", 2, func(p *Params) { p.Absent[0].Commit = p.Absent[0].Commit[:1] }},
		{"3 points, exactly 2", 0, func(p *Params) { p.Absent[1].Commit = append(slices.Clone(p.Absent[1].Commit), g.Generator()) }},
		{"absent dealer 1: ", 0, func(p *Params) { p.Absent[1].Commit = nil }},
		{"no weight, or 0", 0, func(p *Params) { p.Absent[0].Weight = nil }},
		{"no weight, or 0", 1, func(p *Params) { p.Absent[0].Weight = g.Scalar(0) }},
		{"a value stands where we do not receive", 0, func(p *Params) { p.Absent[0].Value = g.Scalar(5) }},
		{"or is missing where we do", 2, func(p *Params) { p.Absent[1].Value = nil }},
		{"not that of its commitment", 2, func(p *Params) { p.Absent[1].Value = p.Absent[0].Value }},
		{"not that of its commitment", 1, func(p *Params) {
			p.Absent[1].Commit = share.Commitment{p.Absent[1].Commit[0], p.Absent[1].Commit[1].Add(g.Generator())}
		}},
		{"constants do not give the public key", 0, func(p *Params) { p.Absent[0].Weight = p.Absent[1].Weight }},
		{"constants do not give the public key", 0, func(p *Params) { p.Absent[0] = p.Absent[1] }},
		{"constants do not give the public key", 2, func(p *Params) { p.Absent = p.Absent[:1] }},
		{"constants do not give the public key", 0, func(p *Params) {
			p.Absent[0].Commit = share.Commitment{g.Generator(), p.Absent[0].Commit[1]}
		}},
		{"a refresh has no list of", 1, func(p *Params) {
			p.Dealers, p.Receivers, p.Publics = nil, nil, map[engine.PartyID]group.Point{}
		}},
		{"0 dealers", 2, func(p *Params) { p.Parties, p.Dealers = p.Parties[1:], nil }},
	} {
		p := x.params(t, 2, []int{0, 1}, []int{1, 3}, []int{1, 5}, 1)[c.of]
		c.spoil(&p)
		_, err := Start(p).Finish(engine.Transcript{})
		var own *engine.Misuse
		if !errors.As(err, &own) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v", c.want, err)
		}
	}
}

// The only contributor deals too: with no guardian's part it would know the key.
func TestContributorAloneNeedsAbsent(t *testing.T) {
	x := newRescue(t, secp256k1.Group{}, 1, 2, 0, 1)
	all := x.params(t, 2, []int{0}, []int{1, 2}, []int{0, 5}, 1)
	check(t, x.vault, 2, all, outputs(t, 0, all))
	for i := range all {
		all[i].Absent = nil
	}
	refused(t, all, "who deals alone")
}

// A mask of another epoch ends at its holder; a contributor that deals another is named, whatever guardians dealt.
func TestContributorsAreHeldToTheirMasks(t *testing.T) {
	g := secp256k1.Group{}
	x := newRescue(t, g, 2, 2, 0, 1, 2)
	all := x.params(t, 2, []int{0, 1}, []int{1, 2}, []int{5, 6}, 1)
	all[0].Secret = g.Scalar(9)
	refused(t, all[:1], "it is a share of another epoch")
	all = x.params(t, 2, []int{0, 1}, []int{1, 2}, []int{5, 6}, 1)
	mine := x.params(t, 2, []int{0, 1}, []int{1, 2}, []int{5, 6}, 1)[1]
	mine.Secret = g.Scalar(9)
	mine.Dealers[1].Constant = g.BaseMul(mine.Secret)
	// The liar's own terms are such that it starts: others hold it to theirs.
	mine.Public = weighted(mine.Dealers[0].Constant, mine.Dealers[0].Weight).Add(weighted(mine.Dealers[1].Constant, mine.Dealers[1].Weight))
	for _, a := range mine.Absent {
		mine.Public = mine.Public.Add(weighted(a.Commit[0], a.Weight))
	}
	sessions := machines(t, all)
	sessions[1] = machine(t, mine, Start(mine))
	c := enginetest.Run(enginetest.Options{}, sessions...)
	for i, p := range c.Parties {
		if f := p.Fault(); i != 1 && (f == nil || f.Check != "reshare: constant" || !slices.Equal(f.Accused, []engine.PartyID{seat(1).ID})) {
			t.Errorf("party %d ends with %v", i, p.Err)
		}
	}
}

// What guardians dealt to us is copied when the session starts, and gone on every end of it.
func TestAbsentValuesAreWiped(t *testing.T) {
	x := newRescue(t, secp256k1.Group{}, 2, 2, 0, 1, 2)
	for self, role := range []string{"who leaves", "who stays", "who joins"} {
		for _, kind := range []engine.Kind{0, KindCommit, KindOpening, KindConfirm} {
			all := x.params(t, 2, []int{0, 1}, []int{1, 2}, []int{1, 5}, 40)
			given := all[self].Absent
			first := Start(all[self]).(*deal)
			sessions := machines(t, all)
			sessions[self] = machine(t, all[self], first)
			var hook enginetest.Hook
			if kind != 0 {
				hook = enginetest.On(enginetest.Match{To: all[self].Self.ID, Kind: kind}, enginetest.Drop)
			}
			p := enginetest.Run(enginetest.Options{Hook: hook}, sessions...).Parties[self]
			if (p.Result != nil) != (kind == 0) {
				t.Fatalf("%s, %#x: ended with %v", role, uint8(kind), p.Err)
			}
			if kind != 0 {
				p.Session.Abandon()
			}
			name := fmt.Sprintf("%s, %#x", role, uint8(kind))
			if first.absent != nil && !first.absent.IsZero() {
				t.Errorf("%s: their sum stays", name)
			}
			if (first.absent != nil) != (self > 0) {
				t.Errorf("%s: receives %v", name, first.absent != nil)
			}
			if left := held(first.run); len(left) > 0 {
				t.Errorf("%s: %v stays", name, left)
			}
			for _, a := range first.Absent {
				if a.Value != nil {
					t.Errorf("%s: a value stays with the session", name)
				}
			}
			for _, a := range given {
				if a.Value != nil && a.Value.IsZero() {
					t.Errorf("%s: the caller's own value is wiped", name)
				}
			}
		}
	}
}
