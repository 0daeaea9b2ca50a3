package pve

import (
	"bytes"
	"crypto/ecdh"
	"io"
	"testing"

	"filippo.io/edwards25519"
)

// Key pairs and shared values are those of the standard library's X25519, in both times, for ordinary and extreme coins.
func TestMultiplesAreX25519(t *testing.T) {
	to := newKey(t, "recipient")
	m, err := newMultiples(to.Public())
	if err != nil {
		t.Fatal(err)
	}
	pub, err := ecdh.X25519().NewPublicKey(to.public[:])
	if err != nil {
		t.Fatal(err)
	}
	all := [][]byte{
		make([]byte, 32), bytes.Repeat([]byte{0xff}, 32), bytes.Repeat([]byte{0x88}, 32), bytes.Repeat([]byte{0x77}, 32),
		bytes.Repeat([]byte{0x80}, 32), bytes.Repeat([]byte{0x08}, 32), bytes.Repeat([]byte{0xf7, 0x08}, 16),
	}
	r := stream("coins")
	for range 200 {
		b := make([]byte, 32)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	for _, coins := range all {
		e, err := ecdh.X25519().NewPrivateKey(coins)
		if err != nil {
			t.Fatal(err)
		}
		want, err := e.ECDH(pub)
		if err != nil {
			t.Fatal(err)
		}
		for _, public := range []bool{false, true} {
			epk, dh, err := m.ephemeral(coins, public)
			if err != nil || !bytes.Equal(epk, e.PublicKey().Bytes()) || !bytes.Equal(dh, want) {
				t.Fatalf("coins %x, public %v: key %x, value %x, %v", coins, public, epk, dh, err)
			}
		}
	}
}

// Digits are in range and sum to the scalar, at its extremes too; each digit picks its multiple.
func TestSignedDigits(t *testing.T) {
	to := newKey(t, "recipient")
	m, err := newMultiples(to.Public())
	if err != nil {
		t.Fatal(err)
	}
	one := make([]byte, 32)
	one[0] = 1
	unit, err := new(edwards25519.Scalar).SetCanonicalBytes(one)
	if err != nil {
		t.Fatal(err)
	}
	sixteen := edwards25519.NewScalar()
	for range 16 {
		sixteen.Add(sixteen, unit)
	}
	minus := new(edwards25519.Scalar).Negate(unit)
	for _, k := range []*edwards25519.Scalar{edwards25519.NewScalar(), unit, minus, sixteen, new(edwards25519.Scalar).Invert(sixteen)} {
		sum, d := edwards25519.NewScalar(), signedDigits(k)
		for i := len(d) - 1; i >= 0; i-- {
			if d[i] < -8 || d[i] > 8 {
				t.Errorf("digit %d of %x is %d", i, k.Bytes(), d[i])
			}
			sum.Multiply(sum, sixteen)
			for range max(d[i], -d[i]) {
				if d[i] > 0 {
					sum.Add(sum, unit)
				} else {
					sum.Subtract(sum, unit)
				}
			}
		}
		if sum.Equal(k) != 1 {
			t.Errorf("digits of %x sum to %x", k.Bytes(), sum.Bytes())
		}
	}
	for i := range m {
		for d := int8(-8); d <= 8; d++ {
			picked, added := edwards25519.NewIdentityPoint(), edwards25519.NewIdentityPoint()
			m.pick(picked, i, d)
			m.add(added, nil, i, d, true)
			want := edwards25519.NewIdentityPoint()
			for range max(d, -d) {
				want.Add(want, &m[i][0])
			}
			if d < 0 {
				want.Negate(want)
			}
			if picked.Equal(want) != 1 || added.Equal(want) != 1 {
				t.Errorf("multiple %d at %d is wrong", d, i)
			}
		}
	}
}
