package guard

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// cut takes every beginning of an encoding, and one byte more: none of them decodes.
func cut(t *testing.T, raw []byte, decode func([]byte) error) {
	t.Helper()
	if err := decode(raw); err != nil {
		t.Fatal(err)
	}
	for n := range raw {
		if decode(raw[:n]) == nil {
			t.Errorf("its first %d bytes decode", n)
		}
	}
	if decode(append(bytes.Clone(raw), 0)) == nil {
		t.Error("a byte more decodes")
	}
}

func TestPlanRefuses(t *testing.T) {
	decode := func(b []byte) error { _, err := DecodePlan(b); return err }
	cut(t, planOf(1).Encode(), decode)
	low := func(p *Plan) { p.Guardians[1].Key = pve.Key{1} }
	for want, spoil := range map[string]func(*Plan){
		"1 of 3 guardians":          func(p *Plan) { p.Quorum = 1 },
		"0 of 3 guardians":          func(p *Plan) { p.Quorum = 0 },
		"3 of 3 guardians":          func(p *Plan) { p.Quorum = 3 },
		"33":                        func(p *Plan) { p.Quorum = 33 },
		"17":                        func(p *Plan) { p.Operators = 17 },
		"2 items, 3 to 32":          func(p *Plan) { p.Guardians = p.Guardians[:2] },
		"33 items":                  func(p *Plan) { p.Guardians = append(p.Guardians, make([]Guardian, 30)...) },
		"not the next in ascending": func(p *Plan) { slices.Reverse(p.Guardians) },
		"next in ascending order":   func(p *Plan) { p.Guardians[1].ID = p.Guardians[0].ID },
		"a guardian has id 0":       func(p *Plan) { p.Guardians[0].ID = engine.PartyID{} },
		"each needs its own":        func(p *Plan) { p.Guardians[1].Key = p.Guardians[2].Key },
		"low order":                 low,
		"has bit 255 set":           func(p *Plan) { p.Guardians[1].Key = pve.Key(bytes.Repeat([]byte{0xff}, 32)) },
	} {
		p := planOf(1)
		spoil(p)
		if err := decode(p.Encode()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	for threshold, ok := range map[int]bool{1: false, 2: false, 3: true, 16: true} {
		if err := planOf(2).Check(threshold); (err == nil) != ok {
			t.Errorf("r = 2 with t = %d: %v", threshold, err)
		}
	}
	if planOf(0).Check(2) == nil {
		t.Error("r = 0 may be")
	}
	// Every part of a plan is part of its hash.
	for name, change := range map[string]func(*Plan){
		"terms": func(p *Plan) { p.Terms[0] ^= 1 }, "r": func(p *Plan) { p.Operators++ }, "k": func(p *Plan) { p.Quorum++ },
		"id": func(p *Plan) { p.Guardians[2].ID[15] ^= 1 }, "key": func(p *Plan) { p.Guardians[2].Key[0] ^= 1 },
	} {
		p := planOf(1)
		if change(p); p.Hash() == planOf(1).Hash() {
			t.Errorf("%s counts for nothing in the hash", name)
		}
	}
}

func TestSetDecodeRefuses(t *testing.T) {
	g := edwards25519.Group{}
	terms := Terms{Group: g, Threshold: 2, Plan: planOf(1)}
	made := func() *Set {
		s := &Set{Session: engine.SessionID{1}}
		for i := range 2 {
			s.Deals = append(s.Deals, Deal{engine.PartyID{byte(i)}, commitment(g, 1), commitment(g, 2), [][]byte{{1}, {}, {2, 3}}})
		}
		return s
	}
	decode := func(b []byte) error { _, err := DecodeSet(terms, b); return err }
	cut(t, made().Encode(terms.Plan), decode)
	if err := decode(made().Encode(planOf(2))); err == nil || !strings.Contains(err.Error(), "another plan") {
		t.Errorf("another plan's: %v", err)
	}
	for want, spoil := range map[string]func(*Set){
		"1 items, 2 to 2":   func(s *Set) { s.Deals = s.Deals[:1] },
		"3 items, 2 to 2":   func(s *Set) { s.Deals = append(s.Deals, s.Deals[0]) },
		"2 items, 1 to 1":   func(s *Set) { s.Deals[1].Masks = commitment(g, 2) },
		"0 items, 1 to 1":   func(s *Set) { s.Deals[1].Masks = nil },
		"3 items, 2 to 2 ":  func(s *Set) { s.Deals[1].Values = commitment(g, 3) },
		"1 items, 2 to 2 ":  func(s *Set) { s.Deals[1].Values = commitment(g, 1) },
		"2 items, 3 to 3":   func(s *Set) { s.Deals[0].Proofs = s.Deals[0].Proofs[:2] },
		"4 items, 3 to 3":   func(s *Set) { s.Deals[0].Proofs = append(s.Deals[0].Proofs, nil) },
		"18465 bytes":       func(s *Set) { s.Deals[0].Proofs[1] = make([]byte, pve.MaxSize+1) },
		"commitment to coe": func(s *Set) { s.Deals[0].Values[1] = g.Identity() },
	} {
		s := made()
		spoil(s)
		if err := decode(s.Encode(terms.Plan)); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestOpeningAndDealRefuse(t *testing.T) {
	for _, g := range groups {
		o := &opening{values: commitment(g, 2), tail: commitment(g, 2), salt: [32]byte{1}}
		decode := func(b []byte) error { _, err := decodeOpening(g, planOf(3), b); return err }
		cut(t, o.encode(), decode)
		for k := range 4 {
			for name, p := range map[string][]byte{"zeros": make([]byte, g.PointSize()), "ones": bytes.Repeat([]byte{0xff}, g.PointSize())} {
				b := o.encode()
				copy(b[k*g.PointSize():], p)
				if decode(b) == nil {
					t.Errorf("%s, point %d: %s decode", g.Name(), k, name)
				}
			}
		}
		for _, n := range []int{1, 3} { // threshold cut and raise
			more := &opening{values: commitment(g, n), tail: o.tail}
			if decode(more.encode()) == nil {
				t.Errorf("%d points decode", n)
			}
		}
	}
	decode := func(b []byte) error { _, _, err := decodeDeal(2, 3, b); return err }
	cut(t, encodeDeal(make([][hashSize]byte, 2), [][]byte{{1}, {}, {2, 3}}), decode)
	for name, b := range map[string][]byte{
		"a hash more": encodeDeal(make([][hashSize]byte, 3), make([][]byte, 3)), "a hash less": encodeDeal(make([][hashSize]byte, 1), make([][]byte, 3)),
		"one more": encodeDeal(make([][hashSize]byte, 2), make([][]byte, 4)), "one less": encodeDeal(make([][hashSize]byte, 2), make([][]byte, 2)),
		"too long": encodeDeal(make([][hashSize]byte, 2), [][]byte{nil, nil, make([]byte, pve.MaxSize+1)}),
	} {
		if decode(b) == nil {
			t.Errorf("%s: decodes", name)
		}
	}
	// The largest deal is what its bound says, and passes the engine's of a ceremony (640 KiB).
	long := make([][]byte, MaxGuardians)
	for i := range long {
		long[i] = make([]byte, pve.MaxSize)
	}
	if n := len(encodeDeal(make([][hashSize]byte, session.MaxParties-1), long)); n != dealSize(session.MaxParties-1, MaxGuardians) || n > 640<<10 {
		t.Errorf("the largest deal has %d bytes, its bound is %d", n, dealSize(session.MaxParties-1, MaxGuardians))
	}
}

func TestContributionDecodeRefuses(t *testing.T) {
	g := edwards25519.Group{}
	a := &Activation{ID: [32]byte{1}, Threshold: 2, Members: make([]NewMember, 3)}
	made := func() *Contribution {
		return &Contribution{a.ID, commitment(g, 2), [][]byte{{1}, {}, {2, 3}}, make(ed25519.PublicKey, 32), make([]byte, 64)}
	}
	decode := func(b []byte) error { _, err := DecodeContribution(g, a, b); return err }
	cut(t, made().Encode(), decode)
	for want, spoil := range map[string]func(*Contribution){
		"1 items, 2 to 2": func(c *Contribution) { c.Commit = c.Commit[:1] },
		"3 items, 2 to 2": func(c *Contribution) { c.Commit = commitment(g, 3) },
		"coefficient 1":   func(c *Contribution) { c.Commit[1] = g.Identity() },
		"2 items, 3 to 3": func(c *Contribution) { c.Proofs = c.Proofs[:2] },
		"4 items, 3 to 3": func(c *Contribution) { c.Proofs = append(c.Proofs, nil) },
		"18465 bytes":     func(c *Contribution) { c.Proofs[0] = make([]byte, pve.MaxSize+1) },
		"31 bytes":        func(c *Contribution) { c.Signer = c.Signer[1:] },
		"63 bytes":        func(c *Contribution) { c.Signature = c.Signature[1:] },
	} {
		c := made()
		spoil(c)
		if err := decode(c.Encode()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	big := &Contribution{Commit: commitment(groups[0], session.MaxParties), Signer: make(ed25519.PublicKey, 32), Signature: make([]byte, 64)}
	for range session.MaxParties {
		big.Proofs = append(big.Proofs, make([]byte, pve.MaxSize))
	}
	if n := len(big.Encode()); n > MaxContribution {
		t.Errorf("the largest contribution has %d bytes, its bound is %d", n, MaxContribution)
	}
}

// All that an approval is for stands in what its guardian signs.
func TestApprovalIsForOneRescue(t *testing.T) {
	v := newVault(t, edwards25519.Group{}, 2, 2, 1, 2, 3, false)
	signers := v.named(t)
	a, _ := successors(t, 2, 2)
	c, err := Contribute(v.terms(), a, v.g.Scalar(5), signers[1].Public().(ed25519.PublicKey), session.NewSigner(signers[1]), bytes.NewReader(make([]byte, 64)))
	if err != nil {
		t.Fatal(err)
	}
	if c.Guardian() != v.plan.Guardians[1].ID {
		t.Fatal("it is another guardian's")
	}
	if err := c.Approval().Check(v.terms(), a.ID, 2, a.Parties()); err != nil {
		t.Fatal(err)
	}
	type what struct {
		x         *Approval
		t         Terms
		id        [32]byte
		threshold int
		members   []session.Party
	}
	for name, spoil := range map[string]func(*what){
		"activation":        func(w *what) { w.id[0] ^= 1 },
		"key":               func(w *what) { w.t.KeyID[0] ^= 1 },
		"epoch":             func(w *what) { w.t.Partial[0] ^= 1 },
		"threshold":         func(w *what) { w.threshold = 3 },
		"a member less":     func(w *what) { w.members = w.members[:1] },
		"a member more":     func(w *what) { w.members = append(w.members, seat(20)) },
		"members swapped":   func(w *what) { slices.Reverse(w.members) },
		"a member's id":     func(w *what) { w.members[1].ID[0] ^= 1 },
		"a member's index":  func(w *what) { w.members[1].Index++ },
		"a member's key":    func(w *what) { w.members[1].Identity = w.members[0].Identity },
		"points":            func(w *what) { w.x.Commit = share.Commitment{w.x.Commit[1], w.x.Commit[0]} },
		"encryptions":       func(w *what) { w.x.Proofs[31] ^= 1 },
		"signature":         func(w *what) { w.x.Signature = make([]byte, 64) },
		"signature's bytes": func(w *what) { w.x.Signature = w.x.Signature[:63] },
		"another guardian":  func(w *what) { w.x.Signer = signers[0].Public().(ed25519.PublicKey) },
		"no guardian":       func(w *what) { w.x.Signer = seat(1).Identity },
		"plan without it":   func(w *what) { p := *w.t.Plan; p.Guardians = p.Guardians[:1]; w.t.Plan = &p },
	} {
		w := &what{c.Approval(), v.terms(), a.ID, 2, a.Parties()}
		spoil(w)
		if w.x.Check(w.t, w.id, w.threshold, w.members) == nil {
			t.Errorf("%s: holds", name)
		}
	}
}

func TestContributeRefuses(t *testing.T) {
	v := newVault(t, edwards25519.Group{}, 2, 2, 1, 2, 3, false)
	signers := v.named(t)
	good, _ := successors(t, 2, 3)
	for want, spoil := range map[string]func(a *Activation, rand *bytes.Reader) ed25519.PublicKey{
		"activation: ": func(a *Activation, _ *bytes.Reader) ed25519.PublicKey { a.Threshold = 4; return nil },
		"threshold 1":  func(a *Activation, _ *bytes.Reader) ed25519.PublicKey { a.Threshold = 1; return nil },
		"activation: encryption key": func(a *Activation, _ *bytes.Reader) ed25519.PublicKey {
			a.Members[1].Key = a.Members[0].Key
			return nil
		},
		"low order":                 func(a *Activation, _ *bytes.Reader) ed25519.PublicKey { a.Members[1].Key = pve.Key{}; return nil },
		"no guardian of this epoch": func(*Activation, *bytes.Reader) ed25519.PublicKey { return seat(1).Identity },
		"EOF":                       func(_ *Activation, r *bytes.Reader) ed25519.PublicKey { r.Reset(nil); return nil },
	} {
		a := *good
		a.Members = slices.Clone(good.Members)
		rand := bytes.NewReader(make([]byte, 64))
		signer := spoil(&a, rand)
		if signer == nil {
			signer = signers[0].Public().(ed25519.PublicKey)
		}
		if _, err := Contribute(v.terms(), &a, v.g.Scalar(5), signer, session.NewSigner(signers[0]), rand); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// A set in which one side has nothing, or whose last points cancel, tells another quorum than the plan's: dealers of whom none is honest could make it.
func TestSumsThatCutTheQuorum(t *testing.T) {
	g := edwards25519.Group{}
	v := newVault(t, g, 3, 3, 2, 2, 3, false)
	terms := v.terms()
	set := func(masks, values [2][3]uint64) *Set {
		s := &Set{}
		for i := range 3 {
			at := func(x [2][3]uint64) share.Commitment {
				return share.Commitment{point(g, x[0][i]), point(g, x[1][i])}
			}
			s.Deals = append(s.Deals, Deal{Dealer: v.members[i].ID, Masks: at(masks), Values: at(values)})
		}
		return s
	}
	const minus3 = 1<<63 + 3 // point reads it as −3
	fine, zero := [3]uint64{1, 2, 4}, [3]uint64{1, 2, minus3}
	if err := set([2][3]uint64{fine, fine}, [2][3]uint64{fine, fine}).checkSums(terms); err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]*Set{
		"one side's part":        set([2][3]uint64{zero, fine}, [2][3]uint64{fine, fine}),
		"the other side alone":   set([2][3]uint64{fine, fine}, [2][3]uint64{zero, fine}),
		"sum of the last points": set([2][3]uint64{fine, zero}, [2][3]uint64{fine, fine}),
		"fewer than the plan":    set([2][3]uint64{fine, fine}, [2][3]uint64{fine, zero}),
	} {
		if err := s.checkSums(terms); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	// At a member's index, or a guardian's: M(2) = 2·1 − 2 = 0 with the slope −1.
	minus := func(n uint64) uint64 { return 1<<63 + n }
	if err := set([2][3]uint64{{2, 2, minus(2)}, {1, minus(1), minus(1)}}, [2][3]uint64{fine, fine}).checkSums(terms); err == nil || !strings.Contains(err.Error(), "mask of member") {
		t.Errorf("a mask of 0: %v", err)
	}
	if err := set([2][3]uint64{fine, fine}, [2][3]uint64{{2, 2, minus(2)}, {1, minus(1), minus(1)}}).checkSums(terms); err == nil || !strings.Contains(err.Error(), "value of guardian") {
		t.Errorf("a value of 0: %v", err)
	}
}

// point is n·G, or −(n−2⁶³)·G for n above 2⁶³.
func point(g group.Group, n uint64) group.Point {
	if n > 1<<63 {
		return g.BaseMul(g.Scalar(n - 1<<63)).Neg()
	}
	return g.BaseMul(g.Scalar(n))
}

// What a guardian opens for a newcomer, a newcomer alone opens.
func TestContributionOpens(t *testing.T) {
	v := newVault(t, edwards25519.Group{}, 2, 2, 1, 2, 3, false)
	signers := v.named(t)
	set := v.run(t, sid, 1)[0].Set
	a, keys := successors(t, 2, 2)
	c := v.contribute(t, set, a, 0, signers)
	if err := c.Check(v.terms(), set, a); err != nil {
		t.Fatal(err)
	}
	for i, m := range a.Members {
		x, err := c.Open(v.terms(), a, m.ID, keys[i])
		if err != nil || c.Commit.Check(m.Index, x) != nil {
			t.Errorf("member %d: %v", i, err)
		}
		if _, err := c.Open(v.terms(), a, m.ID, keys[1-i]); err == nil {
			t.Errorf("member %d's part opens with another key", i)
		}
	}
	if _, err := c.Open(v.terms(), a, engine.PartyID{99}, keys[0]); err == nil {
		t.Error("a stranger's part opens")
	}
	var e transcript.Encoder
	c.Approval().Put(&e)
	x := TakeApproval(transcript.NewDecoder(e.Sum()), v.g, 2)
	if err := x.Check(v.terms(), a.ID, 2, a.Parties()); err != nil {
		t.Errorf("an approval that travelled: %v", err)
	}
}
