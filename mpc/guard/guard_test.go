package guard

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/session"
)

var sid = engine.SessionID{1, 2, 3}

// seat is party k of these tests, from 0; indices are neither dense nor from 1.
func seat(k int) session.Party {
	s := sha256.Sum256([]byte{byte(k)})
	return session.Party{
		ID: enginetest.IDs(k + 1)[k], Index: share.Index(3*k + 2), Identity: ed25519.NewKeyFromSeed(s[:]).Public().(ed25519.PublicKey),
	}
}

// A vault is an epoch of a key that a dealer made whom the product does not have, its guardians, and who else takes part.
type vault struct {
	g         group.Group
	secret    group.Scalar
	members   []session.Party
	leavers   []session.Party
	shares    map[engine.PartyID]group.Scalar
	publics   map[engine.PartyID]group.Point
	threshold int
	plan      *Plan
	keys      []*pve.PrivateKey
	kept      map[engine.PartyID]*kept // nil: every session encrypts anew
}

// kept is what one party dealt in one session. A session of the same seeds deals the same again, whatever others say: so the encryptions need not be made again.
type kept struct {
	session engine.SessionID
	deal    Deal
	hashes  [][hashSize]byte
	own     group.Scalar
	send    []engine.Out
}

// deal is Opened.Deal, or what it came to before.
func (v *vault) deal(o *Opened) (engine.Outcome[Output], error) {
	e := v.epoch(o.Self.ID)
	k := v.kept[o.Self.ID]
	if v.kept == nil || !o.isDealer(o.Self.ID) || k != nil && k.session != o.Session {
		return o.Deal(e)
	}
	if k == nil {
		out, err := o.Deal(e)
		if s, ok := out.Next.(*judge); ok {
			d := s.deals[o.Self.ID]
			k = &kept{o.Session, d.Deal, d.hashes, s.own.Add(v.g.Scalar(0)), nil}
			for _, m := range out.Send {
				k.send = append(k.send, engine.Out{Kind: m.Kind, To: m.To, Body: bytes.Clone(m.Body)})
			}
			v.kept[o.Self.ID] = k
		}
		return out, err
	}
	s, err := o.judge(e)
	if err != nil {
		return engine.Outcome[Output]{}, err
	}
	o.Wipe()
	s.own = k.own.Add(v.g.Scalar(0))
	s.deals[o.Self.ID].Proofs, s.deals[o.Self.ID].hashes = k.deal.Proofs, k.hashes
	out := engine.Outcome[Output]{Next: s}
	for _, m := range k.send {
		out.Send = append(out.Send, engine.Out{Kind: m.Kind, To: m.To, Body: bytes.Clone(m.Body)})
	}
	return out, nil
}

// newVault has n members, and a leaver beside them if leaves is set.
func newVault(tb testing.TB, g group.Group, t, n, r, k, m int, leaves bool) *vault {
	tb.Helper()
	v := &vault{g: g, secret: g.Scalar(4242), threshold: t, shares: map[engine.PartyID]group.Scalar{}, publics: map[engine.PartyID]group.Point{}}
	f, err := share.Sample(g, t, v.secret, enginetest.Reader(7))
	if err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		p := seat(i)
		v.members = append(v.members, p)
		v.shares[p.ID] = f.Eval(p.Index)
		v.publics[p.ID] = g.BaseMul(v.shares[p.ID])
	}
	if leaves {
		v.leavers = append(v.leavers, seat(n))
	}
	v.plan = &Plan{Terms: [32]byte{9}, Operators: r, Quorum: k}
	for i := range m {
		key, err := pve.NewPrivateKey(enginetest.Reader(uint64(100 + i)))
		if err != nil {
			tb.Fatal(err)
		}
		v.keys = append(v.keys, key)
		v.plan.Guardians = append(v.plan.Guardians, Guardian{engine.PartyID{0xe0, byte(i)}, key.Public()})
	}
	return v
}

func (v *vault) terms() Terms {
	t := Terms{Group: v.g, KeyID: [32]byte{4}, Partial: [32]byte{5}, Threshold: v.threshold, Plan: v.plan}
	for _, m := range v.members {
		t.Members = append(t.Members, Member{m, v.publics[m.ID]})
	}
	return t
}

