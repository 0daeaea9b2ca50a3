package frost_test

import (
	"crypto/ed25519"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/frost"
	"github.com/ostraka/ostraka/mpc/session"
)

// Two parties of a 2-of-2 key sign a message; anybody's Ed25519 accepts it. In production mpc/ceremony
// makes the key, and the node carries the messages.
func Example() {
	ids := enginetest.IDs(2)
	parties := []session.Party{{ID: ids[0], Index: 1}, {ID: ids[1], Index: 2}}

	// What keygen leaves: shares, public shares, the key. A dealer stands for it here.
	g := edwards25519.Group{}
	poly, _ := share.Sample(g, 2, nil, enginetest.Reader(1))
	public := g.BaseMul(poly.Constant())
	shares, publics := map[engine.PartyID]group.Scalar{}, map[engine.PartyID]group.Point{}
	for _, p := range parties {
		shares[p.ID] = poly.Eval(p.Index)
		publics[p.ID] = g.BaseMul(shares[p.ID])
	}

	message := []byte("pay Alice")
	sign := engine.Params{Session: engine.SessionID{2}, Parties: ids, MaxBody: frost.MaxBody, Kinds: frost.Kinds}
	var signers []*engine.Session[frost.Signature]
	for i, p := range parties {
		first, err := frost.Sign(frost.Params{
			Session: sign.Session, KeyID: [32]byte{1}, Suite: frost.Ed25519, Self: p, Signers: parties, Threshold: 2,
			Share: shares[p.ID], Publics: publics, Public: public,
			Message: message, Rand: enginetest.Reader(uint64(20 + i)),
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		s, _ := engine.New(sign, p.ID, first)
		signers = append(signers, s)
	}
	results, err := enginetest.Run(enginetest.Options{}, signers...).Results()
	if err != nil {
		fmt.Println(err)
		return
	}

	key, _ := frost.KeyOf(frost.Ed25519, public, nil, frost.Taproot{})
	fmt.Println("both have it:", results[0] == results[1])
	fmt.Println("verifies:", ed25519.Verify(key.Bytes[:], message, results[0][:]))
	// Output:
	// both have it: true
	// verifies: true
}
