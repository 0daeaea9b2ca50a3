package secp256k1

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"

	decred "github.com/decred/dcrd/dcrec/secp256k1/v4"
	voi "gitlab.com/yawning/secp256k1-voi"

	"github.com/ostraka/ostraka/crypto/secret"
)

var (
	order, _  = new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
	lambda, _ = new(big.Int).SetString("5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72", 16)
	one       = big.NewInt(1)
)

// edges are the scalars at which reductions, the endomorphism's split and comb tables go wrong.
func edges() []*big.Int {
	half := new(big.Int).Rsh(order, 1)
	e := []*big.Int{
		new(big.Int), one, big.NewInt(2), big.NewInt(3), new(big.Int).Sub(order, one), new(big.Int).Sub(order, big.NewInt(2)),
		half, new(big.Int).Add(half, one),
		new(big.Int).Sub(new(big.Int).Lsh(one, 256), order), // c, and so 2^256 mod q
		new(big.Int).Sub(new(big.Int).Sub(new(big.Int).Lsh(one, 256), order), one),
	}
	for k := int64(1); k <= 3; k++ {
		m := new(big.Int).Mul(lambda, big.NewInt(k))
		m.Mod(m, order)
		e = append(e, m, new(big.Int).Sub(order, m))
	}
	for _, n := range []uint{63, 64, 65, 127, 128, 129, 191, 192, 193, 255} {
		p := new(big.Int).Lsh(one, n)
		e = append(e, p, new(big.Int).Sub(p, one))
	}
	for limb := range 4 { // one limb full, the others empty
		m := new(big.Int).Lsh(new(big.Int).SetUint64(1<<64-1), uint(64*limb))
		e = append(e, m.Mod(m, order))
	}
	return e
}

func source(seed uint64) *rand.ChaCha8 {
	return rand.NewChaCha8(sha256.Sum256(binary.BigEndian.AppendUint64(nil, seed)))
}

// samples are the edges and n pseudo-random scalars, some with long runs of equal bits.
func samples(n int) []*big.Int {
	r, e := rand.New(source(1)), edges()
	for i := range n {
		var b [32]byte
		for j := range 4 {
			v := r.Uint64()
			if i%2 == 1 {
				v = -(v & 1) ^ 1<<(v>>1%64)
			}
			binary.BigEndian.PutUint64(b[8*j:], v)
		}
		v := new(big.Int).SetBytes(b[:])
		e = append(e, v.Mod(v, order))
	}
	return e
}

func fromBig(t testing.TB, v *big.Int) *Scalar {
	t.Helper()
	s, err := DecodeScalar(v.FillBytes(make([]byte, 32)))
	if err != nil {
		t.Fatalf("decode %x: %v", v, err)
	}
	return s
}

func voiOf(v *big.Int) *voi.Scalar {
	s, _ := voi.NewScalarFromBytes((*[32]byte)(v.FillBytes(make([]byte, 32))))
	return s
}

func decredOf(v *big.Int) *decred.ModNScalar {
	var s decred.ModNScalar
	s.SetByteSlice(v.FillBytes(make([]byte, 32)))
	return &s
}

func checkBig(t *testing.T, what string, got *Scalar, want *big.Int) {
	t.Helper()
	want = new(big.Int).Mod(want, order)
	if !bytes.Equal(got.Bytes(), want.FillBytes(make([]byte, 32))) {
		t.Fatalf("%s is %x, want %x", what, got.Bytes(), want)
	}
}

// Every pair of samples, against voi, decred and math/big.
func TestScalarOperations(t *testing.T) {
	all := samples(120)
	z := new(big.Int)
	for _, a := range all {
		for _, b := range all {
			x, y := fromBig(t, a), fromBig(t, b)
			checkBig(t, "sum", x.Add(y).(*Scalar), z.Add(a, b))
			checkBig(t, "difference", x.Sub(y).(*Scalar), z.Sub(a, b))
			product := x.Mul(y).(*Scalar)
			checkBig(t, "product", product, z.Mul(a, b))
			if v := voi.NewScalar().Multiply(voiOf(a), voiOf(b)); !bytes.Equal(v.Bytes(), product.Bytes()) {
				t.Fatalf("product of %x and %x differs from voi", a, b)
			}
			d := decredOf(a).Mul(decredOf(b)).Bytes()
			if !bytes.Equal(d[:], product.Bytes()) {
				t.Fatalf("product of %x and %x differs from decred", a, b)
			}
			if x.Equal(y) != (a.Cmp(b) == 0) {
				t.Fatalf("Equal of %x and %x", a, b)
			}
			checkBig(t, "first operand afterwards", x, a)
			checkBig(t, "second operand afterwards", y, b)
		}
	}
}

