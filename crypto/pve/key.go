package pve

import (
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"filippo.io/edwards25519/field"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/secret"
)

// KeySize is the length of a key in bytes, public or private.
const KeySize = 32

// A Key is ek, a recipient's X25519 public key (RFC 7748): the u-coordinate, 32 bytes little-endian. ParseKey checks one; all
// functions that take a Key check it again.
type Key [KeySize]byte

// String is the key in hex.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// ParseKey takes exactly 32 bytes: u < p with bit 255 clear, not of low order, and on the curve in its subgroup of prime order, where every
// key that was made from a private key is (spec/pve 1.1). Other parsers, Go's too, take any 32 bytes.
func ParseKey(b []byte) (Key, error) {
	if len(b) != KeySize {
		return Key{}, fmt.Errorf("key has %d bytes, not %d", len(b), KeySize)
	}
	k := Key(b)
	if err := k.check(); err != nil {
		return Key{}, err
	}
	return k, nil
}

func (k Key) check() error {
	_, err := k.edwards()
	return err
}

// CheckDistinct checks every key, and refuses one that stands twice: one recipient would count as two.
func CheckDistinct(keys []Key) error {
	seen := make(map[Key]int, len(keys))
	for i, k := range keys {
		if err := k.check(); err != nil {
			return fmt.Errorf("recipient %d: %w", i, err)
		}
		if first, ok := seen[k]; ok {
			return fmt.Errorf("recipients %d and %d have one key %v: each needs its own", first, i, k)
		}
		seen[k] = i
	}
	return nil
}

// lowOrder are the canonical u-coordinates of all points of low order, on the curve and on its twist: 0, 1, p − 1, and two of order 8.
var lowOrder = [...][KeySize]byte{
	{},
	{1},
	{
		0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
	},
	{
		0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
		0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
	},
	{
		0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
		0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
	},
}

var (
	errHighBit      = errors.New("has bit 255 set")
	errNotCanonical = errors.New("is not canonical: u is 2^255 − 19 or more")
	errLowOrder     = errors.New("is of low order: everybody would share its secrets")
	errNotPrime     = errors.New("is not in the curve's subgroup of prime order: no private key has it")
)

// checkU refuses a u-coordinate that has another encoding, or that makes the shared value zero for everybody.
func checkU(u *[KeySize]byte) error {
	if u[KeySize-1]&0x80 != 0 {
		return errHighBit
	}
	if isAboveP(u) {
		return errNotCanonical
	}
	for i := range lowOrder {
		if *u == lowOrder[i] {
			return errLowOrder
		}
	}
	return nil
}

// isAboveP reports u ≥ p = 2^255 − 19, for bit 255 clear.
func isAboveP(u *[KeySize]byte) bool {
	if u[KeySize-1] != 0x7f || u[0] < 0xed {
		return false
	}
	for _, b := range u[1 : KeySize-1] {
		if b != 0xff {
			return false
		}
	}
	return true
}

// edwards is E, the key as a point of edwards25519 with an even x, the sign fixed as in XEdDSA. It refuses every key that ParseKey does.
func (k Key) edwards() (group.Point, error) {
	if err := checkU((*[KeySize]byte)(&k)); err != nil {
		return nil, fmt.Errorf("key %v: %w", k, err)
	}
	y, err := k.edwardsBytes()
	if err != nil {
		return nil, fmt.Errorf("key %v: %w", k, err)
	}
	// A key plus a point of small order opens what was encrypted to the key, yet looks like another's.
	e, err := edwards25519.Group{}.DecodePoint(y)
	if err != nil {
		return nil, fmt.Errorf("key %v: %w", k, errNotPrime)
	}
	return e, nil
}

// edwardsBytes is E encoded: y = (u − 1)/(u + 1) (RFC 7748 section 4.1). Whether there is such a point is not said.
func (k Key) edwardsBytes() ([]byte, error) {
	u, err := new(field.Element).SetBytes(k[:])
	if err != nil {
		return nil, err
	}
	one := new(field.Element).One()
	above := new(field.Element).Subtract(u, one)
	below := new(field.Element).Add(u, one) // not 0: u = p − 1 is of low order
	return above.Multiply(above, below.Invert(below)).Bytes(), nil
}

// A PrivateKey is a recipient's X25519 private key. It prints as "[secret]".
type PrivateKey struct {
	b      secret.Bytes // 32 bytes as RFC 7748 takes them, before clamping
	public Key
}

// NewPrivateKey reads 32 bytes.
func NewPrivateKey(r io.Reader) (*PrivateKey, error) {
	var b [KeySize]byte
	defer secret.Wipe(b[:])
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return nil, fmt.Errorf("make recipient's key: read randomness: %w", err)
	}
	return ParsePrivateKey(b[:])
}

// ParsePrivateKey takes what Bytes returned. It keeps a copy.
func ParsePrivateKey(b []byte) (*PrivateKey, error) {
	if len(b) != KeySize {
		return nil, fmt.Errorf("private key has %d bytes, not %d", len(b), KeySize)
	}
	if isZero(b) {
		return nil, errors.New("private key is all zero: the source of randomness is broken, or the file was wiped")
	}
	k, err := ecdh.X25519().NewPrivateKey(b)
	if err != nil {
		return nil, errors.New("private key is not one of X25519")
	}
	return &PrivateKey{b: secret.Copy(b), public: Key(k.PublicKey().Bytes())}, nil
}

func isZero(b []byte) bool {
	var any byte
	for _, v := range b {
		any |= v
	}
	return any == 0
}

// Public is ek.
func (k *PrivateKey) Public() Key { return k.public }

// Bytes are 32 bytes to store, sealed. They alias the key until Wipe.
func (k *PrivateKey) Bytes() secret.Bytes { return k.b }

// Wipe overwrites the key, which is of no use afterwards.
func (k *PrivateKey) Wipe() { k.b.Wipe() }

var errWiped = errors.New("private key was wiped")

// ecdh is the key as the standard library takes it.
func (k *PrivateKey) ecdh() (*ecdh.PrivateKey, error) {
	if isZero(k.b.Expose()) {
		return nil, errWiped
	}
	return ecdh.X25519().NewPrivateKey(k.b.Expose())
}

// Format redacts under every verb.
func (PrivateKey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

// String redacts.
func (PrivateKey) String() string { return secret.Redacted }

// GoString redacts.
func (PrivateKey) GoString() string { return secret.Redacted }

// MarshalText redacts in JSON, YAML and structured logs.
func (PrivateKey) MarshalText() ([]byte, error) { return []byte(secret.Redacted), nil }
