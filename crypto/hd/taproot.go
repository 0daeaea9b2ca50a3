package hd

import (
	"crypto/sha256"
	"errors"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
)

// An OutputKey is what BIP 341 makes of an internal key P: Q = g₁·P + t·G, where g₁ = ±1 makes P's y even. With g₂ = ±1
// that makes Q's y even, the private key that signs for x(Q) is g₂·(g₁·p + t) (protocols.md 3, spec/frost 2).
type OutputKey struct {
	Point       *secp256k1.Point  // Q as it comes, with even or odd y; never the identity
	Tweak       *secp256k1.Scalar // t, public
	InternalOdd bool              // g₁ = −1: y(P) is odd
	OutputOdd   bool              // g₂ = −1: y(Q) is odd; the parity bit of a control block
}

// XOnly is x(Q), 32 bytes: the witness program of a Taproot output and the public key of BIP 340.
func (k OutputKey) XOnly() [32]byte { return XOnly(k.Point) }

// XOnly is the x-coordinate in 32 bytes (BIP 340's bytes(P)). The identity panics.
func XOnly(p *secp256k1.Point) [32]byte { return [32]byte(p.Bytes()[1:]) }

// TapTweak is BIP 341's taproot_tweak_pubkey: t = int(hash_TapTweak(x(P) ‖ root)). A nil root is an output without a
// script tree, tweaked all the same, as BIP 341 advises and BIP 86 fixes: without that tweak, who makes up an internal key as a
// sum could hide a script path in it. t ≥ q and Q = 0, of probability 2^-127, are errors: the caller takes another internal key.
func TapTweak(p *secp256k1.Point, root *[32]byte) (OutputKey, error) {
	if p.IsIdentity() {
		return OutputKey{}, errors.New("internal key is the identity")
	}
	x := XOnly(p)
	h := tagged("TapTweak", x[:])
	if root != nil {
		h = tagged("TapTweak", x[:], root[:])
	}
	return tapTweak(p, &h)
}

// tapTweak takes the hash as an argument, so that tests reach the refusals.
func tapTweak(p *secp256k1.Point, hash *[32]byte) (OutputKey, error) {
	k := OutputKey{Tweak: new(secp256k1.Scalar), InternalOdd: p.YOdd()}
	if !k.Tweak.SetCanonical(hash) {
		return OutputKey{}, errors.New("tweak of the internal key is ≥ q")
	}
	even := p
	if k.InternalOdd {
		even = p.Neg().(*secp256k1.Point)
	}
	k.Point = even.Add(secp256k1.BaseMul(k.Tweak)).(*secp256k1.Point)
	if k.Point.IsIdentity() {
		return OutputKey{}, errors.New("output key is the identity")
	}
	k.OutputOdd = k.Point.YOdd()
	return k, nil
}

// tagged is BIP 340's hash_tag: SHA-256(SHA-256(tag) ‖ SHA-256(tag) ‖ parts). The parts have fixed lengths.
func tagged(tag string, parts ...[]byte) (sum [32]byte) {
	t := sha256.Sum256([]byte(tag))
	h := sha256.New()
	h.Write(t[:])
	h.Write(t[:])
	for _, b := range parts {
		h.Write(b)
	}
	h.Sum(sum[:0])
	return sum
}
