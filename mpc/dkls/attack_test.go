package dkls

import (
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/ot"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/pair"
)

// spoke is the last round in which a party sent anything.
func spoke(p *enginetest.Party[Signature]) (last uint8) {
	for _, m := range p.Sent {
		last = max(last, m.Round)
	}
	return last
}

// protocols.md 7, rows 4, 5: who guesses bits of Δ gets one verdict, a burned pair, and
// nothing of round 2, not even for the honest ones.
func TestSelectiveFailureBurnsAndReleasesNothing(t *testing.T) {
	all := newDeal(t, 3, 3).params([]int{0, 1, 2}, [32]byte{1}, nil)
	flip := func(b []byte) []byte { b[7] ^= 4; return b }
	for name, corrupt := range map[string][]int{"one": {1}, "two": {1, 2}} {
		t.Run(name, func(t *testing.T) {
			var sessions []*engine.Session[Signature]
			var want []engine.Token
			for i, p := range all {
				p.Rand = enginetest.Reader(uint64(i))
				stage := first(t, p)
				if slices.Contains(corrupt, i) {
					stage = enginetest.CorruptBody(stage, KindExtension, all[0].Self.ID, flip)
					want = append(want, engine.Token{Key: p.KeyID, Peer: p.Self.ID})
				}
				sessions = append(sessions, open(t, p, stage))
			}
			victim := enginetest.Run(enginetest.Options{}, sessions...).Parties[0]
			if !slices.Equal(victim.Burned, want) {
				t.Errorf("burned %v, want %v", victim.Burned, want)
			}
			if f := victim.Fault(); f == nil || f.Class != engine.BurnPair || len(f.Accused) != len(want) {
				t.Errorf("ended with %v", victim.Err)
			}
			if spoke(victim) != 1 {
				t.Errorf("victim spoke in round %d", spoke(victim))
			}
		})
	}
}

// The stage itself burns: it does not rely on the engine to fill in what it forgot.
func TestStageBurnsBesideItsFault(t *testing.T) {
	all := newDeal(t, 2, 2).params([]int{0, 1}, [32]byte{1}, nil)
	s, err := newSigner(all[0])
	if err != nil {
		t.Fatal(err)
	}
	s.peers[0].extension = make([]byte, ExtensionSize)
	s.peers[0].extension[0] = 1
	out, err := (&multiply[Signature]{s, closeSigning}).Finish(engine.Transcript{})
	if err == nil || !slices.Equal(out.Burn, []engine.Token{{Key: all[0].KeyID, Peer: all[1].Self.ID}}) || len(out.Send) > 0 || out.Next != nil {
		t.Errorf("burned %v, sent %d messages, %v", out.Burn, len(out.Send), err)
	}
}

// protocols.md 7, rows 12 and 22: a commitment and its opening, both copied, from another
// party or from our own earlier session. The commitment names session and party.
func TestCopiedCommitmentsDoNotOpen(t *testing.T) {
	s := newStand(t, 3, 3, 1, 0)
	for _, of := range []string{"another party's", "of an earlier session"} {
		var sessions []*engine.Session[Signature]
		for i, p := range s.fresh() {
			stage := first(t, p)
			if i == s.corrupt {
				stage = enginetest.Corrupt(stage, func(_ uint8, out []engine.Out) []engine.Out {
					for k, o := range out {
						if o.Kind != KindCommit && o.Kind != KindOpening {
							continue
						}
						seen := s.seen(t, o.Kind)
						out[k].Body = slices.Clone(seen.Other)
						if of != "another party's" {
							out[k].Body = slices.Clone(seen.Earlier)
						}
					}
					return out
				})
			}
			sessions = append(sessions, open(t, p, stage))
		}
		c := enginetest.Run(enginetest.Options{}, sessions...)
		if f := c.Parties[0].Fault(); f == nil || f.Check != "dkls: opening" || f.Class != engine.Blame || f.Strength != engine.Proved {
			t.Errorf("%s: ended with %v", of, c.Parties[0].Err)
		}
	}
}

