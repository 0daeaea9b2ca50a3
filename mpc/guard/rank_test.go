package guard

import (
	"math/big"
	"math/bits"
	"testing"
)

// Who knows the key, by linear algebra: what a coalition holds are rows of a matrix over the unknown coefficients, and it knows the key
// if the key is in their span. Each member knows its share, its part of every dealer's masks, and, if it dealt, its polynomials whole; each
// guardian knows every dealer's value at its place. The prime is small: a coincidence modulo it would show as a coalition too strong.

const prime = 1<<31 - 1

// An access is the numbers of an access structure.
type access struct{ n, t, r, k, m int }

// columns of one epoch: f₁ … f_{t−1}; of each dealer h₁ … h_{r−1} and u₀ … u_{k−1}. Column 0 of the whole is the key.
func (a access) columns() int { return a.t - 1 + a.t*(a.r-1+a.k) }

// An epochView makes the rows of one epoch; base is the column after the key's where it begins.
type epochView struct {
	access
	base, width int
}

func (v epochView) row() []int64 { return make([]int64, v.width) }

func power(x, n int) int64 {
	p := int64(1)
	for range n {
		p = p * int64(x) % prime
	}
	return p
}

// share is f(x), member j standing at x = j+1.
func (v epochView) share(j int) []int64 {
	row := v.row()
	row[0] = 1
	for c := 1; c < v.t; c++ {
		row[v.base+c-1] = power(j+1, c)
	}
	return row
}

func (v epochView) dealer(i int) int { return v.base + v.t - 1 + i*(v.r-1+v.k) }

// value is uᵢ(x); at x = 0 its constant.
func (v epochView) value(i, x int) []int64 {
	row := v.row()
	for c := range v.k {
		row[v.dealer(i)+v.r-1+c] = power(x, c)
	}
	return row
}

// mask is hᵢ(x) = λᵢ·f(xᵢ) − uᵢ(0) + h₁·x + …
func (v epochView) mask(i, x int) []int64 {
	row := scale(v.share(i), v.weight(i))
	for c, u := range v.value(i, 0) {
		row[c] = (row[c] - u + prime) % prime
	}
	for c := 1; c < v.r; c++ {
		row[v.dealer(i)+c-1] = power(x, c)
	}
	return row
}

// weight is λᵢ over the first t members.
func (v epochView) weight(i int) int64 {
	num, den := int64(1), int64(1)
	for j := range v.t {
		if j != i {
			num = num * int64(j+1) % prime
			den = den * int64((j-i+prime)%prime) % prime
		}
	}
	return num * inverse(den) % prime
}

func inverse(x int64) int64 {
	return new(big.Int).ModInverse(big.NewInt(x), big.NewInt(prime)).Int64()
}

func scale(row []int64, by int64) []int64 {
	for c := range row {
		row[c] = row[c] * by % prime
	}
	return row
}

// known are the rows of a coalition, bits of members and of guardians.
func (v epochView) known(members, guardians uint) (rows [][]int64) {
	for j := range v.n {
		if members>>j&1 == 0 {
			continue
		}
		rows = append(rows, v.share(j))
		for i := range v.t {
			rows = append(rows, v.mask(i, j+1))
		}
		if j < v.t { // it dealt
			for x := range v.k {
				rows = append(rows, v.value(j, x))
			}
			for x := range v.r {
				rows = append(rows, v.mask(j, x+1))
			}
		}
	}
	for g := range v.m {
		if guardians>>g&1 == 1 {
			for i := range v.t {
				rows = append(rows, v.value(i, g+1))
			}
		}
	}
	return rows
}

// knows says whether the key, column 0, is in the span of the rows: all other columns are cleared first.
func knows(rows [][]int64, width int) bool {
	done := 0
	for c := width - 1; c >= 0; c-- {
		p := done
		for p < len(rows) && rows[p][c] == 0 {
			p++
		}
		if p == len(rows) {
			continue
		}
		if c == 0 {
			return true // a row that holds the key and nothing else
		}
		rows[done], rows[p] = rows[p], rows[done]
		inv := inverse(rows[done][c])
		for _, row := range rows[done+1:] {
			if f := row[c] * inv % prime; f != 0 {
				for x := range row {
					row[x] = (row[x] + (prime-f)*rows[done][x]) % prime
				}
			}
		}
		done++
	}
	return false
}

func TestWhoKnowsTheKey(t *testing.T) {
	for _, a := range []access{
		{3, 3, 2, 3, 5}, {3, 3, 1, 3, 5}, {3, 2, 1, 2, 3}, {3, 2, 1, 3, 5}, {4, 3, 2, 2, 4}, {4, 4, 3, 3, 4}, {5, 4, 3, 2, 3}, {5, 3, 1, 2, 3},
	} {
		v := epochView{a, 1, 1 + a.columns()}
		able := 0
		for members := uint(0); members < 1<<a.n; members++ {
			for guardians := uint(0); guardians < 1<<a.m; guardians++ {
				got := knows(v.known(members, guardians), v.width)
				if want := a.may(bits.OnesCount(members), bits.OnesCount(guardians)); got != want {
					t.Fatalf("%+v: members %b and guardians %b: know the key: %v, should be %v", a, members, guardians, got, want)
				}
				if got {
					able++
				}
			}
		}
		if able == 0 || able == 1<<(a.n+a.m) {
			t.Fatalf("%+v: %d coalitions know the key", a, able)
		}
	}
}

func (a access) may(members, guardians int) bool {
	return members >= a.t || members >= a.r && guardians >= a.k
}

// Material of two epochs of one key does not add up: r masks of one and k values of the other are nothing, nor are t shares in all.
func TestOldAndNewEpochsDoNotMix(t *testing.T) {
	for _, a := range []access{{3, 2, 1, 2, 3}, {3, 3, 2, 2, 3}} {
		width := 1 + 2*a.columns()
		old, new := epochView{a, 1, width}, epochView{a, 1 + a.columns(), width}
		for all := uint(0); all < 1<<(2*(a.n+a.m)); all++ {
			part := func(at, n int) uint { return all >> at & (1<<n - 1) }
			m0, m1, g0, g1 := part(0, a.n), part(a.n, a.n), part(2*a.n, a.m), part(2*a.n+a.m, a.m)
			want := a.may(bits.OnesCount(m0), bits.OnesCount(g0)) || a.may(bits.OnesCount(m1), bits.OnesCount(g1))
			if want && all%17 != 0 {
				continue // who knows the key by one epoch is tried above
			}
			if got := knows(append(old.known(m0, g0), new.known(m1, g1)...), width); got != want {
				t.Fatalf("%+v: members %b and %b, guardians %b and %b: know the key: %v, should be %v", a, m0, m1, g0, g1, got, want)
			}
		}
	}
}
