package vartime

import (
	"bytes"
	"math/rand/v2"
	"testing"

	voi "gitlab.com/yawning/secp256k1-voi"
)

// encoded is nil for the identity.
func encoded(p *Point) []byte {
	if p.IsIdentity() == 1 {
		return nil
	}
	return p.UncompressedBytes()
}

func theirs(p *voi.Point) []byte {
	if p.IsIdentity() == 1 {
		return nil
	}
	return p.UncompressedBytes()
}

// samples are scalars at the edges, some at or above the order, and some at random.
func samples() (all [][32]byte) {
	order := [32]byte{
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
		0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
	}
	below := order
	below[31]--
	all = append(all, [32]byte{}, [32]byte{31: 1}, [32]byte{31: 2}, below, order, [32]byte(bytes.Repeat([]byte{0xff}, 32)))
	r := rand.NewChaCha8([32]byte{7})
	for range 12 {
		var b [32]byte
		r.Read(b[:])
		all = append(all, b)
	}
	return all
}

// Every operation gives what the arithmetic gives that signs: whoever verifies in a browser sees what a command sees.
func TestAgainstTheArithmeticThatSigns(t *testing.T) {
	same := func(what string, got *Point, want *voi.Point) {
		t.Helper()
		if g, w := encoded(got), theirs(want); !bytes.Equal(g, w) {
			t.Errorf("%s is %x, and there %x", what, g, w)
		}
	}
	all := samples()
	for i, a := range all {
		s, over := NewScalarFromBytes(&a)
		vs, vover := voi.NewScalarFromBytes(&a)
		if !bytes.Equal(s.Bytes(), vs.Bytes()) || over != vover {
			t.Errorf("scalar %x: %x, %d; there %x, %d", a, s.Bytes(), over, vs.Bytes(), vover)
		}
		if g, w := NewScalar().Invert(s), voi.NewScalar().Invert(vs); !bytes.Equal(g.Bytes(), w.Bytes()) {
			t.Errorf("1/%x is %x, and there %x", a, g.Bytes(), w.Bytes())
		}
		p, vp := new(Point).ScalarBaseMult(s), voi.NewIdentityPoint().ScalarBaseMult(vs)
		same("k·G", p, vp)
		same("−k·G", new(Point).Negate(p), voi.NewIdentityPoint().Negate(vp))
		for _, b := range [][32]byte{a, all[(i+1)%len(all)], all[(i+5)%len(all)]} {
			u, _ := NewScalarFromBytes(&b)
			vu, _ := voi.NewScalarFromBytes(&b)
			q, vq := new(Point).ScalarMult(u, p), voi.NewIdentityPoint().ScalarMult(vu, vp)
			same("u·(k·G)", q, vq)
			same("sum", new(Point).Add(p, q), voi.NewIdentityPoint().Add(vp, vq))
			same("difference", new(Point).Subtract(p, q), voi.NewIdentityPoint().Subtract(vp, vq))
			same("u·G + k·P", new(Point).DoubleScalarMultBasepointVartime(u, s, p), voi.NewIdentityPoint().DoubleScalarMultBasepointVartime(vu, vs, vp))
			same("sum of products", new(Point).MultiScalarMultVartime([]*Scalar{u, s}, []*Point{p, q}), voi.NewIdentityPoint().MultiScalarMultVartime([]*voi.Scalar{vu, vs}, []*voi.Point{vp, vq}))
			if p.Equal(q) != vp.Equal(vq) || q.Equal(q) != 1 {
				t.Errorf("%x and %x: equal %d, there %d", encoded(p), encoded(q), p.Equal(q), vp.Equal(vq))
			}
		}
	}
	same("G", NewGeneratorPoint(), voi.NewGeneratorPoint())
	same("identity", NewIdentityPoint(), voi.NewIdentityPoint())
	if s, _ := NewScalarFromBytes(&all[1]); !bytes.Equal(s.Zero().Bytes(), make([]byte, 32)) {
		t.Error("Zero leaves something")
	}
}

// Points are decoded in one form alone, the same as there.
func TestDecode(t *testing.T) {
	good := voi.NewGeneratorPoint().CompressedBytes()
	decoded := 0
	for _, x := range samples() {
		for prefix := range 8 {
			raw := append([]byte{byte(prefix)}, x[:]...)
			p, err := new(Point).SetCompressedBytes(raw)
			vp, verr := voi.NewIdentityPoint().SetCompressedBytes(raw)
			if (err == nil) != (verr == nil) {
				t.Errorf("%x: %v, and there %v", raw, err, verr)
			}
			if err == nil && verr == nil {
				decoded++
				if !bytes.Equal(encoded(p), theirs(vp)) {
					t.Errorf("%x is read as %x, and there as %x", raw, encoded(p), theirs(vp))
				}
			}
		}
	}
	if decoded < 4 {
		t.Errorf("only %d points were on the curve", decoded)
	}
	for _, bad := range [][]byte{nil, {0}, good[:32], append(bytes.Clone(good), 0), make([]byte, 33), voi.NewGeneratorPoint().UncompressedBytes()} {
		if _, err := new(Point).SetCompressedBytes(bad); err == nil {
			t.Errorf("%x is decoded", bad)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("the identity has an encoding")
		}
	}()
	NewIdentityPoint().UncompressedBytes()
}
