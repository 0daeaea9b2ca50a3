package keygen

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// confirm is round 3: check all openings and shares, add up, and say what came out.
type confirm struct{ *run }

func (s *confirm) Expect() engine.Expect {
	return engine.Expect{Wants: []engine.Want{
		{Kind: KindOpening, From: s.others(), MaxBody: openingSize(s.Group, s.Threshold, len(s.Parties))},
		{Kind: KindShare, Direct: true, From: s.others(), MaxBody: group.ScalarSize + hashSize},
	}}
}

func (s *confirm) Accept(kind engine.Kind, from engine.PartyID, body []byte) (err error) {
	p := s.peers[from]
	if kind == KindOpening {
		if p.opening, err = decodeOpening(s.Group, s.Threshold, len(s.Parties), body); err != nil {
			return s.refuse("keygen: opening", from, err)
		}
		return nil
	}
	if p.share, p.blind, err = decodeShare(s.Group, body); err != nil {
		return s.refuse("keygen: share", from, err)
	}
	if s.wiped { // another message of this round was refused
		p.share.Wipe()
	}
	return nil
}

// check makes 1.1's checks on one dealer, in the order stated there.
func (s *confirm) check(p *peer) *engine.Fault {
	o := p.opening
	// Cⱼ opens: nobody chose a contribution after seeing ours (rogue key).
	if c := s.commitHash(p.ID, o); !bytes.Equal(c[:], p.commitment) {
		return engine.Blamed("keygen: opening", p.ID, errors.New("does not match the commitment of round 1"))
	}
	// The dealer knows aⱼ₀ (rogue key, TOB-BRON-13).
	if !share.CheckResponse(o.nonce, s.challenge(p.ID, o.commit, o.nonce), o.proof, o.commit[0]) {
		return engine.Blamed("keygen: proof", p.ID, errors.New("of knowledge of the contribution fails"))
	}
	// hⱼᵢ opens: only then can we show a bad share to others.
	if shareHash(s.Session, p.ID, s.Self.ID, p.share, p.blind) != o.hashes[hashPosition(s.Parties, p.ID, s.Self.ID)] {
		return engine.Blamed("keygen: share hash", p.ID, errors.New("does not match the share sent to us"))
	}
	// fⱼ(xᵢ)·G = Σₖ xᵢᵏ·Aⱼₖ.
	if !onPolynomial(s.Group, p.share, o, s.Self) {
		f := engine.Blamed("keygen: share", p.ID, errors.New("does not lie on the committed polynomial"))
		// The engine adds what we hold of the dealer: Proves reads its opening and its share.
		f.Strength = engine.Proved
		return f
	}
	return nil
}

// hashPosition is where a receiver's hash stands in a dealer's list, which leaves the dealer out.
func hashPosition(all []session.Party, dealer, receiver engine.PartyID) (k int) {
	for _, q := range all {
		if q.ID == receiver {
			break
		}
		if q.ID != dealer {
			k++
		}
	}
	return k
}

func (s *confirm) Finish(t engine.Transcript) (engine.Outcome[Output], error) {
	var none engine.Outcome[Output]
	var faults []*engine.Fault
	for _, id := range s.others() {
		if f := s.check(s.peers[id]); f != nil {
			faults = append(faults, f)
		}
	}
	if len(faults) > 0 {
		s.wipe()
		return none, engine.Merge(faults...)
	}
	out := s.add()
	s.wipe()
	if err := out.check(); err != nil {
		out.Share.Wipe()
		return none, err
	}
	digest := outputHash(s.Session, t, out)
	sig := s.Sign(digest)
	proof, err := share.Prove(transcript.KeygenConfirmProof, proofContext(digest, s.Self.ID), out.Share, out.Publics[s.Self.ID], s.Rand)
	if err != nil {
		out.Share.Wipe()
		return none, fmt.Errorf("keygen: prove our share: %w", err)
	}
	return engine.Outcome[Output]{
		Send: []engine.Out{{Kind: KindConfirm, Body: append(sig, proof.Bytes()...)}},
		Next: &agree{run: s.run, out: out, digest: digest},
	}, nil
}

