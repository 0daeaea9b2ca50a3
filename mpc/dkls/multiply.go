package dkls

import (
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/ot"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/pair"
)

// multiply takes round 1, judges the extensions and makes round 2.
type multiply[R any] struct {
	*signer
	end closing[R]
}

func (s *multiply[R]) Expect() engine.Expect {
	return engine.Expect{
		Wants: []engine.Want{s.want(KindCommit, false, CommitSize), s.want(KindExtension, true, ExtensionSize)},
		Guard: s.guard(),
	}
}

func (s *multiply[R]) Accept(kind engine.Kind, from engine.PartyID, body []byte) error {
	p := s.peer(from)
	if kind == KindCommit {
		r := newReader("commitment", body, CommitSize)
		copy(p.commitment[:], r.bytes(CommitSize))
		return s.refuse(r.err)
	}
	r := newReader("extension", body, ExtensionSize)
	p.extension = r.bytes(ExtensionSize)
	return s.refuse(r.err)
}

// Finish: DKLs23 protocol 3.6 step 7, protocols.md 2.3 and 2.5 R2, spec/dkls-sign
// 2.2. All verdicts come before anything is released: no part of round 2 leaves, to
// anyone, unless every peer's extension passed.
func (s *multiply[R]) Finish(engine.Transcript) (out engine.Outcome[R], err error) {
	senders, faults := make([]*ot.Sender, len(s.peers)), []*engine.Fault(nil)
	defer func() {
		for _, a := range senders {
			if a != nil {
				a.Wipe()
			}
		}
	}()
	for i, p := range s.peers {
		senders[i], err = ot.Check(pair.ID(s.Session, s.Self, p.Party, pair.RoleSign), p.state.Punctured, p.extension)
		if err != nil {
			faults = append(faults, judged("dkls: oblivious transfer extension", p, err))
		}
		p.extension = nil
	}
	if len(faults) > 0 {
		out.Burn, err = s.abort(faults)
		return out, err
	}
	out.Send = append(out.Send, engine.Out{Kind: KindOpening, Body: s.own.encode()})
	for i, p := range s.peers {
		body, err := s.product(p, senders[i])
		if err != nil {
			s.wipe()
			return engine.Outcome[R]{}, fmt.Errorf("multiply with party %v: %w", p.ID, err)
		}
		out.Send = append(out.Send, engine.Out{Kind: KindProduct, To: p.ID, Body: body})
	}
	out.Next = &verify[R]{s.signer, s.end}
	return out, nil
}

// product multiplies (rᵢ, skᵢ) with j's χⱼᵢ: j gets the message, we keep cᵘᵢⱼ and cᵛᵢⱼ.
func (s *signer) product(p *peer, sender *ot.Sender) ([]byte, error) {
	a := [2]secp256k1.Scalar{s.r, s.sk}
	defer secp256k1.WipeAll(a[:])
	var m product
	var err error
	if p.c, m.rvole, err = sender.Multiply(s.Session, a, s.Rand); err != nil {
		return nil, err
	}
	m.gammaU, m.gammaV = secp256k1.BaseMul(&p.c[0]), secp256k1.BaseMul(&p.c[1])
	if m.gammaU.IsIdentity() || m.gammaV.IsIdentity() {
		return nil, errors.New("our share of a product is zero: the source of randomness is broken")
	}
	m.psi.SetDifference(&s.phi, &p.chi)
	defer m.psi.Wipe()
	return m.encode(), nil
}

// judged turns an error of the oblivious transfers over a peer's message into the fault
// that it means: a failed check burns the pair, a malformed message is plain blame. An error
// that is neither is our own and accuses nobody.
func judged(check string, p *peer, err error) *engine.Fault {
	switch {
	case errors.Is(err, ot.ErrCheck):
		return engine.Burned(check, p.ID, err)
	case errors.Is(err, ot.ErrEncoding):
		return engine.Blamed(check, p.ID, err)
	}
	return engine.Nobody(check, err)
}
