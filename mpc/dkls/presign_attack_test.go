package dkls

import (
	"errors"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/ristretto255"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// onlineShare is what one signer tells all in the online round.
func onlineShare(tb testing.TB, p OnlineParams) sum {
	tb.Helper()
	s, err := Online(p)
	if err != nil {
		tb.Fatal(err)
	}
	out, err := s.Finish(engine.Transcript{})
	if err != nil {
		tb.Fatal(err)
	}
	got, err := decodeSum(out.Send[0].Body)
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

// recoverKey solves for the other signer's φ, v and u from what it told in two online rounds of one
// presignature, and adds our own: x = Σv/Σφ. w = mφ + r′(v + eφ), u′ = u + δφ.
func recoverKey(ours *presig, a, b OnlineParams, saidA, saidB sum) *secp256k1.Scalar {
	var coefficient, rs [2]secp256k1.Scalar
	for i, p := range []OnlineParams{a, b} {
		child := p.Child.(*secp256k1.Point)
		nonce := ours.nonce.Add(secp256k1.BaseMul(p.shift(ours, child))).(*secp256k1.Point)
		r, _ := nonce.XReduced()
		rs[i].Set(r)
		coefficient[i].SetReduced(&p.Digest)
		if p.Tweak != nil {
			coefficient[i].AddProduct(r, p.Tweak.(*secp256k1.Scalar))
		}
	}
	// w₁r₂ − w₂r₁ = φ(c₁r₂ − c₂r₁)
	cross := func(x, y *secp256k1.Scalar) *secp256k1.Scalar {
		var p, q secp256k1.Scalar
		p.SetProduct(x, &rs[1])
		q.SetProduct(y, &rs[0])
		p.SetDifference(&p, &q)
		return &p
	}
	phi := cross(&saidA.w, &saidB.w).Mul(cross(&coefficient[0], &coefficient[1]).Invert())
	v := saidA.w.Sub(coefficient[0].Mul(phi)).Mul(rs[0].Invert())
	return v.Add(&ours.v).Mul(phi.Add(&ours.phi).Invert()).(*secp256k1.Scalar)
}

// Row 16, protocols.md 2.7: two messages, or two paths, or two sessions, on one presignature give
// the key. A mutant that skips consumption falls; ours refuses the second use, whichever copy it
// is of, and tells nothing.
func TestTwoMessagesOnOnePresignatureGiveTheKey(t *testing.T) {
	for name, second := range map[string]request{
		"another message":           {digest: [32]byte{2}},
		"another path":              {digest: [32]byte{1}, path: hd.Path{4}, tweak: secp256k1.NewScalar(9)},
		"the same, another session": {digest: [32]byte{1}, salt: 1},
	} {
		t.Run(name, func(t *testing.T) {
			c, first := newCircle(t, 2, 2), request{digest: [32]byte{1}}
			id := c.presign(t)
			ours := c.pools[1].held[id]
			v, _, err := c.pools[0].Take(c.claim(id, first))
			if err != nil {
				t.Fatal(err)
			}
			mutant := copied(v) // not consumed, and bound to no use
			mutant.held().use = Use{Setup: second.setup(), Digest: second.digest}

			a, b := c.online(0, v, first), c.online(0, mutant, second)
			saidA := onlineShare(t, a)
			b.Presignature = v
			var own *engine.Misuse
			if s, err := Online(b); s != nil || !errors.As(err, &own) || !errors.Is(err, errUsed) {
				t.Errorf("the second use: %v, %v", s, err)
			}
			b.Presignature = mutant
			if x := recoverKey(ours, a, b, saidA, onlineShare(t, b)); !secp256k1.BaseMul(x).Equal(c.public.(*secp256k1.Point)) {
				t.Error("the attack did not find the key: the mutant is no mutant")
			}
		})
	}
}

// Copies of the value are the same presignature; so is the one in the pool's hands before.
func TestCopiesAreOnePresignature(t *testing.T) {
	c, r := newCircle(t, 2, 2), request{digest: [32]byte{1}}
	p := c.take(t, c.presign(t), r)[0]
	twin := p
	list := []Presignature{p.Presignature, p.Presignature}
	if _, err := Online(p); err != nil {
		t.Fatal(err)
	}
	for _, v := range append(list, p.Presignature) {
		twin.Presignature = v
		if _, err := Online(twin); !errors.Is(err, errUsed) {
			t.Error(err)
		}
		if !wiped(v) {
			t.Error("the secrets stay in a copy")
		}
	}
}

// What does not fit is our own misuse, and the presignature is gone: it was taken.
func TestOnlineRefusesWhatDoesNotFit(t *testing.T) {
	c, r := newCircle(t, 2, 3), request{digest: [32]byte{1}}
	good := c.take(t, c.presign(t), r)[1]
	g := secp256k1.Group{}
	for name, spoil := range map[string]func(*OnlineParams){
		"session id is zero":             func(p *OnlineParams) { p.Session = engine.SessionID{} },
		"or the presign session's":       func(p *OnlineParams) { p.Session = p.Presignature.held().session },
		"another setup":                  func(p *OnlineParams) { p.Setup[0] ^= 1 },
		"or digest":                      func(p *OnlineParams) { p.Digest[0] ^= 1 },
		"another key":                    func(p *OnlineParams) { p.KeyID[0] ^= 1 },
		"or epoch":                       func(p *OnlineParams) { p.Epoch[0] ^= 1 },
		"of other signers":               func(p *OnlineParams) { p.Signers = p.Signers[:2] },
		"presignature is of other sign":  func(p *OnlineParams) { p.Self = p.Signers[0] },
		"is of other signers":            func(p *OnlineParams) { p.Signers[2].Index++ },
		"2 join nonces for 3":            func(p *OnlineParams) { p.Nonces = p.Nonces[:2] },
		"key or child key is missing":    func(p *OnlineParams) { p.Public = nil },
		"child key is missing":           func(p *OnlineParams) { p.Child = g.Identity() },
		"tweak is not of secp256k1":      func(p *OnlineParams) { p.Tweak = ristretto255.Group{}.Scalar(1) },
		"the key is not the one":         func(p *OnlineParams) { p.Public, p.Child = g.Generator(), g.Generator() },
		"there is no presignature":       func(p *OnlineParams) { p.Presignature = Presignature{} },
		"was not taken from a pool":      func(p *OnlineParams) { p.Presignature.held().life = pooled },
		"presignature was not taken fro": func(p *OnlineParams) { p.Presignature.held().life = fresh },
		"was used or wiped before":       func(p *OnlineParams) { p.Presignature.Wipe() },
	} {
		p := good
		p.Presignature, p.Signers, p.Nonces = copied(good.Presignature), slices.Clone(p.Signers), slices.Clone(p.Nonces)
		spoil(&p)
		s, err := Online(p)
		var own *engine.Misuse
		if s != nil || !errors.As(err, &own) || !contains(err, name) {
			t.Errorf("%q: got %v", name, err)
		}
		if q, err := p.Presignature.spend(); err == nil {
			t.Errorf("%q: the presignature is still there", name)
			q.wipe()
		}
		if err := onlineAgain(p, good); err == nil && p.Presignature.held().life == gone {
			t.Errorf("%q: served after it was refused", name)
		}
	}
	if _, err := Online(good); err != nil {
		t.Fatal(err)
	}
}

// A child key that is not the key shifted by the tweak is found at the end: nobody has a signature.
func TestOnlineWithAnotherChildKey(t *testing.T) {
	for name, wrong := range map[string][]int{"at one": {1}, "at all": {0, 1}} {
		c, r := newCircle(t, 2, 2), request{digest: [32]byte{1}, tweak: secp256k1.NewScalar(5)}
		all := c.take(t, c.presign(t), r)
		for _, i := range wrong {
			all[i].Tweak = secp256k1.NewScalar(6)
		}
		for _, p := range enginetest.Run(enginetest.Options{Seed: 1}, users(t, all)...).Parties {
			if f := p.Fault(); p.Result != nil || f == nil || !contains(f, "not valid") || len(f.Accused) > 0 {
				t.Errorf("%s: result %v, fault %v", name, p.Result, f)
			}
		}
	}
}

// What was moved out of a presignature goes too when the parameters do not fit.
func TestRefusedPresignatureIsWiped(t *testing.T) {
	c, r := newCircle(t, 2, 2), request{digest: [32]byte{1}}
	p := c.take(t, c.presign(t), r)[0]
	for name, spoil := range map[string]func(*OnlineParams){
		"setup": func(p *OnlineParams) { p.Setup[0] ^= 1 }, "child": func(p *OnlineParams) { p.Child = nil },
		"key": func(p *OnlineParams) {
			p.Public, p.Child = secp256k1.Group{}.Generator(), secp256k1.Group{}.Generator()
		},
	} {
		o := p
		spoil(&o)
		q, err := copied(p.Presignature).spend()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newShifted(o, q); err == nil || !wiped(newPresignature(q)) {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

// onlineAgain tries the good parameters with a presignature that was refused with bad ones.
func onlineAgain(spoilt, good OnlineParams) error {
	good.Presignature = spoilt.Presignature
	_, err := Online(good)
	return err
}

func TestPresignRefusesWhatDoesNotFit(t *testing.T) {
	for want, spoil := range map[string]func(*Params){
		"belong to the online round":  func(p *Params) { p.Tweak = secp256k1.NewScalar(1) },
		"tweak, child key and digest": func(p *Params) { p.Child = p.Public },
		"prepare to presign: tweak":   func(p *Params) { p.Digest[0] = 1 },
		"hash is zero":                func(p *Params) { p.Epoch = [32]byte{} },
		"no ticket":                   func(p *Params) { p.Ticket = Ticket{} },
		"key or child key is missing": func(p *Params) { p.Public = nil },
		"session id is zero":          func(p *Params) { p.Session = engine.SessionID{} },
	} {
		p := newCircle(t, 2, 2).reserve(t)[0]
		spoil(&p)
		var own *engine.Misuse
		if _, err := Presign(p); !errors.As(err, &own) || !contains(err, want) {
			t.Errorf("%q: got %v", want, err)
		}
	}
}

// Row 18: R′ = 0 and r′ = 0. A hash would have to hit them, so δ is put in.
func TestDegenerateShiftsEndTheSession(t *testing.T) {
	c, r := newCircle(t, 2, 2), request{digest: [32]byte{1}}
	p := c.take(t, c.presign(t), r)[0]
	x := secp256k1.NewScalar(1).Neg().Bytes() // q−1; x = q has a point
	x[31]++
	atQ, err := secp256k1.DecodePoint(append([]byte{2}, x...))
	if err != nil {
		t.Fatal(err)
	}
	delta := secp256k1.NewScalar(1234)
	for name, nonce := range map[string]*secp256k1.Point{
		"R is the identity": secp256k1.BaseMul(delta).Neg().(*secp256k1.Point),
		"r is 0":            atQ.Sub(secp256k1.BaseMul(delta)).(*secp256k1.Point),
	} {
		q, err := copied(p.Presignature).spend()
		if err != nil {
			t.Fatal(err)
		}
		s, err := newShifted(p, q)
		if err != nil {
			t.Fatal(err)
		}
		q.nonce, s.delta = nonce, delta
		out, err := s.Finish(engine.Transcript{})
		var f *engine.Fault
		if !errors.As(err, &f) || f.Class != engine.Unattributed || f.Err.Error() != name || len(out.Send) > 0 {
			t.Errorf("%s: sent %v, ended with %v", name, out.Send, err)
		}
		if q.life != gone || !q.phi.IsZero() {
			t.Errorf("%s: the presignature stays", name)
		}
	}
}

// Row 18: the last speaker makes Σu′ or s zero.
func TestZeroOnlineSumsEndTheSession(t *testing.T) {
	s := newOnlineStand(t, 3, 3, 2, 0)
	var u, w secp256k1.Scalar
	for i, p := range s.all[:2] {
		got, err := decodeSum(body(t, s.now, KindOnline, p.Self.ID, s.all[1-i].Self.ID))
		if err != nil {
			t.Fatal(err)
		}
		u.SetSum(&u, &got.u)
		w.SetSum(&w, &got.w)
	}
	for check, edit := range map[string]func([]byte) []byte{
		"dkls: sum of u":  func(b []byte) []byte { u.Neg().(*secp256k1.Scalar).PutBytes(b); return b },
		"dkls: signature": func(b []byte) []byte { w.Neg().(*secp256k1.Scalar).PutBytes(b[32:]); return b },
	} {
		for i, p := range s.run(t, KindOnline, edit, nil).Parties[:2] {
			if f := p.Fault(); f == nil || f.Check != check || f.Class != engine.Unattributed || f.Err.Error() != "is 0" && f.Err.Error() != "s is 0" {
				t.Errorf("%s: party %d ended with %v", check, i, p.Err)
			}
		}
	}
}

// Signers whose Joins differ, in sessions that do not show it, get nothing, and nobody is named.
func TestOtherJoinsAreUnattributed(t *testing.T) {
	c, r := newCircle(t, 2, 2), request{digest: [32]byte{1}}
	used := c.take(t, c.presign(t), r)
	used[1].Nonces = slices.Clone(used[1].Nonces)
	used[1].Nonces[0][0] ^= 1
	for i, p := range enginetest.Run(enginetest.Options{}, users(t, used)...).Parties {
		if f := p.Fault(); f == nil || f.Check != "dkls: signature" || len(f.Accused) > 0 {
			t.Errorf("party %d ended with %v", i, p.Err)
		}
	}
}

// The engine's contract: the burn record stands in Save beside the one message, so a host that keeps
// the order of effects has it durable before the message leaves.
func TestBurnRecordComesWithTheMessage(t *testing.T) {
	c, r := newCircle(t, 2, 2), request{digest: [32]byte{1}}
	id := c.presign(t)
	used := c.take(t, id, r)
	eff, err := users(t, used)[0].Start()
	if err != nil || len(eff.Save) != 1 || len(eff.Send) != 1 || len(eff.Burn) != 0 || eff.Send[0].Kind != KindOnline {
		t.Fatalf("%+v, %v", eff, err)
	}
	b, err := DecodeBurn(eff.Save[0].Value)
	want := Burn{ID: id, Ticket: Ticket{fence, 1}, KeyID: keyID, Epoch: eh, Use: Use{Setup: r.setup(), Digest: r.digest}}
	if err != nil || *b != want || eff.Save[0].Name != want.Name() {
		t.Errorf("saved %s: %+v, %v", eff.Save[0].Name, b, err)
	}
}
