package dkls

import (
	"fmt"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/ot"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/pair"
	"github.com/ostraka/ostraka/mpc/session"
)

// signer is what the stages hand on: party i's view.
type signer struct {
	Params
	share    *secp256k1.Scalar // sᵢ, the caller's
	public   *secp256k1.Point  // X
	childKey *secp256k1.Point  // X + e·G
	tweak    secp256k1.Scalar  // e
	digest   secp256k1.Scalar  // m mod q

	r   secp256k1.Scalar // rᵢ: part of the nonce
	phi secp256k1.Scalar // φᵢ: part of the mask that hides the nonce's inverse
	sk  secp256k1.Scalar // skᵢ = λᵢsᵢ + ζᵢ (+ e at the lowest index)
	own opening          // Rᵢ, pkᵢ, salt

	peers  []*peer // by index
	nonce  *secp256k1.Point
	rx     secp256k1.Scalar // r = x(R) mod q
	large  bool             // x(R) ≥ q
	ownSum sum

	refused bool // a message did not decode
}

// A peer is one other signer j and what we share with it in this session.
type peer struct {
	session.Party
	state    *pair.State
	receiver *ot.Receiver        // we multiply as B: our input is χᵢⱼ
	chi      secp256k1.Scalar    // χᵢⱼ: our random input, against j's (rⱼ, skⱼ)
	c        [2]secp256k1.Scalar // cᵘᵢⱼ, cᵛᵢⱼ: our shares of (rᵢ, skᵢ)·χⱼᵢ
	d        [2]secp256k1.Scalar // dᵘᵢⱼ, dᵛᵢⱼ: our shares of (rⱼ, skⱼ)·χᵢⱼ

	commitment [CommitSize]byte // comⱼ
	extension  []byte
	opening    opening
	product    product
	sum        sum
}

// Format redacts under every verb.
func (*signer) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

func (s *signer) peer(id engine.PartyID) *peer {
	for _, p := range s.peers {
		if p.ID == id {
			return p
		}
	}
	return nil
}

// want is a kind from every peer.
func (s *signer) want(kind engine.Kind, direct bool, size int) engine.Want {
	w := engine.Want{Kind: kind, Direct: direct, MaxBody: size}
	for _, p := range s.peers {
		w.From = append(w.From, p.ID)
	}
	return w
}

// token names the pair with a peer, within this key.
func (s *signer) token(id engine.PartyID) engine.Token { return engine.Token{Key: s.KeyID, Peer: id} }

// guard is every pair: a stage that judges one judges all.
func (s *signer) guard() []engine.Token {
	var g []engine.Token
	for _, p := range s.peers {
		g = append(g, s.token(p.ID))
	}
	return g
}

// abort wipes, and burns the pairs of every failed check: the verdict depends on our
// secrets, and a second one would leak more of them (TOB-SILA-12).
func (s *signer) abort(faults []*engine.Fault) (burn []engine.Token, err error) {
	s.wipe()
	for _, f := range faults {
		if f.Class == engine.BurnPair {
			for _, id := range f.Accused {
				burn = append(burn, s.token(id))
			}
		}
	}
	return burn, engine.Merge(faults...)
}

// refuse wipes when a message does not decode, and after each that still follows: the
// engine ends the session when all are read.
func (s *signer) refuse(err error) error {
	s.refused = s.refused || err != nil
	if s.refused {
		s.wipe()
	}
	return err
}

// Wipe is engine.Wiper: every stage shares the one signer.
func (s *signer) Wipe() { s.wipe() }

// wipe overwrites every secret of the session but the caller's own, and the coins: r and φ
// could be drawn from them again.
func (s *signer) wipe() {
	session.WipeCoins(s.Rand)
	s.tweak.Wipe()
	s.r.Wipe()
	s.phi.Wipe()
	s.sk.Wipe()
	secret.Wipe(s.own.salt[:])
	for _, p := range s.peers {
		p.chi.Wipe()
		secp256k1.WipeAll(p.c[:])
		secp256k1.WipeAll(p.d[:])
		p.product.psi.Wipe()
		if p.receiver != nil {
			p.receiver.Wipe()
		}
	}
}
