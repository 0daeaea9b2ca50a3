package guard

import (
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// Proves reports whether a complaint convinces anybody who holds the dealer's public messages: mask and blind match the hash that the dealer
// published for the accuser, and the mask does not lie on the polynomial that the dealer committed to.
//
// opening and deal are the bodies of the dealer's KindOpening and KindDeal, whose envelopes the caller has authenticated for the session;
// complaint is the body of the KindMask that the accuser says it got, which needs no envelope. dealers are those of the session, in order.
func Proves(id engine.SessionID, t Terms, dealers []engine.PartyID, dealer, accuser engine.PartyID, opening, deal, complaint []byte) bool {
	weights, err := t.weights(dealers)
	if err != nil || dealer == accuser {
		return false
	}
	a, ok := t.member(accuser)
	d, is := t.member(dealer)
	if !ok || !is {
		return false
	}
	o, err := decodeOpening(t.Group, t.Plan, opening)
	if err != nil {
		return false
	}
	hashes, _, err := decodeDeal(len(t.Members)-1, len(t.Plan.Guardians), deal)
	if err != nil {
		return false
	}
	v, err := share.DecodeDealt(t.Group, complaint)
	if err != nil {
		return false
	}
	var members []session.Party
	for _, m := range t.Members {
		members = append(members, m.Party)
	}
	for i, x := range dealers {
		if x == dealer {
			masks := append(share.Commitment{d.Public.MulVarTime(weights[i]).Sub(o.values[0])}, o.tail...)
			return maskHash(id, dealer, accuser, v) == hashes[session.Place(members, dealer, accuser)] && masks.Check(a.Index, v.Value) != nil
		}
	}
	return false
}
