package secp256k1

import (
	"encoding/binary"
	"fmt"
	"runtime"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
)

// A Scalar is an integer modulo q, below q. The zero value is 0. It prints as "[secret]".
//
// It is not voi's: OT extension turns thousands of strings of bytes into scalars for each
// signature, which costs more in Montgomery form than all its products.
//
// Package fmt does not ask a struct's unexported fields for their methods: a struct that
// keeps a Scalar by value must redact itself.
type Scalar struct{ l limbs }

var _ group.Scalar = (*Scalar)(nil)

// NewScalar is v.
func NewScalar(v uint64) *Scalar { return &Scalar{limbs{v}} }

// ReduceScalar is 48 big-endian bytes modulo q; another length panics.
func ReduceScalar(b []byte) *Scalar {
	if len(b) != WideSize {
		panic(fmt.Sprintf("secp256k1: %d bytes to reduce, not %d", len(b), WideSize))
	}
	var w wide
	for i := range WideSize / 8 {
		w[i] = binary.BigEndian.Uint64(b[WideSize-8*(i+1):])
	}
	s := new(Scalar)
	s.l.reduce(&w)
	clear(w[:])
	return s
}

// Add is s + o.
func (s *Scalar) Add(o group.Scalar) group.Scalar {
	r := new(Scalar)
	r.SetSum(s, o.(*Scalar))
	return r
}

// Sub is s − o.
func (s *Scalar) Sub(o group.Scalar) group.Scalar {
	r := new(Scalar)
	r.SetDifference(s, o.(*Scalar))
	return r
}

// Mul is s·o.
func (s *Scalar) Mul(o group.Scalar) group.Scalar {
	r := new(Scalar)
	r.SetProduct(s, o.(*Scalar))
	return r
}

// Neg is −s.
func (s *Scalar) Neg() group.Scalar {
	r := new(Scalar)
	r.SetNegative(s)
	return r
}

// Invert is 1/s, and 0 for 0.
func (s *Scalar) Invert() group.Scalar {
	r := new(Scalar)
	r.SetInverse(s)
	return r
}

// IsZero reports whether s is 0.
func (s *Scalar) IsZero() bool { return s.l[0]|s.l[1]|s.l[2]|s.l[3] == 0 }

// Equal reports whether s is o.
func (s *Scalar) Equal(o group.Scalar) bool {
	l := &o.(*Scalar).l
	return (s.l[0]^l[0])|(s.l[1]^l[1])|(s.l[2]^l[2])|(s.l[3]^l[3]) == 0
}

// IsHigh reports whether s > (q−1)/2: such an s is not allowed in a signature (BIP 62, EIP 2).
func (s *Scalar) IsHigh() bool { return s.l.aboveHalf() == 1 }

// Bytes is s in 32 bytes, big-endian.
func (s *Scalar) Bytes() []byte {
	b := make([]byte, group.ScalarSize)
	s.l.putBytes(b)
	return b
}

// Wipe sets s to 0.
func (s *Scalar) Wipe() {
	clear(s.l[:])
	runtime.KeepAlive(s)
}

// Group is Group{}.
func (s *Scalar) Group() group.Group { return Group{} }

// Set sets s to a.
func (s *Scalar) Set(a *Scalar) { s.l = a.l }

// SetSum sets s to a + b.
func (s *Scalar) SetSum(a, b *Scalar) { s.l.add(&a.l, &b.l) }

// SetDifference sets s to a − b.
func (s *Scalar) SetDifference(a, b *Scalar) { s.l.sub(&a.l, &b.l) }

// SetProduct sets s to a·b.
func (s *Scalar) SetProduct(a, b *Scalar) {
	var w wide
	w.addProduct(&a.l, &b.l)
	s.l.reduce(&w)
}

// AddProduct adds a·b to s.
func (s *Scalar) AddProduct(a, b *Scalar) {
	w := wide{s.l[0], s.l[1], s.l[2], s.l[3]}
	w.addProduct(&a.l, &b.l)
	s.l.reduce(&w)
}

