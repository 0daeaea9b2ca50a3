package epoch

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/mpc/session"
)

// A rescue is a 3-of-3 key whose operator 2 is lost: operators 0 and 1, of whom 0 stays, and two of three guardians give it to a committee of two.
type rescue struct {
	*world
	plan        *guard.Plan
	signers     []ed25519.PrivateKey // of guardians, in the plan's order
	root, child *Record
	cert        *Cert
}

// guardiansOf are m guardians in the plan's order, k of whom help r operators.
func guardiansOf(tb testing.TB, r, k, m int) (*guard.Plan, []ed25519.PrivateKey) {
	tb.Helper()
	p := &guard.Plan{Terms: [32]byte{7}, Operators: r, Quorum: k}
	var signers []ed25519.PrivateKey
	for i := range m {
		_, sign, err := ed25519.GenerateKey(enginetest.Reader(uint64(700 + i)))
		if err != nil {
			tb.Fatal(err)
		}
		signers = append(signers, sign)
	}
	id := func(k ed25519.PrivateKey) engine.PartyID { return guard.IDOf(k.Public().(ed25519.PublicKey)) }
	slices.SortFunc(signers, func(a, b ed25519.PrivateKey) int {
		x, y := id(a), id(b)
		return bytes.Compare(x[:], y[:])
	})
	for i, s := range signers {
		ek, err := pve.NewPrivateKey(enginetest.Reader(uint64(800 + i)))
		if err != nil {
			tb.Fatal(err)
		}
		p.Guardians = append(p.Guardians, guard.Guardian{ID: id(s), Key: ek.Public()})
	}
	return p, signers
}

func newRescue(tb testing.TB) *rescue {
	tb.Helper()
	s := &rescue{world: newWorld(tb)}
	s.suite = SuiteEd25519
	s.plan, s.signers = guardiansOf(tb, 2, 2, 3)
	s.root = s.guarded(s.record(1, 1, 3, three, nil, 0))
	s.child = s.rescued(s.root, 2, 2, []int{0, 5}, 1_900_000_000)
	s.cert = s.certify(s.child, s.root, s.grounds(s.child, s.root, 0, 1))
	return s
}

// changed keeps a record's shares although something of it changes.
func (w *world) changed(r *Record, change func(*Record)) *Record {
	shares := w.shares[r.Hash()]
	change(r)
	w.shares[r.Hash()] = shares
	return r
}

func (s *rescue) guarded(r *Record) *Record {
	return s.changed(r, func(r *Record) { r.Guardians, r.Backups = s.plan.Hash(), [32]byte{8} })
}

// rescued is a record that an SOS made.
func (s *rescue) rescued(parent *Record, seed uint64, t int, members []int, until uint64) *Record {
	return s.changed(s.record(parent.KeyID[0], seed, t, members, parent, 1), func(r *Record) {
		r.Rescue = &Rescue{Activation: [32]byte{0xac}, Until: until, Terms: s.plan.Terms}
	})
}

// contribution is a guardian's, of no value in particular: a certificate shows none.
func (s *rescue) contribution(i int, t guard.Terms, a *guard.Activation) *guard.Contribution {
	s.tb.Helper()
	c, err := guard.Contribute(t, a, t.Group.Scalar(uint64(i+5)), s.signers[i].Public().(ed25519.PublicKey), session.NewSigner(s.signers[i]), enginetest.Reader(uint64(i)))
	if err != nil {
		s.tb.Fatal(err)
	}
	return c
}

func (s *rescue) grounds(r, parent *Record, guardians ...int) *Grounds {
	s.tb.Helper()
	t, err := parent.Terms(s.plan)
	if err != nil {
		s.tb.Fatal(err)
	}
	a := &guard.Activation{ID: r.Rescue.Activation, Threshold: r.Threshold}
	for i, p := range r.Parties() {
		ek, err := pve.NewPrivateKey(enginetest.Reader(uint64(900 + i)))
		if err != nil {
			s.tb.Fatal(err)
		}
		a.Members = append(a.Members, guard.NewMember{Party: p, Key: ek.Public()})
	}
	var from []*guard.Contribution
	for _, i := range guardians {
		from = append(from, s.contribution(i, t, a))
	}
	return NewGrounds(s.plan, a, from)
}

// certify has PREP of all members, and OLDOK of operators 0 and 1 where they leave.
func (s *rescue) certify(r, parent *Record, g *Grounds) *Cert {
	c := s.world.cert(r)
	for _, m := range parent.leaving(r) {
		if m.ID != (engine.PartyID{3}) {
			c.Olds = append(c.Olds, OldOK{m.ID, SignOldOK(r.Hash(), s.signer(m.ID))})
		}
	}
	c.Rescue = g
	return c
}

