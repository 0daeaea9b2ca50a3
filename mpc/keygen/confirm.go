package keygen

import (
	"bytes"
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
		{Kind: KindShare, Direct: true, From: s.others(), MaxBody: share.DealtSize},
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
	if p.share, err = share.DecodeDealt(s.Group, body); err != nil {
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
	if shareHash(s.Session, p.ID, s.Self.ID, p.share) != o.hashes[session.Place(s.Parties, p.ID, s.Self.ID)] {
		return engine.Blamed("keygen: share hash", p.ID, errors.New("does not match the share sent to us"))
	}
	// fⱼ(xᵢ)·G = Σₖ xᵢᵏ·Aⱼₖ.
	if err := o.commit.Check(s.Self.Index, p.share.Value); err != nil {
		f := engine.Blamed("keygen: share", p.ID, err)
		// The engine adds what we hold of the dealer: Proves reads its opening and its share.
		f.Strength = engine.Proved
		return f
	}
	return nil
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
	said := session.NewConfirmation(transcript.KeygenConfirm, transcript.KeygenConfirmProof,
		s.Session, t, out.Public, out.ChainCode, out.Publics)
	body, err := said.Make(s.Self.ID, out.Share, out.Publics[s.Self.ID], s.Sign, s.Rand)
	if err != nil {
		out.Share.Wipe()
		return none, fmt.Errorf("keygen: prove our share: %w", err)
	}
	return engine.Outcome[Output]{
		Send: []engine.Out{{Kind: KindConfirm, Body: body}},
		Next: &agree{run: s.run, out: out, said: said},
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
		next := total.Add(from.share.Value)
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

// agree waits for everybody's confirmation: n of n, or no key.
type agree struct {
	*run
	out  *Output
	said session.Confirmation
}

// Wipe is engine.Wiper: the share came to nothing.
func (s *agree) Wipe() {
	s.run.wipe()
	s.out.Wipe()
}

func (s *agree) Expect() engine.Expect {
	return engine.Expect{Wants: []engine.Want{{Kind: KindConfirm, From: s.others(), MaxBody: session.ConfirmationSize(s.Group)}}}
}

func (s *agree) Accept(_ engine.Kind, from engine.PartyID, body []byte) error {
	if err := s.said.Check(s.peers[from].Party, s.out.Publics[from], body); err != nil {
		s.out.Share.Wipe()
		return engine.Blamed("keygen: confirmation", from, err)
	}
	return nil
}

func (s *agree) Finish(t engine.Transcript) (engine.Outcome[Output], error) {
	s.out.Echo = t
	return engine.Outcome[Output]{Result: s.out}, nil
}
