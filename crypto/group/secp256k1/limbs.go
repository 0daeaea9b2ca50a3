package secp256k1

import (
	"encoding/binary"
	"math/bits"
)

// limbs is an integer below 2^256 in four 64-bit limbs, the least first. Nothing in this
// file branches or indexes on a value.
type limbs [4]uint64

// q = 2^256 − c. c has 129 bits: 2^128 + c1·2^64 + c0.
const (
	q0 = 0xbfd25e8cd0364141
	q1 = 0xbaaedce6af48a03b
	q2 = 0xfffffffffffffffe
	q3 = 0xffffffffffffffff

	c0 = 0x402da1732fc9bebf
	c1 = 0x4551231950b75fc4
)

// half is (q − 1)/2.
var half = limbs{0xdfe92f46681b20a0, 0x5d576e7357a4501d, 0xffffffffffffffff, 0x7fffffffffffffff}

func fromBytes(b *[32]byte) limbs {
	return limbs{
		binary.BigEndian.Uint64(b[24:]), binary.BigEndian.Uint64(b[16:]),
		binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[:]),
	}
}

func (l *limbs) putBytes(b []byte) {
	_ = b[31]
	binary.BigEndian.PutUint64(b[24:], l[0])
	binary.BigEndian.PutUint64(b[16:], l[1])
	binary.BigEndian.PutUint64(b[8:], l[2])
	binary.BigEndian.PutUint64(b, l[3])
}

// selectLimbs sets l to a if bit is 0, and to b if bit is 1.
func (l *limbs) selectLimbs(a, b *limbs, bit uint64) {
	m := -bit
	l[0] = a[0] ^ m&(a[0]^b[0])
	l[1] = a[1] ^ m&(a[1]^b[1])
	l[2] = a[2] ^ m&(a[2]^b[2])
	l[3] = a[3] ^ m&(a[3]^b[3])
}

// subtractQ replaces carry·2^256 + l, below 2q, by its residue. It returns 1 if it subtracted q.
func (l *limbs) subtractQ(carry uint64) uint64 {
	var d limbs
	var borrow uint64
	d[0], borrow = bits.Sub64(l[0], q0, 0)
	d[1], borrow = bits.Sub64(l[1], q1, borrow)
	d[2], borrow = bits.Sub64(l[2], q2, borrow)
	d[3], borrow = bits.Sub64(l[3], q3, borrow)
	_, borrow = bits.Sub64(carry, 0, borrow)
	l.selectLimbs(&d, l, borrow)
	return 1 - borrow
}

// add sets l to a + b mod q, for a, b < q.
func (l *limbs) add(a, b *limbs) {
	var carry uint64
	l[0], carry = bits.Add64(a[0], b[0], 0)
	l[1], carry = bits.Add64(a[1], b[1], carry)
	l[2], carry = bits.Add64(a[2], b[2], carry)
	l[3], carry = bits.Add64(a[3], b[3], carry)
	l.subtractQ(carry)
}

// sub sets l to a − b mod q, for a, b < q.
func (l *limbs) sub(a, b *limbs) {
	var borrow, carry uint64
	l[0], borrow = bits.Sub64(a[0], b[0], 0)
	l[1], borrow = bits.Sub64(a[1], b[1], borrow)
	l[2], borrow = bits.Sub64(a[2], b[2], borrow)
	l[3], borrow = bits.Sub64(a[3], b[3], borrow)
	m := -borrow
	l[0], carry = bits.Add64(l[0], m&q0, 0)
	l[1], carry = bits.Add64(l[1], m&q1, carry)
	l[2], carry = bits.Add64(l[2], m&q2, carry)
	l[3], _ = bits.Add64(l[3], m&q3, carry)
}

// aboveHalf is 1 if l > (q − 1)/2.
func (l *limbs) aboveHalf() uint64 {
	_, borrow := bits.Sub64(half[0], l[0], 0)
	_, borrow = bits.Sub64(half[1], l[1], borrow)
	_, borrow = bits.Sub64(half[2], l[2], borrow)
	_, borrow = bits.Sub64(half[3], l[3], borrow)
	return borrow
}

