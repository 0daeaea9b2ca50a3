package ot

import (
	"crypto/sha256"
	"crypto/subtle"
	"io"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// Parts of a product message: ã ‖ η̂ ‖ μ.
const (
	etaOffset = payload * width * scalarLen
	muOffset  = etaOffset + scalarLen
)

// vector is one column of pads or corrected pads.
type vector [payload]secp256k1.Scalar

// table is the three columns: two products and the check.
type table [width]vector

func (t *table) wipe() {
	for k := range t {
		secp256k1.WipeAll(t[k][:])
	}
}

// gadget is g_j = H_q(Suite, "gadget", j), spec/ot 5.1.
var gadget = func() *vector {
	g := new(vector)
	for j := range g {
		s := transcript.New(transcript.RVOLEGadget).Bytes([]byte(Suite)).Uint(uint64(j)).Scalar(secp256k1.Group{})
		g[j].Set(s.(*secp256k1.Scalar))
	}
	return g
}()

// innerBits is ⟨g, β⟩: every g_j is added, or zero in its place.
func innerBits(beta []byte) (b secp256k1.Scalar) {
	var sum secp256k1.Sum
	for j := range gadget {
		sum.AddIf(&gadget[j], uint64(bit(beta, j)))
	}
	b.SetReducedSum(&sum)
	sum.Wipe()
	return b
}

// Multiply is A's part of the multiplication: inputs a₁ and a₂, outputs c with
// c_k + d_k = a_k·b, and the message for B, ProductSize bytes. It spends s.
// DKLs23 protocol 5.2 (Alice), spec/ot 5.2.
func (s *Sender) Multiply(sid [32]byte, a [inputs]secp256k1.Scalar, rand io.Reader) (c [inputs]secp256k1.Scalar, msg []byte, err error) {
	if s.spent {
		return c, nil, ErrSpent
	}
	defer s.Wipe()
	defer secp256k1.WipeAll(a[:])
	in, err := withCheck(&a, rand)
	if err != nil {
		return c, nil, err
	}
	defer secp256k1.WipeAll(in[:])
	alpha, msg := new(table), make([]byte, ProductSize)
	defer alpha.wipe()
	s.correct(alpha, &in, msg)
	for k := range c {
		c[k].SetInnerProduct(gadget[:], alpha[k][:])
		c[k].SetNegative(&c[k])
	}

	theta := s.id.theta(sid, msg[:etaOffset])
	eta := in[inputs]
	for k := range theta {
		eta.AddProduct(&theta[k], &in[k])
	}
	eta.PutBytes(msg[etaOffset:])
	eta.Wipe()
	copy(msg[muOffset:], s.id.mu(sid, alpha, &theta, nil, nil))
	return c, msg, nil
}

// withCheck is a₁, a₂ and the random η of the check column.
func withCheck(a *[inputs]secp256k1.Scalar, rand io.Reader) (in [width]secp256k1.Scalar, err error) {
	eta, err := secp256k1.RandomScalar(rand)
	if err != nil {
		return in, err
	}
	in = [width]secp256k1.Scalar{a[0], a[1], *eta}
	eta.Wipe()
	return in, nil
}

// correct sets alpha to the pads α⁰ and writes ã_{j,k} = α⁰ − α¹ + in_k into msg.
func (s *Sender) correct(alpha *table, in *[width]secp256k1.Scalar, msg []byte) {
	p := newPads(s.id)
	defer p.wipe()
	var other key
	var t secp256k1.Scalar
	for j := range payload {
		row := s.row[j*keyLen : (j+1)*keyLen]
		subtle.XORBytes(other[:], row, s.delta[:])
		for k := range width {
			p.pad(&alpha[k][j], j, k, row)
			p.pad(&t, j, k, other[:])
			t.SetDifference(&alpha[k][j], &t)
			t.SetSum(&t, &in[k])
			t.PutBytes(msg[(j*width+k)*scalarLen:])
		}
	}
	secret.Wipe(other[:])
	t.Wipe()
}

// Finish is B's end of the multiplication: d with c_k + d_k = a_k·b. An error wraps
// ErrEncoding, or ErrCheck: then A used different inputs for different rows, the verdict tells it
// bits of β, and the caller burns the pair. It spends r. DKLs23 protocol 5.2 (Bob), spec/ot 5.3.
func (r *Receiver) Finish(sid [32]byte, msg []byte) (d [inputs]secp256k1.Scalar, err error) {
	if r.spent {
		return d, ErrSpent
	}
	defer r.forget()
	if err := checkLen("product", msg, ProductSize); err != nil {
		return d, err
	}
	var eta secp256k1.Scalar
	if !eta.SetCanonical((*[scalarLen]byte)(msg[etaOffset:])) {
		return d, malformed("product: η̂ is ≥ q")
	}
	dot := new(table) // ḋ
	defer dot.wipe()
	if err := r.open(dot, msg); err != nil {
		return d, err
	}

	theta := r.id.theta(sid, msg[:etaOffset])
	mu := r.id.mu(sid, dot, &theta, r.beta[:], &eta)
	if subtle.ConstantTimeCompare(mu, msg[muOffset:]) != 1 {
		return d, checkFailed("vector multiplication: μ")
	}
	for k := range d {
		d[k].SetInnerProduct(gadget[:], dot[k][:])
	}
	return d, nil
}

// open sets dot to ḋ_{j,k} = pad + β_j·ã_{j,k}.
func (r *Receiver) open(dot *table, msg []byte) error {
	p := newPads(r.id)
	defer p.wipe()
	var zero, t secp256k1.Scalar
	defer t.Wipe()
	for j := range payload {
		row, beta := r.row[j*keyLen:(j+1)*keyLen], uint64(bit(r.beta[:], j))
		for k := range width {
			if !t.SetCanonical((*[scalarLen]byte)(msg[(j*width+k)*scalarLen:])) {
				return malformed("product: ã of row %d, column %d is ≥ q", j, k)
			}
			t.Select(&zero, &t, beta)
			p.pad(&dot[k][j], j, k, row)
			dot[k][j].SetSum(&dot[k][j], &t)
		}
	}
	return nil
}

// theta is θ_k = H_q(tag, psid, sid, k, SHA-256(ã)).
func (id PairID) theta(sid [32]byte, corrections []byte) (theta [inputs]secp256k1.Scalar) {
	digest := sha256.Sum256(corrections)
	for k := range theta {
		h := transcript.New(transcript.RVOLETheta).Bytes(id[:]).Bytes(sid[:]).Uint(uint64(k)).Bytes(digest[:])
		theta[k].Set(h.Scalar(secp256k1.Group{}).(*secp256k1.Scalar))
	}
	return theta
}

// mu is H(tag, psid, sid, SHA-256 of all t_{j,3} + θ₁t_{j,1} + θ₂t_{j,2} − β_j·η̂). A passes
// β = nil: its pads α⁰ belong to β = 0.
func (id PairID) mu(sid [32]byte, t *table, theta *[inputs]secp256k1.Scalar, beta []byte, eta *secp256k1.Scalar) []byte {
	buf := make([]byte, payload*scalarLen)
	var sum secp256k1.Sum
	var minusEta, m secp256k1.Scalar
	if beta != nil {
		minusEta.SetNegative(eta)
	}
	for j := range payload {
		sum.Wipe()
		sum.Add(&t[inputs][j])
		for k := range theta {
			sum.AddProduct(&theta[k], &t[k][j])
		}
		if beta != nil {
			sum.AddIf(&minusEta, uint64(bit(beta, j)))
		}
		m.SetReducedSum(&sum)
		m.PutBytes(buf[j*scalarLen:])
	}
	digest := sha256.Sum256(buf)
	secret.Wipe(buf)
	sum.Wipe()
	m.Wipe()
	h := transcript.New(transcript.RVOLEMu).Bytes(id[:]).Bytes(sid[:]).Bytes(digest[:]).Sum256()
	return h[:]
}
