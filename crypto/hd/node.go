package hd

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// A Node is a key at or below a root of either kind, secp256k1 or edwards25519. It keeps what all its children are derived with, so
// that deriving many of them costs one multiplication of the generator each. It does not change, and may be shared.
type Node struct {
	law       *law
	point     group.Point
	encoded   []byte // point, as the children hash it
	chainCode [32]byte
	shift     group.Scalar // point = root + shift·G
	depth     int
}

// A law is how children follow from their parent: of 64 bytes made from parent and step, the left half gives the tweak, and the right
// half is the chain code.
type law struct {
	bytes func(parent []byte, chainCode *[32]byte, step uint32) [64]byte
	tweak func(left []byte) (e group.Scalar, ok bool)
}

var (
	lawBIP32   = &law{bytes: bip32Bytes, tweak: bip32Tweak}
	lawEd25519 = &law{bytes: edBytes, tweak: edTweak}
)

// Derive is the key at a path below a root, and the shift from the root to it: child = root + shift·G. The root is of
// secp256k1 (BIP 32's CKDpub, spec/derivation 2) or of edwards25519 (spec/derivation 3), and not the identity.
// A step that has no key is a *SkippedError.
func Derive(root group.Point, chainCode [32]byte, path Path) (child group.Point, shift group.Scalar, err error) {
	n, err := NewNode(root, chainCode, path)
	if err != nil {
		return nil, nil, err
	}
	return n.point, n.shift, nil
}

// NewNode is Derive, for a key of which children are derived next: an account.
func NewNode(root group.Point, chainCode [32]byte, path Path) (*Node, error) {
	n := &Node{point: root, chainCode: chainCode}
	switch root.(type) {
	case *secp256k1.Point:
		n.law = lawBIP32
	case *edwards25519.Point:
		n.law = lawEd25519
	default:
		return nil, fmt.Errorf("derive from a root of %s: no derivation is defined there", root.Group().Name())
	}
	if root.IsIdentity() {
		return nil, errIdentity
	}
	n.point = secp256k1.Settled(root)
	n.encoded, n.shift = n.point.Bytes(), root.Group().Scalar(0)
	for k, step := range path {
		next, err := n.Child(step)
		if err != nil {
			return nil, fmt.Errorf("derivation path %v, step %d: %w", path, k+1, err)
		}
		n = next
	}
	return n, nil
}

var errIdentity = errors.New("root of derivation is the identity")

// Point is the key.
func (n *Node) Point() group.Point { return n.point }

// Bytes is the key, encoded; it is there already, where Point().Bytes() would compute it again. It is the caller's own.
func (n *Node) Bytes() []byte { return bytes.Clone(n.encoded) }

// ChainCode is what the children's tweaks depend on besides the key.
func (n *Node) ChainCode() [32]byte { return n.chainCode }

// Shift is the sum of all tweaks from the root: Point = root + Shift·G. It is the caller's own.
func (n *Node) Shift() group.Scalar { return n.shift.Add(n.shift.Group().Scalar(0)) }

// Child is the node one step below. The step is at most MaxStep (else ErrHardened), the depth at most MaxDepth. A step that has
// no key is a *SkippedError.
func (n *Node) Child(step uint32) (*Node, error) {
	if err := checkStep(step, n.depth); err != nil {
		return nil, err
	}
	i := n.law.bytes(n.encoded, &n.chainCode, step)
	return n.child(step, &i)
}

// child takes the 64 bytes as an argument, so that tests reach the skipped steps.
func (n *Node) child(step uint32, i *[64]byte) (*Node, error) {
	e, ok := n.law.tweak(i[:32])
	if !ok {
		return nil, &SkippedError{step}
	}
	p := n.point.Group().BaseMul(e).Add(n.point)
	if p.IsIdentity() {
		return nil, &SkippedError{step}
	}
	p = secp256k1.Settled(p) // whoever derives a key encodes it again, in an address or a hash
	return &Node{
		law: n.law, point: p, encoded: p.Bytes(), chainCode: [32]byte(i[32:]), shift: n.shift.Add(e), depth: n.depth + 1,
	}, nil
}

func checkStep(step uint32, depth int) error {
	if step > MaxStep {
		return fmt.Errorf("derive child %d: %w", step, ErrHardened)
	}
	if depth >= MaxDepth {
		return fmt.Errorf("derive child %d: the parent has depth %d, at most %d are derived", step, depth, MaxDepth)
	}
	return nil
}

// bip32Bytes is HMAC-SHA512(cc, K ‖ i), i in 4 bytes big-endian. BIP 32 CKDpub, spec/derivation 2.1.
func bip32Bytes(parent []byte, chainCode *[32]byte, step uint32) [64]byte {
	mac := hmac.New(sha512.New, chainCode[:])
	mac.Write(parent)
	var i [4]byte
	binary.BigEndian.PutUint32(i[:], step)
	mac.Write(i[:])
	var out [64]byte
	mac.Sum(out[:0])
	return out
}

// bip32Tweak is the left half, big-endian; a value ≥ q has no key.
func bip32Tweak(left []byte) (group.Scalar, bool) {
	e := new(secp256k1.Scalar)
	return e, e.SetCanonical((*[32]byte)(left))
}

// edBytes is HMAC-SHA512(cc, label ‖ A ‖ i), i in 4 bytes little-endian. protocols.md 4, spec/derivation 3.1.
//
// DEVIATION: not SLIP-10, which has hardened steps alone on this curve, and not Cardano's BIP32-Ed25519, whose private keys are
// clamped and whose tweaks are 28 bytes. Both need a private key or its form; a shared key is a scalar and takes any tweak.
func edBytes(parent []byte, chainCode *[32]byte, step uint32) [64]byte {
	mac := hmac.New(sha512.New, chainCode[:])
	mac.Write([]byte(edLabel))
	mac.Write(parent)
	var i [4]byte
	binary.LittleEndian.PutUint32(i[:], step)
	mac.Write(i[:])
	var out [64]byte
	mac.Sum(out[:0])
	return out
}

// edTweak is HKDF-SHA512 of the left half with an empty salt and the label as info, 64 bytes little-endian modulo ℓ; 0 has no
// key. spec/derivation 3.2.
func edTweak(left []byte) (group.Scalar, bool) {
	wide, err := hkdf.Key(sha512.New, left, nil, edLabel, edwards25519.WideSize)
	if err != nil {
		panic("hd: HKDF refuses its own lengths: " + err.Error())
	}
	e := edwards25519.Group{}.ReduceScalar(wide)
	return e, !e.IsZero()
}

var edLabel = transcript.Ed25519Child.String()
