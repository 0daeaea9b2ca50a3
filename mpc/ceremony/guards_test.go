package ceremony

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/internal/cputime"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/mpc/keygen"
	"github.com/ostraka/ostraka/mpc/session"
)

// unguarded is a key generation of a vault without an SOS plan.
func unguarded(s Seat) (engine.Stage[Prepared], error) { return Keygen(s, nil) }

// guardians are m of them, k of whom help r operators.
func guardians(t testing.TB, r, k, m int) (*guard.Plan, []*pve.PrivateKey) {
	t.Helper()
	p := &guard.Plan{Terms: [32]byte{7}, Operators: r, Quorum: k}
	var keys []*pve.PrivateKey
	for i := range m {
		key, err := pve.NewPrivateKey(enginetest.Reader(uint64(500 + i)))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
		p.Guardians = append(p.Guardians, guard.Guardian{ID: engine.PartyID{0xe0, byte(i)}, Key: key.Public()})
	}
	return p, keys
}

func (c *committee) guardedSetup(suite string, n, threshold int, p *guard.Plan) *session.Setup {
	return &session.Setup{
		Protocol: ProtocolKeygen, Suite: suite, KeyID: [32]byte{1}, Threshold: threshold, Parties: c.parties[:n],
		Payload: GuardedBy(p, c.parties[:n], threshold).Encode(),
	}
}

// guarded is a key generation with guardians: its keys and rows.
func (c *committee) guarded(t testing.TB, suite string, n, threshold int, p *guard.Plan) (keys []*Keys, rows []map[string][]byte) {
	t.Helper()
	setup := c.guardedSetup(suite, n, threshold, p)
	run := enginetest.Run(enginetest.Options{Seed: 7}, machines(t, c.join(t, setup), func(s Seat) (engine.Stage[Prepared], error) { return Keygen(s, p) })...)
	results, err := run.Results()
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range c.parties[:n] {
		if err := results[i].Cert.Check(results[i].Record, nil); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, saved(run.Party(q.ID)))
		k, err := loaded(q.ID, rows[i])
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	return keys, rows
}

// checkGuarded holds what members kept to the record, and brings the key back from the last r masks and the last k values.
func checkGuarded(t *testing.T, p *guard.Plan, guards []*pve.PrivateKey, keys []*Keys, rows []map[string][]byte) {
	t.Helper()
	r, g := keys[0].Record, keys[0].Record.Public.Group()
	if r.Guardians != p.Hash() || r.Backups == [32]byte{} {
		t.Fatal("the record names no guardians or backups")
	}
	set, err := r.CheckBackups(p, rows[0][RowBackups])
	if err != nil {
		t.Fatal(err)
	}
	var at, where []share.Index
	var masks, values []group.Scalar
	for i, m := range r.Members {
		mask, err := g.DecodeScalar(rows[i][RowMask])
		if err != nil {
			t.Fatal(err)
		}
		if !g.BaseMul(mask).Equal(set.MaskPoint(m.Index)) || !bytes.Equal(rows[i][RowBackups], rows[0][RowBackups]) {
			t.Errorf("member %d keeps another mask or set", i)
		}
		if i >= len(r.Members)-p.Operators {
			at, masks = append(at, m.Index), append(masks, mask)
		}
	}
	terms, err := r.Terms(p)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(guards) - p.Quorum; i < len(guards); i++ {
		y, spoiled, err := set.Open(terms, p.Guardians[i].ID, guards[i])
		if err != nil || len(spoiled) > 0 {
			t.Fatalf("guardian %d: %v, %v", i, err, spoiled)
		}
		where, values = append(where, share.Index(i+1)), append(values, y)
	}
	h, err := share.Interpolate(g, at, masks)
	if err != nil {
		t.Fatal(err)
	}
	u, err := share.Interpolate(g, where, values)
	if err != nil {
		t.Fatal(err)
	}
	if !g.BaseMul(h.Add(u)).Equal(r.Public) {
		t.Error("masks and values do not give the key")
	}
}

