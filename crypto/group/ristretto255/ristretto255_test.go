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
)

var order, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

func little(v *big.Int) []byte {
	b := v.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	return b
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
