package ot

import (
	"bytes"
	"errors"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
)

// forge is the extension message of a B that adds err to u of one tree, knows χ for it, and adds
// guess_b·hash(err) to t̂ of that tree's columns: the strongest deviation in one tree.
func forge(id PairID, l *Leaves, beta *[columnLen]byte, tree int, err *[columnLen]byte, guess int) []byte {
	m := newMatrix(id)
	msg := make([]byte, ExtensionSize)
	for i := range trees {
		for x := range leaves {
			m.expand(x, &l.leaf[i][x])
		}
		m.fold(i)
		u := msg[i*columnLen : (i+1)*columnLen]
		copy(u, m.leaf[:columnLen])
		xorMasked(u, beta[:], 1)
		if i == tree {
			xorMasked(u, err[:], 1)
		}
	}
	m.transpose()
	chi := id.challenges(msg[:xOffset])
	x, shift := hashColumn(&chi, beta[:]), hashColumn(&chi, err[:])
	copy(msg[xOffset:], x[:])
	copy(msg[tOffset:], m.hash(&chi).transposed()[:])
	for b := range treeDepth {
		c := treeDepth*tree + b
		xorMasked(msg[tOffset+c*keyLen:tOffset+(c+1)*keyLen], shift[:], byte(guess>>b)&1)
	}
	return msg
}

// Each of the 544 bits of a column is hashed, the last 32 payload rows too: a port that left them
// out gave away all of Δ.
func TestEveryColumnBitIsHashed(t *testing.T) {
	r := stream("bits")
	l, p := setUp(t, idOf("setup", 0), r)
	var beta [columnLen]byte
	if err := read(r, beta[:], "β"); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(PairID{}, p, forge(PairID{}, l, &beta, 0, &[columnLen]byte{}, 0)); err != nil {
		t.Fatalf("a forger that changes nothing: %v", err)
	}
	for j := range rows {
		// a tree with Δᵢ ≠ 0, else the honest t̂ is the right guess
		tree := j % trees
		for refDelta(p.delta[:], tree) == 0 {
			tree = (tree + 1) % trees
		}
		var e [columnLen]byte
		e[j/8] = 1 << (j % 8)
		if s, err := Check(idOf("session", j), p, forge(idOf("session", j), l, &beta, tree, &e, 0)); !errors.Is(err, ErrCheck) || s != nil {
			t.Errorf("bit %d of u_%d: %v, want ErrCheck", j, tree, err)
		}
	}
}

func TestEveryByteOfAnExtensionIsChecked(t *testing.T) {
	r := stream("bytes")
	l, p := setUp(t, idOf("setup", 0), r)
	id := idOf("session", 0)
	_, msg, err := Extend(id, l, r)
	if err != nil {
		t.Fatal(err)
	}
	for n := range msg {
		s, err := Check(id, p, flip(msg, n, 1<<(n%8)))
		if !errors.Is(err, ErrCheck) || errors.Is(err, ErrEncoding) || s != nil {
			t.Fatalf("byte %d changed: %v, want ErrCheck", n, err)
		}
	}
	if _, err := Check(idOf("session", 1), p, msg); !errors.Is(err, ErrCheck) {
		t.Errorf("replay into another session: %v, want ErrCheck", err)
	}
	if _, err := Check(id, p, msg); err != nil {
		t.Errorf("the honest message: %v", err)
	}
}

// Why BurnPair exists (TOB-SILA-12): a verdict is one guess at four bits of Δ. B that may
// try again learns all of Δ in at most 480 verdicts, and then A's inputs out of one honest product.
func TestUnpunishedRetriesLearnEverything(t *testing.T) {
	r := stream("retries")
	l, p := setUp(t, idOf("setup", 0), r)
	var beta, e [columnLen]byte
	e[0] = 1
	var learnt key
	verdicts := 0
	for tree := range trees {
		// The last of the 16 values needs no verdict.
		guess := 0
		for ; guess < leaves-1; guess++ {
			id := idOf("retry", verdicts)
			verdicts++
			if _, err := Check(id, p, forge(id, l, &beta, tree, &e, guess)); err == nil {
				break
			}
		}
		learnt[tree/2] |= byte(guess) << (4 * (tree % 2))
	}
	if learnt != p.delta || verdicts > 480 {
		t.Fatalf("after %d verdicts the attacker has the wrong Δ", verdicts)
	}

	id := idOf("last session", 0)
	rcv, snd := extend(t, id, l, p, r)
	a := scalars(t, r)
	_, msg, err := snd.Multiply([32]byte{}, a, r)
	if err != nil {
		t.Fatal(err)
	}
	pad := newPads(id)
	var w, other key
	copy(w[:], rcv.row[:])
	xorMasked(w[:], learnt[:], bit(rcv.beta[:], 0))
	copy(other[:], w[:])
	xorMasked(other[:], learnt[:], 1)
	for k := range a {
		var alpha0, alpha1, got secp256k1.Scalar
		pad.pad(&alpha0, 0, k, w[:])
		pad.pad(&alpha1, 0, k, other[:])
		got.SetCanonical((*[32]byte)(msg[k*scalarLen:]))
		got.SetDifference(&got, &alpha0)
		got.SetSum(&got, &alpha1)
		if !got.Equal(&a[k]) {
			t.Errorf("the attacker did not get a_%d", k)
		}
	}
}

