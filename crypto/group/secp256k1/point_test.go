package secp256k1

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"testing"

	decred "github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/ostraka/ostraka/crypto/group"
)

var fieldPrime, _ = new(big.Int).SetString("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f", 16)

// encodeDecred is nil for the identity.
func encodeDecred(p *decred.JacobianPoint) []byte {
	if (p.X.IsZero() && p.Y.IsZero()) || p.Z.IsZero() {
		return nil
	}
	q := *p
	q.ToAffine()
	return decred.NewPublicKey(&q.X, &q.Y).SerializeCompressed()
}

func encodeOurs(p group.Point) []byte {
	if p.IsIdentity() {
		return nil
	}
	return p.Bytes()
}

func sameAsDecred(t *testing.T, what string, got group.Point, want *decred.JacobianPoint) {
	t.Helper()
	if g, w := encodeOurs(got), encodeDecred(want); !bytes.Equal(g, w) {
		t.Errorf("%s is %x, decred has %x", what, g, w)
	}
}

// Every way to multiply, for every edge scalar, of three points.
func TestMultiplicationsAgainstDecred(t *testing.T) {
	g := Group{}
	for _, base := range []*big.Int{one, lambda, new(big.Int).Sub(order, big.NewInt(7))} {
		p := BaseMul(fromBig(t, base))
		var dp decred.JacobianPoint
		decred.ScalarBaseMultNonConst(decredOf(base), &dp)
		sameAsDecred(t, fmt.Sprintf("%x·G", base), p, &dp)
		dp.ToAffine()
		for _, k := range samples(20) {
			s := fromBig(t, k)
			var kG, kP, sum decred.JacobianPoint
			decred.ScalarBaseMultNonConst(decredOf(k), &kG)
			decred.ScalarMultNonConst(decredOf(k), &dp, &kP)
			decred.AddNonConst(&kG, &kP, &sum)
			sameAsDecred(t, fmt.Sprintf("BaseMul(%x)", k), g.BaseMul(s), &kG)
			sameAsDecred(t, fmt.Sprintf("Mul(%x)", k), p.Mul(s), &kP)
			sameAsDecred(t, fmt.Sprintf("MulVarTime(%x)", k), p.MulVarTime(s), &kP)
			sameAsDecred(t, fmt.Sprintf("DoubleMulBaseVarTime(%x)", k), p.DoubleMulBaseVarTime(s, s), &sum)
			sameAsDecred(t, fmt.Sprintf("MultiMulVarTime(%x)", k),
				g.MultiMulVarTime([]group.Scalar{s, s}, []group.Point{g.Generator(), p}), &sum)
			checkBig(t, "scalar afterwards", s, k)
		}
	}
}

// Addition must be complete: equal, opposite and neutral operands included.
func TestAdditionAgainstDecred(t *testing.T) {
	ks := []*big.Int{new(big.Int), one, big.NewInt(2), lambda, new(big.Int).Sub(order, one), new(big.Int).Sub(order, lambda)}
	for _, a := range ks {
		for _, b := range ks {
			var da, db, dsum, ddiff decred.JacobianPoint
			decred.ScalarBaseMultNonConst(decredOf(a), &da)
			decred.ScalarBaseMultNonConst(decredOf(b), &db)
			decred.AddNonConst(&da, &db, &dsum)
			decred.ScalarBaseMultNonConst(decredOf(new(big.Int).Mod(new(big.Int).Sub(a, b), order)), &ddiff)
			p, q := BaseMul(fromBig(t, a)), BaseMul(fromBig(t, b))
			sameAsDecred(t, fmt.Sprintf("%x + %x", a, b), p.Add(q), &dsum)
			sameAsDecred(t, fmt.Sprintf("%x − %x", a, b), p.Sub(q), &ddiff)
			sameAsDecred(t, fmt.Sprintf("−%x", b), q.Neg().Add(p), &ddiff)
			if p.Equal(q) != (a.Cmp(b) == 0) {
				t.Errorf("Equal of %x·G and %x·G", a, b)
			}
		}
	}
}

func TestCoordinates(t *testing.T) {
	for _, k := range samples(30) {
		if k.Sign() == 0 {
			continue
		}
		p := BaseMul(fromBig(t, k))
		full := p.Uncompressed()
		x, y := new(big.Int).SetBytes(full[1:33]), new(big.Int).SetBytes(full[33:])
		r, over := p.XReduced()
		checkBig(t, "x mod q", r, x)
		if over != (x.Cmp(order) >= 0) || p.YOdd() != (y.Bit(0) == 1) {
			t.Errorf("%x·G: overflow %v, odd %v", k, over, p.YOdd())
		}
		if p.String() != hex.EncodeToString(p.Bytes()) {
			t.Errorf("prints as %s", p)
		}
	}
}

// x = q + i is on the curve for some small i: the overflow that signing almost never sees.
func TestXReducedOverflow(t *testing.T) {
	found := 0
	for i := range int64(20) {
		x := new(big.Int).Add(order, big.NewInt(i))
		p, err := DecodePoint(append([]byte{2}, x.Bytes()...))
		if err != nil {
			continue
		}
		found++
		r, over := p.XReduced()
		checkBig(t, "x mod q", r, big.NewInt(i))
		if !over {
			t.Errorf("x = q + %d: no overflow reported", i)
		}
	}
	if found == 0 {
		t.Fatal("no such point found")
	}
}

