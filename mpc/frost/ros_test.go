package frost

import (
	"bytes"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// A variant is what the attacker decides after it has seen the commitments of a session.
type variant struct {
	tweak group.Scalar
	tap   Taproot
}

// An openSession is one of many in which the honest signer has committed and not answered.
type openSession struct {
	nonces *nonces
	tasks  [2]*task  // with one variant and with the other, all else equal
	rounds [2]*round // what they make of the same commitments
}

// rosAttack is Benhamouda et al., "On the (in)security of ROS" (ePrint 2020/945), on sessions whose message is fixed and
// whose tweak or Taproot root is not: 256 honest answers, none to m*, and a signature on m* by two signers of whom one
// never agreed. Without Q in ρ the nonce R of a session is the same for both variants and the challenge is not: one bit of
// freedom in each session, and a linear equation modulo q has few enough bits.
type rosAttack struct {
	t       *testing.T
	d       *deal
	variant [2]variant
	mutant  bool // ρ covers the root key in place of Q
	open    []openSession
}

const rosSessions = 256

// factors are ours, or those of the mutant.
func (a *rosAttack) factors(k *task, list []commitment) []group.Scalar {
	if !a.mutant {
		return k.factors(k.factorInput(list))
	}
	rootOnly := *k
	rootOnly.key.enc = a.d.public.Bytes()
	return k.factors(rootOnly.factorInput(list))
}

func (a *rosAttack) begin(k int) openSession {
	s, err := suiteOf(a.d.suite)
	if err != nil {
		a.t.Fatal(err)
	}
	// position 0 is honest, 1 the attacker, which knows its own nonces
	n, honest, err := s.drawNonces(enginetest.Reader(uint64(2*k)), a.d.shares[0])
	if err != nil {
		a.t.Fatal(err)
	}
	_, own, err := s.drawNonces(enginetest.Reader(uint64(2*k+1)), a.d.shares[1])
	if err != nil {
		a.t.Fatal(err)
	}
	o, list := openSession{nonces: n}, []commitment{honest, own}
	for b, v := range a.variant {
		key, err := s.key(a.d.public, v.tweak, v.tap)
		if err != nil {
			a.t.Fatal(err)
		}
		o.tasks[b] = &task{suite: s, key: key, message: message("what the honest signer agreed to"), signers: a.d.parties[:2]}
		if o.rounds[b], err = o.tasks[b].bindWith(list, a.factors(o.tasks[b], list)); err != nil {
			a.t.Fatal(err)
		}
	}
	return o
}

// weight is what multiplies the honest share in the answer to a variant.
func (o *openSession) weight(b int) group.Scalar { return o.tasks[b].weight(o.rounds[b], 0) }

// nonce is ±(D + ρE) of the honest signer, in variant 0.
func (o *openSession) nonce() group.Point {
	if o.rounds[0].odd {
		return o.rounds[0].nonces[0].Neg()
	}
	return o.rounds[0].nonces[0]
}

// forge is a signature on a message that the honest signer never saw, for the key of variant 0, and whether it verifies.
func (a *rosAttack) forge() bool {
	g := a.d.group
	for k := range rosSessions {
		a.open = append(a.open, a.begin(k))
	}
	// α_k = 2^k/(w_k1 − w_k0): with bits b, Σ α_k·w_kb is Σ 2^k·b_k + Σ α_k·w_k0
	alpha, offset, r, power := []group.Scalar{}, g.Scalar(0), g.Identity(), g.Scalar(1)
	for k := range a.open {
		o := &a.open[k]
		x := power.Mul(o.weight(1).Sub(o.weight(0)).Invert())
		alpha, offset, r = append(alpha, x), offset.Add(x.Mul(o.weight(0))), r.Add(o.nonce().MulVarTime(x))
		power = power.Add(power)
	}
	target := a.open[0].tasks[0]
	forged := message("what nobody agreed to")
	c := target.challenge(r, target.key.point, forged)
	lambda, err := share.LagrangeAll(g, []share.Index{a.d.parties[0].Index, a.d.parties[1].Index})
	if err != nil {
		a.t.Fatal(err)
	}
	signed := func(k group.Scalar, negative bool) group.Scalar {
		if negative {
			return k.Neg()
		}
		return k
	}
	flip := target.suite.odd(r)
	// the honest share must stand in the sum with the weight that it has in c·(private key of Q)
	want := signed(signed(c.Mul(lambda[0]), target.key.negate), flip).Sub(offset)
	z := signed(a.collect(alpha, want), flip)
	z = z.Add(signed(c.Mul(lambda[1]), target.key.negate).Mul(a.d.shares[1])).Add(c.Mul(target.key.shift))
	sig := append(bytes.Clone(target.encode(r)), z.Bytes()...)
	return target.verify(target.key.Bytes[:], forged, sig) == nil
}

// collect asks the honest signer for one answer in each session, in the variant that the bits of want say, and adds them up.
func (a *rosAttack) collect(alpha []group.Scalar, want group.Scalar) group.Scalar {
	bits := want.Bytes()
	if a.d.suite == BIP340 {
		slices.Reverse(bits)
	}
	sum := a.d.group.Scalar(0)
	for k := range a.open {
		o, b := &a.open[k], int(bits[k/8]>>(k%8)&1)
		answer, err := o.tasks[b].respond(o.nonces, o.rounds[b], 0, a.d.shares[0])
		if err != nil {
			a.t.Fatal(err)
		}
		if !o.tasks[b].holds(o.rounds[b], 0, answer, a.d.publics[a.d.parties[0].ID]) {
			a.t.Fatal("the honest signer answered wrongly")
		}
		sum = sum.Add(alpha[k].Mul(answer))
	}
	return sum
}

// protocols.md 7, rows 14 and 28: the final key in the binding factor is what stops it. The same run against a mutant that
// has the root key there must forge, or it shows nothing.
func TestTweaksChosenAfterCommitmentsForgeOnlyWithoutTheFinalKey(t *testing.T) {
	ed, k1 := newDeal(t, Ed25519, 2, 2), newDeal(t, BIP340, 2, 2)
	for name, c := range map[string]struct {
		d *deal
		v [2]variant
	}{
		"ed25519, tweak": {ed, [2]variant{{ed.group.Scalar(1), Taproot{}}, {ed.group.Scalar(2), Taproot{}}}},
		"bip340, tweak":  {k1, [2]variant{{k1.group.Scalar(1), KeyPath()}, {k1.group.Scalar(2), KeyPath()}}},
		"bip340, plain":  {k1, [2]variant{{k1.group.Scalar(1), NoTaproot()}, {k1.group.Scalar(2), NoTaproot()}}},
		"bip340, root":   {k1, [2]variant{{nil, ScriptTree([32]byte{1})}, {nil, ScriptTree([32]byte{2})}}},
		"bip340, kind":   {k1, [2]variant{{nil, NoTaproot()}, {nil, KeyPath()}}},
	} {
		for _, mutant := range []bool{true, false} {
			if a := (&rosAttack{t: t, d: c.d, variant: c.v, mutant: mutant}); a.forge() != mutant {
				t.Errorf("%s: mutant %v, forged %v", name, mutant, !mutant)
			}
		}
	}
}
