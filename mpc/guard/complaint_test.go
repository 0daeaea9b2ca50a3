package guard

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// badMask makes the corrupt dealer publish the hash of a mask that is off its polynomial, and send it to the victim.
func badMask(tb testing.TB, s *stand) *enginetest.Cluster[Output] {
	g := s.v.g
	return s.run(tb, func(_ uint8, out []engine.Out) []engine.Out {
		var h [hashSize]byte
		for i, o := range out {
			if o.Kind == KindMask && o.To == s.victim {
				d, err := share.DecodeDealt(g, o.Body)
				if err != nil {
					tb.Fatal(err)
				}
				d.Value = d.Value.Add(g.Scalar(1))
				out[i].Body, h = d.Bytes(), maskHash(sid, s.corrupt, s.victim, d)
			}
		}
		for i, o := range out {
			if o.Kind == KindDeal {
				hashes, proofs, err := decodeDeal(len(s.v.members)-1, len(s.v.keys), o.Body)
				if err != nil {
					tb.Fatal(err)
				}
				hashes[0] = h
				out[i].Body = encodeDeal(hashes, proofs)
			}
		}
		return out
	}, nil)
}

// evidence is the opening, the deal and the mask that a fault carries.
func evidence(tb testing.TB, f *engine.Fault) (opening, deal, mask []byte) {
	tb.Helper()
	for _, m := range f.Evidence {
		switch {
		case len(m.Signed) == 0:
			tb.Error("evidence without an envelope")
		case m.Kind == KindOpening:
			opening = m.Body
		case m.Kind == KindDeal:
			deal = m.Body
		case m.Kind == KindMask:
			mask = m.Body
		}
	}
	return opening, deal, mask
}

func (s *stand) fault(tb testing.TB, c *enginetest.Cluster[Output], want engine.Strength) *engine.Fault {
	tb.Helper()
	p := c.Party(s.victim)
	f := p.Fault()
	if f == nil || f.Class != engine.Blame || f.Strength != want || !slices.Equal(f.Accused, []engine.PartyID{s.corrupt}) {
		tb.Fatalf("ended with %v", p.Err)
	}
	return f
}

func TestBadMaskIsProved(t *testing.T) {
	s := newStand(t, "", newVault(t, secp256k1.Group{}, 2, 3, 1, 2, 3, false), 1, 0)
	opening, deal, mask := evidence(t, s.fault(t, badMask(t, s), engine.Proved))
	v, dealers := s.v, s.params().Dealers
	proves := func(id engine.SessionID, terms Terms, dealer, accuser engine.PartyID, opening, deal, mask []byte) bool {
		return Proves(id, terms, dealers, dealer, accuser, opening, deal, mask)
	}
	if !proves(sid, v.terms(), s.corrupt, s.victim, opening, deal, mask) {
		t.Fatal("the complaint convinces nobody")
	}
	third := v.members[2].ID
	moved := v.terms()
	moved.Members[1].Index++
	for name, wrong := range map[string]bool{
		"another accuser":       proves(sid, v.terms(), s.corrupt, third, opening, deal, mask),
		"another dealer":        proves(sid, v.terms(), s.victim, third, opening, deal, mask),
		"who deals nothing":     proves(sid, v.terms(), third, s.victim, opening, deal, mask),
		"dealer is accuser":     proves(sid, v.terms(), s.corrupt, s.corrupt, opening, deal, mask),
		"stranger as dealer":    proves(sid, v.terms(), engine.PartyID{9}, s.victim, opening, deal, mask),
		"stranger as accuser":   proves(sid, v.terms(), s.corrupt, engine.PartyID{9}, opening, deal, mask),
		"short mask":            proves(sid, v.terms(), s.corrupt, s.victim, opening, deal, mask[1:]),
		"mask ≥ q":              proves(sid, v.terms(), s.corrupt, s.victim, opening, deal, bytes.Repeat([]byte{0xff}, 64)),
		"no opening":            proves(sid, v.terms(), s.corrupt, s.victim, nil, deal, mask),
		"no deal":               proves(sid, v.terms(), s.corrupt, s.victim, opening, nil, mask),
		"the true deal":         proves(sid, v.terms(), s.corrupt, s.victim, opening, body(t, s.now, KindDeal, s.corrupt, s.victim), mask),
		"the true mask":         proves(sid, v.terms(), s.corrupt, s.victim, opening, deal, body(t, s.now, KindMask, s.corrupt, s.victim)),
		"another session":       proves(engine.SessionID{9}, v.terms(), s.corrupt, s.victim, opening, deal, mask),
		"dealers of another":    Proves(sid, v.terms(), dealers[:1], s.corrupt, s.victim, opening, deal, mask),
		"all true":              proves(sid, v.terms(), s.corrupt, s.victim, opening, body(t, s.now, KindDeal, s.corrupt, s.victim), body(t, s.now, KindMask, s.corrupt, s.victim)),
		"nothing of encryption": ProvesEncryption(sid, v.terms(), dealers, s.corrupt, opening, deal),
	} {
		if wrong {
			t.Errorf("%s: the complaint convinces", name)
		}
	}
}