func TestScalarUnaryOperations(t *testing.T) {
	z, half := new(big.Int), new(big.Int).Rsh(order, 1)
	for _, a := range samples(200) {
		x := fromBig(t, a)
		checkBig(t, "negative", x.Neg().(*Scalar), z.Neg(a))
		inverse := new(big.Int)
		if a.Sign() != 0 {
			inverse.ModInverse(a, order)
		}
		checkBig(t, "inverse", x.Invert().(*Scalar), inverse)
		if x.IsZero() != (a.Sign() == 0) {
			t.Errorf("IsZero of %x", a)
		}
		if x.IsHigh() != (a.Cmp(half) > 0) {
			t.Errorf("IsHigh of %x", a)
		}
		if !bytes.Equal(x.onCurve().Bytes(), x.Bytes()) {
			t.Errorf("conversion to voi changes %x", a)
		}
	}
}

// The in-place forms must work when the receiver is also an operand.
func TestScalarInPlace(t *testing.T) {
	all := samples(40)
	for i, a := range all {
		b := all[(i*7+3)%len(all)]
		x, y := fromBig(t, a), fromBig(t, b)
		for _, c := range []struct {
			name string
			do   func(s *Scalar)
			want *big.Int
		}{
			{"s+=y", func(s *Scalar) { s.SetSum(s, y) }, new(big.Int).Add(a, b)},
			{"s=y+s", func(s *Scalar) { s.SetSum(y, s) }, new(big.Int).Add(a, b)},
			{"s+=s", func(s *Scalar) { s.SetSum(s, s) }, new(big.Int).Add(a, a)},
			{"s-=y", func(s *Scalar) { s.SetDifference(s, y) }, new(big.Int).Sub(a, b)},
			{"s=y-s", func(s *Scalar) { s.SetDifference(y, s) }, new(big.Int).Sub(b, a)},
			{"s-=s", func(s *Scalar) { s.SetDifference(s, s) }, new(big.Int)},
			{"s*=y", func(s *Scalar) { s.SetProduct(s, y) }, new(big.Int).Mul(a, b)},
			{"s*=s", func(s *Scalar) { s.SetProduct(s, s) }, new(big.Int).Mul(a, a)},
			{"s+=y*y", func(s *Scalar) { s.AddProduct(y, y) }, new(big.Int).Add(a, new(big.Int).Mul(b, b))},
			{"s+=s*y", func(s *Scalar) { s.AddProduct(s, y) }, new(big.Int).Add(a, new(big.Int).Mul(a, b))},
			{"s=-s", func(s *Scalar) { s.SetNegative(s) }, new(big.Int).Neg(a)},
			{"negate if 0", func(s *Scalar) { s.NegateIf(0) }, a},
			{"negate if 1", func(s *Scalar) { s.NegateIf(1) }, new(big.Int).Neg(a)},
			{"select 0", func(s *Scalar) { s.Select(s, y, 0) }, a},
			{"select 1", func(s *Scalar) { s.Select(s, y, 1) }, b},
			{"select takes the lowest bit", func(s *Scalar) { s.Select(s, y, 2) }, a},
			{"set", func(s *Scalar) { s.Set(y) }, b},
			{"wipe", func(s *Scalar) { s.Wipe() }, new(big.Int)},
		} {
			s := *x
			c.do(&s)
			checkBig(t, c.name, &s, c.want)
		}
	}
}

func TestInnerProduct(t *testing.T) {
	all := samples(400)
	for _, n := range []int{0, 1, 2, 3, 17, len(all)} {
		var a, b []Scalar
		want := new(big.Int)
		for i := range n {
			u, v := all[i], all[len(all)-1-i]
			a, b = append(a, *fromBig(t, u)), append(b, *fromBig(t, v))
			want.Add(want, new(big.Int).Mul(u, v))
		}
		var s Scalar
		s.SetInnerProduct(a, b)
		checkBig(t, fmt.Sprintf("inner product of %d", n), &s, want)
	}
	// The largest terms: every product is (q−1)².
	top := fromBig(t, new(big.Int).Sub(order, one))
	a := make([]Scalar, 5000)
	for i := range a {
		a[i] = *top
	}
	var s Scalar
	s.SetInnerProduct(a, a)
	checkBig(t, "inner product of q−1", &s, big.NewInt(5000))
	mustPanic(t, "vectors of different lengths", func() { s.SetInnerProduct(a, a[1:]) })
}

