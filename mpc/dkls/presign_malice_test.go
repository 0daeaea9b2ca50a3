package dkls

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/malice"
)

// presignTable is the table of spec/presign 6: rounds 1 and 2 of signing, where a wrong ψ shows in
// nothing before the online round, and the confirmation.
func presignTable() []malice.Message {
	all := slices.Clone(table[:4])
	product := &all[3]
	product.Fields = slices.Clone(product.Fields)
	product.Fields[2].Want = malice.Unaffected // ψ
	return append(all, malice.Message{Name: "confirm", Kind: KindConfirm, Size: 32, Fields: []malice.Field{
		{Name: "id", Type: malice.Hash, Size: 32, Want: malice.Blame},
	}})
}

func newPresignStand(tb testing.TB, t, n, corrupt, victim int) *stand[Presignature] {
	tb.Helper()
	s := &stand[Presignature]{
		table: presignTable(), whole: maps.Clone(whole), split: maps.Clone(split), common: map[engine.Kind]bool{KindConfirm: true},
		first: func(tb testing.TB, p Params) engine.Stage[Presignature] {
			s, err := Presign(p)
			if err != nil {
				tb.Fatal(err)
			}
			return s
		},
		check: func(_ Params, v *Presignature) error {
			if q := v.held(); q.life != fresh || q.phi.IsZero() || q.u.IsZero() || q.v.IsZero() {
				return fmt.Errorf("presignature %v is empty or used", q.id)
			}
			return nil
		},
		all: newCircle(tb, t, n).reserve(tb), corrupt: corrupt, victim: victim,
	}
	s.whole[KindConfirm], s.split[KindConfirm] = malice.Blame, malice.Blame
	s.rehearse(tb)
	return s
}

func TestMaliciousPresigner(t *testing.T) { matrix(t, newPresignStand(t, 3, 3, 1, 0), malice.One) }

func TestPresignTableCoversEveryByte(t *testing.T) { newPresignStand(t, 2, 3, 0, 1).covered(t) }

// onlineTable is the table of spec/presign 6: the online round.
var onlineTable = []malice.Message{
	{Name: "online", Kind: KindOnline, Size: 64, Fields: []malice.Field{
		{Name: "u", Type: malice.Scalar, Size: 32, Want: malice.Unattributed},
		{Name: "w", Type: malice.Scalar, At: 32, Size: 32, Want: malice.Unattributed},
	}},
}

// newOnlineStand presigns twice: the second presignature is what an earlier session used.
func newOnlineStand(tb testing.TB, t, n, corrupt, victim int) *stand[Signature] {
	tb.Helper()
	c, r := newCircle(tb, t, n), request{digest: [32]byte{9}, tweak: secp256k1.NewScalar(12)}
	now, earlier := c.take(tb, c.presign(tb), r), c.take(tb, c.presign(tb), r)
	s := &stand[Signature]{
		table: onlineTable,
		whole: map[engine.Kind]malice.Result{KindOnline: malice.Unattributed},
		split: map[engine.Kind]malice.Result{KindOnline: malice.Unattributed},
		check: func(p Params, sig *Signature) error { return recovers(*sig, p.Child.(*secp256k1.Point), p.Digest) },
		first: func(tb testing.TB, p Params) engine.Stage[Signature] {
			of := now
			if p.Session == earlierSession {
				of = earlier
			}
			i := slices.IndexFunc(of, func(o OnlineParams) bool { return o.Self.ID == p.Self.ID })
			o := of[i]
			o.Session, o.Presignature = p.Session, copied(o.Presignature)
			first, err := Online(o)
			if err != nil {
				tb.Fatal(err)
			}
			return first
		},
		corrupt: corrupt, victim: victim,
	}
	for _, o := range now {
		s.all = append(s.all, Params{Session: o.Session, Self: o.Self, Signers: o.Signers, Child: o.Child, Digest: o.Digest})
	}
	s.rehearse(tb)
	return s
}

func TestMaliciousUser(t *testing.T) { matrix(t, newOnlineStand(t, 3, 3, 1, 0), malice.Each) }

func TestOnlineTableCoversEveryByte(t *testing.T) { newOnlineStand(t, 2, 3, 0, 1).covered(t) }

// What a wrong ψ comes to in the end: nobody has a signature, and nobody is named.
func TestWrongPsiShowsOnline(t *testing.T) {
	c, r := newCircle(t, 3, 3), request{digest: [32]byte{1}}
	hook := enginetest.On(enginetest.Match{From: c.parties[1].ID, To: c.parties[0].ID, Kind: KindProduct}, enginetest.Flip(8*97))
	made, err := enginetest.Run(enginetest.Options{Hook: hook}, presigners(t, c.reserve(t))...).Results()
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range made {
		if err := c.pools[i].Put(v); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range enginetest.Run(enginetest.Options{}, users(t, c.take(t, made[0].ID(), r))...).Parties {
		f := p.Fault()
		if f == nil || f.Check != "dkls: signature" || f.Class != engine.Unattributed || len(p.Burned) > 0 || p.Result != nil {
			t.Errorf("party %d ended with %v", i, p.Err)
		}
	}
}

// Presigning burns as signing does: a failed check on a pair burns it, and nothing of round 2 leaves.
func TestPresigningBurnsPairs(t *testing.T) {
	c := newCircle(t, 3, 3)
	corrupt := enginetest.On(enginetest.Match{From: c.parties[1].ID, To: c.parties[0].ID, Kind: KindExtension}, enginetest.Flip(60))
	run := enginetest.Run(enginetest.Options{Hook: corrupt}, presigners(t, c.reserve(t))...)
	victim, want := run.Parties[0], engine.Token{Key: keyID, Peer: c.parties[1].ID}
	if f := victim.Fault(); f == nil || f.Class != engine.BurnPair || !slices.Equal(victim.Burned, []engine.Token{want}) {
		t.Errorf("ended with %v, burned %v", victim.Err, victim.Burned)
	}
	for _, m := range victim.Sent {
		if m.Round > 1 {
			t.Errorf("sent %v", m)
		}
	}
	s, err := newPresigner(c.reserve(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, g := range map[string]engine.Expect{
		"multiply": (&multiply[Presignature]{s, closePresigning}).Expect(), "verify": (&verify[Presignature]{s, closePresigning}).Expect(),
	} {
		if len(g.Guard) != 2 {
			t.Errorf("%s guards %v", name, g.Guard)
		}
	}
	if g := (&confirm{s, &presig{}}).Expect().Guard; len(g) != 0 {
		t.Errorf("confirm guards %v", g)
	}
}
