package reshare

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// Old is the record of the epoch that is left, as far as dealing goes. It is each party's own
// copy: one that a peer sent along would let that peer choose the key.
type Old struct {
	Group     group.Group
	Public    group.Point // X
	Threshold int         // t
	Members   []Member    // by index
}

// A Member is one party of the old epoch.
type Member struct {
	session.Party
	Public group.Point // Xᵢ
}

// Dealers are the old members of a quorum, and as their constants λᵢ·Xᵢ, λ over that quorum. It
// refuses a record whose public shares do not lie on one polynomial of degree t−1 with value X at 0 (protocols.md
// 1.2: such a record could deceive a new member), and a quorum with fewer than t members.
func (o Old) Dealers(quorum []engine.PartyID) ([]Dealer, error) {
	at, err := o.indices(quorum)
	if err != nil {
		return nil, err
	}
	var dealers []Dealer
	for k, id := range quorum {
		lambda, err := share.Lagrange(o.Group, at[k], at)
		if err != nil {
			return nil, fmt.Errorf("weigh quorum: %w", err)
		}
		dealers = append(dealers, Dealer{ID: id, Constant: o.member(id).Public.MulVarTime(lambda)})
	}
	return dealers, nil
}

// Contribution is wᵢ = λᵢ·sᵢ, what a member of the quorum deals. It is as secret as the share: the
// caller wipes it when the session has started. A share that is not the record's is refused.
func (o Old) Contribution(quorum []engine.PartyID, self engine.PartyID, s group.Scalar) (group.Scalar, error) {
	at, err := o.indices(quorum)
	if err != nil {
		return nil, err
	}
	k := slices.Index(quorum, self)
	if k < 0 {
		return nil, errors.New("weigh our share: we are not in the quorum")
	}
	if !o.Group.BaseMul(s).Equal(o.member(self).Public) {
		return nil, errors.New("weigh our share: it is not that of the record, but of another epoch")
	}
	lambda, err := share.Lagrange(o.Group, at[k], at)
	if err != nil {
		return nil, fmt.Errorf("weigh our share: %w", err)
	}
	return lambda.Mul(s), nil
}

// CheckSeats wants members who stay to keep their index, and no one else to have an old member's. Indices of
// still earlier epochs, and identity keys, are the caller's to check: a party may have changed its key.
func (o Old) CheckSeats(parties []session.Party) error {
	for _, p := range parties {
		for _, m := range o.Members {
			switch {
			case m.ID == p.ID && m.Index != p.Index:
				return fmt.Errorf("party %v had index %d and now has %d", p.ID, m.Index, p.Index)
			// Two holders of one index have points of two polynomials, which nobody can tell apart.
			case m.ID != p.ID && m.Index == p.Index:
				return fmt.Errorf("party %v has index %d, which was party %v's", p.ID, p.Index, m.ID)
			}
		}
	}
	return nil
}

// member is one that indices has found.
func (o Old) member(id engine.PartyID) Member {
	return o.Members[o.place(id)]
}

func (o Old) place(id engine.PartyID) int {
	return slices.IndexFunc(o.Members, func(m Member) bool { return m.ID == id })
}

// indices checks the record and the quorum, and gives the quorum's indices in its order.
func (o Old) indices(quorum []engine.PartyID) (at []share.Index, err error) {
	var all []share.Index
	var parties []session.Party
	var points []group.Point
	for _, m := range o.Members {
		all, points, parties = append(all, m.Index), append(points, m.Public), append(parties, m.Party)
	}
	if err := session.CheckRoster(parties, o.Threshold); err != nil {
		return nil, fmt.Errorf("old epoch: %w", err)
	}
	if err := share.CheckPublicShares(o.Group, o.Public, all, points, o.Threshold); err != nil {
		return nil, fmt.Errorf("old epoch: %w", err)
	}
	if len(quorum) < o.Threshold {
		return nil, fmt.Errorf("quorum of %d, %d are needed", len(quorum), o.Threshold)
	}
	for k, id := range quorum {
		i := o.place(id)
		if i < 0 || slices.Contains(quorum[:k], id) {
			return nil, fmt.Errorf("quorum: party %v is no member of the old epoch, or stands twice", id)
		}
		at = append(at, o.Members[i].Index)
	}
	return at, nil
}
