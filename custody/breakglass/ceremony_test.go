package breakglass_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/breakglass"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/guardian"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/mpc/session"
)

var update = flag.Bool("update", false, "write testdata anew")

var suites = []string{epoch.SuiteBIP340, epoch.SuiteECDSA, epoch.SuiteEd25519}

// noon is when everything in these tests happens.
var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// A circle is three operators, of which two sign, and three guardians, of whom two help one operator.
type circle struct {
	keys    map[engine.PartyID]ed25519.PrivateKey
	parties []session.Party
	guards  []guardian.Key // by place in the plan
	plan    *guard.Plan
	doc     charter.Document
	seed    uint64
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newCircle(t testing.TB) *circle {
	t.Helper()
	c := &circle{keys: map[engine.PartyID]ed25519.PrivateKey{}, plan: &guard.Plan{Terms: [32]byte{7}, Operators: 1, Quorum: 2}}
	c.doc = charter.Document{Circle: "Drei Häuser", Providers: 1, Policy: "permit (principal, action, resource);\n", Vaults: []charter.Blueprint{{Name: "treasury", Tier: "warm", Suites: suites, Threshold: 2}}}
	for i, name := range []string{"acme", "bolt", "cora"} {
		seed := sha256.Sum256([]byte(name))
		key := ed25519.NewKeyFromSeed(seed[:])
		pub := key.Public().(ed25519.PublicKey)
		p := session.Party{ID: session.IDOf(pub), Identity: pub}
		c.keys[p.ID], c.parties = key, append(c.parties, p)
		c.doc.Operators = append(c.doc.Operators, charter.Station{Name: name, Entity: name + " Ltd", Identity: pub})
		// A guardian's own key file, and its place by the id of its card.
		gs := sha256.Sum256([]byte("guardian of " + name))
		g := must(guardian.FromSeed(gs[:]))(t)
		card := must(g.Card())(t)
		c.guards = append(c.guards, g)
		c.plan.Guardians = append(c.plan.Guardians, guard.Guardian{ID: card.Party(), Key: card.Encryption()})
		c.doc.Guardians = append(c.doc.Guardians, charter.Guard{Name: fmt.Sprintf("guardian-%d", i), Person: "holder", Organisation: "firm", Card: card})
	}
	c.parties = ceremony.Seats(c.parties)
	byID := func(a, b guard.Guardian) int { return strings.Compare(string(a.ID[:]), string(b.ID[:])) }
	slices.SortFunc(c.plan.Guardians, byID)
	slices.SortFunc(c.guards, func(a, b guardian.Key) int {
		return byID(guard.Guardian{ID: must(a.Card())(t).Party()}, guard.Guardian{ID: must(b.Card())(t).Party()})
	})
	for _, who := range []string{"alice", "bob", "carol", "dana"} {
		c.doc.People = append(c.doc.People, charter.Human{Name: who, Organisation: map[string]string{"alice": "acme", "bob": "acme", "carol": "bolt", "dana": "law firm"}[who], Keys: []signet.Key{must(signet.NewKey(pen(t, who).PublicKey()))(t)}})
	}
	c.doc.People[3].Organisation, c.doc.People[3].Expires = "law-firm", noon.Add(-time.Hour) // dana's keys have ended
	return c
}

// pen is a person's SSH key.
func pen(t testing.TB, who string) ssh.Signer {
	t.Helper()
	seed := sha256.Sum256([]byte("person " + who))
	return must(ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:])))(t)
}

// An epochOf is what one ceremony left: the public side, and each member's secrets, by seat.
type epochOf struct {
	cert, set    []byte
	record       *epoch.Record
	shares, mask []group.Scalar
	keys         []*ceremony.Keys
}

// join opens a session: Setup, Joins and coins, each party with its own channel.
func (c *circle) join(t testing.TB, s *session.Setup) []ceremony.Seat {
	t.Helper()
	c.seed++
	s.Opener, s.NotAfter = s.Parties[0].ID, time.Unix(1_900_000_000, 0).UTC()
	s.Nonce = sha256.Sum256(fmt.Appendf(nil, "nonce %d", c.seed))
	frame := must(session.SealSetup(s, session.NewSigner(c.keys[s.Opener])))(t)
	joins, frames := make([]*session.Joining, len(s.Parties)), make([][]byte, len(s.Parties))
	for i, p := range s.Parties {
		own := must(session.OpenSetup(frame))(t)
		var err error
		if joins[i], frames[i], err = session.NewJoin(own, p.ID, session.Standing{}, enginetest.Reader(c.seed<<8|uint64(i)), session.NewSigner(c.keys[p.ID])); err != nil {
			t.Fatal(err)
		}
	}
	var seats []ceremony.Seat
	for i, p := range s.Parties {
		for j := range frames {
			if i != j {
				if err := joins[i].Add(frames[j]); err != nil {
					t.Fatal(err)
				}
			}
		}
		channel := must(joins[i].Complete())(t)
		coins := must(session.Coins(enginetest.Reader(c.seed<<8|uint64(i)|1<<40), nil, channel.Session(), s.Payload))(t)
		seats = append(seats, ceremony.Seat{Session: channel.Session(), Setup: s, Self: p.ID, Sign: session.NewSigner(c.keys[p.ID]), Rand: coins, Nonces: channel.Nonces()})
	}
	return seats
}

