package share

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/ristretto255"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
)

var groups = []group.Group{secp256k1.Group{}, edwards25519.Group{}, ristretto255.Group{}}

func source(seed uint64) *rand.ChaCha8 {
	return rand.NewChaCha8(sha256.Sum256(binary.BigEndian.AppendUint64(nil, seed)))
}

func eachGroup(t *testing.T, f func(t *testing.T, g group.Group)) {
	t.Helper()
	for _, g := range groups {
		t.Run(g.Name(), func(t *testing.T) { f(t, g) })
	}
}

func sample(t testing.TB, g group.Group, th int, constant group.Scalar, seed uint64) Polynomial {
	t.Helper()
	p, err := Sample(g, th, constant, source(seed))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var indices = []Index{1, 2, 3, 500, 65534, 65535}

// Any t shares give the secret, and the commitment agrees with every share; t−1 do not.
func TestShareAndInterpolate(t *testing.T) {
	eachGroup(t, func(t *testing.T, g group.Group) {
		for th := 1; th <= len(indices); th++ {
			secretValue := g.Scalar(uint64(th) * 1_000_003)
			p := sample(t, g, th, secretValue, uint64(th))
			c := p.Commit()
			if len(c) != th || p.Threshold() != th || !c[0].Equal(g.BaseMul(secretValue)) {
				t.Fatalf("threshold %d: wrong commitment", th)
			}
			var shares []group.Scalar
			var points []group.Point
			for _, i := range indices {
				s := p.Eval(i)
				shares, points = append(shares, s), append(points, c.Eval(i))
				if err := c.Check(i, s); err != nil {
					t.Errorf("threshold %d, index %d: %v", th, i, err)
				}
				if c.Check(i, s.Add(g.Scalar(1))) == nil || c.Check(i^64, s) == nil && th > 1 {
					t.Errorf("threshold %d, index %d: a wrong share passes", th, i)
				}
			}
			for from := 0; from+th <= len(indices); from++ {
				set := indices[from : from+th]
				v, err := Interpolate(g, set, shares[from:from+th])
				if err != nil || !v.Equal(secretValue) {
					t.Errorf("threshold %d from %d: %v", th, from, err)
				}
				pt, err := InterpolatePoints(g, set, points[from:from+th])
				if err != nil || !pt.Equal(c[0]) {
					t.Errorf("threshold %d from %d: points: %v", th, from, err)
				}
			}
			if th > 1 {
				if v, err := Interpolate(g, indices[:th-1], shares[:th-1]); err != nil || v.Equal(secretValue) {
					t.Errorf("threshold %d: %d shares give the secret: %v", th, th-1, err)
				}
			}
			checkPublicShares(t, g, c[0], points, th)
		}
	})
}

func checkPublicShares(t *testing.T, g group.Group, x group.Point, points []group.Point, th int) {
	t.Helper()
	if err := CheckPublicShares(g, x, indices, points, th); err != nil {
		t.Errorf("threshold %d: %v", th, err)
	}
	if th > 1 && CheckPublicShares(g, x, indices, points, th-1) == nil {
		t.Errorf("threshold %d passes as %d", th, th-1)
	}
	if CheckPublicShares(g, x.Add(g.Generator()), indices, points, th) == nil {
		t.Errorf("threshold %d: another public key passes", th)
	}
	for k := range points {
		forged := slices.Clone(points)
		forged[k] = forged[k].Add(g.Generator())
		if CheckPublicShares(g, x, indices, forged, th) == nil {
			t.Errorf("threshold %d: forged share at index %d passes", th, indices[k])
		}
	}
	for _, bad := range []int{-1, 0, len(indices) + 1} {
		if CheckPublicShares(g, x, indices, points, bad) == nil {
			t.Errorf("threshold %d of %d shares passes", bad, len(indices))
		}
	}
}

// protocols.md 7 row 17.
func TestIndices(t *testing.T) {
	g := groups[0]
	one := g.Scalar(1)
	for name, set := range map[string][]Index{"zero": {1, 0, 2}, "twice": {1, 2, 1}, "without 1": {2, 3}, "empty": {}} {
		if w, err := Lagrange(g, 1, set); w != nil || err == nil {
			t.Errorf("%s: weight given", name)
		}
	}
	if _, err := Lagrange(g, 0, []Index{0, 1}); err == nil {
		t.Error("index 0 has a weight")
	}
	for name, set := range map[string][]Index{"zero": {1, 0}, "twice": {2, 2}, "short": {1}, "long": {1, 2, 3}, "empty": {}} {
		if _, err := Interpolate(g, set, []group.Scalar{one, one}); err == nil {
			t.Errorf("%s: interpolated", name)
		}
		if _, err := InterpolatePoints(g, set, []group.Point{g.Generator(), g.Generator()}); err == nil {
			t.Errorf("%s: points interpolated", name)
		}
		if CheckPublicShares(g, g.Generator(), set, []group.Point{g.Generator(), g.Generator()}, 1) == nil {
			t.Errorf("%s: public shares accepted", name)
		}
	}
	if _, err := Interpolate(g, nil, nil); err == nil {
		t.Error("interpolated nothing")
	}
	for v, ok := range map[uint64]bool{0: false, 1: true, 65535: true, 65536: false, 1<<16 + 1: false, 1<<64 - 1: false} {
		if i, err := ParseIndex(v); (err == nil) != ok || ok && uint64(i) != v {
			t.Errorf("index %d: %d, %v", v, i, err)
		}
	}
	w, err := Lagrange(g, 3, []Index{3})
	if err != nil || !w.Equal(one) {
		t.Errorf("a set of one has weight 1: %v", err)
	}
}

func TestSampleRefuses(t *testing.T) {
	g := groups[0]
	for _, th := range []int{-1, 0, MaxIndex + 1} {
		if _, err := Sample(g, th, nil, source(1)); err == nil {
			t.Errorf("threshold %d: sampled", th)
		}
	}
	if _, err := Sample(g, 2, nil, bytes.NewReader(make([]byte, 50))); err == nil {
		t.Error("a source that ends gave a polynomial")
	}
	if _, err := Sample(g, 2, g.Scalar(0), bytes.NewReader(make([]byte, 200))); err == nil {
		t.Error("a source of zeros gave a polynomial")
	}
	p := sample(t, g, 2, nil, 1)
	mustPanic(t, "share at 0", func() { p.Eval(0) })
	mustPanic(t, "public share at 0", func() { p.Commit().Eval(0) })
	mustPanic(t, "sum of lengths 2 and 1", func() { p.Commit().Add(p.Commit()[:1]) })
}

// The polynomial owns its constant: wiping either leaves the other.
func TestPolynomialWipe(t *testing.T) {
	eachGroup(t, func(t *testing.T, g group.Group) {
		constant := g.Scalar(77)
		p := sample(t, g, 3, constant, 5)
		kept := p.Constant()
		p.Wipe()
		if !constant.Equal(g.Scalar(77)) || !kept.Equal(g.Scalar(77)) {
			t.Error("wiping the polynomial wiped the caller's constant")
		}
		for _, a := range p.a {
			if !a.IsZero() {
				t.Error("a coefficient survives")
			}
		}
		q := sample(t, g, 2, constant, 6)
		constant.Wipe()
		if !q.Constant().Equal(g.Scalar(77)) {
			t.Error("wiping the constant wiped the polynomial")
		}
	})
}

// The zero-share form of refresh (protocols.md 1.3).
func TestZeroConstant(t *testing.T) {
	eachGroup(t, func(t *testing.T, g group.Group) {
		p := sample(t, g, 3, g.Scalar(0), 8)
		tail, err := DecodeCommitment(g, p.Commit()[1:].Encode(), 2)
		if err != nil {
			t.Fatal(err)
		}
		c := WithZeroConstant(g, tail)
		old := sample(t, g, 3, g.Scalar(9), 9)
		for _, i := range indices {
			if err := c.Check(i, p.Eval(i)); err != nil {
				t.Errorf("index %d: %v", i, err)
			}
			if err := c.Add(old.Commit()).Check(i, p.Eval(i).Add(old.Eval(i))); err != nil {
				t.Errorf("refreshed share %d: %v", i, err)
			}
		}
		if !c.Add(old.Commit())[0].Equal(g.BaseMul(g.Scalar(9))) {
			t.Error("refresh moved the key")
		}
		if only := WithZeroConstant(g, nil); len(only) != 1 || only.Check(1, g.Scalar(0)) != nil {
			t.Error("threshold 1: the zero sharing is zero")
		}
	})
}

// protocols.md 7 row 10.
func TestDecodeCommitmentRefuses(t *testing.T) {
	eachGroup(t, func(t *testing.T, g group.Group) {
		raw := sample(t, g, 3, nil, 2).Commit().Encode()
		for _, th := range []int{-1, 0, 1, 2, 4, 5} {
			if _, err := DecodeCommitment(g, raw, th); err == nil {
				t.Errorf("3 points pass for threshold %d", th)
			}
		}
		if _, err := DecodeCommitment(g, nil, 0); err == nil {
			t.Error("no points pass for threshold 0")
		}
		for k := range raw {
			for name, b := range map[string][]byte{
				"identity": make([]byte, g.PointSize()), "short": raw[k][1:], "long": append(bytes.Clone(raw[k]), 0),
				"no point": bytes.Repeat([]byte{0xff}, g.PointSize()), "empty": nil,
			} {
				bad := slices.Clone(raw)
				bad[k] = b
				if _, err := DecodeCommitment(g, bad, 3); err == nil {
					t.Errorf("point %d, %s: passes", k, name)
				}
			}
		}
	})
}

func FuzzTakeCommitment(f *testing.F) {
	for n, g := range groups {
		for th := 1; th < 4; th++ {
			var e transcript.Encoder
			sample(f, g, th, nil, 3).Commit().Put(&e, 7)
			f.Add(n == 1, th, e.Sum())
		}
	}
	f.Fuzz(func(t *testing.T, second bool, th int, in []byte) {
		if th < 1 || th > 16 {
			return
		}
		g := groups[0]
		if second {
			g = groups[1]
		}
		d := transcript.NewDecoder(in)
		c := Take(d, 7, g, th)
		if d.Done() != nil {
			return
		}
		if len(c) != th {
			t.Fatalf("%d points for threshold %d", len(c), th)
		}
		var e transcript.Encoder
		c.Put(&e, 7)
		if !bytes.Equal(e.Sum(), in) {
			t.Fatalf("decode then encode changed %x", in)
		}
	})
}

func TestTakeRefuses(t *testing.T) {
	g := groups[1]
	for name, raw := range map[string][][]byte{
		"identity": {g.Generator().Bytes(), g.Identity().Bytes()}, "one more": {g.Generator().Bytes(), g.Generator().Bytes(), g.Generator().Bytes()},
		"one less": {g.Generator().Bytes()}, "short point": {g.Generator().Bytes(), make([]byte, 31)},
	} {
		var e transcript.Encoder
		e.List(7, len(raw), func(i int, e *transcript.Encoder) { e.Bytes(tagPoint, raw[i]) })
		d := transcript.NewDecoder(e.Sum())
		if c := Take(d, 7, g, 2); c != nil || d.Done() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestRedaction(t *testing.T) {
	g := groups[0]
	p := sample(t, g, 2, nil, 4)
	n, err := NewNonce(label, nil, g.Scalar(5), source(4))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{p, &p, n, *n} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			if got := fmt.Sprintf(verb, v); got != secret.Redacted {
				t.Errorf("%s of %T prints %s", verb, v, got)
			}
		}
		if j, err := json.Marshal(v); err != nil || string(j) != `"[secret]"` {
			t.Errorf("%T in json is %s, %v", v, j, err)
		}
	}
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
