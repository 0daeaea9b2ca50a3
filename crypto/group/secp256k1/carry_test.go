package secp256k1

import (
	"fmt"
	"math/big"
	"testing"
)

var (
	two256 = new(big.Int).Lsh(big.NewInt(1), 256)
	foldBy = new(big.Int).Sub(two256, order) // c
)

func wideOf(v *big.Int) (w wide) {
	for i := range w {
		w[i] = new(big.Int).Rsh(v, uint(64*i)).Uint64()
	}
	return w
}

func bigOf(limb []uint64) *big.Int {
	v := new(big.Int)
	for i := len(limb) - 1; i >= 0; i-- {
		v.Lsh(v, 64).Or(v, new(big.Int).SetUint64(limb[i]))
	}
	return v
}

// fold is one fold of reduce: h·2^256 + r becomes h·c + r.
func fold(v *big.Int) *big.Int {
	h, r := new(big.Int).DivMod(v, two256, new(big.Int))
	return h.Mul(h, foldBy).Add(h, r)
}

// unfold finds integers that one fold takes to v: with the largest h, with the smallest, and
// one between them.
func unfold(v *big.Int) (all []*big.Int) {
	most := new(big.Int).Div(v, foldBy)
	least := new(big.Int).Sub(v, two256) // r must stay below 2^256
	if least.Sign() < 0 {
		least.SetInt64(0)
	} else {
		least.Div(least, foldBy).Add(least, big.NewInt(1))
	}
	for _, h := range []*big.Int{most, least, new(big.Int).Rsh(new(big.Int).Add(most, least), 1)} {
		r := new(big.Int).Sub(v, new(big.Int).Mul(h, foldBy))
		if r.Sign() >= 0 && r.Cmp(two256) < 0 {
			all = append(all, new(big.Int).Add(new(big.Int).Mul(h, two256), r))
		}
	}
	return all
}

// Random input never comes near the carries of the later folds: their odds are 2^-64 and less.
// So the inputs are made backwards, from the values after each fold that carry, just carry, and
// just do not.
func TestEveryCarryOfReduce(t *testing.T) {
	var after []*big.Int // of the third fold
	for _, v := range []*big.Int{
		big.NewInt(0), order, new(big.Int).Lsh(order, 1), two256, new(big.Int).Sub(two256, foldBy), new(big.Int).Lsh(big.NewInt(1), 192),
		new(big.Int).Add(two256, new(big.Int).Lsh(big.NewInt(1), 192)), new(big.Int).Add(two256, new(big.Int).Lsh(big.NewInt(1), 193)),
		new(big.Int).Lsh(big.NewInt(1), 128), new(big.Int).Add(two256, new(big.Int).Lsh(big.NewInt(1), 128)), new(big.Int).Lsh(big.NewInt(1), 64),
	} {
		for d := int64(-2); d <= 2; d++ {
			if w := new(big.Int).Add(v, big.NewInt(d)); w.Sign() >= 0 {
				after = append(after, w)
			}
		}
	}
	limit := new(big.Int).Lsh(big.NewInt(1), 576)
	var tops [3]int // how often the last limb of each fold was 1
	for _, third := range after {
		for _, second := range unfold(third) {
			for _, first := range unfold(second) {
				for _, v := range unfold(first) {
					if v.Cmp(limit) >= 0 {
						continue
					}
					w := wideOf(v)
					var s Scalar
					s.l.reduce(&w)
					checkBig(t, fmt.Sprintf("residue of %x", v), &s, v)
					a := fold(v)
					b := fold(a)
					for i, n := range []uint{a.Bit(448), b.Bit(320), fold(b).Bit(256)} {
						tops[i] += int(n)
					}
				}
			}
		}
	}
	if tops[2] < 50 {
		t.Errorf("the last fold carried %d times", tops[2])
	}

	// The first two folds carry only for the largest integers.
	for _, h := range []*big.Int{limit, new(big.Int).Lsh(new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 448), foldBy), 256)} {
		for d := int64(-3); d <= 3; d++ {
			for _, r := range []*big.Int{big.NewInt(0), new(big.Int).Sub(two256, big.NewInt(1)), order} {
				v := new(big.Int).Add(h, new(big.Int).Mul(big.NewInt(d), two256))
				if v.Add(v, r); v.Cmp(limit) >= 0 {
					continue
				}
				w := wideOf(v)
				var s Scalar
				s.l.reduce(&w)
				checkBig(t, fmt.Sprintf("residue of %x", v), &s, v)
				a := fold(v)
				tops[0] += int(a.Bit(448))
				tops[1] += int(fold(a).Bit(320))
			}
		}
	}
	if tops[0] == 0 || tops[1] == 0 {
		t.Errorf("the first folds carried %d and %d times", tops[0], tops[1])
	}
	// What the comment of reduce claims.
	top := new(big.Int).Sub(limit, big.NewInt(1))
	for i, bound := range []int{449, 321} {
		if top = fold(top); top.BitLen() > bound {
			t.Errorf("fold %d of the largest integer has %d bits, at most %d fit", i+1, top.BitLen(), bound)
		}
	}
}

// Every combination of extreme limbs, on an empty, a middling and an almost full sum: each chain
// of carries of addProduct runs through at full length somewhere.
func TestEveryCarryOfProducts(t *testing.T) {
	limb := []uint64{0, 1, 1 << 63, 1<<64 - 1}
	starts := []wide{{}, {1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 0}}
	at := func(n int) (l limbs) {
		for i := range l {
			l[i] = limb[n>>(2*i)&3]
		}
		return l
	}
	for n := range 256 {
		a := at(n)
		x := bigOf(a[:])
		for m := range 256 {
			b := at(m)
			product := new(big.Int).Mul(x, bigOf(b[:]))
			for _, w := range starts {
				want := new(big.Int).Add(bigOf(w[:]), product)
				w.addProduct(&a, &b)
				if bigOf(w[:]).Cmp(want) != 0 {
					t.Fatalf("%x·%x gives %x, want %x", a, b, w, want)
				}
			}
		}
	}
}