func (s *rescue) cert0(r *Record) *Cert { return s.world.cert(r) }

func (s *rescue) final(r *Record, c *Cert) *FinalCert {
	f := &FinalCert{Record: r, Cert: c}
	for i, m := range r.Members {
		f.Finals = append(f.Finals, s.world.final(r, c, m.ID, uint64(i+1)))
	}
	return f
}

func again(tb testing.TB, c *Cert) *Cert {
	tb.Helper()
	out, err := DecodeCert(c.Encode())
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// A certificate of an SOS holds with all of its grounds, and with nothing less.
func TestRescueCertRefuses(t *testing.T) {
	s := newRescue(t)
	if err := again(t, s.cert).Check(s.child, s.root); err != nil {
		t.Fatal(err)
	}
	third := s.grounds(s.child, s.root, 2).Guardians[0]
	for want, spoil := range map[string]func(c *Cert){
		"grounds of its SOS are missing":    func(c *Cert) { c.Rescue = nil },
		"or are another's":                  func(c *Cert) { c.Rescue.Activation[0] ^= 1 },
		"SOS are missing, or":               func(c *Cert) { c.Rescue.Plan = nil },
		"addresses are of another plan":     func(c *Cert) { p := *c.Rescue.Plan; p.Terms[0] ^= 1; c.Rescue.Plan = &p },
		"plan is not the one":               func(c *Cert) { p := *c.Rescue.Plan; p.Operators = 1; c.Rescue.Plan = &p },
		"1 guardians; exactly 2":            func(c *Cert) { c.Rescue.Guardians = c.Rescue.Guardians[:1] },
		"3 guardians; exactly 2":            func(c *Cert) { c.Rescue.Guardians = append(c.Rescue.Guardians, third) },
		"stands twice":                      func(c *Cert) { c.Rescue.Guardians[1] = c.Rescue.Guardians[0] },
		"or out of order":                   func(c *Cert) { slices.Reverse(c.Rescue.Guardians) },
		"its signature does not hold":       func(c *Cert) { c.Rescue.Guardians[0].Signature[3] ^= 1 },
		"signature does not hold for":       func(c *Cert) { c.Rescue.Guardians[0].Proofs[0] ^= 1 },
		"does not hold for this activation": func(c *Cert) { g := c.Rescue.Guardians; g[0].Commit, g[1].Commit = g[1].Commit, g[0].Commit },
		"it is no guardian":                 func(c *Cert) { c.Rescue.Guardians[0].Signer = s.identity(engine.PartyID{1}) },
		"for a threshold of 3, not of 2":    func(c *Cert) { c.Rescue.threshold = 3 },
		"1 of 3 old members agree, 2 must":  func(c *Cert) { c.Olds = nil },
		"old-ok: signature of":              func(c *Cert) { c.Olds[0].Signature[0] ^= 1 },
		"it is no leaving member":           func(c *Cert) { c.Olds[0].From = engine.PartyID{1} },
		"prep: signature of":                func(c *Cert) { c.Preps[1][0] ^= 1 },
	} {
		c := again(t, s.cert)
		spoil(c)
		if err := c.Check(s.child, s.root); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// What guardians agreed to once, shown again: for another committee, threshold, epoch or key, all of whose members and old members are corrupt.
func TestGroundsServeOneRecord(t *testing.T) {
	s := newRescue(t)
	later := s.guarded(s.record(1, 9, 3, three, s.root, 1))
	other := s.guarded(s.record(2, 1, 3, three, nil, 0))
	for name, x := range map[string]struct{ r, parent *Record }{
		"another committee": {s.rescued(s.root, 3, 2, []int{0, 6}, 1_900_000_000), s.root},
		"one member more":   {s.rescued(s.root, 3, 2, []int{0, 5, 6}, 1_900_000_000), s.root},
		"another epoch":     {s.rescued(later, 3, 2, []int{0, 5}, 1_900_000_000), later},
		"another key":       {s.rescued(other, 3, 2, []int{0, 5}, 1_900_000_000), other},
	} {
		if err := s.certify(x.r, x.parent, s.cert.Rescue).Check(x.r, x.parent); err == nil || !strings.Contains(err.Error(), "does not hold for this activation") {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.certify(x.r, x.parent, s.grounds(x.r, x.parent, 0, 2)).Check(x.r, x.parent); err != nil {
			t.Errorf("%s, with grounds of its own: %v", name, err)
		}
	}
	// One new member under another identity key than guardians dealt to.
	_, key, err := ed25519.GenerateKey(enginetest.Reader(5))
	if err != nil {
		t.Fatal(err)
	}
	stranger := s.reidentified(s.child, 1)
	stranger.Members[1].Identity, s.keys[engine.PartyID{6}] = key.Public().(ed25519.PublicKey), key
	if err := s.certify(stranger, s.root, s.cert.Rescue).Check(stranger, s.root); err == nil || !strings.Contains(err.Error(), "does not hold for this activation") {
		t.Errorf("another identity: %v", err)
	}
	higher := s.rescued(s.root, 4, 3, []int{0, 5, 6}, 1_900_000_000)
	if err := s.certify(higher, s.root, s.cert.Rescue).Check(higher, s.root); err == nil || !strings.Contains(err.Error(), "for a threshold of 2, not of 3") {
		t.Errorf("another threshold: %v", err)
	}
}

// An epoch whose vault had no plan cannot be rescued, and an ordinary record needs its quorum whatever grounds stand beside it.
func TestGroundsNeedAnSOS(t *testing.T) {
	s := newRescue(t)
	bare := s.record(1, 1, 3, three, nil, 0)
	r := s.rescued(bare, 2, 2, []int{0, 5}, 1)
	if err := s.certify(r, bare, s.cert.Rescue).Check(r, bare); !errors.Is(err, ErrUnguarded) {
		t.Errorf("a parent without guardians: %v", err)
	}
	plain := s.record(1, 2, 2, []int{0, 5}, s.root, 1)
	c := s.certify(plain, s.root, s.cert.Rescue)
	if err := c.Check(plain, s.root); err == nil || !strings.Contains(err.Error(), "its record is of none") {
		t.Errorf("grounds beside an ordinary record: %v", err)
	}
	// Who has no parent at hand, so cannot check the old committee's word, sees this much.
	if _, err := DecodeFinalCert(s.final(plain, c).Encode()); err == nil || !strings.Contains(err.Error(), "its record is of none") {
		t.Errorf("final certificate with grounds: %v", err)
	}
	c.Rescue = nil
	if err := c.Check(plain, s.root); err == nil || !strings.Contains(err.Error(), "2 of 3 old members agree, 3 must") {
		t.Errorf("r operators without grounds: %v", err)
	}
	without := again(t, s.cert)
	without.Rescue = nil
	if _, err := DecodeFinalCert(s.final(s.child, without).Encode()); err == nil || !strings.Contains(err.Error(), "grounds of its SOS are missing") {
		t.Errorf("final certificate without grounds: %v", err)
	}
	first := *s.root
	first.Rescue = s.child.Rescue
	if _, err := Decode(first.Encode()); err == nil {
		t.Error("epoch 0 is of an SOS")
	}
}

// Locks go from record to record: nobody drops them, shortens them, or has any without an SOS.
func TestLocksStay(t *testing.T) {
	s := newRescue(t)
	next := s.record(1, 3, 2, []int{0, 5}, s.child, 0)
	if next.Rescued() || next.Rescue == nil || next.Rescue.Until != 1_900_000_000 || next.Rescue.Terms != s.plan.Terms {
		t.Fatalf("the next epoch has %+v", next.Rescue)
	}
	if err := s.child.CheckChild(next); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]*Rescue{
		"none": nil, "shorter": {Until: 1, Terms: s.plan.Terms}, "longer": {Until: 2_000_000_000, Terms: s.plan.Terms}, "other addresses": {Until: 1_900_000_000},
		"a second SOS, shorter": {Activation: [32]byte{5}, Until: 1_899_999_999, Terms: s.plan.Terms},
	} {
		r := *next
		r.Rescue = x
		if err := s.child.CheckChild(&r); err == nil {
			t.Errorf("%s: may follow", name)
		}
	}
	second := *next
	second.Rescue = &Rescue{Activation: [32]byte{5}, Until: 1_900_000_000, Terms: [32]byte{9}}
	if err := s.child.CheckChild(&second); err != nil {
		t.Errorf("a second SOS: %v", err)
	}
	out := *s.record(1, 3, 3, three, s.root, 0)
	out.Rescue = &Rescue{Until: 5}
	if err := s.root.CheckChild(&out); err == nil {
		t.Error("locks come from nowhere")
	}
	// The lock-up is part of what guardians' encryptions are bound to.
	moved := *s.child
	moved.Rescue = &Rescue{Activation: s.child.Rescue.Activation, Until: 5, Terms: s.plan.Terms}
	if moved.PartialHash() == s.child.PartialHash() {
		t.Error("peh does not cover the lock-up")
	}
}

// A newcomer opens a chain with an SOS in it, from genesis and from an anchor; every byte of the SOS's link counts.
func TestChainWithRescue(t *testing.T) {
	s := newRescue(t)
	after := s.record(1, 4, 2, []int{0, 5, 7}, s.child, 2)
	c, err := NewChain(s.final(s.root, s.world.cert(s.root)), enrolled(s.root))
	if err == nil {
		c, err = c.Extend(s.final(s.child, s.cert))
	}
	if err == nil {
		c, err = c.Extend(s.final(after, s.world.cert(after)))
	}
	if err != nil {
		t.Fatal(err)
	}
	raw := c.Encode()
	back, err := OpenChain(raw, enrolled(s.root))
	if err != nil || !bytes.Equal(back.Encode(), raw) || back.Last().Record.Rescue.Until != 1_900_000_000 {
		t.Fatalf("a chain changed on its way: %v", err)
	}
	anchor := Enrolment{KeyID: s.root.KeyID, Public: s.root.Public, Anchor: s.child.Hash()}
	short, err := back.From(anchor.Anchor)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenChain(short.Encode(), anchor); err != nil {
		t.Errorf("from the SOS on: %v", err)
	}
	link := bytes.Index(raw, s.cert.Rescue.encode())
	for i := 0; i < len(s.cert.Rescue.encode()); i += 23 {
		bad := bytes.Clone(raw)
		bad[link+i] ^= 1 << (i % 8)
		if _, err := OpenChain(bad, enrolled(s.root)); err == nil {
			t.Errorf("byte %d of the grounds may be changed", i)
		}
	}
}

// A contributor's book and the lost operator's: the plan is what our operator agreed to beforehand where the threshold falls.
func TestBookWithRescue(t *testing.T) {
	s := newRescue(t)
	first := s.final(s.root, s.world.cert(s.root))
	b := NewBook()
	b.Adopt(first)
	if err := b.Prepare(s.child); !errors.Is(err, ErrLowerThreshold) {
		t.Errorf("a lower threshold without a word: %v", err)
	}
	if err := b.PrepareLower(s.child); err != nil {
		t.Fatal(err)
	}
	bad := again(t, s.cert)
	bad.Rescue.Guardians[1].Signature[0] ^= 1
	if b.Certify(bad) == nil {
		t.Error("spoiled grounds certify")
	}
	if err := b.Certify(again(t, s.cert)); err != nil {
		t.Fatal(err)
	}
	if err := b.Tested(s.child.Hash()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.MayFinal(s.child.Hash()); err != nil {
		t.Fatal(err)
	}
	f, err := DecodeFinalCert(s.final(s.child, s.cert).Encode())
	if err != nil {
		t.Fatal(err)
	}
	lost := NewBook()
	lost.Adopt(first)
	for name, b := range map[string]*Book{"contributor": b, "lost": lost} {
		if err := f.CheckOlds(b.Current().Record); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if erase, moved := b.Adopt(f); !moved || !slices.Equal(erase, []Hash{s.root.Hash()}) {
			t.Errorf("%s: moved %v, erases %v", name, moved, erase)
		}
	}
	if _, has := lost.Seat(engine.PartyID{3}); has {
		t.Error("the lost operator has a seat")
	}
}

// Prepare's own checks of a record that an SOS made.
func TestChangeChecksGrounds(t *testing.T) {
	s := newRescue(t)
	good := func() *Change {
		return &Change{Parent: s.root, Dealers: []engine.PartyID{{1}, {2}}, Rescue: again(s.tb, s.cert).Rescue}
	}
	for _, self := range []engine.PartyID{{1}, {2}, {6}} {
		if err := good().Check(s.child, self); err != nil {
			t.Errorf("party %v: %v", self, err)
		}
	}
	for want, spoil := range map[string]func(*Change) (*Record, engine.PartyID){
		"neither a dealer nor a member": func(*Change) (*Record, engine.PartyID) { return s.child, engine.PartyID{3} },
		"1 contributors; exactly 2":     func(c *Change) (*Record, engine.PartyID) { c.Dealers = c.Dealers[:1]; return s.child, c.Dealers[0] },
		"3 contributors; exactly 2": func(c *Change) (*Record, engine.PartyID) {
			c.Dealers = append(c.Dealers, engine.PartyID{3})
			return s.child, c.Dealers[0]
		},
		"or stands twice": func(c *Change) (*Record, engine.PartyID) { c.Dealers[1] = c.Dealers[0]; return s.child, c.Dealers[0] },
		"no member of the paren": func(c *Change) (*Record, engine.PartyID) {
			c.Dealers[1] = engine.PartyID{6}
			return s.child, c.Dealers[0]
		},
		"grounds of its SOS": func(c *Change) (*Record, engine.PartyID) {
			c.Rescue = nil
			c.LowerThreshold = true
			c.Dealers = append(c.Dealers, engine.PartyID{3})
			return s.child, c.Dealers[0]
		},
		"record is of none": func(c *Change) (*Record, engine.PartyID) {
			r := *s.child
			r.Rescue = nil
			return &r, c.Dealers[0]
		},
		"are another's": func(c *Change) (*Record, engine.PartyID) {
			r := *s.child
			r.Rescue = &Rescue{Activation: [32]byte{1}, Until: 5, Terms: s.plan.Terms}
			return &r, c.Dealers[0]
		},
	} {
		c := good()
		r, self := spoil(c)
		if err := c.Check(r, self); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// Sixteen members, and 31 of 32 guardians: the largest certificate there is.
func TestLargestRescueCert(t *testing.T) {
	w := newWorld(t)
	everybody := make([]int, session.MaxParties)
	for i := range everybody {
		everybody[i] = i
	}
	plan, signers := guardiansOf(t, session.MaxParties-1, guard.MaxGuardians-1, guard.MaxGuardians)
	root := w.changed(w.record(1, 1, 16, everybody, nil, 0), func(r *Record) { r.Guardians = plan.Hash() })
	for i := range everybody {
		everybody[i] += 16
	}
	child := w.changed(w.record(1, 2, 16, everybody, root, 1), func(r *Record) {
		r.Rescue = &Rescue{Activation: [32]byte{1}, Until: 1 << 40, Terms: plan.Terms}
	})
	g := &Grounds{Activation: [32]byte{1}, Plan: plan, threshold: 16}
	for _, s := range signers[:plan.Quorum] {
		x := &guard.Approval{Signer: s.Public().(ed25519.PublicKey), Signature: make([]byte, 64)}
		for range 16 {
			x.Commit = append(x.Commit, child.Public)
		}
		g.Guardians = append(g.Guardians, x)
	}
	c := w.certOf(child, root)
	c.Rescue = g
	f := &FinalCert{Record: child, Cert: c}
	for i, m := range child.Members {
		f.Finals = append(f.Finals, w.final(child, c, m.ID, uint64(i)))
	}
	raw := f.Encode()
	back, err := DecodeFinalCert(raw)
	if err != nil || !bytes.Equal(back.Encode(), raw) {
		t.Fatalf("%d bytes: %v", len(raw), err)
	}
	t.Logf("%d bytes of %d", len(raw), MaxFinalCert)
}

// An approval without points names no curve: a certificate with one could be read and not written.
func TestGroundsDecodeRefuses(t *testing.T) {
	s := newRescue(t)
	for want, spoil := range map[string]func(g *Grounds){
		"threshold 0, 2 is the least": func(g *Grounds) { g.threshold = 0 },
		"threshold 1, 2 is the least": func(g *Grounds) { g.threshold = 1 },
		"2 items, 3 to 3":             func(g *Grounds) { g.threshold = 3 },
		"1 items":                     func(g *Grounds) { g.Guardians = g.Guardians[:1] },
		"decode guardians' plan":      func(g *Grounds) { p := *g.Plan; p.Quorum = 3; g.Plan = &p },
		"identity":                    func(g *Grounds) { g.Guardians[0].Commit[1] = s.root.Public.Group().Identity() },
	} {
		c := again(t, s.cert)
		spoil(c.Rescue)
		raw, err := func() (raw []byte, err error) {
			defer func() {
				if r := recover(); r != nil {
					err = fmt.Errorf("encode: %v", r)
				}
			}()
			return c.Encode(), nil
		}()
		if err == nil {
			_, err = DecodeCert(raw)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	raw := s.cert.Encode()
	at := bytes.Index(raw, []byte("edwards25519"))
	bad := bytes.Clone(raw)
	bad[at] ^= 1
	if _, err := DecodeCert(bad); err == nil || !strings.Contains(err.Error(), "is not known here") {
		t.Errorf("another curve: %v", err)
	}
	empty := append(bytes.Clone(raw[:bytes.Index(raw, s.cert.Rescue.encode())-4]), 0, 0, 0, 0)
	if _, err := DecodeCert(empty); err == nil {
		t.Error("empty grounds are read")
	}
}
