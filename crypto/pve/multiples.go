package pve

import (
	"crypto/subtle"

	"filippo.io/edwards25519"

	"github.com/ostraka/ostraka/crypto/secret"
)

// Multiples are what makes 256 Diffie–Hellman values with one ek cheap: j·256^i·E for i = 0…31 and j = 1…8, where E is ek's Edwards
// form. The value is X25519's, because E has prime order: a multiple of E by the clamped scalar, as a u-coordinate, in which the sign of E
// is lost (RFC 7748 section 4.1). All formulas are the library's.
type multiples [32][8]edwards25519.Point

func newMultiples(k Key) (*multiples, error) {
	y, err := k.edwardsBytes()
	if err != nil {
		return nil, err
	}
	e, err := new(edwards25519.Point).SetBytes(y)
	if err != nil {
		return nil, err
	}
	t := new(multiples)
	for i := range t {
		t[i][0].Set(e)
		for j := 1; j < len(t[i]); j++ {
			t[i][j].Add(&t[i][j-1], e)
		}
		e.Double(&t[i][len(t[i])-1]) // 16·256^i·E
		for range 4 {
			e.Double(e)
		}
	}
	return t, nil
}

// mul is the u-coordinate of k·E, in constant time unless varTime, which is for public k.
func (t *multiples) mul(k *edwards25519.Scalar, varTime bool) []byte {
	digits := signedDigits(k)
	defer clear(digits[:])
	sum, term := edwards25519.NewIdentityPoint(), edwards25519.NewIdentityPoint()
	// Odd digits first: they weigh 16 times as much as even ones.
	for i := 1; i < len(digits); i += 2 {
		t.add(sum, term, i/2, digits[i], varTime)
	}
	for range 4 {
		sum.Double(sum)
	}
	for i := 0; i < len(digits); i += 2 {
		t.add(sum, term, i/2, digits[i], varTime)
	}
	u := sum.BytesMontgomery()
	sum.Set(edwards25519.NewIdentityPoint())
	term.Set(sum)
	return u
}

// add adds d·256^i·E to sum.
func (t *multiples) add(sum, term *edwards25519.Point, i int, d int8, varTime bool) {
	switch {
	case !varTime:
		t.pick(term, i, d)
		sum.Add(sum, term)
	case d > 0:
		sum.Add(sum, &t[i][d-1])
	case d < 0:
		sum.Subtract(sum, &t[i][-d-1])
	}
}

// pick sets term = d·256^i·E for −8 ≤ d ≤ 8. It looks at every entry, whatever d is.
func (t *multiples) pick(term *edwards25519.Point, i int, d int8) {
	negative := d >> 7                       // 0 or −1
	size := uint8((d ^ negative) - negative) // |d|
	term.Set(identity)
	for j := range t[i] {
		term.Select(&t[i][j], term, subtle.ConstantTimeByteEq(size, uint8(j+1)))
	}
	var minus edwards25519.Point
	minus.Negate(term)
	term.Select(&minus, term, int(-negative))
}

var identity = edwards25519.NewIdentityPoint()

// signedDigits are k = Σ 16^i·d_i with −8 ≤ d_i < 8, the last at most 8: k < ℓ has its highest digit at most 1.
func signedDigits(k *edwards25519.Scalar) (d [64]int8) {
	b := k.Bytes()
	defer secret.Wipe(b)
	for i, v := range b {
		d[2*i], d[2*i+1] = int8(v&15), int8(v>>4)
	}
	for i := range len(d) - 1 {
		carry := (d[i] + 8) >> 4
		d[i] -= carry << 4
		d[i+1] += carry
	}
	return d
}

// ephemeral is the key pair that 32 uniform bytes make, and the value it shares with ek: X25519 of RFC 7748 section 5, twice.
func (t *multiples) ephemeral(coins []byte, varTime bool) (epk, dh []byte, err error) {
	e, err := new(edwards25519.Scalar).SetBytesWithClamping(coins)
	if err != nil {
		return nil, nil, err
	}
	epk, dh = new(edwards25519.Point).ScalarBaseMult(e).BytesMontgomery(), t.mul(e, varTime)
	e.Set(edwards25519.NewScalar())
	return epk, dh, nil
}
