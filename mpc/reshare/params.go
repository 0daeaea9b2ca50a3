package reshare

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// Params are what one party needs to take part. Session must digest all but the last four of
// them: parties that disagree about a constant would blame each other.
//
// A run with Publics is a refresh: every party deals and receives, and Dealers and Receivers are empty.
type Params struct {
	Session   engine.SessionID
	Group     group.Group
	Parties   []session.Party                // dealers and receivers, by index; self included
	Dealers   []Dealer                       // the old quorum S
	Receivers []engine.PartyID               // the new committee N
	Threshold int                            // t′: 2…n′ new shares are needed to sign
	Public    group.Point                    // X
	ChainCode [32]byte                       // cc: goes unchanged into the output
	Publics   map[engine.PartyID]group.Point // of a refresh: Xⱼ of the record that is left
	Absent    []Absent                       // of a guarded reshare: guardians, who dealt before the session

	Self   session.Party
	Secret group.Scalar // wᵢ if we deal, in a refresh sᵢ, else nil; copied when the session starts
	Sign   session.Signer
	Rand   io.Reader
}

// A Dealer is a party of a reshare that deals, and what everybody demands of it. Both values
// come from our own record, never from a message: see Old.Dealers.
type Dealer struct {
	ID       engine.PartyID
	Constant group.Point  // B_{i,0}, what its polynomial must have at 0: wᵢ·G
	Weight   group.Scalar // by which receivers multiply what it deals; nil is 1
}

// An Absent (spec/reshare 1.8) deals without being a party: a guardian, whose contribution the caller has checked (protocols.md 6.2). The hash of what it
// sent is part of what the session digests.
type Absent struct {
	Commit share.Commitment // B_g: t′ points, the first what its weight is for
	Weight group.Scalar
	Value  group.Scalar // g_g(x′) at our index if we receive, else nil; copied when the session starts
}

func (p Params) refreshes() bool { return p.Publics != nil }

// dealers are those who deal, by index.
func (p Params) dealers() []session.Party {
	return p.only(func(q session.Party) bool {
		return slices.ContainsFunc(p.Dealers, func(d Dealer) bool { return d.ID == q.ID })
	})
}

// receivers are those who get a new share, by index.
func (p Params) receivers() []session.Party {
	return p.only(func(q session.Party) bool { return slices.Contains(p.Receivers, q.ID) })
}

func (p Params) only(has func(session.Party) bool) (some []session.Party) {
	for _, q := range p.Parties {
		if p.refreshes() || has(q) {
			some = append(some, q)
		}
	}
	return some
}

// terms are what is demanded of a dealer; a refresh demands nothing but zero.
func (p Params) terms(id engine.PartyID) Dealer {
	for _, d := range p.Dealers {
		if d.ID == id {
			return d
		}
	}
	return Dealer{ID: id}
}

func (p Params) check() error {
	i := slices.IndexFunc(p.Parties, func(q session.Party) bool { return q.ID == p.Self.ID })
	switch {
	case p.Session == engine.SessionID{}:
		return errors.New("the session id is zero")
	case p.Group == nil || p.Sign == nil || p.Rand == nil:
		return errors.New("no group, signer or source of randomness")
	case p.Public == nil || p.Public.IsIdentity():
		return errors.New("no public key")
	case i < 0 || p.Parties[i].Index != p.Self.Index:
		return errors.New("we are not in the list of parties, or at another index")
	}
	if err := session.CheckRoster(p.Parties, 2); err != nil {
		return err
	}
	if err := p.checkRoles(); err != nil {
		return err
	}
	if err := session.CheckRoster(p.receivers(), p.Threshold); err != nil {
		return fmt.Errorf("receivers: %w", err)
	}
	if p.refreshes() {
		return p.checkRefresh()
	}
	return p.checkDealers()
}

