package dkls

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"slices"
	"testing"
)

// Row 16: why δ is there. A toy of ECDSA in a subgroup of 32 bits of the integers mod p, with
// r = (g^k mod p) mod q, an additive shift e of the key for each path, and a nonce that is known
// before the message. A signature with nonce R of h under x + e is one of h* under x + e* as soon as
// h + r·e = h* + r·e*: a sum of four lists (Groth–Shoup, ePrint 2021/1330).
var (
	toyQ = uint64(4294967291) // the largest prime below 2³²
	toyP = toyModulus()
	toyG = toyGenerator()
)

func toyModulus() *big.Int {
	for k := int64(2); ; k += 2 {
		p := new(big.Int).Mul(big.NewInt(k), new(big.Int).SetUint64(toyQ))
		if p.Add(p, big.NewInt(1)).ProbablyPrime(32) {
			return p
		}
	}
}

func toyGenerator() *big.Int {
	cofactor := new(big.Int).Div(toyP, new(big.Int).SetUint64(toyQ))
	return cofactor.Exp(big.NewInt(2), cofactor, toyP)
}

func toyHash(parts ...uint64) uint64 {
	var b []byte
	for _, p := range parts {
		b = binary.BigEndian.AppendUint64(b, p)
	}
	h := sha256.Sum256(b)
	return binary.BigEndian.Uint64(h[:]) % toyQ
}

func toyMul(a, b uint64) uint64 { return a * b % toyQ } // both below 2³²

func toyPower(e uint64) *big.Int { return new(big.Int).Exp(toyG, new(big.Int).SetUint64(e), toyP) }

func toyR(nonce *big.Int) uint64 {
	return new(big.Int).Mod(nonce, new(big.Int).SetUint64(toyQ)).Uint64()
}

func toyInverse(a uint64) uint64 {
	return new(big.Int).ModInverse(new(big.Int).SetUint64(a), new(big.Int).SetUint64(toyQ)).Uint64()
}

// toySign is what all signers together do: with δ the nonce is shifted by a hash of the request.
func toySign(x, k, m, path uint64, withDelta bool) (r, s uint64) {
	if withDelta {
		k = (k + toyHash(3, toyR(toyPower(k)), m, path, 99)) % toyQ // 99: a join nonce
	}
	r = toyR(toyPower(k))
	return r, toyMul(toyInverse(k), (toyHash(1, m)+toyMul(r, (x+toyHash(2, path))%toyQ))%toyQ)
}

func toyVerify(public *big.Int, r, s, m, path uint64) bool {
	inverse := toyInverse(s)
	key := new(big.Int).Mul(public, toyPower(toyHash(2, path)))
	left := toyPower(toyMul(inverse, toyHash(1, m)))
	right := key.Exp(key, new(big.Int).SetUint64(toyMul(inverse, r)), toyP)
	return toyR(left.Mod(left.Mul(left, right), toyP)) == r
}

// toyList are sums h(m) + r·e(path) below a bound, of 2,048 messages and 2,048 paths: found by
// sorting one list, as in a k-sum, not by trying all pairs.
func toyList(r, from, bound uint64) map[uint64][2]uint64 {
	type entry struct{ v, path uint64 }
	var paths []entry
	for i := range uint64(2048) {
		paths = append(paths, entry{toyMul(r, toyHash(2, from+i)), from + i})
	}
	slices.SortFunc(paths, func(a, b entry) int { return cmp.Compare(a.v, b.v) })
	sums := map[uint64][2]uint64{}
	for m := from; m < from+2048; m++ {
		h := toyHash(1, m)
		at, _ := slices.BinarySearchFunc(paths, toyQ-h, func(e entry, v uint64) int { return cmp.Compare(e.v, v) })
		for ; at < len(paths) && paths[at].v+h < toyQ+bound; at++ {
			sums[paths[at].v+h-toyQ] = [2]uint64{m, paths[at].path}
		}
	}
	return sums
}

func TestKSumForgesWithoutDelta(t *testing.T) {
	x, k := toyHash(7), toyHash(8)
	public, r := toyPower(x), toyR(toyPower(k)) // R is known before any message: it is presigned
	ask, forge := toyList(r, 1<<20, toyQ>>10), toyList(r, 1<<40, toyQ>>10)
	forged := 0
	for sum, a := range ask {
		b, ok := forge[sum]
		if !ok {
			continue
		}
		if r, s := toySign(x, k, a[0], a[1], false); !toyVerify(public, r, s, a[0], a[1]) {
			t.Fatal("the toy's own signature does not verify")
		} else if toyVerify(public, r, s, b[0], b[1]) {
			forged++
		}
		if r, s := toySign(x, k, a[0], a[1], true); !toyVerify(public, r, s, a[0], a[1]) || toyVerify(public, r, s, b[0], b[1]) {
			t.Error("with δ, the signature does not verify, or the same lists forge")
		}
	}
	if forged == 0 {
		t.Errorf("no forgery of %d and %d sums without δ: the demonstration shows nothing", len(ask), len(forge))
	}
}
