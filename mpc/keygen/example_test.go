package keygen_test

import (
	"crypto/ed25519"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/keygen"
	"github.com/ostraka/ostraka/mpc/session"
)

// Three parties make a 2-of-3 key. In production mpc/ceremony runs pair set-up beside it,
// and the node carries the messages.
func Example() {
	var parties []session.Party
	var signers []session.Signer
	for i, id := range enginetest.IDs(3) {
		public, private, _ := ed25519.GenerateKey(enginetest.Reader(uint64(i)))
		parties = append(parties, session.Party{ID: id, Index: share.Index(i + 1), Identity: public})
		signers = append(signers, session.NewSigner(private))
	}
	setup := engine.Params{Session: engine.SessionID{1}, Parties: enginetest.IDs(3), MaxBody: 4096, Kinds: 2}
	var sessions []*engine.Session[keygen.Output]
	for i, p := range parties {
		first := keygen.Start(keygen.Params{
			Session: setup.Session, Group: secp256k1.Group{}, Self: p, Parties: parties, Threshold: 2,
			Sign: signers[i], Rand: enginetest.Reader(uint64(10 + i)),
		})
		s, _ := engine.New(setup, p.ID, first)
		sessions = append(sessions, s)
	}
	outs, err := enginetest.Run(enginetest.Options{}, sessions...).Results()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("one key:", outs[0].Public.Equal(outs[2].Public))
	fmt.Println("our share:", outs[0].Share)
	fmt.Println("matches:", outs[0].Publics[parties[0].ID].Equal(secp256k1.Group{}.BaseMul(outs[0].Share)))
	// Output:
	// one key: true
	// our share: [secret]
	// matches: true
}
