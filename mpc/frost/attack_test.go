package frost

import (
	"bytes"
	"errors"
	"testing"

	filippo "filippo.io/edwards25519"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// protocols.md 7, row 15: nonces answer once, and are gone before the answer is there.
func TestNoncesAnswerOnce(t *testing.T) {
	for _, suite := range suites {
		d := newDeal(t, suite, 2, 2)
		params := d.params([]int{0, 1}, message("once"), nil, KeyPath())
		s, err := newSigner(params[0])
		if err != nil {
			t.Fatal(err)
		}
		first := &commit{s}
		if _, err := first.Finish(engine.Transcript{}); err != nil {
			t.Fatal(err)
		}
		k := *s.nonces
		other, err := newSigner(params[1])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (&commit{other}).Finish(engine.Transcript{}); err != nil {
			t.Fatal(err)
		}
		second := &respond{s}
		if err := second.Accept(KindCommit, params[1].Self.ID, other.peers[1].raw); err != nil {
			t.Fatal(err)
		}
		if _, err := second.Finish(engine.Transcript{}); err != nil {
			t.Fatal(err)
		}
		if s.nonces.d != nil || s.nonces.e != nil || !k.d.IsZero() || !k.e.IsZero() {
			t.Errorf("%s: a nonce stays after the answer", suite)
		}
		out, err := second.Finish(engine.Transcript{})
		if !errors.Is(err, errNonceTaken) || len(out.Send) > 0 {
			t.Errorf("%s: a second answer: %v", suite, err)
		}
		if s.Share.IsZero() {
			t.Errorf("%s: the caller's share is gone", suite)
		}
		// They are gone before anything is computed of them, not only when their stage is wiped.
		n := &nonces{d: s.group.Scalar(3), e: s.group.Scalar(5)}
		if _, err := n.take(); err != nil {
			t.Fatal(err)
		}
		if _, err := n.take(); !errors.Is(err, errNonceTaken) {
			t.Errorf("%s: nonces are given out twice: %v", suite, err)
		}
	}
}

// A source that repeats itself, after a virtual machine was cloned for instance, gives two shares two nonces; and d is not e.
func TestNoncesAreHedgedWithTheShare(t *testing.T) {
	for _, suite := range suites {
		s, err := suiteOf(suite)
		if err != nil {
			t.Fatal(err)
		}
		zeros := func() *bytes.Reader { return bytes.NewReader(make([]byte, 64)) }
		_, a, errA := s.drawNonces(zeros(), s.group.Scalar(1))
		_, b, errB := s.drawNonces(zeros(), s.group.Scalar(2))
		if errA != nil || errB != nil || a.d.Equal(b.d) || a.e.Equal(b.e) {
			t.Errorf("%s: nonces depend on the source alone", suite)
		}
		_, c, err := s.drawNonces(enginetest.Reader(1), s.group.Scalar(1))
		if err != nil || c.d.Equal(c.e) {
			t.Errorf("%s: both nonces are one", suite)
		}
	}
}

// protocols.md 7, row 18: nonces that cancel. It takes the binding factors to be known beforehand, which they are
// not: a stub makes them 1.
func TestCancellingNoncesEndTheSession(t *testing.T) {
	for _, suite := range suites {
		d := newDeal(t, suite, 2, 2)
		params := d.params([]int{0, 1}, message("cancel"), nil, KeyPath())
		s, err := newSigner(params[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (&commit{s}).Finish(engine.Transcript{}); err != nil {
			t.Fatal(err)
		}
		s.suite.toScalar = func(string, ...[]byte) group.Scalar { return d.group.Scalar(1) }
		k, own, e := *s.nonces, s.peers[0].commitment, d.group.BaseMul(d.group.Scalar(8))
		s.peers[1].commitment = commitment{d: own.d.Add(own.e).Add(e).Neg(), e: e}
		out, err := (&respond{s}).Finish(engine.Transcript{})
		var f *engine.Fault
		if !errors.As(err, &f) || f.Class != engine.Unattributed || f.Check != "frost: nonce" || len(out.Send) > 0 {
			t.Errorf("%s: ended with %v", suite, err)
		}
		if !k.d.IsZero() || !k.e.IsZero() {
			t.Errorf("%s: the nonces stay", suite)
		}
	}
}

// protocols.md 7, row 19: the eight points of small order, and commitments with one of them added, are refused.
func TestSmallAndMixedOrder(t *testing.T) {
	s := newEd25519()
	torsion := unhex(t, "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05") // of order 8
	step, err := new(filippo.Point).SetBytes(torsion)
	if err != nil {
		t.Fatal(err)
	}
	good := s.group.Generator().Bytes()
	at := filippo.NewIdentityPoint()
	for k := range 8 {
		mixed := new(filippo.Point).Add(at, filippo.NewGeneratorPoint())
		for name, b := range map[string][]byte{"small": at.Bytes(), "mixed": mixed.Bytes()} {
			if name == "mixed" && k == 0 {
				continue
			}
			for _, body := range [][]byte{append(bytes.Clone(b), good...), append(bytes.Clone(good), b...)} {
				if _, err := decodeCommitment(s.group, body); err == nil {
					t.Errorf("%s order, %d: passes", name, k)
				}
			}
		}
		at.Add(at, step)
	}
	if at.Equal(filippo.NewIdentityPoint()) != 1 {
		t.Error("the torsion point is not of order 8")
	}
}

// A record whose public shares do not give its key is nobody's fault here.
func TestSharesThatDoNotGiveTheKeyAccuseNobody(t *testing.T) {
	for _, suite := range suites {
		d := newDeal(t, suite, 2, 2)
		params := d.params([]int{0, 1}, message("record"), nil, KeyPath())
		for i := range params {
			params[i].Public = d.public.Add(d.group.Generator())
		}
		c := enginetest.Run(enginetest.Options{}, honest(t, params)...)
		for _, p := range c.Parties {
			if f := p.Fault(); f == nil || f.Class != engine.Unattributed || f.Check != "frost: signature" {
				t.Errorf("%s: ended with %v", suite, p.Err)
			}
		}
	}
}

// Signers that hold different messages, tweaks or Taproot roots under one session id, which a Setup does not allow: no signature, and
// whoever answered for another key than ours is the one that we name.
func TestSignersThatDisagreeGetNoSignature(t *testing.T) {
	d := newDeal(t, BIP340, 2, 2)
	for name, spoil := range map[string]func(p *Params){
		"message": func(p *Params) { p.Message = message("another") },
		"tweak":   func(p *Params) { p.Tweak = d.group.Scalar(3) },
		"root":    func(p *Params) { p.Taproot = ScriptTree([32]byte{3}) },
	} {
		params := d.params([]int{0, 1}, message("one"), nil, KeyPath())
		spoil(&params[1])
		for _, p := range enginetest.Run(enginetest.Options{}, honest(t, params)...).Parties {
			if p.Result != nil || p.Fault() == nil {
				t.Errorf("%s: ended with %v", name, p.Err)
			}
		}
	}
}

// protocols.md 7, row 12.
func TestForeignSessionIsRefused(t *testing.T) {
	s := newStand(t, Ed25519, 2, 2, 1, 0)
	c := s.run(t, KindCommit, nil, enginetest.On(enginetest.Match{From: s.all[1].Self.ID, Kind: KindCommit}, func(m *engine.Msg) []engine.Msg {
		m.Session[0] ^= 1
		return []engine.Msg{*m}
	}))
	p := c.Parties[0]
	if len(p.Rejected) != 1 || !errors.Is(p.Rejected[0], engine.ErrForeign) || p.Err != nil || p.Result != nil {
		t.Errorf("ended with %v, refused %v", p.Err, p.Rejected)
	}
}

// The list that is bound is the Setup's: all signers, by index, ours as we made it.
func TestListIsTheSetups(t *testing.T) {
	d := newDeal(t, BIP340, 2, 3)
	params := d.params(all(3), message("list"), nil, KeyPath())
	s, err := newSigner(params[1])
	if err != nil {
		t.Fatal(err)
	}
	p := enginetest.Run(enginetest.Options{}, open(t, params[0], first(t, params[0])), open(t, params[1], &commit{s}), open(t, params[2], first(t, params[2])))
	if _, err := p.Results(); err != nil {
		t.Fatal(err)
	}
	for j, q := range s.peers {
		if q.ID != params[0].Signers[j].ID || !bytes.Equal(q.raw, body(t, p.Parties[j].Sent, KindCommit, q.ID)) || !bytes.Equal(q.raw, q.commitment.encode()) {
			t.Errorf("place %d holds another commitment", j)
		}
	}
	if w := s.want(KindCommit, 1).Wants[0]; len(w.From) != 2 || w.From[0] != params[0].Self.ID || w.From[1] != params[2].Self.ID {
		t.Errorf("it waits for %v", w.From)
	}
}

// protocols.md 7, row 13: two colluders show two honest signers two lists. Each answers to the list that it sees; the echoes
// differ, nobody is named, and the honest answers do not add up to a signature for either list.
func TestTwoColludersShowTwoLists(t *testing.T) {
	for _, suite := range suites {
		s := newStand(t, suite, 4, 4, 1, 3)
		colluder := func(id engine.PartyID) bool { return id == s.all[1].Self.ID || id == s.all[2].Self.ID }
		hook := func(to engine.PartyID, m engine.Msg) []engine.Msg {
			if m.Kind == KindCommit && colluder(m.From) && to == s.all[3].Self.ID {
				m.Body = body(t, s.earlier, KindCommit, m.From)
			}
			return []engine.Msg{m}
		}
		c := s.run(t, KindCommit, nil, hook)
		for _, i := range []int{0, 3} {
			f := c.Parties[i].Fault()
			if f == nil || f.Class != engine.Unattributed || len(f.Accused) > 0 || c.Parties[i].Result != nil {
				t.Errorf("%s: party %d ended with %v", suite, i, c.Parties[i].Err)
			}
		}
		// the shares of the colluders and of party 0 are for one list, that of party 3 for the other
		params := s.fresh()[0]
		job, err := params.task()
		if err != nil {
			t.Fatal(err)
		}
		var bodies [][]byte
		var shares []group.Scalar
		for _, p := range c.Parties {
			bodies = append(bodies, body(t, p.Sent, KindCommit, p.ID))
			z, err := decodeShare(job.group, body(t, p.Sent, KindShare, p.ID))
			if err != nil {
				t.Fatal(err)
			}
			shares = append(shares, z)
		}
		list, _, err := job.list(sid, bodies)
		if err != nil {
			t.Fatal(err)
		}
		b, err := job.bind(list)
		if err != nil {
			t.Fatal(err)
		}
		sig := job.aggregate(b, shares)
		if job.verify(job.key.Bytes[:], job.message, sig[:]) == nil {
			t.Errorf("%s: the answers to two lists make a signature", suite)
		}
		if !job.holds(b, 0, shares[0], params.Publics[c.Parties[0].ID]) || job.holds(b, 3, shares[3], params.Publics[c.Parties[3].ID]) {
			t.Errorf("%s: the honest signers did not answer to what each saw", suite)
		}
	}
}