func (v *vault) params(id engine.SessionID, seed uint64) (all []Params) {
	parties := slices.Concat(v.members, v.leavers)
	for i, p := range parties {
		all = append(all, Params{
			Session: id, Group: v.g, Parties: parties, Members: v.members, Threshold: v.threshold,
			Dealers: Dealers(v.members, v.threshold), Plan: v.plan, Self: p, Rand: enginetest.Reader(seed + uint64(i)),
		})
	}
	return all
}

// whole is both parts, one after the other: of the round in which the ceremony confirms its shares nothing is here.
type whole struct {
	engine.Stage[Opened]
	v *vault
}

func (w *whole) Wipe() {
	if x, ok := w.Stage.(engine.Wiper); ok {
		x.Wipe()
	}
}

func (w *whole) Finish(t engine.Transcript) (engine.Outcome[Output], error) {
	o, err := w.Stage.Finish(t)
	out := engine.Outcome[Output]{Send: o.Send}
	switch {
	case err != nil:
		return out, err
	case o.Result == nil:
		out.Next = &whole{o.Next, w.v}
		return out, nil
	}
	return w.v.deal(o.Result)
}

func (v *vault) epoch(of engine.PartyID) Epoch {
	e := Epoch{KeyID: [32]byte{4}, Partial: [32]byte{5}, Publics: v.publics}
	if s := v.shares[of]; s != nil {
		e.Share = s.Add(v.g.Scalar(0))
	}
	return e
}

