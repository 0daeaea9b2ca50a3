package ceremony

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/internal/cputime"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/mpc/session"
)

// An emergency is a guarded epoch of some operators, of whom some are lost, and its guardians.
type emergency struct {
	com     *committee
	suite   string
	plan    *guard.Plan
	signers []ed25519.PrivateKey // of guardians, in the plan's order
	ek      []*pve.PrivateKey
	keys    []*Keys
	rows    []map[string][]byte
	set     *guard.Set

	activation *guard.Activation
	ceremony   map[engine.PartyID]*pve.PrivateKey // of new members, for this ceremony alone
	from       [][]byte
	entropy    uint64            // of guardians
	made       map[string][]byte // contributions, by what they are for: each costs encryptions
	next       *guard.Plan
	quorum     *Quorum
	setup      *session.Setup
}

// newEmergency has t-of-n operators, and k of m guardians beside r of them; extra parties are there to come in.
func newEmergency(tb testing.TB, suite string, t, n, r, k, m, extra int) *emergency {
	tb.Helper()
	e := &emergency{com: newCommittee(n + extra), suite: suite, made: map[string][]byte{}, plan: &guard.Plan{Terms: [32]byte{7}, Operators: r, Quorum: k}}
	type one struct {
		id   engine.PartyID
		sign ed25519.PrivateKey
		ek   *pve.PrivateKey
	}
	var all []one
	for i := range m {
		_, sign, err := ed25519.GenerateKey(enginetest.Reader(uint64(700 + i)))
		if err != nil {
			tb.Fatal(err)
		}
		ek, err := pve.NewPrivateKey(enginetest.Reader(uint64(800 + i)))
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, one{guard.IDOf(sign.Public().(ed25519.PublicKey)), sign, ek})
	}
	slices.SortFunc(all, func(a, b one) int { return bytes.Compare(a.id[:], b.id[:]) })
	for _, g := range all {
		e.plan.Guardians = append(e.plan.Guardians, guard.Guardian{ID: g.id, Key: g.ek.Public()})
		e.signers, e.ek = append(e.signers, g.sign), append(e.ek, g.ek)
	}
	e.keys, e.rows = e.com.guarded(tb, suite, n, t, e.plan)
	var err error
	if e.set, err = e.record().CheckBackups(e.plan, e.rows[0][RowBackups]); err != nil {
		tb.Fatal(err)
	}
	return e
}

func (e *emergency) record() *epoch.Record { return e.keys[0].Record }

// activate names the new committee, by places among the parties, and makes the contributions of some guardians.
func (e *emergency) activate(tb testing.TB, threshold int, members, guardians []int) {
	tb.Helper()
	e.activation = &guard.Activation{ID: [32]byte{0xac, byte(threshold)}, Threshold: threshold}
	e.ceremony, e.from = map[engine.PartyID]*pve.PrivateKey{}, nil
	var parties []session.Party
	for _, i := range members {
		parties = append(parties, e.com.parties[i])
	}
	seats, err := e.record().Seats(parties, 0)
	if err != nil {
		tb.Fatal(err)
	}
	for i, p := range seats {
		key, err := pve.NewPrivateKey(enginetest.Reader(uint64(900 + i)))
		if err != nil {
			tb.Fatal(err)
		}
		e.ceremony[p.ID] = key
		e.activation.Members = append(e.activation.Members, guard.NewMember{Party: p, Key: key.Public()})
	}
	for _, i := range guardians {
		e.from = append(e.from, e.contribute(tb, i).Encode())
	}
}

