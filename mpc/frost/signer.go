package frost

import (
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// signer is what the stages hand on: party i's view.
type signer struct {
	Params
	*task
	position int     // i's place among the signers
	nonces   *nonces // dᵢ, eᵢ: from round 1 until zᵢ is computed
	peers    []*peer // all signers by index, ourselves among them
	bound    *round
}

// A peer is one signer j, ourselves included, and what it said.
type peer struct {
	session.Party
	raw        []byte       // body of round 1
	commitment commitment   // Dⱼ, Eⱼ
	z          group.Scalar // zⱼ
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

// want is a broadcast of every other signer.
func (s *signer) want(kind engine.Kind, size int) engine.Expect {
	w := engine.Want{Kind: kind, MaxBody: size}
	for _, p := range s.peers {
		if p.ID != s.Self.ID {
			w.From = append(w.From, p.ID)
		}
	}
	return engine.Expect{Wants: []engine.Want{w}}
}

// refuse wipes when a message does not decode: the engine ends the session when all are read.
func (s *signer) refuse(err error) error {
	if err != nil {
		s.Wipe()
	}
	return err
}

// Wipe is engine.Wiper: every stage shares the one signer. It overwrites the nonces and the coins,
// from which they could be drawn again; the share is the caller's.
func (s *signer) Wipe() {
	session.WipeCoins(s.Rand)
	s.nonces.wipe()
}

// commit makes round 1.
type commit struct{ *signer }

func (*commit) Expect() engine.Expect { return engine.Expect{} }

func (*commit) Accept(kind engine.Kind, _ engine.PartyID, _ []byte) error {
	return &engine.Misuse{Doing: "sign", Err: fmt.Errorf("kind %#x comes before round 1", uint8(kind))}
}

// Finish: RFC 9591 section 5.1, protocols.md 3 R1, spec/frost 3.1. Broadcast Dᵢ, Eᵢ.
func (s *commit) Finish(engine.Transcript) (out engine.Outcome[Signature], err error) {
	own := s.peers[s.position]
	if s.nonces, own.commitment, err = s.drawNonces(s.Rand, s.Share); err != nil {
		s.Wipe()
		return out, fmt.Errorf("draw nonces: %w", err)
	}
	session.WipeCoins(s.Rand) // nothing more is drawn
	own.raw = own.commitment.encode()
	out.Send = []engine.Out{{Kind: KindCommit, Body: own.raw}}
	out.Next = &respond{s.signer}
	return out, nil
}

// respond takes round 1 and makes round 2.
type respond struct{ *signer }

func (s *respond) Expect() engine.Expect { return s.want(KindCommit, commitSize(s.group)) }

func (s *respond) Accept(_ engine.Kind, from engine.PartyID, body []byte) (err error) {
	p := s.peer(from)
	p.commitment, err = decodeCommitment(s.group, body)
	p.raw = body
	return s.refuse(err)
}

// Finish: RFC 9591 section 5.2, protocols.md 3 R2, spec/frost 3.2. The list is exactly that of the Setup's signers, in
// their order, ours as we made it: nobody can send us another.
//
// zᵢ leaves in the message that first carries T₁. That is safe: the binding factor covers the list as we see it, so that an answer
// to one list is of no use with another, as where RFC 9591's coordinator lies.
func (s *respond) Finish(engine.Transcript) (out engine.Outcome[Signature], err error) {
	defer s.Wipe()
	list := make([]commitment, len(s.peers))
	for j, p := range s.peers {
		list[j] = p.commitment
	}
	if s.bound, err = s.bind(list); errors.Is(err, errNonceIdentity) {
		return out, engine.Nobody("frost: nonce", err)
	} else if err != nil {
		return out, err
	}
	z, err := s.task.respond(s.nonces, s.bound, s.position, s.Share)
	if err != nil {
		return out, fmt.Errorf("compute our share of the signature: %w", err)
	}
	s.peers[s.position].z = z
	out.Send = []engine.Out{{Kind: KindShare, Body: z.Bytes()}}
	out.Next = &conclude{s.signer}
	return out, nil
}

// conclude takes round 2. Whatever it says, our own share has left: others may hold the signature.
type conclude struct{ *signer }

func (s *conclude) Expect() engine.Expect { return s.want(KindShare, ShareSize) }

func (s *conclude) Accept(_ engine.Kind, from engine.PartyID, body []byte) (err error) {
	s.peer(from).z, err = decodeShare(s.group, body)
	return s.refuse(err)
}

// Finish: RFC 9591 section 5.3, protocols.md 3, spec/frost 3.3. There is no coordinator: every signer adds up the shares, asks
// another implementation whether the signature is valid, and holds every share to its signer's public share.
func (s *conclude) Finish(engine.Transcript) (out engine.Outcome[Signature], err error) {
	shares := make([]group.Scalar, len(s.peers))
	for j, p := range s.peers {
		shares[j] = p.z
	}
	sig := s.aggregate(s.bound, shares)
	invalid := s.verify(s.key.Bytes[:], s.message, sig[:])
	if faults := s.badShares(invalid == nil); len(faults) > 0 {
		return out, engine.Merge(faults...)
	}
	// Every share passed: the record's public shares do not give its key, or our own arithmetic is wrong.
	if invalid != nil {
		return out, engine.Nobody("frost: signature", invalid)
	}
	out.Result = &sig
	return out, nil
}

// badShares accuses every signer whose share does not hold. If the signature is valid, the errors of all shares add up to zero,
// since the public shares give the key: with ours right and all others but one, that one holds too, and is not asked. Two
// errors that cancel are found, though the signature is valid.
func (s *signer) badShares(valid bool) (faults []*engine.Fault) {
	var others []int
	for j := range s.peers {
		if j != s.position {
			others = append(others, j)
		}
	}
	for k, j := range others {
		if k == len(others)-1 && valid && len(faults) == 0 {
			break
		}
		if p := s.peers[j]; !s.holds(s.bound, j, p.z, s.Publics[p.ID]) {
			faults = append(faults, s.badShare(p))
		}
	}
	return faults
}
