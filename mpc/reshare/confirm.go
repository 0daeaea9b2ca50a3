package reshare

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// confirm is round 3: all check all openings, receivers their shares; receivers say what came out.
type confirm struct{ *run }

func (s *confirm) Expect() engine.Expect {
	from, longest := s.others(s.dealers()), 0
	for _, id := range from {
		longest = max(longest, s.layout(id).size())
	}
	e := engine.Expect{Wants: []engine.Want{{Kind: KindOpening, From: from, MaxBody: longest}}}
	if s.receives {
		e.Wants = append(e.Wants, engine.Want{Kind: KindShare, Direct: true, From: from, MaxBody: share.DealtSize})
	}
	return e
}

func (s *confirm) Accept(kind engine.Kind, from engine.PartyID, body []byte) (err error) {
	p := s.peers[from]
	if kind == KindOpening {
		if p.opening, err = s.layout(from).decode(body); err != nil {
			return engine.Blamed("reshare: opening", from, err)
		}
		return nil
	}
	if p.share, err = share.DecodeDealt(s.Group, body); err != nil {
		return engine.Blamed("reshare: share", from, err)
	}
	return nil
}

// checkDealer makes 1.2's checks on one dealer; whoever receives checks its share besides.
func (s *confirm) checkDealer(p *peer) *engine.Fault {
	o := p.opening
	// Cⱼ opens: nobody chose a polynomial after seeing ours.
	if c := s.commitHash(p.ID, o); !bytes.Equal(c[:], p.commitment) {
		return engine.Blamed("reshare: opening", p.ID, errors.New("does not match the commitment of round 1"))
	}
	if !s.refreshes() {
		// B_{j,0} = λⱼ·Xⱼ of our own record: the key stays what it is (forged or stale share).
		if !o.commit[0].Equal(s.terms(p.ID).Constant) {
			return engine.Blamed("reshare: constant", p.ID, errors.New("is not the one that the old record gives"))
		}
		// The dealer knows wⱼ: a forged record could hold points that nobody knows the logarithm of.
		if !share.CheckResponse(o.nonce, s.challenge(p.ID, o.commit, o.nonce), o.proof, o.commit[0]) {
			return engine.Blamed("reshare: proof", p.ID, errors.New("of knowledge of the contribution fails"))
		}
	}
	if !s.receives {
		return nil
	}
	// hⱼᵢ opens: only then can we show a bad share to others.
	if shareHash(s.Session, p.ID, s.Self.ID, p.share) != o.hashes[session.Place(s.receivers(), p.ID, s.Self.ID)] {
		return engine.Blamed("reshare: share hash", p.ID, errors.New("does not match the share sent to us"))
	}
	// gⱼ(x′ᵢ)·G = Σₖ x′ᵢᵏ·B_{j,k}.
	if err := o.commit.Check(s.Self.Index, p.share.Value); err != nil {
		f := engine.Blamed("reshare: share", p.ID, err)
		// The engine adds what we hold of the dealer: Proves reads its opening and its share.
		f.Strength = engine.Proved
		return f
	}
	return nil
}

func (s *confirm) Finish(t engine.Transcript) (engine.Outcome[Output], error) {
	var none engine.Outcome[Output]
	var faults []*engine.Fault
	for _, id := range s.others(s.dealers()) {
		if f := s.checkDealer(s.peers[id]); f != nil {
			faults = append(faults, f)
		}
	}
	if len(faults) > 0 {
		return none, engine.Merge(faults...)
	}
	out, err := s.add()
	s.run.Wipe()
	if err != nil {
		out.Wipe()
		return none, err
	}
	said := session.NewConfirmation(transcript.ReshareConfirm, transcript.ReshareConfirmProof,
		s.Session, t, out.Public, out.ChainCode, out.Publics)
	next := engine.Outcome[Output]{Next: &agree{run: s.run, out: out, said: said}}
	if !s.receives {
		return next, nil
	}
	body, err := said.Make(s.Self.ID, out.Share, out.Publics[s.Self.ID], s.Sign, s.Rand)
	if err != nil {
		out.Wipe()
		return none, fmt.Errorf("reshare: prove our share: %w", err)
	}
	next.Send = []engine.Out{{Kind: KindConfirm, Body: body}}
	return next, nil
}

// add is 1.2's output: s′ⱼ = Σᵢ weightᵢ·gᵢ(x′ⱼ), X′ₖ = (Σᵢ weightᵢ·Bᵢ)(x′ₖ); in a refresh (1.3) these
// are added to sⱼ and Xₖ.
func (s *confirm) add() (*Output, error) {
	out := &Output{Public: s.Public, ChainCode: s.ChainCode, Publics: map[engine.PartyID]group.Point{}}
	if s.receives {
		out.Share = s.Group.Scalar(0)
		if s.own != nil {
			out.Share = sumOf(out.Share, s.own)
		}
		if s.absent != nil {
			out.Share = sumOf(out.Share, s.absent)
		}
	}
	var sum share.Commitment
	for _, p := range s.dealers() {
		commit, weight := s.commit, s.terms(p.ID).Weight
		if p.ID != s.Self.ID {
			from := s.peers[p.ID]
			commit = from.opening.commit
			if s.receives {
				part := scaled(from.share.Value, weight)
				out.Share = sumOf(out.Share, part)
				part.Wipe()
			}
		}
		if weight != nil {
			commit = commit.MulVarTime(weight)
		}
		if sum == nil {
			sum = slices.Clone(commit)
		} else {
			sum = sum.Add(commit)
		}
	}
	for _, a := range s.Absent {
		sum = sum.Add(a.Commit.MulVarTime(a.Weight))
	}
	for _, p := range s.receivers() {
		x := sum.Eval(p.Index)
		if s.refreshes() {
			x = x.Add(s.Publics[p.ID])
		}
		out.Publics[p.ID] = x
	}
	return out, s.checkOutput(sum, out)
}

// checkOutput refuses another key, and a public share that is zero.
func (s *confirm) checkOutput(sum share.Commitment, out *Output) error {
	// Σ weight·B_{i,0} = X, in a refresh 0. Each B_{i,0} was checked, and the constants when we started.
	want := s.Public
	if s.refreshes() {
		want = s.Group.Identity()
	}
	if !sum[0].Equal(want) {
		return engine.Nobody("reshare: public key", errors.New("the contributions give another key"))
	}
	for _, x := range out.Publics {
		if x.IsIdentity() {
			return engine.Nobody("reshare: public share", errors.New("is zero"))
		}
	}
	return nil
}

// agree waits for every receiver's confirmation: all of them, or no new shares.
type agree struct {
	*run
	out  *Output
	said session.Confirmation
}

// Wipe is engine.Wiper: the share came to nothing.
func (s *agree) Wipe() {
	s.run.Wipe()
	s.out.Wipe()
}

func (s *agree) Expect() engine.Expect {
	return engine.Expect{Wants: []engine.Want{
		{Kind: KindConfirm, From: s.others(s.receivers()), MaxBody: session.ConfirmationSize(s.Group)},
	}}
}

func (s *agree) Accept(_ engine.Kind, from engine.PartyID, body []byte) error {
	for _, p := range s.receivers() {
		if p.ID != from {
			continue
		}
		if err := s.said.Check(p, s.out.Publics[from], body); err != nil {
			return engine.Blamed("reshare: confirmation", from, err)
		}
	}
	return nil
}

func (s *agree) Finish(t engine.Transcript) (engine.Outcome[Output], error) {
	s.out.Echo = t
	return engine.Outcome[Output]{Result: s.out}, nil
}