// checkRoles wants every party to deal or to receive, and each role to be given once.
func (p Params) checkRoles() error {
	if p.refreshes() {
		if len(p.Dealers) > 0 || len(p.Receivers) > 0 || len(p.Absent) > 0 {
			return errors.New("a refresh has no list of dealers or receivers: all deal, all receive")
		}
		return nil
	}
	dealers, receivers := p.dealers(), p.receivers()
	// A list with a repeat or with a stranger is longer than what the parties give.
	if len(dealers) != len(p.Dealers) || len(receivers) != len(p.Receivers) {
		return errors.New("a dealer or receiver stands twice, or is no party")
	}
	if len(dealers) < 1 || len(dealers)+len(p.Absent) < 2 {
		return fmt.Errorf("%d dealers: who deals alone knows the key", len(dealers))
	}
	for _, q := range p.Parties {
		same := func(r session.Party) bool { return r.ID == q.ID }
		if !slices.ContainsFunc(dealers, same) && !slices.ContainsFunc(receivers, same) {
			return fmt.Errorf("party %v neither deals nor receives", q.ID)
		}
	}
	return nil
}

// checkDealers wants the constants to give the key, and ours to be that of our secret.
func (p Params) checkDealers() error {
	var own group.Point
	sum := p.Group.Identity()
	for _, d := range p.Dealers {
		switch {
		case d.Constant == nil || d.Constant.IsIdentity():
			return fmt.Errorf("dealer %v has no constant", d.ID)
		case d.Weight != nil && d.Weight.IsZero():
			return fmt.Errorf("dealer %v has weight 0", d.ID)
		case d.ID == p.Self.ID:
			own = d.Constant
		}
		sum = sum.Add(weighted(d.Constant, d.Weight))
	}
	for i, a := range p.Absent {
		if err := p.checkAbsent(a); err != nil {
			return fmt.Errorf("absent dealer %d: %w", i, err)
		}
		sum = sum.Add(weighted(a.Commit[0], a.Weight))
	}
	// Σ weight·B_{i,0} = X: since every B_{i,0} is then held to its constant, the key stays.
	if !sum.Equal(p.Public) {
		return errors.New("the dealers' constants do not give the public key")
	}
	if own == nil && p.Secret != nil {
		return errors.New("we do not deal, but have a secret to deal")
	}
	if own != nil && (p.Secret == nil || !p.Group.BaseMul(p.Secret).Equal(own)) {
		return errors.New("our secret is not that of our constant: it is a share of another epoch")
	}
	return nil
}

// checkAbsent wants exactly t′ points (threshold raise and cut), and the value at our index to be that of the commitment.
func (p Params) checkAbsent(a Absent) error {
	receives := slices.Contains(p.Receivers, p.Self.ID)
	switch {
	case len(a.Commit) != p.Threshold:
		return fmt.Errorf("%d points, exactly %d are allowed", len(a.Commit), p.Threshold)
	case a.Weight == nil || a.Weight.IsZero():
		return errors.New("it has no weight, or 0")
	case receives != (a.Value != nil):
		return errors.New("a value stands where we do not receive, or is missing where we do")
	case receives && a.Commit.Check(p.Self.Index, a.Value) != nil:
		return errors.New("its value is not that of its commitment")
	}
	return nil
}

// checkRefresh wants the record's public shares to lie on one polynomial, and ours to be that
// of our share.
func (p Params) checkRefresh() error {
	var at []share.Index
	var points []group.Point
	for _, q := range p.Parties {
		x := p.Publics[q.ID]
		if x == nil {
			return fmt.Errorf("no public share of party %v", q.ID)
		}
		at, points = append(at, q.Index), append(points, x)
	}
	if len(p.Publics) != len(p.Parties) {
		return errors.New("not all members of the record are there: a refresh needs all of them")
	}
	if err := share.CheckPublicShares(p.Group, p.Public, at, points, p.Threshold); err != nil {
		return err
	}
	if p.Secret == nil || !p.Group.BaseMul(p.Secret).Equal(p.Publics[p.Self.ID]) {
		return errors.New("our share is not that of our public share: it is one of another epoch")
	}
	return nil
}

func weighted(p group.Point, by group.Scalar) group.Point {
	if by == nil {
		return p
	}
	return p.MulVarTime(by)
}