// wide is an integer below 2^576: the sum of up to 2^64 products of limbs.
type wide [9]uint64

// add adds l, taken as zero if bit is 0.
func (w *wide) add(l *limbs, bit uint64) {
	m := -bit
	var carry uint64
	w[0], carry = bits.Add64(w[0], m&l[0], 0)
	w[1], carry = bits.Add64(w[1], m&l[1], carry)
	w[2], carry = bits.Add64(w[2], m&l[2], carry)
	w[3], carry = bits.Add64(w[3], m&l[3], carry)
	for i := 4; i < len(w); i++ {
		w[i], carry = bits.Add64(w[i], 0, carry)
	}
}

// mulAdd is a·b + c + d, which is below 2^128.
func mulAdd(a, b, c, d uint64) (hi, lo uint64) {
	hi, lo = bits.Mul64(a, b)
	var carry uint64
	lo, carry = bits.Add64(lo, c, 0)
	hi += carry
	lo, carry = bits.Add64(lo, d, 0)
	hi += carry
	return hi, lo
}

// mulAdd1 is a·b + c, which is below 2^128.
func mulAdd1(a, b, c uint64) (hi, lo uint64) {
	hi, lo = bits.Mul64(a, b)
	lo, carry := bits.Add64(lo, c, 0)
	return hi + carry, lo
}

// addProduct adds a·b, not reduced: one row for each limb of b, its low halves and its high
// halves in one chain of carries each.
func (w *wide) addProduct(a, b *limbs) {
	var p0, p1, p2, p3, p4, p5, p6, p7, h0, h1, h2, h3, l0, l1, l2, l3, c uint64
	a0, a1, a2, a3 := a[0], a[1], a[2], a[3]

	p1, p0 = bits.Mul64(a0, b[0])
	p2, l1 = bits.Mul64(a1, b[0])
	p3, l2 = bits.Mul64(a2, b[0])
	p4, l3 = bits.Mul64(a3, b[0])
	p1, c = bits.Add64(p1, l1, 0)
	p2, c = bits.Add64(p2, l2, c)
	p3, c = bits.Add64(p3, l3, c)
	p4, _ = bits.Add64(p4, 0, c)

	h0, l0 = bits.Mul64(a0, b[1])
	h1, l1 = bits.Mul64(a1, b[1])
	h2, l2 = bits.Mul64(a2, b[1])
	h3, l3 = bits.Mul64(a3, b[1])
	p1, c = bits.Add64(p1, l0, 0)
	p2, c = bits.Add64(p2, l1, c)
	p3, c = bits.Add64(p3, l2, c)
	p4, c = bits.Add64(p4, l3, c)
	p5 = c
	p2, c = bits.Add64(p2, h0, 0)
	p3, c = bits.Add64(p3, h1, c)
	p4, c = bits.Add64(p4, h2, c)
	p5, _ = bits.Add64(p5, h3, c)

	h0, l0 = bits.Mul64(a0, b[2])
	h1, l1 = bits.Mul64(a1, b[2])
	h2, l2 = bits.Mul64(a2, b[2])
	h3, l3 = bits.Mul64(a3, b[2])
	p2, c = bits.Add64(p2, l0, 0)
	p3, c = bits.Add64(p3, l1, c)
	p4, c = bits.Add64(p4, l2, c)
	p5, c = bits.Add64(p5, l3, c)
	p6 = c
	p3, c = bits.Add64(p3, h0, 0)
	p4, c = bits.Add64(p4, h1, c)
	p5, c = bits.Add64(p5, h2, c)
	p6, _ = bits.Add64(p6, h3, c)

	h0, l0 = bits.Mul64(a0, b[3])
	h1, l1 = bits.Mul64(a1, b[3])
	h2, l2 = bits.Mul64(a2, b[3])
	h3, l3 = bits.Mul64(a3, b[3])
	p3, c = bits.Add64(p3, l0, 0)
	p4, c = bits.Add64(p4, l1, c)
	p5, c = bits.Add64(p5, l2, c)
	p6, c = bits.Add64(p6, l3, c)
	p7 = c
	p4, c = bits.Add64(p4, h0, 0)
	p5, c = bits.Add64(p5, h1, c)
	p6, c = bits.Add64(p6, h2, c)
	p7, _ = bits.Add64(p7, h3, c)

	w[0], c = bits.Add64(w[0], p0, 0)
	w[1], c = bits.Add64(w[1], p1, c)
	w[2], c = bits.Add64(w[2], p2, c)
	w[3], c = bits.Add64(w[3], p3, c)
	w[4], c = bits.Add64(w[4], p4, c)
	w[5], c = bits.Add64(w[5], p5, c)
	w[6], c = bits.Add64(w[6], p6, c)
	w[7], c = bits.Add64(w[7], p7, c)
	w[8] += c
}

