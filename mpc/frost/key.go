package frost

import (
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
)

// A Taproot says what becomes of the derived key on its way to the key that is signed for. The zero
// value says nothing: suite ed25519 wants it, suite bip340-secp256k1 refuses it, so that nobody signs for
// another output than meant by leaving a field out.
type Taproot struct {
	kind taprootKind
	root [32]byte
}

type taprootKind uint8

const (
	unsaid taprootKind = iota
	plain
	keyPath
	scriptTree
)

// NoTaproot signs for x(P) itself: plain BIP 340, no output of Bitcoin's.
func NoTaproot() Taproot { return Taproot{kind: plain} }

// KeyPath is the output without a script tree (BIP 341, BIP 86): tweaked by its own x alone.
func KeyPath() Taproot { return Taproot{kind: keyPath} }

// ScriptTree is the output whose script tree has this Merkle root.
func ScriptTree(root [32]byte) Taproot { return Taproot{kind: scriptTree, root: root} }

// A Key is the final verification key Q: what the root key X, the tweak e and Taproot give.
type Key struct {
	Bytes [32]byte // as verifiers take it: RFC 8032's A, or BIP 340's x(Q)

	point  group.Point  // Q; for BIP 340 the point with even y
	enc    []byte       // enc(Q) in ρ: A, or 02 ‖ x(Q)
	negate bool         // g₁·g₂ = −1: signers use −λᵢsᵢ
	shift  group.Scalar // what Q's private key has besides ±x: e, or g₂(g₁e + tt). Public
}

// KeyOf is the key that signatures with these parameters verify under. e may be nil for 0.
func KeyOf(suiteName string, x group.Point, e group.Scalar, t Taproot) (Key, error) {
	s, err := suiteOf(suiteName)
	if err != nil {
		return Key{}, err
	}
	return s.key(x, e, t)
}

// key is spec/frost 2: P = X + e·G, Taproot's tweak, even y.
func (s *suite) key(x group.Point, e group.Scalar, t Taproot) (k Key, err error) {
	if x == nil || x.Group() != s.group || x.IsIdentity() {
		return Key{}, errors.New("key is missing, not of the suite's group, or the identity")
	}
	p := x
	k.shift = s.group.Scalar(0)
	if e != nil {
		if e.Group() != s.group {
			return Key{}, errors.New("tweak is not of the suite's group")
		}
		k.shift = e
		p = x.Add(s.group.BaseMul(e))
	}
	if p.IsIdentity() {
		return Key{}, errors.New("the derived key is the identity")
	}
	if s.xOnly != (t.kind != unsaid) {
		return Key{}, fmt.Errorf("suite %s: Taproot must be said for %s, and for nothing else", s.name, BIP340)
	}
	if !s.xOnly {
		return s.finish(k, p), nil
	}
	return s.even(k, p.(*secp256k1.Point), t)
}

// even is protocols.md 3, BIP340/Taproot: g1 = ±1 makes P even, Q = g1·P + tt·G, g2 = ±1 makes Q
// even. The private key of g2·Q is g1g2·x + g2(g1·e + tt).
func (s *suite) even(k Key, p *secp256k1.Point, t Taproot) (Key, error) {
	if t.kind == plain { // Q = g1·P, g2 = 1
		return s.finish(k.flipped(p.YOdd()), evenOf(p)), nil
	}
	root := &t.root
	if t.kind == keyPath {
		root = nil
	}
	out, err := hd.TapTweak(p, root)
	if err != nil {
		return Key{}, err
	}
	k = k.flipped(out.InternalOdd)
	k.shift = k.shift.Add(out.Tweak)
	return s.finish(k.flipped(out.OutputOdd), evenOf(out.Point)), nil
}

// flipped multiplies the private key by −1 if odd.
func (k Key) flipped(odd bool) Key {
	if odd {
		k.negate, k.shift = !k.negate, k.shift.Neg()
	}
	return k
}

func evenOf(p *secp256k1.Point) group.Point {
	if p.YOdd() {
		return p.Neg()
	}
	return p
}

func (s *suite) finish(k Key, q group.Point) Key {
	k.point, k.enc = q, q.Bytes()
	copy(k.Bytes[:], s.encode(q))
	return k
}
