package guard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// Message kinds, by the rounds of the ceremony. Round 1: KindCommit. Round 2: KindOpening. Round 4: KindDeal, KindMask.
const (
	KindCommit  engine.Kind = 0x28 // broadcast of dealers: Cᵢ
	KindOpening engine.Kind = 0x29 // broadcast of dealers: Uᵢ, Mᵢ without its constant, salt
	KindDeal    engine.Kind = 0x2a // broadcast of dealers: hᵢⱼ, encryptions to the guardians
	KindMask    engine.Kind = 0x2b // direct, dealer to member: hᵢ(xⱼ), blindᵢⱼ
)

const hashSize = 32

// Params are what one party needs to take part. Session must digest all but the last two.
type Params struct {
	Session   engine.SessionID
	Group     group.Group
	Parties   []session.Party // of the session, by index; self included
	Members   []session.Party // of the new epoch, by index
	Threshold int             // t of the new epoch
	Dealers   []engine.PartyID
	Plan      *Plan

	Self session.Party
	Rand io.Reader
}

// Dealers are who deals by default: the t members with the lowest indices.
func Dealers(members []session.Party, threshold int) (ids []engine.PartyID) {
	for _, m := range members[:min(threshold, len(members))] {
		ids = append(ids, m.ID)
	}
	return ids
}

func (p Params) check() error {
	i := slices.IndexFunc(p.Parties, func(q session.Party) bool { return q.ID == p.Self.ID })
	switch {
	case p.Session == engine.SessionID{}:
		return errors.New("the session id is zero")
	case p.Group == nil || p.Rand == nil || p.Plan == nil:
		return errors.New("no group, source of randomness or plan")
	case i < 0 || p.Parties[i].Index != p.Self.Index:
		return errors.New("we are not in the list of parties, or at another index")
	}
	if err := session.CheckRoster(p.Members, p.Threshold); err != nil {
		return err
	}
	for _, m := range p.Members {
		if !slices.ContainsFunc(p.Parties, func(q session.Party) bool { return q.ID == m.ID && q.Index == m.Index }) {
			return fmt.Errorf("member %v is no party of the session", m.ID)
		}
	}
	t := Terms{Group: p.Group, Threshold: p.Threshold}
	for _, m := range p.Members {
		t.Members = append(t.Members, Member{Party: m})
	}
	if _, err := t.weights(p.Dealers); err != nil {
		return err
	}
	return p.Plan.Check(p.Threshold)
}

// Opened is what a party holds between the two parts: everybody's commitments, and its own polynomials if it deals.
type Opened struct {
	Params
	own   polynomials
	deals map[engine.PartyID]*opening // of every dealer, our own included
}

// polynomials are a dealer's: uᵢ, and hᵢ without its constant.
type polynomials struct {
	values, tail share.Polynomial
	salt         [hashSize]byte
}

// Wipe is engine.Wiper: it forgets our polynomials.
func (o *Opened) Wipe() {
	o.own.values.Wipe()
	o.own.tail.Wipe()
}

// Format redacts under every verb.
func (*Opened) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

// Start is the first of three stages: polynomials and commitments; openings; checks. It runs beside the ceremony's first three rounds.
// Parameters that do not fit are *engine.Misuse when the session starts.
func Start(p Params) engine.Stage[Opened] {
	return &commit{&Opened{Params: p, deals: map[engine.PartyID]*opening{}}, map[engine.PartyID][]byte{}}
}

func (o *Opened) isDealer(id engine.PartyID) bool { return slices.Contains(o.Dealers, id) }

// others are the dealers but us.
func (o *Opened) others() (ids []engine.PartyID) {
	for _, id := range o.Dealers {
		if id != o.Self.ID {
			ids = append(ids, id)
		}
	}
	return ids
}

// commitHash is Cᵢ = H(sid, i, Uᵢ, Mᵢ without its constant, salt).
func (o *Opened) commitHash(of engine.PartyID, x *opening) [hashSize]byte {
	return transcript.New(transcript.GuardCommit).Bytes(o.Session[:]).Bytes(of[:]).
		Points(x.values...).Points(x.tail...).Bytes(x.salt[:]).Sum256()
}

