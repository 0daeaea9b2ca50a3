package guard

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// Epoch is what the second part needs to know of the new epoch, after all have confirmed its shares.
type Epoch struct {
	KeyID   [32]byte
	Partial [32]byte                       // peh
	Publics map[engine.PartyID]group.Point // X′ⱼ of every member
	Share   group.Scalar                   // s′ᵢ: ours, if we deal; the caller's, read before Deal returns
}

// Output is what a party holds afterwards.
type Output struct {
	Mask group.Scalar // mⱼ: secret; nil for who is no member
	Set  *Set
	Echo engine.Transcript // after the last round
}

// Wipe forgets the mask.
func (out *Output) Wipe() {
	if out.Mask != nil {
		out.Mask.Wipe()
	}
}

// Deal is round 4, spec/guard 2.3: dealers send masks to members and encrypt values to guardians. Its outcome follows in the round in which the ceremony's
// shares were confirmed.
func (o *Opened) Deal(e Epoch) (engine.Outcome[Output], error) {
	var none engine.Outcome[Output]
	s, err := o.judge(e)
	if err != nil {
		return none, err
	}
	out := engine.Outcome[Output]{Next: s}
	i := slices.Index(o.Dealers, o.Self.ID)
	if i < 0 {
		return out, nil
	}
	// wᵢ = λᵢ·s′ᵢ; hᵢ(0) = wᵢ − uᵢ(0).
	if e.Share == nil || !o.Group.BaseMul(e.Share).Equal(e.Publics[o.Self.ID]) {
		o.Wipe()
		return none, &engine.Misuse{Doing: "share a key with guardians", Err: errors.New("our share is not that of our public share")}
	}
	out.Send, err = s.send(s.weights[i].Mul(e.Share))
	o.Wipe()
	if err != nil {
		s.Wipe()
		return none, fmt.Errorf("guard: %w", err)
	}
	return out, nil
}

// judge is the stage that hears round 4.
func (o *Opened) judge(e Epoch) (*judge, error) {
	s := &judge{
		Opened: o, terms: Terms{Group: o.Group, KeyID: e.KeyID, Partial: e.Partial, Threshold: o.Threshold, Plan: o.Plan},
		deals: map[engine.PartyID]*heard{},
	}
	for _, m := range o.Members {
		s.terms.Members = append(s.terms.Members, Member{m, e.Publics[m.ID]})
		s.member = s.member || m.ID == o.Self.ID
	}
	var err error
	if s.weights, err = s.terms.weights(o.Dealers); err != nil {
		return nil, &engine.Misuse{Doing: "share a key with guardians", Err: err}
	}
	var faults []*engine.Fault
	for i, id := range o.Dealers {
		m, _ := s.terms.member(id)
		d := o.deals[id].deal(m, s.weights[i])
		if d.Masks[0].IsIdentity() {
			faults = append(faults, engine.Blamed("guard: opening", id, errors.New("gives operators nothing")))
		}
		s.deals[id] = &heard{Deal: d}
	}
	if len(faults) > 0 {
		return nil, engine.Merge(faults...)
	}
	return s, nil
}

// judge checks what all dealers made, and adds up our mask.
type judge struct {
	*Opened
	terms   Terms
	weights []group.Scalar // λᵢ, by dealer
	member  bool
	own     group.Scalar // what we keep of our own dealing
	deals   map[engine.PartyID]*heard
}

// heard is what one dealer sent in round 4.
type heard struct {
	Deal
	hashes [][hashSize]byte
	mask   share.Dealt
}

// Format redacts under every verb.
func (*judge) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

// Wipe is engine.Wiper.
func (s *judge) Wipe() {
	s.Opened.Wipe()
	if s.own != nil {
		s.own.Wipe()
	}
	for _, d := range s.deals {
		d.mask.Wipe()
	}
}

// maskHash is hᵢⱼ = H(sid, i, j, hᵢ(xⱼ), blindᵢⱼ).
func maskHash(id engine.SessionID, from, to engine.PartyID, d share.Dealt) [hashSize]byte {
	return d.Hash(transcript.GuardMaskHash, id[:], from[:], to[:])
}

