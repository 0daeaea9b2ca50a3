package dkls

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/pair"
	"github.com/ostraka/ostraka/mpc/session"
)

// Params are what one signer needs. All but Self, Share, Pairs, Rand and Ticket must be equal
// at all signers; the session id digests them.
type Params struct {
	Session   engine.SessionID
	KeyID     [32]byte
	Self      session.Party
	Signers   []session.Party                // S: by index, ascending, at least Threshold, self included once
	Threshold int                            // t
	Share     group.Scalar                   // sᵢ: stays the caller's to wipe
	Publics   map[engine.PartyID]group.Point // Xⱼ of the record; ours is held to Share
	Public    group.Point                    // X
	Tweak     group.Scalar                   // e: added to the key; nil for 0
	Child     group.Point                    // X + e·G: the key that the signature verifies under
	Digest    [32]byte                       // m: derived by this party from the full transaction
	Pairs     map[engine.PartyID]*pair.State
	Rand      io.Reader // coins of this session alone (session.Coins): wiped with it

	// Presign alone needs these.
	Epoch  [32]byte // eh of the record that share and pairs are of
	Ticket Ticket   // from the Pool that the presignature is for
}

// A Signature is (r, s) with s ≤ (q−1)/2, both 32 bytes, big-endian. It verified under
// Child, by code other than what made it, before it became a value of this type.
type Signature struct {
	R, S       [32]byte
	RecoveryID uint8 // 0…3: bit 0 is the parity of R's y after low-s, bit 1 is x(R) ≥ q
}

// String is r, s and the recovery id in hex. Signatures are public.
func (sig Signature) String() string {
	return fmt.Sprintf("%x %x %d", sig.R, sig.S, sig.RecoveryID)
}

// Sign is the first of four stages (spec/dkls-sign 2). The error is our own misuse:
// parameters that do not fit each other.
func Sign(p Params) (engine.Stage[Signature], error) {
	s, err := newSigner(p)
	if err != nil {
		return nil, &engine.Misuse{Doing: "prepare to sign", Err: err}
	}
	return begin(s, closeSigning), nil
}

func newSigner(p Params) (*signer, error) {
	if err := p.checkSigners(); err != nil {
		return nil, err
	}
	s := &signer{Params: p}
	if err := s.checkKey(); err != nil {
		return nil, err
	}
	s.digest.SetReduced(&p.Digest)
	for _, q := range p.Signers {
		if q.ID == p.Self.ID {
			continue
		}
		state := p.Pairs[q.ID]
		if state == nil || state.Leaves == nil || state.Punctured == nil {
			return nil, fmt.Errorf("no pair state with party %v", q.ID)
		}
		s.peers = append(s.peers, &peer{Party: q, state: state})
	}
	return s, nil
}

// checkSigners holds the signer list to protocols.md 0.2 (TOB-SILA-15).
func (p *Params) checkSigners() error {
	self := 0
	for i, q := range p.Signers {
		switch {
		case q.ID == engine.Everyone || q.Index == 0 || i > 0 && q.Index <= p.Signers[i-1].Index:
			return fmt.Errorf("signers are not by ascending index at party %v", q.ID)
		case q.ID == p.Self.ID && q.Index != p.Self.Index:
			return fmt.Errorf("our index is %d in the list, %d in Self", q.Index, p.Self.Index)
		case q.ID == p.Self.ID:
			self++
		}
	}
	switch {
	case self != 1:
		return fmt.Errorf("we are %d times among the signers", self)
	case p.Threshold < 2 || len(p.Signers) < p.Threshold:
		return fmt.Errorf("%d signers for threshold %d", len(p.Signers), p.Threshold)
	case p.Session == engine.SessionID{}:
		return errors.New("the session id is zero")
	case p.Rand == nil:
		return errors.New("no source of randomness")
	}
	return nil
}

// checkKey holds our share to our public share, and the child key to key and tweak: what a
// stale or mixed-up store would otherwise make everybody's alarm. That the public shares give
// the key was checked when the record was accepted; check 5 would find it here.
func (s *signer) checkKey() error {
	var ok bool
	if s.share, ok = s.Share.(*secp256k1.Scalar); !ok {
		return errors.New("share is missing or not of secp256k1")
	}
	own, ok := s.Publics[s.Self.ID].(*secp256k1.Point)
	if !ok {
		return errors.New("public share is missing or not of secp256k1")
	}
	if err := s.takeChild(); err != nil {
		return err
	}
	switch {
	case !s.public.Add(secp256k1.BaseMul(&s.tweak)).Equal(s.childKey):
		return errors.New("child key is not the key shifted by the tweak")
	case !secp256k1.BaseMul(s.share).Equal(own):
		return errors.New("our share does not match our public share")
	}
	return nil
}

// takeChild is key, tweak and child key in this group's types.
func (s *signer) takeChild() error {
	var ok [2]bool
	s.public, ok[0] = s.Public.(*secp256k1.Point)
	s.childKey, ok[1] = s.Child.(*secp256k1.Point)
	if slices.Contains(ok[:], false) || s.public.IsIdentity() || s.childKey.IsIdentity() {
		return errors.New("key or child key is missing or not of secp256k1")
	}
	s.childKey = s.childKey.Settled() // hashed and verified under
	if s.Tweak != nil {
		e, ok := s.Tweak.(*secp256k1.Scalar)
		if !ok {
			return errors.New("tweak is not of secp256k1")
		}
		s.tweak.Set(e)
	}
	return nil
}
