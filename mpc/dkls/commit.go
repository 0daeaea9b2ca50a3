package dkls

import (
	"errors"
	"fmt"
	"io"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/ot"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/pair"
)

// A closing makes round 3, once checks 1 to 6 have passed: what signing and presigning differ in.
// t is T₂. It takes what it keeps: the signer is wiped after it.
type closing[R any] func(s *signer, t engine.Transcript) engine.Outcome[R]

// begin is the first of the stages that signing and presigning share.
func begin[R any](s *signer, end closing[R]) *commit[R] { return &commit[R]{s, end} }

// commit makes round 1.
type commit[R any] struct {
	*signer
	end closing[R]
}

func (*commit[R]) Expect() engine.Expect { return engine.Expect{} }

func (*commit[R]) Accept(kind engine.Kind, _ engine.PartyID, _ []byte) error {
	return &engine.Misuse{Doing: "sign", Err: fmt.Errorf("kind %#x comes before round 1", uint8(kind))}
}

// Finish: DKLs23 protocol 3.6 steps 4 to 6, protocols.md 2.5 R1, spec/dkls-sign 2.1.
// Broadcast comᵢ; to each j the extension of our oblivious transfers, which fixes χᵢⱼ.
//
// DEVIATION: comᵢ is to (Rᵢ, pkᵢ), where DKLs23 commits to Rᵢ alone. Together with T₁,
// which round 2 echoes, it pins both for all receivers before any secret-dependent output.
func (s *commit[R]) Finish(engine.Transcript) (out engine.Outcome[R], err error) {
	if err := s.draw(); err != nil {
		s.wipe()
		return out, fmt.Errorf("draw nonce: %w", err)
	}
	return s.announce()
}

func (s *commit[R]) announce() (out engine.Outcome[R], err error) {
	com := s.own.commitment(s.Session, s.Self)
	out.Send = append(out.Send, engine.Out{Kind: KindCommit, Body: com[:]})
	for _, p := range s.peers {
		var body []byte
		p.receiver, body, err = ot.Extend(pair.ID(s.Session, p.Party, s.Self, pair.RoleSign), p.state.Leaves, s.Rand)
		if err != nil {
			s.wipe()
			return engine.Outcome[R]{}, fmt.Errorf("extend oblivious transfers with party %v: %w", p.ID, err)
		}
		p.chi = p.receiver.Chi()
		out.Send = append(out.Send, engine.Out{Kind: KindExtension, To: p.ID, Body: body})
	}
	out.Next = &multiply[R]{s.signer, s.end}
	return out, nil
}

// draw takes rᵢ, φᵢ ≠ 0 and a salt, and computes skᵢ, Rᵢ and pkᵢ.
func (s *signer) draw() error {
	for _, k := range []*secp256k1.Scalar{&s.r, &s.phi} {
		drawn, err := secp256k1.RandomScalar(s.Rand)
		if err != nil {
			return err
		}
		k.Set(drawn)
		drawn.Wipe()
	}
	if _, err := io.ReadFull(s.Rand, s.own.salt[:]); err != nil {
		return err
	}
	if err := s.additiveShare(); err != nil {
		return err
	}
	s.own.r, s.own.pk = secp256k1.BaseMul(&s.r), secp256k1.BaseMul(&s.sk)
	if s.own.pk.IsIdentity() {
		return errors.New("the masked share is zero: the source of randomness is broken")
	}
	return nil
}

// additiveShare is skᵢ = λᵢsᵢ + ζᵢ, and + e at the lowest index, so that Σ skᵢ = x + e. The
// zero share masks λᵢsᵢ afresh in every session: pkᵢ tells nothing that links two.
func (s *signer) additiveShare() error {
	set := make([]share.Index, len(s.Signers))
	for i, q := range s.Signers {
		set[i] = q.Index
	}
	lambda, err := share.Lagrange(secp256k1.Group{}, s.Self.Index, set)
	if err != nil {
		return err
	}
	zeta, err := pair.ZeroShare(s.Session, s.Self, s.Signers, s.Pairs)
	if err != nil {
		return err
	}
	s.sk.SetProduct(lambda.(*secp256k1.Scalar), s.share)
	s.sk.SetSum(&s.sk, zeta)
	zeta.Wipe()
	if s.Self.ID == s.Signers[0].ID {
		s.sk.SetSum(&s.sk, &s.tweak)
	}
	return nil
}
