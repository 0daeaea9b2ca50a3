package dkls_test

import (
	"crypto/sha256"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/group/secp256k1/independent"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/dkls"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/pair"
	"github.com/ostraka/ostraka/mpc/session"
)

// Two parties of a 2-of-2 key sign a digest. In production mpc/ceremony makes key and
// pairs, and the node carries the messages.
func Example() {
	ids := enginetest.IDs(2)
	parties := []session.Party{{ID: ids[0], Index: 1}, {ID: ids[1], Index: 2}}

	// What keygen leaves: shares, public shares, the key. A dealer stands for it here.
	g := secp256k1.Group{}
	poly, _ := share.Sample(g, 2, nil, enginetest.Reader(1))
	public := g.BaseMul(poly.Constant())
	shares, publics := map[engine.PartyID]group.Scalar{}, map[engine.PartyID]group.Point{}
	for _, p := range parties {
		shares[p.ID] = poly.Eval(p.Index)
		publics[p.ID] = g.BaseMul(shares[p.ID])
	}

	// What pair set-up leaves.
	setup := engine.Params{Session: engine.SessionID{1}, Parties: ids, MaxBody: pair.MaxBody, Kinds: pair.Kinds}
	var settings []*engine.Session[map[engine.PartyID]*pair.State]
	for i, p := range parties {
		first := pair.Setup(pair.Params{Session: setup.Session, Self: p, Parties: parties, Rand: enginetest.Reader(uint64(10 + i))})
		s, _ := engine.New(setup, p.ID, first)
		settings = append(settings, s)
	}
	pairs, err := enginetest.Run(enginetest.Options{}, settings...).Results()
	if err != nil {
		fmt.Println(err)
		return
	}

	// Three rounds.
	digest := sha256.Sum256([]byte("pay Alice"))
	sign := engine.Params{Session: engine.SessionID{2}, Parties: ids, MaxBody: dkls.MaxBody, Kinds: dkls.Kinds}
	var signers []*engine.Session[dkls.Signature]
	for i, p := range parties {
		first, err := dkls.Sign(dkls.Params{
			Session: sign.Session, KeyID: [32]byte{1}, Self: p, Signers: parties, Threshold: 2,
			Share: shares[p.ID], Publics: publics, Public: public, Child: public,
			Digest: digest, Pairs: pairs[i], Rand: enginetest.Reader(uint64(20 + i)),
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

	key, _ := independent.ParsePublicKey(public.Bytes())
	sig, _ := independent.ParseCompact(append(results[0].R[:], results[0].S[:]...))
	fmt.Println("both have it:", results[0] == results[1])
	fmt.Println("verifies:", independent.Verify(key, &digest, sig), "low s:", sig.LowS())
	// Output:
	// both have it: true
	// verifies: true low s: true
}
