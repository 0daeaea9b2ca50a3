package plan

import (
	"fmt"
	"testing"
)

// What a coalition of operators and guardians can work out, by linear algebra alone: everything dealt in an epoch is a linear function of
// the key x and of the dealers' random coefficients (protocols: a second sharing of the key). A coalition knows x if and only if the row
// of x lies in the span of the rows that it holds. Rows are over a prime field; its size matters only in that points are distinct.
const prime = 1_000_003

// An epoch's unknowns: x; the share polynomial's t−1 coefficients; for each of t dealers, h of degree r−1 (r coefficients) and u of
// degree k−1, of which u(0) = w − h(0) is no unknown.
type algebra struct {
	p       Plan
	columns int
	next    int
}

func newAlgebra(p Plan) *algebra { return &algebra{p: p, columns: 80, next: 1} } // column 0 is x

func (a *algebra) fresh(n int) int { at := a.next; a.next += n; return at }

type vector []int64

func (a *algebra) zero() vector { return make(vector, a.columns) }

func (v vector) add(c int64, w vector) vector {
	for i := range v {
		v[i] = mod(v[i] + c*w[i]%prime)
	}
	return v
}

func mod(x int64) int64 { return (x%prime + prime) % prime }

func inverse(x int64) int64 {
	out := int64(1)
	for e := prime - 2; e > 0; e >>= 1 {
		if e&1 == 1 {
			out = out * x % prime
		}
		x = x * x % prime
	}
	return out
}

// epoch gives the rows of one epoch: shares and masks of the operators, values of the guardians. indices are the operators' points.
func (a *algebra) epoch(indices []int64) (shares, masks, values []vector) {
	t, r, k := a.p.Threshold, a.p.Live, a.p.Quorum
	f := a.fresh(t - 1)
	share := func(x int64) vector { // s(x) = key + Σ f_j x^j
		v := a.zero()
		v[0] = 1
		for j, pow := 0, x; j < t-1; j, pow = j+1, pow*x%prime {
			v[f+j] = pow
		}
		return v
	}
	type dealer struct {
		w    vector
		h, u int
	}
	var dealers []dealer
	for i := range t {
		lambda := int64(1)
		for j := range t {
			if i != j {
				lambda = lambda * indices[j] % prime * inverse(mod(indices[j]-indices[i])) % prime
			}
		}
		dealers = append(dealers, dealer{a.zero().add(lambda, share(indices[i])), a.fresh(r), a.fresh(k - 1)})
	}
	for _, x := range indices {
		m := a.zero()
		for _, d := range dealers {
			for j, pow := 0, int64(1); j < r; j, pow = j+1, pow*x%prime {
				m[d.h+j] = mod(m[d.h+j] + pow)
			}
		}
		shares, masks = append(shares, share(x)), append(masks, m)
	}
	for g := range a.p.Guardians {
		x, y := int64(g+1), a.zero()
		for _, d := range dealers {
			y.add(1, d.w)
			y[d.h] = mod(y[d.h] - 1) // u(0) = w − h(0)
			for j, pow := 0, x; j < k-1; j, pow = j+1, pow*x%prime {
				y[d.u+j] = mod(y[d.u+j] + pow)
			}
		}
		values = append(values, y)
	}
	return shares, masks, values
}

// knows says whether x is in the span of the rows.
func knows(rows []vector, columns int) bool {
	var basis []vector
	var pivots []int
	reduce := func(v vector) (vector, int) {
		v = append(vector{}, v...)
		for i, b := range basis {
			if c := v[pivots[i]]; c != 0 {
				v.add(-c, b)
			}
		}
		for i, c := range v {
			if c != 0 {
				return v, i
			}
		}
		return v, -1
	}
	for _, row := range rows {
		if v, at := reduce(row); at >= 0 {
			basis, pivots = append(basis, make(vector, columns).add(inverse(v[at]), v)), append(pivots, at)
		}
	}
	x := make(vector, columns)
	x[0] = 1
	_, at := reduce(x)
	return at < 0
}

