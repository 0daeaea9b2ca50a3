package guardian

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// SeedSize is the length of the seed in bytes.
const SeedSize = 32

const (
	keyPrefix = "OSTRAKA-GUARDIAN-KEY-1" // loud, as age's own: nobody should take it for what may be sent
	keySum    = 4                        // bytes: 36 in all, a multiple of three
)

// KeyText is the length of a key file's plaintext in bytes: the key on one line, and its line feed.
const KeyText = len(keyPrefix) + (SeedSize+keySum)*4/3 + 1

// A Key is a guardian's secret. It prints as "[secret]". The zero value is no key.
type Key struct{ seed secret.Bytes }

// NewKey draws a seed from r.
func NewKey(r io.Reader) (Key, error) {
	seed := make([]byte, SeedSize)
	if _, err := io.ReadFull(r, seed); err != nil {
		return Key{}, fmt.Errorf("draw a guardian's seed: %w", err)
	}
	return FromSeed(seed)
}

// FromSeed takes SeedSize bytes over: the caller must not use them afterwards.
func FromSeed(seed []byte) (Key, error) {
	if len(seed) != SeedSize {
		return Key{}, fmt.Errorf("guardian's seed: has %d bytes, not %d", len(seed), SeedSize)
	}
	k := Key{secret.New(seed)}
	if k.seed.Equal(secret.New(make([]byte, SeedSize))) { // a reader that says nothing, or a wiped key
		return Key{}, errors.New("guardian's seed: is zero")
	}
	return k, nil
}

// Wipe overwrites the seed.
func (k Key) Wipe() { k.seed.Wipe() }

// derive is HKDF-SHA-256 of the seed under a label (spec/guardian 1.1).
func (k Key) derive(label transcript.Label, n int) ([]byte, error) {
	if k.seed.Len() != SeedSize {
		return nil, errors.New("guardian's key: there is none")
	}
	b, err := hkdf.Key(sha256.New, k.seed.Expose(), nil, label.String(), n)
	if err != nil {
		return nil, fmt.Errorf("derive a guardian's key: %w", err)
	}
	return b, nil
}

// signing is the Ed25519 key. The caller wipes it.
func (k Key) signing() (ed25519.PrivateKey, error) {
	seed, err := k.derive(transcript.GuardianSigningKey, ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe(seed)
	return ed25519.NewKeyFromSeed(seed), nil
}

// Signer signs as an SSH key does (signet). It holds a copy of the signing key for as long as it lives.
func (k Key) Signer() (ssh.Signer, error) {
	key, err := k.signing()
	if err != nil {
		return nil, err
	}
	return ssh.NewSignerFromKey(key)
}

// SignTree signs what a guardian says in a protocol (spec/guard 7.2). A tree begins with its label, and what signet signs with its own: neither is
// taken for the other.
func (k Key) SignTree(h *transcript.Hash) ([]byte, error) {
	key, err := k.signing()
	if err != nil {
		return nil, err
	}
	defer secret.Wipe(key)
	return ed25519.Sign(key, h.Tree()), nil
}

// Decryption is the X25519 key that opens the guardian's values. The caller wipes it.
func (k Key) Decryption() (*pve.PrivateKey, error) {
	b, err := k.derive(transcript.GuardianEncryptionKey, 32)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe(b)
	return pve.ParsePrivateKey(b)
}

// Card is the key's one card: its proof's coins come of the seed too, so that it reads the same whenever it is asked for
// (spec/guardian 1.2).
func (k Key) Card() (Card, error) {
	key, err := k.signing()
	if err != nil {
		return Card{}, err
	}
	defer secret.Wipe(key)
	dk, err := k.Decryption()
	if err != nil {
		return Card{}, err
	}
	defer dk.Wipe()

	c := Card{ek: dk.Public()}
	copy(c.signing[:], key.Public().(ed25519.PublicKey))
	proof, err := dk.ProvePossession(possessionContext(c.signing[:]), &coins{k: k})
	if err != nil {
		return Card{}, fmt.Errorf("guardian's card: %w", err)
	}
	if n := copy(c.possession[:], proof); n != possessionSize || n != len(proof) {
		return Card{}, fmt.Errorf("guardian's card: proof of possession has %d bytes, not %d", len(proof), possessionSize)
	}
	copy(c.signature[:], ed25519.Sign(key, c.signed()))
	return DecodeCard(c.Bytes())
}

// coins expands the seed, for the proof of possession alone: one seed has one context, so nothing is drawn twice for two.
type coins struct {
	k    Key
	rest []byte
}

const mostCoins = 1024 // bytes; the proof takes far fewer

func (c *coins) Read(b []byte) (int, error) {
	if c.rest == nil {
		all, err := c.k.derive(transcript.GuardianCoins, mostCoins)
		if err != nil {
			return 0, err
		}
		c.rest = all
	}
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.rest)
	clear(c.rest[:n])
	c.rest = c.rest[n:]
	return n, nil
}

// MarshalKey is a key file's plaintext: one line (spec/guardian 2.1). The caller encrypts it and wipes it.
func MarshalKey(k Key) ([]byte, error) {
	if k.seed.Len() != SeedSize {
		return nil, errors.New("guardian's key: there is none")
	}
	return []byte(armor(keyPrefix, k.seed.Expose(), keySum) + "\n"), nil
}

// ParseKey reads a key file's plaintext, in its one form. The caller wipes both.
func ParseKey(plain []byte) (Key, error) {
	if len(plain) != KeyText || plain[KeyText-1] != '\n' {
		return Key{}, fmt.Errorf("guardian's key: has %d bytes; it is one line of %d and its line feed", len(plain), KeyText-1)
	}
	seed, err := unarmor(keyPrefix, string(plain[:KeyText-1]), SeedSize, keySum)
	if err != nil {
		return Key{}, fmt.Errorf("guardian's key: %w", err)
	}
	return FromSeed(seed)
}
