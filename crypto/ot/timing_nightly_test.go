//go:build nightly

package ot

import (
	"crypto/sha256"
	"io"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/internal/dudect"
)

// hold measures and fails above the bound.
func hold(t *testing.T, name string, c dudect.Case) {
	t.Helper()
	c.Runs = 5
	got := c.Median()
	t.Logf("%s: |t| = %.2f", name, got)
	if got >= dudect.Bound {
		t.Errorf("%s: the secret shows in the time: |t| = %.2f", name, got)
	}
}

// draw fills b.
func draw(t *testing.T, r io.Reader, b []byte) {
	t.Helper()
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatal(err)
	}
}

// Selects and additions under a secret bit (protocols.md 7 #24): always 0 against random.
func TestTimingOfSelects(t *testing.T) {
	const n = 30000
	r := stream("timing of selects")
	var a, b, dst [64]byte
	draw(t, r, a[:])
	draw(t, r, b[:])
	coins := make([]byte, n)
	random := func(i, class int) {
		draw(t, r, coins[i:i+1])
		if coins[i] &= 1; class == 0 {
			coins[i] = 0
		}
	}
	hold(t, "select of bytes", dudect.Case{Samples: n, Prepare: random, Op: func(i int) {
		for range 50 {
			selectBytes(dst[:], a[:], b[:], coins[i])
		}
	}})
	hold(t, "masked sum of bytes", dudect.Case{Samples: n, Prepare: random, Op: func(i int) {
		for range 50 {
			xorMasked(dst[:], a[:], coins[i])
		}
	}})
	beta := make([][columnLen]byte, n)
	hold(t, "⟨g, β⟩", dudect.Case{Samples: n, Prepare: func(i, class int) {
		if draw(t, r, beta[i][:]); class == 0 {
			beta[i] = [columnLen]byte{}
		}
	}, Op: func(i int) { innerBits(beta[i][:]) }})
}

// A set-up as chooser: where the missing leaf is.
func TestTimingOfTrees(t *testing.T) {
	const n = 40000
	id := idOf("timing of trees", 1)
	keys, msg, _ := treeCase(t, id, 3)
	choices, opened := make([][treeDepth]byte, n), make([][]key, n)
	r := stream("timing of trees")
	place := func(i, class int) {
		var b [1]byte
		draw(t, r, b[:])
		at := int(b[0] % leaves)
		if class == 0 {
			at = 0
		}
		choices[i], opened[i] = choicesFor(at, &keys)
	}
	hold(t, "rebuild", dudect.Case{Samples: n, Prepare: place, Op: func(i int) { rebuild(id, 3, choices[i], opened[i], msg) }})
	var p Punctured
	leaf, _, _ := rebuild(id, 3, choices[0], opened[0], msg)
	hold(t, "order of leaves", dudect.Case{Samples: n, Prepare: place, Op: func(i int) {
		c := &choices[i]
		at := int(15 ^ (c[0]<<3 | c[1]<<2 | c[2]<<1 | c[3]))
		for range 20 {
			p.keep(3, at, &leaf)
		}
	}})
}

// The verdict on an extension: Δ, and where the columns differ.
func TestTimingOfExtensionVerdict(t *testing.T) {
	const n = 4000
	r := stream("timing of verdicts")
	id := idOf("timing of verdicts", 1)
	l, p := setUp(t, id, r)
	_, msg, err := Extend(id, l, r)
	if err != nil {
		t.Fatal(err)
	}
	states := make([]Punctured, n)
	hold(t, "Δ of a failing check", dudect.Case{Samples: n, Prepare: func(i, class int) {
		states[i].leaf = p.leaf
		if draw(t, r, states[i].delta[:]); class == 0 {
			states[i].delta = key{}
		}
	}, Op: func(i int) { _, _ = Check(id, &states[i], msg) }})

	// One matrix; the true hashes of its columns with an error in one column, or in none.
	m := newMatrix(id)
	draw(t, r, m.col[:])
	m.transpose()
	chi := id.challenges(msg[:xOffset])
	right := make([]byte, ExtensionSize)
	var delta key
	copy(right[tOffset:], m.hash(&chi).transposed()[:])
	if !m.consistent(&chi, &delta, right) {
		t.Fatal("the verdict on the true hashes is no")
	}
	sent := make([][ExtensionSize]byte, n)
	for name, column := range map[string]int{"passing": -1, "failing at column 0": 0, "failing at column 127": 127} {
		hold(t, "verdict, "+name, dudect.Case{Samples: n, Prepare: func(i, class int) {
			copy(sent[i][:], right)
			var b [1]byte
			draw(t, r, b[:])
			at := column
			if class == 1 {
				at = int(b[0] % columns)
			}
			if at >= 0 {
				sent[i][tOffset+at*keyLen+int(b[0]>>7)] ^= 1
			}
		}, Op: func(i int) { m.consistent(&chi, &delta, sent[i][:]) }})
	}
}

// The multiplication: β as receiver, Δ as sender, and where μ differs.
func TestTimingOfMultiplication(t *testing.T) {
	const n = 2500
	r := stream("timing of products")
	rcv, snd, a, _, msg := product(t, "timing of products")
	sid := sha256.Sum256([]byte("timing of products"))
	receivers := make([]Receiver, n)
	hold(t, "β of a product", dudect.Case{Samples: n, Prepare: func(i, class int) {
		receivers[i] = *rcv
		if draw(t, r, receivers[i].beta[:]); class == 0 {
			receivers[i].beta = [columnLen]byte{}
		}
	}, Op: func(i int) {
		var dot table
		_ = receivers[i].open(&dot, msg)
	}})
	senders := make([]Sender, n)
	hold(t, "Δ of a product", dudect.Case{Samples: n, Prepare: func(i, class int) {
		senders[i] = snd
		if draw(t, r, senders[i].delta[:]); class == 0 {
			senders[i].delta = key{}
		}
	}, Op: func(i int) {
		var alpha table
		in := [width]secp256k1.Scalar{a[0], a[1], a[0]}
		out := scratch[:]
		senders[i].correct(&alpha, &in, out)
	}})
	sent := make([][]byte, n)
	hold(t, "verdict on μ", dudect.Case{Samples: n, Prepare: func(i, class int) {
		receivers[i] = *rcv
		var b [1]byte
		draw(t, r, b[:])
		sent[i] = append(sent[i][:0], msg...)
		sent[i][muOffset+class*int(b[0]%32)] ^= 1
	}, Op: func(i int) { _, _ = receivers[i].Finish(sid, sent[i]) }})
}

var scratch [ProductSize]byte
