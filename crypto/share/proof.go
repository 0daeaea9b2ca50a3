package share

import (
	"crypto/hmac"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// A Proof is Schnorr's proof of knowledge of s with s·G = P, made non-interactive:
// K = κ·G and z = κ + e·s, where e hashes all that the proof is about.
type Proof struct {
	K group.Point  // commitment to the nonce κ
	Z group.Scalar // response; public, though it prints redacted
}

// Prove proves knowledge of s, the discrete logarithm of public, under the caller's
// label. The context must say who proves what, in which session: with the label it keeps the
// proof from being valid anywhere else (TOB-BRON-9, -18: transplanted proofs).
func Prove(label transcript.Label, context []byte, s group.Scalar, public group.Point, r io.Reader) (Proof, error) {
	n, err := NewNonce(label, context, s, r)
	if err != nil {
		return Proof{}, fmt.Errorf("prove knowledge: %w", err)
	}
	z, err := n.Respond(challenge(label, context, public, n.Commitment()), s)
	if err != nil {
		return Proof{}, fmt.Errorf("prove knowledge: %w", err)
	}
	return Proof{K: n.Commitment(), Z: z}, nil
}

// Verify accepts a proof of knowledge of public's discrete logarithm under the same label and
// context. It runs in variable time.
func (p Proof) Verify(label transcript.Label, context []byte, public group.Point) error {
	if !CheckResponse(p.K, challenge(label, context, public, p.K), p.Z, public) {
		return errProof
	}
	return nil
}

var errProof = errors.New("proof of knowledge does not hold")

// challenge is H_q(label, context, group, public, K).
func challenge(label transcript.Label, context []byte, public, k group.Point) group.Scalar {
	g := public.Group()
	return transcript.New(label).Bytes(context).Bytes([]byte(g.Name())).Points(public, k).Scalar(g)
}

// Bytes is K ‖ z: PointSize + 32 bytes.
func (p Proof) Bytes() []byte { return append(p.K.Bytes(), p.Z.Bytes()...) }

// ProofSize is the length of an encoded proof over g.
func ProofSize(g group.Group) int { return g.PointSize() + group.ScalarSize }

// DecodeProof decodes exactly ProofSize bytes: K ≠ 0 and z < q.
func DecodeProof(g group.Group, b []byte) (Proof, error) {
	if len(b) != ProofSize(g) {
		return Proof{}, fmt.Errorf("proof has %d bytes, not %d", len(b), ProofSize(g))
	}
	k, err := g.DecodePoint(b[:g.PointSize()])
	if err != nil {
		return Proof{}, fmt.Errorf("proof's commitment: %w", err)
	}
	z, err := g.DecodeScalar(b[g.PointSize():])
	if err != nil {
		return Proof{}, fmt.Errorf("proof's response: %w", err)
	}
	return Proof{K: k, Z: z}, nil
}

// A Nonce is a proof begun: κ, and K = κ·G to send. It answers one challenge. It prints as "[secret]".
type Nonce struct {
	kappa group.Scalar
	k     group.Point
}

// NewNonce derives κ from 32 bytes of r, the secret, the label and the context: a weak
// source alone does not repeat κ for two contexts, and a known source does not reveal it.
func NewNonce(label transcript.Label, context []byte, s group.Scalar, r io.Reader) (*Nonce, error) {
	g := s.Group()
	var key [2 * 32]byte
	defer secret.Wipe(key[:])
	if _, err := io.ReadFull(r, key[:32]); err != nil {
		return nil, fmt.Errorf("read randomness for a nonce: %w", err)
	}
	sb := s.Bytes()
	copy(key[32:], sb)
	secret.Wipe(sb)

	about := transcript.New(transcript.ShareNonce).
		Bytes([]byte(label.String())).Bytes(context).Bytes([]byte(g.Name())).Sum256()
	mac := hmac.New(sha512.New, key[:])
	mac.Write(about[:])
	wide := mac.Sum(nil)
	defer secret.Wipe(wide)
	kappa := g.ReduceScalar(wide[:g.WideSize()])
	if kappa.IsZero() {
		return nil, errors.New("nonce is zero")
	}
	return &Nonce{kappa: kappa, k: g.BaseMul(kappa)}, nil
}

// Commitment is K.
func (n *Nonce) Commitment() group.Point { return n.k }

// Respond is z = κ + e·s and wipes κ: a second answer would reveal s, so it is an error.
func (n *Nonce) Respond(e, s group.Scalar) (group.Scalar, error) {
	if n.kappa == nil {
		return nil, errors.New("nonce was already used")
	}
	es := e.Mul(s) // with the public e it is as good as s
	z := n.kappa.Add(es)
	es.Wipe()
	n.Wipe()
	return z, nil
}

// Wipe overwrites κ; the nonce answers no more.
func (n *Nonce) Wipe() {
	if n.kappa != nil {
		n.kappa.Wipe()
		n.kappa = nil
	}
}

// CheckResponse accepts z·G = K + e·public with K and public ≠ 0, in variable time.
func CheckResponse(k group.Point, e, z group.Scalar, public group.Point) bool {
	if k.IsIdentity() || public.IsIdentity() {
		return false
	}
	g := public.Group()
	got := g.MultiMulVarTime([]group.Scalar{z, e.Neg()}, []group.Point{g.Generator(), public})
	return got.Equal(k)
}

// Format redacts under every verb.
func (Nonce) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

// String redacts.
func (Nonce) String() string { return secret.Redacted }

// MarshalText redacts in JSON, YAML and structured logs.
func (Nonce) MarshalText() ([]byte, error) { return []byte(secret.Redacted), nil }