// Both stages that judge a pair say so beforehand, for every peer.
func TestJudgingStagesGuardEveryPair(t *testing.T) {
	all := newDeal(t, 2, 3).params([]int{0, 1, 2}, [32]byte{1}, nil)
	s, err := newSigner(all[1])
	if err != nil {
		t.Fatal(err)
	}
	want := []engine.Token{{Key: all[1].KeyID, Peer: all[0].Self.ID}, {Key: all[1].KeyID, Peer: all[2].Self.ID}}
	for name, c := range map[string]struct {
		stage engine.Stage[Signature]
		want  []engine.Token
	}{
		"commit": {begin(s, closeSigning), nil}, "multiply": {&multiply[Signature]{s, closeSigning}, want},
		"verify": {&verify[Signature]{s, closeSigning}, want}, "conclude": {&conclude{s, KindSum}, nil},
	} {
		if got := c.stage.Expect().Guard; !slices.Equal(got, c.want) {
			t.Errorf("%s guards %v, want %v", name, got, c.want)
		}
	}
}

// cheat multiplies with another nonce or key share toward one peer, and makes Γ fit.
type cheat struct {
	*multiply[Signature]
	victim engine.PartyID
	bend   func(s *signer, by *secp256k1.Scalar)
}

func (c *cheat) Finish(engine.Transcript) (out engine.Outcome[Signature], err error) {
	out.Send = append(out.Send, engine.Out{Kind: KindOpening, Body: c.own.encode()})
	one, minus := secp256k1.NewScalar(1), new(secp256k1.Scalar)
	minus.SetNegative(one)
	for _, p := range c.peers {
		sender, err := ot.Check(pair.ID(c.Session, c.Self, p.Party, pair.RoleSign), p.state.Punctured, p.extension)
		if err != nil {
			return out, err
		}
		if p.ID == c.victim {
			c.bend(c.signer, one)
		}
		body, err := c.product(p, sender)
		if err != nil {
			return out, err
		}
		if p.ID == c.victim {
			c.bend(c.signer, minus)
		}
		out.Send = append(out.Send, engine.Out{Kind: KindProduct, To: p.ID, Body: body})
	}
	out.Next = &verify[Signature]{c.signer, closeSigning}
	return out, nil
}

// after replaces the second stage of a signer.
type after struct {
	engine.Stage[Signature]
	next func(engine.Stage[Signature]) engine.Stage[Signature]
}

func (a *after) Finish(t engine.Transcript) (engine.Outcome[Signature], error) {
	out, err := a.Stage.Finish(t)
	if err == nil {
		out.Next = a.next(out.Next)
	}
	return out, err
}

// protocols.md 7, row 6: inputs to the multiplication that differ from the opened ones.
func TestInconsistentInputsBurn(t *testing.T) {
	all := newDeal(t, 3, 3).params([]int{0, 1, 2}, [32]byte{1}, nil)
	for check, bend := range map[string]func(s *signer, by *secp256k1.Scalar){
		"dkls: nonce in the multiplication":     func(s *signer, by *secp256k1.Scalar) { s.r.SetSum(&s.r, by) },
		"dkls: key share in the multiplication": func(s *signer, by *secp256k1.Scalar) { s.sk.SetSum(&s.sk, by) },
	} {
		t.Run(check, func(t *testing.T) {
			var sessions []*engine.Session[Signature]
			for i, p := range all {
				p.Rand = enginetest.Reader(uint64(i))
				stage := first(t, p)
				if i == 2 {
					stage = &after{stage, func(s engine.Stage[Signature]) engine.Stage[Signature] {
						return &cheat{s.(*multiply[Signature]), all[0].Self.ID, bend}
					}}
				}
				sessions = append(sessions, open(t, p, stage))
			}
			c := enginetest.Run(enginetest.Options{}, sessions...)
			f := c.Parties[0].Fault()
			if f == nil || f.Check != check || f.Class != engine.BurnPair || !slices.Equal(f.Accused, []engine.PartyID{all[2].Self.ID}) {
				t.Errorf("victim ended with %v", c.Parties[0].Err)
			}
			if len(c.Parties[0].Burned) != 1 || spoke(c.Parties[0]) != 2 {
				t.Errorf("burned %v, spoke last in round %d", c.Parties[0].Burned, spoke(c.Parties[0]))
			}
			if c.Parties[1].Result != nil || c.Parties[1].Err != nil {
				t.Error("the other honest party did not wait")
			}
		})
	}
}

// protocols.md 7, row 13: another commitment for each receiver. Nobody is named, no pair
// is burned, and no u, w leave.
func TestEquivocatedCommitmentEndsBeforeRound3(t *testing.T) {
	all := newDeal(t, 3, 3).params([]int{0, 1, 2}, [32]byte{1}, nil)
	hook := enginetest.On(enginetest.Match{From: all[2].Self.ID, To: all[0].Self.ID, Kind: KindCommit}, enginetest.Flip(3))
	c := enginetest.Run(enginetest.Options{Hook: hook}, honest(t, all)...)
	for i, p := range c.Parties {
		f := p.Fault()
		if f == nil || f.Class != engine.Unattributed || len(f.Accused) > 0 || len(p.Burned) > 0 {
			t.Errorf("party %d ended with %v and burned %v", i, p.Err, p.Burned)
		}
		if spoke(p) > 2 {
			t.Errorf("party %d spoke in round %d", i, spoke(p))
		}
	}
}

