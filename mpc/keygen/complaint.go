package keygen

import (
	"bytes"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// KindComplaint never travels in a session: it marks, within a Fault's evidence, the share
// and blind that a dealer gave us. The dealer's signed opening stands beside it.
const KindComplaint engine.Kind = 0x1f

// Proves reports whether a complaint convinces anybody who holds the dealer's opening:
// share and blind match the hash that the dealer published for the accuser, and the share
// does not lie on the polynomial that the dealer committed to. opening is the body of the
// dealer's KindOpening, whose envelope the caller has authenticated.
func Proves(p Params, dealer, accuser engine.PartyID, opening, complaint []byte) bool {
	o, err := decodeOpening(p.Group, p.Threshold, len(p.Parties), opening)
	if err != nil {
		return true // a dealer's authentic opening that does not decode is a fault by itself
	}
	s, blind, err := decodeShare(p.Group, complaint)
	if err != nil || dealer == accuser {
		return false
	}
	i := slices.IndexFunc(p.Parties, func(q session.Party) bool { return q.ID == accuser })
	if i < 0 {
		return false
	}
	p.Self = p.Parties[i]
	r := &run{Params: p}
	return shareHash(p.Session, dealer, accuser, s, blind) == o.hashes[r.hashPosition(dealer)] &&
		!onPolynomial(p.Group, s, o, p.Self)
}

func onPolynomial(g group.Group, s group.Scalar, o *opening, at session.Party) bool {
	return g.BaseMul(s).Equal(o.commit.Eval(at.Index))
}

func sortIDs(ids []engine.PartyID) {
	slices.SortFunc(ids, func(a, b engine.PartyID) int { return bytes.Compare(a[:], b[:]) })
}
