package reshare_test

import (
	"crypto/ed25519"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/reshare"
	"github.com/ostraka/ostraka/mpc/session"
)

// Of a 2-of-3 key, party 1's machine is lost. Parties 2 and 3 reshare to themselves and to party 4,
// who gets an index that nobody had before. In production the old record comes from each node's own store.
func Example() {
	var seats []session.Party
	var signers []session.Signer
	for i, id := range enginetest.IDs(4) {
		public, private, _ := ed25519.GenerateKey(enginetest.Reader(uint64(i)))
		seats = append(seats, session.Party{ID: id, Index: share.Index(i + 1), Identity: public})
		signers = append(signers, session.NewSigner(private))
	}
	g := secp256k1.Group{}
	f, _ := share.Sample(g, 2, nil, enginetest.Reader(10)) // in production: keygen
	old := reshare.Old{Group: g, Public: f.Commit()[0], Threshold: 2}
	shares := map[engine.PartyID]group.Scalar{}
	for _, p := range seats[:3] {
		shares[p.ID] = f.Eval(p.Index)
		old.Members = append(old.Members, reshare.Member{Party: p, Public: g.BaseMul(shares[p.ID])})
	}

	parties, quorum := seats[1:], []engine.PartyID{seats[1].ID, seats[2].ID}
	dealers, err := old.Dealers(quorum)
	if err != nil {
		fmt.Println(err)
		return
	}
	setup := engine.Params{Session: engine.SessionID{1}, Parties: enginetest.IDs(4)[1:], MaxBody: 4096, Kinds: 2}
	var sessions []*engine.Session[reshare.Output]
	for i, p := range parties {
		params := reshare.Params{
			Session: setup.Session, Group: g, Parties: parties, Dealers: dealers, Receivers: setup.Parties, Threshold: 2,
			Public: old.Public, Self: p, Sign: signers[i+1], Rand: enginetest.Reader(uint64(20 + i)),
		}
		if s := shares[p.ID]; s != nil {
			params.Secret, _ = old.Contribution(quorum, p.ID, s)
		}
		s, _ := engine.New(setup, p.ID, reshare.Start(params))
		sessions = append(sessions, s)
	}
	outs, err := enginetest.Run(enginetest.Options{}, sessions...).Results()
	if err != nil {
		fmt.Println(err)
		return
	}
	x, _ := share.Interpolate(g, []share.Index{2, 4}, []group.Scalar{outs[0].Share, outs[2].Share})
	fmt.Println("the same key:", outs[2].Public.Equal(old.Public), g.BaseMul(x).Equal(old.Public))
	fmt.Println("another share:", !outs[0].Share.Equal(shares[parties[0].ID]))
	fmt.Println("our share:", outs[0].Share)
	// Output:
	// the same key: true true
	// another share: true
	// our share: [secret]
}
