package reshare

import (
	"bytes"
	"crypto/sha512"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// Constants and contributions of every quorum fit each other, and give the key.
func TestDealersOfEveryQuorum(t *testing.T) {
	for _, g := range groups {
		v := newVault(t, g, 3, 0, 1, 2, 3, 4)
		for size := 3; size <= 5; size++ {
			for _, set := range subsets(5, size) {
				quorum := ids(set)
				slices.Reverse(quorum) // the order is the caller's
				dealers, err := v.old.Dealers(quorum)
				if err != nil {
					t.Fatal(err)
				}
				sum := g.Identity()
				for k, d := range dealers {
					w, err := v.old.Contribution(quorum, quorum[k], v.shares[quorum[k]])
					if err != nil {
						t.Fatal(err)
					}
					if d.ID != quorum[k] || d.Weight != nil || !g.BaseMul(w).Equal(d.Constant) {
						t.Errorf("%v: dealer %v has another constant", set, d.ID)
					}
					sum = sum.Add(d.Constant)
				}
				if !sum.Equal(v.old.Public) {
					t.Errorf("%v: constants do not give the key", set)
				}
			}
		}
	}
}

func TestOldRefuses(t *testing.T) {
	g := secp256k1.Group{}
	quorum := ids([]int{0, 1, 2})
	for _, c := range []struct {
		want  string
		spoil func(o *Old, quorum *[]engine.PartyID)
	}{
		{"quorum of 2, 3 are needed", func(_ *Old, q *[]engine.PartyID) { *q = (*q)[:2] }},
		{"no member of the old epoch", func(_ *Old, q *[]engine.PartyID) { (*q)[2] = seat(9).ID }},
		{"or stands twice", func(_ *Old, q *[]engine.PartyID) { (*q)[2] = (*q)[1] }},
		{"do not give the public key", func(o *Old, _ *[]engine.PartyID) { o.Public = g.Generator() }},
		{"do not give the public key", func(o *Old, _ *[]engine.PartyID) { o.Members[0].Public = g.Generator() }},
		{"do not give the public key", func(o *Old, _ *[]engine.PartyID) { o.Threshold = 2 }},
		// A forged share of one who is not even in the quorum.
		{"is not on the polynomial", func(o *Old, _ *[]engine.PartyID) { o.Members[3].Public = g.Generator() }},
		{"threshold 5 with 4", func(o *Old, _ *[]engine.PartyID) { o.Threshold = 5 }},
		{"threshold 1 with 4", func(o *Old, _ *[]engine.PartyID) { o.Threshold = 1 }},
		{"not ascending", func(o *Old, _ *[]engine.PartyID) { o.Members[1].Index = o.Members[0].Index }},
		{"stands twice", func(o *Old, _ *[]engine.PartyID) { o.Members[1].Identity = o.Members[0].Identity }},
	} {
		v := newVault(t, g, 3, 0, 1, 2, 3)
		q := slices.Clone(quorum)
		c.spoil(&v.old, &q)
		_, err := v.old.Dealers(q)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("dealers, %q: got %v", c.want, err)
		}
		if _, err := v.old.Contribution(q, q[0], v.shares[q[0]]); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("contribution, %q: got %v", c.want, err)
		}
	}
	v := newVault(t, g, 3, 0, 1, 2, 3)
	if _, err := v.old.Contribution(quorum, seat(3).ID, v.shares[seat(3).ID]); err == nil || !strings.Contains(err.Error(), "we are not in the quorum") {
		t.Errorf("a member outside of the quorum: %v", err)
	}
	if _, err := v.old.Contribution(quorum, quorum[0], v.shares[quorum[1]]); err == nil || !strings.Contains(err.Error(), "of another epoch") {
		t.Errorf("another's share: %v", err)
	}
}

// A record of points nobody knows the logarithm of, on one polynomial, with the enrolled key at 0, can be
// made by anybody: so the record alone is not believed, and each dealer proves what it knows.
func TestForgedRecordOfUnknownLogarithms(t *testing.T) {
	g := secp256k1.Group{}
	v := newVault(t, g, 2, 0, 1, 2)
	h := sha512.Sum512([]byte("nobody knows"))
	slope := g.FromUniform(h[:])
	for i, m := range v.old.Members { // the line through X with that slope
		v.old.Members[i].Public = v.old.Public.Add(slope.MulVarTime(g.Scalar(uint64(m.Index))))
	}
	if _, err := v.old.Dealers(ids([]int{0, 1})); err != nil {
		t.Fatalf("the forged record does not pass, and the test shows nothing: %v", err)
	}
	// Two liars against one new member, who holds that record: constants fit, proofs do not.
	dealers, err := v.old.Dealers(ids([]int{0, 1}))
	if err != nil {
		t.Fatal(err)
	}
	all := newVault(t, g, 2, 0, 1, 2).reshare(t, 2, []int{0, 1}, []int{0, 1, 2}, sid, 1)
	all[2].Dealers = dealers
	forgers := map[int]func(Params) engine.Stage[Output]{}
	for i := range 2 {
		forgers[i] = func(p Params) engine.Stage[Output] {
			return forge(t, p, scalars(g, 5, 6), func(c []group.Point) []group.Point {
				return []group.Point{dealers[i].Constant, c[1]}
			})
		}
	}
	c := withForgers(t, all, forgers, nil)
	if f := c.Parties[2].Fault(); f == nil || f.Check != "reshare: proof" || len(f.Accused) != 2 {
		t.Errorf("the new member ended with %v", c.Parties[2].Err)
	}
}

func TestSeats(t *testing.T) {
	old := newVault(t, secp256k1.Group{}, 2, 0, 1, 2).old
	good := []session.Party{seat(0), seat(2), seat(5)}
	good[1].Identity = bytes.Repeat([]byte{1}, 32) // the roster gave it another key
	if err := old.CheckSeats(good); err != nil {
		t.Error(err)
	}
	for want, spoil := range map[string]func(p []session.Party){
		"had index 2 and now has 3":               func(p []session.Party) { p[0].Index = 3 },
		"has index 5, which was party 02000000's": func(p []session.Party) { p[2].Index = seat(1).Index },
		"has index 8, which was party 03000000's": func(p []session.Party) { p[2].Index = seat(2).Index },
	} {
		p := slices.Clone(good)
		spoil(p)
		if err := old.CheckSeats(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", want, err)
		}
	}
}