// protocols.md 7 rows 18 and 20.
func TestDecodePointRefuses(t *testing.T) {
	good := Group{}.Generator().Bytes()
	x := func(prefix byte, v *big.Int) []byte { return append([]byte{prefix}, v.FillBytes(make([]byte, 32))...) }
	cases := map[string][]byte{
		"empty": nil, "identity, 1 byte": {0}, "identity, 33 bytes": make([]byte, 33), "32 bytes": good[:32],
		"34 bytes": append(bytes.Clone(good), 0), "uncompressed": (Group{}).Generator().(*Point).Uncompressed(),
		"x = p": x(2, fieldPrime), "x = p + 1, of a point": x(2, new(big.Int).Add(fieldPrime, one)),
		"x = 2^256 − 1": x(2, new(big.Int).Sub(new(big.Int).Lsh(one, 256), one)),
		"x = 0":         x(2, new(big.Int)), "x = 5, not on the curve": x(2, big.NewInt(5)),
	}
	for prefix := range 256 {
		if prefix != 2 && prefix != 3 {
			cases[fmt.Sprintf("prefix %02x", prefix)] = append([]byte{byte(prefix)}, good[1:]...)
		}
	}
	for name, b := range cases {
		if p, err := (Group{}).DecodePoint(b); p != nil || err == nil {
			t.Errorf("%s: decoded to %v, %v", name, p, err)
		}
	}
}

func TestIdentityHasNoEncoding(t *testing.T) {
	id := Group{}.Identity().(*Point)
	if !id.IsIdentity() || id.String() != "identity" {
		t.Error("identity")
	}
	mustPanic(t, "Bytes", func() { id.Bytes() })
	mustPanic(t, "Uncompressed", func() { id.Uncompressed() })
	mustPanic(t, "XReduced", func() { id.XReduced() })
	mustPanic(t, "YOdd", func() { id.YOdd() })
	mustPanic(t, "Settled", func() { id.Settled() })
}

// Kept coordinates are the point's, stay its own, and are not handed on to what is computed of it.
func TestSettled(t *testing.T) {
	for k := range uint64(8) {
		p := BaseMul(NewScalar(k + 2))
		q := p.Settled()
		q.Uncompressed()[40] ^= 1
		q.Bytes()[7] ^= 1
		for name, pair := range map[string][2]*Point{
			"settled": {p, q}, "again": {p, q.Settled()}, "sum": {p.Add(p).(*Point), q.Add(q).(*Point)}, "negative": {p.Neg().(*Point), q.Neg().(*Point)},
			"product": {p.Mul(NewScalar(3)).(*Point), q.Mul(NewScalar(3)).(*Point)}, "negative, settled": {p.Neg().(*Point), q.Neg().(*Point).Settled()},
		} {
			plain, kept := pair[0], pair[1]
			r, _ := plain.XReduced()
			r2, _ := kept.XReduced()
			if !bytes.Equal(plain.Bytes(), kept.Bytes()) || !bytes.Equal(plain.Uncompressed(), kept.Uncompressed()) || !plain.Equal(kept) ||
				!r.Equal(r2) || plain.YOdd() != kept.YOdd() {
				t.Errorf("%d·G, %s: %v, and kept %v", k+2, name, plain, kept)
			}
		}
	}
}

// RFC 9380 appendix J.8.1: field elements u₀, u₁ below p are their own reductions.
func TestFromUniform(t *testing.T) {
	raw, err := os.ReadFile("testdata/rfc9380.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Vectors []struct{ U0, U1, X, Y string }
	}
	if err := json.Unmarshal(raw, &v); err != nil || len(v.Vectors) != 5 {
		t.Fatalf("%d vectors, %v", len(v.Vectors), err)
	}
	for i, c := range v.Vectors {
		u, _ := hex.DecodeString(c.U0 + c.U1)
		p := FromUniform(u)
		if hex.EncodeToString(p.Uncompressed()[1:]) != c.X+c.Y {
			t.Errorf("vector %d: got %x", i, p.Uncompressed())
		}
		// The same elements, not reduced: u₀ + p does not fit 32 bytes but for tiny u₀.
		small := make([]byte, UniformSize)
		small[31] = byte(i)
		big0 := new(big.Int).Add(fieldPrime, big.NewInt(int64(i))).Bytes()
		if !FromUniform(append(big0, small[32:]...)).Equal(FromUniform(small)) {
			t.Errorf("p + %d maps elsewhere than %d", i, i)
		}
	}
	for _, n := range []int{0, 32, 63, 65, 96} {
		mustPanic(t, fmt.Sprintf("%d bytes", n), func() { FromUniform(make([]byte, n)) })
	}
}

func FuzzDecodePoint(f *testing.F) {
	f.Add(Group{}.Generator().Bytes())
	f.Add(append([]byte{3}, fieldPrime.Bytes()...))
	f.Add(make([]byte, 33))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := DecodePoint(in)
		if err == nil && (!bytes.Equal(p.Bytes(), in) || p.IsIdentity()) {
			t.Fatalf("decode then encode changed %x", in)
		}
	})
}

func BenchmarkPoint(b *testing.B) {
	g, k := Group{}, fromBig(b, lambda)
	p := g.BaseMul(k)
	enc, uniform := p.Bytes(), make([]byte, UniformSize)
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"BaseMul", func() { g.BaseMul(k) }},
		{"Mul", func() { p.Mul(k) }},
		{"MulVarTime", func() { p.MulVarTime(k) }},
		{"DoubleMulBaseVarTime", func() { p.(*Point).DoubleMulBaseVarTime(k, k) }},
		{"MultiMulVarTime4", func() { g.MultiMulVarTime([]group.Scalar{k, k, k, k}, []group.Point{p, p, p, p}) }},
		{"FromUniform", func() { FromUniform(uniform) }},
		{"Decode", func() { _, _ = DecodePoint(enc) }},
		{"Encode", func() { p.Bytes() }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				c.do()
			}
		})
	}
}
