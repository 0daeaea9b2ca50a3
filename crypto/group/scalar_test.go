package group_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/ristretto255"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/secret"
)

// A field is a group, the order of it from its standard, and whether its encodings begin with the lowest byte.
type field struct {
	group.Group
	order  *big.Int
	little bool
}

var (
	orderSecp, _ = new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
	order25519   = new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 252), func() *big.Int {
		v, _ := new(big.Int).SetString("27742317777372353535851937790883648493", 10)
		return v
	}())
	fields = []field{{secp256k1.Group{}, orderSecp, false}, {edwards25519.Group{}, order25519, true}, {ristretto255.Group{}, order25519, true}}
)

func (f field) bytes(v *big.Int) []byte { return f.turn(v.FillBytes(make([]byte, group.ScalarSize))) }

// turn is between big-endian bytes and the field's own.
func (f field) turn(b []byte) []byte {
	b = slices.Clone(b)
	if f.little {
		slices.Reverse(b)
	}
	return b
}

func (f field) scalar(t *testing.T, v *big.Int) group.Scalar {
	t.Helper()
	s, err := f.DecodeScalar(f.bytes(v))
	if err != nil {
		t.Fatalf("decode %x: %v", v, err)
	}
	return s
}

// edges are values at the ends of range and of limbs, and twenty that lie anywhere.
func (f field) edges() []*big.Int {
	one := big.NewInt(1)
	e := []*big.Int{new(big.Int), one, big.NewInt(2), new(big.Int).Sub(f.order, one), new(big.Int).Sub(f.order, big.NewInt(2)), new(big.Int).Rsh(f.order, 1)}
	for _, n := range []uint{8, 64, 127, 128, 192, 252} {
		p := new(big.Int).Lsh(one, n)
		e = append(e, p, new(big.Int).Sub(p, one))
	}
	for i := range byte(20) {
		h := sha512.Sum512([]byte{i})
		v := new(big.Int).SetBytes(h[:])
		e = append(e, v.Mod(v, f.order))
	}
	return e
}

// each runs a test on every field.
func each(t *testing.T, test func(t *testing.T, f field)) {
	for _, f := range fields {
		t.Run(f.Name(), func(t *testing.T) { test(t, f) })
	}
}

func TestScalarsAgainstBig(t *testing.T) {
	each(t, func(t *testing.T, f field) {
		check := func(what string, got group.Scalar, want *big.Int) {
			t.Helper()
			if w := f.bytes(new(big.Int).Mod(want, f.order)); !bytes.Equal(got.Bytes(), w) {
				t.Errorf("%s is %x, want %x", what, got.Bytes(), w)
			}
		}
		z := new(big.Int)
		for _, a := range f.edges() {
			x := f.scalar(t, a)
			for _, b := range f.edges() {
				y := f.scalar(t, b)
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
				inverse.ModInverse(a, f.order)
			}
			check("inverse", x.Invert(), inverse)
			if x.IsZero() != (a.Sign() == 0) {
				t.Errorf("IsZero of %x", a)
			}
		}
		check("number", f.Scalar(1<<63+5), new(big.Int).SetUint64(1<<63+5))
		digest := sha512.Sum512(nil)
		for _, wide := range [][]byte{make([]byte, 64), digest[:], bytes.Repeat([]byte{0xff}, 64)} {
			wide = wide[:f.WideSize()]
			check("reduced", f.ReduceScalar(wide), new(big.Int).SetBytes(f.turn(wide)))
		}
		s := f.Scalar(9)
		s.Wipe()
		check("wiped", s, new(big.Int))
	})
}

func TestDecodeScalarRefuses(t *testing.T) {
	each(t, func(t *testing.T, f field) {
		most := bytes.Repeat([]byte{0xff}, 32)
		top := new(big.Int).SetBit(big.NewInt(1), 255, 1) // some decoders mask the top bit
		cases := map[string][]byte{
			"empty": nil, "31 bytes": make([]byte, 31), "33 bytes": make([]byte, 33), "q": f.bytes(f.order),
			"q + 1": f.bytes(new(big.Int).Add(f.order, big.NewInt(1))), "2^256 − 1": most,
		}
		if top.Cmp(f.order) >= 0 {
			cases["1 with the top bit"] = f.bytes(top)
		}
		for name, b := range cases {
			if s, err := f.DecodeScalar(b); s != nil || err == nil {
				t.Errorf("%s: decoded", name)
			}
		}
	})
}

func TestRandomScalar(t *testing.T) {
	each(t, func(t *testing.T, f field) {
		for _, n := range []int{0, f.WideSize() - 1, f.WideSize()} { // too short, too short, zero
			if s, err := f.RandomScalar(bytes.NewReader(make([]byte, n))); s != nil || err == nil {
				t.Errorf("%d zero bytes gave a scalar", n)
			}
		}
		seven := bytes.Repeat([]byte{7}, f.WideSize())
		if s, err := f.RandomScalar(bytes.NewReader(seven)); err != nil || !s.Equal(f.ReduceScalar(seven)) {
			t.Errorf("random scalar: %v", err)
		}
		for _, n := range []int{0, 32, f.WideSize() - 1, f.WideSize() + 1} {
			mustPanic(t, fmt.Sprintf("ReduceScalar of %d bytes", n), func() { f.ReduceScalar(make([]byte, n)) })
		}
	})
}

func TestScalarRedacts(t *testing.T) {
	values := []any{*secp256k1.NewScalar(0xdecade), *edwards25519.Group{}.Scalar(0xdecade).(*edwards25519.Scalar), *ristretto255.Group{}.Scalar(0xdecade).(*ristretto255.Scalar)}
	for _, f := range fields {
		values = append(values, f.Scalar(0xdecade))
	}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
			if got := fmt.Sprintf(verb, v); got != secret.Redacted {
				t.Errorf("%s of %T prints %s", verb, v, got)
			}
		}
	}
	for _, f := range fields {
		if j, err := json.Marshal(f.Scalar(0xdecade)); err != nil || string(j) != `"[secret]"` {
			t.Errorf("%s: json is %s, %v", f.Name(), j, err)
		}
	}
}
