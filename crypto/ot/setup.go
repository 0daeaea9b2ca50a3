package ot

import (
	"crypto/subtle"
	"io"

	"github.com/ostraka/ostraka/crypto/secret"
)

// A Chooser is A between its two messages of a set-up: the base-OT receiver.
type Chooser struct {
	redacted
	base *chooser
}

// NewChooser starts a set-up as A. φ is for B, ChoiceSize bytes. Spec/ot 2.1.
func NewChooser(id PairID, rand io.Reader) (c *Chooser, phi []byte, err error) {
	base, err := newChooser(id, rand)
	if err != nil {
		return nil, nil, err
	}
	return &Chooser{base: base}, base.phi, nil
}

// Answer is B's part of a set-up: it takes A's φ and returns B's leaves, to be kept until the
// next refresh, and the answer for A, AnswerSize bytes. Spec/ot 2.2 and 3.1.
func Answer(id PairID, rand io.Reader, choice []byte) (*Leaves, []byte, error) {
	if err := checkLen("φ", choice, ChoiceSize); err != nil {
		return nil, nil, err
	}
	answer := make([]byte, AnswerSize)
	keys, err := answerBase(id, rand, choice, answer[:ChoiceSize])
	if err != nil {
		return nil, nil, err
	}
	defer clear(keys[:])
	l := new(Leaves)
	for i := range trees {
		l.leaf[i] = grow(id, i, (*treeKeys)(keys[treeDepth*i:]), treeOf(answer, i))
	}
	return l, answer, nil
}

// Finish is A's end of a set-up. An error wraps ErrEncoding, or ErrCheck for a tree that does
// not agree with itself: then B may have learnt choice bits, and all base OTs of the pair are
// discarded. The chooser is spent either way. Spec/ot 2.3 and 3.2.
func (c *Chooser) Finish(answer []byte) (*Punctured, error) {
	if c.base == nil {
		return nil, ErrSpent
	}
	base := c.base
	defer c.Wipe()
	if err := checkLen("answer", answer, AnswerSize); err != nil {
		return nil, err
	}
	keys, err := base.keys(answer[:ChoiceSize])
	if err != nil {
		return nil, err
	}
	defer clear(keys[:])

	p := new(Punctured)
	var bad byte
	for i := range trees {
		var choice [treeDepth]byte
		for l := range choice {
			choice[l] = bit(base.choice[:], treeDepth*i+l)
		}
		leaf, at, fault := rebuild(base.id, i, choice, keys[treeDepth*i:treeDepth*(i+1)], treeOf(answer, i))
		bad |= fault
		p.delta[i/2] |= byte(at) << (treeDepth * (i % 2))
		p.keep(i, at, &leaf)
		clear(leaf[:])
	}
	// Selective failure: one verdict over all trees, after all were computed.
	if subtle.ConstantTimeByteEq(bad, 0) != 1 {
		p.Wipe()
		return nil, checkFailed("all-but-one OT: proofs of the trees")
	}
	return p, nil
}

// Wipe forgets the choice bits and exponents.
func (c *Chooser) Wipe() {
	if c.base != nil {
		c.base.wipe()
		c.base = nil
	}
}

// treeOf is tree i's part of an answer.
func treeOf(answer []byte, i int) treeMsg {
	off := ChoiceSize + i*treeLen
	return treeMsg(answer[off : off+treeLen : off+treeLen])
}

// Leaves is what B keeps of a set-up: all leaves of all trees. Signing only reads it, so
// sessions may share it. Its zero value is not a state.
type Leaves struct {
	redacted
	leaf [trees][leaves]key
}

// Punctured is what A keeps of a set-up: Δ and, of every tree, all leaves but the one at Δᵢ.
// Leaf y of tree i stands here at y⊕Δᵢ, so that the missing one is always at 0 and no
// step of signing depends on where it is. Signing only reads it. Its zero value is not a state.
type Punctured struct {
	redacted
	delta key // Δ: bit 4i+b is bit b of Δᵢ
	leaf  [trees][leaves]key
}

// keep stores the leaves of tree i in the order of y⊕at, by conditional swaps only.
func (p *Punctured) keep(i, at int, leaf *[leaves]key) {
	p.leaf[i] = *leaf
	for b := range treeDepth {
		swap := byte(at>>b) & 1
		for y := range leaves {
			if y>>b&1 == 1 {
				continue
			}
			lo, hi := p.leaf[i][y][:], p.leaf[i][y|1<<b][:]
			var diff key
			xorMasked(diff[:], lo, swap)
			xorMasked(diff[:], hi, swap)
			subtle.XORBytes(lo, lo, diff[:])
			subtle.XORBytes(hi, hi, diff[:])
		}
	}
}

// Formats of stored states, spec/ot 6.
const (
	formatLeaves    = 1
	formatPunctured = 2
)

// Encode is the format byte and 32×16 leaves: LeavesSize bytes.
func (l *Leaves) Encode() secret.Bytes {
	b := append(make([]byte, 0, LeavesSize), formatLeaves)
	for i := range l.leaf {
		for y := range l.leaf[i] {
			b = append(b, l.leaf[i][y][:]...)
		}
	}
	return secret.New(b)
}

// DecodeLeaves reads what Encode wrote. It keeps a copy; the caller wipes b.
func DecodeLeaves(b []byte) (*Leaves, error) {
	if err := checkState("leaves", b, LeavesSize, formatLeaves); err != nil {
		return nil, err
	}
	l, b := new(Leaves), b[1:]
	for i := range l.leaf {
		for y := range l.leaf[i] {
			b = b[copy(l.leaf[i][y][:], b):]
		}
	}
	return l, nil
}

// Wipe forgets the leaves.
func (l *Leaves) Wipe() { clear(l.leaf[:]) }

// Encode is the format byte, Δ and 32×15 leaves in the order of y⊕Δᵢ = 1…15: PuncturedSize bytes.
func (p *Punctured) Encode() secret.Bytes {
	b := append(make([]byte, 0, PuncturedSize), formatPunctured)
	b = append(b, p.delta[:]...)
	for i := range p.leaf {
		for y := 1; y < leaves; y++ {
			b = append(b, p.leaf[i][y][:]...)
		}
	}
	return secret.New(b)
}

// DecodePunctured reads what Encode wrote. It keeps a copy; the caller wipes b.
func DecodePunctured(b []byte) (*Punctured, error) {
	if err := checkState("punctured leaves", b, PuncturedSize, formatPunctured); err != nil {
		return nil, err
	}
	p, b := new(Punctured), b[1:]
	b = b[copy(p.delta[:], b):]
	for i := range p.leaf {
		for y := 1; y < leaves; y++ {
			b = b[copy(p.leaf[i][y][:], b):]
		}
	}
	return p, nil
}

// Wipe forgets Δ and the leaves.
func (p *Punctured) Wipe() {
	clear(p.delta[:])
	clear(p.leaf[:])
}
