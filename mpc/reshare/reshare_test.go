package reshare

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/ristretto255"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/session"
)

var sid = engine.SessionID{1, 2, 3}

var chainCode = [32]byte{8, 8}

// seat is party k of these tests, from 0; indices are neither dense nor from 1.
func seat(k int) session.Party {
	return session.Party{
		ID: enginetest.IDs(k + 1)[k], Index: share.Index(3*k + 2), Identity: identity(k).Public().(ed25519.PublicKey),
	}
}

func identity(k int) ed25519.PrivateKey {
	s := sha256.Sum256([]byte{byte(k)})
	return ed25519.NewKeyFromSeed(s[:])
}

// A vault is an epoch of a key, and all its shares, dealt by a dealer that the product does
// not have.
type vault struct {
	old    Old
	seats  []int // by index
	shares map[engine.PartyID]group.Scalar
}

func newVault(tb testing.TB, g group.Group, t int, seats ...int) *vault {
	tb.Helper()
	f, err := share.Sample(g, t, g.Scalar(4242), enginetest.Reader(uint64(7)))
	if err != nil {
		tb.Fatal(err)
	}
	v := &vault{old: Old{Group: g, Public: f.Commit()[0], Threshold: t}, seats: seats, shares: map[engine.PartyID]group.Scalar{}}
	for _, k := range seats {
		p := seat(k)
		v.shares[p.ID] = f.Eval(p.Index)
		v.old.Members = append(v.old.Members, Member{p, g.BaseMul(v.shares[p.ID])})
	}
	return v
}

func ids(seats []int) (all []engine.PartyID) {
	for _, k := range seats {
		all = append(all, seat(k).ID)
	}
	return all
}

