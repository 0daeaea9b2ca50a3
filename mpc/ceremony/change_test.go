package ceremony

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/mpc/malice"
	"github.com/ostraka/ostraka/mpc/reshare"
	"github.com/ostraka/ostraka/mpc/session"
)

// A move is a refresh or a reshare: its Setup, and what its parties bring along.
type move struct {
	com    *committee
	parent *epoch.Record
	keys   map[engine.PartyID]*Keys
	setup  *session.Setup
	change *Change
	lower  bool
	plan   *guard.Plan
	rows   []map[string][]byte // what the new members kept
}

func (c *committee) move(keys []*Keys, protocol string, change *Change, threshold int, at ...int) *move {
	r := keys[0].Record
	m := &move{com: c, parent: r, keys: map[engine.PartyID]*Keys{}, change: change}
	for i, k := range keys {
		m.keys[c.parties[i].ID] = k
	}
	m.setup = &session.Setup{
		Protocol: protocol, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: threshold, Payload: change.Encode(),
	}
	for _, i := range at {
		m.setup.Parties = append(m.setup.Parties, c.parties[i])
	}
	return m
}

// refresh has all members of the keys' record, who are the first parties.
func (c *committee) refresh(keys []*Keys) *move {
	var at []int
	for i := range keys {
		at = append(at, i)
	}
	return c.move(keys, ProtocolRefresh, &Change{Attempt: 3}, keys[0].Record.Threshold, at...)
}

// reshare has dealers and members by their place among the parties.
func (c *committee) reshare(keys []*Keys, threshold int, dealers, members []int) *move {
	change := &Change{Attempt: 3}
	for _, i := range dealers {
		change.Dealers = append(change.Dealers, c.parties[i].ID)
	}
	for _, i := range members {
		change.Members = append(change.Members, c.parties[i].ID)
	}
	all := slices.Concat(dealers, members)
	slices.Sort(all)
	return c.move(keys, ProtocolReshare, change, threshold, slices.Compact(all)...)
}

// first is a party's first stage.
func (m *move) first(s Seat) (engine.Stage[Prepared], error) {
	if s.Setup.Protocol == ProtocolRefresh {
		return Refresh(s, m.keys[s.Self], m.plan)
	}
	var dealt *Keys
	if slices.Contains(m.change.Dealers, s.Self) {
		dealt = m.keys[s.Self]
	}
	return Reshare(s, m.parent, dealt, m.lower, m.plan)
}

// stays says whether a party is a member of the next epoch.
func (m *move) stays(id engine.PartyID) bool {
	return m.setup.Protocol == ProtocolRefresh || slices.Contains(m.change.Members, id)
}

