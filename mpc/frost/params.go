package frost

import (
	"errors"
	"fmt"
	"io"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// Params are what one signer needs to know. All but Self, Share and Rand must be equal at all
// signers, and fixed before round 1: the session id digests them. Path and Taproot are part of that; a
// tweak chosen after the commitments is what ROS asks for.
type Params struct {
	Session   engine.SessionID
	KeyID     [32]byte // names the key; the session id covers it
	Suite     string   // Ed25519 or BIP340
	Self      session.Party
	Signers   []session.Party                // S: by index, ascending, at least Threshold, self included once
	Threshold int                            // t
	Share     group.Scalar                   // sᵢ, untweaked: stays the caller's to wipe
	Publics   map[engine.PartyID]group.Point // Xⱼ of the record, of every signer; ours is held to Share
	Public    group.Point                    // X
	Tweak     group.Scalar                   // e: added to the key; nil for 0
	Taproot   Taproot                        // BIP340 only
	Message   []byte                         // BIP340: 32 bytes, recomputed by this party; Ed25519: at most MaxMessage
	Rand      io.Reader                      // coins of this session alone (session.Coins): wiped with it
}

// A Signature is 64 bytes: R ‖ z of RFC 8032, or x(R) ‖ s of BIP 340. It verified under the final
// key, by code other than what made it, before it became a value of this type.
type Signature [64]byte

// String is the signature in hex. Signatures are public.
func (sig Signature) String() string { return fmt.Sprintf("%x", sig[:]) }

// Sign is the first of three stages (spec/frost 3). The error is our own misuse: parameters that do
// not fit each other.
func Sign(p Params) (engine.Stage[Signature], error) {
	s, err := newSigner(p)
	if err != nil {
		return nil, &engine.Misuse{Doing: "prepare to sign", Err: err}
	}
	return &commit{s}, nil
}

func newSigner(p Params) (*signer, error) {
	if err := p.checkOwn(); err != nil {
		return nil, err
	}
	t, err := p.task()
	if err != nil {
		return nil, err
	}
	s := &signer{Params: p, task: t}
	if p.Share == nil || p.Share.Group() != t.group {
		return nil, errors.New("share is missing or not of the suite's group")
	}
	// a stale or mixed-up store would make others accuse us
	if !t.group.BaseMul(p.Share).Equal(p.Publics[p.Self.ID]) {
		return nil, errors.New("our share does not match our public share")
	}
	for i, q := range p.Signers {
		if q.ID == p.Self.ID {
			s.position = i
		}
		s.peers = append(s.peers, &peer{Party: q})
	}
	return s, nil
}

// checkOwn is what concerns ourselves.
func (p *Params) checkOwn() error {
	self := 0
	for _, q := range p.Signers {
		switch {
		case q.ID == p.Self.ID && q.Index != p.Self.Index:
			return fmt.Errorf("our index is %d in the list, %d in Self", q.Index, p.Self.Index)
		case q.ID == p.Self.ID:
			self++
		}
	}
	switch {
	case self != 1:
		return fmt.Errorf("we are %d times among the signers", self)
	case p.Rand == nil:
		return errors.New("no source of randomness")
	}
	return nil
}

// task holds what all signers share to protocols.md 0.2 and 3: exactly the Setup's list, sorted, without repeats
// (TOB-SILA-15).
func (p *Params) task() (*task, error) {
	s, err := suiteOf(p.Suite)
	if err != nil {
		return nil, err
	}
	for i, q := range p.Signers {
		if q.ID == engine.Everyone || q.Index == 0 || i > 0 && q.Index <= p.Signers[i-1].Index {
			return nil, fmt.Errorf("signers are not by ascending index at party %v", q.ID)
		}
		if x := p.Publics[q.ID]; x == nil || x.Group() != s.group || x.IsIdentity() {
			return nil, fmt.Errorf("public share of party %v is missing, not of the suite's group, or the identity", q.ID)
		}
	}
	switch n := len(p.Message); {
	case p.Threshold < 2 || len(p.Signers) < p.Threshold:
		return nil, fmt.Errorf("%d signers for threshold %d", len(p.Signers), p.Threshold)
	case p.Session == engine.SessionID{}:
		return nil, errors.New("the session id is zero")
	case n < s.minMessage || n > s.maxMessage:
		return nil, fmt.Errorf("message has %d bytes, suite %s signs %d to %d", n, s.name, s.minMessage, s.maxMessage)
	}
	key, err := s.key(p.Public, p.Tweak, p.Taproot)
	if err != nil {
		return nil, err
	}
	return &task{suite: s, key: key, message: append([]byte(nil), p.Message...), signers: p.Signers}, nil
}
