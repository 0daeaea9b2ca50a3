package dkls

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

func TestPresignedSignatures(t *testing.T) {
	for _, c := range []struct{ t, n int }{{2, 2}, {2, 3}, {3, 3}, {3, 5}} {
		t.Run(fmt.Sprintf("%d of %d", c.t, c.n), func(t *testing.T) {
			all := newCircle(t, c.t, c.n)
			for k, r := range []request{
				{digest: sha256.Sum256([]byte("a"))},
				{digest: sha256.Sum256([]byte("b")), path: hd.Path{3, 1}, tweak: secp256k1.NewScalar(77)},
			} {
				id := all.presign(t)
				used := all.take(t, id, r)
				run := enginetest.Run(enginetest.Options{Seed: uint64(k + 1)}, users(t, used)...)
				results, err := run.Results()
				if err != nil {
					t.Fatal(err)
				}
				for i, sig := range results {
					if sig != results[0] {
						t.Errorf("signer %d has another signature", i)
					}
					if err := recovers(sig, used[i].Child.(*secp256k1.Point), r.digest); err != nil {
						t.Error(err)
					}
					if n := len(run.Parties[i].Sent); n != 1 {
						t.Errorf("signer %d sent %d messages", i, n)
					}
				}
			}
		})
	}
}

// What a presignature is: Σu = rφ and Σv = xφ with R = r·G, and e = 0.
func TestPresignatureAddsUp(t *testing.T) {
	all := newCircle(t, 2, 3)
	id := all.presign(t)
	var phi, u, v secp256k1.Scalar
	for _, pool := range all.pools {
		q := pool.held[id]
		phi.SetSum(&phi, &q.phi)
		u.SetSum(&u, &q.u)
		v.SetSum(&v, &q.v)
	}
	q := all.pools[0].held[id]
	if !q.nonce.Mul(&phi).Equal(secp256k1.BaseMul(&u)) {
		t.Error("Σu·G ≠ φ·R")
	}
	if !q.public.Mul(&phi).Equal(secp256k1.BaseMul(&v)) {
		t.Error("Σv·G ≠ φ·X")
	}
}

// Nothing of φ, u, v leaves offline: round 3 carries the id alone, and no session's result is
// there before all have confirmed.
func TestConfirmationComesBeforeThePool(t *testing.T) {
	all := newCircle(t, 3, 3)
	lost := enginetest.On(enginetest.Match{From: all.parties[2].ID, Kind: KindConfirm}, enginetest.Drop)
	c := enginetest.Run(enginetest.Options{Hook: lost}, presigners(t, all.reserve(t))...)
	for i, p := range c.Parties {
		if i != 2 && (p.Result != nil || p.Err != nil) {
			t.Errorf("party %d ended without the third's confirmation: %v, %v", i, p.Result, p.Err)
		}
		for _, m := range p.Sent {
			if m.Round == 3 && (m.Kind != KindConfirm || len(m.Body) != ConfirmSize) {
				t.Errorf("party %d sent %v", i, m)
			}
		}
	}
}

// An opening that one signer alone sees otherwise fits no commitment there. Then it confirms
// nothing, and the others, who found nothing wrong, have no presignature that it lacks.
func TestEquivocatedOpeningLeavesNoPresignature(t *testing.T) {
	all := newCircle(t, 3, 3)
	for _, hook := range []enginetest.Hook{
		enginetest.On(enginetest.Match{From: all.parties[2].ID, To: all.parties[0].ID, Kind: KindOpening}, enginetest.Flip(8*70)),
		enginetest.On(enginetest.Match{From: all.parties[2].ID, To: all.parties[0].ID, Kind: KindProduct}, enginetest.Flip(8*40_070)),
	} {
		c := enginetest.Run(enginetest.Options{Hook: hook}, presigners(t, all.reserve(t))...)
		if f := c.Parties[0].Fault(); f == nil || len(f.Accused) != 1 || f.Accused[0] != all.parties[2].ID {
			t.Errorf("victim ended with %v", c.Parties[0].Err)
		}
		for i, p := range c.Parties {
			if p.Result != nil {
				t.Errorf("party %d has a presignature", i)
			}
		}
	}
}

// A disputed T₂ ends the session before any result, and names nobody.
func TestDisputedRound2EndsPresigning(t *testing.T) {
	all := newCircle(t, 2, 2)
	hook := enginetest.On(enginetest.Match{From: all.parties[1].ID, Kind: KindConfirm}, func(m *engine.Msg) []engine.Msg {
		m.Echo[0] ^= 1
		return []engine.Msg{*m}
	})
	p := enginetest.Run(enginetest.Options{Hook: hook}, presigners(t, all.reserve(t))...).Parties[0]
	if f := p.Fault(); p.Result != nil || f == nil || f.Class != engine.Unattributed || len(f.Accused) > 0 {
		t.Errorf("ended with %v", p.Err)
	}
}

