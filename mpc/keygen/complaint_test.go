package keygen

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// badDeal makes party 1 publish the hash of a share that is off its polynomial, and send it.
func badDeal(tb testing.TB, s *stand) *enginetest.Cluster[Output] {
	ids, g := enginetest.IDs(3), secp256k1.Group{}
	return s.run(tb, func(_ uint8, out []engine.Out) []engine.Out {
		var h [32]byte
		for i, o := range out {
			if o.Kind == KindShare && o.To == ids[0] {
				d, err := share.DecodeDealt(g, o.Body)
				if err != nil {
					tb.Fatal(err)
				}
				d.Value = d.Value.Add(g.Scalar(1))
				out[i].Body = d.Bytes()
				h = shareHash(sid, ids[1], ids[0], d)
			}
		}
		for i, o := range out {
			if o.Kind == KindOpening {
				opened, err := decodeOpening(g, s.t, s.n, o.Body)
				if err != nil {
					tb.Fatal(err)
				}
				opened.hashes[0] = h
				out[i].Body = opened.encode()
			}
		}
		return out
	}, nil)
}

// evidence is the opening and the share that a fault carries.
func evidence(tb testing.TB, f *engine.Fault) (opening, complaint []byte) {
	tb.Helper()
	for _, m := range f.Evidence {
		switch {
		case len(m.Signed) == 0:
			tb.Error("evidence without an envelope")
		case m.Kind == KindOpening:
			opening = m.Body
		case m.Kind == KindShare:
			complaint = m.Body
		}
	}
	return opening, complaint
}

func TestBadShareIsProved(t *testing.T) {
	s := newStand(t, 2, 3)
	c, ids := badDeal(t, s), enginetest.IDs(3)
	f := c.Parties[0].Fault()
	if f == nil || f.Class != engine.Blame || f.Strength != engine.Proved || !slices.Equal(f.Accused, ids[1:2]) {
		t.Fatalf("ended with %v, strength %d", c.Parties[0].Err, f.Strength)
	}
	opening, complaint := evidence(t, f)
	p := committee(secp256k1.Group{}, 2, 3, sid, 1)[2] // a third party
	if !Proves(p, ids[1], ids[0], opening, complaint) {
		t.Error("the complaint convinces nobody")
	}
	for name, wrong := range map[string]bool{
		"another accuser":         Proves(p, ids[1], ids[2], opening, complaint),
		"another dealer":          Proves(p, ids[2], ids[0], opening, complaint),
		"dealer is accuser":       Proves(p, ids[0], ids[0], opening, complaint),
		"stranger as dealer":      Proves(p, engine.PartyID{9}, ids[0], opening, complaint),
		"stranger against last":   Proves(p, engine.PartyID{9}, ids[2], opening, complaint),
		"stranger as accuser":     Proves(p, ids[1], engine.PartyID{9}, opening, complaint),
		"short complaint":         Proves(p, ids[1], ids[0], opening, complaint[1:]),
		"complaint ≥ q":           Proves(p, ids[1], ids[0], opening, bytes.Repeat([]byte{0xff}, 64)),
		"no opening":              Proves(p, ids[1], ids[0], nil, complaint),
		"honest dealer's opening": Proves(p, ids[1], ids[0], body(t, s.now, KindOpening, ids[1], ids[0]), complaint),
	} {
		if wrong {
			t.Errorf("%s: the complaint convinces", name)
		}
	}
	other := p
	other.Session = engine.SessionID{9}
	if Proves(other, ids[1], ids[0], opening, complaint) {
		t.Error("the complaint convinces in another session")
	}
}

// A share that does not match its hash is known to us alone: we could have made it up.
func TestShareThatFitsNoHashIsLocal(t *testing.T) {
	s := newStand(t, 2, 3)
	c := s.run(t, bodies(KindShare, func(b []byte) []byte { b[5] ^= 1; return b }), nil)
	f := c.Parties[0].Fault()
	if f == nil || f.Class != engine.Blame || f.Strength != engine.Local {
		t.Fatalf("ended with %v", c.Parties[0].Err)
	}
	ids := enginetest.IDs(3)
	opening, complaint := evidence(t, f)
	if Proves(committee(secp256k1.Group{}, 2, 3, sid, 1)[2], ids[1], ids[0], opening, complaint) {
		t.Error("it convinces others all the same")
	}
}

// 10,000 made-up complaints against honest dealers: the true share, flipped bits of it, other
// dealers' shares, noise, each under any accuser.
func TestFramingBlamesNobody(t *testing.T) {
	s, ids := newStand(t, 2, 3), enginetest.IDs(3)
	p := committee(secp256k1.Group{}, 2, 3, sid, 1)[0]
	r := rand.New(rand.NewPCG(1, 2))
	noise := enginetest.Reader(3)
	for n := range 10_000 {
		d, a := r.IntN(3), r.IntN(3)
		opening := body(t, s.now, KindOpening, ids[d], ids[(d+1)%3])
		from := r.IntN(3)
		complaint := bytes.Clone(body(t, s.now, KindShare, ids[from], ids[(from+1+r.IntN(2))%3]))
		switch n % 4 {
		case 1:
			complaint[r.IntN(64)] ^= 1 << r.IntN(8)
		case 2:
			_, _ = noise.Read(complaint)
		case 3:
			copy(complaint, p.Group.Scalar(uint64(r.IntN(1000))).Bytes())
		}
		if Proves(p, ids[d], ids[a], opening, complaint) {
			t.Fatalf("try %d frames party %d", n, d)
		}
	}
}
