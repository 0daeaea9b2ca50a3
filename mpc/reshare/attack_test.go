package reshare

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/malice"
	"github.com/ostraka/ostraka/mpc/session"
)

// A forger is a corrupt dealer that deals whatever polynomial it likes and hides nothing else:
// commitment, opening, proof, hashes and shares fit each other.
type forger struct {
	*run
	tb     testing.TB
	coeffs []group.Scalar                    // of the polynomial that shares lie on
	points func([]group.Point) []group.Point // what it opens instead of their commitments; nil: these
	kappa  group.Scalar
	secret group.Scalar
}

func (f *forger) commitments() share.Commitment {
	var c []group.Point
	for _, a := range f.coeffs {
		c = append(c, f.Group.BaseMul(a))
	}
	if f.points != nil {
		c = f.points(c)
	}
	return c
}

func (f *forger) value(at share.Index) group.Scalar {
	x, v := f.Group.Scalar(uint64(at)), f.Group.Scalar(0)
	for _, a := range slices.Backward(f.coeffs) {
		v = v.Mul(x).Add(a)
	}
	return v
}

// forge makes a dealer lie from the first message on.
func forge(tb testing.TB, p Params, coeffs []group.Scalar, points func([]group.Point) []group.Point) engine.Stage[Output] {
	first := Start(p).(*deal)
	f := &forger{run: first.run, tb: tb, coeffs: coeffs, points: points, kappa: p.Group.Scalar(31), secret: p.Secret}
	return enginetest.Corrupt[Output](first, f.edit)
}

func (f *forger) edit(round uint8, out []engine.Out) []engine.Out {
	o := &opening{commit: f.commitments()}
	if !f.refreshes() {
		o.nonce = f.Group.BaseMul(f.kappa)
	}
	switch round {
	case 1:
		c := f.commitHash(f.Self.ID, o)
		return []engine.Out{{Kind: KindCommit, Body: c[:]}}
	case 2:
		if o.nonce != nil {
			o.proof = f.kappa.Add(f.challenge(f.Self.ID, o.commit, o.nonce).Mul(f.coeffs[0]))
		}
		out = nil
		for _, q := range f.receivers() {
			if q.ID == f.Self.ID {
				continue
			}
			d := share.Dealt{Value: f.value(q.Index)}
			o.hashes = append(o.hashes, shareHash(f.Session, f.Self.ID, q.ID, d))
			out = append(out, engine.Out{Kind: KindShare, To: q.ID, Body: d.Bytes()})
		}
		if f.points == nil && len(f.coeffs) == f.Threshold && f.receives { // then its own output fits, too
			f.commit, f.own = o.commit, f.value(f.Self.Index)
			if f.refreshes() {
				f.own = f.own.Add(f.secret)
			}
		}
		return append(out, engine.Out{Kind: KindOpening, Body: o.encode()})
	}
	return out
}

// withForgers runs a session in which some dealers forge.
func withForgers(tb testing.TB, all []Params, forgers map[int]func(Params) engine.Stage[Output], hook enginetest.Hook) *enginetest.Cluster[Output] {
	tb.Helper()
	var sessions []*engine.Session[Output]
	for i, p := range all {
		first := Start(p)
		if f := forgers[i]; f != nil {
			first = f(p)
		}
		sessions = append(sessions, machine(tb, p, first))
	}
	return enginetest.Run(enginetest.Options{Hook: hook}, sessions...)
}

// ends is how the honest end: all in the same way, and none accuses an honest party.
func ends(tb testing.TB, c *enginetest.Cluster[Output], corrupt ...int) (check string, result malice.Result) {
	tb.Helper()
	for i, p := range c.Parties {
		if slices.Contains(corrupt, i) {
			continue
		}
		r := malice.Timeout
		switch f := p.Fault(); {
		case p.Result != nil:
			tb.Errorf("honest party %d has an output", i)
		case f == nil && p.Err != nil:
			tb.Errorf("honest party %d ended with %v", i, p.Err)
		case f != nil && f.Class == engine.Unattributed:
			r, check = malice.Unattributed, f.Check
		case f != nil:
			r, check = malice.Blame, f.Check
			for _, id := range f.Accused {
				if !slices.ContainsFunc(corrupt, func(k int) bool { return c.Parties[k].ID == id }) {
					tb.Errorf("party %d accuses honest party %v", i, id)
				}
			}
		}
		result = max(result, r)
	}
	return check, result
}

