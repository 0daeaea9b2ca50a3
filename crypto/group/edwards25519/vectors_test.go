package edwards25519

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

func load(t *testing.T, name string, v any) {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// CCTV's cases are signatures that verifiers disagree about, because A or R has a part of small order or more than one
// encoding. A point is refused exactly if it is such; so no case remains to disagree about.
func TestCCTV(t *testing.T) {
	var cases []struct {
		Number        int
		Key, Sig, Msg string
		Flags         []string
	}
	load(t, "cctv.json", &cases)
	if len(cases) != 646 {
		t.Fatalf("%d cases, want 646", len(cases))
	}
	refused, standardAccepts := 0, 0
	for _, c := range cases {
		key, sig := unhex(t, c.Key), unhex(t, c.Sig)
		a, errA := Group{}.DecodePoint(key)
		_, errR := Group{}.DecodePoint(sig[:32])
		badA := slices.Contains(c.Flags, "low_order_component_A") || slices.Contains(c.Flags, "low_order_A") || slices.Contains(c.Flags, "non_canonical_A")
		badR := slices.Contains(c.Flags, "low_order_component_R") || slices.Contains(c.Flags, "low_order_R") || slices.Contains(c.Flags, "non_canonical_R")
		if (errA != nil) != badA || (errR != nil) != badR {
			t.Errorf("case %d %v: A %v, R %v", c.Number, c.Flags, errA, errR)
		}
		if errA != nil || !verify(a, []byte(c.Msg), sig) {
			refused++
		}
		if ed25519.Verify(key, []byte(c.Msg), sig) {
			standardAccepts++
		}
	}
	if refused != len(cases) || standardAccepts == 0 {
		t.Errorf("%d of %d refused, of which crypto/ed25519 takes %d", refused, len(cases), standardAccepts)
	}
}

func TestWycheproof(t *testing.T) {
	var v struct {
		TestGroups []struct {
			PublicKey struct{ Pk string }
			Tests     []struct {
				TcID             int
				Msg, Sig, Result string
			}
		}
	}
	load(t, "wycheproof.json", &v)
	valid, all := 0, 0
	for _, g := range v.TestGroups {
		a, err := Group{}.DecodePoint(unhex(t, g.PublicKey.Pk))
		if err != nil {
			t.Fatalf("key %s: %v", g.PublicKey.Pk, err)
		}
		for _, c := range g.Tests {
			all++
			ok := verify(a, unhex(t, c.Msg), unhex(t, c.Sig))
			if ok != (c.Result == "valid") {
				t.Errorf("case %d: %v, want %s", c.TcID, ok, c.Result)
			}
			if ok {
				valid++
			}
		}
	}
	if all != 117 || valid != 67 {
		t.Errorf("%d cases, %d valid; want 117 and 67", all, valid)
	}
}

// multipliedOrder is the order check by its definition: (ℓ−1)·P = −P.
func multipliedOrder(p *edwards25519.Point) bool {
	k := Group{}.Scalar(1).Neg().(*Scalar)
	return new(edwards25519.Point).ScalarMult(&k.s, p).Equal(new(edwards25519.Point).Negate(p)) == 1
}

func affine(p *edwards25519.Point) (x, y *field.Element) {
	x, y, z, _ := p.ExtendedCoordinates()
	z.Invert(z)
	return x.Multiply(x, z), y.Multiply(y, z)
}

// Halving says what multiplying says: on points of the whole curve, whose parts of small order are spread evenly,
// and on every coset of the subgroup, with both signs of x and for the smallest multiples.
func TestOrderByHalving(t *testing.T) {
	source := rand.NewChaCha8([32]byte{1})
	var encoded [32]byte
	prime, points := 0, 0
	for points < 2000 {
		_, _ = source.Read(encoded[:])
		p, err := new(edwards25519.Point).SetBytes(encoded[:])
		if err != nil {
			continue
		}
		points++
		x, y := affine(p)
		got := primeOrder(x, y)
		if got != multipliedOrder(p) {
			t.Fatalf("%x: %v by halving", encoded, got)
		}
		if got {
			prime++
		}
	}
	if prime < 150 || prime > 350 {
		t.Errorf("%d of %d points are of prime order, an eighth was expected", prime, points)
	}
	small := torsion(t)
	p := edwards25519.NewIdentityPoint()
	for k := range 300 {
		for i, s := range small {
			for _, q := range []*edwards25519.Point{new(edwards25519.Point).Add(p, s), new(edwards25519.Point).Subtract(s, p)} {
				x, y := affine(q)
				if x.Equal(new(field.Element)) == 1 {
					continue // 0 and the point of order 2, which the caller sorts out
				}
				if primeOrder(x, y) != (i == 0) {
					t.Fatalf("±%d·B + torsion point %d", k, i)
				}
			}
		}
		p.Add(p, edwards25519.NewGeneratorPoint())
	}
}

func FuzzOrder(f *testing.F) {
	f.Add(Group{}.Generator().Bytes())
	f.Add(bytes.Repeat([]byte{9}, 32))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := new(edwards25519.Point).SetBytes(in)
		if err != nil {
			return
		}
		again := p.Bytes()
		identity := p.Equal(edwards25519.NewIdentityPoint()) == 1
		want := bytes.Equal(again, in) && !identity && multipliedOrder(p)
		if _, err := (Group{}).DecodePoint(in); (err == nil) != want {
			t.Fatalf("%x: %v, want accepted: %v", in, err, want)
		}
	})
}
