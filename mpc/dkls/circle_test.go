package dkls

import (
	"encoding/binary"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/session"
)

const fence = 5

var (
	keyID = [32]byte{7}
	eh    = [32]byte{8}
)

// A circle is a signer set with a pool each.
type circle struct {
	*deal
	set     []int
	signers []session.Party
	pools   []*Pool
	made    uint64 // presign sessions so far
}

func newCircle(tb testing.TB, t, n int) *circle {
	tb.Helper()
	c := &circle{deal: newDeal(tb, t, n)}
	for i, p := range c.parties {
		pool, err := NewPool(fence, Ticket{}, 0)
		if err != nil {
			tb.Fatal(err)
		}
		c.set, c.signers, c.pools = append(c.set, i), append(c.signers, p), append(c.pools, pool)
	}
	return c
}

// reserve are what the signers presign with next.
func (c *circle) reserve(tb testing.TB) []Params {
	tb.Helper()
	c.made++
	all := c.params(c.set, [32]byte{}, nil)
	for i := range all {
		t, err := c.pools[i].Reserve(keyID, eh, c.signers)
		if err != nil {
			tb.Fatal(err)
		}
		all[i].Child, all[i].Epoch, all[i].Ticket = nil, eh, t
		binary.BigEndian.PutUint64(all[i].Session[8:], c.made)
		all[i].Rand = enginetest.Reader(1_000_000*c.made + uint64(i))
	}
	return all
}

func presigners(tb testing.TB, all []Params) (out []*engine.Session[Presignature]) {
	tb.Helper()
	for _, p := range all {
		s, err := Presign(p)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, open(tb, p, s))
	}
	return out
}

// presign makes one presignature and puts it in every pool.
func (c *circle) presign(tb testing.TB) PresigID {
	tb.Helper()
	run := enginetest.Run(enginetest.Options{}, presigners(tb, c.reserve(tb))...)
	results, err := run.Results()
	if err != nil {
		tb.Fatal(err)
	}
	for i, v := range results {
		if err := c.pools[i].Put(v); err != nil || v.ID() != results[0].ID() {
			tb.Fatalf("party %d: %v, id %v", i, err, v.ID())
		}
	}
	return results[0].ID()
}

// A request is what an online session is for.
type request struct {
	digest [32]byte
	path   hd.Path
	tweak  group.Scalar
	salt   byte // tells sessions apart that are equal otherwise
}

func (r request) setup() [32]byte { return [32]byte{30, r.digest[0], byte(len(r.path)), r.salt} }

func (c *circle) claim(id PresigID, r request) Claim {
	return Claim{ID: id, KeyID: keyID, Epoch: eh, Signers: c.signers, Use: Use{Setup: r.setup(), Digest: r.digest}, Fence: fence}
}

// take takes a presignature from every pool.
func (c *circle) take(tb testing.TB, id PresigID, r request) (all []OnlineParams) {
	tb.Helper()
	for i, pool := range c.pools {
		v, _, err := pool.Take(c.claim(id, r))
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, c.online(i, v, r))
	}
	return all
}

// online are one signer's parameters.
func (c *circle) online(i int, v Presignature, r request) OnlineParams {
	p := OnlineParams{
		Session: engine.SessionID{40, r.digest[0], r.salt}, Setup: r.setup(), KeyID: keyID, Epoch: eh, Self: c.parties[i],
		Signers: c.signers, Public: c.public, Path: r.path, Tweak: r.tweak, Child: c.public, Digest: r.digest, Presignature: v,
	}
	if r.tweak != nil {
		p.Child = c.public.Add(secp256k1.Group{}.BaseMul(r.tweak)).(*secp256k1.Point).Settled() // as hd.Derive gives it
	}
	for k := range c.signers {
		p.Nonces = append(p.Nonces, [32]byte{50, byte(k), r.salt})
	}
	return p
}

// open makes the online session of one signer.
func (p OnlineParams) open(tb testing.TB, s engine.Stage[Signature]) *engine.Session[Signature] {
	tb.Helper()
	return open(tb, Params{Session: p.Session, Self: p.Self, Signers: p.Signers}, s)
}

func users(tb testing.TB, all []OnlineParams) (out []*engine.Session[Signature]) {
	tb.Helper()
	for _, p := range all {
		s, err := Online(p)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, p.open(tb, s))
	}
	return out
}

// copied is the same secret in another place, as no code but a test can make one.
func copied(v Presignature) Presignature {
	q := *v.held()
	return newPresignature(&q)
}
