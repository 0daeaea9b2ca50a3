package frost

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// third is what somebody knows who was not there: no share, no coins, no seat.
func third(p Params) Params {
	p.Share, p.Rand, p.Self.ID, p.Self.Index = nil, nil, engine.PartyID{}, 0
	return p
}

// evidence is what a fault carries for others.
func evidence(tb testing.TB, f *engine.Fault, of engine.PartyID) (share engine.Msg, commitments [][]byte) {
	tb.Helper()
	bad := (*BadShareError)(nil)
	if !errors.As(f, &bad) {
		tb.Fatalf("no commitments in %v", f)
	}
	for _, m := range f.Evidence {
		if len(m.Signed) == 0 {
			tb.Error("evidence without an envelope")
		}
		if m.Kind == KindShare && m.From == of {
			share = m
		}
	}
	return share, bad.Commitments
}

// convict holds a fault over a share to what it claims: proved, against each whom it accuses.
func convict(tb testing.TB, p Params, f *engine.Fault) {
	tb.Helper()
	if f.Class != engine.Blame || f.Strength != engine.Proved || len(f.Accused) == 0 {
		tb.Errorf("class %v, strength %d: %v", f.Class, f.Strength, f)
	}
	for _, id := range f.Accused {
		share, commitments := evidence(tb, f, id)
		if !Proves(third(p), id, commitments, share) {
			tb.Errorf("the complaint against %v convinces nobody", id)
		}
	}
}

func TestBadShareIsProved(t *testing.T) {
	for _, suite := range suites {
		s := newStand(t, suite, 2, 3, 1, 0)
		corrupt, victim, other := s.ids()
		c := s.run(t, KindShare, func(b []byte) []byte { b[7] ^= 1; return b }, nil)
		f := c.Party(victim).Fault()
		if f == nil || !slices.Equal(f.Accused, []engine.PartyID{corrupt}) {
			t.Fatalf("ended with %v", c.Party(victim).Err)
		}
		convict(t, s.all[2], f)
		share, list := evidence(t, f, corrupt)
		p := third(s.all[2])
		with := func(edit func(m *engine.Msg)) engine.Msg {
			m := share
			m.Body = bytes.Clone(m.Body)
			edit(&m)
			return m
		}
		swapped := slices.Clone(list)
		swapped[0], swapped[2] = list[2], list[0]
		wrong := func(edit func(p *Params)) Params { q := p; edit(&q); return q }
		for name, convinced := range map[string]bool{
			"another accused":     Proves(p, other, list, share),
			"a stranger":          Proves(p, engine.PartyID{99}, list, share),
			"other commitments":   Proves(p, corrupt, swapped, share),
			"too few commitments": Proves(p, corrupt, list[:2], share),
			"no commitments":      Proves(p, corrupt, nil, share),
			"bad commitment":      Proves(p, corrupt, [][]byte{list[0], list[1], nil}, share),
			"another echo":        Proves(p, corrupt, list, with(func(m *engine.Msg) { m.Echo[0] ^= 1 })),
			"another session":     Proves(p, corrupt, list, with(func(m *engine.Msg) { m.Session[0] ^= 1 })),
			"another round":       Proves(p, corrupt, list, with(func(m *engine.Msg) { m.Round = 1 })),
			"another kind":        Proves(p, corrupt, list, with(func(m *engine.Msg) { m.Kind = KindCommit })),
			"a direct message":    Proves(p, corrupt, list, with(func(m *engine.Msg) { m.To = victim })),
			"a short share":       Proves(p, corrupt, list, with(func(m *engine.Msg) { m.Body = m.Body[1:] })),
			"a share ≥ q":         Proves(p, corrupt, list, with(func(m *engine.Msg) { m.Body = bytes.Repeat([]byte{0xff}, 32) })),
			"the honest share":    Proves(p, corrupt, list, with(func(m *engine.Msg) { m.Body[7] ^= 1 })),
			"another suite":       Proves(wrong(func(p *Params) { p.Suite = "ecdsa" }), corrupt, list, share),
			"no public share":     Proves(wrong(func(p *Params) { p.Publics = nil }), corrupt, list, share),
		} {
			if convinced {
				t.Errorf("%s, %s: it convinces", suite, name)
			}
		}
	}
}

// What an honest signer signed never convicts it, whatever is put beside it.
func TestFramingBlamesNobody(t *testing.T) {
	for _, suite := range suites {
		s := newStand(t, suite, 2, 3, 1, 0)
		var shares []engine.Msg
		var list [][]byte
		for _, m := range s.now {
			if m.Kind == KindShare {
				shares = append(shares, m)
			}
		}
		for _, p := range s.all {
			list = append(list, body(t, s.now, KindCommit, p.Self.ID))
		}
		r := rand.New(rand.NewPCG(3, 4))
		for n := range 1000 {
			forged := slices.Clone(list)
			switch n % 4 {
			case 1:
				k := r.IntN(3)
				forged[k] = body(t, s.earlier, KindCommit, s.all[k].Self.ID)
			case 2:
				r.Shuffle(3, func(i, j int) { forged[i], forged[j] = forged[j], forged[i] })
			case 3:
				k := r.IntN(3)
				forged[k] = bytes.Clone(list[k])
				forged[k][r.IntN(len(list[k]))] ^= 1 << r.IntN(8)
			}
			m := shares[r.IntN(3)]
			if Proves(third(s.all[0]), m.From, forged, m) {
				t.Fatalf("%s: try %d frames party %v", suite, n, m.From)
			}
		}
	}
}

// Two colluders whose errors cancel: the signature would verify, and both are named all the same.
func TestErrorsThatCancelAreBlamed(t *testing.T) {
	for _, suite := range suites {
		d := newDeal(t, suite, 3, 3)
		var sessions []*engine.Session[Signature]
		params := d.params(all(3), message("two"), nil, KeyPath())
		for i, p := range params {
			stage := first(t, p)
			if i > 0 {
				stage = enginetest.CorruptBody(stage, KindShare, engine.Everyone, func(b []byte) []byte {
					z, err := d.group.DecodeScalar(b)
					if err != nil {
						t.Fatal(err)
					}
					if i == 1 {
						return z.Add(d.group.Scalar(5)).Bytes()
					}
					return z.Sub(d.group.Scalar(5)).Bytes()
				})
			}
			sessions = append(sessions, open(t, p, stage))
		}
		f := enginetest.Run(enginetest.Options{}, sessions...).Parties[0].Fault()
		if f == nil || !slices.Equal(f.Accused, []engine.PartyID{params[1].Self.ID, params[2].Self.ID}) {
			t.Fatalf("%s: ended with %v", suite, f)
		}
		convict(t, params[0], f)
	}
}