// SetInnerProduct sets s to Σ aᵢ·bᵢ, reduced once. Vectors of different lengths panic.
func (s *Scalar) SetInnerProduct(a, b []Scalar) {
	if len(a) != len(b) {
		panic(fmt.Sprintf("secp256k1: inner product of %d and %d scalars", len(a), len(b)))
	}
	var w wide
	for i := range a {
		w.addProduct(&a[i].l, &b[i].l)
	}
	s.l.reduce(&w)
}

// A Sum adds up to 2^63 scalars and products without reducing them; the zero value is 0.
// It is for sums whose terms do not stand in two vectors. It prints as "[secret]".
type Sum struct{ w wide }

// Add adds a.
func (u *Sum) Add(a *Scalar) { u.w.add(&a.l, 1) }

// AddIf adds a if the lowest bit of bit is 1, and 0 otherwise.
func (u *Sum) AddIf(a *Scalar, bit uint64) { u.w.add(&a.l, bit&1) }

// AddProduct adds a·b.
func (u *Sum) AddProduct(a, b *Scalar) { u.w.addProduct(&a.l, &b.l) }

// Wipe sets the sum to 0.
func (u *Sum) Wipe() {
	clear(u.w[:])
	runtime.KeepAlive(u)
}

// Format redacts under every verb.
func (Sum) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

// SetReducedSum sets s to what u has added up, modulo q.
func (s *Scalar) SetReducedSum(u *Sum) { s.l.reduce(&u.w) }

// SetNegative sets s to −a.
func (s *Scalar) SetNegative(a *Scalar) { s.l.sub(&limbs{}, &a.l) }

// SetInverse sets s to 1/a, and to 0 if a is 0.
func (s *Scalar) SetInverse(a *Scalar) {
	v := a.onCurve()
	v.Invert(v)
	b := v.Bytes()
	s.l = fromBytes((*[32]byte)(b))
	secret.Wipe(b)
	v.Zero()
}

// Select sets s to a if the lowest bit of bit is 0, and to b if it is 1.
func (s *Scalar) Select(a, b *Scalar, bit uint64) { s.l.selectLimbs(&a.l, &b.l, bit&1) }

// NegateIf sets s to −s if the lowest bit of bit is 1.
func (s *Scalar) NegateIf(bit uint64) {
	var n limbs
	n.sub(&n, &s.l)
	s.l.selectLimbs(&s.l, &n, bit&1)
}

// SetReduced sets s to 32 big-endian bytes modulo q. Uniform bytes give a bias of
// 2^-127; use it only where a specification says that this is enough.
func (s *Scalar) SetReduced(b *[32]byte) {
	s.l = fromBytes(b)
	s.l.subtractQ(0)
}

// SetCanonical sets s to 32 big-endian bytes. For a value ≥ q it sets s to 0 and returns
// false. It takes the same time for both.
func (s *Scalar) SetCanonical(b *[32]byte) bool {
	s.l = fromBytes(b)
	above := s.l.subtractQ(0)
	s.l.selectLimbs(&s.l, &limbs{}, above)
	return above == 0
}

// PutBytes writes s into the first 32 bytes of dst, big-endian.
func (s *Scalar) PutBytes(dst []byte) { s.l.putBytes(dst) }

// WipeAll sets every scalar of v to 0.
func WipeAll(v []Scalar) {
	for i := range v {
		v[i].Wipe()
	}
}

// Format redacts under every verb.
func (Scalar) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

// String redacts.
func (Scalar) String() string { return secret.Redacted }

// GoString redacts.
func (Scalar) GoString() string { return secret.Redacted }

// MarshalText redacts in JSON, YAML and structured logs.
func (Scalar) MarshalText() ([]byte, error) { return []byte(secret.Redacted), nil }

// onCurve is a copy as the curve arithmetic takes it.
func (s *Scalar) onCurve() *curveScalar {
	var b [32]byte
	s.l.putBytes(b[:])
	v, _ := newCurveScalar(&b)
	clear(b[:])
	return v
}
