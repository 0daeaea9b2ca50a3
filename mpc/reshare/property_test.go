package reshare

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/ristretto255"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
)

// Old shares below t, new shares below t′, in any mixture: no interpolation gives the key.
func TestMixedSharesGiveNothing(t *testing.T) {
	g := secp256k1.Group{}
	for name, c := range map[string]struct {
		told, t int
		run     func(v *vault) []Params
	}{
		"refresh":     {3, 3, func(v *vault) []Params { return v.refresh(sid, 1) }},
		"same size":   {3, 3, func(v *vault) []Params { return v.reshare(t, 3, []int{0, 1, 2}, []int{0, 1, 2}, sid, 1) }},
		"overlap two": {3, 2, func(v *vault) []Params { return v.reshare(t, 2, []int{0, 1, 2}, []int{1, 2, 4}, sid, 1) }},
		"no overlap":  {3, 4, func(v *vault) []Params { return v.reshare(t, 4, []int{0, 2, 3}, []int{4, 5, 6, 7}, sid, 1) }},
	} {
		v := newVault(t, g, c.told, 0, 1, 2, 3)
		all := c.run(v)
		w := v.next(c.t, all, outputs(t, 0, all))
		tried := 0
		for a := range c.told {
			for b := range c.t {
				for _, old := range subsets(len(v.seats), a) {
					for _, next := range subsets(len(w.seats), b) {
						var at []share.Index
						var shares []group.Scalar
						add := func(v *vault, set []int) {
							for _, i := range set {
								if p := v.old.Members[i]; !slices.Contains(at, p.Index) {
									at, shares = append(at, p.Index), append(shares, v.shares[p.ID])
								}
							}
						}
						add(v, old)
						add(w, next)
						if len(at) == 0 {
							continue
						}
						tried++
						if key(t, g, at, shares).Equal(v.old.Public) {
							t.Errorf("%s: old shares of %v and new ones of %v give the key", name, old, next)
						}
					}
				}
			}
		}
		if tried < 30 {
			t.Errorf("%s: %d mixtures", name, tried)
		}
	}
}

// A system is what a coalition knows of one run, as linear equations in the unknown
// coefficients: of the old polynomial f, and of each dealer's. Everything in a run but hashes and points
// is such a value, so what lies outside the span of the rows is not known at all.
type system struct {
	g    group.Group
	cols int
	rows [][]group.Scalar
}

func (s *system) row() []group.Scalar {
	r := make([]group.Scalar, s.cols)
	for i := range r {
		r[i] = s.g.Scalar(0)
	}
	return r
}

// gives reports whether the rows give the value of a target: Gaussian elimination.
func (s *system) gives(target []group.Scalar) bool {
	rows, goal, at := slices.Clone(s.rows), slices.Clone(target), 0
	reduce := func(r, by []group.Scalar, c int) []group.Scalar {
		out := slices.Clone(r)
		f := r[c].Mul(by[c].Invert())
		for k := range out {
			out[k] = out[k].Sub(f.Mul(by[k]))
		}
		return out
	}
	for c := range s.cols {
		i := slices.IndexFunc(rows[at:], func(r []group.Scalar) bool { return !r[c].IsZero() })
		if i < 0 {
			continue
		}
		rows[at], rows[at+i] = rows[at+i], rows[at]
		for k := at + 1; k < len(rows); k++ {
			rows[k] = reduce(rows[k], rows[at], c)
		}
		goal = reduce(goal, rows[at], c)
		if at++; at == len(rows) {
			break
		}
	}
	return !slices.ContainsFunc(goal, func(x group.Scalar) bool { return !x.IsZero() })
}

// powers puts base·xᵏ for k = from…from+n−1 at the columns from at.
func powers(row []group.Scalar, at, from, n int, x uint64, base group.Scalar) {
	g := base.Group()
	v := base
	for range from {
		v = v.Mul(g.Scalar(x))
	}
	for k := range n {
		row[at+k] = row[at+k].Add(v)
		v = v.Mul(g.Scalar(x))
	}
}

