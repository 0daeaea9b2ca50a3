package guard

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// planOf is a plan without keys that anybody has: two of three, beside r operators.
func planOf(r int) *Plan {
	p := &Plan{Terms: [32]byte{9}, Operators: r, Quorum: 2}
	for i := range 3 {
		key, err := pve.NewPrivateKey(enginetest.Reader(uint64(i)))
		if err != nil {
			panic(err)
		}
		p.Guardians = append(p.Guardians, Guardian{engine.PartyID{byte(i + 1)}, key.Public()})
	}
	return p
}

func commitment(g group.Group, n int) (c share.Commitment) {
	for i := range n {
		c = append(c, g.BaseMul(g.Scalar(uint64(i+3))))
	}
	return c
}

var groups = []group.Group{secp256k1.Group{}, edwards25519.Group{}}

func FuzzDecodePlan(f *testing.F) {
	f.Add(planOf(1).Encode())
	f.Add(planOf(15).Encode())
	f.Add([]byte{0, 1, 0, 0, 0, 32})
	f.Fuzz(func(t *testing.T, in []byte) {
		if p, err := DecodePlan(in); err == nil && !bytes.Equal(p.Encode(), in) {
			t.Fatal("decode then encode changed a plan")
		}
	})
}

func FuzzDecodeSet(f *testing.F) {
	terms := func(ed bool) Terms {
		g := groups[0]
		if ed {
			g = groups[1]
		}
		return Terms{Group: g, Threshold: 2, Plan: planOf(1)}
	}
	for _, ed := range []bool{false, true} {
		t := terms(ed)
		s := &Set{Session: engine.SessionID{1}}
		for i := range 2 {
			s.Deals = append(s.Deals, Deal{engine.PartyID{byte(i)}, commitment(t.Group, 1), commitment(t.Group, 2), [][]byte{{1}, {}, {2, 3}}})
		}
		f.Add(ed, s.Encode(t.Plan))
	}
	f.Fuzz(func(t *testing.T, ed bool, in []byte) {
		s, err := DecodeSet(terms(ed), in)
		if err != nil {
			return
		}
		if !bytes.Equal(s.Encode(terms(ed).Plan), in) {
			t.Fatal("decode then encode changed a set")
		}
		if s.Verify(terms(ed)) == nil {
			t.Fatal("a set that nobody made holds")
		}
	})
}

func FuzzDecodeOpening(f *testing.F) {
	for i, g := range groups {
		o := &opening{values: commitment(g, 2), tail: commitment(g, 2), salt: [32]byte{1}}
		f.Add(i == 1, o.encode())
	}
	f.Add(false, []byte{2})
	f.Fuzz(func(t *testing.T, ed bool, in []byte) {
		g := groups[0]
		if ed {
			g = groups[1]
		}
		o, err := decodeOpening(g, planOf(3), in)
		if err != nil {
			return
		}
		if !bytes.Equal(o.encode(), in) || len(o.values) != 2 || len(o.tail) != 2 {
			t.Fatal("decode then encode changed an opening")
		}
		for _, p := range append(o.values, o.tail...) {
			if p.IsIdentity() {
				t.Fatal("a point is 0")
			}
		}
	})
}

func FuzzDecodeDeal(f *testing.F) {
	f.Add(encodeDeal(make([][hashSize]byte, 2), [][]byte{{1}, {}, {2, 3}}))
	f.Add([]byte{0, 1, 0, 0, 0, 32})
	f.Fuzz(func(t *testing.T, in []byte) {
		if hs, proofs, err := decodeDeal(2, 3, in); err == nil && !bytes.Equal(encodeDeal(hs, proofs), in) {
			t.Fatal("decode then encode changed a deal")
		}
	})
}

func FuzzDecodeContribution(f *testing.F) {
	a := &Activation{ID: [32]byte{1}, Threshold: 2, Members: make([]NewMember, 3)}
	for i, g := range groups {
		c := &Contribution{a.ID, commitment(g, 2), [][]byte{{1}, {}, {2, 3}}, make(ed25519.PublicKey, 32), make([]byte, 64)}
		f.Add(i == 1, c.Encode())
	}
	f.Fuzz(func(t *testing.T, ed bool, in []byte) {
		g := groups[0]
		if ed {
			g = groups[1]
		}
		if c, err := DecodeContribution(g, a, in); err == nil && !bytes.Equal(c.Encode(), in) {
			t.Fatal("decode then encode changed a contribution")
		}
	})
}

func FuzzTakeApproval(f *testing.F) {
	for i, g := range groups {
		var e transcript.Encoder
		(&Approval{commitment(g, 2), [32]byte{1}, make(ed25519.PublicKey, 32), make([]byte, 64)}).Put(&e)
		f.Add(i == 1, uint8(2), e.Sum())
	}
	f.Fuzz(func(t *testing.T, ed bool, threshold uint8, in []byte) {
		g := groups[0]
		if ed {
			g = groups[1]
		}
		d := transcript.NewDecoder(in)
		x := TakeApproval(d, g, int(threshold))
		if d.Done() != nil {
			return
		}
		var e transcript.Encoder
		if x.Put(&e); !bytes.Equal(e.Sum(), in) {
			t.Fatal("decode then encode changed an approval")
		}
	})
}

// Whatever complaint comes, an honest dealer's messages are not proved wrong, and nothing panics; nor with messages that nobody sent.
func FuzzProves(f *testing.F) {
	v := newVault(f, secp256k1.Group{}, 2, 3, 1, 2, 3, false)
	v.kept = map[engine.PartyID]*kept{}
	s := newStand(f, "", v, 0, 2)
	opening, deal := body(f, s.now, KindOpening, s.corrupt, s.victim), body(f, s.now, KindDeal, s.corrupt, s.victim)
	terms, dealers := v.terms(), s.params().Dealers
	f.Add(uint8(2), []byte{}, body(f, s.now, KindMask, s.corrupt, s.victim))
	f.Add(uint8(1), opening, make([]byte, 64))
	f.Fuzz(func(t *testing.T, accuser uint8, other, mask []byte) {
		a := v.members[int(accuser)%3].ID
		if Proves(sid, terms, dealers, s.corrupt, a, opening, deal, mask) {
			t.Fatal("frames an honest dealer")
		}
		if Proves(sid, terms, dealers, s.corrupt, a, other, deal, mask) && len(mask) != 64 {
			t.Fatal("a complaint of another length convinces")
		}
		if Proves(sid, terms, dealers, s.corrupt, a, opening, other, mask) {
			t.Fatal("made-up hashes fit a mask")
		}
	})
}