func (v *vault) machine(tb testing.TB, p Params, first engine.Stage[Output]) *engine.Session[Output] {
	tb.Helper()
	var all []engine.PartyID
	for _, q := range p.Parties {
		all = append(all, q.ID)
	}
	s, err := engine.New(engine.Params{Session: p.Session, Parties: all, MaxBody: 1 << 20, Kinds: 2}, p.Self.ID, first)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func (v *vault) machines(tb testing.TB, id engine.SessionID, seed uint64) (all []*engine.Session[Output]) {
	for _, p := range v.params(id, seed) {
		all = append(all, v.machine(tb, p, &whole{Start(p), v}))
	}
	return all
}

func (v *vault) run(tb testing.TB, id engine.SessionID, seed uint64) []Output {
	tb.Helper()
	out, err := enginetest.Run(enginetest.Options{Seed: seed}, v.machines(tb, id, seed)...).Results()
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// Every r operators with every k guardians have the key, through masks and values alone.
func TestMasksAndValuesGiveTheKey(t *testing.T) {
	for _, c := range []struct {
		name          string
		g             group.Group
		t, n, r, k, m int
		leaves        bool
	}{
		{"3-of-3, 2 and 3 of 5", secp256k1.Group{}, 3, 3, 2, 3, 5, false},
		{"2-of-3, 1 and 2 of 3", edwards25519.Group{}, 2, 3, 1, 2, 3, true},
		{"3-of-4, 2 and 2 of 3, one leaves", edwards25519.Group{}, 3, 4, 2, 2, 3, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newVault(t, c.g, c.t, c.n, c.r, c.k, c.m, c.leaves)
			outs := v.run(t, sid, 1)
			terms := v.terms()
			raw := outs[0].Set.Encode(v.plan)
			for i, o := range outs {
				if !bytes.Equal(o.Set.Encode(v.plan), raw) || (o.Mask == nil) != (i >= c.n) || o.Echo != outs[0].Echo {
					t.Errorf("party %d has another set, or no mask, or one though it leaves", i)
				}
			}
			set, err := DecodeSet(terms, raw)
			if err != nil || !bytes.Equal(set.Encode(v.plan), raw) {
				t.Fatalf("decoded set: %v", err)
			}
			if err := set.Verify(terms); err != nil {
				t.Fatal(err)
			}
			v.checkSecrets(t, set, outs)
			if c.r == 1 && !outs[0].Mask.Equal(outs[1].Mask) {
				t.Error("with r = 1 all masks are the same")
			}
		})
	}
}

// checkSecrets rebuilds the key from the last r masks and the last k values: the product never does.
func (v *vault) checkSecrets(t *testing.T, set *Set, outs []Output) {
	t.Helper()
	var at, where []share.Index
	var masks, values []group.Scalar
	for i, m := range v.members {
		if !v.g.BaseMul(outs[i].Mask).Equal(set.MaskPoint(m.Index)) {
			t.Errorf("the mask of member %d is not that of the set", i)
		}
		if i >= len(v.members)-v.plan.Operators {
			at, masks = append(at, m.Index), append(masks, outs[i].Mask)
		}
	}
	for i, g := range v.plan.Guardians {
		y, spoiled, err := set.Open(v.terms(), g.ID, v.keys[i])
		if err != nil || len(spoiled) > 0 {
			t.Fatalf("guardian %d: %v, %v", i, err, spoiled)
		}
		if i >= len(v.keys)-v.plan.Quorum {
			where, values = append(where, share.Index(i+1)), append(values, y)
		}
	}
	h, err := share.Interpolate(v.g, at, masks)
	if err != nil {
		t.Fatal(err)
	}
	u, err := share.Interpolate(v.g, where, values)
	if err != nil {
		t.Fatal(err)
	}
	if !h.Add(u).Equal(v.secret) {
		t.Error("masks and values do not give the key")
	}
	if h.Equal(v.secret) || u.Equal(v.secret) {
		t.Error("one side alone is the key")
	}
}

func TestOpenRefuses(t *testing.T) {
	v := newVault(t, edwards25519.Group{}, 2, 2, 1, 2, 3, false)
	set := v.run(t, sid, 1)[0].Set
	other, err := pve.NewPrivateKey(enginetest.Reader(9))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := set.Open(v.terms(), v.plan.Guardians[0].ID, other); err == nil || !strings.Contains(err.Error(), "another") {
		t.Errorf("another key: %v", err)
	}
	if _, _, err := set.Open(v.terms(), engine.PartyID{1}, v.keys[0]); err == nil || !strings.Contains(err.Error(), "no guardian") {
		t.Errorf("a stranger: %v", err)
	}
	if _, _, err := set.Open(v.terms(), v.plan.Guardians[1].ID, v.keys[0]); err == nil {
		t.Error("another guardian's value is opened")
	}
}

// What a set is held to: everything of it that was moved, and every fact of the record and the plan.
func TestVerifyRefuses(t *testing.T) {
	v := newVault(t, edwards25519.Group{}, 2, 3, 1, 2, 3, false)
	raw := v.run(t, sid, 1)[0].Set.Encode(v.plan)
	for name, spoil := range map[string]func(*Set, *Terms){
		"other session":          func(s *Set, _ *Terms) { s.Session[0] ^= 1 },
		"other key":              func(_ *Set, t *Terms) { t.KeyID[0] ^= 1 },
		"other epoch":            func(_ *Set, t *Terms) { t.Partial[0] ^= 1 },
		"other share":            func(_ *Set, t *Terms) { t.Members[0].Public = t.Members[0].Public.Add(v.g.Generator()) },
		"other index":            func(_ *Set, t *Terms) { t.Members[0].Index++ },
		"dealer is a stranger":   func(s *Set, _ *Terms) { s.Deals[1].Dealer = engine.PartyID{77} },
		"a member that did not":  func(s *Set, _ *Terms) { s.Deals[1].Dealer = v.members[2].ID },
		"dealers swapped":        func(s *Set, _ *Terms) { s.Deals[0], s.Deals[1] = s.Deals[1], s.Deals[0] },
		"a dealer twice":         func(s *Set, _ *Terms) { s.Deals[1] = s.Deals[0] },
		"a dealer less":          func(s *Set, _ *Terms) { s.Deals = s.Deals[:1] },
		"no dealers":             func(s *Set, _ *Terms) { s.Deals = nil },
		"mask's constant":        func(s *Set, _ *Terms) { s.Deals[0].Masks[0] = s.Deals[0].Masks[0].Add(v.g.Generator()) },
		"value's constant":       func(s *Set, _ *Terms) { s.Deals[0].Values[0] = s.Deals[0].Values[0].Add(v.g.Generator()) },
		"both, which cancel":     cancelled(v.g),
		"value's slope":          func(s *Set, _ *Terms) { s.Deals[0].Values[1] = s.Deals[0].Values[1].Add(v.g.Generator()) },
		"a point of masks more":  func(s *Set, _ *Terms) { s.Deals[0].Masks = append(s.Deals[0].Masks, v.g.Generator()) },
		"a point of values more": func(s *Set, _ *Terms) { s.Deals[0].Values = append(s.Deals[0].Values, v.g.Generator()) },
		"a point of values less": func(s *Set, _ *Terms) { s.Deals[0].Values = s.Deals[0].Values[:1] },
		"an encryption less":     func(s *Set, _ *Terms) { s.Deals[0].Proofs = s.Deals[0].Proofs[:2] },
		"encryptions swapped":    func(s *Set, _ *Terms) { p := s.Deals[0].Proofs; p[0], p[1] = p[1], p[0] },
		"another dealer's":       func(s *Set, _ *Terms) { s.Deals[0].Proofs[0] = s.Deals[1].Proofs[0] },
		"a bit of one":           func(s *Set, _ *Terms) { s.Deals[1].Proofs[2][5000] ^= 1 },
		"guardian's key":         func(_ *Set, t *Terms) { p := *t.Plan; p.Guardians = swapped(p.Guardians); t.Plan = &p },
		"k":                      func(_ *Set, t *Terms) { p := *t.Plan; p.Quorum = 3; t.Plan = &p },
		"r":                      func(_ *Set, t *Terms) { p := *t.Plan; p.Operators = 2; t.Plan = &p },
		"threshold":              func(_ *Set, t *Terms) { t.Threshold = 3 },
	} {
		terms := v.terms()
		set, err := DecodeSet(terms, bytes.Clone(raw))
		if err != nil {
			t.Fatal(err)
		}
		spoil(set, &terms)
		if err := set.Verify(terms); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
}

// cancelled moves a constant from values to masks: the sum is right, and the encryptions are not.
func cancelled(g group.Group) func(*Set, *Terms) {
	return func(s *Set, _ *Terms) {
		s.Deals[0].Values[0] = s.Deals[0].Values[0].Add(g.Generator())
		s.Deals[0].Masks[0] = s.Deals[0].Masks[0].Sub(g.Generator())
	}
}

func swapped(g []Guardian) []Guardian {
	out := slices.Clone(g)
	out[0].Key, out[1].Key = out[1].Key, out[0].Key
	return out
}

func TestStartRefuses(t *testing.T) {
	v := newVault(t, edwards25519.Group{}, 3, 3, 2, 2, 3, true)
	for want, spoil := range map[string]func(*Params){
		"session id is zero":      func(p *Params) { p.Session = engine.SessionID{} },
		"no group":                func(p *Params) { p.Group = nil },
		"or plan":                 func(p *Params) { p.Plan = nil },
		"source of randomness":    func(p *Params) { p.Rand = nil },
		"not in the list":         func(p *Params) { p.Self.ID[0] ^= 1 },
		"at another index":        func(p *Params) { p.Self.Index++ },
		"no party of the session": func(p *Params) { p.Parties = p.Parties[:2] },
		"2 dealers":               func(p *Params) { p.Dealers = p.Dealers[:2] },
		"not the next":            func(p *Params) { p.Dealers = []engine.PartyID{p.Dealers[1], p.Dealers[0], p.Dealers[2]} },
		"no member of the epoch":  func(p *Params) { p.Dealers[2] = seat(3).ID },
		"1 to 2 of a threshold":   func(p *Params) { q := *p.Plan; q.Operators = 3; p.Plan = &q },
		"0 operators":             func(p *Params) { q := *p.Plan; q.Operators = 0; p.Plan = &q },
		"3 of 3 guardians":        func(p *Params) { q := *p.Plan; q.Quorum = 3; p.Plan = &q },
		"1 of 3 guardians":        func(p *Params) { q := *p.Plan; q.Quorum = 1; p.Plan = &q },
		"the next in ascending": func(p *Params) {
			q := *p.Plan
			q.Guardians = []Guardian{q.Guardians[1], q.Guardians[0], q.Guardians[2]}
			p.Plan = &q
		},
		"id 0": func(p *Params) {
			q := *p.Plan
			q.Guardians = slices.Clone(q.Guardians)
			q.Guardians[0].ID = engine.PartyID{}
			p.Plan = &q
		},
	} {
		p := v.params(sid, 1)[0]
		p.Dealers = slices.Clone(p.Dealers)
		spoil(&p)
		_, err := Start(p).Finish(engine.Transcript{})
		var m *engine.Misuse
		if !errors.As(err, &m) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// A share that is not the epoch's is our own misuse, and nothing leaves.
func TestForeignShareIsMisuse(t *testing.T) {
	v := newVault(t, edwards25519.Group{}, 2, 2, 1, 2, 3, false)
	v.shares[v.members[0].ID] = v.g.Scalar(5)
	c := enginetest.Run(enginetest.Options{}, v.machines(t, sid, 1)...)
	var m *engine.Misuse
	if p := c.Parties[0]; !errors.As(p.Err, &m) || slices.ContainsFunc(p.Sent, func(m engine.Msg) bool { return m.Kind == KindDeal || m.Kind == KindMask }) {
		t.Errorf("ended with %v, after %d messages", p.Err, len(p.Sent))
	}
}