// check refuses a key or a public share that is zero.
func (out *Output) check() error {
	if out.Public.IsIdentity() {
		return engine.Nobody("keygen: public key", errors.New("the contributions cancel out"))
	}
	for _, x := range out.Publics {
		if x.IsIdentity() {
			return engine.Nobody("keygen: public share", errors.New("is zero"))
		}
	}
	return nil
}

// add is 1.1's output: sᵢ = Σⱼ fⱼ(xᵢ), X = Σⱼ Aⱼ₀, Xₖ = (Σⱼ Aⱼ)(xₖ), cc.
func (s *confirm) add() *Output {
	sum, total := s.commit, s.poly.Eval(s.Self.Index)
	cc := transcript.New(transcript.KeygenChainCode).Bytes(s.Session[:])
	codes := make([][]byte, len(s.Parties))
	for i, p := range s.Parties {
		if p.ID == s.Self.ID {
			codes[i] = s.chainCode[:]
			continue
		}
		from := s.peers[p.ID]
		next := total.Add(from.share)
		total.Wipe()
		sum, total = sum.Add(from.opening.commit), next
		codes[i] = from.opening.chainCode[:]
	}
	out := &Output{Share: total, Public: sum[0], Publics: map[engine.PartyID]group.Point{}, ChainCode: cc.List(codes...).Sum256()}
	for _, p := range s.Parties {
		out.Publics[p.ID] = sum.Eval(p.Index)
	}
	return out
}

// outputHash covers the whole public output, chain code included (TOB-SILA-7):
// H(sid, T₂, X, cc, all Xⱼ).
func outputHash(id engine.SessionID, t2 engine.Transcript, out *Output) *transcript.Hash {
	h := transcript.New(transcript.KeygenConfirm).Bytes(id[:]).Bytes(t2[:]).Points(out.Public).Bytes(out.ChainCode[:])
	ids := make([]engine.PartyID, 0, len(out.Publics))
	for pid := range out.Publics {
		ids = append(ids, pid)
	}
	sortIDs(ids)
	h.Uint(uint64(len(ids)))
	for _, pid := range ids {
		h.Bytes(pid[:]).Points(out.Publics[pid])
	}
	return h
}

// proofContext binds the proof of a share to the output and to its prover (TOB-BRON-9, -18).
func proofContext(output *transcript.Hash, prover engine.PartyID) []byte {
	return transcript.New(transcript.KeygenConfirmProof).Bytes(output.Tree()).Bytes(prover[:]).Tree()
}

// agree waits for everybody's confirmation: n of n, or no key.
type agree struct {
	*run
	out    *Output
	digest *transcript.Hash
}

// Wipe is engine.Wiper: the share came to nothing.
func (s *agree) Wipe() {
	s.run.wipe()
	s.out.Wipe()
}

func (s *agree) size() int { return ed25519.SignatureSize + share.ProofSize(s.Group) }

func (s *agree) Expect() engine.Expect {
	return engine.Expect{Wants: []engine.Want{{Kind: KindConfirm, From: s.others(), MaxBody: s.size()}}}
}

func (s *agree) Accept(_ engine.Kind, from engine.PartyID, body []byte) error {
	if err := s.check(from, body); err != nil {
		s.out.Share.Wipe()
		return engine.Blamed("keygen: confirmation", from, err)
	}
	return nil
}

// check holds a confirmation to our own output: all agree on the broadcasts that give it, so
// another one is a lie (TOB-SILA-7), and without the proof a member could lack its share.
func (s *agree) check(from engine.PartyID, body []byte) error {
	if len(body) != s.size() {
		return fmt.Errorf("has %d bytes, not %d", len(body), s.size())
	}
	if !session.Verify(s.peers[from].Identity, s.digest, body[:ed25519.SignatureSize]) {
		return errors.New("does not sign the output that the echoed broadcasts give")
	}
	proof, err := share.DecodeProof(s.Group, body[ed25519.SignatureSize:])
	if err != nil {
		return err
	}
	return proof.Verify(transcript.KeygenConfirmProof, proofContext(s.digest, from), s.out.Publics[from])
}

func (s *agree) Finish(t engine.Transcript) (engine.Outcome[Output], error) {
	s.out.Echo = t
	return engine.Outcome[Output]{Result: s.out}, nil
}