func scalars(g group.Group, v ...uint64) (all []group.Scalar) {
	for _, x := range v {
		all = append(all, g.Scalar(x))
	}
	return all
}

// The forger passes when it forges nothing: what the other tests find is their lie alone.
func TestForgerWithoutALie(t *testing.T) {
	g := secp256k1.Group{}
	v := newVault(t, g, 3, 0, 1, 2)
	all := v.reshare(t, 2, []int{0, 1, 2}, []int{2, 3, 4}, sid, 1)
	c := withForgers(t, all, map[int]func(Params) engine.Stage[Output]{0: func(p Params) engine.Stage[Output] {
		return forge(t, p, []group.Scalar{p.Secret, g.Scalar(5)}, nil)
	}}, nil)
	for i, p := range c.Parties[1:] {
		if p.Result == nil {
			t.Errorf("party %d: %v", i+1, p.Err)
		}
	}
	all = v.refresh(sid, 1)
	c = withForgers(t, all, map[int]func(Params) engine.Stage[Output]{0: func(p Params) engine.Stage[Output] {
		return forge(t, p, scalars(g, 0, 5, 6), nil)
	}}, nil)
	for i, p := range c.Parties[1:] {
		if p.Result == nil {
			t.Errorf("refresh, party %d: %v", i+1, p.Err)
		}
	}
}

// B₀ is not λᵢ·Xᵢ: of another secret, of a share without its weight, of the epoch before, of a
// larger quorum. Commitment, proof and shares fit, only the record says no.
func TestWrongConstant(t *testing.T) {
	g := secp256k1.Group{}
	before := newVault(t, g, 3, 0, 1, 2, 3)
	all := before.refresh(engine.SessionID{6}, 5)
	v := before.next(3, all, outputs(t, 0, all))
	us, quorum := seat(1).ID, ids([]int{0, 1, 2})
	stale, err := before.old.Contribution(quorum, us, before.shares[us])
	if err != nil {
		t.Fatal(err)
	}
	larger, err := v.old.Contribution(ids([]int{0, 1, 2, 3}), us, v.shares[us])
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range map[string]group.Scalar{
		"another secret": g.Scalar(77), "no weight": v.shares[us], "of another epoch": stale, "of a larger quorum": larger,
	} {
		for _, committee := range [][]int{{0, 1, 2}, {1, 4, 5}, {4, 5, 6}} {
			all := v.reshare(t, 2, []int{0, 1, 2}, committee, sid, 1)
			at := slices.IndexFunc(all, func(p Params) bool { return p.Self.ID == us })
			c := withForgers(t, all, map[int]func(Params) engine.Stage[Output]{at: func(p Params) engine.Stage[Output] {
				return forge(t, p, []group.Scalar{w, g.Scalar(5)}, nil)
			}}, nil)
			if check, r := ends(t, c, at); r != malice.Blame || check != "reshare: constant" {
				t.Errorf("%s: came to %s by %q", name, r, check)
			}
		}
	}
}

// The right constant, dealt by one who has another share: the proof or the shares betray it.
func TestConstantWithoutItsLogarithm(t *testing.T) {
	g := secp256k1.Group{}
	v := newVault(t, g, 3, 0, 1, 2)
	all := v.reshare(t, 2, []int{0, 1, 2}, []int{2, 3, 4}, sid, 1)
	right := all[1].Dealers[1].Constant
	c := withForgers(t, all, map[int]func(Params) engine.Stage[Output]{1: func(p Params) engine.Stage[Output] {
		return forge(t, p, scalars(g, 77, 5), func(c []group.Point) []group.Point { return []group.Point{right, c[1]} })
	}}, nil)
	if check, r := ends(t, c, 1); r != malice.Blame || check != "reshare: proof" {
		t.Errorf("came to %s by %q", r, check)
	}
}

