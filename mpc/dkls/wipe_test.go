package dkls

import (
	"errors"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/ot"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/session"
)

// A session that the host gives up in any round, or whose transcripts differ, keeps no nonce:
// else a later theft of memory with the peers' messages gives the key.
func TestAbandonedAndDisputedSessionsAreWiped(t *testing.T) {
	all := newDeal(t, 2, 2).params([]int{0, 1}, [32]byte{1}, nil)
	lost := func(kind engine.Kind) enginetest.Hook {
		return enginetest.On(enginetest.Match{From: all[1].Self.ID, Kind: kind}, enginetest.Drop)
	}
	disputed := func(kind engine.Kind) enginetest.Hook {
		return enginetest.On(enginetest.Match{From: all[1].Self.ID, Kind: kind}, func(m *engine.Msg) []engine.Msg {
			m.Echo[0] ^= 1
			return []engine.Msg{*m}
		})
	}
	for name, c := range map[string]struct {
		hook  enginetest.Hook
		ended bool
	}{
		"round 1 is lost": {lost(KindExtension), false}, "round 2 is lost": {lost(KindProduct), false}, "round 3 is lost": {lost(KindSum), false},
		"round 1 is disputed": {disputed(KindCommit), true}, "round 2 is disputed": {disputed(KindOpening), true}, "round 3 is disputed": {disputed(KindSum), true},
	} {
		var held *signer
		var sessions []*engine.Session[Signature]
		for i, p := range all {
			coins, err := session.Coins(enginetest.Reader(uint64(i)), nil, p.Session, nil)
			if err != nil {
				t.Fatal(err)
			}
			p.Rand = coins
			s, err := newSigner(p)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				held = s
			}
			sessions = append(sessions, open(t, p, begin(s, closeSigning)))
		}
		p := enginetest.Run(enginetest.Options{Hook: c.hook}, sessions...).Parties[0]
		if p.Result != nil || p.Session.Finished() != c.ended {
			t.Fatalf("%s: ended with %v", name, p.Err)
		}
		p.Session.Abandon()
		if !p.Session.Finished() {
			t.Errorf("%s: the session goes on", name)
		}
		peer := held.peers[0]
		for what, k := range map[string]*secp256k1.Scalar{
			"r": &held.r, "φ": &held.phi, "sk": &held.sk, "χ": &peer.chi, "ψ": &peer.product.psi,
			"cᵘ": &peer.c[0], "cᵛ": &peer.c[1], "dᵘ": &peer.d[0], "dᵛ": &peer.d[1],
		} {
			if !k.IsZero() {
				t.Errorf("%s: %s stays", name, what)
			}
		}
		if _, err := peer.receiver.Finish([32]byte{1}, make([]byte, ot.ProductSize)); !errors.Is(err, ot.ErrSpent) {
			t.Errorf("%s: the oblivious transfers can still be used: %v", name, err)
		}
		if _, err := held.Rand.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: r and φ can be drawn again", name)
		}
		if held.share.IsZero() {
			t.Fatalf("%s: the caller's share is gone", name)
		}
	}
}
