package guard

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// Bounds of a plan.
const (
	MinQuorum    = 2 // k
	MaxGuardians = 32
	MaxDeals     = 48 // t·m: encryptions in one set, which must fit into one write of a node's store
)

// A Plan (spec/guard 1) says who guards a key: what all parties of a ceremony must have decided alike. It travels in the Setup, and its hash stands
// in the epoch's record.
type Plan struct {
	Terms     [32]byte   // hash of the vault's SOS plan in the charter, which says what else it takes
	Operators int        // r: 1…t−1 live operators
	Quorum    int        // k: 2…m−1 guardians
	Guardians []Guardian // m, in ascending order of their ids; the first stands at 1, the next at 2, …
}

// A Guardian holds an offline key.
type Guardian struct {
	ID  engine.PartyID
	Key pve.Key // ek, whose owner has proved that it is theirs
}

const (
	fieldTerms transcript.Tag = iota + 1
	fieldOperators
	fieldQuorum
	fieldGuardians
)

const (
	fieldGuardianID transcript.Tag = iota + 1
	fieldGuardianKey
)

// Encode is the canonical form.
func (p *Plan) Encode() []byte {
	var e transcript.Encoder
	e.Bytes(fieldTerms, p.Terms[:]).Uint(fieldOperators, uint64(p.Operators)).Uint(fieldQuorum, uint64(p.Quorum))
	e.List(fieldGuardians, len(p.Guardians), func(i int, e *transcript.Encoder) {
		e.Bytes(fieldGuardianID, p.Guardians[i].ID[:]).Bytes(fieldGuardianKey, p.Guardians[i].Key[:])
	})
	return e.Sum()
}

// DecodePlan reads the canonical form and checks it against itself.
func DecodePlan(b []byte) (*Plan, error) {
	d, p := transcript.NewDecoder(b), &Plan{}
	copy(p.Terms[:], d.Fixed(fieldTerms, 32))
	p.Operators, p.Quorum = int(d.Uint(fieldOperators, session.MaxParties)), int(d.Uint(fieldQuorum, MaxGuardians))
	d.List(fieldGuardians, MinQuorum+1, MaxGuardians, func(_ int, d *transcript.Decoder) {
		var g Guardian
		copy(g.ID[:], d.Fixed(fieldGuardianID, len(g.ID)))
		if raw := d.Fixed(fieldGuardianKey, len(g.Key)); d.Err() == nil {
			var err error
			if g.Key, err = pve.ParseKey(raw); err != nil {
				d.Fail(fieldGuardianKey, err)
			}
		}
		p.Guardians = append(p.Guardians, g)
	})
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode guardians' plan: %w", err)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("decode guardians' plan: %w", err)
	}
	return p, nil
}

// Hash is the guardian-set hash of the epoch's record.
func (p *Plan) Hash() [32]byte {
	return transcript.New(transcript.GuardPlan).Bytes(p.Encode()).Sum256()
}

// Check says whether a committee of threshold t may have this plan.
func (p *Plan) Check(threshold int) error {
	if err := p.check(); err != nil {
		return fmt.Errorf("guardians' plan: %w", err)
	}
	// With t operators there is a quorum: nobody needs guardians. With r = t the guardians would guard nothing.
	if p.Operators < 1 || p.Operators >= threshold {
		return fmt.Errorf("guardians' plan: %d operators beside guardians; it must be 1 to %d of a threshold of %d", p.Operators, threshold-1, threshold)
	}
	if n := threshold * len(p.Guardians); n > MaxDeals {
		return fmt.Errorf("guardians' plan: %d guardians with a threshold of %d take %d encryptions, at most %d are allowed: have fewer guardians", len(p.Guardians), threshold, n, MaxDeals)
	}
	return nil
}

func (p *Plan) check() error {
	if m := len(p.Guardians); m > MaxGuardians || p.Quorum < MinQuorum || p.Quorum >= m {
		return fmt.Errorf("%d of %d guardians; it must be %d or more, and fewer than all, of at most %d", p.Quorum, m, MinQuorum, MaxGuardians)
	}
	keys := make([]pve.Key, len(p.Guardians))
	for i, g := range p.Guardians {
		if i > 0 && string(g.ID[:]) <= string(p.Guardians[i-1].ID[:]) {
			return fmt.Errorf("guardian %v is not the next in ascending order", g.ID)
		}
		if g.ID == engine.Everyone {
			return errors.New("a guardian has id 0")
		}
		keys[i] = g.Key
	}
	return pve.CheckDistinct(keys)
}

// At is where a guardian's value lies: its place in the plan, from 1.
func (p *Plan) At(id engine.PartyID) (share.Index, bool) {
	i := slices.IndexFunc(p.Guardians, func(g Guardian) bool { return g.ID == id })
	return share.Index(i + 1), i >= 0
}