// A bad encryption is public: everybody who has the dealer's broadcasts sees it.
func TestBadEncryptionIsProved(t *testing.T) {
	s := newStand(t, "", newVault(t, edwards25519.Group{}, 2, 2, 1, 2, 3, false), 1, 0)
	c := s.run(t, s.bodies(KindDeal, func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), nil)
	opening, deal, _ := evidence(t, s.fault(t, c, engine.Proved))
	dealers := s.params().Dealers
	if !ProvesEncryption(sid, s.v.terms(), dealers, s.corrupt, opening, deal) {
		t.Fatal("the complaint convinces nobody")
	}
	for name, wrong := range map[string]bool{
		"the true deal":      ProvesEncryption(sid, s.v.terms(), dealers, s.corrupt, opening, body(t, s.now, KindDeal, s.corrupt, s.victim)),
		"a stranger":         ProvesEncryption(sid, s.v.terms(), dealers, engine.PartyID{9}, opening, deal),
		"no opening":         ProvesEncryption(sid, s.v.terms(), dealers, s.corrupt, nil, deal),
		"no deal":            ProvesEncryption(sid, s.v.terms(), dealers, s.corrupt, opening, nil),
		"dealers of another": ProvesEncryption(sid, s.v.terms(), dealers[:1], s.corrupt, opening, deal),
	} {
		if wrong {
			t.Errorf("%s: the complaint convinces", name)
		}
	}
}

// A mask that does not match its hash is known to us alone: we could have made it up.
func TestMaskThatFitsNoHashIsLocal(t *testing.T) {
	s := newStand(t, "", newVault(t, edwards25519.Group{}, 2, 2, 1, 2, 3, false), 1, 0)
	c := s.run(t, s.bodies(KindMask, func(b []byte) []byte { b[5] ^= 1; return b }), nil)
	opening, deal, mask := evidence(t, s.fault(t, c, engine.Local))
	if Proves(sid, s.v.terms(), s.params().Dealers, s.corrupt, s.victim, opening, deal, mask) {
		t.Error("it convinces others all the same")
	}
}

// 3,000 made-up complaints against honest dealers: the true mask, flipped bits of it, other dealers' masks, noise, each under any accuser.
func TestFramingBlamesNobody(t *testing.T) {
	s := newStand(t, "", newVault(t, edwards25519.Group{}, 3, 3, 2, 2, 3, false), 1, 0)
	ids, r, noise := s.params().Dealers, rand.New(rand.NewPCG(1, 2)), enginetest.Reader(3)
	for n := range 3000 {
		d, a, from := r.IntN(3), r.IntN(3), r.IntN(3)
		opening, deal := body(t, s.now, KindOpening, ids[d], ids[(d+1)%3]), body(t, s.now, KindDeal, ids[d], ids[(d+1)%3])
		mask := bytes.Clone(body(t, s.now, KindMask, ids[from], ids[(from+1+r.IntN(2))%3]))
		switch n % 4 {
		case 1:
			mask[r.IntN(64)] ^= 1 << r.IntN(8)
		case 2:
			_, _ = noise.Read(mask)
		case 3:
			copy(mask, s.v.g.Scalar(uint64(r.IntN(1000))).Bytes())
		}
		if Proves(sid, s.v.terms(), ids, ids[d], ids[a], opening, deal, mask) {
			t.Fatalf("try %d frames party %d", n, d)
		}
	}
}
