package keygen

import (
	"bytes"
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

// committee is n parties' parameters; indices are neither dense nor from 1. Coins are fresh
// from the seed.
func committee(g group.Group, t, n int, id engine.SessionID, seed uint64) []Params {
	all := make([]Params, n)
	parties := make([]session.Party, n)
	for i, pid := range enginetest.IDs(n) {
		s := sha256.Sum256([]byte{byte(i)})
		key := ed25519.NewKeyFromSeed(s[:])
		parties[i] = session.Party{ID: pid, Index: share.Index(3*i + 2), Identity: key.Public().(ed25519.PublicKey)}
		all[i] = Params{
			Session: id, Group: g, Self: parties[i], Parties: parties, Threshold: t,
			Sign: session.NewSigner(key), Rand: enginetest.Reader(seed + uint64(i)),
		}
	}
	return all
}

// machine makes the session of one party around a first stage.
func machine(tb testing.TB, p Params, first engine.Stage[Output]) *engine.Session[Output] {
	tb.Helper()
	var ids []engine.PartyID
	for _, q := range p.Parties {
		ids = append(ids, q.ID)
	}
	s, err := engine.New(engine.Params{Session: p.Session, Parties: ids, MaxBody: 4096, Kinds: 2}, p.Self.ID, first)
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

// Every t and n up to 5: outputs agree in every public value, any t shares give the key, and
// t−1 give another value.
func TestAllSmallCommittees(t *testing.T) {
	for _, g := range []group.Group{secp256k1.Group{}, ristretto255.Group{}} {
		for n := 2; n <= 5; n++ {
			for k := 2; k <= n; k++ {
				t.Run(fmt.Sprintf("%s/%d-of-%d", g.Name(), k, n), func(t *testing.T) {
					all := committee(g, k, n, sid, 40)
					outs, err := enginetest.Run(enginetest.Options{Seed: 3}, machines(t, all)...).Results()
					if err != nil {
						t.Fatal(err)
					}
					checkOutputs(t, g, k, all, outs)
				})
			}
		}
	}
}

func checkOutputs(t *testing.T, g group.Group, k int, all []Params, outs []Output) {
	t.Helper()
	var at []share.Index
	var points []group.Point
	for i, p := range all {
		o, first := outs[i], outs[0]
		at, points = append(at, p.Self.Index), append(points, first.Publics[p.Self.ID])
		if !o.Public.Equal(first.Public) || o.ChainCode != first.ChainCode || o.Echo != first.Echo || len(o.Publics) != len(all) {
			t.Fatalf("party %d has another public output", i)
		}
		for id, x := range o.Publics {
			if !x.Equal(first.Publics[id]) {
				t.Fatalf("party %d has another public share of %v", i, id)
			}
		}
		if !g.BaseMul(o.Share).Equal(first.Publics[p.Self.ID]) {
			t.Fatalf("party %d's share does not match its public share", i)
		}
	}
	if err := share.CheckPublicShares(g, outs[0].Public, at, points, k); err != nil {
		t.Fatal(err)
	}
	value := func(set []int) group.Point {
		var xs []share.Index
		var ys []group.Scalar
		for _, i := range set {
			xs, ys = append(xs, at[i]), append(ys, outs[i].Share)
		}
		x, err := share.Interpolate(g, xs, ys)
		if err != nil {
			t.Fatal(err)
		}
		return g.BaseMul(x)
	}
	for _, set := range subsets(len(all), k) {
		if !value(set).Equal(outs[0].Public) {
			t.Errorf("shares of %v do not give the key", set)
		}
	}
	for _, set := range subsets(len(all), k-1) {
		if value(set).Equal(outs[0].Public) {
			t.Errorf("t−1 shares of %v give the key", set)
		}
	}
}

// Bytes sent do not depend on the order of arrival; other coins or another session give
// another key.
func TestSeedsAndOrders(t *testing.T) {
	g, keys := secp256k1.Group{}, map[string]string{}
	run := func(id engine.SessionID, seed, order uint64) (string, [32]byte) {
		outs, err := enginetest.Run(enginetest.Options{Seed: order}, machines(t, committee(g, 2, 3, id, seed))...).Results()
		if err != nil {
			t.Fatal(err)
		}
		return string(outs[0].Public.Bytes()), outs[0].ChainCode
	}
	want, cc := run(sid, 1, 0)
	for order := range uint64(8) {
		if got, c := run(sid, 1, order); got != want || c != cc {
			t.Errorf("order %d gives another key", order)
		}
	}
	keys[want] = "first"
	other, _ := run(sid, 9, 0)
	if keys[other] != "" {
		t.Error("other coins give the same key")
	}
	if _, c := run(engine.SessionID{9}, 1, 0); c == cc {
		t.Error("another session gives the same chain code")
	}
}

func TestMisuse(t *testing.T) {
	for want, spoil := range map[string]func(*Params){
		"the session id is zero":        func(p *Params) { p.Session = engine.SessionID{} },
		"no group, signer or source":    func(p *Params) { p.Rand = nil },
		"no group, signer or source of": func(p *Params) { p.Sign = nil },
		"we are not in the list":        func(p *Params) { p.Self.ID[3] ^= 1 },
		"or at another index":           func(p *Params) { p.Self.Index++ },
		"threshold 1 with 3":            func(p *Params) { p.Threshold = 1 },
		"threshold 4 with 3":            func(p *Params) { p.Threshold = 4 },
		"not ascending":                 func(p *Params) { slices.Reverse(p.Parties) },
		"stands twice":                  func(p *Params) { p.Parties[2].Identity = p.Parties[1].Identity },
	} {
		p := committee(secp256k1.Group{}, 2, 3, sid, 1)[0]
		p.Parties = slices.Clone(p.Parties)
		spoil(&p)
		_, err := Start(p).Finish(engine.Transcript{})
		var own *engine.Misuse
		if !errors.As(err, &own) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", want, err)
		}
	}
}

// A source that ends, wherever it ends, is our own trouble: nobody is accused, nothing comes out.
func TestDryRandomness(t *testing.T) {
	all := committee(secp256k1.Group{}, 2, 3, sid, 1)
	enough := false
	for n := int64(0); !enough; n += 16 {
		if n > 1000 {
			t.Fatal("keygen does not end")
		}
		ps := committee(secp256k1.Group{}, 2, 3, sid, 1)
		ps[0].Rand = io.LimitReader(all[0].Rand, n)
		all = committee(secp256k1.Group{}, 2, 3, sid, 1)
		p := enginetest.Run(enginetest.Options{}, machines(t, ps)...).Parties[0]
		enough = p.Result != nil
		if !enough && (p.Err == nil || p.Fault() != nil || !errors.Is(p.Err, io.EOF) && !errors.Is(p.Err, io.ErrUnexpectedEOF)) {
			t.Errorf("after %d bytes: ended with %v", n, p.Err)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// A source of zeros is noticed, not used.
func TestSourceOfZeros(t *testing.T) {
	ps := committee(secp256k1.Group{}, 2, 3, sid, 1)
	ps[0].Rand = zeros{}
	p := enginetest.Run(enginetest.Options{}, machines(t, ps)...).Parties[0]
	if p.Err == nil || p.Fault() != nil || len(p.Sent) > 0 {
		t.Errorf("sent %d messages, ended with %v", len(p.Sent), p.Err)
	}
}

// All parties with the same coins, as clones of one machine would have: commitments differ,
// since they name the party, but polynomials are equal, and the key is that of all t·f(0).
// It is a key that each clone knows; what must not happen is a panic or blame of an honest party.
func TestClonedCoinsBlameNobody(t *testing.T) {
	ps := committee(secp256k1.Group{}, 2, 3, sid, 1)
	for i := range ps {
		ps[i].Rand = enginetest.Reader(5)
	}
	if _, err := enginetest.Run(enginetest.Options{}, machines(t, ps)...).Results(); err != nil {
		t.Error(err)
	}
}

// Nothing prints secrets, and a failed session has wiped them.
func TestRedactionAndWiping(t *testing.T) {
	ps := committee(secp256k1.Group{}, 2, 3, sid, 1)
	first := Start(ps[0]).(*deal)
	spoilt := enginetest.CorruptBody(Start(ps[1]), KindOpening, engine.Everyone, func(b []byte) []byte { b[len(b)-1] ^= 1; b[3] ^= 1; return b })
	p := enginetest.Run(enginetest.Options{}, machine(t, ps[0], first), machine(t, ps[1], spoilt), machine(t, ps[2], Start(ps[2]))).Parties[0]
	if p.Fault() == nil {
		t.Fatalf("ended with %v", p.Err)
	}
	if !first.poly.Constant().IsZero() {
		t.Error("the polynomial is not wiped")
	}
	for _, q := range first.peers {
		if q.share.Value != nil && !q.share.Value.IsZero() {
			t.Error("a share is not wiped")
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", first.run, first, first.run); strings.Contains(s, "poly") {
		t.Errorf("prints %.200s", s)
	}
}

// The largest committee keeps within the bounds that ceremonies set.
func TestOpeningSizes(t *testing.T) {
	if n := openingSize(secp256k1.Group{}, session.MaxParties, session.MaxParties); n != 17*33+32+64+15*32 {
		t.Errorf("opening of 16-of-16 has %d bytes", n)
	}
	o := sent(t, committee(secp256k1.Group{}, 3, 4, sid, 1), KindOpening)
	if want := openingSize(secp256k1.Group{}, 3, 4); len(o) != want {
		t.Errorf("opening has %d bytes, not %d", len(o), want)
	}
	if d, err := decodeOpening(secp256k1.Group{}, 3, 4, o); err != nil || !bytes.Equal(d.encode(), o) {
		t.Errorf("decode then encode changed an opening: %v", err)
	}
}

// sent is what party 0 says of a kind in an honest session.
func sent(tb testing.TB, all []Params, kind engine.Kind) []byte {
	tb.Helper()
	c := enginetest.Run(enginetest.Options{}, machines(tb, all)...)
	i := slices.IndexFunc(c.Parties[0].Sent, func(m engine.Msg) bool { return m.Kind == kind })
	if i < 0 {
		tb.Fatalf("kind %#x was not sent", uint8(kind))
	}
	return c.Parties[0].Sent[i].Body
}
