package frost

import (
	"errors"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/session"
)

// A task is what all signers know alike before round 1, and anybody who judges them.
type task struct {
	*suite
	key     Key
	message []byte
	signers []session.Party
}

// A round is what the commitments of all signers fix: spec/frost 3.2. All of it is public.
type round struct {
	rho       []group.Scalar // ρⱼ, by signer
	nonces    []group.Point  // Dⱼ + ρⱼ·Eⱼ
	lambda    []group.Scalar // λⱼ
	r         group.Point    // R; for BIP 340 as it comes, with even or odd y
	odd       bool           // y(R) is odd: every signer negates its nonces
	challenge group.Scalar   // c
}

// factorInput is what ρⱼ hashes, without the identifier: enc(Q) ‖ H4(m) ‖ H5(list of id, D, E).
// RFC 9591 section 4.4 has the group's key in the place of Q.
//
// DEVIATION: Q is the final key, after derivation and Taproot. Were it the root key, R would stay and c vary with a tweak
// chosen after the commitments: 256 open sessions would forge a signature (ROS, ePrint 2020/945). Without a
// tweak this is the RFC.
func (t *task) factorInput(list []commitment) []byte {
	var encoded []byte
	for j, c := range list {
		encoded = append(encoded, t.identifier(j)...)
		encoded = append(encoded, c.encode()...)
	}
	in := append([]byte(nil), t.key.enc...)
	in = append(in, t.digest("msg", t.message)...)
	return append(in, t.digest("com", encoded)...)
}

// identifier is signer j's index as a scalar (RFC 9591 section 3.1).
func (t *task) identifier(j int) []byte { return t.group.Scalar(uint64(t.signers[j].Index)).Bytes() }

// factors are ρⱼ = H1(input ‖ idⱼ).
func (t *task) factors(input []byte) []group.Scalar {
	rho := make([]group.Scalar, len(t.signers))
	for j := range t.signers {
		rho[j] = t.toScalar("rho", input, t.identifier(j))
	}
	return rho
}

var errNonceIdentity = errors.New("R is the identity")

// bind is RFC 9591 sections 4.4, 4.5 and 4.6: the list holds the commitment of every signer, in
// the signers' order.
func (t *task) bind(list []commitment) (*round, error) {
	return t.bindWith(list, t.factors(t.factorInput(list)))
}

// bindWith takes the factors as an argument: tests show what becomes of those that leave Q out.
func (t *task) bindWith(list []commitment, rho []group.Scalar) (*round, error) {
	b := &round{rho: rho, r: t.group.Identity()}
	set := make([]share.Index, len(t.signers))
	for j, q := range t.signers {
		set[j] = q.Index
	}
	var err error
	if b.lambda, err = share.LagrangeAll(t.group, set); err != nil {
		return nil, err
	}
	for j, c := range list {
		n := c.e.MulVarTime(rho[j]).Add(c.d)
		b.nonces, b.r = append(b.nonces, n), b.r.Add(n)
	}
	// nonces that cancel: the signature would be c times the key
	if b.r.IsIdentity() {
		return nil, errNonceIdentity
	}
	b.odd = t.suite.odd(b.r)
	b.challenge = t.challenge(b.r, t.key.point, t.message)
	return b, nil
}

// weight is c·λⱼ, with the sign g₁g₂: what signer j multiplies its share by.
func (t *task) weight(b *round, j int) group.Scalar {
	w := b.challenge.Mul(b.lambda[j])
	if t.key.negate {
		return w.Neg()
	}
	return w
}

// holds is RFC 9591 section 5.3's check of signer j's share: zⱼ·G = ±(Dⱼ + ρⱼ·Eⱼ) ± c·λⱼ·Xⱼ.
func (t *task) holds(b *round, j int, z group.Scalar, public group.Point) bool {
	nonce := b.nonces[j]
	if b.odd {
		nonce = nonce.Neg()
	}
	return t.doubleMul(z, t.weight(b, j).Neg(), public).Equal(nonce)
}

// aggregate is RFC 9591 section 5.3: R and Σ zⱼ, and c times what Q's private key has besides ±x.
func (t *task) aggregate(b *round, shares []group.Scalar) Signature {
	z := b.challenge.Mul(t.key.shift)
	for _, s := range shares {
		z = z.Add(s)
	}
	var sig Signature
	copy(sig[:32], t.encode(b.r))
	copy(sig[32:], z.Bytes())
	return sig
}
