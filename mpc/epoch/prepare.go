package epoch

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// Messages of the last round of a ceremony: broadcasts, eh ‖ signature.
const (
	KindPrep  engine.Kind = 0x30 // of every member
	KindOldOK engine.Kind = 0x31 // of every dealer without a seat in the new record
)

const prepSize = 32 + ed25519.SignatureSize

// Prepare is the end of a key's first ceremony. Its outcome keeps save durably, then sends
// our PREP; the stage after it waits for everybody's and results in the certificate. A
// record of a later epoch panics: PrepareChild makes its checks.
func Prepare(r *Record, self engine.PartyID, save []engine.Record, sign session.Signer) engine.Outcome[Cert] {
	if r.Epoch != 0 {
		panic("epoch: Prepare is for epoch 0")
	}
	return prepare(r, nil, nil, nil, self, save, sign)
}

// A Change is what the last round of a later epoch's ceremony needs besides the record.
type Change struct {
	Parent  *Record          // our own copy of what is current here, or what a chain proved
	Dealers []engine.PartyID // S, the old members who dealt
	// LowerThreshold says that our operator agreed to a threshold below the parent's. Without
	// it, S alone could cut the threshold (protocols.md 1.2).
	LowerThreshold bool
	// Rescue are the grounds of a guarded reshare, whose dealers are the contributors: the caller has held them to the vault's plan.
	Rescue *Grounds
}

// ErrLowerThreshold says that a record asks for fewer shares than its parent, and our
// operator did not agree to that.
var ErrLowerThreshold = errors.New("the threshold would be lower than now, and our operator did not agree to that")

// Check says whether we may prepare r. The ceremony makes this check before anything is dealt
// too, as far as the record is known then: Allows.
func (c *Change) Check(r *Record, self engine.PartyID) error {
	if c.Parent == nil {
		return errors.New("prepare: the parent is missing")
	}
	if err := c.Parent.CheckChild(r); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	if err := c.Allows(r.Threshold, r.Parties()); err != nil {
		return err
	}
	if err := c.Rescue.fits(r); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	if _, ok := r.Member(self); !ok && !slices.ContainsFunc(c.leavers(r), func(m Member) bool { return m.ID == self }) {
		return errors.New("prepare: we are neither a dealer nor a member of the new record")
	}
	return nil
}

// Allows says whether a ceremony may change the committee to these seats and this threshold:
// dealers are members of the parent, their number and that of the old members who stay make
// a quorum, and a lower threshold has our operator's word and all old members.
func (c *Change) Allows(threshold int, seats []session.Party) error {
	if c.Parent == nil {
		return errors.New("prepare: the parent is missing")
	}
	next := &Record{Threshold: threshold, Members: make([]Member, len(seats))}
	for i, p := range seats {
		next.Members[i].Party = p
	}
	for i, id := range c.Dealers {
		if _, ok := c.Parent.Member(id); !ok || slices.Contains(c.Dealers[:i], id) {
			return fmt.Errorf("prepare: dealer %v is no member of the parent, or stands twice", id)
		}
	}
	if c.Rescue != nil {
		return c.Rescue.allows(c.Parent, len(c.Dealers), threshold, seats)
	}
	if len(c.Dealers) < c.Parent.Threshold {
		return fmt.Errorf("prepare: %d dealers, the parent's threshold is %d", len(c.Dealers), c.Parent.Threshold)
	}
	if c.Parent.Lowers(next) && !c.LowerThreshold {
		return fmt.Errorf("prepare: threshold %d after %d: %w", threshold, c.Parent.Threshold, ErrLowerThreshold)
	}
	agree := len(c.Parent.Members) - len(c.Parent.leaving(next)) + len(c.leavers(next))
	if need := c.Parent.quorum(next); agree < need {
		return fmt.Errorf("prepare: %d of %d old members take part, %d must", agree, len(c.Parent.Members), need)
	}
	return nil
}