// reshare are the parameters of all parties of a run of a quorum and a new committee, by index.
func (v *vault) reshare(tb testing.TB, t int, quorum, committee []int, id engine.SessionID, seed uint64) []Params {
	tb.Helper()
	union := slices.Concat(quorum, committee)
	slices.Sort(union)
	union = slices.Compact(union)
	dealers, err := v.old.Dealers(ids(quorum))
	if err != nil {
		tb.Fatal(err)
	}
	all := v.params(union, t, id, seed)
	for i, k := range union {
		all[i].Dealers, all[i].Receivers = dealers, ids(committee)
		if slices.Contains(quorum, k) {
			if all[i].Secret, err = v.old.Contribution(ids(quorum), seat(k).ID, v.shares[seat(k).ID]); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return all
}

// refresh are the parameters of all members.
func (v *vault) refresh(id engine.SessionID, seed uint64) []Params {
	all := v.params(v.seats, v.old.Threshold, id, seed)
	for i := range all {
		all[i].Publics = map[engine.PartyID]group.Point{}
		for _, m := range v.old.Members {
			all[i].Publics[m.ID] = m.Public
		}
		all[i].Secret = v.shares[all[i].Self.ID]
	}
	return all
}

func (v *vault) params(seats []int, t int, id engine.SessionID, seed uint64) []Params {
	var parties []session.Party
	for _, k := range seats {
		parties = append(parties, seat(k))
	}
	all := make([]Params, len(seats))
	for i, k := range seats {
		all[i] = Params{
			Session: id, Group: v.old.Group, Parties: parties, Threshold: t, Public: v.old.Public, ChainCode: chainCode,
			Self: parties[i], Sign: session.NewSigner(identity(k)), Rand: enginetest.Reader(seed + uint64(i)),
		}
	}
	return all
}

// next is the epoch that a run has made.
func (v *vault) next(t int, all []Params, outs []Output) *vault {
	w := &vault{old: Old{Group: v.old.Group, Public: outs[0].Public, Threshold: t}, shares: map[engine.PartyID]group.Scalar{}}
	for i, p := range all {
		if outs[i].Share == nil {
			continue
		}
		w.seats = append(w.seats, int(p.Self.Index-2)/3)
		w.shares[p.Self.ID] = outs[i].Share
		w.old.Members = append(w.old.Members, Member{p.Self, outs[0].Publics[p.Self.ID]})
	}
	return w
}

// machine makes the session of one party around a first stage.
func machine(tb testing.TB, p Params, first engine.Stage[Output]) *engine.Session[Output] {
	tb.Helper()
	var all []engine.PartyID
	for _, q := range p.Parties {
		all = append(all, q.ID)
	}
	s, err := engine.New(engine.Params{Session: p.Session, Parties: all, MaxBody: 4096, Kinds: 2}, p.Self.ID, first)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func machines(tb testing.TB, all []Params) (out []*engine.Session[Output]) {
	tb.Helper()
	for _, p := range all {
		out = append(out, machine(tb, p, Start(p)))
	}
	return out
}

func outputs(tb testing.TB, seed uint64, all []Params) []Output {
	tb.Helper()
	outs, err := enginetest.Run(enginetest.Options{Seed: seed}, machines(tb, all)...).Results()
	if err != nil {
		tb.Fatal(err)
	}
	return outs
}

// subsets lists all subsets of 0…n−1 with k members.
func subsets(n, k int) (all [][]int) {
	for bits := range 1 << n {
		var set []int
		for i := range n {
			if bits>>i&1 == 1 {
				set = append(set, i)
			}
		}
		if len(set) == k {
			all = append(all, set)
		}
	}
	return all
}

// key is the key that shares give, times G.
func key(tb testing.TB, g group.Group, at []share.Index, shares []group.Scalar) group.Point {
	tb.Helper()
	x, err := share.Interpolate(g, at, shares)
	if err != nil {
		tb.Fatal(err)
	}
	return g.BaseMul(x)
}

// check holds all outputs of a run to each other and to the old epoch.
func check(tb testing.TB, v *vault, t int, all []Params, outs []Output) *vault {
	tb.Helper()
	first, g := outs[0], v.old.Group
	receivers := all[0].receivers()
	for i, p := range all {
		o := outs[i]
		if !o.Public.Equal(v.old.Public) || o.ChainCode != chainCode {
			tb.Fatalf("party %d: the key or its chain code has changed", i)
		}
		if o.Echo != first.Echo || len(o.Publics) != len(receivers) {
			tb.Fatalf("party %d has another public output", i)
		}
		for id, x := range o.Publics {
			if !x.Equal(first.Publics[id]) {
				tb.Fatalf("party %d has another public share of %v", i, id)
			}
		}
		receives := slices.ContainsFunc(receivers, func(q session.Party) bool { return q.ID == p.Self.ID })
		if receives != (o.Share != nil) || receives && !g.BaseMul(o.Share).Equal(first.Publics[p.Self.ID]) {
			tb.Fatalf("party %d's share does not match its public share, or it should have none", i)
		}
	}
	w := v.next(t, all, outs)
	var at []share.Index
	var points []group.Point
	var shares []group.Scalar
	for _, m := range w.old.Members {
		at, points, shares = append(at, m.Index), append(points, m.Public), append(shares, w.shares[m.ID])
	}
	if err := share.CheckPublicShares(g, v.old.Public, at, points, t); err != nil {
		tb.Fatal(err)
	}
	pick := func(set []int) (xs []share.Index, ys []group.Scalar) {
		for _, i := range set {
			xs, ys = append(xs, at[i]), append(ys, shares[i])
		}
		return xs, ys
	}
	for _, set := range subsets(len(at), t) {
		if xs, ys := pick(set); !key(tb, g, xs, ys).Equal(v.old.Public) {
			tb.Errorf("new shares of %v do not give the key", set)
		}
	}
	for _, set := range subsets(len(at), t-1) {
		if xs, ys := pick(set); key(tb, g, xs, ys).Equal(v.old.Public) {
			tb.Errorf("t′−1 new shares of %v give the key", set)
		}
	}
	return w
}

var groups = []group.Group{secp256k1.Group{}, ristretto255.Group{}}

// Committees that overlap in all, some or no members, quorums of t and of more, thresholds that
// stay, rise and fall.
func TestReshare(t *testing.T) {
	for _, g := range groups {
		for _, c := range []struct {
			told, t           int
			old, quorum, next []int
		}{
			{2, 2, []int{0, 1}, []int{0, 1}, []int{0, 1}},
			{2, 3, []int{0, 1, 2}, []int{0, 1}, []int{0, 1, 2}},
			{2, 2, []int{0, 1, 2}, []int{0, 2}, []int{0, 2, 3}},                // 1 is lost, 3 replaces it
			{3, 2, []int{0, 1, 2}, []int{0, 1, 2}, []int{1, 2, 3}},             // overlap in two
			{2, 3, []int{0, 1, 2}, []int{0, 1, 2}, []int{2, 3, 4}},             // overlap in one
			{2, 2, []int{1, 4}, []int{1, 4}, []int{0, 2, 3}},                   // no overlap
			{3, 5, []int{0, 1, 2, 3, 4}, []int{1, 2, 4}, []int{0, 1, 2, 3, 4}}, // 0 and 3 receive only
			{5, 2, []int{0, 1, 2, 3, 4}, []int{0, 1, 2, 3, 4}, []int{5, 6}},
		} {
			t.Run(fmt.Sprintf("%s/%d of %v by %v to %d of %v", g.Name(), c.told, c.old, c.quorum, c.t, c.next), func(t *testing.T) {
				v := newVault(t, g, c.told, c.old...)
				all := v.reshare(t, c.t, c.quorum, c.next, sid, 40)
				check(t, v, c.t, all, outputs(t, 3, all))
			})
		}
	}
}

func TestRefresh(t *testing.T) {
	for _, g := range groups {
		for n := 2; n <= 5; n++ {
			for k := 2; k <= n; k++ {
				t.Run(fmt.Sprintf("%s/%d-of-%d", g.Name(), k, n), func(t *testing.T) {
					v := newVault(t, g, k, []int{0, 1, 2, 3, 4}[:n]...)
					all := v.refresh(sid, 40)
					w := check(t, v, k, all, outputs(t, 3, all))
					for id, s := range w.shares {
						if s.Equal(v.shares[id]) {
							t.Errorf("party %v keeps its share", id)
						}
					}
				})
			}
		}
	}
}

// Dealers may deal unweighted constants that receivers weigh.
func TestWeights(t *testing.T) {
	for _, g := range groups {
		v := newVault(t, g, 2, 0, 1, 2)
		all := v.reshare(t, 3, []int{0, 1}, []int{1, 2, 3}, sid, 40)
		at := []share.Index{seat(0).Index, seat(1).Index}
		for i := range all {
			all[i].Dealers = nil
			for k := range 2 {
				lambda, err := share.Lagrange(g, at[k], at)
				if err != nil {
					t.Fatal(err)
				}
				all[i].Dealers = append(all[i].Dealers, Dealer{ID: seat(k).ID, Constant: v.old.Members[k].Public, Weight: lambda})
				if i == k {
					all[i].Secret = v.shares[seat(k).ID]
				}
			}
		}
		check(t, v, 3, all, outputs(t, 3, all))
	}
}

// Bytes sent do not depend on the order of arrival; other coins give other shares of the same key.
func TestSeedsAndOrders(t *testing.T) {
	v := newVault(t, secp256k1.Group{}, 2, 0, 1, 2)
	run := func(seed, order uint64) string {
		all := v.reshare(t, 2, []int{0, 1, 2}, []int{1, 2, 3}, sid, seed)
		return string(outputs(t, order, all)[1].Share.Bytes())
	}
	want := run(1, 0)
	for order := range uint64(8) {
		if run(1, order) != want {
			t.Errorf("order %d gives another share", order)
		}
	}
	if run(9, 0) == want {
		t.Error("other coins give the same share")
	}
}

// One honest dealer is enough to make the new shares independent of what the others dealt: the
// others' coins and the old shares fixed, every new share changes with it.
func TestOneHonestDealerRenewsAllShares(t *testing.T) {
	v := newVault(t, secp256k1.Group{}, 3, 0, 1, 2)
	run := func(seed uint64) []Output {
		all := v.refresh(sid, 40)
		all[1].Rand = enginetest.Reader(seed)
		return outputs(t, 0, all)
	}
	a, b := run(100), run(101)
	for i := range a {
		if a[i].Share.Equal(b[i].Share) {
			t.Errorf("party %d has the same share", i)
		}
	}
}

func TestMisuse(t *testing.T) {
	g := secp256k1.Group{}
	v := newVault(t, g, 2, 0, 1, 2)
	reshare := func() Params { return v.reshare(t, 2, []int{0, 1}, []int{1, 2, 3}, sid, 1)[0] }
	refresh := func() Params { return v.refresh(sid, 1)[0] }
	for _, c := range []struct {
		want  string
		of    func() Params
		spoil func(*Params)
	}{
		{"the session id is zero", reshare, func(p *Params) { p.Session = engine.SessionID{} }},
		{"no group, signer or source", reshare, func(p *Params) { p.Rand = nil }},
		{"no group, signer or source", reshare, func(p *Params) { p.Sign = nil }},
		{"no group, signer or source", reshare, func(p *Params) { p.Group = nil }},
		{"no public key", reshare, func(p *Params) { p.Public = nil }},
		{"no public key", reshare, func(p *Params) { p.Public = g.Identity() }},
		{"we are not in the list", reshare, func(p *Params) { p.Self.ID[3] ^= 1 }},
		{"or at another index", reshare, func(p *Params) { p.Self.Index++ }},
		{"receivers: threshold 1 with 3", reshare, func(p *Params) { p.Threshold = 1 }},
		{"receivers: threshold 4 with 3", reshare, func(p *Params) { p.Threshold = 4 }},
		{"receivers: 1 parties", reshare, func(p *Params) { p.Parties = p.Parties[:2]; p.Receivers = p.Receivers[:1] }},
		{"not ascending", reshare, func(p *Params) { slices.Reverse(p.Parties) }},
		{"stands twice", reshare, func(p *Params) { p.Parties[2].Identity = p.Parties[1].Identity }},
		{"stands twice, or is no party", reshare, func(p *Params) { p.Dealers = append(p.Dealers, p.Dealers[0]) }},
		{"stands twice, or is no party", reshare, func(p *Params) { p.Dealers = append(p.Dealers, Dealer{ID: seat(7).ID}) }},
		{"stands twice, or is no party", reshare, func(p *Params) { p.Receivers = append(p.Receivers, p.Receivers[0]) }},
		{"stands twice, or is no party", reshare, func(p *Params) { p.Receivers[0] = seat(7).ID }},
		{"who deals alone", reshare, func(p *Params) { p.Dealers = p.Dealers[:1] }},
		{"neither deals nor receives", reshare, func(p *Params) { p.Receivers = p.Receivers[:2] }},
		{"has no constant", reshare, func(p *Params) { p.Dealers[1].Constant = nil }},
		{"has no constant", reshare, func(p *Params) { p.Dealers[1].Constant = g.Identity() }},
		{"has weight 0", reshare, func(p *Params) { p.Dealers[1].Weight = g.Scalar(0) }},
		{"constants do not give the public key", reshare, func(p *Params) { p.Dealers[1].Weight = g.Scalar(2) }},
		{"constants do not give the public key", reshare, func(p *Params) { p.Dealers[1].Constant = v.old.Members[1].Public }},
		{"constants do not give the public key", reshare, func(p *Params) { p.Public = g.Generator() }},
		{"secret is not that of our constant", reshare, func(p *Params) { p.Secret = nil }},
		{"secret is not that of our constant", reshare, func(p *Params) { p.Secret = v.shares[p.Self.ID] }},
		{"we do not deal, but have a secret", func() Params { return v.reshare(t, 2, []int{0, 1}, []int{1, 2, 3}, sid, 1)[2] },
			func(p *Params) { p.Secret = g.Scalar(1) }},
		{"a refresh has no list of", refresh, func(p *Params) { p.Dealers = []Dealer{{ID: p.Self.ID}} }},
		{"a refresh has no list of", refresh, func(p *Params) { p.Receivers = []engine.PartyID{p.Self.ID} }},
		{"no public share of party", refresh, func(p *Params) { delete(p.Publics, seat(2).ID) }},
		{"no public share of party", refresh, func(p *Params) { p.Publics = map[engine.PartyID]group.Point{} }},
		{"not all members of the record", refresh, func(p *Params) { p.Publics[seat(5).ID] = g.Generator() }},
		{"not on the polynomial", refresh, func(p *Params) { p.Publics[seat(2).ID] = g.Generator() }},
		{"do not give the public key", refresh, func(p *Params) { p.Public = g.Generator() }},
		{"our share is not that of", refresh, func(p *Params) { p.Secret = nil }},
		{"our share is not that of", refresh, func(p *Params) { p.Secret = g.Scalar(3) }},
	} {
		p := c.of()
		p.Parties, p.Receivers = slices.Clone(p.Parties), slices.Clone(p.Receivers)
		c.spoil(&p)
		_, err := Start(p).Finish(engine.Transcript{})
		var own *engine.Misuse
		if !errors.As(err, &own) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v", c.want, err)
		}
	}
}

// A threshold below the record's shows at once: the old shares lie on no polynomial that low.
func TestRefreshCannotLowerTheThreshold(t *testing.T) {
	for _, p := range newVault(t, secp256k1.Group{}, 3, 0, 1, 2).refresh(sid, 1) {
		p.Threshold = 2
		var own *engine.Misuse
		if _, err := Start(p).Finish(engine.Transcript{}); !errors.As(err, &own) {
			t.Errorf("got %v", err)
		}
	}
}

// A source that ends, wherever it ends, is our own trouble: nobody is accused, nothing comes out.
func TestDryRandomness(t *testing.T) {
	v := newVault(t, secp256k1.Group{}, 2, 0, 1, 2)
	for name, params := range map[string]func() []Params{
		"reshare":    func() []Params { return v.reshare(t, 2, []int{0, 1}, []int{0, 1, 3}, sid, 1) },
		"who leaves": func() []Params { return v.reshare(t, 2, []int{0, 1}, []int{1, 2, 3}, sid, 1) },
		"refresh":    func() []Params { return v.refresh(sid, 1) },
	} {
		enough := false
		for n := int64(0); !enough; n += 16 {
			if n > 1000 {
				t.Fatalf("%s does not end", name)
			}
			all := params()
			all[0].Rand = io.LimitReader(all[0].Rand, n)
			first, sessions := Start(all[0]).(*deal), machines(t, all)
			sessions[0] = machine(t, all[0], first)
			p := enginetest.Run(enginetest.Options{}, sessions...).Parties[0]
			enough = p.Result != nil
			p.Session.Abandon() // when the others wait for us in vain
			if left := held(first.run); len(left) > 0 {
				t.Errorf("%s, after %d bytes: %v stays", name, n, left)
			}
			if !enough && (p.Err == nil || p.Fault() != nil || !errors.Is(p.Err, io.EOF) && !errors.Is(p.Err, io.ErrUnexpectedEOF)) {
				t.Errorf("%s, after %d bytes: ended with %v", name, n, p.Err)
			}
		}
	}
}

// The caller may wipe what it dealt once the session has started.
func TestSecretIsCopied(t *testing.T) {
	v := newVault(t, secp256k1.Group{}, 2, 0, 1, 2)
	run := func(all []Params, wipe bool) []Output {
		var sessions []*engine.Session[Output]
		for _, p := range all {
			if p.Secret == nil {
				sessions = append(sessions, machine(t, p, Start(p)))
				continue
			}
			p.Secret = p.Secret.Add(p.Group.Scalar(0))
			first := Start(p)
			if wipe {
				first = enginetest.Corrupt(first, func(_ uint8, out []engine.Out) []engine.Out { p.Secret.Wipe(); return out })
			}
			sessions = append(sessions, machine(t, p, first))
		}
		outs, err := enginetest.Run(enginetest.Options{}, sessions...).Results()
		if err != nil {
			t.Fatal(err)
		}
		return outs
	}
	for name, all := range map[string]func() []Params{
		"reshare": func() []Params { return v.reshare(t, 2, []int{0, 1}, []int{0, 1, 3}, sid, 1) },
		"refresh": func() []Params { return v.refresh(sid, 1) },
	} {
		kept, wiped := run(all(), false), run(all(), true)
		for i := range kept {
			if !kept[i].Share.Equal(wiped[i].Share) {
				t.Errorf("%s: party %d has another share", name, i)
			}
		}
	}
	if v.shares[seat(0).ID].IsZero() {
		t.Error("an old share is gone")
	}
}

// The largest runs keep within what ceremonies allow, and every honest opening has its layout's size.
func TestOpeningSizes(t *testing.T) {
	var all []int
	for k := range session.MaxParties {
		all = append(all, k)
	}
	v := newVault(t, secp256k1.Group{}, 16, all...)
	if n := v.refresh(sid, 1)[0].layout(seat(0).ID).size(); n != 15*33+32+15*32 {
		t.Errorf("opening of a 16-of-16 refresh has %d bytes", n)
	}
	if n := v.reshare(t, 16, all, all, sid, 1)[0].layout(seat(0).ID).size(); n != 17*33+64+15*32 {
		t.Errorf("opening of 16-of-16 has %d bytes", n)
	}
	p := newVault(t, secp256k1.Group{}, 2, 0, 1).reshare(t, 3, []int{0, 1}, []int{1, 2, 3}, sid, 1)[0]
	if a, b := p.layout(seat(0).ID).size(), p.layout(seat(1).ID).size(); a != 4*33+64+3*32 || b != a-32 {
		t.Errorf("openings of who leaves and who stays have %d and %d bytes", a, b)
	}
}
