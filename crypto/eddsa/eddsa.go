// Package eddsa signs by Ed25519 (RFC 8032 5.1) with a key that lies where its owner put it, and leaves no copy of it on Go's heap. Go's
// crypto/ed25519 keeps one there for as long as the key is used. The signatures are the same, byte for byte.
package eddsa

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/secret"
)

// Size is the length of an expanded key: its scalar, clamped, what nonces are drawn from, its public key, and a digest of the three.
const Size = 4 * part

const (
	part = 32
	body = 3 * part // what the digest is of
)

// Expand writes a seed's expanded key (RFC 8032 5.1.5), and gives its public key.
func Expand(expanded *[Size]byte, seed []byte) ed25519.PublicKey {
	if len(seed) != ed25519.SeedSize {
		panic(fmt.Sprintf("eddsa: a seed has %d bytes, not %d", len(seed), ed25519.SeedSize))
	}
	var wide [sha512.Size]byte
	defer secret.Wipe(wide[:])
	sum(&wide, seed)
	wide[0] &= 248
	wide[31] = wide[31]&127 | 64
	copy(expanded[:], wide[:])
	s := scalar(expanded)
	defer s.Wipe()
	public := edwards25519.Group{}.BaseMul(s).Bytes()
	copy(expanded[2*part:], public)
	sum(&wide, expanded[:body])
	copy(expanded[body:], wide[:part])
	return public
}

// Sign signs a message with an expanded key (RFC 8032 5.1.6), in a time that depends on the message's length alone. It reads the key once, and says
// false of one that is not whole, as where it is wiped meanwhile: a nonce drawn from zeros, or two public keys with one nonce, would give the key away.
func Sign(expanded *[Size]byte, message []byte) (sig []byte, whole bool) {
	key := *expanded
	defer secret.Wipe(key[:])
	var wide [sha512.Size]byte
	defer secret.Wipe(wide[:])
	sum(&wide, key[:body])
	if subtle.ConstantTimeCompare(wide[:part], key[body:]) != 1 {
		return nil, false
	}
	g := edwards25519.Group{}
	s := scalar(&key)
	defer s.Wipe()
	sum(&wide, key[part:2*part], message)
	r := g.ReduceScalar(wide[:])
	defer r.Wipe()
	nonce := g.BaseMul(r).Bytes()
	sum(&wide, nonce, key[2*part:body], message)
	product := g.ReduceScalar(wide[:]).Mul(s) // of what is public and the key
	defer product.Wipe()
	return append(nonce, product.Add(r).Bytes()...), true
}

// scalar is the key's scalar modulo the order of the group.
func scalar(expanded *[Size]byte) group.Scalar {
	var wide [sha512.Size]byte
	defer secret.Wipe(wide[:])
	copy(wide[:], expanded[:part])
	return edwards25519.Group{}.ReduceScalar(wide[:])
}

// sum is SHA-512, whose state and buffer are overwritten.
func sum(out *[sha512.Size]byte, parts ...[]byte) {
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
