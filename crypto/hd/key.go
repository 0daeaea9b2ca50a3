package hd

import (
	"crypto/sha256"
	"fmt"

	"golang.org/x/crypto/ripemd160" // BIP 32's fingerprints

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
)

// A Key is an extended public key: a point and what its children are derived from. Root and
// ParseXPub make it; its point is never the identity.
type Key struct {
	Point     *secp256k1.Point
	ChainCode [32]byte
	Depth     uint8   // steps below the master key
	Parent    [4]byte // parent's fingerprint; zero at depth 0
	Step      uint32  // last step of the path; 0 at depth 0; ≥ 2^31 if it was hardened
}

// Root is the key at depth 0. The identity is refused.
func Root(x *secp256k1.Point, chainCode [32]byte) (Key, error) {
	if x.IsIdentity() {
		return Key{}, errIdentity
	}
	return Key{Point: x, ChainCode: chainCode}, nil
}

// A SkippedError says that this step has no key, which happens with probability 2^-127 at most: the
// tweak is ≥ q (secp256k1) or 0 (edwards25519), or the child is the identity. The caller takes the next step.
type SkippedError struct{ Step uint32 }

func (e *SkippedError) Error() string {
	return fmt.Sprintf("derivation step %d has no key; take the next", e.Step)
}

// Child is CKDpub of BIP 32: the child and the tweak e, child = k + e·G. The step is at most MaxStep (else
// ErrHardened), the child's depth at most MaxDepth.
func (k Key) Child(step uint32) (Key, *secp256k1.Scalar, error) {
	if err := checkStep(step, int(k.Depth)); err != nil {
		return Key{}, nil, err
	}
	i := bip32Bytes(k.Point.Bytes(), &k.ChainCode, step)
	return k.child(step, &i)
}

// child takes the HMAC's output as an argument, so that tests reach the skipped steps.
func (k Key) child(step uint32, i *[64]byte) (Key, *secp256k1.Scalar, error) {
	e := new(secp256k1.Scalar)
	if !e.SetCanonical((*[32]byte)(i[:32])) {
		return Key{}, nil, &SkippedError{step}
	}
	p := secp256k1.BaseMul(e).Add(k.Point).(*secp256k1.Point)
	if p.IsIdentity() {
		return Key{}, nil, &SkippedError{step}
	}
	return Key{
		Point: p, ChainCode: [32]byte(i[32:]), Depth: k.Depth + 1, Parent: k.Fingerprint(), Step: step,
	}, e, nil
}

// Derive follows the path from k. The tweak is the sum of all steps' tweaks modulo q:
// result = k + e·G. For an empty path it is 0.
func (k Key) Derive(path Path) (Key, *secp256k1.Scalar, error) {
	sum := new(secp256k1.Scalar)
	for n, step := range path {
		next, e, err := k.Child(step)
		if err != nil {
			return Key{}, nil, fmt.Errorf("derivation path %v, step %d: %w", path, n+1, err)
		}
		sum.SetSum(sum, e)
		k = next
	}
	return k, sum, nil
}

// Fingerprint is the first 4 bytes of RIPEMD-160(SHA-256(compressed point)).
func (k Key) Fingerprint() [4]byte {
	inner := sha256.Sum256(k.Point.Bytes())
	outer := ripemd160.New()
	outer.Write(inner[:])
	return [4]byte(outer.Sum(nil))
}