func (e *emergency) contribute(tb testing.TB, i int) *guard.Contribution {
	tb.Helper()
	t, err := e.record().Terms(e.plan)
	if err != nil {
		tb.Fatal(err)
	}
	what := fmt.Sprint(i, *e.activation)
	if raw, ok := e.made[what]; ok {
		c, err := guard.DecodeContribution(t.Group, e.activation, raw)
		if err != nil {
			tb.Fatal(err)
		}
		return c
	}
	y, _, err := e.set.Open(t, e.plan.Guardians[i].ID, e.ek[i])
	if err != nil {
		tb.Fatal(err)
	}
	c, err := guard.Contribute(t, e.activation, y, e.signers[i].Public().(ed25519.PublicKey), session.NewSigner(e.signers[i]), enginetest.Reader(e.entropy+uint64(40+i)))
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.Check(t, e.set, e.activation); err != nil {
		tb.Fatal(err)
	}
	e.made[what] = c.Encode()
	return c
}

// open makes the Setup of the contributors at these places.
func (e *emergency) open(contributors ...int) {
	r := e.record()
	e.quorum = &Quorum{Attempt: 5, Rescue: epoch.Rescue{Activation: e.activation.ID, Until: 1_900_000_000, Terms: e.plan.Terms}}
	var parties, members []session.Party
	for _, m := range e.activation.Members {
		e.quorum.Members, members = append(e.quorum.Members, m.ID), append(members, m.Party)
	}
	parties = slices.Clone(members)
	for _, i := range contributors {
		p := e.com.parties[i]
		e.quorum.Contributors = append(e.quorum.Contributors, p.ID)
		if !slices.ContainsFunc(parties, func(q session.Party) bool { return q.ID == p.ID }) {
			parties = append(parties, p)
		}
	}
	slices.SortFunc(parties, func(a, b session.Party) int { return int(a.Index) - int(b.Index) })
	for _, raw := range e.from {
		e.quorum.Guardians = append(e.quorum.Guardians, HashContribution(raw))
	}
	e.quorum.Guards = GuardedBy(e.next, members, e.activation.Threshold)
	e.setup = &session.Setup{
		Protocol: ProtocolRescue, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: e.activation.Threshold,
		Parties: parties, Payload: e.quorum.Encode(),
	}
}

// sos is what one party holds.
func (e *emergency) sos(tb testing.TB, id engine.PartyID) *Emergency {
	x := &Emergency{
		Parent: e.record(), Plan: e.plan, Set: e.set, Activation: e.activation, Rescue: e.quorum.Rescue, From: e.from, Key: e.ceremony[id], Next: e.next,
	}
	for i := range e.keys {
		if e.com.parties[i].ID == id && slices.Contains(e.quorum.Contributors, id) {
			mask, err := x.Parent.Public.Group().DecodeScalar(e.rows[i][RowMask])
			if err != nil {
				tb.Fatal(err)
			}
			x.Mask = mask
		}
	}
	return x
}

func (e *emergency) first(tb testing.TB) func(Seat) (engine.Stage[Prepared], error) {
	return func(s Seat) (engine.Stage[Prepared], error) { return Rescue(s, e.sos(tb, s.Self)) }
}

