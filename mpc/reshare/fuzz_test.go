package reshare

import (
	"bytes"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// sent is what party 0 says of a kind in an honest session.
func sent(tb testing.TB, all []Params, kind engine.Kind) []byte {
	tb.Helper()
	c := enginetest.Run(enginetest.Options{}, machines(tb, all)...)
	i := slices.IndexFunc(c.Parties[0].Sent, func(m engine.Msg) bool { return m.Kind == kind })
	if i < 0 {
		tb.Fatalf("kind %#x was not sent", uint8(kind))
	}
	return c.Parties[0].Sent[i].Body
}

func FuzzDecodeOpening(f *testing.F) {
	var layouts []layout
	for _, g := range groups {
		v := newVault(f, g, 2, 0, 1, 2)
		for _, all := range [][]Params{v.refresh(sid, 1), v.reshare(f, 2, []int{0, 1}, []int{1, 2, 3}, sid, 1)} {
			layouts = append(layouts, all[0].layout(all[0].Self.ID))
			f.Add(uint8(len(layouts)-1), sent(f, all, KindOpening))
		}
	}
	f.Add(uint8(0), []byte{2})
	f.Fuzz(func(t *testing.T, which uint8, in []byte) {
		l := layouts[int(which)%len(layouts)]
		o, err := l.decode(in)
		if err != nil {
			return
		}
		if !bytes.Equal(o.encode(), in) {
			t.Fatal("decode then encode changed an opening")
		}
		if len(o.commit) != 2 || len(o.hashes) != l.hashes || o.commit[1].IsIdentity() || o.commit[0].IsIdentity() != l.zero {
			t.Fatal("an opening of another form passes")
		}
	})
}

// Whatever complaint comes, honest dealers' openings are not proved wrong, and nothing panics.
func FuzzProves(f *testing.F) {
	v := newVault(f, secp256k1.Group{}, 2, 0, 1, 2)
	var runs [][]Params
	var openings [][]byte
	for _, all := range [][]Params{v.refresh(sid, 1), v.reshare(f, 2, []int{0, 1}, []int{1, 2, 3}, sid, 1)} {
		runs, openings = append(runs, all), append(openings, sent(f, all, KindOpening))
	}
	f.Add(false, uint8(1), sent(f, v.refresh(sid, 1), KindShare))
	f.Add(true, uint8(2), make([]byte, 64))
	f.Fuzz(func(t *testing.T, leaves bool, accuser uint8, complaint []byte) {
		k := 0
		if leaves {
			k = 1
		}
		p := runs[k][0]
		if Proves(p, p.Self.ID, p.Parties[int(accuser)%len(p.Parties)].ID, openings[k], complaint) {
			t.Fatal("frames an honest dealer")
		}
	})
}

// Whatever a dealer opens and a receiver shows, judging it does not panic.
func FuzzProvesOpening(f *testing.F) {
	v := newVault(f, secp256k1.Group{}, 2, 0, 1, 2)
	all := v.reshare(f, 2, []int{0, 1}, []int{1, 2, 3}, sid, 1)
	complaint := sent(f, v.reshare(f, 2, []int{0, 1}, []int{1, 2, 3}, sid, 1), KindShare)
	f.Add(uint8(0), sent(f, all, KindOpening), complaint)
	f.Fuzz(func(t *testing.T, dealer uint8, opening, complaint []byte) {
		p := all[0]
		if Proves(p, p.Parties[int(dealer)%len(p.Parties)].ID, seat(3).ID, opening, complaint) && len(complaint) != 64 {
			t.Fatal("a complaint of another length convinces")
		}
	})
}
