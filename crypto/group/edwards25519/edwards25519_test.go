package edwards25519

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"testing"

	"filippo.io/edwards25519"

	"github.com/ostraka/ostraka/crypto/group"
)

var (
	prime    = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	order, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
)

func little(v *big.Int) []byte {
	b := v.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	return b
}

func fromBig(t *testing.T, v *big.Int) group.Scalar {
	t.Helper()
	s, err := Group{}.DecodeScalar(little(v))
	if err != nil {
		t.Fatalf("decode %x: %v", v, err)
	}
	return s
}

func edges() []*big.Int {
	one := big.NewInt(1)
	e := []*big.Int{new(big.Int), one, big.NewInt(2), new(big.Int).Sub(order, one), new(big.Int).Sub(order, big.NewInt(2)), new(big.Int).Rsh(order, 1)}
	for _, n := range []uint{8, 64, 127, 128, 252} {
		p := new(big.Int).Lsh(one, n)
		e = append(e, p, new(big.Int).Sub(p, one))
	}
	for i := range byte(20) {
		h := sha512.Sum512([]byte{i})
		v := new(big.Int).SetBytes(h[:])
		e = append(e, v.Mod(v, order))
	}
	return e
}

// torsion are the eight points that 8 takes to 0, as multiples of one of order 8. They are of the library's type:
// ours cannot hold them.
func torsion(t *testing.T) [8]*edwards25519.Point {
	t.Helper()
	b, _ := hex.DecodeString("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
	generator, err := new(edwards25519.Point).SetBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	all := [8]*edwards25519.Point{edwards25519.NewIdentityPoint()}
	seen := map[string]bool{string(all[0].Bytes()): true}
	for i := 1; i < 8; i++ {
		all[i] = new(edwards25519.Point).Add(all[i-1], generator)
		seen[string(all[i].Bytes())] = true
	}
	if len(seen) != 8 || new(edwards25519.Point).Add(all[7], generator).Equal(all[0]) != 1 {
		t.Fatal("not the eight points of small order")
	}
	return all
}

// Small-subgroup attacks: a point with a part of small order shows a scalar modulo 8, or makes two
// verifiers differ.
func TestDecodePointRefusesTorsion(t *testing.T) {
	for i, small := range torsion(t) {
		want := errOrder
		if i == 0 {
			want = errIdentity
		}
		if p, err := (Group{}).DecodePoint(small.Bytes()); p != nil || !errors.Is(err, want) {
			t.Errorf("torsion point %d: %v, want %v", i, err, want)
		}
		for _, k := range edges() {
			q := fromBig(t, k).(*Scalar)
			if q.IsZero() {
				continue
			}
			sum := new(edwards25519.Point).ScalarBaseMult(&q.s)
			sum.Add(sum, small)
			p, err := Group{}.DecodePoint(sum.Bytes())
			if i == 0 && (err != nil || !p.Equal(Group{}.BaseMul(q))) {
				t.Fatalf("%x·B: %v", k, err)
			}
			if i != 0 && (p != nil || !errors.Is(err, errOrder)) {
				t.Fatalf("%x·B + torsion point %d: %v", k, i, err)
			}
		}
	}
}

// Every y from p to 2^255 − 1 that is on the curve, with both signs, and x = −0.
func TestDecodePointRefusesOtherEncodings(t *testing.T) {
	onCurve := 0
	for i := range int64(19) {
		for sign := range byte(2) {
			b := little(new(big.Int).Add(prime, big.NewInt(i)))
			b[31] |= sign << 7
			if _, err := new(edwards25519.Point).SetBytes(b); err == nil {
				onCurve++
			}
			if p, err := (Group{}).DecodePoint(b); p != nil || !errors.Is(err, errNotCanonical) && !errors.Is(err, errNotCurve) {
				t.Errorf("p + %d, sign %d: %v", i, sign, err)
			}
		}
	}
	if onCurve < 8 {
		t.Errorf("only %d of them are on the curve", onCurve)
	}
	for name, y := range map[string]*big.Int{"1": big.NewInt(1), "−1": new(big.Int).Sub(prime, big.NewInt(1))} {
		b := little(y)
		b[31] |= 0x80
		if p, err := (Group{}).DecodePoint(b); p != nil || !errors.Is(err, errNotCanonical) {
			t.Errorf("x = −0, y = %s: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{
		"empty": nil, "31 bytes": make([]byte, 31), "33 bytes": append(Group{}.Generator().Bytes(), 0),
		"not on the curve": little(big.NewInt(2)), "identity": Group{}.Identity().Bytes(),
	} {
		if p, err := (Group{}).DecodePoint(b); p != nil || err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}

// fromSeed is the scalar of RFC 8032 section 5.1.5, which a threshold key never has.
func fromSeed(seed []byte) group.Scalar {
	h := sha512.Sum512(seed)
	var wide [64]byte
	copy(wide[:], h[:32])
	wide[0] &= 248
	wide[31] = wide[31]&127 | 64
	return Group{}.ReduceScalar(wide[:])
}

// Public keys of crypto/ed25519 are ours, by every way to multiply, and signatures made of our operations verify
// there and nowhere else.
func TestAgainstStandardLibrary(t *testing.T) {
	g := Group{}
	for i := range byte(50) {
		seed := sha512.Sum512([]byte{i, 1})
		key := ed25519.NewKeyFromSeed(seed[:32])
		public := []byte(key.Public().(ed25519.PublicKey))
		x, r := fromSeed(seed[:32]), g.ReduceScalar(seed[:])
		for name, p := range map[string]group.Point{
			"BaseMul": g.BaseMul(x), "Mul": g.Generator().Mul(x), "MulVarTime": g.Generator().MulVarTime(x),
			"MultiMul":      g.MultiMulVarTime([]group.Scalar{x, r}, []group.Point{g.Generator(), g.Identity()}),
			"DoubleMulBase": g.Generator().(*Point).DoubleMulBaseVarTime(x.Sub(r).(*Scalar), r.(*Scalar)),
		} {
			if !bytes.Equal(p.Bytes(), public) || p.(*Point).String() != hex.EncodeToString(public) {
				t.Fatalf("key %d: %s gives %v, want %x", i, name, p, public)
			}
		}
		message := seed[32:]
		R := g.BaseMul(r)
		h := sha512.Sum512(slices.Concat(R.Bytes(), public, message))
		c := g.ReduceScalar(h[:])
		z := r.Add(c.Mul(x))
		signature := append(R.Bytes(), z.Bytes()...)
		if !ed25519.Verify(public, message, signature) {
			t.Fatalf("key %d: our signature does not verify", i)
		}
		if ed25519.Verify(public, message, append(R.Bytes(), z.Add(g.Scalar(1)).Bytes()...)) {
			t.Fatalf("key %d: another signature verifies", i)
		}
		theirs := ed25519.Sign(key, message)
		A, err := g.DecodePoint(public)
		if err != nil || !verify(A, message, theirs) || !verify(A, message, signature) || verify(A, message[1:], theirs) {
			t.Fatalf("key %d: their signature: %v", i, err)
		}
	}
}

// verify is Ed25519's equation, strictly: every part canonical and of prime order.
func verify(a group.Point, message, signature []byte) bool {
	g := Group{}
	if len(signature) != 64 {
		return false
	}
	r, err := g.DecodePoint(signature[:32])
	if err != nil {
		return false
	}
	z, err := g.DecodeScalar(signature[32:])
	if err != nil {
		return false
	}
	h := sha512.Sum512(slices.Concat(signature[:32], a.Bytes(), message))
	c := g.ReduceScalar(h[:])
	return a.(*Point).DoubleMulBaseVarTime(z.(*Scalar), c.Neg().(*Scalar)).Equal(r)
}

func FuzzDecode(f *testing.F) {
	f.Add(Group{}.Generator().Bytes())
	f.Add(little(order))
	f.Add(little(prime))
	f.Add(make([]byte, 32))
	f.Fuzz(func(t *testing.T, in []byte) {
		if p, err := (Group{}).DecodePoint(in); err == nil {
			if !bytes.Equal(p.Bytes(), in) || p.IsIdentity() {
				t.Fatalf("decode then encode changed point %x", in)
			}
			if !p.Mul(Group{}.Scalar(1).Neg()).Add(p).IsIdentity() {
				t.Fatalf("point %x is not of prime order", in)
			}
		}
		if s, err := (Group{}).DecodeScalar(in); err == nil && !bytes.Equal(s.Bytes(), in) {
			t.Fatalf("decode then encode changed scalar %x", in)
		}
	})
}