// run is the guarded reshare to the end: the new members' keys.
func (e *emergency) run(t *testing.T) (keys []*Keys, cert *epoch.Cert) {
	t.Helper()
	run := enginetest.Run(enginetest.Options{Seed: 3}, machines(t, e.com.join(t, e.setup), e.first(t))...)
	results, err := run.Results()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Record.Hash() != results[0].Record.Hash() {
			t.Fatal("parties hold different records")
		}
		if err := r.Cert.Check(r.Record, e.record()); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range e.activation.Members {
		k, err := loaded(m.ID, saved(run.Party(m.ID)))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	return keys, results[0].Cert
}

// One of three operators is lost; two that live and three of five guardians give the key to a new committee, which never was anybody's.
func TestRescue(t *testing.T) {
	for _, c := range []struct {
		name, suite                 string
		t, n, r, k, m, extra        int
		threshold                   int
		members, alive, contributes []int
		next                        bool
	}{
		{"3-of-3, a substitute", epoch.SuiteECDSA, 3, 3, 2, 3, 5, 1, 3, []int{0, 2, 3}, []int{0, 2, 4}, []int{0, 2}, true},
		{"3-of-3, two go on", epoch.SuiteBIP340, 3, 3, 2, 2, 3, 0, 2, []int{1, 2}, []int{1, 2}, []int{1, 2}, false},
		{"2-of-3, one lives, all anew", epoch.SuiteEd25519, 2, 3, 1, 2, 3, 2, 2, []int{3, 4}, []int{0, 1}, []int{1}, false},
		{"4-of-5, three live", epoch.SuiteEd25519, 4, 5, 3, 2, 3, 1, 3, []int{0, 1, 3, 5}, []int{0, 2}, []int{0, 1, 3}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEmergency(t, c.suite, c.t, c.n, c.r, c.k, c.m, c.extra)
			var guards []*pve.PrivateKey
			if c.next {
				e.next, guards = guardians(t, c.threshold-1, 2, 4)
			}
			e.activate(t, c.threshold, c.members, c.alive)
			e.open(c.contributes...)
			keys, cert := e.run(t)
			r := keys[0].Record
			if !keyOf(t, keys[:c.threshold]...).Equal(e.record().Public) || !keyOf(t, keys[len(keys)-c.threshold:]...).Equal(e.record().Public) {
				t.Fatal("the key moved")
			}
			if !r.Rescued() || r.Rescue.Until != 1_900_000_000 || (r.Backups != [32]byte{}) != c.next {
				t.Errorf("the record says %+v of the SOS", r.Rescue)
			}
			_ = guards
			back, err := epoch.DecodeCert(cert.Encode())
			if err != nil || !bytes.Equal(back.Encode(), cert.Encode()) {
				t.Fatalf("certificate: %v", err)
			}
			if err := back.Check(r, e.record()); err != nil {
				t.Error(err)
			}
			again, err := epoch.Decode(r.Encode())
			if err != nil || again.Hash() != r.Hash() {
				t.Errorf("record: %v", err)
			}
		})
	}
}