func TestGuardedKeygen(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			p, guards := guardians(t, 2, 2, 3)
			keys, rows := newCommittee(3).guarded(t, suite, 3, 3, p)
			checkGuarded(t, p, guards, keys, rows)
		})
	}
}

// A key without guardians gets some, keeps them when shares are made anew and when the committee changes, and loses them.
func TestGuardedChanges(t *testing.T) {
	for _, suite := range []string{epoch.SuiteECDSA, epoch.SuiteEd25519} {
		t.Run(suite, func(t *testing.T) {
			com := newCommittee(4)
			p, guards := guardians(t, 1, 2, 3)
			keys := com.keygenOf(t, suite, 3, 2)
			public := keys[0].Record.Public
			refresh := func(p *guard.Plan) *move {
				m := com.refresh(keys)
				m.plan, m.change.Guards = p, GuardedBy(p, m.setup.Parties, 2)
				m.setup.Payload = m.change.Encode()
				return m
			}
			m := refresh(p)
			keys = m.next(t)
			checkGuarded(t, p, guards, keys, m.rows)
			before := m.rows
			m = refresh(p)
			keys = m.next(t)
			checkGuarded(t, p, guards, keys, m.rows)
			if bytes.Equal(before[0][RowMask], m.rows[0][RowMask]) {
				t.Error("the mask stays when shares are made anew")
			}
			m = com.reshare(keys, 3, []int{0, 1}, []int{1, 2, 3})
			p2, guards2 := guardians(t, 2, 3, 4)
			var members []session.Party
			for _, q := range m.setup.Parties[1:] {
				members = append(members, q)
			}
			m.plan, m.change.Guards = p2, GuardedBy(p2, members, 3)
			m.setup.Payload = m.change.Encode()
			keys = m.next(t)
			checkGuarded(t, p2, guards2, keys, m.rows)
			if !keys[0].Record.Public.Equal(public) {
				t.Error("the key moved")
			}
		})
	}
}

// Whoever opens a ceremony cannot choose the guardians: another plan than our own, none, or one where we have none.
func TestGuardsAreOurOwn(t *testing.T) {
	com := newCommittee(3)
	own, _ := guardians(t, 2, 2, 3)
	other, _ := guardians(t, 1, 2, 3)
	seat := Seat{Session: engine.SessionID{1}, Self: com.parties[0].ID, Rand: enginetest.Reader(1)}
	for name, x := range map[string]struct{ named, own *guard.Plan }{"another": {other, own}, "none": {nil, own}, "some where we have none": {own, nil}} {
		seat.Setup = com.guardedSetup(epoch.SuiteEd25519, 3, 3, x.named)
		if _, err := Keygen(seat, x.own); !errors.Is(err, ErrGuards) {
			t.Errorf("%s: %v", name, err)
		}
	}
	keys := com.keygenOf(t, epoch.SuiteEd25519, 3, 3)
	m := com.refresh(keys)
	seat.Setup = m.setup
	if _, err := Refresh(seat, keys[0], own); !errors.Is(err, ErrGuards) {
		t.Errorf("refresh: %v", err)
	}
	m = com.reshare(keys, 3, []int{0, 1, 2}, []int{0, 1, 2})
	seat.Setup = m.setup
	if _, err := Reshare(seat, m.parent, keys[0], false, own); !errors.Is(err, ErrGuards) {
		t.Errorf("reshare: %v", err)
	}
	// A plan that the threshold cannot have, dealers who are not members: misuse when the session starts.
	seat.Setup = com.guardedSetup(epoch.SuiteEd25519, 3, 2, own)
	first, err := Keygen(seat, own)
	if err != nil {
		t.Fatal(err)
	}
	var misuse *engine.Misuse
	if _, err := first.Finish(engine.Transcript{}); !errors.As(err, &misuse) {
		t.Errorf("r = t: %v", err)
	}
}

