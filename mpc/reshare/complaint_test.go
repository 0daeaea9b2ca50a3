package reshare

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/session"
)

// badDeal makes the corrupt dealer publish the hash of a share that is off its polynomial, and
// send it to the victim.
func badDeal(tb testing.TB, s *stand) *enginetest.Cluster[Output] {
	p := s.params(sid, 1)[0]
	return s.run(tb, func(_ uint8, out []engine.Out) []engine.Out {
		var h [32]byte
		for i, o := range out {
			if o.Kind == KindShare && o.To == s.victim {
				d, err := share.DecodeDealt(p.Group, o.Body)
				if err != nil {
					tb.Fatal(err)
				}
				d.Value = d.Value.Add(p.Group.Scalar(1))
				out[i].Body = d.Bytes()
				h = shareHash(sid, s.corrupt, s.victim, d)
			}
		}
		for i, o := range out {
			if o.Kind == KindOpening {
				opened, err := p.layout(s.corrupt).decode(o.Body)
				if err != nil {
					tb.Fatal(err)
				}
				opened.hashes[session.Place(p.receivers(), s.corrupt, s.victim)] = h
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

// against are the stands in which a dealer lies to a receiver.
func against(tb testing.TB) (some []*stand) {
	for _, s := range stands(tb) {
		p := s.params(sid, 1)[0]
		is := func(id engine.PartyID) func(session.Party) bool {
			return func(q session.Party) bool { return q.ID == id }
		}
		if slices.ContainsFunc(p.dealers(), is(s.corrupt)) && slices.ContainsFunc(p.receivers(), is(s.victim)) {
			some = append(some, s)
		}
	}
	return some
}

func TestBadShareIsProved(t *testing.T) {
	seen := 0
	for _, s := range against(t) {
		seen++
		c, p := badDeal(t, s), s.params(sid, 1)[0]
		f := c.Party(s.victim).Fault()
		if f == nil || f.Class != engine.Blame || f.Strength != engine.Proved || !slices.Equal(f.Accused, []engine.PartyID{s.corrupt}) {
			t.Fatalf("%s: ended with %v", s.name, c.Party(s.victim).Err)
		}
		opening, complaint := evidence(t, f)
		p.Secret, p.Sign, p.Rand = nil, nil, nil // a third party's view
		if !Proves(p, s.corrupt, s.victim, opening, complaint) {
			t.Errorf("%s: the complaint convinces nobody", s.name)
		}
		for _, a := range p.Parties {
			for _, d := range p.Parties {
				if (a.ID != s.victim || d.ID != s.corrupt) && Proves(p, d.ID, a.ID, opening, complaint) {
					t.Errorf("%s: it convinces of %v and %v", s.name, d.ID, a.ID)
				}
			}
		}
		stranger, other := engine.PartyID{9}, p
		other.Session = engine.SessionID{9}
		for name, wrong := range map[string]bool{
			"stranger as dealer":      Proves(p, stranger, s.victim, opening, complaint),
			"stranger as accuser":     Proves(p, s.corrupt, stranger, opening, complaint),
			"nobody as accuser":       Proves(p, s.corrupt, engine.Everyone, opening, complaint),
			"short complaint":         Proves(p, s.corrupt, s.victim, opening, complaint[1:]),
			"complaint ≥ q":           Proves(p, s.corrupt, s.victim, opening, bytes.Repeat([]byte{0xff}, 64)),
			"no opening":              Proves(p, s.corrupt, s.victim, nil, complaint),
			"another session":         Proves(other, s.corrupt, s.victim, opening, complaint),
			"honest dealer's opening": Proves(p, s.corrupt, s.victim, body(t, s.now, KindOpening, s.corrupt, s.victim), complaint),
		} {
			if wrong {
				t.Errorf("%s, %s: the complaint convinces", s.name, name)
			}
		}
	}
	if seen < 4 {
		t.Errorf("%d stands", seen)
	}
}

// A share that does not match its hash is known to us alone: we could have made it up.
func TestShareThatFitsNoHashIsLocal(t *testing.T) {
	for _, s := range against(t) {
		c := s.run(t, s.bodies(KindShare, func(b []byte) []byte { b[5] ^= 1; return b }), nil)
		f := c.Party(s.victim).Fault()
		if f == nil || f.Class != engine.Blame || f.Strength != engine.Local {
			t.Fatalf("%s: ended with %v", s.name, c.Party(s.victim).Err)
		}
		opening, complaint := evidence(t, f)
		if Proves(s.params(sid, 1)[0], s.corrupt, s.victim, opening, complaint) {
			t.Errorf("%s: it convinces others all the same", s.name)
		}
	}
}

// 10,000 made-up complaints against honest dealers: the true share, flipped bits of it, other
// dealers' shares, noise, each under any accuser.
func TestFramingBlamesNobody(t *testing.T) {
	v := newVault(t, secp256k1.Group{}, 2, 0, 1, 2)
	for _, all := range [][]Params{v.refresh(sid, 1), v.reshare(t, 2, []int{0, 1, 2}, []int{0, 1, 2}, sid, 1)} {
		var msgs []engine.Msg
		for _, p := range enginetest.Run(enginetest.Options{}, machines(t, all)...).Parties {
			msgs = append(msgs, p.Sent...)
		}
		p, who := all[0], ids([]int{0, 1, 2})
		r := rand.New(rand.NewPCG(1, 2))
		noise := enginetest.Reader(3)
		for n := range 5_000 {
			d, a, from := r.IntN(3), r.IntN(3), r.IntN(3)
			opening := body(t, msgs, KindOpening, who[d], engine.Everyone)
			complaint := bytes.Clone(body(t, msgs, KindShare, who[from], who[(from+1+r.IntN(2))%3]))
			switch n % 4 {
			case 1:
				complaint[r.IntN(64)] ^= 1 << r.IntN(8)
			case 2:
				_, _ = noise.Read(complaint)
			case 3:
				copy(complaint, p.Group.Scalar(uint64(r.IntN(1000))).Bytes())
			}
			if Proves(p, who[d], who[a], opening, complaint) {
				t.Fatalf("try %d frames party %d", n, d)
			}
		}
	}
}
