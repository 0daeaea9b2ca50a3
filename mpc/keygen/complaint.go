package keygen

import (
	"slices"

	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// Proves reports whether a complaint convinces anybody who holds the dealer's opening:
// share and blind match the hash that the dealer published for the accuser, and the share
// does not lie on the polynomial that the dealer committed to.
//
// opening is the body of the dealer's KindOpening, after its echo, whose envelope the caller
// has authenticated for p.Session; complaint is the body of the KindShare that the accuser says it
// got, which needs no envelope. Both stand in the Evidence of the fault "keygen: share".
// Of p, Session, Group, Parties and Threshold count. What does not decode, or names a party that p does
// not have, proves nothing.
func Proves(p Params, dealer, accuser engine.PartyID, opening, complaint []byte) bool {
	i := slices.IndexFunc(p.Parties, func(q session.Party) bool { return q.ID == accuser })
	if i < 0 || dealer == accuser || !slices.ContainsFunc(p.Parties, func(q session.Party) bool { return q.ID == dealer }) {
		return false
	}
	o, err := decodeOpening(p.Group, p.Threshold, len(p.Parties), opening)
	if err != nil {
		return false
	}
	d, err := share.DecodeDealt(p.Group, complaint)
	if err != nil {
		return false
	}
	return shareHash(p.Session, dealer, accuser, d) == o.hashes[session.Place(p.Parties, dealer, accuser)] &&
		o.commit.Check(p.Parties[i].Index, d.Value) != nil
}