func TestGuardsDecode(t *testing.T) {
	p, _ := guardians(t, 1, 2, 3)
	com := newCommittee(3)
	g := GuardedBy(p, com.parties, 2)
	raw := g.Encode()
	got, err := decodeGuards(raw)
	if err != nil || !bytes.Equal(got.Encode(), raw) || !slices.Equal(got.Dealers, g.Dealers) {
		t.Fatalf("%v", err)
	}
	if none, err := decodeGuards(nil); none != nil || err != nil || none.Encode() != nil {
		t.Error("nobody is somebody")
	}
	for n := range raw {
		if _, err := decodeGuards(raw[:n]); err == nil && n > 0 {
			t.Errorf("%d bytes are read", n)
		}
	}
	if _, err := decodeGuards(append(bytes.Clone(raw), 0)); err == nil {
		t.Error("a byte more is read")
	}
	c := &Change{Attempt: 1, Guards: g}
	back, err := DecodeChange(c.Encode())
	if err != nil || !bytes.Equal(back.Encode(), c.Encode()) {
		t.Fatalf("change: %v", err)
	}
	empty := (&Change{Attempt: 1}).Encode()
	if _, err := DecodeChange(append(empty, 0, 4, 0, 0, 0, 0)); err == nil {
		t.Error("a change that names no guardians in a field of its own is read: one thing has two forms")
	}
}

func FuzzGuards(f *testing.F) {
	p, _ := guardians(f, 1, 2, 3)
	f.Add(GuardedBy(p, newCommittee(3).parties, 2).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, err := decodeGuards(b); err == nil && !bytes.Equal(g.Encode(), b) {
			t.Errorf("%x decodes and encodes as %x", b, g.Encode())
		}
	})
}

// A ceremony that is abandoned while masks are on their way leaves no share, mask or coins; nor does one that a bad encryption ends.
func TestGuardedCeremonyIsWiped(t *testing.T) {
	for name, disturb := range map[string]enginetest.Mutate{"abandoned": enginetest.Drop, "spoiled": enginetest.Flip(2000)} {
		com := newCommittee(3)
		p, _ := guardians(t, 1, 2, 3)
		seats := com.join(t, com.guardedSetup(epoch.SuiteECDSA, 3, 2, p))
		var shares []group.Scalar
		sessions := machines(t, seats, func(s Seat) (engine.Stage[Prepared], error) {
			first, err := Keygen(s, p)
			both := first.(*then[two[keygen.Output, made], Prepared]).s.(*beside[keygen.Output, made])
			both.a = &tap[keygen.Output]{both.a, func(out *keygen.Output) { shares = append(shares, out.Share) }}
			return first, err
		})
		run := enginetest.Run(enginetest.Options{Hook: enginetest.On(enginetest.Match{Kind: guard.KindDeal}, disturb)}, sessions...)
		if len(shares) != 3 {
			t.Fatalf("%s: %d parties came to the second part", name, len(shares))
		}
		for _, q := range run.Parties {
			if q.Result != nil || len(q.Saved) > 0 {
				t.Errorf("%s: there is a result", name)
			}
			q.Session.Abandon()
		}
		for _, s := range seats {
			if _, err := s.Rand.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s: the coins stay", name)
			}
		}
		for _, s := range shares {
			if !s.IsZero() {
				t.Errorf("%s: a share stays", name)
			}
		}
	}
}

// BenchmarkGuardedRefresh is new shares 3-of-3 with five guardians, from Setup to certificate.
func BenchmarkGuardedRefresh(b *testing.B) {
	for _, suite := range suites {
		b.Run(suite, func(b *testing.B) {
			com := newCommittee(3)
			p, _ := guardians(b, 2, 3, 5)
			m := com.refresh(com.keygenOf(b, suite, 3, 3))
			m.plan, m.change.Guards = p, GuardedBy(p, m.setup.Parties, 3)
			m.setup.Payload = m.change.Encode()
			n, sent := 3, 0
			cputime.Report(b, n, func() { sent = lockstep(b, machines(b, com.join(b, m.setup), m.first)) })
			b.ReportMetric(float64(sent)/float64(n), "bytes/party")
		})
	}
}
