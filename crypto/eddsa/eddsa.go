// Package eddsa signs by Ed25519 (RFC 8032 5.1) with a key that lies where its owner put it, and leaves no copy of it on Go's heap. Go's
// crypto/ed25519 keeps one there for as long as the key is used. The signatures are the same, byte for byte.
package eddsa

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/secret"
)

// Size is the length of an expanded key: its scalar, clamped, then what nonces are drawn from.
const Size = sha512.Size

// Expand writes a seed's expanded key (RFC 8032 5.1.5), and gives its public key.
func Expand(expanded *[Size]byte, seed []byte) ed25519.PublicKey {
	if len(seed) != ed25519.SeedSize {
		panic(fmt.Sprintf("eddsa: a seed has %d bytes, not %d", len(seed), ed25519.SeedSize))
	}
	sum(expanded, seed)
	expanded[0] &= 248
	expanded[31] = expanded[31]&127 | 64
	s := scalar(expanded)
	defer s.Wipe()
	return edwards25519.Group{}.BaseMul(s).Bytes()
}

// Sign signs a message with an expanded key (RFC 8032 5.1.6), in a time that depends on the message's length alone.
func Sign(expanded *[Size]byte, public ed25519.PublicKey, message []byte) []byte {
	g := edwards25519.Group{}
	var wide [Size]byte
	defer secret.Wipe(wide[:])
	s := scalar(expanded)
	defer s.Wipe()
	sum(&wide, expanded[32:], message)
	r := g.ReduceScalar(wide[:])
	defer r.Wipe()
	nonce := g.BaseMul(r).Bytes()
	sum(&wide, nonce, public, message)
	product := g.ReduceScalar(wide[:]).Mul(s) // of what is public and the key
	defer product.Wipe()
	return append(nonce, product.Add(r).Bytes()...)
}

// scalar is the key's scalar modulo the order of the group.
func scalar(expanded *[Size]byte) group.Scalar {
	var wide [Size]byte
	defer secret.Wipe(wide[:])
	copy(wide[:], expanded[:32])
	return edwards25519.Group{}.ReduceScalar(wide[:])
}

// sum is SHA-512, whose state and buffer are overwritten.
func sum(out *[Size]byte, parts ...[]byte) {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(out[:0])
	h.Reset()
	h.Write(zeros[:]) // over what its buffer holds
}

var zeros [sha512.BlockSize - 1]byte

// PublicOf is the public key of an Ed25519 key.
func PublicOf(key crypto.Signer) (ed25519.PublicKey, error) {
	if key == nil {
		return nil, errors.New("there is no Ed25519 key")
	}
	if k, ok := key.(ed25519.PrivateKey); ok && len(k) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("Ed25519 private key has %d bytes, not %d", len(k), ed25519.PrivateKeySize)
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok || len(public) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("the key is %T, not Ed25519", key.Public())
	}
	return public, nil
}

// SignBy has an Ed25519 key sign a message.
func SignBy(key crypto.Signer, message []byte) ([]byte, error) {
	if _, err := PublicOf(key); err != nil {
		return nil, err
	}
	sig, err := key.Sign(nil, message, crypto.Hash(0))
	if err == nil && len(sig) != ed25519.SignatureSize {
		err = fmt.Errorf("the key gave a signature of %d bytes, not %d", len(sig), ed25519.SignatureSize)
	}
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return sig, nil
}
