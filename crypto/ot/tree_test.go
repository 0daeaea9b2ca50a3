package ot

import (
	"bytes"
	"errors"
	"testing"
)

// treeCase is one tree with its sender's end.
func treeCase(t *testing.T, id PairID, i int) (keys treeKeys, msg treeMsg, leaf [leaves]key) {
	t.Helper()
	r := stream("tree keys")
	for level := range keys {
		for v := range keys[level] {
			if err := read(r, keys[level][v][:], "key"); err != nil {
				t.Fatal(err)
			}
		}
	}
	msg = make(treeMsg, treeLen)
	return keys, msg, grow(id, i, &keys, msg)
}

// choicesFor are the choice bits that puncture leaf at, and the keys they open.
func choicesFor(at int, keys *treeKeys) (choice [treeDepth]byte, open []key) {
	for l := range choice {
		choice[l] = 1 - byte(at>>(treeDepth-1-l))&1
		open = append(open, keys[l][choice[l]])
	}
	return choice, open
}

func TestTreeAgainstReference(t *testing.T) {
	id := idOf("tree", 0)
	for _, i := range []int{0, 31} {
		keys, msg, leaf := treeCase(t, id, i)
		var k [4][2][]byte
		for l := range k {
			k[l] = [2][]byte{keys[l][0][:], keys[l][1][:]}
		}
		wantMsg, wantLeaf := refGrow(id[:], i, k)
		if !bytes.Equal(msg, wantMsg) {
			t.Errorf("tree %d: message differs from the reference", i)
		}
		for y := range leaf {
			if !bytes.Equal(leaf[y][:], wantLeaf[y]) {
				t.Errorf("tree %d: leaf %d differs from the reference", i, y)
			}
		}
	}
}

func TestAllButOneAtEveryPosition(t *testing.T) {
	id := idOf("tree", 1)
	keys, msg, want := treeCase(t, id, 5)
	seen := map[key]bool{}
	for y := range want {
		seen[want[y]] = true
	}
	if len(seen) != leaves {
		t.Fatal("two leaves are equal")
	}
	for at := range leaves {
		choice, open := choicesFor(at, &keys)
		leaf, got, bad := rebuild(id, 5, choice, open, msg)
		if got != at || bad != 0 {
			t.Fatalf("punctured at %d with fault %d, want %d and none", got, bad, at)
		}
		p := new(Punctured)
		p.keep(5, at, &leaf)
		for y := range leaves {
			if y == at {
				if leaf[y] != (key{}) || p.leaf[5][0] != (key{}) {
					t.Errorf("Δ = %d: the receiver knows the punctured leaf", at)
				}
				continue
			}
			if leaf[y] != want[y] || p.leaf[5][y^at] != want[y] {
				t.Errorf("Δ = %d: leaf %d differs from the sender's", at, y)
			}
		}
	}
}

// Every byte of a tree's message: a change in a correction that the receiver opens, in t̃ or
// in s̃ fails the check; a correction it does not open changes nothing.
func TestTreeTamper(t *testing.T) {
	id := idOf("tree", 2)
	keys, msg, _ := treeCase(t, id, 9)
	for _, at := range []int{0, 6, 15} {
		choice, open := choicesFor(at, &keys)
		want, _, _ := rebuild(id, 9, choice, open, msg)
		for n := range msg {
			leaf, _, bad := rebuild(id, 9, choice, open, treeMsg(flip(msg, n, 0x40)))
			level, v := 1+n/(2*keyLen), byte(n/keyLen%2)
			unused := n < corrLen && v != choice[level%treeDepth]
			if unused && (bad != 0 || leaf != want) {
				t.Fatalf("Δ = %d, byte %d of a correction that is not opened changes the result", at, n)
			}
			if !unused && bad != 1 {
				t.Fatalf("Δ = %d, byte %d changed: not caught", at, n)
			}
		}
	}
}

// The verdict on one bad tree, whichever it is, is the verdict on the set-up.
func TestSetUpRefusesAnyBadTree(t *testing.T) {
	r := stream("bad tree")
	id := idOf("setup", 0)
	c, phi, err := NewChooser(id, r)
	if err != nil {
		t.Fatal(err)
	}
	_, answer, err := Answer(id, r, phi)
	if err != nil {
		t.Fatal(err)
	}
	for i := range trees {
		off := ChoiceSize + i*treeLen + corrLen + i
		p, err := clone(c).Finish(flip(answer, off, 1))
		if !errors.Is(err, ErrCheck) || errors.Is(err, ErrEncoding) || p != nil {
			t.Errorf("tree %d tampered: %v, want ErrCheck and no state", i, err)
		}
	}
	// another psid, as when a message is moved to another session or direction
	other := clone(c)
	other.base.id[31] ^= 1
	if _, err := other.Finish(answer); !errors.Is(err, ErrCheck) {
		t.Errorf("another psid: %v, want ErrCheck", err)
	}
	if _, err := c.Finish(answer); err != nil {
		t.Errorf("the honest answer: %v", err)
	}
}

// clone is a chooser that can fail without spending c.
func clone(c *Chooser) *Chooser {
	b := *c.base
	for i, e := range c.base.exponent {
		b.exponent[i] = e.Add(ristretto.Scalar(0))
	}
	return &Chooser{base: &b}
}