// The key is known from exactly: t old members together, or t′ new ones. What corrupt dealers chose and
// every single share that corrupt receivers got count as known, refresh and reshare alike.
func TestWhatCoalitionsKnow(t *testing.T) {
	g := ristretto255.Group{}
	for _, c := range []struct {
		told, t      int
		quorum, next []int
		refresh      bool
	}{
		{told: 2, t: 2, quorum: []int{0, 1}, next: []int{0, 1, 2}},
		{told: 2, t: 3, quorum: []int{0, 1, 2}, next: []int{1, 2, 3}},
		{told: 3, t: 2, quorum: []int{0, 1, 2}, next: []int{3, 4}},
		{told: 2, t: 2, quorum: []int{0, 1, 2}, next: []int{0, 1, 2}, refresh: true},
		{told: 3, t: 3, quorum: []int{0, 1, 2}, next: []int{0, 1, 2}, refresh: true},
	} {
		// Columns: f₀…f_{t−1}, then per dealer its coefficients 1…t′−1; at 0 stands λᵢ·f(xᵢ), or 0.
		width := c.t - 1
		s := &system{g: g, cols: c.told + len(c.quorum)*width}
		index := func(k int) uint64 { return uint64(seat(k).Index) }
		var at []share.Index
		for _, k := range c.quorum {
			at = append(at, seat(k).Index)
		}
		constant := func(row []group.Scalar, k int, by group.Scalar) {
			if c.refresh {
				return
			}
			lambda, err := share.Lagrange(g, seat(k).Index, at)
			if err != nil {
				t.Fatal(err)
			}
			powers(row, 0, 0, c.told, index(k), lambda.Mul(by))
		}
		target := s.row()
		target[0] = g.Scalar(1)
		olds := []int{0, 1, 2}
		for a := range 1 << len(olds) {
			for b := range 1 << len(c.next) {
				s.rows = nil
				na, nb := 0, 0
				for i, k := range olds {
					if a>>i&1 == 0 {
						continue
					}
					na++
					row := s.row()
					powers(row, 0, 0, c.told, index(k), g.Scalar(1))
					s.rows = append(s.rows, row)
					if d := slices.Index(c.quorum, k); d >= 0 { // it knows the polynomial that it dealt
						for j := range width {
							row := s.row()
							row[c.told+d*width+j] = g.Scalar(1)
							s.rows = append(s.rows, row)
						}
					}
				}
				for i, k := range c.next {
					if b>>i&1 == 0 {
						continue
					}
					nb++
					all := s.row() // of a refresh: its new share, the old one being erased
					powers(all, 0, 0, c.told, index(k), g.Scalar(1))
					for d, dealer := range c.quorum {
						row := s.row()
						constant(row, dealer, g.Scalar(1))
						powers(row, c.told+d*width, 1, width, index(k), g.Scalar(1))
						if !c.refresh {
							s.rows = append(s.rows, row)
						}
						powers(all, c.told+d*width, 1, width, index(k), g.Scalar(1))
					}
					if c.refresh {
						s.rows = append(s.rows, all)
					}
				}
				if got, want := s.gives(target), na >= c.told || nb >= c.t; got != want {
					t.Errorf("%+v: old %03b and new %03b know the key: %t", c, a, b, got)
				}
			}
		}
	}
}

// A hundred epochs of one key: members come and go, thresholds rise and fall, refreshes between;
// the key is the same at the end, and every share of every epoch fits.
func TestHundredEpochs(t *testing.T) {
	hundred(t, ristretto255.Group{}, 100)
}

func hundred(t *testing.T, g group.Group, epochs int) {
	r := rand.New(rand.NewPCG(11, 12))
	v := newVault(t, g, 2, 0, 1, 2)
	public, fresh, kinds := v.old.Public, 3, map[string]int{}
	for e := range epochs {
		id := engineID(e)
		if r.IntN(4) == 0 {
			all := v.refresh(id, uint64(1000*e))
			v = check(t, v, v.old.Threshold, all, outputs(t, uint64(e), all))
			kinds["refresh"]++
			continue
		}
		quorum := slices.Clone(v.seats)
		r.Shuffle(len(quorum), func(i, j int) { quorum[i], quorum[j] = quorum[j], quorum[i] })
		quorum = quorum[:v.old.Threshold+r.IntN(len(quorum)-v.old.Threshold+1)]
		next := slices.Clone(v.seats)
		r.Shuffle(len(next), func(i, j int) { next[i], next[j] = next[j], next[i] })
		next = next[:r.IntN(len(next)+1)]
		for n := 2 + r.IntN(4); len(next) < n && (len(next) < 2 || r.IntN(2) == 0); fresh++ {
			next = append(next, fresh)
		}
		for ; len(next) < 2; fresh++ {
			next = append(next, fresh)
		}
		slices.Sort(next)
		threshold := 2 + r.IntN(len(next)-1)
		kinds[fmt.Sprintf("to %d", len(next))]++
		all := v.reshare(t, threshold, quorum, next, id, uint64(1000*e))
		var seats = all[0].Parties
		if err := v.old.CheckSeats(seats); err != nil {
			t.Fatal(err)
		}
		v = check(t, v, threshold, all, outputs(t, uint64(e), all))
	}
	if !v.old.Public.Equal(public) || len(kinds) < 4 || kinds["refresh"] == 0 {
		t.Errorf("another key, or too little has happened: %v", kinds)
	}
}

func engineID(e int) engine.SessionID { return engine.SessionID{1, 31: byte(e)} }
