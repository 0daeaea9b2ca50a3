package ristretto255

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
)

var order, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

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

func TestScalarsAgainstBig(t *testing.T) {
	check := func(what string, got group.Scalar, want *big.Int) {
		t.Helper()
		if w := little(new(big.Int).Mod(want, order)); !bytes.Equal(got.Bytes(), w) {
			t.Errorf("%s is %x, want %x", what, got.Bytes(), w)
		}
	}
	z := new(big.Int)
	for _, a := range edges() {
		x := fromBig(t, a)
		for _, b := range edges() {
			y := fromBig(t, b)
			check("sum", x.Add(y), z.Add(a, b))
			check("difference", x.Sub(y), z.Sub(a, b))
			check("product", x.Mul(y), z.Mul(a, b))
			if x.Equal(y) != (a.Cmp(b) == 0) {
				t.Errorf("Equal of %x and %x", a, b)
			}
		}
		check("negative", x.Neg(), z.Neg(a))
		inverse := new(big.Int)
		if a.Sign() != 0 {
			inverse.ModInverse(a, order)
		}
		check("inverse", x.Invert(), inverse)
		if x.IsZero() != (a.Sign() == 0) {
			t.Errorf("IsZero of %x", a)
		}
	}
	check("number", Group{}.Scalar(1<<63+5), new(big.Int).SetUint64(1<<63+5))
	h := sha512.Sum512(nil)
	v := slices.Clone(h[:])
	slices.Reverse(v)
	check("reduced", Group{}.ReduceScalar(h[:]), new(big.Int).SetBytes(v))
	s := Group{}.Scalar(9)
	s.Wipe()
	check("wiped", s, new(big.Int))
}

type vectors struct {
	Multiples []string
	Bad       []string
	Uniform   []struct{ SHA512of, Element string }
}

func load(t *testing.T) vectors {
	t.Helper()
	raw, err := os.ReadFile("testdata/rfc9496.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(raw, &v); err != nil || len(v.Multiples) != 16 || len(v.Bad) != 29 || len(v.Uniform) != 7 {
		t.Fatalf("vectors: %v", err)
	}
	return v
}

// RFC 9496 appendix A.1, by every way to multiply.
func TestMultiples(t *testing.T) {
	g := Group{}
	sum := g.Identity()
	for k, want := range load(t).Multiples {
		s := g.Scalar(uint64(k))
		for name, p := range map[string]group.Point{
			"sum": sum, "BaseMul": g.BaseMul(s), "Mul": g.Generator().Mul(s), "MulVarTime": g.Generator().MulVarTime(s),
			"MultiMul": g.MultiMulVarTime([]group.Scalar{s, g.Scalar(3)}, []group.Point{g.Generator(), g.Identity()}),
			"Sub":      g.Generator().Sub(g.Generator().Mul(g.Scalar(1).Sub(s))),
			"Neg":      g.Generator().Neg().Mul(s.Neg()),
		} {
			if got := hex.EncodeToString(p.Bytes()); got != want {
				t.Errorf("%s: %d·G is %s, want %s", name, k, got, want)
			}
		}
		sum = sum.Add(g.Generator())
	}
}

// RFC 9496 appendix A.2, and the identity, which it would decode.
func TestDecodePointRefuses(t *testing.T) {
	cases := map[string][]byte{"identity": make([]byte, 32), "empty": nil, "31 bytes": make([]byte, 31), "33 bytes": make([]byte, 33)}
	for i, s := range load(t).Bad {
		cases[fmt.Sprintf("bad encoding %d", i)], _ = hex.DecodeString(s)
	}
	for name, b := range cases {
		if p, err := (Group{}).DecodePoint(b); p != nil || err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}

// RFC 9496 appendix A.3.
func TestFromUniform(t *testing.T) {
	for _, v := range load(t).Uniform {
		h := sha512.Sum512([]byte(v.SHA512of))
		if got := hex.EncodeToString(Group{}.FromUniform(h[:]).Bytes()); got != v.Element {
			t.Errorf("%q maps to %s, want %s", v.SHA512of, got, v.Element)
		}
	}
	for _, n := range []int{0, 32, 63, 65} {
		mustPanic(t, fmt.Sprintf("FromUniform of %d bytes", n), func() { Group{}.FromUniform(make([]byte, n)) })
		mustPanic(t, fmt.Sprintf("ReduceScalar of %d bytes", n), func() { Group{}.ReduceScalar(make([]byte, n)) })
	}
}

func TestDecodeScalarRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty": nil, "31 bytes": make([]byte, 31), "33 bytes": make([]byte, 33), "q": little(order),
		"q + 1": little(new(big.Int).Add(order, big.NewInt(1))), "2^256 − 1": bytes.Repeat([]byte{0xff}, 32),
		"1 with the top bit": append(append([]byte{1}, make([]byte, 30)...), 0x80),
	} {
		if s, err := (Group{}).DecodeScalar(b); s != nil || err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}

func TestRandomScalar(t *testing.T) {
	for _, n := range []int{0, 63, 64} { // too short, too short, zero
		if s, err := (Group{}).RandomScalar(bytes.NewReader(make([]byte, n))); s != nil || err == nil {
			t.Errorf("%d zero bytes gave a scalar", n)
		}
	}
	if s, err := (Group{}).RandomScalar(bytes.NewReader(bytes.Repeat([]byte{7}, 64))); err != nil || s.IsZero() {
		t.Errorf("random scalar: %v", err)
	}
}

func TestScalarRedacts(t *testing.T) {
	s := Group{}.Scalar(0xdecade).(*Scalar)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		for _, v := range []any{s, *s} {
			if got := fmt.Sprintf(verb, v); got != secret.Redacted {
				t.Errorf("%s of %T prints %s", verb, v, got)
			}
		}
	}
	if j, err := json.Marshal(s); err != nil || string(j) != `"[secret]"` {
		t.Errorf("json is %s, %v", j, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Group{}.Generator().Bytes())
	f.Add(little(order))
	f.Add(make([]byte, 32))
	f.Fuzz(func(t *testing.T, in []byte) {
		if p, err := (Group{}).DecodePoint(in); err == nil && (!bytes.Equal(p.Bytes(), in) || p.IsIdentity()) {
			t.Fatalf("decode then encode changed point %x", in)
		}
		if s, err := (Group{}).DecodeScalar(in); err == nil && !bytes.Equal(s.Bytes(), in) {
			t.Fatalf("decode then encode changed scalar %x", in)
		}
	})
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}
