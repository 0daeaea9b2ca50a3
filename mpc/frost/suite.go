package frost

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/group/secp256k1/independent"
	"github.com/ostraka/ostraka/crypto/secret"
)

// Suites of Params.Suite. spec/frost 1.
const (
	// Ed25519 is FROST(Ed25519, SHA-512) of RFC 9591 section 6.1: signatures of RFC 8032.
	Ed25519 = "ed25519"
	// BIP340 is FROST(secp256k1, SHA-256) with signatures of BIP 340, in the transcript of
	// ZcashFoundation's frost-secp256k1-tr.
	BIP340 = "bip340-secp256k1"
)

// Context strings of H1, H3, H4 and H5.
const (
	contextEd25519 = "FROST-ED25519-SHA512-v1"
	contextBIP340  = "FROST-secp256k1-SHA256-TR-v1"
)

// A suite is what RFC 9591 section 6 fixes for each: a group, five hashes, and how signatures look.
type suite struct {
	name      string
	group     group.Group
	xOnly     bool                                          // points of signatures are x alone: the point with even y is meant
	toScalar  func(tag string, m ...[]byte) group.Scalar    // H1 with tag "rho", H3 with "nonce"
	digest    func(tag string, m ...[]byte) []byte          // H4 with tag "msg", H5 with "com"
	challenge func(r, q group.Point, m []byte) group.Scalar // H2
	verify    func(key, message, sig []byte) error          // by code that shares nothing with what signs, where there is such code
	// u·G + v·P for public scalars: for two terms faster than the group's general sum
	doubleMul  func(u, v group.Scalar, p group.Point) group.Point
	minMessage int // bytes
	maxMessage int
}

func suiteOf(name string) (*suite, error) {
	switch name {
	case Ed25519:
		return newEd25519(), nil
	case BIP340:
		return newBIP340(), nil
	}
	return nil, fmt.Errorf("suite %.40q is neither %s nor %s", name, Ed25519, BIP340)
}

// newEd25519 is RFC 9591 section 6.1.
func newEd25519() *suite {
	sum := func(prefix string, m ...[]byte) []byte {
		h := sha512.New()
		h.Write([]byte(prefix))
		for _, b := range m {
			h.Write(b)
		}
		return h.Sum(nil)
	}
	reduce := func(wide []byte) group.Scalar {
		defer secret.Wipe(wide)
		return edwards25519.Group{}.ReduceScalar(wide)
	}
	return &suite{
		name: Ed25519, group: edwards25519.Group{}, maxMessage: MaxMessage,
		toScalar: func(tag string, m ...[]byte) group.Scalar { return reduce(sum(contextEd25519+tag, m...)) },
		digest:   func(tag string, m ...[]byte) []byte { return sum(contextEd25519+tag, m...) },
		// without a prefix: verifiers of RFC 8032 compute this one
		challenge: func(r, q group.Point, m []byte) group.Scalar { return reduce(sum("", r.Bytes(), q.Bytes(), m)) },
		doubleMul: func(u, v group.Scalar, p group.Point) group.Point {
			return p.(*edwards25519.Point).DoubleMulBaseVarTime(u.(*edwards25519.Scalar), v.(*edwards25519.Scalar))
		},
		verify: func(key, message, sig []byte) error {
			if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, message, sig) {
				return errors.New("does not verify")
			}
			return nil
		},
	}
}

// newBIP340 is RFC 9591 section 6.5 with another context string, and BIP 340's challenge as H2.
func newBIP340() *suite {
	s := newSecp256k1(contextBIP340)
	s.name, s.xOnly, s.verify, s.minMessage, s.maxMessage = BIP340, true, independent.VerifySchnorr, 32, 32
	s.challenge = challengeBIP340
	return s
}

// newSecp256k1 are H1, H3, H4 and H5 of RFC 9591 section 6.5 under a context string.
func newSecp256k1(context string) *suite {
	return &suite{
		group: secp256k1.Group{},
		toScalar: func(tag string, m ...[]byte) group.Scalar {
			wide := expand(context+tag, m...)
			defer secret.Wipe(wide[:])
			return secp256k1.ReduceScalar(wide[:])
		},
		digest: func(tag string, m ...[]byte) []byte {
			h := sha256.New()
			h.Write([]byte(context + tag))
			for _, b := range m {
				h.Write(b)
			}
			return h.Sum(nil)
		},
		doubleMul: func(u, v group.Scalar, p group.Point) group.Point {
			return p.(*secp256k1.Point).DoubleMulBaseVarTime(u.(*secp256k1.Scalar), v.(*secp256k1.Scalar))
		},
	}
}

// challengeBIP340 is int(hash_BIP0340/challenge(x(R) ‖ x(Q) ‖ m)) mod q.
func challengeBIP340(r, q group.Point, m []byte) group.Scalar {
	tag := sha256.Sum256([]byte("BIP0340/challenge"))
	h := sha256.New()
	for _, b := range [][]byte{tag[:], tag[:], r.Bytes()[1:], q.Bytes()[1:], m} {
		h.Write(b)
	}
	c := new(secp256k1.Scalar)
	c.SetReduced((*[32]byte)(h.Sum(nil)))
	return c
}

// expand is expand_message_xmd of RFC 9380 section 5.3.1 with SHA-256 and 48 bytes of output, as
// its hash_to_field with m = 1 takes them for q. The tag has fewer than 256 bytes.
func expand(dst string, m ...[]byte) (out [secp256k1.WideSize]byte) {
	prime := append([]byte(dst), byte(len(dst)))
	h := sha256.New()
	h.Write(make([]byte, h.BlockSize())) // Z_pad
	for _, b := range m {
		h.Write(b)
	}
	h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(out)))) // l_i_b_str
	h.Write([]byte{0})
	h.Write(prime)
	b0 := h.Sum(nil)
	defer secret.Wipe(b0)
	var block [sha256.Size]byte // b₁, b₂: b₀ XOR b_(i−1), and b₀ itself for b₁
	defer secret.Wipe(block[:])
	for i := 0; i*sha256.Size < len(out); i++ {
		for k := range block {
			block[k] ^= b0[k]
		}
		h.Reset()
		h.Write(block[:])
		h.Write([]byte{byte(i + 1)})
		h.Write(prime)
		h.Sum(block[:0])
		copy(out[i*sha256.Size:], block[:])
	}
	return out
}

// encode is how a signature carries a point, and a verifier the key: for BIP 340 x alone.
func (s *suite) encode(p group.Point) []byte {
	if s.xOnly {
		return p.Bytes()[1:]
	}
	return p.Bytes()
}

// odd reports whether BIP 340 means the negative of this point; for other suites it never does.
func (s *suite) odd(p group.Point) bool { return s.xOnly && p.(*secp256k1.Point).YOdd() }
