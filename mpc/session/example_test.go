package session_test

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/session"
)

// Alice opens a session with Bob; both join; she sends him one private message.
func Example() {
	var parties []session.Party
	var signers []session.Signer
	for i := range 2 {
		seed := [32]byte{byte(i)}
		key := ed25519.NewKeyFromSeed(seed[:])
		pub := key.Public().(ed25519.PublicKey)
		parties = append(parties, session.Party{ID: session.IDOf(pub), Index: share.Index(i + 1), Identity: pub})
		signers = append(signers, session.NewSigner(key))
	}

	setup := &session.Setup{
		Protocol: "sign", Suite: "ecdsa-secp256k1", Threshold: 2, Parties: parties,
		Opener: parties[0].ID, NotAfter: time.Unix(1_800_000_000, 0),
	}
	frame, _ := session.SealSetup(setup, signers[0])
	theirs, err := session.OpenSetup(frame) // then Bob checks it against his own records
	if err != nil {
		fmt.Println(err)
		return
	}

	alice, fromAlice, _ := session.NewJoin(setup, parties[0].ID, session.Standing{}, enginetest.Reader(1), signers[0])
	bob, fromBob, _ := session.NewJoin(theirs, parties[1].ID, session.Standing{}, enginetest.Reader(2), signers[1])
	if err := alice.Add(fromBob); err != nil {
		fmt.Println(err)
	}
	if err := bob.Add(fromAlice); err != nil {
		fmt.Println(err)
	}
	a, _ := alice.Complete()
	b, _ := bob.Complete()
	fmt.Println("one session:", a.Session() == b.Session())

	sealed, _ := a.Seal(engine.Msg{Session: a.Session(), Round: 1, Kind: 1, From: parties[0].ID, To: parties[1].ID, Body: []byte("hello")})
	m, err := b.Open(sealed)
	fmt.Printf("%s %v\n", m.Body, err)
	a.Wipe()
	b.Wipe()
	// Output:
	// one session: true
	// hello <nil>
}
