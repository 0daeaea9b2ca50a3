package ceremony

import (
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/mpc/session"
)

// Guards (spec/ceremonies 3.1) says in a Setup who guards the epoch that is made, and who deals to them. It is the payload of a key generation, and part of a
// Change.
type Guards struct {
	Plan    *guard.Plan
	Dealers []engine.PartyID // t members, by index
}

// GuardedBy is a plan with the dealers that an opener names. Without a plan it is nil.
func GuardedBy(p *guard.Plan, members []session.Party, threshold int) *Guards {
	if p == nil {
		return nil
	}
	return &Guards{p, guard.Dealers(members, threshold)}
}

const (
	fieldGuardPlan transcript.Tag = iota + 1
	fieldGuardDealers
)

// Encode is the canonical form; of nil, no bytes.
func (g *Guards) Encode() []byte {
	if g == nil {
		return nil
	}
	var e transcript.Encoder
	e.Bytes(fieldGuardPlan, g.Plan.Encode())
	e.List(fieldGuardDealers, len(g.Dealers), func(i int, e *transcript.Encoder) { e.Bytes(1, g.Dealers[i][:]) })
	return e.Sum()
}

func decodeGuards(b []byte) (*Guards, error) {
	if len(b) == 0 {
		return nil, nil
	}
	d, g := transcript.NewDecoder(b), &Guards{}
	plan := d.Bytes(fieldGuardPlan, session.MaxPayload)
	d.List(fieldGuardDealers, 2, session.MaxParties, func(_ int, d *transcript.Decoder) {
		var id engine.PartyID
		copy(id[:], d.Fixed(1, len(id)))
		g.Dealers = append(g.Dealers, id)
	})
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode guardians: %w", err)
	}
	var err error
	if g.Plan, err = guard.DecodePlan(plan); err != nil {
		return nil, err
	}
	return g, nil
}

// ErrGuards says that the opener of a ceremony and we do not name the same guardians.
var ErrGuards = errors.New("the guardians that the opener names are not those of our charter: both nodes must have the same charter in force")

// match holds what the opener named to our own copy: never the opener's (protocols.md 0.2).
func (g *Guards) match(own *guard.Plan) error {
	if (g == nil) != (own == nil) || g != nil && g.Plan.Hash() != own.Hash() {
		return ErrGuards
	}
	return nil
}