// next runs the ceremony and returns the new members' keys, in the order of their seats.
func (m *move) next(t testing.TB) []*Keys {
	t.Helper()
	seats := m.com.join(t, m.setup)
	run := enginetest.Run(enginetest.Options{Seed: 11}, machines(t, seats, m.first)...)
	results, err := run.Results()
	if err != nil {
		t.Fatal(err)
	}
	r := results[0].Record
	var keys []*Keys
	for i, s := range seats {
		m.checkResult(t, results[i], r.Hash())
		rows := saved(run.Party(s.Self))
		if m.stays(s.Self) {
			m.rows = append(m.rows, rows)
		}
		if !m.stays(s.Self) {
			if len(rows) != 1 || !bytes.Equal(rows[RowRecord], r.Encode()) {
				t.Errorf("party %d leaves, and keeps %d rows", i, len(rows))
			}
			continue
		}
		want := 2
		if paired(r.Suite) {
			want = 1 + len(r.Members)
		}
		if m.plan != nil {
			want += 3
		}
		if len(rows) != want {
			t.Errorf("party %d keeps %d rows, want %d", i, len(rows), want)
		}
		k, err := loaded(s.Self, rows)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	for i, s := range seats {
		if _, err := s.Rand.Read(make([]byte, 1)); err == nil {
			t.Errorf("the coins of party %d stay", i)
		}
	}
	return keys
}

// checkResult holds a party's result to the parent and to the others'.
func (m *move) checkResult(t testing.TB, p Prepared, eh epoch.Hash) {
	t.Helper()
	r := p.Record
	if r.Hash() != eh || r.Epoch != m.parent.Epoch+1 || r.Attempt != 3 || r.Prev != m.parent.Hash() || r.Threshold != m.setup.Threshold {
		t.Fatalf("the record is of epoch %d, attempt %d, threshold %d, or not the others'", r.Epoch, r.Attempt, r.Threshold)
	}
	if !r.Public.Equal(m.parent.Public) || r.ChainCode != m.parent.ChainCode || r.KeyID != m.parent.KeyID || r.Suite != m.parent.Suite {
		t.Fatal("the key has changed")
	}
	if err := p.Cert.Check(r, m.parent); err != nil {
		t.Fatal(err)
	}
	var leave []engine.PartyID
	for _, s := range m.setup.Parties {
		if !m.stays(s.ID) {
			leave = append(leave, s.ID)
		}
	}
	if !slices.EqualFunc(p.Cert.Olds, leave, func(o epoch.OldOK, id engine.PartyID) bool { return o.From == id }) {
		t.Fatalf("the certificate has the agreement of %d who leave, want %d", len(p.Cert.Olds), len(leave))
	}
	// A certificate without the agreement of the old committee is none.
	if len(leave) > 0 && (&epoch.Cert{Record: p.Cert.Record, Preps: p.Cert.Preps}).Check(r, m.parent) == nil && len(leave) > len(m.parent.Members)-m.parent.Threshold {
		t.Error("the certificate holds without those who leave")
	}
}

// keyOf is the key that shares give.
func keyOf(t testing.TB, keys ...*Keys) group.Point {
	t.Helper()
	var at []share.Index
	var shares []group.Scalar
	g := keys[0].Record.Public.Group()
	for _, k := range keys {
		i := slices.IndexFunc(k.Record.Members, func(m epoch.Member) bool { return m.Public.Equal(g.BaseMul(k.Share)) })
		at, shares = append(at, k.Record.Members[i].Index), append(shares, k.Share)
	}
	x, err := share.Interpolate(g, at, shares)
	if err != nil {
		t.Fatal(err)
	}
	return g.BaseMul(x)
}

var suites = []string{epoch.SuiteECDSA, epoch.SuiteBIP340, epoch.SuiteEd25519}

// The key stays, every share changes, and shares of two epochs give nothing together.
func TestRefresh(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			com := newCommittee(3)
			old := com.keygenOf(t, suite, 3, 2)
			now := com.refresh(old).next(t)
			r := now[0].Record
			for i := range now {
				if now[i].Share.Equal(old[i].Share) || now[i].Record.Members[i].Public.Equal(old[i].Record.Members[i].Public) {
					t.Errorf("the share of party %d stays", i)
				}
				if len(now[i].Pairs) != len(old[i].Pairs) {
					t.Errorf("party %d has %d pairs, and had %d", i, len(now[i].Pairs), len(old[i].Pairs))
				}
			}
			if !keyOf(t, now[0], now[2]).Equal(r.Public) || !keyOf(t, now[1], now[2]).Equal(r.Public) {
				t.Error("the new shares give another key")
			}
			if keyOf(t, old[0], now[2]).Equal(r.Public) {
				t.Error("an old share and a new one give the key")
			}
			if again := com.refresh(now).next(t); !keyOf(t, again[0], again[1]).Equal(r.Public) || again[0].Record.Epoch != 2 {
				t.Error("a second refresh gives another key")
			}
		})
	}
}