func TestSum(t *testing.T) {
	var u Sum
	want := new(big.Int)
	all := samples(300)
	for i, a := range all {
		b := all[len(all)-1-i]
		u.Add(fromBig(t, a))
		u.AddIf(fromBig(t, b), uint64(i))
		u.AddProduct(fromBig(t, a), fromBig(t, b))
		want.Add(want, a).Add(want, new(big.Int).Mul(a, b))
		if i%2 == 1 {
			want.Add(want, b)
		}
		var s Scalar
		s.SetReducedSum(&u)
		checkBig(t, fmt.Sprintf("sum after %d", i), &s, want)
	}
	// A carry through every limb.
	w := wide{1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 1<<64 - 1}
	w.add(&limbs{1}, 1)
	if w != (wide{8: 1}) {
		t.Errorf("2^512 − 1 + 1 is %x", w)
	}
	u.Wipe()
	if u.w != (wide{}) || fmt.Sprintf("%x", u) != secret.Redacted {
		t.Error("a wiped sum is not zero, or prints")
	}
}

// reduce takes every integer below 2^576, also such as no sum of products reaches.
func TestReduceWide(t *testing.T) {
	check := func(w wide) {
		t.Helper()
		v := new(big.Int)
		for i := 8; i >= 0; i-- {
			v.Lsh(v, 64).Or(v, new(big.Int).SetUint64(w[i]))
		}
		var s Scalar
		s.l.reduce(&w)
		checkBig(t, fmt.Sprintf("residue of %x", v), &s, v)
	}
	limbValues := []uint64{0, 1, 1<<64 - 1}
	for n := range 19683 { // 3^9: every limb empty, one or full
		var w wide
		for i, m := 0, n; i < 9; i, m = i+1, m/3 {
			w[i] = limbValues[m%3]
		}
		check(w)
	}
	r := rand.New(source(2))
	for range 20000 {
		var w wide
		for i := range w {
			w[i] = r.Uint64()
			if r.Uint32()%4 == 0 {
				w[i] = -(w[i] & 1)
			}
		}
		check(w)
	}
	// Multiples of q and their neighbours, at each size.
	for shift := range uint(320) {
		m := new(big.Int).Lsh(order, shift)
		for d := int64(-2); d <= 2; d++ {
			v := new(big.Int).Add(m, big.NewInt(d))
			var w wide
			for i := range w {
				w[i] = new(big.Int).Rsh(v, uint(64*i)).Uint64()
			}
			check(w)
		}
	}
}

func TestReduceScalar(t *testing.T) {
	r := source(3)
	for i := range 500 {
		b := make([]byte, WideSize)
		_, _ = r.Read(b)
		if i%5 == 0 {
			for j := range b[:16+i%32] {
				b[j] = 0xff
			}
		}
		checkBig(t, fmt.Sprintf("%x", b), ReduceScalar(b), new(big.Int).SetBytes(b))
		var s Scalar
		s.SetReduced((*[32]byte)(b[:32]))
		checkBig(t, fmt.Sprintf("%x", b[:32]), &s, new(big.Int).SetBytes(b[:32]))
	}
	for _, n := range []int{0, 32, 47, 49, 64} {
		mustPanic(t, fmt.Sprintf("%d bytes", n), func() { ReduceScalar(make([]byte, n)) })
	}
}

func TestRandomScalar(t *testing.T) {
	if _, err := RandomScalar(bytes.NewReader(make([]byte, WideSize))); err == nil {
		t.Error("a source of zeros gave a scalar")
	}
	if _, err := RandomScalar(bytes.NewReader(make([]byte, WideSize-1))); err == nil {
		t.Error("a source that ends gave a scalar")
	}
	if s, err := (Group{}).RandomScalar(bytes.NewReader(nil)); s != nil || err == nil {
		t.Errorf("an empty source gave %v, %v", s, err)
	}
	s, err := RandomScalar(source(4))
	if err != nil || s.IsZero() {
		t.Fatalf("random scalar: %v", err)
	}
}

