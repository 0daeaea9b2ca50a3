package secp256k1

import (
	"fmt"

	voi "gitlab.com/yawning/secp256k1-voi"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
)

// A Scalar is an integer modulo q. The zero value is 0. It prints as "[secret]".
type Scalar struct{ s voi.Scalar }

var _ group.Scalar = (*Scalar)(nil)

// NewScalar is v.
func NewScalar(v uint64) *Scalar { return &Scalar{*voi.NewScalarFromUint64(v)} }

// ReduceScalar is 48 big-endian bytes modulo q; another length panics.
func ReduceScalar(wide []byte) *Scalar {
	if len(wide) != WideSize {
		panic(fmt.Sprintf("secp256k1: %d bytes to reduce, not %d", len(wide), WideSize))
	}
	// wide = h·2^256 + l
	var high [32]byte
	copy(high[16:], wide[:16])
	var h, l, shift Scalar
	h.SetReduced(&high)
	l.SetReduced((*[32]byte)(wide[16:]))
	shift.SetReduced(&[32]byte{15: 1, 16: 0x45, 0x51, 0x23, 0x19, 0x50, 0xb7, 0x5f, 0xc4, 0x40, 0x2d, 0xa1, 0x73, 0x2f, 0xc9, 0xbe, 0xbf})
	l.AddProduct(&h, &shift)
	return &l
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
func (s *Scalar) IsZero() bool { return s.s.IsZero() == 1 }

// Equal reports whether s is o.
func (s *Scalar) Equal(o group.Scalar) bool { return s.s.Equal(&o.(*Scalar).s) == 1 }

// IsHigh reports whether s > (q−1)/2: such an s is not allowed in a signature (BIP 62, EIP 2).
func (s *Scalar) IsHigh() bool { return s.s.IsGreaterThanHalfN() == 1 }

// Bytes is s in 32 bytes, big-endian.
func (s *Scalar) Bytes() []byte {
	b := make([]byte, group.ScalarSize)
	s.PutBytes(b)
	return b
}

// Wipe sets s to 0.
func (s *Scalar) Wipe() { s.s.Zero() }

// Group is Group{}.
func (s *Scalar) Group() group.Group { return Group{} }

// Set sets s to a.
func (s *Scalar) Set(a *Scalar) { s.s.Set(&a.s) }

// SetSum sets s to a + b.
func (s *Scalar) SetSum(a, b *Scalar) { s.s.Add(&a.s, &b.s) }

// SetDifference sets s to a − b.
func (s *Scalar) SetDifference(a, b *Scalar) { s.s.Subtract(&a.s, &b.s) }

// SetProduct sets s to a·b.
func (s *Scalar) SetProduct(a, b *Scalar) { s.s.Multiply(&a.s, &b.s) }

// AddProduct adds a·b to s.
func (s *Scalar) AddProduct(a, b *Scalar) {
	var ab voi.Scalar
	ab.Multiply(&a.s, &b.s)
	s.s.Add(&s.s, &ab)
}

// SetNegative sets s to −a.
func (s *Scalar) SetNegative(a *Scalar) { s.s.Negate(&a.s) }

// SetInverse sets s to 1/a, and to 0 if a is 0.
func (s *Scalar) SetInverse(a *Scalar) { s.s.Invert(&a.s) }

// Select sets s to a if bit is 0, and to b if bit is 1.
func (s *Scalar) Select(a, b *Scalar, bit uint64) { s.s.ConditionalSelect(&a.s, &b.s, bit&1) }

// NegateIf sets s to −s if bit is 1.
func (s *Scalar) NegateIf(bit uint64) {
	var n voi.Scalar
	n.Negate(&s.s)
	s.s.ConditionalSelect(&s.s, &n, bit&1)
}

// SetReduced sets s to 32 big-endian bytes modulo q. Uniform bytes give a bias of
// 2^-127; use it only where a specification says that this is enough.
func (s *Scalar) SetReduced(b *[32]byte) { s.s.SetBytes(b) }

// SetCanonical sets s to 32 big-endian bytes. For a value ≥ q it sets s to 0 and returns false.
func (s *Scalar) SetCanonical(b *[32]byte) bool {
	_, reduced := s.s.SetBytes(b)
	s.s.ConditionalSelect(&s.s, voi.NewScalar(), reduced)
	return reduced == 0
}

// PutBytes writes s into the first 32 bytes of dst, big-endian.
func (s *Scalar) PutBytes(dst []byte) { copy(dst[:32:32], s.s.Bytes()) }

// SetInnerProduct sets s to Σ aᵢ·bᵢ. Vectors of different lengths panic.
func (s *Scalar) SetInnerProduct(a, b []Scalar) {
	if len(a) != len(b) {
		panic(fmt.Sprintf("secp256k1: inner product of %d and %d scalars", len(a), len(b)))
	}
	var sum Scalar
	for i := range a {
		sum.AddProduct(&a[i], &b[i])
	}
	s.Set(&sum)
}

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

// voi is a copy as the curve arithmetic takes it.
func (s *Scalar) voi() *voi.Scalar { return voi.NewScalarFrom(&s.s) }
