package guard

import (
	"errors"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// Proves is spec/guard 5.1: it reports whether a complaint convinces anybody who holds the dealer's public messages: mask and blind match the hash that the dealer
// published for the accuser, and the mask does not lie on the polynomial that the dealer committed to.
//
// opening and deal are the bodies of the dealer's KindOpening and KindDeal, whose envelopes the caller has authenticated for the session;
// complaint is the body of the KindMask that the accuser says it got, which needs no envelope. dealers are those of the session, in order.
func Proves(id engine.SessionID, t Terms, dealers []engine.PartyID, dealer, accuser engine.PartyID, opening, deal, complaint []byte) bool {
	a, ok := t.member(accuser)
	if !ok || dealer == accuser {
		return false
	}
	d, hashes, _, err := t.shown(dealers, dealer, opening, deal)
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
	return maskHash(id, dealer, accuser, v) == hashes[session.Place(members, dealer, accuser)] && d.Masks.Check(a.Index, v.Value) != nil
}

// ProvesEncryption reports whether a dealer's public messages show by themselves that one of its encryptions does not hold. opening, deal and dealers
// are as for Proves. It costs about 13 ms for each guardian.
func ProvesEncryption(id engine.SessionID, t Terms, dealers []engine.PartyID, dealer engine.PartyID, opening, deal []byte) bool {
	d, _, weight, err := t.shown(dealers, dealer, opening, deal)
	return err == nil && t.checkDeal(id, d, weight) != nil
}

// shown is a dealer's part of the set, with the hashes of its masks and its weight, out of its public messages.
func (t Terms) shown(dealers []engine.PartyID, dealer engine.PartyID, opening, deal []byte) (d Deal, hashes [][hashSize]byte, weight group.Scalar, err error) {
	weights, err := t.weights(dealers)
	if err != nil {
		return d, nil, nil, err
	}
	i := slices.Index(dealers, dealer)
	if i < 0 {
		return d, nil, nil, errors.New("it is no dealer")
	}
	o, err := decodeOpening(t.Group, t.Plan, opening)
	if err != nil {
		return d, nil, nil, err
	}
	hashes, proofs, err := decodeDeal(len(t.Members)-1, len(t.Plan.Guardians), deal)
	if err != nil {
		return d, nil, nil, err
	}
	m, _ := t.member(dealer)
	d = o.deal(m, weights[i])
	d.Proofs = proofs
	return d, hashes, weights[i], nil
}