// send makes our masks and encryptions, out of wᵢ, which it wipes.
func (s *judge) send(w group.Scalar) (out []engine.Out, err error) {
	u0 := s.Opened.own.values.Constant()
	constant := w.Sub(u0)
	w.Wipe()
	u0.Wipe()
	defer constant.Wipe()
	d := s.deals[s.Self.ID]
	for _, m := range s.Members {
		v, err := share.Deal(s.Opened.own.tail, m.Index, s.Rand)
		if err != nil {
			return wiped(out), err
		}
		tail := v.Value
		v.Value = tail.Add(constant)
		tail.Wipe()
		if m.ID == s.Self.ID {
			s.own = v.Value
			continue
		}
		d.hashes = append(d.hashes, maskHash(s.Session, s.Self.ID, m.ID, v))
		out = append(out, engine.Out{Kind: KindMask, To: m.ID, Body: v.Bytes()})
		v.Wipe()
	}
	for i, g := range s.Plan.Guardians {
		at, _ := s.Plan.At(g.ID)
		u := s.Opened.own.values.Eval(at)
		proof, err := pve.Encrypt(s.terms.context(s.Session, d.Deal, i), u, s.Rand)
		u.Wipe()
		if err != nil {
			return wiped(out), fmt.Errorf("encrypt to guardian %v: %w", g.ID, err)
		}
		d.Proofs = append(d.Proofs, proof)
	}
	return append(out, engine.Out{Kind: KindDeal, Body: encodeDeal(d.hashes, d.Proofs)}), nil
}

// wiped forgets messages that will not leave.
func wiped(out []engine.Out) []engine.Out {
	for _, o := range out {
		secret.Wipe(o.Body)
	}
	return nil
}

func (s *judge) Expect() engine.Expect {
	e := engine.Expect{}
	// Receivers of each dealer are the members but itself.
	e.Wants = append(e.Wants, engine.Want{Kind: KindDeal, From: s.others(), MaxBody: dealSize(len(s.Members)-1, len(s.Plan.Guardians))})
	if s.member {
		e.Wants = append(e.Wants, engine.Want{Kind: KindMask, Direct: true, From: s.others(), MaxBody: share.DealtSize})
	}
	return e
}

func (s *judge) Accept(kind engine.Kind, from engine.PartyID, body []byte) (err error) {
	d := s.deals[from]
	if kind == KindDeal {
		if d.hashes, d.Proofs, err = decodeDeal(len(s.Members)-1, len(s.Plan.Guardians), body); err != nil {
			return engine.Blamed("guard: deal", from, err)
		}
		return nil
	}
	if d.mask, err = share.DecodeDealt(s.Group, body); err != nil {
		return engine.Blamed("guard: mask", from, err)
	}
	return nil
}

// check makes 6.1's checks on one dealer, spec/guard 2.4.
func (s *judge) check(i int, d *heard) *engine.Fault {
	if err := s.terms.checkDeal(s.Session, d.Deal, s.weights[i]); err != nil {
		f := engine.Blamed("guard: encryption", d.Dealer, err)
		f.Strength = engine.Proved // all that it is judged by is public: Set.Verify
		return f
	}
	if !s.member {
		return nil
	}
	// hⱼᵢ opens: only then can we show a bad mask to others.
	if maskHash(s.Session, d.Dealer, s.Self.ID, d.mask) != d.hashes[session.Place(s.Members, d.Dealer, s.Self.ID)] {
		return engine.Blamed("guard: mask hash", d.Dealer, errors.New("does not match the mask sent to us"))
	}
	// hⱼ(xᵢ)·G = Σₖ xᵢᵏ·M_{j,k}.
	if err := d.Masks.Check(s.Self.Index, d.mask.Value); err != nil {
		f := engine.Blamed("guard: mask", d.Dealer, err)
		f.Strength = engine.Proved // see Proves
		return f
	}
	return nil
}

func (s *judge) Finish(t engine.Transcript) (engine.Outcome[Output], error) {
	var none engine.Outcome[Output]
	var faults []*engine.Fault
	out := &Output{Set: &Set{Session: s.Session}, Echo: t}
	for i, id := range s.Dealers {
		d := s.deals[id]
		if id != s.Self.ID {
			if f := s.check(i, d); f != nil {
				faults = append(faults, f)
			}
		}
		out.Set.Deals = append(out.Set.Deals, d.Deal)
	}
	if len(faults) > 0 {
		return none, engine.Merge(faults...)
	}
	if err := out.Set.checkSums(s.terms); err != nil {
		return none, engine.Nobody("guard: sum", err)
	}
	if s.member {
		out.Mask = s.sum()
	}
	s.Wipe()
	return engine.Outcome[Output]{Result: out}, nil
}

// sum is our mask, mⱼ = Σᵢ hᵢ(xⱼ), spec/guard 2.5.
func (s *judge) sum() group.Scalar {
	total := s.Group.Scalar(0)
	for _, id := range s.Dealers {
		part := s.deals[id].mask.Value
		if id == s.Self.ID {
			part = s.own
		}
		next := total.Add(part)
		total.Wipe()
		total = next
	}
	return total
}