// protocols.md 7 row 20.
func TestDecodeScalarRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty": nil, "31 bytes": make([]byte, 31), "33 bytes": make([]byte, 33),
		"q":       order.Bytes(),
		"q+1":     new(big.Int).Add(order, one).Bytes(),
		"2^256-1": bytes.Repeat([]byte{0xff}, 32),
	} {
		if s, err := (Group{}).DecodeScalar(b); s != nil || err == nil {
			t.Errorf("%s: decoded to %v, %v", name, s, err)
		}
	}
	var s Scalar
	s.Set(NewScalar(7))
	if s.SetCanonical((*[32]byte)(order.Bytes())) || !s.IsZero() {
		t.Error("SetCanonical took q")
	}
}

func TestScalarRedacts(t *testing.T) {
	s := fromBig(t, lambda)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%d", "%q"} {
		for _, v := range []any{s, *s, []Scalar{*s}, struct{ S *Scalar }{s}} {
			if got := fmt.Sprintf(verb, v); bytes.Contains([]byte(got), []byte("5363")) || bytes.Contains([]byte(got), []byte("1b23bd72")) {
				t.Errorf("%s of %T prints %s", verb, v, got)
			}
		}
	}
	if got := fmt.Sprintf("%x", s); got != secret.Redacted {
		t.Errorf("%%x prints %s", got)
	}
	j, err := json.Marshal(map[string]any{"s": s})
	if err != nil || string(j) != `{"s":"[secret]"}` {
		t.Errorf("json is %s, %v", j, err)
	}
}

func FuzzDecodeScalar(f *testing.F) {
	for _, e := range edges() {
		f.Add(e.FillBytes(make([]byte, 32)))
	}
	f.Add(order.Bytes())
	f.Add(bytes.Repeat([]byte{0xff}, 33))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := DecodeScalar(in)
		canonical := len(in) == 32 && new(big.Int).SetBytes(in).Cmp(order) < 0
		if (err == nil) != canonical {
			t.Fatalf("decode %x: %v", in, err)
		}
		if err == nil && !bytes.Equal(s.Bytes(), in) {
			t.Fatalf("decode then encode changed %x to %x", in, s.Bytes())
		}
	})
}

func FuzzReduceWide(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0xff}, 72))
	f.Add(make([]byte, 72))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) != 72 {
			return
		}
		var w wide
		for i := range w {
			w[8-i] = binary.BigEndian.Uint64(in[8*i:])
		}
		var s Scalar
		s.l.reduce(&w)
		checkBig(t, "residue", &s, new(big.Int).SetBytes(in))
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

// One RVOLE takes each of these some 10 × 416 times for each peer. Beside ours stands
// what voi takes for the same.
func BenchmarkScalar(b *testing.B) {
	all := samples(416)
	u, v := make([]Scalar, 416), make([]Scalar, 416)
	vu, vv := make([]*voi.Scalar, 416), make([]*voi.Scalar, 416)
	for i := range u {
		u[i], v[i] = *fromBig(b, all[i]), *fromBig(b, all[len(all)-1-i])
		vu[i], vv[i] = voiOf(all[i]), voiOf(all[len(all)-1-i])
	}
	var s Scalar
	t := voi.NewScalar()
	buf := (*[32]byte)(bytes.Repeat([]byte{0x5a}, 32))
	b.Run("Product/ours", func(b *testing.B) {
		for b.Loop() {
			s.SetProduct(&s, &u[0])
		}
	})
	b.Run("Product/voi", func(b *testing.B) {
		for b.Loop() {
			t.Multiply(t, vu[0])
		}
	})
	b.Run("InnerProduct416/ours", func(b *testing.B) {
		for b.Loop() {
			s.SetInnerProduct(u, v)
		}
	})
	b.Run("InnerProduct416/voi", func(b *testing.B) {
		var ab voi.Scalar
		for b.Loop() {
			t.Zero()
			for i := range vu {
				t.Add(t, ab.Multiply(vu[i], vv[i]))
			}
		}
	})
	b.Run("FromBytes/ours", func(b *testing.B) {
		for b.Loop() {
			s.SetReduced(buf)
		}
	})
	b.Run("FromBytes/voi", func(b *testing.B) {
		for b.Loop() {
			t.SetBytes(buf)
		}
	})
	b.Run("Bytes/ours", func(b *testing.B) {
		for b.Loop() {
			s.PutBytes(buf[:])
		}
	})
	b.Run("Bytes/voi", func(b *testing.B) {
		for b.Loop() {
			copy(buf[:], t.Bytes())
		}
	})
	b.Run("Sum/ours", func(b *testing.B) {
		for b.Loop() {
			s.SetSum(&s, &u[1])
		}
	})
	b.Run("Inverse/ours", func(b *testing.B) {
		for b.Loop() {
			s.SetInverse(&u[2])
		}
	})
}
