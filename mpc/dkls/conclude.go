package dkls

import (
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/group/secp256k1/independent"
	"github.com/ostraka/ostraka/mpc/engine"
)

// closeSigning makes round 3 of signing. The products are gone with it.
func closeSigning(s *signer, _ engine.Transcript) (out engine.Outcome[Signature]) {
	var u, v secp256k1.Scalar
	s.products(&u, &v)
	s.ownSum = s.partial(&u, &s.phi, &v)
	v.Wipe()
	out.Send = []engine.Out{{Kind: KindSum, Body: s.ownSum.encode()}}
	out.Next = &conclude{s, KindSum}
	return out
}

// conclude takes the last round: KindSum, or KindOnline with a presignature. Whatever it says,
// our own sum has left: others may hold the signature.
type conclude struct {
	*signer
	kind engine.Kind
}

func (s *conclude) Expect() engine.Expect {
	return engine.Expect{Wants: []engine.Want{s.want(s.kind, false, SumSize)}}
}

func (s *conclude) Accept(_ engine.Kind, from engine.PartyID, body []byte) (err error) {
	s.peer(from).sum, err = decodeSum(body)
	return err
}

// Finish: DKLs23 protocol 3.6 step 10, protocols.md 2.5 Finish, spec/dkls-sign 2.4.
func (s *conclude) Finish(engine.Transcript) (out engine.Outcome[Signature], err error) {
	total := s.ownSum
	for _, p := range s.peers {
		total.u.SetSum(&total.u, &p.sum.u)
		total.w.SetSum(&total.w, &p.sum.w)
	}
	sig, fault := s.assemble(&total)
	if fault != nil {
		return out, fault
	}
	out.Result = &sig
	return out, nil
}

// assemble is s = w/u, made low, with the recovery id; refused unless it verifies. All
// values are public.
func (s *signer) assemble(total *sum) (sig Signature, f *engine.Fault) {
	if total.u.IsZero() {
		return sig, engine.Nobody("dkls: sum of u", errors.New("is 0"))
	}
	var sv secp256k1.Scalar
	sv.SetInverse(&total.u)
	sv.SetProduct(&sv, &total.w)
	if sv.IsZero() {
		return sig, engine.Nobody("dkls: signature", errors.New("s is 0"))
	}
	sig.RecoveryID = bit(s.nonce.YOdd()) | bit(s.large)<<1
	// malleability: (r, q−s) verifies as well, so only the low one is ever made. Negating
	// s negates R, whose y changes parity and whose x stays: only bit 0 flips (TOB-BRON-1).
	if sv.IsHigh() {
		sv.SetNegative(&sv)
		sig.RecoveryID ^= 1
	}
	s.rx.PutBytes(sig.R[:])
	sv.PutBytes(sig.S[:])
	if err := sig.verify(s.childKey, s.nonce, s.Digest); err != nil {
		return Signature{}, engine.Nobody("dkls: signature", err)
	}
	return sig, nil
}

// verify asks code that shares nothing with what made the signature: wrong ψ, u or w show
// only here, and so would a wrong recovery id.
func (sig *Signature) verify(key, nonce *secp256k1.Point, digest [32]byte) error {
	public, err := independent.ParsePublicKey(key.Uncompressed())
	if err != nil {
		return err
	}
	point, err := independent.ParsePublicKey(nonce.Uncompressed())
	if err != nil {
		return fmt.Errorf("nonce: %w", err)
	}
	compact, err := independent.ParseCompact(append(sig.R[:], sig.S[:]...))
	switch {
	case err != nil:
		return err
	case !compact.LowS():
		return errors.New("s is high")
	}
	id, err := independent.RecoveryID(public, &digest, compact, point)
	switch {
	case err != nil:
		return err
	case id != sig.RecoveryID:
		return fmt.Errorf("recovery id %d is %d in fact", sig.RecoveryID, id)
	}
	return nil
}

func bit(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}