var shapes = [][5]int{{3, 3, 2, 3, 5}, {3, 3, 1, 3, 5}, {3, 2, 1, 3, 5}, {3, 2, 1, 2, 3}, {3, 3, 2, 4, 5}, {3, 3, 2, 2, 5}, {3, 3, 1, 2, 4}, {3, 2, 1, 4, 5}}

// Every coalition of three operators and up to five guardians, for eight plans: exactly those of the table know the key.
func TestRankOfEveryCoalition(t *testing.T) {
	for _, c := range shapes {
		p := sample(t, c[0], c[1], c[2], c[3], c[4])
		a := newAlgebra(p)
		shares, masks, values := a.epoch([]int64{1, 2, 3})
		checked := 0
		for set := range 1 << (c[0] + c[4]) {
			var rows []vector
			operators, guardians := 0, 0
			for i := range c[0] {
				if set>>i&1 == 1 {
					rows = append(rows, shares[i], masks[i])
					operators++
				}
			}
			for i := range c[4] {
				if set>>(c[0]+i)&1 == 1 {
					rows = append(rows, values[i])
					guardians++
				}
			}
			_, can := p.Can(operators, guardians)
			if got := knows(rows, a.columns); got != (can != Nothing) {
				t.Fatalf("%v: %d operators and %d guardians: the table says %s, the algebra %t", c, operators, guardians, can, got)
			}
			checked++
		}
		if checked != 1<<(c[0]+c[4]) {
			t.Errorf("%v: %d coalitions", c, checked)
		}
	}
}

// Old and new epochs mixed: whoever is below both thresholds in each of two epochs knows nothing, though they may be different people.
func TestRankOverTwoEpochs(t *testing.T) {
	for _, c := range shapes {
		p := sample(t, c[0], c[1], c[2], c[3], c[4])
		a := newAlgebra(p)
		var shares, masks, values [2][]vector
		shares[0], masks[0], values[0] = a.epoch([]int64{1, 2, 3})
		shares[1], masks[1], values[1] = a.epoch([]int64{1, 2, 4}) // the third was replaced, with a fresh index
		for o := range 1 << (2 * c[0]) {
			for g0 := range c[4] + 1 {
				for g1 := range c[4] + 1 {
					var rows []vector
					want, why := false, ""
					for e, guardians := range []int{g0, g1} {
						operators := 0
						for i := range c[0] {
							if o>>(e*c[0]+i)&1 == 1 {
								rows = append(rows, shares[e][i], masks[e][i])
								operators++
							}
						}
						rows = append(rows, values[e][:guardians]...)
						_, can := p.Can(operators, guardians)
						want = want || can != Nothing
						why += fmt.Sprintf(" %d+%d", operators, guardians)
					}
					if got := knows(rows, a.columns); got != want {
						t.Fatalf("%v: operators+guardians of old and new%s: the algebra says %t", c, why, got)
					}
				}
			}
		}
	}
}

// Without the second sharing's masks, a plan would be broken: the test can fail.
func TestRankFindsABrokenSharing(t *testing.T) {
	p := sample(t, 3, 3, 2, 3, 5)
	a := newAlgebra(p)
	shares, _, values := a.epoch([]int64{1, 2, 3})
	if knows(values, a.columns) {
		t.Error("guardians alone know the key")
	}
	if knows(append(values, shares[0], shares[1]), a.columns) {
		t.Error("without masks, two operators and all guardians know the key")
	}
	// Were h zero, u would share the key itself, and guardians alone would know it.
	for i := range values {
		y := a.zero()
		y[0] = 1
		for j, pow := 0, int64(i+1); j < p.Quorum-1; j, pow = j+1, pow*int64(i+1)%prime {
			y[a.next-1-j] = pow
		}
		values[i] = y
	}
	if !knows(values[:p.Quorum], a.columns) || knows(values[:p.Quorum-1], a.columns) {
		t.Error("the algebra does not find a key that is shared among guardians")
	}
}