// Threshold raise and cut, by one and by two colluders whose extras cancel: exactly t′ points,
// each dealer's counted alone, none 0.
func TestThresholdRaiseAndCut(t *testing.T) {
	g := secp256k1.Group{}
	v := newVault(t, g, 2, 0, 1, 2, 3)
	forgers := func(coeffs func(p Params, k int) []group.Scalar, at ...int) map[int]func(Params) engine.Stage[Output] {
		m := map[int]func(Params) engine.Stage[Output]{}
		for k, i := range at {
			m[i] = func(p Params) engine.Stage[Output] { return forge(t, p, coeffs(p, k), nil) }
		}
		return m
	}
	constant := func(p Params) group.Scalar {
		if p.refreshes() {
			return g.Scalar(0)
		}
		return p.Secret
	}
	extra := []group.Scalar{g.Scalar(9), g.Scalar(9).Neg()}
	for _, c := range []struct {
		name   string
		coeffs func(p Params, k int) []group.Scalar
		want   malice.Result
	}{
		// A body longer than the largest never reaches the protocol: the dealer is waited for.
		{"one more", func(p Params, k int) []group.Scalar { return append(scalars(g, 0, 5, 6), extra[k])[:4] }, malice.Timeout},
		{"one less", func(p Params, k int) []group.Scalar { return scalars(g, 0, 5) }, malice.Blame},
	} {
		for name, all := range map[string][]Params{
			"reshare": v.reshare(t, 3, []int{0, 1, 2, 3}, []int{0, 1, 2, 3}, sid, 1),
			"refresh": newVault(t, g, 3, 0, 1, 2, 3).refresh(sid, 1),
		} {
			for _, at := range [][]int{{1}, {1, 2}} {
				cluster := withForgers(t, all, forgers(func(p Params, k int) []group.Scalar {
					a := c.coeffs(p, k)
					a[0] = constant(p)
					return a
				}, at...), nil)
				check, r := ends(t, cluster, at...)
				if r != c.want || r == malice.Blame && check != "reshare: opening" {
					t.Errorf("%s, %s by %v: came to %s by %q", name, c.name, at, r, check)
				}
			}
		}
	}
}

// The announced commitment has t′ points, but the shares lie on a polynomial with one more
// coefficient, which cancels over two colluders: each share is checked alone.
func TestHiddenCoefficients(t *testing.T) {
	g := secp256k1.Group{}
	v := newVault(t, g, 3, 0, 1, 2, 3)
	for name, all := range map[string][]Params{
		"reshare": v.reshare(t, 3, []int{0, 1, 2, 3}, []int{0, 1, 2, 3}, sid, 1), "refresh": v.refresh(sid, 1),
	} {
		m := map[int]func(Params) engine.Stage[Output]{}
		for k, i := range []int{1, 2} {
			last := g.Scalar(9)
			if k == 1 {
				last = last.Neg()
			}
			m[i] = func(p Params) engine.Stage[Output] {
				a := append(scalars(g, 0, 5, 6), last)
				if !p.refreshes() {
					a[0] = p.Secret
				}
				return forge(t, p, a, func(c []group.Point) []group.Point { return c[:3] })
			}
		}
		if check, r := ends(t, withForgers(t, all, m, nil), 1, 2); r != malice.Blame || check != "reshare: share" {
			t.Errorf("%s: came to %s by %q", name, r, check)
		}
	}
}

// A refresh whose polynomials are not 0 at 0 would move the key: alone, and for two colluders whose
// constants cancel, as open points and hidden in the shares.
func TestRefreshWithAConstant(t *testing.T) {
	g := secp256k1.Group{}
	v := newVault(t, g, 3, 0, 1, 2, 3)
	for _, at := range [][]int{{1}, {1, 2}} {
		for _, hidden := range []bool{false, true} {
			m := map[int]func(Params) engine.Stage[Output]{}
			for k, i := range at {
				first := g.Scalar(9)
				if k == 1 {
					first = first.Neg()
				}
				m[i] = func(p Params) engine.Stage[Output] {
					return forge(t, p, append([]group.Scalar{first}, scalars(g, 5, 6)...), func(c []group.Point) []group.Point {
						if hidden {
							c[0] = g.Identity()
						}
						return c
					})
				}
			}
			check, r := ends(t, withForgers(t, v.refresh(sid, 1), m, nil), at...)
			if hidden && (r != malice.Blame || check != "reshare: share") || !hidden && r != malice.Timeout {
				t.Errorf("hidden %t by %v: came to %s by %q", hidden, at, r, check)
			}
		}
	}
}