// The id names everything that signers must agree on.
func TestPresigIDBindsEverything(t *testing.T) {
	all := newCircle(t, 2, 2)
	q := *all.pools[0].held[all.presign(t)]
	t2 := engine.Transcript{1}
	was := q.name(t2)
	for name, change := range map[string]func(q *presig){
		"sid":    func(q *presig) { q.session[0] ^= 1 },
		"key id": func(q *presig) { q.keyID[0] ^= 1 },
		"eh":     func(q *presig) { q.epoch[0] ^= 1 },
		"S":      func(q *presig) { q.signers = q.signers[:1] },
		"R":      func(q *presig) { q.nonce = q.nonce.Neg().(*secp256k1.Point) },
		"X":      func(q *presig) { q.public = q.public.Neg().(*secp256k1.Point) },
	} {
		o := q
		change(&o)
		if o.name(t2) == was {
			t.Errorf("the id does not depend on %s", name)
		}
	}
	if q.name(engine.Transcript{2}) == was {
		t.Error("the id does not depend on T₂")
	}
}

// Flip test, protocols.md 7 row 16: δ, and with it R′, depends on each input.
func TestShiftDependsOnEachInput(t *testing.T) {
	all := newCircle(t, 2, 2)
	used := all.take(t, all.presign(t), request{digest: [32]byte{1}, path: hd.Path{1, 2}})[0]
	held, g := used.Presignature.held(), secp256k1.Group{}
	seen := map[string]string{string(used.shift(held, all.public.(*secp256k1.Point)).Bytes()): "no change"}
	for name, change := range map[string]func(p *OnlineParams, q *presig, child *group.Point){
		"presigID":        func(_ *OnlineParams, q *presig, _ *group.Point) { q.id[31] ^= 1 },
		"R":               func(_ *OnlineParams, q *presig, _ *group.Point) { q.nonce = q.nonce.Neg().(*secp256k1.Point) },
		"eh":              func(_ *OnlineParams, q *presig, _ *group.Point) { q.epoch[31] ^= 1 },
		"a signer's id":   func(_ *OnlineParams, q *presig, _ *group.Point) { q.signers[1].ID[15] ^= 1 },
		"index":           func(_ *OnlineParams, q *presig, _ *group.Point) { q.signers[1].Index++ },
		"number":          func(_ *OnlineParams, q *presig, _ *group.Point) { q.signers = q.signers[:1] },
		"presign session": func(_ *OnlineParams, q *presig, _ *group.Point) { q.session[31] ^= 1 },
		"X":               func(_ *OnlineParams, q *presig, _ *group.Point) { q.public = q.public.Neg().(*secp256k1.Point) },
		"X_child":         func(_ *OnlineParams, _ *presig, child *group.Point) { *child = (*child).Add(g.Generator()) },
		"path":            func(p *OnlineParams, _ *presig, _ *group.Point) { p.Path = hd.Path{1, 3} },
		"path's length":   func(p *OnlineParams, _ *presig, _ *group.Point) { p.Path = hd.Path{1} },
		"m":               func(p *OnlineParams, _ *presig, _ *group.Point) { p.Digest[31] ^= 1 },
		"session":         func(p *OnlineParams, _ *presig, _ *group.Point) { p.Session[31] ^= 1 },
		"first nonce":     func(p *OnlineParams, _ *presig, _ *group.Point) { p.Nonces[0][31] ^= 1 },
		"last nonce":      func(p *OnlineParams, _ *presig, _ *group.Point) { p.Nonces[1][31] ^= 1 },
		"order of nonces": func(p *OnlineParams, _ *presig, _ *group.Point) { p.Nonces[0], p.Nonces[1] = p.Nonces[1], p.Nonces[0] },
	} {
		p, q, child := used, *held, all.public
		q.signers = append(q.signers[:0:0], q.signers...)
		p.Nonces = append(p.Nonces[:0:0], p.Nonces...)
		change(&p, &q, &child)
		delta := string(p.shift(&q, child.(*secp256k1.Point)).Bytes())
		if other, ok := seen[delta]; ok {
			t.Errorf("δ is the same for %s and %s", name, other)
		}
		seen[delta] = name
	}
}
