package dkls

import (
	"crypto/subtle"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/ot"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// Kinds of messages. spec/dkls-sign 3.
const (
	KindCommit    engine.Kind = 0x40 // round 1, broadcast: commitment
	KindExtension engine.Kind = 0x41 // round 1, direct: u ‖ x̂ ‖ t̂
	KindOpening   engine.Kind = 0x42 // round 2, broadcast: R ‖ pk ‖ salt
	KindProduct   engine.Kind = 0x43 // round 2, direct: Γᵘ ‖ Γᵛ ‖ ψ ‖ ã ‖ η̂ ‖ μ
	KindSum       engine.Kind = 0x44 // round 3, broadcast: u ‖ w

	// Presigning has rounds 1 and 2 of signing. spec/presign 6.
	KindConfirm engine.Kind = 0x45 // presigning, round 3, broadcast: id of the presignature
	KindOnline  engine.Kind = 0x46 // online round 1, broadcast: u ‖ w
)

// Lengths of bodies and their parts in bytes.
const (
	scalarSize = 32
	pointSize  = secp256k1.PointSize
	saltSize   = 32
	rvoleSize  = ot.ProductSize // ã: 416·3 scalars, η̂: one, μ: 32

	CommitSize    = 32
	ExtensionSize = ot.ExtensionSize // u: 32·68, x̂: 16, t̂: 128·16
	OpeningSize   = 2*pointSize + saltSize
	ProductSize   = 2*pointSize + scalarSize + rvoleSize
	SumSize       = 2 * scalarSize // of KindSum and KindOnline
	ConfirmSize   = 32

	// MaxBody is the largest body of this protocol.
	MaxBody = ProductSize
	// Kinds is the largest number of messages that one party sends another in one round.
	Kinds = 2
)

// A reader cuts a body of known length into its fields and remembers the first error.
type reader struct {
	b   []byte
	err error
}

func newReader(what string, b []byte, size int) *reader {
	r := &reader{b: b}
	if len(b) != size {
		r.b, r.err = nil, fmt.Errorf("%s has %d bytes, not %d", what, len(b), size)
	}
	return r
}

func (r *reader) bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	head := r.b[:n]
	r.b = r.b[n:]
	return head
}

// point takes a point ≠ 0: the identity has no encoding.
func (r *reader) point(name string) *secp256k1.Point {
	b := r.bytes(pointSize)
	if r.err != nil {
		return nil
	}
	p, err := secp256k1.DecodePoint(b)
	if err != nil {
		r.err = fmt.Errorf("%s: %w", name, err)
	}
	return p
}

func (r *reader) scalar(name string, s *secp256k1.Scalar) {
	b := r.bytes(scalarSize)
	if r.err == nil && !s.SetCanonical((*[32]byte)(b)) {
		r.err = fmt.Errorf("%s: scalar is ≥ q", name)
	}
}

// An opening is the broadcast of round 2.
type opening struct {
	r    *secp256k1.Point // Rᵢ = rᵢ·G
	pk   *secp256k1.Point // pkᵢ = skᵢ·G
	salt [saltSize]byte
}

func (o *opening) encode() []byte {
	b := append(make([]byte, 0, OpeningSize), o.r.Bytes()...)
	return append(append(b, o.pk.Bytes()...), o.salt[:]...)
}

func decodeOpening(body []byte) (o opening, err error) {
	r := newReader("opening", body, OpeningSize)
	o.r, o.pk = r.point("R"), r.point("pk")
	copy(o.salt[:], r.bytes(saltSize))
	return o, r.err
}

// commitment is comᵢ = H(sid, i, Rᵢ, pkᵢ, salt). Points were checked to be ≠ 0.
func (o *opening) commitment(sid engine.SessionID, i session.Party) [CommitSize]byte {
	h := transcript.New(transcript.DKLsCommit).Bytes(sid[:]).Bytes(i.ID[:]).Uint(uint64(i.Index))
	return h.Points(o.r, o.pk).Bytes(o.salt[:]).Sum256()
}

func (o *opening) opens(com [CommitSize]byte, sid engine.SessionID, i session.Party) bool {
	want := o.commitment(sid, i)
	return subtle.ConstantTimeCompare(want[:], com[:]) == 1
}

// A product is the direct message of round 2, from the multiplication's sender.
type product struct {
	gammaU *secp256k1.Point // Γᵘ = cᵘ·G
	gammaV *secp256k1.Point // Γᵛ = cᵛ·G
	psi    secp256k1.Scalar // ψ = φ − χ
	rvole  []byte           // ã ‖ η̂ ‖ μ: its form is the multiplication's to check; aliases the body
}

func (p *product) encode() []byte {
	b := append(make([]byte, 0, ProductSize), p.gammaU.Bytes()...)
	b = append(append(b, p.gammaV.Bytes()...), p.psi.Bytes()...)
	return append(b, p.rvole...)
}

func decodeProduct(body []byte) (p product, err error) {
	r := newReader("product", body, ProductSize)
	p.gammaU, p.gammaV = r.point("Γᵘ"), r.point("Γᵛ")
	r.scalar("ψ", &p.psi)
	p.rvole = r.bytes(rvoleSize)
	return p, r.err
}

// A sum is the broadcast of round 3.
type sum struct{ u, w secp256k1.Scalar }

func (s *sum) encode() []byte {
	return append(append(make([]byte, 0, SumSize), s.u.Bytes()...), s.w.Bytes()...)
}

func decodeSum(body []byte) (s sum, err error) {
	r := newReader("sum", body, SumSize)
	r.scalar("u", &s.u)
	r.scalar("w", &s.w)
	return s, r.err
}
