package dkls

import (
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/ot"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/pair"
	"github.com/ostraka/ostraka/mpc/session"
)

var sid = engine.SessionID{4, 5, 6}

// A deal is a key in the hands of n parties, any t of whom can sign.
type deal struct {
	t       int
	parties []session.Party
	shares  []group.Scalar
	publics map[engine.PartyID]group.Point
	public  group.Point
	pairs   []map[engine.PartyID]*pair.State
}

var deals = map[[2]int]*deal{}

// newDeal deals once for each t and n: deals are only read.
func newDeal(tb testing.TB, t, n int) *deal {
	tb.Helper()
	if deals[[2]int{t, n}] == nil {
		deals[[2]int{t, n}] = makeDeal(tb, t, n)
	}
	return deals[[2]int{t, n}]
}

func makeDeal(tb testing.TB, t, n int) *deal {
	tb.Helper()
	g, r := secp256k1.Group{}, enginetest.Reader(uint64(100*n+t))
	poly, err := share.Sample(g, t, nil, r)
	if err != nil {
		tb.Fatal(err)
	}
	d := &deal{t: t, public: g.BaseMul(poly.Constant()), publics: map[engine.PartyID]group.Point{}}
	for i, id := range enginetest.IDs(n) {
		p := session.Party{ID: id, Index: share.Index(2*i + 1)}
		d.parties = append(d.parties, p)
		d.shares = append(d.shares, poly.Eval(p.Index))
		d.publics[id] = g.BaseMul(d.shares[i])
		d.pairs = append(d.pairs, map[engine.PartyID]*pair.State{})
	}
	for i, p := range d.parties {
		for j, q := range d.parties {
			if i < j {
				d.pairs[i][q.ID], d.pairs[j][p.ID] = dealPair(tb, p, q, r)
			}
		}
	}
	return d
}

// dealPair is what pair.Setup leaves with two parties, without the engine.
func dealPair(tb testing.TB, p, q session.Party, r interface{ Read([]byte) (int, error) }) (atP, atQ *pair.State) {
	tb.Helper()
	atP, atQ = &pair.State{}, &pair.State{}
	atP.Punctured, atQ.Leaves = dealTransfers(tb, pair.ID(sid, p, q, pair.RoleSetup), r)
	atQ.Punctured, atP.Leaves = dealTransfers(tb, pair.ID(sid, q, p, pair.RoleSetup), r)
	seed := make([]byte, pair.SeedSize)
	_, _ = r.Read(seed)
	atP.Seed, atQ.Seed = secret.Copy(seed), secret.Copy(seed)
	return atP, atQ
}

func dealTransfers(tb testing.TB, id ot.PairID, r interface{ Read([]byte) (int, error) }) (*ot.Punctured, *ot.Leaves) {
	tb.Helper()
	a, phi, err := ot.NewChooser(id, r)
	if err != nil {
		tb.Fatal(err)
	}
	leaves, answer, err := ot.Answer(id, r, phi)
	if err != nil {
		tb.Fatal(err)
	}
	punctured, err := a.Finish(answer)
	if err != nil {
		tb.Fatal(err)
	}
	return punctured, leaves
}

// params are what the signers of set, by position, sign a digest with.
func (d *deal) params(set []int, digest [32]byte, tweak group.Scalar) []Params {
	var signers []session.Party
	for _, i := range set {
		signers = append(signers, d.parties[i])
	}
	child := d.public
	if tweak != nil {
		child = child.Add(secp256k1.Group{}.BaseMul(tweak))
	}
	var all []Params
	for _, i := range set {
		all = append(all, Params{
			Session: sid, KeyID: [32]byte{7}, Self: d.parties[i], Signers: signers, Threshold: d.t,
			Share: d.shares[i], Publics: d.publics, Public: d.public, Tweak: tweak, Child: child,
			Digest: digest, Pairs: d.pairs[i], Rand: enginetest.Reader(uint64(1000 + i)),
		})
	}
	return all
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
func open[R any](tb testing.TB, p Params, s engine.Stage[R]) *engine.Session[R] {
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
func honest(tb testing.TB, all []Params) []*engine.Session[Signature] {
	tb.Helper()
	var out []*engine.Session[Signature]
	for _, p := range all {
		out = append(out, open(tb, p, first(tb, p)))
	}
	return out
}