// run runs a ceremony to the final certificate of its epoch.
func (c *circle) run(t testing.TB, s *session.Setup, first func(ceremony.Seat) (engine.Stage[ceremony.Prepared], error)) epochOf {
	t.Helper()
	var sessions []*engine.Session[ceremony.Prepared]
	for _, seat := range c.join(t, s) {
		sessions = append(sessions, must(ceremony.Engine(seat, must(first(seat))(t)))(t))
	}
	done := enginetest.Run(enginetest.Options{Seed: 7}, sessions...)
	results := must(done.Results())(t)
	out := epochOf{record: results[0].Record}
	f := &epoch.FinalCert{Record: out.record, Cert: results[0].Cert}
	g := out.record.Public.Group()
	for i, p := range c.parties {
		rows := map[string][]byte{}
		for _, r := range done.Party(p.ID).Saved {
			rows[r.Name] = r.Value
		}
		own := must(g.DecodeScalar(rows[ceremony.RowShare]))(t)
		out.shares, out.set = append(out.shares, own), rows[ceremony.RowBackups]
		if m := rows[ceremony.RowMask]; m != nil {
			out.mask = append(out.mask, must(g.DecodeScalar(m))(t))
		}
		f.Finals = append(f.Finals, must(epoch.MakeFinal(out.record, f.Cert, p.ID, own, enginetest.Reader(uint64(i)), session.NewSigner(c.keys[p.ID])))(t))
		out.keys = append(out.keys, must(ceremony.Load(out.record, p.ID, func(name string) (secret.Bytes, error) { return secret.Copy(rows[name]), nil }))(t))
	}
	out.cert = f.Encode()
	return out
}

// keygen makes a key with guardians.
func (c *circle) keygen(t testing.TB, suite string) epochOf {
	t.Helper()
	s := &session.Setup{
		Protocol: ceremony.ProtocolKeygen, Suite: suite, KeyID: sha256.Sum256([]byte(suite)), Threshold: 2, Parties: c.parties, Payload: ceremony.GuardedBy(c.plan, c.parties, 2).Encode(),
	}
	return c.run(t, s, func(seat ceremony.Seat) (engine.Stage[ceremony.Prepared], error) {
		return ceremony.Keygen(seat, c.plan)
	})
}

// refresh makes new shares of it.
func (c *circle) refresh(t testing.TB, e epochOf) epochOf {
	t.Helper()
	change := &ceremony.Change{Attempt: 3, Guards: ceremony.GuardedBy(c.plan, c.parties, 2)}
	r := e.record
	s := &session.Setup{
		Protocol: ceremony.ProtocolRefresh, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: 2, Parties: c.parties, Payload: change.Encode(),
	}
	at := map[engine.PartyID]*ceremony.Keys{}
	for i, p := range c.parties {
		at[p.ID] = e.keys[i]
	}
	return c.run(t, s, func(seat ceremony.Seat) (engine.Stage[ceremony.Prepared], error) {
		return ceremony.Refresh(seat, at[seat.Self], c.plan)
	})
}

// open is the public side of an epoch.
func (c *circle) open(t testing.TB, e epochOf) *breakglass.Key {
	t.Helper()
	return must(breakglass.OpenKey(c.doc, e.cert, c.plan.Encode(), e.set))(t)
}

// piece is what the export of the operator in a seat gives.
func (c *circle) piece(e epochOf, seat int) breakglass.Piece {
	r := e.record
	return breakglass.Piece{From: "export of seat " + fmt.Sprint(seat), KeyID: r.KeyID, Number: r.Epoch, Epoch: r.Hash(), Party: c.parties[seat].ID, Share: e.shares[seat], Mask: e.mask[seat]}
}

// request is one for these epochs.
func (c *circle) request(all ...epochOf) breakglass.Request {
	r := breakglass.Request{
		Circle: c.doc.Circle, Charter: breakglass.CharterDigest(c.doc), Vault: "treasury", Holder: "Acme Ltd, its treasurer", Reason: "no node starts any more", Recipients: []string{"age1examplefirst", "age1examplesecond"}, Created: noon,
	}
	for _, e := range all {
		r.Targets = append(r.Targets, breakglass.Target{Suite: e.record.Suite, KeyID: e.record.KeyID, Number: e.record.Epoch, Epoch: e.record.Hash()})
	}
	return r
}

// signed are signatures of these people under a verb.
func signed(t testing.TB, s statement.Statement, verb signet.Verb, who ...string) (out [][]byte) {
	t.Helper()
	for i, name := range who {
		out = append(out, must(signet.Sign(enginetest.Reader(uint64(i)), pen(t, name), verb, s.Bytes()))(t))
	}
	return out
}
