package dkls

import (
	"errors"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine"
)

// verify takes round 2, makes every check on nonces and key shares, and makes round 3.
type verify[R any] struct {
	*signer
	end closing[R]
}

func (s *verify[R]) Expect() engine.Expect {
	return engine.Expect{
		Wants: []engine.Want{s.want(KindOpening, false, OpeningSize), s.want(KindProduct, true, ProductSize)},
		Guard: s.guard(),
	}
}

func (s *verify[R]) Accept(kind engine.Kind, from engine.PartyID, body []byte) (err error) {
	p := s.peer(from)
	if kind == KindOpening {
		p.opening, err = decodeOpening(body)
	} else {
		p.product, err = decodeProduct(body)
	}
	return s.refuse(err)
}

// Finish: DKLs23 protocol 3.6 steps 8 and 9, protocols.md 2.5 R3, spec/dkls-sign 2.3. The
// engine compared T₁, check 1a, before it accepted a body.
func (s *verify[R]) Finish(t engine.Transcript) (out engine.Outcome[R], err error) {
	var faults []*engine.Fault
	for _, p := range s.peers { // check 1b: a nonce or key share chosen after ours was seen
		if !p.opening.opens(p.commitment, s.Session, p.Party) {
			f := engine.Blamed("dkls: opening", p.ID, errors.New("does not match the commitment"))
			f.Strength = engine.Proved // both are broadcasts
			faults = append(faults, f)
		}
	}
	if len(faults) > 0 {
		out.Burn, err = s.abort(faults)
		return out, err
	}
	for _, p := range s.peers { // checks 2 to 4, of all peers before any verdict is released
		if f := s.judge(p); f != nil {
			faults = append(faults, f)
		}
	}
	if len(faults) > 0 {
		out.Burn, err = s.abort(faults)
		return out, err
	}
	if f := s.combine(); f != nil { // checks 5 and 6
		out.Burn, err = s.abort([]*engine.Fault{f})
		return out, err
	}
	out = s.end(s.signer, t)
	s.wipe()
	return out, nil
}

// judge makes the checks on what j multiplied.
func (s *signer) judge(p *peer) *engine.Fault {
	var err error
	// check 2: ã, η̂ or μ that do not belong together ask for bits of β
	if p.d, err = p.receiver.Finish(s.Session, p.product.rvole); err != nil {
		return judged("dkls: multiplication", p, err)
	}
	// checks 3 and 4: inputs to the multiplication other than the committed rⱼ and skⱼ
	okR := s.consistent(p, p.opening.r, &p.d[0], p.product.gammaU)
	okPK := s.consistent(p, p.opening.pk, &p.d[1], p.product.gammaV)
	switch {
	case !okR:
		return engine.Burned("dkls: nonce in the multiplication", p.ID, errors.New("χR ≠ dᵘG + Γᵘ"))
	case !okPK:
		return engine.Burned("dkls: key share in the multiplication", p.ID, errors.New("χpk ≠ dᵛG + Γᵛ"))
	}
	return nil
}

// consistent is χᵢⱼ·A = d·G + Γ.
func (s *signer) consistent(p *peer, a *secp256k1.Point, d *secp256k1.Scalar, gamma *secp256k1.Point) bool {
	return a.Mul(&p.chi).Equal(secp256k1.BaseMul(d).Add(gamma))
}

// combine makes the checks on sums, and R.
func (s *signer) combine() *engine.Fault {
	var key, nonce group.Point = s.own.pk, s.own.r
	for _, p := range s.peers {
		key, nonce = key.Add(p.opening.pk), nonce.Add(p.opening.r)
	}
	// check 5: a stale or wrong share, or a wrong tweak, of somebody
	if !key.Equal(s.childKey) {
		return engine.Nobody("dkls: key shares", errors.New("they do not add up to the key"))
	}
	return s.setNonce(nonce.(*secp256k1.Point))
}

// setNonce is check 6: R ≠ 0, against parties that cancel each other's nonces, and r ≠ 0.
func (s *signer) setNonce(nonce *secp256k1.Point) *engine.Fault {
	if nonce.IsIdentity() {
		return engine.Nobody("dkls: nonce", errors.New("R is the identity"))
	}
	s.nonce = nonce.Settled() // hashed, sent on and verified
	r, large := s.nonce.XReduced()
	if r.IsZero() {
		return engine.Nobody("dkls: nonce", errors.New("r is 0"))
	}
	s.rx.Set(r)
	s.large = large
	return nil
}

// products are uᵢ = rᵢ(φᵢ + Σψⱼᵢ) + Σ(cᵘᵢⱼ + dᵘᵢⱼ), and vᵢ likewise with skᵢ: shares of φ times
// the nonce, and of φ times the key.
func (s *signer) products(u, v *secp256k1.Scalar) {
	var phi secp256k1.Scalar
	phi.Set(&s.phi)
	for _, p := range s.peers {
		phi.SetSum(&phi, &p.product.psi)
	}
	u.SetProduct(&s.r, &phi)
	v.SetProduct(&s.sk, &phi)
	for _, p := range s.peers {
		u.SetSum(u, &p.c[0])
		u.SetSum(u, &p.d[0])
		v.SetSum(v, &p.c[1])
		v.SetSum(v, &p.d[1])
	}
	phi.Wipe()
}

// partial is wᵢ = mφᵢ + r·vᵢ, beside uᵢ: what a signer tells all.
func (s *signer) partial(u, phi, v *secp256k1.Scalar) (out sum) {
	out.u.Set(u)
	out.w.SetProduct(&s.digest, phi)
	out.w.AddProduct(&s.rx, v)
	return out
}