// What was kept of one epoch is of no use with the record of another.
func TestRowsOfTwoEpochsDoNotMix(t *testing.T) {
	com := newCommittee(3)
	old := com.keygenOf(t, epoch.SuiteBIP340, 3, 2)
	now := com.refresh(old).next(t)
	for i, p := range com.parties {
		for name, k := range map[string]struct {
			record *epoch.Record
			share  group.Scalar
		}{"old share, new record": {now[0].Record, old[i].Share}, "new share, old record": {old[0].Record, now[i].Share}} {
			if _, err := Load(k.record, p.ID, reader(map[string][]byte{RowShare: k.share.Bytes()})); err == nil || !strings.Contains(err.Error(), "does not match our public share") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	// A refresh or a reshare that deals with them is refused as well.
	mixed := com.refresh(now)
	for i, p := range com.parties {
		mixed.keys[p.ID] = &Keys{Record: now[0].Record, Share: old[i].Share}
	}
	seats := com.join(t, mixed.setup)
	first, err := mixed.first(seats[0])
	if err != nil {
		t.Fatal(err)
	}
	machine, err := Engine(seats[0], first)
	if err != nil {
		t.Fatal(err)
	}
	var own *engine.Misuse
	if _, err := machine.Start(); !errors.As(err, &own) || !strings.Contains(err.Error(), "share of another epoch") && !strings.Contains(err.Error(), "one of another epoch") {
		t.Errorf("a refresh with an old share: %v", err)
	}
	if _, err := seats[0].Rand.Read(make([]byte, 1)); err == nil {
		t.Error("the coins stay after a start that failed")
	}
	moved := com.reshare(now, 2, []int{0, 1}, []int{0, 1, 2})
	moved.keys = mixed.keys
	if _, err := moved.first(com.join(t, moved.setup)[0]); err == nil || !strings.Contains(err.Error(), "of another epoch") {
		t.Errorf("a reshare with an old share: %v", err)
	}
}

// New pairs and new shares sign; old ones do not, under either record's name.
func TestRefreshedKeySigns(t *testing.T) {
	com := newCommittee(3)
	old := com.keygen(t, 2)
	now := com.refresh(old).next(t)
	com.sign(t, now, []int{0, 1, 2}, ProtocolTest, nil)
	req := &Request{Purpose: "transaction", Path: hd.Path{1, 2, 3}, Digest: [32]byte{9}}
	com.sign(t, now, []int{0, 2}, ProtocolSign, req)
	r := now[0].Record
	setup := &session.Setup{
		Protocol: ProtocolSign, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: 2, Parties: com.parties[:2], Payload: req.Encode(),
	}
	seat := com.join(t, setup)[0]
	if _, err := Sign(seat, old[0], req.Digest[:]); err == nil || !strings.Contains(err.Error(), "another key, epoch") {
		t.Errorf("old keys sign for the new record: %v", err)
	}
	if _, err := Sign(seat, &Keys{Record: r, Share: old[0].Share, Pairs: now[0].Pairs}, req.Digest[:]); err == nil {
		t.Error("an old share signs for the new record")
	}
}

func TestReshare(t *testing.T) {
	for _, suite := range suites {
		for _, c := range []struct {
			n, t, next       int
			dealers, members []int
		}{
			{3, 2, 2, []int{0, 1}, []int{1, 2, 3}},       // one leaves, one stays without dealing, one is new
			{3, 2, 3, []int{0, 2}, []int{3, 4, 5}},       // nobody stays
			{3, 2, 3, []int{0, 1}, []int{0, 1, 2, 3}},    // one more, and more are needed
			{3, 3, 3, []int{0, 1, 2}, []int{0, 1, 2}},    // the same again
			{4, 2, 2, []int{0, 1, 2, 3}, []int{4, 5}},    // all deal
			{4, 3, 3, []int{1, 2, 3}, []int{1, 2, 3, 4}}, // one is lost
		} {
			// Pairs are costly: of ECDSA the first case alone, where pairs and leaving dealers meet.
			if suite == epoch.SuiteECDSA && c.dealers[1] != 1 || suite == epoch.SuiteECDSA && len(c.members) != 3 || suite == epoch.SuiteECDSA && c.n != 3 {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d of %d by %v to %d of %v", suite, c.t, c.n, c.dealers, c.next, c.members), func(t *testing.T) {
				com := newCommittee(6)
				old := com.keygenOf(t, suite, c.n, c.t)
				now := com.reshare(old, c.next, c.dealers, c.members).next(t)
				r := now[0].Record
				if len(now) != len(c.members) || !keyOf(t, now[:c.next]...).Equal(r.Public) || !keyOf(t, now[len(now)-c.next:]...).Equal(r.Public) {
					t.Error("the new shares give another key")
				}
				if c.next > 2 && keyOf(t, now[:c.next-1]...).Equal(r.Public) {
					t.Error("fewer shares than the threshold give the key")
				}
				for i, k := range old {
					if m, ok := r.Member(com.parties[i].ID); ok && m.Public.Equal(k.Record.Members[i].Public) {
						t.Errorf("the share of party %d stays", i)
					}
				}
			})
		}
	}
}

// A threshold is lowered if every old member agrees and our operator said so, and not else.
func TestReshareLowersTheThreshold(t *testing.T) {
	com := newCommittee(4)
	old := com.keygenOf(t, epoch.SuiteBIP340, 3, 3)
	lower := func(dealers, members []int) *move { return com.reshare(old, 2, dealers, members) }
	m := lower([]int{0, 1, 2}, []int{0, 1, 3})
	seat := com.join(t, m.setup)[0]
	if _, err := m.first(seat); !errors.Is(err, epoch.ErrLowerThreshold) {
		t.Errorf("our operator did not agree: %v", err)
	}
	m.lower = true
	if now := m.next(t); !keyOf(t, now[0], now[2]).Equal(old[0].Record.Public) {
		t.Error("two new shares give another key")
	}
	four := com.keygenOf(t, epoch.SuiteBIP340, 4, 3)
	m = com.reshare(four, 2, []int{0, 1, 2}, []int{0, 1, 2})
	m.lower = true
	if _, err := m.first(com.join(t, m.setup)[0]); err == nil || !strings.Contains(err.Error(), "3 of 4 old members take part, 4 must") {
		t.Errorf("one old member was not asked: %v", err)
	}
}

func TestRefreshRefuses(t *testing.T) {
	com := newCommittee(4)
	keys := com.keygenOf(t, epoch.SuiteBIP340, 3, 2)
	for name, c := range map[string]struct {
		want  string
		spoil func(s *session.Setup)
	}{
		"no payload":       {"decode change", func(s *session.Setup) { s.Payload = nil }},
		"long payload":     {"decode change", func(s *session.Setup) { s.Payload = append(s.Payload, 0) }},
		"a request":        {"decode change", func(s *session.Setup) { s.Payload = (&Request{Purpose: "transaction"}).Encode() }},
		"dealers":          {"is none", func(s *session.Setup) { s.Payload = (&Change{Dealers: []engine.PartyID{s.Parties[0].ID}}).Encode() }},
		"members":          {"is none", func(s *session.Setup) { s.Payload = (&Change{Members: []engine.PartyID{s.Parties[0].ID}}).Encode() }},
		"protocol":         {"is none", func(s *session.Setup) { s.Protocol = ProtocolReshare }},
		"a subset":         {"2 of 3 members", func(s *session.Setup) { s.Parties = s.Parties[:2] }},
		"one more":         {"is not that member", func(s *session.Setup) { s.Parties = append(s.Parties, com.parties[3]) }},
		"another party":    {"is not that member", func(s *session.Setup) { s.Parties[2] = com.parties[3] }},
		"another index":    {"is not that member", func(s *session.Setup) { s.Parties[2].Index = 9 }},
		"another identity": {"is not that member", func(s *session.Setup) { s.Parties[2].Identity = com.parties[3].Identity }},
		"threshold":        {"another key, epoch", func(s *session.Setup) { s.Threshold = 3 }},
		"epoch":            {"another key, epoch", func(s *session.Setup) { s.Epoch[0] ^= 1 }},
		"key":              {"another key, epoch", func(s *session.Setup) { s.KeyID[0] ^= 1 }},
		"suite":            {"another key, epoch", func(s *session.Setup) { s.Suite = epoch.SuiteECDSA }},
	} {
		m := com.refresh(keys)
		c.spoil(m.setup)
		_, err := Refresh(Seat{Session: engine.SessionID{1}, Setup: m.setup, Self: com.parties[0].ID, Rand: enginetest.Reader(1)}, keys[0], nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "refresh: ") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestReshareRefuses(t *testing.T) {
	com := newCommittee(5)
	keys := com.keygenOf(t, epoch.SuiteBIP340, 3, 2)
	other := com.refresh(keys).next(t)
	ids := func(at ...int) (out []engine.PartyID) {
		for _, i := range at {
			out = append(out, com.parties[i].ID)
		}
		return out
	}
	payload := func(c Change) func(*move) { return func(m *move) { m.setup.Payload = c.Encode() } }
	setup := func(do func(*session.Setup)) func(*move) { return func(m *move) { do(m.setup) } }
	for name, c := range map[string]struct {
		want  string
		spoil func(*move)
	}{
		"no payload":             {"decode change", setup(func(s *session.Setup) { s.Payload = nil })},
		"long payload":           {"decode change", setup(func(s *session.Setup) { s.Payload = append(s.Payload, 0) })},
		"a refresh's":            {"quorum of 0, 2 are needed", payload(Change{Members: ids(0, 1, 3)})},
		"too few dealers":        {"quorum of 1, 2 are needed", payload(Change{Dealers: ids(0), Members: ids(0, 1, 3)})},
		"a dealer twice":         {"stands twice", payload(Change{Dealers: ids(0, 0), Members: ids(0, 1, 3)})},
		"a newcomer deals":       {"is no member of the old epoch", payload(Change{Dealers: ids(0, 3), Members: ids(0, 1, 3)})},
		"a stranger deals":       {"is no member of the old epoch", payload(Change{Dealers: ids(0, 4), Members: ids(0, 1, 3)})},
		"a member twice":         {"stands twice or is not", payload(Change{Dealers: ids(0, 1), Members: ids(0, 1, 1, 3)})},
		"a member without seat":  {"stands twice or is not", payload(Change{Dealers: ids(0, 1), Members: ids(0, 1, 3, 4)})},
		"protocol":               {"is for another key, suite or epoch", setup(func(s *session.Setup) { s.Protocol = ProtocolRefresh })},
		"epoch":                  {"is for another key, suite or epoch", setup(func(s *session.Setup) { s.Epoch[0] ^= 1 })},
		"key":                    {"is for another key, suite or epoch", setup(func(s *session.Setup) { s.KeyID[0] ^= 1 })},
		"suite":                  {"is for another key, suite or epoch", setup(func(s *session.Setup) { s.Suite = epoch.SuiteECDSA })},
		"another parent":         {"is for another key, suite or epoch", func(m *move) { m.parent = other[0].Record }},
		"keys of another parent": {"have no share of the parent", func(m *move) { m.keys[com.parties[0].ID] = other[0] }},
		"no keys":                {"have no share of the parent", func(m *move) { m.keys[com.parties[0].ID] = nil }},
		"an old member's index":  {"and now has 9", setup(func(s *session.Setup) { s.Parties[1].Index = 9 })},
		"an old member's key":    {"another identity key than", setup(func(s *session.Setup) { s.Parties[1].Identity = com.parties[4].Identity })},
		"an index of another":    {"which was party", setup(func(s *session.Setup) { s.Parties[2].Index = 3 })},
		"we are not there":       {"we are not in the setup", setup(func(s *session.Setup) { s.Parties = s.Parties[1:] })},
	} {
		m := com.reshare(keys, 2, []int{0, 1}, []int{0, 1, 3})
		c.spoil(m)
		self := com.parties[0].ID
		_, err := Reshare(Seat{Session: engine.SessionID{1}, Setup: m.setup, Self: self, Rand: enginetest.Reader(1)}, m.parent, m.keys[self], m.lower, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "reshare: ") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Seats that the parent forbids, thresholds that the new committee cannot have and parties without a role
// end the session at its start, or before anybody prepares the record.
func TestReshareWithWrongSeatsDealsNothing(t *testing.T) {
	com := newCommittee(5)
	keys := com.keygenOf(t, epoch.SuiteBIP340, 3, 2)
	// Who had index 3 left with the first reshare: it is nobody's any more, not even its own.
	later := com.reshare(keys, 2, []int{0, 1}, []int{0, 1, 3}).next(t)[:2]
	gone, back := com.reshare(later, 2, []int{0, 1}, []int{0, 1, 4}), com.reshare(later, 2, []int{0, 1}, []int{0, 1, 2})
	gone.setup.Parties[2].Index = 3
	far := com.reshare(keys, 2, []int{0, 1}, []int{0, 1, 3})
	far.setup.Parties[2].Index = 3 + epoch.MaxStride + 1
	idle := com.reshare(keys, 2, []int{0, 1}, []int{0, 1, 3})
	idle.setup.Parties = com.parties
	for name, m := range map[string]*move{
		"a threshold above the members": com.reshare(keys, 3, []int{0, 1}, []int{3, 4}),
		"a party without a role":        idle,
		"an index too far":              far,
		"an index that was another's":   gone,
		"an index from before it left":  back,
	} {
		for i, seat := range com.join(t, m.setup) {
			if _, err := m.first(seat); err == nil {
				t.Errorf("%s: party %d begins to deal", name, i)
			}
		}
	}
}

// What a dealer lends to the protocol is wiped when the protocol has it, and when it never starts.
func TestDealersContributionIsWiped(t *testing.T) {
	com := newCommittee(4)
	keys := com.keygenOf(t, epoch.SuiteBIP340, 3, 2)
	for _, start := range []bool{true, false} {
		m := com.reshare(keys, 2, []int{0, 1}, []int{1, 2, 3})
		wiped, seats := 0, com.join(t, m.setup)
		sessions := machines(t, seats, func(s Seat) (engine.Stage[Prepared], error) {
			first, err := m.first(s)
			l, ok := first.(*then[reshare.Output, Prepared]).s.(*lent[reshare.Output])
			if deals := slices.Contains(m.change.Dealers, s.Self); ok != deals {
				t.Fatalf("lends %v, deals %v", ok, deals)
			} else if deals {
				back := l.back
				l.back = func() { wiped++; back() }
			}
			return first, err
		})
		for i, s := range sessions {
			if start {
				if _, err := s.Start(); err != nil {
					t.Fatal(err)
				}
			}
			s.Abandon()
			if _, err := seats[i].Rand.Read(make([]byte, 1)); err == nil {
				t.Errorf("started %v: the coins of party %d stay", start, i)
			}
		}
		if wiped != len(m.change.Dealers) {
			t.Errorf("started %v: %d contributions are wiped", start, wiped)
		}
	}
	for i, k := range keys {
		if k.Share.IsZero() {
			t.Errorf("the share of party %d, which is in force, is wiped", i)
		}
	}
}

func TestLentIsGivenBack(t *testing.T) {
	n := 0
	if _, err := (&lent[string]{&toy{kind: 1}, func() { n++ }}).Finish(engine.Transcript{}); err != nil || n != 1 {
		t.Errorf("after a stage: %d, %v", n, err)
	}
	if _, err := (&lent[string]{&toy{kind: 1, err: errNone}, func() { n++ }}).Finish(engine.Transcript{}); err == nil || n != 2 {
		t.Errorf("after a stage that failed: %d, %v", n, err)
	}
	inner := &safe{toy: toy{kind: 1}}
	if (&lent[string]{inner, func() { n++ }}).Wipe(); n != 3 || inner.wiped != 1 {
		t.Errorf("after a stage that never ran: %d, %d", n, inner.wiped)
	}
}

func TestChanges(t *testing.T) {
	ids := enginetest.IDs(3)
	for _, c := range []*Change{{}, {Attempt: 1 << 62}, {Attempt: 7, Dealers: ids[:2], Members: ids[1:]}, {Members: ids}, {Dealers: ids}} {
		back, err := DecodeChange(c.Encode())
		if err != nil || back.Attempt != c.Attempt || !slices.Equal(back.Dealers, c.Dealers) || !slices.Equal(back.Members, c.Members) {
			t.Errorf("%+v comes back as %+v, %v", c, back, err)
		}
	}
	whole := (&Change{Attempt: 7, Dealers: ids[:2], Members: ids[1:]}).Encode()
	for n := range whole {
		if _, err := DecodeChange(whole[:n]); err == nil {
			t.Errorf("its first %d bytes are taken", n)
		}
	}
	many := make([]engine.PartyID, session.MaxParties+1)
	short := func(attempt, dealers int, id []byte) []byte {
		var e transcript.Encoder
		e.Bytes(1, make([]byte, attempt))
		e.List(2, dealers, func(_ int, e *transcript.Encoder) { e.Bytes(1, id) })
		return e.List(3, 0, nil).Sum()
	}
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"attempt above":  {(&Change{Attempt: 1<<62 + 1}).Encode(), "field 1"},
		"attempt long":   {short(9, 0, nil), "field 1"},
		"attempt short":  {short(7, 0, nil), "field 1"},
		"dealers above":  {(&Change{Dealers: many}).Encode(), "field 2"},
		"members above":  {(&Change{Members: many}).Encode(), "field 3"},
		"an id short":    {short(8, 1, make([]byte, 15)), "field 2"},
		"an id long":     {short(8, 1, make([]byte, 17)), "field 2"},
		"an id of none":  {short(8, 2, nil), "field 2"},
		"more than that": {append(slices.Clone(whole), 0), "decode change"},
		"nothing":        {nil, "field 1"},
	} {
		if _, err := DecodeChange(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzDecodeChange(f *testing.F) {
	ids := enginetest.IDs(3)
	f.Add((&Change{}).Encode())
	f.Add((&Change{Attempt: 7, Dealers: ids[:2], Members: ids[1:]}).Encode())
	f.Add((&Change{Attempt: 7, Dealers: ids[:2], Members: ids[1:]}).Encode()[:40])
	f.Add([]byte{0, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		if c, err := DecodeChange(in); err == nil && !bytes.Equal(c.Encode(), in) {
			t.Fatal("decode then encode changed a change")
		}
	})
}

// The payload's bytes, as signed setups carry them.
func TestGoldenChange(t *testing.T) {
	item := func(id byte) []byte { return append([]byte{0, 1, 0, 0, 0, 16, id}, make([]byte, 15)...) }
	want := slices.Concat(
		[]byte{0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7},
		[]byte{0, 2, 0, 0, 0, 26, 0, 0, 0, 1}, item(1),
		[]byte{0, 3, 0, 0, 0, 48, 0, 0, 0, 2}, item(2), item(3),
	)
	c := &Change{Attempt: 7, Dealers: []engine.PartyID{{1}}, Members: []engine.PartyID{{2}, {3}}}
	if !bytes.Equal(want, c.Encode()) {
		t.Errorf("got %x\nwant %x", c.Encode(), want)
	}
}

// oldOK is spec/epochs: every byte of OLDOK, and what a wrong value comes to.
var oldOK = malice.Message{Name: "old-ok", Kind: epoch.KindOldOK, Size: 96, Fields: []malice.Field{
	{Name: "eh", Type: malice.Hash, Size: 32, Want: malice.Blame},
	{Name: "signature", Type: malice.Hash, At: 32, Size: 64, Want: malice.Blame},
}}

// A trial is a refresh or a reshare in which one party, at a place among the session's, is corrupt.
type trial struct {
	move    *move
	corrupt int
}

func (x *trial) run(tb testing.TB, seed uint64, edit func(uint8, []engine.Out) []engine.Out, hook enginetest.Hook) *enginetest.Cluster[Prepared] {
	tb.Helper()
	x.move.com.seed = seed
	next := -1
	return enginetest.Run(enginetest.Options{Hook: hook}, machines(tb, x.move.com.join(tb, x.move.setup), func(s Seat) (engine.Stage[Prepared], error) {
		first, err := x.move.first(s)
		if next++; next == x.corrupt && edit != nil {
			first = enginetest.Corrupt(first, edit)
		}
		return first, err
	})...)
}

// judge is the result over the honest parties. Who ends without a certificate may have prepared the record, and
// never has less than all its rows.
func (x *trial) judge(tb testing.TB, c *enginetest.Cluster[Prepared]) malice.Result {
	tb.Helper()
	var ends []malice.End
	for i, p := range c.Parties {
		if i == x.corrupt {
			continue
		}
		rows := 1
		if x.move.stays(p.ID) {
			rows = 2
		}
		if len(p.Saved) != 0 && len(p.Saved) != rows || p.Result != nil && (len(p.Saved) != rows || p.Result.Cert.Check(p.Result.Record, x.move.parent) != nil) {
			tb.Errorf("party %d has kept %d rows; certificate: %v", i, len(p.Saved), p.Result != nil)
		}
		ends = append(ends, malice.End{Party: p.ID, Done: p.Result != nil, Err: p.Err, Burned: p.Burned})
	}
	r, err := malice.Judge(c.Parties[x.corrupt].ID, ends)
	if err != nil {
		tb.Error(err)
	}
	return r
}

// Every field of PREP and OLDOK at the end of a refresh and of a reshare. The corrupt one is a member who stays, a new
// member, and a dealer who leaves; in the last case another one leaves as well.
func TestMaliciousAgreement(t *testing.T) {
	com := newCommittee(6)
	keys := com.keygenOf(t, epoch.SuiteBIP340, 4, 2)
	for name, x := range map[string]*trial{
		"refresh": {com.refresh(keys), 1},
		"stays":   {com.reshare(keys, 2, []int{0, 1}, []int{1, 2, 4}), 1},
		"new":     {com.reshare(keys, 2, []int{0, 1}, []int{1, 2, 4}), 3},
		"leaves":  {com.reshare(keys, 2, []int{0, 1, 2}, []int{2, 4, 5}), 0},
	} {
		message := prep
		if name == "leaves" {
			message = oldOK
		}
		t.Run(name, func(t *testing.T) { x.mutate(t, message) })
	}
}

func (x *trial) mutate(t *testing.T, message malice.Message) {
	sent := func(seed uint64) (msgs []engine.Msg) {
		c := x.run(t, seed, nil, nil)
		if _, err := c.Results(); err != nil {
			t.Fatal(err)
		}
		for _, p := range c.Parties {
			msgs = append(msgs, p.Sent...)
		}
		return msgs
	}
	now, earlier := sent(0), sent(50)
	id := x.move.setup.Parties[x.corrupt].ID
	own := body(t, now, message.Kind, id)
	if err := message.Check(own); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(now, func(m engine.Msg) bool { return m.Kind == message.Kind && m.From != id })
	seen := malice.Seen{Other: now[i].Body, Earlier: body(t, earlier, message.Kind, id)}
	cell := func(name string, want malice.Result, c *enginetest.Cluster[Prepared]) {
		t.Run(name, func(t *testing.T) {
			if got := x.judge(t, c); got != want {
				t.Errorf("came to %s, want %s", got, want)
			}
		})
	}
	spoiled := func(edit func([]byte) []byte) func(uint8, []engine.Out) []engine.Out {
		return func(_ uint8, out []engine.Out) []engine.Out {
			for i, o := range out {
				if o.Kind == message.Kind {
					out[i].Body = edit(bytes.Clone(o.Body))
				}
			}
			return out
		}
	}
	for _, m := range append(message.Mutations(secp256k1.Group{}, malice.Each), message.Replays(malice.Blame)...) {
		if m.Field == "eh" && strings.Contains(m.Name, "another party's") {
			continue // all say the same record: nothing is changed
		}
		cell(m.String(), m.Want, x.run(t, 0, spoiled(func(b []byte) []byte { return m.Edit(b, seen) }), nil))
	}
	to := x.move.setup.Parties[(x.corrupt+1)%len(x.move.setup.Parties)].ID
	on := func(do enginetest.Mutate) enginetest.Hook {
		return enginetest.On(enginetest.Match{From: id, To: to, Kind: message.Kind}, do)
	}
	for _, m := range message.Lengths() {
		cell(m.String(), m.Want, x.run(t, 0, nil, on(enginetest.Edit(func(b []byte) []byte { return m.Edit(b, seen) }))))
	}
	flip := func(b []byte) []byte { b[50] ^= 1; return b }
	cell("whole/lost", malice.Timeout, x.run(t, 0, nil, on(enginetest.Drop)))
	cell("whole/repeated", malice.Unaffected, x.run(t, 0, nil, on(enginetest.Twice)))
	cell("whole/second version after the first", malice.Unaffected, x.run(t, 0, nil, on(enginetest.Besides(flip))))
	cell("whole/equivocated", malice.Blame, x.run(t, 0, nil, on(enginetest.Edit(flip))))
	// The signature of the other kind: who stays says PREP, who leaves OLDOK, and one cannot serve as the other.
	cell("signature/of the other kind", malice.Blame, x.run(t, 0, spoiled(func(b []byte) []byte {
		sign := session.NewSigner(x.move.com.keys[id])
		if message.Kind == epoch.KindPrep {
			return append(b[:32], epoch.SignOldOK(epoch.Hash(b[:32]), sign)...)
		}
		return append(b[:32], epoch.SignPrep(epoch.Hash(b[:32]), sign)...)
	}), nil))
}

// A dealer who deals a constant that is not its share's, with all proofs of it right, would move the key: every other party
// holds it to what its own record demands, and names it. Nobody prepares anything.
func TestDealerWithAnotherConstantIsBlamed(t *testing.T) {
	com := newCommittee(5)
	keys := com.keygenOf(t, epoch.SuiteBIP340, 3, 2)
	g := secp256k1.Group{}
	for name, members := range map[string][]int{"who stays": {0, 1, 3}, "who leaves": {1, 2, 3}} {
		x := &trial{com.reshare(keys, 2, []int{0, 1}, members), 0}
		seat := -1
		run := enginetest.Run(enginetest.Options{}, machines(t, com.join(t, x.move.setup), func(s Seat) (engine.Stage[Prepared], error) {
			if seat++; seat != x.corrupt {
				return x.move.first(s)
			}
			p, seats, err := reshareParams(s, x.move.parent, x.move.change)
			if err != nil {
				return nil, err
			}
			w, err := oldOf(x.move.parent).Contribution(x.move.change.Dealers, s.Self, keys[0].Share)
			if err != nil {
				return nil, err
			}
			p.Secret = w.Add(g.Scalar(1))
			p.Dealers[0].Constant = g.BaseMul(p.Secret)
			p.Public = p.Public.Add(g.Generator())
			change := epoch.Change{Parent: x.move.parent, Dealers: x.move.change.Dealers}
			return alongside(s, seats, nil, reshare.Start(p), (*reshare.Output).Wipe, next(s, change, seats, x.move.change.Attempt)), nil
		})...)
		if got := x.judge(t, run); got != malice.Blame {
			t.Errorf("%s: came to %s", name, got)
		}
		for i, p := range run.Parties {
			if len(p.Saved) != 0 {
				t.Errorf("%s: party %d kept %d rows", name, i, len(p.Saved))
			}
			if f := p.Fault(); i != x.corrupt && (f == nil || !slices.Equal(f.Accused, []engine.PartyID{com.parties[0].ID})) {
				t.Errorf("%s: party %d ends with %v", name, i, p.Err)
			}
		}
	}
}