// reduce sets l to w mod q. Since 2^256 ≡ c, a fold replaces h·2^256 + r by h·c + r. The
// integer is below 2^576, then 2^449, 2^321, 2^257 and 2^256 < 2q.
func (l *limbs) reduce(w *wide) {
	// First fold: h has five limbs. r = w[0..3] + h·c.
	h0, h1, h2, h3, h4 := w[4], w[5], w[6], w[7], w[8]
	var r0, r1, r2, r3, r4, r5, r6, r7, k, carry uint64
	k, r0 = mulAdd1(h0, c0, w[0])
	k, r1 = mulAdd(h1, c0, w[1], k)
	k, r2 = mulAdd(h2, c0, w[2], k)
	k, r3 = mulAdd(h3, c0, w[3], k)
	r5, r4 = mulAdd1(h4, c0, k)
	k, r1 = mulAdd1(h0, c1, r1)
	k, r2 = mulAdd(h1, c1, r2, k)
	k, r3 = mulAdd(h2, c1, r3, k)
	k, r4 = mulAdd(h3, c1, r4, k)
	r6, r5 = mulAdd(h4, c1, r5, k)
	r2, carry = bits.Add64(r2, h0, 0)
	r3, carry = bits.Add64(r3, h1, carry)
	r4, carry = bits.Add64(r4, h2, carry)
	r5, carry = bits.Add64(r5, h3, carry)
	r6, carry = bits.Add64(r6, h4, carry)
	r7 = carry

	// Second fold: h has four limbs, the last 0 or 1.
	h0, h1, h2, h3 = r4, r5, r6, r7
	var t0, t1, t2, t3, t4, t5 uint64
	k, t0 = mulAdd1(h0, c0, r0)
	k, t1 = mulAdd(h1, c0, r1, k)
	k, t2 = mulAdd(h2, c0, r2, k)
	t4, t3 = mulAdd(h3, c0, r3, k)
	k, t1 = mulAdd1(h0, c1, t1)
	k, t2 = mulAdd(h1, c1, t2, k)
	k, t3 = mulAdd(h2, c1, t3, k)
	t5, t4 = mulAdd(h3, c1, t4, k)
	t2, carry = bits.Add64(t2, h0, 0)
	t3, carry = bits.Add64(t3, h1, carry)
	t4, carry = bits.Add64(t4, h2, carry)
	t5, _ = bits.Add64(t5, h3, carry)

	// Third fold: h has two limbs, the last 0 or 1.
	var top uint64
	k, t0 = mulAdd1(t4, c0, t0)
	k, t1 = mulAdd(t5, c0, t1, k)
	t2, carry = bits.Add64(t2, k, 0)
	t3, top = bits.Add64(t3, 0, carry)
	k, t1 = mulAdd1(t4, c1, t1)
	k, t2 = mulAdd(t5, c1, t2, k)
	t3, carry = bits.Add64(t3, k, 0)
	top += carry
	t2, carry = bits.Add64(t2, t4, 0)
	t3, carry = bits.Add64(t3, t5, carry)
	top += carry

	// Last fold: top is 0 or 1, and with 1 the rest is below 2^195, so that c fits.
	m := -top
	l[0], carry = bits.Add64(t0, m&c0, 0)
	l[1], carry = bits.Add64(t1, m&c1, carry)
	l[2], carry = bits.Add64(t2, m&1, carry)
	l[3], _ = bits.Add64(t3, 0, carry)
	l.subtractQ(0)
}
