package reshare

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
// got, which needs no envelope. Both stand in the Evidence of the fault "reshare: share".
// Of p, Session, Group, Parties, Dealers, Receivers, Threshold and whether there are Publics count. What does
// not decode, or names a party that does not deal or receive, proves nothing.
func Proves(p Params, dealer, accuser engine.PartyID, opening, complaint []byte) bool {
	is := func(id engine.PartyID) func(session.Party) bool {
		return func(q session.Party) bool { return q.ID == id }
	}
	receivers := p.receivers()
	i := slices.IndexFunc(receivers, is(accuser))
	if i < 0 || dealer == accuser || !slices.ContainsFunc(p.dealers(), is(dealer)) {
		return false
	}
	o, err := p.layout(dealer).decode(opening)
	if err != nil {
		return false
	}
	d, err := share.DecodeDealt(p.Group, complaint)
	if err != nil {
		return false
	}
	return shareHash(p.Session, dealer, accuser, d) == o.hashes[session.Place(receivers, dealer, accuser)] &&
		o.commit.Check(receivers[i].Index, d.Value) != nil
}