// product is one honest session up to B's end.
func product(t *testing.T, name string) (rcv *Receiver, snd Sender, a [inputs]secp256k1.Scalar, c [inputs]secp256k1.Scalar, msg []byte) {
	t.Helper()
	r := stream(name)
	l, p := setUp(t, idOf("setup", 0), r)
	rcv, s := extend(t, idOf(name, 0), l, p, r)
	snd, a = *s, scalars(t, r)
	c, msg, err := s.Multiply([32]byte{}, a, r)
	if err != nil {
		t.Fatal(err)
	}
	return rcv, snd, a, c, msg
}

// finish is B's end on a copy, so that one session can be asked often.
func finish(rcv *Receiver, sid [32]byte, msg []byte) ([inputs]secp256k1.Scalar, error) {
	again := *rcv
	return again.Finish(sid, msg)
}

// Every field of the product message. A change of ã changes θ and with it every term of μ,
// whatever β is; so no changed message passes, not even one in a row with β_j = 0.
func TestEveryFieldOfAProductIsChecked(t *testing.T) {
	rcv, _, _, _, msg := product(t, "fields")
	refused := func(what string, n int, bad []byte) {
		d, err := finish(rcv, [32]byte{}, bad)
		if !errors.Is(err, ErrCheck) || errors.Is(err, ErrEncoding) || d != [inputs]secp256k1.Scalar{} {
			t.Fatalf("%s %d changed: %v, want ErrCheck and no output", what, n, err)
		}
	}
	for n := range payload * width {
		refused("ã", n, flip(msg, n*scalarLen+n%scalarLen, 1<<(n%8)))
	}
	for n := range scalarLen {
		refused("byte of η̂", n, flip(msg, etaOffset+n, 1))
		refused("byte of μ", n, flip(msg, muOffset+n, 1))
	}
	if _, err := finish(rcv, [32]byte{1}, msg); !errors.Is(err, ErrCheck) {
		t.Errorf("another sid: %v, want ErrCheck", err)
	}
	other := *rcv
	other.id[0] ^= 1
	if _, err := other.Finish([32]byte{}, msg); !errors.Is(err, ErrCheck) {
		t.Errorf("another psid: %v, want ErrCheck", err)
	}
	if _, err := finish(rcv, [32]byte{}, msg); err != nil {
		t.Errorf("the honest message: %v", err)
	}
}

func TestScalarsOfAProductAreCanonical(t *testing.T) {
	rcv, _, _, _, msg := product(t, "canonical")
	q := order.Bytes()
	for _, off := range []int{0, scalarLen, 2 * scalarLen, 1247 * scalarLen, etaOffset} {
		for _, v := range [][]byte{q, bytes.Repeat([]byte{0xff}, scalarLen)} {
			bad := bytes.Clone(msg)
			copy(bad[off:], v)
			if _, err := finish(rcv, [32]byte{}, bad); !errors.Is(err, ErrEncoding) || errors.Is(err, ErrCheck) {
				t.Errorf("scalar at %d is %x: %v, want ErrEncoding", off, v, err)
			}
		}
	}
}