// commit is round 1, spec/guard 2.1: dealers sample and commit.
type commit struct {
	*Opened
	heard map[engine.PartyID][]byte
}

func (*commit) Expect() engine.Expect                            { return engine.Expect{} }
func (*commit) Accept(engine.Kind, engine.PartyID, []byte) error { return nil }
func (s *commit) Finish(engine.Transcript) (engine.Outcome[Opened], error) {
	var none engine.Outcome[Opened]
	if err := s.check(); err != nil {
		return none, &engine.Misuse{Doing: "share a key with guardians", Err: err}
	}
	out := engine.Outcome[Opened]{Next: &open{s.Opened, s.heard}}
	if !s.isDealer(s.Self.ID) {
		return out, nil
	}
	if err := s.sample(); err != nil {
		return none, fmt.Errorf("guard: %w", err)
	}
	c := s.commitHash(s.Self.ID, s.deals[s.Self.ID])
	out.Send = []engine.Out{{Kind: KindCommit, Body: c[:]}}
	return out, nil
}

// sample is 6.1: uᵢ of degree k−1, hᵢ of degree r−1 with its constant still to come.
func (s *commit) sample() (err error) {
	if s.own.values, err = share.Sample(s.Group, s.Plan.Quorum, nil, s.Rand); err != nil {
		return err
	}
	if s.own.tail, err = share.Sample(s.Group, s.Plan.Operators, s.Group.Scalar(0), s.Rand); err != nil {
		return err
	}
	if _, err := io.ReadFull(s.Rand, s.own.salt[:]); err != nil {
		return fmt.Errorf("read entropy: %w", err)
	}
	s.deals[s.Self.ID] = &opening{values: s.own.values.Commit(), tail: s.own.tail.Commit()[1:], salt: s.own.salt}
	return nil
}

// open is round 2, spec/guard 2.2: after all commitments, dealers open theirs.
type open struct {
	*Opened
	heard map[engine.PartyID][]byte
}

func (s *open) Expect() engine.Expect {
	return engine.Expect{Wants: []engine.Want{{Kind: KindCommit, From: s.others(), MaxBody: hashSize}}}
}

func (s *open) Accept(_ engine.Kind, from engine.PartyID, body []byte) error {
	if len(body) != hashSize {
		return engine.Blamed("guard: commitment", from, fmt.Errorf("has %d bytes, not %d", len(body), hashSize))
	}
	s.heard[from] = body
	return nil
}

func (s *open) Finish(engine.Transcript) (engine.Outcome[Opened], error) {
	out := engine.Outcome[Opened]{Next: &checkOpenings{s.Opened, s.heard}}
	if s.isDealer(s.Self.ID) {
		out.Send = []engine.Out{{Kind: KindOpening, Body: s.deals[s.Self.ID].encode()}}
	}
	return out, nil
}

// checkOpenings hears round 2, spec/guard 2.2.
type checkOpenings struct {
	*Opened
	heard map[engine.PartyID][]byte
}

func (s *checkOpenings) Expect() engine.Expect {
	return engine.Expect{Wants: []engine.Want{{Kind: KindOpening, From: s.others(), MaxBody: openingSize(s.Group, s.Plan)}}}
}

func (s *checkOpenings) Accept(_ engine.Kind, from engine.PartyID, body []byte) error {
	x, err := decodeOpening(s.Group, s.Plan, body)
	if err != nil {
		return engine.Blamed("guard: opening", from, err)
	}
	s.deals[from] = x
	return nil
}

func (s *checkOpenings) Finish(engine.Transcript) (engine.Outcome[Opened], error) {
	var faults []*engine.Fault
	for _, id := range s.others() {
		// Cⱼ opens: nobody chose polynomials after seeing ours.
		if c := s.commitHash(id, s.deals[id]); !bytes.Equal(c[:], s.heard[id]) {
			faults = append(faults, engine.Blamed("guard: opening", id, errors.New("does not match the commitment of round 1")))
		}
	}
	if len(faults) > 0 {
		return engine.Outcome[Opened]{}, engine.Merge(faults...)
	}
	return engine.Outcome[Opened]{Result: s.Opened}, nil
}