// protocols.md 7, row 12: a message of another session never reaches the protocol, and
// its body in a message of this session does not serve (the table's "earlier session").
func TestForeignSessionIsRefused(t *testing.T) {
	d := newDeal(t, 2, 2)
	all := d.params([]int{0, 1}, [32]byte{1}, nil)
	hook := enginetest.On(enginetest.Match{From: all[0].Self.ID}, func(m *engine.Msg) []engine.Msg {
		old := *m
		old.Session[0] ^= 1
		return []engine.Msg{old, *m}
	})
	c := enginetest.Run(enginetest.Options{Hook: hook}, honest(t, all)...)
	if _, err := c.Results(); err != nil {
		t.Fatal(err)
	}
	if n := len(c.Parties[1].Rejected); n != 5 {
		t.Errorf("%d foreign messages were refused, not 5", n)
	}
}

// A stale share of one signer names nobody and burns nothing: it may be an honest mistake.
func TestWrongShareIsUnattributed(t *testing.T) {
	all := newDeal(t, 2, 3).params([]int{0, 1, 2}, [32]byte{1}, nil)
	var sessions []*engine.Session[Signature]
	for i, p := range all {
		s, err := newSigner(p)
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			s.share = secp256k1.NewScalar(99)
		}
		sessions = append(sessions, open(t, p, begin(s, closeSigning)))
	}
	for i, p := range enginetest.Run(enginetest.Options{}, sessions...).Parties {
		f := p.Fault()
		if f == nil || f.Check != "dkls: key shares" || f.Class != engine.Unattributed || len(p.Burned) > 0 || spoke(p) > 2 {
			t.Errorf("party %d ended with %v", i, p.Err)
		}
	}
}

// Signers who disagree on what they sign, in a session whose id does not show it, get
// nothing, and nobody is named.
func TestDisagreementIsUnattributed(t *testing.T) {
	g := secp256k1.Group{}
	for check, change := range map[string]func(*Params){
		"dkls: signature": func(p *Params) { p.Digest[0] ^= 1 },
		"dkls: key shares": func(p *Params) {
			p.Tweak = g.Scalar(5)
			p.Child = p.Public.Add(g.BaseMul(p.Tweak))
		},
	} {
		all := newDeal(t, 2, 3).params([]int{0, 2}, [32]byte{1}, nil)
		change(&all[0])
		c := enginetest.Run(enginetest.Options{}, honest(t, all)...)
		if f := c.Parties[1].Fault(); f == nil || f.Class != engine.Unattributed || f.Check != check {
			t.Errorf("%s: ended with %v", check, c.Parties[1].Err)
		}
		for i, p := range c.Parties {
			if f := p.Fault(); p.Result != nil || len(p.Burned) > 0 || f != nil && len(f.Accused) > 0 {
				t.Errorf("%s: party %d has %v, %v", check, i, p.Result, p.Err)
			}
		}
	}
}

// protocols.md 7, row 18: nonces that cancel.
func TestCancellingNoncesEndTheSession(t *testing.T) {
	all := newDeal(t, 2, 2).params([]int{0, 1}, [32]byte{1}, nil)
	var sessions []*engine.Session[Signature]
	for i, p := range all {
		s, err := newSigner(p)
		if err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, open(t, p, &rigged{begin(s, closeSigning), i == 1}))
	}
	for i, p := range enginetest.Run(enginetest.Options{}, sessions...).Parties {
		if f := p.Fault(); f == nil || f.Check != "dkls: nonce" || f.Class != engine.Unattributed || spoke(p) > 2 {
			t.Errorf("party %d ended with %v", i, p.Err)
		}
	}
}

// rigged signs with nonce 5 or −5.
type rigged struct {
	*commit[Signature]
	negate bool
}

func (s *rigged) Finish(engine.Transcript) (out engine.Outcome[Signature], err error) {
	if err := s.draw(); err != nil {
		return out, err
	}
	s.r.Set(secp256k1.NewScalar(5))
	if s.negate {
		s.r.SetNegative(&s.r)
	}
	s.own.r = secp256k1.BaseMul(&s.r)
	return s.announce()
}