// leavers are S∖N: the dealers whose agreement is an OLDOK, in the parent's order. A dealer
// that keeps its place under a new identity key signs PREP with that alone.
func (c *Change) leavers(r *Record) []Member {
	return slices.DeleteFunc(c.Parent.leaving(r), func(m Member) bool {
		_, stays := r.Member(m.ID)
		return stays || !slices.Contains(c.Dealers, m.ID)
	})
}

// PrepareChild is the end of every later ceremony, for members of the new record and for
// dealers who leave. Its outcome keeps save durably (the record is among it also for who leaves:
// what one signed is kept for ever), then sends our PREP or OLDOK; the stage after it waits for
// PREP of all members and OLDOK of all dealers who leave, and results in the certificate.
func PrepareChild(r *Record, c Change, self engine.PartyID, save []engine.Record, sign session.Signer) (engine.Outcome[Cert], error) {
	if err := c.Check(r, self); err != nil {
		return engine.Outcome[Cert]{}, err
	}
	return prepare(r, c.Parent, c.leavers(r), c.Rescue, self, save, sign), nil
}

func prepare(r, parent *Record, leavers []Member, rescue *Grounds, self engine.PartyID, save []engine.Record, sign session.Signer) engine.Outcome[Cert] {
	eh := r.Hash()
	next := &collect{record: r, eh: eh, parent: parent, leavers: leavers, rescue: rescue, self: self, sigs: map[engine.PartyID][]byte{}}
	kind := KindPrep
	if _, ok := r.Member(self); ok {
		next.sigs[self] = SignPrep(eh, sign)
	} else {
		kind, next.sigs[self] = KindOldOK, SignOldOK(eh, sign)
	}
	return engine.Outcome[Cert]{
		Save: save,
		Send: []engine.Out{{Kind: kind, Body: append(eh[:], next.sigs[self]...)}},
		Next: next,
	}
}

// collect waits for PREP of all members and OLDOK of the dealers who leave.
type collect struct {
	record  *Record
	eh      Hash
	parent  *Record // nil in epoch 0
	leavers []Member
	rescue  *Grounds
	self    engine.PartyID
	sigs    map[engine.PartyID][]byte // PREP or OLDOK: no party sends both
}

func (s *collect) others(members []Member) (from []engine.PartyID) {
	for _, m := range members {
		if m.ID != s.self {
			from = append(from, m.ID)
		}
	}
	return from
}

func (s *collect) Expect() engine.Expect {
	e := engine.Expect{Wants: []engine.Want{{Kind: KindPrep, From: s.others(s.record.Members), MaxBody: prepSize}}}
	if from := s.others(s.leavers); len(from) > 0 {
		e.Wants = append(e.Wants, engine.Want{Kind: KindOldOK, From: from, MaxBody: prepSize})
	}
	return e
}

func (s *collect) Accept(kind engine.Kind, from engine.PartyID, body []byte) error {
	check := "epoch: prep"
	if kind == KindOldOK {
		check = "epoch: old-ok"
	}
	if len(body) != prepSize {
		return engine.Blamed(check, from, fmt.Errorf("has %d bytes, not %d", len(body), prepSize))
	}
	// All broadcasts agree by now, so whoever made another record lied.
	if Hash(body[:32]) != s.eh {
		return engine.Blamed(check, from, fmt.Errorf("is for record %v, ours is %v", Hash(body[:32]), s.eh))
	}
	var err error
	if kind == KindOldOK {
		err = CheckOldOK(s.parent, s.eh, from, body[32:])
	} else {
		err = CheckPrep(s.record, from, body[32:])
	}
	if err != nil {
		return engine.Blamed(check, from, err)
	}
	s.sigs[from] = body[32:]
	return nil
}

func (s *collect) Finish(engine.Transcript) (engine.Outcome[Cert], error) {
	c := &Cert{Record: s.eh, Rescue: s.rescue}
	for _, m := range s.record.Members {
		c.Preps = append(c.Preps, s.sigs[m.ID])
	}
	for _, m := range s.leavers {
		c.Olds = append(c.Olds, OldOK{m.ID, s.sigs[m.ID]})
	}
	return engine.Outcome[Cert]{Result: c}, nil
}
