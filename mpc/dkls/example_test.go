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

// dealt is what keygen and pair set-up leave with two parties of a 2-of-2 key; a dealer stands for
// keygen here. In production mpc/ceremony makes key and pairs, and the node carries the messages.
type dealt struct {
	ids     []engine.PartyID
	parties []session.Party
	public  group.Point
	shares  map[engine.PartyID]group.Scalar
	publics map[engine.PartyID]group.Point
	pairs   []map[engine.PartyID]*pair.State
}

func deal() (*dealt, error) {
	ids, g := enginetest.IDs(2), secp256k1.Group{}
	poly, err := share.Sample(g, 2, nil, enginetest.Reader(1))
	if err != nil {
		return nil, err
	}
	d := &dealt{
		ids: ids, parties: []session.Party{{ID: ids[0], Index: 1}, {ID: ids[1], Index: 2}}, public: g.BaseMul(poly.Constant()),
		shares: map[engine.PartyID]group.Scalar{}, publics: map[engine.PartyID]group.Point{},
	}
	for _, p := range d.parties {
		d.shares[p.ID] = poly.Eval(p.Index)
		d.publics[p.ID] = g.BaseMul(d.shares[p.ID])
	}
	setup := engine.Params{Session: engine.SessionID{1}, Parties: ids, MaxBody: pair.MaxBody, Kinds: pair.Kinds}
	var settings []*engine.Session[map[engine.PartyID]*pair.State]
	for i, p := range d.parties {
		first := pair.Setup(pair.Params{Session: setup.Session, Self: p, Parties: d.parties, Rand: enginetest.Reader(uint64(10 + i))})
		s, err := engine.New(setup, p.ID, first)
		if err != nil {
			return nil, err
		}
		settings = append(settings, s)
	}
	d.pairs, err = enginetest.Run(enginetest.Options{}, settings...).Results()
	return d, err
}

// params are what party i signs or presigns with in a session.
func (d *dealt) params(i int, sid engine.SessionID) dkls.Params {
	p := d.parties[i]
	return dkls.Params{
		Session: sid, KeyID: [32]byte{1}, Self: p, Signers: d.parties, Threshold: 2,
		Share: d.shares[p.ID], Publics: d.publics, Public: d.public, Pairs: d.pairs[i], Rand: enginetest.Reader(uint64(20 + i)),
	}
}

// run carries the messages of both parties' sessions.
func run[R any](d *dealt, sid engine.SessionID, first func(i int) (engine.Stage[R], error)) ([]R, error) {
	var sessions []*engine.Session[R]
	for i, id := range d.ids {
		stage, err := first(i)
		if err != nil {
			return nil, err
		}
		s, err := engine.New(engine.Params{Session: sid, Parties: d.ids, MaxBody: dkls.MaxBody, Kinds: dkls.Kinds}, id, stage)
		if err != nil {
			return nil, err
		}
		sessions = append(sessions, s)
	}
	return enginetest.Run(enginetest.Options{}, sessions...).Results()
}

func verifies(d *dealt, digest [32]byte, s dkls.Signature) (ok, low bool) {
	key, _ := independent.ParsePublicKey(d.public.Bytes())
	sig, _ := independent.ParseCompact(append(s.R[:], s.S[:]...))
	return independent.Verify(key, &digest, sig), sig.LowS()
}

// Two parties of a 2-of-2 key sign a digest, in three rounds.
func Example() {
	d, err := deal()
	if err != nil {
		fmt.Println(err)
		return
	}
	digest, sid := sha256.Sum256([]byte("pay Alice")), engine.SessionID{2}
	results, err := run(d, sid, func(i int) (engine.Stage[dkls.Signature], error) {
		p := d.params(i, sid)
		p.Child, p.Digest = d.public, digest
		return dkls.Sign(p)
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ok, low := verifies(d, digest, results[0])
	fmt.Println("both have it:", results[0] == results[1])
	fmt.Println("verifies:", ok, "low s:", low)
	// Output:
	// both have it: true
	// verifies: true low s: true
}

// Two parties presign while nobody waits, and sign in one round when a message comes.
func ExamplePresign() {
	d, err := deal()
	if err != nil {
		fmt.Println(err)
		return
	}
	// Offline: each party has a pool of its own, for this life of its process.
	key, eh, pools := [32]byte{1}, [32]byte{2}, []*dkls.Pool{}
	sid := engine.SessionID{3}
	made, err := run(d, sid, func(i int) (engine.Stage[dkls.Presignature], error) {
		pool, err := dkls.NewPool(1, dkls.Ticket{}, dkls.PoolCapacity)
		if err != nil {
			return nil, err
		}
		pools = append(pools, pool)
		p := d.params(i, sid)
		p.Epoch = eh
		if p.Ticket, err = pool.Reserve(key, eh, d.parties); err != nil {
			return nil, err
		}
		return dkls.Presign(p)
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, v := range made {
		if err := pools[i].Put(v); err != nil {
			fmt.Println(err)
		}
	}

	// Online: a Setup names presignature and message; each party takes, keeps the burn record, joins.
	digest, setup := sha256.Sum256([]byte("pay Bob")), [32]byte{4}
	claim := dkls.Claim{
		ID: pools[0].IDs(key, eh, d.parties)[0], KeyID: key, Epoch: eh, Signers: d.parties,
		Use: dkls.Use{Setup: setup, Digest: digest}, Fence: 1,
	}
	online := engine.SessionID{5}
	results, err := run(d, online, func(i int) (engine.Stage[dkls.Signature], error) {
		v, burn, err := pools[i].Take(claim)
		if err != nil {
			return nil, err
		}
		_ = burn.Encode() // durable, and new, before the Join leaves
		return dkls.Online(dkls.OnlineParams{
			Session: online, Setup: setup, KeyID: key, Epoch: eh, Self: d.parties[i], Signers: d.parties,
			Public: d.public, Child: d.public, Digest: digest, Nonces: [][32]byte{{6}, {7}}, Presignature: v,
		})
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ok, low := verifies(d, digest, results[0])
	fmt.Println("both have it:", results[0] == results[1])
	fmt.Println("verifies:", ok, "low s:", low)
	_, _, err = pools[0].Take(claim)
	fmt.Println("again:", err)
	// Output:
	// both have it: true
	// verifies: true low s: true
	// again: no such presignature is held: it was never made here, or it was taken or dropped
}
