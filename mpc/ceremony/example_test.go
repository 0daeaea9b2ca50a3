package ceremony_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group/secp256k1/independent"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/session"
)

// Two operators make a 2-of-2 key and sign with a child of it. In production mpc/session
// makes session id and coins, and the node keeps rows and carries messages.
func Example() {
	signers, parties := map[engine.PartyID]session.Signer{}, []session.Party{}
	for i := range 2 {
		seed := [32]byte{byte(i)}
		key := ed25519.NewKeyFromSeed(seed[:])
		p := session.Party{Identity: key.Public().(ed25519.PublicKey)}
		p.ID = session.IDOf(p.Identity)
		signers[p.ID], parties = session.NewSigner(key), append(parties, p)
	}
	parties = ceremony.Seats(parties)
	seat := func(s *session.Setup, id byte, self engine.PartyID) ceremony.Seat {
		return ceremony.Seat{Session: engine.SessionID{id}, Setup: s, Self: self, Sign: signers[self], Rand: enginetest.Reader(uint64(id) + uint64(self[0])<<8)}
	}

	generate := &session.Setup{Protocol: ceremony.ProtocolKeygen, Suite: epoch.SuiteECDSA, KeyID: [32]byte{1}, Threshold: 2, Parties: parties}
	var makers []*engine.Session[ceremony.Prepared]
	for _, p := range parties {
		s := seat(generate, 1, p.ID)
		first, err := ceremony.Keygen(s, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		machine, _ := ceremony.Engine(s, first)
		makers = append(makers, machine)
	}
	run := enginetest.Run(enginetest.Options{}, makers...)
	prepared, err := run.Results()
	if err != nil {
		fmt.Println(err)
		return
	}
	record := prepared[0].Record
	fmt.Println("certified by all:", prepared[1].Cert.Check(record, nil) == nil)

	request := &ceremony.Request{Purpose: "transaction", Path: hd.Path{0, 7}, Digest: sha256.Sum256([]byte("pay Alice"))}
	sign := &session.Setup{
		Protocol: ceremony.ProtocolSign, Suite: record.Suite, KeyID: record.KeyID, Epoch: record.Hash(),
		Threshold: 2, Parties: parties, Payload: request.Encode(),
	}
	var signing []*engine.Session[ceremony.Signature]
	for _, p := range parties {
		saved := map[string][]byte{}
		for _, r := range run.Party(p.ID).Saved {
			saved[r.Name] = r.Value
		}
		keys, err := ceremony.Load(record, p.ID, func(row string) (secret.Bytes, error) { return secret.New(saved[row]), nil })
		if err != nil {
			fmt.Println(err)
			return
		}
		s := seat(sign, 2, p.ID)
		first, err := ceremony.Sign(s, keys, request.Digest[:])
		if err != nil {
			fmt.Println(err)
			return
		}
		machine, _ := ceremony.Engine(s, first)
		signing = append(signing, machine)
	}
	sigs, err := enginetest.Run(enginetest.Options{}, signing...).Results()
	if err != nil {
		fmt.Println(err)
		return
	}

	child, _, _ := ceremony.Child(record, request.Path)
	key, _ := independent.ParsePublicKey(child.Bytes())
	sig, _ := independent.ParseCompact(sigs[0].Bytes[:])
	fmt.Println("verifies under the child key:", independent.Verify(key, &request.Digest, sig))
	// Output:
	// certified by all: true
	// verifies under the child key: true
}