// A rushing dealer that has seen all openings opens what suits it, or says what another said.
func TestRogueAndMirror(t *testing.T) {
	for _, s := range stands(t) {
		p := s.params(sid, 1)[0]
		corrupt := func(q session.Party) bool { return q.ID == s.corrupt }
		if !slices.ContainsFunc(p.dealers(), corrupt) {
			continue
		}
		var other engine.PartyID
		for _, q := range p.dealers() {
			if q.ID != s.corrupt {
				other = q.ID
			}
		}
		o, err := p.layout(other).decode(body(t, s.now, KindOpening, other, engine.Everyone))
		if err != nil {
			t.Fatal(err)
		}
		own, err := p.layout(s.corrupt).decode(body(t, s.now, KindOpening, s.corrupt, engine.Everyone))
		if err != nil {
			t.Fatal(err)
		}
		last := p.Threshold - 1
		// The sum's top coefficient becomes 0: t′−1 new shares would be enough.
		late := *own
		late.commit = slices.Clone(own.commit)
		late.commit[last] = p.Group.Identity()
		for _, q := range p.dealers() {
			if q.ID != s.corrupt {
				d, err := p.layout(q.ID).decode(body(t, s.now, KindOpening, q.ID, engine.Everyone))
				if err != nil {
					t.Fatal(err)
				}
				late.commit[last] = late.commit[last].Sub(d.commit[last])
			}
		}
		mirror := *o
		mirror.hashes = own.hashes
		for name, edit := range map[string]func(round uint8, out []engine.Out) []engine.Out{
			"late top coefficient": s.bodies(KindOpening, func([]byte) []byte { return late.encode() }),
			"mirror of an opening": s.bodies(KindOpening, func([]byte) []byte { return mirror.encode() }),
			"mirror of commitment and opening": func(_ uint8, out []engine.Out) []engine.Out {
				for i, x := range out {
					switch x.Kind {
					case KindCommit:
						out[i].Body = bytes.Clone(body(t, s.now, KindCommit, other, engine.Everyone))
					case KindOpening:
						out[i].Body = mirror.encode()
					}
				}
				return out
			},
		} {
			if got := s.judge(t, s.run(t, edit, nil)); got != malice.Blame {
				t.Errorf("%s, %s: came to %s", s.name, name, got)
			}
		}
	}
}

// Openings that each pass alone, but differ between receivers: no new member gets an output.
func TestEquivocatedOpenings(t *testing.T) {
	for _, s := range stands(t) {
		p := s.params(sid, 1)[0]
		if !slices.ContainsFunc(p.dealers(), func(q session.Party) bool { return q.ID == s.corrupt }) {
			continue
		}
		// The hash for the last receiver but the corrupt one, as some other receiver sees it.
		var at []session.Party
		for _, q := range p.receivers() {
			if q.ID != s.corrupt {
				at = append(at, q)
			}
		}
		other := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
		hook := enginetest.On(enginetest.Match{From: s.corrupt, To: at[0].ID, Kind: KindOpening}, enginetest.Edit(other))
		c := s.run(t, nil, hook)
		if got := s.judge(t, c); got != malice.Unattributed {
			t.Errorf("%s: came to %s", s.name, got)
		}
		for _, q := range c.Parties {
			if q.Result != nil && q.ID != s.corrupt {
				t.Errorf("%s: %v has an output", s.name, q.ID)
			}
		}
	}
}