// deviate is Multiply by an A that adds one to ã_{j,k} before θ is drawn, and follows the
// protocol otherwise; with guess it also sets its μ as if β_j were 1.
func deviate(t *testing.T, snd Sender, a [inputs]secp256k1.Scalar, j, k int, guess bool) (c [inputs]secp256k1.Scalar, msg []byte) {
	t.Helper()
	in, err := withCheck(&a, stream("η"))
	if err != nil {
		t.Fatal(err)
	}
	alpha, msg := new(table), make([]byte, ProductSize)
	snd.correct(alpha, &in, msg)
	for i := range c {
		c[i].SetInnerProduct(gadget[:], alpha[i][:])
		c[i].SetNegative(&c[i])
	}
	one := secp256k1.NewScalar(1)
	var s secp256k1.Scalar
	cell := msg[(j*width+k)*scalarLen:]
	s.SetCanonical((*[32]byte)(cell))
	s.SetSum(&s, one)
	s.PutBytes(cell)
	theta := snd.id.theta([32]byte{}, msg[:etaOffset])
	eta := in[inputs]
	for i := range theta {
		eta.AddProduct(&theta[i], &in[i])
	}
	eta.PutBytes(msg[etaOffset:])
	if guess {
		alpha[k][j].SetSum(&alpha[k][j], one)
	}
	copy(msg[muOffset:], snd.id.mu([32]byte{}, alpha, &theta, nil, nil))
	return c, msg
}

// An A that uses another input in one row of one column is caught where β_j = 1; where β_j = 0 the
// row is not used, and the product is right. The verdict shows A β_j: that is why it burns.
func TestInconsistentInput(t *testing.T) {
	rcv, snd, a, _, _ := product(t, "inconsistent")
	b := rcv.Chi()
	caught := 0
	for j := range 40 {
		k := j % width
		c, msg := deviate(t, snd, a, j*10, k, false)
		d, err := finish(rcv, [32]byte{}, msg)
		if bit(rcv.beta[:], j*10) == 1 {
			caught++
			if !errors.Is(err, ErrCheck) {
				t.Errorf("row %d, column %d: %v, want ErrCheck", j*10, k, err)
			}
			continue
		}
		if err != nil || !isProduct(&a[0], &b, &c[0], &d[0]) || !isProduct(&a[1], &b, &c[1], &d[1]) {
			t.Errorf("row %d, column %d, which β does not use: %v, or a wrong product", j*10, k, err)
		}
	}
	if caught == 0 || caught == 40 {
		t.Errorf("%d of 40 rows caught: β is not random", caught)
	}
}

// What μ alone does not stop: an A that guesses β_j = 1 right passes, with a product that is wrong by
// g_j. The gadget bounds what such guesses are worth, and Γ of the signing protocol refuses the product.
func TestRightGuessLeavesAWrongProduct(t *testing.T) {
	rcv, snd, a, _, _ := product(t, "guess")
	b := rcv.Chi()
	for j := range 16 {
		c, msg := deviate(t, snd, a, j, 0, true)
		d, err := finish(rcv, [32]byte{}, msg)
		if bit(rcv.beta[:], j) == 0 {
			if !errors.Is(err, ErrCheck) {
				t.Errorf("row %d, guessed wrong: %v, want ErrCheck", j, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("row %d, guessed right: %v", j, err)
		}
		d[0].SetDifference(&d[0], &gadget[j])
		if !isProduct(&a[0], &b, &c[0], &d[0]) || !isProduct(&a[1], &b, &c[1], &d[1]) {
			t.Errorf("row %d: the error is not g_j", j)
		}
	}
}

// A whose η̂ or whose inputs under θ are others than in ã.
func TestInconsistentCheckColumn(t *testing.T) {
	rcv, snd, a, _, _ := product(t, "check column")
	in, err := withCheck(&a, stream("η"))
	if err != nil {
		t.Fatal(err)
	}
	for k := range in {
		alpha, msg := new(table), make([]byte, ProductSize)
		snd.correct(alpha, &in, msg)
		lie := in
		lie[k].SetSum(&lie[k], secp256k1.NewScalar(1))
		theta := snd.id.theta([32]byte{}, msg[:etaOffset])
		for i := range theta {
			lie[inputs].AddProduct(&theta[i], &lie[i])
		}
		lie[inputs].PutBytes(msg[etaOffset:])
		copy(msg[muOffset:], snd.id.mu([32]byte{}, alpha, &theta, nil, nil))
		if _, err := finish(rcv, [32]byte{}, msg); !errors.Is(err, ErrCheck) {
			t.Errorf("column %d: %v, want ErrCheck", k, err)
		}
	}
}