// One fewer, another's, a repeat, or anything that was not agreed: refused before anything is dealt.
func TestRescueRefuses(t *testing.T) {
	e := newEmergency(t, epoch.SuiteEd25519, 3, 3, 2, 2, 4, 1)
	base := func() {
		e.next = nil
		e.activate(t, 2, []int{0, 1, 3}, []int{0, 2})
		e.open(0, 1)
	}
	base()
	seat := Seat{Session: engine.SessionID{1}, Setup: e.setup, Self: e.com.parties[0].ID, Rand: enginetest.Reader(1)}
	if _, err := Rescue(seat, e.sos(t, seat.Self)); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(x *Emergency){
		"1 contributors":        func(*Emergency) { e.open(0) },
		"3 contributors":        func(*Emergency) { e.open(0, 1, 2) },
		"not the next by index": func(*Emergency) { e.open(1, 0) },
		"no member of the old":  func(*Emergency) { e.open(0, 3) },
		"has 1 items, 2 to":     func(x *Emergency) { e.from = e.from[:1]; e.open(0, 1); x.From = e.from },
		"3 guardians; exactly": func(x *Emergency) {
			e.from = append(e.from, e.contribute(t, 3).Encode())
			e.open(0, 1)
			x.From = e.from
		},
		"stands twice":              func(x *Emergency) { e.from[1] = e.from[0]; e.open(0, 1); x.From = e.from },
		"out of order":              func(x *Emergency) { e.from[0], e.from[1] = e.from[1], e.from[0]; e.open(0, 1); x.From = e.from },
		"not the one in the quorum": func(x *Emergency) { x.From = [][]byte{e.from[0], e.contribute(t, 3).Encode()} },
		"the quorum has 2":          func(x *Emergency) { x.From = e.from[:1] },
		"another lock-up":           func(x *Emergency) { x.Rescue.Until++ },
		"of another activation":     func(x *Emergency) { a := *x.Activation; a.ID[0] ^= 1; x.Activation = &a },
		"threshold 2 and 3 members": func(x *Emergency) { a := *x.Activation; a.Threshold = 3; x.Activation = &a },
		"not as the activation has it": func(x *Emergency) {
			a := *x.Activation
			a.Members = slices.Clone(a.Members)
			a.Members[2].Index++
			x.Activation = &a
		},
		"for another key":          func(x *Emergency) { r := *x.Parent; r.KeyID[0] ^= 1; x.Parent = &r },
		"addresses are of another": func(x *Emergency) { p := *x.Plan; p.Terms[0] ^= 1; x.Plan = &p },
		"no plan":                  func(x *Emergency) { x.Plan = nil },
		"backup set is not":        func(x *Emergency) { p := *x.Plan; p.Quorum = 3; x.Plan = &p },
		"set is not the old":       func(x *Emergency) { s := *x.Set; s.Session[0] ^= 1; x.Set = &s },
		"not the old epoch's":      func(x *Emergency) { x.Set = nil },
		"that the opener names":    func(x *Emergency) { x.Next = e.plan },
		"no mask":                  func(x *Emergency) { x.Mask = nil },
		"no key of this ceremony":  func(x *Emergency) { x.Key = nil },
		"not to ours":              func(x *Emergency) { x.Key = e.ceremony[e.com.parties[1].ID] },
	} {
		base()
		x := e.sos(t, seat.Self)
		spoil(x)
		seat.Setup = e.setup
		if x.Activation.ID == e.activation.ID && x.Activation.Threshold == 2 {
			x.Rescue.Activation = e.activation.ID
		}
		_, err := Rescue(seat, x)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// What a guardian's message is held to.
func TestContributionRefuses(t *testing.T) {
	e := newEmergency(t, epoch.SuiteEd25519, 2, 2, 1, 2, 3, 1)
	e.activate(t, 2, []int{0, 2}, []int{0, 1})
	terms, err := e.record().Terms(e.plan)
	if err != nil {
		t.Fatal(err)
	}
	g := terms.Group
	for name, spoil := range map[string]func(*guard.Contribution, *guard.Terms, *guard.Activation){
		"another activation":   func(_ *guard.Contribution, _ *guard.Terms, a *guard.Activation) { a.ID[0] ^= 1 },
		"another threshold":    func(_ *guard.Contribution, _ *guard.Terms, a *guard.Activation) { a.Threshold = 1 },
		"another member's key": func(_ *guard.Contribution, _ *guard.Terms, a *guard.Activation) { a.Members[0].Key = e.ek[0].Public() },
		"another index":        func(_ *guard.Contribution, _ *guard.Terms, a *guard.Activation) { a.Members[1].Index++ },
		"a member less":        func(_ *guard.Contribution, _ *guard.Terms, a *guard.Activation) { a.Members = a.Members[:1] },
		"one key twice":        func(_ *guard.Contribution, _ *guard.Terms, a *guard.Activation) { a.Members[1].Key = a.Members[0].Key },
		"another epoch":        func(_ *guard.Contribution, t *guard.Terms, _ *guard.Activation) { t.Partial[0] ^= 1 },
		"another vault's key":  func(_ *guard.Contribution, t *guard.Terms, _ *guard.Activation) { t.KeyID[0] ^= 1 },
		"constant": func(c *guard.Contribution, _ *guard.Terms, _ *guard.Activation) {
			c.Commit[0] = c.Commit[0].Add(g.Generator())
		},
		"slope": func(c *guard.Contribution, _ *guard.Terms, _ *guard.Activation) {
			c.Commit[1] = c.Commit[1].Add(g.Generator())
		},
		"a point more": func(c *guard.Contribution, _ *guard.Terms, _ *guard.Activation) {
			c.Commit = append(c.Commit, g.Generator())
		},
		"an encryption": func(c *guard.Contribution, _ *guard.Terms, _ *guard.Activation) { c.Proofs[1][999] ^= 1 },
		"encryptions swapped": func(c *guard.Contribution, _ *guard.Terms, _ *guard.Activation) {
			c.Proofs[0], c.Proofs[1] = c.Proofs[1], c.Proofs[0]
		},
		"signature": func(c *guard.Contribution, _ *guard.Terms, _ *guard.Activation) { c.Signature[5] ^= 1 },
		"stranger": func(c *guard.Contribution, _ *guard.Terms, _ *guard.Activation) {
			c.Signer = e.com.keys[e.com.parties[0].ID].Public().(ed25519.PublicKey)
		},
		"another guardian": func(c *guard.Contribution, _ *guard.Terms, _ *guard.Activation) {
			c.Signer = e.signers[1].Public().(ed25519.PublicKey)
		},
	} {
		c, tt, a := e.contribute(t, 0), terms, *e.activation
		a.Members = slices.Clone(a.Members)
		spoil(c, &tt, &a)
		if err := c.Check(tt, e.set, &a); err == nil {
			t.Errorf("%s: holds", name)
		}
	}
	// One of another guardian's value, signed by a guardian.
	c := e.contribute(t, 1)
	c.Signer = e.signers[0].Public().(ed25519.PublicKey)
	if err := c.Check(terms, e.set, e.activation); err == nil {
		t.Error("another's signature holds")
	}
	// Each activation sees another polynomial, though the source of randomness repeats itself.
	a := e.contribute(t, 0)
	e.activation.ID[1] ^= 1
	if b := e.contribute(t, 0); a.Commit[1].Equal(b.Commit[1]) {
		t.Error("two activations see one polynomial")
	}
}

// The certificate of a rescue holds with exactly its grounds, and never without.
func TestRescueCertificate(t *testing.T) {
	e := newEmergency(t, epoch.SuiteEd25519, 3, 3, 2, 2, 4, 1)
	e.activate(t, 2, []int{0, 3}, []int{1, 3})
	e.open(0, 1)
	keys, cert := e.run(t)
	r, parent := keys[0].Record, e.record()
	third := func() *guard.Approval { return e.contribute(t, 0).Approval() }
	for name, spoil := range map[string]func(c *epoch.Cert, g *epoch.Grounds, r *epoch.Record){
		"no grounds":      func(c *epoch.Cert, _ *epoch.Grounds, _ *epoch.Record) { c.Rescue = nil },
		"a guardian less": func(_ *epoch.Cert, g *epoch.Grounds, _ *epoch.Record) { g.Guardians = g.Guardians[1:] },
		"a guardian more": func(_ *epoch.Cert, g *epoch.Grounds, _ *epoch.Record) {
			g.Guardians = append([]*guard.Approval{third()}, g.Guardians...)
		},
		"one twice":            func(_ *epoch.Cert, g *epoch.Grounds, _ *epoch.Record) { g.Guardians[1] = g.Guardians[0] },
		"out of order":         func(_ *epoch.Cert, g *epoch.Grounds, _ *epoch.Record) { slices.Reverse(g.Guardians) },
		"a signature":          func(_ *epoch.Cert, g *epoch.Grounds, _ *epoch.Record) { g.Guardians[0].Signature = make([]byte, 64) },
		"other encryptions":    func(_ *epoch.Cert, g *epoch.Grounds, _ *epoch.Record) { g.Guardians[0].Proofs[0] ^= 1 },
		"another activation":   func(_ *epoch.Cert, g *epoch.Grounds, _ *epoch.Record) { g.Activation[0] ^= 1 },
		"another plan":         func(_ *epoch.Cert, g *epoch.Grounds, _ *epoch.Record) { p := *g.Plan; p.Operators = 1; g.Plan = &p },
		"a contributor less":   func(c *epoch.Cert, _ *epoch.Grounds, _ *epoch.Record) { c.Olds = nil },
		"a contributor's word": func(c *epoch.Cert, _ *epoch.Grounds, _ *epoch.Record) { c.Olds[0].Signature = make([]byte, 64) },
	} {
		c, err := epoch.DecodeCert(cert.Encode())
		if err != nil {
			t.Fatal(err)
		}
		spoil(c, c.Rescue, r)
		if err := c.Check(r, parent); err == nil {
			t.Errorf("%s: holds", name)
		}
	}
	// Whoever holds less than t shares cannot pass a record of an SOS off as an ordinary one, nor drop its lock-up.
	plain := *r
	plain.Rescue = nil
	if err := parent.CheckChild(&plain); err != nil {
		t.Errorf("an ordinary child: %v", err)
	}
	if (&epoch.Cert{Record: plain.Hash(), Preps: cert.Preps}).Check(&plain, parent) == nil {
		t.Error("an ordinary record holds with the PREPs of another")
	}
	child := r.Child(1, r.Threshold, r.Members)
	if child.Rescue == nil || child.Rescue.Until != r.Rescue.Until || child.Rescued() {
		t.Errorf("the next epoch has %+v", child.Rescue)
	}
	child.Rescue = nil
	if r.CheckChild(child) == nil {
		t.Error("the next epoch drops the lock-up")
	}
	child.Rescue = &epoch.Rescue{Until: 1, Terms: r.Rescue.Terms}
	if r.CheckChild(child) == nil {
		t.Error("the next epoch shortens the lock-up")
	}
}

// A contributor that deals another mask, or anything else, is named.
func TestRescueBlames(t *testing.T) {
	e := newEmergency(t, epoch.SuiteEd25519, 3, 3, 2, 2, 3, 1)
	e.activate(t, 2, []int{0, 1, 3}, []int{0, 2})
	e.open(0, 1)
	for name, kind := range map[string]engine.Kind{"commitment": 0x18, "opening": 0x19, "share": 0x1a} {
		n := -1
		run := enginetest.Run(enginetest.Options{}, machines(t, e.com.join(t, e.setup), func(s Seat) (engine.Stage[Prepared], error) {
			first, err := Rescue(s, e.sos(t, s.Self))
			if n++; n == 1 {
				first = enginetest.Corrupt(first, func(_ uint8, out []engine.Out) []engine.Out {
					for i, o := range out {
						if o.Kind == kind {
							out[i].Body = bytes.Clone(o.Body)
							out[i].Body[len(o.Body)-1] ^= 1
						}
					}
					return out
				})
			}
			return first, err
		})...)
		named := 0
		for i, p := range run.Parties {
			if f := p.Fault(); i != 1 && (p.Result != nil || f != nil && !slices.Equal(f.Accused, []engine.PartyID{e.com.parties[1].ID})) {
				t.Errorf("%s: party %d ends with %v", name, i, p.Err)
			}
			if i != 1 && p.Fault() != nil {
				named++
			}
		}
		if named == 0 {
			t.Errorf("%s: nobody is named", name)
		}
	}
}

func FuzzQuorum(f *testing.F) {
	e := newEmergency(f, epoch.SuiteEd25519, 2, 2, 1, 2, 3, 0)
	e.activate(f, 2, []int{0, 1}, []int{0, 1})
	e.open(0)
	f.Add(e.setup.Payload)
	f.Fuzz(func(t *testing.T, b []byte) {
		if q, err := DecodeQuorum(b); err == nil && !bytes.Equal(q.Encode(), b) {
			t.Errorf("%x decodes and encodes as %x", b, q.Encode())
		}
	})
}

// BenchmarkRescue is a 3-of-3 key that two operators and three of five guardians give to three, without a second sharing of the new one.
func BenchmarkRescue(b *testing.B) {
	e := newEmergency(b, epoch.SuiteECDSA, 3, 3, 2, 3, 5, 1)
	e.activate(b, 3, []int{0, 1, 3}, []int{0, 1, 2})
	e.open(0, 1)
	sent := 0
	cputime.Report(b, 3, func() { sent = lockstep(b, machines(b, e.com.join(b, e.setup), e.first(b))) })
	b.ReportMetric(float64(sent)/3, "bytes/party")
}