// A dealer who leaves alone sees another opening: it ends without output and says so to
// nobody; new members agree among themselves.
func TestEquivocationTowardWhoLeaves(t *testing.T) {
	v := newVault(t, secp256k1.Group{}, 3, 0, 1, 2)
	all := v.reshare(t, 2, []int{0, 1, 2}, []int{2, 3, 4}, sid, 1)
	other := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	hook := enginetest.On(enginetest.Match{From: seat(1).ID, To: seat(0).ID, Kind: KindOpening}, enginetest.Edit(other))
	c := withForgers(t, all, nil, hook)
	if f := c.Parties[0].Fault(); f == nil || f.Class != engine.Unattributed {
		t.Errorf("who leaves ended with %v", c.Parties[0].Err)
	}
	for _, p := range c.Parties[2:] {
		if p.Result == nil {
			t.Errorf("%v: %v", p.ID, p.Err)
		}
	}
}

// All messages of one dealer replayed from the epoch before, hashes, proofs and shares included.
func TestReplayFromAnotherEpoch(t *testing.T) {
	for _, s := range stands(t) {
		c := s.run(t, func(round uint8, out []engine.Out) []engine.Out {
			for i, o := range out {
				to := o.To
				out[i].Body = bytes.Clone(body(t, s.earlier, o.Kind, s.corrupt, to))
			}
			return out
		}, nil)
		if got := s.judge(t, c); got != malice.Blame {
			t.Errorf("%s: came to %s", s.name, got)
		}
	}
	// As they were sent, with the earlier session's id, they are not taken at all.
	s := stands(t)[0]
	hook := func(to engine.PartyID, m engine.Msg) []engine.Msg {
		old := m
		old.Session, old.Body = engine.SessionID{7}, body(t, s.earlier, m.Kind, m.From, to)
		return []engine.Msg{old, m}
	}
	if got := s.judge(t, s.run(t, nil, hook)); got != malice.Unaffected {
		t.Errorf("messages of another session: came to %s", got)
	}
}

// Were the constants to change under us, the sum would still be held to the key.
func TestSumIsHeldToTheKey(t *testing.T) {
	g := secp256k1.Group{}
	v := newVault(t, g, 2, 0, 1, 2)
	for name, spoil := range map[string]func(r *run){
		"reshare": func(r *run) { r.Dealers = slices.Clone(r.Dealers); r.Dealers[1].Weight = g.Scalar(2) },
		"refresh": func(r *run) { r.commit = slices.Clone(r.commit); r.commit[0] = g.Generator() },
	} {
		all := v.refresh(sid, 1)
		if name == "reshare" {
			all = v.reshare(t, 2, []int{0, 1}, []int{0, 1, 3}, sid, 1)
		}
		first := Start(all[0]).(*deal)
		sessions := machines(t, all)
		sessions[0] = machine(t, all[0], enginetest.Corrupt[Output](first, func(round uint8, out []engine.Out) []engine.Out {
			if round == 2 {
				spoil(first.run)
			}
			return out
		}))
		p := enginetest.Run(enginetest.Options{}, sessions...).Parties[0]
		if f := p.Fault(); f == nil || f.Check != "reshare: public key" || len(f.Accused) > 0 {
			t.Errorf("%s: ended with %v", name, p.Err)
		}
		if !first.own.IsZero() {
			t.Errorf("%s: our own part stays", name)
		}
	}
}

// A public share of zero is nobody's fault, and no share.
func TestZeroPublicShare(t *testing.T) {
	g := secp256k1.Group{}
	p := newVault(t, g, 2, 0, 1, 2).refresh(sid, 1)[0]
	s := &confirm{&run{Params: p}}
	out := &Output{Publics: map[engine.PartyID]group.Point{p.Self.ID: g.Generator()}}
	zero := share.WithZeroConstant(g, share.Commitment{g.Generator()})
	if err := s.checkOutput(zero, out); err != nil {
		t.Error(err)
	}
	out.Publics[seat(1).ID] = g.Identity()
	var f *engine.Fault
	if err := s.checkOutput(zero, out); !errors.As(err, &f) || f.Check != "reshare: public share" || len(f.Accused) > 0 {
		t.Errorf("got %v", err)
	}
}