// protocols.md 7, row 18: the last speaker makes Σu or s zero.
func TestZeroSumsEndTheSession(t *testing.T) {
	s := newStand(t, 3, 3, 2, 0)
	var u, w secp256k1.Scalar
	for i, p := range s.all[:2] {
		got, err := decodeSum(body(t, s.now, KindSum, p.Self.ID, s.all[1-i].Self.ID))
		if err != nil {
			t.Fatal(err)
		}
		u.SetSum(&u, &got.u)
		w.SetSum(&w, &got.w)
	}
	for check, edit := range map[string]func([]byte) []byte{
		"dkls: sum of u":  func(b []byte) []byte { u.Neg().(*secp256k1.Scalar).PutBytes(b); return b },
		"dkls: signature": func(b []byte) []byte { w.Neg().(*secp256k1.Scalar).PutBytes(b[32:]); return b },
	} {
		c := s.run(t, KindSum, edit, nil)
		for i, p := range c.Parties[:2] {
			if f := p.Fault(); f == nil || f.Check != check || f.Class != engine.Unattributed || f.Err.Error() != "is 0" && f.Err.Error() != "s is 0" {
				t.Errorf("%s: party %d ended with %v", check, i, p.Err)
			}
		}
	}
}

// protocols.md 7, row 18: x(R) = q. The point exists; nobody knows its logarithm, so it
// stands in place of a sum.
func TestRZeroEndsTheSession(t *testing.T) {
	x := secp256k1.NewScalar(1).Neg().Bytes() // q−1, which ends in 0x40
	x[31]++
	point, err := secp256k1.DecodePoint(append([]byte{2}, x...))
	if err != nil {
		t.Fatal(err)
	}
	key := secp256k1.BaseMul(secp256k1.NewScalar(3))
	s := &signer{own: opening{r: point, pk: key}, childKey: key}
	if f := s.combine(); f == nil || f.Check != "dkls: nonce" || f.Class != engine.Unattributed {
		t.Errorf("ended with %v", f)
	}
}

// protocols.md 7, row 21: all four recovery ids, and both s and q−s. Points with x ≥ q
// have no known logarithm, so the key is made to fit the signature.
func TestRecoveryIDs(t *testing.T) {
	seen := map[uint8]bool{}
	digest := sha256.Sum256([]byte("forced"))
	for _, large := range []bool{false, true} {
		for _, odd := range []byte{2, 3} {
			for _, high := range []bool{false, true} {
				s := &signer{nonce: nonceAt(t, odd, large), large: large}
				s.Digest = digest
				s.digest.SetReduced(&digest)
				rx, _ := s.nonce.XReduced()
				s.rx.Set(rx)
				total := sum{u: *secp256k1.NewScalar(1), w: *secp256k1.NewScalar(12345)}
				if high {
					total.w.SetNegative(&total.w)
				}
				// Q = (s·R − m·G)/r
				key := s.nonce.Mul(&total.w).Sub(secp256k1.BaseMul(&s.digest)).Mul(s.rx.Invert())
				s.childKey = key.(*secp256k1.Point)
				sig, f := s.assemble(&total)
				if f != nil {
					t.Fatalf("x ≥ q %v, prefix %d, high %v: %v", large, odd, high, f)
				}
				want := bit(odd == 3) ^ bit(high) | bit(large)<<1
				if sig.RecoveryID != want || sig.S[31] != byte(12345&0xff) {
					t.Errorf("x ≥ q %v, prefix %d, high %v: id %d, want %d", large, odd, high, sig.RecoveryID, want)
				}
				seen[sig.RecoveryID] = true
				sig.RecoveryID ^= 1
				if recovers(sig, s.childKey, digest) == nil {
					t.Error("verifies with another recovery id")
				}
			}
		}
	}
	if len(seen) != 4 {
		t.Errorf("made ids %v", seen)
	}
}

// nonceAt is a point with small x, or with x a little above q.
func nonceAt(t *testing.T, prefix byte, large bool) *secp256k1.Point {
	t.Helper()
	x := make([]byte, 32)
	if large {
		x = secp256k1.NewScalar(1).Neg().Bytes()
	}
	for range 64 {
		x[31]++
		if p, err := secp256k1.DecodePoint(append([]byte{prefix}, x...)); err == nil {
			if r, over := p.XReduced(); over == large && !r.IsZero() {
				return p
			}
		}
	}
	t.Fatal("found no point")
	return nil
}
