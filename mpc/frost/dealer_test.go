package frost

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/session"
)

var sid = engine.SessionID{4, 5, 6}

var suites = []string{Ed25519, BIP340}

// A deal is a key in the hands of n parties, any t of whom can sign.
type deal struct {
	suite   string
	group   group.Group
	t       int
	parties []session.Party
	shares  []group.Scalar
	publics map[engine.PartyID]group.Point
	public  group.Point
}

func newDeal(tb testing.TB, suite string, t, n int) *deal {
	tb.Helper()
	s, err := suiteOf(suite)
	if err != nil {
		tb.Fatal(err)
	}
	g := s.group
	poly, err := share.Sample(g, t, nil, enginetest.Reader(uint64(100*n+t)))
	if err != nil {
		tb.Fatal(err)
	}
	d := &deal{suite: suite, group: g, t: t, public: g.BaseMul(poly.Constant()), publics: map[engine.PartyID]group.Point{}}
	for i, id := range enginetest.IDs(n) {
		p := session.Party{ID: id, Index: share.Index(2*i + 1)}
		if i == n-1 {
			p.Index = share.MaxIndex // identifiers of two bytes
		}
		d.parties = append(d.parties, p)
		d.shares = append(d.shares, poly.Eval(p.Index))
		d.publics[id] = g.BaseMul(d.shares[i])
	}
	return d
}

func all(n int) (set []int) {
	for i := range n {
		set = append(set, i)
	}
	return set
}

// message is 32 bytes.
func message(text string) []byte { h := sha256.Sum256([]byte(text)); return h[:] }

// params are what the signers of set, by position, sign a message with.
func (d *deal) params(set []int, m []byte, tweak group.Scalar, tap Taproot) []Params {
	var signers []session.Party
	for _, i := range set {
		signers = append(signers, d.parties[i])
	}
	if d.suite == Ed25519 {
		tap = Taproot{}
	}
	var out []Params
	for _, i := range set {
		out = append(out, Params{
			Session: sid, KeyID: [32]byte{7}, Suite: d.suite, Self: d.parties[i], Signers: signers, Threshold: d.t,
			Share: d.shares[i], Publics: d.publics, Public: d.public, Tweak: tweak, Taproot: tap,
			Message: m, Rand: enginetest.Reader(uint64(1000 + i)),
		})
	}
	return out
}

func first(tb testing.TB, p Params) engine.Stage[Signature] {
	tb.Helper()
	s, err := Sign(p)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// open makes a session of a first stage.
func open(tb testing.TB, p Params, s engine.Stage[Signature]) *engine.Session[Signature] {
	tb.Helper()
	var ids []engine.PartyID
	for _, q := range p.Signers {
		ids = append(ids, q.ID)
	}
	out, err := engine.New(engine.Params{Session: p.Session, Parties: ids, MaxBody: MaxBody, Kinds: Kinds}, p.Self.ID, s)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// honest are sessions of honest signers.
func honest(tb testing.TB, all []Params) (out []*engine.Session[Signature]) {
	tb.Helper()
	for _, p := range all {
		out = append(out, open(tb, p, first(tb, p)))
	}
	return out
}

// valid asks the suite's other implementation.
func valid(tb testing.TB, p Params, sig Signature) error {
	tb.Helper()
	s, err := suiteOf(p.Suite)
	if err != nil {
		tb.Fatal(err)
	}
	k, err := KeyOf(p.Suite, p.Public, p.Tweak, p.Taproot)
	if err != nil {
		tb.Fatal(err)
	}
	return s.verify(k.Bytes[:], bytes.Clone(p.Message), sig[:])
}
